"""How often a client calls, counted at the provider's node: calls in a minute, calls in a day, requests for access.

A minute is a whole minute of the clock and a day a day of Kazakhstan, so that the caller's node knows from the time of
a refusal alone when to come again. What is counted here begins anew when the node starts, and each node of a member
counts for itself. Not for limits of load, which are settings.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

from qaztech.core.errors import Error, Forbidden, Limited
from qaztech.core.ids import ServiceId, SubsystemId
from qaztech.registry.call_limits import CallLimits

MINUTE: Final = 60_000
DAY: Final = 24 * 60 * MINUTE
# Days begin at midnight of UTC+5.
OFFSET: Final = 5 * 60 * MINUTE
RATE, VOLUME, ASKED_TOO_OFTEN = "limit.rate", "limit.volume", "limit.access-requests"


class Counter:
    """How often something happened in the present window of `length` milliseconds, by key."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._window = -1
        self._counts: dict[Hashable, int] = {}

    def full(self, key: Hashable, limit: int | None, now: int) -> bool:
        """Whether it happened `limit` times in this window already."""
        window = (now + OFFSET) // self._length
        if window != self._window:
            self._window = window
            self._counts.clear()
        return limit is not None and self._counts.get(key, 0) >= limit

    def count(self, key: Hashable) -> None:
        """Once more, in the window that was looked at last."""
        self._counts[key] = self._counts.get(key, 0) + 1


class CallCounts:
    """What the members of this node allow each client; `limits` is put in place as a whole when a file changes."""

    def __init__(self, *, access_requests: int) -> None:
        self.limits: CallLimits = {}
        self.access_requests = access_requests
        self._minutes, self._days, self._asked = Counter(MINUTE), Counter(DAY), Counter(MINUTE)

    def call(self, service: ServiceId, client: SubsystemId, endpoint: str, now: int) -> Error | None:
        """Count one call by the right to an endpoint; why it is one too many, if so."""
        limit = self.limits.get((service, client))
        if limit is None:
            return None
        if endpoint in limit.closed:
            return Forbidden("access-right.missing", f"Request is not allowed: SERVICE:{service}", at="provider-node")
        key = (service, client)
        if self._days.full(key, limit.day, now):
            return Limited(VOLUME, f"{client} has made the {limit.day} calls of this day", at="provider-node")
        if self._minutes.full(key, limit.minute, now):
            return Limited(RATE, f"{client} has made the {limit.minute} calls of this minute", at="provider-node")
        self._days.count(key)
        self._minutes.count(key)
        return None

    def access_request(self, client: SubsystemId, now: int) -> Limited | None:
        """Count one call about access; why it is one too many, if so."""
        if self._asked.full(client, self.access_requests, now):
            detail = f"{client} may speak of access {self.access_requests} times a minute"
            return Limited(ASKED_TOO_OFTEN, detail, at="provider-node")
        self._asked.count(client)
        return None


def retry_after(code: str, refused: int) -> int:
    """Seconds after which a call refused for a limit at that moment (milliseconds) may be made again."""
    length = {RATE: MINUTE, ASKED_TOO_OFTEN: MINUTE, VOLUME: DAY}.get(code)
    if length is None:
        return 1
    left = length - (refused + OFFSET) % length
    return -(-left // 1000)
