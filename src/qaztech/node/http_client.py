"""HTTP/1.1 to a provider's system: pooled connections to one base URL, in callbacks, over httptools.

No task per request, one write for a small request, one callback for a small answer. A request is written at most once,
with one exception: an idempotent one whose pooled connection turned out to be closed, before a byte of an answer. An
answer that two readers could frame differently is an error. Redirects are answers like any other.
"""

from __future__ import annotations

import asyncio
import select
import ssl as tls
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn, cast
from urllib.parse import urlsplit

import httptools

from qaztech.core.errors import Error, Limited, Malformed
from qaztech.node.http_call import Call, Headers, Response, closed, malformed, timed_out, unreachable

_IDEMPOTENT = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PUT", "TRACE"})
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_NEVER = float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientLimits:
    """What a provider's system may cost. Sizes in bytes, times in seconds, looked at once every `sweep`."""

    max_connections: int = 64
    max_queue: int = 1024
    max_headers: int = 100
    max_header_bytes: int = 32 * 1024
    # A body of this announced length or less is delivered whole; longer ones, and those of no length, as a stream.
    buffered_body: int = 64 * 1024
    connect_timeout: float = 5.0
    first_byte_timeout: float = 30.0
    read_timeout: float = 30.0
    write_timeout: float = 30.0
    total_timeout: float = 3600.0
    idle_timeout: float = 60.0
    sweep: float = 1.0


@dataclass(frozen=True, slots=True)
class BaseUrl:
    """Where a provider's system is."""

    host: str
    port: int
    is_tls: bool
    path: bytes

    @classmethod
    def parse(cls, url: str) -> BaseUrl:
        """From `http[s]://host[:port][/path]`; raises `Malformed`."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
            (host or "").encode("idna")
        except ValueError as exc:
            raise Malformed("service.bad-url", f"not a service address: {url[:80]!r}", at="service") from exc
        plain = url.isascii() and url.isprintable() and " " not in url
        if parts.scheme not in {"http", "https"} or not host or not plain or parts.query or parts.fragment:
            raise Malformed("service.bad-url", f"not a service address: {url[:80]!r}", at="service")
        if parts.username is not None or parts.password is not None:
            raise Malformed("service.bad-url", "a service address holds no credentials", at="service")
        is_tls = parts.scheme == "https"
        return cls(host, port or (443 if is_tls else 80), is_tls, parts.path.encode())

    @property
    def host_header(self) -> bytes:
        """The value of Host."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = 443 if self.is_tls else 80
        return (host if self.port == default else f"{host}:{self.port}").encode()


class _RefusedError(Exception):
    """Raised inside parser callbacks to stop the parser; why stands in the connection."""


