"""`qaztech member`: what stands in the file afterwards, what is asked first, what is refused."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from qaztech.cli.main import main
from qaztech.core.ids import MemberId, NodeId
from qaztech.core.time import SystemClock
from qaztech.registry.desk import Desk
from qaztech.registry.member_file import verify_member_file
from qaztech.registry.node_identity import NODE_FILE, NodeIdentity

MEMBER = "KZ/GOV/991340000017"
SYSTEM, SERVICE = f"{MEMBER}/permits", f"{MEMBER}/permits/list"
CLIENT, LINEAGE = "KZ/EDU/991340000037/research", "ab" * 32
NAMES = ("--name-kk", "Үлгі", "--name-ru", "Пример", "--name-en", "Sample")
Member = Callable[..., dict]


@pytest.fixture
def member(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Member:
    """Run `qaztech member ACTION --desk …`; its facts, or what it said where it fails as expected."""

    def run(action: str, *arguments: object, status: int = 0) -> dict:
        given = ["member", action, "--desk", tmp_path / "desk", *arguments, "--json"]
        assert main(list(map(str, given))) == status
        said = capsys.readouterr()
        return {"said": said.err} if status else json.loads(said.out)

    return run


@pytest.fixture
def desk(member: Member, tmp_path: Path) -> Path:
    """The desk of a member with a system and a service."""
    member("new", "--id", MEMBER, *NAMES)
    member("add-subsystem", "--subsystem", SYSTEM, *NAMES)
    member("add-service", "--service", SERVICE, "--type", "OPENAPI", *NAMES)
    return tmp_path / "desk"


def test_a_new_member_has_a_key_only_it_can_read(member: Member, tmp_path: Path) -> None:
    """And is told what to do next; there is one to a folder."""
    facts = member("new", "--id", MEMBER, *NAMES)
    assert (tmp_path / "desk" / "member.key").stat().st_mode & 0o777 == 0o600
    file = verify_member_file(Path(facts["file"]).read_bytes())
    assert (facts["member"], facts["lineage"], facts["version"]) == (MEMBER, file.lineage, 1)
    assert "member.exists" in member("new", "--id", MEMBER, *NAMES, status=1)["said"]


def test_every_change_is_the_next_version(member: Member, desk: Path) -> None:
    """Signed and whole: what the file says is what was asked for."""
    node = NodeIdentity.create(desk / "node", NodeId(MemberId.parse(MEMBER), "node1"), "10.0.0.1:5500", hybrid=True)
    (desk / "node" / NODE_FILE).write_bytes(node.format())
    assert member("add-node", "--node", desk / "node")["version"] == 4
    assert member("add-node", "--node", desk / "node" / NODE_FILE, "--address", "gate.example:5500")["version"] == 5
    member(
        "grant", "--service", SERVICE, "--client", CLIENT, "--lineage", LINEAGE, "--endpoint", "GET /a/*",
        "--endpoint", "* /b/**", "--until", "2099-12-31",
    )  # fmt: skip
    shown = member("show")
    assert shown["version"] == verify_member_file((desk / "member-file.json").read_bytes()).version == 6
    assert [(n["id"], n["address"]) for n in shown["nodes"]] == [(f"{MEMBER}/node1", "gate.example:5500")]
    assert [log["origin"] for log in shown["logs"]] == [node.log[0].name]
    (service,) = shown["services"]
    assert (service["id"], service["type"], service["names"]["ru"]) == (SERVICE, "OPENAPI", "Пример")
    (right,) = service["rights"]
    assert (right["client"], right["lineage"], right["endpoints"]) == (CLIENT, LINEAGE, ["GET /a/*", "* /b/**"])
    assert datetime.fromtimestamp(right["until"] / 1000, UTC).isoformat() == "2099-12-31T19:00:00+00:00"


def test_a_service_is_changed_without_saying_all_again(member: Member, desk: Path) -> None:
    """Its names, kind and rights stay; a notice stays until it is switched on."""
    del desk
    member("grant", "--service", SERVICE, "--client", CLIENT, "--lineage", LINEAGE, "--endpoint", "GET /**")
    assert "out of order" in member("add-service", "--service", SERVICE, "--disable", "out of order")["change"]
    member("add-service", "--service", SERVICE, "--type", "REST")
    (service,) = member("show")["services"]
    assert (service["type"], service["disabled"], len(service["rights"])) == ("REST", "out of order", 1)
    member("add-service", "--service", SERVICE, "--enable")
    assert member("show")["services"][0]["disabled"] is None


def test_what_cannot_be_undone_is_asked_first(
    member: Member, desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """At a terminal by a question, elsewhere it needs --yes; without agreement nothing changes."""
    member("grant", "--service", SERVICE, "--client", CLIENT, "--lineage", LINEAGE, "--endpoint", "GET /**")
    revoke = ("revoke", "--service", SERVICE, "--client", CLIENT)
    for action in (("rotate-key",), revoke):
        assert "command.unconfirmed" in member(*action, status=1)["said"]

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    assert "command.declined" in member(*revoke, status=1)["said"]
    assert len(member("show")["services"][0]["rights"]) == 1
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    assert member(*revoke)["change"].endswith(SERVICE)
    capsys.readouterr()
    assert member("show")["services"][0]["rights"] == []
    assert "access-right.missing" in member(*revoke, "--yes", status=1)["said"]
    del desk


def test_a_key_is_followed_by_another(member: Member, desk: Path) -> None:
    """The lineage stays, the key before is kept aside, and the file is signed for another year."""
    before = member("show")
    member("rotate-key", "--yes")
    after = member("show")
    assert (after["lineage"], after["keys"], after["version"]) == (before["lineage"], 2, before["version"] + 1)
    kept = desk / f"member.key.until-version-{after['version']}"
    assert kept.stat().st_mode & 0o777 == 0o600
    member("rotate-key", "--yes")
    assert member("renew")["version"] == after["version"] + 2
    assert len(verify_member_file((desk / "member-file.json").read_bytes()).keys) == 3


def test_a_group_has_a_right_whoever_is_in_it(member: Member, desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Clients come and go; a right of their own is another thing, and revoking that says what is left."""
    in_group = ("--service", SERVICE, "--group", "universities")
    member("grant", *in_group, "--endpoint", "GET /**")
    member("join", *in_group, "--client", CLIENT, "--lineage", LINEAGE)
    member("grant", "--service", SERVICE, "--client", CLIENT, "--lineage", LINEAGE, "--endpoint", "POST /a")
    (service,) = member("show")["services"]
    assert service["groups"] == {"universities": [CLIENT]}
    assert {(right["client"], right["group"]) for right in service["rights"]} == {
        (CLIENT, None),
        (None, "universities"),
    }
    assert main(["member", "show", "--desk", str(desk)]) == 0
    assert f"  group    universities  {CLIENT}\n" in capsys.readouterr().out
    revoked = member("revoke", "--service", SERVICE, "--client", CLIENT, "--yes")["change"]
    assert "still has what the groups universities have" in revoked
    assert "through" not in member("revoke", "--service", SERVICE, "--client", CLIENT, "--yes", status=1)["said"]
    for action in (("leave", *in_group, "--client", CLIENT), ("revoke", *in_group)):
        assert "command.unconfirmed" in member(*action, status=1)["said"]
        member(*action, "--yes")
        assert "access-right.missing" in member(*action, "--yes", status=1)["said"]
    (service,) = member("show")["services"]
    assert (service["groups"], service["rights"]) == ({}, [])


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("add-subsystem", "--subsystem", "KZ/GOV/1/other", *NAMES), "member.other"),
        (("add-subsystem", "--subsystem", "other", *NAMES), "identifier.malformed"),
        (("add-service", "--service", "KZ/GOV/1/other/x", *NAMES), "member.other"),
        (("add-service", "--service", f"{MEMBER}/nowhere/x", *NAMES), "member-file.malformed"),
        (("add-service", "--service", f"{SYSTEM}/new"), "command.malformed"),
        (("add-service", "--service", SERVICE, "--name-en", "one"), "command.malformed"),
        (("add-service", "--service", SERVICE, "--disable", "a\nb"), "member-file.malformed"),
        (("add-node", "--node", "nowhere"), "node-identity.missing"),
        (("add-node", "--node", __file__), "node-identity.malformed"),
        (("grant", "--service", f"{SYSTEM}/none", "--client", CLIENT, "--lineage", LINEAGE, "--endpoint", "GET /"),
         "service.unknown"),
        (("grant", "--service", SERVICE, "--client", CLIENT, "--lineage", "ab", "--endpoint", "GET /"),
         "rights-page.malformed"),
        (("grant", "--service", SERVICE, "--client", CLIENT, "--lineage", LINEAGE, "--endpoint", "/x"),
         "endpoint.malformed"),
        *(
            (("grant", "--service", SERVICE, "--client", CLIENT, "--lineage", LINEAGE, "--endpoint", "GET /",
              "--until", time), "command.malformed")
            for time in ("tomorrow", "2099-01-01T00:00", "2001-01-01")
        ),
        (("grant", "--service", SERVICE, "--client", CLIENT, "--endpoint", "GET /"), "command.malformed"),
        (("join", "--service", SERVICE, "--group", "g", "--client", CLIENT, "--lineage", "x"), "rights-page.malformed"),
        (("revoke", "--service", f"{SYSTEM}/none", "--client", CLIENT, "--yes"), "service.unknown"),
        (("submit", "--registry", "http://127.0.0.1:9"), "registry.unreachable"),
        (("submit", "--registry", "ftp://x"), "registry.url"),
        (("submit", "--home", "nowhere"), "command.missing"),
    ],
)  # fmt: skip
def test_what_is_wrong_changes_nothing(member: Member, desk: Path, arguments: tuple[str, ...], code: str) -> None:
    """The error says what, and the file stays as it was."""
    before = (desk / "member-file.json").read_bytes()
    assert f"({code})" in member(*arguments, status=1)["said"]
    assert (desk / "member-file.json").read_bytes() == before


