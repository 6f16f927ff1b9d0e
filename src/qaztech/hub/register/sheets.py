"""The cells of an Excel or OpenDocument workbook, read by python-calamine.

Archives are looked at before they are unpacked. Of a formula the stored value is taken; a cell that holds an error, or
a formula without a stored value, comes as a text that begins with `BROKEN`. Dates come as ISO text. Not here: CSV, and
which row is the header (`workbook`); the process in which files of others are read (`reading`).
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from html import unescape
from pathlib import Path
from typing import Any, Final

import msgspec

from qaztech.core.errors import Malformed, Unavailable

Cell = str | int | float | bool
# The first character of a cell that has no value but an error; no document can have it in a text.
BROKEN: Final = "\x00"
MOST_FILE: Final = 60 * 1024**2
# Rows of data in a file; titles, headers and totals come to it.
MOST_ROWS: Final = 200_000
MOST_LINES: Final = MOST_ROWS + 5_000
MOST_COLUMNS: Final = 702
MOST_SHEETS: Final = 100
# Unpacked bytes of an archive, its members, and how much smaller packing may make it.
MOST_UNPACKED: Final = 1024**3
MOST_MEMBERS: Final = 5_000
MOST_RATIO: Final = 250
# Cells of a file, less the empty ones at the ends of rows.
MOST_CELLS: Final = 8_000_000
_SMALL: Final = 10 * 1024**2
_ATTRIBUTE: Final = re.compile(r"([\w:]+)\s*=\s*[\"']([^\"']*)[\"']")
_BROKEN_CELL: Final = re.compile(rb"<(?:\w+:)?c\s([^>]*\bt=[\"']e[\"'][^>]*)>(.{0,2000}?)</(?:\w+:)?c>", re.DOTALL)
_UNCOUNTED: Final = re.compile(
    rb"<(?:\w+:)?c\s([^>]*[^>/])>\s*<(?:\w+:)?f\b(?:[^>]*/>|[^>]*>[^<]*</(?:\w+:)?f>)\s*(?:<(?:\w+:)?v\s*/>|<(?:\w+:)?v></(?:\w+:)?v>)?</(?:\w+:)?c>"
)


class Sheet(msgspec.Struct, frozen=True, kw_only=True):
    """The cells of one sheet: rows that are not empty, each with its number as a spreadsheet shows it (from 1).

    `merged` has first row, first column, last row and last column of merged cells, rows as numbered, columns from 0.
    """

    name: str
    rows: list[tuple[int, list[Cell]]]
    hidden: bool = False
    merged: list[tuple[int, int, int, int]] = []


class Count:
    """Counts the rows and cells of a file while it is read."""

    def __init__(self) -> None:
        self._rows = 0
        self._cells = 0

    def add(self, cells: Sequence[Cell]) -> None:
        """One more row. Raises `Malformed` where a file has more than an import takes."""
        self._rows += 1
        self._cells += len(cells)
        if len(cells) > MOST_COLUMNS or self._rows > MOST_LINES:
            raise too_large(f"more than {MOST_ROWS} rows or {MOST_COLUMNS} columns")
        if self._cells > MOST_CELLS:
            raise too_large(f"more than {MOST_CELLS} cells")


def read_sheets(path: Path) -> list[Sheet]:
    """The sheets of a workbook (XLSX, XLSM, XLSB, XLS, ODS).

    Raises `Malformed` for what is none or too large, `Unavailable` without python-calamine.
    """
    if path.stat().st_size > MOST_FILE:
        raise too_large(f"a file of more than {MOST_FILE // 1024**2} MiB")
    if zipfile.is_zipfile(path):
        check_archive(path)
    return _read(path)


def check_archive(path: Path) -> None:
    """Refuse an archive that would unpack to far more than it is. Raises `Malformed`."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as exc:
        raise not_a_table("not a workbook, or a damaged one") from exc
    unpacked = sum(member.file_size for member in members)
    packed = sum(member.compress_size for member in members)
    bomb = unpacked > _SMALL and unpacked > MOST_RATIO * max(packed, 1)
    if unpacked > MOST_UNPACKED or len(members) > MOST_MEMBERS or bomb:
        raise too_large("an archive that unpacks to far more than a register has")


def too_large(what: str) -> Malformed:
    """The refusal of what is over a limit."""
    return Malformed("table.too-large", what, at="caller")


def not_a_table(what: str) -> Malformed:
    """The refusal of what cannot be read."""
    return Malformed("table.unreadable", what, at="caller")


