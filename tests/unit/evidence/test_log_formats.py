"""The log's files as bytes: one spelling each, and nothing but the project's own errors from damage."""

from __future__ import annotations

import errno
import os
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from log_support import DIRECTORY, KEY, ORIGIN, Desk

from qaztech.core.errors import Halt, Malformed
from qaztech.evidence.check import check_log
from qaztech.evidence.log import Log, NoteFrame
from qaztech.evidence.note import ED25519, VerifierKey
from qaztech.evidence.recovery import heads_in
from qaztech.evidence.state import ClosedLog, Identity, State, close_origin
from qaztech.evidence.storage import OsStorage
from qaztech.evidence.wal import parse_entry, parse_note_frame

VKEY = VerifierKey.of(ORIGIN, ED25519, KEY.public)
HASHES = st.binary(min_size=32, max_size=32)
SIZES = st.integers(0, 2**63 - 1)


@st.composite
def states(draw: st.DrawFn) -> State:
    """Any state that has its form."""
    size = draw(st.integers(0, 2**40))
    return State(
        size=size,
        peaks=tuple(draw(HASHES) for _ in range(size.bit_count())),
        position=draw(SIZES),
        crc=draw(st.integers(0, 2**32 - 1)),
        last=draw(SIZES),
        time=draw(SIZES),
        notes=draw(st.dictionaries(st.integers(0, 255), st.integers(1, 2**40), max_size=4)),
        head=draw(st.binary(min_size=1, max_size=300)),
    )


@settings(max_examples=50)
@given(states())
def test_a_state_comes_back(state: State) -> None:
    """What is written is what is read."""
    assert State.parse(state.format()) == state


@settings(max_examples=50)
@given(st.integers(0, 2**63 - 1), HASHES, st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1))
def test_a_closing_comes_back(size: int, root: bytes, reason: str) -> None:
    """So is a closing, whatever its reason."""
    closed = ClosedLog(origin=ORIGIN, size=size, root=root, reason=reason)
    assert ClosedLog.parse(closed.format()) == closed


def test_an_identity_comes_back_and_seeds_its_own_chain() -> None:
    """So is an identity; another log's frames do not continue its chain."""
    identity = Identity(key=VKEY, segment_size=8 << 20)
    assert Identity.parse(identity.format()) == identity
    assert identity.seed != Identity(key=VKEY, segment_size=4 << 20).seed


PARSERS: list[tuple[Callable[[bytes], object], bytes]] = [
    (Identity.parse, Identity(key=VKEY, segment_size=8 << 20).format()),
    (ClosedLog.parse, ClosedLog(origin=ORIGIN, size=3, root=bytes(32), reason="x").format()),
    (
        State.parse,
        State(
            size=3, peaks=(bytes(32), bytes(32)), position=9, crc=8, last=7, time=6, notes={1: 2, 3: 4}, head=b"head"
        ).format(),
    ),
    (parse_entry, bytes(16) + (5).to_bytes(8) + (3).to_bytes(2) + b"abcprivate"),
    (parse_note_frame, b"\x01" + (5).to_bytes(8) + b"payload"),
]


@pytest.mark.parametrize(("parse", "good"), PARSERS)
def test_damage_is_malformed(parse: Callable[[bytes], object], good: bytes) -> None:
    """Any bytes, and any small change of good ones, are read or refused with `Malformed`, never anything else."""
    assert parse(good) is not None

    @settings(max_examples=100)
    @given(
        st.one_of(
            st.binary(max_size=200),
            st.tuples(st.integers(0, len(good)), st.integers(0, len(good)), st.binary(max_size=4)).map(
                lambda cut: good[: cut[0]] + cut[2] + good[cut[1] :]
            ),
        )
    )
    def property_(data: bytes) -> None:
        with suppress(Malformed):
            parse(data)

    property_()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"size 3", b"size 4"),
        (b"size 3", b"size 03"),
        (b"size 3", b"size 9223372036854775808"),
        (b"notes 1:2 3:4", b"notes 1:0"),
        (b"notes 1:2 3:4", b"notes "),
        (b"crc 00000008", b"crc 8"),
        (b"crc 00000008", b"crc 0000000G"),
        (b"head ", b"head =="),
        (b"time 6\n", b""),
        (b"time 6\n", b"time 6\ntime 6\n"),
    ],
)
def test_a_state_with_its_own_hash_is_still_read_strictly(old: bytes, new: bytes) -> None:
    """A right hash does not make a wrong form right."""
    body = PARSERS[2][1].rpartition(b"sha256 ")[0].replace(old, new)
    with pytest.raises(Malformed):
        State.parse(body + b"sha256 " + sha256(body).hexdigest().encode() + b"\n")


def test_other_strict_forms() -> None:
    """Segments that are too small, roots that are no hash, text that is not UTF-8."""
    for parse, data in (
        (Identity.parse, f"qaztech-log 1\nkey {VKEY}\nsegment 100\n".encode()),
        (Identity.parse, b"qaztech-log 1\nkey \xff\nsegment 8388608\n"),
        (ClosedLog.parse, b"qaztech-log-closed 1\norigin o\nsize 1\nroot " + b64encode(b"x") + b"\nreason r\n"),
    ):
        with pytest.raises(Malformed):
            parse(data)


