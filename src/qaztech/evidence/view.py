"""A log as one reads it: entries, notes, hashes and proofs. `Log` adds appending; alone it is what auditors open.

What is read is checked against the tree, and a log whose disk no longer holds what was appended halts.
"""

from __future__ import annotations

import time
from base64 import b64decode
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from qaztech.core.errors import Halt, Malformed, NotFound
from qaztech.evidence.derived import Row
from qaztech.evidence.merkle import EMPTY_ROOT, Frontier, leaf_hash
from qaztech.evidence.recovery import Contents, damaged, recover
from qaztech.evidence.state import IDENTITY, Identity, read_identity
from qaztech.evidence.storage import Storage, failure
from qaztech.evidence.tree import TILE_WIDTH
from qaztech.evidence.wal import ENTRY, MESSAGE_SIZE, NOTE, parse_entry, parse_note_frame

# An entry under a message id of version 7 is looked for so long before and after the id says it was made.
FIND_BEFORE: Final = 2 * 60_000
FIND_AFTER: Final = 15 * 60_000
# How often, and how many seconds apart, a log that looks broken is looked at by who only reads it.
LOOKS: Final = 8
LOOK_AGAIN: Final = 0.05
_KEY_ID_SIZE: Final = 4


@dataclass(frozen=True, slots=True)
class Head:
    """A signed head of this log: the checkpoint as a note, and the bare Ed25519 signature in it."""

    size: int
    root: bytes
    note: bytes
    signature: bytes

    @classmethod
    def of(cls, size: int, root: bytes, note: bytes) -> Head:
        """The head with the one signature that the log put under it."""
        line = note[note.rindex(b" ") + 1 : -1] if note else b""
        return cls(size, root, note, b64decode(line)[_KEY_ID_SIZE:])


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """An entry as it is kept; its data has been checked against its leaf hash."""

    index: int
    data: bytes
    private: bytes
    message: bytes
    time: int


