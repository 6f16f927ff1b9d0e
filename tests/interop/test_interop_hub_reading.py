"""Files of others are read in a process of its own: with the same answer, bounded in memory and time."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from qaztech.core.errors import Malformed, NotFound
from qaztech.hub.register import reading
from qaztech.hub.register.archimate import NAMESPACE
from qaztech.hub.register.export import Table, write_xlsx
from qaztech.hub.register.mapping import known
from qaztech.hub.register.reading import read_file
from qaztech.hub.register.workbook import read_tables

pytest.importorskip("xlsxwriter")
pytest.importorskip("python_calamine")
ROWS = [["Учёт; «Ә»", "создание", 1.5], ["", "", 2], ["Өңір", "", 3]]
TABLE = Table("Реестр", ["Наименование ИС", "Статус", "№"], ROWS)
MODEL = f"""<?xml version="1.0" encoding="UTF-8"?>
<model xmlns="{NAMESPACE}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" identifier="m"><elements>
<element identifier="a" xsi:type="ApplicationComponent"><name xml:lang="ru">Учёт</name></element></elements></model>"""


def test_a_process_of_its_own_reads_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of workbooks, CSV and models, with the same errors."""
    write_xlsx([TABLE], tmp_path / "a.xlsx")
    (tmp_path / "a.csv").write_text("Наименование ИС;Статус\nУчёт;создание\n", encoding="cp1251")
    (tmp_path / "a.xml").write_text(MODEL, encoding="utf-8")
    monkeypatch.setattr(reading, "SMALL", -1)
    for name in ("a.xlsx", "a.csv", "a.xml"):
        assert read_file(tmp_path / name) == read_tables(tmp_path / name, known) != [], name
    (tmp_path / "b.xls").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 600)
    with pytest.raises(Malformed, match=r"table\.unreadable"):
        read_file(tmp_path / "b.xls")
    with pytest.raises(NotFound, match=r"table\.missing"):
        read_file(tmp_path / "none.csv")


def test_only_a_small_text_is_read_here(tmp_path: Path) -> None:
    """A process would cost more than such a file can; what unpacks or nests is never small."""
    before = _children()
    (tmp_path / "a.csv").write_bytes(b"id;name_ru\nds-1;x\n")
    assert len(read_file(tmp_path / "a.csv")) == 1
    assert _children() == before
    (tmp_path / "b.csv").write_bytes(b"id;name_ru\n" + b"ds-1;x\n" * 40_000)
    assert len(read_file(tmp_path / "b.csv")[0].rows) == 40_000
    assert _children() > before


def test_hostile_text_ends_in_a_refusal_and_leaves_the_memory_of_who_asked_alone(tmp_path: Path) -> None:
    """Millions of cells, entities within entities, elements within elements."""
    (tmp_path / "cells.csv").write_bytes(b"id;name\n" + (b";".join([b"ab"] * 700) + b"\n") * 12_000)
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    (tmp_path / "laughs.xml").write_text(f'<!DOCTYPE x [<!ENTITY l0 "ha">{laughs}]><model>&l9;</model>')
    (tmp_path / "deep.xml").write_bytes(b"<a>" * 300_000 + b"</a>" * 300_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for name, code in {"cells.csv": "table.too-large", "laughs.xml": "archimate.doctype",
                       "deep.xml": "archimate.model"}.items():  # fmt: skip
        with pytest.raises(Malformed) as refused:
            read_file(tmp_path / name)
        assert refused.value.code == code
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


def test_a_file_that_takes_too_much_costs_one_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that reads it is ended, and whoever brought it is told why."""
    (tmp_path / "a.xml").write_text(MODEL, encoding="utf-8")
    monkeypatch.setattr(reading, "MOST_SECONDS", 0.005)
    with pytest.raises(Malformed, match="within the limits of memory and time"):
        read_file(tmp_path / "a.xml")


def _children() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime
