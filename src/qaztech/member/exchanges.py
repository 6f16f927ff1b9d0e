"""Requests for access as exchanges: the desk's side, which the member's node calls, and calls to other members' desks.

Nobody signs in here. A node knows the desk by an unguessable path and says who calls in which message, which both nodes
have on record; so this listens on the node's own machine, or behind https.
"""

from __future__ import annotations

import asyncio
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Protocol
from urllib.parse import urlsplit

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from qaztech.core.errors import Error, Malformed, NotFound, Unavailable
from qaztech.core.exchange import ACCESS_REQUESTS
from qaztech.core.ids import ServiceId, SubsystemId
from qaztech.member.access import MAX_REQUEST, MAX_STANDING, Standing
from qaztech.registry.forms import SHA256_HEX
from qaztech.runtime.shell import ShellLimits, application

# The node says by this header which lineage it knows the client's member by.
LINEAGE = "QazTech-Client-Lineage"
JSON = "application/json"
_MESSAGE = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
Answers = Mapping[bytes, "Desk"]


class Desk(Protocol):
    """What is asked of a member's desk by exchange (`requests.AccessRequests`)."""

    def receive(self, body: bytes, call: CarriedCall) -> Standing:
        """A request for access."""
        ...

    def standing(self, id_: str, call: CarriedCall) -> Standing:
        """How a request stands."""
        ...

    def withdrawn(self, id_: str, call: CarriedCall) -> Standing:
        """Its maker no longer wants it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedCall:
    """What the node says of a call: the client, its member's lineage, the message, and the subsystem called."""

    client: SubsystemId
    lineage: str
    message: str
    called: SubsystemId

    @classmethod
    def of(cls, request: Request) -> CarriedCall:
        """From the headers a node sends; raises `Malformed`."""
        headers = request.headers
        try:
            called = ServiceId.parse(headers["x-road-service"])
            client = SubsystemId.parse(headers["x-road-client"])
            found = cls(
                client=client,
                lineage=headers[LINEAGE],
                message=headers["x-road-request-id"],
                called=called.subsystem,
            )
        except (KeyError, Error) as exc:
            raise Malformed("access.carried", "this is not called as a node calls it", at="caller") from exc
        if called.code != ACCESS_REQUESTS or not _MESSAGE.match(found.message) or not SHA256_HEX.match(found.lineage):
            raise Malformed("access.carried", "this is not called as a node calls it", at="caller")
        return found


def desk_exchange_routes(desks: Answers) -> list[Route]:
    """The routes a node's `desk` setting leads to: `/exchanges/<secret>…`. `desks` are by the SHA-256 of the secret."""

    def desk_of(request: Request) -> Desk:
        given = sha256(request.path_params["secret"].encode()).digest()
        found = [desk for known, desk in desks.items() if hmac.compare_digest(known, given)]
        if not found:
            raise NotFound("request.no-route", "there is nothing here", at="caller")
        return found[0]

    async def receive(request: Request) -> Response:
        desk, body = desk_of(request), await request.body()
        return await _answer(lambda: desk.receive(body, CarriedCall.of(request)), 201)

    async def standing(request: Request) -> Response:
        desk, id_ = desk_of(request), request.path_params["id"]
        return await _answer(lambda: desk.standing(id_, CarriedCall.of(request)))

    async def withdraw(request: Request) -> Response:
        desk, id_ = desk_of(request), request.path_params["id"]
        return await _answer(lambda: desk.withdrawn(id_, CarriedCall.of(request)))

    return [
        Route("/exchanges/{secret}", receive, methods=["POST"]),
        Route("/exchanges/{secret}/{id}", standing),
        Route("/exchanges/{secret}/{id}/withdrawal", withdraw, methods=["POST"]),
    ]


def desk_exchange_app(desks: Answers) -> ASGIApp:
    """Those routes as an application of their own, where the console does not serve them itself."""
    return application(desk_exchange_routes(desks), ShellLimits(body=MAX_REQUEST))


async def _answer(act: Callable[[], Standing], status: int = 200) -> Response:
    standing = await asyncio.to_thread(act)
    return Response(msgspec.json.encode(standing), status, {"Cache-Control": "no-store"}, JSON)


# The consumer's side -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeAnswer:
    """What came back through the own node: `fault` is X-Road's code where a node answered, not the desk."""

    status: int
    body: bytes
    message: str | None
    fault: str | None


class EdgeCaller:
    """Calls other members' desks through the edge of the own node, as one of the own subsystems."""

    def __init__(self, edge: str, *, token: str = "", seconds: float = 70.0) -> None:
        parts = urlsplit(edge)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise Malformed("access.edge", "the edge of the own node is an http(s) address")
        self._parts = parts
        self._token = token
        self._seconds = seconds

    def call(self, method: str, provider: SubsystemId, path: str, client: SubsystemId, body: bytes = b"") -> EdgeAnswer:
        """One call of `accessRequests` at a provider's subsystem. Raises `Unavailable` where no node answers."""
        kind = HTTPSConnection if self._parts.scheme == "https" else HTTPConnection
        connection = kind(self._parts.hostname or "", self._parts.port, timeout=self._seconds)
        headers = {"X-Road-Client": str(client), "Accept": JSON}
        if method == "POST":
            headers["Content-Type"] = JSON
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        target = f"/r1/{provider}/{ACCESS_REQUESTS}{path}"
        try:
            connection.request(method, target, body or None, headers)
            answer = connection.getresponse()
            data = answer.read(MAX_STANDING + 1)
        except (OSError, HTTPException) as exc:
            raise Unavailable("access.no-edge", "the own node does not answer", context=repr(exc)) from exc
        finally:
            connection.close()
        return EdgeAnswer(
            status=answer.status,
            body=data,
            message=answer.getheader("x-road-request-id"),
            fault=answer.getheader("x-road-error"),
        )
