"""The page of what the centre knows of us: calls we made, calls of our services, what does not add up in our logs."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from qaztech.core.errors import Error, Malformed
from qaztech.core.ids import MemberId
from qaztech.hub.summary import Sum, by_day, by_service, member_of, whole
from qaztech.hub.traffic import DAY_BEGINS, Total
from qaztech.member.centre import Centre, Known
from qaztech.people.people import Person
from qaztech.web.hub_chart import day_chart
from qaztech.web.member_parts import PageRoute, Parts, off_loop

CENTRE = "/console/centre"
PERIODS = (7, 30, 90)
_DAY = 86_400_000
_SHOWN = 50


class CentrePages:
    """The handler."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def routes(self) -> list[PageRoute]:
        """Every route with its scope."""
        return [PageRoute("GET", CENTRE, "exchanges:read", self._show)]

    async def _show(self, request: Request, person: Person) -> Response:
        """`?days=` 7, 30 or 90."""
        days, centre = _days(request), self._parts.console.centre
        first, last = self._period(days)
        known, problem = None, None
        if centre is not None:
            try:
                known = await off_loop(lambda: _ask(centre, first, last))
            except Error as exc:
                if exc.status < 500:
                    raise
                problem = exc
        own = self._parts.console.work.file().member
        totals = [] if known is None else [Total(**msgspec.structs.asdict(each)) for each in known.totals]
        return self._parts.pages.render(
            request, "centre.html", person, centre=centre, known=known, days=days, periods=PERIODS,
            problem=None if problem is None else self._parts.pages.words(request, problem),
            sum=whole(totals), chart=day_chart(by_day(totals, first, last)),
            provided=_of(totals, own, provided=True), called=_of(totals, own, provided=False), shown=_SHOWN,
        )  # fmt: skip

    def _period(self, days: int) -> tuple[date, date]:
        last = datetime.fromtimestamp((self._parts.console.clock.now() + DAY_BEGINS) / 1000, UTC).date()
        return last - timedelta(days=days - 1), last


def _ask(centre: Centre, first: date, last: date) -> Known:
    since, until = (int(datetime(d.year, d.month, d.day, tzinfo=UTC).timestamp()) * 1000 for d in (first, last))
    return centre.known(since - DAY_BEGINS, until - DAY_BEGINS + _DAY)


def _of(totals: list[Total], own: MemberId, *, provided: bool) -> list[Sum]:
    """By service: of our own services, or of those that we called."""
    member = str(own)
    return by_service(total for total in totals if member_of(total.service if provided else total.client) == member)


def _days(request: Request) -> int:
    text = request.query_params.get("days", str(PERIODS[0]))
    if text not in {str(days) for days in PERIODS}:
        raise Malformed("form.malformed", "a period has 7, 30 or 90 days", at="caller")
    return int(text)
