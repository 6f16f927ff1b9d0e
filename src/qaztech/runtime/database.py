"""The database of registry, consoles and portal: SQLite files by default, PostgreSQL by one setting (a URL).

Tables are SQLAlchemy Core's; there is no object mapping. What a transaction of ours has committed survives a power cut:
SQLite syncs fully. Not for the data plane, whose truth is its log.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Engine, MetaData, create_engine, event

BUSY_SECONDS = 10.0


def sqlite_url(path: Path) -> str:
    """The URL of a SQLite file."""
    return f"sqlite:///{path}"


def open_database(url: str, metadata: MetaData) -> Engine:
    """The database at `url`, with these tables in it. Use it from any thread; `engine.begin()` is a transaction."""
    if url.startswith("sqlite:"):
        engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS})
        event.listen(engine, "connect", _sqlite_connected)
        event.listen(engine, "begin", _sqlite_began)
    else:
        engine = create_engine(url, pool_pre_ping=True)
    metadata.create_all(engine)
    return engine


def _sqlite_connected(connection: Any, _: object) -> None:
    connection.isolation_level = None  # transactions are begun below, and nowhere else
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _sqlite_began(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
