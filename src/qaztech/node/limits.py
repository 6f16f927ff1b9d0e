"""How often a client calls, counted at the provider's node: calls in a minute, calls in a day, requests for access.

A minute is a whole minute of the clock and a day a day of Kazakhstan, so that the caller's node knows from the time of
a refusal alone when to come again. The counts of the day are kept over a restart; each node of a member counts for
itself. Not for limits of load, which are settings.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final, Generic, TypeVar

import msgspec

from qaztech.core.errors import Error, Forbidden, Limited, Unavailable
from qaztech.core.ids import ServiceId, SubsystemId
from qaztech.registry.call_limits import CallLimits, Timetable

MINUTE: Final = 60_000
DAY: Final = 24 * 60 * MINUTE
# Days begin at midnight of UTC+5.
OFFSET: Final = 5 * 60 * MINUTE
RATE, VOLUME, ASKED_TOO_OFTEN = "limit.rate", "limit.volume", "limit.access-requests"


Key = TypeVar("Key", bound=Hashable)


class Counter(Generic[Key]):
    """How often something happened in the present window of `length` milliseconds, by key."""

    def __init__(self, length: int) -> None:
        self._length = length
        self.window = -1
        self.counts: dict[Key, int] = {}

    def full(self, key: Key, limit: int | None, now: int) -> bool:
        """Whether it happened `limit` times in this window already."""
        window = (now + OFFSET) // self._length
        if window != self.window:
            self.window = window
            self.counts.clear()
        return limit is not None and self.counts.get(key, 0) >= limit

    def count(self, key: Key) -> None:
        """Once more, in the window that was looked at last."""
        self.counts[key] = self.counts.get(key, 0) + 1


class CallCounts:
    """What the members of this node allow each client; `limits` is put in place as a whole when a file changes.

    `timetable` says when a service is not to be called at all.
    """

    def __init__(self, *, access_requests: int) -> None:
        self.limits: CallLimits = {}
        self.timetable: Timetable = {}
        self.access_requests = access_requests
        self._minutes: Counter[tuple[ServiceId, SubsystemId]] = Counter(MINUTE)
        self._days: Counter[tuple[ServiceId, SubsystemId]] = Counter(DAY)
        self._asked: Counter[SubsystemId] = Counter(MINUTE)

    def call(self, service: ServiceId, client: SubsystemId, endpoint: str, now: int) -> Error | None:
        """Count one call by the right to an endpoint; why it is one too many, or out of time, if so."""
        planned = self.timetable.get(service)
        if planned is not None and planned.lasts(now):
            return Unavailable(
                "service.disabled", f"Service SERVICE:{service} is disabled: {planned.text()}", at="provider-node"
            )
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

    def saved(self) -> bytes:
        """The calls of this day so far, to be kept over a restart."""
        counts = [(str(service), str(client), count) for (service, client), count in self._days.counts.items()]
        return msgspec.json.encode(_Saved(day=self._days.window, counts=counts))

    def restore(self, saved: bytes) -> None:
        """Go on from there. What is damaged, or of another day by the next call, counts for nothing."""
        try:
            found = msgspec.json.decode(saved, type=_Saved)
            counts = {(ServiceId.parse(s), SubsystemId.parse(c)): count for s, c, count in found.counts}
        except (msgspec.DecodeError, UnicodeDecodeError, Error):
            return
        self._days.window = found.day
        self._days.counts = counts


class _Saved(msgspec.Struct, forbid_unknown_fields=True):
    day: int
    counts: list[tuple[str, str, int]]


def retry_after(code: str, refused: int) -> int:
    """Seconds after which a call refused for a limit at that moment (milliseconds) may be made again."""
    length = {RATE: MINUTE, ASKED_TOO_OFTEN: MINUTE, VOLUME: DAY}.get(code)
    if length is None:
        return 1
    left = length - (refused + OFFSET) % length
    return -(-left // 1000)
