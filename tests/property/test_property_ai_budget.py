"""Budgets of a gateway under any order of calls: never overspent, and what fits is never refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from ai_books import MEMBER, added_up, ask, issue, settlement
from qaztech.ai.gateway.books import Books, Lacking
from qaztech.ai.gateway.budgeting import (
    MICRO,
    WAIT,
    Moment,
    Purse,
    Window,
    charge,
    exact_tenge,
    month_of,
    month_span,
    new_call_id,
    reserve,
    whole_tenge,
)
from qaztech.ai.gateway.budgets import Budgets
from qaztech.ai.gateway.keys import Keys
from qaztech.ai.gateway.tables import AI_GATEWAY
from qaztech.core.errors import Limited
from qaztech.core.time import ManualClock
from qaztech.runtime.database import open_database, sqlite_url

NOW = 1_795_435_210_000
AMOUNTS = st.integers(0, 12)
# A batch: what is asked for, and of the calls under way which end and at what claim.
BATCHES = st.lists(
    st.tuples(st.lists(AMOUNTS, max_size=6), st.lists(st.tuples(st.integers(0, 99), AMOUNTS), max_size=6)), max_size=12
)


@given(allowance=st.integers(0, 40), steps=st.lists(st.tuples(st.booleans(), AMOUNTS, AMOUNTS), max_size=40))
def test_a_call_is_let_in_exactly_when_it_fits(allowance: int, steps: list[tuple[bool, int, int]]) -> None:
    """And what was settled and is reserved never exceeds the limit, whatever servers claim."""
    purse = Purse(allowance=allowance)
    window = Window(calls_limit=10**6, tokens_limit=10**9, minute=0)
    under_way: list[int] = []
    at = Moment.at(NOW)
    for asks, amount, claimed in steps:
        if asks:
            fits = purse.settled + purse.reserved + amount <= allowance
            verdict = reserve(purse, window, amount, 1, at)
            assert (verdict is None) == fits
            assert fits or verdict is WAIT
            under_way += [amount] if fits else []
        elif under_way:
            reserved = under_way.pop(0)
            purse.reserved -= reserved
            purse.settled += charge(reserved, claimed)
        assert purse.settled + purse.reserved <= allowance
        assert purse.reserved == sum(under_way)


@given(st.integers(1, 5), st.integers(1, 50), st.lists(st.integers(0, 30), max_size=12))
def test_the_limits_of_a_minute_are_exact(calls: int, tokens: int, asked: list[int]) -> None:
    """A call is refused exactly when it is one too many, or has too many tokens; then nothing is counted."""
    purse = Purse(allowance=10**9)
    window = Window(calls_limit=calls, tokens_limit=tokens, minute=0)
    taken: list[int] = []
    for each in asked:
        verdict = reserve(purse, window, 1, each, Moment.at(NOW))
        fits = len(taken) < calls and sum(taken) + each <= tokens
        assert (verdict is None) == fits
        assert fits or (isinstance(verdict, Limited) and verdict.retry_after == 50)
        taken += [each] if fits else []
        assert (window.calls, window.tokens, purse.reserved) == (len(taken), sum(taken), len(taken))


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """Books of many budgets."""
    with TemporaryDirectory() as folder:
        engine = open_database(sqlite_url(Path(folder, "gateway.db")), AI_GATEWAY)
        yield engine
        engine.dispose()


@settings(max_examples=40)
@given(allowance=st.integers(0, 40), batches=BATCHES)
def test_the_books_are_as_a_plain_sum_would_have_them(
    engine: Engine, allowance: int, batches: list[tuple[list[int], list[tuple[int, int]]]]
) -> None:
    """Any batches of calls and ends, ends of ended calls among them: the same verdicts, costs and sums."""
    clock = ManualClock(NOW)
    budget = Budgets(engine, clock).create(member=MEMBER, name="x", kind="month", tenge=allowance, by="t")
    key = issue(Keys(engine, clock), budget)[1]
    books = Books("g", "sqlite")
    with engine.begin() as db:
        books.begin(db, NOW)
    known: list[tuple[str, int]] = []
    paid: dict[str, int] = {}
    settled = reserved = 0
    for asked, ends in batches:
        asks = [ask(key, amount * MICRO, tokens=1) for amount in asked]
        ended = [(*known[number % len(known)], claim) for number, claim in ends] if known else []
        with engine.begin() as db:
            verdicts, costs = books.apply(
                db, asks, [settlement(call, claim * MICRO) for call, _, claim in ended], [], NOW
            )
        for (call, held, claim), cost in zip(ended, costs, strict=True):
            if call not in paid:
                paid[call] = min(held, claim)
                reserved -= held
                settled += paid[call]
            assert cost == paid[call] * MICRO
        for each, amount, verdict in zip(asks, asked, verdicts, strict=True):
            fits = settled + reserved + amount <= allowance
            assert (verdict is None) == fits
            if fits:
                known.append((each.call, amount))
                reserved += amount
            else:
                assert isinstance(verdict, Lacking)
                assert verdict.may_fit_later == (settled + amount <= allowance)
        assert settled + reserved <= allowance
        assert added_up(engine, budget.id) == (settled * MICRO, reserved * MICRO)


@given(st.integers(0, 10**18))
def test_an_amount_is_shown_exactly_and_rounded_up(amount: int) -> None:
    """What is shown in tenge is the amount itself; whole tenge are never less, and less than one more."""
    whole, _, rest = exact_tenge(amount).partition(".")
    assert int(whole) * MICRO + int(rest.ljust(6, "0") or 0) == amount
    assert 0 <= whole_tenge(amount) * MICRO - amount < MICRO


@given(st.integers(1_700_000_000_000, 4_000_000_000_000))
def test_every_moment_lies_in_its_month(now: int) -> None:
    """Of Kazakhstan's calendar; the next month begins where it ends."""
    begin, end = month_span(month_of(now))
    assert begin <= now < end
    assert month_of(end) != month_of(end - 1) == month_of(begin) == Moment.at(now).month
    assert Moment.at(now).month_end == end
    assert (begin + 5 * 3_600_000) % 86_400_000 == 0


@given(st.lists(st.integers(0, 2**48 - 1), min_size=2, max_size=5))
def test_calls_stand_in_the_order_of_their_time(times: list[int]) -> None:
    """As UUIDs of version 7 do."""
    made = [new_call_id(now) for now in sorted(set(times))]
    assert made == sorted(made)
    assert all(each[14] == "7" and each[19] in "89ab" and len(each) == 36 for each in made)
