"""Heads on a link: how a node proves to one peer, batch by batch, that its log holds what it sends.

Each new signed head comes with the leaf hashes since the last one of that link, so the receiver rebuilds the root
itself: one signature check proves that the log only grew and that every message of the batch is in it. After a gap the
sender gives the frontier where the leaves begin and an RFC 6962 consistency proof instead. Pure: no I/O here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from qaztech.core.errors import Untrusted
from qaztech.evidence.checkpoint import Checkpoint
from qaztech.evidence.merkle import Frontier, verify_consistency
from qaztech.node.frames import Accepted, Head
from qaztech.node.journal import Remembered

# Up to so many leaf hashes since the link's last head are sent as they are; a longer gap is jumped over.
MAX_RUN = 2048
# Leaf hashes of the peer's log a link remembers, to check where the peer holds a request that waits for its answer.
REMEMBERED = 8192


class ProvingLog(Protocol):
    """What a sender needs of its own log."""

    @property
    def size(self) -> int:
        """Leaves covered by the newest signed head."""
        ...

    def leaf_hashes(self, start: int, stop: int) -> list[bytes]:
        """Leaf hashes of a range."""
        ...

    def frontier_at(self, size: int) -> Frontier:
        """The peaks at an earlier size."""
        ...

    def consistency_proof(self, old: int, new: int) -> list[bytes]:
        """RFC 6962 consistency proof."""
        ...


class HeadSender:
    """The sending side, one for each link: which head the peer has, and the frame that brings it to the newest."""

    def __init__(self, *, log: ProvingLog, accepted: Accepted | None) -> None:
        self._log = log
        # The size of the last head on this link; None before the first. The peer's memory of an earlier link counts.
        self._sent: int | None = accepted.size if accepted is not None else None
        self._started = False

    @property
    def sent(self) -> int:
        """Size of the last head sent."""
        return self._sent or 0

    def frame(self, size: int, signature: bytes, first: int) -> Head | None:
        """The frame for the head of `size`, whose messages begin at leaf `first`; None when the peer has it."""
        sent = self._sent
        if self._started and sent is not None and sent >= size:
            return None
        log = self._log
        if self._started and sent is not None and size - sent <= MAX_RUN:
            frame = Head(sent, b"".join(log.leaf_hashes(sent, size)), size, signature, None, None)
        else:
            start = min(first, size)
            consistency = log.consistency_proof(sent, size) if sent else []
            frame = Head(
                start,
                b"".join(log.leaf_hashes(start, size)),
                size,
                signature,
                list(log.frontier_at(start).hashes),
                consistency,
            )
        self._sent = size
        self._started = True
        return frame


class Fork(Untrusted):
    """A log signed two heads that no one history has; both are kept, they prove it to anyone."""

    def __init__(self, *, origin: str, first: Remembered, second: Remembered) -> None:
        super().__init__(
            "log.forked",
            f"the log {origin} signed heads at {first.size} and {second.size} that contradict each other",
            at="caller",
        )
        self.origin = origin
        self.heads = (first, second)


class HeadReceiver:
    """The receiving side, one for each link: the last proven head of the peer's log and its recent leaf hashes.

    `last` is the largest head accepted so far, on this link or (at its start) durably on an earlier one.
    """

    def __init__(self, *, origin: str, verify: Callable[[bytes, bytes], bool], last: Remembered | None) -> None:
        self.origin = origin
        self.last = last
        self._verify = verify
        self._frontier: Frontier | None = None
        self._window: deque[bytes] = deque(maxlen=REMEMBERED)
        self._window_end = 0

    def accept(self, head: Head) -> tuple[int, Sequence[bytes]]:
        """Verify a head and remember it; gives the size and peaks of the frontier it was built on.

        Raises `Untrusted` when the signature is not the log's over the root rebuilt, `Fork` when it is and that root
        does not follow from the last one.
        """
        last = self.last
        old = last.size if last is not None else 0
        if len(head.leaves) % 32 or head.size - head.start != len(head.leaves) // 32 or head.size < old:
            raise Untrusted("head.untrusted", "a head does not have as many leaves as it says, or shrinks", at="caller")
        if self._frontier is not None and head.size == old:
            raise Untrusted("head.untrusted", "a head is sent twice", at="caller")
        if head.frontier is not None:
            base = Frontier(head.start, tuple(head.frontier))
        elif self._frontier is not None and head.start == old:
            base = self._frontier
        else:
            raise Untrusted("head.untrusted", "a head does not continue the one before it", at="caller")
        frontier = base.copy()
        leaves = [head.leaves[i : i + 32] for i in range(0, len(head.leaves), 32)]
        frontier.extend(leaves)
        root = frontier.root()
        if not self._verify(Checkpoint(self.origin, head.size, root).body(), head.signature):
            raise Untrusted("head.untrusted", "a head is not signed by its log", at="caller")
        accepted = Remembered(head.size, root, head.signature)
        if head.frontier is not None and last is not None:
            try:
                verify_consistency(old, last.root, head.size, root, head.consistency or [])
            except Untrusted as exc:
                raise Fork(origin=self.origin, first=last, second=accepted) from exc
        self._frontier, self.last = frontier, accepted
        if head.start != self._window_end:
            self._window.clear()
        self._window.extend(leaves)
        self._window_end = head.size
        return head.start, base.hashes

    def leaf(self, index: int) -> bytes | None:
        """The leaf hash at an index of the peer's log, if this link has seen it lately."""
        first = self._window_end - len(self._window)
        return self._window[index - first] if first <= index < self._window_end else None
