"""The console's pages without a browser: what is typed comes back with what is wrong, conflicts are told in words."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from document_host import Host, saying
from member_office import ADMIN, CODES_NAMES, MEMBER, SECRET, MemberOffice
from people_console import PASSWORD, Reply, Visitor
from qaztech.core.errors import Conflict, Halt, Malformed
from qaztech.core.ids import ServiceId, SubsystemId
from qaztech.member.access import TYPE, ZONE, AccessRequest, Granted, Purpose, end_of_day, format_request
from qaztech.member.given import GivenRight
from qaztech.registry.call_limits import parse_limits, parse_timetable
from qaztech.registry.maintenance import Maintenance
from qaztech.registry.passport import format_passport, new_passport
from registry_country import Country, quick_folder

SERVICE = ServiceId(SubsystemId(MEMBER, "codes"), "list")
CLIENT = "KZ/GOV/991340000017/permits"
REQUEST = AccessRequest(
    type=TYPE, service=str(SERVICE), client=CLIENT, endpoints=("GET /a", "GET /b"),
    purpose=Purpose(kk="<b>Тексеру</b>", ru=None, en=None), basis="№ 12 бұйрық", calls_a_day=100, calls_a_minute=5,
    until=None, contact="it@ministry.example", requested_by="developer",
)  # fmt: skip


@pytest.fixture(scope="module")
def office() -> Iterator[MemberOffice]:
    """A member with one service."""
    with quick_folder() as folder:
        country = Country(folder)
        (folder / "member").mkdir()
        office = MemberOffice(country, folder / "member")
        office.console.services.add_system("codes", CODES_NAMES, ADMIN)
        office.console.services.put(SERVICE, new_passport(CODES_NAMES), ADMIN, url="http://10.0.0.5/")
        yield office
        office.close()
        country.close()


def visitor(office: MemberOffice, name: str = "aigerim") -> Visitor:
    found = Visitor(office.site.app)
    assert found.sign_in(name, PASSWORD).status == 303
    return found


@pytest.fixture(scope="module")
def admin(office: MemberOffice) -> Visitor:
    return visitor(office)


def ask(office: MemberOffice, message: str) -> str:
    """A request of the ministry, as the node brings it."""
    headers = {
        "content-type": "application/json", "x-road-client": CLIENT, "x-road-request-id": message,
        "x-road-service": f"{MEMBER}/codes/accessRequests", "qaztech-client-lineage": "a" * 64,
    }  # fmt: skip
    node = Visitor(office.site.app, origin=None)
    reply = node.send("POST", f"/exchanges/{SECRET}", format_request(REQUEST), headers)
    assert reply.status == 201, reply.text
    id_: str = reply.json()["id"]
    return id_


def decide(who: Visitor, id_: str, verb: str, **fields: str) -> Reply:
    page = who.get(f"/console/access/{id_}?lang=en")
    return who.submit(f"/console/access/{id_}/{verb}?lang=en", {"csrf": page.csrf, **fields})


def test_another_members_node_is_not_shown_as_the_own(office: MemberOffice, admin: Visitor) -> None:
    """The page names the address where it is, and nothing of what it says."""

    class Other:
        """The node of somebody else, which works well."""

        url = "http://127.0.0.1:4000"

        def status(self) -> dict[str, object]:
            return {"node": "KZ/GOV/991340000017/node1", "members": ["KZ/GOV/991340000017"], "ready": True}

    nodes = office.console.node
    own, nodes._clients = nodes._clients, (Other(),)  # type: ignore[assignment]
    try:
        pages = [admin.get(f"/console{page}?lang=en").text for page in ("/", "/nodes")]
        api = office.console.node_status()
    finally:
        nodes._clients = own
    for text in pages:
        assert "The node at http://127.0.0.1:4000 serves another member" in text
        assert "KZ/GOV/991340000017/node1" not in text
    assert api is None


def test_of_two_who_decide_one_does(office: MemberOffice, admin: Visitor) -> None:
    """The second sees what it is now, and why theirs did not count."""
    other, id_ = visitor(office, "olzhas"), ask(office, "01a2081e-87ec-7c95-ba6e-d5ccda355201")
    shown = admin.get(f"/console/access/{id_}?lang=en")
    version = re.search(r'name="version" value="(\d+)"', shown.text)
    assert version is not None
    assert decide(other, id_, "refuse", version=version[1], reason="Not yet.").status == 303
    late = admin.submit(
        f"/console/access/{id_}/approve?lang=en",
        {"csrf": shown.csrf, "version": version[1], "endpoints": "GET /a", "minute": "5", "day": "100"},
    )
    assert late.status == 409
    assert "The request has changed meanwhile." in late.text
    assert "Not yet." in late.text


def test_what_a_stranger_wrote_is_text(office: MemberOffice, admin: Visitor) -> None:
    """Markup in a request stays what it is."""
    page = admin.get(f"/console/access/{ask(office, '01a2081e-87ec-7c95-ba6e-d5ccda355202')}").text
    assert "&lt;b&gt;Тексеру" in page
    assert "<b>Тексеру" not in page


def test_an_owner_gives_less_than_was_asked(office: MemberOffice, admin: Visitor) -> None:
    """One endpoint of two, for a time; more than was asked, or nothing, is refused with words."""
    id_ = ask(office, "01a2081e-87ec-7c95-ba6e-d5ccda355203")
    a = {"endpoints": "GET /a"}
    for wrong in ({}, {"endpoints": "GET /**"}, a | {"until": "2001-01-01"}, a | {"minute": "x"},
                  a | {"minute": "9", "day": "5"}):  # fmt: skip
        assert decide(admin, id_, "approve", version="1", **wrong).status == 400, wrong
    assert decide(admin, id_, "approve", version="1", endpoints="GET /a", until="2040-01-31").status == 303
    held = [right for right in office.console.member.rights(SERVICE) if right.client == CLIENT]
    assert [(right.endpoints, right.until is not None) for right in held] == [(("GET /a",), True)]
    assert "31.01.2040 23:59" in admin.get("/console/rights").text
    assert decide(admin, id_, "revoke", version="2", reason="").status == 400
    assert decide(admin, id_, "revoke", version="2", reason="No more.").status == 303
    assert office.console.member.rights(SERVICE) == []


def test_a_form_comes_back_as_it_was_filled_in(admin: Visitor) -> None:
    """With what is wrong above it; nothing has to be typed again."""
    csrf = admin.get("/console/services/new").csrf
    fields = {"csrf": csrf, "subsystem": f"{MEMBER}/codes", "code": "x y", "url": "http://10.0.0.6/", "kind": "rest",
              "names.kk": "Қызмет", "names.ru": "Служба", "names.en": "Service"}  # fmt: skip
    back = admin.submit("/console/services/new?lang=ru", fields)
    assert back.status == 400
    assert "Код написан неверно." in back.text
    assert all(f'value="{fields[name]}"' in back.text for name in ("code", "url", "names.kk", "names.en"))


def test_a_passport_comes_back_with_every_problem(office: MemberOffice, admin: Visitor) -> None:
    """Each beside its field; more rows may be asked for without losing any."""
    path = "/console/services/codes/list/passport"
    csrf = admin.get(path).csrf
    fields = {"csrf": csrf, "names.kk": "Кодтар", "names.ru": "", "names.en": "Codes", "version": "1",
              "environment": "test", "contact": "nobody", "data.0.field": "code", "data.0.names.kk": "Код"}  # fmt: skip
    wrong = admin.submit(f"{path}?lang=en", fields)
    assert wrong.status == 400
    for name in ("names.ru", "contact", "data.0.names.ru"):
        assert f'id="w-{name}"' in wrong.text, name
    more = admin.submit(f"{path}?lang=en", {**fields, "more": "data"})
    assert 'name="data.2.field"' in more.text
    assert admin.submit(path, {**fields, f"data.{'9' * 5000}.field": "x"}).status == 400
    fields |= {"names.ru": "Коды", "contact": "", "data.0.field": "", "data.0.names.kk": ""}
    assert admin.submit(path, fields).status == 303
    assert office.console.services.service(SERVICE).shown is not None


def test_the_language_goes_with_one(admin: Visitor) -> None:
    """Every page in each language says so of itself."""
    for language, word in (("kk", "Сервистер"), ("ru", "Сервисы"), ("en", "Services")):
        page = admin.get(f"/console/services?lang={language}")
        assert f'<html lang="{language}">' in page.text
        assert word in page.text
        assert page.headers["content-language"] == language


def test_what_is_not_there_is_told_on_a_page(admin: Visitor) -> None:
    """With a way back, and no trace of how it is made."""
    for path in ("/console/services/codes/none", "/console/access/none", "/console/drafts/none",
                 "/console/requests/none", "/console/rights/revoke?service=x"):  # fmt: skip
        page = admin.get(path)
        assert page.status in {400, 404}, path
        assert 'href="/console/' in page.text
        assert "Traceback" not in page.text


def test_large_files_are_refused(admin: Visitor) -> None:
    """Before they are looked at."""
    csrf = admin.get("/console/services/new").csrf
    part = f'--x\r\nContent-Disposition: form-data; name="csrf"\r\n\r\n{csrf}\r\n--x\r\n'
    head = 'Content-Disposition: form-data; name="openapi"; filename="a.json"\r\n\r\n'
    kind = {"content-type": "multipart/form-data; boundary=x"}
    for size, status in ((2 * 1024 * 1024 + 1, 429), (4 * 1024 * 1024, 429)):
        body = (part + head).encode() + b" " * size + b"\r\n--x--\r\n"
        assert admin.send("POST", "/console/services/new", body, kind).status == status


def test_nothing_is_changed_while_the_admin_log_is_halted(
    office: MemberOffice, admin: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looking is possible; whatever would be an act is refused."""
    csrf = admin.get("/console/services").csrf
    monkeypatch.setattr(type(office.log), "halted", Halt("log.full", "the disk is full"))
    form = {"csrf": csrf, "code": "more", "names.kk": "x", "names.ru": "x", "names.en": "x"}
    assert admin.submit("/console/systems", form).status == 503
    assert [system.code for system in office.console.work.file().statement.subsystems] == ["codes"]
    assert admin.get("/console/services").status == 200


