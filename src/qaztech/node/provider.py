"""The provider side of a node: takes links from peers and the requests they carry.

What cannot be authenticated is counted and cut off, never appended; what is authenticated and refused is on record.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from qaztech.core.errors import Error, Forbidden, Limited, Unavailable, Untrusted
from qaztech.node.exchange import Incoming
from qaztech.node.frames import Ack, Cancel, Data, Dropped, Frame, Question, Request, Tail, Window
from qaztech.node.journal import ACK, AckNote, format_note
from qaztech.node.link import IncidentReporter, Link
from qaztech.node.place import Place, Systems

# What an operator must see though the caller is only refused: clocks that are apart, and records sent again.
# One peer may take so large a part (1/n) of the places for exchanges.
PEER_SHARE = 4
SWEEP_EVERY = 1.0
ALARMING = frozenset({"request.stale", "request.replayed"})


class Provider:
    """All calls this node takes for its members' services."""

    def __init__(
        self,
        *,
        place: Place,
        systems: Systems,
        answer_question: Callable[[Link, Question], None],
        count: Callable[[str], None],
        incidents: IncidentReporter,
    ) -> None:
        self._place = place
        self._systems = systems
        self._answer_question = answer_question
        self._count = count
        self._incidents = incidents
        self.exchanges: set[Incoming] = set()
        self._links: set[Link] = set()
        self._draining = False
        self._sweeper: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to look for requests that have stopped on their way."""
        now = self._place.loop.time()
        for exchange in [e for e in self.exchanges if e.is_stalled(now)]:
            exchange.stalled()
        self._sweeper = self._place.loop.call_later(SWEEP_EVERY, self.start)

    def links(self) -> list[Link]:
        """The links that are up."""
        return list(self._links)

    # LinkHandler -----------------------------------------------------------------------------------------------

    def on_ready(self, link: Link) -> None:
        """A peer is here."""
        self._links.add(link)
        if self._draining:
            link.drain("node.draining")

    def on_frame(self, link: Link, frame: Frame) -> None:
        """What a consumer node sends."""
        if isinstance(frame, Request):
            self._on_request(link, frame)
            return
        if isinstance(frame, Question):
            self._answer_question(link, frame)
            return
        if isinstance(frame, Ack):
            self._on_ack(link, frame)
            return
        if not isinstance(frame, Data | Tail | Window | Cancel):
            raise Untrusted("link.unexpected", "a consumer node does not send that", at="caller")
        exchange = link.streams.get(frame.stream)
        if not isinstance(exchange, Incoming):
            return  # it ended here meanwhile
        if isinstance(frame, Data):
            exchange.on_data(frame)
        elif isinstance(frame, Tail):
            exchange.on_tail(frame)
        elif isinstance(frame, Window):
            exchange.on_window(frame)
        else:
            exchange.on_cancel(frame)

    def _on_request(self, link: Link, frame: Request) -> None:
        if frame.stream in link.streams:
            raise Untrusted("link.unexpected", "a stream number is used twice", at="caller")
        exchange = Incoming(
            place=self._place, link=link, frame=frame, systems=self._systems, on_end=self.exchanges.discard
        )
        try:
            if self._draining:
                raise Unavailable("node.draining", "the provider node is shutting down", at="provider-node")
            if len(self.exchanges) >= self._place.limits.exchanges:
                raise Limited("limit.exchanges", "too many exchanges in progress", at="provider-node")
            if len(link.streams) >= max(1, self._place.limits.exchanges // PEER_SHARE):
                raise Limited("limit.peer", "too many exchanges of this peer in progress", at="provider-node")
            self.exchanges.add(exchange)
            link.streams[frame.stream] = exchange
            exchange.receive()
        except (Forbidden, Limited, Unavailable) as exc:
            self._forget(link, frame, exchange)
            self._count(exc.code)
            if exc.code in ALARMING:
                self._incidents.report(exc, peer=link.origin)
            link.send(Dropped(frame.stream, exc.code, exc.detail))
        except Untrusted as exc:
            self._forget(link, frame, exchange)
            self._count(exc.code)
            self._incidents.report(exc, peer=link.origin)
            raise
        except Error as exc:
            self._forget(link, frame, exchange)
            self._count(exc.code)
            link.send(Dropped(frame.stream, exc.code, "the provider node cannot take the request"))

    def _forget(self, link: Link, frame: Request, exchange: Incoming) -> None:
        link.streams.pop(frame.stream, None)
        self.exchanges.discard(exchange)

    def _on_ack(self, link: Link, frame: Ack) -> None:
        """The consumer has our answer durable: keep where, with the head that proves it."""
        ours = self._place.journal.leaf_hashes(frame.response_index, frame.response_index + 1)
        if not ours or link.proven_leaf(frame.index) != ours[0] or not link.take_ack(frame.response_index):
            raise Untrusted("ack.untrusted", "an acknowledgement is not of what was sent", at="caller")
        note = AckNote(frame.message, frame.index, link.head_note)
        self._place.journal.note(ACK, frame.response_index, format_note(note))

    def on_lost(self, link: Link, reason: Error) -> None:  # noqa: ARG002
        """Exchanges of the link go on here; nobody hears their answers."""
        self._links.discard(link)
        for exchange in list(link.streams.values()):
            if isinstance(exchange, Incoming):
                exchange.on_lost()

    # Life --------------------------------------------------------------------------------------------------------

    def recheck(self) -> None:
        """The configuration changed."""
        for link in self.links():
            link.recheck()

    def drain(self) -> None:
        """Take no more requests; those in progress go on."""
        self._draining = True
        for link in self.links():
            link.drain("node.draining")

    @property
    def is_quiet(self) -> bool:
        """After `drain`: whether nothing is in progress, and every peer knows that nothing more is taken."""
        return not self.exchanges and all(link.is_quiet for link in self._links)

    def close(self) -> None:
        """End all links."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        for link in self.links():
            link.close(Unavailable("node.draining", "this node is shutting down"))
