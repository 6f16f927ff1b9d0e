"""The queue of findings: what detectors said, what people made of it, and why. A finding is never a verdict.

Each matter (detector and objects) is one case. A person confirms it, rejects it with a reason, or turns it into a
measure with an owner and a day; what was rejected comes back only when its facts change, and says so. What is no
longer found is marked gone, never deleted. Every decision is an act of the admin log, noted in the same transaction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Integer,
    String,
    Table,
    Text,
    bindparam,
    func,
    insert,
    select,
    update,
)

from qaztech.core.bin import is_bin
from qaztech.core.errors import Conflict, Malformed, NotFound
from qaztech.core.time import Clock
from qaztech.hub.detectors.finding import Finding
from qaztech.people.actors import Actor, note_act
from qaztech.runtime.database import reading
from qaztech.runtime.migration import tables_named

METADATA = tables_named("findings")
_CASES = Table(
    "finding_cases",
    METADATA,
    Column("key", String(512), primary_key=True),
    Column("detector", String(64), nullable=False, index=True),
    Column("state", String(16), nullable=False),
    Column("version", Integer, nullable=False),
    Column("facts", String(64), nullable=False),
    Column("data", Text, nullable=False),
    Column("first_seen", BigInteger, nullable=False),
    Column("last_seen", BigInteger, nullable=False),
    Column("gone", BigInteger),
    Column("owner_bin", String(12), nullable=False),
    Column("responsible", Text, nullable=False),
    Column("due", String(10), nullable=False),
    Column("text", Text, nullable=False),
)
_EVENTS = Table(
    "finding_events",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("key", String(512), nullable=False, index=True),
    Column("at", BigInteger, nullable=False),
    Column("by", String(255), nullable=False),
    Column("what", String(32), nullable=False),
    Column("text", Text, nullable=False),
    Column("data", Text, nullable=False),
)
MOST_TEXT: Final = 4000
# Rows written at a time.
_SOME: Final = 1000
# Who the machine's own events are by.
DETECTORS: Final = "detectors"


class CaseState(StrEnum):
    """What people made of a finding."""

    OPEN = "open"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    MEASURE = "measure"
    DONE = "done"
    WITHDRAWN = "withdrawn"


# What may follow on what. Back to open undoes a decision.
FOLLOWS: Final[Mapping[CaseState, frozenset[CaseState]]] = {
    CaseState.OPEN: frozenset({CaseState.CONFIRMED, CaseState.REJECTED, CaseState.MEASURE}),
    CaseState.CONFIRMED: frozenset({CaseState.REJECTED, CaseState.MEASURE, CaseState.OPEN}),
    CaseState.REJECTED: frozenset({CaseState.OPEN}),
    CaseState.MEASURE: frozenset({CaseState.DONE, CaseState.WITHDRAWN, CaseState.OPEN}),
    CaseState.DONE: frozenset({CaseState.OPEN}),
    CaseState.WITHDRAWN: frozenset({CaseState.OPEN}),
}
_NEED_REASON: Final = frozenset({CaseState.REJECTED, CaseState.WITHDRAWN, CaseState.OPEN})


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """What is to be done about a finding: by which body (BIN), by whom there (a post, not a name), until when."""

    owner_bin: str
    responsible: str
    due: date
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingCase:
    """A finding and what became of it. Times in ms since 1970; `gone` since when it is no longer found.

    `text` is the reason of the last decision, or what the measure is; `version` counts decisions and changes of facts.
    """

    finding: Finding
    state: CaseState
    version: int
    first_seen: int
    last_seen: int
    gone: int | None
    measure: Measure | None
    text: str

    @property
    def key(self) -> str:
        """Detector and objects."""
        return self.finding.key


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseEvent:
    """Something that happened to a case: found, facts-changed, gone, back, or the state a person gave it."""

    at: int
    by: str
    what: str
    text: str
    finding: Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Refreshed:
    """What a run of detectors changed: how many cases are new, changed, gone, back; rejected ones opened again."""

    new: int = 0
    changed: int = 0
    gone: int = 0
    back: int = 0
    reopened: int = 0


class FindingQueue:
    """Cases in a database opened with `METADATA` (and the tables of people, for their acts). Use it from any thread."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def refresh(self, findings: Iterable[Finding], detectors: Iterable[str] | None = None) -> Refreshed:
        """Take a run of detectors in. Cases of the detectors that ran (all, if not given) and not found are gone."""
        # What takes long is done first: while this transaction lasts, nobody decides on a finding.
        found = {finding.key: _Seen(finding, finding.facts, _told(finding)) for finding in findings}
        ran = None if detectors is None else frozenset(detectors)
        now = self._clock.now()
        with self._engine.begin() as db:
            wanted = [_CASES.c[name] for name in ("key", "detector", "state", "version", "facts", "gone", "text")]
            held = {row.key: row for row in db.execute(select(*wanted))}
            changes = _Changes(now)
            for key, seen in found.items():
                row = held.get(key)
                if row is None:
                    changes.begin(key, seen)
                else:
                    changes.meet(row, seen)
            gone = [
                key
                for key, row in held.items()
                if key not in found and row.gone is None and (ran is None or row.detector in ran)
            ]
            changes.end(gone, _data_of(db, gone))
            changes.write(db)
        return Refreshed(**changes.count)

    def decide(
        self,
        key: str,
        state: CaseState,
        *,
        version: int,
        by: Actor,
        reason: str = "",
        measure: Measure | None = None,
    ) -> FindingCase:
        """Make a decision on a case as it was seen at `version`.

        Raises `NotFound`; `Conflict` where somebody or new facts were quicker, or the decision cannot follow;
        `Malformed` where its reason or its measure is missing.
        """
        _complete(state, reason, measure)
        now = self._clock.now()
        with self._engine.begin() as db:
            row = _row(db, key)
            if row.version != version:
                raise Conflict("finding.changed", "the finding has changed meanwhile: look again", at="caller")
            if state not in FOLLOWS[CaseState(row.state)]:
                raise Conflict("finding.state", f"a finding that is {row.state} cannot become {state}", at="caller")
            told = measure.text if measure else reason
            values: dict[str, Any] = {
                "state": state.value,
                "version": version + 1,
                "owner_bin": measure.owner_bin if measure else "",
                "responsible": measure.responsible if measure else "",
                "due": measure.due.isoformat() if measure else "",
                "text": told,
            }
            if state in {CaseState.DONE, CaseState.WITHDRAWN}:  # what was to be done stays known
                values |= {"owner_bin": row.owner_bin, "responsible": row.responsible, "due": row.due}
            db.execute(update(_CASES).where(_CASES.c.key == key).values(**values))
            _event(db, key, now, row.data, by=by.name, what=state.value, text=told)
            note_act(
                db, by=by, when=now, act=f"finding.{state}", subject=key[:500],
                before={"state": row.state}, after={"state": state.value, "facts": row.facts},
            )  # fmt: skip
            return _case(_row(db, key))

    def case(self, key: str) -> FindingCase:
        """One case. Raises `NotFound`."""
        with reading(self._engine) as db:
            return _case(_row(db, key))

    def cases(
        self,
        *,
        states: Iterable[CaseState] | None = None,
        detectors: Iterable[str] | None = None,
        gone: bool = False,
    ) -> list[FindingCase]:
        """Cases in these states, of these detectors; those that are gone only if asked for. Most money first."""
        query = select(_CASES)
        if states is not None:
            query = query.where(_CASES.c.state.in_([state.value for state in states]))
        if detectors is not None:
            query = query.where(_CASES.c.detector.in_(list(detectors)))
        if not gone:
            query = query.where(_CASES.c.gone.is_(None))
        with reading(self._engine) as db:
            cases = [_case(row) for row in db.execute(query)]
        return sorted(cases, key=_weight)

    def events(self, key: str) -> list[CaseEvent]:
        """What happened to a case, the newest first."""
        query = select(_EVENTS).where(_EVENTS.c.key == key).order_by(_EVENTS.c.id.desc())
        with reading(self._engine) as db:
            rows = db.execute(query).all()
        return [CaseEvent(at=r.at, by=r.by, what=r.what, text=r.text, finding=_finding(r.data)) for r in rows]

    def counts(self) -> Mapping[str, Mapping[CaseState, int]]:
        """How many cases that are not gone each detector has in each state."""
        query = (
            select(_CASES.c.detector, _CASES.c.state, func.count())
            .where(_CASES.c.gone.is_(None))
            .group_by(_CASES.c.detector, _CASES.c.state)
        )
        found: dict[str, dict[CaseState, int]] = {}
        with reading(self._engine) as db:
            for detector, state, count in db.execute(query):
                found.setdefault(detector, {})[CaseState(state)] = count
        return found


