"""The log in good times: what is appended is there, in order, provable, and found again."""

from __future__ import annotations

from pathlib import Path

import pytest
from log_support import DIRECTORY, KEY, ORIGIN, START, Desk

from qaztech.core.errors import Conflict, Halt, Limited, Malformed, NotFound
from qaztech.evidence.checkpoint import SignedCheckpoint
from qaztech.evidence.log import Entry, Log, NoteFrame
from qaztech.evidence.merkle import (
    EMPTY_ROOT,
    Frontier,
    leaf_hash,
    node_hash,
    verify_consistency,
    verify_inclusion,
)
from qaztech.evidence.note import ED25519, VerifierKey
from qaztech.evidence.storage import OsStorage
from qaztech.evidence.tree import Tree, grow, level_sizes
from qaztech.testing.crash import CrashStorage
from qaztech.trust.keys import Ed25519Key


def test_a_new_log_is_empty_and_signed() -> None:
    """A log begins with the signed head of nothing."""
    log = Desk().create()
    assert (log.size, log.head.size, log.head.root) == (0, 0, EMPTY_ROOT)
    key = VerifierKey.of(ORIGIN, ED25519, KEY.public)
    assert SignedCheckpoint.parse(log.head.note).verify([key]).root == EMPTY_ROOT
    assert log.vkey == str(key)


def test_a_commit_gives_places_leaves_and_a_head() -> None:
    """A commit names its first index, its leaf hashes, and a head whose root they lead to."""
    desk = Desk()
    log = desk.create()
    frontier = Frontier()
    start = 0
    for count in (1, 3, 0, 7):
        batch = desk.entries(count)
        commit = log.commit([*batch, NoteFrame(1, count, b"")])
        frontier.extend(leaf_hash(entry.data) for entry in batch)
        assert commit.start == start
        assert commit.leaves == [leaf_hash(entry.data) for entry in batch]
        assert (commit.head.size, commit.head.root) == (frontier.size, frontier.root())
        assert SignedCheckpoint.parse(commit.head.note).note.signatures[0].signature == commit.head.signature
        start += count
    assert log.frontier.hashes == frontier.hashes


def test_notes_alone_keep_the_head() -> None:
    """A batch without entries signs nothing new."""
    log = Desk().create()
    before = log.head
    assert log.commit([NoteFrame(1, 1, b"x")]).head is before


def test_entries_are_read_as_they_were_appended() -> None:
    """Data, private bytes, message id and time come back, before and after reopening."""
    desk = Desk()
    log = desk.create()
    entries = desk.entries(5, private=b"secret") + desk.entries(1, data=bytes(65535)) + desk.entries(2)
    log.commit(entries[:5])
    log.commit(entries[5:])
    for _ in range(2):
        for index, entry in enumerate(entries):
            stored = log.read(index)
            assert (stored.index, stored.message, stored.time) == (index, entry.message, entry.time)
            assert (stored.data, stored.private) == (entry.data, entry.private)
        log = desk.reopened()
    with pytest.raises(NotFound):
        log.read(8)
    with pytest.raises(NotFound):
        log.read(-1)


def test_times_never_decrease() -> None:
    """An entry whose time lies before that of the one before it gets that one's time."""
    desk = Desk()
    log = desk.create()
    (first,) = desk.entries(1)
    late = Entry(bytes(16), first.time - 500, b"late")
    log.commit([first, late])
    log.commit([Entry(bytes(16), first.time - 900, b"later still")])
    assert [row.time for row in log.rows(0, 3)] == [first.time] * 3


def test_find_looks_around_the_time_in_the_id() -> None:
    """Entries are found by message id near the time in it, or in the window that is asked for."""
    desk = Desk()
    log = desk.create()
    early = desk.entries(40)
    log.commit(early)
    desk.clock.advance(3_600_000)
    again = Entry(early[7].message, desk.clock.now(), b"an hour later")
    log.commit([*desk.entries(40), again])
    assert log.find(early[7].message) == [7]
    assert log.find(early[7].message, until_ms=desk.clock.now()) == [7, 80]
    assert log.find(early[7].message, since_ms=START + 60_000, until_ms=desk.clock.now()) == [80]
    assert log.find(early[7].message[:-1] + b"\xff") == []
    assert log.index_at(desk.clock.now()) == 79
    with pytest.raises(Malformed):
        log.find(b"short")


