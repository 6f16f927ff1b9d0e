"""The quality of a record: complete, consistent, fresh; what is due depends on kind and status."""

from __future__ import annotations

from datetime import date

from qaztech.hub.register.law import current_law
from qaztech.hub.register.quality import Quality, mean_score, quality
from qaztech.hub.register.rows import DigitalObject, ObjectKind, Row, Status
from qaztech.hub.register.snapshot import Register
from register_cases import BODIES, OWNER, TODAY, papers, row, support, system


def of(object_: DigitalObject, *rows: Row) -> Quality:
    """The quality of one object's record."""
    return quality(object_, Register([*BODIES, object_, *rows]), current_law(), TODAY)


def gaps(found: Quality, what: str) -> set[str]:
    """The fields of gaps of one kind."""
    return {gap.field for gap in found.gaps if gap.what == what}


def test_a_score_says_what_is_missing() -> None:
    """An empty record is near zero and names all that is due; each value that is given raises it."""
    empty = of(DigitalObject(id="ds-1"))
    assert empty.score <= 20
    assert {"objects/owner_bin", "objects/status", "objects/purpose_kk"} <= gaps(empty, "missing")
    assert empty.age_days is None
    scores = [empty.score, of(system()).score, of(system(), *papers(), support()).score]
    assert scores == sorted(set(scores))


def test_what_is_due_depends_on_kind_and_status() -> None:
    """A plan needs no act and a register of data no programme stack."""
    assert "documents/commissioning_act" in gaps(of(system()), "missing")
    assert "documents/commissioning_act" not in gaps(of(system(status=Status.PLANNING)), "missing")
    assert "objects/stack" not in gaps(of(system(kind=ObjectKind.RESOURCE)), "missing")
    assert "ai_cards" in gaps(of(system(ai=True)), "missing")


def test_what_disagrees_lowers_the_score() -> None:
    """Bodies nobody knows, days in the wrong order, another member's subsystem, abolished regions."""
    assert of(system()).consistency == 100
    cases = {
        "unknown_body": system(owner_bin="991340999999"),
        "before_it_began": system(created=date(2021, 1, 1)),
        "in_future": system(actualised=date(2027, 1, 1)),
        "foreign_subsystem": system(subsystems=("KZ/GOV/1/x",)),
        "region_gone": system(kato="510000000"),
        "backbone_without_identity": system(subsystems=()),
        "unknown_source": system(register_data=("ds-9:name",)),
    }
    for slug, object_ in cases.items():
        found = of(object_)
        assert slug in gaps(found, "inconsistent"), slug
        assert found.consistency < 100
    late = row("contracts", id="c", object="ds-1", signed="2026-05-01", ends="2026-04-01")
    lost = row("integrations", id="i", consumer_object="ds-1", provider_object="ds-9")
    unsigned = row("signals", object="ds-1", month="2026-09", sign_ins=0)
    assert gaps(of(system(), late, lost, unsigned), "inconsistent") == {
        "contract_ends_first",
        "unknown_partner",
        "signal_not_signed",
    }


def test_age_lowers_the_score_of_records_in_life() -> None:
    """Full for half a year, nothing after two; closed records do not age."""
    ages = [of(system(actualised=date(year, 9, 1))) for year in (2026, 2025, 2023)]
    assert [found.freshness for found in ages] == [100, 52, 0]
    assert gaps(ages[2], "old") == {"objects/actualised"}
    assert of(system(actualised=None, status=Status.ARCHIVED)).freshness == 100


def test_a_body_has_the_mean_of_its_records() -> None:
    """None where it has no records."""
    register = Register([*BODIES, system(), DigitalObject(id="ds-2", owner_bin=OWNER)])
    scores = [quality(each, register, current_law(), TODAY).score for each in register.objects.values()]
    assert mean_score(register.objects.values(), register, current_law(), TODAY) == round(sum(scores) / 2)
    assert mean_score([], register, current_law(), TODAY) is None
