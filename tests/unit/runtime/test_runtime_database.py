"""A database that cannot be used says why, in words that whoever is called at night can act on."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, Table

from qaztech.core.errors import Unavailable
from qaztech.runtime import database
from qaztech.runtime.database import open_database, sqlite_url

TABLES = MetaData()
Table("thing", TABLES, Column("id", Integer, primary_key=True))


def test_a_file_that_is_no_database_is_said_to_be_damaged(tmp_path: Path) -> None:
    """Not what the library says of it, which is a link to its own pages."""
    file = tmp_path / "things.db"
    file.write_bytes(b"no database at all" * 300)
    with pytest.raises(Unavailable, match=r"the database things\.db is damaged") as refused:
        open_database(sqlite_url(file), TABLES)
    assert refused.value.code == "database.unavailable"


def test_a_file_that_another_process_holds_is_said_to_be_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It can be reached: whoever looks for a network or a server looks in vain."""
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    file = tmp_path / "things.db"
    engine = open_database(sqlite_url(file), TABLES)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(Unavailable, match=r"the database things\.db is held by another process"), engine.begin():
        pass
    other.close()
    engine.dispose()


def test_many_may_open_a_new_file_at_once(tmp_path: Path) -> None:
    """SQLite gives up at once where two change its mode; whoever opens waits instead."""
    for number in range(8):
        url = sqlite_url(tmp_path / f"{number}.db")
        with ThreadPoolExecutor(16) as pool:
            for engine in pool.map(lambda _, url=url: open_database(url, MetaData()), range(16)):
                engine.dispose()
