"""The write-ahead file: the one truth of a log, from which everything else can be made again (docs/formats/log.md).

Frames follow each other in segment files of a fixed size, which are filled with zeros before they are used, so that a
sync has no metadata to write. Each frame carries the CRC of the frame before it under its own: bytes of an earlier
life never read as a continuation, and a single frame can be checked where it stands. A position is `segment number *
segment size + offset`. What frames mean is decided by `log` and `recovery`; here they are built, written and read.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from struct import Struct
from typing import Final, NamedTuple, final
from zlib import crc32

from qaztech.core.errors import Halt, Malformed
from qaztech.evidence.storage import Storage, failure

ENTRY: Final = 1
NOTE: Final = 2
HEAD: Final = 3
SEGMENT: Final = 4

SEGMENT_SIZE: Final = 8 << 20
MIN_SEGMENT_SIZE: Final = 4096
MAX_DATA: Final = 0xFFFF  # the length prefix of a C2SP entry bundle has 16 bits
MAX_FRAME: Final = 0xFFFFFF
MESSAGE_SIZE: Final = 16

_FRAME: Final = Struct(
    ">III"
)  # CRC of all that follows, CRC of the frame before, kind (8 bits) and payload length (24)
_BODY: Final = Struct(">II")  # the same without the first
_WORD: Final = Struct(">I")
_ENTRY: Final = Struct(">16sQH")  # message id, time, length of the data; then data and private bytes
_NOTE: Final = Struct(">BQ")  # kind, key; then the payload
_SEGMENT: Final = Struct(">QQ")  # number of this segment, position where the one before it ended
_ENTRY_FRAME: Final = Struct(">II16sQH")
_NOTE_FRAME: Final = Struct(">IIBQ")
ROW: Final = Struct(">16sQQ")  # of the file `rows`: message id, position, time
NOTE_ROW: Final = Struct(">QQ")  # of the files `notes-…`: key, position

FRAME_SIZE: Final = _FRAME.size
_ENTRY_EXTRA: Final = _FRAME.size + _ENTRY.size
_NOTE_EXTRA: Final = _FRAME.size + _NOTE.size
_SEGMENT_FRAME: Final = _FRAME.size + _SEGMENT.size
_CHUNK: Final = 1 << 20
_OPEN_SEGMENTS: Final = 8


@final
class Entry(NamedTuple):
    """What becomes a leaf: the record's bytes under its message id, and what its keeper stores beside it."""

    message: bytes
    time: int
    data: bytes
    private: bytes = b""


@final
class NoteFrame(NamedTuple):
    """Something kept in the log's file but not in its tree."""

    kind: int
    key: int
    payload: bytes


class Frame(NamedTuple):
    """One frame as read."""

    position: int
    kind: int
    payload: bytes


class Batch(NamedTuple):
    """A batch as bytes, and all that follows from it: see `encode`."""

    position: int
    data: bytes
    end: int
    crc: int
    last: int
    time: int
    leaves: list[bytes]
    rows: bytes
    notes: dict[int, bytes]


def frame_size(item: Entry | NoteFrame) -> int:
    """Bytes the item takes in the file; raises `Malformed` for what a frame cannot hold."""
    if type(item) is Entry:
        if len(item.message) != MESSAGE_SIZE or len(item.data) > MAX_DATA or not 0 <= item.time < 1 << 63:
            raise Malformed("entry.malformed", "a message id has 16 bytes, an entry at most 65535", at="log")
        return _ENTRY_EXTRA + len(item.data) + len(item.private)
    if not (type(item) is NoteFrame and 0 <= item.kind <= 0xFF and 0 <= item.key < 1 << 64):
        raise Malformed("entry.malformed", "a note has a kind of 8 bits and a key of 64", at="log")
    return _NOTE_EXTRA + len(item.payload)