class _Connection(asyncio.Protocol):
    """One connection: at most one call at a time, kept when both sides are done with a clean answer."""

    transport: asyncio.Transport

    def __init__(self, client: HttpClient) -> None:
        self._client = client
        self._limits = client.limits
        self._parser = httptools.HttpResponseParser(self)
        self._poll: select.poll | None = None
        self.call: Call | None = None
        self._response: Response | None = None
        self._headers: Headers = []
        self._body: list[bytes] = []
        self._received = 0  # bytes of the head so far, where it comes in pieces
        self._may_be_large = False
        self._reason = ""
        self._is_reused = False
        self._is_interim = False
        self._is_headless = True  # no byte of the answer has come
        self._keeps = False
        self._ends_with_close = False
        self._is_held = False
        self._is_lost = False
        self.is_writable = True
        self.idle_since = 0.0

    # --- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def pause_writing(self) -> None:
        self.is_writable = False
        if self.call is not None and not self.call.is_sent:
            self.call.deadline = self._client.now + self._limits.write_timeout

    def resume_writing(self) -> None:
        self.is_writable = True
        call = self.call
        if call is not None and not call.is_sent:
            call.deadline = _NEVER
            if call.on_drain is not None:
                call.on_drain()

    def eof_received(self) -> bool:
        if self.call is None:
            self._client.retire(self)
        if self._ends_with_close and self._response is not None and self.call is not None:
            self._complete(self._response)
            self._hand_over(self._response)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_lost = True
        self._client.forget(self)
        call, self.call = self.call, None
        if call is None:
            return
        if self._is_reused and self._is_headless and self._client.try_again(call):
            return
        self._fail(call, closed(str(exc or "")))

    def data_received(self, data: bytes) -> None:
        call = self.call
        if call is None:
            self._client.retire(self)
            self.transport.abort()
            return
        self._may_be_large = bool(self._received) or len(data) > self._limits.max_header_bytes
        self._is_headless = False
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as exc:
            self._break(call, self._reason or str(exc))
            return
        response = self._response
        if response is None:
            if self.call is call:
                self._received += len(data)
                if self._received > self._limits.max_header_bytes:
                    self._break(call, "headers too large")
            return
        if not response.is_complete and self.call is call:
            call.deadline = _NEVER if response.is_paused else self._client.now + self._limits.read_timeout
        self._hand_over(response)

    # --- the parser's side

    def on_header(self, name: bytes, value: bytes) -> None:
        if value.endswith((b" ", b"\t")):
            value = value.rstrip(b" \t")
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        headers, self._headers = self._headers, []
        parser = self._parser
        status = parser.get_status_code()
        call = self.call
        if call is None or self._response is not None:
            self._stop("more than one answer")
        if status < 200:
            if status == 101:
                self._stop("switches protocols")
            self._is_interim = True
            return
        if status > 599:
            self._stop("no such status")
        if len(headers) > self._limits.max_headers:
            self._stop("too many headers")
        if self._may_be_large and sum(len(n) + len(v) + 4 for n, v in headers) > self._limits.max_header_bytes:
            self._stop("headers too large")
        response = Response(call, status, headers)
        length, chunked = self._framing(headers)
        self._keeps = parser.should_keep_alive()
        self._response = response
        if call.method == "HEAD" or status in {204, 304}:
            response.content_length = length
            if call.method == "HEAD":
                # The parser would wait for a body; a new one takes over behind this answer.
                self._parser = httptools.HttpResponseParser(self)
                self._complete(response)
            return
        if length is not None:
            response.content_length = length
            if length <= self._limits.buffered_body:
                return
        elif not chunked:
            self._keeps = False
            self._ends_with_close = True
        response.body = None
        response.pending = []

    def on_body(self, data: bytes) -> None:
        response = self._response
        if response is None or response.is_complete:
            self._stop("body where there is none")
        if response.pending is None:
            self._body.append(data)
        else:
            response.pending.append(data)

    def on_message_complete(self) -> None:
        if self._is_interim:
            self._is_interim = False
            return
        self._headers = []  # trailers, which do not cross
        response = self._response
        if response is not None and not response.is_complete:
            self._complete(response)

    def _framing(self, headers: Headers) -> tuple[int | None, bool]:
        length: int | None = None
        chunked = False
        for name, value in headers:
            if len(name) == 14 and name.lower() == b"content-length":
                length = int(value)  # the parser has refused signs, lists, doubles and overflow
            elif len(name) == 17 and name.lower() == b"transfer-encoding":
                if chunked or value.lower() != b"chunked" or self._parser.get_http_version() != "1.1":
                    self._stop("a transfer coding other than chunked")
                chunked = True
        return length, chunked

    def _stop(self, reason: str) -> NoReturn:
        self._reason = reason
        raise _RefusedError(reason)

    # --- the call's side

    def begin(self, call: Call, *, is_reused: bool) -> None:
        """Write a request."""
        self.call = call
        call.carrier = self
        self._response = None
        self._is_reused = is_reused
        self._is_headless = True
        self._received = 0
        call.deadline = self._client.now + call.timeout if call.is_sent else _NEVER
        self.transport.write(call.head)
        if not call.is_sent:
            call.begun(self)

    def is_stale(self) -> bool:
        """Whether an idle connection has something to say, which can only be its end."""
        if self._is_lost or self.transport.is_closing():
            return True
        if self._poll is None:
            sock = self.transport.get_extra_info("socket")
            self._poll = select.poll()
            self._poll.register(sock.fileno(), select.POLLIN | select.POLLRDHUP)
        return bool(self._poll.poll(0))

    def send(self, *parts: bytes) -> None:
        """Write these bytes, in order."""
        if len(parts) == 1:
            self.transport.write(parts[0])
        else:
            self.transport.writelines(parts)

    def sent(self) -> None:
        """The request is complete: now the answer is awaited."""
        if self.call is not None and self._response is None:
            self.call.deadline = self._client.now + self.call.timeout

    def cut(self) -> None:
        """End the connection at once."""
        self.call = None
        self.transport.abort()

    def hold(self) -> None:
        """Stop reading."""
        if not self._is_held and not self.transport.is_closing():
            self._is_held = True
            self.transport.pause_reading()
        if self.call is not None:
            self.call.deadline = _NEVER

    def release(self) -> None:
        """Read again."""
        if self._is_held and not self.transport.is_closing():
            self._is_held = False
            self.transport.resume_reading()
        if self.call is not None:
            self.call.deadline = self._client.now + self._limits.read_timeout

    # --- ends

    def _complete(self, response: Response) -> None:
        """The answer is whole (told to the caller by `_hand_over`, when the parser has returned)."""
        response.is_complete = True
        if response.pending is None:
            response.body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
            self._body = []

    def _hand_over(self, response: Response) -> None:
        call = response.call
        if response.is_complete and self.call is call:
            self.call = None
            call.carrier = None
            if self._keeps and call.is_sent:
                if self._is_held:
                    self._is_held = False
                    self.transport.resume_reading()
                self._client.reuse(self)
            else:
                self.transport.close()
        if call.is_over:
            return
        if call.response is None:
            if response.pending is None:
                if not response.is_complete:
                    return
                call.is_over = True
            elif response.is_complete and sum(map(len, response.pending)) <= self._limits.buffered_body:
                response.body, response.pending = b"".join(response.pending), None
                call.is_over = True
            call.response = response
            call.on_response(response)
            if response.pending is None:
                call.response = None  # whole and handed over: nothing holds anything any more
        if response.pending is not None:
            response.deliver()

    def _break(self, call: Call, reason: str) -> None:
        self.call = None
        self.transport.abort()
        self._fail(call, malformed(reason))

    def _fail(self, call: Call, error: Error) -> None:
        call.carrier = None
        response = call.response
        if response is not None and response.pending:
            call.failure = error  # after what has arrived
            response.deliver()
        else:
            call.fail(error)

    def time_out(self, call: Call) -> None:
        """The call on this connection has taken too long."""
        self.call = None
        self.transport.abort()
        self._fail(call, timed_out())


