"""Addresses: a street, district or place with a house number, with or without the words for them.

Patterns are looked for in the string of classes (`lexicon`). Pure. A street or town without a house is no address.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from qaztech.ai.personal.reading import Reading
from qaztech.ai.personal.spans import Span

_N: Final = r"N(?:[/-][NIi])?(?:[/-]N){0,2}(?:\.N)?(?!\.N)"
_ANY: Final = "XGASVOEJPRYIgatrsqp"
_CAPITALS: Final = "XGASVOEJPR"
_NAME: Final = rf"(?:I\.){{0,2}}[{_ANY}](?:-?[{_ANY}e]){{0,2}}"
_LOOSE: Final = rf"(?:I\.){{0,2}}[{_ANY}wWeKo](?:-?[{_ANY}weKo]){{0,2}}"
_HOUSE: Final = rf"(?:D\.?-?№?{_N}(?:-?D)?|{_N}-?[Dn]\.?|№{_N}|D\.?o{{1,3}}|DI?{_N}|n)"
_STREET: Final = (
    rf"(?:(?:{_NAME}|[fWkhevo])(?:[Dc]-)?-?U\.?|{_NAME}N-?U|U\.?-?{_LOOSE}|{_N}-?[UM]\.?|{_NAME}M\.?|M\.?-?{_N}"
    rf"|U\.?N[hXW]|U\.?-?№?{_N}|«{_LOOSE}»-?M|M\.?«?{_LOOSE}»?(?:-N)?)"
)
_PLACE: Final = rf"(?:(?:L\.?-?|c\.)(?:{_NAME}|[kWef])|Qw[{_CAPITALS}]|{_NAME}w?Q(?:-w|\.)?|Z|[Rr](?:-?[RE])?|L\.?N)"
_SEP: Final = "[,.;]{0,2}-?"
_MORE: Final = rf"(?:{_SEP}(?:{_HOUSE}|{_N}|{_PLACE}|{_STREET})){{0,7}}"
_ALL: Final = re.compile(
    rf"(?=[{_ANY}UMDLQZNnofWkhev«])(?=[^\n]{{0,13}}[Nno])(?:{_PLACE}{_SEP}){{0,5}}(?:"
    rf"{_STREET}{_SEP}(?:{_HOUSE}|{_N}){_MORE}"
    rf"|{_HOUSE}[,w]?{_SEP}(?:{_PLACE}{_SEP})?{_STREET}{_MORE}"
    rf"|{_HOUSE},{_SEP}(?:{_PLACE}{_SEP})?{_N}{_NAME}{_MORE}"
    rf"|{_N},?[GASEOX][GASEOXe]?,R{_MORE}"
    rf"|{_N},?(?:{_NAME}|[fWkhevo])U\.?{_MORE}"
    rf"|{_PLACE}{_SEP}{_HOUSE}{_MORE}"
    rf"|{_HOUSE},{_PLACE}{_MORE}"
    rf"|[Rr],(?:w|[{_ANY}])e?{_N}-?D{_MORE}"
    rf"|(?P<bare>[{_ANY}](?:-?[{_ANY}eB]|(?<=E)w){{0,2}}(?:-N)?,?-?(?:{_N}|o{{1,3}}(?=,?D)|n|D\.?(?:{_N}|o{{1,3}}))){_MORE}"
    ")"
)
_BOX: Final = re.compile(
    r"(?:[^\W\d_]{3,30}(?:-[0-9]{1,2})?, ?)?"
    r"(?:а/я|п/я|а/ж|p\. ?o\. ?box|po box|абоненттік жәшік|абонентский ящик)\.? ?№? ?[0-9]{1,6}"
    r"(?:, ?[^\W\d_]{3,30}(?:-[^\W\d_]{3,30})?(?:,? ?[0-9]{6})?)?",
    re.IGNORECASE,
)
_BOX_SIGNS: Final = (" box", "а/я", "п/я", "жәшік", "ящик", "а/ж")
_YEAR: Final = re.compile("(?:19|20)[0-9]{2}")
_COMPOUND: Final = re.compile("N[/-]N")
_PERSON: Final = re.compile("[GASOVXP-]+(?=RQ)|[GASOVXP]{2,3}(?=N-?[UM])")
_CAPITAL: Final = frozenset(_CAPITALS)
_SMALL: Final = frozenset("gatrsqp")
_SAID: Final = frozenset("UMQL")
_NOT_BEFORE: Final = frozenset("e№@_+&")
_NOT_AFTER: Final = frozenset("mh")
_KAZAKH_STREETS: Final = ("көше", "даңғ", "тұйы", "алаңы", "бульвары", "kóshe", "koshe")
_SECOND: Final = frozenset({"ел", "el", "дала", "dala", "жол", "jol"})
_MOST_NUMBERS: Final = 4


def in_text(reading: Reading, streets: frozenset[str]) -> Iterator[Span]:
    """The addresses in a text. `streets` are names that streets have."""
    place = 0
    while match := _ALL.search(reading.shape, place):
        found = _trimmed(reading, *match.span())
        place = match.end()
        if found and (match["bare"] is None or _is_bare(reading, *found, streets)):
            yield reading.span(*found, "address", 0.85)
        elif match["bare"] is not None:
            place = match.start() + 1
    if any(sign in reading.low for sign in _BOX_SIGNS):
        for box in _BOX.finditer(reading.text):
            yield Span(*box.span(), "address", 0.85)


def _trimmed(reading: Reading, first: int, last: int) -> tuple[int, int] | None:
    """The tokens of the address without what only looks like a part of it; none where it is no address."""
    shape = reading.shape
    while last > first and shape[last - 1] in ",.;-":
        last -= 1
    if reading.after(last) == "m" and shape[last - 1] == "N" and "D" not in shape[first:last]:
        return None
    if reading.after(last) in _NOT_AFTER and _SAID.isdisjoint(shape[first:last]) and "D" not in shape[first:last]:
        return None
    while last - first > 2 and shape[first] in "Zn" and shape[first + 1] not in ",RL":
        first += 1
    person = _PERSON.match(shape, first, last)
    first = person.end() if person else first
    kinds = shape[first:last]
    if kinds[0] == "U" and reading.word(first).startswith(_KAZAKH_STREETS):
        return None
    if reading.before(first) in ("«", "№"):
        return None
    numbers = [reading.tokens[place] for place in range(first, last) if shape[place] in "Nn"]
    if "o" in kinds:
        return first, last
    if not numbers or all(_YEAR.fullmatch(number) for number in numbers):
        return None
    return first, last


def _score(numbers: list[str]) -> bool:
    """Whether two numbers may be those of a game."""
    return len(numbers) == 2 and all(len(number) == 1 for number in numbers)


def _is_bare(reading: Reading, first: int, last: int, streets: frozenset[str]) -> bool:
    """Whether a name with a number is an address, where no word says so."""
    kinds = reading.shape[first:last]
    if not _SAID.isdisjoint(kinds):
        return True
    if reading.before(first) in _NOT_BEFORE:
        return False
    tokens = reading.tokens[first:last]
    numbers = [token for token, kind in zip(tokens, kinds, strict=True) if kind == "N"]
    if any(number[0] == "0" and len(number) > 1 for number in numbers):
        return False
    if any(kind == "w" and token.lower() not in _SECOND for token, kind in zip(tokens, kinds, strict=True)):
        return False
    known = any(reading.word(place) in streets for place in range(first, last))
    compound, listed = _COMPOUND.search(kinds) is not None, "N,N" in kinds
    capital = not _CAPITAL.isdisjoint(kinds) and tokens[0][0].isupper()
    if "D" in kinds:
        return known or capital or (kinds[0] in _SMALL and (compound or len(numbers) > 1))
    if kinds[0] in "Rr" and (known or (compound and not _score(numbers)) or listed or kinds[1:2] == ","):
        return True
    if known and kinds[0] != "Y":
        return len(numbers) == 1 or compound or listed
    if not capital or "Y" in kinds or len(numbers) > _MOST_NUMBERS:
        return False
    tight = len(tokens) > 1 and reading.is_joined(first + 1)
    if compound:
        return (not tight and any(len(number) > 1 for number in numbers)) or listed
    return listed and kinds[1:2] == "-" and tight
