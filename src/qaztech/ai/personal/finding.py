"""Finds personal data in Kazakh, Russian and English text: the ways of finding put together, overlaps settled.

Pure; deterministic; its time grows with the text and no faster. Places are those of the text as given.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from qaztech.ai.personal import addresses, dates, emails, letters, names, numbers, spelt
from qaztech.ai.personal.lexicon import Lexicon, lexicon
from qaztech.ai.personal.reading import Reading
from qaztech.ai.personal.spans import Finder, Span

# Where a shape may hold letters read for digits, a plate, a day of birth.
_MISREAD: Final = re.compile("u|[NZ]\\)?[YwfIiX]-?[NZduYI]|[YIiw]N[NY]")
_PLATE: Final = re.compile("u|N[.-]?[^N.,;:-][.-]?[Nu]|[IicLDBf][.-]?N[.-]?[a-zA-Z]|[Yf][.-]?Y[.-]?N")
_OLD_PLATE: Final = re.compile("u|[IicLDBf][.-]?N[.-]?[a-zA-Z]")
# Names, addresses and dates come after what check digits and forms say.
_DIGITS: Final = frozenset("NZdnu")
_EMAIL, _ADDRESS, _BIRTH, _NAME, _SPELT = 0, 8, 7, 9, 5


class _Finder:
    """Finds everything there is."""

    def __init__(self, words: Lexicon) -> None:
        self._words = words

    def find(self, text: str) -> tuple[Span, ...]:
        """What was found, in order, without overlaps."""
        reading = Reading(text, self._words)
        kinds = set(reading.shape)
        claims = [(_EMAIL, span) for span in emails.in_text(reading.text, reading.low, reading.shape)]
        digits = not _DIGITS.isdisjoint(kinds)
        if digits:
            claims += _numbers(reading)
        if "o" in kinds and spelt.RUN.search(reading.shape):
            claims += [(_SPELT, span) for span in spelt.in_text(reading)]
        found = list(names.in_text(reading))
        claims += [(_NAME, span) for span in found]
        if digits or "o" in kinds:
            claims += [(_ADDRESS, span) for span in addresses.in_text(reading, self._words.streets)]
        claims += [(_BIRTH, span) for span in dates.in_text(reading, found, digits=digits)]
        return _settled(claims)


def _numbers(reading: Reading) -> list[tuple[int, Span]]:
    read = letters.with_digits_read(reading.text) if _MISREAD.search(reading.shape) else reading.text
    found = [
        *numbers.in_text(reading.text, reading.low, read, apart="Z" in reading.shape),
        *numbers.ibans(reading.text, reading.low),
    ]
    if _PLATE.search(reading.shape):
        found += numbers.plates(reading.text, reading.low, old=_OLD_PLATE.search(reading.shape) is not None)
    return [(each.rank, each.span) for each in found]


def _settled(claims: list[tuple[int, Span]]) -> tuple[Span, ...]:
    """The strongest claims, the longer of equal ones, none over another."""
    if len(claims) < 2:
        return tuple(span for _, span in claims)
    kept: list[Span] = []
    taken: set[int] = set()
    for _, span in sorted(claims, key=lambda claim: (claim[0], claim[1].start - claim[1].end, claim[1].start)):
        places = range(span.start, span.end)
        if taken.isdisjoint(places):
            taken.update(places)
            kept.append(span)
    return tuple(sorted(kept))


@lru_cache(maxsize=1)
def finder() -> Finder:
    """What finds everything there is."""
    return _Finder(lexicon())
