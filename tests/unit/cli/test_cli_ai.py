"""`qaztech ai`: keys, budgets, usage and statements of a gateway from its own machine."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from ai_books import MEMBER, ask, settlement
from qaztech.ai.gateway.books import Books
from qaztech.ai.gateway.tables import AI_GATEWAY
from qaztech.cli.main import main
from qaztech.core.time import SystemClock
from qaztech.runtime.database import open_database, sqlite_url

ISSUE = (
    "--member", str(MEMBER), "--system", "letters", "--card", "letters-1", "--purpose", "drafts", "--purpose-text",
    "Drafts of answers", "--class", "internal", "--model", "small", "--model", "large",
)  # fmt: skip


class Desk:
    """Books in a file, and commands on them."""

    def __init__(self, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.file = file
        self._capsys = capsys
        open_database(sqlite_url(file), AI_GATEWAY).dispose()

    def run(self, *command: str) -> str:
        """What a command prints that does what it is asked."""
        assert main(["ai", *command, "--database", str(self.file)]) == 0, self._capsys.readouterr().err
        return self._capsys.readouterr().out

    def facts(self, *command: str) -> dict[str, Any]:
        """The same for programs."""
        return json.loads(self.run(*command, "--json"))

    def refusal(self, *command: str) -> str:
        """What a command says that does not."""
        assert main(["ai", *command]) == 1
        return self._capsys.readouterr().err

    def refused_output(self, *command: str) -> str:
        """What a command prints that finds something wrong."""
        assert main(["ai", *command, "--database", str(self.file)]) == 1
        return self._capsys.readouterr().out

    def call(self, key: str, cost: int | None) -> None:
        """One call, ended or left open."""
        engine, books = open_database(sqlite_url(self.file), AI_GATEWAY), Books("first", "sqlite")
        now, made = SystemClock().now(), ask(key)
        with engine.begin() as db:
            books.begin(db, now)
            assert books.apply(db, [made], [], [], now) == ([None], [])
            if cost is not None:
                books.apply(db, [], [settlement(made.call, cost)], [], now)
        engine.dispose()


@pytest.fixture
def books(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    """Empty books."""
    return Desk(tmp_path / "gateway.db", capsys)


def test_a_budget_and_a_key_are_made_used_and_shown(books: Desk) -> None:
    """From nothing to a statement; what is shown for people is exact too."""
    budget = books.facts("budget", "set", "--member", str(MEMBER), "--name", "Chat", "--month", "5")
    key = books.facts("key", "issue", *ISSUE, "--budget", budget["id"], "--calls", "7")
    assert key["key"].startswith(f"qk-{key['id']}-")
    assert (key["models"], key["calls_per_minute"], key["tokens_per_minute"]) == (["large", "small"], 7, 1_000_000)
    books.call(key["id"], 123_456)
    (kept,) = books.facts("budget", "list", "--member", str(MEMBER))["budgets"]
    assert (kept["left"], kept["periods"][0]["settled"]) == (4_876_544, 123_456)
    assert "5 tenge a month" in books.run("budget", "list")
    assert "0.123456 spent, 0 reserved, 4.876544 left" in books.run("budget", "list")
    month = kept["periods"][0]["period"]
    statement = books.facts("statement", "--member", str(MEMBER), "--month", month)
    assert (statement["tenge"], statement["micro_tenge"], statement["calls"]) == (1, 123_456, 1)
    text = books.run("statement", "--member", str(MEMBER), "--month", month, "--provider", "KZ/QUASI/123")
    assert "total: 1 tenge (exactly 0.123456) for 1 calls" in text
    (call,) = books.run("statement", "--member", str(MEMBER), "--month", month, "--calls").splitlines()
    assert (json.loads(call)["cost"], json.loads(call)["exchange"]) == (123_456, "x-1")
    (used,) = books.facts("usage", "--by", "key", "--member", str(MEMBER))["sums"]
    assert used["by"] == {"key": key["id"]}
    assert "40 + 60 tokens  0.123456 tenge" in books.run("usage", "--since", "2020-01-01", "--until", "2120-01-01")
    assert books.run("usage", "--until", "2020-01-01") == "no calls\n"
    (listed,) = books.facts("key", "list")["keys"]
    assert listed == {name: value for name, value in key.items() if name != "key"}


def test_a_key_is_revoked_when_that_is_meant(books: Desk, tmp_path: Path) -> None:
    """Its secret may be written to a file that others may not read, and to no file that is there."""
    budget = books.facts("budget", "set", "--member", str(MEMBER), "--name", "Chat", "--total", "5")
    file = tmp_path / "key"
    key = books.facts("key", "issue", *ISSUE, "--budget", budget["id"], "--out", str(file))
    assert "key" not in key
    assert file.read_text().startswith(f"qk-{key['id']}-")
    assert file.stat().st_mode & 0o777 == 0o600
    where = ("--database", str(books.file))
    assert "command.unconfirmed" in books.refusal("key", "issue", *ISSUE, "--budget", "x", "--out", str(file), *where)
    assert "command.unconfirmed" in books.refusal("key", "revoke", key["id"], *where)
    assert "in use" in books.run("key", "list")
    assert books.run("key", "revoke", key["id"], "--yes") == f"key {key['id']} is revoked\n"
    assert "revoked 20" in books.run("key", "list", "--member", str(MEMBER))
    assert "ai.key.none" in books.refusal("key", "revoke", "none", "--yes", *where)


def test_a_budget_is_given_another_limit_by_its_name(books: Desk) -> None:
    """It stays the same budget, of the same kind."""
    first = books.facts("budget", "set", "--member", str(MEMBER), "--name", "Chat", "--month", "5")
    second = books.facts("budget", "set", "--member", str(MEMBER), "--name", "Chat", "--month", "7")
    assert (second["id"], second["tenge"]) == (first["id"], 7)
    where = ("--database", str(books.file))
    other = ("budget", "set", "--member", str(MEMBER), "--name", "Chat", "--total", "7")
    assert "ai.budget.kind" in books.refusal(*other, *where)


def test_the_books_of_a_gateway_that_is_lost_are_closed(books: Desk) -> None:
    """What it left open costs what was reserved."""
    budget = books.facts("budget", "set", "--member", str(MEMBER), "--name", "Chat", "--month", "5")
    key = books.facts("key", "issue", *ISSUE, "--budget", budget["id"])
    books.call(key["id"], None)
    assert "(1 open)" in books.run("usage")
    assert books.facts("close-books", "first", "--yes") == {"gateway": "first", "calls": 1, "micro_tenge": 1_000_000}
    assert "(1 orphaned)" in books.run("usage")
    assert books.run("check-books") == "everything adds up\n"
    with contextlib.closing(sqlite3.connect(books.file)) as db, db:
        db.execute("UPDATE ai_periods SET settled = settled - 1")
    assert "0.999999 spent and 0 reserved; by its calls 1 and 0" in books.refused_output("check-books")
    assert "ai.gateway.unknown" in books.refusal("close-books", "none", "--yes", "--database", str(books.file))


def test_which_books_must_be_said(books: Desk, tmp_path: Path) -> None:
    """Once, and they are not made by looking for them."""
    assert "command.malformed" in books.refusal("key", "list")
    assert "command.missing" in books.refusal("key", "list", "--database", str(tmp_path / "none.db"))
    assert not (tmp_path / "none.db").exists()
