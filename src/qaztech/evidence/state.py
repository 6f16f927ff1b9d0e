"""The small text files beside a log's write-ahead file (docs/formats/log.md).

`log` says who it is, `state` where derived files were complete, `closed` that it must not continue. Each is written
whole, in place of the old one, and read strictly: a file that does not have its exact form is damage, never "no file".
"""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final
from zlib import crc32

from qaztech.core.errors import Malformed
from qaztech.evidence.checkpoint import MAX_SIZE
from qaztech.evidence.merkle import HASH_SIZE, Frontier
from qaztech.evidence.note import VerifierKey, parse_base64
from qaztech.evidence.storage import Storage, read_whole, write_whole
from qaztech.evidence.wal import MIN_SEGMENT_SIZE

IDENTITY: Final = "log"
STATE: Final = "state"
CLOSED: Final = "closed"

_NUMBER: Final = re.compile(r"(?:0|[1-9][0-9]{0,18})\Z", re.ASCII)
_NOTES: Final = re.compile(
    r"(?:-|(?:0|[1-9][0-9]{0,2}):[1-9][0-9]{0,18}(?: (?:0|[1-9][0-9]{0,2}):[1-9][0-9]{0,18})*)\Z"
)
_CRC: Final = re.compile(r"[0-9a-f]{8}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whose log it is, and how large its segments are."""

    key: VerifierKey
    segment_size: int

    def format(self) -> bytes:
        """The file `log`."""
        return f"qaztech-log 1\nkey {self.key}\nsegment {self.segment_size}\n".encode()

    @property
    def seed(self) -> int:
        """Where the chain of checksums begins: no frame of another log continues it."""
        return crc32(self.format())

    @classmethod
    def parse(cls, data: bytes) -> Identity:
        """From the file `log`; raises `Malformed`."""
        key, segment = _fields(data, "qaztech-log 1", ("key", "segment"))
        size = _number(segment)
        if size < MIN_SEGMENT_SIZE:
            raise Malformed("log.malformed", "segments are too small", at="log")
        return cls(key=VerifierKey.parse(key), segment_size=size)


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A moment at which the derived files were complete and durable."""

    size: int
    peaks: tuple[bytes, ...]
    # Where the write-ahead file stood: its end, the checksum of its last frame, and where that frame begins.
    position: int
    crc: int
    last: int
    time: int
    notes: dict[int, int]
    # The signed head of `size`.
    head: bytes

    def root(self) -> bytes:
        """Root of the tree with these peaks."""
        return Frontier(self.size, self.peaks).root()

    def format(self) -> bytes:
        """The file `state`, which ends with its own SHA-256."""
        notes = " ".join(f"{kind}:{count}" for kind, count in sorted(self.notes.items())) or "-"
        body = (
            f"qaztech-log-state 1\n"
            f"size {self.size}\n"
            f"peaks {b64encode(b''.join(self.peaks)).decode() or '-'}\n"
            f"position {self.position}\n"
            f"crc {self.crc:08x}\n"
            f"last {self.last}\n"
            f"time {self.time}\n"
            f"notes {notes}\n"
            f"head {b64encode(self.head).decode()}\n"
        ).encode()
        return body + b"sha256 " + sha256(body).hexdigest().encode() + b"\n"

    @classmethod
    def parse(cls, data: bytes) -> State:
        """From the file `state`; raises `Malformed`."""
        body, _, digest = data.rpartition(b"sha256 ")
        if digest != sha256(body).hexdigest().encode() + b"\n":
            raise Malformed("log.malformed", "the file does not end with its own hash", at="log")
        names = ("size", "peaks", "position", "crc", "last", "time", "notes", "head")
        size, peaks, position, crc, last, time, notes, head = _fields(body, "qaztech-log-state 1", names)
        joined = b"" if peaks == "-" else parse_base64(peaks, "log.malformed")
        if len(joined) != _number(size).bit_count() * HASH_SIZE or not _NOTES.match(notes) or not _CRC.match(crc):
            raise Malformed("log.malformed", "peaks, notes or checksum do not have their form", at="log")
        pairs = [] if notes == "-" else [pair.split(":") for pair in notes.split(" ")]
        return cls(
            size=_number(size),
            peaks=tuple(joined[i : i + HASH_SIZE] for i in range(0, len(joined), HASH_SIZE)),
            position=_number(position),
            crc=int(crc, 16),
            last=_number(last),
            time=_number(time),
            notes={int(kind): int(count) for kind, count in pairs},
            head=parse_base64(head, "log.malformed"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedLog:
    """A log that must never continue: its origin, why, and the last head of it that witnesses have seen."""

    origin: str
    size: int
    root: bytes
    reason: str

    def format(self) -> bytes:
        """The file `closed`."""
        return f"qaztech-log-closed 1\norigin {self.origin}\n{self._head()}reason {self.reason}\n".encode()

    def continuation(self) -> bytes:
        """The first entry of the log that comes after this one."""
        return f"qaztech-log-continues 1\norigin {self.origin}\n{self._head()}".encode()

    def _head(self) -> str:
        return f"size {self.size}\nroot {b64encode(self.root).decode()}\n"

    @classmethod
    def parse(cls, data: bytes) -> ClosedLog:
        """From the file `closed`; raises `Malformed`."""
        origin, size, root, reason = _fields(data, "qaztech-log-closed 1", ("origin", "size", "root", "reason"))
        closed = cls(origin=origin, size=_number(size), root=parse_base64(root, "log.malformed"), reason=reason)
        if len(closed.root) != HASH_SIZE or closed.format() != data:
            raise Malformed("log.malformed", "not a closing as this program writes it", at="log")
        return closed


def read_identity(storage: Storage, directory: Path) -> Identity | None:
    """Whose log is in the directory, None where there is none."""
    data = read_whole(storage, directory / IDENTITY)
    return None if data is None else Identity.parse(data)


def read_state(storage: Storage, directory: Path) -> State | None:
    """The last moment at which the derived files were complete, None where there was none."""
    data = read_whole(storage, directory / STATE)
    return None if data is None else State.parse(data)


def read_closed(storage: Storage, directory: Path) -> ClosedLog | None:
    """That the log is closed and why, None while it is not."""
    data = read_whole(storage, directory / CLOSED)
    return None if data is None else ClosedLog.parse(data)


def close_origin(directory: Path, *, storage: Storage, reason: str, size: int, root: bytes) -> ClosedLog:
    """Close the log in the directory for good; `size` and `root` are of its last head that witnesses have seen."""
    identity = read_identity(storage, directory)
    if identity is None:
        raise Malformed("log.malformed", f"there is no log in {directory}", at="log")
    if not reason.isprintable() or not reason or len(root) != HASH_SIZE or not 0 <= size <= MAX_SIZE:
        raise Malformed("log.malformed", "a closing needs a printable reason, a size and a root", at="log")
    closed = read_closed(storage, directory)
    if closed is None:
        closed = ClosedLog(origin=identity.key.name, size=size, root=root, reason=reason)
        write_whole(storage, directory / CLOSED, closed.format(), "closed.file")
    storage.sync_directory(directory, "closed.directory")
    return closed


def _fields(data: bytes, header: str, names: tuple[str, ...]) -> list[str]:
    """Values of a text of `name value` lines, all there and in order."""
    try:
        lines = data.decode().split("\n")
    except UnicodeDecodeError as error:
        raise Malformed("log.malformed", "not UTF-8", at="log") from error
    if lines[0] != header or lines[-1] or len(lines) != len(names) + 2:
        raise Malformed("log.malformed", f"it does not begin with {header!r}, or has not its lines", at="log")
    values = []
    for name, line in zip(names, lines[1:-1], strict=True):
        label, space, value = line.partition(" ")
        if label != name or not space or not value:
            raise Malformed("log.malformed", f"no line {name!r} where it should be", at="log")
        values.append(value)
    return values


def _number(text: str) -> int:
    if not _NUMBER.match(text) or int(text) > MAX_SIZE:
        raise Malformed("log.malformed", "not a decimal number below 2**63", at="log")
    return int(text)
