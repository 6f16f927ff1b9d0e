"""HTTP/1.1 for calling systems: an asyncio protocol over httptools that turns bytes into requests, in callbacks.

The data plane's own, not an ASGI server: no task per request, small bodies in one callback, one write for an answer.
Requests of a connection are answered in order. Whatever two readers could frame differently is refused before anyone
sees it (RFC 9112, sections 6 and 11); what the parser lets pass is checked here. No X-Road rules: see `rest`.
"""

from __future__ import annotations

import asyncio
import ssl as tls
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn, cast

import httptools

from qaztech.node.http_request import CONTINUE, Headers, Peer, Request, status_line

_METHODS = {
    name.encode(): name for name in ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE")
}  # fmt: skip
_FRAMING = frozenset({b"content-length", b"transfer-encoding", b"host", b"expect", b"upgrade", b"connection"})
_NEVER = float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """What callers may cost. Sizes in bytes, times in seconds, looked at once every `sweep`."""

    max_connections: int = 4096
    max_pipelined: int = 16
    max_target: int = 8 * 1024
    max_headers: int = 100
    max_header_bytes: int = 32 * 1024
    max_body: int | None = None
    # A body of this announced length or less is delivered whole; longer ones, and chunked ones, as a stream.
    buffered_body: int = 64 * 1024
    idle_timeout: float = 75.0
    header_timeout: float = 10.0
    body_timeout: float = 30.0
    write_timeout: float = 60.0
    linger: float = 2.0
    sweep: float = 1.0


class _RefusedError(Exception):
    """Raised inside parser callbacks to stop the parser; why stands in the connection."""


