"""Days of birth: a date counts where words beside it say that somebody was born, or a name stands right before it.

Pure. Dates of papers, orders and meetings are not personal data and are left.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Final

from qaztech.ai.personal.reading import Reading
from qaztech.ai.personal.spans import Span

_MONTHS: Final = (
    r"январ[яьеём]+|феврал[яье]|марта?|апрел[яье]|мая|май|июн[яье]|июл[яье]|августа?|сентябр[яье]|октябр[яье]"
    r"|ноябр[яье]|декабр[яье]|"
    r"қаңтар\w{0,3}|ақпан\w{0,3}|наурыз\w{0,3}|сәуір\w{0,3}|мамыр\w{0,3}|маусым\w{0,3}|шілде\w{0,6}|тамыз\w{0,3}"
    r"|қыркүйек\w{0,3}|қазан\w{0,3}|"
    r"қараша\w{0,3}|желтоқсан\w{0,3}|"
    r"january|february|march|april|may|june|july|august|september|october|november|december|"
    r"jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec|"
    r"qa[ńn]tar|aqpan|naurý?y?z|naýryz|sáýir|s[aá][uú]ir|mamyr|ma[uý]sym|shilde|tamyz|qyrk[uú][iı]?[yı]?ek|qazan"
    r"|qarasha|j?z?h?eltoqsan"
)
_YEAR: Final = r"(?:1[89][0-9]{2}|20[0-9]{2})"
_NUMERIC: Final = re.compile(
    rf"(?<![0-9.])(?:[0-3]?[0-9] ?[./\-] ?[01]?[0-9] ?[./\-] ?(?:{_YEAR}|[0-9]{{2}})"
    rf"|{_YEAR}[./\-][01]?[0-9][./\-][0-3]?[0-9]"
    rf"|[0-3]?[0-9][./\- ](?:I{{1,3}}|IV|VI{{0,3}}|IX|XI{{0,2}})[./\- ](?:{_YEAR}|[0-9]{{2}})"
    rf"|[0-3][0-9] [01][0-9] (?:{_YEAR}|[0-9]{{2}})|{_YEAR}[01][0-9][0-3][0-9]"
    rf"|[0-3][0-9][01][0-9]{_YEAR})(?![0-9])(?![.\-/][0-9])"
)
_WORDY: Final = re.compile(
    rf"(?<!\w)(?:(?:the )?[0-3]?[0-9](?:st|nd|rd|th|-?го|-?е|-?ші|-?шы|-?інші|-?ншы)?[ .\-]{{0,2}}(?:of "
    rf")?(?:{_MONTHS})\.?,?[ \-]{{0,2}}"
    rf"(?:{_YEAR}(?:да|де|та|те|го)?|'?[0-9]{{2}}(?:-?го|-?й)?(?![0-9:.]))"
    rf"|(?:{_MONTHS})\.? [0-3]?[0-9](?:st|nd|rd|th)?,? (?:{_YEAR}|'[0-9]{{2}})"
    rf"|{_YEAR} ?(?:жылғы|жылы|жылдың|жыл|ж\.|jylgy|jylǵy|jyly|года|г\.)? ?,?[0-3]?[0-9](?:-?ші|-?шы|-?і?нші)? "
    rf"(?:{_MONTHS}))(?![0-9])",
    re.IGNORECASE,
)
_ORDINAL: Final = (
    r"(?:перв|втор|трет|четв[её]рт|пят|шест|седьм|восьм|девят|десят|одиннадцат|двенадцат|тринадцат|четырнадцат"
    r"|пятнадцат|шестнадцат|"
    r"семнадцат|восемнадцат|девятнадцат|двадцат|тридцат|сорок|пятьдесят|пятидесят|шестьдесят|шестидесят"
    r"|семьдесят|семидесят|восемьдесят|"
    r"восьмидесят|девяност|тысяч|дв[ае]|двухтысячн|сот|семь|восемь|один|одна|три|пять|шесть|"
    r"first|second|third|four|fif|six|seven|eigh|nin|ten|eleven|twel|thir|twenty|thousand|hundred|forty|"
    r"бір|екі|үш|төрт|бес|алты|жеті|сегіз|тоғыз|он|жиырма|отыз|қырық|елу|алпыс|жетпіс|сексен|тоқсан|жүз|мың)\w{0,6}"
)
_SPELT: Final = re.compile(
    rf"(?<!\w)(?:{_ORDINAL}[ -]){{1,3}}(?:of )?(?:{_MONTHS}),? (?:{_ORDINAL}[ -]?){{1,6}}(?<![ -])"
    rf"|(?<!\w)(?:{_ORDINAL} ){{2,6}}жыл\w{{0,4}} (?:{_ORDINAL} ){{1,3}}(?:{_MONTHS})",
    re.IGNORECASE,
)
_BORN_BEFORE: Final = re.compile(
    r"туған|туыл|туды|родил|рожд[её]?н|рожд|\bдр\b|д\.р|дата рожд|born|birth|\bdob\b|bday|\bд/р\b|t[uýu]w?[gǵ]an"
    r"|г\.\s?р|день рож|именин|на свет|"
    r"year of birth|г/р|date-of-birth",
    re.IGNORECASE,
)
_BORN_AFTER: Final = re.compile(
    r"[\s,)]{0,3}(?:(?:года?|г\.?|ж\.?|жылы|жылғы|күні|күнгі|kúni|kuni|-?ші)[\s,]{0,2}){0,3}(?:туған|туыл|туды"
    r"|рожд|родил|г\.? ?р|ж\.? ?т|born|t[uý][gǵ]an)",
    re.IGNORECASE,
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
_MONTH: Final = re.compile("h")
_BEFORE: Final = 44
_AFTER: Final = 30
_NEAR: Final = 26
_WORDS_NEAR: Final = 9
_LONG_AGO: Final = 2000
_OLD_ENOUGH: Final = 2012


def in_text(reading: Reading, names: Sequence[Span], *, digits: bool) -> Iterator[Span]:
    """Days of birth. `names` are those found; `digits` says whether there are any."""
    text = reading.text
    candidates = _with_months(text, reading.shape, reading.at) if "h" in reading.shape else []
    if digits and (_DATED.search(reading.shape) or ("b" in reading.shape and "d" in reading.shape)):
        candidates += [match.span() for match in _NUMERIC.finditer(text) if _is_day(match[0])]
    if not candidates:
        return
    table = "\n" in text and _HEADING.search(text) is not None
    ends = {span.end for span in names}
    for start, end in candidates:
        if _is_birth(text, start, end, ends) or _is_said(reading, start) or (table and _stands_alone(text, start, end)):
            yield Span(start, end, "birth_date", 0.9)


def _with_months(text: str, shape: str, at: Sequence[int]) -> list[tuple[int, int]]:
    """Days with the name of a month, in figures or in words."""
    found: list[tuple[int, int]] = []
    for month in _MONTH.finditer(shape):
        place = month.start()
        figures = "N" in (around := shape[max(0, place - 4) : place + 6]) or "n" in around or "d" in around
        words = "o" in around
        start = at[max(0, place - (9 if words else 5))]
        end = at[place + 8] if place + 8 < len(shape) else len(text)
        for pattern in (_WORDY,) * figures + (_SPELT,) * words:
            match = pattern.search(text, start, end)
            if match and match.span() not in found:
                found.append(match.span())
    return found


def _is_day(written: str) -> bool:
    numbers = [int(part) for part in re.findall(r"[0-9]+", written)]
    if len(numbers) == 1:
        digits = written
        if digits[:2] in ("18", "19", "20") and 1 <= int(digits[4:6]) <= 12 and 1 <= int(digits[6:]) <= 31:
            return True
        return 1 <= int(digits[:2]) <= 31 and 1 <= int(digits[2:4]) <= 12
    if len(numbers) == 2:
        return 1 <= numbers[0] <= 31
    first, middle, last = numbers
    if first > 1800:
        return 1 <= middle <= 12 and 1 <= last <= 31
    return (1 <= first <= 31 and 1 <= middle <= 12) or (1 <= first <= 12 and 13 <= middle <= 31)


def _is_said(reading: Reading, start: int) -> bool:
    """Whether one of the words before, as a scanner read it, says that somebody was born."""
    if "b" not in reading.shape:
        return False
    place = bisect_left(reading.at, start)
    end = reading.shape.find("b", place)
    near = reading.shape[place : end + 1] if 0 <= end - place < _WORDS_NEAR else ""
    return bool(near) and re.fullmatch(r"(?:[Nnd][./-]?){1,3}[wn]{0,2}b", near) is not None


def _is_birth(text: str, start: int, end: int, ends: set[int]) -> bool:
    after = text[end : end + _AFTER]
    if _BORN_AFTER.match(after):
        return True
    before = text[max(0, start - _BEFORE) : start]
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
