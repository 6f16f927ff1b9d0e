"""The life of a card: who may do what when, and what may be called."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import msgspec
import pytest

from ai_cards import CARD, DAY, OTHER
from qaztech.ai.register.card import Card
from qaztech.ai.register.law import FILE, Law, current_law
from qaztech.ai.register.life import (
    STATES,
    STEPS,
    Asked,
    callable_until,
    changes,
    check_days,
    is_callable,
    obstacles,
    refuse_change,
    review_due,
    step,
)
from qaztech.ai.terms import begin_of, day_of
from qaztech.core.errors import Conflict, Error, Forbidden, Malformed

TODAY = DAY + timedelta(days=30)


FOUND = (msgspec.structs.replace(CARD.prohibited[0], found=True), *CARD.prohibited[1:])


def with_(**values: Any) -> Card:
    """The card with other values."""
    return msgspec.structs.replace(CARD, **values)


def test_a_card_in_service_may_be_called_and_no_other() -> None:
    """In every other state it says why not."""
    assert is_callable(CARD, "in-service", TODAY) is None
    whys = {state: is_callable(CARD, state, TODAY) for state in STATES if state != "in-service"}
    assert whys == {
        "draft": "not-reviewed", "declared": "not-reviewed", "reviewed": "not-in-service", "suspended": "suspended",
        "retired": "retired",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("card", "why"),
    [
        (with_(prohibited=FOUND), "prohibited"),
        (with_(prohibited=CARD.prohibited[1:]), "unchecked"),
        (with_(mode="open"), "forbidden-combination"),
        (with_(mode="closed", highest_class="restricted"), "forbidden-combination"),
        (with_(autonomy="high"), "forbidden-combination"),
        (with_(risk="minimal", autonomy="high"), "forbidden-combination"),
        (with_(risk_review=None), "review-overdue"),
        (with_(risk_review=date(2025, 12, 1)), "review-overdue"),
        (with_(risk_review=TODAY + timedelta(days=1)), "review-overdue"),
        (with_(audit=None), "audit-missing"),
        (with_(audit=msgspec.structs.replace(CARD.audit, passed=False)), "audit-missing"),
        (with_(documents=CARD.documents[1:]), "documents-missing"),
        (with_(risk="medium", audit=None, documents=CARD.documents[:5]), None),
        (with_(risk="minimal", audit=None, documents=CARD.documents[:3]), None),
        (with_(risk="minimal", audit=None, documents=CARD.documents[:2]), "documents-missing"),
    ],
)  # fmt: skip
def test_what_stands_against_a_card_keeps_it_from_being_called(card: Card, why: str | None) -> None:
    """Whatever its owner says of its state."""
    assert is_callable(card, "in-service", TODAY) == why


def test_a_risk_review_holds_twelve_months_to_the_day() -> None:
    """Counted in Kazakhstan; the end of a short month is its last day."""
    assert review_due(CARD, TODAY) == date(2027, 11, 2)
    assert is_callable(CARD, "in-service", date(2027, 11, 2)) is None
    assert is_callable(CARD, "in-service", date(2027, 11, 3)) == "review-overdue"
    assert callable_until(CARD, TODAY) == begin_of(date(2027, 11, 3))
    leap = with_(risk_review=date(2028, 2, 29))
    assert review_due(leap, date(2028, 3, 1)) == date(2029, 2, 28)
    assert day_of(begin_of(DAY)) == DAY
    assert day_of(begin_of(DAY) - 1) == DAY - timedelta(days=1)


def test_a_card_lives_as_its_owner_and_reviewer_lead_it() -> None:
    """From draft to retirement, each act by the one whose act it is."""
    state = "draft"
    for act, role, after in (
        ("declare", "owner", "declared"), ("return", "reviewer", "draft"), ("declare", "owner", "declared"),
        ("approve", "reviewer", "reviewed"), ("serve", "owner", "in-service"), ("suspend", "reviewer", "suspended"),
        ("resume", "reviewer", "in-service"), ("suspend", "owner", "suspended"), ("revise", "owner", "draft"),
        ("retire", "owner", "retired"),
    ):  # fmt: skip
        state = step(CARD, state, Asked(act=act, role=role, reason="because"), TODAY)
        assert state == after


def test_every_other_act_is_refused() -> None:
    """The wrong role, the wrong state and no act at all, each with its own error; nothing leaves retirement."""
    for state in STATES:
        for act, known in STEPS.items():
            for role in ("owner", "reviewer"):
                asked = Asked(act=act, role=role, reason="because")
                if role in known.roles and state in known.before:
                    assert step(CARD, state, asked, TODAY) == known.after
                else:
                    expected: type[Error] = Forbidden if role not in known.roles else Conflict
                    with pytest.raises(expected):
                        step(CARD, state, asked, TODAY)
    assert not any("retired" in known.before for known in STEPS.values())
    with pytest.raises(Malformed):
        step(CARD, "draft", Asked(act="publish", role="owner"), TODAY)


def test_a_refusal_needs_a_reason_that_can_be_read() -> None:
    """None, too much, and what turns text around are refused."""
    for reason in ("", "  ", "a" * 2_001, "a\u202eb"):
        with pytest.raises(Malformed):
            step(CARD, "declared", Asked(act="return", role="reviewer", reason=reason), TODAY)


def test_what_the_centre_suspended_its_owner_does_not_resume() -> None:
    """It may draft anew, which is reviewed again."""
    held = Asked(act="resume", role="owner", held="reviewer")
    with pytest.raises(Forbidden) as caught:
        step(CARD, "suspended", held, TODAY)
    assert caught.value.code == "ai.card.held"
    assert step(CARD, "suspended", Asked(act="resume", role="owner", held="owner"), TODAY) == "in-service"
    assert step(CARD, "suspended", Asked(act="revise", role="owner", held="reviewer", reason="x"), TODAY) == "draft"


def test_a_card_in_doubt_goes_no_further() -> None:
    """Neither declared nor approved, served or resumed while it lacks something or something stands against it."""
    for act, role, state in (
        ("declare", "owner", "draft"), ("approve", "reviewer", "declared"), ("serve", "owner", "reviewed"),
        ("resume", "owner", "suspended"),
    ):  # fmt: skip
        for card, code in (
            (with_(risk_review=date(2025, 1, 1)), "ai.card.obstacle"),
            (with_(objection=type(CARD.objection)()), "ai.card.incomplete"),
        ):
            with pytest.raises(Conflict) as caught:
                step(card, state, Asked(act=act, role=role), TODAY)
            assert caught.value.code == code


def test_substance_changes_in_a_draft_only_and_upkeep_also_later() -> None:
    """And nobody gives a card to another owner or system."""
    review, other = with_(risk_review=TODAY), with_(autonomy="medium")
    assert refuse_change(CARD, other, "draft") == ("autonomy",)
    assert refuse_change(CARD, CARD, "retired") == ()
    for state in STATES:
        if state in {"reviewed", "in-service", "suspended"}:
            assert refuse_change(CARD, review, state) == ("risk_review",)
        elif state != "draft":
            with pytest.raises(Conflict):
                refuse_change(CARD, review, state)
        if state != "draft":
            with pytest.raises(Conflict):
                refuse_change(CARD, other, state)
        with pytest.raises(Conflict):
            refuse_change(CARD, with_(owner=OTHER), state)
    assert changes(CARD, review) == {"risk_review": (DAY.isoformat(), TODAY.isoformat())}


def test_an_owner_finds_a_prohibited_capability_at_once_and_clears_it_only_under_review() -> None:
    """And does not put its system on a list of trusted ones by itself."""
    found = with_(prohibited=(msgspec.structs.replace(CARD.prohibited[0], found=True), *CARD.prohibited[1:]))
    assert refuse_change(CARD, found, "in-service") == ("prohibited",)
    listed = with_(trusted=msgspec.structs.replace(CARD.trusted, state="listed"))
    for before, after in ((found, CARD), (found, with_(prohibited=CARD.prohibited[1:])), (CARD, listed)):
        assert refuse_change(before, after, "draft")
        with pytest.raises(Conflict):
            refuse_change(before, after, "in-service")


def test_a_card_tells_of_what_has_happened() -> None:
    """A check, a review or a document of tomorrow is refused."""
    check_days(CARD, DAY)
    with pytest.raises(Malformed):
        check_days(CARD, DAY - timedelta(days=1))


def test_the_law_is_data_with_sources_and_days() -> None:
    """What is asked before it was law, is not asked; a law that rests on no provision is refused."""
    law = current_law()
    assert [each.kind for each in law.documents("minimal", TODAY)] == [
        "user-agreement",
        "description",
        "risk-assessment",
    ]
    assert len(law.documents("high", TODAY)) > len(law.documents("medium", TODAY))
    assert law.documents("high", date(2026, 1, 17)) == ()
    assert not law.needs_audit("high", date(2026, 1, 17))
    assert all(text for each in law.provisions.values() for text in (each.source, each.kk, each.ru, each.en))
    with pytest.raises(Error):
        law.number("risk-review", date(2026, 1, 17))
    data = msgspec.json.decode(FILE.read_bytes())
    data["limits"][0]["provision"] = "none"
    with pytest.raises(Error):
        Law(msgspec.json.encode(data))
    assert [each.why for each in obstacles(with_(mode="open", audit=None), TODAY)] == [
        "forbidden-combination", "audit-missing",
    ]  # fmt: skip
