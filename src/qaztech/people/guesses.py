"""Tells the operator that somebody guesses passwords: counters, and now and then a line in the log.

A line says what went wrong, how often since the line before, and of which account by the first characters of its
random id (`unknown` where there is none by that name). Never what was typed, nor from where: a password may have been
typed as a name. Guessing is slowed down in `throttle`.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from typing import Final, Literal

from qaztech.core.time import Clock

# No more than a line of a kind in so many milliseconds: whoever guesses must not fill the disk.
LINE_EVERY: Final = 10_000
Result = Literal["let-in", "refused", "slowed-down"]
RESULTS: Final[tuple[Result, ...]] = ("let-in", "refused", "slowed-down")
logger = logging.getLogger("qaztech.people")


class Guesses:
    """Counts attempts by password, of one process. From any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._untold: Counter[str] = Counter()
        self._told: dict[str, int] = {}

    def let_in(self) -> None:
        """The password was right."""
        self._counts["let-in"] += 1

    def failed(self, result: Result, account: str | None) -> None:
        """A password was wrong, or had to wait; `account` is the id of the account, if there is one by that name."""
        now = self._clock.now()
        with self._lock:
            self._counts[result] += 1
            self._untold[result] += 1
            if abs(now - self._told.get(result, 0)) < LINE_EVERY:
                return
            self._told[result] = now
            often, self._untold[result] = self._untold[result], 0
        fields = {"result": result, "attempts": often, "account": account[:8] if account else "unknown"}
        logger.warning("a password was not accepted", extra={"fields": fields})

    def counts(self) -> dict[str, float]:
        """For the metrics."""
        return {f'sign_ins_total{{by="password",result="{result}"}}': self._counts[result] for result in RESULTS}