def test_there_must_be_a_desk(member: Member, tmp_path: Path) -> None:
    """And one command at a time, or two versions would have one number."""
    for action in (("show",), ("renew",)):
        assert "member.no-desk" in member(*action, status=1)["said"]
    member("new", "--id", MEMBER, *NAMES)
    with Desk.locked(tmp_path / "desk", SystemClock()):
        assert "member.desk-in-use" in member("renew", status=1)["said"]
    (tmp_path / "desk" / "member-file.json").unlink()
    assert "member-file.json: No such file" in member("show", status=1)["said"]


def test_people_read_lines(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Aligned, with the rights below their service, and what to do next."""
    assert main(["member", "grant", "--desk", str(desk), "--service", SERVICE, "--client", CLIENT, "--lineage", LINEAGE,
                 "--endpoint", "GET /**", "--until", "2099-01-01T00:00+05:00"]) == 0  # fmt: skip
    assert "qaztech member submit --desk" in capsys.readouterr().out
    assert main(["member", "show", "--desk", str(desk)]) == 0
    out = capsys.readouterr().out
    assert f"service    {SERVICE}  OPENAPI  Sample" in out
    assert f"  right    {CLIENT}  GET /**  until 2099-01-01 00:00 UTC+05:00" in out
    assert main(["member", "new", "--desk", str(desk / "other"), "--id", MEMBER, *NAMES]) == 0
    assert "qaztech registry admit --file member-file.json --lineage" in capsys.readouterr().out
