"""What the log needs of a disk, and the real one.

`Storage` is small on purpose: the crash simulator of `qaztech.testing.crash` implements it too, and proves that each
sync the log asks for is needed. Every sync therefore carries its reason: one name for one place in the code. Files are
handles (integers), offsets are in bytes. Storage raises `OSError`; `failure` turns it into what it is to a log, a
reason to halt.
"""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from typing import Literal, Protocol

from qaztech.core.errors import Halt

SyncReason = Literal[
    "create.parent",
    "create.identity",
    "create.directory",
    "wal.directory",
    "wal.batch",
    "wal.recover",
    "state.derived",
    "state.tree",
    "state.directory",
    "state.file",
    "closed.file",
    "closed.directory",
]
"""Why something is synced. A property test switches each off in turn and must see a promise broken."""


class Storage(Protocol):
    """Files as the log uses them. What is not synced may be lost, torn or reordered when power fails."""

    def open(self, path: Path, *, write: bool = False, create: bool = False) -> int:
        """A handle to read, and to write if so asked; `create` makes the file if it is not there, and writes."""
        ...

    def close(self, file: int) -> None:
        """Give the handle back."""
        ...

    def pread(self, file: int, size: int, offset: int) -> bytes:
        """Up to `size` bytes; fewer only at the end of the file."""
        ...

    def pwrite(self, file: int, data: bytes, offset: int) -> None:
        """Write all of `data`, or fail."""
        ...

    def pwrite_sync(self, file: int, data: bytes, offset: int, reason: SyncReason) -> None:
        """Write all of `data` and return when those bytes are durable."""
        ...

    def sync(self, file: int, reason: SyncReason) -> None:
        """Return when all that was written to the file through any handle is durable."""
        ...

    def settle(self, file: int) -> None:
        """Push written data towards the disk, so that the next sync is quick. Promises nothing."""
        ...

    def truncate(self, file: int, size: int) -> None:
        """Cut the file to `size` bytes."""
        ...

    def size(self, file: int) -> int:
        """Length of the file."""
        ...

    def rename(self, old: Path, new: Path) -> None:
        """Put a file in the place of another of the same directory, at once or not at all."""
        ...

    def mkdir(self, path: Path) -> None:
        """Make a directory where there is none."""
        ...

    def sync_directory(self, path: Path, reason: SyncReason) -> None:
        """Return when the names in the directory are durable."""
        ...

    def list(self, path: Path) -> list[str]:
        """Names in a directory, sorted; none where there is no directory."""
        ...

    def exists(self, path: Path) -> bool:
        """Whether a file or directory is there."""
        ...

    def lock(self, path: Path) -> int:
        """A handle that keeps other processes out of the directory until it is closed; `BlockingIOError` if held."""
        ...


class OsStorage:
    """The machine's file system (Linux)."""

    def __init__(self) -> None:
        self._has_dsync = True

    def open(self, path: Path, *, write: bool = False, create: bool = False) -> int:
        """A handle to read, and to write if so asked."""
        flags = os.O_RDWR | os.O_CREAT if create else os.O_RDWR if write else os.O_RDONLY
        return os.open(path, flags | os.O_CLOEXEC, 0o600)

    def close(self, file: int) -> None:
        """Give the handle back."""
        os.close(file)

    def pread(self, file: int, size: int, offset: int) -> bytes:
        """Up to `size` bytes; fewer only at the end of the file."""
        data = os.pread(file, size, offset)
        while len(data) < size and (more := os.pread(file, size - len(data), offset + len(data))):
            data += more
        return data

    def pwrite(self, file: int, data: bytes, offset: int) -> None:
        """Write all of `data`, or fail."""
        written = os.pwrite(file, data, offset)
        while written < len(data):  # short when the disk is nearly full; the next call says so
            written += os.pwrite(file, data[written:], offset + written)

    def pwrite_sync(self, file: int, data: bytes, offset: int, reason: SyncReason) -> None:
        """Write and sync in one system call, so that the writing thread waits for the interpreter lock only once."""
        if self._has_dsync:
            try:
                if os.pwritev(file, (data,), offset, os.RWF_DSYNC) == len(data):
                    return
            except OSError as error:
                if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
                    raise
                self._has_dsync = False  # a file system that does not know the flag
        self.pwrite(file, data, offset)
        self.sync(file, reason)

    def sync(self, file: int, reason: SyncReason) -> None:  # noqa: ARG002 the reason is for the simulator
        """Return when all that was written to the file is durable."""
        os.fdatasync(file)

    def settle(self, file: int) -> None:
        """Push written data towards the disk."""
        os.fdatasync(file)

    def truncate(self, file: int, size: int) -> None:
        """Cut the file to `size` bytes."""
        os.ftruncate(file, size)

    def size(self, file: int) -> int:
        """Length of the file."""
        return os.fstat(file).st_size

    def rename(self, old: Path, new: Path) -> None:
        """Put a file in the place of another."""
        old.rename(new)

    def mkdir(self, path: Path) -> None:
        """Make a directory where there is none."""
        path.mkdir(mode=0o700, exist_ok=True)

    def sync_directory(self, path: Path, reason: SyncReason) -> None:  # noqa: ARG002 the reason is for the simulator
        """Return when the names in the directory are durable."""
        directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def list(self, path: Path) -> list[str]:
        """Names in a directory, sorted; none where there is no directory."""
        try:
            return sorted(os.listdir(path))  # noqa: PTH208 names are wanted, not paths
        except FileNotFoundError:
            return []

    def exists(self, path: Path) -> bool:
        """Whether a file or directory is there."""
        return path.exists()

    def lock(self, path: Path) -> int:
        """A handle that keeps other processes out of the directory until it is closed."""
        directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(directory)
            raise
        return directory


def write_whole(storage: Storage, path: Path, data: bytes, reason: SyncReason) -> None:
    """Put `data` in the place of the file, durable in itself; its name is durable once the directory is synced."""
    temporary = path.with_name(path.name + ".new")
    file = storage.open(temporary, create=True)
    try:
        storage.truncate(file, 0)
        storage.pwrite(file, data, 0)
        storage.sync(file, reason)
    finally:
        storage.close(file)
    storage.rename(temporary, path)


def read_whole(storage: Storage, path: Path) -> bytes | None:
    """The whole content of a file, None where there is none."""
    if not storage.exists(path):
        return None
    file = storage.open(path)
    try:
        return storage.pread(file, storage.size(file), 0)
    finally:
        storage.close(file)


def failure(error: OSError) -> Halt:
    """The halt that a failed disk means to a log."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Halt(
            "log.disk-full", "the disk is full: make room (at least 16 MiB), then start the node again", at="log"
        )
    return Halt("log.disk-failed", f"the disk failed: {error.strerror}", at="log", context=str(error))
