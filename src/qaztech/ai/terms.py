"""The words that register, gateway and detection share: data classes in their order, modes, risk, autonomy.

The words are those of the law on artificial intelligence, article 17; the classes of data are the project's own. What
a mode may take is said here once, for cards and for deployments. Not here: what follows from a card (`register.life`).
"""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from typing import Final, Literal, get_args

DataClass = Literal["public", "internal", "personal", "restricted"]
Mode = Literal["open", "closed", "local"]
Risk = Literal["minimal", "medium", "high"]
Autonomy = Literal["low", "medium", "high"]

# From what anybody may see to what the law closes.
CLASSES: Final[tuple[DataClass, ...]] = get_args(DataClass)
MODES: Final[tuple[Mode, ...]] = get_args(Mode)
RISKS: Final[tuple[Risk, ...]] = get_args(Risk)
AUTONOMIES: Final[tuple[Autonomy, ...]] = get_args(Autonomy)
KAZAKHSTAN: Final = timezone(timedelta(hours=5))
# The highest class that a system of a mode may take.
HIGHEST_OF: Final[dict[Mode, DataClass]] = {"open": "public", "closed": "personal", "local": "restricted"}


def within(data: DataClass, highest: DataClass) -> bool:
    """Whether data of a class is at most of another."""
    return CLASSES.index(data) <= CLASSES.index(highest)


def day_of(moment: int) -> date:
    """The day of a time (ms) in Kazakhstan, UTC+5 all year: days of cards, months of budgets."""
    return datetime.fromtimestamp(moment / 1000, KAZAKHSTAN).date()


def begin_of(day: date) -> int:
    """When a day begins in Kazakhstan (ms)."""
    return int(datetime(day.year, day.month, day.day, tzinfo=KAZAKHSTAN).timestamp()) * 1000
