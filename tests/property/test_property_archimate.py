"""A country's registry as an ArchiMate model: whatever stands in it comes back, and a large one in bounded time."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import date
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from qaztech.core.bin import reserved_bin
from qaztech.hub.register.archimate import read_model, write_model
from qaztech.hub.register.columns import row_of, values_of
from qaztech.hub.register.importing import make_plan
from qaztech.hub.register.mapping import known, propose
from qaztech.hub.register.rows import Row
from qaztech.hub.register.sheets import MOST_FILE
from qaztech.hub.register.snapshot import Register
from qaztech.hub.register.workbook import read_tables

SYSTEMS, FLOWS, BODIES = 2_000, 12_000, 100
# Processor seconds for writing, reading and planning, on a slow machine with others on it.
SECONDS = 60.0
TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff;"), max_size=40
)
WORD = TEXT.map(str.strip).filter(bool)


def rows_of(table: str, *rows: Mapping[str, object]) -> list[Row]:
    """Rows of one table."""
    return [row_of(table, row) for row in rows]


@given(
    names=st.fixed_dictionaries({f"name_{language}": TEXT.map(str.strip) for language in ("kk", "ru", "en")}),
    purpose=TEXT.map(str.strip),
    words=st.lists(WORD, max_size=3, unique=True),
    number=WORD,
)
@settings(max_examples=40, deadline=None)
def test_whatever_is_declared_comes_back(names: dict[str, str], purpose: str, words: list[str], number: str) -> None:
    """Any text that a cell can hold, in names, lists and the rows of other tables."""
    before = Register([
        *rows_of("objects", {"id": "ds-1", **names, "purpose_ru": purpose, "functions": words, "data_elements": words}),
        *rows_of("documents", {"object": "ds-1", "type": "concept", "number": number, "date": "2026-03-31"}),
    ])  # fmt: skip
    read = read_model(write_model(before, name="x"))
    after = Register(row_of(edit.table, edit.values) for edit in read.edits)
    assert read.left_out == ()
    assert [values_of(row) for row in after] == [values_of(row) for row in before]


def large() -> Register:
    """Two thousand systems with what each has, and twelve thousand integrations."""
    rows: list[Row] = rows_of(
        "organisations", *({"bin": reserved_bin(2000 + n), "name_ru": f"Орган {n}"} for n in range(BODIES))
    )
    for n in range(SYSTEMS):
        id_ = f"ds-{n:06}"
        rows += rows_of("objects", {
            "id": id_, "kind": "digital_system", "name_kk": f"Жүйе {n}", "name_ru": f"Система {n}",
            "purpose_kk": "Есеп жүргізу және мемлекеттік қызмет көрсету. " * 3 + "Бар.",
            "purpose_ru": "Учёт и оказание государственных услуг. " * 3 + "Да.",
            "owner_bin": reserved_bin(2000 + n % BODIES),
            "status": "operation", "created": "2019-04-01", "functions": [f"F{n % 300}", f"G{n % 170}"],
            "data_elements": [f"элемент {n % 400}", f"вид {n % 310}"], "stack": ["PostgreSQL 12", "Java 8"],
        })  # fmt: skip
        for year in (2024, 2025, 2026):
            rows += rows_of("costs", {"object": id_, "year": year, "kind": "support", "tenge": 12_000_000 + n})
        for type_ in ("concept", "technical_assignment", "commissioning_act", "security_test"):
            rows += rows_of("documents", {"object": id_, "type": type_, "number": f"{n}", "date": "2020-05-06"})
        rows += rows_of("roles", {"object": id_, "role": "architect", "holder": f"p{n}", "since": "2021-01-01"})
    for n in range(FLOWS):
        ends = {"provider_object": f"ds-{n % SYSTEMS:06}", "consumer_object": f"ds-{(n * 7 + 1) % SYSTEMS:06}"}
        rows += rows_of("integrations", {"id": f"i-{n}", **ends, "channel": "gateway", "elements": [f"e{n % 50}"]})
    return Register(rows)


def test_two_thousand_systems_go_and_come_in_bounded_time_and_size(tmp_path: Path) -> None:
    """The model is far below what an import takes, and importing it plans every row without a problem."""
    register = large()
    began = time.process_time()
    model = write_model(register, name="x")
    path = tmp_path / "model.xml"
    path.write_bytes(model)
    tables = read_tables(path, known)
    plan = make_plan(tables, propose(tables), register, today=date(2026, 11, 23))
    used = time.process_time() - began
    assert len(model) < MOST_FILE / 2
    assert used < SECONDS
    assert plan.errors == []
    assert sum(plan.rows.values()) == sum(1 for _ in register)
    assert Register(row_of(edit.table, edit.values) for edit in plan.good).objects == register.objects
