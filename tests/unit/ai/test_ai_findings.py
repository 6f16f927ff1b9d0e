"""What does not add up between cards and calls."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec

from ai_cards import CARD, DAY, OWNER
from qaztech.ai.register.findings import WAITS_DAYS, Called, findings
from qaztech.ai.register.store import Kept
from qaztech.ai.terms import begin_of

NOON = begin_of(DAY) + 43_200_000
HOUR = 3_600_000
SYSTEM, MODEL = f"{OWNER}/health", "KZ/EDU/991340000041/models/chat"


def kept(state: str = "in-service", changed: int = NOON, **values: Any) -> Kept:
    """A card as it is kept."""
    card = msgspec.structs.replace(CARD, **values)
    return Kept(
        card=card, state=state, version=4, held="", created=changed, changed=changed, reviewed=changed,
    )  # type: ignore[arg-type]  # fmt: skip


def called(client: str = SYSTEM, last: int = NOON + HOUR) -> Called:
    return Called(client=client, service=MODEL, calls=3, last=last)


def kinds(*cards: Kept, calls: tuple[Called, ...] = (), stopped: dict[str, int] | None = None, now: int = NOON) -> list:
    return [(one.kind, one.card or one.system) for one in findings(cards, stopped or {}, calls, now)]


def test_nothing_is_found_where_all_is_well() -> None:
    """A card in service whose system calls."""
    assert kinds(kept(), calls=(called(),), now=NOON + 2 * HOUR) == []


def test_who_calls_without_a_card_is_told() -> None:
    """By the system that calls and the service it called."""
    other = f"{OWNER}/archive"
    assert kinds(kept(), calls=(called(other),)) == [("called-without-card", other)]


def test_who_calls_though_it_is_stopped_is_told() -> None:
    """Calls from before it was stopped are none; another card of the system that is in service makes it well."""
    suspended, when = kept("suspended"), {CARD.id: NOON}
    assert kinds(suspended, calls=(called(),), stopped=when) == [("called-while-stopped", CARD.id)]
    assert kinds(suspended, calls=(called(last=NOON - HOUR),), stopped=when) == []
    assert kinds(suspended, kept(id="second-card"), calls=(called(),), stopped=when) == []
    late = begin_of(DAY.replace(year=2027) + timedelta(days=1))
    assert kinds(kept(), calls=(called(last=late - HOUR),), now=late + HOUR) == [("overdue", CARD.id)]
    assert ("called-while-stopped", CARD.id) in kinds(kept(), calls=(called(last=late + HOUR),), now=late + HOUR)


def test_cards_that_are_overdue_lack_papers_or_wait_are_told() -> None:
    """Each by what it lacks; a draft is its owner's matter."""
    found = findings([kept(documents=CARD.documents[1:])], {}, [], NOON)
    assert [(one.kind, one.what) for one in found] == [("documents", ("user-agreement",))]
    assert kinds(kept(risk_review=None), kept("draft", risk_review=None, id="draft-card")) == [("overdue", CARD.id)]
    assert kinds(kept(audit=None)) == [("blocked", CARD.id)]
    waiting = kept("declared", changed=NOON - (WAITS_DAYS + 1) * 86_400_000)
    assert kinds(waiting) == [("waits", CARD.id)]
