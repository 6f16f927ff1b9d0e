"""The columns of the registry's tables: what a cell may hold, read from a row's type; cells to values and back.

Cells come as text, numbers, booleans or dates, as spreadsheets have them. Reading is strict about meaning and lenient
about form: `31.03.2026`, `2026-03-31` and a date cell are one day; `1 234 567` is a number. Not here: which column
of a foreign sheet is which of ours (`mapping`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from functools import cache
from math import isfinite
from typing import Any, Final

import msgspec
from msgspec import inspect

from qaztech.core.bin import is_bin
from qaztech.core.errors import Malformed
from qaztech.hub.register.rows import TABLES, Row

# Characters of one cell.
MOST_TEXT: Final = 20_000
# Parts of one list.
MOST_PARTS: Final = 500
_YES: Final = frozenset({"yes", "true", "1", "да", "иә", "иа", "+", "y"})
_NO: Final = frozenset({"no", "false", "0", "нет", "жоқ", "жок", "-", "n"})
_DATES: Final = ("%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y", "%d-%m-%Y", "%d.%m.%y", "%Y/%m/%d", "%Y.%m.%d")
_TIMES: Final = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M")
_FIRST_YEAR: Final = 1991
_LAST_YEAR: Final = 2100


class Form(StrEnum):
    """What a cell holds."""

    TEXT = "text"
    LIST = "list"
    CHOICE = "choice"
    DATE = "date"
    MONTH = "month"
    NUMBER = "number"
    TENGE = "tenge"
    YES_NO = "yes_no"
    BIN = "bin"
    KATO = "kato"
    OBJECT = "object"
    OBJECTS = "objects"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column: its table and name, what its cells hold, the words allowed (a choice), and whether it is a key."""

    table: str
    name: str
    form: Form
    required: bool
    choices: tuple[str, ...] = ()
    least: int | None = None
    most: int | None = None


@cache
def columns_of(table: str) -> Mapping[str, Column]:
    """The columns of a table, by name, in order. Raises `KeyError` for a table that is none."""
    kind = inspect.type_info(TABLES[table])
    fields = kind.fields if isinstance(kind, inspect.StructType) else ()
    return {field.encode_name: _column(table, field) for field in fields}


def _column(table: str, field: inspect.Field) -> Column:
    type_, extra = _bare(field.type)
    form, choices, least, most = Form.TEXT, (), None, None
    if isinstance(type_, inspect.EnumType):
        form, choices = Form.CHOICE, tuple(word.value for word in type_.cls)
    elif isinstance(type_, inspect.DateType):
        form = Form.DATE
    elif isinstance(type_, inspect.BoolType):
        form = Form.YES_NO
    elif isinstance(type_, inspect.IntType):
        form, least, most = Form.NUMBER, type_.ge, type_.le
    elif isinstance(type_, inspect.VarTupleType):
        form = Form.LIST
    if "form" in extra:
        form = Form(extra["form"])
    return Column(
        table=table,
        name=field.encode_name,
        form=form,
        required=field.required,
        choices=choices,
        least=least,
        most=most,
    )


def _bare(type_: inspect.Type) -> tuple[inspect.Type, dict[str, Any]]:
    """The type without `None` and without its notes, and the notes."""
    extra: dict[str, Any] = {}
    while True:
        if isinstance(type_, inspect.Metadata):
            extra |= type_.extra or {}
            type_ = type_.type
        elif isinstance(type_, inspect.UnionType):
            type_ = next(part for part in type_.types if not isinstance(part, inspect.NoneType))
        else:
            return type_, extra


def read_cell(column: Column, cell: object) -> Any:
    """The value of a cell, as JSON has it (dates as text); None for an empty one.

    Raises `Malformed` with a code `cell.<what>` and a detail that says what is expected.
    """
    if cell is None or (isinstance(cell, str) and not cell.strip()):
        return None
    if isinstance(cell, str) and len(cell) > MOST_TEXT:
        raise Malformed("cell.long", f"more than {MOST_TEXT} characters", at="caller")
    return _READERS[column.form](column, cell)


