"""What both sides of every exchange in a process share, and the small shapes they pass to the edges."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from qaztech.core.errors import Error, Forbidden, Halt, Limited, NotFound, Unavailable
from qaztech.core.ids import ServiceId, SubsystemId
from qaztech.core.time import Clock
from qaztech.evidence.log import Commit, Entry
from qaztech.node.limits import retry_after
from qaztech.node.replay import ReplayGuard
from qaztech.registry.configuration import Configuration

if TYPE_CHECKING:
    from qaztech.node.exchange import Incoming
    from qaztech.node.frames import Request
    from qaztech.node.streams import BodyReceiver


class Journal(Protocol):
    """The own log, as the exchange uses it (evidence.sequencer)."""

    origin: str

    @property
    def halted(self) -> Halt | None:
        """Why nothing is appended any more, None while all is well."""
        ...

    def append(self, entry: Entry, callback: Callable[[int, Commit | None, Error | None], None]) -> None:
        """Append; called back when durable and signed. Raises `Limited` or `Halt` at once."""
        ...

    def note(self, kind: int, key: int, payload: bytes) -> int:
        """Keep a note with the next batch."""
        ...

    def leaf_hashes(self, start: int, stop: int) -> list[bytes]:
        """Leaf hashes of the own log."""
        ...


class Finished(NamedTuple):
    """One exchange as it ended, for the page, the metrics and the operator."""

    side: str
    message: str
    client: str
    service: str
    method: str
    peer: str
    time: int
    milliseconds: int
    state: str
    status: int
    # The `traceparent` that crossed; empty where the exchange is not traced.
    trace: str = ""


def untraced(lines: bytes) -> str:  # noqa: ARG001
    """The trace context of header lines, on a node that traces nothing."""
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of the data plane; all are settings."""

    # Milliseconds a request may be on its way before the provider node refuses it as stale.
    request_lifetime: int = 30_000
    # Seconds the consumer node waits for the first byte of an answer.
    answer_timeout: float = 60.0
    # Exchanges in progress on each side of a node.
    exchanges: int = 4096
    # Bytes of a body, streamed or not.
    body: int = 2 * 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What both sides of every exchange in this process share."""

    clock: Clock
    configuration: Callable[[], Configuration]
    journal: Journal
    loop: asyncio.AbstractEventLoop
    limits: Limits
    finished: Callable[[Finished], None]
    replays: ReplayGuard
    trace: Callable[[bytes], str] = untraced


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call as the consumer edge read it. `headers` are the lines that cross; without `body` it streams."""

    client: SubsystemId
    service: ServiceId
    method: str
    prefix: bytes
    suffix: str
    query: bytes
    headers: bytes
    body: bytes | None
    message: MessageId
    source: Source | None = None
    attempt: int = 1


class Feed(Protocol):
    """What a source gives its bytes to."""

    def feed(self, data: bytes) -> None:
        """The next bytes."""
        ...

    def end(self) -> None:
        """There are no more."""
        ...

    def abort(self) -> None:
        """It broke off."""
        ...


class Source(Protocol):
    """Where a streamed body comes from; it is silent until it is attached."""

    def attach(self, feed: Feed) -> None:
        """Give what there is, and what comes, to `feed`."""
        ...

    def pause(self) -> None:
        """Stop reading for now."""
        ...

    def resume(self) -> None:
        """Go on reading."""
        ...

    def discard(self) -> None:
        """Nobody wants the rest: it is not fed any more."""
        ...


class Sink(Protocol):
    """Where a streamed body goes."""

    def write(self, data: bytes) -> None:
        """The next piece."""
        ...

    def finish(self) -> None:
        """The body is complete, verified and on record."""
        ...

    def abort(self, error: Error) -> None:
        """The body ends here and is not complete."""
        ...


class Caller(Protocol):
    """Whoever waits for the answer at the consumer edge."""

    def answer(self, status: int, headers: bytes, body: bytes) -> None:
        """The whole answer, durable and acknowledged."""
        ...

    def start(self, status: int, headers: bytes, resume: Callable[[int], None]) -> Sink:
        """An answer whose body streams; `resume(n)` is to be called as n bytes have gone to the caller."""
        ...

    def fail(self, error: Error) -> None:
        """There is no answer."""
        ...


class MessageId(NamedTuple):
    """A message id, as bytes and as text."""

    data: bytes
    text: str


def new_message_id(now: int) -> MessageId:
    """A message id: UUID version 7 (RFC 9562), so that ids sort by time."""
    random = int.from_bytes(os.urandom(10), "big")
    value = (now & (2**48 - 1)) << 80 | 7 << 76 | (random >> 68) << 64 | 2 << 62 | (random & (2**62 - 1))
    data = value.to_bytes(16, "big")
    return MessageId(data, _uuid_text(data))


def random_uuid() -> str:
    """A UUID version 4."""
    value = int.from_bytes(os.urandom(16), "big")
    value = value & ~(0xF << 76) & ~(0x3 << 62) | 4 << 76 | 2 << 62
    return _uuid_text(value.to_bytes(16, "big"))


def _uuid_text(data: bytes) -> str:
    text = data.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


@dataclass(frozen=True, slots=True)
class Allowed:
    """The outcome of steps 1 to 3: by which configuration, and by which endpoint of a right."""

    configuration: Configuration
    endpoint: str


def refusal(code: str, detail: str, time: int) -> Error:
    """The error a recorded refusal stands for, at the caller's edge; `time` is the record's, in milliseconds."""
    family = code.partition(".")[0]
    if family == "access-right":
        return Forbidden(code, detail, at="provider-node")
    if family == "limit":
        return Limited(code, detail, at="provider-node", retry_after=retry_after(code, time))
    if code == "service.unknown":
        return NotFound(code, detail, at="provider-node")
    return Unavailable(code, detail, at="provider-node")


class Work(Sink, Protocol):
    """A call to a system in progress; as a sink it takes the request's streamed body."""

    def cancel(self, code: str) -> None:
        """Nobody waits for the answer any more."""
        ...


class Systems(Protocol):
    """The provider edge, as the exchange uses it (`systems`)."""

    def has(self, service: ServiceId) -> bool:
        """Whether this node knows where that service's system is."""
        ...

    def refusal(self, service: ServiceId, client: SubsystemId, endpoint: str) -> Error | None:
        """Why the service takes no call of this client by its right to that endpoint now, if so.

        It is switched off, the right was just taken away, or this is one call too many.
        """
        ...

    def start(
        self,
        exchange: Incoming,
        service: ServiceId,
        headers: list[tuple[bytes, bytes]],
        frame: Request,
        body: BodyReceiver | None,
    ) -> Work:
        """Call the system; it answers by `exchange.answer`, `exchange.start` or `exchange.refuse`."""
        ...