def test_secrets_are_not_on_pages(office: MemberOffice, admin: Visitor, tmp_path: Path) -> None:
    """Neither the member key nor the node's address of the console."""
    del tmp_path
    key = (office.folder / "desk" / "member.key").read_text()
    for path in ("/console/", "/console/joining", "/console/key", "/console/nodes", "/console/log"):
        text = admin.get(path).text
        assert SECRET not in text
        assert key.splitlines()[1] not in text


def test_a_service_is_made_from_the_address_of_its_openapi_file(office: MemberOffice, admin: Visitor) -> None:
    """Where one of the member's own systems is; from elsewhere nothing is fetched, and what was typed stays."""
    document = (Path(__file__).parents[1] / "member/permits.openapi.yaml").read_bytes()
    fields = {"subsystem": f"{MEMBER}/codes", "code": "permits", "url": "http://10.0.0.6/", "kind": "openapi"} | {
        f"names.{language}": "Permits" for language in ("kk", "ru", "en")
    }
    with Host(saying(f"200 OK\r\nContent-Length: {len(document)}", document)) as host:
        csrf = admin.get("/console/services/new?lang=en").csrf
        typed = {"csrf": csrf, "openapi-url": host.url(path="/o.yaml"), **fields}
        reply = admin.submit("/console/services/new?lang=en", typed)
        assert (reply.status, "fetches nothing from this address" in reply.text) == (403, True)
        assert (host.url(path="/o.yaml") in reply.text, host.requests) == (True, [])
        office.console.services.put(SERVICE, new_passport(CODES_NAMES), ADMIN, url=host.url(path="/api"))
        reply = admin.submit("/console/services/new?lang=en", typed)
        assert reply.status == 303
        assert "GET /permits" in admin.get(reply.headers["location"]).text
        here = "/console/services/codes/list/description?lang=en"
        assert admin.submit(here, {"csrf": csrf, "openapi-url": host.url(path="/o.yaml")}).status == 303
        assert "GET /permits" in admin.get("/console/services/codes/list?lang=en").text
        assert len(host.requests) == 2
    office.console.services.put(SERVICE, new_passport(CODES_NAMES), ADMIN, url="http://10.0.0.5/")