def write_cell(value: object) -> str | int:
    """A value of a row as the text or number of a cell; empty text for what is not declared."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return value
    if isinstance(value, (tuple, list)):
        return "; ".join(str(part) for part in value)
    if isinstance(value, date):
        return value.isoformat()
    return str(value)


def row_of(table: str, values: Mapping[str, Any]) -> Row:
    """The row of a table from values by column name, as `read_cell` gives them; None and missing mean not declared.

    Raises `Malformed` where a key is missing, or a column is none of the table's.
    """
    given = {name: value for name, value in values.items() if value is not None}
    try:
        return msgspec.convert(given, TABLES[table])
    except msgspec.ValidationError as exc:
        raise Malformed("row.fields", _in_short(str(exc)), at="caller") from None


def values_of(row: Row) -> dict[str, Any]:
    """The declared values of a row by column name, as JSON has them."""
    values: dict[str, Any] = msgspec.to_builtins(row)
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def _in_short(message: str) -> str:
    return message.replace("Object ", "The row ", 1)[:200]


def _text(_: Column, cell: object) -> str:
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)  # a number typed where a text is meant
    text = str(cell).strip()
    if "\x00" in text:
        raise Malformed("cell.text", "a zero byte", at="caller")
    return text


def _list(column: Column, cell: object) -> list[str]:
    parts = [part.strip() for part in re.split(r"[;\n]", _text(column, cell))]
    parts = list(dict.fromkeys(part for part in parts if part))
    if len(parts) > MOST_PARTS:
        raise Malformed("cell.list", f"more than {MOST_PARTS} parts", at="caller")
    return parts


def _choice(column: Column, cell: object) -> str:
    word = _text(column, cell)
    for choice in column.choices:
        if word.lower().replace(" ", "_").replace("-", "_") == choice.lower():
            return choice
    raise Malformed("cell.choice", f"one of {', '.join(column.choices)}", at="caller")


def _date(_: Column, cell: object) -> str:
    if isinstance(cell, datetime):
        cell = cell.date()
    if isinstance(cell, date):
        return _plausible(cell).isoformat()
    if isinstance(cell, (int, float)) and not isinstance(cell, bool):
        return _of_serial(cell).isoformat()
    text = str(cell).strip().removesuffix(" г.").removesuffix("г.").removesuffix(" ж.").strip()
    for form in (*_DATES, *_TIMES):
        try:
            return _plausible(datetime.strptime(text, form).date()).isoformat()  # noqa: DTZ007 - a day, not a moment
        except ValueError:
            continue
    raise Malformed("cell.date", "a date, as 31.03.2026 or 2026-03-31", at="caller")


def _of_serial(number: float) -> date:
    """A day that a spreadsheet counts from 1899-12-30."""
    first, last = date(_FIRST_YEAR, 1, 1).toordinal(), date(_LAST_YEAR, 12, 31).toordinal()
    # Neither infinity nor what is not a number is a day.
    ordinal = int(number) + date(1899, 12, 30).toordinal() if isfinite(number) else 0
    if not first <= ordinal <= last:
        raise Malformed("cell.date", "a date, as 31.03.2026 or 2026-03-31", at="caller")
    return date.fromordinal(ordinal)


def _plausible(day: date) -> date:
    if not _FIRST_YEAR <= day.year <= _LAST_YEAR:
        raise Malformed("cell.date", f"a date between {_FIRST_YEAR} and {_LAST_YEAR}", at="caller")
    return day


def _month(column: Column, cell: object) -> str:
    if isinstance(cell, (date, datetime)):
        return cell.strftime("%Y-%m")
    text = _text(column, cell)
    for pattern, order in ((r"(\d{4})[-./](\d{1,2})", (1, 2)), (r"(\d{1,2})[-./](\d{4})", (2, 1))):
        if (found := re.fullmatch(pattern, text)) and 1 <= int(found[order[1]]) <= 12:
            return f"{found[order[0]]}-{int(found[order[1]]):02d}"
    return _date(column, cell)[:7]


def _number(column: Column, cell: object) -> int:
    if isinstance(cell, bool):
        raise Malformed("cell.number", "a whole number", at="caller")
    if isinstance(cell, float):
        cell = f"{cell:.15g}" if abs(cell) < 1e15 else ""  # not a number is not less either
    text = re.sub(r"[\s\u00a0\u202f']", "", str(cell)).removesuffix("₸").removesuffix("тг").removesuffix("тенге")
    text = re.sub(r"[.,]0{1,2}$", "", text)
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise Malformed("cell.number", "a whole number", at="caller")
    number = int(text)
    if column.least is not None and number < column.least:
        raise Malformed("cell.range", f"not less than {column.least}", at="caller")
    if column.most is not None and number > column.most:
        raise Malformed("cell.range", f"not more than {column.most}", at="caller")
    return number


def _yes_no(column: Column, cell: object) -> bool:
    if isinstance(cell, bool):
        return cell
    word = _text(column, cell).lower()
    if word in _YES:
        return True
    if word in _NO:
        return False
    raise Malformed("cell.yes-no", "yes or no", at="caller")


def _bin(column: Column, cell: object) -> str:
    text = re.sub(r"[\s-]", "", _text(column, cell))
    if text.isascii() and text.isdigit() and len(text) < 12:
        text = text.zfill(12)  # a spreadsheet takes it for a number and drops its zeros
    if not is_bin(text):
        raise Malformed("cell.bin", "a BIN: twelve digits with a right check digit", at="caller")
    return text


def _kato(column: Column, cell: object) -> str:
    text = re.sub(r"\s", "", _text(column, cell))
    if not re.fullmatch(r"[0-9]{2}|[0-9]{4}|[0-9]{6}|[0-9]{9}", text):
        raise Malformed("cell.kato", "a KATO code: nine digits, or the first two, four or six", at="caller")
    return text.ljust(9, "0")


def _object(column: Column, cell: object) -> str:
    text = _text(column, cell)
    if not re.fullmatch(r"[^\s|;]{1,100}", text):
        raise Malformed("cell.object", "an object's id: up to 100 characters without spaces, | or ;", at="caller")
    return text


_READERS: Final = {
    Form.TEXT: _text,
    Form.LIST: _list,
    Form.CHOICE: _choice,
    Form.DATE: _date,
    Form.MONTH: _month,
    Form.NUMBER: _number,
    Form.TENGE: _number,
    Form.YES_NO: _yes_no,
    Form.BIN: _bin,
    Form.KATO: _kato,
    Form.OBJECT: _object,
    Form.OBJECTS: _list,
}
