"""The consumer side of a node: finds a link for each call, keeps it in view until it ends, retries what may be retried.

Dialled links belong here. A call waits for its link while that is being made, within limits. A call is made again at
most once, as a new message: where its link was lost and its method is idempotent, or where it is certain that no system
was called: it had not left, or the provider's node dropped it and the member has another (which one: `choosing`).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import replace

from qaztech.core.errors import Error, Limited, Unavailable, Untrusted
from qaztech.core.ids import MemberId, NodeId
from qaztech.node.choosing import REDIAL_AFTER, REFUSED_AGAIN, Peer, Team
from qaztech.node.exchange import IDEMPOTENT, Outgoing
from qaztech.node.frames import Answer, Cancel, Data, Dropped, Frame, Question, Refused, Response, Tail, Window
from qaztech.node.link import IncidentReporter, Link
from qaztech.node.place import Allowed, Call, Caller, Place, Sink, new_message_id
from qaztech.registry.configuration import Configuration, NodeEntry

# Seconds to wait for a link to come up.
DIAL_TIMEOUT = 5.0
# Seconds between two looks at the deadlines of all exchanges: a timer for each would cost more than the look.
SWEEP_EVERY = 0.5

MakeLink = Callable[["Consumer", NodeEntry], Link]
_OF_AN_EXCHANGE = (Response, Refused, Dropped, Data, Tail, Window, Cancel)
_LOST = "peer.lost"
# No system was called: the request did not leave, or the provider's node dropped it. Another node may take it.
_ELSEWHERE = frozenset({_LOST, "node.draining", "log.halted"})


class Consumer:
    """All calls this node makes for its members."""

    def __init__(
        self,
        *,
        place: Place,
        make_link: MakeLink,
        tls: Callable[[], ssl.SSLContext],
        answer_question: Callable[[Link, Question], None],
        incidents: IncidentReporter,
    ) -> None:
        self._place = place
        self._make_link = make_link
        self._tls = tls
        self._answer_question = answer_question
        self._incidents = incidents
        self._peers: dict[NodeId, Peer] = {}
        # The nodes of each member called since the configuration changed.
        self._teams: dict[MemberId, Team] = {}
        # Every dialled link that is up, also one whose peer has moved or drains and has another by now.
        self._links: set[Link] = set()
        self.exchanges: set[Outgoing] = set()
        self._draining = False
        self._sweeper: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to look at deadlines, once a second."""
        self._sweep()

    def _sweep(self) -> None:
        now = self._place.loop.time()
        for exchange in [e for e in self.exchanges if e.deadline <= now]:
            exchange.timed_out()
        for exchange in [e for e in self.exchanges if e.is_stalled(now)]:
            exchange.stalled()
        current = {peer.link for peer in self._peers.values()}
        for link in [each for each in self._links - current if not each.streams]:
            link.close(Unavailable("peer.moved", "another link has taken this one's place"))
        self._look_after_teams(now)
        self._sweeper = self._place.loop.call_later(SWEEP_EVERY, self._sweep)

    def _look_after_teams(self, now: float) -> None:
        if self._draining:
            return
        time = self._place.clock.now()
        for team in self._teams.values():
            for peer in team.look(now, time):
                peer.dialling = self._place.loop.create_task(self._dial(peer))

    def call(self, call: Call, caller: Caller) -> Outgoing:
        """Make a call; the caller is told the outcome. Raises what is known to be wrong at once."""
        if self._draining:
            raise Unavailable("node.draining", "this node is shutting down", at="consumer-node", retry_after=1)
        if len(self.exchanges) >= self._place.limits.exchanges:
            raise Limited("limit.exchanges", "too many exchanges in progress", at="consumer-node", retry_after=1)
        waiting = _Retrying(self, call, caller)
        outgoing = Outgoing(place=self._place, call=call, caller=waiting, on_end=self.exchanges.discard)
        allowed = outgoing.authorise()
        waiting.first = outgoing
        self._dispatch(outgoing, allowed, waiting)
        return outgoing

    def retry(self, call: Call, caller: Caller) -> None:
        """Make a call once more, as a new message."""
        outgoing = Outgoing(place=self._place, call=call, caller=caller, on_end=self.exchanges.discard)
        self._dispatch(outgoing, outgoing.authorise(), caller)

    def takes_elsewhere(self, dropped: Outgoing, code: str) -> bool:
        """A request has reached no system, for a reason of one node's own: whether its member has another node.

        One whose log is halted still has its link, so it is left alone for a while.
        """
        team = self._teams.get(dropped.call.service.subsystem.member)
        if team is None or len(team.peers) < 2:
            return False
        for peer in team.peers:
            if peer.link is dropped.link and code == "log.halted":
                peer.rest(self._place.loop.time())
        return True

    def now(self) -> int:
        """The node's time."""
        return self._place.clock.now()

    def _dispatch(self, outgoing: Outgoing, allowed: Allowed, caller: Caller) -> None:
        peer = self._choose(outgoing.call, allowed)
        if peer is not None and peer.link is not None:
            self.exchanges.add(outgoing)
            self._send(outgoing, allowed, peer.link)
            return
        halted = self._place.journal.halted
        if halted is not None:  # nobody is dialled for a call that cannot be recorded
            raise halted.with_traceback(None)
        peers = self._to_dial(outgoing.call, allowed)
        self.exchanges.add(outgoing)
        self._when_any_is_ready(peers, outgoing, allowed, caller)

    def _when_any_is_ready(self, peers: list[Peer], outgoing: Outgoing, allowed: Allowed, caller: Caller) -> None:
        """Send over the first link that comes up; all are dialled at once, so that one that is deaf delays nobody."""
        failing, sent = len(peers), False

        def ready(link: Link | Error) -> None:
            nonlocal failing, sent
            if sent:
                return
            failing -= 1
            if isinstance(link, Link):
                sent = True
                try:
                    self._send(outgoing, allowed, link)
                except Error as exc:
                    caller.fail(exc)
            elif not failing:
                self.exchanges.discard(outgoing)
                caller.fail(link)

        for peer in peers:
            self._when_ready(peer, ready)

    def _send(self, outgoing: Outgoing, allowed: Allowed, link: Link) -> None:
        try:
            outgoing.send(link, allowed)
        except Error:
            self.exchanges.discard(outgoing)
            raise

    def _choose(self, call: Call, allowed: Allowed) -> Peer | None:
        """The peer that takes a call now; None where one has to be dialled first."""
        member = call.service.subsystem.member
        team = self._teams.get(member)
        if team is None or team.configuration is not allowed.configuration:
            team = self._team(allowed.configuration, member)
        return team.choose(self._place.clock.now())

    def _team(self, configuration: Configuration, member: MemberId) -> Team:
        peers = [self._peer(entry) for entry in configuration.nodes_of(member)]
        team = self._teams[member] = Team(configuration, member, peers)
        return team

    def _to_dial(self, call: Call, allowed: Allowed) -> list[Peer]:
        """The peers to dial for a call that none takes; raises `Unavailable` where there are none."""
        team = self._team(allowed.configuration, call.service.subsystem.member)
        serving = team.to_dial(self._place.clock.now())
        if not serving:
            raise Unavailable(
                "member.unknown", f'Could not find addresses for service provider "{call.service}"', at="consumer-node"
            )
        return serving

    def _peer(self, entry: NodeEntry) -> Peer:
        peer = self._peers.get(entry.id)
        if peer is None or peer.entry.address != entry.address:
            peer = self._peers[entry.id] = Peer(entry)
        peer.entry = entry
        return peer

    def _when_ready(self, peer: Peer, callback: Callable[[Link | Error], None]) -> None:
        now = self._place.loop.time()
        if peer.dialling is None and peer.failure is not None and now < peer.held_until:
            callback(peer.failure)
            return
        peer.waiting.append(callback)
        if peer.dialling is None:
            peer.dialling = self._place.loop.create_task(self._dial(peer))

    async def _dial(self, peer: Peer) -> None:
        link = self._make_link(self, peer.entry)
        host, _, port = peer.entry.address.rpartition(":")
        try:
            async with asyncio.timeout(DIAL_TIMEOUT):
                await self._place.loop.create_connection(lambda: link, host.strip("[]"), int(port), ssl=self._tls())
                while not link.open:
                    if not link.alive:
                        raise link.reason
                    if link.origin:  # it has said hello, and at once that it takes nothing more
                        raise Unavailable("node.draining", "The provider's node is shutting down", at="provider-node")
                    await link.changed()
        except Error as exc:
            link.close(exc)
            self._dialled(peer, exc)
        except (OSError, TimeoutError, ValueError) as exc:
            link.close(Unavailable("peer.unreachable", "dialling was given up"))
            failure = Unavailable(
                "peer.unreachable", "The provider's node cannot be reached", at="consumer-node", context=repr(exc)
            )
            self._dialled(peer, failure, hold=REFUSED_AGAIN if isinstance(exc, ConnectionRefusedError) else None)
        else:
            self._links.add(link)
            self._dialled(peer, link)

    def _dialled(self, peer: Peer, outcome: Link | Error, *, hold: float | None = None) -> None:
        peer.dialling = None
        if isinstance(outcome, Error):
            peer.failed(outcome, self._place.loop.time(), REDIAL_AFTER, hold=hold)
        else:
            peer.succeeded(outcome)
        waiting, peer.waiting = peer.waiting, []
        for callback in waiting:
            callback(outcome)

    def ask(self, node: NodeId, kind: str, payload: bytes, callback: Callable[[bytes | Error], None]) -> None:
        """Ask a peer a control question over the link, dialling if need be."""
        entry = next((e for e in self._place.configuration().nodes_of(node.member) if e.id == node), None)
        if entry is None:
            callback(Unavailable("peer.unknown", "the peer is not in the configuration any more"))
            return

        def ready(link: Link | Error) -> None:
            if isinstance(link, Error):
                callback(link)
                return
            link.ask(kind, payload, lambda answer: callback(self.outcome_of(answer)))

        peer = self._peer(entry)
        if peer.link is not None and peer.link.open:
            ready(peer.link)
        else:
            self._when_ready(peer, ready)

    @staticmethod
    def outcome_of(answer: Answer | None) -> bytes | Error:
        """What an answer to a question says; None is one that did not come."""
        if answer is None:
            return Unavailable("peer.silent", "the peer did not answer in time")
        return Unavailable(answer.code, "the peer cannot answer that") if answer.code else answer.payload

    # LinkHandler -----------------------------------------------------------------------------------------------

    def on_ready(self, link: Link) -> None:
        """The link may be used; whoever dialled is told by `changed`."""

    def on_frame(self, link: Link, frame: Frame) -> None:
        """What the provider node says of one of our exchanges."""
        if isinstance(frame, Question):
            self._answer_question(link, frame)
            return
        if not isinstance(frame, _OF_AN_EXCHANGE):
            raise Untrusted("link.unexpected", "a provider node does not send that", at="provider-node")
        exchange = link.streams.get(frame.stream)
        if not isinstance(exchange, Outgoing):
            return  # it ended here meanwhile (a time-out); heads went on regardless
        try:
            self._deliver(exchange, frame)
        except Untrusted as exc:
            self._incidents.report(exc, peer=link.origin)
            raise

    @staticmethod
    def _deliver(exchange: Outgoing, frame: Response | Refused | Dropped | Data | Tail | Window | Cancel) -> None:
        if isinstance(frame, Response):
            exchange.on_response(frame)
        elif isinstance(frame, Refused):
            exchange.on_refused(frame)
        elif isinstance(frame, Dropped):
            exchange.on_dropped(frame)
        elif isinstance(frame, Data):
            exchange.on_data(frame)
        elif isinstance(frame, Tail):
            exchange.on_tail(frame)
        elif isinstance(frame, Window):
            exchange.on_window(frame)
        else:
            exchange.on_cancel(frame)

    def on_lost(self, link: Link, reason: Error) -> None:  # noqa: ARG002
        """Every exchange on the link ends as it stands."""
        self._links.discard(link)
        for peer in self._peers.values():
            if peer.link is link:
                peer.link = None
        for exchange in list(link.streams.values()):
            if isinstance(exchange, Outgoing):
                exchange.on_lost()

    # Life --------------------------------------------------------------------------------------------------------

    def links(self) -> list[Link]:
        """The links that are up."""
        return list(self._links)

    def recheck(self) -> None:
        """The configuration changed."""
        self._teams.clear()
        for link in self.links():
            link.recheck()

    def redial(self, before: float) -> None:
        """Make new links in place of those that began up to a moment (loop's clock).

        Each goes on until its successor stands, and then until it is empty.
        """
        for peer in self._peers.values():
            if peer.link is not None and peer.link.began <= before and peer.dialling is None:
                peer.dialling = self._place.loop.create_task(self._dial(peer))

    def drain(self) -> None:
        """Take no more calls; those in progress go on."""
        self._draining = True

    def close(self) -> None:
        """End all links."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        for link in self.links():
            link.close(Unavailable("node.draining", "this node is shutting down"))


class _Retrying:
    """A caller whose call may be made once more, as a new message.

    A call that left and was lost ends as `peer.lost` only where its method is idempotent, otherwise as
    `outcome.unknown`: so what is made again here is idempotent, or has reached no system.
    """

    def __init__(self, consumer: Consumer, call: Call, caller: Caller) -> None:
        self._consumer = consumer
        self._call = call
        self._caller = caller
        self.first: Outgoing | None = None

    def answer(self, status: int, headers: bytes, body: bytes) -> None:
        """The whole answer."""
        self._caller.answer(status, headers, body)

    def start(self, status: int, headers: bytes, resume: Callable[[int], None]) -> Sink:
        """A streamed answer: from here on nothing is sent again."""
        return self._caller.start(status, headers, resume)

    def fail(self, error: Error) -> None:
        """Once more, if that is allowed; else tell the caller."""
        if self.first is None or not self._may_repeat(self.first, error):
            self._caller.fail(error)
            return
        message = new_message_id(self._consumer.now())
        headers = self._call.headers.replace(self._call.message.text.encode(), message.text.encode())
        again = replace(self._call, message=message, headers=headers, attempt=self._call.attempt + 1)
        try:
            self._consumer.retry(again, self._caller)
        except Error as exc:
            self._caller.fail(exc)

    def _may_repeat(self, first: Outgoing, error: Error) -> bool:
        if first.call.body is None and first.has_left:
            return False  # the body has been read
        if error.code == _LOST and first.call.method in IDEMPOTENT:
            return True
        # A dropped request comes as `Unavailable` at this node; this node's own halt, and a recorded refusal, do not.
        untouched = isinstance(error, Unavailable) and error.at == "consumer-node" and error.code in _ELSEWHERE
        return untouched and self._consumer.takes_elsewhere(first, error.code)
