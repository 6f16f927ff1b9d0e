"""What `runtime.database` promises, on both databases: order, durability, and one error while the database is away."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import BigInteger, Column, Engine, Integer, MetaData, String, Table, insert, select, update

from postgres_server import PostgresServer
from qaztech.core.errors import Malformed, Unavailable
from qaztech.registry.forms import Names
from qaztech.registry.store import RegistryStore
from qaztech.runtime.database import database_url, open_database, sqlite_url

TABLES = MetaData()
count = Table("count", TABLES, Column("id", Integer, primary_key=True), Column("value", BigInteger, nullable=False))
OTHERS = MetaData()
other = Table("other", OTHERS, Column("id", String(10), primary_key=True))
NAMES = Names(kk="Қазынашылық", ru="Казначейство", en="Treasury")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A new database of either kind."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "data.db")
    server: PostgresServer = request.getfixturevalue("server")
    return server.schema(f"test_{abs(hash(str(tmp_path)))}")


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """The database with one row that counts."""
    engine = open_database(url, TABLES)
    with engine.begin() as db:
        db.execute(insert(count).values(id=1, value=0))
    yield engine
    engine.dispose()


def add_one(engine: Engine) -> None:
    """Read, think, write: what goes wrong wherever two may do it at once."""
    with engine.begin() as db:
        value = db.execute(select(count.c.value)).scalar_one()
        db.execute(update(count).values(value=value + 1))


def test_what_a_transaction_has_read_stands_until_it_ends(engine: Engine) -> None:
    """Eight threads count to eighty; no step is lost."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: add_one(engine), range(80)))
    with engine.connect() as db:
        assert db.execute(select(count.c.value)).scalar_one() == 80


def test_one_set_of_tables_does_not_wait_for_another(server: PostgresServer) -> None:
    """In one database of PostgreSQL they are as apart as files are: a decision writes to both."""
    url = server.schema("apart")
    first, second = open_database(url, TABLES), open_database(url, OTHERS)
    with first.begin() as db:
        db.execute(insert(count).values(id=1, value=0))
        with second.begin() as inner:
            inner.execute(insert(other).values(id="done"))
    first.dispose()
    second.dispose()


def test_a_transaction_that_fails_leaves_nothing(engine: Engine) -> None:
    """Whatever was written in it before."""

    def fail() -> None:
        with engine.begin() as db:
            db.execute(update(count).values(value=7))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with engine.connect() as db:
        assert db.execute(select(count.c.value)).scalar_one() == 0


def test_the_registrys_state_is_the_same_in_both(url: str) -> None:
    """Every method, and again after the database was closed and opened."""
    store = RegistryStore.open(url)
    store.admit("KZ/GOV/2", "a" * 64, NAMES, 1_900_000_000_000)
    store.admit("KZ/GOV/10", "b" * 64, NAMES, 1)
    store.put_member_file("KZ/GOV/2", b"\x00file")
    store.set_suspended("KZ/GOV/2", True)
    for _ in range(2):
        store.put_page("c" * 64, b"\x00page")
        store.put_showcase("KZ/GOV/2", b"\x00show")
        store.put_description("d" * 64, b"{}")
        store.add_authority("second")
        store.add_authority("first")
        store.revoke_tls("key", 5)
        store.logged(3, "e" * 64, 9)
    store.close()
    store = RegistryStore.open(url)
    assert [m.id for m in store.members()] == ["KZ/GOV/10", "KZ/GOV/2"]
    member = store.member("KZ/GOV/2")
    assert member is not None
    assert (member.envelope, member.suspended, member.names) == (b"\x00file", True, NAMES)
    assert member.admitted == 1_900_000_000_000
    assert (store.pages(), store.page("c" * 64), store.page("x")) == (["c" * 64], b"\x00page", None)
    assert (store.showcases(), store.description("d" * 64)) == ({"KZ/GOV/2": b"\x00show"}, b"{}")
    assert (store.authorities(), store.revocations()) == (("second", "first"), [("key", 5)])
    assert (store.snapshot(3), store.snapshot(4)) == (("e" * 64, 9), None)
    store.admit("KZ/GOV/2", "f" * 64, NAMES, 2)
    store.drop_pages("c" * 64 for _ in range(1200))
    again = store.member("KZ/GOV/2")
    assert again is not None
    assert (again.lineage, again.envelope, again.suspended, store.pages()) == ("f" * 64, None, True, [])
    store.close()


def test_a_server_that_was_restarted_is_found_again(server: PostgresServer) -> None:
    """Without a lost call: connections that broke are not used."""
    engine = open_database(server.schema("restarted"), TABLES)
    with engine.begin() as db:
        db.execute(insert(count).values(id=1, value=0))
    server.stop()
    server.start()
    add_one(engine)
    engine.dispose()


def test_while_it_is_away_that_is_said_and_nothing_is_half_done(server: PostgresServer) -> None:
    """At the start, between transactions and within one; the error names no row."""
    url = server.schema("away")
    engine = open_database(url, TABLES)
    with engine.begin() as db:
        db.execute(insert(count).values(id=1, value=0))

    def cut() -> None:
        with engine.begin() as db:
            db.execute(update(count).values(value=12345))
            server.kill()
            db.execute(update(count).values(value=12346))

    with pytest.raises(Unavailable) as within:
        cut()
    for attempt in (lambda: add_one(engine), lambda: open_database(url, TABLES)):
        with pytest.raises(Unavailable) as caught:
            attempt()
        assert caught.value.code == "database.unavailable"
    assert "1234" not in within.value.context + within.value.detail
    server.start()
    add_one(engine)
    with engine.connect() as db:
        assert db.execute(select(count.c.value)).scalar_one() == 1
    engine.dispose()


@pytest.mark.parametrize("wrong", ["nonsense", "mysql://x/y", "sqlite:///one.db", "postgresql://x/y"])
def test_a_setting_that_is_no_postgresql_is_refused(wrong: str, tmp_path: Path) -> None:
    """It names the one kind there is besides files."""
    with pytest.raises(Malformed, match=r"postgresql\+psycopg://"):
        database_url(wrong, tmp_path / "x.db")
    assert database_url("", tmp_path / "x.db") == sqlite_url(tmp_path / "x.db")


@pytest.mark.parametrize("value", ["\x00", "zero\x00byte", "longer than it may be"])
def test_a_value_that_cannot_be_kept_is_refused_in_our_words(server: PostgresServer, value: str) -> None:
    """Whoever sent it: neither a server's fault nor a look into its words."""
    engine = open_database(server.schema("values"), OTHERS)
    with pytest.raises(Malformed) as caught, engine.begin() as db:
        db.execute(insert(other).values(id=value))
    assert (caught.value.code, caught.value.context) == ("database.value", "")
    engine.dispose()
