"""A link: one mutual TLS 1.3 connection between two nodes, carrying many exchanges (docs/formats/link.md).

The dialler opens streams (requests); the listener answers them. A link knows who is at its other end only from the
verified configuration: the peer's TLS key must be that of a node, the log it names must be that node's, and both are
checked again at each configuration change. Heads are proven here; what a record means is decided in `exchange`.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import logging
import ssl
from collections.abc import Callable
from typing import Protocol, cast

from qaztech.core.errors import Error, Limited, Malformed, Unavailable, Untrusted
from qaztech.core.exchange import PROTOCOL_VERSION
from qaztech.core.ids import MemberId
from qaztech.evidence.note import ED25519
from qaztech.node.frames import (
    Accepted,
    Answer,
    Frame,
    FrameReader,
    Goaway,
    Head,
    Hello,
    Ping,
    Question,
    encode_frame,
)
from qaztech.node.heads import REMEMBERED, HeadReceiver, HeadSender
from qaztech.node.journal import PEER_HEAD, PeerHead, Remembered, format_note
from qaztech.node.peers import AcceptedHeads
from qaztech.node.throttle import Throttle
from qaztech.registry.configuration import Configuration, NodeEntry
from qaztech.runtime.telemetry import log_error
from qaztech.trust.certificates import node_of, spki_hash
from qaztech.trust.keys import verify_ed25519

logger = logging.getLogger("qaztech.link")

HELLO_TIMEOUT = 10.0
# How long a node of a member not known here yet waits for its member file to be fetched, looked at so often.
MEETING, LOOK_AGAIN = 5.0, 0.1
PING_INTERVAL = 15.0
QUESTION_TIMEOUT = 10.0
# Bytes a peer may have on their way on one stream before the receiver makes room again.
WINDOW = 256 * 1024


class OwnLog(Protocol):
    """What a link needs of this process's own log."""

    origin: str

    def signed(self, size: int, root: bytes, signature: bytes) -> bool:
        """Whether this log's key signed that head."""
        ...

    def holds(self, size: int, root: bytes) -> bool:
        """Whether this log has that root at that size."""
        ...

    def halt(self, reason: str) -> None:
        """Stop the log for good: it was shown a head of its own that it does not hold."""
        ...

    def note(self, kind: int, key: int, payload: bytes) -> int:
        """Keep a note with the next batch; gives its ordinal."""
        ...

    def sender(self, accepted: Accepted | None) -> HeadSender:
        """The proving side for one link."""
        ...


class IncidentReporter(Protocol):
    """Where what must not happen is shown to people."""

    def report(self, error: Error, *, peer: str) -> None:
        """Keep it and show it."""
        ...


class LinkHandler(Protocol):
    """Who makes sense of what a link carries."""

    def on_ready(self, link: Link) -> None:
        """The peer is known and its hello checked."""
        ...

    def on_frame(self, link: Link, frame: Frame) -> None:
        """A frame that is not the link's own business. An `Untrusted` or `Malformed` raised here ends the link."""
        ...

    def on_lost(self, link: Link, reason: Error) -> None:
        """The link is gone; nothing more comes from it."""
        ...


