"""Findings beside the registry: whose they are, where, how much money is at stake for each body, area and region.

Money of one object is counted once, as the highest that a finding of it tells: findings of one object speak of the same
upkeep. Pure. Not here: how findings come about (`detectors`), what people decide (`findings`).
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

    `cost` is tenge planned or paid for this year, `money` tenge a year at stake in findings that stand, `weighed` the
    same times confidence; `cases` by state, rejected ones and those that are done included.
    """

    scope: Scope
    code: str
    objects: tuple[DigitalObject, ...]
    cases: tuple[FindingCase, ...]
    cost: int
    money: int
    weighed: int

    @property
    def standing(self) -> int:
        """How many findings stand."""
        return sum(case.state in STANDING for case in self.cases)

    @property
    def by_detector(self) -> Mapping[str, int]:
        """How many findings stand of each detector."""
        return Counter(case.finding.detector for case in self.cases if case.state in STANDING)


class Stakes:
    """Cases of the queue beside a registry on a day."""

    def __init__(self, register: Register, cases: Sequence[FindingCase], today: date) -> None:
        self.register = register
        self.today = today
        self.placed = [self._place(case) for case in cases]

    def of_object(self, object_id: str) -> list[FindingCase]:
        """The cases of one object, in their order."""
        return [placed.case for placed in self.placed if object_id in placed.case.finding.objects]

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
    ) -> list[Placed]:
        """Cases of a detector, in these states, in these places, with at least so much money; all by default."""
        wanted = frozenset(states)
        return [
            placed
            for placed in self.placed
            if detector in {"", placed.case.finding.detector}
            and (not wanted or placed.case.state in wanted)
            and all(code in placed.places[scope] for scope, code in (places or {}).items() if code)
            and (placed.case.finding.money or 0) >= least
        ]

    def all(self, scope: Scope) -> list[Stake]:
        """What stands for each body, area or region that has objects or findings; the most at stake first."""
        objects, cases = self._grouped[scope]
        found = [self._stake(scope, code, objects[code], cases[code]) for code in {*objects, *cases}]
        return sorted(found, key=lambda stake: (-stake.weighed, -stake.standing, -len(stake.objects), stake.code))

    def one(self, scope: Scope, code: str) -> Stake:
        """What stands for one of them, even where it is nothing."""
        objects, cases = self._grouped[scope]
        found = list(cases.get(code, []))
        if scope is Scope.BODY:  # what is found of a supplier stands at the bodies it sells to, and on its own page
            supplied = f"{SUPPLIER}{code}"
            found += [p.case for p in self.placed if supplied in p.case.finding.objects and p.case not in found]
        return self._stake(scope, code, objects.get(code, []), found)

    def whole(self) -> int:
        """Tenge a year at stake in all findings that stand."""
        return _money(placed.case for placed in self.placed)[0]

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
        places = {scope: {self.where(object_, scope) for object_ in known} for scope in Scope}
        named = {str(fact.value) for fact in case.finding.evidence if fact.what == "body"}
        if named:  # a supplier's finding says whose contracts it is about
            places[Scope.BODY] = named
        return Placed(
            case=case, objects=tuple(known), places={scope: frozenset(codes) for scope, codes in places.items()}
        )

    def _stake(self, scope: Scope, code: str, objects: Sequence[DigitalObject], cases: Sequence[FindingCase]) -> Stake:
        money, weighed = _money(cases)
        return Stake(
            scope=scope,
            code=code,
            objects=tuple(sorted(objects, key=lambda object_: object_.id)),
            cases=tuple(cases),
            cost=sum(self.years(objects).get(self.today.year, {}).values()),
            money=money,
            weighed=weighed,
        )


def _money(cases: Iterable[FindingCase]) -> tuple[int, int]:
    """Tenge at stake, and times confidence: each set of objects once, at the highest that a finding tells."""
    highest: dict[str, tuple[float, int]] = {}
    for case in cases:
        if case.state in STANDING and case.finding.money:
            first = min(case.finding.objects)
            told = (case.finding.money * case.finding.confidence, case.finding.money)
            highest[first] = max(highest.get(first, (0.0, 0)), told)
    return sum(money for _, money in highest.values()), round(sum(weighed for weighed, _ in highest.values()))
