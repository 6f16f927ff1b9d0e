"""The ASGI shell: what every management API and page server of the project shares (RFC 9457, RFC 6750).

Errors become `application/problem+json` here and nowhere else; bodies over the limit are refused before they are read;
whatever is not one of our errors is an internal one, logged and not shown. Not for the data plane.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hmac
import ipaddress
import json
import logging
import os
import socket
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from time import monotonic
from typing import Any, TypeVar

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.convertors import IntegerConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qaztech.core.errors import Error, Forbidden, Internal, Limited, Malformed, NotFound, Unauthenticated, Unavailable
from qaztech.runtime.telemetry import Metrics, process_gauges

logger = logging.getLogger("qaztech.shell")

PROBLEM = "application/problem+json"
StructT = TypeVar("StructT", bound=msgspec.Struct)


class _Number(IntegerConvertor):
    """A number in a path (`{id:int}`) that databases and Python's own reading of numbers take: up to 15 digits."""

    regex = "[0-9]{1,15}"


register_url_convertor("int", _Number())


@dataclass(frozen=True, slots=True, kw_only=True)
class ShellLimits:
    """Limits of one server; all are settings. `larger` are paths whose bodies may have more bytes than others."""

    body: int = 2 * 1024 * 1024
    larger: Mapping[str, int] = field(default_factory=dict)
    header_bytes: int = 32 * 1024
    concurrency: int = 256
    keep_alive_seconds: int = 30
    drain_seconds: int = 10


def problem(error: Error, status: int | None = None) -> Response:
    """An error as people and programs may see it; its `context` stays here. `status`: another than its kind has."""
    status = error.status if status is None else status
    body = {
        "type": f"urn:qaztech:error:{error.code}",
        "title": (type(error).__doc__ or type(error).__name__).split(".")[0].split(":")[0],
        "status": status,
        "detail": error.detail,
        "code": error.code,
        "at": error.at,
    }
    headers = {"Cache-Control": "no-store"}
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    content = json.dumps(body, ensure_ascii=False)
    return Response(content, status_code=status, media_type=PROBLEM, headers=headers)


def application(
    routes: Sequence[BaseRoute],
    limits: ShellLimits | None = None,
    gauges: Callable[[], Mapping[str, float]] | None = None,
    counts: Callable[[], Mapping[str, float]] | None = None,
) -> ASGIApp:
    """An application of these routes, with limits in front of it and errors rendered behind it.

    It also answers `/metrics`, to programs on this machine: requests by route, `gauges`, and other `counts`.
    """
    metrics = Metrics()

    async def show_metrics(request: Request) -> Response:
        require_here(request)
        now = {**process_gauges(), **(gauges() if gauges is not None else {})}
        text = metrics.render(now, counts() if counts is not None else {})
        return Response(text, media_type="text/plain; version=0.0.4")

    # First: a server may have a route that takes whatever is left.
    every = [Route("/metrics", show_metrics), *routes]

    async def render_http(request: Request, exc: HTTPException) -> Response:
        return _refusal(exc, _methods(every, request) if exc.status_code == 405 else [])

    handlers: dict[Any, Any] = {Error: _render, HTTPException: render_http, Exception: _render_failure}
    return Shell(Starlette(routes=every, exception_handlers=handlers), limits or ShellLimits(), metrics)


class Shell:
    """Stands in front of an application: bodies within the limit, no guessing of content types; counts requests."""

    def __init__(self, app: ASGIApp, limits: ShellLimits, metrics: Metrics) -> None:
        self._app = app
        self._limits = limits
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        whole, began = False, monotonic()

        async def sending(message: Message) -> None:
            nonlocal whole
            if message["type"] == "http.response.start":
                self._count(scope, message["status"], monotonic() - began)
                message.setdefault("headers", []).append((b"x-content-type-options", b"nosniff"))
            whole = message["type"] == "http.response.body" and not message.get("more_body", False)
            await send(message)

        try:
            limited = _limited(receive, scope, self._limits.larger.get(scope["path"], self._limits.body))
        except Error as exc:
            await problem(exc)(scope, receive, sending)
            return
        try:
            await self._app(scope, limited, sending)
        except Exception:
            # Starlette answers for a failure and raises it again; it is logged, and told, already.
            if not whole:
                raise

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        """By route, never by path: a path holds what people ask for."""
        route = getattr(scope.get("route"), "path", "other")
        self._metrics.count(f'http_requests_total{{route="{route}",status="{status // 100}xx"}}')
        self._metrics.count(f'http_request_seconds_total{{route="{route}"}}', seconds)


