"""The centre's service for operational data: nodes deliver to it by exchanges, members ask it for what is theirs.

It stands behind its own node like any provider's system and answers this machine only: who calls is what that node
says, for it has verified it. Taking deliveries is `receiving`'s, taking signals of identity providers `signals`'.
"""

from __future__ import annotations

import asyncio
import logging
from base64 import b64encode
from collections.abc import Awaitable, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from qaztech.core.errors import Error, Malformed, NotFound, Unavailable
from qaztech.hub.delivery import HeldLog
from qaztech.hub.receiving import Deliveries, HubLimits
from qaztech.hub.signals import MOST_BYTES, Signals, SignalsFrom
from qaztech.hub.store import KeptFinding
from qaztech.hub.traffic import Viewer
from qaztech.runtime.behind_node import calling_system, require_node, short_body
from qaztech.runtime.shell import ShellLimits, application
from qaztech.runtime.telemetry import log_error

logger = logging.getLogger("qaztech.hub.operational")
# Days of which a member may ask at once, and exchanges it is shown.
MOST_DAYS: Final = 366
MOST_SHOWN: Final = 1000
_DAY: Final = 86_400_000


def hub_app(
    deliveries: Deliveries,
    *,
    limits: HubLimits | None = None,
    signals: Signals | None = None,
    beside: Sequence[BaseRoute] = (),
) -> ASGIApp:
    """The service: `POST /deliveries`, `GET` of `/held`, `/totals`, `/exchanges`, `/findings`; health and metrics.

    With `signals` also `POST /signals`. `beside` are routes of other services in the same process.
    """

    async def deliver(request: Request) -> Response:
        return _held(await deliveries.receive(calling_system(request), request.stream()))

    async def signal(request: Request) -> Response:
        sender = calling_system(request)
        if signals is None:
            raise NotFound("signals.none", "this centre takes no signals", at="service")
        signals.check_sender(sender)
        origin = SignalsFrom(sender=sender, message=request.headers.get("x-road-request-id", ""))
        body = await short_body(request, MOST_BYTES)
        taken = await asyncio.to_thread(signals.take, origin, body)
        return Response(msgspec.json.encode(taken), media_type="application/json")

    async def held(request: Request) -> Response:
        sender, origin = calling_system(request), request.query_params.get("origin", "")
        return _held(await asyncio.to_thread(deliveries.held, sender, origin))

    async def totals(request: Request) -> Response:
        viewer, (since, until) = Viewer(member=calling_system(request).member), _period(request)
        found = await asyncio.to_thread(deliveries.traffic.totals, viewer, since, until)
        return JSONResponse([total._asdict() for total in found])

    async def exchanges(request: Request) -> Response:
        viewer, (since, until) = Viewer(member=calling_system(request).member), _period(request)
        found = await asyncio.to_thread(deliveries.traffic.exchanges, viewer, since, until, limit=MOST_SHOWN)
        return JSONResponse([exchange._asdict() | {"leaf": exchange.leaf.hex()} for exchange in found])

    async def findings(request: Request) -> Response:
        found = await asyncio.to_thread(deliveries.findings_of, calling_system(request).member)
        return JSONResponse([_finding(kept) for kept in found])

    async def health(_: Request) -> Response:
        await asyncio.to_thread(deliveries.store.check)
        return JSONResponse({"alive": True})

    async def metrics(request: Request) -> Response:
        require_node(request)
        text = await asyncio.to_thread(deliveries.render_metrics)
        return Response(text, media_type="text/plain; version=0.0.4")

    return application(
        [
            Route("/deliveries", deliver, methods=["POST"]),
            Route("/signals", signal, methods=["POST"]),
            Route("/held", held),
            Route("/totals", totals),
            Route("/exchanges", exchanges),
            Route("/findings", findings),
            Route("/health", health),
            Route("/metrics", metrics),
            *beside,
        ],
        ShellLimits(body=(limits or HubLimits()).body),
    )


async def keep_checking(deliveries: Deliveries, every_seconds: float) -> None:
    """Compare new rows with the counterparties' for ever, every so many seconds."""
    while True:
        await asyncio.sleep(every_seconds)
        await _surely(deliveries.cross_check(), "not cross-checked")


async def keep_compacting(deliveries: Deliveries, every_seconds: float) -> None:
    """Put the files of past days together for ever, every so many seconds."""
    while True:
        await asyncio.sleep(every_seconds)
        await _surely(deliveries.compact(), "past days were not put together")


async def _surely(work: Awaitable[object], event: str) -> None:
    """Do something that is done again later; a failure is told and ends nothing."""
    try:
        await work
    except Error as exc:
        log_error(logger, event, exc)
    except (SQLAlchemyError, OSError) as exc:
        log_error(logger, event, Unavailable("operational.store", "the store does not answer", context=repr(exc)))


def _period(request: Request) -> tuple[int, int]:
    since, until = _moment(request, "since"), _moment(request, "until")
    if not 0 <= until - since <= MOST_DAYS * _DAY:
        raise Malformed("operational.period", f"a period ends after it begins, and has at most {MOST_DAYS} days")
    return since, until


def _moment(request: Request, name: str) -> int:
    text = request.query_params.get(name, "")
    if not text.isascii() or not text.isdecimal() or len(text) > 15:
        raise Malformed("operational.period", f"{name} is a time in milliseconds since 1970", at="caller")
    return int(text)


def _held(log: HeldLog) -> Response:
    return JSONResponse({"origin": log.origin, "size": log.size, "root": b64encode(log.root).decode()})


def _finding(kept: KeptFinding) -> dict[str, Any]:
    finding = kept.finding
    names = ("code", "level", "origin", "other", "message", "place", "detail")
    return {name: getattr(finding, name) for name in names} | {"found": kept.found}
