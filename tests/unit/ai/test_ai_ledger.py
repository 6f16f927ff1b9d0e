"""The ledger of a gateway: what fits is let in, what does not waits and is refused, nothing is spent twice or lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import Engine, event, text

from ai_books import MEMBER, added_up, ask, issue, settlement
from qaztech.ai.gateway.books import declare_dead
from qaztech.ai.gateway.budgeting import MICRO
from qaztech.ai.gateway.budgets import Budget, Budgets
from qaztech.ai.gateway.keys import Key, Keys
from qaztech.ai.gateway.ledger import Ledger
from qaztech.core.errors import Error, Limited, Malformed, NotFound, Unauthenticated, Unavailable
from qaztech.core.time import ManualClock


@pytest.fixture
async def ledger(engine: Engine, clock: ManualClock) -> AsyncIterator[Ledger]:
    """A ledger in which nobody waits for long."""
    ledger = Ledger(engine, clock, "first", patience=0.15)
    await ledger.start()
    yield ledger
    await ledger.close()


@pytest.fixture
async def patient(engine: Engine, clock: ManualClock) -> AsyncIterator[Ledger]:
    """A ledger in which who waits is not refused before the test ends."""
    ledger = Ledger(engine, clock, "patient", patience=20.0)
    await ledger.start()
    yield ledger
    await ledger.close()


async def refusal(ledger: Ledger, *asks: object) -> list[str]:
    """The codes by which calls asked for at once are refused; an empty one for those taken in."""
    found = await asyncio.gather(*(ledger.reserved(each) for each in asks), return_exceptions=True)  # type: ignore[arg-type]
    return [each.code if isinstance(each, Error) else "" for each in found]


async def test_a_call_is_reserved_and_settled_to_the_micro_tenge(
    ledger: Ledger, engine: Engine, budget: Budget, key: Key
) -> None:
    """Reserved before, settled after; what was reserved beyond the cost is free again."""
    first = ask(key, 3 * MICRO)
    await ledger.reserved(first)
    assert added_up(engine, budget.id) == (0, 3 * MICRO)
    assert await ledger.settled(settlement(first.call, 1_234_567)) == 1_234_567
    assert added_up(engine, budget.id) == (1_234_567, 0)


async def test_what_is_settled_is_settled_once(ledger: Ledger, engine: Engine, budget: Budget, key: Key) -> None:
    """However often it is told, in one batch or later, with another cost or not."""
    first = ask(key, 3 * MICRO)
    await ledger.reserved(first)
    costs = await asyncio.gather(*(ledger.settled(settlement(first.call, cost)) for cost in (5, 6, 7)))
    assert costs == [5, 5, 5]
    assert await ledger.settled(settlement(first.call, 9)) == 5
    assert added_up(engine, budget.id) == (5, 0)
    with pytest.raises(NotFound):
        await ledger.settled(settlement("other", 9))


async def test_a_server_that_claims_more_than_was_reserved_gets_what_was_reserved(
    ledger: Ledger, engine: Engine, budget: Budget, key: Key
) -> None:
    """The claim is kept beside it; a claim that no column holds is cut."""
    calls = [ask(key, MICRO) for _ in range(3)]
    for each, claim in zip(calls, (MICRO + 1, 10**40, -5), strict=True):
        await ledger.reserved(each)
        await ledger.settled(settlement(each.call, claim, prompt_tokens=10**30, completion_tokens=-1))
    with engine.begin() as db:
        rows = {row.id: row for row in db.execute(text("SELECT * FROM ai_calls"))}
    assert [(rows[c.call].cost, rows[c.call].claimed) for c in calls] == [
        (MICRO, MICRO + 1), (MICRO, 10**15), (0, None),
    ]  # fmt: skip
    assert added_up(engine, budget.id) == (2 * MICRO, 0)


async def test_the_last_that_fits_is_let_in_and_the_next_is_not(
    ledger: Ledger, engine: Engine, budget: Budget, key: Key
) -> None:
    """Twelve at once for ten places: ten are in, two are refused after their patience, with a time to come again."""
    asks = [ask(key) for _ in range(12)]
    begun = time.monotonic()
    codes = await refusal(ledger, *asks)
    assert sorted(codes) == [""] * 10 + ["ai.budget.exhausted"] * 2
    assert time.monotonic() - begun >= 0.15
    assert added_up(engine, budget.id) == (0, 10 * MICRO)
    with pytest.raises(Limited) as caught:
        await ledger.reserved(ask(key))
    assert caught.value.retry_after == 2


async def test_a_call_that_waits_gets_what_another_releases(patient: Ledger, key: Key) -> None:
    """In the transaction that releases it; a smaller one that fits is not kept waiting behind it."""
    ledger = patient
    held = [ask(key, 4 * MICRO), ask(key, 4 * MICRO)]
    assert await refusal(ledger, *held) == ["", ""]
    waits = asyncio.create_task(ledger.reserved(ask(key, 5 * MICRO)))
    await asyncio.sleep(0.01)
    await ledger.reserved(ask(key, MICRO))
    assert not waits.done()
    await ledger.settled(settlement(held[0].call, 0))
    await waits


async def test_a_call_gets_what_another_process_releases(
    patient: Ledger, engine: Engine, clock: ManualClock, key: Key
) -> None:
    """Though nothing tells this one of it."""
    other = Ledger(engine, clock, "second")
    await other.start()
    held = ask(key, 10 * MICRO)
    await other.reserved(held)
    waits = asyncio.create_task(patient.reserved(ask(key)))
    await asyncio.sleep(0.02)
    await other.settled(settlement(held.call, 0))
    await waits
    await other.close()


async def test_a_call_that_no_release_could_help_is_refused_at_once(
    patient: Ledger, engine: Engine, clock: ManualClock, budget: Budget, key: Key
) -> None:
    """And told when the next month begins; the next month has the whole budget again."""
    ledger = patient
    first = ask(key, 8 * MICRO)
    await ledger.reserved(first)
    await ledger.settled(settlement(first.call, 8 * MICRO))
    with pytest.raises(Limited) as caught:
        await ledger.reserved(ask(key, 3 * MICRO))
    begins = 1_796_065_200_000  # 2026-12-01 00:00 in Kazakhstan
    assert caught.value.retry_after == (begins - clock.now()) // 1000
    clock.advance(begins - clock.now())
    await ledger.reserved(ask(key, 10 * MICRO))
    assert [(p.period, p.settled, p.reserved) for p in Budgets(engine, clock).budget(budget.id).periods] == [
        ("2026-12", 0, 10 * MICRO), ("2026-11", 8 * MICRO, 0),
    ]  # fmt: skip


async def test_a_call_settled_in_the_next_month_is_paid_by_the_month_it_began_in(
    ledger: Ledger, engine: Engine, clock: ManualClock, budget: Budget, key: Key
) -> None:
    """Where it was reserved."""
    first = ask(key, 8 * MICRO)
    await ledger.reserved(first)
    clock.advance(30 * 86_400_000)
    await ledger.settled(settlement(first.call, MICRO))
    assert [(p.period, p.settled, p.reserved) for p in Budgets(engine, clock).budget(budget.id).periods] == [
        ("2026-11", MICRO, 0)
    ]


async def test_a_total_budget_knows_no_month(ledger: Ledger, engine: Engine, clock: ManualClock) -> None:
    """What is spent stays spent."""
    total = Budgets(engine, clock).create(member=MEMBER, name="Once", kind="total", tenge=1, by="aigerim")
    key = issue(Keys(engine, clock), total)[1]
    first = ask(key)
    await ledger.reserved(first)
    await ledger.settled(settlement(first.call, MICRO))
    clock.advance(60 * 86_400_000)
    with pytest.raises(Limited) as caught:
        await ledger.reserved(ask(key, 1))
    assert caught.value.retry_after == 3600
    await ledger.reserved(ask(key, 0))


async def test_calls_of_a_minute_are_counted(
    ledger: Ledger, engine: Engine, clock: ManualClock, budget: Budget
) -> None:
    """Exactly, in one batch or several; the next minute begins anew. What is refused is not counted."""
    key = issue(Keys(engine, clock), budget, calls_per_minute=3)[1]
    codes = await refusal(ledger, *(ask(key, 1) for _ in range(5)))
    assert sorted(codes) == ["", "", "", "ai.limit.calls", "ai.limit.calls"]
    with pytest.raises(Limited) as caught:
        await ledger.reserved(ask(key, 1))
    assert (caught.value.code, caught.value.retry_after) == ("ai.limit.calls", 50)
    clock.advance(50_000)
    assert sorted(await refusal(ledger, *(ask(key, 1) for _ in range(4)))) == ["", "", "", "ai.limit.calls"]


async def test_tokens_of_a_minute_are_corrected_when_a_call_ends(
    ledger: Ledger, engine: Engine, clock: ManualClock, budget: Budget
) -> None:
    """What was reserved and not used is free in the same minute."""
    key = issue(Keys(engine, clock), budget, tokens_per_minute=1000)[1]
    first = ask(key, 1, tokens=800)
    await ledger.reserved(first)
    assert await refusal(ledger, ask(key, 1, tokens=201)) == ["ai.limit.tokens"]
    await ledger.settled(settlement(first.call, 1, prompt_tokens=100, completion_tokens=100))
    assert await refusal(ledger, ask(key, 1, tokens=800)) == [""]
    assert await refusal(ledger, ask(key, 1, tokens=1)) == ["ai.limit.tokens"]


async def test_a_clock_that_was_far_ahead_does_not_close_the_minute(
    ledger: Ledger, engine: Engine, clock: ManualClock, budget: Budget
) -> None:
    """A window kept in the future is forgotten when the clock is right again."""
    key = issue(Keys(engine, clock), budget, calls_per_minute=1)[1]
    clock.advance(3_600_000)
    await ledger.reserved(ask(key, 1))
    clock.advance(-3_600_000)
    await ledger.reserved(ask(key, 1))


async def test_a_revoked_key_is_refused_from_the_next_transaction_on(
    ledger: Ledger, engine: Engine, clock: ManualClock, budget: Budget, key: Key
) -> None:
    """Though the gateway still remembers it; what is under way is settled."""
    first = ask(key)
    await ledger.reserved(first)
    Keys(engine, clock).revoke(key.id, by="aigerim")
    with pytest.raises(Unauthenticated) as caught:
        await ledger.reserved(ask(key))
    assert caught.value.code == "ai.key.unknown"
    assert await ledger.settled(settlement(first.call, 7)) == 7
    with pytest.raises(Unauthenticated):
        await ledger.reserved(ask("0" * 12))


async def test_a_limit_that_is_changed_holds_from_the_next_call_on(
    ledger: Ledger, engine: Engine, clock: ManualClock, budget: Budget, key: Key
) -> None:
    """Lowered below what is spent, nothing more fits; raised, it does."""
    await ledger.reserved(ask(key, 5 * MICRO))
    Budgets(engine, clock).change(budget.id, tenge=4)
    assert await refusal(ledger, ask(key, 1)) == ["ai.budget.exhausted"]
    Budgets(engine, clock).change(budget.id, tenge=6)
    assert await refusal(ledger, ask(key, MICRO), ask(key, 1)) == ["", "ai.budget.exhausted"]


async def test_what_a_dead_gateway_left_open_costs_what_it_reserved(
    engine: Engine, clock: ManualClock, budget: Budget, key: Key
) -> None:
    """Found when it starts again; the process of before, should it live, can write no more and says so."""
    dead = Ledger(engine, clock, "first", patience=0.1)
    await dead.start()
    calls = [ask(key, 2 * MICRO) for _ in range(3)]
    for each in calls:
        await dead.reserved(each)
    await dead.settled(settlement(calls[0].call, 1))
    again = Ledger(engine, clock, "first", patience=0.1)
    orphans = await again.start()
    assert (orphans.calls, orphans.amount) == (2, 4 * MICRO)
    assert added_up(engine, budget.id) == (4 * MICRO + 1, 0)
    with pytest.raises(Unavailable) as caught:
        await dead.settled(settlement(calls[1].call, 1))
    assert caught.value.code == "ai.gateway.superseded"
    with pytest.raises(Unavailable):
        await dead.reserved(ask(key, 1))
    assert await again.settled(settlement(calls[1].call, 1)) == 2 * MICRO
    await dead.close()
    await again.close()


async def test_a_gateway_that_will_not_come_back_is_declared_dead(
    ledger: Ledger, engine: Engine, clock: ManualClock, budget: Budget, key: Key
) -> None:
    """Its open calls are settled in full, and if it lives it is refused."""
    await ledger.reserved(ask(key, MICRO))
    with engine.begin() as db:
        orphans = declare_dead(db, "first", clock.now())
        with pytest.raises(NotFound):
            declare_dead(db, "none", clock.now())
    assert orphans.calls == 1
    assert added_up(engine, budget.id) == (MICRO, 0)
    with pytest.raises(Unavailable):
        await ledger.reserved(ask(key, 1))


async def test_a_caller_that_goes_away_leaves_no_reservation(
    ledger: Ledger, engine: Engine, budget: Budget, key: Key
) -> None:
    """Cancelled before the answer came, the call is settled at nothing."""
    waits = asyncio.create_task(ledger.reserved(ask(key)))
    await asyncio.sleep(0)
    waits.cancel()
    await asyncio.gather(waits, return_exceptions=True)
    until = time.monotonic() + 5
    while added_up(engine, budget.id) != (0, 0) or not await outcomes(engine):
        assert time.monotonic() < until
        await asyncio.sleep(0.01)
    assert await outcomes(engine) == ["aborted"]


async def outcomes(engine: Engine) -> list[str]:
    """How the calls have ended, those still open left out."""
    with engine.begin() as db:
        return [row[0] for row in db.execute(text("SELECT outcome FROM ai_calls WHERE outcome <> 'open'"))]


async def test_while_the_database_is_away_nothing_is_taken_in_and_no_settlement_is_lost(
    ledger: Ledger, engine: Engine, budget: Budget, key: Key
) -> None:
    """Who asks is told; what was called is settled when it is back."""
    first = ask(key, 2 * MICRO)
    await ledger.reserved(first)
    away = True

    def fail(*_: object) -> None:
        if away:
            raise Unavailable("database.unavailable", "the database cannot be reached", at="registry")

    event.listen(engine, "begin", fail)
    settled = asyncio.create_task(ledger.settled(settlement(first.call, 3)))
    with pytest.raises(Unavailable):
        await ledger.reserved(ask(key))
    assert not settled.done()
    away = False
    assert await settled == 3
    assert added_up(engine, budget.id) == (3, 0)
    event.remove(engine, "begin", fail)


async def test_one_call_that_cannot_be_written_does_not_keep_the_others_out(
    ledger: Ledger, engine: Engine, budget: Budget, key: Key, caplog: pytest.LogCaptureFixture
) -> None:
    """Each is tried by itself: the same identifier twice."""
    first = ask(key)
    codes = await refusal(ledger, first, ask(key), ask(key, call=first.call))
    assert codes == ["", "", "ai.ledger.failed"]
    assert added_up(engine, budget.id) == (0, 2 * MICRO)
    with pytest.raises(Malformed):
        await ledger.reserved(ask(key, -1))
    with pytest.raises(Malformed):
        await ledger.reserved(ask(key, 10**16))


async def test_too_many_that_wait_are_refused_before_they_wait(engine: Engine, clock: ManualClock, key: Key) -> None:
    """And a ledger that is closed says so."""
    ledger = Ledger(engine, clock, "first", max_waiting=3)
    with pytest.raises(Unavailable):
        ledger.reserve(ask(key, 1), lambda _: None)
    await ledger.start()
    assert await refusal(ledger, *(ask(key, 1) for _ in range(4))) == ["", "", "", "ai.gateway.busy"]
    assert await refusal(ledger, ask(key, 1)) == [""]
    await ledger.close()
    with pytest.raises(Unavailable):
        await ledger.reserved(ask(key, 1))


async def test_who_waits_when_the_ledger_closes_is_told(engine: Engine, clock: ManualClock, key: Key) -> None:
    """At once; and what was to be settled is."""
    ledger = Ledger(engine, clock, "first", patience=20.0)
    await ledger.start()
    held = ask(key, 10 * MICRO)
    await ledger.reserved(held)
    waits = asyncio.create_task(ledger.reserved(ask(key)))
    await asyncio.sleep(0.01)
    settled = asyncio.create_task(ledger.settled(settlement(held.call, 10 * MICRO)))
    await asyncio.sleep(0)
    await ledger.close()
    assert await settled == 10 * MICRO
    with pytest.raises(Limited):
        await waits


async def test_a_caller_that_fails_does_not_keep_the_others_from_their_answers(ledger: Ledger, key: Key) -> None:
    """It is told to the loop, as of any callback."""
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))

    def fail(_: Error | None) -> None:
        raise ZeroDivisionError

    ledger.reserve(ask(key, 1), fail)
    await ledger.reserved(ask(key, 1))
    assert [type(each) for each in told] == [ZeroDivisionError]
