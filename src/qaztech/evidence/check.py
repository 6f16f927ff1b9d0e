"""Re-verification of a whole log from its disk: what `qaztech log check` prints.

Everything is computed again from the write-ahead file, frame by frame: each leaf, each derived file as far as `state`
answers for it, each signed head. The first contradiction of each kind is named with its entry and place. Nothing is
written, and nothing of `log` or `recovery` is believed; memory stays small whatever the size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from qaztech.core.errors import Error, Malformed, NotFound
from qaztech.evidence.checkpoint import Checkpoint, SignedCheckpoint
from qaztech.evidence.merkle import HASH_SIZE, Frontier, leaf_hash
from qaztech.evidence.note import VerifierKey
from qaztech.evidence.recovery import TREE, WAL, signed_heads_behind
from qaztech.evidence.state import State, read_closed, read_identity, read_state
from qaztech.evidence.storage import Storage, failure
from qaztech.evidence.tree import TILE_HEIGHT, grow
from qaztech.evidence.wal import ENTRY, HEAD, NOTE, NOTE_ROW, ROW, Frame, Wal, parse_entry, parse_note_frame

_BLOCK: Final = 64 << 10

Progress = Callable[[int, int], None]
"""Called now and then with the bytes read and the bytes there are."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One contradiction: what is wrong, in which file, at which entry and byte where that can be said."""

    file: str
    what: str
    index: int | None = None
    offset: int | None = None

    def __str__(self) -> str:
        entry = "" if self.index is None else f"entry {self.index}: "
        place = "" if self.offset is None else f" (offset {self.offset})"
        return f"{entry}{self.what} in {self.file}{place}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """What a log holds, and what is wrong with it, the write-ahead file first."""

    origin: str
    size: int
    root: bytes
    notes: int
    # Signed heads found and verified, and the largest of them.
    heads: int
    head: Checkpoint | None
    # Bytes behind the last valid frame that are not zeros: what a crash tore, covered by no signed head.
    torn: int
    closed: bool
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing contradicts anything."""
        return not self.problems


def check_log(
    directory: Path, *, storage: Storage, vkey: str | None = None, progress: Progress | None = None
) -> CheckReport:
    """Check the log in a directory; with `vkey` against that key, else against the one it names itself."""
    try:
        identity = read_identity(storage, directory)
    except Malformed as error:
        return _unreadable(Problem("log", error.detail))
    if identity is None:
        raise NotFound("log.missing", f"there is no log in {directory}", at="log")
    problems: list[Problem] = []
    if vkey is not None and VerifierKey.parse(vkey) != identity.key:
        problems.append(Problem("log", f"it is the log of {identity.key}, not of {vkey}"))
    state, closed = None, True
    try:
        state = read_state(storage, directory)
    except Malformed as error:
        problems.append(Problem("state", error.detail))
    try:
        closed = read_closed(storage, directory) is not None
    except Malformed as error:
        problems.append(Problem("closed", error.detail))
    wal = Wal(storage=storage, directory=directory / WAL, segment_size=identity.segment_size)
    try:
        walk = _Walk(directory, storage, identity.key, wal, state)
        walk.run(identity.seed, progress)
    except OSError as error:
        raise failure(error) from error
    finally:
        wal.close()
    return CheckReport(
        origin=identity.key.name,
        size=walk.frontier.size,
        root=walk.frontier.root(),
        notes=sum(walk.notes.values()),
        heads=walk.heads,
        head=walk.head,
        torn=walk.torn,
        closed=closed,
        problems=(*walk.problems, *problems),
    )


def _unreadable(problem: Problem) -> CheckReport:
    root = Frontier().root()
    return CheckReport(
        origin="", size=0, root=root, notes=0, heads=0, head=None, torn=0, closed=False, problems=(problem,)
    )


class _Comparison:
    """Compares a derived file, block by block, with what it should hold."""

    def __init__(self, storage: Storage, path: Path, unit: int, count: int) -> None:
        self._storage = storage
        self._path = path
        self._unit = unit
        self._limit = count * unit
        self._expected = bytearray()
        self._at = 0
        self.first_wrong: int | None = None
        self._file = storage.open(path) if count and storage.exists(path) else None

    def feed(self, expected: bytes) -> None:
        """The bytes that come next."""
        self._expected += expected
        if len(self._expected) >= _BLOCK:
            self.flush()

    def flush(self) -> None:
        """Compare what was fed."""
        expected = bytes(self._expected[: max(0, self._limit - self._at)])
        self._expected.clear()
        found = b"" if self._file is None else self._storage.pread(self._file, len(expected), self._at)
        if found != expected and self.first_wrong is None:
            same = next((i for i, (a, b) in enumerate(zip(found, expected, strict=False)) if a != b), len(found))
            self.first_wrong = (self._at + same) // self._unit
        self._at += len(expected)

    def close(self) -> int | None:
        """The first unit that is wrong, if any."""
        self.flush()
        if self._file is not None:
            self._storage.close(self._file)
        return self.first_wrong


