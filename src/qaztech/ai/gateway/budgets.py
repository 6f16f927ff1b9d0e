"""Budgets of members: whole tenge for each month of Kazakhstan's calendar, or once. What is spent is `ledger`'s."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, Row, insert, select, update

from qaztech.ai.gateway.budgeting import KINDS, MICRO, MOST_TENGE, Kind, Moment
from qaztech.ai.gateway.tables import budgets, periods
from qaztech.core.errors import Malformed, NotFound
from qaztech.core.ids import MemberId
from qaztech.core.time import Clock
from qaztech.runtime.database import reading

_LONGEST = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """What a budget has spent and reserved in a month (`2026-11`) or in all (`total`), in micro-tenge."""

    period: str
    settled: int
    reserved: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """A budget. `tenge` is what each of its periods has; `periods` are those in which there were calls, newest first.

    `present` is the one that counts now.
    """

    id: str
    member: MemberId
    name: str
    kind: Kind
    tenge: int
    created: int
    created_by: str
    present: Period
    periods: tuple[Period, ...] = ()

    @property
    def left(self) -> int:
        """What a call may reserve now, in micro-tenge; less than nothing after a limit was lowered."""
        return self.tenge * MICRO - self.present.settled - self.present.reserved


class Budgets:
    """The budgets that there are. Usable from any thread."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def create(self, *, member: MemberId, name: str, kind: Kind, tenge: int, by: str) -> Budget:
        """A new budget. Raises `Malformed`."""
        name, now = name.strip(), self._clock.now()
        if not 0 < len(name) <= _LONGEST or not name.isprintable() or kind not in KINDS or not 0 < len(by) <= 200:
            raise Malformed("ai.budget.malformed", f"a budget has a name and a kind: {', '.join(KINDS)}", at="caller")
        _check(tenge)
        id_ = f"b-{secrets.token_hex(6)}"
        with self._engine.begin() as db:
            db.execute(
                insert(budgets).values(
                    id=id_,
                    member=str(member),
                    name=name,
                    kind=kind,
                    allowance=tenge * MICRO,
                    created=now,
                    created_by=by,
                )
            )
        return self.budget(id_)

    def change(self, id_: str, *, tenge: int) -> Budget:
        """Give a budget another limit, from the next call on; what is spent stays spent. Raises `NotFound`."""
        _check(tenge)
        with self._engine.begin() as db:
            if not db.execute(update(budgets).where(budgets.c.id == id_).values(allowance=tenge * MICRO)).rowcount:
                raise _none()
        return self.budget(id_)

    def budget(self, id_: str) -> Budget:
        """One budget. Raises `NotFound`."""
        found = [each for each in self.all() if each.id == id_]
        if not found:
            raise _none()
        return found[0]

    def all(self, *, member: MemberId | None = None) -> list[Budget]:
        """The budgets of a member, or of all, the newest first, each with its periods."""
        chosen = select(budgets).order_by(budgets.c.created.desc(), budgets.c.id)
        if member is not None:
            chosen = chosen.where(budgets.c.member == str(member))
        spent: dict[str, list[Period]] = {}
        with reading(self._engine) as db:
            rows = list(db.execute(chosen))
            for row in db.execute(select(periods).order_by(periods.c.period.desc())):
                spent.setdefault(row.budget, []).append(
                    Period(period=row.period, settled=row.settled, reserved=row.reserved)
                )
        at = Moment.at(self._clock.now())
        return [_budget(row, spent.get(row.id, []), at) for row in rows]


def _budget(row: Row[Any], spent: list[Period], at: Moment) -> Budget:
    now = at.period(row.kind)
    present = next((each for each in spent if each.period == now), Period(period=now, settled=0, reserved=0))
    return Budget(
        id=row.id, member=MemberId.parse(row.member), name=row.name, kind=row.kind, tenge=row.allowance // MICRO,
        created=row.created, created_by=row.created_by, present=present, periods=tuple(spent),
    )  # fmt: skip


def _check(tenge: int) -> None:
    if not 0 <= tenge <= MOST_TENGE:
        raise Malformed("ai.budget.limit", f"a budget has 0 to {MOST_TENGE} whole tenge", at="caller")


def _none() -> NotFound:
    return NotFound("ai.budget.unknown", "this member has no such budget", at="caller")
