"""The traffic of the last hour as a picture: a bar for five minutes, what was answered below, all other above it.

Pure. A node keeps its last 500 exchanges for this; where there were more, `since` says from when on they are all here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

HOUR, STEP = 3_600_000, 300_000
WIDTH, HEIGHT, GAP = 720, 120, 6
MOST = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar: from when (milliseconds), how many were answered and how many not, and where both parts stand."""

    begins: int
    answered: int
    other: int
    x: float
    width: float
    answered_y: float
    answered_height: float
    other_y: float
    other_height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """The picture, and the numbers beside it."""

    bars: tuple[Bar, ...]
    answered: int
    other: int
    called: int
    provided: int
    highest: int
    since: int | None
    width: int = WIDTH
    height: int = HEIGHT


def traffic(exchanges: Iterable[Mapping[str, Any]], now: int) -> Chart:
    """The chart of a node's exchanges (as its management API lists them)."""
    listed = list(exchanges)
    first = now - HOUR - now % STEP + STEP
    steps = HOUR // STEP
    answered, other = [0] * steps, [0] * steps
    recent = [one for one in listed if first <= int(one.get("time", 0)) <= now]
    for each in recent:
        index = min((int(each["time"]) - first) // STEP, steps - 1)
        (answered if str(each.get("state", "")).startswith("answered") else other)[index] += 1
    highest = max((a + o for a, o in zip(answered, other, strict=True)), default=0)
    oldest = min((int(one.get("time", 0)) for one in listed), default=now)
    return Chart(
        bars=tuple(_bar(i, first, answered[i], other[i], max(highest, 1)) for i in range(steps)),
        answered=sum(answered),
        other=sum(other),
        called=sum(each.get("side") == "consumer" for each in recent),
        provided=sum(each.get("side") == "provider" for each in recent),
        highest=highest,
        since=oldest if len(listed) >= MOST and oldest > first else None,
    )


def _bar(index: int, first: int, answered: int, other: int, highest: int) -> Bar:
    width = WIDTH / (HOUR // STEP)
    low, high = (round(count / highest * HEIGHT, 1) for count in (answered, other))
    return Bar(
        begins=first + index * STEP,
        answered=answered,
        other=other,
        x=round(index * width + GAP / 2, 1),
        width=round(width - GAP, 1),
        answered_y=HEIGHT - low,
        answered_height=low,
        other_y=HEIGHT - low - high,
        other_height=high,
    )
