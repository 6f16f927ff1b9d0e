"""The queue of findings: runs of detectors, decisions, and what comes back."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import Engine, select

from databases import database_at
from qaztech.core.bin import reserved_bin
from qaztech.core.errors import Conflict, Error, Malformed, NotFound
from qaztech.core.time import ManualClock
from qaztech.hub.detectors.finding import Fact, Finding
from qaztech.hub.findings import METADATA, CaseState, FindingQueue, Measure
from qaztech.people.actors import Act, Actor
from qaztech.people.tables import PEOPLE, pending_act
from qaztech.runtime.database import add_tables, open_database

ANALYST = Actor(name="aigul", role="analyst")
MEASURE = Measure(owner_bin=reserved_bin(720), responsible="head of IT", due=date(2027, 3, 1), text="Switch it off")


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    """A database for cases and acts."""
    engine = open_database(database_at(tmp_path / "hub.db"), METADATA)
    add_tables(engine, PEOPLE)
    return engine


@pytest.fixture
def clock() -> ManualClock:
    """A time that stands."""
    return ManualClock(1_000)


@pytest.fixture
def queue(engine: Engine, clock: ManualClock) -> FindingQueue:
    """An empty queue."""
    return FindingQueue(engine, clock)


def finding(object_: str = "ds-1", calls: int = 0, *, money: int = 10, detector: str = "paid_but_unused") -> Finding:
    """A finding on an object's calls."""
    fact = Fact(what="calls", value=calls, source=f"flows/{object_}", as_of=date(2026, 11, 1))
    return Finding(detector=detector, objects=(object_,), evidence=(fact,), confidence=0.9, money=money)


def test_what_is_found_waits_for_a_person_most_money_first(queue: FindingQueue) -> None:
    """Open, in the order of what is at stake; found again it is the same case."""
    assert queue.refresh([finding(), finding("ds-2", money=99)]).new == 2
    assert queue.refresh([finding(), finding("ds-2", money=99)]).new == 0
    assert [case.finding.objects[0] for case in queue.cases()] == ["ds-2", "ds-1"]
    assert {case.state for case in queue.cases()} == {CaseState.OPEN}
    assert queue.counts() == {"paid_but_unused": {CaseState.OPEN: 2}}


def test_decisions_are_made_once_with_reasons_and_noted(queue: FindingQueue, engine: Engine) -> None:
    """Confirmed, then a measure, then done; each is an act of who decided."""
    queue.refresh([finding()])
    key = finding().key
    case = queue.decide(key, CaseState.CONFIRMED, version=1, by=ANALYST)
    case = queue.decide(key, CaseState.MEASURE, version=case.version, by=ANALYST, measure=MEASURE)
    assert case.measure == MEASURE
    case = queue.decide(key, CaseState.DONE, version=case.version, by=ANALYST, reason="Off since May")
    assert (case.state, case.text, case.measure and case.measure.owner_bin) == (
        CaseState.DONE, "Off since May", MEASURE.owner_bin,
    )  # fmt: skip
    assert [event.what for event in queue.events(key)] == ["done", "measure", "confirmed", "found"]
    with engine.begin() as db:
        acts = [Act.parse(leaf.encode()) for (leaf,) in db.execute(select(pending_act.c.leaf))]
    assert [(act.who, act.act) for act in acts] == [
        ("aigul", "finding.confirmed"), ("aigul", "finding.measure"), ("aigul", "finding.done"),
    ]  # fmt: skip


def test_a_rejected_one_comes_back_only_with_other_facts(queue: FindingQueue) -> None:
    """The same facts leave it rejected; others open it, and the case tells what they were."""
    queue.refresh([finding()])
    queue.decide(finding().key, CaseState.REJECTED, version=1, by=ANALYST, reason="A seasonal system")
    assert queue.refresh([finding()]).reopened == 0
    assert queue.case(finding().key).state is CaseState.REJECTED
    assert queue.refresh([finding(calls=3)]).reopened == 1
    assert queue.case(finding().key).state is CaseState.OPEN
    newest, before, *_ = queue.events(finding().key)
    assert (newest.what, before.text) == ("facts-changed", "A seasonal system")
    assert [event.finding.evidence[0].value for event in (newest, before)] == [3, 0]


def test_the_day_of_knowing_alone_changes_no_facts(queue: FindingQueue) -> None:
    """Tomorrow's run of the same numbers is the same."""
    queue.refresh([finding()])
    fact = Fact(what="calls", value=0, source="flows/ds-1", as_of=date(2026, 11, 2))
    later = Finding(detector="paid_but_unused", objects=("ds-1",), evidence=(fact,), confidence=0.9, money=10)
    assert queue.refresh([later]).changed == 0


def test_what_is_no_longer_found_is_gone_and_kept(queue: FindingQueue) -> None:
    """Only of detectors that ran; it may come back, with the decision that was made."""
    queue.refresh([finding(), finding(detector="orphan")])
    queue.decide(finding().key, CaseState.CONFIRMED, version=1, by=ANALYST)
    assert queue.refresh([], ["paid_but_unused"]).gone == 1
    assert [case.finding.detector for case in queue.cases()] == ["orphan"]
    assert len(queue.cases(gone=True)) == 2
    assert queue.refresh([finding()], ["paid_but_unused"]).back == 1
    assert queue.case(finding().key).state is CaseState.CONFIRMED


@pytest.mark.parametrize(
    ("state", "given", "error"),
    [
        (CaseState.REJECTED, {"reason": " "}, Malformed),
        (CaseState.MEASURE, {}, Malformed),
        (
            CaseState.MEASURE,
            {"measure": Measure(owner_bin="1", responsible="x", due=date(2027, 1, 1), text="y")},
            Malformed,
        ),
        (CaseState.CONFIRMED, {"measure": MEASURE}, Malformed),
        (CaseState.REJECTED, {"reason": "x" * 5000}, Malformed),
        (CaseState.DONE, {}, Conflict),
        (CaseState.CONFIRMED, {"version": 7}, Conflict),
        (CaseState.CONFIRMED, {"key": "nothing"}, NotFound),
    ],
)
def test_what_cannot_be_decided_changes_nothing(
    queue: FindingQueue, state: CaseState, given: dict[str, object], error: type[Error]
) -> None:
    """Without a reason, half a measure, out of order, or on what has changed."""
    queue.refresh([finding()])
    with pytest.raises(error):
        queue.decide(**{"key": finding().key, "state": state, "version": 1, "by": ANALYST, **given})  # type: ignore[arg-type]
    assert queue.case(finding().key).state is CaseState.OPEN
    assert len(queue.events(finding().key)) == 1


def test_a_matter_of_many_objects_has_a_key_that_is_kept_and_found(queue: FindingQueue) -> None:
    """Its key is short, and another matter's is another."""
    many = tuple(f"{'long' * 20}-{number}" for number in range(60))
    findings = [msgspec.structs.replace(finding(), objects=objects) for objects in (many, many[1:])]
    assert queue.refresh(findings).new == 2
    assert queue.refresh(findings).new == 0
    assert all(len(each.key) <= 512 and queue.case(each.key).finding == each for each in findings)
