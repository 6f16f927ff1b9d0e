"""Where imports are done: threads of their own with a short queue, so that no page ever waits behind a large file.

What does not fit into the queue is refused with a time to come again. Not here: what is done there.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, ParamSpec, TypeVar

from qaztech.core.errors import Limited

# Files that are read or planned at once, and pieces of work that wait for that.
THREADS: Final = 2
MOST_QUEUED: Final = 8
COME_AGAIN: Final = 10
P = ParamSpec("P")
R = TypeVar("R")


class ImportWork:
    """Does pieces of work in threads that do nothing else. Use it from event loops."""

    def __init__(self, *, threads: int = THREADS, queued: int = MOST_QUEUED) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="import")
        self._most = threads + queued
        self._lock = threading.Lock()
        self._held = 0

    def begin(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[R]:
        """Begin a piece of work; it goes on where nobody waits for it. Raises `Limited` where the queue is full."""
        with self._lock:
            if self._held >= self._most:
                raise Limited(
                    "import.busy", "other files are being read at this moment", at="service", retry_after=COME_AGAIN
                )
            self._held += 1
        try:
            begun = self._threads.submit(work, *args, **kwargs)
        except BaseException:
            self._end(None)
            raise
        begun.add_done_callback(self._end)
        return asyncio.wrap_future(begun)

    async def run(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Do it and give what comes of it. Raises `Limited` where the queue is full."""
        return await asyncio.shield(self.begin(work, *args, **kwargs))

    def close(self) -> None:
        """Begin nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _end(self, _: Any) -> None:
        with self._lock:
            self._held -= 1
