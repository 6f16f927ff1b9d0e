"""The scripts lead to the very tables that the program expects, on both databases, two processes at once included."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData, inspect

from postgres_server import PostgresServer
from qaztech.runtime.database import open_database, sqlite_url, standing_of
from qaztech.runtime.migration import FOLDER, bring_up, revisions

ROOT = Path(__file__).resolve().parents[2]


def sets() -> dict[str, MetaData]:
    """Every set of tables, by its name."""
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        from new_migration import SETS
    finally:
        sys.path.pop(0)
    return SETS


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path, server: PostgresServer) -> str:
    """An empty database of either kind."""
    return sqlite_url(tmp_path / "x.db") if request.param == "sqlite" else server.database(tmp_path.name)


def shape(db: Connection, tables: MetaData) -> dict[str, Any]:
    """Tables as the database has them."""
    looked = inspect(db)
    return {
        name: (
            [(c["name"], repr(c["type"]), c["nullable"]) for c in looked.get_columns(name)],
            looked.get_pk_constraint(name)["constrained_columns"],
            sorted((tuple(i["column_names"]), i["unique"]) for i in looked.get_indexes(name)),
            sorted(tuple(f["constrained_columns"]) for f in looked.get_foreign_keys(name)),
            sorted(tuple(u["column_names"]) for u in looked.get_unique_constraints(name)),
        )
        for name in sorted(tables.tables)
    }


def test_every_set_has_its_scripts() -> None:
    """Numbered from one on, without a gap."""
    assert {path.name for path in FOLDER.iterdir() if path.is_dir() and path.name != "__pycache__"} == set(sets())
    for name in sets():
        known = revisions(FOLDER / name)
        assert known == [f"{number:04d}" for number in range(1, len(known) + 1)]


@pytest.mark.parametrize("name", ["registry", "joining", "people", "access", "console", "hub", "ai_gateway"])
def test_the_scripts_lead_to_the_tables_there_are(name: str, url: str) -> None:
    """Else tables were changed without a script: `python scripts/new_migration.py NAME "what it does"`."""
    tables = sets()[name]
    engine = open_database(url, MetaData())
    with engine.begin() as db:
        bring_up(db, tables, scripts_only=True)
        options = {"include_name": lambda found, kind, _: kind != "table" or found in tables.tables}
        assert compare_metadata(MigrationContext.configure(db, opts=options), tables) == []
        by_scripts = shape(db, tables)
        tables.drop_all(db)
        tables.create_all(db)
        assert by_scripts == shape(db, tables)
    engine.dispose()


def test_processes_that_start_at_once_do_not_meet(url: str) -> None:
    """Each finds the tables, made once."""
    with ThreadPoolExecutor(4) as pool:
        engines = list(pool.map(lambda _: open_database(url, sets()["people"]), range(4)))
    with engines[0].begin() as db:
        assert db.exec_driver_sql("SELECT version_num FROM people_version").all() == [("0001",)]
    for engine in engines:
        engine.dispose()


def test_how_far_a_database_has_come_can_be_asked(url: str) -> None:
    """Before an upgrade, on either kind; nothing is changed by asking."""
    assert standing_of(url) == []
    open_database(url, sets()["people"]).dispose()
    (people,) = standing_of(url)
    assert (people.tables, people.version) == ("people", revisions(FOLDER / "people")[-1])
    assert (people.changes, people.is_newer) == (False, False)
