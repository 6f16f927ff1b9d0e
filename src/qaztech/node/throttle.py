"""Who keeps failing to say who they are is heard less often. Nothing of them is recorded; they are counted.

One bucket for each address: a failure takes from it, time fills it again. The number of addresses is bounded, so that
the throttle itself cannot be filled up.
"""

from __future__ import annotations

from collections import OrderedDict

FAILURES = 20.0
PER_SECOND = 1.0
ADDRESSES = 4096


class Throttle:
    """Failures by address; `now` is in seconds, from any steady clock."""

    def __init__(self, *, failures: float = FAILURES, per_second: float = PER_SECOND) -> None:
        self._failures = failures
        self._per_second = per_second
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def failed(self, address: str, now: float) -> None:
        """Whoever is at this address failed once more."""
        self._left[address] = (self._at(address, now) - 1.0, now)
        self._left.move_to_end(address)
        if len(self._left) > ADDRESSES:
            self._left.popitem(last=False)

    def allows(self, address: str, now: float) -> bool:
        """Whether this address is heard now."""
        return address not in self._left or self._at(address, now) >= 1.0

    def _at(self, address: str, now: float) -> float:
        left, since = self._left.get(address, (self._failures, now))
        return min(self._failures, left + (now - since) * self._per_second)
