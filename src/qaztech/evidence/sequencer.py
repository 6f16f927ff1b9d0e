"""Many appends, one sync and one signature: the queue in front of a log on an event loop.

All appends that wait when a commit begins form one batch; one commit is in flight, and the next begins when it ends.
There is no fixed window: the busier the log, the larger its batches. While the disk answers at once, the loop itself
waits for the sync, which costs a third less than waking a thread and taking the interpreter lock back from it; a disk
that is slow gets a thread of its own, so that the loop goes on. Chores (new segments, derived files, snapshots) always
run in a thread. Callbacks come after durability, in order. When the log halts, everyone who waits is told so, once, and
nothing more is accepted.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from time import monotonic
from typing import Final

from qaztech.core.errors import Halt, Limited, Unavailable
from qaztech.evidence.log import Chore, Commit, Log, Prepared
from qaztech.evidence.storage import failure
from qaztech.evidence.wal import Entry, NoteFrame, frame_size

Callback = Callable[[int, Commit | None, Halt | None], None]
"""(index, commit, None) when durable; (-1, None, why) when the log has halted."""

MAX_WAITING: Final = 8192
MAX_WAITING_BYTES: Final = 16 << 20
MAX_BATCH_BYTES: Final = 1 << 20
# Notes wait for entries to travel with; if none come, they go alone after so many seconds.
NOTE_DELAY: Final = 0.25
# A sync that took longer than this (seconds) sends the next ones to the thread; so many quick ones bring them back.
SLOW_SYNC: Final = 0.02
QUICK_SYNCS: Final = 32


class Sequencer:
    """Appends to one log, from one event loop. `start` it on the loop, `close` it before the log is closed."""

    def __init__(
        self,
        *,
        log: Log,
        on_commit: Callable[[Commit], None] | None = None,
        max_waiting: int = MAX_WAITING,
        max_waiting_bytes: int = MAX_WAITING_BYTES,
        max_batch_bytes: int = MAX_BATCH_BYTES,
        note_delay: float = NOTE_DELAY,
        slow_sync: float = SLOW_SYNC,
    ) -> None:
        self.log = log
        # Called with each commit that has entries, before their callbacks.
        self.on_commit = on_commit
        self._max_waiting = max_waiting
        self._max_bytes = max_waiting_bytes
        self._batch_bytes = min(max_batch_bytes, log.batch_room)
        self._note_delay = note_delay
        self._slow_sync = slow_sync
        # Syncs still to be seen quick before the loop waits for them itself.
        self._distrust = QUICK_SYNCS
        self._sync_began = 0.0
        # Owned by the loop: what waits, who waits for it (entries only), its bytes, and how many notes of each kind.
        self._items: list[Entry | NoteFrame] = []
        self._callbacks: list[Callback] = []
        self._bytes = 0
        self._notes: dict[int, int] = {}
        # The batch being written and who waits for it.
        self._flying: tuple[Prepared, list[Callback]] | None = None
        self._scheduled = False
        self._note_timer: asyncio.TimerHandle | None = None
        self._chore: Chore | None = None
        self._closing: asyncio.Future[None] | None = None
        self._failed = False

    def start(self) -> None:
        """Begin, on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._writer = _Worker(self._loop, "log-writer", self._written)
        self._keeper = _Worker(self._loop, "log-keeper", self._kept)
        self._keep()

    # Appending

    def append(self, entry: Entry, callback: Callback) -> None:
        """Queue an entry. Raises `Limited` when too many wait, `Halt` when the log has halted."""
        size = frame_size(entry)
        if self._closing is not None or self._failed or self.log.halted is not None:
            self._refuse()
        if len(self._items) >= self._max_waiting or self._bytes + size > self._max_bytes or size > self._batch_bytes:
            raise Limited("log.queue-full", "too much waits to be logged", at="log", retry_after=1)
        self._items.append(entry)
        self._callbacks.append(callback)
        self._bytes += size
        if not self._scheduled and self._flying is None:
            # Not at once: what else arrives in this turn of the loop shares the batch.
            self._scheduled = True
            self._loop.call_soon(self._begin)

    async def appended(self, entry: Entry) -> tuple[int, Commit]:
        """Append an entry and wait until it is durable."""
        done: asyncio.Future[tuple[int, Commit]] = self._loop.create_future()

        def callback(index: int, commit: Commit | None, error: Halt | None) -> None:
            if done.cancelled():
                return
            if commit is not None:
                done.set_result((index, commit))
            else:
                done.set_exception(error or self.log.halt(Halt("log.halted", "the log has halted", at="log")))

        self.append(entry, callback)
        return await done

    def note(self, kind: int, key: int, payload: bytes) -> int:
        """Queue a note, to be written with the next batch; the ordinal it will have. It waits for no one."""
        note = NoteFrame(kind, key, payload)
        size = frame_size(note)
        if self._closing is not None or self._failed or self.log.halted is not None:
            self._refuse()
        # Twice the limit of entries: what an entry that was let in brings about is let in too.
        if len(self._items) >= 2 * self._max_waiting or self._bytes + size > 2 * self._max_bytes:
            raise Limited("log.queue-full", "too much waits to be logged", at="log", retry_after=1)
        if size > self._batch_bytes:
            raise Limited("log.note-too-large", f"a note has at most {self._batch_bytes} bytes", at="log")
        ahead = self._notes.get(kind, 0)
        self._notes[kind] = ahead + 1
        self._items.append(note)
        self._bytes += size
        if self._note_timer is None:
            self._note_timer = self._loop.call_later(self._note_delay, self._notes_due)
        return self.log.note_count(kind) + ahead

    @property
    def waiting(self) -> int:
        """Entries and notes that are queued and not yet being written."""
        return len(self._items)

    async def close(self) -> None:
        """Write what waits, then stop; the log itself stays open. Nothing is accepted meanwhile."""
        if self._closing is None:
            self._closing = self._loop.create_future()
            self._begin()
            self._check_closed()
        await asyncio.shield(self._closing)
        self._writer.stop()
        self._keeper.stop()

    # One commit after the other

    def _begin(self) -> None:
        """Hand the next batch to the writer, if there is one and the writer is free."""
        self._scheduled = False
        if self._flying is not None or not self._items or self._failed:
            return
        items, callbacks = self._take()
        try:
            prepared = self.log.prepare(items)
        except Exception as error:  # noqa: BLE001 whatever it is, the waiters must hear of it
            self._flying = None
            self._fail(error, callbacks)
            return
        self._flying = (prepared, callbacks)
        self._sync_began = monotonic()
        if self._distrust:
            self._writer.submit(self.log.write_and_sync, prepared)
            return
        failed: BaseException | None = None
        try:
            self.log.write_and_sync(prepared)
        except BaseException as raised:  # noqa: BLE001 as the thread reports it
            failed = raised
        self._written(failed)

    def _take(self) -> tuple[list[Entry | NoteFrame], list[Callback]]:
        """As much of the queue as fits a batch."""
        if self._bytes <= self._batch_bytes:
            taken = self._items, self._callbacks
            self._items, self._callbacks, self._bytes = [], [], 0
            if self._note_timer is not None:
                self._note_timer.cancel()
                self._note_timer = None
            return taken
        size = count = entries = 0
        for item in self._items:
            size += frame_size(item)
            if size > self._batch_bytes:
                size -= frame_size(item)
                break
            count += 1
            entries += type(item) is Entry
        items, self._items = self._items[:count], self._items[count:]
        callbacks, self._callbacks = self._callbacks[:entries], self._callbacks[entries:]
        self._bytes -= size
        return items, callbacks

    def _written(self, error: BaseException | None) -> None:
        assert self._flying is not None  # noqa: S101 for the type checker; the writer has one job at a time
        prepared, callbacks = self._flying
        self._flying = None
        self._judge_disk()
        try:
            if error is not None:
                raise error
            commit = self.log.finish(prepared)
        except BaseException as raised:  # noqa: BLE001 whatever it is, the waiters must hear of it
            self._fail(raised, callbacks)
            return
        if self._notes:
            for item in prepared.batch.notes:
                self._forget_notes(item, len(prepared.batch.notes[item]) // 16)
        if commit.leaves:
            if self.on_commit is not None:
                self._guard(self.on_commit, commit)
            self._tell(callbacks, commit)
        if self._callbacks and not self._scheduled:  # notes alone wait for their timer
            # Not at once: the loop looks at its sockets first, and what they bring shares the batch.
            self._scheduled = True
            self._loop.call_soon(self._begin)
        elif self._closing is not None:
            self._begin()
        if self._chore is None:
            self._keep()
        if self._closing is not None:
            self._check_closed()

    def _judge_disk(self) -> None:
        """Decide who waits for the next sync, by how long this one took (a thread's way back included)."""
        if monotonic() - self._sync_began > self._slow_sync:
            self._distrust = QUICK_SYNCS
        elif self._distrust:
            self._distrust -= 1

    def _forget_notes(self, kind: int, count: int) -> None:
        left = self._notes[kind] - count
        if left:
            self._notes[kind] = left
        else:
            del self._notes[kind]

    def _tell(self, callbacks: list[Callback], commit: Commit) -> None:
        index = commit.start
        for callback in callbacks:
            try:
                callback(index, commit, None)
            except Exception as error:  # noqa: BLE001 one waiter's failure is not the others'
                self._report(error)
            index += 1

    def _guard(self, hook: Callable[[Commit], None], commit: Commit) -> None:
        try:
            hook(commit)
        except Exception as error:  # noqa: BLE001 the entries are durable all the same
            self._report(error)

    def _report(self, error: BaseException) -> None:
        self._loop.call_exception_handler({"message": "after a commit", "exception": error})

    def _notes_due(self) -> None:
        self._note_timer = None
        if self._flying is None:
            self._begin()
        else:
            self._note_timer = self._loop.call_later(self._note_delay, self._notes_due)

    # Chores

    def _keep(self) -> None:
        self._chore = None if self._failed else self.log.chore()
        if self._chore is not None:
            self._keeper.submit(self._chore.run)

    def _kept(self, error: BaseException | None) -> None:
        chore, self._chore = self._chore, None
        if error is not None:
            self._fail(error, [])
            return
        if chore is not None:
            chore.done()
        self._keep()
        if self._closing is not None:
            self._check_closed()

    # Ending

    def _check_closed(self) -> None:
        busy = self._flying is not None or self._chore is not None or (self._items and not self._failed)
        if self._closing is not None and not busy and not self._closing.done():
            self._closing.set_result(None)

    def _fail(self, error: BaseException, callbacks: list[Callback]) -> None:
        """Halt the log and tell everyone who waits; those of a batch in flight are told when it lands."""
        halt = error if isinstance(error, Halt) else Halt("log.failed", f"a commit failed: {error!r}", at="log")
        if isinstance(error, OSError):
            halt = failure(error)
        halt = self.log.halt(halt)
        self._failed = True
        if self._note_timer is not None:
            self._note_timer.cancel()
            self._note_timer = None
        waiting = [*callbacks, *self._callbacks]
        self._items, self._callbacks, self._bytes = [], [], 0
        for callback in waiting:
            try:
                callback(-1, None, halt)
            except Exception as raised:  # noqa: BLE001 one waiter's failure is not the others'
                self._report(raised)
        self._check_closed()

    def _refuse(self) -> None:
        if self.log.halted is not None:
            raise self.log.halted
        raise Unavailable("log.closing", "the log is being closed", at="log")


class _Worker:
    """A thread that does one job after the other and reports each on the loop."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, name: str, report: Callable[[BaseException | None], None]
    ) -> None:
        self._jobs: SimpleQueue[tuple[Callable[..., None], tuple[object, ...]] | None] = SimpleQueue()
        self._loop = loop
        self._report = report
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, job: Callable[..., None], *arguments: object) -> None:
        """Have `job(*arguments)` done."""
        self._jobs.put((job, arguments))

    def stop(self) -> None:
        """End the thread once it is idle."""
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (work := self._jobs.get()) is not None:
            job, arguments = work
            error: BaseException | None = None
            try:
                job(*arguments)
            except BaseException as failure:  # noqa: BLE001 told to the loop, which decides
                error = failure
            try:
                self._loop.call_soon_threadsafe(self._report, error)
            except RuntimeError:
                return  # the loop was closed over our heads; nothing more can be told to anyone
