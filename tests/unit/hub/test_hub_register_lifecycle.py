"""The life of a digital object: the order of stages, the rules of each, and changes of status that are refused."""

from __future__ import annotations

from datetime import date

import pytest

from qaztech.core.errors import Conflict
from qaztech.hub.register.law import current_law
from qaztech.hub.register.lifecycle import (
    ALLOWED,
    RULES,
    change_violations,
    may_be_written_off,
    owners_to_notify,
    refuse_change,
    violations,
)
from qaztech.hub.register.rows import DigitalObject, DocumentType, Row, Status
from qaztech.hub.register.snapshot import Register
from register_cases import BODIES, OTHER, TODAY, papers, row, system

LAW = current_law()


def broken(object_: DigitalObject, *rows: Row) -> list[str]:
    """The rules that an object's record does not keep."""
    register = Register([*BODIES, object_, *rows])
    return [each.rule for each in violations(object_, register, LAW, TODAY)]


def document(kind: str, day: date | None = None, number: str = "9") -> Row:
    """A document of ds-1."""
    return row("documents", object="ds-1", type=kind, number=number, date=day)


def test_a_lawful_life_breaks_nothing() -> None:
    """Each stage with its papers."""
    assert broken(system(), *papers()) == []
    assert broken(system(status=Status.PLANNING)) == []


def test_every_status_has_its_ways_on_and_every_rule_its_provision() -> None:
    """All statuses are in the table, what is written off goes nowhere, and provisions are in the law data."""
    assert set(ALLOWED) == set(Status)
    assert ALLOWED[Status.WRITTEN_OFF] == frozenset()
    assert {rule.reference for rule in RULES} <= set(LAW.references)


@pytest.mark.parametrize(
    ("status", "kind", "rule"),
    [
        (Status.CREATION, None, "no_digital_conclusion"),
        (Status.CREATION, None, "no_security_conclusion"),
        (Status.CREATION, DocumentType.TECHNICAL_ASSIGNMENT, "no_normative_document"),
        (Status.TRIAL, DocumentType.TRIAL_ORDER, "no_trial_order"),
        (Status.OPERATION, DocumentType.TRIAL_ACT, "no_trial_act"),
        (Status.OPERATION, DocumentType.SECURITY_TEST, "no_security_test"),
        (Status.COMMISSIONED, DocumentType.COMMISSIONING_ACT, "no_commissioning_act"),
        (Status.DEVELOPMENT, DocumentType.COMMISSIONING_ACT, "development_before_commissioning"),
        (Status.MODIFICATION, None, "modified_without_consent"),
        (Status.ARCHIVED, None, "no_archive_act"),
        (Status.WRITTEN_OFF, None, "no_ground_to_write_off"),
    ],
)
def test_each_stage_needs_its_paper(status: Status, kind: DocumentType | None, rule: str) -> None:
    """The rule of a stage is broken where its paper is missing."""
    object_ = system(status=status, status_since=date(2026, 9, 1))
    assert rule in broken(object_, *papers(without=[kind] if kind else []))


def test_a_trial_of_more_than_a_year_is_broken_also_when_it_is_over() -> None:
    """The present trial by today, a past one by its act."""
    long_past = [document("trial_order", date(2017, 1, 1)), *papers(without=[DocumentType.TRIAL_ORDER])]
    assert broken(system(), *long_past) == ["trial_too_long"]
    trial = system(status=Status.TRIAL, status_since=date(2025, 1, 1))
    assert "trial_too_long" in broken(trial, document("trial_order", date(2025, 1, 1)))


def test_papers_out_of_order_and_a_short_warranty() -> None:
    """An act older than the trial it follows, and a warranty that ends within the year."""
    early = [document("commissioning_act", date(2019, 1, 1)), *papers(without=[DocumentType.COMMISSIONING_ACT])]
    assert "out_of_order" in broken(system(), *early)
    signed = {"id": "c", "object": "ds-1", "signed": "2018-04-01"}
    assert broken(system(), *papers(), row("contracts", **signed, warranty_until="2020-09-01")) == ["short_warranty"]
    assert broken(system(), *papers(), row("contracts", **signed, warranty_until="2021-03-01")) == []


