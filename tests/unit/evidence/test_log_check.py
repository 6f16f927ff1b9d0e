"""Re-verification from disk: a sound log passes, any flipped bit is found and named with its entry."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from log_support import DIRECTORY, KEY, ORIGIN, Desk

from qaztech.core.errors import Halt, NotFound
from qaztech.evidence.check import CheckReport, Problem, check_log
from qaztech.evidence.log import Log, NoteFrame
from qaztech.evidence.note import ED25519, VerifierKey
from qaztech.evidence.state import close_origin
from qaztech.testing.crash import CrashStorage

WAL = DIRECTORY / "wal"


def sound(desk: Desk, *, close: bool = True) -> Log:
    """A log over several segments, with notes, a complete block and its heads."""
    log = desk.create(segment_size=1 << 14)
    for number in range(30):
        log.commit([*desk.entries(10, private=b"private"), NoteFrame(number % 2, number, b"note")])
    if close:
        log.close()
    return log


def checked(desk: Desk) -> CheckReport:
    """The report."""
    return check_log(DIRECTORY, storage=desk.storage)


def test_a_sound_log_passes() -> None:
    """The report has the size, the root, the heads and notes, and nothing to complain of; progress is told."""
    desk = Desk()
    log = sound(desk)
    told: list[tuple[int, int]] = []
    vkey = str(VerifierKey.of(ORIGIN, ED25519, KEY.public))
    report = check_log(DIRECTORY, storage=desk.storage, vkey=vkey, progress=lambda *at: told.append(at))
    assert report.ok
    assert (report.origin, report.size, report.root, report.notes) == (ORIGIN, 300, log.head.root, 30)
    assert report.heads == 30
    assert report.head is not None
    assert (report.head.size, report.torn, report.closed) == (300, 0, False)
    assert told[0][1] == len(log._contents.wal.segments()) * (1 << 14)


def test_a_log_in_use_passes() -> None:
    """What is not yet in derived files, or not yet in `state`, is no contradiction."""
    desk = Desk()
    log = sound(desk, close=False)
    assert checked(desk).ok
    log.close()
    log = desk.open()
    log.commit(desk.entries(20))
    report = checked(desk)
    assert (report.ok, report.size) == (True, 320)


def test_a_torn_end_is_told_and_is_no_problem() -> None:
    """What a crash tore is covered by no signed head."""
    desk = Desk()
    log = sound(desk, close=False)
    torn = log.prepare(desk.entries(1)).batch
    file = desk.disk.open(WAL / f"{torn.position >> 14:012d}")
    desk.disk.pwrite(file, torn.data[:-3], torn.position & 0x3FFF)
    report = checked(desk)
    assert report.ok
    assert report.torn > 0


@pytest.mark.parametrize("index", [0, 1, 137, 255, 256, 299])
def test_a_flipped_bit_names_its_entry(index: int) -> None:
    """A bit anywhere in an entry's frame is found, with the entry's index, file and place."""
    for offset in (0, 4, 8, 11, 20, 36, 38, 48):
        desk = Desk()
        log = sound(desk)
        position = log._contents.rows.row(index).position
        path = WAL / f"{position >> 14:012d}"
        desk.disk.flip(path, (position & 0x3FFF) + offset)
        first = checked(desk).problems[0]
        assert (first.index, first.file) == (index, f"wal/{path.name}")
        assert first.offset == position & 0x3FFF
        assert f"entry {index}: no valid frame" in str(first)


def test_a_flipped_bit_in_the_last_frame_is_found() -> None:
    """The head in `state` covers what no frame's head covers yet."""
    desk = Desk()
    log = sound(desk)
    end = log._contents.position
    desk.disk.flip(WAL / f"{end >> 14:012d}", (end & 0x3FFF) - 1)
    report = checked(desk)
    assert not report.ok
    assert report.problems[0].index == 300, "the last frame is a note, behind all entries"


def test_every_flipped_bit_of_a_small_log_is_found() -> None:
    """No byte of any file of a closed log can change unnoticed."""
    desk = Desk()
    log = desk.create(segment_size=4096)
    log.commit([*desk.entries(2), NoteFrame(1, 1, b"n")])
    log.commit(desk.entries(1))
    log.close()
    used = {WAL / "000000000000": log._contents.position}
    for path in list(desk.disk.files()):
        for offset in range(used.get(path, len(desk.disk.content(path)))):
            desk.disk.flip(path, offset, offset % 8)
            report = checked(desk)
            assert not report.ok, (path, offset)
            desk.disk.flip(path, offset, offset % 8)
    assert checked(desk).ok


