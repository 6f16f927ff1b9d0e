"""Files made from the write-ahead file: appended to in memory, written behind, read through both.

They are never synced on their own and never believed beyond what `state` covers: what is lost is made again from the
write-ahead file. Here are the file itself, the rows (32 bytes for each entry: message id, position, time) and the note
rows (16 bytes for each note: key, position). The tree's hashes are in `tree`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

from qaztech.core.errors import Halt
from qaztech.evidence.storage import Storage, failure
from qaztech.evidence.wal import NOTE_ROW, ROW

_BLOCK: Final = 1 << 20
_KEEP: Final = 16 << 10


class AppendFile:
    """A file that only grows. Owned by one thread; `write` alone may run in another, on what `pending` gave."""

    def __init__(self, *, storage: Storage, path: Path, size: int = 0, keep: int = _KEEP) -> None:
        self._storage = storage
        self.path = path
        self._keep = keep
        self._file: int | None = None
        # Bytes from `_base` on are in memory, those before `_written` in the file.
        self._tail = bytearray()
        self._base = self._written = size
        self.size = size

    def append(self, data: bytes) -> None:
        """Add bytes, in memory for now."""
        self._tail += data
        self.size += len(data)

    def read(self, start: int, stop: int) -> bytes:
        """Bytes [start, stop), which must be there."""
        base = self._base
        if start >= base:
            data = bytes(self._tail[start - base : stop - base])
        else:
            try:
                data = self._storage.pread(self._handle(), min(stop, base) - start, start)
            except OSError as error:
                raise failure(error) from error
            if stop > base:
                data += self._tail[: stop - base]
        if len(data) != stop - start:
            raise Halt("log.damaged", f"{self.path.name} is shorter than what the log knows of it", at="log")
        return data

    @property
    def unwritten(self) -> int:
        """Bytes that are only in memory."""
        return self.size - self._written

    def missing(self) -> bool:
        """Whether the file lacks bytes it should have."""
        return bool(self._written) and (
            not self._storage.exists(self.path) or self._storage.size(self._handle()) < self._written
        )

    def pending(self) -> tuple[int, bytes]:
        """What is to be written, and where."""
        return self._written, bytes(self._tail[self._written - self._base :])

    def write(self, offset: int, data: bytes) -> None:
        """Write what `pending` gave."""
        if data:
            if self._file is None:  # a file that is not there yet, so nobody reads it meanwhile
                self._file = self._storage.open(self.path, create=True)
            self._storage.pwrite(self._file, data, offset)

    def written(self, stop: int) -> None:
        """Remember that the bytes before `stop` are in the file, and let go of those that need not stay in memory."""
        self._written = stop
        spare = stop - self._keep - self._base
        if spare > self._keep:
            del self._tail[:spare]
            self._base += spare

    def sync(self) -> None:
        """Make durable what was written."""
        if self._file is not None:
            self._storage.sync(self._file, "state.derived")

    def cut(self, size: int) -> None:
        """Forget everything past `size`, in the file too."""
        self.close()
        if self._storage.exists(self.path):
            file = self._file = self._storage.open(self.path, write=True)
            self._storage.truncate(file, size)

    def close(self) -> None:
        """Give the handle back."""
        if self._file is not None:
            self._storage.close(self._file)
            self._file = None

    def _handle(self) -> int:
        if self._file is None:
            self._file = self._storage.open(self.path)
        return self._file


class Row(NamedTuple):
    """What is known of an entry without reading it."""

    message: bytes
    position: int
    time: int


class Rows:
    """One row for each entry; times never decrease."""

    def __init__(self, *, storage: Storage, directory: Path, count: int = 0) -> None:
        self.file = AppendFile(storage=storage, path=directory / "rows", size=count * ROW.size)

    def __len__(self) -> int:
        return self.file.size // ROW.size

    def row(self, index: int) -> Row:
        """The row of an entry."""
        return Row(*ROW.unpack(self.file.read(index * ROW.size, (index + 1) * ROW.size)))

    def rows(self, start: int, stop: int) -> list[Row]:
        """Rows [start, stop)."""
        return [Row(*values) for values in ROW.iter_unpack(self.file.read(start * ROW.size, stop * ROW.size))]

    def first_at_or_after(self, time: int, low: int = 0) -> int:
        """Index of the first entry whose time is not before `time`; their number if there is none."""
        high = len(self)
        while low < high:
            middle = (low + high) // 2
            if self.row(middle).time < time:
                low = middle + 1
            else:
                high = middle
        return low

    def find(self, message: bytes, start: int, stop: int) -> list[int]:
        """Indexes within [start, stop) of the entries under a message id."""
        found: list[int] = []
        step = _BLOCK // ROW.size
        for first in range(start, stop, step):
            block = self.file.read(first * ROW.size, min(first + step, stop) * ROW.size)
            at = block.find(message)
            while at >= 0:
                if at % ROW.size == 0:
                    found.append(first + at // ROW.size)
                at = block.find(message, at + 1)
        return found


class NoteRows:
    """One row for each note of a kind."""

    def __init__(self, *, storage: Storage, directory: Path, kind: int, count: int = 0) -> None:
        self.file = AppendFile(storage=storage, path=directory / f"notes-{kind}", size=count * NOTE_ROW.size)

    def __len__(self) -> int:
        return self.file.size // NOTE_ROW.size

    def row(self, ordinal: int) -> tuple[int, int]:
        """Key and position of a note."""
        key, position = NOTE_ROW.unpack(self.file.read(ordinal * NOTE_ROW.size, (ordinal + 1) * NOTE_ROW.size))
        return key, position

    def first_at_or_above(self, key: int) -> int:
        """Ordinal of the first note whose key is not below `key`; their number if there is none. Keys must not fall."""
        low, high = 0, len(self)
        while low < high:
            middle = (low + high) // 2
            if self.row(middle)[0] < key:
                low = middle + 1
            else:
                high = middle
        return low
