"""The node's own log as the rest of the node sees it: append and note, heads for links, proofs for receipts.

The durable log and its sequencer are `evidence`'s; here is only what a node makes of them.
"""

from __future__ import annotations

from collections.abc import Callable

from qaztech.core.errors import Error, Halt
from qaztech.evidence.checkpoint import Checkpoint, SignedCheckpoint
from qaztech.evidence.log import Commit, Entry, Log, StoredEntry
from qaztech.evidence.merkle import EMPTY_ROOT, Frontier
from qaztech.evidence.sequencer import Sequencer
from qaztech.node.frames import Accepted
from qaztech.node.heads import HeadSender
from qaztech.node.journal import WITNESSED
from qaztech.trust.keys import verify_ed25519


class OwnLog:
    """One data-plane process's log."""

    def __init__(self, *, log: Log, sequencer: Sequencer, public: bytes) -> None:
        self._log = log
        self._sequencer = sequencer
        self._public = public
        self.origin = log.origin
        self.append: Callable[[Entry, Callable[[int, Commit | None, Error | None], None]], None] = sequencer.append
        self.note: Callable[[int, int, bytes], int] = sequencer.note
        self.leaf_hashes = log.leaf_hashes
        self.consistency_proof = log.consistency_proof
        self.inclusion_proof = log.inclusion_proof
        self.read_note = log.read_note
        self.note_count = log.note_count
        self.first_note_ordinal = log.first_note_at_or_above

    @property
    def size(self) -> int:
        """Entries under the newest signed head."""
        return self._log.head.size

    @property
    def halted(self) -> Halt | None:
        """Why the log stopped, if it did."""
        return self._log.halted

    @property
    def log(self) -> Log:
        """The log itself, for tiles."""
        return self._log

    def root(self) -> bytes:
        """The newest signed root."""
        return self._log.head.root

    def checkpoint_note(self) -> bytes:
        """The newest signed checkpoint."""
        return self._log.head.note

    def frontier_at(self, size: int) -> Frontier:
        """The peaks at an earlier size."""
        return self._log.frontier_at(size)

    def find(self, message: bytes) -> list[int]:
        """Indexes of the entries with this message id."""
        return self._log.find(message)

    def read(self, index: int) -> StoredEntry:
        """One entry."""
        return self._log.read(index)

    def first_note_at_or_above(self, kind: int, key: int) -> tuple[int, bytes] | None:
        """Key and payload of the first note of a kind whose key is not smaller."""
        ordinal = self._log.first_note_at_or_above(kind, key)
        return self._log.read_note(kind, ordinal) if ordinal < self._log.note_count(kind) else None

    # What links ask ---------------------------------------------------------------------------------------------

    def signed(self, size: int, root: bytes, signature: bytes) -> bool:
        """Whether this log's key signed that head."""
        return verify_ed25519(self._public, signature, Checkpoint(self.origin, size, root).body())

    def holds(self, size: int, root: bytes) -> bool:
        """Whether this log has that root at that size."""
        return size <= self._log.size and self._log.root_at(size) == root

    def halt(self, reason: str) -> None:
        """Stop, and close the log for good: nothing is signed under this origin again, whoever starts the process."""
        size, root = self._last_witnessed()
        self._log.halt(Halt("log.contradicted", reason, at="log"))
        self._log.close_origin(reason, size, root)

    def _last_witnessed(self) -> tuple[int, bytes]:
        """What the log that comes after this one continues from."""
        count = self.note_count(WITNESSED)
        if not count:
            return 0, EMPTY_ROOT
        signed = SignedCheckpoint.parse(self.read_note(WITNESSED, count - 1)[1])
        return signed.size, signed.root

    def sender(self, accepted: Accepted | None) -> HeadSender:
        """The proving side for one link."""
        return HeadSender(log=self, accepted=accepted)

    # What witnessing asks ---------------------------------------------------------------------------------------

    def keep_witnessed(self, size: int, note: bytes) -> None:
        """Keep a witnessed checkpoint with the next batch."""
        self.note(WITNESSED, size, note)