def _weight(case: FindingCase) -> tuple[float, float, str]:
    money = (case.finding.money or 0) * case.finding.confidence
    return (-money, -case.finding.confidence, case.key)


def _complete(state: CaseState, reason: str, measure: Measure | None) -> None:
    if state in _NEED_REASON and not reason.strip():
        raise Malformed("finding.reason", "say why", at="caller")
    if (state is CaseState.MEASURE) != (measure is not None):
        raise Malformed("finding.measure", "a measure needs what is to be done, by whom and until when", at="caller")
    texts = [reason, *((measure.text, measure.responsible) if measure else ())]
    if any(len(text) > MOST_TEXT or "\x00" in text for text in texts):
        raise Malformed("finding.text", f"a text of at most {MOST_TEXT} characters", at="caller")
    if measure and not (measure.text.strip() and measure.responsible.strip() and is_bin(measure.owner_bin)):
        raise Malformed("finding.measure", "a measure needs what is to be done, by whom and until when", at="caller")


class _Seen(NamedTuple):
    """A finding of a run, with what is kept of it."""

    finding: Finding
    facts: str
    data: str


class _Changes:
    """What a run changes, gathered to be written many rows at a time: one by one, thousands take seconds."""

    def __init__(self, now: int) -> None:
        self._now = now
        self.count: Counter[str] = Counter()
        self._new: list[dict[str, Any]] = []
        self._met: list[dict[str, Any]] = []
        self._gone: list[dict[str, Any]] = []
        self._events: list[dict[str, Any]] = []

    def begin(self, key: str, seen: _Seen) -> None:
        """A case that there was not."""
        self.count["new"] += 1
        self._new.append(
            {
                "key": key, "detector": seen.finding.detector, "state": CaseState.OPEN.value, "version": 1,
                "facts": seen.facts, "data": seen.data, "first_seen": self._now, "last_seen": self._now, "gone": None,
                "owner_bin": "", "responsible": "", "due": "", "text": "",
            }
        )  # fmt: skip
        self._event(key, seen.data, "found")

    def meet(self, row: Any, seen: _Seen) -> None:
        """A case found again: as it was, or with other facts."""
        values = {"state": row.state, "version": row.version, "text": row.text}
        if row.gone is not None:
            self.count["back"] += 1
            self._event(row.key, seen.data, "back")
        if row.facts != seen.facts:
            self.count["changed"] += 1
            values["version"] += 1
            self._event(row.key, seen.data, "facts-changed")
            if row.state == CaseState.REJECTED:
                self.count["reopened"] += 1
                values |= {"state": CaseState.OPEN.value, "text": ""}
        self._met.append(
            {"of": row.key, "last_seen": self._now, "gone": None, "data": seen.data, "facts": seen.facts, **values}
        )

    def end(self, keys: Sequence[str], data: Mapping[str, str]) -> None:
        """Cases that are found no longer."""
        self.count["gone"] += len(keys)
        for key in keys:
            self._gone.append({"of": key, "gone": self._now})
            self._event(key, data[key], "gone")

    def write(self, db: Connection) -> None:
        """All of it."""
        change = update(_CASES).where(_CASES.c.key == bindparam("of"))
        for statement, rows in (
            (insert(_CASES), self._new),
            (change, self._met),
            (change, self._gone),
            (insert(_EVENTS), self._events),
        ):
            for first in range(0, len(rows), _SOME):
                db.execute(statement, rows[first : first + _SOME])

    def _event(self, key: str, data: str, what: str) -> None:
        self._events.append({"key": key, "at": self._now, "by": DETECTORS, "what": what, "text": "", "data": data})


