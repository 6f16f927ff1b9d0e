"""Whether the clock of this machine is right, by the registry's and the witnesses' each time these answer.

The registry's time is the `Date` of an HTTP answer, which nobody signs; the witnesses' is the median of what they
signed. So this raises an alarm and decides nothing. What is done with messages from another time is in `exchange`.
"""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median_low

from qaztech.core.exchange import CLOCK_SKEW
from qaztech.core.time import Clock
from qaztech.registry.client import Alarm

# Peers refuse what is signed a minute off; people hear of half of it. `Date` is exact to two seconds or so.
OFF_WARNING = CLOCK_SKEW // 2
# More than two answers of a clock that runs differ by, in milliseconds.
SET = 10_000

REGISTRY = "registry"
WITNESSES = "witnesses"


class ClockWatch:
    """How far the own clock is from others' (milliseconds; above 0: it is ahead). Told from any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ahead: dict[str, int] = {}
        self._since: int | None = None

    def heard(self, source: str, time: int) -> None:
        """What another clock shows now (milliseconds since 1970)."""
        ahead = self._clock.now() - time
        if abs(ahead - self._ahead.get(source, ahead)) >= SET:
            # One of the two was set: what was found by the old time says nothing any more.
            self._ahead = {}
        self._ahead[source] = ahead

    def heard_witnesses(self, seconds: Iterable[int]) -> None:
        """When each witness cosigned just now (seconds since 1970)."""
        times = list(seconds)
        if times:
            self.heard(WITNESSES, median_low(times) * 1000 + 500)

    def alarms(self) -> list[Alarm]:
        """`clock.wrong` while one of the others shows another time."""
        ahead = dict(self._ahead)
        if not any(abs(off) >= OFF_WARNING for off in ahead.values()):
            self._since = None
            return []
        if self._since is None:
            self._since = self._clock.now()
        told = ", ".join(f"{_told(off)} the {source}{_QUOTE[source]}" for source, off in sorted(ahead.items()))
        detail = f"the clock of this machine is {told}; a minute off, and peers refuse every exchange"
        return [Alarm(code="clock.wrong", detail=detail, since=self._since)]

    def gauges(self) -> dict[str, float]:
        """For the metrics: seconds by which the clock is ahead of each that was heard."""
        return {f'clock_ahead_seconds{{of="{source}"}}': off / 1000 for source, off in dict(self._ahead).items()}


_QUOTE = {REGISTRY: "'s", WITNESSES: "'"}


def _told(off: int) -> str:
    if abs(off) < OFF_WARNING:
        return "as"
    seconds = abs(off) // 1000
    days, seconds = divmod(seconds, 86_400)
    hours, seconds = divmod(seconds, 3600)
    minutes, seconds = divmod(seconds, 60)
    units = ((days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s"))
    parts = [f"{number} {unit}" for number, unit in units if number]
    return f"{' '.join(parts[:2])} {'ahead of' if off > 0 else 'behind'}"
