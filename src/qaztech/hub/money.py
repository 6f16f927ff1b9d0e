"""The money of findings, taken apart into lines and put together so that nothing counts twice.

A line is one row that a finding's money is made of: a cost, a contract, an estimate. Many findings of one object tell
of the same upkeep, and a supplier's contracts pay for it: sums take the union of lines. Money of a year and money that
is spent, promised or asked once are never added to each other. Pure. Not here: whose the objects are (`stakes`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from qaztech.hub.detectors.finding import Fact, Finding, MoneyOf
from qaztech.hub.register.rows import TABLES, Cost, DigitalObject, Row
from qaztech.hub.register.snapshot import Register

# Contracts and what was paid for one thing again.
_BOUGHT: Final = "bought"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Tenge of one source in a finding: of which object, of which kind and year; `sure` is the finding's confidence."""

    object: str
    of: MoneyOf | None
    source: str
    tenge: int
    sure: float
    year: int | None = None

    @property
    def a_year(self) -> bool:
        """Whether it is upkeep of a year."""
        return self.of is MoneyOf.UPKEEP


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """Tenge of a year's upkeep; the same times confidence; tenge spent, promised or asked once."""

    money: int
    weighed: int
    once: int


def lines_of(finding: Finding, register: Register) -> list[Line]:
    """The lines of a finding's money; one for all of it where its evidence has none; none where it only asks."""
    if not finding.money or finding.asks:
        return []
    of = finding.money_of or (MoneyOf.UPKEEP if finding.a_year else None)
    rows = [(fact, _row(fact, register)) for fact in finding.lines if isinstance(fact.value, int)]
    if of is MoneyOf.PRICE:  # the cheapest was the first; the others are what was paid again
        rows = sorted(rows, key=lambda pair: pair[0].value)[1:]
    elif of is MoneyOf.OVER_LIMIT:  # less than its lines
        rows = []
    lines = [
        Line(
            object=_object_of(row, finding), of=of, source=fact.source, tenge=int(fact.value), sure=finding.confidence,
            year=row.year if isinstance(row, Cost) else None,
        )
        for fact, row in rows
    ]  # fmt: skip
    whole = Line(object=finding.objects[0], of=of, source=finding.key, tenge=finding.money, sure=finding.confidence)
    return lines or [whole]


def sums_of(lines: Iterable[Line]) -> Sums:
    """What lines come to: of an object the upkeep of one year, and the highest of what it has once, each line once.

    Contracts of an object whose upkeep counts do not count beside it: they are what it is paid by.
    """
    yearly: dict[str, dict[int | None, dict[str, Line]]] = defaultdict(lambda: defaultdict(dict))
    single: dict[str, dict[str, dict[str, Line]]] = defaultdict(lambda: defaultdict(dict))
    for line in lines:
        kept = yearly[line.object][line.year] if line.a_year else single[line.object][_group(line)]
        held = kept.get(line.source)
        if held is None or line.sure > held.sure:
            kept[line.source] = line
    of_year = [line for years in yearly.values() for line in _highest(years.values())]
    of_once = [
        line
        for object_, groups in single.items()
        for line in _highest(found for name, found in groups.items() if name != _BOUGHT or object_ not in yearly)
    ]
    return Sums(
        money=sum(line.tenge for line in of_year),
        weighed=round(sum(line.tenge * line.sure for line in of_year)),
        once=sum(line.tenge for line in of_once),
    )


def _group(line: Line) -> str:
    """Lines of one group are of one kind of rows, so they add up; groups of one object tell of the same money."""
    return _BOUGHT if line.of in {MoneyOf.CONTRACTS, MoneyOf.PRICE} else str(line.of or "")


def _highest(groups: Iterable[dict[str, Line]]) -> Iterable[Line]:
    return max((found.values() for found in groups), key=lambda found: sum(line.tenge for line in found), default=())


def _row(fact: Fact, register: Register) -> Row | None:
    """The row that a line was read from; None where the registry has it no more."""
    table, _, rest = fact.source.partition("/")
    kind = TABLES.get(table)
    return None if kind is None else register.all(kind).get(rest.rpartition("/")[0])


def _object_of(row: Row | None, finding: Finding) -> str:
    """Whose line it is; of the finding's first object where its row is there no more."""
    if isinstance(row, DigitalObject):
        return row.id
    return str(getattr(row, "object", None) or finding.objects[0])
