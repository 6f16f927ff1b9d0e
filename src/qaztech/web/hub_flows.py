"""From a number about use down to what it rests on: one flow or one system's flows, the exchanges, or why none is here.

And the law data: every provision, limit and date that a rule measures by, with its source and since when it holds.
"""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from qaztech.core.errors import Error
from qaztech.core.ids import MemberId
from qaztech.hub import scopes
from qaztech.hub.detectors.stack import stacks
from qaztech.hub.flows import HourFile
from qaztech.hub.register.law import current_law
from qaztech.hub.summary import member_of
from qaztech.hub.traffic import CENTRE, Exchange, Viewer
from qaztech.people.people import Person
from qaztech.web.hub_book import as_json, book_of, traffic_of, words_for
from qaztech.web.hub_pages import HubPages
from qaztech.web.hub_parts import HubParts, HubRoute, PageGroup
from qaztech.web.hub_sources import act_title, in_force
from qaztech.web.hub_words import FLOWS, LAW

_MOST_FLOWS = 200
_MOST_EXCHANGES = 50
# Exchanges of one service that are looked through for those of one client.
_LOOKED = 5000
_YEAR = 366 * 86_400_000


class FlowPages:
    """The handlers."""

    def __init__(self, parts: HubParts, pages: HubPages) -> None:
        self._parts = parts
        self._pages = pages

    def routes(self) -> list[HubRoute]:
        """Every route with its scope."""
        return [
            HubRoute("GET", FLOWS, scopes.TRAFFIC, self._show),
            HubRoute("GET", f"{FLOWS}.json", scopes.TRAFFIC, self._show_json),
            HubRoute("GET", LAW, scopes.OVERVIEW, self._law),
        ]

    async def _show(self, request: Request, person: Person) -> Response:
        """`?client=&service=` one flow, `?system=` all of one system, without either all."""
        book = await asyncio.to_thread(book_of, self._parts)
        values = await asyncio.to_thread(self._values, request)
        return self._pages.render(
            request, person, "flows.html", words=words_for(request, book), register=book.register, most=_MOST_FLOWS,
            **values,
        )  # fmt: skip

    async def _show_json(self, request: Request, _: Person) -> Response:
        values = await asyncio.to_thread(self._values, request)
        return as_json({
            "since": values["since"], "until": values["until"],
            "flows": [
                {"client": flow.client, "service": flow.service, "calls": flow.calls, "failed": flow.failed,
                 "first": flow.first, "last": flow.last, "monthly": dict(flow.monthly)}
                for flow in values["flows"]
            ],
            "exchanges": [
                {"message": each.message, "log": each.log, "time": each.time} for each in values["exchanges"]
            ],
        })  # fmt: skip

    async def _law(self, request: Request, person: Person) -> Response:
        """Everything that rules measure by, and when makers' support ended."""
        book = await asyncio.to_thread(book_of, self._parts)
        law = current_law()
        return self._pages.render(
            request, person, "law.html", references=law.references, values=law.values(), act_title=act_title,
            in_force=in_force, areas=law.areas(book.today), today=book.today, stacks=stacks(),
        )  # fmt: skip

    def _values(self, request: Request) -> dict[str, Any]:
        client, service, system = (request.query_params.get(n, "")[:500] for n in ("client", "service", "system"))
        traffic, readable = traffic_of(self._parts)
        flows = [flow for flow in traffic.flows if _meant(flow.client, flow.service, client, service, system)]
        flows.sort(key=lambda flow: (-flow.calls, flow.client, flow.service))
        exchanges = self._exchanges(client, service) if service else []
        calls = sum(flow.calls for flow in flows)
        return {
            "client": client,
            "service": service,
            "system": system,
            "readable": readable,
            "since": traffic.since,
            "until": traffic.until,
            "days": traffic.days,
            "flows": flows[:_MOST_FLOWS],
            "calls": calls,
            "exchanges": exchanges[:_MOST_EXCHANGES],
            "delivered": len(exchanges),
            "files": self._files(),
            "log": self._log_of(system or client),
        }

    def _exchanges(self, client: str, service: str) -> list[Exchange]:
        """The newest exchanges of a flow that nodes delivered within a year."""
        now = self._parts.clock.now()
        try:
            viewer = Viewer(member=MemberId.parse(member_of(client))) if client else CENTRE
            found = self._parts.deliveries.traffic.exchanges(
                viewer, now - _YEAR, now + 1, limit=_LOOKED, service=service
            )
        except Error:
            return []
        return [each for each in found if client in {"", each.client}]

    def _files(self) -> list[HourFile]:
        try:
            return self._parts.flows.brought()
        except Error:
            return []

    def _log_of(self, system: str) -> int | None:
        """Until when the logs of a system's member were delivered (milliseconds); None for never."""
        if not system:
            return None
        member, deliveries = member_of(system), self._parts.deliveries
        times = []
        for held in deliveries.store.all_held():
            try:
                owner = deliveries.owner(held.origin)
            except Error:
                continue
            if owner is not None and str(owner.member) == member:
                times.append(held.recorded)
        return max(times, default=None)


def _meant(client: str, service: str, wanted_client: str, wanted_service: str, system: str) -> bool:
    if system:
        return system in {client, service.rpartition("/")[0]}
    return wanted_client in {"", client} and wanted_service in {"", service}


GROUP = PageGroup("flows", (), lambda parts, pages: FlowPages(parts, pages).routes())
