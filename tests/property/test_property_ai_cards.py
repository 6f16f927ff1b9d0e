"""Whatever owner and reviewer try, in any order: what is called was reviewed as it is, with nothing against it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from ai_cards import CARD, DAY
from qaztech.ai.register.card import Card, card_bytes, parse_card
from qaztech.ai.register.life import (
    STEPS,
    UPKEEP,
    Asked,
    changes,
    is_callable,
    obstacles,
    refuse_change,
    review_due,
    step,
)
from qaztech.core.errors import Conflict, Forbidden, Malformed

FOUND = (msgspec.structs.replace(CARD.prohibited[0], found=True), *CARD.prohibited[1:])
# Changes of substance and of upkeep, good and bad.
CHANGES: list[dict[str, Any]] = [
    {"mode": "open"}, {"mode": "local"}, {"autonomy": "high"}, {"autonomy": "low"}, {"highest_class": "restricted"},
    {"models": ()}, {"models": CARD.models}, {"risk": "minimal"}, {"risk": "high"}, {"prohibited": FOUND},
    {"prohibited": CARD.prohibited}, {"documents": ()}, {"documents": CARD.documents}, {"audit": None},
    {"audit": CARD.audit}, {"risk_review": DAY}, {"risk_review": None}, {"risk_review": DAY + timedelta(days=300)},
    {"owner": "KZ/GOV/991340000025"},
]  # fmt: skip
MOVES = st.one_of(
    st.tuples(st.just("change"), st.sampled_from(CHANGES)),
    st.tuples(st.sampled_from(["owner", "reviewer"]), st.sampled_from([*STEPS, "none"])),
    st.tuples(st.just("days"), st.integers(0, 200)),
)


def substance(card: Card) -> dict[str, Any]:
    """What needs a review."""
    told: dict[str, Any] = msgspec.to_builtins(card)
    return {name: value for name, value in told.items() if name not in UPKEEP}


@given(st.lists(MOVES, max_size=40))
def test_what_is_called_was_reviewed_as_it_is(moves: list[tuple[str, Any]]) -> None:
    """And a refused move changes nothing; retirement is for ever."""
    card, state, held, reviewed, today = CARD, "draft", "", None, DAY
    for who, what in moves:
        try:
            if who == "change":
                changed = msgspec.structs.replace(card, **what)
                refuse_change(card, changed, state)
                card = changed
            elif who == "days":
                today += timedelta(days=what)
            else:
                before = state
                state = step(card, state, Asked(act=what, role=who, reason="x", held=held), today)
                assert before != "retired"
                held = who if state == "suspended" else ""
                reviewed = substance(card) if what == "approve" else reviewed
        except (Conflict, Forbidden, Malformed):
            pass
        if state in {"reviewed", "in-service", "suspended"}:
            assert substance(card) == reviewed
        if is_callable(card, state, today) is None:
            due = review_due(card, today)
            assert state == "in-service"
            assert obstacles(card, today) == []
            assert due is not None
            assert due >= today
        assert card.owner == CARD.owner


@given(st.binary(max_size=300) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20), lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.sampled_from([*CARD.__struct_fields__, "x"]), inner, max_size=6), max_leaves=12,
).map(msgspec.json.encode))  # fmt: skip
def test_whatever_comes_is_a_card_or_our_own_error(data: bytes) -> None:
    """And a card that was taken comes back the same."""
    try:
        card = parse_card(data)
    except Malformed:
        return
    assert parse_card(card_bytes(card)) == card


@given(st.sampled_from(CHANGES), st.sampled_from(CHANGES))
def test_the_history_tells_exactly_what_changed(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Before and after of each field that differs, and of no other."""
    before, after = msgspec.structs.replace(CARD, **one), msgspec.structs.replace(CARD, **other)
    told = changes(before, after)
    old, new = msgspec.to_builtins(before), msgspec.to_builtins(after)
    assert {**old, **{name: value for name, (_, value) in told.items()}} == new
    assert all(old[name] == value for name, (value, _) in told.items())
