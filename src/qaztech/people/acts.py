"""The admin log: every administrative act, in an append-only log of the same kind as the exchange log.

The folder holds `log.key` (Ed25519) and `log/`. An act is durable, and under a signed tree head, when `record` returns.
Acts on accounts are noted in the database by the transaction that makes the change; `drain` brings them here, each
once, even if the process ends in between. The form is in docs/formats/admin-log.md. It can be taken to witnesses as
any log (`evidence.witnessing`); what they cosigned is kept in it.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Self

from sqlalchemy import Engine, delete, select

from qaztech.core.errors import Halt, Limited, Malformed, Unavailable
from qaztech.core.time import Clock
from qaztech.evidence.log import Entry, Head, Log
from qaztech.evidence.sequencer import Sequencer
from qaztech.evidence.storage import OsStorage
from qaztech.evidence.tiles import serve
from qaztech.evidence.view import identity_of
from qaztech.people.actors import Act, act_message
from qaztech.people.tables import pending_act
from qaztech.runtime.database import reading
from qaztech.trust.keys import Ed25519Key

KEY, LOG = "log.key", "log"
MOST_AT_ONCE = 200
# The kind of note that keeps a witnessed checkpoint, the same number as in the logs of nodes.
WITNESSED = 3
_BEFORE = 2 * 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedAct:
    """An act and its place in the log. `act` is None where the entry is of another form."""

    index: int
    time: int
    act: Act | None


class AdminLog:
    """One admin log, open to record in it. All methods run on one event loop, whose thread owns the log."""

    def __init__(self, log: Log, clock: Clock) -> None:
        self.origin = log.origin
        self._log = log
        self._clock = clock
        self._sequencer: Sequencer | None = None
        self._draining = asyncio.Lock()

    @classmethod
    def create(cls, directory: Path, *, instance: str, clock: Clock) -> Self:
        """A new log in a folder of its own; its origin follows from its key. Raises `Conflict` where there is one."""
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not (directory / KEY).exists():
            Ed25519Key.generate().save(directory / KEY)
        key = Ed25519Key.load(directory / KEY)
        origin = f"{instance.lower()}.qaztech.example/log/{sha256(key.public).hexdigest()[:20]}"
        return cls(Log.create(directory / LOG, storage=OsStorage(), key=key, origin=origin, clock=clock), clock)

    @classmethod
    def open(cls, directory: Path, *, clock: Clock) -> Self:
        """Go on with the log in a folder. Raises `NotFound`, `Conflict` while another process has it, `Halt`."""
        key, storage = Ed25519Key.load(directory / KEY), OsStorage()
        origin = identity_of(storage, directory / LOG).key.name
        return cls(Log.open(directory / LOG, storage=storage, key=key, origin=origin, clock=clock), clock)

    async def close(self) -> None:
        """Write what waits, and let others open the log."""
        if self._sequencer is not None:
            await self._sequencer.close()
            self._sequencer = None
        self._log.close()

    # Recording

    async def record(self, act: Act) -> int:
        """Append an act; its index. It is durable when this returns. Raises `Malformed` for an act too large."""
        return await self._append(act_message(act.when), act.leaf())

    async def drain(self, engine: Engine) -> int:
        """Bring the acts that the database holds to the log, in their order, each once; how many there were."""
        count = 0
        async with self._draining:
            for number, message, leaf in await asyncio.to_thread(_pending, engine):
                if not self._holds(message):
                    await self._append(message, leaf)
                await asyncio.to_thread(_forget, engine, number)
                count += 1
        return count

    async def follow(self, engine: Engine, stop: asyncio.Event, *, seconds: float = 1.0) -> None:
        """`drain` until told to stop: commands note acts in the database while this process has the log."""
        while not stop.is_set():
            with suppress(Unavailable):  # the database is away: they wait in it
                await self.drain(engine)
            try:
                await asyncio.wait_for(stop.wait(), seconds)
            except TimeoutError:
                continue

    async def _append(self, message: bytes, leaf: bytes) -> int:
        index, _ = await self._writer().appended(Entry(message, self._clock.now(), leaf))
        return index

    def _writer(self) -> Sequencer:
        if self._sequencer is None:
            self._sequencer = Sequencer(log=self._log)
            self._sequencer.start()
        return self._sequencer

    def _holds(self, message: bytes) -> bool:
        """Whether an act got here before the process ended that brought it."""
        noted = int.from_bytes(message[:6])
        return bool(self._log.find(message, since_ms=noted - _BEFORE, until_ms=self._clock.now() + _BEFORE))

    # Reading

    @property
    def vkey(self) -> str:
        """What its checkpoints are verified by."""
        return self._log.vkey

    @property
    def halted(self) -> Halt | None:
        """Why nothing can be recorded any more; None while all is well."""
        return self._log.halted

    @property
    def head(self) -> Head:
        """The newest signed head; `head.note` is the checkpoint."""
        return self._log.head

    def acts(self, *, newest_first: bool = True, limit: int = 50, before: int | None = None) -> list[LoggedAct]:
        """Acts by their place. Newest first: those before index `before`. Oldest first: those from `before` on.

        Raises `Limited` when asked for more than `MOST_AT_ONCE`.
        """
        if not 0 <= limit <= MOST_AT_ONCE:
            raise Limited("act.too-many", f"at most {MOST_AT_ONCE} acts at once", at="caller")
        size = self._log.size
        if newest_first:
            stop = size if before is None else max(0, min(before, size))
            return [self._read(index) for index in range(stop - 1, max(stop - limit, 0) - 1, -1)]
        start = max(0, before or 0)
        return [self._read(index) for index in range(start, min(start + limit, size))]

    def tile(self, path: str) -> tuple[str, bytes] | None:
        """Content type and bytes under a path of C2SP tlog-tiles (`checkpoint`, `tile/…`), entries included."""
        return serve(self._log, path, entries=True)

    # Witnessing

    @property
    def size(self) -> int:
        """Entries under the newest signed head."""
        return self._log.head.size

    def checkpoint_note(self) -> bytes:
        """The newest signed checkpoint."""
        return self._log.head.note

    def consistency_proof(self, old: int, new: int) -> list[bytes]:
        """RFC 6962 consistency proof."""
        return self._log.consistency_proof(old, new)

    def inclusion_proof(self, index: int, size: int) -> list[bytes]:
        """RFC 6962 inclusion proof."""
        return self._log.inclusion_proof(index, size)

    def leaf_hash(self, index: int) -> bytes:
        """The leaf hash of an entry."""
        return self._log.leaf_run(index, index + 1)

    def holds(self, size: int, root: bytes) -> bool:
        """Whether the log has that root at that size."""
        return size <= self._log.size and self._log.root_at(size) == root

    def keep_witnessed(self, size: int, note: bytes) -> None:
        """Keep a witnessed checkpoint with the next batch."""
        self._writer().note(WITNESSED, size, note)

    def witnessed_note(self) -> bytes:
        """The newest witnessed checkpoint that is kept; empty where there is none."""
        count = self._log.note_count(WITNESSED)
        return self._log.read_note(WITNESSED, count - 1)[1] if count else b""

    def halt(self, why: Halt) -> None:
        """Stop: nothing is recorded in it any more."""
        self._log.halt(why)

    def _read(self, index: int) -> LoggedAct:
        entry = self._log.read(index)
        try:
            return LoggedAct(index=index, time=entry.time, act=Act.parse(entry.data))
        except Malformed:
            return LoggedAct(index=index, time=entry.time, act=None)


def _pending(engine: Engine) -> list[tuple[int, bytes, bytes]]:
    with reading(engine) as db:
        rows = db.execute(select(pending_act).order_by(pending_act.c.number)).all()
    return [(row.number, bytes.fromhex(row.message), row.leaf.encode()) for row in rows]


def _forget(engine: Engine, number: int) -> None:
    with engine.begin() as db:
        db.execute(delete(pending_act).where(pending_act.c.number == number))