class LogView:
    """One log, to look at. Make it with `open_read_only`; a `Log` is one too."""

    def __init__(self, *, contents: Contents, identity: Identity) -> None:
        self.origin = identity.key.name
        self.vkey = str(identity.key)
        self.directory = contents.directory
        self._contents = contents
        self._halted: Halt | None = None
        signed = contents.head
        self._head = (
            Head(0, EMPTY_ROOT, b"", b"") if signed is None else Head.of(signed.size, signed.root, contents.head_note)
        )

    @staticmethod
    def open_read_only(directory: Path, *, storage: Storage) -> LogView:
        """Open a log, closed or not, without writing anything and without its key.

        `head` is then the last signed one that is on the disk, of size 0 and unsigned if there is none. A log that is
        being written may look broken for a moment, where its end was read before a batch and the rest after it: so
        what looks broken is looked at again.
        """
        identity = identity_of(storage, directory)
        for again in range(LOOKS, 0, -1):
            try:
                contents = recover(directory, storage=storage, identity=identity, read_only=True)
            except OSError as error:
                raise failure(error) from error
            except Halt:
                if again == 1:
                    raise
                time.sleep(LOOK_AGAIN)
            else:
                return LogView(contents=contents, identity=identity)
        raise AssertionError  # pragma: no cover  # the last look returns or raises

    def close(self) -> None:
        """Give all files back."""
        self._contents.wal.close()
        for file in self._contents.files():
            file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def halted(self) -> Halt | None:
        """Why nothing is signed any more, None while all is well."""
        return self._halted

    def halt(self, why: Halt) -> Halt:
        """Stop for good; the first reason stays."""
        if self._halted is None:
            self._halted = why
        return self._halted

    # Reading

    @property
    def size(self) -> int:
        """Durable entries."""
        return self._contents.tree.size

    def segments(self) -> list[tuple[Path, int]]:
        """The files of the write-ahead file, and how many bytes of each this view has read: these never change."""
        wal, end = self._contents.wal, self._contents.position
        parts = [(number, min(wal.segment_size, end - number * wal.segment_size)) for number in wal.segments()]
        return [(wal.path(number), length) for number, length in parts if length > 0]

    @property
    def head(self) -> Head:
        """The newest signed head; it covers all entries unless the log is open read-only."""
        return self._head

    @property
    def frontier(self) -> Frontier:
        """The peaks of the tree."""
        return Frontier(self.size, self._contents.tree.peaks)

    def read(self, index: int) -> StoredEntry:
        """An entry, checked against its leaf hash; raises `Halt` when the disk no longer holds what was appended."""
        row = self.rows(index, index + 1)[0]
        kind, payload = self._frame(row.position)
        with suppress(Malformed):
            message, time, data, private = parse_entry(payload)
            if (kind, message, leaf_hash(data)) == (ENTRY, row.message, self.leaf_run(index, index + 1)):
                return StoredEntry(index, data, private, message, time)
        raise self.halt(damaged(f"entry {index} is not what was appended (position {row.position})"))

    def _frame(self, position: int) -> tuple[int, bytes]:
        try:
            return self._contents.wal.read(position)
        except Halt as why:
            raise self.halt(why) from None

    def rows(self, start: int, stop: int) -> list[Row]:
        """Message id, position and time of the entries [start, stop)."""
        if not 0 <= start <= stop <= self.size:
            raise NotFound("log.no-entry", f"the log has {self.size} entries", at="log")
        return self._contents.rows.rows(start, stop)

    def find(self, message: bytes, *, since_ms: int | None = None, until_ms: int | None = None) -> list[int]:
        """Indexes of the entries under a message id (UUID version 7), looked for around the time that is in it."""
        if len(message) != MESSAGE_SIZE:
            raise Malformed("message.malformed", "a message id has 16 bytes", at="log")
        made = int.from_bytes(message[:6])
        rows = self._contents.rows
        start = rows.first_at_or_after(made - FIND_BEFORE if since_ms is None else since_ms)
        stop = rows.first_at_or_after((made + FIND_AFTER if until_ms is None else until_ms) + 1, start)
        return rows.find(message, start, stop)

    def index_at(self, time_ms: int) -> int:
        """Index of the first entry not older than this; the log's size if there is none."""
        return self._contents.rows.first_at_or_after(time_ms)

    def leaf_hashes(self, start: int, stop: int) -> list[bytes]:
        """Leaf hashes [start, stop)."""
        run = self.leaf_run(start, stop)
        return [run[at : at + 32] for at in range(0, len(run), 32)]

    def leaf_run(self, start: int, stop: int) -> bytes:
        """Leaf hashes [start, stop), joined."""
        return self._contents.tree.leaves(start, stop)

    def node(self, level: int, index: int) -> bytes:
        """Hash of the complete subtree of 2**level leaves number `index`."""
        return self._contents.tree.node(level, index)

    def frontier_at(self, size: int) -> Frontier:
        """The peaks at an earlier size."""
        return self._contents.tree.frontier_at(size)

    def root_at(self, size: int) -> bytes:
        """The root at an earlier size."""
        return self._contents.tree.root_at(size)

    def inclusion_proof(self, index: int, size: int) -> list[bytes]:
        """Audit path of an entry in the tree as it was at `size`."""
        return self._contents.tree.inclusion_proof(index, size)

    def consistency_proof(self, old: int, new: int) -> list[bytes]:
        """Proof that the tree at `new` continues that at `old`."""
        return self._contents.tree.consistency_proof(old, new)

    def tile(self, level: int, index: int, width: int = TILE_WIDTH) -> bytes:
        """The first `width` hashes of a C2SP tlog-tile."""
        return self._contents.tree.tile(level, index, width)

    def entry_bundle(self, index: int, width: int = TILE_WIDTH) -> bytes:
        """The first `width` entries of a C2SP entry bundle, each behind its length."""
        start = index * TILE_WIDTH
        if not (index >= 0 and 0 < width <= TILE_WIDTH and start + width <= self.size):
            raise NotFound("log.no-tile", "no such entry bundle", at="log")
        entries = (self.read(at).data for at in range(start, start + width))
        return b"".join(len(data).to_bytes(2) + data for data in entries)

    # Notes

    def note_count(self, kind: int) -> int:
        """Durable notes of a kind."""
        rows = self._contents.notes.get(kind)
        return 0 if rows is None else len(rows)

    def read_note(self, kind: int, ordinal: int) -> tuple[int, bytes]:
        """Key and payload of a note."""
        if not 0 <= ordinal < self.note_count(kind):
            raise NotFound("log.no-note", f"there are {self.note_count(kind)} notes of kind {kind}", at="log")
        key, position = self._contents.notes[kind].row(ordinal)
        frame, payload = self._frame(position)
        with suppress(Malformed):
            note = parse_note_frame(payload)
            if (frame, note.kind, note.key) == (NOTE, kind, key):
                return key, note.payload
        raise self.halt(damaged(f"note {ordinal} of kind {kind} is not what was written (position {position})"))

    def first_note_at_or_above(self, kind: int, key: int) -> int:
        """Ordinal of the first note with at least this key (their number if none has); keys must never decrease."""
        rows = self._contents.notes.get(kind)
        return 0 if rows is None else rows.first_at_or_above(key)


def identity_of(storage: Storage, directory: Path) -> Identity:
    """Whose log is in the directory."""
    try:
        identity = read_identity(storage, directory)
    except Malformed as error:
        raise damaged(f"the file `{IDENTITY}` in {directory} is damaged") from error
    except OSError as error:
        raise failure(error) from error
    if identity is None:
        raise NotFound("log.missing", f"there is no log in {directory}", at="log")
    return identity
