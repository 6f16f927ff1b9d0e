"""What does not add up between AI systems' cards and calls, brought into the center's queue of findings as cases.

Cards and cases know nothing of each other; here what the register finds is put into the queue's form, under detectors
of its own, so a run of the others leaves it alone. What waits for the center itself is no case. Not here: what is
found (`ai.register.findings`), what people decide (`hub.findings`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from qaztech.ai.register.findings import ENDINGS, Called, CardFinding, Kind, findings
from qaztech.ai.register.store import CardStore, Kept
from qaztech.ai.terms import day_of
from qaztech.core.errors import Error, Unavailable
from qaztech.core.time import Clock
from qaztech.hub.detectors.finding import Fact, Finding
from qaztech.hub.findings import FindingQueue, Refreshed
from qaztech.hub.receiving import Deliveries
from qaztech.runtime.telemetry import log_error

logger = logging.getLogger("qaztech.hub.ai")
# How far back calls are looked at, and how often the queue is brought up to date.
SEEN_DAYS: Final = 30
EVERY_SECONDS: Final = 600.0
FIRST_SECONDS: Final = 30.0
_DAY: Final = 86_400_000
# The detector of each kind that is a case; those that rest on calls.
DETECTOR_OF: Final[dict[Kind, str]] = {
    "called-while-stopped": "ai_called_while_stopped",
    "called-without-card": "ai_called_without_card",
    "overdue": "ai_review_overdue",
    "blocked": "ai_blocked",
    "documents": "ai_documents_missing",
}
_OF_CALLS: Final = frozenset({"ai_called_while_stopped", "ai_called_without_card"})
# How such things are written among a finding's objects: a card of the register, a system on the backbone.
CARD, SYSTEM = "ai:", "system:"


class CardCases:
    """Looks at all cards and at the calls of models' services. Blocks; use it from any thread."""

    def __init__(self, cards: CardStore, deliveries: Deliveries, queue: FindingQueue, clock: Clock) -> None:
        self._cards = cards
        self._deliveries = deliveries
        self._queue = queue
        self._clock = clock

    def found(self, kept: Sequence[Kept], now: int) -> tuple[list[CardFinding], bool]:
        """What is found, and whether calls could be looked at."""
        called, seen = [], True
        services = sorted({model.service for each in kept if each.reviewed for model in each.card.models} - {""})
        try:
            rows = self._deliveries.traffic.callers(ENDINGS, services, now - SEEN_DAYS * _DAY, now)
            called = [Called(client=client, service=service, calls=n, last=last) for client, service, n, last in rows]
        except Error:  # without the engine that counts, or its rows: the cards are still looked at
            seen = False
        return findings(kept, self._cards.stopped(), called, now), seen

    def refresh(self) -> Refreshed:
        """Bring the queue up to date. Where calls cannot be seen, cases of calls stay as they are."""
        now, kept = self._clock.now(), self._cards.cards()
        found, seen = self.found(kept, now)
        by_id = {each.card.id: each for each in kept}
        cases = [case_of(one, by_id.get(one.card)) for one in found if one.kind in DETECTOR_OF]
        return self._queue.refresh(cases, [slug for slug in DETECTOR_OF.values() if seen or slug not in _OF_CALLS])

    async def keep(self, stop: asyncio.Event, every_seconds: float = EVERY_SECONDS) -> None:
        """`refresh` soon and every so many seconds, until told to stop; a failure is told and ends nothing."""
        wait = min(FIRST_SECONDS, every_seconds)
        while not await _stopped(stop, wait):
            wait = every_seconds
            try:
                await asyncio.to_thread(self.refresh)
            except Error as exc:
                log_error(logger, "cases of AI systems are not brought up to date", exc)
            except (SQLAlchemyError, OSError) as exc:
                error = Unavailable("operational.store", "the store does not answer", context=repr(exc))
                log_error(logger, "cases of AI systems are not brought up to date", error)


async def _stopped(stop: asyncio.Event, seconds: float) -> bool:
    """Whether it was told to stop within so many seconds."""
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
    return stop.is_set()


def case_of(one: CardFinding, kept: Kept | None) -> Finding:
    """What is found in the form of the queue; `kept` is its card, None for a system that has none."""
    owner = kept.card.owner if kept is not None else one.system.rpartition("/")[0]
    thing = f"{CARD}{one.card}" if kept is not None else f"{SYSTEM}{one.system}"
    declared = (kept.card.object,) if kept is not None and kept.card.object else ()
    bin_ = owner.rpartition("/")[2]
    body = Fact(what="body", value=bin_, source=f"organisations/{bin_}")
    return Finding(
        detector=DETECTOR_OF[one.kind], objects=(*declared, thing), evidence=(body, *_facts(one, kept)), confidence=1.0
    )


def _facts(one: CardFinding, kept: Kept | None) -> tuple[Fact, ...]:
    card = "" if kept is None else f"ai/{kept.card.id}"
    if one.kind in {"called-while-stopped", "called-without-card"}:
        last = None if one.at is None else day_of(one.at)
        calls = tuple(
            Fact(what="ai_calls", value=one.calls, source=f"flows/{one.system}/{service}", as_of=last, moving=True)
            for service in one.what
        )
        services = tuple(Fact(what="ai_service", value=service, source=f"flows/*/{service}") for service in one.what)
        state = () if kept is None else (Fact(what="ai_state", value=kept.state, source=card),)
        return (*state, *services, *calls)
    what = {"overdue": "ai_review_due", "documents": "ai_document_missing", "blocked": "ai_obstacle"}[one.kind]
    none = Fact(what=what, value="", source=card)
    return tuple(Fact(what=what, value=each, source=card) for each in one.what) or (none,)
