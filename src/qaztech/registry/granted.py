"""The book of rights: who was given what, by which service, since when and until when; and what was taken away.

Members sign which rights there are now; what was before is known to who looked then. The book is written from verified
member files and rights pages, one look after the other (`survey`). It grants nothing and is nobody's evidence: whoever
needs that has the files themselves, by their hashes, in the archive. Requests for access are never in it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Self

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Engine,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from qaztech.registry.member_file import MemberFile
from qaztech.registry.rights_page import RightsPage
from qaztech.runtime.database import open_database

BOOK = MetaData()
_granted = Table(
    "granted_right",
    BOOK,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("provider", String(300), nullable=False),
    Column("service", Text, nullable=False),
    Column("holder", String(300), nullable=False),  # the client's member
    Column("client", Text, nullable=False),
    Column("lineage", String(64), nullable=False),
    Column("endpoints", Text, nullable=False),  # one a line
    Column("until", BigInteger),
    Column("via", Text),  # the group by which it is given
    Column("since", BigInteger, nullable=False),
    Column("exact", Boolean, nullable=False),
    Column("ended", BigInteger),
    Column("why", String(20)),
    Column("moved", BigInteger, nullable=False),  # when it was last given or taken away
    Index("granted_moved", "moved", "number"),
    Index("granted_provider", "provider", "moved"),
    Index("granted_holder", "holder", "moved"),
    Index("granted_service", "service", "moved"),
)
_read = Table(
    "granted_read",
    BOOK,
    Column("member", String(300), primary_key=True),
    Column("lineage", String(64), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("digest", String(64), nullable=False),
)
# Rows in one statement, and values in one list: fewer than any database's limit of parameters.
_AT_ONCE = 500
# Files in one transaction: a sync for each would take longer than all the rest.
_FILES_AT_ONCE = 100
MOST_NAMED = 200
MOST_AT_ONCE = 200

Why = Literal["revoked", "changed", "expired"]
Which = Literal["", "open", "ended"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """A right as it was given. Times are those at which the provider signed, in milliseconds.

    Where `exact` is False it was given then or earlier: the file before was not seen. `ended`: when it was found gone,
    and `why`: taken away, given anew with other words, or over anyway. `until` is when it ends by itself.
    """

    provider: str
    service: str
    holder: str
    client: str
    lineage: str
    endpoints: tuple[str, ...]
    until: int | None
    group: str | None
    since: int
    exact: bool
    ended: int | None
    why: Why | None


class _Right(NamedTuple):
    service: str
    client: str
    lineage: str
    endpoints: str
    until: int | None
    via: str | None


class RightsBook:
    """The book, in a database of its own. Any thread may read; one writes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @classmethod
    def open(cls, url: str) -> Self:
        """The book at this URL, empty at first. Raises `Unavailable`."""
        return cls(open_database(url, BOOK))

    def close(self) -> None:
        """Close the database."""
        self._engine.dispose()

    def is_empty(self) -> bool:
        """Whether nothing has been written yet."""
        with self._engine.connect() as db:
            return db.execute(select(_read.c.member).limit(1)).first() is None

    def follow(self, files: Iterable[MemberFile], pages: Mapping[str, RightsPage]) -> int:
        """Write what verified files say now, pages by their hashes; how many files were new.

        A file whose pages are not all at hand waits: what could not be read was not taken away.
        """
        with self._engine.connect() as db:
            known = {row.member: row for row in db.execute(select(_read))}
        new = [file for file in files if _is_news(file, known.get(str(file.member)), pages)]
        for start in range(0, len(new), _FILES_AT_ONCE):
            with self._engine.begin() as db:
                for file in new[start : start + _FILES_AT_ONCE]:
                    before = known.get(str(file.member))
                    follows = before and (before.lineage, before.version + 1) == (file.lineage, file.version)
                    _write(db, file, pages, exact=bool(follows) or file.version == 1)
        return len(new)

    def newest(
        self,
        *,
        members: Collection[str] | None = None,
        services: Collection[str] | None = None,
        which: Which = "",
        now: int,
        offset: int = 0,
        limit: int = 20,
    ) -> tuple[list[Granted], int]:
        """Rights, those first that were given or taken away last; and how many there are.

        Of `members` as provider or client, of `services`; `which` at the moment `now`. Of each at most `MOST_NAMED`.
        """
        where = [_which(which, now)] if which else []
        if members is not None:
            named = list(members)[:MOST_NAMED]
            where.append(or_(_granted.c.provider.in_(named), _granted.c.holder.in_(named)))
        if services is not None:
            where.append(_granted.c.service.in_(list(services)[:MOST_NAMED]))
        chosen = select(_granted).where(*where)
        with self._engine.connect() as db:
            total = db.execute(select(func.count()).select_from(_granted).where(*where)).scalar_one()
            page = chosen.order_by(_granted.c.moved.desc(), _granted.c.number.desc()).offset(offset)
            rows = db.execute(page.limit(min(limit, MOST_AT_ONCE))).all()
        return [_of(row) for row in rows], total


