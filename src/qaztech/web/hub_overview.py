"""The support center's first page: how much was called, what does not add up, which logs stay away."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from qaztech.hub import scopes
from qaztech.hub.stakes import STANDING
from qaztech.hub.summary import whole
from qaztech.hub.traffic import CENTRE
from qaztech.people.people import Person
from qaztech.web.hub_book import book_of
from qaztech.web.hub_pages import HOME, HubPages
from qaztech.web.hub_parts import HubParts, HubRoute, PageGroup

WEEK = 7 * 86_400_000
_SHOWN = 5


class OverviewPages:
    """The handler."""

    def __init__(self, parts: HubParts, pages: HubPages) -> None:
        self._parts = parts
        self._pages = pages

    def routes(self) -> list[HubRoute]:
        """Every route with its scope."""
        return [HubRoute("GET", HOME, scopes.OVERVIEW, self._show)]

    async def _show(self, request: Request, person: Person) -> Response:
        values = await asyncio.to_thread(self._values)
        return self._pages.render(
            request, person, "overview.html", halted=self._parts.admin_log.halted is not None, **values
        )

    def _values(self) -> dict[str, Any]:
        deliveries, now = self._parts.deliveries, self._parts.clock.now()
        held, book = deliveries.store.all_held(), book_of(self._parts)
        return {
            "objects": len(book.register.objects),
            "standing": len(book.stakes.chosen(states=STANDING, asking=False)),
            "money": book.stakes.whole(),
            "now": now,
            "week": whole(deliveries.traffic.totals(CENTRE, now - WEEK, now + 1)),
            "logs": len(held),
            "leaves": sum(log.size for log in held),
            "newest": max((log.recorded for log in held), default=None),
            "levels": deliveries.store.levels(),
            "findings": deliveries.store.findings(limit=_SHOWN),
        }


GROUP = PageGroup("overview", ((HOME, scopes.OVERVIEW),), lambda parts, pages: OverviewPages(parts, pages).routes())
