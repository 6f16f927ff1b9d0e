"""Numbers of people and bodies: IIN, BIN, cards, phones, identity cards, passports, IBANs, plates. Grouped in any way.

A run of digits with signs between them is read as one; a piece of it counts that begins and ends with its groups and
passes what its kind demands: check digits, a date, prefixes. Pure. Letters for digits are read before (`letters`).
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from qaztech.ai.personal import lists
from qaztech.ai.personal.spans import Kind, Span
from qaztech.core.bin import has_valid_checksum

_RUN: Final = re.compile(r"[0-9]+(?:[ .\-/_:|()*\n]{1,4}[0-9]+)*")
_SIGNS: Final = str.maketrans("", "", " .-/_:|()*\n")
_GROUP: Final = re.compile(r"[0-9]+")
_APART: Final = re.compile(r"([0-9](?<![0-9].)[0-9]{5})[^0-9]{2,40}?([0-9]{5,6})(?:[^0-9]{1,20}([0-9]))?(?![0-9])")
_MOBILE: Final = re.compile(r"7(?:0[0-9]|47|5[01]|6[0-4]|7[0-8])")
_MONEY: Final = re.compile(r"\s?(?:тенге|теңге|тг\b|тнг|kzt|₸|руб|usd|\$|€|тиын|млн|млрд|шт\b|kg\b|кг\b|tenge)")
_PHONE_CUE: Final = re.compile(
    r"тел|сот|моб|звон|набер|номер|нөмір|домашн|қоңырау|хабарлас|ватсап|whats|phone|call|tel\b|mob|cell|ring|"
    r"o(?<!\wo)r\b|код|факс|fax|nomer|nómir|sms|смс|үй\w* тел|городск|дом\b|внутр|ext",
)
_CARD_CUE: Final = re.compile(
    r"удост|жеке ку|куәлік|identity|i(?<!\wi)d\b|id.card|kualig|kýálik|уд\.?\s?л|удл|документ|құжат"
)
_PASSPORT_CUE: Final = re.compile(
    r"па[сc]порт|пасп|төлқұжат|passport|pasport|tolqujat|tólqujat|серия n|travel doc|загран"
)
_OTHER_CUE: Final = re.compile(
    r"(?:счёт|счет|шот|договор|шарт|заказ|тапсырыс|накладн|артикул|order|invoice|contract|ticket|serial|лот|isbn|"
    r"тендер|протокол|хаттама|реестр|есептегіш|счётчик|партия|каталог|код\w*|build|part no|№ закуп)\W{0,3}(?:№|n"
    r"|no)?\W{0,3}$",
)
_LETTER_BEFORE: Final = re.compile(r"(?<![^\W_])([NnНнИиПп])[ .\-№]{0,3}$")
_PASSPORT_LETTERS: Final = frozenset("NnНнИиПп")
_TIGHT: Final = frozenset("-./_:")
_CARD_BEGINS: Final = (
    "4",
    "51",
    "52",
    "53",
    "54",
    "55",
    "22",
    "23",
    "24",
    "25",
    "26",
    "27",
    "62",
    "60",
    "65",
    "94",
    "50",
    "67",
    "63",
)
_DATES: Final = ([2, 2, 4], [4, 2, 2])
_LOCAL: Final = ([2, 2, 2], [3, 2, 2])
_IBAN: Final = re.compile(r"(?<![^\W_])[KkКк] ?[ZzЗз](?:[ \-./:]{0,3}[0-9A-ZА-Яa-zа-я]){18}(?![^\W_])")
_KZ: Final = re.compile("[KkКк] ?[ZzЗз]")
_IBAN_SEEN: Final = re.compile("[A-Z][A-Z][0-9][0-9][A-Z0-9 ]")
_FOREIGN_IBAN: Final = re.compile(
    r"(?<![^\W_])[A-Z]{2}[0-9]{2}(?:[ -]?[A-Z0-9]{4}){2,7}(?:[ -]?[A-Z0-9]{1,3})?(?![^\W_])"
)
_LATIN: Final = str.maketrans("АВЕКМНОРСТХУІЗЅавекмнорстхуі", "ABEKMHOPCTXYI3SABEKMHOPCTXYI")
# What must not stand before a pattern stands behind its first sign: such patterns are looked for faster.
_PLATE: Final = re.compile(
    r"[0-9OОoо](?<![^\W_].)(?<!\d[.\-].)[0-9OОoо]{2}([ .\-]?)([^\W\d_]{2,3})([ .\-]?)([0-9OОoоlI]{2})"
    r"(?![^\W_])(?![-.][0-9])"
)
_OLD_PLATE: Final = re.compile(
    r"(?<![^\W_])(?<!\d[.\-])([^\W\d_])([ .\-]?)([0-9]{3})([ .\-]?)([^\W\d_]{2,3})(?![^\W_])(?![-.][0-9])"
)
_PLATE_CUE: Final = re.compile(
    r"номер|нөмір|маш|көлік|көлігі|авто|тачк|plate|car\b|vehicle|toyota|прицеп|тягач|трактор|госном|гос\.|парков"
    r"|камер|mashin|"
    r"дорог|водител|жүргізуші|toktat|мото|truck|van\b|трак|эвакуат",
)
_UNITS: Final = frozenset(lists.part("units"))
_BEFORE: Final = 48
_AFTER: Final = 12
_SHORTEST: Final = 6
# From so many groups on, a number is one only where nothing else is joined to it.
_MANY: Final = 6
_OFTEN: Final = 12
_FEW: Final = _MANY - 1
_CARD_LENGTHS: Final = (15, 16)
_DOCUMENT_LENGTHS: Final = (8, 9)
_PHONE_LENGTHS: Final = (6, 7, 10, 11, 12, 13, 14)
# The lengths that numbers have, by the digit they begin with.
_BEGINS_ANY: Final = (12, 9, 8)
_BEGINS_PLUS: Final = (13, 12, 11, 10)
_BEGINS: Final = {
    "0": (14, 13, 12, 9, 8, 7, 6), "2": (16, 12, 9, 8, 7, 6), "3": (15, 12, 9, 8, 7, 6), "4": (16, 12, 9, 8, 7, 6),
    "5": (16, 12, 9, 8, 7, 6), "6": (16, 12, 9, 8, 7, 6), "7": (12, 11, 10, 9, 8, 7, 6), "8": (12, 11, 9, 8, 7, 6),
    "9": (16, 12, 9, 8, 7, 6), "1": (12, 9, 8, 7, 6),
}  # fmt: skip


class Found(NamedTuple):
    """A claim: a span with its rank, the lower the stronger."""

    rank: int
    span: Span


class _Run(NamedTuple):
    """Digits with what parted them: all digits, where each stands, where groups begin and end."""

    digits: str
    places: Sequence[int]
    starts: list[int]
    ends: Sequence[int] | frozenset[int]
    free: Sequence[bool]  # of each group, whether digits before it are none, or of something else


class _Cues:
    """Where words stand that say what a number is. Whoever asks often is answered from one look through the text."""

    def __init__(self, low: str) -> None:
        self.low = low
        self._asked = 0
        self._found: dict[re.Pattern[str], tuple[list[int], list[int]]] = {}

    def near(self, cue: re.Pattern[str], start: int, end: int) -> bool:
        """Whether the cue stands between two places."""
        start = max(0, start)
        self._asked += 1
        if self._asked < _OFTEN:
            return cue.search(self.low, start, end) is not None
        if cue not in self._found:
            places = [match.span() for match in cue.finditer(self.low)]
            self._found[cue] = [start for start, _ in places], [end for _, end in places]
        starts, ends = self._found[cue]
        at = bisect_left(starts, start)
        return at < len(ends) and ends[at] <= end


class _Text(NamedTuple):
    """A text as given, with letters read as digits, and its cues."""

    text: str
    read: str
    cues: _Cues


def in_text(text: str, low: str, read: str, *, apart: bool) -> Iterator[Found]:
    """What stands in a text; `low` has small letters, `read` letters read as digits; `apart`: six digits alone."""
    looked = _Text(text, read, _Cues(low))
    for match in _RUN.finditer(read):
        start, end = match.span()
        if end - start < _SHORTEST:
            continue
        written = match[0]
        if written.isdecimal():
            run = _Run(written, range(start, end), [0], (len(written),), (True,))
            yield from _in_run(looked, run)
        elif len(digits := written.translate(_SIGNS)) >= _SHORTEST:
            yield from _in_run(looked, _run(read, digits, start, end))
    if apart:
        for pieces in _APART.finditer(read):
            yield from _told_apart(pieces)


def _run(text: str, digits: str, start: int, end: int) -> _Run:
    places: list[int] = []
    starts, ends, free = [], [], []
    stop = start
    for group in _GROUP.finditer(text, start, end):
        begin = group.start()
        starts.append(len(places))
        free.append(begin - stop != 1 or text[stop] in "\n|/")
        stop = group.end()
        places.extend(range(begin, stop))
        ends.append(len(places))
    return _Run(digits, places, starts, frozenset(ends), free)


def _in_run(looked: _Text, run: _Run) -> Iterator[Found]:
    total, digits, read, starts = len(run.digits), run.digits, looked.read, run.starts
    groups = len(starts)
    # What begins in the middle of a run has at least eight digits; in many groups only where it stands free.
    for at, first in enumerate(starts):
        if total - first < _SHORTEST:
            break
        start = run.places[first]
        plus = "+" in read[max(0, start - 3) : start]
        free = run.free[at]
        least = _DOCUMENT_LENGTHS[0] if first else _SHORTEST
        most = total - first if free or plus or at + _FEW >= groups else starts[at + _FEW] - first
        if most < least:
            continue
        for length in _BEGINS_PLUS if plus else _BEGINS.get(digits[first], _BEGINS_ANY):
            last = first + length
            if length > most or length < least or last > total or last not in run.ends:
                continue
            if length < _DOCUMENT_LENGTHS[0] and last != total:
                continue
            sizes = _sizes(run, first, last)
            if len(sizes) >= _MANY and not plus and not (free and _is_free(read, run, last)):
                continue
            yield from _of_length(looked, run, (first, last), sizes)


def _of_length(looked: _Text, run: _Run, ends: tuple[int, int], groups: list[int]) -> Iterator[Found]:
    """What so many digits are: a kind goes by its length first."""
    first, last = ends
    length = last - first
    read = looked.read
    start, end = run.places[first], run.places[last - 1] + 1
    digits = run.digits[first:last]
    if length == 12 and (number := _iin_or_bin(digits, groups)):
        yield Found(3, Span(start, end, number))
    elif length in _CARD_LENGTHS and _is_card(digits, groups) and not _goes_on(read, run, first, last):
        yield Found(2, Span(start, end, "card"))
    elif length in _DOCUMENT_LENGTHS:
        yield from _document(looked, run, ends, groups)
    if length in _PHONE_LENGTHS and (at := _phone(looked, run, ends, groups)) is not None:
        yield Found(4, Span(at, end, "phone", 0.9))


def _is_free(read: str, run: _Run, at: int) -> bool:
    """Whether digits before this place are none, or of something else."""
    if at in (0, len(run.digits)):
        return True
    between = read[run.places[at - 1] + 1 : run.places[at]]
    return len(between) > 1 or between in "\n|/"


def _sizes(run: _Run, first: int, last: int) -> list[int]:
    if last - first == len(run.digits) and len(run.starts) == 1:
        return [last]
    begins = run.starts[bisect_left(run.starts, first) : bisect_left(run.starts, last)]
    return [end - start for start, end in zip(begins, [*begins[1:], last], strict=True)]


def _goes_on(read: str, run: _Run, first: int, last: int) -> bool:
    """Whether more digits are joined on tightly, without a space."""
    end = run.places[last - 1] + 1
    if last < len(run.digits) and run.places[last] - end == 1 and read[end] in _TIGHT:
        return read[end] != "/"
    start = run.places[first]
    return first > 0 and start - run.places[first - 1] == 2 and read[start - 1] in _TIGHT and read[start - 1] != "/"


def _iin_or_bin(digits: str, groups: list[int]) -> Kind | None:
    """Its kind, for twelve digits that an IIN or a BIN can have. Months go up to 13, as reserved numbers have it."""
    if digits[2] > "1" or not 1 <= int(digits[2:4]) <= 13 or groups[:3] in _DATES:
        return None
    if digits[4] in "456":
        return "bin" if digits[5] in "01234" and has_valid_checksum(digits) else None
    day = int(digits[4:6])
    if day > 31 or (day == 0 and digits[2:4] != "13") or digits[6] > "6" or not has_valid_checksum(digits):
        return None
    return "iin" if len(groups) > 1 or digits.strip("0") else None


def _is_card(digits: str, groups: list[int]) -> bool:
    if not (digits.startswith(("34", "37")) if len(digits) == 15 else digits.startswith(_CARD_BEGINS)):
        return False
    total = 0
    for at, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + at % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0 and len(groups) <= 16


def _before(text: str, at: int, most: int = _BEFORE) -> str:
    return text[max(0, at - most) : at]


def _document(looked: _Text, run: _Run, ends: tuple[int, int], groups: list[int]) -> Iterator[Found]:
    """An identity card of nine digits, or a passport of eight with or without its letter."""
    first, last = ends
    read, cues = looked.read, looked.cues
    start, end = run.places[first], run.places[last - 1] + 1
    digits = run.digits[first:last]
    own = last - first > _DOCUMENT_LENGTHS[0] and digits[0] == "0" and digits[1] != "0" and digits[1:3] != "00"
    if not own and not _may_be_paper(looked, start, end, last - first):
        return
    if _goes_on(read, run, first, last):
        return
    if not (_is_free(read, run, first) or len(groups) == 1):
        return
    before = _before(looked.text, start)
    if groups in _DATES or re.search(r"[\n|:]", read[start:end]):
        return
    if last - first == 8:
        letter = _LETTER_BEFORE.search(before)
        if letter and letter[1] in "NnНн":
            yield Found(4, Span(start - len(before) + letter.start(1), end, "passport"))
        elif letter and cues.near(_PASSPORT_CUE, start - _BEFORE, start):
            yield Found(4, Span(start - len(before) + letter.start(1), end, "passport", 0.9))
        elif (
            cues.near(_PASSPORT_CUE, start - _BEFORE, end + _AFTER)
            and (first == 0 or len(groups) == 1)
            and digits[:2] not in ("20", "19")
        ):
            yield Found(5, Span(start, end, "passport", 0.8))
        return
    whole = len(groups) == 1 or (_is_free(read, run, first) and _is_free(read, run, last))
    cue = cues.near(_CARD_CUE, start - _BEFORE, start)
    if (cue and digits[:2] != "00") or (
        own and whole and not _OTHER_CUE.search(cues.low, max(0, start - _BEFORE), start)
    ):
        spaced = len(groups) == 1 or len(groups) <= 4 or cue
        if spaced and not (
            read[end : end + 1] == "-" and read[end + 1 : end + 2].isalpha() and not cue and len(groups) > 1
        ):
            yield Found(5, Span(start, end, "id_card", 0.9))


def _may_be_paper(looked: _Text, start: int, end: int, length: int) -> bool:
    """Whether a letter or a word for a paper stands near."""
    if length > _DOCUMENT_LENGTHS[0]:
        return looked.cues.near(_CARD_CUE, start - _BEFORE, start)
    letter = not _PASSPORT_LETTERS.isdisjoint(looked.text[max(0, start - 4) : start])
    return letter or looked.cues.near(_PASSPORT_CUE, start - _BEFORE, end + _AFTER)


def _phone(looked: _Text, run: _Run, ends: tuple[int, int], groups: list[int]) -> int | None:
    """Where a phone number begins that ends here; none where this is not one."""
    first, last = ends
    read, cues = looked.read, looked.cues
    digits, start, end = run.digits[first:last], run.places[first], run.places[last - 1] + 1
    before = _before(read, start)
    plus = before.endswith(("+", "+ ", "+(")) or (before.endswith("(") and before[-2:-1] == "+")
    inside = read[start:end]
    paren = before.endswith("(") and ")" in inside
    at = start - paren
    if plus:
        return _foreign(run, first, last, start - 1 - (not before.endswith("+")))
    if "|" in inside or "\n" in inside or ":" in inside or inside.count("(") > 1 or _goes_on(read, run, first, last):
        return None
    if len(digits) in (6, 7):
        alone = groups in _LOCAL and first == 0 and last == len(run.digits)
        alone = alone and not re.search(r"[./_]", inside)
        return at if alone and cues.near(_PHONE_CUE, start - _BEFORE, end + _AFTER) else None
    if len(digits) == 14:
        return start if digits.startswith("007") and len(groups) == 1 else None
    if len(digits) == 13:
        return start if digits.startswith("007") else None
    if len(digits) == 12:
        return None
    if _MONEY.match(cues.low, end):
        return None
    mobile = _MOBILE.match(digits, len(digits) - 10) is not None
    if mobile and not first and not _is_sum(groups):
        return at if len(digits) == 10 or digits[0] in "78" else None
    cue = cues.near(_PHONE_CUE, start - _BEFORE, start)
    if _is_sum(groups) and not (paren or cue):
        return None
    if first and not cue and not paren and len(groups) > 1 and run.starts[0] != first and len(digits) == 10:
        return None
    if len(digits) == 11:
        trunk, rest = digits[0], digits[1:]
        if trunk in "78" and (_MOBILE.match(rest) or rest.startswith("800")):
            return at
        if trunk not in "78" or rest[0] not in "79":
            return None
        return at if cue or "(" in inside or (rest[0] == "7" and len(groups) > 3) or len(groups) in (4, 5) else None
    if _MOBILE.match(digits):
        return at
    return at if digits.startswith("7") and (paren or cue) else None


def _foreign(run: _Run, first: int, last: int, at: int) -> int | None:
    """A number after `+`: as many digits as belong to it."""
    digits = run.digits[first:last]
    if digits.startswith("7"):
        return at if len(digits) == 11 else None
    longer = any(first + length in run.ends for length in range(last - first + 1, 14))
    return at if 10 <= len(digits) <= 13 and not longer else None


def _is_sum(groups: list[int]) -> bool:
    """Whether digits are grouped as thousands are."""
    return len(groups) > 2 and groups[0] < 4 and all(size == 3 for size in groups[1:])


def _told_apart(match: re.Match[str]) -> Iterator[Found]:
    """An IIN told in two or three pieces with words between them."""
    digits = match[1] + match[2] + (match[3] or "")
    for number, end in ((digits, match.end()), (match[1] + match[2], match.end(2))):
        if len(number) == 12 and (kind := _iin_or_bin(number, [6, 6])):
            yield Found(3, Span(match.start(), end, kind, 0.9))
            return


def ibans(text: str, low: str) -> Iterator[Found]:
    """Bank accounts whose check digits are right. `low` is the text in small letters."""
    if "kz" in low or "кз" in low or "k z" in low:
        for begin in _KZ.finditer(text):
            match = _IBAN.match(text, begin.start())
            if match and _is_iban(match[0]):
                yield Found(1, Span(*match.span(), "iban"))
    if _IBAN_SEEN.search(text):
        for match in _FOREIGN_IBAN.finditer(text):
            if _is_iban(match[0]):
                yield Found(1, Span(*match.span(), "iban", 0.9))


def _is_iban(written: str) -> bool:
    bare = "".join(filter(str.isalnum, written.translate(_LATIN).upper()))
    if not (bare.isascii() and bare[2:4].isdecimal()):
        return False
    for each in (bare, bare.replace("O", "0")) if "O" in bare else (bare,):
        if 15 <= len(each) <= 34 and int("".join([str(int(char, 36)) for char in each[4:] + each[:4]])) % 97 == 1:
            return True
    return False


def plates(text: str, low: str, *, old: bool) -> Iterator[Found]:
    """Plates of cars, of the form since 2012 and, where there may be any, the one before."""
    for match in _PLATE.finditer(text):
        word = match[2]
        upper, joined = word.isupper(), not (match[1] or match[3])
        cue, before = _is_by_a_car(low, match.start()), _before(text, match.start())
        if (word.lower() in _UNITS and not (upper and cue)) or not (upper or joined or cue):
            continue
        if _is_region(match[4], match[0][:3]) and (cue or not before.endswith(("KZ-", "№ ", "№"))):
            yield Found(6, Span(*match.span(), "plate", 0.95))
    for match in _OLD_PLATE.finditer(text) if old else ():
        word = match[5]
        upper, joined = word.isupper() and match[1].isupper(), not (match[2] or match[4])
        cue = _is_by_a_car(low, match.start())
        if (word.lower() in _UNITS and not (upper and cue)) or not (upper or cue):
            continue
        if cue or joined or len(word) > 2:
            yield Found(6, Span(*match.span(), "plate", 0.95))


def _is_by_a_car(low: str, start: int) -> bool:
    """Whether a word for a car stands before."""
    return _PLATE_CUE.search(low, max(0, start - _BEFORE), start) is not None


def _is_region(written: str, number: str) -> bool:
    digits = written.translate(str.maketrans("OОoоlI", "000011"))
    return (any(char.isdecimal() for char in written + number) and 1 <= int(digits) <= 20) or (
        number.upper() in ("OOO", "ООО") and digits.isdecimal()
    )
