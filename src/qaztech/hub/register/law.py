"""What law and the center's own settings say on a day: references, limits, dates, priority areas, as versioned data.

`law.json` beside this file holds every value with its source and the days from and until which it holds; a rule asks
by name and day, and no rule has a number of its own. `mark` tells how sure the source is: T read in the primary text, R
reported, S a setting of the center.
"""

from __future__ import annotations

from datetime import date
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from qaztech.core.errors import NotFound

FILE = Path(__file__).parent / "law.json"


class Reference(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A provision: act, article, edition, what it says in short; in force from `since` to the day before `until`."""

    id: str
    act: str
    article: str
    edition: date
    since: date
    until: date | None = None
    source: str
    mark: Literal["T", "R", "S"]
    kk: str
    ru: str
    en: str


class Value(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A limit (a whole number with its unit) or a date, and the provision it comes from."""

    name: str
    number: int | None = None
    unit: str = ""
    day: date | None = None
    since: date
    until: date | None = None
    reference: str


class Area(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A priority area."""

    code: str
    since: date
    until: date | None = None
    source: str
    kk: str
    ru: str
    en: str


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    references: Annotated[tuple[Reference, ...], Meta(min_length=1)]
    values: tuple[Value, ...]
    areas: tuple[Area, ...]


class Law:
    """All provisions, limits, dates and areas that the center works by."""

    def __init__(self, data: bytes) -> None:
        held = msgspec.json.decode(data, type=_File)
        self.references = {reference.id: reference for reference in held.references}
        self._values = held.values
        self._areas = held.areas
        if unknown := {value.reference for value in held.values} - set(self.references):
            raise NotFound("law.reference", f"no such provision: {', '.join(sorted(unknown))}", at="caller")

    def value(self, name: str, today: date) -> Value | None:
        """The value in force on a day, None where none is."""
        return next((v for v in self._values if v.name == name and _holds(v.since, v.until, today)), None)

    def number(self, name: str, today: date) -> int | None:
        """A limit in force on a day."""
        value = self.value(name, today)
        return None if value is None else value.number

    def day(self, name: str, today: date) -> date | None:
        """A date in force on a day."""
        value = self.value(name, today)
        return None if value is None else value.day

    def values(self) -> tuple[Value, ...]:
        """All limits and dates, of every time."""
        return self._values

    def areas(self, today: date) -> list[Area]:
        """The priority areas of a day, in order."""
        return [area for area in self._areas if _holds(area.since, area.until, today)]


def _holds(since: date, until: date | None, today: date) -> bool:
    return since <= today and (until is None or today < until)


@cache
def current_law() -> Law:
    """What is shipped with this release."""
    return Law(FILE.read_bytes())
