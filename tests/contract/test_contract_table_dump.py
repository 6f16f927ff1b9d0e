"""Rows dumped from either database are the same rows in either database, numbers that the server gives included."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import MetaData, insert, select

from postgres_server import PostgresServer
from qaztech.core.errors import Conflict, Malformed
from qaztech.people.tables import PEOPLE, account, pending_act, session
from qaztech.registry.forms import Names
from qaztech.registry.store import REGISTRY, RegistryStore
from qaztech.runtime.database import open_database, sqlite_url
from qaztech.runtime.table_dump import dump_tables, load_tables

SETS = (REGISTRY, PEOPLE)
NAMES = Names(kk="Қазынашылық", ru="Казначейство", en="Treasury")


def at(kind: str, name: str, tmp_path: Path, server: PostgresServer) -> str:
    return sqlite_url(tmp_path / f"{name}.db") if kind == "sqlite" else server.database(f"{name}-{tmp_path.name}")


def fill(url: str) -> None:
    store = RegistryStore.open(url)
    store.admit("KZ/GOV/2", "a" * 64, NAMES, 1_900_000_000_000)
    store.put_page("b" * 64, bytes(range(256)))
    store.add_authority("first")
    store.close()
    engine = open_database(url, PEOPLE)
    with engine.begin() as db:
        db.execute(insert(account).values(id="1", name="a", display="Ә\n", roles="", disabled=False, created=1))
        for number in range(450):
            db.execute(insert(session).values(hash=f"{number}", account="1", how="x", created=number, seen=2**40))
        db.execute(insert(pending_act).values(message="00", leaf="x"))
    engine.dispose()


def rows(url: str, tables: MetaData) -> dict[str, list[str]]:
    engine = open_database(url, tables)
    with engine.connect() as db:
        found = {t.name: sorted(repr(tuple(row)) for row in db.execute(select(t))) for t in tables.sorted_tables}
    engine.dispose()
    return found


@pytest.mark.parametrize("source", ["sqlite", "postgresql"])
@pytest.mark.parametrize("target", ["sqlite", "postgresql"])
def test_the_same_rows_come_back(source: str, target: str, tmp_path: Path, server: PostgresServer) -> None:
    """Bytes, truth values, large numbers and text in every direction; and the next number is a new one."""
    old, new = at(source, "old", tmp_path, server), at(target, "new", tmp_path, server)
    fill(old)
    dump_tables(old, SETS, tmp_path / "rows")
    assert load_tables(new, SETS, tmp_path / "rows") == 3 + 1 + 450 + 1
    for tables in SETS:
        assert rows(old, tables) == rows(new, tables)
    store = RegistryStore.open(new)
    store.add_authority("second")
    assert store.authorities() == ("first", "second")
    store.close()
    with pytest.raises(Conflict, match="holds something"):
        load_tables(new, SETS, tmp_path / "rows")


@pytest.mark.parametrize(
    "line", ["", "[]", '["registry_page", {}]', '["other", {}]', '["registry_page", {"sha256": "x", "content": "!"}]']
)
def test_a_file_that_is_no_dump_changes_nothing(line: str, tmp_path: Path, server: PostgresServer) -> None:
    """Not even by the rows before the bad one."""
    url = at("postgresql", "bad", tmp_path, server)
    good = json.dumps(["registry_authority", {"number": 1, "certificate": "x"}])
    (tmp_path / "rows").write_text(f'{{"type": "qaztech-tables 1"}}\n{good}\n{line}\n')
    with pytest.raises(Malformed):
        load_tables(url, SETS, tmp_path / "rows")
    assert rows(url, REGISTRY)["registry_authority"] == []
