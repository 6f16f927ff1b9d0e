"""Opening a log again: torn ends are let go, contradictions of what was signed stop it, closed logs stay closed."""

from __future__ import annotations

import errno
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from log_support import DIRECTORY, KEY, ORIGIN, Desk

from qaztech.core.errors import Conflict, Halt, Malformed, NotFound
from qaztech.evidence.check import check_log
from qaztech.evidence.log import Entry, Log, LogView, NoteFrame
from qaztech.evidence.state import ClosedLog, State, close_origin, read_closed
from qaztech.evidence.storage import OsStorage, write_whole
from qaztech.evidence.wal import frame_size
from qaztech.testing.crash import CrashStorage

SEGMENT = DIRECTORY / "wal" / "000000000000"


def grown(desk: Desk, *batches: int) -> Log:
    """A log with batches of so many entries."""
    log = desk.create()
    for count in batches:
        log.commit(desk.entries(count))
    return log


def end(log: Log) -> int:
    """Where the write-ahead file ends, in its first segment."""
    return log._contents.position


def unsigned_batch(desk: Desk, log: Log, count: int) -> bytes:
    """The bytes of a batch that was prepared and never written."""
    return log.prepare(desk.entries(count)).batch.data


# Torn ends


def test_a_torn_end_is_let_go() -> None:
    """Half a batch at the end of the file is dropped, cleared, and the log goes on where it was."""
    desk = Desk()
    log = grown(desk, 3, 2)
    position, head = end(log), log.head
    torn = unsigned_batch(desk, log, 4)
    file = desk.disk.open(SEGMENT)
    desk.disk.pwrite(file, torn[:-100], position)
    log = desk.reopened()
    kept = log.size - 5
    assert 0 <= kept < 4  # whole frames that were never signed may stay: they are durable now, and signed
    assert not desk.disk.content(SEGMENT)[end(log) :].strip(b"\0")
    if kept == 0:
        assert log.head == head
    assert log.commit(desk.entries(1)).start == 5 + kept


def test_whole_frames_of_an_unsigned_batch_are_kept_and_signed() -> None:
    """What a killed process wrote but did not sign is part of the log, durable before it is signed."""
    desk = Desk()
    log = grown(desk, 2)
    entries = desk.entries(3)
    log.write_and_sync(log.prepare(entries))
    log = desk.reopened()
    assert (log.size, log.head.size) == (5, 5)
    assert [log.read(i).message for i in range(2, 5)] == [entry.message for entry in entries]


def test_bytes_of_an_earlier_life_never_read_as_a_continuation() -> None:
    """Frames left behind by a longer batch are not taken for what follows a shorter one."""
    desk = Desk()
    log = grown(desk, 1)
    position = end(log)
    lost = unsigned_batch(desk, log, 6)
    shorter = log.prepare(desk.entries(1)).batch
    file = desk.disk.open(SEGMENT)
    desk.disk.pwrite(file, lost, position)
    desk.disk.pwrite(file, shorter.data, position)
    assert len(shorter.data) < len(lost)
    log = desk.reopened()
    assert log.size == 2


def test_stale_bytes_are_cleared_before_the_log_goes_on() -> None:
    """Garbage behind the end is gone once the log is open."""
    desk = Desk()
    position = end(grown(desk, 1))
    file = desk.disk.open(SEGMENT)
    desk.disk.pwrite(file, b"\xff" * 999, position + 5000)
    assert end(desk.reopened()) == position
    assert not desk.disk.content(SEGMENT)[position:].strip(b"\0")


def test_a_segment_that_lost_its_end_is_filled_again() -> None:
    """A file that is shorter than a segment (zeros are not synced) is as good as one that is not."""
    desk = Desk()
    log = grown(desk, 2)
    file = desk.disk.open(SEGMENT)
    desk.disk.truncate(file, end(log))
    log = desk.reopened()
    assert len(desk.disk.content(SEGMENT)) == log._contents.wal.segment_size
    assert log.commit(desk.entries(2)).start == 2


def test_making_a_spare_segment_never_touches_one_in_use() -> None:
    """A segment that was made late, by another thread, is not filled with zeros over what it holds."""
    desk = Desk()
    log = grown(desk, 2)
    log._contents.wal.make_segment(0)
    assert desk.reopened().size == 2


