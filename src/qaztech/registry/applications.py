"""Applications and what became of them: kept for good, decided once, by a person with a name.

The envelope holds the contact and who signed for the organisation: personal data, which stays in this database and goes
to no log. Not here: proving an application (`application`), admitting (`admission`), who may decide (the caller).
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import BigInteger, Column, Engine, Integer, LargeBinary, String, Table, Text, func, select

from qaztech.core.errors import Conflict, Limited, Malformed, NotFound
from qaztech.core.time import Clock
from qaztech.registry.admission import Registry
from qaztech.registry.application import CLASSES, Application, Listed, findings, verify_application
from qaztech.registry.forms import Names
from qaztech.runtime.migration import tables_named
from qaztech.trust.national import NationalVerifier

State = Literal["submitted", "admitted", "refused", "withdrawn"]
MAX_OPEN = 2000
# Of one organisation (one BIN): open at once, and made in a day. One that may sign must not fill the list of all.
MAX_OPEN_OF_ONE = 5
MAX_OF_ONE_A_DAY = 20
_DAY = 24 * 3600 * 1000
MAX_REASON = 1000

JOINING = tables_named("joining")
_application = Table(
    "application",
    JOINING,
    Column("id", String(32), primary_key=True),
    Column("member", String(300), nullable=False, index=True),
    Column("lineage", String(64), nullable=False),
    Column("kk", Text, nullable=False),
    Column("ru", Text, nullable=False),
    Column("en", Text, nullable=False),
    Column("envelope", LargeBinary, nullable=False),
    Column("received", BigInteger, nullable=False, index=True),
    Column("state", String(16), nullable=False, index=True),
    Column("version", Integer, nullable=False),
    Column("decided", BigInteger),
    Column("decided_by", String(100)),
    Column("reason", Text),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filed:
    """An application as the registry keeps it. `version` counts its changes; `reason` is what the applicant is told."""

    id: str
    member: str
    lineage: str
    names: Names
    received: int
    state: State
    version: int
    decided: int | None
    decided_by: str | None
    reason: str | None
    envelope: bytes


class Applications:
    """All applications of a registry. Each method is one transaction."""

    def __init__(self, *, engine: Engine, registry: Registry, national: NationalVerifier, clock: Clock) -> None:
        self._engine = engine
        self._registry = registry
        self._national = national
        self._clock = clock

    def submit(self, envelope: bytes) -> Filed:
        """Take an application in. Raises `Malformed`, `Untrusted`, `Conflict` and `Limited`.

        Sent again unchanged it is the one that is there; another for the same member and key replaces one still open.
        """
        now = self._clock.now()
        application = self._verified(envelope, now)
        known = self._registry.members().get(str(application.member))
        if known is not None and known[0] == application.lineage:
            raise Conflict("registry.admitted", "this member is admitted with this lineage already", at="registry")
        with self._engine.begin() as db:
            rows = db.execute(select(_application).where(_application.c.state == "submitted")).all()
            mine = [r for r in rows if (r.member, r.lineage) == (str(application.member), application.lineage)]
            for row in mine:
                if row.envelope == envelope:
                    return _filed(row)
            if len(rows) - len(mine) >= MAX_OPEN:
                raise Limited("application.too-many", "too many applications are open; try again later", at="registry")
            _check_room_of_one(db, application, [row.member for row in rows if row not in mine], now)
            for row in mine:
                db.execute(
                    _application.update()
                    .where(_application.c.id == row.id)
                    .values(state="withdrawn", version=row.version + 1, decided=now, reason="a newer one came")
                )
            names = application.names
            id_ = secrets.token_hex(16)
            values = {
                "id": id_, "member": str(application.member), "lineage": application.lineage,
                "kk": names.kk, "ru": names.ru, "en": names.en, "envelope": envelope, "received": now,
                "state": "submitted", "version": 1,
            }  # fmt: skip
            db.execute(_application.insert().values(values))
            return self._one(db, id_)

    def get(self, id_: str) -> Filed:
        """One application; raises `NotFound`. The id is a secret of the applicant."""
        with self._engine.begin() as db:
            return self._one(db, id_)

    def newest(self, *, state: State | None = None, limit: int = 500) -> list[Filed]:
        """The newest applications first."""
        query = select(_application).order_by(_application.c.received.desc()).limit(limit)
        if state is not None:
            query = query.where(_application.c.state == state)
        with self._engine.begin() as db:
            return [_filed(row) for row in db.execute(query)]

    def of(self, member: str) -> list[Filed]:
        """All applications of a member, whatever became of them, the newest first."""
        query = select(_application).where(_application.c.member == member).order_by(_application.c.received.desc())
        with self._engine.begin() as db:
            return [_filed(row) for row in db.execute(query)]

    def count(self, state: State) -> int:
        """How many there are in this state."""
        query = select(func.count()).select_from(_application).where(_application.c.state == state)
        with self._engine.begin() as db:
            return int(db.execute(query).scalar_one())

    def opened(self, filed: Filed) -> Application:
        """What stands in an application: for those who decide."""
        return self._verified(filed.envelope, filed.received)

    def findings(self, filed: Filed) -> list[str]:
        """What an operator must look at before deciding."""
        members = [Listed(id=id_, lineage=lineage, names=names) for id_, lineage, names in self._registry.names()]
        with self._engine.begin() as db:
            rows = db.execute(select(_application).where(_application.c.state == "submitted")).all()
        members += [
            Listed(id=row.member, lineage=row.lineage, names=Names(kk=row.kk, ru=row.ru, en=row.en))
            for row in rows
            if row.id != filed.id
        ]
        return findings(self.opened(filed), members)

    def check_decision(self, id_: str, *, version: int, admit: bool, reason: str) -> Filed:
        """The application, if it could be decided so now. Raises as `decide` does."""
        _check_reason(reason, admit=admit)
        with self._engine.begin() as db:
            filed = self._open(db, id_, version)
        if admit:
            application = self.opened(filed)
            if not self._is_admitted(filed):
                self._registry.check_admission(application.member, application.lineage, application.names)
        return filed

    def decide(self, id_: str, *, version: int, admit: bool, by: str, reason: str) -> Filed:
        """Admit or refuse; `version` is the one the operator saw. Raises `Conflict` when it has changed since.

        Run it as a decision of the `Publisher`: what it admits is published then.
        """
        _check_reason(reason, admit=admit)
        with self._engine.begin() as db:
            filed = self._open(db, id_, version)
            if admit and not self._is_admitted(filed):
                application = self.opened(filed)
                self._registry.admit(application.member, application.lineage, application.names)
            db.execute(
                _application.update()
                .where(_application.c.id == id_)
                .values(
                    state="admitted" if admit else "refused", version=version + 1, decided=self._clock.now(),
                    decided_by=by, reason=reason,
                )
            )  # fmt: skip
            return self._one(db, id_)

    def withdraw(self, id_: str) -> Filed:
        """The applicant changes its mind."""
        with self._engine.begin() as db:
            filed = self._one(db, id_)
            if filed.state != "submitted":
                raise Conflict("application.changed", f"the application is {filed.state} by now", at="registry")
            values = {"state": "withdrawn", "version": filed.version + 1, "decided": self._clock.now()}
            db.execute(_application.update().where(_application.c.id == id_).values(values))
            return self._one(db, id_)

    def _verified(self, envelope: bytes, now: int) -> Application:
        return verify_application(envelope, instance=self._registry.instance, national=self._national, now=now)

    def _is_admitted(self, filed: Filed) -> bool:
        """Whether the registry has it already: then a decision that was cut short is ended."""
        known = self._registry.members().get(filed.member)
        return known is not None and known[0] == filed.lineage

    def _open(self, db: Any, id_: str, version: int) -> Filed:
        filed = self._one(db, id_)
        if filed.state != "submitted" or filed.version != version:
            raise Conflict("application.changed", f"the application is {filed.state} by now", at="registry")
        return filed

    def _one(self, db: Any, id_: str) -> Filed:
        row = db.execute(select(_application).where(_application.c.id == id_)).one_or_none()
        if row is None:
            raise NotFound("application.unknown", "there is no such application", at="registry")
        return _filed(row)


def _check_room_of_one(db: Any, application: Application, open_: list[str], now: int) -> None:
    """Raise `Limited` for who applies again and again, under whatever keys and classes."""
    member = application.member
    own = [f"{member.instance}/{member_class}/{member.code}" for member_class in CLASSES]
    lately = (_application.c.member.in_(own), _application.c.received > now - _DAY)
    made = db.execute(select(func.count()).select_from(_application).where(*lately)).scalar_one()
    if made >= MAX_OF_ONE_A_DAY or sum(other in own for other in open_) >= MAX_OPEN_OF_ONE:
        detail = f"one organisation makes {MAX_OF_ONE_A_DAY} applications a day, {MAX_OPEN_OF_ONE} of them open"
        raise Limited("application.too-many", f"at most: {detail}", at="caller", retry_after=3600)


def _check_reason(reason: str, *, admit: bool) -> None:
    if len(reason) > MAX_REASON or not all(c.isprintable() or c == "\n" for c in reason):
        raise Malformed("application.reason", f"a reason has at most {MAX_REASON} printable characters")
    if not admit and not reason.strip():
        raise Malformed("application.reason", "say why it is refused: the applicant is told")


def _filed(row: Any) -> Filed:
    return Filed(
        id=row.id, member=row.member, lineage=row.lineage, names=Names(kk=row.kk, ru=row.ru, en=row.en),
        received=row.received, state=row.state, version=row.version, decided=row.decided, decided_by=row.decided_by,
        reason=row.reason, envelope=bytes(row.envelope),
    )  # fmt: skip
