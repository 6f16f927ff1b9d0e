"""The queue in front of a log: batches, order, limits, notes, and what everyone hears when the disk fails."""

from __future__ import annotations

import asyncio
import errno
import threading
from pathlib import Path
from typing import Any

import pytest
from log_support import KEY, Desk

from qaztech.core.errors import Halt, Limited, Malformed, Unavailable
from qaztech.evidence.log import Commit, Entry
from qaztech.evidence.merkle import leaf_hash
from qaztech.evidence.sequencer import QUICK_SYNCS, Sequencer
from qaztech.evidence.storage import OsStorage, SyncReason
from qaztech.evidence.wal import frame_size
from qaztech.testing.crash import CrashStorage


class GatedStorage(CrashStorage):
    """A disk whose batches wait until they are let through, so that a test sees what gathers meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.gate.set()
        self.batches = 0
        # What the disk's own clock says, and how long a batch takes by it: no busy machine makes this disk slow.
        self.now = self.takes = 0.0
        # Whether the last batch was written by the loop's own thread.
        self.on_loop = False

    def pwrite_sync(self, file: int, data: bytes, offset: int, reason: SyncReason) -> None:
        assert self.gate.wait(5)
        self.now += self.takes
        self.batches += 1
        self.on_loop = threading.current_thread() is threading.main_thread()
        super().pwrite_sync(file, data, offset, reason)


class Bench:
    """A started sequencer on a gated disk, and what its callbacks said."""

    def __init__(self, **options: Any) -> None:
        self.disk = GatedStorage()
        self.desk = Desk(storage=self.disk)
        self.log = self.desk.create()
        self.commits: list[Commit] = []
        self.heard: list[tuple[int, Commit | None, Halt | None]] = []
        self.sequencer = Sequencer(log=self.log, on_commit=self.commits.append, **options)
        self.sequencer.start()

    def append(self, count: int = 1, **fields: bytes) -> list[Entry]:
        entries = self.desk.entries(count, **fields)
        for entry in entries:
            self.sequencer.append(entry, lambda *heard: self.heard.append(heard))
        return entries

    async def until(self, heard: int) -> None:
        for _ in range(500):
            if len(self.heard) >= heard:
                return
            await asyncio.sleep(0.002)
        pytest.fail(f"heard {len(self.heard)} of {heard}")


async def test_appends_of_one_turn_share_a_batch() -> None:
    """Entries that arrive together are one commit, told in order, each with its index."""
    bench = Bench()
    entries = bench.append(5)
    await bench.until(5)
    (commit,) = bench.commits
    assert commit.leaves == [leaf_hash(entry.data) for entry in entries]
    assert bench.heard == [(index, commit, None) for index in range(5)]
    assert bench.disk.batches == 1
    await bench.sequencer.close()


async def test_what_waits_during_a_sync_is_the_next_batch() -> None:
    """One commit is in flight; all that arrives meanwhile goes together when it ends."""
    bench = Bench()
    bench.disk.gate.clear()
    bench.append()
    await asyncio.sleep(0.01)
    for _ in range(7):
        bench.append()
        await asyncio.sleep(0)
    assert bench.sequencer.waiting == 7
    assert bench.heard == []
    bench.disk.gate.set()
    await bench.until(8)
    assert [len(commit.leaves) for commit in bench.commits] == [1, 7]
    await bench.sequencer.close()


async def test_callbacks_run_on_the_loop_after_durability_and_after_the_hook() -> None:
    """When a callback runs its entry survives a power cut; the hook has had the commit before it."""
    bench = Bench()
    order: list[str] = []
    bench.sequencer.on_commit = lambda _: order.append("hook")

    def callback(index: int, commit: Commit | None, error: Halt | None) -> None:
        assert commit is not None
        assert threading.current_thread() is threading.main_thread()
        order.append("callback")
        copy = GatedStorage()
        copy._root = bench.disk._root
        copy.crash("none")
        log = Desk(storage=copy, clock=bench.desk.clock).open()
        order.append(f"durable {log.size} {log.head.size >= commit.head.size}")

    (entry,) = bench.desk.entries(1)
    bench.sequencer.append(entry, callback)
    for _ in range(200):
        if len(order) == 3:
            break
        await asyncio.sleep(0.002)
    assert order == ["hook", "callback", "durable 1 True"]


async def test_a_failing_callback_is_reported_and_not_anyone_elses_affair() -> None:
    """One waiter's exception reaches the loop's handler; the others are told as usual."""
    bench = Bench()
    reported: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context["exception"]))

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    def broken_hook(_: Commit) -> None:
        raise KeyError

    bench.sequencer.on_commit = broken_hook
    first, second = bench.desk.entries(2)
    bench.sequencer.append(first, broken)
    bench.sequencer.append(second, lambda *heard: bench.heard.append(heard))
    await bench.until(1)
    assert bench.heard[0][0] == 1
    assert [type(error) for error in reported] == [KeyError, ZeroDivisionError]
    await bench.sequencer.close()


async def test_large_queues_go_in_several_batches() -> None:
    """A batch is bounded in bytes; order is kept across batches, notes included."""
    bench = Bench(max_batch_bytes=1000)
    bench.disk.gate.clear()
    bench.append()
    await asyncio.sleep(0.01)
    entries = bench.append(9, data=bytes(200))
    assert [bench.sequencer.note(1, key, b"n") for key in range(3)] == [0, 1, 2]
    bench.disk.gate.set()
    await bench.until(10)
    await bench.sequencer.close()
    assert [index for index, _, _ in bench.heard] == list(range(10))
    assert max(len(commit.leaves) for commit in bench.commits) == 1000 // frame_size(entries[0])
    assert [bench.log.read_note(1, i)[0] for i in range(3)] == [0, 1, 2]


async def test_over_the_limit_there_is_an_error_at_once() -> None:
    """A full queue, in number or in bytes, refuses; what it holds is still written."""
    bench = Bench(max_waiting=3, max_waiting_bytes=4000)
    bench.disk.gate.clear()
    bench.append()
    await asyncio.sleep(0.01)
    bench.append(3)
    with pytest.raises(Limited, match=r"log\.queue-full") as refused:
        bench.append()
    assert refused.value.retry_after == 1
    for key in range(3):
        bench.sequencer.note(1, key, b"")
    with pytest.raises(Limited):
        bench.sequencer.note(1, 9, b"")
    bench.disk.gate.set()
    await bench.until(4)
    bench.disk.gate.clear()
    bench.append(1, data=bytes(3500))
    with pytest.raises(Limited):
        bench.append(1, data=bytes(3500))
    bench.disk.gate.set()
    await bench.until(5)
    with pytest.raises(Malformed):
        bench.sequencer.append(Entry(b"", 0, b""), print)
    with pytest.raises(Limited):
        bench.sequencer.note(1, 1, bytes(1 << 20))
    await bench.sequencer.close()


async def test_notes_travel_with_the_next_batch() -> None:
    """A note makes no commit of its own while entries come; its ordinal is known at once."""
    bench = Bench(note_delay=60)
    assert bench.sequencer.note(1, 5, b"a") == 0
    assert bench.sequencer.note(1, 6, b"b") == 1
    assert bench.sequencer.note(2, 7, b"c") == 0
    await asyncio.sleep(0.02)
    assert bench.disk.batches == 0
    bench.append()
    await bench.until(1)
    assert bench.disk.batches == 1
    assert [bench.log.read_note(1, 0), bench.log.read_note(1, 1), bench.log.read_note(2, 0)] == [
        (5, b"a"),
        (6, b"b"),
        (7, b"c"),
    ]
    assert bench.sequencer.note(1, 8, b"d") == 2
    await bench.sequencer.close()
    assert bench.log.read_note(1, 2) == (8, b"d")


async def test_notes_do_not_wait_for_ever() -> None:
    """Without entries notes go alone after a while, also when a commit was in flight at that moment."""
    bench = Bench(note_delay=0.01)
    bench.sequencer.note(1, 1, b"a")
    for _ in range(200):
        if bench.log.note_count(1):
            break
        await asyncio.sleep(0.002)
    assert bench.log.note_count(1) == 1
    assert bench.commits == [], "nothing new was signed"
    bench.disk.gate.clear()
    bench.append()
    await asyncio.sleep(0.005)
    assert bench.sequencer.note(1, 2, b"b") == 1
    await asyncio.sleep(0.03)
    bench.disk.gate.set()
    for _ in range(200):
        if bench.log.note_count(1) == 2:
            break
        await asyncio.sleep(0.002)
    assert bench.log.note_count(1) == 2
    await bench.sequencer.close()


@pytest.mark.parametrize(("operation", "error"), [("write", errno.ENOSPC), ("sync", errno.EIO)])
async def test_when_the_disk_fails_every_waiter_gets_the_halt(operation: str, error: int) -> None:
    """Those in the failed batch and those behind it are told once; nothing is signed, nothing more is accepted."""
    bench = Bench()
    await asyncio.sleep(0.02)  # the first segment is made
    head = bench.log.head
    bench.disk.gate.clear()
    bench.append(2)
    await asyncio.sleep(0.01)
    bench.append(3)
    bench.disk.fail(operation, error=error)
    bench.disk.gate.set()
    await bench.until(5)
    await asyncio.sleep(0.01)
    assert bench.heard == [(-1, None, bench.log.halted)] * 5
    assert bench.log.head is head
    assert bench.commits == []
    for refused in (bench.append, lambda: bench.sequencer.note(1, 1, b"")):
        with pytest.raises(Halt):
            refused()
    with pytest.raises(Halt):
        await bench.sequencer.appended(bench.desk.entries(1)[0])
    await bench.sequencer.close()


async def test_a_failed_chore_halts_too() -> None:
    """When the next segment cannot be made nothing is signed any more, also not what is in flight."""
    bench = Bench()
    bench.append()
    await bench.until(1)
    bench.append(3, data=bytes(60000))  # more than half a segment: the next one is made
    bench.disk.fail("open", error=errno.ENOSPC)
    await bench.until(4)
    await asyncio.sleep(0.02)
    bench_halted = bench.log.halted
    assert bench_halted is not None
    assert bench_halted.code == "log.disk-full"
    with pytest.raises(Halt):
        bench.append()
    await bench.sequencer.close()


async def test_a_halt_from_outside_reaches_who_waits() -> None:
    """A log that is told to stop (its head was contradicted) tells the waiting and the flying."""
    bench = Bench()
    bench.disk.gate.clear()
    bench.append()
    await asyncio.sleep(0.01)
    bench.append(2)
    why = bench.log.halt(Halt("log.contradicted", "a peer showed another head", at="log"))
    bench.disk.gate.set()
    await bench.until(3)
    assert bench.heard == [(-1, None, why)] * 3
    assert bench.log.head.size == 0
    await bench.sequencer.close()


async def test_closing_writes_what_waits() -> None:
    """`close` drains the queue, refuses what comes after, and may be called again."""
    bench = Bench(note_delay=60)
    bench.append(3)
    bench.sequencer.note(1, 1, b"n")
    closing = asyncio.ensure_future(bench.sequencer.close())
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        bench.append()
    await closing
    await bench.sequencer.close()
    assert (bench.log.size, bench.log.note_count(1), len(bench.heard)) == (3, 1, 3)
    bench.log.close()
    assert Desk(storage=bench.disk, clock=bench.desk.clock).open().size == 3


async def test_appended_waits_for_durability() -> None:
    """The awaitable form gives index and commit; giving up on it does not lose the entry."""
    bench = Bench()
    index, commit = await bench.sequencer.appended(bench.desk.entries(1)[0])
    assert (index, commit.head.size) == (0, 1)
    bench.disk.gate.clear()
    impatient = asyncio.ensure_future(bench.sequencer.appended(bench.desk.entries(1)[0]))
    await asyncio.sleep(0.01)
    impatient.cancel()
    bench.disk.gate.set()
    await bench.sequencer.close()
    assert bench.log.size == 2


async def test_a_long_life_on_a_real_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments, derived files and snapshots are made beside thousands of appends, and all of them are there after."""
    monkeypatch.setattr("qaztech.evidence.log.SNAPSHOT_ITEMS", 500)
    monkeypatch.setattr("qaztech.evidence.log.WRITE_BEHIND_ITEMS", 100)
    desk = Desk(storage=OsStorage(), directory=tmp_path / "log")
    log = desk.create(segment_size=1 << 16)
    sequencer = Sequencer(log=log)
    sequencer.start()
    entries = desk.entries(3000, data=bytes(100))

    async def client(part: list[Entry]) -> list[int]:
        return [(await sequencer.appended(entry))[0] for entry in part]

    places = await asyncio.gather(*(client(entries[i::30]) for i in range(30)))
    await sequencer.close()
    head = log.head
    log.close()
    assert (desk.directory / "state").exists()
    log = desk.open()
    assert log.head == head
    assert len(log._contents.wal.segments()) > 6
    for i, part in enumerate(places):
        for entry, index in zip(entries[i::30], part, strict=True):
            assert log.rows(index, index + 1)[0].message == entry.message