def encode(
    items: Sequence[Entry | NoteFrame],
    *,
    position: int,
    crc: int,
    time: int,
    head: bytes,
    opens: tuple[int, int] | None,
) -> Batch:
    """Frames for a batch that begins at `position`, chained to `crc`.

    First come a segment's opening (its number, and where the one before it ended) and a signed head, where there are
    any, then the items. An entry's time is its own unless `time`, that of the entry before, is later. The hottest loop
    of the product, hence local names and no calls it can do without.
    """
    parts: list[bytes] = []
    rows: list[bytes] = []
    leaves: list[bytes] = []
    notes: dict[int, bytes] = {}
    start = last = position
    checksum, entry_frame, row, word = crc32, _ENTRY_FRAME.pack, ROW.pack, _WORD.pack
    leading = []
    if opens is not None:
        leading.append((SEGMENT, _SEGMENT.pack(*opens)))
    if head:
        leading.append((HEAD, head))
    for kind, payload in leading:
        body = _BODY.pack(crc, kind << 24 | len(payload)) + payload
        crc = checksum(body)
        parts += (word(crc), body)
        last = position
        position += 4 + len(body)
    for item in items:
        if type(item) is Entry:
            message, stamp, data, private = item
            if stamp > time:  # noqa: PLR1730 a call to max costs
                time = stamp
            size = len(data)
            body = entry_frame(crc, ENTRY << 24 | 26 + size + len(private), message, time, size) + data + private
            leaves.append(sha256(b"\x00" + data).digest())
            rows.append(row(message, position, time))
        else:
            kind, key, payload = item
            body = _NOTE_FRAME.pack(crc, NOTE << 24 | 9 + len(payload), kind, key) + payload
            notes[kind] = notes.get(kind, b"") + NOTE_ROW.pack(key, position)
        crc = checksum(body)
        parts.append(word(crc))
        parts.append(body)
        last = position
        position += 4 + len(body)
    return Batch(start, b"".join(parts), position, crc, last, time, leaves, b"".join(rows), notes)


def parse_entry(payload: bytes) -> tuple[bytes, int, bytes, bytes]:
    """Message id, time, data and private bytes of an ENTRY frame."""
    if len(payload) < _ENTRY.size:
        raise Malformed("frame.malformed", "an entry frame is too short", at="log")
    message, time, size = _ENTRY.unpack_from(payload)
    stop = _ENTRY.size + size
    if stop > len(payload):
        raise Malformed("frame.malformed", "an entry frame is shorter than its data", at="log")
    return message, time, payload[_ENTRY.size : stop], payload[stop:]


def parse_note_frame(payload: bytes) -> NoteFrame:
    """The note of a NOTE frame."""
    if len(payload) < _NOTE.size:
        raise Malformed("frame.malformed", "a note frame is too short", at="log")
    kind, key = _NOTE.unpack_from(payload)
    return NoteFrame(kind, key, payload[_NOTE.size :])


