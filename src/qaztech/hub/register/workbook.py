"""Files as bodies really send them, as raw tables: a header for each column, and rows with the numbers people see.

Workbooks through `sheets`, ArchiMate models through `archimate`; CSV in UTF-8, UTF-16 or windows-1251 (read as its
Kazakh superset KZ-1048), separated by semicolons, commas or tabs; a folder or a ZIP of CSV files. Titles above the
header are skipped, headers of several rows and merged cells are flattened, totals and remarks below are left out and
told. Not here: which column is which of ours (`mapping`), what is in the cells (`importing`), the process in
which files of others are read (`reading`).
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from qaztech.core.errors import Malformed, NotFound
from qaztech.hub.register.archimate import read_rows
from qaztech.hub.register.columns import columns_of
from qaztech.hub.register.sheets import (
    BROKEN,
    MOST_COLUMNS,
    MOST_FILE,
    MOST_ROWS,
    Cell,
    Count,
    Sheet,
    check_archive,
    not_a_table,
    read_sheets,
    too_large,
)

Known = Callable[[str], bool]
_BOOKS: Final = frozenset({".xlsx", ".xlsm", ".xlsb", ".xls", ".ods"})
TEXTS: Final = frozenset({".csv", ".txt", ".tsv"})
# Sheets of what a model made by another program has.
_FOREIGN_SHEETS: Final = {"objects": "elements", "integrations": "relationships"}
_SEPARATORS: Final = ";,\t"
# Rows in which a header is looked for.
_TOP: Final = 40
# Cells of a sheet that are merged, and unpacked bytes of CSV files in an archive.
_MOST_MERGED: Final = 500_000
_MOST_TEXT: Final = 128 * 1024**2
_TOTALS: Final = re.compile(r"(итого|всего|жиыны|барлығы|жалпы сома|total|sum)\b", re.IGNORECASE)
_NUMBER: Final = re.compile(r"[-+]?[0-9][0-9 \u00a0\u202f.,]*%?|#.*|[xх-]")
_BROKEN: Final = re.compile(
    r"#(DIV/0!|N/A|NAME\?|NULL!|NUM!|REF!|VALUE!|ДЕЛ/0!|Н/Д|ИМЯ\?|ПУСТО!|ЧИСЛО!|ССЫЛКА!|ЗНАЧ!)|Err:[0-9]{3}|Ошибка:[0-9]{3}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RawTable:
    """One table of a file. `numbers` has for each row of `rows` its number as the spreadsheet shows it.

    `headers` are unique; `above` is what stands over them; `left_out` are rows that are no data (totals, remarks):
    number and text.
    """

    sheet: str
    headers: tuple[str, ...]
    header_row: int
    numbers: tuple[int, ...]
    rows: tuple[list[Cell], ...]
    hidden: bool = False
    above: str = ""
    left_out: tuple[tuple[int, str], ...] = ()


def read_tables(path: Path, known: Known) -> list[RawTable]:
    """The tables of a file or folder. `known` tells whether a text is a title that is understood.

    Raises `Malformed` for what cannot be read or is too large, `NotFound` for no such file.
    """
    if path.is_dir():
        sheets = _of_folder(path)
    elif not path.is_file():
        raise NotFound("table.missing", f"there is no file {path.name}", at="caller")
    elif path.suffix.lower() in _BOOKS:
        sheets = read_sheets(path)
    elif path.suffix.lower() == ".zip":
        sheets = _of_archive(path)
    elif path.suffix.lower() in TEXTS:
        sheets = [_of_text(path.stem, _bounded(path), Count())]
    elif path.suffix.lower() == ".xml":
        return _of_model(_bounded(path))
    else:
        raise not_a_table("a register comes as .xlsx, .xls, .ods, .csv, .zip of CSV files, or .xml (ArchiMate)")
    tables = [table for sheet in sheets if (table := table_of(sheet, known)) is not None]
    if sum(len(table.rows) for table in tables) > MOST_ROWS:
        raise too_large(f"more than {MOST_ROWS} rows")
    return tables


def is_broken(cell: Cell) -> bool:
    """Whether a cell holds an error of a formula and no value."""
    return isinstance(cell, str) and (cell.startswith(BROKEN) or bool(_BROKEN.fullmatch(cell.strip())))


def text_of(cell: Cell) -> str:
    """A cell as people see it, in one line."""
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    return " ".join(str(cell).removeprefix(BROKEN).split())


def _of_model(data: bytes) -> list[RawTable]:
    """The tables of an ArchiMate model: our own rows, and what another program's model has, apart.

    Rows are numbered as they stand in the model, in each table from 1.
    """
    found, left_out = read_rows(data)
    if len(found) > MOST_ROWS:
        raise too_large(f"more than {MOST_ROWS} rows")
    sheets: dict[tuple[str, bool], list[Mapping[str, Cell]]] = {}
    for row in found:
        sheets.setdefault((row.table, row.ours), []).append(row.cells)
    tables = []
    for (table, ours), rows in sheets.items():
        # A model of ours has all that is declared; another's has these columns alone.
        headers = tuple(columns_of(table)) if ours else tuple(dict.fromkeys(name for row in rows for name in row))
        tables.append(
            RawTable(
                sheet=table if ours else _FOREIGN_SHEETS[table], headers=headers, header_row=0,
                numbers=tuple(range(1, len(rows) + 1)),
                rows=tuple([row.get(header, "") for header in headers] for row in rows),
            )
        )  # fmt: skip
    if tables:
        tables[-1] = replace(tables[-1], left_out=tuple((0, text) for text in left_out))
    return tables


# CSV


def _bounded(path: Path) -> bytes:
    if path.stat().st_size > MOST_FILE:
        raise too_large(f"a file of more than {MOST_FILE // 1024**2} MiB")
    return path.read_bytes()


def _of_folder(path: Path) -> list[Sheet]:
    files = sorted(p for p in path.iterdir() if p.suffix.lower() == ".csv" and p.is_file())
    if sum(p.stat().st_size for p in files) > MOST_FILE:
        raise too_large(f"files of more than {MOST_FILE // 1024**2} MiB")
    if not files:
        raise NotFound("table.missing", "there is no CSV file in that folder", at="caller")
    count = Count()
    return [_of_text(p.stem, p.read_bytes(), count) for p in files]


def _of_archive(path: Path) -> list[Sheet]:
    _bounded(path)
    check_archive(path)
    found, count = [], Count()
    with zipfile.ZipFile(path) as archive:
        if sum(member.file_size for member in archive.infolist()) > _MOST_TEXT:
            raise too_large(f"CSV files of more than {_MOST_TEXT // 1024**2} MiB together")
        for name in sorted(archive.namelist()):
            if name.lower().endswith(".csv"):
                try:
                    with archive.open(name) as file:
                        data = file.read(_MOST_TEXT)
                except (zipfile.BadZipFile, RuntimeError, NotImplementedError, OSError) as exc:
                    raise not_a_table("a damaged or protected archive") from exc
                found.append(_of_text(Path(name).stem, data, count))
    if not found:
        raise not_a_table("there is no CSV file in that archive")
    return found


def _of_text(name: str, data: bytes, count: Count) -> Sheet:
    text = decoded(data)
    if text[:4].lower() == "sep=" and len(text) > 5:
        separator, text = text[4], text.partition("\n")[2]
        first = 2
    else:
        separator, first = _separator(text), 1
    rows: list[tuple[int, list[Cell]]] = []
    try:
        for number, cells in enumerate(csv.reader(io.StringIO(text, newline=""), delimiter=separator), first):
            while cells and not cells[-1].strip():
                cells.pop()
            if cells:
                count.add(cells)
                rows.append((number, [unguarded(cell) for cell in cells]))
    except csv.Error as exc:
        raise not_a_table("not CSV: a cell is longer than a cell can be, or a quotation does not end") from exc
    return Sheet(name=name, rows=rows)


def decoded(data: bytes) -> str:
    """The text of a CSV file in UTF-8, UTF-16 or windows-1251 with Kazakh letters. Raises `Malformed`."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    elif b"\x00" in data[:200]:
        encoding = "utf-16-le" if data[1:2] == b"\x00" else "utf-16-be"
    else:
        encoding = "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        text = data.decode("kz1048", "replace")
    if "\x00" in text or text.count("\ufffd") > len(text) // 100:
        raise not_a_table("not a text in UTF-8, UTF-16 or windows-1251")
    return text


