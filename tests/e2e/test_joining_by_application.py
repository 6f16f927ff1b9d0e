"""An organisation applies, is decided upon, enrols a node with a token, and calls; nothing is carried by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from newcomer import Newcomer
from qaztech.core.bin import reserved_bin
from qaztech.core.errors import Conflict, Untrusted
from qaztech.core.time import SystemClock
from qaztech.member.desk_work import DeskWork
from qaztech.member.membership import Membership
from qaztech.people.actors import COMMAND_LINE
from qaztech.people.tables import PEOPLE
from qaztech.registry.enrolment import Token
from qaztech.registry.forms import base64
from qaztech.registry.submitting import fetch, send
from qaztech.runtime.database import open_database, sqlite_url
from qaztech.testing.instance import Instance

RUNNING = ("registry", "witness-archive", "system-codes", "node-ministry", "node-registers")
BIN = reserved_bin(40)
MEMBER = f"KZ/EDU/{BIN}"
NAMES = ("--name-kk", "Талдықорған техника университеті", "--name-ru", "Талдыкорганский технический университет",
         "--name-en", "Taldykorgan Technical University")  # fmt: skip
CONTACT = ("--unit", "IT department", "--email", "it@university.example", "--phone", "+77010000000")


@pytest.fixture(scope="module")
def joined(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Newcomer]:
    folder = tmp_path_factory.mktemp("applying")
    with Instance(folder / "home", only=RUNNING) as country:
        newcomer = Newcomer(country, folder, MEMBER)
        yield newcomer
        newcomer.stop()


@pytest.fixture
def place(joined: Newcomer, capsys: pytest.CaptureFixture[str]) -> Newcomer:
    joined.capsys = capsys
    return joined


def signer(place: Newcomer, bin_: str) -> Path:
    file = place.folder / f"signer-{bin_}.pem"
    folder = place.country.home / "registry"
    place.run("registry", "test-signer", "--directory", folder, "--name", "Signatory of a test", "--iin",
              reserved_iin(), "--bin", bin_, "--out", file)  # fmt: skip
    return file


def reserved_iin() -> str:
    from qaztech.core.bin import check_digit

    for serial in range(100):
        eleven = f"991300{serial:05d}"
        if (digit := check_digit(eleven)) is not None:
            return f"{eleven}{digit}"
    raise AssertionError


def test_an_application_needs_someone_who_signs_for_that_organisation(place: Newcomer) -> None:
    """Signed for another BIN it is refused; signed for its own it waits for the operator."""
    place.lineage = place.run("member", "new", "--desk", place.desk, "--id", MEMBER, *NAMES)["lineage"]
    apply = ("member", "apply", "--desk", place.desk, "--registry", place.registry, *CONTACT)
    refused = place.run(*apply, "--signer", signer(place, reserved_bin(41)), status=1)
    assert "application.binding" in refused["error"]
    filed = place.run(*apply, "--signer", signer(place, BIN))
    assert (filed["state"], filed["lineage"]) == ("submitted", place.lineage)
    again = place.run(*apply, "--signer", signer_of(place))
    assert again["state"] == "submitted"
    waiting = place.operator("applications")["applications"]
    assert [a["id"] for a in waiting] == [again["id"]]


def signer_of(place: Newcomer) -> Path:
    return place.folder / f"signer-{BIN}.pem"


def test_before_it_is_admitted_nothing_of_it_counts(place: Newcomer) -> None:
    """No member file, no grant for a node."""
    unknown = ("--registry", place.registry)
    assert "member.unknown" in place.run("member", "submit", "--desk", place.desk, *unknown, status=1)["error"]
    grant = ("member", "grant-node", "--desk", place.desk, "--node", place.node_id, *unknown)
    assert "member.unknown" in place.run(*grant, status=1)["error"]


def test_the_operator_admits_it_once(place: Newcomer) -> None:
    """The operator sees who signed and what to look at; a second decision meets a conflict."""
    application = place.operator("applications")["applications"][0]
    shown = place.operator("decide", application["id"])
    assert shown["signed_by"] == {"name": "Signatory of a test", "bin": BIN}
    assert shown["contact"]["unit"] == "IT department"
    assert shown["findings"] == []
    assert place.operator("decide", application["id"], "--admit")["state"] == "admitted"
    assert "application.changed" in place.operator("decide", application["id"], "--refuse", "no", status=1)["error"]
    assert place.run("member", "application", "--desk", place.desk)["state"] == "admitted"


def test_a_node_enrols_with_a_token_that_works_once(place: Newcomer) -> None:
    """The token names the anchor; the registry never learns its secret; other keys cannot use it again."""
    place.run("member", "submit", "--desk", place.desk, "--registry", place.registry)
    where = ("--registry", place.registry, "--desk", place.desk, "--node", place.node_id)
    grant = place.run("member", "grant-node", *where)["grant"]
    waiting = place.run("member", "accept-node", "--desk", place.desk, "--node", place.node_id, status=1)
    assert "enrolment.waiting" in waiting["error"]
    ports = ("--edge-port", place.edge, "--management-port", place.management)
    address = ("--address", f"127.0.0.1:{place.link}")
    enrolled = place.run("node", "enrol", place.node, "--grant", grant, *address, *ports)
    assert enrolled["node"] == place.node_id
    assert place.run("node", "enrol", place.node, "--grant", grant, *address, *ports)["origin"] == enrolled["origin"]
    stolen = place.run("node", "enrol", place.folder / "thief", "--grant", grant, *address, *ports, status=1)
    assert "enrolment.used" in stolen["error"]
    token = Token.parse(grant)
    elsewhere = Token(
        registry=token.registry, anchor="0" * 64, node=token.node, lineage=token.lineage, seed=token.seed
    ).format()
    wrong = place.run("node", "enrol", place.folder / "other", "--grant", elsewhere, *address, *ports, status=1)
    assert "enrolment.anchor" in wrong["error"]
    kept = (place.country.home / "registry" / "joining.db").read_bytes()
    assert token.seed.encode() not in kept


def test_a_token_names_no_other_anchor_than_the_members(place: Newcomer) -> None:
    """Who stands on the link to the registry cannot put another country into the token."""
    engine = open_database(sqlite_url(place.folder / "console.db"), PEOPLE)
    membership = Membership(
        work=DeskWork(
            directory=place.desk,
            engine=engine,
            submit=lambda _: None,
            tell=lambda: None,
            clock=SystemClock(),
        ),
        registry=place.registry,
        instance="KZ",
        fingerprint=" ".join(["0000"] * 16),
    )
    with pytest.raises(Untrusted, match=r"enrolment\.anchor"):
        membership.grant_node("node9", COMMAND_LINE)
    assert all(grant.node != f"{MEMBER}/node9" for grant in membership.grants())
    engine.dispose()


def test_a_token_that_nobody_granted_enrols_nothing(place: Newcomer) -> None:
    """Made up, or for another name, it is refused."""
    token = Token(
        registry=place.registry,
        anchor=fingerprint_of(place),
        node=place.node_id,
        lineage=place.lineage,
        seed=base64(bytes(range(32))),
    )
    address = ("--address", f"127.0.0.1:{place.link}")
    refused = place.run("node", "enrol", place.folder / "made-up", "--grant", token.format(), *address, status=1)
    assert "enrolment.token" in refused["error"]


def fingerprint_of(place: Newcomer) -> str:
    from qaztech.registry.anchor import fingerprint

    return fingerprint(place.country.anchor.read_bytes())


def test_the_member_accepts_the_node_and_it_calls(place: Newcomer) -> None:
    """Named in the signed member file it may speak; with a right it calls, and the receipt verifies."""
    place.member("accept-node", "--node", place.node_id)
    names = ("--name-kk", "Кітапхана", "--name-ru", "Библиотека", "--name-en", "Library")
    place.member("add-subsystem", "--subsystem", place.system, *names)
    settings = place.node / "node.toml"
    text = settings.read_text().replace("[edge]", f'[[clients]]\nid = "{place.system}"\nloopback = true\n\n[edge]')
    text = text.replace("witnessing_seconds = 30.0", "witnessing_seconds = 0.25")
    settings.write_text("refresh_seconds = 0.5\n" + text)
    place.start()
    place.until(500, "access_denied")
    place.member(
        "grant", "--service", place.country.service, "--client", place.system, "--lineage", place.lineage,
        "--endpoint", "GET /countries/*", desk=place.of("registers"),
    )  # fmt: skip
    place.until(200)
    answer = place.call()
    assert json.loads(answer.body)


def test_an_envelope_of_somebody_else_is_refused(place: Newcomer) -> None:
    """Who does not hold the key cannot apply, submit or grant in a member's name."""
    with pytest.raises(Conflict, match="envelope"):
        send(place.registry, "/members/applications", b'{"payload":"e30=","payloadType":"x","signatures":[]}')
    assert fetch(place.registry, "/directory")["members"]


