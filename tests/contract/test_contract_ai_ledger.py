"""A budget that several gateways spend from at once, on both databases: exact, also when one of them is killed."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from ai_books import MEMBER, added_up, ask, issue
from postgres_server import PostgresServer
from qaztech.ai.gateway.budgeting import MICRO
from qaztech.ai.gateway.budgets import Budget, Budgets
from qaztech.ai.gateway.keys import MOST_CALLS, Key, Keys
from qaztech.ai.gateway.ledger import Ledger
from qaztech.ai.gateway.tables import AI_GATEWAY
from qaztech.core.time import SystemClock
from qaztech.runtime.database import open_database, reading, sqlite_url

TESTS = Path(__file__).resolve().parents[1]
SECONDS = 60.0


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A new database of either kind."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "gateway.db")
    server: PostgresServer = request.getfixturevalue("server")
    return server.schema(f"ai_{abs(hash(str(tmp_path)))}")


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """Empty books."""
    engine = open_database(url, AI_GATEWAY)
    yield engine
    engine.dispose()


def prepared(engine: Engine, tenge: int) -> tuple[Budget, Key]:
    """A budget and a key on it."""
    budget = Budgets(engine, SystemClock()).create(member=MEMBER, name="Chat", kind="total", tenge=tenge, by="t")
    limits = {"calls_per_minute": MOST_CALLS, "tokens_per_minute": 10**9}
    return budget, issue(Keys(engine, SystemClock()), budget, **limits)[1]


class Spender:
    """A gateway in a process of its own."""

    def __init__(self, url: str, gateway: str, key: Key, **form: Any) -> None:
        path = os.pathsep.join([str(TESTS), str(TESTS.parent / "src")])
        self._process = subprocess.Popen(
            [sys.executable, TESTS / "ai_spender.py", url, gateway, key.id, json.dumps(form)], text=True,
            env=os.environ | {"PYTHONPATH": path}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "begun\n"

    def go(self) -> None:
        """Begin to spend."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def said(self) -> list[str]:
        """All that it was told, once it has ended; a line cut short by its end left out."""
        try:
            said, _ = self._process.communicate(timeout=SECONDS)
        finally:
            self._process.kill()
            self._process.wait(10)
        return said.split("\n")[:-1]


def spent(url: str, key: Key, **form: Any) -> Counter[str]:
    """What two gateways with 500 calls each were told in all: taken in, settled, or the code of a refusal."""
    both = [Spender(url, name, key, calls=500, **form) for name in ("first", "second")]
    for each in both:
        each.go()
    told = [each.said() for each in both]
    assert [lines[-1] for lines in told] == [".", "."]
    return Counter(line.split()[1] if line[0] == "!" else line[0] for lines in told for line in lines[:-1])


def test_a_thousand_calls_in_two_processes_spend_a_budget_exactly(url: str, engine: Engine) -> None:
    """Each costs a tenge, and there are 700: so many are let in, no more and no fewer."""
    budget, key = prepared(engine, 700)
    told = spent(url, key, amount=MICRO, cost=MICRO, patience=0.5)
    assert told == {"+": 700, "-": 700, "ai.budget.exhausted": 300}
    assert added_up(engine, budget.id) == (700 * MICRO, 0)


def test_a_thousand_calls_that_reserve_more_than_they_cost_are_all_let_in(url: str, engine: Engine) -> None:
    """The budget covers what they cost and the rest of one reservation: nobody who could fit is refused."""
    budget, key = prepared(engine, 401)
    told = spent(url, key, amount=MICRO, cost=400_000, patience=SECONDS)
    assert told == {"+": 1000, "-": 1000}
    assert added_up(engine, budget.id) == (400 * MICRO, 0)


def test_the_calls_of_a_minute_are_counted_in_both_processes_together(url: str, engine: Engine) -> None:
    """A key that may call 300 times a minute does, from two gateways, and not once more; then the next one begins."""
    _, key = prepared(engine, 10_000)
    Keys(engine, SystemClock()).change(key.id, calls_per_minute=300)
    told = spent(url, key, amount=MICRO, cost=MICRO, patience=0.5)
    with reading(engine) as db:
        minutes = [row[0] for row in db.execute(text("SELECT COUNT(*) FROM ai_calls GROUP BY minute"))]
    assert max(minutes) == 300
    assert told == {"+": sum(minutes), "-": sum(minutes), "ai.limit.calls": 1000 - sum(minutes)}


