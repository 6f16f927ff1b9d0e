"""Usage and statements: exact sums of what the ledger has, and the calls they are proved from."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from ai_books import MEMBER, ask, issue, settlement
from qaztech.ai.gateway import usage as usages
from qaztech.ai.gateway.books import Ask, Books, Told
from qaztech.ai.gateway.budgeting import MICRO
from qaztech.ai.gateway.budgets import Budgets
from qaztech.ai.gateway.keys import Key, Keys
from qaztech.ai.gateway.usage import calls_of, statement, untold, usage
from qaztech.core.errors import Malformed
from qaztech.core.ids import MemberId
from qaztech.core.time import ManualClock

HOUR = 3_600_000
OTHER = "KZ/QUASI/1234"


@pytest.fixture
def books(engine: Engine) -> Iterator[Books]:
    """The books of one gateway."""
    books = Books("first", engine.dialect.name)
    with engine.begin() as db:
        books.begin(db, 0)
    return books


def made(engine: Engine, books: Books, now: int, *pairs: tuple[Ask, int | None]) -> None:
    """Calls that were taken in at a time, and ended with a cost where one is given."""
    with engine.begin() as db:
        books.apply(db, [call for call, _ in pairs], [], [], now)
        ended = [settlement(call.call, cost) for call, cost in pairs if cost is not None]
        books.apply(db, [], ended, [], now + 5)


def test_usage_is_summed_by_what_is_asked_for(
    engine: Engine, books: Books, clock: ManualClock, key: Key, budget: object
) -> None:
    """Days are Kazakhstan's; calls still open are counted and cost nothing yet."""
    now = clock.now()
    second = issue(Keys(engine, clock), budget, system="forms")[1]  # type: ignore[arg-type]
    made(engine, books, now, (ask(key), 3), (ask(key), 4), (ask(second), 2 * MICRO), (ask(key), None))
    made(engine, books, now + 8 * HOUR, (ask(key), 5))  # after midnight there, the same day by Greenwich
    found = {(s.by["system"], s.by["day"]): (s.calls, s.open, s.cost) for s in usage(engine, by=("system", "day"))}
    assert found == {
        ("forms", "2026-11-23"): (1, 0, MICRO), ("letters", "2026-11-23"): (3, 1, 7),
        ("letters", "2026-11-24"): (1, 0, 5),
    }  # fmt: skip
    (only,) = usage(engine, member=MEMBER, key=second.id, since=now - HOUR, until=now + HOUR, by=("model",))
    assert (only.by, only.capped, only.prompt_tokens, only.completion_tokens) == ({"model": "small"}, 1, 40, 60)
    assert usage(engine, member=MemberId.parse(OTHER)) == []
    assert usage(engine, since=now + 48 * HOUR) == []
    for wrong in ((), ("text",)):
        with pytest.raises(Malformed):
            usage(engine, by=wrong)  # type: ignore[arg-type]


def test_a_statement_is_exact_and_rounded_up_once(
    engine: Engine, books: Books, clock: ManualClock, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its total is that of its calls, all of them, in their order; another month and another provider are not in it."""
    monkeypatch.setattr(usages, "_PAGE", 2)
    now = clock.now()
    pairs = [(ask(key), cost) for cost in (1, 250_000, MICRO, 999_999, None)]
    made(engine, books, now, *pairs)
    made(engine, books, now + 10 * 24 * HOUR, (ask(key), 8))
    found = statement(engine, MEMBER, "2026-11")
    assert (found.calls, found.open, found.total, found.exact, found.tenge) == (5, 1, 2_250_000, "2.25", 3)
    assert [line.by["service"] for line in found.lines] == ["KZ/QUASI/123/models/chat"]
    rows = list(calls_of(engine, MEMBER, "2026-11"))
    assert [row.id for row in rows] == sorted(call.call for call, _ in pairs)
    assert sum(row.cost or 0 for row in rows) == found.total
    assert {(row.data_class, row.exchange, row.told) for row in rows if row.cost is not None} == {
        ("internal", "x-1", False)
    }
    assert statement(engine, MEMBER, "2026-12").total == 8
    assert statement(engine, MEMBER, "2026-11", provider="KZ/QUASI/123").total == found.total
    assert statement(engine, MEMBER, "2026-11", provider="KZ/QUASI/12").calls == 0
    assert list(calls_of(engine, MEMBER, "2026-11", provider=OTHER)) == []
    for wrong in ("2026", "2026-13", "2026-11-01", "x", "9999-12"):
        with pytest.raises(Malformed):
            statement(engine, MEMBER, wrong)


def test_what_nobody_was_told_of_is_found_again(engine: Engine, books: Books, clock: ManualClock, key: Key) -> None:
    """After a start: ended, and not told; by this gateway."""
    calls = [ask(key) for _ in range(3)]
    made(engine, books, clock.now(), (calls[0], 1), (calls[1], 1), (calls[2], None))
    with engine.begin() as db:
        books.apply(db, [], [], [Told(call=calls[0].call, exchange="u-1")], clock.now())
    assert [row.id for row in untold(engine, "first")] == [calls[1].call]
    assert untold(engine, "second") == []
    told = {row.id: (row.told, row.usage_exchange) for row in calls_of(engine, MEMBER, "2026-11")}
    assert told[calls[0].call] == (True, "u-1")


def test_another_place_that_answered_stands_in_the_ledger(
    engine: Engine, books: Books, clock: ManualClock, key: Key
) -> None:
    """Instead of the one that was asked first."""
    call = ask(key)
    made(engine, books, clock.now(), (call, None))
    with engine.begin() as db:
        end = settlement(call.call, 1, deployment="other", service=f"{OTHER}/models/chat", version="v2", told=True)
        books.apply(db, [], [end], [], clock.now())
    (line,) = statement(engine, MEMBER, "2026-11", provider=OTHER).lines
    assert (line.by["deployment"], line.by["version"]) == ("other", "v2")
    assert untold(engine, "first") == []
    assert Budgets(engine, clock).all()[0].present.settled == 1
