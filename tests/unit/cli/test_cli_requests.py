"""Requests for access and services by command: the same console, asked over HTTP with a token."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from document_host import Host, saying
from member_office import ADMIN, CODES_NAMES, MEMBER, SECRET, MemberOffice
from people_console import Visitor
from qaztech.cli.desk import HERE
from qaztech.cli.main import main
from qaztech.core.errors import Error, Malformed, Unavailable
from qaztech.core.ids import ServiceId, SubsystemId
from qaztech.member.access import TYPE, AccessRequest, Purpose, format_request
from qaztech.member.console import CONSOLE_ROLES
from qaztech.member.console_client import ConsoleClient
from qaztech.registry.passport import new_passport
from registry_country import Country, quick_folder
from served_app import Served

SERVICE = ServiceId(SubsystemId(MEMBER, "codes"), "list")
CLIENT = "KZ/GOV/991340000017/permits"
Run = Callable[..., tuple[int, str, str]]


@dataclass
class Desk:
    """A console that listens, and a file with a token of its owner of services."""

    office: MemberOffice
    url: str
    token: Path


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    """A member with one service."""
    with quick_folder() as folder:
        country = Country(folder)
        (folder / "member").mkdir()
        office = MemberOffice(country, folder / "member")
        office.console.services.add_system("codes", CODES_NAMES, ADMIN)
        office.console.services.put(SERVICE, new_passport(CODES_NAMES), ADMIN, url="http://10.0.0.5/")
        owner, until = office.people.accounts.named("olzhas"), office.clock.now() + 3_600_000
        scopes = CONSOLE_ROLES["service-owner"]
        (folder / "token").write_text(office.people.tokens.create(owner.id, "t", scopes, until, by=ADMIN)[0])
        with Served(office.site.app) as served:
            yield Desk(office, served.url, folder / "token")
        office.close()
        country.close()


@pytest.fixture
def run(desk: Desk, capsys: pytest.CaptureFixture[str]) -> Run:
    """Type a command of the member's; gives its status and what it printed."""

    def typed(*words: str) -> tuple[int, str, str]:
        status = main(["member", *words, "--console", desk.url, "--token-file", str(desk.token)])
        out, err = capsys.readouterr()
        return status, out, err

    return typed


def asked(desk: Desk, message: str) -> str:
    """A request of the ministry, as the node brings it."""
    request = AccessRequest(
        type=TYPE, service=str(SERVICE), client=CLIENT, endpoints=("GET /a", "GET /b"),
        purpose=Purpose(kk="Тексеру", ru=None, en="Checking\nand more"), basis="№ 12", calls_a_day=100,
        calls_a_minute=5, until="2031-05-01", contact="it@ministry.example", requested_by="developer",
    )  # fmt: skip
    headers = {
        "content-type": "application/json", "x-road-client": CLIENT, "x-road-request-id": message,
        "x-road-service": f"{MEMBER}/codes/accessRequests", "qaztech-client-lineage": "a" * 64,
    }  # fmt: skip
    reply = Visitor(desk.office.site.app, origin=None).send(
        "POST", f"/exchanges/{SECRET}", format_request(request), headers
    )
    return str(reply.json()["id"])


def test_a_request_is_listed_shown_approved_in_part_and_revoked(desk: Desk, run: Run) -> None:
    """What is not said is given as it was asked; what another side writes cannot play with a terminal."""
    id_ = asked(desk, "01a2081e-87ec-7c95-ba6e-d5ccda355301")
    assert run("requests", "list", "--state", "submitted")[1].startswith(f"{id_}  submitted")
    assert "no requests" in run("requests", "list", "--state", "revoked")[1]
    shown = run("requests", "show", id_)[1]
    assert "purpose    Тексеру; Checking and more" in shown
    status, _, err = run("requests", "decide", id_, "--approve", "--endpoint", "GET /a")
    assert (status, "nothing was done" in err, "client     " in err) == (1, True, True)
    status, _, err = run("requests", "decide", id_, "--approve", "--version", "7", "--yes")
    assert (status, "access.changed" in err) == (1, True)
    words = ("requests", "decide", id_, "--approve", "--endpoint", "GET /a", "--calls-a-day", "9", "--yes", "--json")
    decided = json.loads(run(*words)[1])["request"]
    assert decided["changes"][-1]["granted"] == {
        "endpoints": ["GET /a"], "until": "2031-05-01", "calls_a_minute": 5, "calls_a_day": 9,
    }  # fmt: skip
    again = json.loads(run("requests", "decide", id_, "--approve", "--until", "open", "--yes", "--json")[1])["request"]
    assert again["changes"][-1]["granted"]["until"] is None
    status, out, _ = run("requests", "decide", id_, "--revoke", "It has ended.", "--yes")
    assert (status, f"{id_} is revoked" in out) == (0, True)
    assert "revoked by service-owner: It has ended." in run("requests", "show", id_)[1]


def test_a_request_is_refused_and_limits_go_with_giving(desk: Desk, run: Run) -> None:
    """Words that contradict each other do nothing."""
    id_ = asked(desk, "01a2081e-87ec-7c95-ba6e-d5ccda355302")
    status, _, err = run("requests", "decide", id_, "--refuse", "No.", "--calls-a-day", "9", "--yes")
    assert (status, "command.malformed" in err) == (1, True)
    assert run("requests", "decide", id_, "--refuse", "Ask for less.", "--yes")[0] == 0
    assert run("requests", "show", "0" * 32)[2].endswith("(access.unknown)\n")


