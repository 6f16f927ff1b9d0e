"""A request of the consumer edge and the way to answer it. Made by `http_server`, used by whoever is given it.

Framing only: no X-Road rules, no sockets of its own. A request and its connection are one unit of two files.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import Protocol

Headers = list[tuple[bytes, bytes]]

BODILESS = frozenset({204, 304})
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_SAME_SITE = frozenset({b"same-origin", b"none"})
_HERE = re.compile(rb"(?:localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])(?::[0-9]{1,5})?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end: address, whether by TLS, and the certificate it showed (DER)."""

    address: str
    port: int
    is_tls: bool
    certificate: bytes | None

    @property
    def is_loopback(self) -> bool:
        """Whether the connection comes from this machine."""
        return self.address == "::1" or self.address.startswith(("127.", "::ffff:127."))


class Carrier(Protocol):
    """What a request needs of its connection."""

    is_writable: bool

    def send(self, *parts: bytes) -> None:
        """Write these bytes, in order."""

    def must_close(self, request: Request) -> bool:
        """Whether the connection ends with the answer to this request."""

    def is_http10(self) -> bool:
        """Whether the caller speaks HTTP/1.0, which knows no chunks."""

    def answered(self, request: Request, *, close: bool) -> None:
        """The answer is complete."""

    def cut(self) -> None:
        """End the connection at once, unsent bytes included."""

    def hold(self) -> None:
        """Stop reading."""

    def release(self) -> None:
        """Read again, if nothing else stands against it."""