async def test_notes_made_by_callbacks_cost_no_sync_of_their_own() -> None:
    """What callbacks note waits for the next entries, however soon the writer is free."""
    bench = Bench(note_delay=60)

    def callback(index: int, commit: Commit | None, error: Halt | None) -> None:
        bench.sequencer.note(1, index, b"n")
        bench.heard.append((index, commit, error))

    for round_ in range(3):
        bench.sequencer.append(bench.desk.entries(1)[0], callback)
        await bench.until(round_ + 1)
    await asyncio.sleep(0.01)
    assert (bench.disk.batches, bench.log.note_count(1)) == (3, 2)
    await bench.sequencer.close()
    assert bench.log.note_count(1) == 3


def timed(monkeypatch: pytest.MonkeyPatch, **options: Any) -> Bench:
    """A bench whose sequencer goes by the clock of its disk; more than a second for a sync is slow."""
    bench = Bench(slow_sync=1.0, **options)
    monkeypatch.setattr("qaztech.evidence.sequencer.monotonic", lambda: bench.disk.now)
    return bench


async def quick(bench: Bench, commits: int) -> None:
    """So many commits, one after the other."""
    for _ in range(commits):
        await bench.sequencer.appended(bench.desk.entries(1)[0])


async def test_the_loop_waits_itself_while_the_disk_is_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """After enough quick syncs they are waited for on the loop; one slow sync sends the next ones to the thread."""
    bench = timed(monkeypatch)
    await quick(bench, 1)
    assert not bench.disk.on_loop, "a disk that nobody knows is not trusted"
    await quick(bench, QUICK_SYNCS)
    assert bench.disk.on_loop
    bench.disk.takes = 1.5
    await quick(bench, 1)
    bench.disk.takes = 0.0
    await quick(bench, 1)
    assert not bench.disk.on_loop
    await bench.sequencer.close()
    assert bench.log.size == QUICK_SYNCS + 3


