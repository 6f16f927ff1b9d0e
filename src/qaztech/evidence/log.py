"""The log: an append-only Merkle tree of entries, durable before it is signed (RFC 6962; docs/formats/log.md).

One process holds a log and one thread owns the object. A commit has three parts: `prepare` builds bytes and hashes and
changes nothing, `write_and_sync` is the only part that may run in another thread, `finish` signs the new head and takes
everything over. The order is write, sync, sign: what is signed is on the disk. After any failed write or sync the log
is halted for as long as the process lives; it is opened again to read what the disk really holds. Not here: gathering
appends into batches (`sequencer`), serving tiles (`tiles`), re-verification of everything (`check`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from qaztech.core.errors import Conflict, Halt, Limited, Malformed
from qaztech.core.time import Clock
from qaztech.evidence.checkpoint import sign_checkpoint
from qaztech.evidence.note import ED25519, VerifierKey
from qaztech.evidence.recovery import TREE, WAL, Contents, begin, damaged, recover
from qaztech.evidence.state import IDENTITY, STATE, ClosedLog, Identity, State, close_origin, read_closed
from qaztech.evidence.storage import Storage, failure, write_whole
from qaztech.evidence.tree import Growth, grow
from qaztech.evidence.view import Head, LogView, StoredEntry, identity_of
from qaztech.evidence.wal import FRAME_SIZE, MIN_SEGMENT_SIZE, SEGMENT_SIZE, Batch, Entry, NoteFrame, encode, frame_size
from qaztech.trust.keys import Ed25519Key

__all__ = ["Chore", "Commit", "Entry", "Head", "Log", "LogView", "NoteFrame", "Prepared", "StoredEntry"]

SNAPSHOT_ITEMS: Final = 50_000
SNAPSHOT_AFTER: Final = 60_000
WRITE_BEHIND_ITEMS: Final = 2048
_HEAD_ROOM: Final = 1024


@dataclass(frozen=True, slots=True)
class Commit:
    """A durable batch: index of its first entry, the leaf hashes of its entries, and the head that covers them."""

    start: int
    leaves: list[bytes]
    head: Head


class Prepared(NamedTuple):
    """A batch that is ready to be written."""

    batch: Batch
    growth: Growth
    items: int
    logged: int


class Chore(NamedTuple):
    """Work on files that need not hold up a commit: `run` in any one thread, then `done` in the log's own."""

    run: Callable[[], None]
    done: Callable[[], None]


