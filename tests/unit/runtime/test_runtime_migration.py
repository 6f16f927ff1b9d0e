"""Databases of earlier releases: brought up with what is in them, in one step or not at all, and never down."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Column, Connection, Engine, Integer, String, Table, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from databases import database_at
from qaztech.core.errors import Conflict, Error
from qaztech.runtime.database import open_database
from qaztech.runtime.migration import bring_up, revisions, tables_named

FIRST = """
import sqlalchemy as sa
from alembic import op
revision, down_revision = "0001", None
def upgrade():
    op.create_table("zoo_animal", sa.Column("id", sa.Integer(), primary_key=True), sa.Column("name", sa.String(10)))
"""
SECOND = """
import sqlalchemy as sa
from alembic import op
revision, down_revision = "0002", "0001"
def upgrade():
    op.add_column("zoo_animal", sa.Column("legs", sa.Integer(), nullable=False, server_default="4"))
    op.execute("UPDATE zoo_animal SET legs = 2 WHERE name = 'eagle'")
"""
THIRD = """
from alembic import op
revision, down_revision = "0003", "0002"
def upgrade():
    op.execute("UPDATE zoo_animal SET legs = 100")
    op.execute("UPDATE nothing SET legs = 3")
"""
VERSION = text("SELECT version_num FROM zoo_version")
ZOO = tables_named("zoo")
animal_columns = [Column("id", Integer, primary_key=True), Column("name", String(10))]


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    """A folder of scripts whose set `zoo` has had one release."""
    folder = tmp_path / "scripts" / "zoo"
    folder.mkdir(parents=True)
    (folder / "r0001_first.py").write_text(FIRST)
    return folder


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    """An empty database."""
    return open_database(database_at(tmp_path / "zoo.db"), tables_named("people"))


def up(db: Connection, scripts: Path) -> None:
    bring_up(db, ZOO, folder=scripts.parent, scripts_only=True)


def test_a_database_of_the_first_release_keeps_what_is_in_it(scripts: Path, engine: Engine) -> None:
    """The second release's script changes it once; opening it again changes nothing."""
    with engine.begin() as db:
        up(db, scripts)
        db.execute(text("INSERT INTO zoo_animal (id, name) VALUES (1, 'eagle'), (2, 'horse')"))
    (scripts / "r0002_legs.py").write_text(SECOND)
    for _ in range(2):
        with engine.begin() as db:
            up(db, scripts)
            assert db.execute(text("SELECT name, legs FROM zoo_animal ORDER BY id")).all() == [
                ("eagle", 2), ("horse", 4),
            ]  # fmt: skip
            assert db.execute(VERSION).scalar_one() == "0002"
            db.execute(text("UPDATE zoo_animal SET legs = 4 WHERE id = 2"))
    engine.dispose()


def test_tables_from_before_versions_were_noted_are_of_the_first_release(scripts: Path, engine: Engine) -> None:
    """They are known by their names."""
    with engine.begin() as db:
        db.execute(text("CREATE TABLE zoo_animal (id INTEGER PRIMARY KEY, name VARCHAR(10))"))
        db.execute(text("INSERT INTO zoo_animal (id, name) VALUES (1, 'eagle')"))
    (scripts / "r0002_legs.py").write_text(SECOND)
    older = tables_named("zoo")
    Table("zoo_animal", older, *animal_columns)
    with engine.begin() as db:
        bring_up(db, older, folder=scripts.parent, scripts_only=True)
        assert db.execute(text("SELECT legs FROM zoo_animal")).scalar_one() == 2
    engine.dispose()


def test_a_script_that_fails_leaves_the_database_as_it_was(scripts: Path, engine: Engine) -> None:
    """All its steps, and the steps of scripts before it in the same start."""
    with engine.begin() as db:
        up(db, scripts)
        db.execute(text("INSERT INTO zoo_animal (id, name) VALUES (1, 'horse')"))
    (scripts / "r0002_legs.py").write_text(SECOND)
    (scripts / "r0003_wrong.py").write_text(THIRD)

    def fail() -> None:
        with engine.begin() as db:
            up(db, scripts)

    with pytest.raises((Error, SQLAlchemyError)):
        fail()
    with engine.begin() as db:
        assert db.execute(VERSION).scalar_one() == "0001"
        assert [column["name"] for column in inspect(db).get_columns("zoo_animal")] == ["id", "name"]
    engine.dispose()


def test_a_database_of_a_newer_release_is_left_alone(scripts: Path, engine: Engine) -> None:
    """An older program that would write into it is refused."""
    (scripts / "r0002_legs.py").write_text(SECOND)
    with engine.begin() as db:
        up(db, scripts)
    (scripts / "r0002_legs.py").unlink()
    with engine.begin() as db, pytest.raises(Conflict, match="newer"):
        up(db, scripts)
    engine.dispose()


def test_scripts_are_numbered_without_a_gap(scripts: Path) -> None:
    """And what is no script is none."""
    (scripts / "__init__.py").write_text("")
    (scripts / "notes.py").write_text("")
    assert revisions(scripts) == ["0001"]
