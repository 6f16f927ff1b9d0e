"""Which database tests run on: SQLite files, or the same tests on PostgreSQL with `pytest --database postgresql`."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy import event
from sqlalchemy.pool import Pool

from qaztech.runtime.database import sqlite_url

if TYPE_CHECKING:
    from postgres_server import PostgresServer

SQLITE, POSTGRESQL = "sqlite", "postgresql"


class _Kind:
    """The kind in use, and the server, which starts when it is first asked for."""

    chosen = SQLITE
    server: PostgresServer | None = None
    connections: ClassVar[list[Any]] = []


def choose(kind: str) -> None:
    """Run on this kind from now on."""
    _Kind.chosen = kind
    if kind == POSTGRESQL:
        event.listen(Pool, "connect", lambda connection, _: _Kind.connections.append(connection))


def close_connections() -> None:
    """Close what a test has left open; a pool that is still used opens anew."""
    while _Kind.connections:
        _Kind.connections.pop().close()


def database_at(file: Path) -> str:
    """The URL of the database that belongs to this file's name: the same each time, and at first an empty one."""
    if _Kind.chosen == SQLITE:
        return sqlite_url(file)
    if _Kind.server is None:
        from postgres_server import PostgresServer  # most runs need none

        _Kind.server = PostgresServer()
        _Kind.server.start()
    return _Kind.server.schema("at_" + sha256(str(file).encode()).hexdigest()[:24])


def end() -> None:
    """Stop the server, if there is one."""
    if _Kind.server is not None:
        _Kind.server.close()
        _Kind.server = None
