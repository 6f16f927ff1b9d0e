"""The registry of digital objects as an Excel workbook or a ZIP of CSV files, in the tables it is imported from.

Headers and words are in the language asked for, or our own names (`own`); what is exported is imported again without
any change. Text that a spreadsheet would take for a formula stays text: in Excel its cell is text, in CSV a quote
stands before it. An ArchiMate model is `archimate`'s.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable, Sequence
from math import isfinite
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

from qaztech.core.errors import Malformed, Unavailable
from qaztech.hub.register.archimate import write_model
from qaztech.hub.register.columns import Column, Form, columns_of, values_of, write_cell
from qaztech.hub.register.rows import NAMES, TABLES
from qaztech.hub.register.sheets import Cell
from qaztech.hub.register.snapshot import Register
from qaztech.hub.register.titles import LANGUAGES, choice_title, column_title, table_title

OWN: Final = "own"
MODEL_NAME: Final = "Registry of digital objects"
# The smallest date a ZIP can hold: the same register gives the same bytes.
_WHEN: Final = (1980, 1, 1, 0, 0, 0)
_LONGEST_CELL: Final = 32_767
_LONGEST_SHEET: Final = 31
_YES_NO: Final = {"kk": ("иә", "жоқ"), "ru": ("да", "нет"), "en": ("yes", "no")}
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


class Table(NamedTuple):
    """A sheet: its name, headers, rows, and what stands above the header."""

    name: str
    headers: Sequence[str]
    rows: Iterable[Sequence[Cell]]
    above: str = ""


def tables_of(register: Register, language: str = OWN) -> list[Table]:
    """Every table: its name, headers and rows, in the order of keys. Raises `Malformed` for another language."""
    if language not in {OWN, *LANGUAGES}:
        raise Malformed("export.language", "own, kk, ru or en", at="caller")
    rows: dict[str, list[Any]] = {table: [] for table in TABLES}
    for row in register:
        rows[NAMES[type(row)]].append(row)
    found: list[Table] = []
    for table, held in rows.items():
        columns = list(columns_of(table).values())
        name = table if language == OWN else table_title(table, language)
        headers = [c.name if language == OWN else column_title(table, c.name, language) for c in columns]
        ordered = sorted(held, key=lambda row: row.key)
        found.append(Table(name, headers, [_cells(columns, values_of(row), language) for row in ordered]))
    return found


def write_xlsx(tables: Sequence[Table], file: Path | BinaryIO) -> None:
    """Write tables as a workbook. Raises `Unavailable` without xlsxwriter."""
    try:
        import xlsxwriter  # type: ignore[import-untyped]  # noqa: PLC0415  # an extra
    except ImportError as exc:
        raise Unavailable(
            "table.no-engine", "to write workbooks install qaztech[analysis]; CSV can be written without", at="caller"
        ) from exc
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(file if not isinstance(file, Path) else str(file), options) as book:
        bold = book.add_format({"bold": True})
        taken: set[str] = set()
        for name, headers, rows, above in tables:
            sheet = book.add_worksheet(_sheet_name(name, taken))
            top = 1 if above else 0
            sheet.freeze_panes(top + 1, 0)
            sheet.set_column(0, max(len(headers) - 1, 0), 18)
            if above:
                sheet.write_string(0, 0, above)
            for place, header in enumerate(headers):
                sheet.write_string(top, place, header, bold)
            for number, cells in enumerate(rows, top + 1):
                _write_row(sheet, number, cells)


def write_csv_zip(tables: Sequence[Table], file: Path | BinaryIO) -> None:
    """Write tables as a ZIP of CSV files: UTF-8 with the mark that Excel looks for, commas, quotes where needed."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, headers, rows, above in tables:
            text = io.StringIO(newline="")
            writer = csv.writer(text, lineterminator="\r\n")
            if above:
                writer.writerow([guarded(above)])
            writer.writerow([guarded(header) for header in headers])
            writer.writerows([guarded(cell) for cell in cells] for cells in rows)
            about = zipfile.ZipInfo(f"{name.replace('/', '-')}.csv", _WHEN)
            about.compress_type = zipfile.ZIP_DEFLATED
            about.external_attr = 0o644 << 16
            archive.writestr(about, text.getvalue().encode("utf-8-sig"))


def guarded(cell: Cell) -> Cell:
    """A cell of a CSV file that no spreadsheet takes for a formula: `workbook.unguarded` takes the quote away."""
    if isinstance(cell, str) and cell.lstrip("'").startswith(_FORMULA):
        return f"'{cell}"
    return cell


def _write_row(sheet: Any, number: int, cells: Sequence[Cell]) -> None:
    for place, cell in enumerate(cells):
        if isinstance(cell, bool) or cell == "":
            continue
        if isinstance(cell, (int, float)) and isfinite(cell):
            sheet.write_number(number, place, cell)
        elif len(text := str(cell)) > _LONGEST_CELL:
            raise Malformed("export.long", "a cell is longer than Excel allows: export CSV", at="caller")
        else:
            sheet.write_string(number, place, text)


def _cells(columns: Sequence[Column], values: dict[str, Any], language: str) -> list[Cell]:
    return [_told(column, values.get(column.name), language) for column in columns]


def _told(column: Column, value: Any, language: str) -> Cell:
    if value is None or language == OWN:
        return write_cell(value)
    if column.form is Form.CHOICE:
        return choice_title(column.table, column.name, value, language)
    if column.form is Form.YES_NO:
        return _YES_NO[language][0 if value else 1]
    return write_cell(value)


def _sheet_name(name: str, taken: set[str]) -> str:
    """A name that a sheet may have, and no other has: Excel knows no difference of case."""
    plain = "".join(" " if letter in "[]:*?/\\" else letter for letter in name).strip("' ") or "-"
    found, count = plain[:_LONGEST_SHEET].strip("' "), 2
    while found.lower() in taken:
        end = f" ({count})"
        found, count = f"{plain[: _LONGEST_SHEET - len(end)]}{end}", count + 1
    taken.add(found.lower())
    return found


def export(register: Register, path: Path, language: str = OWN) -> None:
    """Write the registry to a file, by the ending of its name. Raises `Malformed` for an ending that is none of ours.

    A workbook (`.xlsx`), a ZIP of CSV files (`.zip`) or an ArchiMate model (`.xml`, in all languages at once).
    """
    tables = tables_of(register, language)
    if path.suffix.lower() == ".xlsx":
        write_xlsx(tables, path)
    elif path.suffix.lower() == ".zip":
        write_csv_zip(tables, path)
    elif path.suffix.lower() == ".xml":
        path.write_bytes(write_model(register, name=MODEL_NAME))
    else:
        what = ".xlsx, .zip (of CSV files) or .xml (an ArchiMate model)"
        raise Malformed("export.form", f"a register is exported to {what}", at="caller")
