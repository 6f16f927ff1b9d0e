"""Finds personal data in Kazakh, Russian and English text. Pure; deterministic; one pass a kind.

Numbers are held to their check digits: an IIN or BIN by the country's own rule, an IBAN by ISO 7064.
"""

from __future__ import annotations

import re
from functools import lru_cache

from qaztech.ai.personal.spans import Finder, Kind, Span
from qaztech.core.bin import has_valid_checksum

_TWELVE = re.compile(r"(?<![\d])\d{12}(?![\d])")
_EMAIL = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{2,63}){1,4}")
_PHONE = re.compile(r"(?<![\d+])(?:\+7|8)[ -]?\(?7\d\d\)?[ -]?\d{3}[ -]?\d\d[ -]?\d\d(?!\d)")
_IBAN = re.compile(r"\bKZ\d\d[A-Z0-9]{16}\b")


class _Finder:
    def find(self, text: str) -> tuple[Span, ...]:
        found = [
            Span(*match.span(), _kind(match[0])) for match in _TWELVE.finditer(text) if has_valid_checksum(match[0])
        ]
        found += [Span(*match.span(), "email") for match in _EMAIL.finditer(text)]
        found += [Span(*match.span(), "phone") for match in _PHONE.finditer(text)]
        found += [Span(*match.span(), "iban") for match in _IBAN.finditer(text) if _is_iban(match[0])]
        return _without_overlaps(found)


def _kind(number: str) -> Kind:
    """An IIN begins with a date of birth and the century of it; a BIN has 4, 5 or 6 in the fifth place."""
    return "bin" if number[4] in "456" else "iin"


def _is_iban(text: str) -> bool:
    return int("".join(str(int(each, 36)) for each in text[4:] + text[:4])) % 97 == 1


def _without_overlaps(found: list[Span]) -> tuple[Span, ...]:
    kept: list[Span] = []
    for span in sorted(found, key=lambda span: (span.start, -span.end)):
        if not kept or span.start >= kept[-1].end:
            kept.append(span)
    return tuple(kept)


@lru_cache(maxsize=1)
def finder() -> Finder:
    """What finds everything there is."""
    return _Finder()