def test_a_country_and_a_member_are_brought_to_what_a_file_says(place: Newcomer) -> None:
    """The difference is shown first and made once; a right given by file works, and taken out of the file it ends."""
    operator = ("--registry", place.registry, "--token-file", place.token)
    country = place.folder / "country.yaml"
    newcomer = f"KZ/COM/{reserved_bin(55)}"
    country.write_text(
        f"kind: country\ninstance: KZ\nmembers:\n  {newcomer}:\n    lineage: {'5a' * 32}\n"
        "    names: {kk: Серік, ru: Серик, en: Serik}\n"
    )
    shown = place.run("apply", country, "--dry-run", *operator)
    assert (len(shown["changes"]), shown["applied"]) == (1, False)
    assert len(place.run("apply", country, "--yes", *operator)["changes"]) == 1
    assert place.run("apply", country, "--yes", *operator)["changes"] == []
    assert newcomer in [member["id"] for member in place.operator("status")["members"]]

    desk = place.of("registers")
    member = place.folder / "member.yaml"
    text = f"""
kind: member
member: {place.country.service.rsplit("/", 2)[0]}
subsystems:
  {place.country.service.split("/")[3]}:
    names: {{kk: Анықтамалықтар, ru: Справочники, en: Code lists}}
    services:
      {place.country.service.split("/")[4]}:
        names: {{kk: Кодтар, ru: Коды, en: Codes}}
        type: OPENAPI
        rights:
          - client: {place.country.node("ministry")["system"]}
            endpoints: ["GET /**"]
"""
    member.write_text(text)
    changes = place.run("apply", member, "--desk", desk, "--registry", place.registry, "--yes")["changes"]
    assert f"- right {place.system} -> {place.country.service}" in changes
    place.until(500, "access_denied")
    member.write_text(f"{text}          - client: {place.system}\n            endpoints: [GET /countries/*]\n")
    assert len(place.run("apply", member, "--desk", desk, "--registry", place.registry, "--yes")["changes"]) == 1
    place.until(200)
    assert place.country.call().status == 200
