"""What stands in the way of calls now, and what is about to: for health, counters and whoever is called at night.

Looks at the books again and again, so that a database that is away, held or full, and another gateway of the same name,
are known before a caller meets them. Not here: what a single call is told (`serving`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
from pathlib import Path

from qaztech.ai.gateway.ledger import Ledger
from qaztech.ai.gateway.places import Places
from qaztech.ai.gateway.standings import Standings
from qaztech.ai.gateway.telling import Teller
from qaztech.core.errors import Error
from qaztech.runtime.telemetry import log_error

logger = logging.getLogger("qaztech.ai")
LOOK_SECONDS = 15.0
# A disk with less room is warned of: the books of some hundred thousand calls.
ROOM = 64 * 1024 * 1024


class Watch:
    """Reasons why no call can succeed, and warnings: what has begun to fail while calls still do."""

    def __init__(
        self, *, standings: Standings, ledger: Ledger, places: Places, teller: Teller, every: float = LOOK_SECONDS,
        directory: Path | None = None,
    ) -> None:  # fmt: skip
        self._standings = standings
        self._ledger = ledger
        self._places = places
        self._teller = teller
        self._every = every
        # Where the books are on this machine's disk, and its bytes that are free where they are few.
        self._directory = directory
        self._room: int | None = None
        self._books: Error | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._follow())

    def reasons(self) -> tuple[str, ...]:
        """Why calls are refused now: `node.away`, `ledger CODE`, `register.silent MEMBER`."""
        found = ["node.away"] if self._places.is_node_away else []
        books = self._ledger.trouble or self._books
        if books is not None:
            found.append(f"ledger {books.code}")
        return (*found, *(f"register.silent {member}" for member in self._standings.silent()))

    def warnings(self) -> tuple[str, ...]:
        """What fails while calls go on: `register.failing MEMBER CODE`, `usage.untold NUMBER SERVICE`, `disk.low …`."""
        silent = set(self._standings.silent())
        failing = [
            f"register.failing {member} {error.context or error.code}"
            for member, error in self._standings.failing().items()
            if member not in silent
        ]
        if self._room is not None:
            failing.append(f"disk.low {self._room >> 20} MiB")
        return (*failing, *(f"usage.untold {len(self._teller)} {each}" for each in sorted(self._teller.deaf)))

    def gauges(self) -> dict[str, float]:
        """The register's age by member (seconds), calls whose usage is not told yet, whether the books can be kept."""
        ages = self._standings.ages().items()
        return {
            "ai_books_kept": int(self._books is None and self._ledger.trouble is None),
            "ai_node_reached": int(not self._places.is_node_away),
            "ai_usage_untold": len(self._teller),
            "ai_register_silent": len(self._standings.silent()),
            **{f'ai_register_age_seconds{{member="{member}"}}': age / 1000 for member, age in ages},
        }

    async def look(self) -> None:
        """Look at the books and their disk once; what has changed is logged."""
        self._look_at_disk()
        try:
            await self._ledger.check()
        except Error as exc:
            if self._books is None or self._books.code != exc.code:
                log_error(logger, f"the gateway's books cannot be kept: {exc.detail}", exc)
            self._books = exc
        else:
            if self._books is not None:
                logger.info("the gateway's books can be kept again")
            self._books = None

    def _look_at_disk(self) -> None:
        if self._directory is None:
            return
        try:
            free = shutil.disk_usage(self._directory).free
        except OSError:
            return  # the look at the books says what is wrong
        if free < ROOM and self._room is None:
            logger.warning("the disk of the gateway's books is nearly full", extra={"fields": {"free_bytes": free}})
        self._room = free if free < ROOM else None

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            await self.look()

    async def close(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
