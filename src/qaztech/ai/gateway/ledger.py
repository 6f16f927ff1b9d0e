"""Reservations and settlements on an event loop, durable and quick: all that wait share one transaction.

A thread takes everything that has gathered while its last transaction ran and does it in the next (group commit): the
busier the gateway, the larger its batches. Whoever asked is told on the loop, after the commit, one wake-up a batch.
A call that the budget does not cover waits a little for what others release, also in other processes. A settlement is
kept until it is written; what can never be written any more is an orphan, which costs all that was reserved.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from time import monotonic, sleep
from typing import Any, Final

from sqlalchemy import Connection, Engine

from qaztech.ai.gateway.books import Ask, Books, Lacking, Orphans, Settlement, Told, Verdict
from qaztech.ai.gateway.budgeting import MOST_OF_A_CALL, MOST_TOKENS
from qaztech.core.errors import Error, Internal, Limited, Malformed, Unavailable
from qaztech.core.time import Clock

Reserved = Callable[[Error | None], None]
"""None: the call is taken in, and that is durable."""
Settled = Callable[[int | None, Error | None], None]
"""What the call cost, in micro-tenge, when that is durable; or why it is not written yet."""

PATIENCE: Final = 2.0
POLL: Final = 0.05
MAX_WAITING: Final = 8192
# A settlement's caller is told after so many seconds that it is not written; it is tried again all the same.
_SETTLE_PATIENCE: Final = 10.0
_PAUSE: Final = 0.25
_CLOSE_PATIENCE: Final = 10.0
# How SQLite is asked for its lock: its own way of waiting sleeps up to 100 ms, while another's transaction takes 3.
_BUSY_MS: Final = 8
_LOCK_PATIENCE: Final = 10.0
_logger = logging.getLogger(__name__)


class Ledger:
    """The books of one gateway. `start` it on the loop; from then on use it from that loop only."""

    def __init__(
        self, engine: Engine, clock: Clock, gateway: str, *, patience: float = PATIENCE, max_waiting: int = MAX_WAITING
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._books = Books(gateway, engine.dialect.name)
        self._patience = patience
        self._max_waiting = max_waiting
        self._queue: SimpleQueue[_Batch | None] = SimpleQueue()
        # Owned by the loop: what this turn of it has brought, and how many reservations have no answer.
        self._next = _Batch()
        self._unanswered = 0
        self._scheduled = False
        self._closing = False
        self._dead: Error | None = None
        self._worker: _Worker | None = None

    async def start(self) -> Orphans:
        """Take the books over and begin. What an earlier process of this gateway left open is settled in full."""
        self._loop = asyncio.get_running_loop()
        orphans = await asyncio.to_thread(self._take_over)
        self._worker = _Worker(
            engine=self._engine, clock=self._clock, books=self._books, queue=self._queue, loop=self._loop,
            answer=self._answer,
        )  # fmt: skip
        return orphans

    def reserve(self, ask: Ask, callback: Reserved) -> None:
        """Take a call in. Raises `Malformed`, `Limited` when too many wait, `Unavailable` when this ledger ends.

        What the callback may be told: `ai.key.unknown`, `ai.limit.calls`, `ai.limit.tokens`, `ai.budget.exhausted`,
        or that the database does not answer; then nothing is reserved.
        """
        self._check_open()
        if not (0 <= ask.amount <= MOST_OF_A_CALL and 0 <= ask.tokens <= MOST_TOKENS):
            raise Malformed("ai.call.size", "a call of this size can be neither reserved nor paid", at="caller")
        if self._unanswered >= self._max_waiting:
            raise Limited("ai.gateway.busy", "too many calls wait to be taken in", at="consumer-node", retry_after=1)
        self._unanswered += 1
        self._next.asks.append((ask, callback, monotonic() + self._patience))
        self._schedule()

    def settle(self, settlement: Settlement, callback: Settled | None = None) -> None:
        """Settle a call: once, however often it is told. Raises `Unavailable` when this ledger has ended."""
        self._check_open()
        self._next.settlements.append((settlement, callback, monotonic() + _SETTLE_PATIENCE))
        self._schedule()

    def tell(self, call: str, exchange: str) -> None:
        """Note by which exchange a call's provider was told of its usage. Written with what else there is."""
        self._check_open()
        self._next.told.append(Told(call=call, exchange=exchange))
        self._schedule()

    @property
    def trouble(self) -> Error | None:
        """Why the last transaction was not written; None where it was."""
        return self._dead or (self._worker.trouble if self._worker is not None else None)

    async def check(self) -> None:
        """See whether the books can be written and are still ours. Raises `Unavailable` and others."""
        self._check_open()
        await asyncio.to_thread(self._touch)
        if self._worker is not None:
            self._worker.trouble = None

    def _touch(self) -> None:
        with self._engine.begin() as db:
            self._books.touch(db)

    async def reserved(self, ask: Ask) -> None:
        """Take a call in and wait until that is durable. Raises as `reserve` says; cancelled, it leaves nothing."""
        done: asyncio.Future[None] = self._loop.create_future()

        def callback(error: Error | None) -> None:
            if done.cancelled():
                if error is None:
                    self.settle(Settlement(call=ask.call, outcome="aborted", cost=0, told=True))
            elif error is None:
                done.set_result(None)
            else:
                done.set_exception(error)

        self.reserve(ask, callback)
        await done

    async def settled(self, settlement: Settlement) -> int:
        """Settle a call and wait until that is durable; its cost in micro-tenge. Raises as `settle` says."""
        done: asyncio.Future[int] = self._loop.create_future()

        def callback(cost: int | None, error: Error | None) -> None:
            if done.cancelled():
                return
            if error is None:
                done.set_result(cost or 0)
            else:
                done.set_exception(error)

        self.settle(settlement, callback)
        return await done

    async def close(self) -> None:
        """Write what waits, then end; nothing is accepted meanwhile."""
        if self._worker is None or self._closing:
            return
        self._hand_over()
        self._closing = True
        self._queue.put(None)
        await asyncio.to_thread(self._worker.join)
        # What the worker has told last is still in the loop's queue.
        await asyncio.sleep(0)

    def _take_over(self) -> Orphans:
        with self._engine.begin() as db:
            return self._books.begin(db, self._clock.now())

    def _check_open(self) -> None:
        if self._dead is not None:
            raise self._dead
        if self._closing or self._worker is None:
            raise Unavailable("ai.gateway.closing", "the gateway is being closed", at="consumer-node")

    def _schedule(self) -> None:
        # Not at once: what else arrives in this turn of the loop shares the batch.
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._hand_over)

    def _hand_over(self) -> None:
        self._scheduled = False
        if self._next.is_empty:
            return
        batch, self._next = self._next, _Batch()
        self._queue.put(batch)

    def _answer(
        self, answers: list[tuple[Callable[..., None], tuple[Any, ...]]], asked: int, dead: Error | None
    ) -> None:
        self._unanswered -= asked
        self._dead = self._dead or dead
        for callback, arguments in answers:
            try:
                callback(*arguments)
            except Exception as error:  # noqa: BLE001  # one waiter's failure is not the others'
                self._loop.call_exception_handler({"message": "after a commit of the ledger", "exception": error})


