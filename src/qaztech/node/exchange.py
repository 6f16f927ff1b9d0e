"""One exchange, in ten steps: the consumer's side of it (`Outgoing`) and the provider's (`Incoming`).

The steps are those of docs/exchange-cycle.md, under the same numbers. Everything here runs on the loop in callbacks,
without tasks: the log calls back when a batch is durable, the link when the peer speaks, the system when it answers.
Streamed bodies are in `streams`; who speaks HTTP at the edges is in `edge` and `systems`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable

from qaztech.core.commitment import BODY, HEADERS, SECRET_SIZE, commit
from qaztech.core.errors import Error, Forbidden, Halt, NotFound, Unavailable, Untrusted
from qaztech.core.exchange import CLOCK_SKEW, MAX_LIFETIME, needs_no_right
from qaztech.core.ids import ServiceId
from qaztech.core.record import NO_ENDPOINT, STREAMED, Kind, Record, hash_text, is_code, message_bytes
from qaztech.evidence.log import Commit, Entry
from qaztech.evidence.merkle import leaf_hash
from qaztech.node import binding
from qaztech.node.deciding import reason_to_refuse
from qaztech.node.frames import Ack, Cancel, Dropped, Refused, Request, Response, Tail
from qaztech.node.journal import Kept, seal_kept
from qaztech.node.link import Link
from qaztech.node.place import Allowed, Call, Caller, Finished, Place, Source, Systems, Work, refusal
from qaztech.node.streams import BodyReceiver, BodySender, Streaming

IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})


class Outgoing(Streaming):
    """The consumer node's side of one exchange."""

    __slots__ = (
        "_answered", "_began", "_caller", "_index", "_leaf", "_on_end", "_place", "_record", "_response", "_secret",
        "_sent", "_stream", "call", "deadline", "link",
    )  # fmt: skip

    def __init__(self, *, place: Place, call: Call, caller: Caller, on_end: Callable[[Outgoing], None]) -> None:
        super().__init__()
        self._place = place
        self.call = call
        self._caller = caller
        self._on_end = on_end
        self._began = place.clock.now()
        self.link: Link | None = None
        self._record: Record | None = None
        self._response: Record | None = None
        self._index = -1
        self._stream = 0
        self._sent = self._answered = False
        # Until when the answer is waited for (loop time); the consumer looks at all of them together.
        self.deadline = math.inf

    def authorise(self) -> Allowed:
        """Steps 1 to 3: who calls what, where it lives, and by which right. Raises what the caller is told."""
        configuration = self._place.configuration()
        call = self.call
        # step 1: identify the calling subsystem (its credentials were checked at the edge)
        if not configuration.is_subsystem(call.client):
            raise Forbidden("client.unknown", f"Client 'SUBSYSTEM:{call.client}' not found", at="consumer-node")
        now, own = self._place.clock.now(), configuration.log(self._place.journal.origin)
        if own is None or not own.speaks_for(call.client.member, now):
            # Its member has left this node, or not come yet. A peer would take such a request for an attack.
            raise Forbidden("client.not-served", f"This node does not speak for {call.client}", at="consumer-node")
        # step 2: resolve the service in the verified configuration
        service_id = call.service
        provider = configuration.member(service_id.subsystem.member)
        if provider is None:
            raise NotFound(
                "member.unknown", f'Could not find addresses for service provider "{service_id}"', at="consumer-node"
            )
        meta = needs_no_right(service_id.code, call.method)
        service = configuration.service(service_id)
        if service is None and not (meta and configuration.is_subsystem(service_id.subsystem)):
            raise NotFound("service.unknown", f"Unknown service: SERVICE:{service_id}", at="provider-node")
        if service is not None and service.disabled is not None:
            raise Unavailable(
                "service.disabled", f"Service SERVICE:{service_id} is disabled: {service.disabled}", at="provider-node"
            )
        # step 3: check the access right
        if meta and service is None:
            return Allowed(configuration, NO_ENDPOINT)
        endpoint = configuration.authorise(call.client, service_id, call.method, call.suffix or "/", now)
        if endpoint is None:
            raise Forbidden("access-right.missing", f"Request is not allowed: SERVICE:{service_id}", at="provider-node")
        return Allowed(configuration, str(endpoint))

    def send(self, link: Link, allowed: Allowed) -> None:
        """Steps 4 and 5, on a link that is ready; step 6 follows when the log says durable. Raises at once or calls."""
        call, place = self.call, self._place
        self.link = link
        # step 4: make the request record
        secret = os.urandom(SECRET_SIZE)
        now = place.clock.now()
        self._record = binding.request_record(
            call, allowed, own=place.journal.origin, peer=link.origin, secret=secret, now=now,
            lifetime=place.limits.request_lifetime,
        )  # fmt: skip
        self._secret = secret
        self._leaf = b""
        kept = Kept(secret, call.suffix, call.query, call.headers)
        # step 5: append it to the node's own log, durable
        place.journal.append(Entry(call.message.data, now, self._record.data, seal_kept(kept)), self._request_durable)

    def _request_durable(self, index: int, commit_: Commit | None, error: Error | None) -> None:
        link, record, call = self.link, self._record, self.call
        if error is not None or commit_ is None:
            self._fail(error or Unavailable("log.halted", "the log is halted", at="log"))
            return
        assert link is not None and record is not None  # noqa: S101, PT018  # set in `send`
        self._index = index
        self._leaf = commit_.leaves[index - commit_.start]
        if not link.open:
            # Nothing has left: the record stands as a request that was never sent.
            self._no_answer("node.draining" if link.alive else "peer.lost", sent=False)
            return
        # step 6: send record, proof and body
        self._stream = link.next_stream()
        link.streams[self._stream] = self
        frame = Request(
            self._stream, index, record.data, self._secret,
            call.prefix, call.suffix, call.query, call.headers, call.body,
        )  # fmt: skip
        link.send_proven(frame, index, commit_.head.size, commit_.head.signature)
        self._sent = True
        if call.source is None:
            self._wait()
            return
        # The wait for an answer begins when the body has gone out; until then its own timeouts hold.
        self._sender = BodySender(
            place=self._place, link=link, stream=self._stream, record=record, leaf=self._leaf, index=index,
            secret=self._secret, source=call.source, ended=lambda _: self._wait(),
        )  # fmt: skip
        call.source.attach(self._sender)

    @property
    def has_left(self) -> bool:
        """Whether the request was sent."""
        return self._sent

    def _wait(self) -> None:
        if not self._answered:
            self.deadline = self._place.loop.time() + self._place.limits.answer_timeout

    # The provider node speaks -----------------------------------------------------------------------------------

    def on_response(self, frame: Response) -> None:
        """A response record. Raises `Untrusted` when it is not one to this request, which ends the link."""
        if self._answered:
            return  # it crossed our own time-out
        record = self._verified(frame.record, "response", frame.index, frame.request_index)
        binding.check_answer_opened(record, frame)
        self._response = record
        kept = Kept(
            secret=frame.secret, headers=frame.headers, head=self._link.head_note, peer_index=frame.index,
            request_index=frame.request_index,
        )  # fmt: skip
        if frame.body is None:
            self._receiver = BodyReceiver(
                place=self._place, link=self._link, stream=frame.stream, record=record, leaf=leaf_hash(record.data),
                index=frame.index, secret=frame.secret, limit=self._place.limits.body,
            )  # fmt: skip
        self._append_answer(record, kept, lambda index: self._deliver(frame, index))

    def on_refused(self, frame: Refused) -> None:
        """The provider node refused, on record."""
        if self._answered:
            return  # it crossed our own time-out
        record = self._verified(frame.record, "refused", frame.index, frame.request_index)
        self._response = record
        kept = Kept(head=self._link.head_note, peer_index=frame.index, request_index=frame.request_index)
        error = refusal(record["code"], frame.detail, record.number("time"))
        self._append_answer(record, kept, lambda index: self._refuse(error, frame.index, index))

    def on_dropped(self, frame: Dropped) -> None:
        """The provider node did not take the request; it has recorded nothing and called nobody."""
        self._no_answer(frame.code if is_code(frame.code) else "peer.dropped", sent=False, detail=frame.detail)

    def on_tail(self, frame: Tail) -> None:
        """The end of the response's body."""
        if self._receiver is None:
            raise Untrusted("response.untrusted", "a tail before its head", at="provider-node")
        self._receiver.on_tail(frame, self._streamed, self._tail_unrecorded)

    def on_cancel(self, frame: Cancel) -> None:  # noqa: ARG002  # why is for the peer's log of itself
        """The provider node wants no more of the request's body."""
        if self._sender is not None:
            self._sender.abort()

    def on_lost(self) -> None:
        """The link is gone."""
        if self._sender is not None:
            self._sender.abort()
        if self._response is None:
            self._no_answer("peer.lost", sent=self._sent)
        elif self._receiver is not None and self._receiver.lost():
            self._aborted("peer.lost")

    def stalled(self) -> None:
        """Give up what has stopped on its way: the request's body, or the answer."""
        if self.cut_stalled_sender(self._place.loop.time()):
            return
        self._link.send(Cancel(self._stream, "peer.stalled"))
        if self._receiver is not None and self._receiver.lost():
            self._aborted("peer.stalled")

    def caller_gone(self) -> None:
        """The calling system no longer waits: a stream is cut, an answer on its way is still recorded."""
        if self._sender is not None:
            self._sender.abort()
        if self._receiver is not None and self.link is not None:
            self.link.send(Cancel(self._stream, "caller.gone"))
            self._receiver.discard()

    # The answer ---------------------------------------------------------------------------------------------------

    def _verified(self, data: bytes, kind: str, index: int, request_index: int) -> Record:
        # step 10: the consumer node verifies, appends, durable, answers; its acknowledgement carries the proof back
        request, link = self._record, self._link
        if request is None:
            raise Untrusted("response.untrusted", "an answer to nothing that was asked", at="provider-node")
        record = binding.check_answer(data, kind, request, f"{hash_text(self._leaf)} {self._index}")
        if abs(record.number("time") - self._place.clock.now()) > CLOCK_SKEW + self._place.clock.now() - self._began:
            raise Untrusted("response.stale", "the peer's clock is more than a minute off", at="provider-node")
        if self._place.configuration().contradicts(record["snapshot"]):
            raise Untrusted("response.untrusted", "a record names a snapshot that never was", at="provider-node")
        if link.proven_leaf(index) != leaf_hash(data):
            raise Untrusted("response.untrusted", "a record is not proven to stand in its log", at="provider-node")
        if request_index >= index or link.proven_leaf(request_index) not in {self._leaf, None}:
            raise Untrusted("response.untrusted", "the peer's log does not hold the request", at="provider-node")
        return record

    def _append_answer(self, record: Record, kept: Kept, then: Callable[[int], None]) -> None:
        # Only now is it the answer: what failed a check before leaves the exchange waiting, and its link ends.
        self._answered = True

        def durable(index: int, commit_: Commit | None, error: Error | None) -> None:
            if error is not None or commit_ is None:
                self._fail(error or Unavailable("log.halted", "the log is halted", at="log"))
                return
            self._acknowledge(record, index, kept.peer_index, commit_)
            then(index)

        now = self._place.clock.now()
        try:
            entry = Entry(self.call.message.data, now, record.data, seal_kept(kept))
            self._place.journal.append(entry, durable)
        except Error as exc:
            self._fail(exc)

    def _acknowledge(self, record: Record, index: int, peer_index: int, commit_: Commit) -> None:
        if record.kind != "request" and self._link.alive:
            ack = Ack(self.call.message.data, index, peer_index)
            self._link.send_proven(ack, index, commit_.head.size, commit_.head.signature)

    def _deliver(self, frame: Response, index: int) -> None:  # noqa: ARG002
        response = self._response
        assert response is not None  # noqa: S101  # set by on_response
        if frame.body is not None:
            self._caller.answer(response.number("status"), frame.headers, frame.body)
            self._end("answered", response.number("status"))
            return
        receiver = self._receiver
        assert receiver is not None  # noqa: S101  # set by on_response
        receiver.attach(self._caller.start(response.number("status"), frame.headers, receiver.consumed))

    def _streamed(self, complete: bool, record: Record, index: int, peer_index: int, commit_: Commit) -> None:
        self._acknowledge(record, index, peer_index, commit_)
        self._end("answered" if complete else "aborted", self._status)

    def _tail_unrecorded(self, why: Error) -> None:
        self._end(f"aborted {why.code}", self._status)

    @property
    def _status(self) -> int:
        return self._response.number("status") if self._response is not None else 0

    def _refuse(self, error: Error, peer_index: int, index: int) -> None:  # noqa: ARG002
        self._caller.fail(error)
        self._end(f"refused {error.code}", error.status)

    # No answer ---------------------------------------------------------------------------------------------------

    def timed_out(self) -> None:
        """The deadline is over."""
        self.deadline = math.inf
        if not self._answered:
            if self.link is not None and self.link.alive:
                self.link.send(Cancel(self._stream, "caller.timeout"))
            self._no_answer("peer.timeout", sent=True)

    def _no_answer(self, code: str, *, sent: bool, detail: str = "") -> None:
        """Record that nothing came back; the caller of a non-idempotent method learns that the outcome is unknown."""
        if self._answered or self._record is None or self._index < 0:
            return
        self._answered = True
        call = self.call
        error: Error
        if sent and call.method not in IDEMPOTENT:
            error = Unavailable(
                "outcome.unknown",
                f"The outcome is unknown ({code}); ask this node for it: GET /exchanges/{call.message.text}",
                at="consumer-node",
            )
        else:
            error = Unavailable(code, detail or f"No answer from the provider's node ({code})", at="consumer-node")

        def durable(index: int, commit_: Commit | None, failed: Error | None) -> None:  # noqa: ARG001
            self._caller.fail(failed or error)
            self._end(f"no answer: {code}", 0)

        try:
            self._place.journal.append(self._bound("no-answer", code), durable)
        except Error as exc:
            self._fail(exc)

    def _aborted(self, code: str) -> None:
        """Record that an answer whose head is here ended without a tail; its sink has been cut already."""
        record = self._bound("aborted", code)

        def durable(index: int, commit_: Commit | None, failed: Error | None) -> None:  # noqa: ARG001
            self._end(f"aborted: {code}", self._status)

        try:
            self._place.journal.append(record, durable)
        except Error as exc:
            self._end(exc.code, self._status)

    def _bound(self, kind: Kind, code: str) -> Entry:
        """A record of our own about the request, for our own log."""
        request = self._record
        assert request is not None  # noqa: S101  # there is no answer to wait for before there is a request
        now = self._place.clock.now()
        record = binding.unanswered_record(kind, request, f"{hash_text(self._leaf)} {self._index}", now=now, code=code)
        return Entry(self.call.message.data, now, record.data)

    def _fail(self, error: Error) -> None:
        self._answered = True
        self._caller.fail(error)
        self._end(error.code, 0)

    def _end(self, state: str, status: int) -> None:
        if self._sender is not None:
            self._sender.abort()  # an answer before the body's end: the tail says how far it went
        if self.link is not None:
            self.link.streams.pop(self._stream, None)
        call, now = self.call, self._place.clock.now()
        self._place.finished(Finished(
            side="consumer", message=call.message.text, client=str(call.client), service=str(call.service),
            method=call.method, peer=self.link.origin if self.link else "", time=self._began,
            milliseconds=now - self._began, state=state, status=status, trace=self._place.trace(call.headers),
        ))  # fmt: skip
        self._on_end(self)

    @property
    def _link(self) -> Link:
        assert self.link is not None  # noqa: S101  # answers come over the link the request left by
        return self.link


