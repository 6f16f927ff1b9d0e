"""The traffic as recorded exchanges show it: totals by day, member and service, and down to the single exchange.

Every number here is counted from rows that nodes delivered and that follow from their witnessed logs.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from qaztech.core.errors import Error, Malformed, NotFound
from qaztech.core.ids import MemberId
from qaztech.hub import scopes
from qaztech.hub.summary import by_consumer, by_day, by_provider, by_service, whole
from qaztech.hub.traffic import CENTRE, DAY_BEGINS, Exchange, Total, Viewer
from qaztech.people.people import Person
from qaztech.web.hub_chart import day_chart
from qaztech.web.hub_pages import HubPages
from qaztech.web.hub_parts import HubParts, HubRoute, PageGroup
from qaztech.web.registry_pages import asked

TRAFFIC, EXCHANGES = "/console/traffic", "/console/exchanges"
PERIODS = (7, 30, 90)
_MOST_LINES = 200
_MOST_EXCHANGES = 100
_DAY = 86_400_000


class TrafficPages:
    """The handlers."""

    def __init__(self, parts: HubParts, pages: HubPages) -> None:
        self._parts = parts
        self._pages = pages

    def routes(self) -> list[HubRoute]:
        """Every route with its scope."""
        return [
            HubRoute("GET", TRAFFIC, scopes.TRAFFIC, self._totals),
            HubRoute("GET", EXCHANGES, scopes.TRAFFIC, self._exchanges),
            HubRoute("GET", f"{EXCHANGES}/{{message}}", scopes.TRAFFIC, self._exchange),
        ]

    async def _totals(self, request: Request, person: Person) -> Response:
        """`?days=` 7, 30 or 90; `?member=` and `?service=` narrow it."""
        days, (viewer, member), service = _days(request), _member(request), asked(request, "service")
        first, last = self._days(days)
        found = await asyncio.to_thread(self._counted, viewer, first, last, service)
        return self._pages.render(
            request, person, "traffic.html", days=days, periods=PERIODS, member=member, service=service,
            sum=whole(found), chart=day_chart(by_day(found, first, last)), services=by_service(found)[:_MOST_LINES],
            providers=by_provider(found)[:_MOST_LINES], consumers=by_consumer(found)[:_MOST_LINES],
            age=await asyncio.to_thread(self._age), most=_MOST_LINES,
        )  # fmt: skip

    async def _exchanges(self, request: Request, person: Person) -> Response:
        """The newest exchanges of the same choice as `_totals` counts."""
        days, (viewer, member), service = _days(request), _member(request), asked(request, "service")
        message = asked(request, "message").lower()
        first, last = self._days(days)
        since, until = _begin(first), _begin(last) + _DAY
        found = await asyncio.to_thread(self._chosen, viewer, since, until, service)
        return self._pages.render(
            request, person, "exchanges.html", days=days, periods=PERIODS, member=member, service=service,
            message=message, exchanges=found[:_MOST_EXCHANGES], most=_MOST_EXCHANGES,
        )  # fmt: skip

    async def _exchange(self, request: Request, person: Person) -> Response:
        """What every log says of one message."""
        message = request.path_params["message"][:64]
        rows = await asyncio.to_thread(self._parts.deliveries.traffic.of_message, message)
        if not rows:
            raise NotFound("exchange.unknown", "no delivered log holds such a message", at="caller")
        logs: dict[str, list[Any]] = {}
        for row in rows:
            logs.setdefault(row.log, []).append(row)
        owners = {log: owner_text(self._parts, log) for log in logs}
        findings = [
            k for k in await asyncio.to_thread(self._parts.deliveries.store.findings) if k.finding.message == message
        ]
        head = next((row for row in rows if row.kind == "request"), rows[0])
        return self._pages.render(
            request, person, "exchange.html", message=message, head=head, logs=logs, owners=owners, findings=findings,
            sides=[owner for owner in owners.values() if owner],
        )  # fmt: skip

    def _days(self, days: int) -> tuple[date, date]:
        last = datetime.fromtimestamp((self._parts.clock.now() + DAY_BEGINS) / 1000, UTC).date()
        return last - timedelta(days=days - 1), last

    def _counted(self, viewer: Viewer, first: date, last: date, service: str) -> list[Total]:
        found = self._parts.deliveries.traffic.totals(viewer, _begin(first), _begin(last) + _DAY)
        return [total for total in found if service in {"", total.service}]

    def _chosen(self, viewer: Viewer, since: int, until: int, service: str) -> list[Exchange]:
        return self._parts.deliveries.traffic.exchanges(
            viewer, since, until, limit=_MOST_EXCHANGES, service=service or None
        )

    def _age(self) -> int | None:
        """When the newest row that is held was recorded (milliseconds)."""
        return max((log.recorded for log in self._parts.deliveries.store.all_held()), default=None)


def owner_text(parts: HubParts, origin: str) -> str:
    """The member whose log it is, as text; empty where nobody has such a log."""
    try:
        owner = parts.deliveries.owner(origin) if origin else None
    except Error:
        return ""
    return "" if owner is None else str(owner.member)


def _days(request: Request) -> int:
    text = asked(request, "days") or str(PERIODS[0])
    if text not in {str(days) for days in PERIODS}:
        raise Malformed("form.malformed", "a period has 7, 30 or 90 days", at="caller")
    return int(text)


def _member(request: Request) -> tuple[Viewer, str]:
    text = asked(request, "member")
    return (Viewer(member=MemberId.parse(text)) if text else CENTRE), text


def _begin(day: date) -> int:
    """When a day begins in Kazakhstan (milliseconds)."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000 - DAY_BEGINS


GROUP = PageGroup("traffic", ((TRAFFIC, scopes.TRAFFIC),), lambda parts, pages: TrafficPages(parts, pages).routes())
