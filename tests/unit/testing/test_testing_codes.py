"""The code lists as a SQLite file: complete, in three languages, searchable, the same every time."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pycountry
import pytest
import yaml

from qaztech.testing import codes
from qaztech.testing.datasette import CodesService


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("codes") / "codes.db"
    codes.build(path)
    return path


@pytest.fixture
def connection(database: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro&immutable=1", uri=True)) as opened:
        yield opened


@pytest.fixture(scope="module")
def description() -> dict[str, Any]:
    return yaml.safe_load(codes.OPENAPI.read_text(encoding="utf-8"))


def test_the_same_lists_make_the_same_bytes(database: Path, tmp_path: Path) -> None:
    """Two builds cannot be told apart."""
    again = tmp_path / "again.db"
    codes.build(again)
    assert again.read_bytes() == database.read_bytes()


def test_a_build_replaces_the_file_and_what_an_interrupted_one_left(tmp_path: Path) -> None:
    """Whatever lies there, afterwards it is the code lists and nothing else."""
    path = tmp_path / "codes.db"
    path.write_bytes(b"something else")
    (tmp_path / "codes.db.draft").write_bytes(b"half of it")
    codes.build(path)
    assert path.read_bytes().startswith(b"SQLite format 3\0")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("each", codes.LISTS, ids=lambda each: each.name)
def test_every_record_of_a_list_is_a_row(connection: sqlite3.Connection, each: codes.CodeList) -> None:
    """Nothing is left out, and rows lie in the order of their key."""
    rows = connection.execute(f"SELECT * FROM {each.name} ORDER BY rowid").fetchall()
    assert rows == codes.rows(each)
    assert len(rows) == len(getattr(pycountry, each.name))
    keys = [row[0] for row in rows]
    assert keys == sorted(set(keys))


def test_kazakhstan_is_in_it_in_three_languages(connection: sqlite3.Connection) -> None:
    """The row that everybody tries first."""
    row = connection.execute("SELECT * FROM countries WHERE alpha_2 = 'KZ'").fetchone()
    assert row == ("KZ", "KAZ", "398", "Kazakhstan", "Republic of Kazakhstan", "Қазақстан", "Казахстан", "🇰🇿")


@pytest.mark.parametrize("column", ["name_kk", "name_ru"])
def test_no_country_is_without_its_kazakh_and_russian_name(connection: sqlite3.Connection, column: str) -> None:
    """The catalogues cover all countries."""
    assert connection.execute(f"SELECT alpha_2 FROM countries WHERE {column} IS NULL").fetchall() == []


def test_a_name_that_is_not_translated_is_absent_rather_than_english(connection: sqlite3.Connection) -> None:
    """A caller can tell a Russian name from a missing one."""
    found = dict(connection.execute("SELECT alpha_3, name_ru FROM languages WHERE alpha_3 IN ('kaz', 'aaa')"))
    assert found == {"kaz": "казахский", "aaa": None}
    latin = connection.execute("SELECT count(*) FROM languages WHERE name_ru = name_en").fetchone()
    assert latin == (0,)


@pytest.mark.parametrize("query", ["Kazakhstan", "қазақстан", "КАЗАХСТАН", "Қаз*", "republic kazakhstan"])
def test_a_country_is_found_in_any_language_and_case(connection: sqlite3.Connection, query: str) -> None:
    """Full-text search folds the case of Kazakh letters too."""
    found = connection.execute(
        "SELECT alpha_2 FROM countries WHERE rowid IN (SELECT rowid FROM countries_fts WHERE countries_fts MATCH ?)",
        (query,),
    )
    assert found.fetchall() == [("KZ",)]


def test_every_reference_leads_somewhere(connection: sqlite3.Connection) -> None:
    """A subdivision has its country, and its parent where it names one."""
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.parametrize("each", codes.LISTS, ids=lambda each: each.name)
def test_the_description_has_a_path_and_a_schema_for_every_table(
    description: dict[str, Any], each: codes.CodeList
) -> None:
    """The key stands in the path, and the schema has exactly the columns."""
    columns = [column for column, _ in each.columns]
    assert {f"/{each.name}.json", f"/{each.name}/{{{columns[0]}}}.json"} <= set(description["paths"])
    answer = description["components"]["responses"][each.name.capitalize()]["content"]["application/json"]
    name = answer["schema"]["oneOf"][0]["items"]["$ref"].rpartition("/")[2]
    schema = description["components"]["schemas"][name]
    assert list(schema["properties"]) == schema["required"] == columns


def test_the_description_describes_nothing_else(description: dict[str, Any]) -> None:
    """Two paths a table, read only."""
    assert len(description["paths"]) == 2 * len(codes.LISTS)
    assert {method for path in description["paths"].values() for method in path} == {"get"}


def test_the_tables_that_are_open_are_those_described() -> None:
    """What Datasette is told to open agrees with the lists."""
    metadata = yaml.safe_load(Path(codes.__file__).with_name("codes.metadata.yaml").read_text(encoding="utf-8"))
    database = metadata["databases"]["codes"]
    assert database["allow"] is False
    assert database["tables"] == {each.name: {"allow": True} for each in codes.LISTS}


def test_a_service_that_does_not_run_is_not_ready(tmp_path: Path, unused_tcp_port: int) -> None:
    """The probe says so, and raises nothing."""
    assert not CodesService(directory=tmp_path, port=unused_tcp_port).is_ready()