# Contradictions


def test_a_break_before_a_signed_head_stops_the_log() -> None:
    """Damage in the middle is not a torn end: a later head on the disk covers what is lost."""
    desk = Desk()
    log = grown(desk, 3, 3, 3)  # the head of each batch stands in the next
    position = log.rows(1, 2)[0].position
    desk.disk.flip(SEGMENT, position + 30)
    with pytest.raises(Halt, match=r"log\.damaged.*ends after 1 entries.*signed head of 6"):
        desk.reopened()


def test_a_break_in_one_segment_with_a_head_in_another_stops_the_log() -> None:
    """The search for signed heads does not end with the segment."""
    desk = Desk()
    log = desk.create(segment_size=4096)
    for _ in range(6):
        log.commit(desk.entries(4, data=bytes(300)))
    assert len(log._contents.wal.segments()) > 2
    desk.disk.flip(SEGMENT, log.rows(2, 3)[0].position + 50)
    with pytest.raises(Halt, match=r"log\.damaged.*ends after 2 entries"):
        desk.reopened()


def test_a_file_shorter_than_the_state_knows_stops_the_log() -> None:
    """A write-ahead file that ends before what `state` has seen is another one, or an older copy."""
    desk = Desk()
    log = grown(desk, 3)
    older = desk.disk.content(SEGMENT)
    log.commit(desk.entries(3))
    log.close()
    file = desk.disk.open(SEGMENT)
    desk.disk.pwrite(file, older, 0)
    with pytest.raises(Halt, match=r"log\.damaged.*signed head covers 6 entries"):
        desk.reopened()


def test_missing_segments_stop_the_log() -> None:
    """So does a segment that is not there any more."""
    desk = Desk()
    log = desk.create(segment_size=4096)
    for _ in range(6):
        log.commit(desk.entries(4, data=bytes(300)))
    log.close()
    desk.disk.rename(SEGMENT, SEGMENT.with_name("gone"))
    with pytest.raises(Halt, match="segments of the write-ahead file are missing"):
        desk.reopened()


def test_another_history_under_the_same_heads_stops_the_log() -> None:
    """Valid frames with a head that is not theirs contradict what was signed."""
    desk, other = Desk(), Desk()
    log = grown(desk, 2)
    fork = other.create()
    log._head = fork.commit(other.entries(2, data=b"other")).head  # of the same size, with another root
    log.write_and_sync(log.prepare(desk.entries(1)))
    with pytest.raises(Halt, match="is not that of the entries before it"):
        desk.reopened()


def test_a_damaged_state_stops_the_log_and_can_be_made_again() -> None:
    """A `state` that is not whole is damage; without the file everything is made again from the write-ahead file."""
    desk = Desk()
    log = grown(desk, 300)
    log.commit([NoteFrame(1, 1, b"n")])
    head = log.head
    log.close()
    desk.disk.flip(DIRECTORY / "state", 30)
    with pytest.raises(Halt, match="remove `state`"):
        desk.reopened()
    desk.disk.rename(DIRECTORY / "state", DIRECTORY / "old-state")
    log = desk.reopened()
    assert log.head == head
    assert log.read_note(1, 0) == (1, b"n")


@pytest.mark.parametrize("name", ["rows", "tree/0", "tree/1", "notes-1"])
def test_missing_or_short_derived_files_stop_the_log(name: str) -> None:
    """Derived files that are not what `state` says are named, with what to do."""
    for cut in (True, False):
        desk = Desk()
        log = grown(desk, 300)
        log.commit([NoteFrame(1, 1, b"n")])
        log.close()
        if cut:
            file = desk.disk.open(DIRECTORY / name)
            desk.disk.truncate(file, desk.disk.size(file) - 1)
        else:
            desk.disk.rename(DIRECTORY / name, (DIRECTORY / name).with_name("gone"))
        with pytest.raises(Halt, match="remove `state`"):
            desk.reopened()


def test_damaged_tree_files_stop_the_log() -> None:
    """Tree files that do not lead to the signed root are noticed at once."""
    desk = Desk()
    grown(desk, 20).close()
    desk.disk.flip(DIRECTORY / "tree" / "0", 100)
    with pytest.raises(Halt, match="do not lead to the root"):
        desk.reopened()