def test_the_api_takes_the_address_of_an_openapi_file(office: MemberOffice) -> None:
    """In place of its text; both at once are none."""
    account, until = office.people.accounts.named("olzhas").id, office.clock.now() + 3_600_000
    token, _ = office.people.tokens.create(account, "t", ["services:write"], until, by=ADMIN)
    caller, headers = Visitor(office.site.app), {"authorization": f"Bearer {token}"}
    passport = json.loads(format_passport(new_passport(CODES_NAMES)))
    wanted = {"service": str(SERVICE), "passport": passport, "openapi_url": "http://127.0.0.1:9/o.yaml"}
    reply = caller.send_json("PUT", "/api/v1/services", wanted, headers)
    assert (reply.status, reply.json()["code"]) == (403, "openapi.host")
    reply = caller.send_json("PUT", "/api/v1/services", wanted | {"openapi": "{}"}, headers)
    assert (reply.status, reply.json()["code"]) == (400, "request.malformed")


def test_maintenance_is_planned_shown_told_to_the_node_and_taken_back(office: MemberOffice, admin: Visitor) -> None:
    """On the page by the country's clocks; in what is signed; in the file the node reads; another passport keeps it."""
    here = "/console/services/codes/list"
    csrf, begin = admin.get(f"{here}?lang=en").csrf, office.clock.now() + 3_600_000
    typed = {"csrf": csrf, "begin": local(begin), "end": local(begin + 7_200_000)} | {
        f"reason.{language}": f"Restart ({language})" for language in ("kk", "ru", "en")
    }
    wrong = admin.submit(f"{here}/maintenance?lang=en", typed | {"end": typed["begin"]})
    assert (wrong.status, "console.maintenance" in wrong.text) == (400, True)
    assert admin.submit(f"{here}/maintenance?lang=en", typed).status == 303
    office.console.services.put(SERVICE, new_passport(CODES_NAMES, version="2"), ADMIN)
    page = admin.get(f"{here}?lang=en").text
    assert ("Restart (en)" in page, "Take the maintenance back" in page) == (True, True)
    limits = office.folder / "limits.json"
    (told,) = parse_timetable(limits.read_bytes(), MEMBER).values()
    assert (told.begin, told.end, told.notice.kk) == (begin // 60_000 * 60_000, told.begin + 7_200_000, "Restart (kk)")
    assert admin.submit(f"{here}/maintenance/cancel?lang=en", {"csrf": csrf}).status == 303
    assert "Take the maintenance back" not in admin.get(f"{here}?lang=en").text
    assert parse_timetable(limits.read_bytes(), MEMBER) == {}


def test_maintenance_that_is_over_is_shown_no_more(office: MemberOffice, admin: Visitor) -> None:
    """By itself, and the next signature leaves it out."""
    now = office.clock.now()
    office.console.plan(SERVICE, Maintenance(now, now + 60_000, CODES_NAMES), ADMIN)
    assert "Take the maintenance back" in admin.get("/console/services/codes/list?lang=en").text
    office.clock.advance(60_000)
    assert "Take the maintenance back" not in admin.get("/console/services/codes/list?lang=en").text
    office.console.services.put(SERVICE, new_passport(CODES_NAMES, version="3"), ADMIN)
    shown = office.console.services.service(SERVICE).shown
    assert (shown is not None and shown.maintenance) is None
    with pytest.raises(Malformed):
        office.console.plan(SERVICE, Maintenance(now, now + 60_000, CODES_NAMES), ADMIN)


def local(moment: int) -> str:
    """A time as a page's input gives it."""
    return datetime.fromtimestamp(moment / 1000, ZONE).strftime("%Y-%m-%dT%H:%M")


def test_a_right_is_given_without_a_request(office: MemberOffice, admin: Visitor) -> None:
    """Signed, limited at the node, with its reason on the page; taken away, nothing is left of it."""
    client = "KZ/EDU/991340000037/research"
    csrf = admin.get(f"/console/rights/new?lang=en&client={client}").csrf
    typed = {
        "csrf": csrf, "service": str(SERVICE), "client": client, "lineage": f" {'B' * 4} {'b' * 60} ",
        "endpoints": "GET  /a\n\nGET /b\n", "until": "2040-12-31", "minute": "5", "day": "100", "reason": "A pilot.",
    }  # fmt: skip
    for wrong, code in (
        ({"lineage": "b"}, "access.malformed"), ({"client": "x"}, "identifier.malformed"), ({"reason": ""}, "access."),
        ({"until": "2020-01-01"}, "access.malformed"), ({"service": f"{MEMBER}/codes/none"}, "service.unknown"),
    ):  # fmt: skip
        reply = admin.submit("/console/rights/new?lang=en", typed | wrong)
        assert (reply.status in {400, 404}, code in reply.text) == (True, True), wrong
    assert admin.submit("/console/rights/new?lang=en", typed).status == 303
    (held,) = office.console.member.rights(SERVICE)
    assert (held.client, held.endpoints, held.until) == (client, ("GET /a", "GET /b"), end_of_day("2040-12-31"))
    assert "A pilot." in admin.get("/console/rights?lang=en").text
    limits = office.folder / "limits.json"
    (limit,) = parse_limits(limits.read_bytes(), MEMBER).values()
    assert (limit.minute, limit.day) == (5, 100)
    gone = {"csrf": csrf, "service": str(SERVICE), "client": client, "group": ""}
    assert admin.submit("/console/rights/revoke?lang=en", gone).status == 303
    assert (office.console.member.rights(SERVICE), parse_limits(limits.read_bytes(), MEMBER)) == ([], {})
    assert "A pilot." not in admin.get("/console/rights?lang=en").text


def test_who_has_access_by_a_request_is_given_none_beside_it(office: MemberOffice, admin: Visitor) -> None:
    """The request says what holds: it is decided anew."""
    id_ = ask(office, "01a2081e-87ec-7c95-ba6e-d5ccda355209")
    assert decide(admin, id_, "approve", version="1", endpoints="GET /a", minute="5", day="100").status == 303
    terms = Granted(endpoints=("GET /b",), until=None, calls_a_minute=None, calls_a_day=None)
    given = GivenRight(service=str(SERVICE), client=CLIENT, lineage="a" * 64, terms=terms, reason="More.")
    with pytest.raises(Conflict) as caught:
        office.console.give(given, ADMIN)
    assert caught.value.code == "access.requested"
    assert decide(admin, id_, "revoke", version="2", reason="Over.").status == 303


def test_the_metrics_count_who_was_let_in_and_who_was_not(office: MemberOffice) -> None:
    """So that guessing shows on a chart."""

    def refused() -> int:
        lines = Visitor(office.site.app).get("/metrics").text.splitlines()
        return int(next(line.split()[1] for line in lines if "sign_ins_total" in line and "refused" in line))

    before = refused()
    assert Visitor(office.site.app).sign_in("aigerim", "a wrong password").status == 401
    assert refused() == before + 1
