"""Detectors of what looks alike: duplicates and resurrected projects from given pairs, copies of registers."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import combinations

import pytest

from qaztech.core.bin import reserved_bin
from qaztech.hub.detectors.all import run
from qaztech.hub.detectors.finding import Finding
from qaztech.hub.register.rows import Row
from qaztech.hub.similarity import Pair, Reason, Similarity
from register_cases import OTHER, OWNER, case, found, support, told


def thing(id_: str, **values: str) -> Row:
    """An object in operation."""
    return told("objects", **({"id": id_, "status": "operation", "owner_bin": OWNER} | values))


def pair(one: str, other: str, score: float = 0.6) -> Pair:
    """A pair that was compared."""
    reasons = (Reason(what="purpose", strength=0.8), Reason(what="fields", strength=1.0, shared=("mark", "volume")))
    return Pair(one=one, other=other, score=score, reasons=reasons)


def alike(slug: str, *rows: Row, pairs: tuple[Pair, ...] = (pair("a", "b"),)) -> list[Finding]:
    """What a detector makes of compared pairs."""
    return run(replace(case(*rows), similar=Similarity(pairs)), [slug])


def test_two_that_do_the_same_are_a_finding_with_its_reasons() -> None:
    """At stake is what the cheaper of the two costs a year; nothing is certain."""
    (finding,) = alike(
        "duplicate",
        thing("a"),
        thing("b", owner_bin=OTHER, purpose_en="Counts logs."),
        support(tenge=9_000_000, object_="a"),
        support(tenge=4_000_000, object_="b"),
    )
    assert finding.objects == ("a", "b")
    assert finding.money == 4_000_000
    assert 0.5 < finding.confidence < 1
    facts = {fact.what: fact.value for fact in finding.evidence}
    assert facts == {
        "score": 60, "alike.purpose": 80, "alike.fields": 100, "shared.fields": "mark, volume",
        "text": "Counts logs.", "upkeep": 4_000_000,
    }  # fmt: skip
    assert [fact.source for fact in finding.evidence if fact.what == "text"] == ["objects/b/purpose_en"]


@pytest.mark.parametrize(
    ("one", "other", "score"),
    [
        ({}, {"owner_bin": OTHER, "status": "archived"}, 0.9),
        ({}, {}, 0.8),
        ({}, {"owner_bin": OTHER}, 0.1),
        ({"name_ru": "Вода (часть края)"}, {"name_ru": "Вода (национальная часть)", "owner_bin": OTHER}, 0.9),
    ],
)
def test_two_that_are_rightly_two_are_none(one: dict[str, str], other: dict[str, str], score: float) -> None:
    """One is no longer in life; both are of one body and not alike enough; not alike at all; parts of one system."""
    rows = thing("a", **{"name_ru": "", "functions": "F-1"} | one), thing("b", **{"functions": "F-1"} | other)
    assert not alike("duplicate", *rows, pairs=(pair("a", "b", score),))


def test_one_body_may_have_a_system_twice() -> None:
    """More likeness is needed for it."""
    assert alike("duplicate", thing("a"), thing("b"), pairs=(pair("a", "b", 0.95),))


def test_the_same_pair_in_a_grown_register_is_the_same_finding() -> None:
    """A strength that has moved with the register brings no rejected finding back; a text that has changed does."""
    rows = thing("a"), thing("b", owner_bin=OTHER)
    first, moved = (alike("duplicate", *rows, pairs=(pair("a", "b", score),))[0] for score in (0.6, 0.5))
    assert (first.key, first.facts) == (moved.key, moved.facts)
    (said,) = alike("duplicate", rows[0], thing("b", owner_bin=OTHER, purpose_en="Counts logs."))
    assert said.facts != first.facts


def test_only_the_likest_of_each_counts() -> None:
    """A third that is less like either is no finding."""
    rows = thing("a"), thing("b", owner_bin=OTHER), thing("c", owner_bin=OTHER)
    pairs = pair("a", "b", 0.8), pair("a", "c", 0.4), pair("unknown", "a", 0.9)
    assert [finding.objects for finding in alike("duplicate", *rows, pairs=pairs)] == [("a", "b")]


def test_a_group_that_does_the_same_does_not_flood_the_queue() -> None:
    """Of twelve copies, each of another body, each is in three findings at most and in one at least."""
    ids = [f"o{n:02}" for n in range(12)]
    rows = [thing(id_, owner_bin=reserved_bin(800 + n)) for n, id_ in enumerate(ids)]
    findings = alike("duplicate", *rows, pairs=tuple(pair(one, other) for one, other in combinations(ids, 2)))
    counts = Counter(id_ for finding in findings for id_ in finding.objects)
    assert set(counts) == set(ids)
    assert max(counts.values()) == 3


OLD = {"status": "written_off", "status_since": "2022-06-01", "created": "2019-02-02"}
NEW = {"status": "creation", "created": "2025-04-01", "initial_estimate": "300000000"}


def test_a_project_begun_again_is_a_finding() -> None:
    """The old one first; at stake is what the new one is to cost."""
    (finding,) = alike("resurrected", thing("b", **OLD), thing("a", **NEW))
    assert finding.objects == ("b", "a")
    assert finding.money == 300_000_000
    facts = {fact.what: fact.value for fact in finding.evidence}
    assert (facts["ended"], facts["begun"]) == ("2022-06-01", "2025-04-01")
    assert not alike("duplicate", thing("b", **OLD), thing("a", **NEW))


@pytest.mark.parametrize(
    ("old", "new", "findings"),
    [
        ({}, {}, 1),
        ({"functions": "ECO-001"}, {"functions": "ECO-001", "owner_bin": OTHER}, 1),
        ({"functions": "ECO-001"}, {"functions": "ECO-002", "owner_bin": OTHER}, 0),
        ({"owner_bin": ""}, {"owner_bin": ""}, 0),
    ],
)
def test_of_one_owner_or_function_less_likeness_is_enough(
    old: dict[str, str], new: dict[str, str], findings: int
) -> None:
    """An end and a later start under one body or for one function say much by themselves."""
    faint = (pair("a", "b", 0.03),)
    assert len(alike("resurrected", thing("b", **OLD | old), thing("a", **NEW | new), pairs=faint)) == findings


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({}, {"created": "2021-05-05"}),
        ({"status_since": ""}, {}),
        ({"name_ru": "Умный договор"}, {"purpose_ru": "Преемник системы «Умный договор»."}),
        ({"platform_products": "a"}, {}),
        ({}, {"status": "ceased"}),
    ],
)
def test_a_successor_is_not_resurrected(old: dict[str, str], new: dict[str, str]) -> None:
    """It was begun before the other ended, or is declared to follow it, or is itself no longer in life."""
    assert not alike("resurrected", thing("b", **OLD | old), thing("a", **NEW | new))


def test_without_compared_texts_nothing_is_said_of_likeness() -> None:
    """The detectors that rest on it find nothing."""
    assert not found("duplicate", thing("a"), thing("b"))


REGISTER = thing("r", source_of_truth="yes", data_elements="person.iin;person.name;person.address")


def taken(**values: str) -> Row:
    """An integration that brings the register's data."""
    given = {"channel": "gateway", "status": "active", "elements": "person.name;person.address"}
    return told("integrations", **({"id": "i", "consumer_object": "a", "provider_object": "r"} | given | values))