class Link(asyncio.Protocol):
    """One connection to one peer process. All methods run on the loop."""

    def __init__(
        self,
        *,
        dialled: NodeEntry | None,
        node: str,
        configuration: Callable[[], Configuration],
        log: OwnLog,
        accepted: AcceptedHeads,
        incidents: IncidentReporter,
        throttle: Throttle,
        handler: LinkHandler,
        loop: asyncio.AbstractEventLoop,
        stranger: Callable[[MemberId], bool] = lambda _: False,
    ) -> None:
        """`stranger` is told whose node has a key that nobody named; True where that may be known in a moment."""
        self._stranger = stranger
        self._dialled = dialled
        self._node = node
        self._configuration = configuration
        self._log = log
        self._accepted = accepted
        self._incidents = incidents
        self._throttle = throttle
        self._handler = handler
        self._loop = loop
        # When it began, by the loop's clock: with the TLS key that the node had then.
        self.began = loop.time()
        self._reader = FrameReader()
        self._transport: asyncio.Transport | None = None
        self._out: list[bytes] = []
        self._flush_due = False
        self._peer_tls = b""
        self._ready = False
        self._lost: Error | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._heard = False
        # Pings that the peer has not answered.
        self._pings = 0
        self._questions: dict[int, tuple[Callable[[Answer | None], None], asyncio.TimerHandle]] = {}
        self._numbers = itertools.count(1)
        self._heads_out: HeadSender | None = None
        self._heads_in: HeadReceiver | None = None
        self._told: dict[str, Remembered] = {}
        # The peer's newest accepted head, until a record needs it; then the ordinal of its note, and what it says.
        self._head: PeerHead | None = None
        self._head_note = -1
        # Own records sent on this link whose acknowledgement is still to come, oldest first.
        self._unacked: dict[int, None] = {}
        self.peer: NodeEntry | None = None
        self.origin = ""
        # Whether the peer still takes new streams, and whether the socket does.
        self.open = False
        self.writable = True
        self.resumed: list[Callable[[], None]] = []
        # Exchanges in progress, by stream number; owned by the handler.
        self.streams: dict[int, object] = {}
        self._next_stream = itertools.count(1)
        self._changed: list[asyncio.Future[None]] = []

    @property
    def alive(self) -> bool:
        """Whether frames still reach the peer."""
        return self._lost is None

    @property
    def reason(self) -> Error:
        """Why the link ended."""
        return self._lost or Unavailable("peer.lost", "the link is gone")

    async def changed(self) -> None:
        """Wait until the link is ready or gone."""
        future: asyncio.Future[None] = self._loop.create_future()
        self._changed.append(future)
        await future

    def _tell_changed(self) -> None:
        waiting, self._changed = self._changed, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    @property
    def is_dialler(self) -> bool:
        """Whether this side opened the connection (and so opens the streams)."""
        return self._dialled is not None

    # asyncio.Protocol ------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """TLS is up: learn who the peer is, say hello."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=1024 * 1024)
        tls: ssl.SSLObject = transport.get_extra_info("ssl_object")
        certificate = tls.getpeercert(binary_form=True)
        address = (transport.get_extra_info("peername") or ("",))[0]
        if not self._throttle.allows(address, self._loop.time()):
            self._end(Limited("link.throttled", "too many failures from that address", at="caller"))
            self._transport.abort()
            return
        try:
            self._peer_tls = spki_hash(certificate) if certificate else b""
        except Error as exc:
            self._refuse(exc, address)
            return
        self._meet(certificate or b"", address, self._loop.time() + MEETING, asked=False)

    def _meet(self, certificate: bytes, address: str, until: float, *, asked: bool) -> None:
        """Say hello to who is known. A node whose certificate names a member not known here waits while it is fetched.

        Whoever asks for access comes so: no right names it yet, and who it is its member's file says.
        """
        if self._lost is not None or self._transport is None:
            return
        try:
            self.peer = self._identify()
        except Error as exc:
            late = self._loop.time() >= until
            if late or not (asked or self._is_news(exc, certificate)):
                self._refuse(exc, address)
                return
            if not asked:
                self._transport.pause_reading()
            again = functools.partial(self._meet, certificate, address, until, asked=True)
            self._timer = self._loop.call_later(LOOK_AGAIN, again)
            return
        if asked:
            self._transport.resume_reading()
        self._greet()

    def _is_news(self, exc: Error, certificate: bytes) -> bool:
        """Whether a stranger dialled of whom more may be known in a moment. The registry issued its certificate."""
        if self._dialled is not None or exc.code != "peer.unknown":
            return False
        try:
            member = node_of(certificate).member
            return self._configuration().member(member) is None and self._stranger(member)
        except Error:
            return False

    def _refuse(self, exc: Error, address: str) -> None:
        self._throttle.failed(address, self._loop.time())
        self._incidents.report(exc, peer=self._peer_tls.hex())
        self.close(exc)

    def _greet(self) -> None:
        """Say hello."""
        if self.peer is None:
            return
        self._timer = self._loop.call_later(HELLO_TIMEOUT, self._no_hello)
        known = self._accepted.of(self.peer.id)
        self._told = dict(known)
        self.send(
            Hello(
                PROTOCOL_VERSION,
                self._configuration().instance,
                self._node,
                self._log.origin,
                [Accepted(origin, h.size, h.root, h.signature) for origin, h in known],
            )
        )

    def data_received(self, data: bytes) -> None:
        """Cut into frames and hand on; anything wrong ends the link."""
        self._heard = True
        try:
            for frame in self._reader.feed(data):
                self._receive(frame)
                if self._lost is not None:
                    return
        except Error as exc:
            self.close(exc)

    def pause_writing(self) -> None:
        """The socket is full."""
        self.writable = False

    def resume_writing(self) -> None:
        """The socket has room again: wake whoever waited."""
        self.writable = True
        waiting, self.resumed = self.resumed, []
        for callback in waiting:
            callback()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._end(Unavailable("peer.lost", "the link to the peer was lost", context=repr(exc)))

    # Sending ---------------------------------------------------------------------------------------------------

    def send(self, frame: Frame) -> None:
        """Send with everything else of this turn of the loop, in order."""
        self._out.append(encode_frame(frame))
        if not self._flush_due:
            self._flush_due = True
            self._loop.call_soon(self._flush)

    def send_proven(self, frame: Frame, index: int, size: int, signature: bytes) -> None:
        """Send a frame whose record stands at `index` of the own log, after the head that proves it."""
        if self._heads_out is None:
            return
        head = self._heads_out.frame(size, signature, index)
        if head is not None:
            self.send(head)
        self.send(frame)

    def ask(self, kind: str, payload: bytes, callback: Callable[[Answer | None], None]) -> None:
        """Ask the peer; the callback gets None when no answer comes in time or the link goes."""
        if self._lost is not None:
            callback(None)
            return
        number = next(self._numbers)
        timer = self._loop.call_later(QUESTION_TIMEOUT, self._answered, number, None)
        self._questions[number] = (callback, timer)
        self.send(Question(number, kind, payload))

    def next_stream(self) -> int:
        """A number for a new stream."""
        return next(self._next_stream)

    def drain(self, code: str) -> None:
        """Tell the peer to open no more streams here; those open go on."""
        self.open = False
        if self._lost is None and self._ready:
            self.send(Goaway(code))
            self._ping()  # its answer comes behind whatever the peer sent before it knew

    @property
    def is_quiet(self) -> bool:
        """After `drain`: whether the peer has heard it, so that no request is on its way any more."""
        return self._lost is not None or not self._ready or self._pings == 0

    def _ping(self) -> None:
        self._pings += 1
        self.send(Ping(answer=False))

    def close(self, reason: Error) -> None:
        """End the link now."""
        if self._transport is not None and self._lost is None:
            self._flush()
            self._transport.close()
        self._end(reason)

    # Checks ----------------------------------------------------------------------------------------------------

    def recheck(self) -> None:
        """At a configuration change: the peer must still be who it was when the link was made."""
        if self._lost is not None or self.peer is None:
            return
        try:
            self.peer = self._identify()
            if self._ready:
                self._check_origin(self.origin)
        except Error as exc:
            self.close(exc)

    def _identify(self) -> NodeEntry:
        entry = self._configuration().node_by_tls(self._peer_tls)
        if entry is None:
            raise Untrusted("peer.unknown", "no node of the configuration has the peer's TLS key", at="caller")
        if self._dialled is not None and entry.id != self._dialled.id:
            raise Untrusted("peer.unexpected", "another node answers at that address", at="provider-node")
        return entry

    def _check_origin(self, origin: str) -> bytes:
        """The Ed25519 key of the peer's log; raises `Untrusted` when it is not the peer's, not yet or no more."""
        entry = self._configuration().log(origin)
        if entry is None or self.peer is None or entry.node != self.peer.id or entry.closed is not None:
            raise Untrusted("peer.log-unknown", "the log the peer names is not that node's", at="caller")
        return next(key.public for key in entry.keys if key.kind == ED25519)

    # Receiving -------------------------------------------------------------------------------------------------

    def _receive(self, frame: Frame) -> None:
        kind = type(frame)
        if kind is Head:
            self._on_head(cast("Head", frame))
        elif not self._ready:
            if kind is not Hello:
                raise Untrusted("link.no-hello", "a peer says hello first", at="caller")
            self._on_hello(cast("Hello", frame))
        elif kind is Ping:
            # Who does not read needs no answer: it would only pile up. Who reads hears what is on its way already.
            if cast("Ping", frame).answer:
                self._pings = max(0, self._pings - 1)
            elif self.writable:
                self.send(Ping(answer=True))
        elif kind is Goaway:
            self.open = False
        elif kind is Answer:
            answer = cast("Answer", frame)
            self._answered(answer.number, answer)
        else:
            self._handler.on_frame(self, frame)

    def _on_hello(self, hello: Hello) -> None:
        if hello.version != PROTOCOL_VERSION or hello.instance != self._configuration().instance:
            raise Untrusted("link.mismatch", "the peer speaks another protocol version or instance", at="caller")
        if self.peer is None or hello.node != str(self.peer.id):
            raise Untrusted("peer.unexpected", "the peer names another node than its TLS key belongs to", at="caller")
        key = self._check_origin(hello.origin)
        accepted = None
        for head in hello.accepted:
            if head.origin == self._log.origin and self._log.signed(head.size, head.root, head.signature):
                if not self._log.holds(head.size, head.root):
                    self._log.halt(f"a peer holds a head of this log at size {head.size} that the log does not")
                    raise Untrusted("log.contradicted", "this node's log was shown a head it does not hold", at="log")
                accepted = head
        self.origin = hello.origin
        self._heads_out = self._log.sender(accepted)
        self._heads_in = HeadReceiver(
            origin=hello.origin,
            verify=lambda body, signature: verify_ed25519(key, signature, body),
            # As our hello told it: the peer proves from there. Another link to it may have brought more since.
            last=self._told.get(hello.origin),
        )
        self._ready = self.open = True
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(PING_INTERVAL, self._keep_alive)
        self._handler.on_ready(self)
        self._tell_changed()

    def _on_head(self, head: Head) -> None:
        heads = self._heads_in
        if heads is None:
            raise Untrusted("link.no-hello", "a peer says hello first", at="caller")
        try:
            start, frontier = heads.accept(head)
        except Untrusted as exc:
            self._incidents.report(exc, peer=self.origin)
            raise
        if heads.last is not None:
            # Also one that came with an acknowledgement, which no record of ours will hold.
            self._accepted.remember(self.origin, heads.last)
        self._head = PeerHead(self.origin, start, tuple(frontier), head.leaves, head.size, head.signature)

    def proven_leaf(self, index: int) -> bytes | None:
        """The leaf hash the peer has proven at an index of its log, if this link has seen it lately."""
        return self._heads_in.leaf(index) if self._heads_in is not None else None

    @property
    def head_note(self) -> int:
        """Ordinal of the note that holds the newest accepted head; a head no record needs is not written."""
        if self._head is not None and self._heads_in is not None:
            self._head_note = self._log.note(PEER_HEAD, self._head.size, format_note(self._head))
            self._head = None
        return self._head_note

    def expect_ack(self, index: int) -> None:
        """A record of ours at this index is on its way; the peer may acknowledge it, once."""
        self._unacked[index] = None
        if len(self._unacked) > REMEMBERED:
            del self._unacked[next(iter(self._unacked))]

    def take_ack(self, index: int) -> bool:
        """Whether an acknowledgement of that record was still to come."""
        return self._unacked.pop(index, False) is None

    # Timers and the end ----------------------------------------------------------------------------------------

    def _flush(self) -> None:
        self._flush_due = False
        if self._out and self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(self._out))
        self._out.clear()

    def _answered(self, number: int, answer: Answer | None) -> None:
        waiting = self._questions.pop(number, None)
        if waiting is not None:
            callback, timer = waiting
            timer.cancel()
            callback(answer)

    def _no_hello(self) -> None:
        self.close(Unavailable("peer.silent", "the peer did not say hello in time"))

    def _keep_alive(self) -> None:
        if not self._heard:
            self.close(Unavailable("peer.silent", "nothing came from the peer, not even to a ping"))
            return
        self._heard = False
        self._ping()
        self._timer = self._loop.call_later(PING_INTERVAL, self._keep_alive)

    def _end(self, reason: Error) -> None:
        if self._lost is not None:
            return
        self._lost = reason
        self.open = False
        if isinstance(reason, Untrusted | Malformed | Limited):
            log_error(logger, "a link was ended", reason, peer=str(self.peer.id) if self.peer else "")
        if self._timer is not None:
            self._timer.cancel()
        for number in list(self._questions):
            self._answered(number, None)
        waiting, self.resumed = self.resumed, []
        self._handler.on_lost(self, reason)
        self._tell_changed()
        for callback in waiting:
            callback()