def test_a_state_with_a_head_of_another_tree_stops_the_log() -> None:
    """A whole `state` whose head is not that of its peaks, or not signed, is refused."""
    desk = Desk()
    log = grown(desk, 2)
    other = grown(Desk(), 3).head.note
    log.close()
    state = State.parse(desk.disk.content(DIRECTORY / "state"))
    values = {name: getattr(state, name) for name in State.__slots__}
    for head in (other, state.head.replace(b"\n2\n", b"\n3\n")):
        write_whole(desk.storage, DIRECTORY / "state", State(**{**values, "head": head}).format(), "state.file")
        with pytest.raises(Halt, match=r"log\.damaged"):
            desk.reopened()


@pytest.mark.parametrize("offset", [0, 5, 9, 12, 30, 38, 45, 48])
def test_damage_found_while_reading_halts_the_log(offset: int) -> None:
    """No bit of an entry or a note is given out changed, and once one is found nothing is signed any more."""
    desk = Desk()
    log = desk.create()
    log.commit([*desk.entries(3, private=b"private"), NoteFrame(1, 1, b"a note " * 5)])
    entry, note = log.rows(1, 2)[0].position, log._contents.notes[1].row(0)[1]
    desk.disk.flip(SEGMENT, note + offset)
    with pytest.raises(Halt, match=r"log\.damaged"):
        log.read_note(1, 0)
    assert log.read(1).index == 1
    desk.disk.flip(SEGMENT, entry + offset)
    with pytest.raises(Halt, match=r"log\.damaged"):
        log.read(1)
    with pytest.raises(Halt):
        log.commit(desk.entries(1))


def test_rows_that_point_elsewhere_halt_the_log() -> None:
    """A row or a leaf hash that is not the entry's is noticed as well."""
    for name, offset in (("rows", 32), ("rows", 32 + 23), ("tree/0", 40), ("notes-1", 7), ("notes-1", 15)):
        desk = Desk()
        log = grown(desk, 3)
        log.commit([NoteFrame(1, 1, b"note"), NoteFrame(1, 2, b"note")])
        log.close()
        view = Log.open_read_only(DIRECTORY, storage=desk.storage)
        desk.disk.flip(DIRECTORY / name, offset)
        with pytest.raises(Halt, match=r"log\.damaged"):
            view.read_note(1, 0) if name == "notes-1" else view.read(1)
        assert view.halted is not None


def test_an_unreadable_disk_is_a_halt(tmp_path: Path) -> None:
    """An error while reading is told as what it is, not as an exception of the system."""
    desk = Desk(storage=OsStorage(), directory=tmp_path / "log")
    log = desk.create(segment_size=4096)
    for _ in range(4):
        log.commit(desk.entries(4, data=bytes(300)))
    log._contents.wal.close()
    shutil.rmtree(desk.directory / "wal")
    with pytest.raises(Halt, match=r"log\.disk-failed"):
        log.read(0)


# Failing disks


@pytest.mark.parametrize(
    ("operation", "error", "code"),
    [
        ("write", errno.ENOSPC, "log.disk-full"),
        ("write", errno.EIO, "log.disk-failed"),
        ("sync", errno.EIO, "log.disk-failed"),
        ("sync", errno.ENOSPC, "log.disk-full"),
    ],
)
def test_after_a_failed_write_nothing_is_signed(operation: str, error: int, code: str) -> None:
    """A failed write or sync halts the log for good: the batch is not signed, nor any later one, nor retried."""
    desk = Desk()
    log = grown(desk, 2)
    head = log.head
    desk.disk.fail(operation, error=error)
    with pytest.raises(Halt, match=code) as first:
        log.commit(desk.entries(1))
    assert log.halted is first.value
    assert log.head is head
    steps = desk.disk.steps
    for _ in range(2):
        with pytest.raises(Halt) as again:
            log.commit(desk.entries(1))
        assert again.value is first.value
    assert log.chore() is None
    log.close()
    assert desk.disk.steps == steps, "a halted log writes nothing"
    assert log.read(1).index == 1, "what was durable can still be read"
    assert desk.open().head.size >= 2