def _is_news(file: MemberFile, before: Any, pages: Mapping[str, RightsPage]) -> bool:
    """Whether a file is another than was read before, and all its pages are at hand."""
    if before is not None and (before.digest, before.lineage) == (file.digest, file.lineage):
        return False
    return all(digest in pages for digest in _named(file))


def _named(file: MemberFile) -> Iterator[str]:
    return (page.sha256 for line in file.statement.services for page in line.rights)


def _which(which: Which, now: int) -> ColumnElement[bool]:
    lasts = and_(_granted.c.ended.is_(None), or_(_granted.c.until.is_(None), _granted.c.until > now))
    return lasts if which == "open" else ~lasts


def _write(db: Connection, file: MemberFile, pages: Mapping[str, RightsPage], *, exact: bool) -> None:
    """What a member's file changes: rights that are new, and those that are gone."""
    member, at = str(file.member), file.statement.issued
    here = _granted.c.provider == member
    rows = db.execute(select(_granted).where(here, _granted.c.ended.is_(None))).all()
    before = {_Right(r.service, r.client, r.lineage, r.endpoints, r.until, r.via): r.number for r in rows}
    now = {right: None for digest in _named(file) for right in _rights(pages[digest])}
    pairs = {(right.service, right.client) for right in now.keys() - before.keys()}
    gone: dict[Why, list[int]] = {"revoked": [], "changed": [], "expired": []}
    for right, number in before.items():
        if right not in now:
            over = right.until is not None and right.until <= at
            anew = (right.service, right.client) in pairs
            gone["expired" if over else "changed" if anew else "revoked"].append(number)
    for why, numbers in gone.items():
        for start in range(0, len(numbers), _AT_ONCE):
            some = _granted.c.number.in_(numbers[start : start + _AT_ONCE])
            db.execute(update(_granted).where(some).values(ended=at, why=why, moved=at))
    new = [_values(member, right, at, exact=exact) for right in now if right not in before]
    for start in range(0, len(new), _AT_ONCE):
        db.execute(insert(_granted), new[start : start + _AT_ONCE])
    db.execute(delete(_read).where(_read.c.member == member))
    noted = {"member": member, "lineage": file.lineage, "version": file.version, "digest": file.digest}
    db.execute(insert(_read).values(**noted))


def _values(member: str, right: _Right, at: int, *, exact: bool) -> dict[str, object]:
    holder = right.client.rpartition("/")[0]
    return {"provider": member, "holder": holder, **right._asdict(), "since": at, "exact": exact, "moved": at}


def _rights(page: RightsPage) -> Iterable[_Right]:
    for right in page.rights:
        endpoints = "\n".join(right.endpoints)
        if right.client is not None and right.lineage is not None:
            yield _Right(page.service, right.client, right.lineage, endpoints, right.until, None)
        else:
            for one in page.groups[right.group or ""]:
                yield _Right(page.service, one.client, one.lineage, endpoints, right.until, right.group)


def _of(row: Any) -> Granted:
    return Granted(
        provider=row.provider,
        service=row.service,
        holder=row.holder,
        client=row.client,
        lineage=row.lineage,
        endpoints=tuple(row.endpoints.split("\n")),
        until=row.until,
        group=row.via,
        since=row.since,
        exact=row.exact,
        ended=row.ended,
        why=row.why,
    )
