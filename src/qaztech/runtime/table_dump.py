"""The rows of tables in a file, one JSON line each, for a backup of a database whose own tools need not be at hand.

All tables are read in one transaction that sees one moment; who writes does not wait for it. The file can be loaded
into a database of either kind. Not here: changing tables from one version to the next.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Integer, LargeBinary, MetaData, Table, func, insert, select, text

from qaztech.core.errors import Conflict, Malformed
from qaztech.runtime.database import open_database

TYPE = "qaztech-tables 1"
MAX_LINE = 64 * 1024 * 1024
_AT_ONCE = 200


def dump_tables(url: str, sets: Iterable[MetaData], path: Path) -> None:
    """Write every row of these tables into a new file."""
    engine = open_database(url, MetaData())
    try:
        with engine.connect() as plain, path.open("x") as file:
            path.chmod(0o600)
            db = plain.execution_options(isolation_level="REPEATABLE READ" if _is_server(plain) else "SERIALIZABLE")
            file.write(json.dumps({"type": TYPE}) + "\n")
            for table in (table for tables in sets for table in tables.sorted_tables):
                for row in db.execute(select(table)).yield_per(_AT_ONCE).mappings():
                    file.write(json.dumps([table.name, _plain(table, dict(row))]) + "\n")
    finally:
        engine.dispose()


def load_tables(url: str, sets: Iterable[MetaData], path: Path) -> int:
    """Put the rows of a file into tables that are empty; how many. All or none.

    Raises `Conflict` where there are rows already, and `Malformed`.
    """
    sets = tuple(sets)
    tables = {table.name: table for each in sets for table in each.sorted_tables}
    for each in sets:
        open_database(url, each).dispose()
    engine, count = open_database(url, MetaData()), 0
    try:
        with engine.begin() as db:
            for table in tables.values():
                if db.execute(select(table).limit(1)).first() is not None:
                    raise Conflict("backup.not-empty", "the database holds something already; restore into a new one")
            for table, rows in _batches(path, tables):
                db.execute(insert(table), rows)
                count += len(rows)
            if _is_server(db):
                _set_counters(db, tables.values())
    finally:
        engine.dispose()
    return count


def _is_server(db: Connection) -> bool:
    return db.dialect.name == "postgresql"


def _plain(table: Table, row: dict[str, Any]) -> dict[str, Any]:
    for column in table.columns:
        if isinstance(column.type, LargeBinary) and row[column.name] is not None:
            row[column.name] = b64encode(row[column.name]).decode()
    return row


def _batches(path: Path, tables: dict[str, Table]) -> Iterator[tuple[Table, list[dict[str, Any]]]]:
    """Rows of one table after the other, some hundred at a time."""
    held: tuple[Table, list[dict[str, Any]]] | None = None
    with path.open() as file:
        for number, line in enumerate(iter(lambda: file.readline(MAX_LINE), "")):
            try:
                read = json.loads(line)
                if number == 0:
                    if read != {"type": TYPE}:
                        raise ValueError  # one answer for all that is not as it must be
                    continue
                name, row = read
                table = tables[name]
                values = _values(table, row)
            except (ValueError, KeyError, TypeError, RecursionError) as exc:
                raise Malformed("backup.malformed", f"line {number + 1} of its tables does not have its form") from exc
            if held is not None and (held[0] is not table or len(held[1]) >= _AT_ONCE):
                yield held
                held = None
            held = held or (table, [])
            held[1].append(values)
    if held is not None:
        yield held


def _values(table: Table, row: dict[str, Any]) -> dict[str, Any]:
    if row.keys() != set(table.columns.keys()):
        raise KeyError
    return {
        name: b64decode(value, validate=True)
        if value is not None and isinstance(table.columns[name].type, LargeBinary)
        else value
        for name, value in row.items()
    }


def _set_counters(db: Connection, tables: Iterable[Table]) -> None:
    """Let numbers that the server gives go on behind those that came."""
    for table in tables:
        column = table.autoincrement_column
        if column is None or not isinstance(column.type, Integer):
            continue
        highest = db.execute(select(func.max(column))).scalar_one()
        if highest is not None:
            sequence = text("SELECT setval(pg_get_serial_sequence(:table, :column), :highest)")
            db.execute(sequence, {"table": table.name, "column": column.name, "highest": highest})