def test_a_batch_prepared_before_the_halt_is_not_finished() -> None:
    """A halt between preparing and finishing wins."""
    desk = Desk()
    log = grown(desk, 1)
    prepared = log.prepare(desk.entries(1))
    log.halt(Halt("log.contradicted", "told so", at="log"))
    with pytest.raises(Halt, match="told so"):
        log.write_and_sync(prepared)
    with pytest.raises(Halt, match="told so"):
        log.finish(prepared)


def test_a_failed_snapshot_halts_the_log() -> None:
    """A failure of the derived files counts as much as one of the write-ahead file."""
    desk = Desk()
    log = grown(desk, 1)
    desk.disk.fail("rename", error=errno.ENOSPC)
    with pytest.raises(Halt, match=r"log\.disk-full"):
        log.close()
    assert desk.open().size == 1, "the lock is free again"


# Closing


def restored(desk: Desk) -> tuple[Desk, Log]:
    """A log that went on after a copy of it was taken, and the copy."""
    log = grown(desk, 2)
    log.close()
    copy = Desk(storage=CrashStorage(), clock=desk.clock)
    copy.disk.mkdir(DIRECTORY)
    for path in desk.disk.files():
        for parent in reversed(path.relative_to(DIRECTORY).parents[:-1]):
            copy.disk.mkdir(DIRECTORY / parent)
        file = copy.disk.open(path, create=True)
        copy.disk.pwrite(file, desk.disk.content(path), 0)
    log = desk.open()
    log.commit(desk.entries(3))
    return copy, log


def test_a_restored_copy_is_closed_and_continued_under_a_new_origin() -> None:
    """Its owner, told what witnesses have seen, closes it; the next log names it in its first entry."""
    copy, original = restored(Desk())
    log = copy.open()
    assert log.size == 2, "the copy itself cannot know"
    closed = log.close_origin("a restored copy", original.size, original.head.root)
    with pytest.raises(Halt, match=r"log\.closed"):
        log.commit(copy.entries(1))
    log.close()
    with pytest.raises(Halt, match=r"log\.closed.*a restored copy"):
        copy.open()
    assert (
        read_closed(copy.storage, DIRECTORY)
        == closed
        == ClosedLog(origin=ORIGIN, size=5, root=original.head.root, reason="a restored copy")
    )
    view = Log.open_read_only(DIRECTORY, storage=copy.storage)
    assert (type(view), view.size, view.head.size) == (LogView, 2, 2)
    successor = Log.create(
        Path("/next"), storage=copy.storage, key=KEY, origin=ORIGIN[:-1] + "1", clock=copy.clock, continues=closed
    )
    assert successor.read(0).data == closed.continuation()
    assert closed.continuation().startswith(f"qaztech-log-continues 1\norigin {ORIGIN}\nsize 5\nroot ".encode())
    assert successor.head.size == 1


def test_closing_twice_keeps_the_first() -> None:
    """The first closing stands, whoever closes again."""
    desk = Desk()
    grown(desk, 1).close()
    first = close_origin(DIRECTORY, storage=desk.storage, reason="first", size=1, root=bytes(32))
    assert close_origin(DIRECTORY, storage=desk.storage, reason="second", size=0, root=bytes(32)) == first
    for reason, size, root in (("two\nlines", 1, bytes(32)), ("", 1, bytes(32)), ("x", -1, bytes(32)), ("x", 1, b"")):
        with pytest.raises(Malformed):
            close_origin(DIRECTORY, storage=desk.storage, reason=reason, size=size, root=root)
    with pytest.raises(Malformed):
        close_origin(Path("/nothing"), storage=desk.storage, reason="x", size=1, root=bytes(32))


def test_a_damaged_closing_stays_closed() -> None:
    """A `closed` file that cannot be read does not open the log again."""
    desk = Desk()
    grown(desk, 1).close()
    close_origin(DIRECTORY, storage=desk.storage, reason="x", size=1, root=bytes(32))
    desk.disk.flip(DIRECTORY / "closed", 3)
    with pytest.raises(Halt, match="stays so"):
        desk.open()