@pytest.mark.parametrize(
    ("name", "offset", "index"),
    [("rows", 32 * 41 + 5, 41), ("tree/0", 32 * 299, 299), ("tree/1", 3, 0)],
)
def test_derived_files_are_compared(name: str, offset: int, index: int) -> None:
    """A derived file that differs is named with the first entry it is wrong about."""
    desk = Desk()
    sound(desk)
    desk.disk.flip(DIRECTORY / name, offset)
    (problem,) = checked(desk).problems
    assert (problem.file, problem.index) == (name, index)


def test_missing_and_short_derived_files_are_named() -> None:
    """So is one that is not there, or not long enough; notes are named by their ordinal."""
    desk = Desk()
    sound(desk)
    desk.disk.rename(DIRECTORY / "rows", DIRECTORY / "gone")
    file = desk.disk.open(DIRECTORY / "notes-1")
    desk.disk.truncate(file, 16 * 7 + 3)
    assert {(problem.file, problem.index) for problem in checked(desk).problems} == {("rows", 0), ("notes-1", None)}
    assert "note 7 is not" in str(checked(desk).problems[-1])


def test_a_key_that_is_not_its_own_is_named() -> None:
    """The log of another key than the one that is asked for does not pass."""
    desk = Desk()
    sound(desk)
    other = str(VerifierKey.of(ORIGIN, ED25519, bytes(32)))
    assert "not of" in check_log(DIRECTORY, storage=desk.storage, vkey=other).problems[0].what


def test_a_head_signed_by_nobody_is_named() -> None:
    """Frames that are whole but hold a head the key did not sign are found."""
    desk = Desk()
    log = desk.create()
    log.commit(desk.entries(1))
    head = log.head
    log._head = replace(head, note=head.note[:-20] + b"AAAAAAAAAA" + head.note[-10:])
    log.commit(desk.entries(1))
    problem = checked(desk).problems[0]
    assert "signature" in problem.what
    assert problem.index == 1


def test_an_unreadable_identity_or_state_is_named() -> None:
    """Small files that are damaged are problems of their own; a directory without a log is not a log."""
    for name in ("log", "state", "closed"):
        desk = Desk()
        sound(desk)
        close_origin(DIRECTORY, storage=desk.storage, reason="x", size=1, root=bytes(32))
        desk.disk.flip(DIRECTORY / name, 0)
        assert name in [problem.file for problem in checked(desk).problems]
    with pytest.raises(NotFound):
        check_log(Path("/nothing"), storage=CrashStorage())


def test_a_closed_log_can_be_checked() -> None:
    """Closing does not keep auditors out."""
    desk = Desk()
    sound(desk)
    close_origin(DIRECTORY, storage=desk.storage, reason="x", size=1, root=bytes(32))
    report = checked(desk)
    assert (report.ok, report.closed) == (True, True)


def test_a_lost_segment_is_named() -> None:
    """The first entry that is gone is named when a whole file is."""
    desk = Desk()
    log = sound(desk)
    desk.disk.rename(WAL / "000000000001", WAL / "gone")
    first = next(i for i in range(300) if log._contents.rows.row(i).position >> 14 == 1)
    assert checked(desk).problems[0].index == first


def test_an_unreadable_disk_is_a_halt() -> None:
    """An error of the disk is told as one."""

    class Broken(CrashStorage):
        broken = False

        def pread(self, file: int, size: int, offset: int) -> bytes:
            if self.broken and size > 4096:
                raise OSError(5, "broken")
            return super().pread(file, size, offset)

    disk = Broken()
    desk = Desk(storage=disk)
    sound(desk)
    disk.broken = True
    with pytest.raises(Halt, match=r"log\.disk-failed"):
        checked(desk)


def test_a_problem_says_what_it_can() -> None:
    """A problem without an entry or a place leaves them out."""
    assert str(Problem("state", "it is damaged")) == "it is damaged in state"
