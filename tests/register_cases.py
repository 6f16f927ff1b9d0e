"""Small registers for tests of rules: a healthy system to change in one respect, flows, and cases made of them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

from msgspec.structs import replace

from qaztech.core.bin import reserved_bin
from qaztech.hub.detectors.all import run
from qaztech.hub.detectors.finding import Case, Finding
from qaztech.hub.observation import Flow, Traffic
from qaztech.hub.register.columns import columns_of, read_cell, row_of
from qaztech.hub.register.law import current_law
from qaztech.hub.register.rows import DigitalObject, Document, DocumentType, Row, Status, UseChannel
from qaztech.hub.register.snapshot import Register

TODAY = date(2026, 11, 23)
OWNER, OTHER, SUPPLIER = (reserved_bin(n) for n in (710, 711, 712))
PROVIDER = reserved_bin(713)
SUBSYSTEM = f"KZ/GOV/{OWNER}/register"
SERVICE = f"{SUBSYSTEM}/lookup"
CALLER = f"KZ/GOV/{OTHER}/desk"
BODIES = (
    row_of("organisations", {"bin": OWNER, "class": "GOV"}),
    row_of("organisations", {"bin": OTHER, "class": "GOV"}),
)


def row(table: str, **values: Any) -> Row:
    """A row of a table; dates may be `date`."""
    plain = {name: value.isoformat() if isinstance(value, date) else value for name, value in values.items()}
    return row_of(table, plain)


def told(table: str, **cells: str) -> Row:
    """A row of a table, of cells as they stand in a file: lists by semicolons, `yes` and `no`."""
    columns = columns_of(table)
    return row_of(table, {name: read_cell(columns[name], cell) for name, cell in cells.items()})


def system(**changed: Any) -> DigitalObject:
    """A healthy system in operation since 2020, called ds-1, with what is given changed."""
    healthy = DigitalObject(
        id="ds-1",
        owner_bin=OWNER,
        status=Status.OPERATION,
        status_since=date(2020, 3, 1),
        created=date(2018, 3, 1),
        use_channel=UseChannel.BACKBONE,
        subsystems=(SUBSYSTEM,),
        initial_estimate=100_000_000,
        result=("delivered",),
        actualised=date(2026, 9, 1),
    )
    return replace(healthy, **changed)


def papers(object_: str = "ds-1", *, without: Iterable[str] = ()) -> list[Row]:
    """The documents of a system that was commissioned on 2020-03-01 as the law has it."""
    days = {
        DocumentType.TECHNICAL_ASSIGNMENT: date(2018, 1, 10),
        DocumentType.TRIAL_ORDER: date(2019, 3, 1),
        DocumentType.TRIAL_ACT: date(2019, 10, 1),
        DocumentType.SECURITY_TEST: date(2019, 12, 1),
        DocumentType.COMMISSIONING_ACT: date(2020, 3, 1),
    }
    return [
        Document(object=object_, type=kind, number="1", date=day) for kind, day in days.items() if kind not in without
    ]


def support(year: int = 2025, tenge: int = 10_000_000, object_: str = "ds-1") -> Row:
    """A year's paid support."""
    return row("costs", object=object_, year=year, kind="support", tenge=tenge, state="paid")


def flow(client: str = CALLER, service: str = SERVICE, calls: int = 9000, **changed: Any) -> Flow:
    """A flow over the last 120 days, uneven as people make it."""
    values = {
        "client": client,
        "service": service,
        "calls": calls,
        "failed": 0,
        "size": 100 * calls,
        "first": TODAY - timedelta(days=119),
        "last": TODAY - timedelta(days=1),
        "active_days": min(calls, 85),
        "active_hours": min(calls, 700),
        "regularity": 0.5,
        "variation": 0.7,
    } | changed
    return Flow(**values)


def even(client: str, calls: int = 2880) -> Flow:
    """A flow of the same number of calls each hour of 120 days."""
    return flow(client, calls=calls, active_days=120, active_hours=2880, regularity=1.0, variation=0.0)


def case(*rows: Row, flows: Iterable[Flow] = (), today: date = TODAY) -> Case:
    """A case with these rows beside the bodies, and 120 days of traffic until the day before today."""
    traffic = Traffic(flows, today - timedelta(days=120), today - timedelta(days=1))
    kept = [*BODIES, *rows]
    return Case(register=Register(kept), traffic=traffic, law=current_law(), today=today)


def found(slug: str, *rows: Row, flows: Iterable[Flow] = (), today: date = TODAY) -> list[Finding]:
    """What one detector finds in such a case."""
    return run(case(*rows, flows=flows, today=today), [slug])
