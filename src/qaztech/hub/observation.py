"""What the backbone saw of a system's use, and whether it could have seen it.

A flow is all calls of one client subsystem to one service. A system that people use directly shows nothing here, so
every statement about use carries how much of it can be observed. Not here: reading Parquet (`flows`), judging.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from qaztech.hub.register.rows import DigitalObject, Signal, UseChannel
from qaztech.hub.register.snapshot import Register

# Parts of an identifier that name the member.
_MEMBER: Final = 3


class Observability(StrEnum):
    """Whether a system's use passes through the backbone."""

    FULL = "full"
    PARTIAL = "partial"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """The calls of one client (a subsystem's id) to one service (a service's id) over the observed time.

    `regularity` is the share of gaps between active hours that are the commonest gap (0..1), `variation` the standard
    deviation of calls per active hour over their mean; `monthly` calls by month, YYYY-MM.
    """

    client: str
    service: str
    calls: int
    failed: int
    size: int
    first: date
    last: date
    active_days: int
    active_hours: int
    regularity: float
    variation: float
    monthly: tuple[tuple[str, int], ...] = ()

    @property
    def provider(self) -> str:
        """The subsystem that provides the service."""
        return self.service.rsplit("/", 1)[0]


class Traffic:
    """All flows seen from `since` to `until`, both included; empty with None where nothing was observed.

    `watched` says since when what members (their ids) exchange is delivered; None where all were seen all the time.
    """

    def __init__(
        self,
        flows: Iterable[Flow],
        since: date | None,
        until: date | None,
        watched: Mapping[str, date] | None = None,
    ) -> None:
        self.flows: Sequence[Flow] = tuple(flows)
        self.since = since
        self.until = until
        self.watched = watched
        self._to: defaultdict[str, list[Flow]] = defaultdict(list)
        self._of: defaultdict[str, list[Flow]] = defaultdict(list)
        for flow in self.flows:
            self._to[flow.provider].append(flow)
            self._of[flow.client].append(flow)

    @property
    def days(self) -> int:
        """How many days were observed."""
        return 0 if self.since is None or self.until is None else (self.until - self.since).days + 1

    def since_for(self, subsystems: Iterable[str]) -> date | None:
        """Since when calls of these subsystems would be seen; None where they would not be, or there are none."""
        members = {"/".join(subsystem.split("/")[:_MEMBER]) for subsystem in subsystems}
        if not members or self.since is None or self.watched is None:
            return self.since if members else None
        return min((max(self.since, self.watched[each]) for each in members if each in self.watched), default=None)

    def days_for(self, subsystems: Iterable[str]) -> int:
        """How many days calls of these subsystems would have been seen: zero calls of none of them say nothing."""
        since = self.since_for(subsystems)
        return 0 if since is None or self.until is None else max(0, (self.until - since).days + 1)

    def to(self, subsystems: Iterable[str]) -> list[Flow]:
        """Calls to services of these subsystems."""
        return [flow for subsystem in subsystems for flow in self._to.get(subsystem, ())]

    def of(self, subsystems: Iterable[str]) -> list[Flow]:
        """Calls made by these subsystems."""
        return [flow for subsystem in subsystems for flow in self._of.get(subsystem, ())]


NOTHING_SEEN = Traffic((), None, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What is known of a system's use: calls to it and by it, the subsystems that called, sign-ins by month.

    `days` is for how long calls would have been seen, from `since`; where it is 0, no call says nothing.
    """

    observability: Observability
    calls_in: int
    calls_out: int
    callers: frozenset[str]
    last_call: date | None
    sign_ins: tuple[tuple[str, int], ...]
    days: int
    since: date | None

    @property
    def known(self) -> bool:
        """Whether the numbers of calls are known: some were seen, or would have been."""
        return self.days > 0 or self.last_call is not None


def observability_of(object_: DigitalObject) -> Observability:
    """Whether calls can show this system's use: by what its owner declares, and whether it has an identity there."""
    if not object_.subsystems or object_.use_channel in {None, UseChannel.PEOPLE, UseChannel.OFFLINE}:
        return Observability.NONE
    return Observability.FULL if object_.use_channel is UseChannel.BACKBONE else Observability.PARTIAL


def usage_of(object_: DigitalObject, register: Register, traffic: Traffic) -> Usage:
    """What is known of one system's use in the observed time."""
    coming, going = traffic.to(object_.subsystems), traffic.of(object_.subsystems)
    signals = sorted((signal.month, signal.sign_ins) for signal in register.of(Signal, object_.id))
    return Usage(
        observability=observability_of(object_),
        calls_in=sum(flow.calls for flow in coming),
        calls_out=sum(flow.calls for flow in going),
        callers=frozenset(flow.client for flow in coming),
        last_call=max((flow.last for flow in (*coming, *going)), default=None),
        sign_ins=tuple(signals),
        days=traffic.days_for(object_.subsystems),
        since=traffic.since_for(object_.subsystems),
    )
