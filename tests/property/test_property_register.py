"""Registers of digital objects: export and import are each other's opposite; no file brings down what reads it."""

from __future__ import annotations

import contextlib
import resource
import tempfile
import zipfile
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qaztech.core.bin import reserved_bin
from qaztech.core.errors import Error, Malformed
from qaztech.hub.register.columns import Column, Form, columns_of, read_cell, row_of
from qaztech.hub.register.export import export
from qaztech.hub.register.importing import carry_out, make_plan, preview
from qaztech.hub.register.mapping import known, parse_mapping, propose
from qaztech.hub.register.reading import read_file
from qaztech.hub.register.rows import TABLES, Row
from qaztech.hub.register.snapshot import Register
from qaztech.hub.register.store import METADATA, Edit, ObjectStore
from qaztech.hub.register.workbook import read_tables
from qaztech.runtime.database import open_database, sqlite_url

xlsxwriter = pytest.importorskip("xlsxwriter")
pytest.importorskip("python_calamine")

SUFFIXES = [".xlsx", ".xls", ".ods", ".csv", ".zip"]
TODAY = date(2026, 11, 23)
HOSTILE = st.sampled_from(
    [
        "=1+1",
        "+7 701",
        "-5",
        "@a",
        "'=x",
        "''",
        "<b>",
        "_x0041_",
        "итого",
        "1",
        "0012",
        "2026-01-02",
        "a;b",
        "#REF!x",
        "да",
    ]
)
TEXTS = st.one_of(
    HOSTILE, st.text(st.characters(blacklist_categories=["Cs", "Cc", "Cn"]), min_size=1, max_size=12), st.just("Ә, «ұ»")
)


def cell_of(column: Column) -> st.SearchStrategy[Any]:
    """What a cell of this column may hold."""
    match column.form:
        case Form.CHOICE:
            return st.sampled_from(column.choices)
        case Form.DATE:
            return st.dates(date(1995, 1, 1), date(2090, 1, 1)).map(str)
        case Form.MONTH:
            return st.sampled_from(["2026-01", "1999-12"])
        case Form.NUMBER | Form.TENGE:
            return st.integers(column.least or 0, min(column.most or 10**12, 10**12))
        case Form.YES_NO:
            return st.booleans()
        case Form.BIN:
            return st.integers(0, 999).map(reserved_bin)
        case Form.KATO:
            return st.sampled_from(["710000000", "511010000"])
        case Form.OBJECT:
            return st.sampled_from(["ds-1", "im-2", "ds-000123"])
        case Form.LIST | Form.OBJECTS:
            return st.lists(TEXTS.filter(lambda text: ";" not in text), min_size=1, max_size=3).map("; ".join)
        case _:
            return TEXTS


@st.composite
def rows(draw: st.DrawFn, table: str) -> Row | None:
    """A row with the values that cells give; none where a text is nothing but spaces."""
    values = {}
    for column in columns_of(table).values():
        if column.required or draw(st.booleans()):
            values[column.name] = read_cell(column, draw(cell_of(column)))
    try:
        return row_of(table, values)
    except Error:
        return None


REGISTERS = st.lists(st.sampled_from(list(TABLES)).flatmap(rows), max_size=8).map(
    lambda found: Register([row for row in found if row is not None])
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    register=REGISTERS, language=st.sampled_from(["own", "kk", "ru", "en"]), suffix=st.sampled_from([".xlsx", ".zip"])
)
def test_what_is_exported_is_imported_again_without_a_change(register: Register, language: str, suffix: str) -> None:
    """In every language and form, with text that looks like formulas, numbers, dates, lists and totals."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"register{suffix}"
        export(register, path, language)
        tables = read_tables(path, known)
        plan = make_plan(tables, propose(tables), register, today=TODAY)
        assert [problem for problem in plan.errors if problem.code not in {"object.twice", "object.exists"}] == []
        edits = {(edit.table, row_of(edit.table, edit.values)) for edit in plan.good}
        wanted = {(table, row) for row in register for table in TABLES if isinstance(row, TABLES[table])}
        conflicts = sum(problem.code in {"object.twice", "row.repeated"} for problem in plan.problems)
        assert len(wanted - edits) == conflicts
        assert edits <= wanted


@settings(max_examples=80, deadline=None)
@given(
    data=st.binary(max_size=400),
    suffix=st.sampled_from([".xlsx", ".xls", ".ods", ".csv", ".zip"]),
    packed=st.booleans(),
)
def test_no_bytes_bring_the_reader_down(data: bytes, suffix: str, packed: bool) -> None:
    """They are refused, or are tables."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{suffix}"
        path.write_bytes(data)
        if packed:
            with zipfile.ZipFile(path, "w") as archive:
                for name in ("xl/workbook.xml", "[Content_Types].xml", "content.xml", "a.csv"):
                    archive.writestr(name, data)
        try:
            tables = read_tables(path, known)
            make_plan(tables, propose(tables), Register([]), today=TODAY)
        except Error:
            pass


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_no_bytes_are_half_a_mapping(data: bytes) -> None:
    """A mapping, or refused."""
    with contextlib.suppress(Error):
        parse_mapping(data)


