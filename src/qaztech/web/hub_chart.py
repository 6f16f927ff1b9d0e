"""Calls by day as a picture: a bar for each day, what ended well below, everything else above it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qaztech.hub.summary import Sum

WIDTH, HEIGHT = 720, 140


@dataclass(frozen=True, slots=True, kw_only=True)
class DayBar:
    """One day's bar: its sum, and where both parts stand."""

    sum: Sum
    x: float
    width: float
    good_y: float
    good_height: float
    other_y: float
    other_height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DayChart:
    """The picture; `highest` is what its full height stands for."""

    bars: tuple[DayBar, ...]
    highest: int
    width: int = WIDTH
    height: int = HEIGHT


def day_chart(days: Sequence[Sum]) -> DayChart:
    """The chart of these days, in their order."""
    highest = max((day.calls for day in days), default=0)
    return DayChart(
        bars=tuple(_bar(number, len(days), day, max(highest, 1)) for number, day in enumerate(days)), highest=highest
    )


def _bar(number: int, count: int, day: Sum, highest: int) -> DayBar:
    room = WIDTH / count
    gap = min(6.0, room / 4)
    good, other = (round(calls / highest * HEIGHT, 1) for calls in (day.succeeded, day.failed))
    return DayBar(
        sum=day,
        x=round(number * room + gap / 2, 1),
        width=round(room - gap, 1),
        good_y=round(HEIGHT - good, 1),
        good_height=good,
        other_y=round(max(0.0, HEIGHT - good - other), 1),
        other_height=other,
    )