class _Batch:
    """What waits for one transaction: who asked, and until when (monotonic seconds)."""

    __slots__ = ("asks", "settlements", "told")

    def __init__(self) -> None:
        self.asks: list[tuple[Ask, Reserved, float]] = []
        self.settlements: list[tuple[Settlement, Settled | None, float]] = []
        self.told: list[Told] = []

    @property
    def is_empty(self) -> bool:
        return not (self.asks or self.settlements or self.told)

    def add(self, other: _Batch) -> None:
        self.asks += other.asks
        self.settlements += other.settlements
        self.told += other.told

    def singles(self) -> list[_Batch]:
        """The same, each in a transaction of its own."""
        found = []
        for name in self.__slots__:
            for item in getattr(self, name):
                single = _Batch()
                getattr(single, name).append(item)
                found.append(single)
        return found


class _Worker:
    """The thread: one transaction after the other."""

    def __init__(
        self,
        *,
        engine: Engine,
        clock: Clock,
        books: Books,
        queue: SimpleQueue[_Batch | None],
        loop: asyncio.AbstractEventLoop,
        answer: Callable[..., None],
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._books = books
        self._queue = queue
        self._loop = loop
        self._answer = answer
        self._db: Connection | None = None
        # What the budget did not cover yet, and what the database did not take yet.
        self._waiting = _Batch()
        self._kept = _Batch()
        self._answers: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
        self._asked = 0
        self._dead: Error | None = None
        # Why the last transaction was not written; read by the loop.
        self.trouble: Error | None = None
        # Whether the last transaction may have been written although it failed.
        self._is_doubtful = False
        self._end: float | None = None
        self._thread = threading.Thread(target=self._run, name="ai-ledger", daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait until everything is written, or cannot be."""
        self._thread.join()

    def _run(self) -> None:
        try:
            while (batch := self._gathered()) is not None:
                try:
                    self._do(batch)
                except Exception as error:
                    # A fault of ours: who waits is to hear of it, and who comes after.
                    _logger.exception("the ledger has failed")
                    self._dead = Internal("ai.ledger.failed", "the ledger has failed", context=repr(error))
                    self._give_up(batch, self._dead)
                self._tell()
        finally:
            self._disconnect()

    def _gathered(self) -> _Batch | None:
        """Everything that waits, when there is something; None at the end."""
        batch = _Batch()
        waits = bool(self._waiting.asks or not self._kept.is_empty)
        try:
            item = self._queue.get(timeout=POLL if waits or self._end is not None else None)
            while True:
                if item is None:
                    self._end = monotonic() + _CLOSE_PATIENCE
                else:
                    batch.add(item)
                item = self._queue.get_nowait()
        except Empty:
            pass
        kept, self._kept = self._kept, _Batch()
        kept.add(batch)
        kept.asks, self._waiting.asks = [*self._waiting.asks, *kept.asks], []
        if self._end is not None:
            if kept.is_empty:
                return None
            if monotonic() > self._end:
                self._give_up(kept, Unavailable("ai.gateway.closing", "the gateway is being closed"))
                return None
        return kept

    def _do(self, batch: _Batch) -> None:
        if self._dead is not None:
            self._give_up(batch, self._dead)
            return
        try:
            verdicts, costs = self._transact(batch)
        except Unavailable as error:
            self._disconnect()
            self.trouble = error
            if error.code == "ai.gateway.superseded":
                self._dead = error
                self._give_up(batch, error)
            else:
                self._postpone(batch, error)
                self._tell()
                sleep(_PAUSE)
        except Exception as error:  # one call that cannot be written is not to keep the others out
            self._disconnect()
            singles = batch.singles()
            if len(singles) > 1:
                for single in singles:
                    self._do(single)
                return
            _logger.exception("a call could not be written to the ledger")
            known = error if isinstance(error, Error) else Internal("ai.ledger.failed", "the call cannot be written")
            self._give_up(batch, known)
        else:
            self.trouble = None
            self._note(batch, verdicts, costs)

    def _transact(self, batch: _Batch) -> tuple[list[Verdict], list[int | Error]]:
        self._is_doubtful = False
        db = self._connected()
        with self._begun(db):
            self._is_doubtful = True
            return self._books.apply(
                db, [ask for ask, _, _ in batch.asks], [each for each, _, _ in batch.settlements], batch.told,
                self._clock.now(),
            )  # fmt: skip

    def _begun(self, db: Connection) -> Any:
        """A transaction that has the lock."""
        until = monotonic() + _LOCK_PATIENCE
        while True:
            try:
                return db.begin()
            except Unavailable as error:
                if "SQLITE_BUSY" not in error.context or monotonic() > until:
                    raise

    def _connected(self) -> Connection:
        """One connection for long: taking one from the pool costs more than a call."""
        if self._db is None:
            self._db = self._engine.connect()
            if self._engine.dialect.name == "sqlite":
                self._db.detach()
                driver: Any = self._db.connection.dbapi_connection
                driver.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
        return self._db

    def _disconnect(self) -> None:
        if self._db is not None:
            db, self._db = self._db, None
            try:
                if self._engine.dialect.name != "sqlite":
                    db.invalidate()
                db.close()
            except Exception:
                _logger.exception("a connection of the ledger could not be closed")

    def _note(self, batch: _Batch, verdicts: list[Verdict], costs: list[int | Error]) -> None:
        now = monotonic()
        for item, verdict in zip(batch.asks, verdicts, strict=True):
            if isinstance(verdict, Lacking):
                if verdict.may_fit_later and now < item[2] and self._end is None:
                    self._waiting.asks.append(item)
                    continue
                verdict = verdict.refusal  # noqa: PLW2901
            self._asked += 1
            self._answers.append((item[1], (verdict,)))
        for (_, callback, _), cost in zip(batch.settlements, costs, strict=True):
            if callback is not None:
                answer = (None, cost) if isinstance(cost, Error) else (cost, None)
                self._answers.append((callback, answer))

    def _postpone(self, batch: _Batch, error: Error) -> None:
        """The database does not answer: no call is taken in, and what was called stays to be settled."""
        now = monotonic()
        for ask, callback, _ in batch.asks:
            self._refuse(callback, error)
            if self._is_doubtful:
                # Its reservation may have been written all the same: who asked will not settle it.
                released = Settlement(call=ask.call, outcome="failed", cost=0, told=True)
                self._kept.settlements.append((released, None, now))
        for item in batch.settlements:
            settlement, settled, until = item
            if settled is not None and now > until:
                self._answers.append((settled, (None, error)))
                item = (settlement, None, until)  # noqa: PLW2901
            self._kept.settlements.append(item)
        self._kept.told += batch.told

    def _give_up(self, batch: _Batch, error: Error) -> None:
        for _, callback, _ in batch.asks:
            self._refuse(callback, error)
        for _, settled, _ in batch.settlements:
            if settled is not None:
                self._answers.append((settled, (None, error)))
        if batch.settlements:
            _logger.error("%d settlements are not written: they cost what was reserved", len(batch.settlements))
        self._tell()

    def _refuse(self, callback: Reserved, error: Error) -> None:
        self._asked += 1
        self._answers.append((callback, (error,)))

    def _tell(self) -> None:
        if not self._answers and self._dead is None:
            return
        answers, self._answers = self._answers, []
        asked, self._asked = self._asked, 0
        try:
            self._loop.call_soon_threadsafe(self._answer, answers, asked, self._dead)
        except RuntimeError:
            return  # the loop was closed over our heads; nothing more can be told to anyone
