"""Totals put together for people: by service, by consumer, by day. Pure; the counting itself is `traffic`'s."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from qaztech.hub.traffic import Total


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """Exchanges under one `name` (a service, a member, a day): how they ended, bytes both ways, mean milliseconds.

    `others` is how many different partners they had: the callers of a service, the services of a caller.
    """

    name: str
    calls: int = 0
    succeeded: int = 0
    refused: int = 0
    unanswered: int = 0
    bytes: int = 0
    mean_ms: float | None = None
    others: int = 0
    unfinished: int = 0

    @property
    def failed(self) -> int:
        """Calls that are known not to have ended well, for whatever reason."""
        return self.calls - self.succeeded - self.unfinished


def member_of(identifier: str) -> str:
    """The member's part of the identifier of a system or service."""
    return "/".join(identifier.split("/")[:3])


def by_service(totals: Iterable[Total]) -> list[Sum]:
    """A sum for each service, the most called first."""
    return _most_first(_grouped(totals, lambda t: t.service, lambda t: t.client))


def by_provider(totals: Iterable[Total]) -> list[Sum]:
    """A sum for each member whose services were called, the most called first."""
    return _most_first(_grouped(totals, lambda t: member_of(t.service), lambda t: member_of(t.client)))


def by_consumer(totals: Iterable[Total]) -> list[Sum]:
    """A sum for each member that called, the most calling first."""
    return _most_first(_grouped(totals, lambda t: member_of(t.client), lambda t: t.service))


def by_day(totals: Iterable[Total], first: date, last: date) -> list[Sum]:
    """A sum for each day from the first to the last, days without calls included."""
    found = {each.name: each for each in _grouped(totals, lambda t: t.day, lambda t: t.service)}
    days = (first + timedelta(days=number) for number in range((last - first).days + 1))
    return [found.get(day.isoformat(), Sum(name=day.isoformat())) for day in days]


def whole(totals: Iterable[Total]) -> Sum:
    """All of them together."""
    return next(iter(_grouped(totals, lambda _: "", lambda t: t.service)), Sum(name=""))


def _grouped(totals: Iterable[Total], name: Callable[[Total], str], other: Callable[[Total], str]) -> list[Sum]:
    groups: dict[str, list[Total]] = {}
    for total in totals:
        groups.setdefault(name(total), []).append(total)
    return [_sum(key, group, {other(total) for total in group}) for key, group in groups.items()]


def _sum(name: str, group: list[Total], others: set[str]) -> Sum:
    timed = [(total.mean_ms, total.calls) for total in group if total.mean_ms is not None]
    weight = sum(calls for _, calls in timed)
    return Sum(
        name=name,
        calls=sum(total.calls for total in group),
        succeeded=sum(total.succeeded for total in group),
        refused=sum(total.refused for total in group),
        unanswered=sum(total.unanswered for total in group),
        bytes=sum(total.request_bytes + total.response_bytes for total in group),
        mean_ms=sum(mean * calls for mean, calls in timed) / weight if weight else None,
        others=len(others),
        unfinished=sum(total.unfinished for total in group),
    )


def _most_first(sums: list[Sum]) -> list[Sum]:
    return sorted(sums, key=lambda each: (-each.calls, each.name))
