"""What the centre keeps of operational data: how far each log is held, which deliveries came, what does not add up.

Rows lie beside it in Parquet: one file for each log, day and delivery, byte for byte as it was delivered, until a day
is over and its files are put together (`compaction`). Here is which files count. On SQLite or PostgreSQL. Not here:
judging (`delivery`, `crosscheck`), counting (`traffic`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from sqlalchemy import (
    BigInteger,
    Column,
    Engine,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from qaztech.core.errors import Conflict
from qaztech.evidence.merkle import HASH_SIZE
from qaztech.hub.crosscheck import Finding
from qaztech.hub.delivery import HeldLog
from qaztech.node.operational_manifest import Manifest
from qaztech.runtime.database import reading
from qaztech.runtime.migration import tables_named

METADATA = tables_named("hub")
_LOGS = Table(
    "operational_logs",
    METADATA,
    Column("origin", String(255), primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary(32), nullable=False),
    Column("peaks", LargeBinary, nullable=False),
    Column("recorded", BigInteger, nullable=False),
    Column("changed", BigInteger, nullable=False),
)
_DELIVERIES = Table(
    "operational_deliveries",
    METADATA,
    Column("origin", String(255), primary_key=True),
    Column("start", BigInteger, primary_key=True),
    Column("stop", BigInteger, nullable=False),
    Column("sender", Text, nullable=False),
    Column("root", LargeBinary(32), nullable=False),
    Column("checkpoint", Text, nullable=False),
    Column("received", BigInteger, nullable=False),
    UniqueConstraint("origin", "stop"),
)
_FILES = Table(
    "operational_files",
    METADATA,
    Column("name", String(255), primary_key=True),
    Column("date", String(10), nullable=False, index=True),
    # Files are read in this order: by log, then by place; one made of many has the first of each.
    Column("origin", String(255), nullable=False),
    Column("start", BigInteger, nullable=False),
)
_FINDINGS = Table(
    "operational_findings",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("code", String(64), nullable=False),
    Column("level", String(16), nullable=False),
    Column("origin", String(255), nullable=False),
    Column("other", String(255), nullable=False),
    Column("message", String(36), nullable=False),
    Column("place", BigInteger, nullable=False),
    Column("detail", Text, nullable=False),
    Column("evidence", Text, nullable=False),
    Column("found", BigInteger, nullable=False),
    UniqueConstraint("code", "origin", "other", "message", "place"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptFinding:
    """A finding as it is kept: when it was first found (milliseconds), with the manifest it is about, if any."""

    id: int
    finding: Finding
    found: int
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LogDeliveries:
    """How many deliveries of a log were taken, and when the last of them came (milliseconds)."""

    count: int
    last: int


class OperationalStore:
    """The centre's book of deliveries. Use it from any thread."""

    def __init__(self, engine: Engine, directory: Path) -> None:
        self._engine = engine
        self.directory = directory

    def close(self) -> None:
        """Give the database's connections back."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def check(self) -> None:
        """Raises `Unavailable` while the database does not answer, or where its file is no longer the one it was."""
        with reading(self._engine) as connection:
            connection.execute(select(func.count()).select_from(_LOGS))

    def held(self, origin: str) -> HeldLog:
        """What is held of a log; nothing of one that never delivered."""
        with reading(self._engine) as connection:
            row = connection.execute(select(_LOGS).where(_LOGS.c.origin == origin)).one_or_none()
        return HeldLog(origin=origin) if row is None else _held(row)

    def all_held(self) -> list[HeldLog]:
        """What is held of every log that delivered."""
        with reading(self._engine) as connection:
            return [_held(row) for row in connection.execute(select(_LOGS).order_by(_LOGS.c.origin))]

    def root_at(self, origin: str, size: int) -> bytes | None:
        """The root at a size where a delivery ended; None where none did."""
        with reading(self._engine) as connection:
            where = (_DELIVERIES.c.origin == origin) & (_DELIVERIES.c.stop == size)
            row = connection.execute(select(_DELIVERIES.c.root).where(where)).one_or_none()
        return None if row is None else bytes(row.root)

    def accept(self, manifest: Manifest, before: HeldLog, after: HeldLog, *, sender: str, now: int) -> None:
        """Take a delivery that was judged. Raises `Conflict` where another came first."""
        state = {
            "size": after.size, "root": after.root, "peaks": b"".join(after.peaks), "recorded": after.recorded,
            "changed": now,
        }  # fmt: skip
        try:
            with self._engine.begin() as connection:
                if before.size == 0:
                    connection.execute(insert(_LOGS).values(origin=after.origin, **state))
                else:
                    where = (_LOGS.c.origin == after.origin) & (_LOGS.c.size == before.size)
                    if connection.execute(update(_LOGS).where(where).values(**state)).rowcount != 1:
                        raise _raced()
                connection.execute(
                    insert(_DELIVERIES).values(
                        origin=after.origin,
                        start=manifest.start,
                        stop=manifest.stop,
                        sender=sender,
                        root=after.root,
                        checkpoint=manifest.after,
                        received=now,
                    )
                )
                connection.execute(
                    insert(_FILES),
                    [
                        {"name": p.name(after.origin), "date": p.date, "origin": after.origin, "start": p.start}
                        for p in manifest.parts
                    ],
                )
        except IntegrityError as exc:
            raise _raced() from exc

    def delivered(self) -> dict[str, LogDeliveries]:
        """For each log that delivered, how often and when last."""
        query = select(
            _DELIVERIES.c.origin, func.count(), func.max(_DELIVERIES.c.received)
        ).group_by(_DELIVERIES.c.origin)  # fmt: skip
        with reading(self._engine) as connection:
            return {origin: LogDeliveries(count=count, last=last) for origin, count, last in connection.execute(query)}

    def senders(self) -> dict[str, int]:
        """For each system that sent deliveries, when the first of them came (milliseconds)."""
        query = select(_DELIVERIES.c.sender, func.min(_DELIVERIES.c.received).label("first")).group_by(
            _DELIVERIES.c.sender
        )
        with reading(self._engine) as connection:
            return {row.sender: row.first for row in connection.execute(query)}

    def stored_bytes(self) -> int:
        """The bytes of all files that count and are on this disk."""
        with reading(self._engine) as connection:
            names = list(connection.execute(select(_FILES.c.name)).scalars())
        found = (self.directory / name for name in names)
        return sum(path.stat().st_size for path in found if path.exists())

    def deliveries(self, origin: str | None = None) -> list[dict[str, Any]]:
        """Deliveries taken, the latest last: origin, start, stop, sender, received."""
        columns = [_DELIVERIES.c[name] for name in ("origin", "start", "stop", "sender", "received")]
        query = select(*columns).order_by(_DELIVERIES.c.received, _DELIVERIES.c.start)
        if origin is not None:
            query = query.where(_DELIVERIES.c.origin == origin)
        with reading(self._engine) as connection:
            return [dict(row._mapping) for row in connection.execute(query)]  # noqa: SLF001  # SQLAlchemy's public name

    # Files -----------------------------------------------------------------------------------------------------------

    def files(self, first: str, last: str) -> list[str]:
        """The files that count, of the days `first` to `last`, in the order in which they are read."""
        query = select(_FILES.c.name).where((_FILES.c.date >= first) & (_FILES.c.date <= last))
        with reading(self._engine) as connection:
            return list(connection.execute(query.order_by(_FILES.c.date, _FILES.c.origin, _FILES.c.start)).scalars())

    def dates(self, before: str) -> list[str]:
        """The days before a day that have more than one file."""
        query = select(_FILES.c.date).where(_FILES.c.date < before).group_by(_FILES.c.date).having(func.count() > 1)
        with reading(self._engine) as connection:
            return list(connection.execute(query.order_by(_FILES.c.date)).scalars())

    def days(self) -> list[str]:
        """The days of which there are files."""
        query = select(_FILES.c.date).distinct().order_by(_FILES.c.date)
        with reading(self._engine) as connection:
            return list(connection.execute(query).scalars())

    def replace_files(self, date: str, olds: Sequence[str], new: str) -> None:
        """Let one file count in the place of others of its day. The others stay on the disk until `tidy`."""
        with self._engine.begin() as connection:
            if connection.execute(delete(_FILES).where(_FILES.c.name.in_(olds))).rowcount != len(olds):
                raise Conflict("operational.files", "the files of a day changed meanwhile", at="service")
            connection.execute(insert(_FILES).values(name=new, date=date, origin="", start=0))

    def tidy(self) -> int:
        """Remove files that do not count; gives how many. Nobody may be delivering or reading them meanwhile."""
        with reading(self._engine) as connection:
            known = set(connection.execute(select(_FILES.c.name)).scalars())
        strays = [p for p in self.directory.glob("date=*/*") if f"{p.parent.name}/{p.name}" not in known]
        for path in strays:
            path.unlink()
        return len(strays)

    # Findings --------------------------------------------------------------------------------------------------------

    def keep(self, findings: Iterable[Finding], *, now: int, evidence: str = "") -> list[Finding]:
        """Keep findings, each once; gives those that are new."""
        new = []
        with self._engine.begin() as connection:
            for finding in findings:
                key = (_FINDINGS.c.code == finding.code) & (_FINDINGS.c.origin == finding.origin)
                key &= (_FINDINGS.c.other == finding.other) & (_FINDINGS.c.message == finding.message)
                key &= _FINDINGS.c.place == finding.place
                if connection.execute(select(_FINDINGS.c.id).where(key)).first() is not None:
                    continue
                connection.execute(
                    insert(_FINDINGS).values(
                        code=finding.code,
                        level=finding.level,
                        origin=finding.origin,
                        other=finding.other,
                        message=finding.message,
                        place=finding.place,
                        detail=finding.detail,
                        evidence=evidence,
                        found=now,
                    )
                )
                new.append(finding)
        return new

    def findings(self, *, limit: int = 1000) -> list[KeptFinding]:
        """What does not add up, the latest first."""
        query = select(_FINDINGS).order_by(_FINDINGS.c.found.desc(), _FINDINGS.c.id.desc()).limit(limit)
        with reading(self._engine) as connection:
            return [_kept(row) for row in connection.execute(query)]

    def finding(self, id_: int) -> KeptFinding | None:
        """One finding by its number; None where there is no such."""
        with reading(self._engine) as connection:
            row = connection.execute(select(_FINDINGS).where(_FINDINGS.c.id == id_)).one_or_none()
        return None if row is None else _kept(row)

    def levels(self) -> dict[str, int]:
        """How many findings there are of each level."""
        query = select(_FINDINGS.c.level, func.count()).group_by(_FINDINGS.c.level)
        with reading(self._engine) as connection:
            return {str(row[0]): int(row[1]) for row in connection.execute(query)}


def _held(row: Any) -> HeldLog:
    peaks: Sequence[bytes] = [bytes(row.peaks[at : at + HASH_SIZE]) for at in range(0, len(row.peaks), HASH_SIZE)]
    return HeldLog(origin=row.origin, size=row.size, root=bytes(row.root), peaks=tuple(peaks), recorded=row.recorded)


def _kept(row: Any) -> KeptFinding:
    finding = Finding(
        code=row.code, level=row.level, origin=row.origin, other=row.other, message=row.message, place=row.place,
        detail=row.detail,
    )  # fmt: skip
    return KeptFinding(id=row.id, finding=finding, found=row.found, evidence=row.evidence)


def _raced() -> Conflict:
    return Conflict("operational.gap", "another delivery of this log came first", at="service")