def unguarded(cell: str) -> str:
    """A cell without the quote that keeps a spreadsheet from taking it for a formula."""
    return cell[1:] if re.match(r"'+[=+\-@\t\r]", cell) else cell


def _separator(text: str) -> str:
    """The one with which most of the first rows have the same number of columns, more than one."""
    top = text[:100_000]
    best, most = ",", (0.0, 0)
    for one in _SEPARATORS:
        try:
            widths = [len(row) for row in csv.reader(io.StringIO(top, newline=""), delimiter=one) if row][:100]
        except csv.Error:
            continue
        width = max(set(widths) - {1}, key=lambda each: (widths.count(each), each), default=1)
        fit = (widths.count(width) / len(widths), width) if width > 1 else (0.0, 1)
        if fit > most:
            best, most = one, fit
    return best


# Headers


def table_of(sheet: Sheet, known: Known) -> RawTable | None:
    """The table in a sheet; None where there is none."""
    if not sheet.rows:
        return None
    first, last = _header(sheet, known)
    body = _Merged(sheet)
    block = sheet.rows[first : last + 1]
    width = max(len(cells) for _, cells in sheet.rows)
    headers = _unique([_title(body, block, column) for column in range(width)])
    above = " ".join(text_of(cell) for _, cells in sheet.rows[:first] for cell in cells if cell != "")
    numbers: list[int] = []
    rows: list[list[Cell]] = []
    left_out: list[tuple[int, str]] = []
    bare = {text.casefold() for text in headers if text}
    for number, cells in sheet.rows[last + 1 :]:
        filled = body.filled(number, cells)
        texts = [text_of(cell) for cell in filled if cell != ""]
        if not rows and _is_numbering(texts):
            continue
        if texts and _TOTALS.match(texts[0]) and all(_NUMBER.fullmatch(text) for text in texts[1:]):
            left_out.append((number, texts[0]))
        elif not {text.casefold() for text in texts} <= bare:
            numbers.append(number)
            rows.append(filled)
    remarks = len(rows) - (_remarks(numbers, rows) if len(bare) > 2 else 0)
    for number, cells in zip(numbers[remarks:], rows[remarks:], strict=True):
        left_out.append((number, next(text_of(cell) for cell in cells if cell != "")))
    del numbers[remarks:], rows[remarks:]
    return RawTable(
        sheet=sheet.name, headers=headers, header_row=block[0][0], numbers=tuple(numbers), rows=tuple(rows),
        hidden=sheet.hidden, above=above[:2000], left_out=tuple(sorted(left_out)),
    )  # fmt: skip