class Incoming(Streaming):
    """The provider node's side of one exchange."""

    __slots__ = (
        "_began", "_frame", "_index", "_leaf", "_link", "_on_end", "_place", "_record", "_service", "_systems",
        "_told", "_work", "over",
    )  # fmt: skip

    def __init__(
        self, *, place: Place, link: Link, frame: Request, systems: Systems, on_end: Callable[[Incoming], None]
    ) -> None:
        super().__init__()
        self._place = place
        self._link = link
        self._frame = frame
        self._systems = systems
        self._on_end = on_end
        self._began = place.clock.now()
        self._leaf = leaf_hash(frame.record)
        self._index = -1
        self._record: Record | None = None
        self._work: Work | None = None
        self.over = False
        # An answer or a refusal is on its way to the log.
        self._told = False

    def receive(self) -> None:
        """Step 7. `Untrusted` ends the link; `Forbidden`, `Unavailable`, `NotFound` and `Limited` drop the request."""
        # step 7: the provider node verifies peer, audience, freshness, replay, proof and access right, appends, durable
        frame, place, link = self._frame, self._place, self._link
        configuration = place.configuration()
        now = place.clock.now()
        record, client, service_id = binding.check_parties(
            frame.record, peer=link.origin, own=place.journal.origin, configuration=configuration, now=now
        )
        self._record = record
        made, expires = record.number("time"), record.number("expires")
        if made > now + CLOCK_SKEW or expires < now - CLOCK_SKEW or expires - made > MAX_LIFETIME:
            raise Forbidden("request.stale", "the request is from another time; are both clocks right?", at="caller")
        if link.proven_leaf(frame.index) != self._leaf:
            raise Untrusted("request.untrusted", "a record is not proven to stand in its log", at="caller")
        if not place.replays.take(link.origin, frame.index):
            raise Forbidden("request.replayed", "a request from this place of the peer's log was here", at="caller")
        headers = binding.check_opened(record, frame)
        kept = Kept(frame.secret, frame.path, frame.query, frame.headers, link.head_note, frame.index)
        refused = reason_to_refuse(
            record, frame, client, service_id, configuration=configuration, systems=self._systems, now=now
        )
        entry = Entry(message_bytes(record["message"]), now, frame.record, seal_kept(kept))
        if refused is not None:
            place.journal.append(entry, lambda index, commit_, error: self._recorded(index, commit_, error, refused))
            return
        if frame.body is None:
            self._receiver = BodyReceiver(
                place=place, link=link, stream=frame.stream, record=record, leaf=self._leaf, index=frame.index,
                secret=frame.secret, limit=place.limits.body,
            )  # fmt: skip
        place.journal.append(
            entry, lambda index, commit_, error: self._recorded(index, commit_, error, None, (service_id, headers))
        )

    def _recorded(
        self,
        index: int,
        commit_: Commit | None,
        error: Error | None,
        refused: Error | None,
        call: tuple[ServiceId, list[tuple[bytes, bytes]]] | None = None,
    ) -> None:
        if error is not None or commit_ is None:
            self._link.send(Dropped(self._frame.stream, "log.halted", "the provider node's log is halted"))
            self._end("log.halted", 0)
            return
        self._index = index
        if refused is not None or call is None:
            self.refuse(refused or Unavailable("service.unreachable", "no such call"))
            return
        # step 8: call the system
        self._work = self._systems.start(self, call[0], call[1], self._frame, self._receiver)
        if self._receiver is not None and not self.over:
            self._receiver.attach(self._work)

    # The system answers -----------------------------------------------------------------------------------------

    def _take_turn(self) -> bool:
        """Whether nothing was said yet: a request has one answer or refusal, also while that becomes durable."""
        turn, self._told = not (self.over or self._told), True
        return turn

    def answer(self, status: int, headers: bytes, body: bytes) -> None:
        """Step 9 for a whole answer. `headers` are the lines that cross."""
        if not self._take_turn():
            return
        secret = os.urandom(SECRET_SIZE)
        record = self._response(secret, status, headers, str(len(body)), hash_text(commit(secret, BODY, body)))
        self._append(record, Kept(secret, headers=headers), lambda index, commit_: self._send(
            Response(self._frame.stream, index, self._index, record.data, secret, headers, body),
            index, commit_, f"answered {status}", status,
        ))  # fmt: skip

    def start(self, status: int, headers: bytes, source: Source) -> None:
        """Step 9 for an answer that streams: head now, then the body from `source`, then its tail."""
        if not self._take_turn():
            return
        secret = os.urandom(SECRET_SIZE)
        record = self._response(secret, status, headers, STREAMED, STREAMED)

        def durable(index: int, commit_: Commit) -> None:
            frame = Response(self._frame.stream, index, self._index, record.data, secret, headers, None)
            self._link.expect_ack(index)
            self._link.send_proven(frame, self._index, commit_.head.size, commit_.head.signature)
            self._sender = BodySender(
                place=self._place, link=self._link, stream=self._frame.stream, record=record,
                leaf=commit_.leaves[index - commit_.start], index=index, secret=secret, source=source,
                ended=lambda complete: self._end("answered" if complete else "aborted", status),
            )  # fmt: skip
            source.attach(self._sender)
            if not self._link.alive:
                self._sender.abort()

        self._append(record, Kept(secret, headers=headers), durable)

    def now(self) -> int:
        """The node's time."""
        return self._place.clock.now()

    def refuse(self, error: Error) -> None:
        """Step 9 where the node answers in the system's place: on record, as the answer would be."""
        request = self._record
        if request is None or not self._take_turn():
            return
        record = binding.answer_record(
            "refused", request, self._bound, snapshot=self._place.configuration().snapshot_text, now=self.now(),
            code=error.code,
        )  # fmt: skip
        self._append(record, Kept(), lambda index, commit_: self._send(
            Refused(self._frame.stream, index, self._index, record.data, error.detail),
            index, commit_, f"refused {error.code}", error.status,
        ))  # fmt: skip

    def _response(self, secret: bytes, status: int, headers: bytes, size: str, body: str) -> Record:
        # step 9: response record, bound to the request record, appended, durable, sent
        request = self._record
        assert request is not None  # noqa: S101  # set by receive
        return binding.answer_record(
            "response", request, self._bound, snapshot=self._place.configuration().snapshot_text, now=self.now(),
            status=status, size=size, headers=hash_text(commit(secret, HEADERS, headers)), body=body,
        )  # fmt: skip

    @property
    def _bound(self) -> str:
        """The request record as an answer names it: its leaf hash, its place in the consumer's log."""
        return f"{hash_text(self._leaf)} {self._frame.index}"

    def _append(self, record: Record, kept: Kept, then: Callable[[int, Commit], None]) -> None:
        def durable(index: int, commit_: Commit | None, error: Error | None) -> None:
            if error is None and commit_ is not None:
                then(index, commit_)
            else:
                self._unrecorded(error or Halt("log.halted", "the log is halted", at="log"))

        entry = Entry(message_bytes(record["message"]), self._place.clock.now(), record.data, seal_kept(kept))
        try:
            self._place.journal.append(entry, durable)
        except Error as exc:
            self._unrecorded(exc)

    def _unrecorded(self, why: Error) -> None:
        """What came of the request is not on record, so it is not told; whoever waits must not wait in vain."""
        if isinstance(why, Halt):
            self._link.close(Unavailable("log.halted", "this node's log is halted", at="log"))
        self._end(why.code, 0)

    def _send(self, frame: Response | Refused, index: int, commit_: Commit, state: str, status: int) -> None:
        self._link.expect_ack(index)
        # From the request on: the consumer sees that it stands here.
        self._link.send_proven(frame, self._index, commit_.head.size, commit_.head.signature)
        self._end(state, status)

    # The peer goes on speaking -----------------------------------------------------------------------------------

    def on_tail(self, frame: Tail) -> None:
        """The end of the request's body."""
        if self._receiver is None:
            raise Untrusted("request.untrusted", "a tail of a request that does not stream", at="caller")
        self._receiver.on_tail(frame, lambda *_: None, lambda _: None)
        if self.over:
            self._link.streams.pop(self._frame.stream, None)

    def on_cancel(self, frame: Cancel) -> None:
        """The consumer node no longer waits."""
        if self._sender is not None:
            self._sender.abort()
        elif self._work is not None:
            self._work.cancel(frame.code)

    def stalled(self) -> None:
        """Give up what has stopped on its way: the answer's body, or the request."""
        if self.cut_stalled_sender(self._place.loop.time()):
            return
        self._link.send(Cancel(self._frame.stream, "request.stalled"))
        if self._receiver is not None:
            self._receiver.lost()
        self.refuse(Unavailable("request.stalled", "the request's body stopped on its way", at="caller"))

    def on_lost(self) -> None:
        """The link is gone. What the system answers is still recorded here; the peer may ask for it later."""
        if self._receiver is not None:
            self._receiver.lost()
        if self._sender is not None:
            self._sender.abort()

    def _end(self, state: str, status: int) -> None:
        if self.over:
            return
        self.over = True
        self._work = None
        if self._receiver is not None and not self._receiver.over:
            self._receiver.discard()  # its tail is still to come, and goes on record
        else:
            self._link.streams.pop(self._frame.stream, None)
        record, now = self._record, self._place.clock.now()
        if record is not None:
            self._place.finished(Finished(
                side="provider", message=record["message"], client=record["client"], service=record["service"],
                method=record["method"], peer=self._link.origin, time=self._began,
                milliseconds=now - self._began, state=state, status=status,
                trace=self._place.trace(self._frame.headers),
            ))  # fmt: skip
        self._on_end(self)