def test_signed_heads_are_found_anywhere() -> None:
    """The search for heads finds all that the key signed, whatever stands around them, and believes no others."""
    desk = Desk()
    log = desk.create()
    notes = [log.commit(desk.entries(1)).head.note for _ in range(3)]
    other = VerifierKey.of(ORIGIN, ED25519, bytes(32))
    data = os.urandom(100) + notes[0] + ORIGIN.encode() + b"\n" + notes[2] + notes[1][:-20]
    assert [head.size for head in heads_in(data, VKEY)] == [1, 3]
    assert heads_in(data, other) == []


def test_a_damaged_directory_raises_only_own_errors() -> None:
    """Opening and checking a log whose files were changed at random gives the log that was, or a halt."""
    desk = Desk()
    log = desk.create(segment_size=4096)
    for _ in range(5):
        log.commit([*desk.entries(4, data=bytes(100)), NoteFrame(1, log.size, b"n")])
    log.close()
    head = log.head
    paths = list(desk.disk.files())
    original = {path: desk.disk.content(path) for path in paths}

    @settings(max_examples=150)
    @given(st.sampled_from(paths), st.integers(0, 5000), st.binary(min_size=1, max_size=40), st.booleans())
    def property_(path: Path, offset: int, data: bytes, cut: bool) -> None:
        desk.disk.kill()
        for name, content in original.items():
            file = desk.disk.open(name)
            desk.disk.truncate(file, len(content))
            desk.disk.pwrite(file, content, 0)
        file = desk.disk.open(path)
        desk.disk.truncate(file, min(offset, len(original[path]))) if cut else desk.disk.pwrite(file, data, offset)
        sound = check_log(DIRECTORY, storage=desk.storage).ok
        try:
            opened = desk.open()
        except Halt:
            assert not sound
        else:
            assert opened.head == head, "no other head is ever signed"
            view = Log.open_read_only(DIRECTORY, storage=desk.storage)
            for index in range(view.size):
                try:
                    view.read(index)
                except Halt:
                    assert not sound

    property_()


# The real disk


def test_the_real_disk_keeps_the_contract(tmp_path: Path) -> None:
    """Files are written, read past their end, cut, renamed and listed as the log expects."""
    storage = OsStorage()
    storage.mkdir(tmp_path / "d")
    storage.mkdir(tmp_path / "d")
    path = tmp_path / "d" / "b"
    with pytest.raises(FileNotFoundError):
        storage.open(path)
    file = storage.open(path, create=True)
    storage.pwrite(file, b"hello", 3)
    storage.pwrite_sync(file, b"!", 8, "wal.batch")
    storage.settle(file)
    assert storage.pread(file, 100, 0) == b"\0\0\0hello!"
    storage.truncate(file, 5)
    assert storage.size(file) == 5
    storage.sync(file, "wal.batch")
    storage.close(file)
    assert path.stat().st_mode & 0o777 == 0o600
    storage.rename(path, path.with_name("a"))
    storage.sync_directory(tmp_path / "d", "wal.directory")
    assert storage.list(tmp_path / "d") == ["a"]
    assert storage.list(tmp_path / "none") == []
    assert (storage.exists(path), storage.exists(path.with_name("a"))) == (False, True)
    lock = storage.lock(tmp_path / "d")
    with pytest.raises(BlockingIOError):
        storage.lock(tmp_path / "d")
    storage.close(lock)
    storage.close(storage.lock(tmp_path / "d"))
    reading = storage.open(path.with_name("a"))
    with pytest.raises(OSError, match="Bad file descriptor"):
        storage.pwrite(reading, b"x", 0)
    storage.close(reading)


def test_a_file_system_without_the_flag_is_synced_in_two_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where writing and syncing in one call is not known it is done in two; other errors are errors."""
    storage = OsStorage()
    file = storage.open(tmp_path / "f", create=True)
    calls: list[int] = []

    def refuse(*_: object) -> int:
        calls.append(1)
        raise OSError(errno.EOPNOTSUPP, "no")

    monkeypatch.setattr(os, "pwritev", refuse)
    for at in (0, 3):
        storage.pwrite_sync(file, b"abc", at, "wal.batch")
    assert storage.pread(file, 9, 0) == b"abcabc"
    assert calls == [1]
    storage.close(file)

    def fail(*_: object) -> int:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(os, "pwritev", fail)
    storage = OsStorage()
    file = storage.open(tmp_path / "f", create=True)
    with pytest.raises(OSError, match="broken"):
        storage.pwrite_sync(file, b"abc", 0, "wal.batch")
    storage.close(file)


def test_the_page_shows_the_files_as_they_are() -> None:
    """The examples of docs/formats/log.md are the files of the smallest log, byte for byte."""
    page = (Path(__file__).parents[3] / "docs" / "formats" / "log.md").read_text()
    desk = Desk()
    log = desk.create(segment_size=8 << 20)
    log.commit([*desk.entries(1, data=b"first", private=b"p"), NoteFrame(1, 7, b"note")])
    log.commit(desk.entries(1, data=b"second"))
    log.close()
    closed = close_origin(DIRECTORY, storage=desk.storage, reason="a restored copy", size=2, root=log.root_at(2))
    for text in [*(desk.disk.content(DIRECTORY / name) for name in ("log", "state", "closed")), closed.continuation()]:
        assert f"```\n{text.decode()}```\n" in page
    rows = [line.split() for line in page.splitlines() if line.startswith("   ")]
    wal = desk.disk.content(DIRECTORY / "wal" / "000000000000")
    assert len(rows) == 5
    for position, crc, before, kind, length, *_ in rows:
        assert wal[int(position) :].hex().startswith(crc + before + kind + length)
