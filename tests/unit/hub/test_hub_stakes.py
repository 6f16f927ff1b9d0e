"""Findings beside the registry: whose, where, and how much money is at stake, each object's once."""

from __future__ import annotations

from datetime import date

import pytest

from qaztech.core.bin import reserved_bin
from qaztech.hub.detectors.finding import Fact, Finding
from qaztech.hub.findings import CaseState, FindingCase
from qaztech.hub.register.columns import row_of
from qaztech.hub.register.snapshot import Register
from qaztech.hub.stakes import Scope, Stakes

TODAY = date(2026, 11, 23)
ONE, TWO, SUPPLIER = (reserved_bin(75_000 + n) for n in range(3))


def case(detector: str, *objects: str, money: int | None = None, state: CaseState = CaseState.OPEN) -> FindingCase:
    """A finding of half confidence; a supplier's names the body whose contracts it is about."""
    told = (Fact(what="body", value=ONE, source=f"organisations/{ONE}"),) if objects[0].startswith("bin:") else ()
    finding = Finding(detector=detector, objects=objects, evidence=told, confidence=0.5, money=money)
    return FindingCase(
        finding=finding, state=state, version=1, first_seen=1, last_seen=1, gone=None, measure=None, text=""
    )


@pytest.fixture
def stakes() -> Stakes:
    """Two bodies: one with an area, one whose objects say theirs themselves."""
    rows = [
        row_of("organisations", {"bin": ONE, "area": "health", "kato": "750000000"}),
        row_of("organisations", {"bin": TWO}),
        row_of("objects", {"id": "a", "owner_bin": ONE}),
        row_of("objects", {"id": "b", "owner_bin": TWO, "area": "energy", "kato": "711000000"}),
        row_of("objects", {"id": "c"}),
        row_of("costs", {"object": "a", "year": 2026, "kind": "support", "tenge": 70, "state": "planned"}),
        row_of("costs", {"object": "a", "year": 2026, "kind": "support", "tenge": 60, "state": "paid"}),
        row_of("costs", {"object": "a", "year": 2025, "kind": "hosting", "tenge": 5}),
    ]
    cases = [
        case("orphan", "a", money=100),
        case("stale_record", "a", money=40),
        case("zero_result", "a", money=900, state=CaseState.REJECTED),
        case("duplicate", "a", "b", money=30, state=CaseState.CONFIRMED),
        case("supplier_concentration", f"bin:{SUPPLIER}", money=500),
        case("legal_vacuum", "c"),
    ]
    return Stakes(Register(rows), cases, TODAY)


def test_money_of_an_object_counts_once_and_only_while_the_finding_stands(stakes: Stakes) -> None:
    """The highest; what was rejected is at stake no longer; a supplier's finding stands at the body it is about."""
    one = stakes.one(Scope.BODY, ONE)
    assert (one.money, one.weighed, one.standing) == (600, 300, 4)
    assert (one.cost, [each.id for each in one.objects]) == (60, ["a"])
    assert one.by_detector == {"orphan": 1, "stale_record": 1, "duplicate": 1, "supplier_concentration": 1}
    assert stakes.one(Scope.BODY, TWO).money == 30
    assert stakes.whole() == 600


def test_places_are_the_objects_own_or_its_owners(stakes: Stakes) -> None:
    """Region by KATO; what nobody declares stands apart and is not lost."""
    assert {stake.code: len(stake.objects) for stake in stakes.all(Scope.AREA)} == {"health": 1, "energy": 1, "": 1}
    assert {stake.code for stake in stakes.all(Scope.REGION)} == {"75", "71", ""}
    assert [stake.code for stake in stakes.all(Scope.BODY)] == [ONE, TWO, ""]


def test_findings_are_chosen_by_what_they_are_and_where(stakes: Stakes) -> None:
    """Detector, state, place and money together."""
    chosen = stakes.chosen(places={Scope.BODY: TWO})
    assert [placed.case.finding.detector for placed in chosen] == ["duplicate"]
    assert len(stakes.chosen(states=[CaseState.OPEN], least=100)) == 2
    assert [placed.case.state for placed in stakes.chosen(detector="zero_result")] == [CaseState.REJECTED]
    assert stakes.chosen(places={Scope.AREA: "transport"}) == []


def test_a_supplier_has_its_findings_and_a_year_its_kinds(stakes: Stakes) -> None:
    """For the supplier's own page; paid money counts before planned."""
    assert [each.finding.detector for each in stakes.one(Scope.BODY, SUPPLIER).cases] == ["supplier_concentration"]
    years = stakes.years(stakes.register.objects.values())
    assert years == {2025: {"hosting": 5}, 2026: {"support": 60}}
    assert [each.finding.detector for each in stakes.of_object("b")] == ["duplicate"]
