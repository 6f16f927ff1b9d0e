"""What the registry's tables, columns and words are called: in kk, ru and en, and as bodies really write them.

`columns.json` beside this file holds them: for each, the titles kk, ru, en, then other spellings. Titles are compared
without case, signs, units of money and word endings. Not here: which column of a file is which (`mapping`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cache
from pathlib import Path
from typing import Final

import msgspec

from qaztech.core.errors import Malformed
from qaztech.hub.register.columns import Column, Form, columns_of, read_cell
from qaztech.hub.register.kato import FILE as KATO_FILE

FILE: Final = Path(__file__).parent / "columns.json"
LANGUAGES: Final = ("kk", "ru", "en")
# The title of a language in a list of titles.
_PLACE: Final = {language: place for place, language in enumerate(LANGUAGES)}
# The column in which rows that were left out say why.
REASONS: Final = {"kk": "Не дұрыс емес", "ru": "Что не так", "en": "What is wrong"}
_STEM: Final = 5
_ENOUGH: Final = 0.67
_YEAR: Final = re.compile(r"(?<!\d)(199[1-9]|20\d\d|2100)(?!\d)")
# A day in a text, or the words before one.
_DAYS: Final = re.compile(
    r"(по состоянию на|на дату|as of)\s+\S+(\s+\S+)?(\s+\d{4})?|\d{1,2}[./-]\d{1,2}[./-]\d{4}|\d{4}-\d{2}-\d{2}"
    r"|\d{1,2}\s+[^\W\d]+\s+\d{4}|\d{4}\s*жыл\w*\s+\d{1,2}\s+[^\W\d]+"
)
# What a title says last of the language it is for.
_LANGUAGE_WORDS: Final = {
    "kk": ("на гос языке", "на государственном языке", "на казахском языке", "на казахском", "на каз языке",
           "на каз", "каз", "қазақша", "мемлекеттік тілде", "қазақ тілінде", "in kazakh", "kazakh"),
    "ru": ("на русском языке", "на русском", "на рус языке", "на рус", "рус", "орысша", "орыс тілінде", "in russian",
           "russian"),
    "en": ("на английском языке", "на английском", "на англ языке", "на англ", "англ", "ағылшынша",
           "ағылшын тілінде", "in english", "english"),
}  # fmt: skip
_MONTH_DATE: Final = re.compile(
    r"(?:(\d{4})\s*(?:ж\.?|жыл\w*)?\s+)?(\d{1,2})\s+([^\W\d]+)\.?,?(?:\s+(\d{4}))?\s*(?:г\.?|года?|ж\.?)?"
)


class _Words(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    tables: dict[str, list[str]]
    columns: dict[str, dict[str, list[str]]]
    choices: dict[str, dict[str, list[str]]]
    cost_words: dict[str, list[str]]
    cost_states: dict[str, list[str]]
    units: dict[str, list[str]]
    months: dict[str, list[str]]


@cache
def words() -> _Words:
    """The words of `columns.json`."""
    return msgspec.json.decode(FILE.read_bytes(), type=_Words)


@dataclass(frozen=True, slots=True)
class Match:
    """A column that a title means; `sure` unless it is only alike."""

    name: str
    sure: bool


def table_title(table: str, language: str) -> str:
    """What a table is called."""
    return words().tables[table][_PLACE[language]]


def column_title(table: str, name: str, language: str) -> str:
    """What a column is called."""
    return words().columns[table][name][_PLACE[language]]


def choice_title(table: str, name: str, value: str, language: str) -> str:
    """What a word that a cell may hold is called."""
    return words().choices[f"{table}.{name}"][value][_PLACE[language]]


def tokens(title: str) -> tuple[str, ...]:
    """The words of a title, without units of money unless there is nothing else."""
    found = tuple(re.findall(r"\w+", title.casefold().replace("ё", "е")))
    bare = tuple(word for word in found if not _unit(word))
    return bare or found


def unit_of(title: str) -> int | None:
    """How many tenge the numbers under a title count in: 1000 for thousand tenge; None where it does not say."""
    for unit, known in words().units.items():
        if any(word.startswith(one) for word in re.findall(r"\w+", title.casefold()) for one in known if len(one) > 2):
            return int(unit)
    return None


def year_of(title: str) -> int | None:
    """The year that a title names, if it is one."""
    found = set(_YEAR.findall(title))
    return int(found.pop()) if len(found) == 1 else None


def year_of_money(text: str) -> int | None:
    """The year that a title over columns of money names as that of the money; a day in it is none."""
    if cost_kind(text) is None:
        return None
    return year_of(_DAYS.sub(" ", text.casefold()))


def is_day_title(title: str) -> bool:
    """Whether a title says that below it are days."""
    found = tokens(title.rpartition(" / ")[2]) or ("",)
    return found[0] in {"дата", "күні", "date"} or found[-1] in {"күні", "date"}


def cost_kind(title: str) -> str | None:
    """The kind of cost under a title; empty where it tells of money and not of its kind, None where of no money."""
    plain = " ".join(tokens(title)) + " " + title.casefold()
    for kind, known in words().cost_words.items():
        if any(word in plain for word in known):
            return kind
    return None


def cost_state(title: str) -> str:
    """`planned` or `paid` where a title says so."""
    found = re.findall(r"\w+", title.casefold())
    for state, known in words().cost_states.items():
        if any(word.startswith(one) for word in found for one in known):
            return state
    return ""


def match_table(title: str) -> str | None:
    """The table of this name or title."""
    return _tables().get(_joined(title))


def match_column(table: str, title: str) -> Match | None:
    """The column of a table that a title means."""
    exact, stems = _columns(table)
    plain = _joined(title)
    if plain in exact:
        return Match(exact[plain], sure=True)
    if (told := _in_language(plain, exact)) is not None:
        return Match(told, sure=True)
    bare = _joined(re.sub(r"\([^()]*\)", " ", title))
    if bare in exact and len(bare) > 3:
        return Match(exact[bare], sure=False)
    last = _joined(title.rpartition(" / ")[2])
    if " / " in title and last in exact and len(last) > 3:
        return Match(exact[last], sure=False)
    own = _stems(title)
    alike = sorted(((len(own & other) / len(own | other), name) for other, name in stems if own & other), reverse=True)
    if not alike or alike[0][0] < _ENOUGH:
        return None
    names = {name for score, name in alike if score == alike[0][0]}
    return Match(alike[0][1], sure=alike[0][0] == 1.0) if len(names) == 1 else None


def _in_language(plain: str, exact: Mapping[str, str]) -> str | None:
    """The column in the language that a title ends with: of "name in Russian" that of names, in Russian."""
    for language, endings in _LANGUAGE_WORDS.items():
        for ending in endings:
            base = exact.get(plain.removesuffix(f" {ending}").rstrip()) if plain.endswith(f" {ending}") else None
            stem, _, own = (base or "").rpartition("_")
            if own in LANGUAGES and f"{stem}_{language}" in exact.values():
                return f"{stem}_{language}"
    return None


@cache
def is_title(text: str) -> bool:
    """Whether a text is the title of some column; what is longer than any title is none."""
    if not 1 < len(text) <= 120 or text.replace(".", "").replace(" ", "").isdigit():
        return False
    return any(_joined(text) in _columns(table)[0] for table in words().columns)


def is_reason(title: str) -> bool:
    """Whether this is the title of the column in which rows that were left out say why."""
    return _joined(title) in _REASONS


def _joined(title: str) -> str:
    return " ".join(tokens(title))


def _stems(title: str) -> frozenset[str]:
    return frozenset(word[:_STEM] for word in tokens(title.replace("№", " номер ")))


def _unit(word: str) -> bool:
    return any(
        word == one or (len(one) > 2 and word.startswith(one)) for known in words().units.values() for one in known
    )


@cache
def _tables() -> Mapping[str, str]:
    found = {_joined(title): table for table, titles in words().tables.items() for title in titles}
    return found | {_joined(table): table for table in words().tables}


@cache
def _columns(table: str) -> tuple[Mapping[str, str], list[tuple[frozenset[str], str]]]:
    """Names by title, and for what is only alike the word beginnings of each title."""
    exact: dict[str, str] = {}
    for name, titles in words().columns[table].items():
        for title in (name, name.replace("_", " "), f"{table} {name}", *titles):
            exact.setdefault(_joined(title), name)
    exact |= {name: name for name in words().columns[table]}
    return exact, [(_stems(title), name) for title, name in exact.items()]


# Cells as bodies write them


@cache
def _choices(table: str, name: str) -> Mapping[str, str]:
    return {
        " ".join(re.findall(r"\w+", spelling.casefold().replace("ё", "е"))): value
        for value, titles in words().choices.get(f"{table}.{name}", {}).items()
        for spelling in (value, *titles)
    }


@cache
def _months() -> Mapping[str, int]:
    return {word: int(number) for number, known in words().months.items() for word in known}


@cache
def _places() -> Mapping[str, str]:
    """Names of regions, as they are written, with their codes."""
    found = {}
    for region in msgspec.json.decode(KATO_FILE.read_bytes())["regions"]:
        for language in LANGUAGES:
            name = region[language].casefold()
            for word in (" облысы", " область", " region", " қаласы", "город ", "г. ", " city"):
                name = name.replace(word, "")
            found[name.strip()] = region["code"]
    return found


def read_foreign(column: Column, cell: object, unit: int = 1) -> object:
    """The value of a cell as bodies write it: words of three languages, months by name, thousands of tenge.

    Raises `Malformed` as `columns.read_cell` does, `cell.negative` for money below zero.
    """
    if isinstance(cell, str):
        cell = _spelled(column, cell)
    if column.form is Form.TENGE and cell not in {None, ""}:
        cell = _money(cell, unit)
    return read_cell(column, cell)


def _spelled(column: Column, cell: str) -> str:
    if column.form is Form.CHOICE:
        plain = " ".join(re.findall(r"\w+", cell.casefold().replace("ё", "е")))
        return _choices(column.table, column.name).get(plain, cell)
    if column.form is Form.DATE and (found := _MONTH_DATE.fullmatch(cell.strip().casefold())):
        year, month = found[1] or found[4], _months().get(found[3])
        return f"{year}-{month:02d}-{int(found[2]):02d}" if year and month else cell
    if column.form is Form.KATO and not any(letter.isdigit() for letter in cell):
        plain = cell.casefold().strip()
        for word in (" облысы", " область", " region", " қаласы", "город ", "г. ", " city", " обл."):
            plain = plain.replace(word, "")
        return _places().get(plain.strip(), cell)
    return cell


def _money(cell: object, unit: int) -> object:
    text = re.sub(r"[\s\u00a0\u202f']", "", f"{cell:.15g}" if isinstance(cell, float) else str(cell))
    text = re.sub(r"(₸|тг\.?|тенге|теңге)$", "", text)
    negative = re.fullmatch(r"[-\u2212(][0-9.,]+\)?", text)
    if negative and text.strip("-\u2212().,0"):
        raise Malformed("cell.negative", "money is not less than 0", at="caller")
    if unit == 1 or not re.fullmatch(r"[0-9]+([.,][0-9]+)?", text):
        return cell
    try:
        whole = Decimal(text.replace(",", ".")) * unit
    except InvalidOperation:
        return cell
    if whole != whole.to_integral_value():
        raise Malformed("cell.number", "a sum that is a whole number of tenge", at="caller")
    return int(whole)


def names_of(table: str) -> list[str]:
    """The columns of a table, in order."""
    return list(columns_of(table))


_REASONS: Final = frozenset(map(_joined, REASONS.values()))