def test_money_is_held_against_the_rules() -> None:
    """Development before commissioning; modifications over a fifth, or without consent."""
    early = row("costs", object="ds-1", year=2019, kind="development", tenge=5, state="paid")
    assert broken(system(), *papers(), early) == ["developed_before_commissioning"]
    much = row("costs", object="ds-1", year=2023, kind="modification", tenge=20_000_001, state="paid")
    consent = document("modification_consent", date(2023, 1, 1))
    assert broken(system(), *papers(), much, consent) == ["modified_over_limit"]
    little = row("costs", object="ds-1", year=2023, kind="modification", tenge=20_000_000, state="paid")
    assert broken(system(), *papers(), little) == ["modified_without_consent"]
    assert broken(system(), *papers(), little, consent) == []


def test_owners_of_integrated_objects_are_told_of_a_cessation() -> None:
    """As many notices as other owners; its own owner and plans do not count; nothing stays active."""
    other = system(id="ds-2", owner_bin=OTHER, subsystems=())
    link = row("integrations", id="i", consumer_object="ds-2", provider_object="ds-1", status="stopped")
    own = row("integrations", id="j", consumer_object="ds-3", provider_object="ds-1", status="stopped")
    ceased = system(status=Status.CEASED)
    register = Register([*BODIES, ceased, other, system(id="ds-3", subsystems=()), link, own])
    assert list(owners_to_notify(ceased, register)) == [OTHER]
    assert broken(ceased, other, link) == ["not_notified"]
    assert broken(ceased, other, link, document("cessation_notice")) == []
    active = row("integrations", id="i", consumer_object="ds-2", provider_object="ds-1", status="active")
    assert broken(ceased, other, active, document("cessation_notice")) == ["still_integrated"]


def test_what_platform_products_do_may_be_written_off() -> None:
    """All functions must be done by products that are in service."""
    old = system(functions=("F-1", "F-2"), platform_products=("p-1", "p-2"))
    products = [system(id="p-1", functions=("F-1",)), system(id="p-2", functions=("F-2", "F-3"))]
    assert may_be_written_off(old, Register([old, *products]))
    assert not may_be_written_off(old, Register([old, products[0]]))
    planned = system(id="p-2", functions=("F-2",), status=Status.PLANNING)
    assert not may_be_written_off(old, Register([old, products[0], planned]))
    assert not may_be_written_off(system(functions=("F-1",)), Register([old]))


def test_a_change_out_of_order_or_without_papers_is_refused() -> None:
    """The refusal names the rules; a lawful change passes; what was broken before bars nothing new."""
    register = Register([*BODIES, system(status=Status.TRIAL, status_since=date(2026, 3, 1)), *papers()])
    trial = register.objects["ds-1"]
    with pytest.raises(Conflict, match="order") as caught:
        refuse_change(trial, Status.OPERATION, register, LAW, TODAY)
    assert caught.value.code == "lifecycle.refused"
    refuse_change(trial, Status.SECURITY_TESTS, register, LAW, TODAY)
    bare = Register([*BODIES, trial])
    found = change_violations(trial, Status.SECURITY_TESTS, bare, LAW, TODAY)
    assert [each.rule for each in found] == ["no_trial_act"]
    operated = system()
    without = Register([*BODIES, operated, *papers(without=[DocumentType.SECURITY_TEST])])
    assert change_violations(operated, Status.CEASED, without, LAW, TODAY) == []


def test_an_object_without_status_may_be_given_any_that_its_papers_allow() -> None:
    """Nothing is out of order where nothing was declared."""
    register = Register([*BODIES, system(status=None), *papers()])
    assert change_violations(register.objects["ds-1"], Status.OPERATION, register, LAW, TODAY) == []
