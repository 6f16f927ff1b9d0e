"""Numbers told in words: identifiers and phones as people dictate them, in Kazakh, Russian and English. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from qaztech.ai.personal import lists
from qaztech.ai.personal.reading import Reading
from qaztech.ai.personal.spans import Span
from qaztech.core.bin import has_valid_checksum

_LANGUAGES: Final = ("ru", "kk", "en")
_VALUES: Final[dict[str, int]] = (
    {word: value for each in _LANGUAGES for value, word in enumerate(lists.part(f"units-{each}"))}
    | {word: 20 + 10 * at for each in _LANGUAGES for at, word in enumerate(lists.part(f"tens-{each}"))}
    | {word: 100 * (1 + at) for at, word in enumerate(lists.part("hundreds-ru"))}
    | {"нуль": 0, "нуля": 0, "oh": 0, "нол": 0, "одна": 1, "две": 2}
)
_TIMES: Final = {"double": 2, "triple": 3}
_HUNDRED: Final = frozenset({"жүз", "hundred"})
RUN: Final = re.compile(r"[oN](?:[-,]?[oN]){3,30}")
_PHONE: Final = re.compile(r"(?:[78]?7(?:0[0-9]|47|5[01]|6[0-4]|7[0-8])[0-9]{7}|[78]?7[12][0-9]{8})")


def in_text(reading: Reading) -> Iterator[Span]:
    """What is told digit by digit or in groups."""
    tokens, at = reading.tokens, reading.at
    for match in RUN.finditer(reading.shape):
        if match[0].count("o") < 2:
            continue
        words = [(place, tokens[place].lower()) for place in range(*match.span()) if tokens[place] not in "-,"]
        pieces = list(_pieces(words))
        for first in range(len(pieces)):
            number = ""
            for _, end, digits in pieces[first:]:
                number += digits
                if len(number) > 12:
                    break
                start, stop = at[pieces[first][0]], at[end] + len(tokens[end])
                if len(number) == 12 and has_valid_checksum(number) and 1 <= int(number[2:4]) <= 13:
                    yield Span(start, stop, "bin" if number[4] in "456" else "iin", 0.9)
                elif len(number) in (10, 11) and _PHONE.fullmatch(number):
                    yield Span(start, stop, "phone", 0.9)


def _pieces(words: Sequence[tuple[int, str]]) -> Iterator[tuple[int, int, str]]:
    """Numbers below a thousand as they were told: first and last token, and the digits."""
    place = 0
    while place < len(words):
        begin, word = words[place]
        end, place = begin, place + 1
        if word.isdecimal():
            yield begin, end, word
            continue
        if word in _TIMES and place < len(words):
            end = words[place][0]
            yield begin, end, str(_VALUES.get(words[place][1], 0) % 10) * _TIMES[word]
            place += 1
            continue
        value = _VALUES.get(word)
        if value is None:
            continue
        if value < 10 and place < len(words) and words[place][1] in _HUNDRED:
            value *= 100
            end, place = words[place][0], place + 1
        for least, below in ((100, 100), (10, 10)):
            follows = _VALUES.get(words[place][1]) if place < len(words) else None
            joins = follows is not None and 0 < follows < below
            if joins and value >= least and value % below == 0 and (value > 10 or word == "он") and value != 0:
                value += follows or 0
                end, place = words[place][0], place + 1
        yield begin, end, str(value)
