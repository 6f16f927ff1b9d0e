"""A disk that loses what was not synced: the log's storage in memory, for tests of crashes and failing disks.

`CrashStorage` keeps, for every file and directory, what a running process sees and what the disk is sure to hold.
`crash` ends every process and cuts the power: of what was not synced each piece may survive or not, whole, in 512-byte
sectors, torn in the middle, or as a file length without its bytes. `kill` ends the process only. Faults can be
scheduled (a full disk, an I/O error, a failed sync that drops its pages, as Linux does), single syncs switched off by
their reason, and the process ended at the n-th operation. Not a model of any one file system: it is worse than all.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final, Literal

from qaztech.evidence.storage import SyncReason

SECTOR: Final = 512

Survival = Literal["none", "all", "lengths", "sectors", "torn"]
"""What outlives a crash of all that was not synced: nothing, everything, lengths without bytes, or a random part."""

Operation = Literal["write", "sync", "open", "truncate", "rename", "mkdir"]


class Crash(BaseException):
    """The process ends here; not an `Exception`, so nothing that it ends can go on."""


@dataclass(slots=True)
class _File:
    cached: bytearray = field(default_factory=bytearray)
    durable: bytearray = field(default_factory=bytearray)
    # Not yet synced, in order: (offset, data) of writes, (size, None) of truncations.
    dirty: list[tuple[int, bytes | None]] = field(default_factory=list)


@dataclass(slots=True)
class _Directory:
    cached: dict[str, _File | _Directory] = field(default_factory=dict)
    durable: dict[str, _File | _Directory] = field(default_factory=dict)
    # Not yet synced, in order: names gone and names set, each change at once or not at all.
    dirty: list[tuple[str | None, str, _File | _Directory]] = field(default_factory=list)


@dataclass(slots=True)
class _Fault:
    operation: Operation
    after: int
    error: int


class CrashStorage:
    """The log's `Storage`, in memory, on a disk that can fail."""

    def __init__(self, *, without: SyncReason | None = None) -> None:
        self._root = _Directory()
        self._handles: dict[int, _File] = {}
        self._locks: dict[int, Path] = {}
        self._next = 3
        self._faults: list[_Fault] = []
        # Operations that change something, counted; the process ends before the one with this number.
        self.steps = 0
        self.crash_at: int | None = None
        # Syncs with this reason do nothing.
        self.without = without
        self.reasons: set[SyncReason] = set()

    # What tests do to it

    def kill(self) -> None:
        """End the process: its locks and handles are gone, the machine stays up."""
        self._handles.clear()
        self._locks.clear()
        self._faults.clear()
        self.crash_at = None

    def crash(self, survival: Survival = "none", seed: int = 0) -> None:
        """Cut the power: only what the disk is sure to hold is left, and of the rest what `survival` says."""
        self.kill()
        self._settle(self._root, survival, Random(seed))  # noqa: S311 a seeded choice, not a secret

    def fail(self, operation: Operation, *, after: int = 0, error: int = errno.EIO) -> None:
        """Let one operation fail, after so many that succeed; a failed sync drops what it should have kept."""
        self._faults.append(_Fault(operation, after, error))

    def flip(self, path: Path, offset: int, bit: int = 0) -> None:
        """Turn one stored bit over, unnoticed."""
        file = self._file(path)
        file.cached[offset] ^= 1 << bit
        if offset < len(file.durable):
            file.durable[offset] ^= 1 << bit

    def content(self, path: Path) -> bytes:
        """What a process sees in a file."""
        return bytes(self._file(path).cached)

    def files(self) -> Iterator[Path]:
        """All files a process sees."""
        pending = [(Path("/"), self._root)]
        while pending:
            path, directory = pending.pop()
            for name, node in sorted(directory.cached.items()):
                if isinstance(node, _Directory):
                    pending.append((path / name, node))
                else:
                    yield path / name

    # Storage

    def open(self, path: Path, *, write: bool = False, create: bool = False) -> int:  # noqa: ARG002 no permissions here
        """A handle to a file."""
        parent = self._directory(path.parent)
        node = parent.cached.get(path.name)
        if node is None:
            if not create:
                raise FileNotFoundError(errno.ENOENT, "no such file", str(path))
            self._step("open")
            node = parent.cached[path.name] = _File()
            parent.dirty.append((None, path.name, node))
        if isinstance(node, _Directory):
            raise IsADirectoryError(errno.EISDIR, "is a directory", str(path))
        return self._handle(node)

    def close(self, file: int) -> None:
        """Give the handle back; what was written stays unsynced."""
        if self._locks.pop(file, None) is None:
            del self._handles[file]

    def pread(self, file: int, size: int, offset: int) -> bytes:
        """Bytes as a process sees them."""
        return bytes(self._handles[file].cached[offset : offset + size])

    def pwrite(self, file: int, data: bytes, offset: int) -> None:
        """Write into the cache."""
        node = self._handles[file]
        try:
            self._step("write")
        except OSError:
            self._write(node, data[: len(data) // 2], offset)  # what fits is written before a full disk says so
            raise
        self._write(node, data, offset)

    def pwrite_sync(self, file: int, data: bytes, offset: int, reason: SyncReason) -> None:
        """Write, then sync: other processes may see the bytes before they are durable."""
        self.pwrite(file, data, offset)
        self.sync(file, reason)

    def sync(self, file: int, reason: SyncReason) -> None:
        """Make what was written durable."""
        self.reasons.add(reason)
        node = self._handles[file]
        try:
            self._step("sync")
        except OSError:
            node.dirty.clear()  # the kernel takes the pages for clean from here on
            raise
        if reason != self.without:
            for offset, data in node.dirty:  # and nothing else: pages dropped by a failed sync are not made good
                if data is None:
                    _truncate(node.durable, offset)
                else:
                    _apply(node.durable, data, offset)
            node.dirty.clear()

    def settle(self, file: int) -> None:
        """A hint; this disk does not take it."""

    def truncate(self, file: int, size: int) -> None:
        """Cut or extend the file."""
        self._step("truncate")
        node = self._handles[file]
        _truncate(node.cached, size)
        node.dirty.append((size, None))

    def size(self, file: int) -> int:
        """Length of the file."""
        return len(self._handles[file].cached)

    def rename(self, old: Path, new: Path) -> None:
        """Put a file in the place of another of the same directory."""
        self._step("rename")
        parent = self._directory(old.parent)
        node = parent.cached.pop(old.name)
        parent.cached[new.name] = node
        parent.dirty.append((old.name, new.name, node))

    def mkdir(self, path: Path) -> None:
        """Make a directory where there is none."""
        parent = self._directory(path.parent)
        if path.name not in parent.cached:
            self._step("mkdir")
            node = parent.cached[path.name] = _Directory()
            parent.dirty.append((None, path.name, node))

    def sync_directory(self, path: Path, reason: SyncReason) -> None:
        """Make the names in a directory durable."""
        self.reasons.add(reason)
        self._step("sync")
        directory = self._directory(path)
        if reason != self.without:
            directory.durable = dict(directory.cached)
            directory.dirty.clear()

    def list(self, path: Path) -> list[str]:
        """Names in a directory."""
        try:
            return sorted(self._directory(path).cached)
        except FileNotFoundError:
            return []

    def exists(self, path: Path) -> bool:
        """Whether a file or directory is there."""
        try:
            return path == Path("/") or path.name in self._directory(path.parent).cached
        except FileNotFoundError:
            return False

    def lock(self, path: Path) -> int:
        """Keep other processes out of a directory."""
        self._directory(path)
        if path in self._locks.values():
            raise BlockingIOError(errno.EWOULDBLOCK, "locked", str(path))
        self._next += 1
        self._locks[self._next] = path
        return self._next

    # Inside

    def _step(self, operation: Operation) -> None:
        if self.crash_at is not None and self.steps >= self.crash_at:
            raise Crash
        self.steps += 1
        for fault in self._faults:
            if fault.operation == operation:
                if fault.after == 0:
                    self._faults.remove(fault)
                    raise OSError(fault.error, "scheduled to fail")
                fault.after -= 1

    def _handle(self, node: _File) -> int:
        self._next += 1
        self._handles[self._next] = node
        return self._next

    def _write(self, node: _File, data: bytes, offset: int) -> None:
        _apply(node.cached, data, offset)
        node.dirty.append((offset, bytes(data)))

    def _directory(self, path: Path) -> _Directory:
        node: _File | _Directory = self._root
        for name in path.parts[1:]:
            child = node.cached.get(name) if isinstance(node, _Directory) else None
            if child is None:
                raise FileNotFoundError(errno.ENOENT, "no such directory", str(path))
            node = child
        if not isinstance(node, _Directory):
            raise NotADirectoryError(errno.ENOTDIR, "not a directory", str(path))
        return node

    def _file(self, path: Path) -> _File:
        node = self._directory(path.parent).cached[path.name]
        if not isinstance(node, _File):
            raise IsADirectoryError(errno.EISDIR, "is a directory", str(path))
        return node

    def _settle(self, directory: _Directory, survival: Survival, random: Random) -> None:
        """Leave of a directory and all below what the crash leaves."""
        for gone, name, node in directory.dirty:
            if survival == "all" or (survival != "none" and random.random() < 0.5):
                if gone is not None and directory.durable.get(gone) is node:
                    del directory.durable[gone]
                directory.durable[name] = node
        directory.cached = dict(directory.durable)
        directory.dirty.clear()
        for node in directory.cached.values():
            if isinstance(node, _Directory):
                self._settle(node, survival, random)
            else:
                _settle_file(node, survival, random)


def _settle_file(node: _File, survival: Survival, random: Random) -> None:
    for offset, data in node.dirty:
        if data is None:
            if survival == "all" or (survival != "none" and random.random() < 0.5):
                _truncate(node.durable, offset)
        elif survival == "all":
            _apply(node.durable, data, offset)
        elif survival == "lengths":
            _truncate(node.durable, max(len(node.durable), offset + len(data)))
        elif survival == "torn" and random.random() < 0.7:
            _apply(node.durable, data[: random.randint(0, len(data))], offset)
        elif survival == "sectors":
            _apply_sectors(node.durable, data, offset, random)
    node.cached = bytearray(node.durable)
    node.dirty.clear()


def _apply_sectors(content: bytearray, data: bytes, offset: int, random: Random) -> None:
    """Write each sector of `data` or leave it."""
    start = 0
    while start < len(data):
        stop = start + SECTOR - (offset + start) % SECTOR
        if random.random() < 0.5:
            _apply(content, data[start:stop], offset + start)
        start = stop


def _apply(content: bytearray, data: bytes, offset: int) -> None:
    if offset > len(content):
        content += bytes(offset - len(content))
    content[offset : offset + len(data)] = data


def _truncate(content: bytearray, size: int) -> None:
    del content[size:]
    content += bytes(size - len(content))
