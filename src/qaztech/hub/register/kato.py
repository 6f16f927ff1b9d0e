"""Where something is: the regions of KATO with the days they exist, and what became of codes that ended.

`kato.json` beside this file holds them; a code is nine digits, its first two the region. Not the whole classifier:
districts and villages are not checked here.
"""

from __future__ import annotations

from datetime import date
from functools import cache
from pathlib import Path

import msgspec

FILE = Path(__file__).parent / "kato.json"


class Region(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A region or a city of republican rank: two digits, names, first day, and its place among tiles (0-based)."""

    code: str
    kk: str
    ru: str
    en: str
    since: date
    row: int
    column: int


class Ended(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A code (its first digits) that no longer stands from `until` on, and the regions that took its place."""

    code: str
    kk: str
    ru: str
    en: str
    until: date
    successors: tuple[str, ...]


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    source: str
    regions: tuple[Region, ...]
    ended: tuple[Ended, ...]


@cache
def _held() -> _File:
    return msgspec.json.decode(FILE.read_bytes(), type=_File)


def regions(today: date) -> list[Region]:
    """The regions of a day, by code."""
    return [region for region in _held().regions if region.since <= today]


def region_of(code: str, today: date) -> Region | None:
    """The region that a code lies in on a day; None for one that is none, or has ended."""
    if ended(code, today) is not None:
        return None
    return next((region for region in regions(today) if code.startswith(region.code)), None)


def ended(code: str, today: date) -> Ended | None:
    """What is known of a code that no longer stands on a day."""
    return next((old for old in _held().ended if code.startswith(old.code) and old.until <= today), None)


def successors(code: str, today: date) -> list[Region]:
    """The regions that took the place of a code that has ended; none for one that stands."""
    old = ended(code, today)
    return [] if old is None else [region for region in _held().regions if region.code in old.successors]