def test_a_gateway_that_is_killed_loses_nothing_and_overspends_nothing(url: str, engine: Engine) -> None:
    """What it was told stands; what it left open costs what was reserved, once it starts again."""
    budget, key = prepared(engine, 100_000)
    told = []
    for _ in range(2):
        spender = Spender(url, "first", key, calls=64, amount=MICRO, cost=300_000, patience=2.0, forever=True)
        spender.go()
        time.sleep(0.7)
        spender.kill()
        told += spender.said()
    orphans = asyncio.run(started(engine))
    with reading(engine) as db:
        rows = {row.id: row for row in db.execute(text("SELECT id, outcome, cost FROM ai_calls"))}
    taken = {line.split()[1] for line in told if line.startswith("+ ")}
    settled = {line.split()[1]: int(line.split()[2]) for line in told if line.startswith("- ")}
    assert len(settled) > 64
    assert taken <= rows.keys()
    assert {call: rows[call].cost for call in settled} == settled
    assert {row.outcome for row in rows.values()} <= {"complete", "orphaned"}
    assert {row.cost for row in rows.values() if row.outcome == "orphaned"} <= {MICRO}
    assert orphans <= 64
    assert added_up(engine, budget.id) == (sum(row.cost for row in rows.values()), 0)


async def started(engine: Engine) -> int:
    """How many orphans a gateway finds that starts again."""
    ledger = Ledger(engine, SystemClock(), "first")
    orphans = await ledger.start()
    await ledger.close()
    return orphans.calls


async def test_every_commit_of_the_ledger_is_synced(url: str, engine: Engine) -> None:
    """A power cut loses nothing that was told: its connection asks for as much as any other of ours."""
    _, key = prepared(engine, 10)
    asked = set()

    def look(connection: Any) -> None:
        question = "PRAGMA synchronous" if engine.dialect.name == "sqlite" else "SHOW synchronous_commit"
        asked.add(str(connection.exec_driver_sql(question).scalar()))

    event.listen(engine, "commit", look)
    ledger = Ledger(engine, SystemClock(), "first")
    await ledger.start()
    await ledger.reserved(ask(key))
    await ledger.close()
    assert asked == ({"2"} if engine.dialect.name == "sqlite" else {"on"})


async def test_what_was_told_outlives_a_server_that_is_cut_off(tmp_path: Path) -> None:
    """PostgreSQL ended as a power cut would, in the middle: calls are refused meanwhile, and it adds up afterwards."""
    server = PostgresServer(fsync=True)
    server.start()
    try:
        engine = open_database(server.database("books"), AI_GATEWAY)
        budget, key = prepared(engine, 1000)
        ledger = Ledger(engine, SystemClock(), "first", patience=0.5)
        await ledger.start()
        taken: list[str] = []
        refused: list[BaseException] = []

        async def lane() -> None:
            for _ in range(20):
                call = ask(key)
                try:
                    await ledger.reserved(call)
                    taken.append(call.call)
                except Exception as error:  # noqa: BLE001  # counted below
                    refused.append(error)
                await asyncio.sleep(0.01)

        lanes = asyncio.gather(*(lane() for _ in range(16)))
        await asyncio.sleep(0.1)
        server.kill()
        await asyncio.sleep(0.2)
        server.start()
        await asyncio.wait_for(lanes, SECONDS)
        call = ask(key)
        await ledger.reserved(call)
        await ledger.close()
        assert {getattr(error, "code", repr(error)) for error in refused} <= {"database.unavailable"}
        with reading(engine) as db:
            rows = {row.id: row.outcome for row in db.execute(text("SELECT id, outcome FROM ai_calls"))}
        assert {rows[each] for each in taken} == {"open"}
        # A reservation that was written while its caller was told that it was not is given back.
        assert {rows[each] for each in rows.keys() - {*taken, call.call}} <= {"failed"}
        assert added_up(engine, budget.id) == (0, (len(taken) + 1) * MICRO)
        engine.dispose()
    finally:
        server.close()
