"""Where the registry of digital objects is kept: its rows, and of every field who changed it, when, from what.

Changes come in batches: one import or one person's act is all done or not at all, and can be undone as one. On SQLite
or PostgreSQL. Not here: reading files (`importing`), judging what is in the rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Index,
    Integer,
    String,
    Table,
    Text,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)

from qaztech.core.errors import Conflict, NotFound
from qaztech.hub.register.columns import row_of, values_of
from qaztech.hub.register.rows import TABLES, Row
from qaztech.hub.register.snapshot import Register
from qaztech.people.actors import Actor, note_act
from qaztech.runtime.database import reading
from qaztech.runtime.migration import tables_named

METADATA = tables_named("objects")
_ROWS = Table(
    "object_rows",
    METADATA,
    Column("kind", String(32), primary_key=True),
    Column("key", String(512), primary_key=True),
    Column("data", Text, nullable=False),
    Column("batch", Integer, nullable=False),
)
_BATCHES = Table(
    "object_batches",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("by", String(255), nullable=False),
    Column("source", Text, nullable=False),
    Column("added", Integer, nullable=False),
    Column("changed", Integer, nullable=False),
    Column("removed", Integer, nullable=False),
    Column("undone_by", Integer),
)
_CHANGES = Table(
    "object_changes",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("batch", Integer, nullable=False, index=True),
    Column("kind", String(32), nullable=False),
    Column("key", String(512), nullable=False),
    Column("field", String(64), nullable=False),
    Column("before", Text),
    Column("after", Text),
    Index("object_changes_row", "kind", "key"),
)
# What people decided about the columns of files (`mapping`).
MAPPINGS = Table(
    "object_mappings",
    METADATA,
    Column("fingerprint", String(64), primary_key=True),
    Column("rule", Text, nullable=False),
    Column("by", String(255), nullable=False),
    Column("at", BigInteger, nullable=False),
)
_SOME = 1000
_Place = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """What a row of `table` is to be: `values` by column name, the key among them; columns not named stay.

    None empties a field. `remove` takes the row away.
    """

    table: str
    values: Mapping[str, Any]
    remove: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One change as a whole: `at` ms since 1970, `by` an actor, `source` where it came from; counts of rows."""

    id: int
    at: int
    by: str
    source: str
    added: int
    changed: int
    removed: int
    undone_by: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One field that changed: values as JSON has them, None where there was or is none."""

    batch: int
    table: str
    key: str
    field: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class _Turn:
    """A row as it was and as it is to be."""

    table: str
    key: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ready:
    """A batch worked out on top of a version: its turns, and the rows of both tables as they are written."""

    version: int
    turns: Sequence[_Turn]
    rows: Sequence[Mapping[str, Any]]
    changes: Sequence[Mapping[str, Any]]


class ObjectStore:
    """The registry of digital objects in a database opened with `METADATA`. Use it from any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._newest: Register | None = None

    @property
    def engine(self) -> Engine:
        """The database, for what is kept beside the registry."""
        return self._engine

    def register(self) -> Register:
        """The registry as it stands."""
        with reading(self._engine) as db:
            version = _version(db)
            newest = self._newest
            if newest is None or newest.version != version:
                newest = Register(
                    (_decoded(kind, data) for kind, data in db.execute(select(_ROWS.c.kind, _ROWS.c.data))),
                    version=version,
                )
                self._newest = newest
        return newest

    def version(self) -> int:
        """How many batches the registry holds, without reading it."""
        with reading(self._engine) as db:
            return _version(db)

    def preview(self, edits: Iterable[Edit]) -> list[Change]:
        """What `apply` would change, field by field; changes nothing. Raises as `apply` does."""
        return [change for turn in self._prepared(edits).turns for change in _fields(0, turn)]

    def apply(
        self,
        edits: Iterable[Edit],
        *,
        by: str | Actor,
        source: str,
        at: int,
        expected: int | None = None,
        seen: int | None = None,
    ) -> Batch | None:
        """Make all these changes or none; None where they change nothing. An actor's act is noted for the admin log.

        Raises `Malformed` for a row that cannot be, `NotFound` for one to be removed that is not there, `Conflict`
        where the registry is no longer at the version `expected`, or one of these rows has changed since `seen`.
        """
        edits = list(edits)
        ready = self._prepared(edits, expected)
        with self._engine.begin() as db:
            version = _version(db)
            _require(version, expected)
            if version != ready.version:  # somebody was quicker
                ready = _ready(version, _turns(edits, keys := _keys(edits), _held(db, keys)))
            if seen is not None and _changed_since(db, ready.turns, seen):
                raise Conflict("objects.changed", "one of these rows has changed meanwhile: look again", at="caller")
            return _write(db, ready, by=by, source=source, at=at)

    def _prepared(self, edits: Iterable[Edit], expected: int | None = None) -> _Ready:
        """What these edits come to now. Worked out while others read and write: thousands of rows take seconds."""
        edits = list(edits)
        keys = _keys(edits)
        with reading(self._engine) as db:
            version = _version(db)
            _require(version, expected)
            held = _held(db, keys)
        return _ready(version, _turns(edits, keys, held))

    def undo(self, batch: int, *, by: str | Actor, at: int) -> Batch:
        """Take a batch back, as a batch of its own. An actor's act is noted for the admin log.

        Raises `NotFound` for none such, `Conflict` where it is undone already or one of its rows has changed since.
        """
        with reading(self._engine) as db:
            _require_standing(db, batch)
            version, changes = _version(db), _changes_of(db, batch)
            held = _held(db, list(changes))
        ready = _ready(version, _reversed(changes, held))
        with self._engine.begin() as db:
            _require_standing(db, batch)
            if (version := _version(db)) != ready.version:  # somebody was quicker
                ready = _ready(version, _reversed(changes, _held(db, list(changes))))
            made = _write(db, ready, by=by, source=f"undo:{batch}", at=at)
            if made is None:
                raise Conflict("objects.undone", "there is nothing to undo", at="caller")
            db.execute(update(_BATCHES).where(_BATCHES.c.id == batch).values(undone_by=made.id))
            return made

    def batches(self, *, limit: int = 100, before: int | None = None) -> list[Batch]:
        """Batches, the newest first."""
        query = select(_BATCHES).order_by(_BATCHES.c.id.desc()).limit(limit)
        if before is not None:
            query = query.where(_BATCHES.c.id < before)
        with reading(self._engine) as db:
            return [Batch(**row._mapping) for row in db.execute(query)]  # noqa: SLF001 - the way SQLAlchemy names it

    def history(self, table: str, key: str, *, limit: int = 500) -> list[tuple[Batch, Change]]:
        """Who changed which field of a row when, the newest first."""
        query = (
            select(_CHANGES, _BATCHES)
            .join(_BATCHES, _BATCHES.c.id == _CHANGES.c.batch)
            .where(_CHANGES.c.kind == table, _CHANGES.c.key == key)
            .order_by(_CHANGES.c.id.desc())
            .limit(limit)
        )
        with reading(self._engine) as db:
            rows = db.execute(query).all()
        return [
            (Batch(**dict(zip(_BATCHES.c.keys(), row[len(_CHANGES.c) :], strict=True))), _change(row)) for row in rows
        ]

    def batch(self, id_: int) -> Batch:
        """One batch. Raises `NotFound`."""
        with reading(self._engine) as db:
            row = db.execute(select(_BATCHES).where(_BATCHES.c.id == id_)).one_or_none()
        if row is None:
            raise NotFound("objects.batch", "no such change", at="caller")
        return Batch(**row._mapping)  # noqa: SLF001 - the way SQLAlchemy names it

    def changes(self, batch: int, *, limit: int = 10_000) -> list[Change]:
        """The fields that a batch changed."""
        query = select(_CHANGES).where(_CHANGES.c.batch == batch).order_by(_CHANGES.c.id).limit(limit)
        with reading(self._engine) as db:
            return [_change(row) for row in db.execute(query)]


