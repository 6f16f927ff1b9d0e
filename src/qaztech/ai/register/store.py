"""Where cards are kept: each as it is now, as it was last reviewed, and every act and change there ever was.

A change says which version it saw; what another made meanwhile is not overwritten. Acts of people at the centre are
noted for the admin log in the same transaction. Blocks. Not here: what may be done (`life`), who asks (`service`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, get_args

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Integer,
    Row,
    String,
    Table,
    Text,
    func,
    insert,
    select,
    update,
)

from qaztech.ai.register.card import Card, card_bytes, parse_card
from qaztech.ai.register.law import Law, current_law
from qaztech.ai.register.life import Asked, Role, callable_until, changes, check_days, is_callable, refuse_change, step
from qaztech.ai.register.standing import MOST_CARDS, CardStanding, State, Why
from qaztech.ai.terms import day_of
from qaztech.core.errors import Conflict, Limited, NotFound
from qaztech.core.time import Clock
from qaztech.people.actors import Actor, note_act
from qaztech.runtime.database import reading
from qaztech.runtime.migration import tables_named

METADATA = tables_named("ai_register")
_CARDS = Table(
    "ai_cards",
    METADATA,
    Column("id", String(63), primary_key=True),
    Column("owner", String(800), nullable=False, index=True),
    Column("system", String(255), nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("version", Integer, nullable=False),
    # Who suspended it: owner or reviewer; empty otherwise.
    Column("held", String(16), nullable=False),
    Column("data", Text, nullable=False),
    # The card as people may read it: as it was reviewed, with what was kept up since; empty before the first review.
    Column("shown", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("changed", BigInteger, nullable=False),
    Column("reviewed", BigInteger),
)
_EVENTS = Table(
    "ai_card_events",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("card", String(63), nullable=False, index=True),
    Column("at", BigInteger, nullable=False),
    Column("by", String(1200), nullable=False),
    Column("role", String(16), nullable=False),
    Column("act", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("before", String(16), nullable=False),
    Column("after", String(16), nullable=False),
    Column("version", Integer, nullable=False),
    # The exchange that brought it; empty for acts at the centre.
    Column("message", String(64), nullable=False),
    Column("changes", Text, nullable=False),
)
# What is shown of a card follows it in these states.
_SHOWN_AS_IS: Final = frozenset[State]({"reviewed", "in-service", "suspended"})
_MOST_EVENTS: Final = 1_000
# Characters of all changes that are told at once; of older ones only that they were made.
_MOST_CHANGES: Final = 2_000_000
# Characters of all cards of a member, and of what its changes may add to the history in a day: everybody shares the
# centre's memory and disk.
MOST_OF_MEMBER: Final = 16_000_000
MOST_OF_DAY: Final = 32_000_000
_DAY_MS: Final = 86_400_000
_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Whose act it is: a subsystem of the owner (with the exchange's `message` id), or a person at the centre."""

    by: str
    role: Role
    message: str = ""
    actor: Actor | None = None


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A card as it is kept. Times in ms; `reviewed` when it was last approved; `held` who suspended it."""

    card: Card
    state: State
    version: int
    held: str
    created: int
    changed: int
    reviewed: int | None

    def standing(self, now: int, law: Law | None = None) -> CardStanding:
        """How it stands at a time, as gateways are told."""
        today = day_of(now)
        why = self.why(now, law)
        return CardStanding(
            id=self.card.id, owner=self.card.owner, system=self.card.system, state=self.state, callable=why is None,
            why=why, risk=self.card.risk, mode=self.card.mode, highest_class=self.card.highest_class,
            until=callable_until(self.card, today, law) if why is None else None,
        )  # fmt: skip

    def why(self, now: int, law: Law | None = None) -> Why | None:
        """Why its system may not be called at a time; None where it may."""
        return is_callable(self.card, self.state, day_of(now), law)


class CardEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An act or a change. `changes` has for each field what stood there before and what after."""

    at: int
    by: str
    role: str
    act: str
    reason: str
    before: str
    after: str
    version: int
    message: str
    changes: dict[str, tuple[Any, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """What was read last, by id. A card that was ever shown stays so."""

    cards: tuple[Kept, ...]
    shown: tuple[Kept, ...]


class CardStore:
    """Cards in a database opened with `METADATA` and the tables of people. Use it from any thread."""

    def __init__(self, engine: Engine, clock: Clock, law: Law | None = None) -> None:
        self._engine = engine
        self._clock = clock
        self._law = law or current_law()
        self._read: _Read | None = None

    # Reading

    def cards(self, *, owner: str = "") -> list[Kept]:
        """All cards, or one member's, by id."""
        if not owner:
            return list(self._newest().cards)
        wanted = select(_CARDS).where(_CARDS.c.owner == owner).order_by(_CARDS.c.id)
        with reading(self._engine) as db:
            rows = db.execute(wanted).all()
        return [_kept(row, row.data) for row in rows]

    def shown(self) -> list[Kept]:
        """All cards that were ever reviewed, as people may read them, with the state that they are in."""
        return list(self._newest().shown)

    def _newest(self) -> _Read:
        """All cards; only those that have changed are read again, for anybody may ask. No card is ever taken away."""
        with reading(self._engine) as db:
            versions = {row.id: row.version for row in db.execute(select(_CARDS.c.id, _CARDS.c.version))}
            read = self._read
            known = {} if read is None else {each.card.id: each for each in read.cards}
            changed = [id_ for id_, version in versions.items() if id_ not in known or known[id_].version != version]
            if read is None or changed:
                shown = {} if read is None else {each.card.id: each for each in read.shown}
                for row in _rows(db, changed):
                    known[row.id] = _kept(row, row.data)
                    if row.shown:
                        shown[row.id] = _kept(row, row.shown)
                read = _Read(
                    cards=tuple(known[id_] for id_ in sorted(known)), shown=tuple(shown[id_] for id_ in sorted(shown))
                )
                self._read = read
        return read

    def card(self, identifier: str) -> Kept:
        """One card. Raises `NotFound`."""
        with reading(self._engine) as db:
            row = _row(db, identifier)
        return _kept(row, row.data)

    def events(self, identifier: str) -> list[CardEvent]:
        """What happened to a card, the latest first; of a long history the older changes are not told."""
        newest = _EVENTS.c.card == identifier, _EVENTS.c.id.desc()
        sizes = select(_EVENTS.c.id, func.length(_EVENTS.c.changes)).where(newest[0]).order_by(newest[1])
        plain = [column for column in _EVENTS.c if column.name != "changes"]
        with reading(self._engine) as db:
            total, told = 0, []
            for id_, size in db.execute(sizes.limit(_MOST_EVENTS)):
                total += size
                if total > _MOST_CHANGES:
                    break
                told.append(id_)
            changed: dict[int, str] = {}
            for start in range(0, len(told), _AT_ONCE):
                of = _EVENTS.c.id.in_(told[start : start + _AT_ONCE])
                changed |= {row[0]: row[1] for row in db.execute(select(_EVENTS.c.id, _EVENTS.c.changes).where(of))}
            rows = db.execute(select(*plain).where(newest[0]).order_by(newest[1]).limit(_MOST_EVENTS)).all()
        return [
            CardEvent(
                at=row.at, by=row.by, role=row.role, act=row.act, reason=row.reason, before=row.before,
                after=row.after, version=row.version, message=row.message,
                changes=msgspec.json.decode(changed.get(row.id, "{}")),
            )
            for row in rows
        ]  # fmt: skip

    def stopped(self) -> dict[str, int]:
        """When each card was last suspended or retired (ms)."""
        ends = _EVENTS.c.act.in_(("suspend", "retire"))
        wanted = select(_EVENTS.c.card, func.max(_EVENTS.c.at)).where(ends).group_by(_EVENTS.c.card)
        with reading(self._engine) as db:
            return {row[0]: row[1] for row in db.execute(wanted)}

    # Changing

    def put(self, card: Card, origin: Origin, *, version: int) -> Kept:
        """Keep a card as its owner writes it: a new draft at version 0, else a change of what stands at `version`.

        Raises `Malformed`, `Conflict` where it was changed meanwhile, is another member's or may not be changed now.
        """
        now = self._clock.now()
        check_days(parse_card(card_bytes(card)), day_of(now))  # what is kept can be read again, whoever made it
        with self._engine.begin() as db:
            row = db.execute(select(_CARDS).where(_CARDS.c.id == card.id)).one_or_none()
            if row is None:
                self._begin(db, card, origin, version, now)
            else:
                _require_owner(row, card.owner)
                _require_room(db, card, now)
                _require_version(row, version)
                held = _kept(row, row.data)
                if not refuse_change(held.card, card, held.state):
                    return held
                self._change(db, row, card, origin, now)
            return self._again(db, card.id)

    def act(self, identifier: str, act: str, origin: Origin, *, reason: str, version: int, owner: str = "") -> Kept:
        """Do something with a card as it was at `version`; `owner` is the member that asks, empty for the centre.

        Raises `NotFound` (also for another member's card), `Conflict`, `Forbidden`, `Malformed`.
        """
        now = self._clock.now()
        with self._engine.begin() as db:
            row = _row(db, identifier)
            if owner and row.owner != owner:
                raise _unknown()
            _require_version(row, version)
            held = _kept(row, row.data)
            asked = Asked(act=act, role=origin.role, reason=reason, held=held.held)
            after = step(held.card, held.state, asked, day_of(now), self._law)
            values: dict[str, Any] = {"state": after, "version": row.version + 1, "changed": now}
            values["held"] = origin.role if after == "suspended" else ""
            if act == "approve":
                values |= {"reviewed": now, "shown": row.data}
            db.execute(update(_CARDS).where(_CARDS.c.id == identifier).values(**values))
            _event(db, row, origin, now, act=act, after=after, reason=reason.strip(), changed={})
            if origin.actor is not None:
                told = {"state": after, "reason": reason.strip()}
                _note(db, origin.actor, now, act=act, held=held, after=told)
            return self._again(db, identifier)

    def _begin(self, db: Connection, card: Card, origin: Origin, version: int, now: int) -> None:
        if version:
            raise _unknown()
        count = db.execute(select(func.count()).select_from(_CARDS).where(_CARDS.c.owner == card.owner)).scalar_one()
        if count >= MOST_CARDS:
            raise Limited("ai.card.many", f"a member has at most {MOST_CARDS} cards", at="caller")
        _require_room(db, card, now)
        db.execute(
            insert(_CARDS).values(
                id=card.id, owner=card.owner, system=card.system, state="draft", version=1, held="",
                data=card_bytes(card).decode(), shown="", created=now, changed=now, reviewed=None,
            )
        )  # fmt: skip
        row = _row(db, card.id)
        _event(db, row, origin, now, act="draft", after="draft", reason="", changed=changes(None, card), version=1)

    def _change(self, db: Connection, row: Row[Any], card: Card, origin: Origin, now: int) -> None:
        before = _kept(row, row.data)
        data = card_bytes(card).decode()
        values: dict[str, Any] = {"data": data, "version": row.version + 1, "changed": now}
        if before.state in _SHOWN_AS_IS:
            values["shown"] = data
        db.execute(update(_CARDS).where(_CARDS.c.id == row.id).values(**values))
        act = "draft" if before.state == "draft" else "upkeep"
        _event(db, row, origin, now, act=act, after=row.state, reason="", changed=changes(before.card, card))

    def _again(self, db: Connection, identifier: str) -> Kept:
        row = _row(db, identifier)
        return _kept(row, row.data)


def _row(db: Connection, identifier: str) -> Row[Any]:
    row = db.execute(select(_CARDS).where(_CARDS.c.id == identifier)).one_or_none()
    if row is None:
        raise _unknown()
    return row


def _rows(db: Connection, identifiers: list[str]) -> Iterator[Row[Any]]:
    for start in range(0, len(identifiers), _AT_ONCE):
        yield from db.execute(select(_CARDS).where(_CARDS.c.id.in_(identifiers[start : start + _AT_ONCE])))


def _unknown() -> NotFound:
    return NotFound("ai.card.unknown", "there is no such card", at="caller")


def _require_owner(row: Row[Any], owner: str) -> None:
    if row.owner != owner:
        raise Conflict("ai.card.taken", "another member has a card of that id: choose another", at="caller")


def _require_room(db: Connection, card: Card, now: int) -> None:
    """Raises `Limited` where a member's cards, or what it changed today, would be more than the centre keeps of one."""
    others = (_CARDS.c.owner == card.owner) & (_CARDS.c.id != card.id)
    held = db.execute(select(func.sum(func.length(_CARDS.c.data))).where(others)).scalar() or 0
    if held + len(card_bytes(card)) > MOST_OF_MEMBER:
        raise Limited("ai.card.many", f"the cards of a member have at most {MOST_OF_MEMBER} characters", at="caller")
    lately = (_EVENTS.c.card == _CARDS.c.id) & (_CARDS.c.owner == card.owner) & (_EVENTS.c.at > now - _DAY_MS)
    made = db.execute(select(func.sum(func.length(_EVENTS.c.changes))).where(lately)).scalar() or 0
    if made > MOST_OF_DAY:
        raise Limited("ai.card.busy", "this member has changed too much in a day", at="caller", retry_after=3600)


def _require_version(row: Row[Any], version: int) -> None:
    if row.version != version:
        raise Conflict("ai.card.changed", f"the card is at version {row.version}, not {version}", at="caller")


def _kept(row: Row[Any], data: str) -> Kept:
    return Kept(
        card=msgspec.json.decode(data, type=Card), state=_state(row.state), version=row.version, held=row.held,
        created=row.created, changed=row.changed, reviewed=row.reviewed,
    )  # fmt: skip


def _state(text: str) -> State:
    return next(state for state in get_args(State) if state == text)


def _event(
    db: Connection,
    row: Row[Any],
    origin: Origin,
    now: int,
    *,
    act: str,
    after: str,
    reason: str,
    changed: dict[str, tuple[Any, Any]],
    version: int = 0,
) -> None:
    db.execute(
        insert(_EVENTS).values(
            card=row.id, at=now, by=origin.by, role=origin.role, act=act, reason=reason,
            before="" if version else row.state, after=after, version=version or row.version + 1,
            message=origin.message, changes=msgspec.json.encode(changed).decode(),
        )
    )  # fmt: skip


def _note(db: Connection, actor: Actor, now: int, *, act: str, held: Kept, after: dict[str, Any]) -> None:
    """Acts of people at the centre go to its admin log; acts of owners are exchanges, which two logs hold."""
    before = {"state": held.state, "version": held.version}
    subject = f"ai-card/{held.card.id}"
    note_act(db, by=actor, when=now, act=f"ai-card.{act}", subject=subject, before=before, after=after)
