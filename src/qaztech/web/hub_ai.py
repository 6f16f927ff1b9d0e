"""The register of AI systems for the center: what waits for a review, what does not add up, one card with its acts.

The reviewer approves, returns with a reason, suspends and lets go on; each act is in the admin log. Not here: what may
be done when (`ai.register.life`), what citizens read (`hub_ai_public`).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from qaztech.ai.register.card import PROHIBITED
from qaztech.ai.register.law import current_law
from qaztech.ai.register.life import STATES, STEPS, callable_until, obstacles, review_due
from qaztech.ai.register.store import Kept, Origin
from qaztech.ai.terms import RISKS, day_of
from qaztech.core.errors import Conflict, Error, Malformed
from qaztech.hub import scopes
from qaztech.people.gate import read_form
from qaztech.people.people import Person
from qaztech.web.hub_ai_cases import SEEN_DAYS, CardCases
from qaztech.web.hub_pages import HubPages
from qaztech.web.hub_parts import HubParts, HubRoute, PageGroup
from qaztech.web.registry_pages import asked, redirect

AI, CARD = "/console/ai", "/console/ai/{id}"
_LINES: Final = 50
_FINDINGS: Final = 100
# What a choice of `stands` may be, beside nothing.
STANDS: Final = ("callable", "overdue", "blocked")
_CHOICES: Final[Mapping[str, Sequence[str]]] = {"state": STATES, "risk": RISKS, "stands": STANDS}


class AiPages:
    """The handlers."""

    def __init__(self, parts: HubParts, pages: HubPages) -> None:
        self._parts = parts
        self._pages = pages
        self._cases = CardCases(parts.cards, parts.deliveries, parts.findings, parts.clock)

    def routes(self) -> list[HubRoute]:
        """Every route with its scope."""
        return [
            HubRoute("GET", AI, scopes.AI, self._list),
            HubRoute("GET", CARD, scopes.AI, self._show),
            HubRoute("POST", CARD, scopes.REVIEW_AI, self._act),
        ]

    async def _list(self, request: Request, person: Person) -> Response:
        """`?state=&risk=&owner=&stands=&find=` narrow it, `?page=` turns it; what waits for a review first."""
        return self._pages.render(
            request, person, "ai-list.html", chosen=_choice(request), states=STATES, risks=RISKS, stands=STANDS,
            seen_days=SEEN_DAYS, **await asyncio.to_thread(self._listed, request),
        )  # fmt: skip

    def _listed(self, request: Request) -> dict[str, Any]:
        now, kept, page = self._parts.clock.now(), self._parts.cards.cards(), page_of(request)
        found = _chosen(request, kept, now)
        told, seen = self._cases.found(kept, now)
        return {
            "lines": [(each, each.why(now)) for each in found[page * _LINES :][:_LINES]],
            "page": page,
            "more": len(found) > (page + 1) * _LINES,
            "owners": sorted({each.card.owner for each in kept}),
            "counts": Counter(each.state for each in kept),
            "all": len(kept),
            "callable": sum(each.why(now) is None for each in kept),
            "findings": told[:_FINDINGS],
            "hidden": max(0, len(told) - _FINDINGS),
            "found": len(told),
            "seen": seen,
            "names": {each.card.id: each.card.names for each in kept},
            "kinds": current_law().document_kinds(),
        }

    async def _show(self, request: Request, person: Person) -> Response:
        values = await asyncio.to_thread(self._values, request)
        return self._pages.render(request, person, "ai-card.html", problem="", form={}, **values)

    async def _act(self, request: Request, person: Person) -> Response:
        """Approve, return, suspend or let go on; as the card was when the page was made."""
        form, identifier = await read_form(request), request.path_params["id"]
        try:
            await self._carry_out(identifier, form, person)
        except (Malformed, Conflict) as exc:
            return await self._refused(request, person, exc, form)
        return redirect(request, f"{AI}/{identifier}", said="ai-acted")

    async def _carry_out(self, identifier: str, form: Mapping[str, str], person: Person) -> None:
        version = form.get("version", "")
        if not (version.isascii() and version.isdigit() and len(version) < 10):
            raise Malformed("form.malformed", "no such version", at="caller")
        origin = Origin(by=person.name, role="reviewer", actor=person.actor)
        await asyncio.to_thread(
            self._parts.cards.act, identifier, form.get("act", ""), origin, reason=form.get("reason", ""),
            version=int(version),
        )  # fmt: skip
        await self._parts.admin_log.drain(self._parts.people.engine)

    async def _refused(self, request: Request, person: Person, exc: Error, form: Mapping[str, str]) -> Response:
        values = await asyncio.to_thread(self._values, request)
        problem = self._pages.words(request, exc)
        return self._pages.render(
            request, person, "ai-card.html", status=exc.status, problem=problem, form=form, **values
        )

    def _values(self, request: Request) -> dict[str, Any]:
        kept = self._parts.cards.card(request.path_params["id"])
        return {
            **card_values(kept, self._parts.clock.now()),
            "events": self._parts.cards.events(kept.card.id),
            "acts": [name for name, step in STEPS.items() if "reviewer" in step.roles and kept.state in step.before],
            "needs_reason": [name for name, step in STEPS.items() if step.reason],
            "known_object": self._known_object(kept.card.object),
        }

    def _known_object(self, identifier: str) -> bool:
        return bool(identifier) and identifier in self._parts.objects.register().objects


def card_values(kept: Kept, now: int) -> dict[str, Any]:
    """What the pages of one card are given, for the center and for citizens alike."""
    law, today, card = current_law(), day_of(now), kept.card
    checks = {check.capability: check for check in card.prohibited}
    return {
        "kept": kept,
        "card": card,
        "why": kept.why(now),
        "until": callable_until(card, today),
        "due": review_due(card, today),
        "today": today,
        "against": obstacles(card, today),
        "checks": [(name, checks.get(name)) for name in PROHIBITED],
        "needed": law.documents(card.risk, today),
        "kinds": law.document_kinds(),
        "combinations": {each.id: each for each in law.forbidden(card, today)},
        "marks": {document.kind for document in card.documents},
    }


def page_of(request: Request) -> int:
    """Which page of a list is asked for, from 0."""
    text = asked(request, "page")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0


def _choice(request: Request) -> dict[str, str]:
    return {name: asked(request, name) for name in ("state", "risk", "owner", "stands", "find")}


def _chosen(request: Request, kept: Sequence[Kept], now: int) -> list[Kept]:
    wanted = _choice(request)
    if (
        wanted["state"] not in {"", *STATES}
        or wanted["risk"] not in {"", *RISKS}
        or wanted["stands"] not in {"", *STANDS}
    ):
        raise Malformed("form.malformed", "no such choice", at="caller")
    found = [
        each
        for each in kept
        if wanted["state"] in {"", each.state}
        and wanted["risk"] in {"", each.card.risk}
        and wanted["owner"] in {"", each.card.owner}
        and _stands(each, wanted["stands"], now)
        and matches(each, wanted["find"])
    ]
    # What waits for this office comes first, then the latest.
    return sorted(found, key=lambda each: (each.state != "declared", -each.changed, each.card.id))


def _stands(kept: Kept, wanted: str, now: int) -> bool:
    if not wanted:
        return True
    why = kept.why(now)
    if wanted == "callable":
        return why is None
    if wanted == "overdue":
        held = kept.state in {"reviewed", "in-service", "suspended"}
        return held and any(each.why == "review-overdue" for each in obstacles(kept.card, day_of(now)))
    return kept.state == "in-service" and why is not None


def matches(kept: Kept, text: str, *more: str) -> bool:
    """Whether all words of a text stand in a card's names, purposes, id or in what else is said of it."""
    card = kept.card
    told = " ".join([
        card.id, card.system, card.owner, *more,
        *(words for each in (card.names, card.purpose) for words in (each.kk, each.ru, each.en)),
    ]).casefold()  # fmt: skip
    return all(word in told for word in text.casefold().split())


GROUP = PageGroup("ai", ((AI, scopes.AI),), lambda parts, pages: AiPages(parts, pages).routes())