class Request:
    """One request and the way to answer it.

    `body` is the whole body, or None where it comes as a stream: then set `on_data` and `on_end` before returning from
    `on_request`, or call `pause()` and set them before `resume()`. `on_disconnect` is called once if the connection or
    the body breaks before the answer is complete. Answer with `respond`, or with `start`, `write`, `finish`; `write`
    returns False when to wait for `on_drain`.
    """

    on_data: Callable[[bytes], None] | None = None
    on_end: Callable[[], None] | None = None
    on_disconnect: Callable[[], None] | None = None
    on_drain: Callable[[], None] | None = None
    body: bytes | None = b""
    content_length: int | None = None
    # Between the connection and this class; nobody else's. `pending`: arrived and not delivered, of a stream only.
    pending: list[bytes] | None = None
    is_complete = True
    is_paused = False
    is_started = False
    must_continue = False
    _chunked = False
    _left: int | None = None

    def __init__(
        self, carrier: Carrier, peer: Peer, method: str, target: bytes, headers: Headers, *, keep_alive: bool
    ) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.peer = peer
        self.keep_alive = keep_alive
        self.carrier: Carrier | None = carrier

    @property
    def is_local(self) -> bool:
        """Whether a program on this machine asks, and not a page from elsewhere in a browser on this machine.

        Such a page names a host of its own (DNS rebinding), or the browser says that it comes from another site.
        """
        if not self.peer.is_loopback:
            return False
        hosts: list[bytes] = []
        origins: list[bytes] = []
        for name, value in self.headers:
            lowered = name.lower()
            if lowered == b"host":
                if not _HERE.fullmatch(value):
                    return False
                hosts.append(value)
            elif lowered == b"origin":
                origins.append(value.partition(b"://")[2])
            elif lowered == b"sec-fetch-site" and value not in _SAME_SITE:
                return False
        return all(origin in hosts for origin in origins)

    @property
    def is_answered(self) -> bool:
        """Whether nothing more can be written: the answer is complete, or the connection gone."""
        return self.carrier is None

    @property
    def is_writable(self) -> bool:
        """Whether the other end keeps up with what is written."""
        return self.carrier is not None and self.carrier.is_writable

    # --- the body, where it is a stream

    def pause(self) -> None:
        """Take no more body for now; the sender is slowed down."""
        self.is_paused = True
        if self.carrier is not None and not self.is_complete:
            self.carrier.hold()

    def resume(self) -> None:
        """Go on taking body; what waited is delivered before this returns."""
        self.is_paused = False
        self.go_on()
        self.deliver()
        if self.carrier is not None and not self.is_paused:
            self.carrier.release()

    def go_on(self) -> None:
        """Ask for the body of a caller that waits to be asked, unless that is too late or too early."""
        if self.must_continue and not self.is_paused and not self.is_started and self.carrier is not None:
            self.must_continue = False
            if not self.is_complete and not self.pending:
                self.carrier.send(CONTINUE)

    def deliver(self) -> None:
        """Hand over what has arrived; called by the connection, never from inside the parser."""
        while self.pending and not self.is_paused and self.on_data is not None:
            self.on_data(self.pending.pop(0))
        if self.is_complete and not self.pending and not self.is_paused and self.on_end is not None:
            on_end, self.on_end = self.on_end, None
            on_end()

    def broke_off(self) -> None:
        """The connection or the body ended early; called by the connection."""
        self.carrier = None
        self.pending = None
        on_disconnect, self.on_disconnect = self.on_disconnect, None
        if on_disconnect is not None:
            on_disconnect()

    # --- the answer

    def respond(self, status: int, headers: Headers | bytes, body: bytes = b"") -> None:
        """Send a whole answer in one write. Content-Length and Connection are added; header bytes are not checked.

        Headers that are lines already (`name:value` CRLF each) go as they are.
        """
        carrier = self.carrier
        if carrier is None or self.is_started:
            return
        self.carrier = None
        close = carrier.must_close(self)
        lines = [status_line(status), *_lines(headers)]
        may_have_body = status not in BODILESS
        if may_have_body and (body or self.method != "HEAD"):
            lines.append(b"Content-Length: %d\r\n" % len(body))
        lines.append(b"Connection: close\r\n\r\n" if close else b"\r\n")
        if may_have_body and body and self.method != "HEAD":
            lines.append(body)
        carrier.send(b"".join(lines))
        carrier.answered(self, close=close)

    def start(self, status: int, headers: Headers | bytes, length: int | None = None) -> None:
        """Begin an answer whose body follows in `write`s; a `length` of None means that it is not known."""
        carrier = self.carrier
        if carrier is None or self.is_started:
            return
        self.is_started = True
        lines = [status_line(status), *_lines(headers)]
        if status in BODILESS or self.method == "HEAD":
            self._left = 0
            if length is not None and status not in BODILESS:
                lines.append(b"Content-Length: %d\r\n" % length)
        elif length is not None:
            self._left = length
            lines.append(b"Content-Length: %d\r\n" % length)
        elif carrier.is_http10():
            self.keep_alive = False
        else:
            self._chunked = True
            lines.append(b"Transfer-Encoding: chunked\r\n")
        if carrier.must_close(self):
            self.keep_alive = False
            lines.append(b"Connection: close\r\n")
        lines.append(b"\r\n")
        carrier.send(b"".join(lines))

    def write(self, data: bytes) -> bool:
        """Send a part of the body; False means: wait for `on_drain`. What exceeds the announced length is dropped."""
        carrier = self.carrier
        if carrier is None or not self.is_started:
            return False
        if self._left is not None:
            data = data[: self._left]
            self._left -= len(data)
        if data:
            if self._chunked:
                carrier.send(b"%x\r\n" % len(data), data, b"\r\n")
            else:
                carrier.send(data)
        return carrier.is_writable

    def finish(self) -> None:
        """End the answer; one shorter than announced is cut off instead, so that nobody takes it for whole."""
        carrier = self.carrier
        if carrier is None or not self.is_started:
            return
        if self._left:
            self.abort()
            return
        self.carrier = None
        if self._chunked:
            carrier.send(b"0\r\n\r\n")
        carrier.answered(self, close=not self.keep_alive or carrier.must_close(self))

    def abort(self) -> None:
        """Give up: the connection is cut, so that a partial answer cannot pass for a whole one."""
        carrier, self.carrier = self.carrier, None
        if carrier is not None:
            carrier.cut()


@lru_cache(maxsize=600)
def status_line(status: int) -> bytes:
    """The first line of an answer."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unknown"
    return b"HTTP/1.1 %d %b\r\n" % (status, phrase.encode())


def _lines(headers: Headers | bytes) -> list[bytes]:
    if isinstance(headers, bytes):
        # People read what comes back: a space after the colon, as everybody else sends it.
        return [b"\r\n".join([line.replace(b":", b": ", 1) for line in headers.split(b"\r\n")])]
    return [b"%b: %b\r\n" % header for header in headers]