async def _render(_: Request, exc: Exception) -> Response:
    error = exc if isinstance(exc, Error) else Internal("internal.failed", "this was our own fault")
    if error.status >= 500:
        logger.warning("request failed", extra={"fields": {"code": error.code, "context": error.context}})
    return problem(error)


def _refusal(exc: HTTPException, methods: Sequence[str]) -> Response:
    """Starlette's own refusals (no such route, wrong method), in our form."""
    detail = f"{exc.detail}"
    error = NotFound("request.no-route", detail) if exc.status_code == 404 else Malformed("request.refused", detail)
    response = problem(error, exc.status_code)
    response.headers.update(exc.headers or {})
    if methods:
        response.headers["Allow"] = ", ".join(methods)
    return response


def _methods(routes: Sequence[BaseRoute], request: Request) -> list[str]:
    """What a path may be asked: Starlette names the methods of one route only, and two may share a path."""
    matching = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    return sorted({method for route in matching for method in getattr(route, "methods", None) or ()})


async def _render_failure(_: Request, exc: Exception) -> Response:
    logger.error("request failed", exc_info=exc)
    return problem(Internal("internal.failed", "this was our own fault"))


def _limited(receive: Receive, scope: Scope, limit: int) -> Receive:
    for name, value in scope["headers"]:
        if name == b"content-length" and (not value.isdigit() or int(value) > limit):
            raise _too_large(limit)
    received = 0

    async def receiving() -> MutableMapping[str, Any]:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > limit:
            raise _too_large(limit)
        return message

    return receiving


def _too_large(limit: int) -> Limited:
    return Limited("request.too-large", f"a request has at most {limit} bytes", at="caller")


async def read_json(request: Request, kind: type[StructT]) -> StructT:
    """The request's body as this structure; raises `Malformed`."""
    try:
        return msgspec.json.decode(await request.body(), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise Malformed("request.malformed", f"not the JSON expected: {str(exc)[:200]}", at="caller") from exc


def require_operator(request: Request, token_hash: bytes) -> None:
    """Let in who is on this machine and shows the token with this SHA-256; raises otherwise."""
    require_here(request)
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(sha256(token.encode()).digest(), token_hash):
        raise Unauthenticated("operator.token", "a bearer token of this server's operator is needed", at="caller")


def require_here(request: Request) -> None:
    """Let in programs on this machine; raises `Forbidden`."""
    if request.client is None or not is_loopback(request.client.host):
        raise Forbidden("operator.remote", "this is told on this machine only", at="caller")


def is_loopback(host: str) -> bool:
    """Whether a peer's address is on this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def require_free(*places: tuple[str, int]) -> None:
    """Raise `Unavailable` where a process could not listen at one of these: before it opens or begins anything."""
    for host, port in places:
        try:
            for family, kind, number, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
                with socket.socket(family, kind, number) as tried:
                    tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    if family == socket.AF_INET6:
                        tried.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                    tried.bind(address)
        except OSError as exc:
            if exc.errno in {errno.EADDRINUSE, errno.EACCES}:  # whatever else it is, listening itself will tell
                raise _not_listening(host, port, os.strerror(exc.errno)) from exc


def _not_listening(host: str, port: int, why: str) -> Unavailable:
    return Unavailable("process.port-taken", f"cannot listen on {host}:{port}: {why}")


async def serve(app: ASGIApp, *, host: str, port: int, stop: asyncio.Event, limits: ShellLimits | None = None) -> None:
    """Serve an application in this process until told to stop; requests in progress are finished first.

    Raises `Unavailable` where it cannot listen there.
    """
    limits = limits or ShellLimits()
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        h11_max_incomplete_event_size=limits.header_bytes,
        limit_concurrency=limits.concurrency,
        timeout_keep_alive=limits.keep_alive_seconds,
        timeout_graceful_shutdown=limits.drain_seconds,
    )
    server = _Server(config)
    running = asyncio.create_task(server.serve())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    server.should_exit = True
    await running


class _Server(uvicorn.Server):
    """uvicorn without signal handlers: whoever runs the process has its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        """Leave signals alone."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen. Raises `Unavailable` where that is not possible; uvicorn would exit without saying why."""
        try:
            await super().startup(sockets)
        except SystemExit as exc:
            cause = exc.__context__
            why = os.strerror(cause.errno) if isinstance(cause, OSError) and cause.errno else "no reason known"
            raise _not_listening(self.config.host, self.config.port, why) from None
        logger.info("listening", extra={"fields": {"address": f"http://{self.config.host}:{self.config.port}"}})