def test_two_hundred_thousand_rows_take_less_than_a_minute_of_a_processor(tmp_path: Path) -> None:
    """Read in a process of its own, planned, previewed, applied and undone as one; one more row is refused."""
    with xlsxwriter.Workbook(tmp_path / "big.xlsx", {"constant_memory": True}) as book:
        sheet = book.add_worksheet("Затраты")
        sheet.write_row(0, 0, ["ID ИС", "Год", "Вид затрат", "Сумма, тыс. тенге"])
        for number in range(1, 200_001):
            sheet.write_row(number, 0, [f"ds-{number // 8:06d}", 2018 + number % 8, "сопровождение", number])
    store = ObjectStore(open_database(sqlite_url(tmp_path / "objects.db"), METADATA))
    objects = [Edit(table="objects", values={"id": f"ds-{number:06d}"}) for number in range(25_001)]
    store.apply(objects, by="a", source="a", at=1)
    began = _used()
    tables = read_file(tmp_path / "big.xlsx")
    told: list[int] = []
    plan = make_plan(tables, propose(tables), store.register(), today=TODAY, progress=lambda done, _: told.append(done))
    assert not plan.problems
    assert told[-1] == 200_000
    assert len(preview(store, plan)) == 800_000
    batch = carry_out(store, plan, by="a", source="big.xlsx", at=2)
    assert _used() - began < 60
    assert batch is not None
    assert batch.added == 200_000


def _used() -> float:
    """Seconds of processor time so far, of the processes that read included: others may use the machine too."""
    spent = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in spent)


def test_dates_shift_by_no_day() -> None:
    """Whatever the form they are written in."""
    column = columns_of("objects")["created"]
    for days in range(0, 40_000, 997):
        day = date(1991, 1, 1) + timedelta(days=days)
        for form in ("%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y", "%Y.%m.%d"):
            assert read_cell(column, day.strftime(form)) == day.isoformat()


def test_a_workbook_that_would_fill_the_memory_costs_one_import(tmp_path: Path) -> None:
    """A cell at the far end of a sheet, and a row repeated a million times: the process that reads them ends."""
    with xlsxwriter.Workbook(tmp_path / "far.xlsx") as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["id", "name_ru"])
        sheet.write(1_048_575, 16_383, "x")
    cell = '<table:table-cell office:value-type="string"{}><text:p>x</text:p></table:table-cell>'
    wide = cell.format(' table:number-columns-repeated="16384"')
    space = "urn:oasis:names:tc:opendocument:xmlns:"
    content = (
        f'<office:document-content xmlns:office="{space}office:1.0" xmlns:table="{space}table:1.0" '
        f'xmlns:text="{space}text:1.0"><office:body><office:spreadsheet><table:table table:name="L">'
        f'<table:table-row table:number-rows-repeated="1048570">{wide}</table:table-row>'
        "</table:table></office:spreadsheet></office:body></office:document-content>"
    )
    with zipfile.ZipFile(tmp_path / "bomb.ods", "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("META-INF/manifest.xml", "<manifest/>")
        archive.writestr("content.xml", content)
    for name in ("far.xlsx", "bomb.ods"):
        with pytest.raises(Malformed, match=r"table\."):
            read_file(tmp_path / name)