class _Connection(asyncio.Protocol):
    """One connection: parses, queues, hands over one request at a time. Nothing is handed over inside the parser."""

    transport: asyncio.Transport
    peer: Peer

    def __init__(self, server: HttpServer) -> None:
        self._server = server
        self._limits = server.limits
        self._parser = httptools.HttpRequestParser(self)
        self._queue: deque[Request] = deque()  # parsed, at least to the end of the head
        self._active: Request | None = None  # handed over, not yet answered
        self._reading: Request | None = None  # its body is being parsed
        self._target = b""
        self._headers: Headers = []
        self._body: list[bytes] = []
        self._body_left: int | None = None
        self._in_head = False
        self._head_bytes = 0
        self._may_be_large = False
        self._refusal: tuple[int, str] | None = None
        self._upgrade: bytes | None = None
        self._keeps = True
        self._is_deaf = False  # nothing more is parsed
        self._is_held = False  # reading is paused
        self._is_timed = False  # the deadline of this head or body is set
        self._is_pumping = False
        self._is_lingering = False
        self._is_closing = False
        self._deadline = _NEVER
        self.is_writable = True

    # --- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        name = transport.get_extra_info("peername") or ("", 0)
        address, port = name[:2] if isinstance(name, tuple) else ("", 0)
        ssl_object = transport.get_extra_info("ssl_object")
        certificate = ssl_object.getpeercert(binary_form=True) if ssl_object is not None else None
        self.peer = Peer(address, port, ssl_object is not None, certificate)
        self._deadline = self._server.now + self._limits.idle_timeout
        if not self._server.admit(self):
            self._refusal = (503, "too many connections")
            self._refuse()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._server.forget(self)
        self._is_deaf = True
        self._queue.clear()
        self._reading = None
        active, self._active = self._active, None
        if active is not None:
            active.broke_off()

    def eof_received(self) -> bool:
        """A caller may close its sending side and wait for the answer; not in the middle of a request."""
        self._is_deaf = self._is_closing = True
        waits = self._reading is None and not self._in_head and (self._active is not None or bool(self._queue))
        return waits and not self.peer.is_tls

    def pause_writing(self) -> None:
        self.is_writable = False
        self._deadline = self._server.now + self._limits.write_timeout

    def resume_writing(self) -> None:
        self.is_writable = True
        self._rest()
        if self._active is not None and self._active.on_drain is not None:
            self._active.on_drain()

    def data_received(self, data: bytes) -> None:
        if self._is_deaf:
            return
        self._may_be_large = self._is_timed or len(data) > self._limits.max_header_bytes
        self._feed(data)
        if self._active is None:
            if self._queue:
                self._pump()
        elif self._active.pending is not None:
            self._active.deliver()
        if self._reading is not None:
            self._time_body(self._reading)
        elif self._in_head:
            self._time_head(len(data))
        if self._queue and not self._is_held:
            self.hold()
        if self._refusal is not None:
            self._refuse()

    def _feed(self, data: bytes) -> None:
        while True:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as exc:
                # Nobody upgrades here (a server may ignore it: RFC 9110, 7.8), but the parser stops there. A new one
                # goes on behind a head that has the same framing and asks for nothing.
                data = data[exc.args[0] :]
                self._parser = httptools.HttpRequestParser(self)
                self._parser.feed_data(self._upgrade or b"")
                continue
            except httptools.HttpParserError:
                self._break(*(self._refusal or (400, "not well-formed")))
            return

    # --- the parser's side

    def on_url(self, data: bytes) -> None:
        self._in_head = True
        self._target += data
        if len(self._target) > self._limits.max_target:
            self._stop(414, "request target too long")

    def on_header(self, name: bytes, value: bytes) -> None:
        if value.endswith((b" ", b"\t")):
            value = value.rstrip(b" \t")
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        headers, self._headers = self._headers, []
        target, self._target = self._target, b""
        self._in_head = self._is_timed = False
        if self._upgrade is not None:
            self._upgrade = None
            return
        limits = self._limits
        if len(headers) > limits.max_headers:
            self._stop(431, "too many headers")
        if self._may_be_large and sum(len(n) + len(v) + 4 for n, v in headers) > limits.max_header_bytes:
            self._stop(431, "headers too large")
        self._keeps = self._parser.should_keep_alive()
        length, chunked, continues, upgrades = self._framing(headers)
        method = _METHODS.get(self._parser.get_method())
        if method is None:
            self._stop(501, "method not implemented")
        if len(self._queue) >= limits.max_pipelined:
            self._stop(503, "too many requests at once")
        request = Request(self, self.peer, method, target, headers, keep_alive=self._keeps)
        if upgrades and self._parser.should_upgrade():
            self._upgrade = _replay(length, chunked=chunked, keep_alive=request.keep_alive)
        if not chunked and not length:
            self._queue.append(request)
            return
        if limits.max_body is not None and length > limits.max_body:
            self._stop(413, "body too large")
        request.is_complete = False
        request.must_continue = continues
        self._reading = request
        if not chunked:
            request.content_length = length
        if chunked or length > limits.buffered_body:
            request.body = None
            request.pending = []
            self._body_left = limits.max_body
            self._queue.append(request)
        elif continues and self._active is None and not self._queue:
            self.send(CONTINUE)

    def on_body(self, data: bytes) -> None:
        request = self._reading
        if request is None:
            return
        if request.body is not None:
            self._body.append(data)
            return
        if self._body_left is not None:
            self._body_left -= len(data)
            if self._body_left < 0:
                self._stop(413, "body too large")
        if request.pending is not None:
            request.pending.append(data)

    def on_message_complete(self) -> None:
        if self._upgrade is not None:
            return
        self._headers = []  # trailers, which do not cross
        request, self._reading = self._reading, None
        if request is None:
            return
        self._is_timed = False
        request.is_complete = True
        if request.body is not None:
            request.body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
            self._body = []
            self._queue.append(request)

    def _framing(self, headers: Headers) -> tuple[int, bool, bool, bool]:
        """Length, whether chunked, whether the caller waits for 100, whether it asks for an upgrade."""
        length = hosts = 0
        chunked = continues = upgrades = False
        for name, value in headers:
            key = name.lower()
            if key not in _FRAMING:
                continue
            if key == b"host":
                hosts += 1
            elif key == b"content-length":
                length = int(value)  # the parser has refused signs, lists, doubles and overflow
            elif key == b"transfer-encoding":
                if chunked or value.lower() != b"chunked" or self.is_http10():
                    self._stop(501, "transfer coding not implemented")
                chunked = True
            elif key == b"expect":
                if value.lower() != b"100-continue":
                    self._stop(417, "expectation failed")
                continues = True
            elif key == b"upgrade":
                upgrades = True
            elif self.is_http10():
                self._keeps = False  # whatever Connection asks for
        # The parser lets 0.9 and 2.0 pass, headers and all.
        version = self._parser.get_http_version()
        if version not in {"1.0", "1.1"}:
            self._stop(505, "HTTP version not supported")
        if hosts != 1 and (hosts or version != "1.0"):
            self._stop(400, "one Host header is needed")
        return length, chunked, continues, upgrades

    def _stop(self, status: int, reason: str) -> NoReturn:
        self._refusal = (status, reason)
        raise _RefusedError(reason)

    # --- the requests' side

    def send(self, *parts: bytes) -> None:
        """Write these bytes, in order."""
        if len(parts) == 1:
            self.transport.write(parts[0])
        else:
            self.transport.writelines(parts)

    def must_close(self, request: Request) -> bool:
        """Whether the connection ends with the answer to this request."""
        return not request.keep_alive or not request.is_complete or (self._is_closing and not self._queue)

    def is_http10(self) -> bool:
        """Whether the caller speaks HTTP/1.0, which knows no chunks."""
        return self._parser.get_http_version() == "1.0"

    def answered(self, request: Request, *, close: bool) -> None:
        """The answer is complete: the next request, or rest, or the end."""
        self._active = None
        if close:
            self._end(linger=not request.is_complete)
        elif self._queue:
            self._pump()
        elif self._refusal is not None:
            self._refuse()
        elif self._is_held:
            self.release()
        else:
            self._rest()

    def cut(self) -> None:
        """End the connection at once, unsent bytes included."""
        self._active = None
        self._is_deaf = True
        self.transport.abort()

    def hold(self) -> None:
        """Stop reading."""
        if not self._is_held and not self.transport.is_closing():
            self._is_held = True
            self.transport.pause_reading()
        self._rest()

    def release(self) -> None:
        """Read again, if nothing else stands against it."""
        blocked = self._queue or (self._active is not None and self._active.is_paused)
        if self._is_held and not blocked and not self.transport.is_closing():
            self._is_held = False
            self.transport.resume_reading()
        self._rest()

    def _pump(self) -> None:
        if self._is_pumping:
            return
        self._is_pumping = True
        try:
            while self._queue and self._active is None and not self.transport.is_closing():
                request = self._queue.popleft()
                if request.pending is not None and request.is_complete:
                    self._join(request)
                self._active = request
                self._deadline = _NEVER
                self._server.on_request(request)
                if request.pending is not None:
                    request.deliver()
                request.go_on()
        finally:
            self._is_pumping = False
        if self._is_held:
            self.release()
        if self._refusal is not None:
            self._refuse()

    def _join(self, request: Request) -> None:
        """A chunked body that has come whole already, and is small, is no stream."""
        pending = request.pending or []
        if sum(map(len, pending)) <= self._limits.buffered_body:
            request.body, request.pending = b"".join(pending), None

    # --- ends and deadlines

    def _break(self, status: int, reason: str) -> None:
        """What arrived is not a request, or not the rest of one: what came before it is still answered."""
        self._is_deaf = True
        self._in_head = False
        self._refusal = (status, reason)
        request, self._reading = self._reading, None
        if request is None:
            return
        if request is self._active:
            self._active = None
            started = request.is_started
            request.broke_off()
            if started:
                self.transport.abort()
        elif request in self._queue:
            self._queue.remove(request)

    def _refuse(self) -> None:
        if self._active is not None or self._queue or self._refusal is None or self.transport.is_closing():
            return
        status, reason = self._refusal
        self._refusal = None
        body = f"{reason}\n".encode()
        self.send(
            status_line(status)
            + b"Content-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
            + body
        )
        self._end(linger=True)

    def _end(self, *, linger: bool) -> None:
        """Close when all is sent. Closing over unread bytes would reset the connection and lose the answer: linger."""
        self._is_deaf = True
        if linger and self.transport.can_write_eof():
            self._is_lingering = True
            self._deadline = self._server.now + self._limits.linger
            self.transport.write_eof()
            if self._is_held and not self.transport.is_closing():
                self._is_held = False
                self.transport.resume_reading()
        else:
            self.transport.close()

    def _rest(self) -> None:
        """The deadline that fits where the connection stands, when nothing new has arrived."""
        if self._is_lingering or not self.is_writable:
            return
        limits, now = self._limits, self._server.now
        if self._reading is not None and self._reading is self._active:
            self._deadline = _NEVER if self._reading.is_paused else now + limits.body_timeout
        elif self._active is not None or self._queue:
            self._deadline = _NEVER
        elif self._in_head or self._reading is not None:
            self._deadline = now + limits.header_timeout
        else:
            self._deadline = now + limits.idle_timeout

    def _time_head(self, received: int) -> None:
        if not self._is_timed:
            self._is_timed = True
            self._head_bytes = 0
            self._deadline = self._server.now + self._limits.header_timeout
            return
        self._head_bytes += received
        if self._head_bytes > self._limits.max_header_bytes + self._limits.max_target:
            self._break(431, "headers too large")

    def _time_body(self, request: Request) -> None:
        if request.body is None:
            if request is self._active:
                self._rest()
        elif not self._is_timed:
            self._is_timed = True
            self._deadline = self._server.now + self._limits.body_timeout

    def sweep(self, now: float) -> None:
        """End what has taken too long; called by the server now and then."""
        if now < self._deadline:
            return
        self._deadline = _NEVER
        if self._is_lingering or not self.is_writable:
            self.transport.abort()
        elif self._in_head or self._reading is not None:
            self._break(408, "too slow")
            self._refuse()
        else:
            self.transport.close()

    def drain(self) -> None:
        """Close now if nothing is under way, else after the answers that are."""
        self._is_closing = True
        if self._active is None and not self._queue and self._reading is None and not self._in_head:
            self.transport.close()