def test_find_is_not_misled_by_bytes_between_rows() -> None:
    """An id that appears across two fields of a row is not an entry's."""
    desk = Desk()
    log = desk.create()
    log.commit(desk.entries(3))
    row = log._contents.rows.file.read(0, 64)
    assert log.find(row[8:24], since_ms=0, until_ms=2**40 * 2) == []


def test_notes_are_counted_and_read_by_kind() -> None:
    """Notes of a kind have ordinals of their own; keys that never decrease can be searched."""
    desk = Desk()
    log = desk.create()
    log.commit([NoteFrame(1, 10, b"a"), NoteFrame(2, 5, b"b"), NoteFrame(1, 20, b"c"), *desk.entries(1)])
    log.commit([NoteFrame(1, 20, b"d"), NoteFrame(1, 30, b"")])
    for _ in range(2):
        assert (log.note_count(1), log.note_count(2), log.note_count(3)) == (4, 1, 0)
        assert [log.read_note(1, i) for i in range(4)] == [(10, b"a"), (20, b"c"), (20, b"d"), (30, b"")]
        assert log.read_note(2, 0) == (5, b"b")
        assert [log.first_note_at_or_above(1, key) for key in (0, 10, 11, 20, 21, 31)] == [0, 0, 1, 1, 3, 4]
        assert log.first_note_at_or_above(3, 1) == 0
        log = desk.reopened()
    with pytest.raises(NotFound):
        log.read_note(1, 4)


def test_proofs_hold_at_every_size() -> None:
    """Inclusion and consistency proofs verify for all indexes and sizes of a small log, also from its files."""
    desk = Desk()
    log = desk.create()
    roots = [log.head.root]
    roots += [log.commit(desk.entries(1)).head.root for _ in range(20)]
    log.close()
    log = desk.open()
    for size in range(1, 21):
        assert log.root_at(size) == log.frontier_at(size).root() == roots[size]
        for index in range(size):
            (leaf,) = log.leaf_hashes(index, index + 1)
            verify_inclusion(leaf, index, size, log.inclusion_proof(index, size), roots[size])
        for old in range(size + 1):
            verify_consistency(old, roots[old], size, roots[size], log.consistency_proof(old, size))
    for call in (log.root_at, log.frontier_at):
        with pytest.raises(NotFound):
            call(21)
    with pytest.raises(NotFound):
        log.inclusion_proof(3, 21)
    with pytest.raises(NotFound):
        log.node(2, 5)