class _Merged:
    """Merged cells of a sheet: the value of each stands in its first cell alone."""

    def __init__(self, sheet: Sheet) -> None:
        self._first: dict[tuple[int, int], tuple[int, int]] = {}
        self._rows = dict(sheet.rows)
        numbers = sorted(self._rows)
        width = max((len(cells) for cells in self._rows.values()), default=0)
        left_to_merge = _MOST_MERGED
        for top, left, bottom, right in sheet.merged[:20_000]:
            there = range(bisect_left(numbers, top), bisect_right(numbers, bottom))
            columns = range(left, min(right + 1, width))
            left_to_merge -= len(there) * len(columns)
            if left_to_merge < 0:
                raise too_large(f"a sheet with more than {_MOST_MERGED} merged cells")
            if columns:
                self._first.update({(numbers[row], column): (top, left) for row in there for column in columns})

    def at(self, number: int, column: int) -> Cell:
        """What is seen in a cell."""
        number, column = self._first.get((number, column), (number, column))
        cells = self._rows.get(number, [])
        return cells[column] if column < len(cells) else ""

    def spans(self, number: int) -> bool:
        """Whether a cell of this row goes on in the next."""
        return any(
            (place := self._first.get((number, column))) is not None and self._first.get((number + 1, column)) == place
            for column in range(MOST_COLUMNS + 1)
        )

    def filled(self, number: int, cells: list[Cell]) -> list[Cell]:
        """A row of data with what is merged into it from above; what is merged sideways stays where it stands."""
        if not self._first:
            return cells
        return [
            self.at(number, column) if self._first.get((number, column), (0, -1))[1] == column else cell
            for column, cell in enumerate(cells)
        ]