def test_a_request_that_does_not_arrive_is_kept_and_sent_again(run: Run) -> None:
    """There is no node here: the command ends with an error, and says how to go on."""
    words = (
        "requests", "ask", "--service", f"{CLIENT}/list", "--client", f"{MEMBER}/codes", "--endpoint", "GET /**",
        "--purpose-en", "Checking", "--basis", "№ 7", "--calls-a-day", "5", "--calls-a-minute", "5", "--contact",
        "it@registers.example",
    )  # fmt: skip
    status, out, err = run(*words, "--json")
    made: dict[str, Any] = json.loads(out)
    assert (status, made["state"], "access.no-edge" in err, "(access.unsent)" in err) == (1, "unsent", True, True)
    status, out, err = run("requests", "send", made["id"])
    assert (status, f"request    {made['id']}, unsent" in out, "(access.unsent)" in err) == (1, True, True)
    assert run("requests", "list", "--made")[1].split()[:2] == [made["id"], "unsent"]
    assert run("requests", "show", made["id"], "--made")[0] == 0
    assert run("requests", "poll", made["id"])[0] == 0
    assert run("requests", "withdraw", made["id"])[2].endswith("(command.unconfirmed)\n")
    assert run("requests", "withdraw", made["id"], "--yes")[2].endswith("(access.state)\n")


def test_a_service_is_published_from_a_file_and_from_an_address(desk: Desk, run: Run, tmp_path: Path) -> None:
    """What is not given stays; a new one needs its passport."""
    document = Path(__file__).parents[1] / "member/permits.openapi.yaml"
    new = ("publish", "--service", f"{MEMBER}/codes/new", "--url", "http://10.0.0.9/")
    assert run(*new)[2].endswith("(command.missing)\n")
    shown = desk.office.console.services.service(SERVICE).shown
    assert shown is not None
    passport = tmp_path / "passport.json"
    passport.write_bytes(b"{")
    assert run(*new, "--passport", str(passport))[2].endswith("(command.malformed)\n")
    passport.write_text(json.dumps(json.loads(desk_passport(desk))))
    assert run(*new, "--passport", str(passport), "--openapi", str(document))[0] == 0
    with Host(saying("200 OK", document.read_bytes())) as host:
        assert run("publish", "--service", str(SERVICE), "--url", host.url(path=""))[0] == 0
        assert run("publish", "--service", str(SERVICE), "--openapi-url", host.url())[0] == 0
    services = {each.id: each for each in desk.office.console.services.services()}
    assert services[SERVICE].shown.description is not None  # type: ignore[union-attr]
    assert len(services) == 2


def test_maintenance_is_planned_and_taken_back(desk: Desk, run: Run) -> None:
    """All of it or `--cancel` alone; a time says its zone."""
    begin = datetime.fromtimestamp(desk.office.clock.now() // 1000 + 3600, HERE)
    plan = ("maintenance", "--service", str(SERVICE))
    notices = ("--notice-kk", "Жұмыстар", "--notice-ru", "Работы", "--notice-en", "Works")
    times = ("--from", begin.isoformat(), "--until", (begin + timedelta(hours=2)).isoformat())
    for wrong in (
        (), times, (*notices, *times, "--cancel"), (*notices, "--from", "2031-05-01T02:00", "--until", "tomorrow"),
    ):  # fmt: skip
        assert run(*plan, *wrong)[2].endswith("(command.malformed)\n"), wrong
    status, out, _ = run(*plan, *notices, *times)
    assert (status, f"{SERVICE} is not there from" in out) == (0, True)
    shown = desk.office.console.services.service(SERVICE).shown
    assert shown is not None
    assert shown.maintenance is not None
    assert (shown.maintenance.end - shown.maintenance.begin, shown.maintenance.notice.ru) == (7_200_000, "Работы")
    assert "no maintenance is planned" in run(*plan, "--cancel")[1]


def desk_passport(desk: Desk) -> bytes:
    """The passport of the service, as the API gives it."""
    client = ConsoleClient(desk.url, desk.token.read_text())
    return json.dumps(client.get("services")[0]["passport"]).encode()


def test_a_token_is_not_sent_to_just_anybody() -> None:
    """Over the network by https; what is no address or no token is said before anything is sent."""
    for url, token in (
        ("http://console.example", "qazt_a"), ("http://10.0.0.5:8420", "qazt_a"), ("ftp://localhost", "qazt_a"),
        ("http://[::1", "qazt_a"), ("localhost:8420", "qazt_a"), ("http://localhost", ""), ("http://localhost", "a\nb"),
    ):  # fmt: skip
        with pytest.raises(Malformed):
            ConsoleClient(url, token)
    ConsoleClient("https://console.example/here", "qazt_a")


@pytest.mark.parametrize(
    ("head", "body", "code"),
    [
        ("200 OK", b"[" * 100_000, "console.unreachable"),
        ("500 Oops", b"<html>", "console.unreachable"),
        ("409 Conflict", b'{"code": "no code", "title": "x"}', "console.unreachable"),
        ("403 Forbidden", b'{"code": "scope.missing", "title": "a\\u001b[2J"}', "scope.missing"),
    ],
)
def test_what_answers_is_not_believed(head: str, body: bytes, code: str) -> None:
    """Something else than a console, or a console that would play with a terminal."""
    with Host(saying(f"{head}\r\nContent-Length: {len(body)}", body)) as host, pytest.raises(Error) as caught:
        ConsoleClient(host.url(path=""), "qazt_a", seconds=5).get("access")
    assert (caught.value.code, "\x1b" in caught.value.detail) == (code, False)
    assert isinstance(caught.value, Unavailable) is (code == "console.unreachable")