class Wal:
    """The segment files of one log.

    Reading and placing belong to the log's owner; writing and making segments may run in other threads, one of each.
    """

    def __init__(self, *, storage: Storage, directory: Path, segment_size: int) -> None:
        self._storage = storage
        self.directory = directory
        self.segment_size = segment_size
        self._made = threading.Lock()
        # Number and handle of the segment being written; owned by whoever holds `_made`.
        self._writing: tuple[int, int] | None = None
        self._spare: tuple[int, int] | None = None
        self._reading: OrderedDict[int, int] = OrderedDict()

    def path(self, number: int) -> Path:
        """The file of a segment."""
        return self.directory / f"{number:012d}"

    def segments(self) -> list[int]:
        """Numbers of the segment files there are, in order."""
        return [int(name) for name in self._storage.list(self.directory) if len(name) == 12 and name.isdecimal()]

    def capacity(self, head: int) -> int:
        """Bytes of items that fit a segment behind its opening and a head of so many bytes."""
        return self.segment_size - _SEGMENT_FRAME - _FRAME.size - head

    def place(self, size: int, position: int) -> tuple[int, tuple[int, int] | None]:
        """Where a batch of `size` bytes goes when the file ends at `position`, and the segment it opens, if any."""
        number, offset = divmod(position, self.segment_size)
        if offset and offset + size <= self.segment_size:
            return position, None
        number += bool(offset)
        return number * self.segment_size, (number, position)

    # Writing

    def write(self, position: int, data: bytes) -> None:
        """Write a batch and return when it is durable."""
        number, offset = divmod(position, self.segment_size)
        writing = self._writing
        if writing is None or writing[0] != number:
            writing = self._advance(number, fresh=offset == 0)
        self._storage.pwrite_sync(writing[1], data, offset, "wal.batch")

    def spare_wanted(self, position: int) -> int | None:
        """The segment to make before it is needed: the next one, once the present one is half full."""
        number, offset = divmod(position, self.segment_size)
        wanted = number + 1 if offset * 2 > self.segment_size else number if offset == 0 else None
        return None if wanted is None or (self._spare is not None and self._spare[0] == wanted) else wanted

    def make_segment(self, number: int) -> None:
        """Make the file of a segment, full of zeros and under a durable name. May run beside `write`."""
        with self._made:
            if self._writing is None or self._writing[0] < number:  # never one that is in use
                self._make(number)

    def _advance(self, number: int, *, fresh: bool) -> tuple[int, int]:
        with self._made:
            if self._writing is not None:
                self._storage.close(self._writing[1])
                self._writing = None
            if fresh:
                writing, self._spare = self._make(number), None
            else:
                writing = (number, self._storage.open(self.path(number), write=True))
            self._writing = writing
            return writing

    def _make(self, number: int) -> tuple[int, int]:
        """The spare with this number, made if it is not there; `_made` is held."""
        if self._spare is not None:
            if self._spare[0] == number:
                return self._spare
            self._storage.close(self._spare[1])
            self._spare = None
        file = self._storage.open(self.path(number), create=True)
        self._spare = (number, file)
        self._fill(file, 0)
        self._storage.settle(file)
        self._storage.sync_directory(self.directory, "wal.directory")
        return self._spare

    def _fill(self, file: int, start: int) -> None:
        zeros = bytes(min(_CHUNK, self.segment_size - start))
        for offset in range(start, self.segment_size, _CHUNK):
            self._storage.pwrite(file, zeros[: self.segment_size - offset], offset)

    def repair(self, mark: int, end: int) -> None:
        """Make durable what was found from `mark` to `end`, and clear what follows, before anything is built on it.

        The bytes are written again, not only synced: after a failed sync the kernel may hold them as clean without
        having stored them.
        """
        last = end // self.segment_size
        number, offset = divmod(mark, self.segment_size)
        while number <= last:
            if self._storage.exists(self.path(number)):
                stop = min(end - number * self.segment_size, self.segment_size)
                self._rewrite(number, offset, stop, clear=number == last)
            number, offset = number + 1, 0

    def _rewrite(self, number: int, start: int, stop: int, *, clear: bool) -> None:
        file = self._storage.open(self.path(number), write=True)
        try:
            touched = start < stop
            if touched:
                self._storage.pwrite(file, self._storage.pread(file, stop - start, start), start)
            rest = self._storage.pread(file, self.segment_size - stop, stop) if clear else b""
            if clear and (len(rest) < self.segment_size - stop or rest.count(0) != len(rest)):
                self._fill(file, stop)
                touched = True
            if touched:
                self._storage.sync(file, "wal.recover")
        finally:
            self._storage.close(file)

    # Reading

    def scan(self, position: int, crc: int) -> Scan:
        """Frames from `position` on, where the chain stands at `crc`."""
        return Scan(self, position, crc)

    def read(self, position: int) -> tuple[int, bytes]:
        """Kind and payload of the frame at a position, whose checksum is right; raises `Halt` if it is not."""
        number, offset = divmod(position, self.segment_size)
        data = self.raw(number, 4096, offset)
        if len(data) >= _FRAME.size:
            crc, _, word = _FRAME.unpack_from(data)
            stop = _FRAME.size + (word & MAX_FRAME)
            if stop > len(data):
                data += self.raw(number, stop - len(data), offset + len(data))
            if stop <= len(data) and crc == crc32(memoryview(data)[4:stop]):
                return word >> 24, data[_FRAME.size : stop]
        raise Halt("log.damaged", f"no valid frame at position {position} of the write-ahead file", at="log")

    def checksum(self, position: int) -> tuple[int, int] | None:
        """CRC of the frame at a position and where it ends, None where there is none."""
        number, offset = divmod(position, self.segment_size)
        if not self._storage.exists(self.path(number)):
            return None
        data = self.raw(number, _FRAME.size, offset)
        if len(data) < _FRAME.size:
            return None
        crc, _, word = _FRAME.unpack(data)
        return crc, position + _FRAME.size + (word & MAX_FRAME)

    def raw(self, number: int, size: int, offset: int) -> bytes:
        """Bytes of a segment, as they are."""
        try:
            return self._storage.pread(self._handle(number), size, offset)
        except OSError as error:
            raise failure(error) from error

    def _handle(self, number: int) -> int:
        """A handle to read a segment; few are kept open."""
        file = self._reading.get(number)
        if file is None:
            file = self._reading[number] = self._storage.open(self.path(number))
            if len(self._reading) > _OPEN_SEGMENTS:
                self._storage.close(self._reading.popitem(last=False)[1])
        else:
            self._reading.move_to_end(number)
        return file

    def close(self) -> None:
        """Give all handles back."""
        with self._made:
            for held in (self._writing, self._spare):
                if held is not None:
                    self._storage.close(held[1])
            self._writing = self._spare = None
            while self._reading:
                self._storage.close(self._reading.popitem()[1])


