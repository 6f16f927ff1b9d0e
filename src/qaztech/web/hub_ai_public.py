"""What citizens read of the state's AI systems, without signing in: a list, one system, the same for programs.

Only what was reviewed is shown; a system that is being revised is shown as it was reviewed last. Not here: what the
center's people see and do (`hub_ai`).
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from qaztech.ai.register.life import STATES
from qaztech.ai.register.store import Kept
from qaztech.ai.terms import RISKS
from qaztech.core.errors import NotFound
from qaztech.web.hub_ai import card_values, matches, page_of
from qaztech.web.hub_pages import HubPages
from qaztech.web.hub_parts import HubParts
from qaztech.web.registry_pages import asked

PUBLIC: Final = "/ai"
EXPORT_FORMAT: Final = "qaztech ai-register 1"
_LINES: Final = 50


class PublicAi:
    """The handlers. `pages` renders."""

    def __init__(self, parts: HubParts, pages: HubPages) -> None:
        self._parts = parts
        self._pages = pages

    def routes(self) -> list[Route]:
        """Routes that ask nobody who they are, and change nothing."""
        return [
            Route(PUBLIC, self._pages.open(self._list), methods=["GET"]),
            Route(f"{PUBLIC}.json", self._export, methods=["GET"]),
            Route(f"{PUBLIC}/{{id}}", self._pages.open(self._show), methods=["GET"]),
        ]

    async def _list(self, request: Request) -> Response:
        """`?find=&state=&risk=` narrow it, `?page=` turns it."""
        return self._pages.render_open(
            request, "ai-public-list.html", states=[state for state in STATES if state != "declared"], risks=RISKS,
            state_of=public_state, **await asyncio.to_thread(self._listed, request),
        )  # fmt: skip

    def _listed(self, request: Request) -> dict[str, Any]:
        now, kept, page = self._parts.clock.now(), self._parts.cards.shown(), page_of(request)
        called = self._pages.namer(request)
        chosen = {name: asked(request, name) for name in ("find", "state", "risk")}
        found = [
            each
            for each in kept
            if chosen["state"] in {"", public_state(each)}
            and chosen["risk"] in {"", each.card.risk}
            and matches(each, chosen["find"], called(each.card.owner))
        ]
        return {
            "lines": [(each, each.why(now)) for each in found[page * _LINES :][:_LINES]],
            "count": len(found),
            "all": len(kept),
            "page": page,
            "more": len(found) > (page + 1) * _LINES,
            "chosen": chosen,
            "made": now,
        }

    async def _show(self, request: Request) -> Response:
        """One system: what it is for, what it decides, how to object."""
        now = self._parts.clock.now()
        kept = await asyncio.to_thread(self._kept, request.path_params["id"])
        return self._pages.render_open(
            request, "ai-public-card.html", made=now, state=public_state(kept), **card_values(kept, now)
        )

    async def _export(self, _: Request) -> Response:
        """All that citizens may read, for programs."""
        headers = {"Cache-Control": "no-cache", "Access-Control-Allow-Origin": "*"}
        return Response(await asyncio.to_thread(self._exported), media_type="application/json", headers=headers)

    def _exported(self) -> bytes:
        now = self._parts.clock.now()
        return msgspec.json.encode({
            "format": EXPORT_FORMAT,
            "instance": self._parts.instance,
            "time": now,
            "fictitious": self._parts.fictitious,
            "systems": [public_card(each, now) for each in self._parts.cards.shown()],
        })  # fmt: skip

    def _kept(self, identifier: str) -> Kept:
        found = next((each for each in self._parts.cards.shown() if each.card.id == identifier), None)
        if found is None:
            raise NotFound("ai.card.unknown", "there is no such card", at="caller")
        return found


def public_state(kept: Kept) -> str:
    """The state as citizens are told: what is drafted or declared anew is being revised."""
    return "draft" if kept.state == "declared" else kept.state


def public_card(kept: Kept, now: int) -> dict[str, Any]:
    """A card as programs of anybody read it: notes of checks and audits stay with the center."""
    card: dict[str, Any] = msgspec.to_builtins(kept.card)
    for check in card["prohibited"]:
        del check["note"]
    if card["audit"] is not None:
        del card["audit"]["note"]
    why = kept.why(now)
    return {
        **card,
        "state": public_state(kept),
        "callable": why is None,
        "why": why,
        "reviewed": kept.reviewed,
        "changed": kept.changed,
    }
