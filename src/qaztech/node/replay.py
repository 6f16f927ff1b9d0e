"""Replays: no request record is taken twice, also not after a restart, at the price of one number for each peer log.

A record stands at one index of its log, and a peer sends its records in the order of its log. So whatever is not above
the highest index taken from that log has been here, or was lost with its link and is dead. After a restart the largest
head durably accepted stands for what was taken before.
"""

from __future__ import annotations

from collections.abc import Mapping

from qaztech.node.journal import Remembered


class ReplayGuard:
    """The highest index taken, by log origin."""

    def __init__(self, accepted: Mapping[str, Remembered]) -> None:
        self._highest = {origin: head.size - 1 for origin, head in accepted.items()}

    def take(self, origin: str, index: int) -> bool:
        """Whether the record at this index of that log is new; from then on it is not."""
        if index <= self._highest.get(origin, -1):
            return False
        self._highest[origin] = index
        return True
