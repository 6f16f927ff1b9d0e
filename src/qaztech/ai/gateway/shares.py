"""What one member may have of a gateway that several share: calls under way, memory of their bodies, reading of texts.

Nobody is kept waiting by another's load: a part is always left to the others, and texts are read in turn by member.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from qaztech.core.errors import Limited

# Of all there is, what one member may have: three quarters.
_PART, _OF = 3, 4
# Finding is Python's own work: more threads would only take turns. Each member has one at most.
_READERS = 2


class Shares:
    """Calls under way and bytes of their bodies. On the loop's thread."""

    def __init__(self, *, calls: int, held: int) -> None:
        self._most_calls, self._most_held = calls, held
        self._calls: Counter[str] = Counter()
        self._held: Counter[str] = Counter()

    @property
    def held(self) -> int:
        """Bytes of all bodies that are held now."""
        return self._held.total()

    def take(self, member: str, size: int) -> None:
        """Begin a call with a body of so many bytes. Raises `Limited`."""
        if (
            self._calls.total() >= self._most_calls
            or self._held.total() + size > self._most_held
            or (self._calls[member] + 1) * _OF > self._most_calls * _PART
            or (self._held[member] + size) * _OF > self._most_held * _PART
        ):
            raise Limited("ai.gateway.busy", "too many calls are under way", at="consumer-node", retry_after=1)
        self._calls[member] += 1
        self._held[member] += size

    def give(self, member: str, size: int) -> None:
        """A call is over."""
        self._calls[member] -= 1
        self._held[member] -= size
        if not self._calls[member]:
            del self._calls[member], self._held[member]


class Readers:
    """Threads for looking through what is large: members take turns, and each has one thread at most."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._threads = ThreadPoolExecutor(_READERS, thread_name_prefix="ai-reader")
        self._waiting: OrderedDict[str, deque[tuple[Callable[[], Any], Callable[[asyncio.Future[Any]], None]]]] = (
            OrderedDict()
        )
        self._busy: set[str] = set()

    def read(self, member: str, work: Callable[[], Any], done: Callable[[asyncio.Future[Any]], None]) -> None:
        """Do this work when it is the member's turn; `done` is called on the loop."""
        self._waiting.setdefault(member, deque()).append((work, done))
        self._go_on()

    def _go_on(self) -> None:
        for member in list(self._waiting):
            if len(self._busy) >= _READERS:
                return
            if member not in self._busy:
                self._begin(member)

    def _begin(self, member: str) -> None:
        queue = self._waiting[member]
        work, done = queue.popleft()
        self._waiting.move_to_end(member)
        if not queue:
            del self._waiting[member]
        self._busy.add(member)

        def ended(future: asyncio.Future[Any]) -> None:
            self._busy.discard(member)
            self._go_on()
            done(future)

        self._loop.run_in_executor(self._threads, work).add_done_callback(ended)

    def close(self) -> None:
        """Begin nothing more."""
        self._waiting.clear()
        self._threads.shutdown(wait=False, cancel_futures=True)
