"""What is planted in the national sample is what the detectors find in it, texts compared by their words too."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import pytest

from qaztech.hub.comparing.pairs import compare
from qaztech.hub.detectors.all import DETECTORS, run
from qaztech.hub.detectors.finding import Case, Finding
from qaztech.hub.detectors.reading import upkeep
from qaztech.hub.findings import CaseState, FindingCase
from qaztech.hub.flows import Flows
from qaztech.hub.observation import Traffic
from qaztech.hub.register.columns import row_of
from qaztech.hub.register.law import current_law
from qaztech.hub.register.snapshot import Register
from qaztech.hub.stakes import Scope, Stakes
from qaztech.testing.national.hours import LABEL, write_hours
from qaztech.testing.national.members import real_entries
from qaztech.testing.national.sample import Sample, national_sample

pytest.importorskip("duckdb")
TODAY = date(2026, 11, 23)


def _traffic(sample: Sample, folder: Path) -> Traffic:
    """Its hours, read as the centre reads them."""
    write_hours(folder / "hours.parquet", sample.hourly, TODAY)
    flows = Flows(folder / "flows")
    now = (TODAY - date(1970, 1, 1)) // timedelta(milliseconds=1)
    assert flows.take(folder / "hours.parquet", now=now, label=LABEL).label == LABEL
    return flows.traffic()


def test_what_was_planted_is_found(tmp_path: Path) -> None:
    """Every detector has its cases, and finds them."""
    sample = national_sample(TODAY)
    register = Register(row_of(table, values) for table, values in sample.rows)
    traffic = _traffic(sample, tmp_path)
    assert {detector.slug for detector in DETECTORS} <= set(sample.planted)
    of_real = set(list(register.objects)[: len(real_entries())])
    case = Case(
        register=register, traffic=traffic, law=current_law(), today=TODAY, similar=compare(register, traffic)
    )  # fmt: skip
    found: dict[str, set[str]] = {slug: set() for slug in sample.planted}
    findings = run(case)
    for finding in findings:
        found[finding.detector] |= set(finding.objects)
    # What rests on real calls is not in the sample's hours.
    lost = {slug: set(ids) - found[slug] - of_real for slug, ids in sample.planted.items()}
    assert {slug: ids for slug, ids in lost.items() if ids} == {}
    # An untouched system is no duplicate of another, nor comes back from the dead.
    assert found["duplicate"] == set(sample.planted["duplicate"])
    touched = {id_ for ids in sample.planted.values() for id_ in ids}
    in_findings = {id_ for ids in found.values() for id_ in ids} & set(register.objects)
    # The other end of a planted integration is all that else shows.
    assert len(in_findings - touched - of_real) < 25
    assert len(register.objects) - len(in_findings) > 180
    _sums_add_up(case, findings)


def _sums_add_up(case: Case, findings: Sequence[Finding]) -> None:
    """What is at stake at bodies, areas or regions is together what is at stake; none has more than its upkeep."""
    plain = {"version": 1, "first_seen": 1, "last_seen": 1, "gone": None, "measure": None, "text": ""}
    cases = [FindingCase(finding=finding, state=CaseState.OPEN, **plain) for finding in findings]  # type: ignore[arg-type]
    stakes = Stakes(case.register, cases, case.today)
    for scope in Scope:
        parts = stakes.all(scope)
        assert (sum(part.money for part in parts), sum(part.once for part in parts)) == (stakes.whole(), stakes.once())
        assert all(part.money <= sum(upkeep(case, each)[0] for each in part.objects) for part in parts)
    assert 0 < stakes.whole() < sum(finding.money or 0 for finding in findings)