@pytest.mark.parametrize(
    "more",
    [
        (),
        (taken(channel="direct"),),
        (taken(channel="file"),),
        (taken(status="stopped"),),
        (taken(elements="person.name"),),
        (told("documents", object="a", type="exemption", number="1", valid_until="2026-01-01"),),
    ],
)
def test_register_data_held_and_not_taken_through_the_gateway(more: tuple[Row, ...]) -> None:
    """No integration, one past the gateway, stopped, or that brings only a part; an exemption that is over."""
    holder = thing("a", data_elements="Person.Name;own", register_data="r:person.address")
    (finding,) = found("register_copy", REGISTER, holder, *more)
    assert finding.objects == ("a", "r")
    assert {fact.source for fact in finding.evidence} >= {"law/code.19", "objects/a/register_data"}


@pytest.mark.parametrize(
    ("holder", "more"),
    [
        ({"data_elements": "person.name"}, (taken(),)),
        ({"data_elements": "person.name"}, (taken(elements=""),)),
        ({"data_elements": "person.name"}, (taken(channel="national"),)),
        ({"data_elements": "person.name", "exemption": "1/2026"}, ()),
        ({"data_elements": "person.name"}, (told("documents", object="a", type="exemption", number="1"),)),
        ({"data_elements": "person.iin;vaccine"}, ()),
        ({"data_elements": "own;other"}, ()),
        ({"data_elements": "person.name", "status": "written_off"}, ()),
        ({"data_elements": "person.name", "status": "planning"}, ()),
        ({"data_elements": "person.name", "source_of_truth": "yes"}, ()),
    ],
)
def test_what_is_taken_rightly_is_no_copy(holder: dict[str, str], more: tuple[Row, ...]) -> None:
    """Through the gateway, under an exemption, a number as a key, its own data, not in life, itself a register."""
    assert not found("register_copy", REGISTER, thing("a", **holder), *more)


def test_an_element_of_two_registers_is_held_against_none_unless_named() -> None:
    """Whose copy it would be cannot be told."""
    second = thing("s", source_of_truth="yes", data_elements="person.name")
    assert not found("register_copy", REGISTER, second, thing("a", data_elements="person.name"))
    assert found("register_copy", REGISTER, second, thing("a", register_data="s:person.name"))
