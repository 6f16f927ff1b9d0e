"""What a log's directory holds, found out again when it is opened.

Starting from `state` (or from nothing) the write-ahead file is read to the end of its valid frames, and everything
derived is brought up to there. Nothing is signed here. Whatever contradicts a signed head that is on this disk, in
`state`, in a frame or beyond the break of a damaged file, stops the log: a shorter or different log must not go on
under the same origin. A torn end that no signed head covers is what a crash leaves, and is let go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from qaztech.core.errors import Error, Halt, Malformed
from qaztech.evidence.checkpoint import Checkpoint, SignedCheckpoint
from qaztech.evidence.derived import AppendFile, NoteRows, Rows
from qaztech.evidence.merkle import leaf_hash
from qaztech.evidence.note import VerifierKey
from qaztech.evidence.state import Identity, State, read_state
from qaztech.evidence.storage import Storage
from qaztech.evidence.tree import Tree, grow
from qaztech.evidence.wal import ENTRY, HEAD, NOTE, NOTE_ROW, ROW, SEGMENT, Frame, Wal, parse_entry, parse_note_frame

WAL: Final = "wal"
TREE: Final = "tree"
_APPLY: Final = 4096
_WRITE_BEHIND: Final = 1 << 20
_CHUNK: Final = 1 << 20
_MAX_HEAD: Final = 4096
_REMEDY: Final = "remove `state` to have it and all derived files made again"


T = TypeVar("T")


@dataclass(slots=True)
class Contents:
    """A log as found: its files, and where the chain of frames stands."""

    storage: Storage
    directory: Path
    wal: Wal
    tree: Tree
    rows: Rows
    position: int
    crc: int
    # Where the last frame begins, and the time of the last entry.
    last: int
    time: int = 0
    notes: dict[int, NoteRows] = field(default_factory=dict)
    # The last signed head on this disk, and the largest one that stands in a frame.
    head: Checkpoint | None = None
    head_note: bytes = b""
    logged: int = 0
    # Frames before this position were durable before something after them was written.
    mark: int = 0
    # Entries and notes read from the write-ahead file, not covered by `state`.
    replayed: int = 0

    def files(self) -> list[AppendFile]:
        """All derived files."""
        return [self.rows.file, *self.tree.levels, *(rows.file for rows in self.notes.values())]

    def note_rows(self, kind: int) -> NoteRows:
        """The rows of a kind of notes, begun if there were none."""
        rows = self.notes.get(kind)
        if rows is None:
            rows = self.notes[kind] = NoteRows(storage=self.storage, directory=self.directory, kind=kind)
        return rows


def damaged(detail: str) -> Halt:
    """The disk does not hold what the log wrote."""
    return Halt("log.damaged", detail, at="log")


def write_behind(files: list[AppendFile]) -> None:
    """Write what is only in memory."""
    for file in files:
        offset, data = file.pending()
        file.write(offset, data)
        file.written(offset + len(data))


def recover(directory: Path, *, storage: Storage, identity: Identity, read_only: bool = False) -> Contents:
    """Read a log's directory; raises `Halt` naming what contradicts."""
    try:
        state = read_state(storage, directory)
    except Malformed as error:
        raise damaged(f"the file `state` is damaged ({error.detail}); {_REMEDY}") from error
    signed = None if state is None else _verified(state.head, identity.key)
    contents = begin(directory, storage=storage, identity=identity, state=state)
    if state is not None:
        _check_state(state, signed)
        _check_reaches(contents.wal, state)
        _check_derived(contents)
        contents.head, contents.head_note = signed, state.head
    if not read_only:
        storage.mkdir(directory / WAL)
        storage.mkdir(directory / TREE)
        for file in contents.files():
            file.cut(file.size)
    _Replay(contents, read_only=read_only).run()
    beyond = list(signed_heads_behind(contents.wal, contents.position, identity.key))
    if beyond and read_only:
        # Whoever writes this log may have gone on since its end was read; what is before a head was written before it.
        _Replay(contents, read_only=read_only).run()
    if contents.head_note:
        _verified(contents.head_note, identity.key)
    if beyond:
        _check_covers(contents, max(beyond, key=lambda signed: signed.size))
    return contents


def begin(directory: Path, *, storage: Storage, identity: Identity, state: State | None = None) -> Contents:
    """A log as `state` describes it, or an empty one; the write-ahead file is not looked at."""
    wal = Wal(storage=storage, directory=directory / WAL, segment_size=identity.segment_size)
    size, peaks = (0, ()) if state is None else (state.size, state.peaks)
    contents = Contents(
        storage=storage,
        directory=directory,
        wal=wal,
        tree=Tree(storage=storage, directory=directory / TREE, size=size, peaks=peaks),
        rows=Rows(storage=storage, directory=directory, count=size),
        position=0 if state is None else state.position,
        crc=identity.seed if state is None else state.crc,
        last=0 if state is None else state.last,
        time=0 if state is None else state.time,
        mark=0 if state is None else state.position,
    )
    for kind, count in ({} if state is None else state.notes).items():
        contents.notes[kind] = NoteRows(storage=storage, directory=directory, kind=kind, count=count)
    return contents


def _verified(note: bytes, key: VerifierKey) -> Checkpoint:
    try:
        return SignedCheckpoint.parse(note).verify([key])
    except Error as error:
        raise damaged("a head on this disk is not signed with the log's key") from error