def _version(db: Connection) -> int:
    return db.execute(select(func.max(_BATCHES.c.id))).scalar_one() or 0


def _changed_since(db: Connection, turns: Sequence[_Turn], seen: int) -> bool:
    """Whether one of these rows was changed by a batch after that one; also where no such batch has been yet."""
    if seen > _version(db):
        return True
    query = select(_CHANGES.c.kind, _CHANGES.c.key).where(_CHANGES.c.batch > seen).distinct()
    later = {(row.kind, row.key) for row in db.execute(query)}
    return any((turn.table, turn.key) in later for turn in turns)


def _decoded(kind: str, data: str) -> Row:
    return msgspec.json.decode(data, type=TABLES[kind])


def _key_of(table: str, values: Mapping[str, Any]) -> str:
    return row_of(table, {name: values.get(name) for name in _needed(table, values)}).key


def _needed(table: str, values: Mapping[str, Any]) -> frozenset[str]:
    return _wanted(table) & values.keys()


@cache
def _wanted(table: str) -> frozenset[str]:
    """The fields without which there is no row, and the key's."""
    kind = TABLES[table]
    names = {field.encode_name for field in msgspec.structs.fields(kind) if field.required}
    return frozenset(names | set(kind.KEY))


def _require(version: int, expected: int | None) -> None:
    if expected is not None and version != expected:
        raise Conflict("objects.changed", "the registry has changed meanwhile: look again", at="caller")


def _keys(edits: Iterable[Edit]) -> list[_Place]:
    """Table and key of the row that each edit is about."""
    return [(edit.table, _edit_key(edit)) for edit in edits]


def _turns(edits: Sequence[Edit], keys: Sequence[_Place], held: Mapping[_Place, dict[str, Any]]) -> list[_Turn]:
    """Each row once, as it was and as all edits together make it."""
    now: dict[_Place, dict[str, Any] | None] = {}
    for edit, place in zip(edits, keys, strict=True):
        current = now[place] if place in now else held.get(place)
        if edit.remove:
            if current is None:
                raise NotFound("objects.row", f"no such row in {edit.table}", at="caller")
            now[place] = None
        else:
            now[place] = values_of(row_of(edit.table, {**(current or {}), **edit.values}))
    return [
        _Turn(table=table, key=key, before=held.get((table, key)), after=after)
        for (table, key), after in now.items()
        if held.get((table, key)) != after
    ]


