"""Hourly calls of one client to one service over the window of 120 days, by the manner in which it is used."""

from __future__ import annotations

import math
import random
from datetime import datetime, timedelta

FIRST_HOUR = datetime(2026, 7, 26)  # noqa: DTZ001 -- written as UTC without a zone, as Parquet holds it
DAYS = 120
# Share of the mean by the hour of Astana (UTC+5), for services that people use day and night.
DAY_SHAPE = (2, 1, 1, 1, 1, 2, 4, 8, 12, 15, 16, 15, 12, 14, 15, 14, 13, 11, 10, 10, 9, 7, 5, 3)

Row = tuple[datetime, str, str, int, int, int]


def _about(rng: random.Random, mean: float) -> int:
    return max(0, round(rng.gauss(mean, math.sqrt(mean)))) if mean > 0 else 0


def _calls(rng: random.Random, manner: str, level: float, hour: datetime) -> int:
    local = hour + timedelta(hours=5)
    workday = local.weekday() < 5
    match manner:
        case "office":
            return _about(rng, level) if workday and 9 <= local.hour < 18 else 0
        case "day":
            return _about(rng, level * DAY_SHAPE[local.hour] / 8.4 * (1 if workday else 0.6))
        case "night":
            return _about(rng, level) if local.hour == 2 else 0
        case "weekly":
            return _about(rng, level) if local.hour == 6 and local.weekday() == 0 else 0
        case "monthly":
            return _about(rng, level) if local.hour == 8 and local.day == 3 else 0
        case "constant":
            return round(level)
        case "every6":
            return round(level) if hour.hour % 6 == 0 else 0
        case "halfday":
            return round(level) if hour.hour % 12 == 7 else 0
        case "rare":
            return 1 if rng.random() < level / (DAYS * 24) else 0
        case "ended":
            return _about(rng, level) if workday and 9 <= local.hour < 18 and hour < FIRST_HOUR + timedelta(15) else 0
        case "rising":
            done = (hour - FIRST_HOUR) / timedelta(DAYS)
            return _about(rng, level * done) if workday and 9 <= local.hour < 18 else 0
    raise ValueError(manner)


def traffic_of(seed: str, client: str, service: str, manner: str, level: float) -> list[Row]:
    """The rows with at least one call; `level` is the mean of a busy hour (for `rare`: calls in the whole window)."""
    rng = random.Random(seed)
    size = rng.randrange(400, 6000, 40)
    trouble = 0.0 if manner in {"constant", "every6", "halfday"} else rng.choice((0.001, 0.004, 0.01))
    rows: list[Row] = []
    for number in range(DAYS * 24):
        hour = FIRST_HOUR + timedelta(hours=number)
        calls = _calls(rng, manner, level, hour)
        if calls:
            failed = sum(rng.random() < trouble for _ in range(min(calls, 60)))
            rows.append((hour, client, service, calls, failed, calls * size))
    return rows
