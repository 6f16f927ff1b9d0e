"""Heads over any course of growth and reconnects: what is proven is what the log has, and a fork never passes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adversary import Memory
from qaztech.core.errors import Untrusted
from qaztech.evidence.merkle import Frontier
from qaztech.node import frames
from qaztech.node.heads import HeadReceiver, HeadSender
from qaztech.node.journal import Remembered
from qaztech.trust.keys import Ed25519Key, verify_ed25519

ORIGIN = "kz.qaztech.example/log/0123456789abcdef0123"
KEY = Ed25519Key.from_seed(bytes(32))
# (entries the log grows by, entries of them that are not for this peer, whether the link is made anew before)
STEPS = st.lists(st.tuples(st.integers(1, 40), st.integers(0, 39), st.booleans()), min_size=1, max_size=8)


class Proving(Memory):
    """A log in memory that a sender proves from."""

    def leaf_hashes(self, start: int, stop: int) -> list[bytes]:
        return self.leaves[start:stop]

    def frontier_at(self, size: int) -> Frontier:
        return self.frontier(size)

    def consistency_proof(self, old: int, new: int) -> list[bytes]:
        return self.consistency(old, new)


def link(log: Proving, last: Remembered | None) -> tuple[HeadSender, HeadReceiver]:
    """Both ends of a new link."""
    told = None if last is None else frames.Accepted(ORIGIN, *last)
    other = HeadReceiver(origin=ORIGIN, verify=lambda b, s: verify_ed25519(KEY.public, s, b), last=last)
    return HeadSender(log=log, accepted=told), other


@given(STEPS)
@settings(max_examples=60)
def test_what_is_proven_is_what_the_log_has(steps):
    """Every leaf that is asked for, under the log's own root, on whichever link."""
    log = Proving(ORIGIN, KEY)
    sender, other = link(log, None)
    for grown, before, anew in steps:
        if anew:
            sender, other = link(log, other.last)
        for _ in range(grown):
            log.append(b"%d" % log.size)
        first = log.size - grown + min(before, grown - 1)
        other.accept(sender.frame(log.size, log.signature(), first))
        assert other.last == Remembered(log.size, log.frontier(log.size).root(), log.signature())
        assert [other.leaf(i) for i in range(first, log.size)] == log.leaves[first:]


@given(STEPS, st.integers(0, 10_000), st.integers(1, 20))
@settings(max_examples=60)
def test_a_fork_never_passes(steps, place, grown):
    """Wherever the histories part, and whether on the link or on the next one."""
    log = Proving(ORIGIN, KEY)
    for step in steps:
        for _ in range(step[0]):
            log.append(b"%d" % log.size)
    sender, other = link(log, None)
    other.accept(sender.frame(log.size, log.signature(), 0))
    last = other.last
    fork = Proving(ORIGIN, KEY, log.leaves)
    fork.leaves[place % log.size] = bytes(32)
    for _ in range(grown):
        fork.append(b"%d" % fork.size)
    for forking, end in (link(fork, last), (HeadSender(log=fork, accepted=None), other)):
        with pytest.raises(Untrusted):
            end.accept(forking.frame(fork.size, fork.signature(), min(place % log.size, fork.size - 1)))
        assert end.last == last