def test_a_damaged_identity_stops_the_log() -> None:
    """A file `log` that cannot be read is damage, not the absence of a log."""
    desk = Desk()
    grown(desk, 1).close()
    desk.disk.flip(DIRECTORY / "log", 0)
    with pytest.raises(Halt, match=r"log\.damaged"):
        desk.open()


# Looking on


def test_reading_only_writes_nothing() -> None:
    """A log is looked at without a key, while another process has it open, and without a single write."""
    desk = Desk()
    log = grown(desk, 3)
    log.commit([NoteFrame(1, 2, b"n")])
    steps = desk.disk.steps
    view = Log.open_read_only(DIRECTORY, storage=desk.storage)
    assert desk.disk.steps == steps
    assert view.size == 3
    assert view.head.size == 3, "the head stands in the batch after it"
    assert view.read(2).index == 2
    assert view.read_note(1, 0) == (2, b"n")
    assert view.origin == ORIGIN
    view.close()
    fresh = Desk()
    fresh.create()
    assert Log.open_read_only(DIRECTORY, storage=fresh.storage).head.note == b""
    with pytest.raises(NotFound):
        Log.open_read_only(Path("/nothing"), storage=desk.storage)


def test_opening_costs_the_tail_not_the_log() -> None:
    """What `state` covers is not read again."""
    desk = Desk()
    log = grown(desk, 500, 500)
    log.close()
    log = desk.open()
    assert log._contents.replayed == 0
    log.commit(desk.entries(7))
    assert desk.reopened()._contents.replayed == 7


def test_snapshots_come_with_entries_and_with_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """After enough items, and after a minute with any, `state` is written; derived files are written before that."""
    desk = Desk()
    monkeypatch.setattr("qaztech.evidence.log.SNAPSHOT_ITEMS", 1000)
    monkeypatch.setattr("qaztech.evidence.log.WRITE_BEHIND_ITEMS", 100)
    log = desk.create()
    log.commit(desk.entries(99))
    assert not desk.disk.exists(DIRECTORY / "rows")
    log.commit(desk.entries(1))
    assert desk.disk.exists(DIRECTORY / "rows")
    assert not desk.disk.exists(DIRECTORY / "state")
    log.commit(desk.entries(900))
    assert State.parse(desk.disk.content(DIRECTORY / "state")).size == 1000
    log.commit(desk.entries(1))
    desk.clock.advance(60_000)
    log.commit([])
    assert State.parse(desk.disk.content(DIRECTORY / "state")).size == 1001


def test_a_log_may_be_in_use_by_another() -> None:
    """Two storages on one directory exclude each other through the system, not through this process."""
    desk = Desk()
    log = grown(desk, 1)
    with pytest.raises(Conflict):
        desk.open()
    log.close()
    assert desk.open().size == 1


def test_frame_sizes_are_what_is_written() -> None:
    """The room of a batch is counted in the bytes that its frames take."""
    desk = Desk()
    log = grown(desk, 1)
    items = [*desk.entries(2, data=b"abc", private=b"de"), NoteFrame(1, 1, b"xyz"), Entry(bytes(16), 0, b"")]
    lead = 12 + len(log.head.note)
    assert len(log.prepare(items).batch.data) == lead + sum(map(frame_size, items))


def test_a_stale_next_segment_is_not_taken_for_the_continuation() -> None:
    """A segment left by an earlier life, opened where this one ends but after another frame, does not continue it."""
    desk, other = Desk(), Desk()
    for one, data in ((desk, b"x"), (other, b"y")):
        one.create(segment_size=4096).commit(one.entries(10, data=data * 200))
    log = desk.reopened()
    (entry,) = other.entries(1, data=bytes(2000))
    spill = other.reopened()
    spill._contents.logged = 10  # no head in the batch: it alone would stop the log
    spill.commit([entry])
    assert end(log) < 4096 < end(spill)
    stale = other.disk.content(SEGMENT.with_name("000000000001"))
    desk.disk.pwrite(desk.disk.open(SEGMENT.with_name("000000000001"), create=True), stale, 0)
    assert desk.reopened().size == 10


def test_only_what_may_not_be_durable_is_written_again() -> None:
    """A head in the file vouches for all frames before the batch that carries it."""
    desk = Desk()
    log = grown(desk, 50, 50)
    before = end(log)
    log.commit(desk.entries(1))
    assert desk.reopened()._contents.mark == before


