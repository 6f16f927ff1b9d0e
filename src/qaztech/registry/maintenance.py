"""Maintenance of a service by timetable: from when until when, and what callers and readers are told meanwhile.

Its member signs it into the showcase, where people read it before it begins, and tells its own nodes by the file of
limits: these answer for the service with the notice while it lasts, and go on by themselves at its end. Pure.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from qaztech.registry.forms import Form, Names, check_time, malformed

MAX_NOTICE = 200
# Longer than this is no maintenance: switch the service off.
LONGEST = 31 * 24 * 3_600_000
_ZONE = timezone(timedelta(hours=5))


class Maintenance(Form, frozen=True, forbid_unknown_fields=True):
    """From `begin` (milliseconds) to `end`, which is not in it; `notice` says why, in three languages."""

    begin: int
    end: int
    notice: Names

    def lasts(self, now: int) -> bool:
        """Whether it is now."""
        return self.begin <= now < self.end

    def text(self) -> str:
        """For callers, who have no language: the notices and the times as the country's clocks show them."""
        begin, end = (
            datetime.fromtimestamp(t / 1000, _ZONE).strftime("%Y-%m-%d %H:%M") for t in (self.begin, self.end)
        )
        return f"{self.notice.kk} / {self.notice.ru} / {self.notice.en} ({begin} – {end} UTC+05:00)"


def check_maintenance(one: Maintenance, code: str) -> None:
    """Raise `Malformed` of that code unless its times and notices are such."""
    check_time(one.begin, code)
    check_time(one.end, code)
    if not 0 < one.end - one.begin <= LONGEST:
        malformed(code, "maintenance ends after it begins, within 31 days")
    one.notice.check(code)
    if any(len(text) > MAX_NOTICE for text in (one.notice.kk, one.notice.ru, one.notice.en)):
        malformed(code, f"a notice has at most {MAX_NOTICE} characters in each language")
