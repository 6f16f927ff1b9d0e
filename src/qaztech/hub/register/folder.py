"""A register as a folder of CSV tables with our own names and columns, read strictly into memory.

For files that are as docs/formats/digital-objects.md has them, such as a labelled set. What bodies send otherwise is
read by `importing`, which maps columns and tells of each cell that does not fit.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from qaztech.core.errors import Malformed, NotFound
from qaztech.hub.register.columns import columns_of, read_cell, row_of
from qaztech.hub.register.rows import TABLES, Row
from qaztech.hub.register.snapshot import Register

# Bytes of one table.
MOST_BYTES: Final = 60_000_000


class Folder(NamedTuple):
    """A register, and the rows left out because another of their table has the same key (`table: key`)."""

    register: Register
    repeated: tuple[str, ...]


def read_folder(folder: Path) -> Folder:
    """The register in a folder; of rows with the same key the first counts.

    Raises `NotFound` where it has no table of objects, `Malformed` with table, row and column for a cell that is none.
    """
    if not (folder / "objects.csv").is_file():
        raise NotFound("register.folder", f"no objects.csv in {folder.name}", at="caller")
    kept: dict[tuple[str, str], Row] = {}
    repeated: list[str] = []
    for table in TABLES:
        rows = _rows(table, folder / f"{table}.csv")
        repeated += [f"{table}: {row.key}" for row in rows if kept.setdefault((table, row.key), row) is not row]
    return Folder(Register(kept.values()), tuple(repeated))


def _rows(table: str, path: Path) -> Iterator[Row]:
    if not path.is_file():
        return
    if path.stat().st_size > MOST_BYTES:
        raise Malformed("register.large", f"{path.name} is larger than {MOST_BYTES} bytes", at="caller")
    columns = columns_of(table)
    with path.open(encoding="utf-8-sig", newline="") as file:
        for number, cells in enumerate(csv.DictReader(file), 2):
            values = {}
            for name, cell in cells.items():
                if name not in columns:
                    raise Malformed("register.column", f"{path.name} has no column {str(name)[:60]!r}", at="caller")
                try:
                    values[name] = read_cell(columns[name], cell)
                except Malformed as exc:
                    place = f"{path.name}, row {number}, {name}"
                    raise Malformed(exc.code, f"{place}: {exc.detail}", at="caller") from None
            yield row_of(table, values)
