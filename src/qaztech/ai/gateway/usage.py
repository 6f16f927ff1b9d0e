"""What was used and what it cost: sums for pages, and a member's statement of a month. Only reads.

Amounts are exact (micro-tenge); only the total of a statement is rounded, up to whole tenge. A call belongs to the day
on which it was taken in, in Kazakhstan. Calls that are still open count as such and cost nothing yet.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from sqlalchemy import Engine, case, func, select

from qaztech.ai.gateway.books import OPEN, ORPHANED
from qaztech.ai.gateway.budgeting import day_of, day_text, exact_tenge, month_span, whole_tenge
from qaztech.ai.gateway.tables import calls, periods
from qaztech.core.errors import Malformed
from qaztech.core.ids import MemberId
from qaztech.runtime.database import reading

By = Literal["key", "system", "card", "purpose", "model", "deployment", "service", "version", "class", "outcome", "day"]
BY: Final[tuple[By, ...]] = get_args(By)
_LINES: Final[tuple[By, ...]] = ("service", "deployment", "model", "version", "system", "card", "purpose")
_PAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """Sums of the calls that have these values (`by`: as asked for; a day is YYYY-MM-DD). `cost` is micro-tenge."""

    by: dict[str, str]
    calls: int
    open: int
    failed: int
    orphaned: int
    capped: int  # calls whose server claimed more than was reserved
    prompt_tokens: int
    completion_tokens: int
    cost: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRow:
    """One call of the ledger, as statements are proved from it; see `tables.calls`."""

    id: str
    key: str
    system: str
    card: str
    purpose: str
    model: str
    deployment: str
    service: str
    version: str
    declared: str
    data_class: str
    decision: str
    outcome: str
    prompt_tokens: int | None
    completion_tokens: int | None
    reserved: int
    cost: int | None
    claimed: int | None
    prompt_digest: str
    answer_digest: str | None
    exchange: str | None
    usage_exchange: str | None
    told: bool
    started: int
    ended: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What a member's calls of a month cost: one line for each service, place, model and so on (`_LINES`).

    `total` is exact, in micro-tenge; `tenge` the same in whole tenge, rounded up. `open` calls are not in it yet.
    """

    member: MemberId
    month: str
    lines: tuple[Sum, ...]
    calls: int
    open: int
    total: int

    @property
    def exact(self) -> str:
        """The total in tenge, nothing rounded."""
        return exact_tenge(self.total)

    @property
    def tenge(self) -> int:
        """The total in whole tenge, rounded up."""
        return whole_tenge(self.total)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A period of a budget whose sums (micro-tenge) are not those of its calls: tables were changed from outside."""

    budget: str
    period: str
    settled: int
    reserved: int
    settled_by_calls: int
    reserved_by_calls: int


def usage(
    engine: Engine,
    *,
    member: MemberId | None = None,
    since: int | None = None,
    until: int | None = None,
    by: Sequence[By] = ("day",),
    key: str | None = None,
) -> list[Sum]:
    """Sums of calls taken in from `since` to before `until` (milliseconds), by these values, in their order."""
    if not by or not set(by) <= set(BY):
        raise Malformed("ai.usage.by", f"usage is summed by one or more of {', '.join(BY)}", at="caller")
    first = None if since is None else day_of(since)
    last = None if until is None else day_of(until - 1)
    with reading(engine) as db:
        rows = db.execute(_sums(by, member=member, first=first, last=last, key=key)).all()
    return [_sum(by, row) for row in rows]


def statement(engine: Engine, member: MemberId, month: str, *, provider: str | None = None) -> Statement:
    """A member's statement of a month (`2026-11`); of one provider (a member's identifier), where it is given.

    Raises `Malformed`.
    """
    first, last = _days(month)
    chosen = _sums(_LINES, member=member, first=first, last=last, provider=provider)
    with reading(engine) as db:
        lines = tuple(_sum(_LINES, row) for row in db.execute(chosen))
    return Statement(
        member=member, month=month, lines=lines, calls=sum(line.calls for line in lines),
        open=sum(line.open for line in lines), total=sum(line.cost for line in lines),
    )  # fmt: skip


def calls_of(engine: Engine, member: MemberId, month: str, *, provider: str | None = None) -> Iterator[CallRow]:
    """The calls that a statement sums, in the order in which they were taken in. Raises `Malformed`."""
    first, last = _days(month)
    after = ""
    while True:
        chosen = _narrowed(select(calls), member=member, first=first, last=last, provider=provider)
        with reading(engine) as db:
            rows = db.execute(chosen.where(calls.c.id > after).order_by(calls.c.id).limit(_PAGE)).all()
        yield from map(_call, rows)
        if len(rows) < _PAGE:
            return
        after = rows[-1].id


def calls_before(
    engine: Engine, member: MemberId, *, key: str | None = None, before: str = "", most: int = 50
) -> list[CallRow]:
    """A member's calls, the newest first; those taken in before one, where it is given by its id."""
    chosen = _narrowed(select(calls), member=member, first=None, last=None, provider=None)
    if key is not None:
        chosen = chosen.where(calls.c.key == key)
    if before:
        chosen = chosen.where(calls.c.id < before)
    with reading(engine) as db:
        return [_call(row) for row in db.execute(chosen.order_by(calls.c.id.desc()).limit(most))]