def _replay(length: int, *, chunked: bool, keep_alive: bool) -> bytes:
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % length
    end = b"" if keep_alive else b"\r\nConnection: close"
    return b"POST / HTTP/1.1\r\nHost: x\r\n" + framing + end + b"\r\n\r\n"


class HttpServer:
    """Listens and hands every request to `on_request`, which must not block; all on the loop's thread."""

    def __init__(self, *, on_request: Callable[[Request], None], limits: ServerLimits | None = None) -> None:
        self.on_request = on_request
        self.limits = limits or ServerLimits()
        self.now = 0.0  # never earlier than the present, so that no deadline comes early
        self._connections: set[_Connection] = set()
        self._listeners: list[asyncio.Server] = []
        self._timer: asyncio.TimerHandle | None = None
        self._empty: asyncio.Future[None] | None = None
        self._is_draining = False

    async def listen(self, host: str, port: int, *, ssl: tls.SSLContext | None = None) -> int:
        """Accept connections there; returns the port. May be called again for another address."""
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(
            lambda: _Connection(self),
            host,
            port,
            ssl=ssl,
            backlog=1024,
            ssl_handshake_timeout=self.limits.header_timeout if ssl is not None else None,
        )
        self._listeners.append(listener)
        if self._timer is None:
            self._sweep()
        return cast("int", listener.sockets[0].getsockname()[1])

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._connections)

    def admit(self, connection: _Connection) -> bool:
        """Count a connection; False when there are too many."""
        self._connections.add(connection)
        return len(self._connections) <= self.limits.max_connections

    def forget(self, connection: _Connection) -> None:
        """A connection has ended."""
        self._connections.discard(connection)
        if not self._connections and self._empty is not None and not self._empty.done():
            self._empty.set_result(None)

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        self.now = now + self.limits.sweep
        for connection in list(self._connections):
            connection.sweep(now)
        self._timer = loop.call_later(self.limits.sweep, self._sweep)

    async def drain(self, grace: float) -> bool:
        """Accept nothing more, answer what is under way, close; after `grace` seconds cut the rest (False then)."""
        for listener in self._listeners:
            listener.close()
        for connection in list(self._connections):
            connection.drain()
        if self._connections:
            self._empty = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._empty], timeout=grace)
        left = list(self._connections)
        for connection in left:
            connection.transport.abort()
        await asyncio.sleep(0)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for listener in self._listeners:
            await listener.wait_closed()
        self._listeners.clear()
        return not left
