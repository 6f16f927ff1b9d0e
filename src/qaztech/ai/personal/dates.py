"""Days of birth: a date counts where words beside it say that somebody was born, or a name stands right before it.

A date with the name of a month is read word by word: the day before or behind the month, the year on either side, each
in figures or told in words. Pure. Dates of papers, orders and meetings are not personal data and are left.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Final

from qaztech.ai.personal.reading import Reading
from qaztech.ai.personal.spans import Span

_YEAR: Final = r"(?:1[89][0-9]{2}|20[0-9]{2})"
_NUMERIC: Final = re.compile(
    r"[0-9](?<![0-9].)(?<![0-9][.\-/].)(?:[0-9]{7}|[0-9]{0,3}(?:"
    r" ?[./\-] ?[01]?[0-9] ?[./\-] ?(?:[0-9]{4}|[0-9]{1,2})"
    r"|[./\- ]{1,2}(?:I{1,3}|IV|VI{0,3}|IX|XI{0,2})[./\- ]{1,2}(?:[0-9]{4}|[0-9]{2})"
    rf"|(?<=[0-3][0-9]) [01][0-9] (?:{_YEAR}|[0-9]{{2}})))(?![0-9])(?![.\-/][0-9])"
)
_DAY: Final = re.compile("(?:0?[1-9]|[12][0-9]|3[01])(?:st|nd|rd|th|го|е|ого|ші|шы|інші|ншы)?")
_FOUR: Final = re.compile(_YEAR + "(?:да|де|та|те|го|г|ж|жылы|жылғы|года)?")
_TWO: Final = re.compile("[0-9]{2}(?:го|й|г|ж|да|де|та|те)?")
_TOLD: Final = re.compile(
    r"(?:перв|втор|трет|четв[её]рт|пят|шест|седьм|восьм|девят|десят|одиннадцат|двенадцат|тринадцат|четырнадцат"
    r"|пятнадцат|шестнадцат|семнадцат|восемнадцат|девятнадцат|двадцат|тридцат|сорок|семь|восемь|восьмидесят|сот"
    r"|девяност|тысяч|дв[ае]|двухтысячн|первого|один|одна|три|"
    r"first|second|third|four|fif|six|seven|eigh|nin|ten|eleven|twel|thir|twent|thousand|hundred|fort|one|two|three|oh|"
    r"бір|екі|үш|төрт|бес|алты|жеті|сегіз|тоғыз|он|жиырма|отыз|қырық|елу|алпыс|жетпіс|сексен|тоқсан|жүз|мың)\w{0,9}"
)
_BY_A_DAY: Final = frozenset({".", "-", "/", ",", "of", "day", "ші", "шы", "інші", "ншы", "го", "е", "th", "күні"})
_BEHIND: Final = frozenset({".", "-", "/", ",", "'", "’", "the", "of", "айының", "ай"})
_OF_A_YEAR: Final = frozenset({
    ".", ",", "-", "жылғы", "жылы", "жылдың", "жыл", "ж", "года", "год", "г", "jylgy", "jylǵy", "jyly", "jyldyn",
    "айы", "ай", "шы", "ші", "inshi", "го",
})  # fmt: skip
_BORN_BEFORE: Final = re.compile(
    r"туған(?! жер| ел| өлк| қал| тіл)|туыл|туды|дүниеге|дүние есіг|родил|рожд[её]?н|рожд|др(?<!\wдр)\b|д\.\s?р|д/р"
    r"|днюх|born|birth|dob(?<!\wdob)\b|d\.o\.b|bday|b-day|tu[gǵ]an|tý[gǵ]an|tuw[gǵ]an|г\.\s?р|г/р|именин|на свет"
    r"|into the world"
)
_BORN_AFTER: Final = re.compile(
    r"[\s,)]{0,3}(?:(?:года?|г\.?|ж\.?|жылы|жылғы|күні|күнгі|kúni|kuni|-?ші|-?го|-?й)[\s,]{0,2}){0,3}"
    r"(?:туған(?! жер| ел)|туыл|туды|рожд|родил|г\.? ?р|ж\.? ?т|born|t[uý][gǵ]an|дүние)"
)
_BORN_LATER: Final = re.compile(
    r"туған(?! жер| ел| өлк| қал| тіл| күн)|туылған|туылды|дүниеге кел|дүние есіг|родил(?:ся|ась|ись)|was born"
)
_OTHER_DATE: Final = re.compile(
    r"[0-9]{2}[./][0-9]{2}[./][0-9]{2}|[0-9]{4}-[0-9]{2}|[0-9]{8}|\n|выдан|берілген|issued|срок|until|дейін|от $"
    r"|from $|valid"
)
_SENTENCE_ENDS: Final = re.compile(r"[.;!?]\s|\n\n")
_HEADING: Final = re.compile(
    r"(?:^|[|;,\t])\s*(?:др|д\.р\.?|dob|дата рождения|туған күні|birth\w*|туған)\s*(?:[|;,\t\n]|$)",
    re.IGNORECASE | re.MULTILINE,
)
_DATED: Final = re.compile("N[./-][NXIYJSVA][./-][Nn]|(?<!N)N[NXIYJ]N(?!N)|[./-]u")
_BORN: Final = (
    "г.р", "ж.т", "г. р", "ж. т", "г/р", "д.р", "д/р", "birth", "туған", "born", "рожд", "родил", "на свет", "дүние",
    "d.o.b", "b-day", "the world", "днюх",
)  # fmt: skip
_MONTH: Final = re.compile("h")
_BEFORE: Final = 44
_AFTER: Final = 30
_LATER: Final = 44
_NEAR: Final = 26
_WORDS_NEAR: Final = 9
_LONG_AGO: Final = 2000
_OLD_ENOUGH: Final = 2012
_MOST_WORDS: Final = 6


def in_text(reading: Reading, names: Sequence[Span], *, digits: bool) -> Iterator[Span]:
    """Days of birth. `names` are those found; `digits` says whether there are any."""
    text, shape = reading.text, reading.shape
    months = "h" in shape
    figures = digits and (_DATED.search(shape) is not None or ("b" in shape and "d" in shape))
    if not (months or figures):
        return
    if not (names or "b" in shape or any(sign in reading.low for sign in _BORN)):
        return
    candidates = list(_with_months(reading)) if months else []
    if figures:
        candidates += [match.span() for match in _NUMERIC.finditer(text) if _is_day(match[0])]
    if not candidates:
        return
    table = "\n" in text and _HEADING.search(text) is not None
    ends = {span.end for span in names}
    for start, end in candidates:
        if (
            _is_birth(reading, start, end, ends)
            or _is_said(reading, start)
            or (table and _stands_alone(text, start, end))
        ):
            yield Span(start, end, "birth_date", 0.9)


def _with_months(reading: Reading) -> Iterator[tuple[int, int]]:
    """Days with the name of a month, in figures or in words."""
    for month in _MONTH.finditer(reading.shape):
        span = _around(reading, month.start())
        if span:
            first, last = span
            yield reading.at[first], reading.at[last - 1] + len(reading.tokens[last - 1])


def _around(reading: Reading, month: int) -> tuple[int, int] | None:
    """The tokens of the date that a month stands in."""
    behind = month + 1
    first = _day_ending(reading, month)
    if first is not None:
        last = _year_from(reading, behind)
        if last is not None:
            return first, last
        year = _year_ending(reading, first)
        return None if year is None else (year, behind)
    day = _day_from(reading, behind)
    if day is None:
        return None
    last = _year_from(reading, day)
    if last is not None:
        return month, last
    year = _year_ending(reading, month)
    return None if year is None else (year, day)


def _told_back(reading: Reading, last: int, most: int) -> int | None:
    """Where words for a number begin that end here."""
    first = last
    while first > 0 and last - first < 2 * most:
        if _TOLD.fullmatch(reading.word(first - 1)):
            first -= 1
        elif first < last and reading.tokens[first - 1] == "-" and _TOLD.fullmatch(reading.word(first - 2)):
            first -= 2
        else:
            break
    return first if first < last else None


def _day_ending(reading: Reading, last: int) -> int | None:
    """Where the day begins that ends before a month, with an article before it."""
    for _ in range(3):
        if reading.word(last - 1) not in _BY_A_DAY:
            break
        last -= 1
    if last < 1:
        return None
    day = last - 1 if _DAY.fullmatch(reading.word(last - 1)) else _told_back(reading, last, 2)
    return day - 1 if day and reading.word(day - 1) == "the" else day


def _day_from(reading: Reading, first: int) -> int | None:
    """Where the day ends that follows a month."""
    for _ in range(3):
        if reading.word(first) not in _BEHIND:
            break
        first += 1
    return first + 1 if _DAY.fullmatch(reading.word(first)) else None


def _year_from(reading: Reading, first: int) -> int | None:
    """Where the year ends that follows."""
    for _ in range(3):
        if reading.word(first) not in _BEHIND:
            break
        first += 1
    word = reading.word(first)
    if _FOUR.fullmatch(word):
        return first + 1
    if _TWO.fullmatch(word):
        clock = reading.word(first + 1) in (":", ".") and reading.shape[first + 2 : first + 3] == "N"
        return None if clock else first + 1
    last = first
    while last - first < _MOST_WORDS and (
        _TOLD.fullmatch(reading.word(last)) or (last > first and reading.word(last) in ("-", "and"))
    ):
        last += 1
    return last if last > first else None


def _year_ending(reading: Reading, last: int) -> int | None:
    """Where the year begins that ends before a day or a month."""
    for _ in range(4):
        if reading.word(last - 1) not in _OF_A_YEAR:
            break
        last -= 1
    if last < 1:
        return None
    return last - 1 if _FOUR.fullmatch(reading.word(last - 1)) else _told_back(reading, last, _MOST_WORDS)


def _is_day(written: str) -> bool:
    numbers = [int(part) for part in re.findall(r"[0-9]+", written)]
    if len(numbers) == 1:
        if written[:2] in ("18", "19", "20") and 1 <= int(written[4:6]) <= 12 and 1 <= int(written[6:]) <= 31:
            return True
        return 1 <= int(written[:2]) <= 31 and 1 <= int(written[2:4]) <= 12 and written[4:6] in ("18", "19", "20")
    if len(numbers) == 2:
        return 1 <= numbers[0] <= 31 and (numbers[1] < 100 or 1800 < numbers[1] < 2100)
    first, middle, last = numbers
    if first > 1800:
        return first < 2100 and 1 <= middle <= 12 and 1 <= last <= 31
    short = len(written) - len(written.rstrip("0123456789")) == 2
    if not (short or 1800 < last < 2100):
        return False
    return (1 <= first <= 31 and 1 <= middle <= 12) or (1 <= first <= 12 and 13 <= middle <= 31)


def _is_said(reading: Reading, start: int) -> bool:
    """Whether one of the words before, as a scanner read it, says that somebody was born."""
    if "b" not in reading.shape:
        return False
    place = bisect_left(reading.at, start)
    end = reading.shape.find("b", place)
    near = reading.shape[place : end + 1] if 0 <= end - place < _WORDS_NEAR else ""
    return bool(near) and re.fullmatch(r"(?:[Nnd][./-]?){1,3}[wn]{0,2}b", near) is not None


def _is_birth(reading: Reading, start: int, end: int, ends: set[int]) -> bool:
    text, low = reading.text, reading.low
    if _BORN_AFTER.match(low, end, end + _AFTER):
        return True
    later = _BORN_LATER.search(low, end, end + _LATER)
    if later and not _SENTENCE_ENDS.search(low, end, later.start()):
        return True
    before = low[max(0, start - _BEFORE) : start]
    said = [match.end() for match in _BORN_BEFORE.finditer(before)]
    between = before[said[-1] :] if said else ""
    if said and not _OTHER_DATE.search(between) and not _SENTENCE_ENDS.search(between.lstrip(".")):
        return True
    return _follows_a_name(text, start, end, ends)


def _follows_a_name(text: str, start: int, end: int, ends: set[int]) -> bool:
    """Whether a name stands right before a date that somebody alive may be born on."""
    at = start
    while at > 0 and start - at < 4 and text[at - 1] in " ,(;|\t\"'":
        at -= 1
    near = any(0 <= start - end < _NEAR and "\n" not in text[end:start] for end in ends)
    if (at == start or at not in ends) and not near:
        return False
    years = re.findall(r"[0-9]+", text[start:end])
    year = max((int(part) for part in years if len(part) == 4), default=0) if years else 0
    if not year and years:
        year = int(years[-1]) + (1900 if int(years[-1]) > 27 else 2000)
    if at == start or at not in ends:
        return bool(year) and year < _LONG_AGO
    bracket = text[at:start].strip().endswith("(") and text[end : end + 1] == ")"
    cell = text[start - 1] in ";|\t," and text[end : end + 1] in ";|\t,\n"
    return bool(year) and (year <= _OLD_ENOUGH or ((bracket or cell) and year < 2026) or year <= 2018)


def _stands_alone(text: str, start: int, end: int) -> bool:
    before, after = text[max(0, start - 4) : start].rstrip(" \"'")[-1:], text[end : end + 4].lstrip(" \"'")[:1]
    return before in ("|", ";", ",", "\t", "\n", "") and after in ("|", ";", ",", "\t", "\n", "")