async def test_a_failure_on_the_loop_is_told_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for the sync makes no difference to who hears of its failure."""
    bench = timed(monkeypatch)
    await quick(bench, QUICK_SYNCS + 1)
    assert bench.disk.on_loop
    bench.disk.fail("sync")
    bench.append(3)
    await bench.until(3)
    assert bench.heard == [(-1, None, bench.log.halted)] * 3
    assert bench.log.head.size == QUICK_SYNCS + 1
    await bench.sequencer.close()


async def test_closing_drains_on_the_loop_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several batches that wait are written before `close` returns, whoever waits for the syncs."""
    bench = timed(monkeypatch, max_batch_bytes=1000)
    await quick(bench, QUICK_SYNCS + 1)
    bench.append(9, data=bytes(200))
    bench.sequencer.note(1, 1, b"n")
    await bench.sequencer.close()
    assert (bench.log.size, bench.log.note_count(1)) == (QUICK_SYNCS + 10, 1)


async def test_a_key_that_fails_halts_the_log() -> None:
    """An entry that is durable and cannot be signed is told as a halt, not as a success, and not left untold."""
    bench = Bench()

    class Gone:
        public = KEY.public

        def sign(self, _: bytes) -> bytes:
            raise RuntimeError("the token is gone")

    bench.log._key = Gone()
    bench.append(2)
    await bench.until(2)
    assert [error and error.code for _, _, error in bench.heard] == ["log.failed"] * 2
    await bench.sequencer.close()


async def test_a_log_closed_too_early_is_told() -> None:
    """Whoever waits when the log is closed under the queue hears of it, whatever another waiter's callback does."""
    bench = Bench()
    reported: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context["exception"]))

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    await asyncio.sleep(0.02)
    bench.sequencer.append(bench.desk.entries(1)[0], broken)
    bench.append(1)
    bench.log.close()
    await bench.until(1)
    assert bench.heard[0][:2] == (-1, None)
    assert [type(error) for error in reported] == [ZeroDivisionError]
    await bench.sequencer.close()


def test_a_loop_that_ends_first_leaves_no_stuck_thread() -> None:
    """When the loop is closed during a sync the thread ends quietly; the entry was never told to be durable."""
    heard: list[object] = []

    async def begin() -> Bench:
        bench = Bench()
        await asyncio.sleep(0.02)
        bench.disk.gate.clear()
        bench.append()
        await asyncio.sleep(0.02)
        bench.heard = heard  # type: ignore[assignment]
        return bench

    bench = asyncio.run(begin())
    bench.disk.gate.set()
    bench.sequencer._writer._thread.join(5)
    assert not bench.sequencer._writer._thread.is_alive()
    assert heard == []