def test_memory_does_not_grow_with_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of derived files only the newest part stays in memory, and of computed hashes a bounded number."""
    monkeypatch.setattr("qaztech.evidence.tree._REMEMBERED", 100)
    desk = Desk()
    log = desk.create()
    for _ in range(40):
        log.commit(desk.entries(1000))
    tree = log._contents.tree
    for index in range(0, log.size, 97):
        log.inclusion_proof(index, log.size)
    assert len(tree._remembered) <= 100
    assert len(tree.levels[0]._tail) <= 3 * 8192 * 32
    assert len(log._contents.rows.file._tail) <= 3 * 2048 * 32 + (64 << 10)


# Frames that are whole and yet wrong


def test_time_that_goes_back_stops_the_log() -> None:
    """Entries are found by time, so a file whose times fall is not one this log wrote."""
    desk = Desk()
    log = grown(desk, 2)
    log._contents.time = 0
    log.commit([Entry(bytes(16), 5, b"long ago")])
    with pytest.raises(Halt, match="time goes back"):
        desk.reopened()
    assert check_log(DIRECTORY, storage=desk.storage).problems[0].index == 2


def test_a_frame_without_its_form_stops_the_log() -> None:
    """A right checksum does not make a right frame."""
    desk = Desk()
    log = grown(desk, 2)
    log._head = replace(log.head, note=b"not a checkpoint")
    log.commit(desk.entries(1))
    with pytest.raises(Halt, match="does not have its form"):
        desk.reopened()
    assert "a frame of kind 3 is not sound" in check_log(DIRECTORY, storage=desk.storage).problems[0].what


def test_another_root_behind_the_end_stops_the_log() -> None:
    """A head of the same key over other entries, left behind the last frame, contradicts this log."""
    desk, other = Desk(), Desk()
    log = grown(desk, 3)
    fork = other.create().commit(other.entries(2, data=b"other")).head
    desk.disk.pwrite(desk.disk.open(SEGMENT), fork.note, end(log) + 100)
    with pytest.raises(Halt, match="another root was, at 2"):
        desk.reopened()


def test_a_state_whose_head_is_of_other_peaks_is_named_by_the_check() -> None:
    """The check compares the head in `state` with its peaks, as opening does."""
    desk, other = Desk(), Desk()
    grown(desk, 2).close()
    fork = other.create().commit(other.entries(2, data=b"other")).head
    state = replace(State.parse(desk.disk.content(DIRECTORY / "state")), head=fork.note)
    write_whole(desk.storage, DIRECTORY / "state", state.format(), "state.file")
    assert "not that of its peaks" in str(check_log(DIRECTORY, storage=desk.storage).problems[0])


def test_a_long_log_is_made_again_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Derived files that are made from the beginning are written as they grow, not at the end."""
    monkeypatch.setattr("qaztech.evidence.recovery._APPLY", 100)
    monkeypatch.setattr("qaztech.evidence.recovery._WRITE_BEHIND", 3200)
    desk = Desk()
    log = grown(desk, 700, 700)
    log.close()
    head = log.head
    desk.disk.rename(DIRECTORY / "state", DIRECTORY / "old")
    log = desk.reopened()
    assert log.head == head
    assert log._contents.rows.file.unwritten < 700 * 32
    log.close()
    assert check_log(DIRECTORY, storage=desk.storage).ok


def test_a_directory_that_cannot_be_made_is_a_halt(tmp_path: Path) -> None:
    """Errors of the system while creating or opening come as what they mean to a log."""
    desk = Desk(storage=OsStorage(), directory=tmp_path / "none" / "log")
    with pytest.raises(Halt, match=r"log\.disk-failed"):
        desk.create()
    desk = Desk(storage=OsStorage(), directory=tmp_path / "log")
    desk.create().close()
    shutil.rmtree(desk.directory / "wal")
    (desk.directory / "wal").write_bytes(b"not a directory")
    with pytest.raises(Halt, match=r"log\.disk-failed"):
        desk.open()
    with pytest.raises(Halt, match=r"log\.disk-failed"):
        Log.open_read_only(desk.directory, storage=desk.storage)