def _check_state(state: State, signed: Checkpoint | None) -> None:
    if signed is None or (signed.size, signed.root) != (state.size, state.root()):
        raise damaged("the file `state` does not agree with the head it holds")


def _check_derived(contents: Contents) -> None:
    """Whether the derived files are there as `state` says, and lead to the root it has."""
    for file in contents.files():
        if file.missing():
            raise damaged(f"{file.path.name} is shorter than the file `state` says; {_REMEDY}")
    if not contents.tree.matches_peaks():
        raise damaged(f"the files of the tree do not lead to the root that was signed; {_REMEDY}")


def _check_reaches(wal: Wal, state: State) -> None:
    """Whether the write-ahead file still holds the last frame that `state` knows, and all segments before it."""
    if state.position == 0:
        return
    present = set(wal.segments())
    if not present.issuperset(range(state.last // wal.segment_size + 1)):
        raise damaged(f"segments of the write-ahead file are missing; a signed head covers {state.size} entries")
    if wal.checksum(state.last) != (state.crc, state.position):
        raise damaged(
            f"the write-ahead file does not hold the frame at {state.last}, which the file `state` knows;"
            f" a signed head covers {state.size} entries"
        )


class _Replay:
    """Brings what is derived up to the end of the write-ahead file."""

    def __init__(self, contents: Contents, *, read_only: bool) -> None:
        self._contents = contents
        self._read_only = read_only
        self._leaves: list[bytes] = []
        self._rows: list[bytes] = []

    def run(self) -> None:
        contents = self._contents
        scan = contents.wal.scan(contents.position, contents.crc)
        opening = -1  # position of a segment's opening that was the last frame
        for frame in scan:
            if frame.kind == ENTRY:
                self._entry(frame)
            elif frame.kind == NOTE:
                self._note(frame)
            elif frame.kind == HEAD:
                self._apply()
                self._head(frame)
                contents.mark = frame.position if opening < 0 else opening
            opening = frame.position if frame.kind == SEGMENT else -1
        self._apply()
        if scan.position != contents.position:
            contents.position, contents.crc, contents.last = scan.position, scan.crc, scan.last

    def _entry(self, frame: Frame) -> None:
        message, time, data, _ = _parse(parse_entry, frame)
        if time < self._contents.time:
            raise damaged(f"time goes back at position {frame.position} of the write-ahead file")
        self._contents.time = time
        self._contents.replayed += 1
        self._leaves.append(leaf_hash(data))
        self._rows.append(ROW.pack(message, frame.position, time))
        if len(self._leaves) >= _APPLY:
            self._apply()

    def _note(self, frame: Frame) -> None:
        note = _parse(parse_note_frame, frame)
        self._contents.replayed += 1
        self._contents.note_rows(note.kind).file.append(NOTE_ROW.pack(note.key, frame.position))

    def _head(self, frame: Frame) -> None:
        contents = self._contents
        signed = _parse(SignedCheckpoint.parse, frame)
        if signed.size != contents.tree.size or signed.root != contents.tree.root():
            raise damaged(
                f"the head signed at {signed.size} entries is not that of the entries before it"
                f" (position {frame.position} of the write-ahead file)"
            )
        contents.head = Checkpoint(signed.origin, signed.size, signed.root)
        contents.head_note = frame.payload
        contents.logged = signed.size

    def _apply(self) -> None:
        contents = self._contents
        if self._leaves:
            tree = contents.tree
            tree.install(self._leaves, grow(tree.size, tree.peaks, self._leaves))
            contents.rows.file.append(b"".join(self._rows))
            self._leaves, self._rows = [], []
        if not self._read_only and contents.rows.file.unwritten > _WRITE_BEHIND:
            write_behind(contents.files())


def _parse(parse: Callable[[bytes], T], frame: Frame) -> T:
    try:
        return parse(frame.payload)
    except Malformed as error:
        raise damaged(f"a frame at {frame.position} does not have its form") from error


def _check_covers(contents: Contents, signed: Checkpoint) -> None:
    """Refuse a log that is shorter than, or different from, a head that stands behind its last valid frame."""
    if contents.tree.size < signed.size:
        raise damaged(
            f"the write-ahead file ends after {contents.tree.size} entries (position {contents.position}),"
            f" but behind the break stands a signed head of {signed.size}"
        )
    if contents.tree.root_at(signed.size) != signed.root:
        raise damaged(f"the entries are not those that were signed: another root was, at {signed.size}")


def signed_heads_behind(wal: Wal, position: int, key: VerifierKey) -> Iterator[Checkpoint]:
    """Signed heads in what follows the last valid frame: one that covers more entries says that this is no torn end."""
    first, start = divmod(position, wal.segment_size)
    for number in wal.segments():
        if number < first:
            continue
        offset = start if number == first else 0
        while chunk := wal.raw(number, _CHUNK + _MAX_HEAD, offset):
            yield from heads_in(chunk, key)
            offset += _CHUNK


def heads_in(data: bytes, key: VerifierKey) -> list[Checkpoint]:
    """Signed heads of the log that stand anywhere in these bytes."""
    found = []
    mark = key.name.encode() + b"\n"
    at = data.find(mark)
    while at >= 0:
        lines = data[at : at + _MAX_HEAD].split(b"\n", 5)  # origin, size, root, empty line, signature
        with suppress(Error):
            found.append(SignedCheckpoint.parse(b"\n".join(lines[:5]) + b"\n").verify([key]))
        at = data.find(mark, at + 1)
    return found
