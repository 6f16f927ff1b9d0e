"""What does not add up between the cards of AI systems and what was called: for people at the centre to look at.

Pure: it is given cards and observed calls as plain rows. A finding is no verdict: whoever calls may not be who decides,
and a call seen under another name is not seen here. Not here: where calls were observed (the centre's traffic).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

from qaztech.ai.register.law import Law
from qaztech.ai.register.life import obstacles, review_due
from qaztech.ai.register.standing import Why
from qaztech.ai.register.store import Kept
from qaztech.ai.terms import begin_of, day_of

Kind = Literal["called-while-stopped", "called-without-card", "overdue", "blocked", "documents", "waits"]
# In the order in which people look at them.
KINDS: Final[tuple[Kind, ...]] = Kind.__args__  # type: ignore[attr-defined]
# How paths end at which an OpenAI-compatible server is called: a service whose rights name one is a model's.
ENDINGS: Final = ("/chat/completions", "/v1/completions", "/v1/embeddings")
# How long a declared card may wait for its reviewer before it is told.
WAITS_DAYS: Final = 15
# How long a gateway may go on with the last answer that it got from the register.
GRACE_MS: Final = 15 * 60_000
_HELD: Final = frozenset({"reviewed", "in-service", "suspended"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """Calls of one system with one model's service: how many were answered, and when the last began (ms)."""

    client: str
    service: str
    calls: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFinding:
    """What is to be looked at: of which card, or of which system that has none; since or at when (ms)."""

    kind: Kind
    card: str = ""
    system: str = ""
    what: tuple[str, ...] = ()
    at: int | None = None
    calls: int = 0


def findings(
    cards: Iterable[Kept], stopped: Mapping[str, int], called: Iterable[Called], now: int, law: Law | None = None
) -> list[CardFinding]:
    """All that is found, the gravest kind first. `stopped` tells when each card was last suspended or retired (ms)."""
    kept = list(cards)
    found = [*_calls(kept, stopped, called, now, law)]
    for each in kept:
        found += _card(each, now, law)
    return sorted(found, key=lambda one: (KINDS.index(one.kind), one.card, one.system))


def _calls(
    kept: list[Kept], stopped: Mapping[str, int], called: Iterable[Called], now: int, law: Law | None
) -> Iterable[CardFinding]:
    by_system: dict[str, list[Kept]] = {}
    for each in kept:
        by_system.setdefault(f"{each.card.owner}/{each.card.system}", []).append(each)
    for row in called:
        cards = by_system.get(row.client, [])
        if not cards:
            yield CardFinding(
                kind="called-without-card", system=row.client, what=(row.service,), at=row.last, calls=row.calls
            )
        elif not any(each.why(now, law) is None for each in cards):
            latest = max(cards, key=lambda each: _ended(each, stopped, now, law))
            if row.last > _ended(latest, stopped, now, law) + GRACE_MS:
                yield CardFinding(
                    kind="called-while-stopped", card=latest.card.id, system=row.client, what=(row.service,),
                    at=row.last, calls=row.calls,
                )  # fmt: skip


def _ended(kept: Kept, stopped: Mapping[str, int], now: int, law: Law | None) -> int:
    """Since when a card that cannot be called cannot be called, as far as that can be told (ms)."""
    if kept.state in {"suspended", "retired"}:
        return stopped.get(kept.card.id, kept.changed)
    due = review_due(kept.card, day_of(now), law)
    if kept.state == "in-service" and due is not None and due < day_of(now):
        return begin_of(due + timedelta(days=1))
    return kept.changed


def _card(kept: Kept, now: int, law: Law | None) -> Iterable[CardFinding]:
    today = day_of(now)
    against: dict[Why, tuple[str, ...]] = {each.why: each.what for each in obstacles(kept.card, today, law)}
    name = kept.card.id
    if kept.state in _HELD:
        if "review-overdue" in against:
            due = review_due(kept.card, today, law)
            at = None if due is None else begin_of(due + timedelta(days=1))
            yield CardFinding(kind="overdue", card=name, what=against["review-overdue"], at=at)
        if lacking := against.get("documents-missing"):
            yield CardFinding(kind="documents", card=name, what=lacking)
    if kept.state == "in-service":
        others = tuple(why for why in against if why not in {"review-overdue", "documents-missing"})
        if others:
            yield CardFinding(kind="blocked", card=name, what=others)
    if kept.state == "declared" and kept.changed < now - WAITS_DAYS * 86_400_000:
        yield CardFinding(kind="waits", card=name, at=kept.changed)
