"""Rows of operational data in Parquet files, written and read by DuckDB, which is an optional part (`traffic`).

A file that came from elsewhere is opened with everything else shut: no other file, no network, no extension, bounded
memory. Its columns, their types and its numbers are looked at before any row is. Not here: what the rows must say.
"""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from qaztech.core.errors import Malformed, Unavailable
from qaztech.node.operational_rows import Row

if TYPE_CHECKING:
    from types import ModuleType

COLUMNS: Final = {
    "log": "VARCHAR",
    "place": "BIGINT",
    "leaf": "BLOB",
    "recorded": "BIGINT",
    "kind": "VARCHAR",
    "message": "VARCHAR",
    "maker": "VARCHAR",
    "receiver": "VARCHAR",
    "client": "VARCHAR",
    "service": "VARCHAR",
    "method": "VARCHAR",
    "endpoint": "VARCHAR",
    "time": "BIGINT",
    "attempt": "BIGINT",
    "size": "BIGINT",
    "status": "BIGINT",
    "code": "VARCHAR",
    "outcome": "VARCHAR",
    "bound_leaf": "BLOB",
    "bound_place": "BIGINT",
    "record": "BLOB",
}
MEMORY: Final = "512MB"
BATCH: Final = 4096
# What the columns of one row may take in memory before anybody has looked at them; a leaf has at most 16 KiB.
MOST_A_ROW: Final = 48 * 1024
_SHUT: Final = (
    "SET threads = 1",
    f"SET memory_limit = '{MEMORY}'",
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET enable_external_file_cache = false",
)


def engine() -> ModuleType:
    """DuckDB. Raises `Unavailable` where it is not installed."""
    try:
        import duckdb  # noqa: PLC0415  # an optional part
    except ImportError as exc:
        raise Unavailable(
            "operational.no-engine", "operational data needs DuckDB: install qaztech[traffic]", at="consumer-node"
        ) from exc
    return duckdb


def connect() -> Any:
    """A DuckDB of its own in memory, which loads nothing from elsewhere."""
    connection = engine().connect(":memory:")
    for statement in _SHUT:
        connection.execute(statement)
    return connection


@contextmanager
def _failures() -> Iterator[None]:
    """What the engine cannot write is `Unavailable`: a full disk, a file that is gone."""
    try:
        yield
    except engine().Error as exc:
        raise Unavailable("operational.store", "the rows cannot be read or written now", context=repr(exc)) from exc


@cache
def _writer() -> Any:
    """The one that writes our own rows; what came from elsewhere never gets near it."""
    return connect()


def quoted(text: str | Path) -> str:
    """A text as SQL writes it."""
    return "'" + str(text).replace("'", "''") + "'"


def write_part(path: Path, rows: Iterable[Row]) -> dict[str, int]:
    """Write rows to a Parquet file, which is there whole or not at all; gives how many there are of each kind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines, made = path.with_name(path.name + ".json"), path.with_name(path.name + ".new")
    kinds: dict[str, int] = {}
    encode = msgspec.json.Encoder().encode
    try:
        with lines.open("wb") as file:
            for row in rows:
                kinds[row.kind] = kinds.get(row.kind, 0) + 1
                file.write(encode(_json(row)) + b"\n")
        with _failures(), _writer().cursor() as connection:
            connection.execute(_copy(lines, made))
        _sync(made)
        made.replace(path)
        _sync(path.parent)
    finally:
        lines.unlink(missing_ok=True)
        made.unlink(missing_ok=True)
    return kinds


def join_parts(sources: Sequence[Path], target: Path) -> None:
    """Write the rows of several files to one, in the order of the files; it is there whole or not at all."""
    made = target.with_name(target.name + ".new")
    names = ", ".join(map(quoted, sources))
    try:
        with _failures(), connect() as connection:
            connection.execute(
                f"COPY (SELECT * FROM read_parquet([{names}], hive_partitioning = false)) "  # noqa: S608
                f"TO {quoted(made)} (FORMAT parquet, COMPRESSION zstd)"
            )
        _sync(made)
        made.replace(target)
        _sync(target.parent)
    finally:
        made.unlink(missing_ok=True)


def read_part(path: Path, count: int) -> Iterator[list[Row]]:
    """The rows of a Parquet file in batches, as they stand.

    Raises `Malformed` unless it has our columns and `count` rows of a size that rows can have.
    """
    duckdb = engine()
    with connect() as connection:
        connection.execute(f"SET allowed_paths = [{quoted(path)}]")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        try:
            _check_file(connection, path, count)
            cursor = connection.execute(f"SELECT * FROM read_parquet({quoted(path)}, hive_partitioning = false)")  # noqa: S608  # our own path
            while batch := cursor.fetchmany(BATCH):
                yield [Row(*values) for values in batch]
        except (duckdb.Error, UnicodeError) as exc:
            raise Malformed("operational.file", "not a Parquet file that can be read", at="caller") from exc


def file_facts(path: Path) -> tuple[int, str]:
    """Length in bytes and SHA-256 (hex) of a file."""
    digest, length = sha256(), 0
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
            length += len(piece)
    return length, digest.hexdigest()


def _check_file(connection: Any, path: Path, count: int) -> None:
    name = quoted(path)
    found = connection.execute(f"SELECT num_rows FROM parquet_file_metadata({name})").fetchone()  # noqa: S608
    total = connection.execute(
        f"SELECT sum(total_uncompressed_size) FROM parquet_metadata({name})"  # noqa: S608
    ).fetchone()
    if found is None or found[0] != count or total is None or total[0] is None or total[0] > count * MOST_A_ROW:
        raise Malformed("operational.file", "the file has another number of rows, or rows too large", at="caller")
    described = connection.execute(f"DESCRIBE SELECT * FROM read_parquet({name}, hive_partitioning = false)").fetchall()  # noqa: S608
    if {name: type_ for name, type_, *_ in described} != COLUMNS or [row[0] for row in described] != list(COLUMNS):
        raise Malformed("operational.file", "the file has other columns than operational data", at="caller")


def _json(row: Row) -> dict[str, Any]:
    return {
        name: b64encode(value).decode() if isinstance(value, bytes) else value
        for name, value in zip(COLUMNS, row, strict=True)
        if value is not None
    }


def _copy(lines: Path, made: Path) -> str:
    given = ", ".join(f'"{n}": {quoted("VARCHAR" if t == "BLOB" else t)}' for n, t in COLUMNS.items())
    taken = ", ".join(f'from_base64("{n}") AS "{n}"' if t == "BLOB" else f'"{n}"' for n, t in COLUMNS.items())
    source = f"read_json({quoted(lines)}, format = 'newline_delimited', columns = {{{given}}})"
    return f"COPY (SELECT {taken} FROM {source}) TO {quoted(made)} (FORMAT parquet, COMPRESSION zstd)"  # noqa: S608


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
