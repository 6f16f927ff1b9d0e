"""Budgets and limits as pure decisions over whole numbers: what a call costs, whether it fits, when to come again.

A call that fits is let in, whatever else waits; one that does not may wait for reservations to be released, unless no
release could make it fit. Nothing here reads a clock or a table (`books` does).
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum
from functools import lru_cache
from typing import Final, Literal, get_args

from qaztech.core.errors import Error, Limited

MICRO: Final = 1_000_000
# More than any state spends; so sums stay far below what a column holds.
MOST_TENGE: Final = 1_000_000_000_000
MOST_OF_A_CALL: Final = 10**15
MOST_TOKENS: Final = 10**9

Kind = Literal["month", "total"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
TOTAL: Final = "total"

_MINUTE = 60_000
_DAY = 86_400_000
# Kazakhstan's time since 2024-03-01 (UTC+5): days and months of budgets and statements begin at its midnight.
_ZONE = timezone(timedelta(hours=5))
_ZONE_MS = 5 * 3_600_000
# Seconds to come again after waiting in vain, while reservations may still be released.
_SOON = 2
# Seconds to come again where only a person can help: a total is used up.
_LATER = 3600


class Wait(Enum):
    """The verdict on a call that does not fit now and may fit when reservations are released."""

    WAIT = "wait"


WAIT: Final = Wait.WAIT


@dataclass(slots=True, kw_only=True)
class Purse:
    """A budget in one period, in micro-tenge."""

    allowance: int
    settled: int = 0
    reserved: int = 0


@dataclass(slots=True, kw_only=True)
class Window:
    """The present minute of a key, and its limits."""

    calls_limit: int
    tokens_limit: int
    minute: int
    calls: int = 0
    tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A time and what follows from it, worked out once for many calls."""

    now: int
    minute: int
    day: int
    month: str
    month_end: int

    @classmethod
    def at(cls, now: int) -> Moment:
        """The moment of a time in milliseconds."""
        day = day_of(now)
        month, month_end = _month(day)
        return cls(now=now, minute=now // _MINUTE, day=day, month=month, month_end=month_end)

    def period(self, kind: str) -> str:
        """The period of a budget of this kind."""
        return TOTAL if kind == TOTAL else self.month


def reserve(purse: Purse, window: Window, amount: int, tokens: int, at: Moment) -> Error | Wait | None:
    """Take a call in, changing purse and window; or why not, changing neither."""
    if window.calls + 1 > window.calls_limit:
        return _limited("ai.limit.calls", "this key has made all calls it may make in a minute", at)
    if window.tokens + tokens > window.tokens_limit:
        return _limited("ai.limit.tokens", "with this call the key would exceed its tokens for a minute", at)
    if purse.settled + purse.reserved + amount > purse.allowance:
        return WAIT
    window.calls += 1
    window.tokens += tokens
    purse.reserved += amount
    return None


def may_fit_later(purse: Purse, amount: int) -> bool:
    """Whether a call would fit if every reservation were released at no cost."""
    return purse.settled + amount <= purse.allowance


def retry_after(purse: Purse, amount: int, kind: str, at: Moment) -> int:
    """When a call that did not fit may come again, in seconds."""
    if may_fit_later(purse, amount):
        return _SOON
    return _LATER if kind == TOTAL else -(-(at.month_end - at.now) // 1000)


def charge(reserved: int, claimed: int) -> int:
    """The cost of a call: what is claimed, never more than was reserved."""
    return min(claimed, reserved)


def present_minute(kept: int | None, now: int) -> int:
    """The minute that counts: another process may be a moment ahead; a clock that was far ahead is not followed."""
    return now if kept is None or not now <= kept <= now + 1 else kept


def month_of(now: int) -> str:
    """The month (`2026-11`) of a time in milliseconds, in Kazakhstan."""
    there = datetime.fromtimestamp(now / 1000, tz=UTC).astimezone(_ZONE)
    return f"{there.year:04d}-{there.month:02d}"


def month_span(month: str) -> tuple[int, int]:
    """A month's first millisecond, and the first of the next one. Raises `ValueError`."""
    begin = datetime.strptime(month, "%Y-%m").replace(tzinfo=_ZONE)
    end = (begin + timedelta(days=32)).replace(day=1)
    return int(begin.timestamp()) * 1000, int(end.timestamp()) * 1000


@lru_cache(maxsize=8)
def _month(day: int) -> tuple[str, int]:
    """The month of a day, and the first millisecond of the next."""
    month = month_of(day * _DAY - _ZONE_MS)
    return month, month_span(month)[1]


def day_of(now: int) -> int:
    """The day of a time in milliseconds, in Kazakhstan: days since 1970."""
    return (now + _ZONE_MS) // _DAY


def day_text(day: int) -> str:
    """A day as YYYY-MM-DD."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)).strftime("%Y-%m-%d")


def whole_tenge(amount: int) -> int:
    """Micro-tenge as whole tenge, rounded up."""
    return -(-amount // MICRO)


def exact_tenge(amount: int) -> str:
    """Micro-tenge as tenge, nothing rounded: `12.5`."""
    whole, rest = divmod(amount, MICRO)
    return f"{whole}.{rest:06d}".rstrip("0").rstrip(".")


def new_call_id(now: int) -> str:
    """An identifier of a call: UUID version 7 (RFC 9562), so that later calls stand behind earlier ones."""
    bits = secrets.randbits(74)
    number = (now & (1 << 48) - 1) << 80 | 7 << 76 | (bits >> 62) << 64 | 2 << 62 | bits & (1 << 62) - 1
    digits = f"{number:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _limited(code: str, detail: str, at: Moment) -> Limited:
    after = -(-((at.minute + 1) * _MINUTE - at.now) // 1000)
    return Limited(code, detail, at="caller", retry_after=max(1, after))