def _data_of(db: Connection, keys: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for first in range(0, len(keys), _SOME):
        query = select(_CASES.c.key, _CASES.c.data).where(_CASES.c.key.in_(keys[first : first + _SOME]))
        found |= {row.key: row.data for row in db.execute(query)}
    return found


def _row(db: Connection, key: str) -> Any:
    row = db.execute(select(_CASES).where(_CASES.c.key == key)).one_or_none()
    if row is None:
        raise NotFound("finding.none", "no such finding", at="caller")
    return row


def _case(row: Any) -> FindingCase:
    measure = None
    if row.owner_bin:
        due = date.fromisoformat(row.due)
        measure = Measure(owner_bin=row.owner_bin, responsible=row.responsible, due=due, text=row.text)
    return FindingCase(
        finding=_finding(row.data),
        state=CaseState(row.state),
        version=row.version,
        first_seen=row.first_seen,
        last_seen=row.last_seen,
        gone=row.gone,
        measure=measure,
        text=row.text,
    )


def _event(db: Connection, key: str, at: int, data: str, *, what: str, by: str, text: str = "") -> None:
    db.execute(insert(_EVENTS).values(key=key, at=at, by=by, what=what, text=text, data=data))


def _told(finding: Finding) -> str:
    return msgspec.json.encode(finding).decode()


def _finding(data: str) -> Finding:
    return msgspec.json.decode(data, type=Finding)
