"""Findings beside the registry: whose they are, where, how much money is at stake for each body, area and region.

Money is counted once, in all sums: findings are taken apart into the lines that their money is made of, each line
belongs to one object, and an object to one body, area and region, so the parts add up to the whole (`money`). A finding
that only asks a body for data puts no money at stake and stands apart. Pure. Not here: how findings come about
(`detectors`), what people decide (`findings`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cached_property
from typing import Final

from qaztech.hub.detectors.reading import spent
from qaztech.hub.findings import CaseState, FindingCase
from qaztech.hub.money import Sums, lines_of, sums_of
from qaztech.hub.register.kato import region_of
from qaztech.hub.register.rows import Cost, DigitalObject
from qaztech.hub.register.snapshot import Register

# A supplier among a finding's objects.
SUPPLIER: Final = "bin:"
# States in which a finding still stands: money is at stake.
STANDING: Final = frozenset({CaseState.OPEN, CaseState.CONFIRMED, CaseState.MEASURE})


class Scope(StrEnum):
    """By what findings and objects are put together."""

    BODY = "body"
    AREA = "area"
    REGION = "region"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A case with its objects that the registry knows, their owners (BIN), areas and regions (two digits of KATO)."""

    case: FindingCase
    objects: tuple[DigitalObject, ...]
    places: Mapping[Scope, frozenset[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stake:
    """What stands for one body, area or region (`code`; empty: not declared).

    `cost` is tenge planned or paid for this year, `money` tenge of a year's upkeep at stake in findings that stand,
    `weighed` the same times confidence; `once` is tenge spent, promised or asked once, at stake in them too and not in
    `money`. `cases` are of all states, rejected ones and those that are done included.
    """

    scope: Scope
    code: str
    objects: tuple[DigitalObject, ...]
    cases: tuple[FindingCase, ...]
    cost: int
    money: int
    weighed: int
    once: int

    @property
    def standing(self) -> int:
        """How many findings stand, those that only ask for data left out."""
        return sum(case.state in STANDING and not case.finding.asks for case in self.cases)

    @property
    def by_detector(self) -> Mapping[str, int]:
        """How many findings stand of each detector, those that only ask for data left out."""
        found = (case.finding for case in self.cases if case.state in STANDING)
        return Counter(finding.detector for finding in found if not finding.asks)

    @property
    def asked(self) -> Mapping[str, int]:
        """For how many objects something is asked for, by what: `documents`, `roles`, `sign_ins`, `traffic`."""
        return Counter(case.finding.asks for case in self.cases if case.state in STANDING and case.finding.asks)


class Stakes:
    """Cases of the queue beside a registry on a day."""

    def __init__(self, register: Register, cases: Sequence[FindingCase], today: date) -> None:
        self.register = register
        self.today = today
        self.placed = [self._place(case) for case in cases]

    def of_object(self, object_id: str) -> list[FindingCase]:
        """The cases of one object, in their order."""
        return [placed.case for placed in self.placed if object_id in placed.case.finding.objects]

    def standing_of(self, object_id: str) -> int:
        """How many findings of one object stand, those that only ask for data left out."""
        return sum(case.state in STANDING and not case.finding.asks for case in self.of_object(object_id))

    def where(self, object_: DigitalObject, scope: Scope) -> str:
        """The body, area or region of an object; its owner's where its own is not declared, empty where neither is."""
        owner = self.register.organisations.get(object_.owner_bin or "")
        if scope is Scope.BODY:
            return object_.owner_bin or ""
        if scope is Scope.AREA:
            return object_.area or (owner.area if owner else "")
        region = region_of(object_.kato or (owner.kato if owner else "") or "", self.today)
        return "" if region is None else region.code

    def chosen(
        self,
        *,
        detector: str = "",
        states: Iterable[CaseState] = (),
        places: Mapping[Scope, str] | None = None,
        least: int = 0,
        asking: bool = True,
    ) -> list[Placed]:
        """Cases of a detector, in these states, in these places, with at least so much money; all by default.

        Without those that only ask for data where `asking` is false.
        """
        wanted = frozenset(states)
        return [
            placed
            for placed in self.placed
            if detector in {"", placed.case.finding.detector}
            and (not wanted or placed.case.state in wanted)
            and all(code in placed.places[scope] for scope, code in (places or {}).items() if code)
            and (placed.case.finding.money or 0) >= least
            and (asking or not placed.case.finding.asks)
        ]

    def all(self, scope: Scope) -> list[Stake]:
        """What stands for each body, area or region that has objects or findings; the most money at stake first."""
        objects, cases = self._grouped[scope]
        found = [self._stake(scope, code, objects[code], cases[code]) for code in {*objects, *cases}]
        return sorted(found, key=lambda s: (-s.money, -s.once, -s.standing, -len(s.objects), s.code))

    def one(self, scope: Scope, code: str) -> Stake:
        """What stands for one of them, even where it is nothing."""
        objects, cases = self._grouped[scope]
        found = list(cases.get(code, []))
        if scope is Scope.BODY:  # what is found of a supplier stands at the bodies it sells to, and on its own page
            supplied = f"{SUPPLIER}{code}"
            found += [p.case for p in self.placed if supplied in p.case.finding.objects and p.case not in found]
        return self._stake(scope, code, objects.get(code, []), found)

    def whole(self) -> int:
        """Tenge of a year's upkeep at stake in all findings that stand."""
        return self.sums(placed.case for placed in self.placed).money

    def once(self) -> int:
        """Tenge spent, promised or asked once that is at stake in all findings that stand, beside the upkeep."""
        return self.sums(placed.case for placed in self.placed).once

    def sums(self, cases: Iterable[FindingCase], where: tuple[Scope, str] | None = None) -> Sums:
        """What is at stake in those cases that stand, of the objects of a body, area or region, or of all."""
        return sums_of(
            line
            for case in cases
            if case.state in STANDING
            for line in lines_of(case.finding, self.register)
            if where is None or self._place_of(line.object, where[0]) == where[1]
        )

    def years(self, objects: Iterable[DigitalObject]) -> dict[int, dict[str, int]]:
        """What objects cost by year and kind, in tenge; paid counts where it is declared, else planned."""
        found: dict[int, dict[str, int]] = {}
        for object_ in objects:
            for cost in spent(self.register.of(Cost, object_.id)):
                year = found.setdefault(cost.year, {})
                year[cost.kind.value] = year.get(cost.kind.value, 0) + cost.tenge
        return dict(sorted(found.items()))

    @cached_property
    def _grouped(
        self,
    ) -> dict[Scope, tuple[defaultdict[str, list[DigitalObject]], defaultdict[str, list[FindingCase]]]]:
        found = {}
        for scope in Scope:
            objects: defaultdict[str, list[DigitalObject]] = defaultdict(list)
            cases: defaultdict[str, list[FindingCase]] = defaultdict(list)
            for object_ in self.register.objects.values():
                objects[self.where(object_, scope)].append(object_)
            for placed in self.placed:
                for code in placed.places[scope]:
                    cases[code].append(placed.case)
            found[scope] = objects, cases
        return found

    def _place(self, case: FindingCase) -> Placed:
        known = [self.register.objects[each] for each in case.finding.objects if each in self.register.objects]
        bought = {line.object for line in lines_of(case.finding, self.register)}  # a supplier's finding is of contracts
        places = {
            scope: {self.where(object_, scope) for object_ in known}
            | {self._place_of(id_, scope) for id_ in bought if id_ in self.register.objects}
            for scope in Scope
        }
        places[Scope.BODY] |= {str(fact.value) for fact in case.finding.evidence if fact.what == "body"}
        return Placed(
            case=case, objects=tuple(known), places={scope: frozenset(codes) for scope, codes in places.items()}
        )

    def _place_of(self, object_id: str, scope: Scope) -> str:
        """Where an object is; empty for one that the registry no longer has."""
        object_ = self.register.objects.get(object_id)
        return "" if object_ is None else self.where(object_, scope)

    def _stake(self, scope: Scope, code: str, objects: Sequence[DigitalObject], cases: Sequence[FindingCase]) -> Stake:
        sells = scope is Scope.BODY and any(f"{SUPPLIER}{code}" in case.finding.objects for case in cases)
        sums = self.sums(cases, None if sells and not objects else (scope, code))
        return Stake(
            scope=scope,
            code=code,
            objects=tuple(sorted(objects, key=lambda object_: object_.id)),
            cases=tuple(cases),
            cost=sum(self.years(objects).get(self.today.year, {}).values()),
            money=sums.money,
            weighed=sums.weighed,
            once=sums.once,
        )
