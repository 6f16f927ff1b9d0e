"""Heads between two ends of a link, without the link: runs, gaps, reconnects, and what a receiver refuses."""

from __future__ import annotations

import pytest

from adversary import Memory, changed
from qaztech.core.errors import Malformed, Untrusted
from qaztech.evidence.merkle import Frontier
from qaztech.node import frames
from qaztech.node.heads import MAX_RUN, REMEMBERED, Fork, HeadReceiver, HeadSender
from qaztech.node.journal import Remembered
from qaztech.trust.keys import Ed25519Key, verify_ed25519

ORIGIN = "kz.qaztech.example/log/0123456789abcdef0123"


class ProvingMemory(Memory):
    """A log in memory that a sender proves from."""

    def leaf_hashes(self, start: int, stop: int) -> list[bytes]:
        return self.leaves[start:stop]

    def frontier_at(self, size: int) -> Frontier:
        return self.frontier(size)

    def consistency_proof(self, old: int, new: int) -> list[bytes]:
        return self.consistency(old, new)

    def grow(self, count: int) -> None:
        for _ in range(count):
            self.append(b"%d" % self.size)


@pytest.fixture
def log():
    """A log of five entries."""
    log = ProvingMemory(ORIGIN, Ed25519Key.generate())
    log.grow(5)
    return log


def receiver(log, last=None):
    """The other end."""
    key = log.key.public
    return HeadReceiver(origin=ORIGIN, verify=lambda body, sig: verify_ed25519(key, sig, body), last=last)


def accepted(log, size):
    """A head as the other end remembers it."""
    return Remembered(size, log.frontier(size).root(), log.signature(size))


def told(log, size):
    """The same as it stands in a hello."""
    return frames.Accepted(ORIGIN, size, log.frontier(size).root(), log.signature(size))


def frame(sender, log, first):
    """The frame for the newest head."""
    return sender.frame(log.size, log.signature(), first)


class TestOnOneLink:
    """Each head continues the last one with the leaves since."""

    def test_the_first_brings_the_peaks_and_the_leaves_that_are_needed(self, log):
        """What came before its first message is not sent, only proven to be there."""
        sender, other = HeadSender(log=log, accepted=None), receiver(log)
        head = frame(sender, log, 3)
        assert (head.start, len(head.leaves)) == (3, 64)
        other.accept(head)
        assert [other.leaf(i) for i in range(6)] == [None, None, None, log.leaves[3], log.leaves[4], None]

    def test_the_next_brings_only_leaves(self, log):
        """A run, from where the last head ended."""
        sender, other = HeadSender(log=log, accepted=None), receiver(log)
        other.accept(frame(sender, log, 3))
        log.grow(3)
        head = frame(sender, log, 6)
        assert (head.start, head.frontier, head.consistency) == (5, None, None)
        other.accept(head)
        assert [other.leaf(i) for i in (4, 7)] == [log.leaves[4], log.leaves[7]]

    def test_nothing_is_sent_where_nothing_is_new(self, log):
        """Several messages of one batch share a head."""
        sender = HeadSender(log=log, accepted=None)
        assert frame(sender, log, 3) is not None
        assert frame(sender, log, 4) is None

    def test_a_long_gap_is_jumped_over(self, log):
        """Other peers' traffic is not sent leaf by leaf to one that had none."""
        sender, other = HeadSender(log=log, accepted=None), receiver(log)
        other.accept(frame(sender, log, 0))
        log.grow(MAX_RUN + 10)
        head = frame(sender, log, log.size - 1)
        assert (head.start, len(head.leaves)) == (log.size - 1, 32)
        other.accept(head)
        assert other.last == accepted(log, log.size)
        assert other.leaf(4) is None
        log.grow(1)
        other.accept(frame(sender, log, log.size - 1))

    def test_old_leaves_are_forgotten(self, log):
        """Memory does not grow with the log."""
        sender, other = HeadSender(log=log, accepted=None), receiver(log)
        other.accept(frame(sender, log, 0))
        for _ in range(REMEMBERED // 1000 + 1):
            log.grow(1000)
            other.accept(frame(sender, log, log.size - 1000))
        assert other.leaf(0) is None
        assert other.leaf(log.size - REMEMBERED) == log.leaves[-REMEMBERED]


class TestAcrossLinks:
    """The first head of a link is proven to continue the largest one accepted before."""

    @pytest.mark.parametrize("known", [1, 4, 5])
    def test_it_continues(self, log, known):
        """Whatever the other end has."""
        other = receiver(log, accepted(log, known))
        log.grow(3)
        sender = HeadSender(log=log, accepted=told(log, known))
        other.accept(frame(sender, log, 6))
        assert other.last.size == 8

    def test_a_peer_that_remembers_nothing_gets_no_proof(self, log):
        """There is nothing to be consistent with."""
        assert frame(HeadSender(log=log, accepted=None), log, 2).consistency == []

    @pytest.mark.parametrize("known", [1, 4, 5])
    def test_another_history_is_a_fork_with_both_heads(self, log, known):
        """Both are signed, so they prove it."""
        other = receiver(log, accepted(log, known))
        fork = ProvingMemory(ORIGIN, log.key, log.leaves[: known - 1])
        fork.grow(1)
        fork.leaves[-1] = bytes(32)
        fork.grow(4)
        with pytest.raises(Fork) as info:
            other.accept(frame(HeadSender(log=fork, accepted=told(fork, known)), fork, known))
        assert [head.size for head in info.value.heads] == [known, fork.size]
        assert other.last.size == known

    def test_a_log_that_became_shorter_is_refused(self, log):
        """A restored log cannot continue."""
        other = receiver(log, accepted(log, 5))
        with pytest.raises(Untrusted):
            other.accept(log.head(None, size=4))

    def test_a_run_without_peaks_cannot_begin_a_link(self, log):
        """The receiver has no frontier of a link that is gone."""
        other = receiver(log, accepted(log, 4))
        with pytest.raises(Untrusted):
            other.accept(log.head(4))


class TestWhatIsRefused:
    """Whatever is wrong, the receiver is as it was before."""

    @pytest.mark.parametrize(
        "wrong",
        [
            {"signature": bytes(64)},
            {"leaves": bytes(32)},
            {"leaves": bytes(33)},
            {"leaves": b""},
            {"size": 9},
            {"start": 4},
            {"frontier": []},
            {"frontier": [bytes(32)] * 2},
            {"frontier": [bytes(32)] * 64},
        ],
        ids=repr,
    )
    def test_a_changed_part(self, log, wrong):
        """Nothing but `Untrusted` and `Malformed`, and no trace."""
        sender, other = HeadSender(log=log, accepted=None), receiver(log)
        other.accept(frame(sender, log, 0))
        log.grow(3)
        good = frame(sender, log, 5)
        with pytest.raises((Untrusted, Malformed)):
            other.accept(changed(good, **wrong))
        assert other.last.size == 5
        other.accept(good)

    def test_the_same_again(self, log):
        """A head that is no news would only fill the disk."""
        sender, other = HeadSender(log=log, accepted=None), receiver(log)
        other.accept(frame(sender, log, 0))
        with pytest.raises(Untrusted):
            other.accept(changed(log.head(5), leaves=b""))
