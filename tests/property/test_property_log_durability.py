"""Whatever the disk does, nothing that was signed is ever missing: crashes at every step, torn and lost writes.

The log runs on `CrashStorage`. A workload is run again and again and ended at each of its storage operations in turn;
after each end the log is opened and compared with everything its key ever signed. Then each sync of the code is
switched off by its reason: every one of them must make the same exploration fail.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qaztech.core.errors import Conflict, Halt, NotFound
from qaztech.core.time import ManualClock
from qaztech.evidence import storage as storage_module
from qaztech.evidence.check import check_log
from qaztech.evidence.checkpoint import SignedCheckpoint
from qaztech.evidence.log import Entry, Log, NoteFrame
from qaztech.evidence.merkle import leaf_hash, verify_consistency, verify_inclusion
from qaztech.evidence.state import ClosedLog, close_origin, read_closed
from qaztech.evidence.storage import SyncReason
from qaztech.testing.crash import Crash, CrashStorage, Survival
from qaztech.trust.keys import Ed25519Key

DIRECTORY = Path("/log")
ORIGIN = "kz.qaztech.example/log/00000000000000000000"
SEED = bytes(range(32))
START = 1_800_000_000_000
SURVIVALS: tuple[Survival, ...] = get_args(Survival)
REASONS: tuple[SyncReason, ...] = get_args(SyncReason)


class RecordingKey(Ed25519Key):
    """The log's key, which remembers all it signed."""

    __slots__ = ("signed",)

    def __init__(self, seed: bytes) -> None:
        super().__init__(seed)
        self.signed: list[tuple[int, bytes]] = []

    def sign(self, message: bytes) -> bytes:
        signature = super().sign(message)
        line = f"\n— {ORIGIN} AAAAAAA=\n".encode()
        head = SignedCheckpoint.parse(message + line)
        self.signed.append((head.size, head.root))
        return signature


