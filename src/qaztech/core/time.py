"""Time as the project uses it: integer milliseconds since the Unix epoch, always from an injected `Clock`."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Where the time comes from."""

    def now(self) -> int:
        """Milliseconds since the Unix epoch."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> int:
        """Milliseconds since the Unix epoch."""
        return time.time_ns() // 1_000_000


class ManualClock:
    """A clock that moves when told, for tests and simulations."""

    def __init__(self, start: int = 1_800_000_000_000) -> None:
        self._now = start

    def now(self) -> int:
        """Milliseconds since the Unix epoch."""
        return self._now

    def advance(self, milliseconds: int) -> None:
        """Move the clock by so many milliseconds (negative moves it back)."""
        self._now += milliseconds
