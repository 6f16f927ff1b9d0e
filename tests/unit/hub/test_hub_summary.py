"""Totals put together: by service, by organisation, by day; nothing lost and nothing counted twice."""

from __future__ import annotations

from datetime import date

from qaztech.hub.summary import by_consumer, by_day, by_provider, by_service, whole
from qaztech.hub.traffic import Total

A, B = "KZ/GOV/991340000017/permits", "KZ/EDU/991340000037/research"
CODES, OTHER = "KZ/QUASI/991340000027/codes/codes", "KZ/QUASI/991340000027/codes/other"


def total(
    day: str, client: str, service: str, calls: int, *, good: int, mean: float | None = 10.0, open_: int = 0
) -> Total:
    return Total(day, client, service, calls, good, 0, calls - good - open_, 100, 200, mean, open_)


TOTALS = [
    total("2026-11-20", A, CODES, 3, good=3, mean=10.0),
    total("2026-11-22", A, CODES, 1, good=0, mean=50.0),
    total("2026-11-22", B, CODES, 4, good=3, mean=None, open_=1),
    total("2026-11-22", A, OTHER, 20, good=20),
]


def test_by_service_the_most_called_first() -> None:
    """With how many different callers it had, and the mean of what was timed."""
    other, codes = by_service(TOTALS)
    assert (other.name, other.calls, other.others) == (OTHER, 20, 1)
    assert (codes.calls, codes.succeeded, codes.failed, codes.unfinished, codes.others) == (8, 6, 1, 1, 2)
    assert codes.mean_ms == 20.0
    assert codes.bytes == 900


def test_by_organisation_on_either_side() -> None:
    """Who provides, and who calls."""
    (provider,) = by_provider(TOTALS)
    assert (provider.name, provider.calls, provider.others) == ("KZ/QUASI/991340000027", 28, 2)
    assert [(each.name, each.calls, each.others) for each in by_consumer(TOTALS)] == [
        ("KZ/GOV/991340000017", 24, 2),
        ("KZ/EDU/991340000037", 4, 1),
    ]


def test_every_day_of_a_period_is_there() -> None:
    """Also those without a call; what was not timed has no mean."""
    days = by_day(TOTALS, date(2026, 11, 20), date(2026, 11, 23))
    assert [(day.name[-2:], day.calls) for day in days] == [("20", 3), ("21", 0), ("22", 25), ("23", 0)]
    assert whole(TOTALS).calls == 28
    assert (whole([]).calls, whole([]).mean_ms) == (0, None)