class Scan:
    """Iterates over valid frames; afterwards (and in between) says where the chain stands."""

    def __init__(self, wal: Wal, position: int, crc: int) -> None:
        self._wal = wal
        self._present = frozenset(wal.segments())
        # After the last frame given: where the next begins, the chain, and where that last frame began.
        self.position = position
        self.crc = crc
        self.last = position

    def __iter__(self) -> Iterator[Frame]:
        size = self._wal.segment_size
        number, offset = divmod(self.position, size)
        if offset:
            yield from self._segment(number, offset)
            number += 1
        while number in self._present and self._opens(number):
            yield from self._segment(number, 0)
            number += 1

    def _opens(self, number: int) -> bool:
        """Whether the segment begins with an opening that continues the chain here."""
        frame = self._wal.raw(number, _SEGMENT_FRAME, 0)
        if len(frame) < _SEGMENT_FRAME:
            return False
        crc, before, word = _FRAME.unpack_from(frame)
        return (
            word == SEGMENT << 24 | _SEGMENT.size
            and _SEGMENT.unpack_from(frame, _FRAME.size) == (number, self.position)
            and (before, crc) == (self.crc, crc32(frame[4:]))
        )

    def _segment(self, number: int, offset: int) -> Iterator[Frame]:
        if number not in self._present:
            return
        base = number * self._wal.segment_size
        chunk, at = b"", 0  # what was read last, and where in it the frame at `offset` begins
        while True:
            if len(chunk) - at < _FRAME.size:
                chunk, at = self._wal.raw(number, _CHUNK, offset), 0
                if len(chunk) < _FRAME.size:
                    return
            crc, before, word = _FRAME.unpack_from(chunk, at)
            kind, size = word >> 24, _FRAME.size + (word & MAX_FRAME)
            if not (kind in (ENTRY, NOTE, HEAD) or (kind == SEGMENT and offset == 0)):
                return
            if len(chunk) - at < size:
                chunk, at = self._wal.raw(number, max(_CHUNK, size), offset), 0
                if len(chunk) < size:
                    return
            stop = at + size
            if before != self.crc or crc != crc32(chunk[at + 4 : stop]):
                return
            self.crc, self.last, self.position = crc, base + offset, base + offset + size
            yield Frame(self.last, kind, chunk[at + _FRAME.size : stop])
            at = stop
            offset += size
