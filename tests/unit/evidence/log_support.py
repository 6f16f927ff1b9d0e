"""A log to test with: on the simulated disk, small segments, a clock that moves by hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from qaztech.core.time import ManualClock
from qaztech.evidence.log import Entry, Log
from qaztech.evidence.state import ClosedLog
from qaztech.evidence.storage import Storage
from qaztech.testing.crash import CrashStorage
from qaztech.trust.keys import Ed25519Key

DIRECTORY = Path("/log")
ORIGIN = "kz.qaztech.example/log/00000000000000000000"
KEY = Ed25519Key.from_seed(bytes(range(32)))
START = 1_800_000_000_000


@dataclass
class Desk:
    """A place where a log is made, opened and left."""

    storage: Storage = field(default_factory=CrashStorage)
    directory: Path = DIRECTORY
    clock: ManualClock = field(default_factory=lambda: ManualClock(START))
    serial: int = 0

    @property
    def disk(self) -> CrashStorage:
        """The simulated disk."""
        assert isinstance(self.storage, CrashStorage)
        return self.storage

    def create(self, *, segment_size: int = 1 << 18, continues: ClosedLog | None = None) -> Log:
        """A new log."""
        return Log.create(
            self.directory,
            storage=self.storage,
            key=KEY,
            origin=ORIGIN,
            clock=self.clock,
            segment_size=segment_size,
            continues=continues,
        )

    def open(self) -> Log:
        """The log that is there."""
        return Log.open(self.directory, storage=self.storage, key=KEY, origin=ORIGIN, clock=self.clock)

    def reopened(self) -> Log:
        """The log after its process was killed."""
        self.disk.kill()
        return self.open()

    def entries(self, count: int, data: bytes = b"", private: bytes = b"") -> list[Entry]:
        """New entries under ids of version 7, a millisecond apart."""
        made = []
        for _ in range(count):
            self.serial += 1
            self.clock.advance(1)
            now = self.clock.now()
            message = now.to_bytes(6) + b"\x70\x00" + self.serial.to_bytes(8)
            made.append(Entry(message, now, data or b"entry %d" % self.serial, private))
        return made