class Log(LogView):
    """One log, opened to append to it. Make it with `create` or `open`; `open_read_only` gives a `LogView`."""

    def __init__(
        self,
        *,
        contents: Contents,
        identity: Identity,
        clock: Clock,
        key: Ed25519Key,
        lock: int,
    ) -> None:
        super().__init__(contents=contents, identity=identity)
        self._storage = contents.storage
        self._clock = clock
        self._key = key
        self._lock: int | None = lock
        # Items since the derived files were last written, and since the last snapshot; when that was.
        self._unwritten = self._unsaved = contents.replayed
        self._saved = clock.now()

    # Opening and closing

    @classmethod
    def create(
        cls,
        directory: Path,
        *,
        storage: Storage,
        key: Ed25519Key,
        origin: str,
        clock: Clock,
        continues: ClosedLog | None = None,
        segment_size: int = SEGMENT_SIZE,
    ) -> Log:
        """A new log in a directory that holds none. With `continues` its first entry names the log it comes after."""
        if segment_size < MIN_SEGMENT_SIZE:
            raise Malformed("log.malformed", f"segments have at least {MIN_SEGMENT_SIZE} bytes", at="log")
        identity = Identity(key=VerifierKey.of(origin, ED25519, key.public), segment_size=segment_size)
        try:
            storage.mkdir(directory)
            lock = _lock(storage, directory)
        except OSError as error:
            raise failure(error) from error
        try:
            if storage.exists(directory / IDENTITY):
                raise Conflict("log.exists", f"there is a log in {directory}", at="log")
            storage.mkdir(directory / WAL)
            storage.mkdir(directory / TREE)
            contents = begin(directory, storage=storage, identity=identity)
            log = cls(contents=contents, identity=identity, clock=clock, key=key, lock=lock)
            first = None
            if continues is not None:
                first = log.prepare([Entry(bytes(16), clock.now(), continues.continuation())])
                log.write_and_sync(first)
            _name(storage, directory)  # all that makes the log, then the file that says it is one
            write_whole(storage, directory / IDENTITY, identity.format(), "create.identity")
            _name(storage, directory)
            if first is None:
                log._sign()
            else:
                log.finish(first)
        except OSError as error:
            storage.close(lock)
            raise failure(error) from error
        except BaseException:
            storage.close(lock)
            raise
        return log

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        storage: Storage,
        key: Ed25519Key,
        origin: str,
        clock: Clock,
    ) -> Log:
        """Open a log to go on with it; raises `Halt` when it must not."""
        identity = identity_of(storage, directory)
        if identity.key != VerifierKey.of(origin, ED25519, key.public):
            raise Halt("log.identity", f"the log in {directory} is {identity.key.name} with another key", at="log")
        lock = _lock(storage, directory)
        try:
            _refuse_closed(storage, directory)
            contents = recover(directory, storage=storage, identity=identity)
            contents.wal.repair(contents.mark, contents.position)
            _name(storage, directory)  # whoever made it may have ended just before that
            log = cls(contents=contents, identity=identity, clock=clock, key=key, lock=lock)
            log._sign()
        except OSError as error:
            storage.close(lock)
            raise failure(error) from error
        except BaseException:
            storage.close(lock)
            raise
        return log

    def close(self) -> None:
        """Leave the log so that it opens quickly, and let others open it."""
        lock, self._lock = self._lock, None
        if lock is None:
            return
        try:
            if self._halted is None and self._unsaved:
                self._do(self._snapshot())
        finally:
            super().close()
            self._storage.close(lock)

    def close_origin(self, reason: str, size: int, root: bytes) -> ClosedLog:
        """Close this log for good: nothing is ever signed under its origin again."""
        self.halt(Halt("log.closed", f"{self.origin} is closed: {reason}", at="log"))
        return close_origin(self.directory, storage=self._storage, reason=reason, size=size, root=root)

    # Committing

    @property
    def batch_room(self) -> int:
        """How many bytes of frames (see `frame_size`) a batch may have."""
        return self._contents.wal.capacity(_HEAD_ROOM)

    def commit(self, batch: Sequence[Entry | NoteFrame]) -> Commit:
        """Append a batch: durable and signed when this returns."""
        prepared = self.prepare(batch)
        self.write_and_sync(prepared)
        commit = self.finish(prepared)
        while (chore := self.chore()) is not None:
            self._do(chore)
        return commit

    def prepare(self, batch: Sequence[Entry | NoteFrame]) -> Prepared:
        """Build what the batch writes. Nothing has changed yet; the next batch is prepared after `finish`."""
        if self._halted is not None:
            raise self._halted
        if self._lock is None:
            raise Conflict("log.not-open", "the log has been closed", at="log")
        contents, head = self._contents, self._head
        size = sum(map(frame_size, batch))
        if size > self.batch_room:
            raise Limited("log.batch-too-large", f"a batch has at most {self.batch_room} bytes", at="log")
        note = head.note if head.size > contents.logged else b""
        position, opens = contents.wal.place(size + (FRAME_SIZE + len(note) if note else 0), contents.position)
        encoded = encode(batch, position=position, crc=contents.crc, time=contents.time, head=note, opens=opens)
        tree = contents.tree
        growth = grow(tree.size, tree.peaks, encoded.leaves)
        return Prepared(encoded, growth, len(batch), head.size if note else contents.logged)

    def write_and_sync(self, prepared: Prepared) -> None:
        """Make the batch durable; raises `Halt`, for good, when that fails."""
        if self._halted is not None:
            raise self._halted
        try:
            self._contents.wal.write(prepared.batch.position, prepared.batch.data)
        except OSError as error:
            raise self.halt(failure(error)) from error

    def finish(self, prepared: Prepared) -> Commit:
        """Sign the head that covers the batch and take the batch over."""
        if self._halted is not None:
            raise self._halted
        batch, contents = prepared.batch, self._contents
        start = contents.tree.size
        contents.position, contents.crc, contents.last = batch.end, batch.crc, batch.last
        contents.logged = prepared.logged
        for kind, rows in batch.notes.items():
            contents.note_rows(kind).file.append(rows)
        self._unwritten += prepared.items
        self._unsaved += prepared.items
        if batch.leaves:
            contents.time = batch.time
            contents.rows.file.append(batch.rows)
            contents.tree.install(batch.leaves, prepared.growth)
            self._sign()
        return Commit(start, batch.leaves, self._head)

    def _sign(self) -> None:
        tree = self._contents.tree
        root = tree.root()
        self._head = Head.of(tree.size, root, sign_checkpoint(self.origin, tree.size, root, self._key))

    # Chores

    def chore(self) -> Chore | None:
        """What should be done beside commits now, one thing at a time; None when there is nothing."""
        if self._halted is not None or self._lock is None:
            return None
        wal = self._contents.wal
        number = wal.spare_wanted(self._contents.position)
        if number is not None:
            return Chore(lambda: wal.make_segment(number), lambda: None)
        if self._unsaved and (self._unsaved >= SNAPSHOT_ITEMS or self._clock.now() - self._saved >= SNAPSHOT_AFTER):
            return self._snapshot()
        if self._unwritten >= WRITE_BEHIND_ITEMS:
            return self._write_behind()
        return None

    def _do(self, chore: Chore) -> None:
        try:
            chore.run()
        except OSError as error:
            raise self.halt(failure(error)) from error
        chore.done()

    def _write_behind(self) -> Chore:
        pending = [(file, *file.pending()) for file in self._contents.files()]
        self._unwritten = 0

        def run() -> None:
            for file, offset, data in pending:
                file.write(offset, data)

        def done() -> None:
            for file, offset, data in pending:
                file.written(offset + len(data))

        return Chore(run, done)

    def _snapshot(self) -> Chore:
        contents, storage, directory = self._contents, self._storage, self.directory
        files = contents.files()
        behind = self._write_behind()
        state = State(
            size=contents.tree.size,
            peaks=tuple(contents.tree.peaks),
            position=contents.position,
            crc=contents.crc,
            last=contents.last,
            time=contents.time,
            notes={kind: len(rows) for kind, rows in contents.notes.items()},
            head=self._head.note,
        ).format()
        self._unsaved, self._saved = 0, self._clock.now()

        def run() -> None:
            behind.run()
            for file in files:
                file.sync()
            storage.sync_directory(directory / TREE, "state.tree")
            storage.sync_directory(directory, "state.directory")
            write_whole(storage, directory / STATE, state, "state.file")

        return Chore(run, behind.done)


def _lock(storage: Storage, directory: Path) -> int:
    try:
        return storage.lock(directory)
    except BlockingIOError as error:
        raise Conflict("log.in-use", f"another process has the log in {directory} open", at="log") from error


def _refuse_closed(storage: Storage, directory: Path) -> None:
    try:
        closed = read_closed(storage, directory)
    except Malformed as error:
        raise damaged("the file `closed` is damaged; the log was closed, and stays so") from error
    if closed is not None:
        raise Halt("log.closed", f"{closed.origin} is closed: {closed.reason}", at="log")


def _name(storage: Storage, directory: Path) -> None:
    """Make durable that the log is there."""
    storage.sync_directory(directory, "create.directory")
    storage.sync_directory(directory.parent, "create.parent")
