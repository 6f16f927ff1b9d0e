"""What the registry has decided: members and lineages, accepted files and pages, suspensions, revoked TLS keys.

One SQLite file. It is the truth of the registry, and what is published is derived from it; each method is one durable
transaction. Not here: whether something may be accepted (`admission`), and publishing (`publication`).
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from qaztech.registry.forms import Names

_SCHEMA = """
CREATE TABLE IF NOT EXISTS member (
    id TEXT PRIMARY KEY, lineage TEXT NOT NULL, names BLOB NOT NULL, suspended INTEGER NOT NULL DEFAULT 0,
    admitted INTEGER NOT NULL, envelope BLOB
) STRICT;
CREATE TABLE IF NOT EXISTS page (sha256 TEXT PRIMARY KEY, content BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS showcase (member TEXT PRIMARY KEY, envelope BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS description (sha256 TEXT PRIMARY KEY, content BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS revoked_tls (spki TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS authority (certificate TEXT PRIMARY KEY) STRICT;
CREATE TABLE IF NOT EXISTS snapshot (version INTEGER PRIMARY KEY, sha256 TEXT NOT NULL, leaf INTEGER NOT NULL) STRICT;
"""


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
    """The registry's durable state. One connection, one caller at a time."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        # An accepted file is promised to its member: it must survive a power cut.
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def members(self) -> list[Admitted]:
        """Every member, suspended ones included, by identifier."""
        with self._lock:
            rows = self._db.execute(
                "SELECT id, lineage, names, suspended, admitted, envelope FROM member ORDER BY id"
            ).fetchall()
        return [_admitted(row) for row in rows]

    def member(self, id_: str) -> Admitted | None:
        """One member."""
        with self._lock:
            row = self._db.execute(
                "SELECT id, lineage, names, suspended, admitted, envelope FROM member WHERE id = ?", (id_,)
            ).fetchone()
        return _admitted(row) if row else None

    def admit(self, id_: str, lineage: str, names: Names, now: int) -> None:
        """Add a member, or give one that is there a new lineage: what it signed with the old one is void."""
        with self._transaction() as db:
            db.execute(
                "INSERT INTO member (id, lineage, names, admitted) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
                " lineage = excluded.lineage, names = excluded.names, admitted = excluded.admitted, envelope = NULL",
                (id_, lineage, msgspec.json.encode(names), now),
            )

    def put_member_file(self, id_: str, envelope: bytes) -> None:
        """Keep an accepted member file."""
        with self._transaction() as db:
            db.execute("UPDATE member SET envelope = ? WHERE id = ?", (envelope, id_))

    def set_suspended(self, id_: str, suspended: bool) -> None:
        """Suspend a member, or resume it."""
        with self._transaction() as db:
            db.execute("UPDATE member SET suspended = ? WHERE id = ?", (int(suspended), id_))

    def put_page(self, sha256: str, content: bytes) -> None:
        """Keep a rights page."""
        with self._transaction() as db:
            db.execute("INSERT OR IGNORE INTO page VALUES (?, ?)", (sha256, content))

    def page(self, sha256: str) -> bytes | None:
        """A rights page by its hash."""
        with self._lock:
            row = self._db.execute("SELECT content FROM page WHERE sha256 = ?", (sha256,)).fetchone()
        return row[0] if row else None

    def drop_pages(self, hashes: Iterable[str]) -> None:
        """Forget pages that no member file names any more (their published targets stay for old snapshots)."""
        with self._transaction() as db:
            db.executemany("DELETE FROM page WHERE sha256 = ?", [(h,) for h in hashes])

    def pages(self) -> list[str]:
        """The hashes of all pages."""
        with self._lock:
            return [row[0] for row in self._db.execute("SELECT sha256 FROM page ORDER BY sha256")]

    def put_showcase(self, id_: str, envelope: bytes) -> None:
        """Keep a member's accepted showcase."""
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO showcase VALUES (?, ?)", (id_, envelope))

    def showcase(self, id_: str) -> bytes | None:
        """A member's showcase."""
        with self._lock:
            row = self._db.execute("SELECT envelope FROM showcase WHERE member = ?", (id_,)).fetchone()
        return row[0] if row else None

    def put_description(self, sha256: str, content: bytes) -> None:
        """Keep an OpenAPI document that a showcase names."""
        with self._transaction() as db:
            db.execute("INSERT OR IGNORE INTO description VALUES (?, ?)", (sha256, content))

    def description(self, sha256: str) -> bytes | None:
        """An OpenAPI document by its hash."""
        with self._lock:
            row = self._db.execute("SELECT content FROM description WHERE sha256 = ?", (sha256,)).fetchone()
        return row[0] if row else None

    def drop_descriptions(self, hashes: Iterable[str]) -> None:
        """Forget documents that no showcase names any more."""
        with self._transaction() as db:
            db.executemany("DELETE FROM description WHERE sha256 = ?", [(h,) for h in hashes])

    def revoke_tls(self, spki: str, now: int) -> None:
        """Take a TLS key off the wire for good."""
        with self._transaction() as db:
            db.execute("INSERT OR IGNORE INTO revoked_tls VALUES (?, ?)", (spki, now))

    def revoked_tls(self) -> tuple[str, ...]:
        """Every revoked TLS key (base64 SHA-256 of SPKI)."""
        with self._lock:
            return tuple(row[0] for row in self._db.execute("SELECT spki FROM revoked_tls ORDER BY spki"))

    def revocations(self) -> list[tuple[str, int]]:
        """Every revoked TLS key and when (milliseconds since 1970), the newest first."""
        with self._lock:
            rows = self._db.execute("SELECT spki, at FROM revoked_tls ORDER BY at DESC, spki").fetchall()
        return [(row[0], row[1]) for row in rows]

    def add_authority(self, certificate: str) -> None:
        """Add a certificate authority of the instance (PEM)."""
        with self._transaction() as db:
            db.execute("INSERT OR IGNORE INTO authority VALUES (?)", (certificate,))

    def authorities(self) -> tuple[str, ...]:
        """Every certificate authority of the instance (PEM)."""
        with self._lock:
            return tuple(row[0] for row in self._db.execute("SELECT certificate FROM authority ORDER BY rowid"))

    def logged(self, version: int, sha256: str, leaf: int) -> None:
        """Note where in the registry's log a snapshot stands."""
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO snapshot VALUES (?, ?, ?)", (version, sha256, leaf))

    def snapshot(self, version: int) -> tuple[str, int] | None:
        """Hash and index in the registry's log of a published snapshot."""
        with self._lock:
            row = self._db.execute("SELECT sha256, leaf FROM snapshot WHERE version = ?", (version,)).fetchone()
        return (row[0], row[1]) if row else None

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")


def _admitted(row: tuple[str, str, bytes, int, int, bytes | None]) -> Admitted:
    return Admitted(
        id=row[0],
        lineage=row[1],
        names=msgspec.json.decode(row[2], type=Names),
        suspended=bool(row[3]),
        admitted=row[4],
        envelope=row[5],
    )
