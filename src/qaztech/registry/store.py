"""What the registry has decided: members and lineages, accepted files and pages, suspensions, revoked TLS keys.

It is the truth of the registry, and what is published is derived from it; each method is one durable transaction. Not
here: whether something may be accepted (`admission`), and publishing (`publication`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import msgspec
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Engine,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    delete,
    insert,
    select,
    update,
)

from qaztech.registry.forms import Names
from qaztech.runtime.database import open_database
from qaztech.runtime.migration import tables_named

# Hashes in one statement: fewer than any database's limit of parameters.
_AT_ONCE = 500

REGISTRY = tables_named("registry")
_member = Table(
    "registry_member",
    REGISTRY,
    Column("id", String(300), primary_key=True),
    Column("lineage", String(64), nullable=False),
    Column("names", LargeBinary, nullable=False),  # JSON of `Names`
    Column("suspended", Boolean, nullable=False),
    Column("admitted", BigInteger, nullable=False),
    Column("envelope", LargeBinary),
)
_page = Table(
    "registry_page",
    REGISTRY,
    Column("sha256", String(64), primary_key=True),
    Column("content", LargeBinary, nullable=False),
)
_showcase = Table(
    "registry_showcase",
    REGISTRY,
    Column("member", String(300), primary_key=True),
    Column("envelope", LargeBinary, nullable=False),
)
_description = Table(
    "registry_description",
    REGISTRY,
    Column("sha256", String(64), primary_key=True),
    Column("content", LargeBinary, nullable=False),
)
_revoked = Table(
    "registry_revoked_tls",
    REGISTRY,
    Column("spki", String(64), primary_key=True),  # base64 SHA-256 of SPKI
    Column("at", BigInteger, nullable=False),
)
_authority = Table(
    "registry_authority",
    REGISTRY,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("certificate", Text, nullable=False),  # PEM
)
_snapshot = Table(
    "registry_snapshot",
    REGISTRY,
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("sha256", String(64), nullable=False),
    Column("leaf", BigInteger, nullable=False),  # index in the registry's log
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """A member as the registry knows it; `envelope` is its accepted member file, once there is one."""

    id: str
    lineage: str
    names: Names
    suspended: bool
    admitted: int
    envelope: bytes | None


class RegistryStore:
    """The registry's durable state, for any thread. Raises `Unavailable` while its database cannot be reached."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @classmethod
    def open(cls, url: str) -> Self:
        """The state in the database at this URL, empty at first."""
        return cls(open_database(url, REGISTRY))

    def close(self) -> None:
        """Close the database."""
        self._engine.dispose()

    def members(self) -> list[Admitted]:
        """Every member, suspended ones included, by identifier."""
        with self._engine.connect() as db:
            rows = db.execute(select(_member)).all()
        return sorted(map(_admitted, rows), key=lambda member: member.id)  # databases sort text in their own ways

    def member(self, id_: str) -> Admitted | None:
        """One member."""
        with self._engine.connect() as db:
            row = db.execute(select(_member).where(_member.c.id == id_)).one_or_none()
        return _admitted(row) if row is not None else None

    def admit(self, id_: str, lineage: str, names: Names, now: int) -> None:
        """Add a member, or give one that is there a new lineage: what it signed with the old one is void."""
        values = {"lineage": lineage, "names": msgspec.json.encode(names), "admitted": now, "envelope": None}
        with self._engine.begin() as db:
            if not db.execute(update(_member).where(_member.c.id == id_).values(values)).rowcount:
                db.execute(insert(_member).values(id=id_, suspended=False, **values))

    def put_member_file(self, id_: str, envelope: bytes) -> None:
        """Keep an accepted member file."""
        with self._engine.begin() as db:
            db.execute(update(_member).where(_member.c.id == id_).values(envelope=envelope))

    def set_suspended(self, id_: str, suspended: bool) -> None:
        """Suspend a member, or resume it."""
        with self._engine.begin() as db:
            db.execute(update(_member).where(_member.c.id == id_).values(suspended=suspended))

    def put_page(self, sha256: str, content: bytes) -> None:
        """Keep a rights page."""
        self._put_once(_page, {"sha256": sha256}, {"content": content})

    def page(self, sha256: str) -> bytes | None:
        """A rights page by its hash."""
        return self._bytes(_page.c.content, _page.c.sha256 == sha256)

    def drop_pages(self, hashes: Iterable[str]) -> None:
        """Forget pages that no member file names any more (their published targets stay for old snapshots)."""
        self._drop(_page, hashes)

    def pages(self) -> list[str]:
        """The hashes of all pages."""
        with self._engine.connect() as db:
            return sorted(db.execute(select(_page.c.sha256)).scalars())

    def put_showcase(self, id_: str, envelope: bytes) -> None:
        """Keep a member's accepted showcase."""
        with self._engine.begin() as db:
            if not db.execute(update(_showcase).where(_showcase.c.member == id_).values(envelope=envelope)).rowcount:
                db.execute(insert(_showcase).values(member=id_, envelope=envelope))

    def showcase(self, id_: str) -> bytes | None:
        """A member's showcase."""
        return self._bytes(_showcase.c.envelope, _showcase.c.member == id_)

    def showcases(self) -> dict[str, bytes]:
        """Every showcase, by member."""
        with self._engine.connect() as db:
            return {row.member: bytes(row.envelope) for row in db.execute(select(_showcase))}

    def put_description(self, sha256: str, content: bytes) -> None:
        """Keep an OpenAPI document that a showcase names."""
        self._put_once(_description, {"sha256": sha256}, {"content": content})

    def description(self, sha256: str) -> bytes | None:
        """An OpenAPI document by its hash."""
        return self._bytes(_description.c.content, _description.c.sha256 == sha256)

    def drop_descriptions(self, hashes: Iterable[str]) -> None:
        """Forget documents that no showcase names any more."""
        self._drop(_description, hashes)

    def revoke_tls(self, spki: str, now: int) -> None:
        """Take a TLS key off the wire for good."""
        self._put_once(_revoked, {"spki": spki}, {"at": now})

    def revoked_tls(self) -> tuple[str, ...]:
        """Every revoked TLS key (base64 SHA-256 of SPKI)."""
        with self._engine.connect() as db:
            return tuple(sorted(db.execute(select(_revoked.c.spki)).scalars()))

    def revocations(self) -> list[tuple[str, int]]:
        """Every revoked TLS key and when (milliseconds since 1970), the newest first."""
        with self._engine.connect() as db:
            rows = db.execute(select(_revoked.c.spki, _revoked.c.at)).all()
        return sorted(((row.spki, row.at) for row in rows), key=lambda found: (-found[1], found[0]))

    def add_authority(self, certificate: str) -> None:
        """Add a certificate authority of the instance (PEM)."""
        self._put_once(_authority, {"certificate": certificate}, {})

    def authorities(self) -> tuple[str, ...]:
        """Every certificate authority of the instance (PEM), the first one first."""
        with self._engine.connect() as db:
            return tuple(db.execute(select(_authority.c.certificate).order_by(_authority.c.number)).scalars())

    def logged(self, version: int, sha256: str, leaf: int) -> None:
        """Note where in the registry's log a snapshot stands."""
        with self._engine.begin() as db:
            db.execute(delete(_snapshot).where(_snapshot.c.version == version))
            db.execute(insert(_snapshot).values(version=version, sha256=sha256, leaf=leaf))

    def snapshot(self, version: int) -> tuple[str, int] | None:
        """Hash and index in the registry's log of a published snapshot."""
        with self._engine.connect() as db:
            row = db.execute(select(_snapshot).where(_snapshot.c.version == version)).one_or_none()
        return (row.sha256, row.leaf) if row is not None else None

    def _put_once(self, table: Table, key: dict[str, str], values: dict[str, Any]) -> None:
        """Keep a row unless one with this key is there."""
        (name, value), *_ = key.items()
        with self._engine.begin() as db:
            if db.execute(select(table.c[name]).where(table.c[name] == value)).first() is None:
                db.execute(insert(table).values(**key, **values))

    def _bytes(self, column: Column[bytes], where: ColumnElement[bool]) -> bytes | None:
        with self._engine.connect() as db:
            found = db.execute(select(column).where(where)).scalar_one_or_none()
        return None if found is None else bytes(found)

    def _drop(self, table: Table, hashes: Iterable[str]) -> None:
        gone = list(hashes)
        with self._engine.begin() as db:
            for start in range(0, len(gone), _AT_ONCE):
                _delete(db, table, gone[start : start + _AT_ONCE])


def _delete(db: Connection, table: Table, hashes: list[str]) -> None:
    db.execute(delete(table).where(table.c.sha256.in_(hashes)))


def _admitted(row: Any) -> Admitted:
    return Admitted(
        id=row.id,
        lineage=row.lineage,
        names=msgspec.json.decode(row.names, type=Names),
        suspended=row.suspended,
        admitted=row.admitted,
        envelope=None if row.envelope is None else bytes(row.envelope),
    )
