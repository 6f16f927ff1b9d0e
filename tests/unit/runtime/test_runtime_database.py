"""A database that cannot be used says why, in words that whoever is called at night can act on."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Column, Engine, Integer, MetaData, Table, insert, select

from databases import database_at
from qaztech.core.errors import Unavailable
from qaztech.runtime import database
from qaztech.runtime.database import open_database, reading, sqlite_url, writing_if_free

TABLES = MetaData()
THING = Table("thing", TABLES, Column("id", Integer, primary_key=True))


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


def test_a_file_that_was_deleted_or_replaced_is_used_no_more(tmp_path: Path) -> None:
    """Neither by a connection that is open nor by a new one, and no empty file is made in its place."""
    file = tmp_path / "things.db"
    engine = open_database(sqlite_url(file), TABLES)
    held = engine.connect()
    aside = file.rename(tmp_path / "aside.db")
    for transaction in (engine.begin, lambda: reading(engine)):
        with pytest.raises(Unavailable, match=r"things\.db was deleted or put in another's place") as refused:
            transaction().__enter__()
        assert refused.value.code == "database.replaced"
    with pytest.raises(Unavailable, match=r"things\.db was deleted"):
        held.execute(select(THING))
    assert not file.exists()
    file.write_bytes(aside.read_bytes())
    with pytest.raises(Unavailable, match=r"things\.db was deleted"), engine.begin():
        pass
    file.unlink()
    aside.rename(file)
    with engine.begin() as db:
        assert db.execute(select(THING)).all() == []
    held.close()
    engine.dispose()


def test_who_only_reads_waits_for_none_who_writes(tmp_path: Path) -> None:
    """And sees one state from beginning to end; nothing is written by it."""
    engine = open_database(database_at(tmp_path / "things.db"), TABLES)
    with engine.begin() as writer:
        writer.execute(insert(THING).values(id=1))
        with reading(engine) as db:
            assert db.execute(select(THING)).all() == []
            writer.commit()
            assert db.execute(select(THING)).all() == []
    with reading(engine) as db:
        assert db.execute(select(THING)).all() == [(1,)]
    with pytest.raises(Exception, match=r"database|read-only"), reading(engine) as db:
        db.execute(insert(THING).values(id=2))
    with engine.begin() as db:
        db.execute(insert(THING).values(id=3))
    engine.dispose()


def test_what_can_wait_is_left_while_another_writes(tmp_path: Path) -> None:
    """At once, and done the next time; whoever must write waits as before."""
    engine = open_database(database_at(tmp_path / "things.db"), TABLES)
    with engine.begin() as writer:
        writer.execute(insert(THING).values(id=1))
        for _ in range(3):
            with writing_if_free(engine) as db:
                assert db is None
    with writing_if_free(engine) as db:
        assert db is not None
        db.execute(insert(THING).values(id=2))
    with reading(engine) as db:
        assert len(db.execute(select(THING)).all()) == 2
    with ThreadPoolExecutor(1) as pool, engine.begin() as db:
        other = pool.submit(_write, engine, 3)
        assert not other.done()
        db.commit()
    other.result()
    engine.dispose()


def _write(engine: Engine, number: int) -> None:
    with engine.begin() as db:
        db.execute(insert(THING).values(id=number))