class HttpClient:
    """A pool of connections to one base URL. `now` and all callbacks belong to the loop's thread."""

    def __init__(self, *, url: str, ssl: tls.SSLContext | None = None, limits: ClientLimits | None = None) -> None:
        self.url = BaseUrl.parse(url)
        if self.url.is_tls and ssl is None:
            raise Malformed("service.bad-url", "an https address needs TLS settings", at="service")
        self.limits = limits or ClientLimits()
        self.now = 0.0  # never earlier than the present, so that no deadline comes early
        self._ssl = ssl if self.url.is_tls else None
        self._host = b"Host: %b\r\n" % self.url.host_header
        self._idle: list[_Connection] = []
        self._open: set[_Connection] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._waiting: deque[Call] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False
        self._empty: asyncio.Future[None] | None = None

    def send(
        self,
        method: str,
        target: bytes,
        headers: Sequence[tuple[bytes, bytes]] | bytes,
        body: bytes | None = b"",
        *,
        on_response: Callable[[Response], None],
        on_error: Callable[[Error], None],
        content_length: int | None = None,
        timeout: float | None = None,
    ) -> Call:
        """Send a request; `body` None means that it follows in `Call.write`, of `content_length` if that is known.

        `headers` may be lines already (`name:value` CRLF each). `target` is the whole request target
        (`rest.service_target`). `timeout` is for the first byte of the answer. `on_error` gives `service.unreachable`
        or `limit.service` when nothing was sent, and `service.timeout`, `service.closed` or `service.malformed` when
        the system may have acted.
        """
        lines = [b"%b %b HTTP/1.1\r\n" % (method.encode(), target), self._host]
        lines += [headers] if isinstance(headers, bytes) else [b"%b: %b\r\n" % header for header in headers]
        if body is None and content_length is None:
            lines.append(b"Transfer-Encoding: chunked\r\n\r\n")
        elif body is None:
            lines.append(b"Content-Length: %d\r\n\r\n" % cast("int", content_length))
        elif body or method in _WITH_BODY:
            lines += [b"Content-Length: %d\r\n\r\n" % len(body), body]
        else:
            lines.append(b"\r\n")
        call = Call(
            method,
            b"".join(lines),
            is_streaming=body is None,
            length=content_length,
            timeout=self.limits.first_byte_timeout if timeout is None else timeout,
            on_response=on_response,
            on_error=on_error,
        )
        self._dispatch(call)
        return call

    def _dispatch(self, call: Call) -> None:
        if self._timer is None:
            self._sweep()
        call.ends_at = self.now + self.limits.total_timeout
        while self._idle:
            connection = self._idle.pop()
            # Only what has rested a while is looked at: under load it would cost a system call each time.
            if connection.idle_since == self.now or not connection.is_stale():
                connection.begin(call, is_reused=True)
                return
            connection.transport.abort()
        if len(self._waiting) >= self.limits.max_queue or self._is_closed:
            error = Limited("limit.service", "too many calls wait for the provider's system", at="provider-node")
            asyncio.get_running_loop().call_soon(call.fail, error)
            return
        call.deadline = self.now + self.limits.connect_timeout
        self._waiting.append(call)
        self._grow()

    def _connect(self) -> None:
        task = asyncio.get_running_loop().create_task(self._open_one())
        self._opening.add(task)
        task.add_done_callback(self._opened)

    async def _open_one(self) -> None:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self.limits.connect_timeout):
            _, connection = await loop.create_connection(
                lambda: _Connection(self),
                self.url.host,
                self.url.port,
                ssl=self._ssl,
                server_hostname=self.url.host if self._ssl is not None else None,
            )
        self._open.add(connection)
        self.reuse(connection, is_new=True)

    def _opened(self, task: asyncio.Task[None]) -> None:
        self._opening.discard(task)
        self._tell_if_empty()
        error = None if task.cancelled() else task.exception()
        if error is None:
            return
        if not isinstance(error, OSError):
            raise error
        if not self._open and not self._opening:
            waiting, self._waiting = self._waiting, deque()
            for call in waiting:
                call.fail(unreachable(f"{type(error).__name__}: {error}"))

    def reuse(self, connection: _Connection, *, is_new: bool = False) -> None:
        """A connection is free: for the call that waits longest, else for later."""
        while self._waiting:
            call = self._waiting.popleft()
            if not call.is_over:
                connection.begin(call, is_reused=not is_new)
                return
        if self._is_closed:
            connection.transport.close()
            return
        connection.idle_since = self.now
        self._idle.append(connection)

    def try_again(self, call: Call) -> bool:
        """Send an idempotent call once more, on a connection of its own; False where that may not be."""
        if call.method not in _IDEMPOTENT or call.is_streaming or call.is_retried or self._is_closed:
            return False
        call.is_retried = True
        call.carrier = None
        for connection in self._idle:
            connection.transport.abort()
        self._idle.clear()
        self._waiting.appendleft(call)
        call.deadline = self.now + self.limits.connect_timeout
        self._connect()
        return True

    def retire(self, connection: _Connection) -> None:
        """A connection takes no more calls."""
        if connection in self._idle:
            self._idle.remove(connection)

    def forget(self, connection: _Connection) -> None:
        """A connection has ended."""
        self._open.discard(connection)
        self.retire(connection)
        self._tell_if_empty()
        if not self._is_closed:
            self._grow()

    def _grow(self) -> None:
        """Open one more connection if a call waits that none is being opened for, and there may be one more."""
        opening = len(self._opening)
        if opening < len(self._waiting) and len(self._open) + opening < self.limits.max_connections:
            self._connect()

    def _tell_if_empty(self) -> None:
        if self._empty is not None and not self._open and not self._opening and not self._empty.done():
            self._empty.set_result(None)

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        self.now = now + self.limits.sweep
        for connection in list(self._open):
            call = connection.call
            if call is not None and (now >= call.deadline or now >= call.ends_at):
                connection.time_out(call)
        for connection in self._idle[:]:
            if now >= connection.idle_since + self.limits.idle_timeout:
                connection.transport.close()
        while self._waiting and (self._waiting[0].is_over or now >= self._waiting[0].deadline):
            self._waiting.popleft().fail(unreachable("no connection became free in time"))
        self._timer = loop.call_later(self.limits.sweep, self._sweep)

    async def close(self) -> None:
        """Close what is idle, cut what is not."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for task in list(self._opening):
            task.cancel()
        for call in self._waiting:
            call.fail(unreachable("closing"))
        self._waiting.clear()
        for connection in self._open:
            connection.transport.abort()
        if self._open or self._opening:
            self._empty = asyncio.get_running_loop().create_future()
            await self._empty
