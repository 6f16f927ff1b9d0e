"""Where a member keeps requests for access: those it received, step by step, and those it made.

A step is added and never changed. Who decides names the version they decided on, so of two people who decide at once
the second hears `Conflict`. Every change of a person is noted as an act in the same transaction. One store speaks for
one member; several members may share a database.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Engine,
    ForeignKey,
    Integer,
    Row,
    String,
    Table,
    Text,
    UniqueConstraint,
    func,
    insert,
    select,
    update,
)

from qaztech.core.errors import Conflict, Limited, NotFound
from qaztech.core.ids import MemberId, ServiceId, SubsystemId
from qaztech.core.time import Clock
from qaztech.member.access import STANDING_TYPE as STANDING
from qaztech.member.access import AccessRequest, Change, Granted, Standing, State, check_step, format_request
from qaztech.people.actors import Actor, note_act
from qaztech.runtime.migration import tables_named

ACCESS = tables_named("access")
PAGE = 200
# Requests of one client that are taken in 24 hours.
A_DAY, DAY = 100, 24 * 3600 * 1000
# The role in which a consumer's subsystem takes a step: by exchange, and no person of ours.
CLIENT = "client"

_received = Table(
    "access_received",
    ACCESS,
    Column("id", String(32), primary_key=True),
    Column("member", String(400), nullable=False, index=True),
    Column("message", String(36), nullable=False),
    Column("service", String(1600), nullable=False),
    Column("client", String(1200), nullable=False),
    Column("lineage", String(64), nullable=False),
    Column("form", Text, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("state", String(20), nullable=False),
    Column("version", Integer, nullable=False),
    Column("published", Boolean, nullable=False),  # whether the rights say what the state says
    UniqueConstraint("member", "message"),
)

_change = Table(
    "access_change",
    ACCESS,
    Column("request", String(32), ForeignKey("access_received.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("who", String(1200), nullable=False),
    Column("form", Text, nullable=False),
)

_made = Table(
    "access_made",
    ACCESS,
    Column("id", String(32), primary_key=True),
    Column("member", String(400), nullable=False, index=True),
    Column("form", Text, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("state", String(20), nullable=False),
    Column("version", Integer, nullable=False),
    Column("trouble", String(64)),
    Column("message", String(36)),
    Column("theirs", String(32)),
    Column("standing", Text),
    Column("asked", BigInteger),
)


class NoteAct(Protocol):
    """Notes an act in the transaction that makes the change (`people.actors.note_act`)."""

    def __call__(
        self, db: Connection, *, by: Actor, when: int, act: str, subject: str, before: Any, after: Any
    ) -> None:
        """Note it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a received request, with the name of who took it."""

    who: str
    change: Change


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A request that another member made. `version` is what a decision names; `lineage` is the client's member's."""

    id: str
    message: str
    lineage: str
    request: AccessRequest
    time: int
    state: State
    version: int
    published: bool
    steps: tuple[Step, ...]

    @property
    def granted(self) -> Granted | None:
        """What is given now; None where nothing is."""
        return self.steps[-1].change.granted if self.state == "approved" else None

    def standing(self) -> Standing:
        """As its maker may see it."""
        return Standing(
            type=STANDING, id=self.id, message=self.message, service=self.request.service, client=self.request.client,
            state=self.state, changes=tuple(step.change for step in self.steps),
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A request this member made. `state` is what its provider said last, or `sending`, or `unsent` with the trouble.

    `theirs` is the provider's id of it, `message` the exchange that carried it, `asked` when its provider was asked.
    """

    id: str
    request: AccessRequest
    time: int
    state: str
    version: int
    trouble: str | None
    message: str | None
    theirs: str | None
    standing: Standing | None
    asked: int | None


class AccessStore:
    """The requests of one member. Every method is one transaction; use it from any thread."""

    def __init__(self, engine: Engine, member: MemberId, clock: Clock, note: NoteAct = note_act) -> None:
        self._engine = engine
        self.member = member
        self._clock = clock
        self._note = note

    # Received -----------------------------------------------------------------------------------------------------

    def receive(self, request: AccessRequest, *, message: str, lineage: str) -> Received:
        """Keep a request; one of the same client for the same service that is not decided yet gives way to it.

        The same message again is the same request.
        """
        now, id_ = self._clock.now(), secrets.token_hex(16)
        with self._engine.begin() as db:
            known = db.execute(self._of_member(_received).where(_received.c.message == message)).first()
            if known is not None:
                return self._loaded(db, known)
            self._check_room(db, request.client, now)
            open_ = self._of_member(_received).where(
                _received.c.service == request.service,
                _received.c.client == request.client,
                _received.c.state == "submitted",
            )
            for earlier in db.execute(open_).all():
                self._step(db, earlier, earlier.version, _change_to("superseded", now), request.client)
            db.execute(
                insert(_received).values(
                    id=id_, member=str(self.member), message=message, service=request.service, client=request.client,
                    lineage=lineage, form=format_request(request).decode(), time=now, state="submitted", version=1,
                    published=True,
                )
            )  # fmt: skip
            first = _encode(_change_to("submitted", now))
            db.execute(insert(_change).values(request=id_, number=1, who=request.client, form=first))
            return self._load(db, id_)

    def received(self, *, state: State | None = None, before: int | None = None) -> list[Received]:
        """Requests, newest first, at most `PAGE`; those made before a moment (milliseconds) where one is given."""
        query = self._of_member(_received)
        if state is not None:
            query = query.where(_received.c.state == state)
        if before is not None:
            query = query.where(_received.c.time < before)
        with self._engine.begin() as db:
            rows = db.execute(query.order_by(_received.c.time.desc(), _received.c.id).limit(PAGE)).all()
            return [self._loaded(db, row) for row in rows]

    def get(self, id_: str, *, client: SubsystemId | None = None) -> Received:
        """One request; only if that client made it, where one is given. Raises `NotFound`."""
        with self._engine.begin() as db:
            found = self._load(db, id_)
        if client is not None and found.request.client != str(client):
            raise _unknown()
        return found

    def decide(  # each is a fact of the decision
        self, id_: str, *, version: int, state: State, by: Actor, reason: str | None = None,
        granted: Granted | None = None,
    ) -> Received:  # fmt: skip
        """One more step of a request, taken by a person. Raises `NotFound`, or `Conflict` where it has changed."""
        now = self._clock.now()
        with self._engine.begin() as db:
            row = self._row(db, id_)
            change = Change(state=state, time=now, role=by.role, reason=reason, granted=granted)
            self._step(db, row, version, change, by.name, touches_rights=state in {"approved", "revoked"})
            before, after = {"state": row.state, "version": row.version}, _public(change)
            self._note(db, by=by, when=now, act=f"access.{state}", subject=_subject(row), before=before, after=after)
            return self._load(db, id_)

    def withdraw(self, id_: str, client: SubsystemId) -> Received:
        """Its maker no longer wants it. Raises `NotFound`, also for anyone else, and `Conflict` once it is decided."""
        with self._engine.begin() as db:
            row = self._row(db, id_)
            if row.client != str(client):
                raise _unknown()
            if row.state != "withdrawn":
                self._step(db, row, row.version, _change_to("withdrawn", self._clock.now()), row.client)
            return self._load(db, id_)

    def of_pair(self, service: ServiceId | str, client: SubsystemId | str) -> list[Received]:
        """Every request of one client for one service, oldest first."""
        query = self._of_member(_received).where(_received.c.service == str(service), _received.c.client == str(client))
        with self._engine.begin() as db:
            rows = db.execute(query.order_by(_received.c.time, _received.c.id)).all()
            return [self._loaded(db, row) for row in rows]

    def unpublished(self) -> list[Received]:
        """Those whose decision has not reached the signed rights yet, oldest first."""
        query = self._of_member(_received).where(_received.c.published.is_(False)).order_by(_received.c.time)
        with self._engine.begin() as db:
            return [self._loaded(db, row) for row in db.execute(query).all()]

    def approved(self) -> list[Received]:
        """All that give something now, oldest first."""
        query = self._of_member(_received).where(_received.c.state == "approved").order_by(_received.c.time)
        with self._engine.begin() as db:
            return [self._loaded(db, row) for row in db.execute(query).all()]

    def published(self, requests: Sequence[Received]) -> None:
        """The rights say now what these requests said at that version."""
        with self._engine.begin() as db:
            for one in requests:
                same = (_received.c.id == one.id) & (_received.c.version == one.version)
                db.execute(update(_received).where(same).values(published=True))

    # Made ---------------------------------------------------------------------------------------------------------

    def make(self, request: AccessRequest, by: Actor) -> Made:
        """Keep a request that is about to be sent."""
        now, id_ = self._clock.now(), secrets.token_hex(16)
        form = format_request(request).decode()
        with self._engine.begin() as db:
            db.execute(
                insert(_made).values(id=id_, member=str(self.member), form=form, time=now, state="sending", version=1)
            )
            after = {"endpoints": list(request.endpoints), "client": request.client}
            self._note(db, by=by, when=now, act="access.ask", subject=request.service, before=None, after=after)
            return _made_of(db.execute(self._of_member(_made).where(_made.c.id == id_)).one())

    def note(self, made: Made, act: str, by: Actor) -> None:
        """Note that a person does something with a request that was made."""
        with self._engine.begin() as db:
            before = {"state": made.state, "version": made.version}
            subject = made.request.service
            self._note(db, by=by, when=self._clock.now(), act=act, subject=subject, before=before, after=None)

    def made(self, *, before: int | None = None) -> list[Made]:
        """Requests this member made, newest first, at most `PAGE`."""
        query = self._of_member(_made)
        if before is not None:
            query = query.where(_made.c.time < before)
        with self._engine.begin() as db:
            return [_made_of(r) for r in db.execute(query.order_by(_made.c.time.desc(), _made.c.id).limit(PAGE)).all()]

    def get_made(self, id_: str) -> Made:
        """One of them. Raises `NotFound`."""
        with self._engine.begin() as db:
            row = db.execute(self._of_member(_made).where(_made.c.id == id_)).first()
        if row is None:
            raise _unknown()
        return _made_of(row)

    def heard(self, made: Made, **values: Any) -> Made:
        """What became of one, at that version. Raises `Conflict` where it has changed meanwhile.

        The version is another only where the state is: who has looked at it may still decide.
        """
        version = made.version + (values.get("state", made.state) != made.state)
        values = {"asked": self._clock.now(), "version": version} | values
        same = (_made.c.id == made.id) & (_made.c.member == str(self.member)) & (_made.c.version == made.version)
        with self._engine.begin() as db:
            if db.execute(update(_made).where(same).values(**values)).rowcount != 1:
                raise _changed()
            return _made_of(db.execute(self._of_member(_made).where(_made.c.id == made.id)).one())

    # Pieces -------------------------------------------------------------------------------------------------------

    def _check_room(self, db: Connection, client: str, now: int) -> None:
        lately = (_received.c.member == str(self.member), _received.c.client == client, _received.c.time > now - DAY)
        if db.execute(select(func.count()).select_from(_received).where(*lately)).scalar_one() >= A_DAY:
            detail = f"one client makes at most {A_DAY} requests a day"
            raise Limited("access.too-many", detail, at="caller", retry_after=3600)

    def _of_member(self, table: Table) -> Any:
        return select(table).where(table.c.member == str(self.member))

    def _row(self, db: Connection, id_: str) -> Row[Any]:
        row = db.execute(self._of_member(_received).where(_received.c.id == id_)).first()
        if row is None:
            raise _unknown()
        return row

    def _load(self, db: Connection, id_: str) -> Received:
        return self._loaded(db, self._row(db, id_))

    def _loaded(self, db: Connection, row: Row[Any]) -> Received:
        steps = db.execute(select(_change).where(_change.c.request == row.id).order_by(_change.c.number)).all()
        return Received(
            id=row.id, message=row.message, lineage=row.lineage,
            request=msgspec.json.decode(row.form, type=AccessRequest), time=row.time, state=row.state,
            version=row.version, published=row.published,
            steps=tuple(Step(who=s.who, change=msgspec.json.decode(s.form, type=Change)) for s in steps),
        )  # fmt: skip

    def _step(
        self, db: Connection, row: Row[Any], version: int, change: Change, who: str, *, touches_rights: bool = False
    ) -> None:
        if row.version != version:
            raise _changed()
        check_step(row.state, change.state)
        same = (_received.c.id == row.id) & (_received.c.version == version)
        values: dict[str, Any] = {"state": change.state, "version": version + 1}
        if touches_rights:
            values["published"] = False
        if db.execute(update(_received).where(same).values(**values)).rowcount != 1:
            raise _changed()
        db.execute(insert(_change).values(request=row.id, number=version + 1, who=who, form=_encode(change)))


def _change_to(state: State, now: int) -> Change:
    return Change(state=state, time=now, role=CLIENT, reason=None, granted=None)


def _encode(form: msgspec.Struct) -> str:
    return msgspec.json.encode(form).decode()


def _public(change: Change) -> dict[str, Any]:
    """A decision as the admin log may show it: the reason stays between the two members."""
    granted = msgspec.to_builtins(change.granted)
    return {"state": change.state, "granted": granted}


def _subject(row: Row[Any]) -> str:
    return f"{row.service} {row.client} {row.id}"


def _made_of(row: Row[Any]) -> Made:
    return Made(
        id=row.id, request=msgspec.json.decode(row.form, type=AccessRequest), time=row.time, state=row.state,
        version=row.version, trouble=row.trouble, message=row.message, theirs=row.theirs,
        standing=msgspec.json.decode(row.standing, type=Standing) if row.standing else None, asked=row.asked,
    )  # fmt: skip


def _unknown() -> NotFound:
    return NotFound("access.unknown", "there is no such request for access", at="caller")


def _changed() -> Conflict:
    return Conflict("access.changed", "the request has changed meanwhile; look at it again", at="caller")