def _edit_key(edit: Edit) -> str:
    """The key that an edit names. A removal may name the key's fields alone."""
    if edit.remove:
        return "|".join(
            str(edit.values.get(name) if edit.values.get(name) is not None else "") for name in TABLES[edit.table].KEY
        )
    return _key_of(edit.table, edit.values)


def _held(db: Connection, places: Sequence[_Place]) -> dict[_Place, dict[str, Any]]:
    found: dict[_Place, dict[str, Any]] = {}
    for table in {table for table, _ in places}:
        keys = sorted({key for name, key in places if name == table})
        for first in range(0, len(keys), _SOME):
            query = select(_ROWS.c.key, _ROWS.c.data).where(
                _ROWS.c.kind == table, _ROWS.c.key.in_(keys[first : first + _SOME])
            )
            found |= {(table, key): msgspec.json.decode(data) for key, data in db.execute(query)}
    return found


def _ready(version: int, turns: Sequence[_Turn]) -> _Ready:
    id_ = version + 1
    rows = [
        {"kind": turn.table, "key": turn.key, "data": msgspec.json.encode(turn.after).decode(), "batch": id_}
        for turn in turns
        if turn.after is not None
    ]
    changes = [
        {
            "batch": id_,
            "kind": change.table,
            "key": change.key,
            "field": change.field,
            "before": _encoded(change.before),
            "after": _encoded(change.after),
        }
        for turn in turns
        for change in _fields(id_, turn)
    ]
    return _Ready(version=version, turns=turns, rows=rows, changes=changes)


def _write(db: Connection, ready: _Ready, *, by: str | Actor, source: str, at: int) -> Batch | None:
    turns = ready.turns
    if not turns:
        return None
    actor, by = (by, by.name) if isinstance(by, Actor) else (None, by)
    counts = {
        "added": sum(turn.before is None for turn in turns),
        "changed": sum(turn.before is not None and turn.after is not None for turn in turns),
        "removed": sum(turn.after is None for turn in turns),
    }
    id_ = ready.version + 1
    db.execute(insert(_BATCHES).values(id=id_, at=at, by=by, source=source, **counts))
    olds = [{"old_kind": turn.table, "old_key": turn.key} for turn in turns if turn.before is not None]
    old = delete(_ROWS).where(_ROWS.c.kind == bindparam("old_kind"), _ROWS.c.key == bindparam("old_key"))
    for statement, values in ((old, olds), (insert(_ROWS), ready.rows), (insert(_CHANGES), ready.changes)):
        for first in range(0, len(values), _SOME):
            db.execute(statement, values[first : first + _SOME])
    if actor is not None:
        told = {"source": source[:500], **counts}
        note_act(db, by=actor, when=at, act="objects.change", subject=f"objects/{id_}", before=None, after=told)
    return Batch(id=id_, at=at, by=by, source=source, **counts)


def _fields(batch: int, turn: _Turn) -> list[Change]:
    before, after = turn.before or {}, turn.after or {}
    return [
        Change(batch=batch, table=turn.table, key=turn.key, field=name, before=before.get(name), after=after.get(name))
        for name in dict.fromkeys((*before, *after))
        if before.get(name) != after.get(name)
    ]


def _require_standing(db: Connection, batch: int) -> None:
    """Raises `NotFound` for no such batch, `Conflict` for one that is undone."""
    found = db.execute(select(_BATCHES).where(_BATCHES.c.id == batch)).one_or_none()
    if found is None:
        raise NotFound("objects.batch", "no such change", at="caller")
    if found.undone_by is not None:
        raise Conflict("objects.undone", "this change is undone already", at="caller")


def _changes_of(db: Connection, batch: int) -> dict[_Place, list[Change]]:
    """What a batch changed, for each row."""
    made: dict[_Place, list[Change]] = {}
    for row in db.execute(select(_CHANGES).where(_CHANGES.c.batch == batch)):
        change = _change(row)
        made.setdefault((change.table, change.key), []).append(change)
    return made


def _reversed(changes: Mapping[_Place, Sequence[Change]], held: Mapping[_Place, dict[str, Any]]) -> list[_Turn]:
    """Each row as it was before these changes. Raises `Conflict` where one has changed again."""
    turns = []
    for place, own in changes.items():
        current = held.get(place)
        was = dict(current or {})
        for change in own:
            if was.get(change.field) != change.after:
                raise Conflict("objects.changed", "what was changed then has changed again since", at="caller")
            was[change.field] = change.before
        before = {name: value for name, value in was.items() if value is not None}
        turns.append(_Turn(table=place[0], key=place[1], before=current, after=before or None))
    return turns


def _encoded(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()


def _change(row: Any) -> Change:
    before, after = (None if text is None else msgspec.json.decode(text) for text in (row.before, row.after))
    return Change(batch=row.batch, table=row.kind, key=row.key, field=row.field, before=before, after=after)
