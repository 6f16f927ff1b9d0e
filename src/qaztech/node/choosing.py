"""Which node of a counterparty takes a call: a member may have several, and calls go to those that are well.

What is here decides and remembers; links are made and calls are sent by `consumer`. It is on the path of every call, so
what does not change between two configurations is worked out once, in `Team`.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

from qaztech.core.errors import Error
from qaztech.core.ids import MemberId
from qaztech.node.link import Link
from qaztech.registry.configuration import Configuration, LogEntry, NodeEntry

# Seconds between attempts to dial a peer that does not answer. While another node takes the calls the pause doubles, up
# to the second number: a node that is down costs nothing, and one that is back is found in at most so long.
REDIAL_AFTER = 1.0
# Where nobody listens that is known at once, and costs little: a node that starts is found as soon as it does.
REFUSED_AGAIN = 0.2
REDIAL_AT_MOST = 15.0
# For how many seconds after the last call links to all nodes of a member are kept up.
KEPT_UP = 300.0


class Peer:
    """One node of a counterparty, and the link to it. Times are the loop's, in seconds."""

    def __init__(self, entry: NodeEntry) -> None:
        self.entry = entry
        self.link: Link | None = None
        self.dialling: asyncio.Task[None] | None = None
        self.waiting: list[Callable[[Link | Error], None]] = []
        # Until then a call hears of the failure at once, and it is not dialled.
        self.held_until = -1e9
        self.failure: Error | None = None
        self.failures = 0
        # Before that it is not dialled again, or called again, as long as another node takes the calls.
        self.rests_until = -1e9
        self.rests = False

    def succeeded(self, link: Link) -> None:
        """A link stands."""
        self.link, self.failure, self.failures = link, None, 0

    def failed(self, failure: Error, now: float, pause: float, *, hold: float | None = None) -> None:
        """It could not be dialled: calls are held off for `hold` (or `pause`), and it rests longer each time."""
        self.failure, self.held_until = failure, now + (pause if hold is None else min(hold, pause))
        self.rests_until = now + min(pause * 2**self.failures, REDIAL_AT_MOST)
        self.failures = min(self.failures + 1, 10)

    def rest(self, now: float) -> None:
        """It is there and takes nothing: calls go elsewhere for a while."""
        self.rests, self.rests_until = True, now + REDIAL_AT_MOST


class Team:
    """The nodes of one member, by one configuration."""

    def __init__(self, configuration: Configuration, member: MemberId, peers: list[Peer]) -> None:
        self.configuration = configuration
        self.peers = peers
        self._turn = 0
        # From when to when (ms) each log speaks for the member: a node that has left it, or not come yet, would refuse.
        self._speaks: dict[str, tuple[int, float]] = {}
        for peer in peers:
            for origin in peer.entry.origins:
                log = configuration.log(origin)
                window = _window(log, member) if log is not None else None
                if window is not None:
                    self._speaks[origin] = window
        # Whether it was called since the last look, and until when its links are kept up.
        self.called = True
        self.kept_until = -1e9

    def choose(self, now: int) -> Peer | None:
        """The peer for a call at `now` (ms): of those whose link takes calls the one with the fewest under way.

        Those with equally many take turns. One that rests is called only where there is no other.
        """
        peers, speaks = self.peers, self._speaks
        self.called = True
        self._turn = turn = (self._turn + 1) % (len(peers) or 1)
        best, least = None, math.inf
        for i in range(len(peers)):
            peer = peers[turn - i]
            link = peer.link
            if link is None or not link.open:
                continue
            window = speaks.get(link.origin)
            if window is None or not window[0] <= now < window[1]:
                continue
            under_way = len(link.streams) + (1_000_000 if peer.rests else 0)
            if under_way < least:
                best, least = peer, under_way
        return best

    def to_dial(self, now: int) -> list[Peer]:
        """The peers that a call at `now` (ms) may be sent to once there is a link."""

        def speaks(origin: str) -> bool:
            window = self._speaks.get(origin)
            return window is not None and window[0] <= now < window[1]

        return [peer for peer in self.peers if any(map(speaks, peer.entry.origins))]

    def look(self, now: float, time: int) -> list[Peer]:
        """Those to dial now so that all nodes of a member that is called take their part (`now` loop's, `time` ms)."""
        if self.called:
            self.called, self.kept_until = False, now + KEPT_UP
        for peer in self.peers:
            if peer.rests and now >= peer.rests_until:
                peer.rests = False
        if len(self.peers) < 2 or now >= self.kept_until:
            return []
        return [
            peer
            for peer in self.to_dial(time)
            if (peer.link is None or not peer.link.open) and peer.dialling is None and now >= peer.rests_until
        ]


def _window(log: LogEntry, member: MemberId) -> tuple[int, float] | None:
    claim = log.claims.get(member)
    if claim is None:
        return None
    ends = [end for end in (log.until, claim[1]) if end is not None]
    return max(log.from_, claim[0]), min(ends, default=math.inf)