@pytest.mark.parametrize("size", [255, 256, 257, 511, 65535, 65536, 65793])
def test_levels_hold_the_complete_blocks(size: int) -> None:
    """Growing in odd steps fills each level with the hashes of its complete blocks, as RFC 6962 defines them."""
    leaves = [leaf_hash(b"%d" % i) for i in range(size)]
    tree = Tree(storage=CrashStorage(), directory=DIRECTORY)
    at = 0
    for step in (1, 200, 55, 1000, 64000, size):
        batch = leaves[at : at + step]
        tree.install(batch, grow(tree.size, tree.peaks, batch))
        at += len(batch)
    frontier = Frontier()
    frontier.extend(leaves)
    assert (tree.size, tree.root()) == (size, frontier.root())
    assert [level.size // 32 for level in tree.levels] == level_sizes(size)
    for first in range(0, size - 255, 256):
        row = leaves[first : first + 256]
        while len(row) > 1:
            row = [node_hash(row[i], row[i + 1]) for i in range(0, len(row), 2)]
        assert tree.node(8, first >> 8) == row[0]
    assert tree.matches_peaks()


def test_an_old_hash_is_read_from_the_files() -> None:
    """What has left memory is read from the tree's files, and a run may lie in both."""
    desk = Desk()
    log = desk.create()
    expected = []
    for _ in range(24):
        expected += log.commit(desk.entries(1000)).leaves
    tail = log._contents.tree.levels[0]
    assert tail._base > 0
    assert log.leaf_hashes(0, log.size) == expected
    assert log.leaf_run(log.size - 3, log.size) == b"".join(expected[-3:])
    with pytest.raises(NotFound):
        log.leaf_hashes(0, log.size + 1)


def test_what_a_frame_cannot_hold_is_refused() -> None:
    """Malformed items and batches over the room are refused before anything is written."""
    desk = Desk()
    log = desk.create(segment_size=4096)
    message = bytes(16)
    for item in (
        Entry(message[:15], 0, b""),
        Entry(message, 0, bytes(65536)),
        Entry(message, -1, b""),
        NoteFrame(256, 0, b""),
        NoteFrame(1, 1 << 64, b""),
        NoteFrame(1, -1, b""),
    ):
        with pytest.raises(Malformed):
            log.commit([item])
    with pytest.raises(Limited):
        log.commit([Entry(message, 0, bytes(4096))])
    assert log.commit(desk.entries(1)).start == 0


def test_batches_fill_segments_and_go_on_in_the_next() -> None:
    """A batch that does not fit goes to a new segment; everything reads back across them."""
    desk = Desk()
    log = desk.create(segment_size=4096)
    entries = []
    for count in (3, 1, 5, 2, 4, 1, 1, 6):
        batch = desk.entries(count, data=bytes(300))
        entries += batch
        log.commit(batch)
    assert len(log._contents.wal.segments()) > 2
    for log_ in (log, desk.reopened()):
        assert [log_.read(i).message for i in range(log_.size)] == [entry.message for entry in entries]


def test_one_process_at_a_time() -> None:
    """A log that is open is not opened again; a directory that has one gets no second."""
    desk = Desk()
    log = desk.create()
    with pytest.raises(Conflict, match=r"log\.in-use"):
        desk.open()
    log.close()
    with pytest.raises(Conflict, match=r"log\.exists"):
        desk.create()
    desk.open()


def test_a_closed_object_appends_nothing() -> None:
    """After `close` the object refuses; closing twice is harmless."""
    desk = Desk()
    log = desk.create()
    log.close()
    log.close()
    with pytest.raises(Conflict, match=r"log\.not-open"):
        log.commit(desk.entries(1))


def test_only_its_own_key_opens_it() -> None:
    """Another key or another origin does not continue the log; an empty directory has none."""
    desk = Desk()
    desk.create().close()
    other = Ed25519Key.from_seed(bytes(32))
    for key, origin in ((other, ORIGIN), (KEY, ORIGIN + "0")):
        with pytest.raises(Halt, match=r"log\.identity"):
            Log.open(DIRECTORY, storage=desk.storage, key=key, origin=origin, clock=desk.clock)
    with pytest.raises(NotFound):
        Log.open(Path("/nothing"), storage=desk.storage, key=KEY, origin=ORIGIN, clock=desk.clock)
    with pytest.raises(Malformed):
        desk.create(segment_size=100)


def test_on_a_real_disk(tmp_path: Path) -> None:
    """The same on the machine's own file system, across segments, snapshots and reopening."""
    desk = Desk(storage=OsStorage(), directory=tmp_path / "log")
    entries = []
    with desk.create() as log:
        for _ in range(30):
            batch = desk.entries(20, data=bytes(200), private=b"p")
            entries += batch
            log.commit([*batch, NoteFrame(7, log.size, b"note")])
        head = log.head
    assert sorted(path.name for path in desk.directory.iterdir()) == ["log", "notes-7", "rows", "state", "tree", "wal"]
    with pytest.raises(Conflict), desk.open(), desk.open():
        pass
    with desk.open() as log:
        assert log.head == head
        assert [log.read(i).message for i in range(log.size)] == [entry.message for entry in entries]
        assert log.find(entries[77].message) == [77]
        assert log.read_note(7, 29) == (29 * 20, b"note")
        log.commit(desk.entries(1))
    with Log.open_read_only(desk.directory, storage=OsStorage()) as view:
        assert view.size == view.head.size == 601
        assert view.read(5).message == entries[5].message
