"""Whatever a register holds, the rules judge it without an error, the same way each time, and say where they read."""

from __future__ import annotations

from datetime import date
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qaztech.hub.detectors.all import run
from qaztech.hub.detectors.finding import Case
from qaztech.hub.observation import Flow, Traffic
from qaztech.hub.register.columns import Column, Form, columns_of, row_of
from qaztech.hub.register.law import current_law
from qaztech.hub.register.lifecycle import change_violations, violations
from qaztech.hub.register.quality import quality
from qaztech.hub.register.rows import TABLES, Row, Status
from qaztech.hub.register.snapshot import Register
from register_cases import CALLER, OTHER, OWNER, SERVICE, SUBSYSTEM, TODAY

IDS = st.sampled_from(["ds-1", "ds-2", "ds-3", "ds-unknown"])
DAYS = st.dates(date(1991, 1, 1), date(2100, 12, 31)).map(date.isoformat)
WORDS = st.one_of(st.text(max_size=8), st.sampled_from(["php5.3", SUBSYSTEM, CALLER, "ds-1", "<b>", "=1+1"]))
MONTHS = st.dates(date(2024, 1, 1), date(2027, 1, 1)).map(lambda day: day.isoformat()[:7])


def cells(column: Column) -> st.SearchStrategy[Any]:
    """Values that a column may hold, and none unless it must hold one."""
    by_form: dict[Form, st.SearchStrategy[Any]] = {
        Form.TEXT: WORDS,
        Form.LIST: st.lists(WORDS, max_size=3),
        Form.OBJECTS: st.lists(IDS, max_size=2),
        Form.CHOICE: st.sampled_from(column.choices or ("",)),
        Form.DATE: DAYS,
        Form.MONTH: MONTHS,
        Form.NUMBER: st.integers(column.least or 0, min(column.most or 10**15, 10**15)),
        Form.TENGE: st.integers(0, 10**15),
        Form.YES_NO: st.booleans(),
        Form.BIN: st.sampled_from([OWNER, OTHER]),
        Form.KATO: st.sampled_from(["710000000", "510000000", "990000000"]),
        Form.OBJECT: IDS,
    }
    value = by_form[column.form]
    return value if column.required else st.none() | value


def rows(table: str) -> st.SearchStrategy[Row]:
    """Rows of a table."""
    columns = columns_of(table)
    return st.fixed_dictionaries({name: cells(column) for name, column in columns.items()}).map(
        lambda values: row_of(table, values)
    )


FLOWS = st.builds(
    Flow,
    client=st.sampled_from([CALLER, SUBSYSTEM, "odd"]),
    service=st.sampled_from([SERVICE, f"{CALLER}/x", "odd"]),
    calls=st.integers(0, 10**9),
    failed=st.just(0),
    size=st.just(0),
    first=st.just(date(2026, 8, 1)),
    last=st.just(date(2026, 11, 1)),
    active_days=st.integers(1, 120),
    active_hours=st.integers(1, 2880),
    regularity=st.floats(0, 1),
    variation=st.floats(0, 5),
)
REGISTERS = st.lists(st.sampled_from(sorted(TABLES)).flatmap(rows), max_size=25)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(held=REGISTERS, flows=st.lists(FLOWS, max_size=4), days=st.sampled_from([0, 120]))
def test_any_register_can_be_judged(held: list[Row], flows: list[Flow], days: int) -> None:
    """No rule fails, facts name sources, confidence is a share, money has its lines, a second run says the same."""
    traffic = Traffic(flows, date(2026, 7, 26), date(2026, 11, 22)) if days else Traffic((), None, None)
    register = Register(held)
    case = Case(register=register, traffic=traffic, law=current_law(), today=TODAY)
    findings = run(case)
    assert findings == run(case)
    for finding in findings:
        assert finding.objects
        assert 0 < finding.confidence <= 1
        assert finding.money is None or finding.money > 0
        if finding.money:  # a sum says what it is, and its lines are there
            assert finding.money_of is not None
            assert not finding.asks
            assert sum(int(line.value) for line in finding.lines) >= finding.money
        assert all(fact.source for fact in finding.evidence)
    for object_ in register.objects.values():
        assert 0 <= quality(object_, register, current_law(), TODAY).score <= 100
        violations(object_, register, current_law(), TODAY)
        change_violations(object_, Status.OPERATION, register, current_law(), TODAY)