class _Walk:
    """One pass over the write-ahead file."""

    def __init__(self, directory: Path, storage: Storage, key: VerifierKey, wal: Wal, state: State | None) -> None:
        self._directory = directory
        self._storage = storage
        self._key = key
        self._wal = wal
        self._state = state
        self._seen_state = state is None or state.position == 0
        self._time = 0
        size = 0 if state is None else state.size
        self._rows = _Comparison(storage, directory / "rows", ROW.size, size)
        self._levels: list[_Comparison] = []
        self._note_rows: dict[int, _Comparison] = {}
        self.frontier = Frontier()
        self.notes: dict[int, int] = {}
        self.heads = 0
        self.head: Checkpoint | None = None
        self.torn = 0
        self.problems: list[Problem] = []

    def run(self, seed: int, progress: Progress | None) -> None:
        scan = self._wal.scan(0, seed)
        total = len(self._wal.segments()) * self._wal.segment_size
        for count, frame in enumerate(scan):
            try:
                self._frame(frame)
            except Error as error:
                self._problem(f"a frame of kind {frame.kind} is not sound: {error.detail}", frame.position)
            if self._state is not None and frame.position == self._state.last:
                self._check_state(scan.crc, scan.position)
            if progress is not None and count % 4096 == 0:
                progress(frame.position, total)
        self._end(scan.position)
        self._compare_derived()

    def _frame(self, frame: Frame) -> None:
        if frame.kind == ENTRY:
            message, time, data, _ = parse_entry(frame.payload)
            if time < self._time:
                self._problem("its time is before that of the entry before", frame.position)
            self._time = time
            self._rows.feed(ROW.pack(message, frame.position, time))
            self._leaf(leaf_hash(data))
        elif frame.kind == NOTE:
            note = parse_note_frame(frame.payload)
            self.notes[note.kind] = self.notes.get(note.kind, 0) + 1
            self._notes_of(note.kind).feed(NOTE_ROW.pack(note.key, frame.position))
        elif frame.kind == HEAD:
            signed = SignedCheckpoint.parse(frame.payload).verify([self._key])
            if signed.size != self.frontier.size or signed.root != self.frontier.root():
                self._problem(f"the head signed at {signed.size} is not that of the entries before it", frame.position)
            self._found_head(signed)

    def _leaf(self, leaf: bytes) -> None:
        frontier = self.frontier
        self._level(0).feed(leaf)
        if frontier.size & 0xFF == 0xFF:  # the leaf completes a block, perhaps several
            for level, hashes in grow(frontier.size, frontier.hashes, [leaf]).blocks.items():
                self._level(level).feed(b"".join(hashes))
        frontier.append(leaf)

    def _level(self, level: int) -> _Comparison:
        while level >= len(self._levels):
            number = len(self._levels)
            count = 0 if self._state is None else self._state.size >> TILE_HEIGHT * number
            path = self._directory / TREE / str(number)
            self._levels.append(_Comparison(self._storage, path, HASH_SIZE, count))
        return self._levels[level]

    def _notes_of(self, kind: int) -> _Comparison:
        found = self._note_rows.get(kind)
        if found is None:
            count = 0 if self._state is None else self._state.notes.get(kind, 0)
            path = self._directory / f"notes-{kind}"
            found = self._note_rows[kind] = _Comparison(self._storage, path, NOTE_ROW.size, count)
        return found

    def _found_head(self, signed: Checkpoint) -> None:
        self.heads += 1
        if self.head is None or self.head.size <= signed.size:
            self.head = signed

    def _problem(self, what: str, offset: int, index: int | None = None) -> None:
        number, within = divmod(offset, self._wal.segment_size)
        entry = self.frontier.size if index is None else index
        self.problems.append(Problem(f"{WAL}/{self._wal.path(number).name}", what, entry, within))

    def _check_state(self, crc: int, end: int) -> None:
        """Compare `state` with what has been computed at the frame it names."""
        state, self._seen_state = self._state, True
        assert state is not None  # noqa: S101 for the type checker; the caller has looked
        now = (self.frontier.size, self.frontier.hashes, end, crc, self._time, self.notes)
        if now != (state.size, state.peaks, state.position, state.crc, state.time, state.notes):
            self.problems.append(Problem("state", "it does not agree with the write-ahead file", state.size))

    def _end(self, position: int) -> None:
        """What the end of the valid frames means: a torn end, or the loss of something signed."""
        for signed in signed_heads_behind(self._wal, position, self._key):
            self._found_head(signed)
        if self._state is not None:
            try:
                signed = SignedCheckpoint.parse(self._state.head).verify([self._key])
                self._found_head(signed)
                if (signed.size, signed.root) != (self._state.size, self._state.root()):
                    self.problems.append(Problem("state", "its head is not that of its peaks"))
            except Error as error:
                self.problems.append(Problem("state", error.detail))
        largest = self.head
        if largest is not None and largest.size > self.frontier.size:
            self._problem(f"no valid frame, though a signed head covers {largest.size} entries", position)
        elif not self._seen_state:
            self._problem("no valid frame, though the file `state` knows of more", position)
        number, offset = divmod(position, self._wal.segment_size)
        if number in self._wal.segments():
            self.torn = len(self._wal.raw(number, self._wal.segment_size - offset, offset).rstrip(b"\0"))

    def _compare_derived(self) -> None:
        compared = [("rows", self._rows, 1)]  # a row is as long as a hash
        compared += [(f"{TREE}/{level}", one, 1 << 8 * level) for level, one in enumerate(self._levels)]
        for name, comparison, span in compared:
            wrong = comparison.close()
            if wrong is not None:
                self.problems.append(
                    Problem(name, "not what the write-ahead file gives", wrong * span, wrong * HASH_SIZE)
                )
        for kind, comparison in self._note_rows.items():
            wrong = comparison.close()
            if wrong is not None:
                what = f"note {wrong} is not what the write-ahead file gives"
                self.problems.append(Problem(f"notes-{kind}", what, None, wrong * NOTE_ROW.size))
