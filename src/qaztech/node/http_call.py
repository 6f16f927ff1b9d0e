"""A call to a provider's system and its answer, made by `http_client`.

Framing only: no rules, no sockets of its own. A call and its connection are one unit of two files.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from qaztech.core.errors import Error, Unavailable

Headers = list[tuple[bytes, bytes]]


class Carrier(Protocol):
    """What a call needs of the connection it is on."""

    is_writable: bool

    def send(self, *parts: bytes) -> None:
        """Write these bytes, in order."""

    def sent(self) -> None:
        """The request is complete."""

    def cut(self) -> None:
        """End the connection at once."""

    def hold(self) -> None:
        """Stop reading."""

    def release(self) -> None:
        """Read again."""


class Response:
    """The answer of a provider's system.

    `body` is the whole body, or None where it comes as a stream: then set `on_data` and `on_end` before returning from
    `on_response`, or call `pause()` and set them before `resume()`. A stream that breaks ends in the call's `on_error`.
    """

    on_data: Callable[[bytes], None] | None = None
    on_end: Callable[[], None] | None = None
    body: bytes | None = b""
    content_length: int | None = None
    # Between the connection and this class; nobody else's.
    pending: list[bytes] | None = None
    is_complete = False
    is_paused = False

    def __init__(self, call: Call, status: int, headers: Headers) -> None:
        self.call = call
        self.status = status
        self.headers = headers

    def pause(self) -> None:
        """Take no more body for now; the sender is slowed down."""
        self.is_paused = True
        if self.call.carrier is not None and not self.is_complete:
            self.call.carrier.hold()

    def resume(self) -> None:
        """Go on taking body; what waited is delivered before this returns."""
        self.is_paused = False
        self.deliver()
        if self.call.carrier is not None and not self.is_paused and not self.is_complete:
            self.call.carrier.release()

    def deliver(self) -> None:
        """Hand over what has arrived; called by the connection, never from inside the parser."""
        while self.pending and not self.is_paused and self.on_data is not None:
            self.on_data(self.pending.pop(0))
        if self.is_complete and not self.pending and not self.is_paused and self.on_end is not None:
            on_end, self.on_end = self.on_end, None
            on_end()
        elif self.call.failure is not None and not self.pending and not self.is_paused:
            self.call.fail(self.call.failure)


class Call:
    """One request on its way. Exactly one of `on_response` and `on_error` comes first; after a streamed response
    began, `on_error` may still follow instead of its `on_end`.
    """  # noqa: D205 - one thought

    on_drain: Callable[[], None] | None = None
    # Between the connection and this class; nobody else's.
    carrier: Carrier | None = None
    response: Response | None = None
    failure: Error | None = None
    deadline = float("inf")
    ends_at = float("inf")
    is_over = False
    is_aborted = False
    is_retried = False
    _backlog: list[bytes] | None = None
    _is_finished = False

    def __init__(
        self,
        method: str,
        head: bytes,
        *,
        is_streaming: bool,
        length: int | None,
        timeout: float,
        on_response: Callable[[Response], None],
        on_error: Callable[[Error], None],
    ) -> None:
        self.method = method
        self.head = head  # the whole request where the body is not a stream
        self.is_sent = not is_streaming
        self.is_streaming = is_streaming
        self._left = length  # of a streamed body; None: chunked
        self.timeout = timeout
        self.on_response = on_response
        self.on_error = on_error

    @property
    def is_writable(self) -> bool:
        """Whether `write` may be called now; `on_drain` says when again."""
        return self.carrier is not None and not self.is_sent and self.carrier.is_writable

    def write(self, data: bytes) -> bool:
        """Send a part of a streamed body; False means: wait for `on_drain`. Beyond `content_length` it is dropped."""
        if self.is_sent or self._is_finished or self.is_over:
            return False
        if self._left is not None:
            data = data[: self._left]
            self._left -= len(data)
        if not data:
            return self.is_writable
        parts = (b"%x\r\n" % len(data), data, b"\r\n") if self._left is None else (data,)
        if self.carrier is None:
            self._backlog = [*(self._backlog or ()), *parts]
            return False
        self.carrier.send(*parts)
        return self.carrier.is_writable

    def finish(self) -> None:
        """End a streamed body; one shorter than announced is cut off instead, so that nobody takes it for whole."""
        if self.is_sent or self._is_finished or self.is_over:
            return
        if self._left:
            self.abort()
            return
        self._is_finished = True
        if self.carrier is not None:
            self._end(self.carrier)

    def _end(self, carrier: Carrier) -> None:
        if self._left is None:
            carrier.send(b"0\r\n\r\n")
        self.is_sent = True
        carrier.sent()

    def begun(self, carrier: Carrier) -> None:
        """The head of a streamed request is written; called by the connection."""
        if self._backlog:
            carrier.send(*self._backlog)
            self._backlog = None
        if self._is_finished:
            self._end(carrier)
        elif self.on_drain is not None and carrier.is_writable:
            self.on_drain()

    def abort(self) -> None:
        """Give up: the connection is cut, and nothing more is called."""
        self.is_over = self.is_aborted = True
        carrier, self.carrier = self.carrier, None
        if carrier is not None:
            carrier.cut()

    def fail(self, error: Error) -> None:
        """Tell the failure, once."""
        if self.is_over:
            return
        self.is_over = True
        self.carrier = None
        self.on_error(error)


def unreachable(context: str = "") -> Unavailable:
    """No connection: nothing was sent."""
    return Unavailable("service.unreachable", "the provider's system cannot be reached", at="service", context=context)


def timed_out(context: str = "") -> Unavailable:
    """Sent, and no answer in time."""
    return Unavailable("service.timeout", "the provider's system did not answer in time", at="service", context=context)


def closed(context: str = "") -> Unavailable:
    """Sent, and the connection ended before the answer was whole."""
    detail = "the provider's system closed the connection before its answer was complete"
    return Unavailable("service.closed", detail, at="service", context=context)


def malformed(context: str = "") -> Unavailable:
    """Sent, and what came back is not a well-formed answer."""
    detail = "the provider's system did not give a well-formed HTTP answer"
    return Unavailable("service.malformed", detail, at="service", context=context)
