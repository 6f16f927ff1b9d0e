"""The management API of a node: its state, its exchanges, receipts, its log as tiles, metrics, and an event stream.

Served by the node's own HTTP server, on an address of its own; loopback, or with a bearer token. Reading only, save for
`POST /reload`, `/witness-now` and `/timestamp`, which make the node do at once what it does anyway.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Protocol
from urllib.parse import parse_qs
from uuid import UUID

from qaztech.core.errors import Error, Forbidden, Internal, Malformed, NotFound, Unauthenticated
from qaztech.evidence.tiles import TiledLog, serve
from qaztech.evidence.witness import Witness
from qaztech.node.closed_logs import Receipts
from qaztech.node.events import Events
from qaztech.node.finding import Finder, Question
from qaztech.node.http_request import Request
from qaztech.node.incidents import Incidents

JSON = b"application/json; charset=utf-8"
COMMENT_EVERY = 10.0
MAX_WAIT = 120.0
logger = logging.getLogger("qaztech.management")
Handler = Callable[[Request, str, dict[str, list[str]]], Awaitable[None]]


class NodeView(Protocol):
    """What the API shows of the node and may ask of it."""

    def status(self) -> dict[str, Any]:
        """The state in one object."""
        ...

    def gauges(self) -> dict[str, float]:
        """Numbers for the metrics."""
        ...

    def render_metrics(self) -> bytes:
        """The Prometheus text."""
        ...

    async def reload(self) -> None:
        """Read settings and configuration again."""
        ...

    async def witness_now(self) -> dict[str, Any]:
        """Have the newest head witnessed at once."""
        ...

    async def timestamp_now(self) -> dict[str, Any]:
        """Have the newest witnessed checkpoint timestamped at once."""
        ...


@dataclass(frozen=True, slots=True)
class Route:
    """One route: what it is called by, and whether it needs the token where one is set."""

    method: str
    path: str
    protected: bool


class Management:
    """Answers the management requests of one node."""

    def __init__(
        self,
        *,
        node: NodeView,
        receipts: Receipts,
        finder: Finder,
        events: Events,
        incidents: Incidents,
        log: TiledLog,
        witness: Witness | None,
        token_hash: bytes,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._node = node
        self._receipts = receipts
        self._finder = finder
        self._events = events
        self._incidents = incidents
        self._log = log
        self._witness = witness
        self._token_hash = token_hash
        self._loop = loop
        self._tasks: set[asyncio.Task[None]] = set()
        self._handlers: dict[tuple[str, str], tuple[bool, Handler]] = {
            ("GET", "/health"): (False, self._health),
            ("GET", "/ready"): (False, self._ready),
            ("GET", "/metrics"): (False, self._metrics),
            ("GET", "/status"): (False, self._status),
            ("GET", "/log/"): (False, self._tiles),
            ("GET", "/events"): (True, self._watch),
            ("GET", "/exchanges"): (True, self._exchanges),
            ("GET", "/exchanges/search"): (True, self._search),
            ("GET", "/exchanges/"): (True, self._outcome),
            ("GET", "/receipts/"): (True, self._receipt),
            ("GET", "/incidents"): (True, self._list_incidents),
            ("POST", "/reload"): (True, self._reload),
            ("POST", "/witness-now"): (True, self._witness_now),
            ("POST", "/timestamp"): (True, self._timestamp),
            ("POST", "/witness/add-checkpoint"): (False, self._add_checkpoint),
            ("GET", "/witness/"): (False, self._seen_checkpoint),
        }

    def routes(self) -> list[Route]:
        """Every route, for the authorisation matrix."""
        return [Route(method, path, protected) for (method, path), (protected, _) in self._handlers.items()]

    def on_request(self, request: Request) -> None:
        """Every management request comes here."""
        task = self._loop.create_task(self._answer(request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, request: Request) -> None:
        try:
            path, _, query = request.target.decode("ascii", "replace").partition("?")
            protected, handler, rest = self._find(request.method, path)
            if protected:
                self._authenticate(request)
            if request.body is None:
                raise Malformed("request.malformed", "a management request has a small body or none")
            await handler(request, rest, parse_qs(query, max_num_fields=20))
        except Error as exc:
            _problem(request, exc)
        except ValueError as exc:
            _problem(request, Malformed("request.malformed", str(exc)[:200]))
        except Exception:  # the shell of this API: whatever failed, the caller gets an answer
            logger.exception("a management request failed")
            _problem(request, Internal("internal.failed", "the node failed to answer; its log says why"))

    def _authenticate(self, request: Request) -> None:
        if self._token_hash:
            if not _has_token(request, self._token_hash):
                raise Unauthenticated("management.unauthenticated", "this needs the node's management token")
        elif not request.is_local:
            raise Forbidden("management.remote", "without a token only programs on the node's own machine may ask this")

    def _find(self, method: str, path: str) -> tuple[bool, Handler, str]:
        exact = self._handlers.get((method, path))
        if exact is not None:
            return *exact, ""
        for (known, prefix), (protected, handler) in self._handlers.items():
            if prefix.endswith("/") and known == method and path.startswith(prefix):
                return protected, handler, path.removeprefix(prefix)
        raise NotFound("route.unknown", "the management API has no such route")

    # Handlers: (request, what follows the route's prefix, query) ------------------------------------------------

    async def _health(self, request: Request, _: str, __: dict[str, list[str]]) -> None:
        _json(request, {"alive": True})

    async def _ready(self, request: Request, _: str, __: dict[str, list[str]]) -> None:
        status = self._node.status()
        _json(request, {"ready": status["ready"], "reasons": status["reasons"]}, 200 if status["ready"] else 503)

    async def _metrics(self, request: Request, _: str, __: dict[str, list[str]]) -> None:
        request.respond(200, [(b"Content-Type", b"text/plain; version=0.0.4")], self._node.render_metrics())

    async def _status(self, request: Request, _: str, __: dict[str, list[str]]) -> None:
        _json(request, self._node.status())

    async def _exchanges(self, request: Request, _: str, query: dict[str, list[str]]) -> None:
        limit = max(1, min(500, int(query.get("limit", ["50"])[0])))
        _json(request, [finished._asdict() for finished in list(self._events.recent)[-limit:][::-1]])

    async def _search(self, request: Request, _: str, query: dict[str, list[str]]) -> None:
        _json(request, await asyncio.to_thread(self._finder.find, Question.of(query)))

    async def _outcome(self, request: Request, rest: str, _: dict[str, list[str]]) -> None:
        _json(request, await self._receipts.outcome(_message(rest), None))

    async def _receipt(self, request: Request, rest: str, query: dict[str, list[str]]) -> None:
        receipt = await self._receipts.make(
            _message(rest),
            wait=query.get("wait", [""])[0],
            seconds=min(MAX_WAIT, float(query.get("seconds", ["60"])[0])),
            disclose=query.get("disclose", []),
        )
        _json(request, receipt)

    async def _list_incidents(self, request: Request, _: str, __: dict[str, list[str]]) -> None:
        _json(request, list(self._incidents.recent)[::-1])

    async def _tiles(self, request: Request, rest: str, _: dict[str, list[str]]) -> None:
        served = serve(self._log, rest)
        if served is None:
            raise NotFound("log.no-tile", "the log has no such tile", at="log")
        content_type, data = served
        request.respond(200, [(b"Content-Type", content_type.encode())], data)

    async def _reload(self, request: Request, _: str, __: dict[str, list[str]]) -> None:
        await self._node.reload()
        _json(request, {"reloaded": True})

    async def _witness_now(self, request: Request, _: str, __: dict[str, list[str]]) -> None:
        _json(request, await self._node.witness_now())

    async def _timestamp(self, request: Request, _: str, __: dict[str, list[str]]) -> None:
        _json(request, await self._node.timestamp_now())

    async def _add_checkpoint(self, request: Request, _: str, __: dict[str, list[str]]) -> None:
        if self._witness is None:
            raise NotFound("route.unknown", "this node is not a witness")
        answer = await self._loop.run_in_executor(None, self._witness.add_checkpoint, request.body or b"")
        request.respond(answer.status, [(b"Content-Type", answer.content_type.encode())], answer.body)

    async def _seen_checkpoint(self, request: Request, rest: str, _: dict[str, list[str]]) -> None:
        if self._witness is None:
            raise NotFound("route.unknown", "this node is not a witness")
        answer = await self._loop.run_in_executor(None, self._witness.checkpoint, rest)
        request.respond(answer.status, [(b"Content-Type", answer.content_type.encode())], answer.body)

    async def _watch(self, request: Request, _: str, __: dict[str, list[str]]) -> None:
        headers = [(b"Content-Type", b"text/event-stream"), (b"Cache-Control", b"no-store")]
        gone = self._loop.create_future()

        def ended() -> None:
            if not gone.done():
                gone.set_result(None)

        def tell(text: bytes) -> None:
            if request.is_writable:
                request.write(text)

        request.on_disconnect = ended
        request.start(200, headers)
        request.write(b": here\n\n")
        stop = self._events.watch(tell)
        try:
            while not gone.done():
                await asyncio.wait([gone], timeout=COMMENT_EVERY)
                tell(b": still here\n\n")
        finally:
            stop()

    def close(self) -> None:
        """End what is still waiting (watchers, receipts)."""
        for task in self._tasks:
            task.cancel()


def _message(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as exc:
        raise NotFound("exchange.unknown", "that is not a message id", at="caller") from exc


def _has_token(request: Request, token_hash: bytes) -> bool:
    for name, value in request.headers:
        if name.lower() == b"authorization" and value[:7].lower() == b"bearer ":
            return hmac.compare_digest(sha256(value[7:].strip()).digest(), token_hash)
    return False


def _json(request: Request, value: object, status: int = 200) -> None:
    body = json.dumps(value, ensure_ascii=False).encode()
    request.respond(status, [(b"Content-Type", JSON), (b"Cache-Control", b"no-store")], body)


def _problem(request: Request, error: Error) -> None:
    """The error as problem+json (RFC 9457)."""
    body = {
        "type": f"urn:qaztech:error:{error.code}",
        "title": error.detail,
        "status": error.status,
        "code": error.code,
        "at": error.at,
    }
    headers = [(b"Content-Type", b"application/problem+json")]
    if error.retry_after is not None:
        headers.append((b"Retry-After", str(error.retry_after).encode()))
    request.respond(error.status, headers, json.dumps(body, ensure_ascii=False).encode())