def _header(sheet: Sheet, known: Known) -> tuple[int, int]:
    """The first and the last row of the header, as places in `rows`."""
    top = sheet.rows[:_TOP]
    understood = [sum(known(text_of(cell)) for cell in cells if cell != "") for _, cells in top]
    filled = [sum(cell != "" for cell in cells) for _, cells in top]
    if max(understood) > 0:
        at = understood.index(max(understood))
    else:
        wide = max(filled)
        at = next(i for i, count in enumerate(filled) if count * 2 >= wide and (count > 1 or wide == 1))
    first = last = at
    merged = _Merged(sheet)
    while first > 0 and merged.spans(sheet.rows[first - 1][0]) and filled[first - 1] > 1:
        first -= 1
    if first == at and at > 0 and _groups(sheet, at - 1):
        first -= 1
    while last + 1 < len(top) and merged.spans(sheet.rows[last][0]):
        last += 1
    if last == at and not sheet.merged and last + 1 < len(top) and _goes_on(top[last][1], top[last + 1][1]):
        last += 1
    return first, last


def _groups(sheet: Sheet, place: int) -> bool:
    """Whether the row right above the header has headings over some of its columns, and is no title over most."""
    number, cells = sheet.rows[place]
    below, titles = sheet.rows[place + 1]
    spans = [m for m in sheet.merged if m[0] == m[2] == number and m[3] > m[1]]
    if not spans or below != number + 1:
        return False
    widest = max(m[3] - m[1] + 1 for m in spans)
    return widest * 2 <= sum(cell != "" for cell in titles) or sum(cell != "" for cell in cells) > 1


def _goes_on(above: Sequence[Cell], below: Sequence[Cell]) -> bool:
    """Whether a row has headings under those of the row above, which are not merged: only where those are wide."""
    width = max(len(above), len(below))
    up, down = [*above, *[""] * (width - len(above))], [*below, *[""] * (width - len(below))]
    last = max(i for i, cell in enumerate(up) if cell != "") if any(cell != "" for cell in up) else 0
    under = {i for i, cell in enumerate(down) if cell != ""}
    empty = {i for i in range(1, width) if up[i] == "" and i - 1 <= last + 20}
    heads = {i - 1 for i in empty if up[i - 1] != ""}
    return bool(under & empty) and under <= empty | heads and 0 not in under


def _title(body: _Merged, block: Sequence[tuple[int, list[Cell]]], column: int) -> str:
    """The header of a column: what stands over it, from above, each once."""
    parts: list[str] = []
    for place, (number, cells) in enumerate(block):
        text = text_of(body.at(number, column))
        if not text and place + 1 < len(block) and text_of(body.at(block[-1][0], column)):
            text = next((text_of(cell) for cell in reversed(cells[:column]) if cell != ""), "")
        if text and text not in parts:
            parts.append(text)
    return " / ".join(parts)[:300]


def _unique(titles: Iterable[str]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    every: list[str] = []
    counts: dict[str, int] = {}
    for title in titles:
        name, count = title, counts.get(title, 2)
        while name and name in found:
            name, count = f"{title} ({count})", count + 1
        counts[title] = count
        found[name] = None
        every.append(name)
    return tuple(every)


def _remarks(numbers: Sequence[int], rows: Sequence[Sequence[Cell]]) -> int:
    """How many of the last rows are remarks: one cell alone, below a gap."""
    count = 0
    while count + 1 < len(rows) and sum(cell != "" for cell in rows[-1 - count]) == 1:
        count += 1
        if numbers[-count] - 1 != numbers[-1 - count]:
            return count
    return 0


def _is_numbering(texts: Sequence[str]) -> bool:
    """Whether this is the row 1, 2, 3 … that official forms have below their header."""
    return len(texts) > 2 and all(text == str(number) for number, text in enumerate(texts, 1))


def refuse_empty(tables: Sequence[RawTable]) -> None:
    """Raises `Malformed` where there is nothing to import."""
    if not any(table.rows for table in tables):
        raise Malformed("table.empty", "there is no table with rows in this file", at="caller")
