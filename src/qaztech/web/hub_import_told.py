"""What an import would change and where it stumbles, told as people name things: rows by what they are about.

Not here: the pages (`hub_import`), what would change (`hub.register.importing`).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from qaztech.hub.register.columns import Form, columns_of
from qaztech.hub.register.export import guarded
from qaztech.hub.register.importing import Problem
from qaztech.hub.register.mapping import Mapping as FileMapping
from qaztech.hub.register.snapshot import Register
from qaztech.hub.register.store import Change
from qaztech.hub.register.titles import LANGUAGES, choice_title, column_title, table_title
from qaztech.hub.register.workbook import RawTable, is_broken, text_of
from qaztech.web.hub_pages import count_text, hub_texts
from qaztech.web.hub_sources import row_title

# Columns told of two rows that may be one system, and letters of each cell.
_MOST_CELLS: Final = 8
_LONGEST_CELL: Final = 80
_LONGEST: Final = 120
_NAMED: Final = ("objects", "organisations")
_NAMES: Final = tuple(f"name_{language}" for language in LANGUAGES)


class RowNames:
    """What rows are called in one language: by the registry, and by what a change would make of it."""

    def __init__(self, register: Register, changes: Iterable[Change], language: str) -> None:
        self._register = register
        self._language = language
        self._new: dict[str, dict[str, str]] = {}
        for change in changes:
            if change.table in _NAMED and change.field in _NAMES:
                self._new.setdefault(change.key, {})[change.field] = str(change.after or change.before or "")

    def thing(self, id_: str) -> str:
        """The name of an object or body; nothing where it has none."""
        row = self._register.objects.get(id_) or self._register.organisations.get(id_)
        new = self._new.get(id_, {})
        for name in (f"name_{self._language}", "name_ru", "name_kk", "name_en"):
            if found := new.get(name) or (getattr(row, name) if row is not None else ""):
                return str(found)
        return ""

    def row(self, table: str, key: str) -> str:
        """A row by what it is about."""
        return row_title(table, key, self._language, self.thing)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowChanges:
    """The changes of one row, and what it is called."""

    table: str
    key: str
    name: str
    fields: tuple[Change, ...]


def by_row(changes: Sequence[Change], names: RowNames) -> list[RowChanges]:
    """Changes that follow each other, put together by their row."""
    return [
        RowChanges(table=table, key=key, name=names.row(table, key), fields=tuple(found))
        for (table, key), found in groupby(changes, key=lambda change: (change.table, change.key))
    ]


def differences_csv(
    changes: Iterable[Change],
    names: RowNames,
    titles: Sequence[str],
    *,
    language: str,
    value: Callable[[str, str, Any], str],
) -> bytes:
    """All changes as a CSV file with the mark that Excel looks for; `titles` are those of its six columns."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(titles)
    for each in changes:
        cells = (
            table_title(each.table, language), names.row(each.table, each.key), each.key,
            field_name(language, each.table, each.field), value(each.table, each.field, each.before),
            value(each.table, each.field, each.after),
        )  # fmt: skip
        writer.writerow([guarded(cell) for cell in cells])
    return text.getvalue().encode("utf-8-sig")


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """A row of a file that another record may be there for: both names, and the cells in which two rows differ."""

    name: str
    others: tuple[tuple[str, str], ...]
    cells: tuple[tuple[str, str, str], ...] = ()


def doubt_of(problem: Problem, tables: Sequence[RawTable], mapping: FileMapping, names: RowNames) -> Doubt:
    """What a person has to know to decide on a conflict."""
    here = _cells(problem.sheet, str(problem.row), tables)
    sheet, _, number = problem.cell.rpartition(":")
    there = _cells(sheet, number, tables) if sheet else {}
    others = tuple(
        (id_, names.thing(id_) or _name(there, sheet, mapping)) for id_ in problem.other.split(", ") if id_
    )  # fmt: skip
    headers = dict.fromkeys((*here, *there)) if there else {}
    differ = [(each, here.get(each, ""), there.get(each, "")) for each in headers if here.get(each) != there.get(each)]
    return Doubt(name=_name(here, problem.sheet, mapping), others=others, cells=tuple(differ[:_MOST_CELLS]))


def _cells(sheet: str, number: str, tables: Sequence[RawTable]) -> dict[str, str]:
    """The cells of one row by their headers; nothing where there is no such row."""
    for raw in tables:
        if raw.sheet == sheet and number.isdigit() and int(number) in raw.numbers:
            cells = raw.rows[raw.numbers.index(int(number))]
            told = ("#" if is_broken(cell) else text_of(cell)[:_LONGEST_CELL] for cell in cells)
            return dict(zip(raw.headers, told, strict=False))
    return {}


def _name(cells: Mapping[str, str], sheet: str, mapping: FileMapping) -> str:
    """What a row of a sheet is called."""
    rule = next((rule for rule in mapping.tables if rule.sheet == sheet), None)
    fields = {column.field: column.header for column in rule.columns} if rule is not None else {}
    return next((cells[fields[name]] for name in _NAMES if name in fields and cells.get(fields[name])), "")


def field_name(language: str, table: str, field: str) -> str:
    """What a column is called, or its own name where it has no title."""
    return column_title(table, field, language) if field in columns_of(table) else field


def teller(language: str, most: int | None = _LONGEST) -> Callable[[str, str, Any], str]:
    """Values in the reader's words, shortened to `most` letters."""

    def told(table: str, field: str, value: Any) -> str:
        column = columns_of(table).get(field)
        if value is None or column is None:
            return "—" if value is None else str(value)[:most]
        if column.form is Form.CHOICE and value in column.choices:
            return choice_title(table, field, value, language)
        if column.form is Form.YES_NO:
            return str(hub_texts(language)["yes" if value else "no"])
        if column.form is Form.TENGE:
            return count_text(value)
        text = "; ".join(map(str, value)) if isinstance(value, list) else str(value)
        return text if most is None or len(text) <= most else f"{text[: most - 1]}…"

    return told
