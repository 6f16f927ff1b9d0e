"""Streamed bodies: a durable, proven head before the first byte leaves, a tail after the last, constant memory.

The receiver grants room (`Window`), the sender stays within it; both keep a tail on record, also when the body was cut
short, so nobody drains data unseen.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from hashlib import sha256
from typing import Literal

from qaztech.core.commitment import BODY, commit_digest, salt
from qaztech.core.errors import Error, Malformed, Unavailable, Untrusted
from qaztech.core.exchange import CLOCK_SKEW
from qaztech.core.record import Record, format_record, hash_text, message_bytes, parse_record
from qaztech.evidence.log import Commit, Entry
from qaztech.evidence.merkle import leaf_hash
from qaztech.node.frames import Cancel, Data, Tail, Window
from qaztech.node.journal import Kept, seal_kept
from qaztech.node.link import WINDOW, Link
from qaztech.node.place import Place, Sink, Source

PIECE = 64 * 1024
TailKind = Literal["request-tail", "response-tail"]


class BodySender:
    """Sends one streamed body and ends it with its tail. `feed`, `end` and `source_lost` are the source's to call."""

    def __init__(
        self,
        *,
        place: Place,
        link: Link,
        stream: int,
        record: Record,
        leaf: bytes,
        index: int,
        secret: bytes,
        source: Source,
        ended: Callable[[bool], None] | None = None,
    ) -> None:
        self._place = place
        self._link = link
        self._stream = stream
        self._head = record
        self._bound = f"{hash_text(leaf)} {index}"
        self._secret = secret
        self._source = source
        self._ended = ended
        self._digest = sha256()
        self._size = 0
        self._credit = WINDOW
        self._waiting: deque[bytes] = deque()
        self._complete = False
        self._over = False
        self._paused = False
        # When the receiver last had room for something (loop time).
        self._moved = place.loop.time()

    def feed(self, data: bytes) -> None:
        """The next bytes of the body."""
        if self._over:
            return
        self._waiting.append(data)
        self._pump()

    def end(self) -> None:
        """The source has no more."""
        self._complete = True
        self._pump()

    def abort(self) -> None:
        """The source broke off, the receiver wants no more, or the link is gone: the tail says so, on record here."""
        self._finish("aborted")

    def on_window(self, credit: int) -> None:
        """The receiver has room again."""
        self._credit += credit
        self._pump()

    def is_stalled(self, now: float) -> bool:
        """Whether the receiver has taken nothing for as long as an answer may take, with something waiting for it."""
        return not self._over and bool(self._waiting) and now - self._moved > self._place.limits.answer_timeout

    def _pump(self) -> None:
        while self._waiting and self._credit > 0 and not self._over and self._link.writable:
            data = self._waiting.popleft()
            room = min(self._credit, PIECE)
            if len(data) > room:
                self._waiting.appendleft(data[room:])
                data = data[:room]
            self._digest.update(data)
            self._size += len(data)
            self._credit -= len(data)
            self._link.send(Data(self._stream, data))
            self._moved = self._place.loop.time()
        if self._over:
            return
        if self._waiting:
            if not self._paused:
                self._paused = True
                self._source.pause()
            if not self._link.writable:
                self._link.resumed.append(self._pump)
        elif self._complete:
            self._finish("complete")
        elif self._paused:
            self._paused = False
            self._source.resume()

    def _finish(self, outcome: str) -> None:
        if self._over:
            return
        self._over = True
        self._waiting.clear()
        if outcome == "aborted":
            self._source.discard()
        elif self._paused:
            self._paused = False
            self._source.resume()
        kind: TailKind = "request-tail" if self._head.kind == "request" else "response-tail"
        now = self._place.clock.now()
        digest = commit_digest(salt(self._secret, BODY), self._digest.digest())
        tail = format_record(
            kind, message=self._head["message"], from_=self._head["from"], to=self._head["to"], head=self._bound,
            time=now, size=self._size, body=hash_text(digest), outcome=outcome,
        )  # fmt: skip

        def durable(index: int, commit_: Commit | None, error: Error | None) -> None:
            if error is None and commit_ is not None and self._link.alive:
                frame = Tail(self._stream, index, tail.data)
                self._link.expect_ack(index)
                self._link.send_proven(frame, index, commit_.head.size, commit_.head.signature)
            if self._ended is not None:
                self._ended(outcome == "complete" and error is None)

        try:
            entry = Entry(message_bytes(self._head["message"]), now, tail.data, seal_kept(Kept(self._secret)))
            self._place.journal.append(entry, durable)
        except Error:
            if self._ended is not None:
                self._ended(False)