@dataclass
class World:
    """A log with its disk, and what must be true of it."""

    storage: CrashStorage
    key: RecordingKey = field(default_factory=lambda: RecordingKey(SEED))
    clock: ManualClock = field(default_factory=lambda: ManualClock(START))
    log: Log | None = None
    # Entries in the order of the tree as last seen or attempted; notes that were acknowledged.
    entries: list[Entry] = field(default_factory=list)
    notes: list[tuple[int, int, bytes]] = field(default_factory=list)
    acknowledged: int = 0
    serial: int = 0
    closed: bool = False
    continues: ClosedLog | None = None

    def create(self) -> None:
        self.log = Log.create(
            DIRECTORY,
            storage=self.storage,
            key=self.key,
            origin=ORIGIN,
            clock=self.clock,
            continues=self.continues,
            segment_size=4096,
        )

    def open(self) -> Log:
        self.log = Log.open(DIRECTORY, storage=self.storage, key=self.key, origin=ORIGIN, clock=self.clock)
        return self.log

    def commit(self, entries: int, notes: int = 0, size: int = 40) -> None:
        assert self.log is not None
        batch: list[Entry | NoteFrame] = []
        for _ in range(entries):
            self.serial += 1
            self.clock.advance(1)
            now = self.clock.now()
            entry = Entry(
                now.to_bytes(6) + self.serial.to_bytes(10), now, b"%d " % self.serial * (size // 4), b"p%d" % now
            )
            self.entries.append(entry)
            batch.append(entry)
        for _ in range(notes):
            self.serial += 1
            self.notes.append((1, self.serial, b"note %d" % self.serial))
            batch.append(NoteFrame(*self.notes[-1]))
        self.log.commit(batch)
        self.acknowledged = len(self.notes)

    def close_origin(self) -> None:
        close_origin(DIRECTORY, storage=self.storage, reason="a copy was restored", size=1, root=bytes(32))
        self.closed = True

    def verify(self) -> None:
        """Everything ever signed is in the log that is open, and reads as it was appended."""
        log = self.log
        assert log is not None
        newest = max(size for size, _ in self.key.signed)
        assert log.size >= newest
        assert log.head.size == log.size
        signed = dict(self.key.signed)
        assert len(signed) == len(set(self.key.signed)), "two roots were signed at one size"
        for size, root in signed.items():
            assert log.root_at(size) == root
            verify_consistency(size, root, log.size, log.head.root, log.consistency_proof(size, log.size))
        for index in range(log.size):
            stored, entry = log.read(index), self.entries[index]
            assert (stored.message, stored.data, stored.private) == (entry.message, entry.data, entry.private)
            assert entry.message == bytes(16) or log.find(entry.message) == [index]
            proof = log.inclusion_proof(index, log.size)
            verify_inclusion(leaf_hash(entry.data), index, log.size, proof, log.head.root)
        assert log.note_count(1) >= self.acknowledged
        for ordinal in range(log.note_count(1)):
            assert log.read_note(1, ordinal) == self.notes[ordinal][1:]

    def recover(self) -> None:
        """Open after a crash, compare, go on, and compare again."""
        self.storage.crash_at = None
        if self.closed:
            with pytest.raises(Halt, match=r"log\.closed"):
                self.open()
            return
        if read_closed(self.storage, DIRECTORY) if self.storage.exists(DIRECTORY) else None:
            return  # it was being closed, and is
        try:
            self.open()
        except NotFound:
            assert not self.key.signed, "the log is gone"
            self.create()
        assert self.log is not None
        assert self.continues is None or self.log.size > 0, "it does not say what it continues"
        self.verify()
        assert self.log is not None
        # What was never signed may be lost; what is left of it is part of the log from now on.
        del self.entries[self.log.size :], self.notes[self.log.note_count(1) :]
        self.commit(2, 1)
        self.verify()
        report = check_log(DIRECTORY, storage=self.storage)
        assert report.ok, report.problems


def busy(world: World) -> None:
    """A short life: segments fill up, snapshots are taken, the log is closed, reopened and killed."""
    world.create()
    assert world.log is not None
    world.commit(1)
    world.commit(3, 2)
    world.commit(0, 1)
    world.commit(4, size=600)  # opens a second segment
    world.clock.advance(61_000)
    world.commit(1, 1)  # takes a snapshot
    world.commit(3, size=700)  # opens a third
    world.log.close()
    world.open()
    world.commit(2, 1)
    world.storage.kill()
    world.open()
    world.commit(1)
    world.log.close()
    world.close_origin()


def successor(world: World) -> None:
    """The beginning of a log that comes after a closed one."""
    world.continues = ClosedLog(origin=ORIGIN[:-1] + "1", size=5, root=bytes(32), reason="restored")
    world.entries = [Entry(bytes(16), 0, world.continues.continuation())]
    world.create()
    world.commit(1)


Workload = Callable[[World], None]


def run(world: World, workload: Workload) -> bool:
    """Whether the workload came to its end."""
    try:
        workload(world)
    except Crash:
        return False
    return True


def steps(workload: Workload = busy) -> int:
    """How many storage operations the workload has."""
    world = World(CrashStorage())
    assert run(world, workload)
    return world.storage.steps


def crashed(step: int, without: SyncReason | None = None, workload: Workload = busy) -> World:
    """The world at the moment before an operation."""
    world = World(CrashStorage(without=without))
    world.storage.crash_at = step
    run(world, workload)
    return world


def explore(without: SyncReason | None = None, workload: Workload = busy) -> Iterator[Callable[[], None]]:
    """All explorations, one call each: they raise if something signed is missing."""
    for step in range(steps(workload) + 1):
        for survival in SURVIVALS:

            def power_cut(step: int = step, survival: Survival = survival) -> None:
                world = crashed(step, without, workload)
                world.storage.crash(survival, seed=step)
                world.recover()

            yield power_cut

        def killed_then_cut(step: int = step) -> None:
            world = crashed(step, without, workload)
            world.storage.kill()
            if world.storage.exists(DIRECTORY / "log") and not world.storage.exists(DIRECTORY / "closed"):
                world.open()  # signs what it finds, so that must be durable
                assert world.log is not None
                del world.entries[world.log.size :], world.notes[world.log.note_count(1) :]
            world.storage.crash("none")
            world.recover()

        yield killed_then_cut


@pytest.mark.parametrize("workload", [busy, successor])
def test_nothing_signed_is_lost_at_any_step(workload: Workload) -> None:
    """A crash before each storage operation, whatever survives of what was not synced, loses nothing signed."""
    for exploration in explore(workload=workload):
        exploration()


@pytest.mark.parametrize("reason", REASONS)
def test_each_sync_is_needed(reason: SyncReason) -> None:
    """With any one sync switched off the same exploration finds something signed, or promised, to be missing."""
    for exploration in explore(without=reason):
        try:
            exploration()
        except (AssertionError, Halt, NotFound, Conflict, FileNotFoundError, pytest.fail.Exception):
            return
    pytest.fail(f"nothing is lost without the sync {reason}: it is not needed, or not tested")


def test_every_sync_is_named_and_reached() -> None:
    """Each reason stands at exactly one place of the code, the workload reaches all, and nobody syncs behind them."""
    world = World(CrashStorage())
    run(world, busy)
    missing = set(REASONS) - world.storage.reasons
    assert missing <= {"wal.recover"}, missing  # reached where the exploration kills in the middle of a batch
    package = Path(storage_module.__file__).parent
    sources = {path.name: path.read_text() for path in package.glob("*.py")}
    for reason in REASONS:
        places = [name for name, text in sources.items() for _ in re.findall(rf'"{re.escape(reason)}"', text)]
        assert sorted(places) == sorted(["storage.py", *(name for name in places if name != "storage.py")])
        assert len(places) == 2, (reason, places)
    others = [name for name, text in sources.items() if re.search(r"\bos\.(fsync|fdatasync)\b", text)]
    assert set(others) <= {"storage.py", "witness.py"}


def test_two_crashes_in_a_row() -> None:
    """A crash while recovering from a crash loses nothing either."""

    @settings(max_examples=60)
    @given(
        step=st.integers(0, steps()),
        again=st.integers(0, 25),
        first=st.sampled_from(SURVIVALS),
        second=st.sampled_from(SURVIVALS),
        seed=st.integers(0, 2**32),
    )
    def property_(step: int, again: int, first: Survival, second: Survival, seed: int) -> None:
        world = crashed(step)
        world.storage.crash(first, seed)
        world.storage.crash_at = world.storage.steps + again
        if world.storage.exists(DIRECTORY / "log") and not world.storage.exists(DIRECTORY / "closed"):
            try:
                world.open()
                assert world.log is not None
                del world.entries[world.log.size :], world.notes[world.log.note_count(1) :]
                world.commit(3, 1, size=700)
            except Crash:
                pass
        world.storage.crash(second, seed + 1)
        world.recover()

    property_()


@pytest.mark.parametrize("operation", ["write", "sync", "rename", "open"])
def test_a_failing_disk_halts_the_log(operation: str) -> None:
    """Whichever write or sync fails, nothing more is signed; what was is there after the repair and a crash."""
    for after in range(60):
        world = World(CrashStorage())
        world.storage.fail(operation, after=after)
        try:
            run(world, busy)
        except Halt:
            signed = list(world.key.signed)
            if world.log is not None and world.log.halted is not None:
                with pytest.raises(Halt):
                    world.log.commit([NoteFrame(1, 1, b"")])
            assert world.key.signed == signed
        else:
            return  # the workload has no more of these
        world.storage.kill()  # stop and read again; the machine stays up, and with it what its cache only seems to hold
        if world.storage.exists(DIRECTORY / "log"):
            world.open()
            assert world.log is not None
            del world.entries[world.log.size :], world.notes[world.log.note_count(1) :]
            world.verify()
        world.storage.crash("none")
        world.recover()
