"""The database of registry, consoles and portal: SQLite files by default, PostgreSQL by one setting (a URL).

Tables are SQLAlchemy Core's; there is no object mapping. What a transaction of ours has committed survives a power cut:
SQLite syncs fully, PostgreSQL is asked to commit synchronously. Transactions on one set of tables come one after the
other on both: what a transaction has read stands until it ends. Those that only read (`reading`) see the state at their
beginning and wait for none. A SQLite file that was deleted or put in another's place under us is used no more. Not for
the data plane, whose truth is its log.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, ExceptionContext, MetaData, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DataError, InterfaceError, NoSuchModuleError, OperationalError

from qaztech.core.errors import Malformed, Unavailable
from qaztech.runtime.migration import Standing, bring_up, standing

BUSY_SECONDS = 10.0
BUSY_PAUSE_SECONDS = 0.02
CONNECT_SECONDS = 5
POSTGRESQL = "postgresql+psycopg"
# Options of a connection: it only reads; it begins now or not at all.
_READS, _NOW = "qaztech_reads", "qaztech_now"
_HELD = "another transaction holds it"
_SQLITE_SAYS = {
    "SQLITE_BUSY": "is held by another process; it is free again when that ends",
    "SQLITE_FULL": "cannot grow: its disk is full",
    "SQLITE_READONLY": "cannot be written: look at whose file it is",
    "SQLITE_CANTOPEN": "cannot be opened: look at whose folder it is in",
    "SQLITE_NOTADB": "is damaged: put it aside and restore a backup",
    "SQLITE_CORRUPT": "is damaged: put it aside and restore a backup",
}


def sqlite_url(path: Path) -> str:
    """The URL of a SQLite file."""
    return f"sqlite:///{path}"


def database_url(setting: str, file: Path) -> str:
    """The URL by a setting `database`; where that is empty, of this SQLite file.

    Raises `Malformed` for what is no URL of PostgreSQL: one SQLite file would have to serve what now has a file each.
    """
    if not setting:
        return sqlite_url(file)
    try:
        known = make_url(setting).drivername == POSTGRESQL
    except ArgumentError:
        known = False
    if not known:
        raise Malformed("database.url", f"`database` is empty or a URL that begins with {POSTGRESQL}://", at="caller")
    return setting


def open_database(url: str, metadata: MetaData, *, new: bool = True) -> Engine:
    """The database at `url`, with these tables in it. Use it from any thread; `engine.begin()` is a transaction.

    Without `new` a SQLite file that is not there is not made. Raises `Unavailable` while it cannot be reached, then and
    later; no transaction is half done.
    """
    if not new and (file := _file_of(url)) is not None and not file.is_file():
        raise _replaced(file)
    engine = _engine(url, _lock_number(metadata))
    try:
        add_tables(engine, metadata)
    except BaseException:
        engine.dispose()
        raise
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that only reads: all of it sees one state, and it waits for no other. Raises as `open_database`."""
    with engine.connect().execution_options(**{_READS: True}) as db, db.begin():
        yield db


@contextmanager
def writing_if_free(engine: Engine) -> Iterator[Connection | None]:
    """A transaction, or None while another one writes: for what may as well be done the next time."""
    with engine.connect().execution_options(**{_NOW: True}) as db:
        try:
            transaction = db.begin()
        except Unavailable as exc:
            if _HELD not in exc.context and "SQLITE_BUSY" not in exc.context:
                raise
            yield None
            return
        with transaction:
            yield db


def standing_of(url: str) -> list[Standing]:
    """How far the tables at `url` have come, where tables are there. Changes nothing. Raises as `open_database`."""
    engine = _engine(url, 0)
    try:
        with engine.begin() as db:
            return standing(db)
    finally:
        engine.dispose()


def add_tables(engine: Engine, metadata: MetaData) -> None:
    """Let these tables be in an open database too, as this release has them."""
    with engine.begin() as db:
        bring_up(db, metadata)


def _engine(url: str, lock: int) -> Engine:
    if url.startswith("sqlite:"):
        engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS})
        event.listen(engine, "connect", _sqlite_connected)
        if (file := _file_of(url)) is not None:
            _SameFile(file, engine)  # before a transaction is begun
        event.listen(engine, "begin", _sqlite_began)
    else:
        engine = _postgresql(url)
        event.listen(engine, "begin", lambda connection: _postgresql_began(connection, lock))
    event.listen(engine, "handle_error", _unavailable)
    return engine


def _file_of(url: str) -> Path | None:
    """The file of a SQLite database; None of another, and of one in memory."""
    name = make_url(url).database if url.startswith("sqlite:") else None
    return None if not name or name == ":memory:" else Path(name)


