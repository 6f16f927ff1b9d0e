"""`qaztech people`: who may sign in afterwards, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qaztech.cli.main import main
from qaztech.core.time import SystemClock
from qaztech.people.people import People
from qaztech.people.roles import MEMBER_ROLES
from qaztech.people.tables import PEOPLE, pending_act
from qaztech.runtime.database import open_database, sqlite_url

ROLES = dict.fromkeys(MEMBER_ROLES, frozenset({"services:read"}))
Command = Callable[..., Any]


@pytest.fixture
def command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run `qaztech people ACTION`; its facts, or what it said where it fails as expected."""
    (tmp_path / "registry.toml").touch()

    def run(action: str, *arguments: object, status: int = 0) -> Any:
        given = ["people", action, *arguments, "--database", tmp_path / "people.db", "--json"]
        assert main(list(map(str, given))) == status
        said = capsys.readouterr()
        return said.err if status else json.loads(said.out)

    return run


@pytest.fixture
def people(tmp_path: Path) -> Callable[[], People]:
    """The people of that database, as a console sees them."""
    return lambda: People(open_database(sqlite_url(tmp_path / "people.db"), PEOPLE), roles=ROLES, clock=SystemClock())


def test_a_database_is_made_where_a_console_looks_for_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not by a slip of the folder, whose path is told; what is made others may not read."""

    def add(file: Path, *more: str) -> int:
        return main(["people", "add", "dana", "--no-password", "--database", str(file), *more])

    here = tmp_path / "people.db"
    assert add(here) != 0
    assert str(here) in capsys.readouterr().err
    assert add(tmp_path / "nowhere" / "people.db") != 0
    assert str(tmp_path / "nowhere") in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    assert add(here, "--new") == 0
    assert here.stat().st_mode & 0o777 == 0o600
    for settings, database in (("console.toml", "console.db"), ("hub.toml", "hub/hub.db")):
        file = tmp_path / settings[:3] / database
        file.parent.mkdir(parents=True)
        (tmp_path / settings[:3] / settings).touch()
        assert add(file) == 0
        assert file.stat().st_mode & 0o777 == 0o600


def test_an_account_comes_in_with_the_password_that_was_printed(command: Command, people: Callable[[], People]) -> None:
    """Made here, shown once; a new one takes its place; disabled it does not come in."""
    made = command("add", "dana", "--display", "Дана", "--role", "developer")
    assert people().sign_in("dana", made["password"], "")
    renewed = command("password", "dana")
    session = people().sign_in("dana", renewed["password"], "")
    assert command("roles", "dana", "--role", "administrator")["roles"] == ["administrator"]
    assert people().by_session(session) is None
    assert "command.unconfirmed" in command("disable", "dana", status=1)
    command("disable", "dana", "--yes")
    assert "account.disabled" in command("disable", "dana", "--yes", status=1)
    assert [a["disabled"] for a in command("list")["accounts"]] == [True]
    command("disable", "dana", "--undo")
    with people().engine.connect() as db:
        acts = [json.loads(row.leaf) for row in db.execute(pending_act.select().order_by(pending_act.c.number))]
    assert [act["act"].partition(".")[2] for act in acts] == ["add", "password", "roles", "disable", "enable"]
    assert {act["who"] for act in acts} == {"command-line"}


def test_a_password_comes_from_a_file(command: Command, people: Callable[[], People], tmp_path: Path) -> None:
    """Its first line; nothing is printed; one that is too short is refused."""
    file = tmp_path / "password"
    file.write_text("жеті рет өлшеп, бір рет кес\nsecond line\n", encoding="utf-8")
    assert "password" not in command("add", "dana", "--password-file", file)
    assert people().sign_in("dana", "жеті рет өлшеп, бір рет кес", "")
    file.write_text("short")
    assert "password.length" in command("password", "dana", "--password-file", file, status=1)


def test_a_token_is_printed_and_works_within_the_roles(command: Command, people: Callable[[], People]) -> None:
    """Scopes that the roles do not give are of no use."""
    command("add", "ci", "--no-password", "--role", "developer")
    made = command("token", "ci", "--token-name", "tests", "--scope", "services:read", "--scope", "people:write")
    person = people().by_token(made["token"])
    assert person is not None
    assert person.scopes == {"services:read"}
    assert "token.expiry" in command("token", "ci", "--token-name", "x", "--scope", "a:read", "--days", "0", status=1)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["add", "Дана"], "account.malformed"),
        (["add", "dana", "--role", "emperor"], "role.unknown"),
        (["add", "dana", "--role", "auditor", "--role", "developer"], "command.malformed"),
        (["list"], "command.missing"),
    ],
)
def test_what_is_wrong_is_said(command: Command, arguments: list[str], why: str) -> None:
    """And nothing is done."""
    assert why in command(*arguments, status=1)
