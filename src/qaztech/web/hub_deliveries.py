"""What has been delivered: how far each log is held, how old that is, which logs never came; the deliveries of one."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from qaztech.core.errors import Error, NotFound
from qaztech.hub import scopes
from qaztech.people.people import Person
from qaztech.web.hub_pages import HubPages
from qaztech.web.hub_parts import HubParts, HubRoute, PageGroup
from qaztech.web.hub_traffic import owner_text
from qaztech.web.registry_pages import asked

DELIVERIES = "/console/deliveries"
_SHOWN = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One log: whose it is, so many leaves of it are held, until when (milliseconds), how often and when it came."""

    origin: str
    owner: str
    size: int = 0
    recorded: int | None = None
    count: int = 0
    last: int | None = None


class DeliveryPages:
    """The handlers."""

    def __init__(self, parts: HubParts, pages: HubPages) -> None:
        self._parts = parts
        self._pages = pages

    def routes(self) -> list[HubRoute]:
        """Every route with its scope."""
        return [
            HubRoute("GET", DELIVERIES, scopes.DELIVERIES, self._list),
            HubRoute("GET", f"{DELIVERIES}/log", scopes.DELIVERIES, self._log),
        ]

    async def _list(self, request: Request, person: Person) -> Response:
        """Every log that delivered, and every one in the configuration that did not."""
        values = await asyncio.to_thread(self._lines)
        return self._pages.render(request, person, "deliveries.html", now=self._parts.clock.now(), **values)

    async def _log(self, request: Request, person: Person) -> Response:
        """`?origin=`: the deliveries of one log, the latest first."""
        origin, store = asked(request, "origin"), self._parts.deliveries.store
        held = await asyncio.to_thread(store.held, origin)
        found = await asyncio.to_thread(store.deliveries, origin)
        owner = owner_text(self._parts, origin)
        if not owner and not held.size:
            raise NotFound("operational.unknown-log", "no member has such a log", at="caller")
        return self._pages.render(
            request, person, "deliveries-log.html", origin=origin, owner=owner, held=held, count=len(found),
            deliveries=found[::-1][:_SHOWN], most=_SHOWN,
        )  # fmt: skip

    def _lines(self) -> dict[str, Any]:
        store = self._parts.deliveries.store
        delivered, lines = store.delivered(), {}
        for log in store.all_held():
            came = delivered.get(log.origin)
            lines[log.origin] = LogLine(
                origin=log.origin, owner=owner_text(self._parts, log.origin), size=log.size, recorded=log.recorded,
                count=came.count if came else 0, last=came.last if came else None,
            )  # fmt: skip
        missing = [origin for origin in self._known() if origin not in lines]
        return {
            "lines": sorted(lines.values(), key=lambda line: (line.owner, line.origin)),
            "missing": [LogLine(origin=origin, owner=owner_text(self._parts, origin)) for origin in missing],
            "bytes": store.stored_bytes(),
        }

    def _known(self) -> list[str]:
        try:
            return sorted(log.origin for log in self._parts.configuration().logs())
        except Error:
            return []


GROUP = PageGroup(
    "deliveries", ((DELIVERIES, scopes.DELIVERIES),), lambda parts, pages: DeliveryPages(parts, pages).routes()
)