def _replaced(file: Path) -> Unavailable:
    return Unavailable(
        "database.replaced",
        f"the file {file.name} was deleted or put in another's place while it was in use: put the right one back and "
        "start this process again",
        at="registry",
    )


def _postgresql(url: str) -> Engine:
    try:
        given = make_url(url).query.get("options", "")
        options = f"{given} -c lock_timeout={int(BUSY_SECONDS * 1000)} -c synchronous_commit=on"
        arguments = {"connect_timeout": CONNECT_SECONDS, "options": options}
        return create_engine(url, pool_pre_ping=True, connect_args=arguments)
    except (ArgumentError, NoSuchModuleError) as exc:
        raise Malformed("database.url", "not the URL of a database", at="caller") from exc
    except ModuleNotFoundError as exc:
        raise Malformed("database.driver", "for PostgreSQL install qaztech[postgresql]", at="caller") from exc


def _lock_number(metadata: MetaData) -> int:
    """One number for one set of tables, the same in every process."""
    name = min(metadata.tables, default="")
    return int.from_bytes(sha256(name.encode()).digest()[:8], signed=True)


def _sqlite_connected(connection: Any, _: object) -> None:
    connection.isolation_level = None  # transactions are begun below, and nowhere else
    _keep_a_write_ahead_log(connection)
    for pragma in ("synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _keep_a_write_ahead_log(connection: Any) -> None:
    """The change of mode needs the file alone, and SQLite does not wait for that as it waits for a transaction."""
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
        except sqlite3.OperationalError as exc:
            if not exc.sqlite_errorname.startswith("SQLITE_BUSY") or time.monotonic() > until:
                raise
            time.sleep(BUSY_PAUSE_SECONDS)
        else:
            return


def _sqlite_began(connection: Connection) -> None:
    options = connection.get_execution_options()
    reads, now = options.get(_READS, False), options.get(_NOW, False)
    connection.exec_driver_sql(f"PRAGMA query_only = {'ON' if reads else 'OFF'}")
    if now:
        connection.exec_driver_sql("PRAGMA busy_timeout = 0")
    try:
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
    finally:
        if now:
            connection.exec_driver_sql(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")


def _postgresql_began(connection: Connection, lock: int) -> None:
    options = connection.get_execution_options()
    if options.get(_READS, False):
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    elif options.get(_NOW, False):
        if not connection.exec_driver_sql(f"SELECT pg_try_advisory_xact_lock({lock})").scalar_one():
            raise Unavailable("database.unavailable", "the database is held", at="registry", context=_HELD)
    else:
        # What BEGIN IMMEDIATE is to a SQLite file.
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({lock})")


class _SameFile:
    """Sees to it that an engine uses the file that it began with, and makes no other where that is gone.

    SQLite itself would go on in a file that nobody can find any more, and a new connection would begin an empty one.
    """

    def __init__(self, path: Path, engine: Engine) -> None:
        self._path = path
        self._known: tuple[int, int] | None = None
        event.listen(engine, "do_connect", lambda *_: self._check())
        event.listen(engine, "connect", lambda *_: self._note())
        event.listen(engine, "begin", lambda _: self._check())

    def _note(self) -> None:
        if self._known is None:
            self._known = self._found()

    def _check(self) -> None:
        if self._known is not None and self._found() != self._known:
            raise _replaced(self._path)

    def _found(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino


def _unavailable(context: ExceptionContext) -> None:
    """A server that is away, a full disk, a lock that does not become free, a value it cannot hold: in our words.

    What the database says may hold rows, so of it only its kind and code are kept.
    """
    if isinstance(context.sqlalchemy_exception, DataError):
        # PostgreSQL keeps no text with a zero byte in it, nor more characters than a column has.
        raise Malformed("database.value", "a value is not one that can be kept", at="caller") from None
    known = isinstance(context.sqlalchemy_exception, (OperationalError, InterfaceError))
    if context.is_pre_ping or not (known or _is_damaged(context.original_exception)):
        return
    original = context.original_exception
    code = getattr(original, "sqlstate", None) or getattr(original, "sqlite_errorname", None) or ""
    raise Unavailable(
        "database.unavailable", _why(context, code), at="registry",
        context=f"{type(original).__name__} {code}".strip(),
    ) from original  # fmt: skip


def _is_damaged(original: BaseException | None) -> bool:
    """Whether SQLite says that a file is none of its own, or not whole."""
    return getattr(original, "sqlite_errorname", "").startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT"))


def _why(context: ExceptionContext, code: str) -> str:
    """What is wrong with a SQLite file, by the first part of SQLite's code; a server that is away tells no more."""
    why = next((text for start, text in _SQLITE_SAYS.items() if code.startswith(start)), None)
    file = Path(context.engine.url.database or "").name if context.engine is not None else ""
    return f"the database {file} {why}" if why is not None else "the database cannot be reached"
