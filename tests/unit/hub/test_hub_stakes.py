"""Findings beside the registry: whose, where, and how much money is at stake, each object's once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import pytest

from qaztech.core.bin import reserved_bin
from qaztech.hub.detectors.finding import LINES, Fact, Finding, MoneyOf
from qaztech.hub.findings import CaseState, FindingCase
from qaztech.hub.register.columns import row_of
from qaztech.hub.register.snapshot import Register
from qaztech.hub.stakes import Scope, Stakes

TODAY = date(2026, 11, 23)
ONE, TWO, SUPPLIER = (reserved_bin(75_000 + n) for n in range(3))
A_LAST, A_PAID = "costs/a|2025|hosting||/tenge", "costs/a|2026|support||paid/tenge"
A_MADE, B_LAST = "costs/a|2020|creation||paid/tenge", "costs/b|2025|support||paid/tenge"
CONTRACTS = {"contracts/k1|a/tenge": 500, "contracts/k2|d/tenge": 7}


def case(
    detector: str,
    *objects: str,
    of: MoneyOf | None = None,
    lines: Mapping[str, int] | None = None,
    state: CaseState = CaseState.OPEN,
    asks: str = "",
) -> FindingCase:
    """A finding of half confidence, its money made of lines; a supplier's names the body that has its contracts."""
    told = [Fact(what="body", value=ONE, source=f"organisations/{ONE}")] if objects[0].startswith("bin:") else []
    told += [Fact(what=LINES[of], value=tenge, source=source) for source, tenge in (lines or {}).items() if of]
    money = sum((lines or {}).values()) or None
    finding = Finding(
        detector=detector,
        objects=objects,
        evidence=tuple(told),
        confidence=0.5,
        money=money,
        money_of=of,
        asks=asks,
    )
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
        row_of("objects", {"id": "d", "owner_bin": ONE}),
        row_of("contracts", {"id": "k1", "object": "a", "supplier_bin": SUPPLIER, "tenge": 500}),
        row_of("contracts", {"id": "k2", "object": "d", "supplier_bin": SUPPLIER, "tenge": 7}),
        row_of("costs", {"object": "b", "year": 2025, "kind": "support", "tenge": 30, "state": "paid"}),
        row_of("costs", {"object": "a", "year": 2026, "kind": "support", "tenge": 70, "state": "planned"}),
        row_of("costs", {"object": "a", "year": 2026, "kind": "support", "tenge": 60, "state": "paid"}),
        row_of("costs", {"object": "a", "year": 2025, "kind": "hosting", "tenge": 5}),
    ]
    cases = [
        case("orphan", "a", of=MoneyOf.UPKEEP, lines={A_LAST: 5}),
        case("obsolete_stack", "a", of=MoneyOf.UPKEEP, lines={A_LAST: 5}),
        case("paid_but_unused", "a", of=MoneyOf.UPKEEP, lines={A_PAID: 60}),
        case("zero_result", "a", of=MoneyOf.INVESTED, lines={A_MADE: 900}, state=CaseState.REJECTED),
        case("duplicate", "a", "b", of=MoneyOf.UPKEEP, lines={B_LAST: 30}, state=CaseState.CONFIRMED),
        case("supplier_concentration", f"bin:{SUPPLIER}", of=MoneyOf.CONTRACTS, lines=CONTRACTS),
        case("resurrected", "z", "c", of=MoneyOf.ESTIMATE, lines={"objects/c/initial_estimate": 14}),
        case("legal_vacuum", "c", asks="documents"),
        case("not_observable", "a", asks="sign_ins"),
    ]
    return Stakes(Register(rows), cases, TODAY)


def test_a_line_counts_once_and_only_while_its_finding_stands(stakes: Stakes) -> None:
    """Of an object one year's upkeep, the highest; what was rejected and what only asks for data does not count."""
    one = stakes.one(Scope.BODY, ONE)
    assert (one.money, one.weighed, one.once, one.standing) == (60, 30, 7, 5)
    assert (one.cost, [each.id for each in one.objects]) == (60, ["a", "d"])
    assert one.by_detector == {
        "orphan": 1,
        "obsolete_stack": 1,
        "paid_but_unused": 1,
        "duplicate": 1,
        "supplier_concentration": 1,
    }
    assert one.asked == {"sign_ins": 1}
    assert (stakes.standing_of("a"), len(stakes.of_object("a"))) == (4, 6)


def test_contracts_do_not_count_beside_the_upkeep_that_they_pay_for(stakes: Stakes) -> None:
    """A supplier's 500 for a system whose upkeep counts are that upkeep; its contract for another counts, once."""
    assert stakes.one(Scope.BODY, ONE).once == 7
    assert stakes.one(Scope.BODY, SUPPLIER).once == 507


@pytest.mark.parametrize("scope", list(Scope))
def test_the_parts_add_up_to_the_whole(stakes: Stakes, scope: Scope) -> None:
    """What stands at bodies, areas or regions is together what stands in all, of a year and once."""
    parts = stakes.all(scope)
    assert sum(part.money for part in parts) == stakes.whole() == 90
    assert sum(part.once for part in parts) == stakes.once() == 21


def test_places_are_the_objects_own_or_its_owners(stakes: Stakes) -> None:
    """Region by KATO; what nobody declares stands apart and is not lost."""
    assert {stake.code: len(stake.objects) for stake in stakes.all(Scope.AREA)} == {"health": 2, "energy": 1, "": 1}
    assert {stake.code for stake in stakes.all(Scope.REGION)} == {"75", "71", ""}
    assert [stake.code for stake in stakes.all(Scope.BODY)] == [ONE, TWO, ""]


def test_findings_are_chosen_by_what_they_are_and_where(stakes: Stakes) -> None:
    """Detector, state, place and money together."""
    chosen = stakes.chosen(places={Scope.BODY: TWO})
    assert [placed.case.finding.detector for placed in chosen] == ["duplicate"]
    assert len(stakes.chosen(states=[CaseState.OPEN], least=60)) == 2
    asking = {placed.case.finding.detector for placed in stakes.chosen()} - {
        placed.case.finding.detector for placed in stakes.chosen(asking=False)
    }
    assert asking == {"legal_vacuum", "not_observable"}
    assert [placed.case.state for placed in stakes.chosen(detector="zero_result")] == [CaseState.REJECTED]
    assert stakes.chosen(places={Scope.AREA: "transport"}) == []


def test_a_supplier_has_its_findings_and_a_year_its_kinds(stakes: Stakes) -> None:
    """For the supplier's own page; paid money counts before planned."""
    assert [each.finding.detector for each in stakes.one(Scope.BODY, SUPPLIER).cases] == ["supplier_concentration"]
    years = stakes.years(stakes.register.objects.values())
    assert years == {2025: {"hosting": 5, "support": 30}, 2026: {"support": 60}}
    assert [each.finding.detector for each in stakes.of_object("b")] == ["duplicate"]
