"""Detectors of plans: 12 slippage, 16 migration_infeasible. Both measure by what was promised first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date
from itertools import pairwise
from typing import Final

from qaztech.hub.detectors.finding import Case, Detector, Fact, Finding, MoneyOf
from qaztech.hub.detectors.reading import fact, in_life, law_fact, limit, objects
from qaztech.hub.register.rows import DigitalObject, Document, DocumentType, Migration, Milestone

_DAYS_OF_YEAR: Final = 365


def slippage(case: Case) -> Iterator[Finding]:
    """A milestone is far behind its first date or over its first budget, whatever later versions of the plan say."""
    for object_ in objects(case):
        plans: defaultdict[str, list[Milestone]] = defaultdict(list)
        for row in case.register.of(Milestone, object_.id):
            plans[row.name].append(row)
        told: list[Fact] = []
        over = 0
        for name in sorted(plans):
            versions = sorted(plans[name], key=lambda row: row.version)
            late, more = _late(case, object_, versions), _more(case, versions)
            moved = _moved(case, versions)
            told += [*late, *more, *moved]
            over += sum(int(each.value) for each in more if each.what == "budget_over")
        if told:
            yield Finding(
                detector="slippage",
                objects=(object_.id,),
                evidence=(*told, law_fact(case.law, "slip_days", case.today)),
                confidence=1.0,
                money=over or None,
                money_of=MoneyOf.BUDGET_OVER,
            )


def _late(case: Case, object_: DigitalObject, versions: Sequence[Milestone]) -> list[Fact]:
    """By how many days it is behind its first date: as done, as now planned, or as it is overdue."""
    first = next((row for row in versions if row.due is not None), None)
    if first is None or first.due is None:
        return []
    done = next((row for row in reversed(versions) if row.done is not None), None)
    latest = versions[-1]
    planned = latest.due or first.due
    overdue = case.today if in_life(object_) else planned
    end, last = (done.done, done) if done is not None else (max(planned, overdue), latest)
    days = 0 if end is None else (end - first.due).days
    if days <= limit(case, "slip_days"):
        return []
    return [
        fact("first_due", first.due, first, "due", first.recorded),
        fact("done" if done else "due_now", last.done or last.due or first.due, last, "done" if done else "due"),
        Fact(what="days_late", value=days, source=f"milestones/{first.key}/due", as_of=case.today, moving=done is None),
        Fact(what="rebaselined", value=len(versions) - 1, source=f"milestones/{latest.key}/version"),
    ]


def _more(case: Case, versions: Sequence[Milestone]) -> list[Fact]:
    """By how much its budget is over the first one."""
    priced = [row for row in versions if row.budget]
    if len(priced) < 2 or not priced[0].budget or not priced[-1].budget:
        return []
    first, last = priced[0].budget, priced[-1].budget
    if (last - first) * 100 <= limit(case, "overrun_percent") * first:
        return []
    return [
        fact("first_budget", first, priced[0], "budget", priced[0].recorded),
        fact("budget_now", last, priced[-1], "budget", priced[-1].recorded),
        Fact(what="budget_over", value=last - first, source=f"milestones/{priced[-1].key}/budget"),
    ]


def _moved(case: Case, versions: Sequence[Milestone]) -> list[Fact]:
    """How often its date was put off, where that is often."""
    dates = [row.due for row in versions if row.due is not None]
    times = sum(later > earlier for earlier, later in pairwise(dates))
    if times < limit(case, "rebaselines"):
        return []
    return [Fact(what="put_off", value=times, source=f"milestones/{versions[-1].key}/version")]


def migration_infeasible(case: Case) -> Iterator[Finding]:
    """The work left for moving is more than its people can do until the date."""
    for object_ in objects(case):
        rows = case.register.of(Migration, object_.id)
        if not rows or not rows[0].person_days_left or not in_life(object_) or _exempt(case, object_):
            continue
        row, (target, source) = rows[0], _target(case, object_, rows[0])
        if target is None or source is None or (row.team is None and target > case.today):
            continue
        per_year = limit(case, "working_days_per_month") * 12
        days = max((target - case.today).days, 0) * per_year // _DAYS_OF_YEAR
        left = row.person_days_left or 0
        if left <= (row.team or 0) * days:
            continue
        yield Finding(
            detector="migration_infeasible",
            objects=(object_.id,),
            evidence=(
                fact("person_days_left", left, row, "person_days_left"),
                fact("team", "" if row.team is None else row.team, row, "team"),
                source,
                Fact(
                    what="working_days_left",
                    value=days,
                    source=f"migration/{row.key}/target",
                    as_of=case.today,
                    moving=True,
                ),
                law_fact(case.law, "working_days_per_month", case.today),
            ),
            confidence=1.0,
        )


def _target(case: Case, object_: DigitalObject, row: Migration) -> tuple[date | None, Fact | None]:
    """The day until which an object is to be moved: its own, else that of its disposition, else the plan's for all."""
    if row.target is not None:
        return row.target, fact("target", row.target, row, "target")
    if object_.disposition_due is not None:
        return object_.disposition_due, fact("target", object_.disposition_due, object_, "disposition_due")
    return case.law.day("migration_due", case.today), law_fact(case.law, "migration_due", case.today)


def _exempt(case: Case, object_: DigitalObject) -> bool:
    found = [row for row in case.register.of(Document, object_.id) if row.type is DocumentType.EXEMPTION]
    valid = any(row.valid_until is None or row.valid_until >= case.today for row in found)
    return bool(object_.exemption) or valid


DETECTORS = (
    Detector(slug="slippage", detect=slippage, deterministic=True, references=("center.settings",)),
    Detector(
        slug="migration_infeasible", detect=migration_infeasible, deterministic=True, references=("plan.migration",)
    ),
)
