"""Keys and budgets of a gateway: shown once, found by what is shown, changed, revoked; and nothing else is let in."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from ai_books import MEMBER, issue
from qaztech.ai.gateway.budgeting import MICRO
from qaztech.ai.gateway.budgets import Budget, Budgets
from qaztech.ai.gateway.keys import Keys
from qaztech.core.errors import Conflict, Error, Malformed, NotFound, Unauthenticated
from qaztech.core.ids import MemberId
from qaztech.core.time import ManualClock

OTHER = MemberId.parse("KZ/GOV/123456789012")


@pytest.fixture
def keys(engine: Engine, clock: ManualClock) -> Keys:
    """The keys that there are."""
    return Keys(engine, clock)


def test_a_key_is_shown_once_and_found_by_what_is_shown(keys: Keys, engine: Engine, budget: Budget) -> None:
    """What is kept tells nobody what to show."""
    shown, key = issue(keys, budget)
    assert shown.startswith(f"qk-{key.id}-")
    assert keys.find(shown) == key == keys.key(key.id)
    assert keys.all(member=MEMBER) == [key]
    assert keys.all(member=OTHER) == []
    with engine.begin() as db:
        kept = str(db.execute(text("SELECT * FROM ai_keys")).all())
    assert shown.rpartition("-")[2] not in kept


def test_every_wrong_key_gets_one_answer(keys: Keys, budget: Budget) -> None:
    """Unknown, wrong, revoked, or no key at all: nothing tells them apart, remembered or not."""
    shown, key = issue(keys, budget)
    gone, revoked = issue(keys, budget)
    keys.revoke(revoked.id, by="aigerim")
    wrong = shown[:-1] + ("0" if shown[-1] != "0" else "1")
    cases = ["", "qk-", shown + "0", shown.upper(), wrong, gone, f"qk-{'0' * 12}-{'0' * 48}", "қк" * 32, "\x00" * 64]
    for _ in range(2):
        for case in cases:
            with pytest.raises(Unauthenticated) as caught:
                keys.find(case)
            assert (caught.value.code, caught.value.detail) == ("ai.key.unknown", "this key is not known")
        assert keys.find(shown) == key


def test_a_key_that_was_just_found_asks_no_database(
    keys: Keys, engine: Engine, clock: ManualClock, budget: Budget
) -> None:
    """For a second; a change made here is seen at once."""
    shown, key = issue(keys, budget)
    asked: list[Any] = []

    def note(connection: Any) -> None:
        asked.append(connection)

    event.listen(engine, "begin", note)
    assert keys.remembered(shown) is None
    assert keys.find(shown) == keys.find(shown) == keys.remembered(shown)
    assert len(asked) == 1
    clock.advance(1000)
    assert keys.remembered(shown) is None
    keys.find(shown)
    keys.change(key.id, models=["other"])
    assert keys.find(shown).models == {"other"}
    keys.revoke(key.id, by="aigerim")
    with pytest.raises(Unauthenticated):
        keys.find(shown)
    event.remove(engine, "begin", note)


def test_a_key_is_changed_until_it_is_revoked(keys: Keys, clock: ManualClock, engine: Engine, budget: Budget) -> None:
    """What is not given stays; revoking twice changes nothing."""
    _, key = issue(keys, budget)
    other = Budgets(engine, clock).create(member=MEMBER, name="Other", kind="total", tenge=1, by="t")
    changed = keys.change(key.id, calls_per_minute=5, tokens_per_minute=6, budget=other.id)
    assert (changed.calls_per_minute, changed.tokens_per_minute, changed.budget) == (5, 6, other.id)
    assert changed == keys.key(key.id)
    assert changed.models == key.models
    first = keys.revoke(key.id, by="aigerim")
    clock.advance(5)
    assert keys.revoke(key.id, by="dana") == first
    with pytest.raises(Conflict):
        keys.change(key.id, calls_per_minute=7)
    for act in (lambda: keys.revoke("none", by="t"), lambda: keys.key("none"), lambda: keys.change("none")):
        with pytest.raises(NotFound):
            act()


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""}, {"name": "x" * 101}, {"name": "a\nb"}, {"system": ""}, {"purpose": "Not a slug"},
        {"purpose_text": " "}, {"card": "../x"}, {"data_class": "secret"}, {"handling": "log"}, {"models": []},
        {"models": ["a b"]}, {"models": [f"m{n}" for n in range(101)]}, {"calls_per_minute": 0},
        {"tokens_per_minute": 10**9 + 1}, {"by": ""}, {"budget": "none"}, {"member": OTHER},
    ],
    ids=str,
)  # fmt: skip
def test_a_key_that_is_none_is_not_issued(keys: Keys, budget: Budget, wrong: dict[str, Any]) -> None:
    """A budget of another member is no budget of this one."""
    with pytest.raises(Error) as caught:
        issue(keys, budget, **wrong)
    assert isinstance(caught.value, Malformed | NotFound)
    assert keys.all() == []


def test_budgets_are_listed_with_what_is_left(engine: Engine, clock: ManualClock, budget: Budget) -> None:
    """Their own member's, or all."""
    books = Budgets(engine, clock)
    other = books.create(member=OTHER, name="Theirs", kind="total", tenge=0, by="t")
    assert [each.id for each in books.all(member=MEMBER)] == [budget.id]
    assert {each.id for each in books.all()} == {budget.id, other.id}
    assert budget.left == 10 * MICRO
    assert (budget.present.period, other.present.period) == ("2026-11", "total")
    assert books.change(budget.id, tenge=3).left == 3 * MICRO


@pytest.mark.parametrize("wrong", [{"name": " "}, {"kind": "week"}, {"tenge": -1}, {"tenge": 10**12 + 1}, {"by": ""}])
def test_a_budget_that_is_none_is_not_made(engine: Engine, clock: ManualClock, wrong: dict[str, Any]) -> None:
    """Nor is a limit that no state spends."""
    books = Budgets(engine, clock)
    with pytest.raises(Malformed):
        books.create(**({"member": MEMBER, "name": "x", "kind": "month", "tenge": 1, "by": "t"} | wrong))
    with pytest.raises(NotFound):
        books.change("none", tenge=1)
    with pytest.raises(NotFound):
        books.budget("none")
    assert books.all() == []