def _read(path: Path) -> list[Sheet]:
    try:
        import python_calamine as calamine  # noqa: PLC0415  # an extra
    except ImportError as exc:
        raise Unavailable(
            "table.no-engine", "to read workbooks install qaztech[analysis]; CSV can be read without", at="caller"
        ) from exc
    try:
        book = calamine.CalamineWorkbook.from_path(path)
        plain = [m for m in book.sheets_metadata if m.typ == calamine.SheetTypeEnum.WorkSheet]
        if len(plain) > MOST_SHEETS:
            raise too_large(f"a workbook of more than {MOST_SHEETS} sheets")
        broken = _broken_cells(path)
        found, count = [], Count()
        for one in plain:
            sheet = _sheet(book.get_sheet_by_name(one.name), one, broken.get(one.name, {}), count)
            found.append(sheet)
    except (calamine.CalamineError, zipfile.BadZipFile, OSError, ValueError, RuntimeError) as exc:
        raise not_a_table("not a workbook, or a damaged or protected one") from exc
    return found


def _sheet(sheet: Any, about: Any, broken: Mapping[tuple[int, int], str], count: Count) -> Sheet:
    if sheet.total_width > MOST_COLUMNS:
        raise too_large(f"a sheet of more than {MOST_COLUMNS} columns")
    rows: list[tuple[int, list[Cell]]] = []
    merged = [(a + 1, b, c + 1, d) for (a, b), (c, d) in sheet.merged_cell_ranges or ()]
    for number, cells in enumerate(sheet.to_python(skip_empty_area=False), 1):
        if not any(cell != "" for cell in cells):
            continue
        while not merged and cells[-1] == "":  # an empty cell may show what is merged into it
            cells.pop()
        count.add(cells)
        rows.append((number, [_plain(cell) for cell in cells]))
    by_number = dict(rows)
    for (number, column), text in broken.items():
        cells = by_number.setdefault(number, [])
        cells.extend([""] * (column + 1 - len(cells)))
        cells[column] = f"{BROKEN}{text}"
    return Sheet(
        name=about.name, rows=sorted(by_number.items()), hidden=str(about.visible) != "SheetVisibleEnum.Visible",
        merged=merged,
    )  # fmt: skip


def _plain(cell: Any) -> Cell:
    return cell if isinstance(cell, (str, int, float)) else str(msgspec.to_builtins(cell))


def _broken_cells(path: Path) -> dict[str, dict[tuple[int, int], str]]:
    """The cells of each sheet of an XLSX that hold an error or a formula nobody has counted; calamine gives none."""
    if not zipfile.is_zipfile(path):
        return {}
    found: dict[str, dict[tuple[int, int], str]] = {}
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
        for sheet, member in _places(archive, names):
            if member in names:
                data = archive.read(member)
                cells = dict(_cells_without_value(data))
                if cells:
                    found[sheet] = cells
    return found


def _places(archive: zipfile.ZipFile, names: set[str]) -> Iterator[tuple[str, str]]:
    """The name of each sheet of an XLSX and the member that has its cells."""
    if not {"xl/workbook.xml", "xl/_rels/workbook.xml.rels"} <= names:
        return
    book = archive.read("xl/workbook.xml").decode("utf-8", "replace")
    relations = archive.read("xl/_rels/workbook.xml.rels").decode("utf-8", "replace")
    targets = {}
    for text in re.findall(r"<(?:\w+:)?Relationship\s([^>]*)>", relations):
        attributes = dict(_ATTRIBUTE.findall(text))
        targets[attributes.get("Id", "")] = attributes.get("Target", "")
    for text in re.findall(r"<(?:\w+:)?sheet\s([^>]*)>", book):
        attributes = dict(_ATTRIBUTE.findall(text))
        target = targets.get(attributes.get("r:id", ""), "")
        member = target[1:] if target.startswith("/") else f"xl/{target}"
        yield unescape(attributes.get("name", "")), member


def _cells_without_value(data: bytes) -> Iterator[tuple[tuple[int, int], str]]:
    if b't="e"' in data or b"t='e'" in data:
        for attributes, inside in _BROKEN_CELL.findall(data):
            value = re.search(rb"<(?:\w+:)?v>([^<]{0,40})", inside)
            yield from _placed(attributes, unescape(value[1].decode("utf-8", "replace")) if value else "#ERROR")
    if b"<f" in data or b":f" in data:
        for attributes in _UNCOUNTED.findall(data):
            yield from _placed(attributes, "=")


def _placed(attributes: bytes, text: str) -> Iterator[tuple[tuple[int, int], str]]:
    place = re.search(rb"\br=[\"']([A-Z]{1,3})([0-9]{1,7})[\"']", attributes)
    if place:
        column = 0
        for letter in place[1]:
            column = column * 26 + letter - 64
        if column <= MOST_COLUMNS:
            yield (int(place[2]), column - 1), text