class BodyReceiver:
    """Receives one streamed body, hands it to a sink as it comes, and checks it against its tail."""

    def __init__(
        self,
        *,
        place: Place,
        link: Link,
        stream: int,
        record: Record,
        leaf: bytes,
        index: int,
        secret: bytes,
        limit: int,
        sink: Sink | None = None,
    ) -> None:
        self._place = place
        self._link = link
        self._stream = stream
        self._head = record
        self._bound = f"{hash_text(leaf)} {index}"
        self._secret = secret
        self._limit = limit
        self._sink = sink
        # Pieces that came before the head was durable here; at most a window of them.
        self._early: list[bytes] = []
        self._digest = sha256()
        self._room = WINDOW
        self.size = 0
        self._tail: tuple[bool, Callable[[], None]] | None = None
        self._discarding = False
        self._tailed = False
        self._over = False
        # When the peer last did its part (loop time).
        self._heard = place.loop.time()

    def is_stalled(self, now: float) -> bool:
        """Whether the peer has room to send, and has sent nothing for as long as an answer may take."""
        waits = not self.over and self._room > 0
        return waits and now - self._heard > self._place.limits.answer_timeout

    @property
    def over(self) -> bool:
        """Whether nothing more is to come: its tail has, or its link is gone."""
        return self._over or self._tailed

    def attach(self, sink: Sink) -> None:
        """The head is durable here: what came so far may pass, and the rest as it comes."""
        self._sink = sink
        early, self._early = self._early, []
        for data in early:
            sink.write(data)
        if self._over:
            sink.abort(Unavailable("peer.lost", "the body ended before its tail", at="provider-node"))
        elif self._tail is not None:
            self._tail[1]()

    def on_data(self, data: bytes) -> None:
        """The next piece from the peer; more than it was given room for ends the link."""
        if self._over:
            return
        if self._tailed:
            raise Untrusted("link.unexpected", "body data after its tail", at="caller")
        self._heard = self._place.loop.time()
        self._room -= len(data)
        if self._room < 0 or not data:
            raise Untrusted("link.window", "the peer sent more than there was room for", at="caller")
        self.size += len(data)
        self._digest.update(data)
        if self._discarding or self.size > self._limit:
            if not self._discarding:
                self._discarding = True
                self._link.send(Cancel(self._stream, "limit.body"))
            self.consumed(len(data))
        elif self._sink is None:
            self._early.append(data)
        else:
            self._sink.write(data)

    def consumed(self, size: int) -> None:
        """So many bytes have gone on: the peer may send as many more."""
        self._room += size
        self._heard = self._place.loop.time()
        if not self._over and self._tail is None and self._link.alive:
            self._link.send(Window(self._stream, size))

    def discard(self) -> None:
        """Nobody wants the rest; the peer has been told, its tail is awaited."""
        self._discarding = True
        self._early.clear()

    def lost(self) -> bool:
        """The link is gone; True when the body was cut short by that."""
        if self.over:
            return False
        self._over = True
        if self._sink is not None:
            self._sink.abort(Unavailable("peer.lost", "the link was lost before the body ended", at="provider-node"))
        return True

    def on_tail(
        self, frame: Tail, then: Callable[[bool, Record, int, int, Commit], None], failed: Callable[[Error], None]
    ) -> None:
        """Verify and record the tail, then end the sink. Raises `Untrusted`, which ends the link."""
        if self._tailed:
            raise Untrusted("tail.untrusted", "a body ends once", at="caller")
        tail = self._verified(frame)
        digest = hash_text(commit_digest(salt(self._secret, BODY), self._digest.digest()))
        if tail.number("size") != self.size or tail["body"] != digest:
            raise Untrusted("tail.untrusted", "a body is not the one its tail names", at="caller")
        self._tailed = True
        complete = tail["outcome"] == "complete"
        kept = Kept(self._secret, head=self._link.head_note, peer_index=frame.index)

        def unrecorded(why: Error) -> None:
            self._abort(why)
            failed(why)

        def durable(index: int, commit_: Commit | None, error: Error | None) -> None:
            if error is not None or commit_ is None:
                unrecorded(error or Unavailable("log.halted", "the log is halted", at="log"))
                return
            self._tail = (complete, lambda: self._end(complete=complete))
            if self._sink is not None:
                self._tail[1]()
            then(complete and not self._discarding, tail, index, frame.index, commit_)

        now = self._place.clock.now()
        entry = Entry(message_bytes(self._head["message"]), now, tail.data, seal_kept(kept))
        try:
            self._place.journal.append(entry, durable)
        except Error as exc:
            unrecorded(exc)

    def _verified(self, frame: Tail) -> Record:
        try:
            tail = parse_record(frame.record)
        except Malformed as exc:
            raise Untrusted("tail.untrusted", exc.detail, at="caller") from exc
        if (
            tail.kind != f"{self._head.kind}-tail"
            or any(tail[name] != self._head[name] for name in ("message", "from", "to"))
            or tail["head"] != self._bound
            or self._link.proven_leaf(frame.index) != leaf_hash(frame.record)
            or abs(tail.number("time") - self._place.clock.now()) > CLOCK_SKEW
        ):
            raise Untrusted("tail.untrusted", "a tail does not end its head", at="caller")
        return tail

    def _end(self, *, complete: bool) -> None:
        if self._sink is None:
            return
        if complete and not self._discarding:
            self._sink.finish()
        else:
            self._abort(Unavailable("body.aborted", "the body was cut short at its source", at="provider-node"))

    def _abort(self, error: Error) -> None:
        self._over = True
        if self._sink is not None:
            self._sink.abort(error)


class Streaming:
    """What both sides of an exchange do with bodies that stream: one may come, one may go."""

    __slots__ = ("_receiver", "_sender")

    def __init__(self) -> None:
        self._receiver: BodyReceiver | None = None
        self._sender: BodySender | None = None

    def on_data(self, frame: Data) -> None:
        """A piece of the body that comes."""
        if self._receiver is None:
            raise Untrusted("link.unexpected", "a body that no head announced", at="caller")
        self._receiver.on_data(frame.data)

    def on_window(self, frame: Window) -> None:
        """The peer has room for more of the body that goes."""
        if self._sender is not None:
            self._sender.on_window(frame.credit)

    def is_stalled(self, now: float) -> bool:
        """Whether the body that comes has stopped on its way, or the one that goes is taken by nobody."""
        bodies = (self._receiver, self._sender)
        return any(body is not None and body.is_stalled(now) for body in bodies)

    def cut_stalled_sender(self, now: float) -> bool:
        """End the body that goes, if nobody takes it: its tail says so. Whether that was it."""
        if self._sender is None or not self._sender.is_stalled(now):
            return False
        self._sender.abort()
        return True