def untold(engine: Engine, gateway: str, *, most: int = _PAGE) -> list[CallRow]:
    """Calls of a gateway that have ended and whose providers were not told of the usage yet, the oldest first."""
    chosen = (
        select(calls)
        .where(calls.c.gateway == gateway, ~calls.c.told, calls.c.outcome != OPEN)
        .order_by(calls.c.id)
        .limit(most)
    )
    with reading(engine) as db:
        return [_call(row) for row in db.execute(chosen)]


def differences(engine: Engine) -> list[Difference]:
    """What does not add up in the books: nothing, whatever gateways do and wherever they are killed."""
    held = func.sum(case((calls.c.outcome == OPEN, calls.c.reserved), else_=0))
    said = select(calls.c.budget, calls.c.period, func.coalesce(func.sum(calls.c.cost), 0), held)
    with reading(engine) as db:
        kept = {(row.budget, row.period): (row.settled, row.reserved) for row in db.execute(select(periods))}
        found = {
            (budget, period): (int(cost), int(open_))
            for budget, period, cost, open_ in db.execute(said.group_by(calls.c.budget, calls.c.period))
        }
    return [
        Difference(
            budget=budget, period=period, settled=settled, reserved=reserved, settled_by_calls=cost,
            reserved_by_calls=open_,
        )
        for (budget, period) in sorted(kept.keys() | found.keys())
        for settled, reserved in [kept.get((budget, period), (0, 0))]
        for cost, open_ in [found.get((budget, period), (0, 0))]
        if (settled, reserved) != (cost, open_)
    ]  # fmt: skip


def _sums(
    by: Sequence[By], *, member: MemberId | None, first: int | None, last: int | None, provider: str | None = None,
    key: str | None = None,
) -> Any:  # fmt: skip
    columns = [calls.c[each] for each in by]

    def count(condition: Any) -> Any:
        return func.sum(case((condition, 1), else_=0))

    chosen: Any = select(
        *columns, func.count(), count(calls.c.outcome == OPEN), count(calls.c.outcome == "failed"),
        count(calls.c.outcome == ORPHANED), func.count(calls.c.claimed),
        func.coalesce(func.sum(calls.c.prompt_tokens), 0), func.coalesce(func.sum(calls.c.completion_tokens), 0),
        func.coalesce(func.sum(calls.c.cost), 0),
    )  # fmt: skip
    chosen = _narrowed(chosen, member=member, first=first, last=last, provider=provider)
    if key is not None:
        chosen = chosen.where(calls.c.key == key)
    return chosen.group_by(*columns).order_by(*columns)


def _narrowed(
    chosen: Any, *, member: MemberId | None, first: int | None, last: int | None, provider: str | None
) -> Any:
    if member is not None:
        chosen = chosen.where(calls.c.member == str(member))
    if first is not None:
        chosen = chosen.where(calls.c.day >= first)
    if last is not None:
        chosen = chosen.where(calls.c.day <= last)
    if provider is not None:
        chosen = chosen.where(calls.c.service.startswith(f"{MemberId.parse(provider)}/", autoescape=True))
    return chosen


def _days(month: str) -> tuple[int, int]:
    try:
        begin, end = month_span(month)
    except (ValueError, OverflowError) as exc:
        raise Malformed("ai.usage.month", "a month is written YYYY-MM", at="caller") from exc
    return day_of(begin), day_of(end - 1)


def _sum(by: Sequence[By], row: Any) -> Sum:
    named: dict[str, str] = {
        each: day_text(value) if each == "day" else value for each, value in zip(by, row, strict=False)
    }
    count, open_, failed, orphaned, capped, prompt, completion, cost = (int(value) for value in row[len(by) :])
    return Sum(
        by=named, calls=count, open=open_, failed=failed, orphaned=orphaned, capped=capped, prompt_tokens=prompt,
        completion_tokens=completion, cost=cost,
    )  # fmt: skip


def _call(row: Any) -> CallRow:
    return CallRow(
        data_class=row._mapping["class"],  # noqa: SLF001  # SQLAlchemy's own name for it
        **{name: getattr(row, name) for name in CallRow.__slots__ if name != "data_class"},
    )
