"""Files as bodies send them: headers of several rows, formulas, old encodings, archives that would burst."""

from __future__ import annotations

import io
import zipfile
from datetime import date
from pathlib import Path

import pytest

from qaztech.core.errors import Malformed, NotFound
from qaztech.hub.register import sheets, workbook
from qaztech.hub.register.columns import Form, columns_of, read_cell
from qaztech.hub.register.export import Table, write_xlsx
from qaztech.hub.register.mapping import known
from qaztech.hub.register.sheets import read_sheets
from qaztech.hub.register.workbook import RawTable, is_broken, read_tables

xlsxwriter = pytest.importorskip("xlsxwriter")
pytest.importorskip("python_calamine")


def read(path: Path) -> RawTable:
    """The one table of a file."""
    (table,) = read_tables(path, known)
    return table


def as_bodies_send_it(path: Path) -> None:
    """A title, a header of two rows with merged cells, a row of numbers, data, formulas, totals, a signature."""
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet("Лист1")
        day = book.add_format({"num_format": "dd.mm.yyyy"})
        sheet.merge_range("A1:F1", "Реестр информационных систем министерства за 2025 год")
        sheet.merge_range("A3:A4", "№")
        sheet.merge_range("B3:B4", "Наименование ИС")
        sheet.merge_range("C3:C4", "Дата ввода")
        sheet.merge_range("D3:F3", "Затраты на сопровождение, тыс. тенге")
        sheet.write_row("D4", [2024, 2025, 2026])
        sheet.write_row("A5", [1, 2, 3, 4, 5, 6])
        sheet.write_row("A6", [1, "Учёт воды"])
        sheet.write_datetime("C6", date(2021, 3, 4), day)
        sheet.write_row("D6", [1200.5, 1300])
        sheet.write_formula("F6", "=E6*2", None, 2600)
        sheet.write_row("A8", [2, "Учёт леса", "04.03.2021", 10])
        sheet.write_formula("E8", "=1/0", None, "#DIV/0!")
        sheet.write_row("B9", ["Итого", "", 1210.5])
        sheet.write("B11", "Исполнитель: тел. 00-00-00")
        hidden = book.add_worksheet("черновик")
        hidden.write("A1", "Наименование ИС")
        hidden.hide()


def test_headers_of_two_rows_and_merged_cells_become_one_title_each(tmp_path: Path) -> None:
    """Above is told, numbering, totals and signatures are no data, rows keep the numbers people see."""
    as_bodies_send_it(tmp_path / "a.xlsx")
    table, hidden = read_tables(tmp_path / "a.xlsx", known)
    cost = "Затраты на сопровождение, тыс. тенге"
    assert table.headers == ("№", "Наименование ИС", "Дата ввода", f"{cost} / 2024", f"{cost} / 2025", f"{cost} / 2026")
    assert table.above.startswith("Реестр информационных систем")
    assert table.numbers == (6, 8)
    assert table.rows[0] == [1.0, "Учёт воды", "2021-03-04", 1200.5, 1300.0, 2600.0]
    assert is_broken(table.rows[1][4])
    assert [number for number, _ in table.left_out] == [9, 11]
    assert hidden.hidden


def test_a_formula_that_nobody_has_counted_is_not_taken_for_nothing(tmp_path: Path) -> None:
    """A program that writes formulas without their values leaves a cell that has none."""
    as_bodies_send_it(tmp_path / "a.xlsx")
    with zipfile.ZipFile(tmp_path / "a.xlsx") as old, zipfile.ZipFile(tmp_path / "b.xlsx", "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name).replace(b"<v>2600</v>", b""))
    table = read_tables(tmp_path / "b.xlsx", known)[0]
    assert is_broken(table.rows[0][5])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "kz1048", "utf-16"])
@pytest.mark.parametrize("separator", [";", ",", "\t"])
def test_csv_in_every_encoding_and_with_every_separator(tmp_path: Path, encoding: str, separator: str) -> None:
    """Kazakh letters of old windows encodings among them; quoted line ends do not shift the numbers of rows."""
    rows = [
        ["Наименование ИС", "БИН владельца", "Назначение"],
        ["Қызмет; «Ә», ұ", "000140000010", 'он сказал "да",\nи ушёл'],
        ["Өңір", "", "a;b,c\td"],
    ]
    text = "\r\n".join(separator.join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows)
    (tmp_path / "реестр.csv").write_bytes(text.encode(encoding))
    table = read(tmp_path / "реестр.csv")
    assert table.sheet == "реестр"
    assert [list(table.headers), *table.rows] == rows
    assert table.numbers == (2, 3)


def test_csv_without_quotes_in_windows_1251(tmp_path: Path) -> None:
    """As accounting programs write it, lists with commas inside and a line that names the separator."""
    text = "sep=;\r\nНаименование;Стоимость сопровождения 2025\r\nУчёт, общий;1 200,50\r\nАрхив;#ДЕЛ/0!\r\n"
    (tmp_path / "a.csv").write_bytes(text.encode("cp1251"))
    table = read(tmp_path / "a.csv")
    assert table.rows[0] == ["Учёт, общий", "1 200,50"]
    assert table.numbers == (3, 4)
    assert is_broken(table.rows[1][1])


def test_a_zip_of_csv_files_is_a_register(tmp_path: Path) -> None:
    """One table for each file; what is no CSV is not looked at."""
    with zipfile.ZipFile(tmp_path / "r.zip", "w") as archive:
        archive.writestr("objects.csv", "id,name_ru\nds-1,Учёт\n")
        archive.writestr("costs.csv", "object,year,kind,tenge\nds-1,2025,support,5\n")
        archive.writestr("read.me", "hello")
    assert [table.sheet for table in read_tables(tmp_path / "r.zip", known)] == ["costs", "objects"]


def test_what_would_burst_or_is_nothing_is_refused(tmp_path: Path) -> None:
    """Archives that unpack to far more, files of other kinds, damaged ones, no file."""
    (tmp_path / "bomb.xlsx").write_bytes(_packed("xl/worksheets/sheet1.xml", b"0" * 40_000_000))
    (tmp_path / "text.xlsx").write_text("hello")
    (tmp_path / "none.zip").write_bytes(_packed("a.txt", b"a"))
    (tmp_path / "binary.csv").write_bytes(bytes(range(256)) * 9)
    (tmp_path / "a.pdf").write_text("%PDF")
    for name, code in {"bomb.xlsx": "table.too-large", "text.xlsx": "table.unreadable", "none.zip": "table.unreadable",
                       "binary.csv": "table.unreadable", "a.pdf": "table.unreadable"}.items():  # fmt: skip
        with pytest.raises(Malformed, match=code):
            read_tables(tmp_path / name, known)
    with pytest.raises(NotFound):
        read_tables(tmp_path / "missing.csv", known)


def _packed(name: str, data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return file.getvalue()


def test_a_title_merged_over_most_columns_is_no_heading_of_them(tmp_path: Path) -> None:
    """Right above the header or with a row between; headings over some columns are."""
    for name, between, heading in (("a", 0, ""), ("b", 1, ""), ("c", 0, "Затраты, тыс. тенге")):
        with xlsxwriter.Workbook(tmp_path / f"{name}.xlsx") as book:
            sheet = book.add_worksheet("Л")
            sheet.merge_range(0, 0, 0, 4, "Сводный перечень ИС")
            if heading:
                sheet.merge_range(1, 3, 1, 4, heading)
            top = 1 + between + bool(heading)
            sheet.write_row(top, 0, ["Наименование ИС", "БИН владельца", "Статус", "2024", "2025"])
            sheet.write_row(top + 1, 0, ["Учёт", "", "создание", 1, 2])
        table = read(tmp_path / f"{name}.xlsx")
        assert table.headers[0] == "Наименование ИС"
        assert table.headers[4] == ("Затраты, тыс. тенге / 2025" if heading else "2025")
        assert table.above == "Сводный перечень ИС"


def test_cells_merged_over_a_whole_sheet_do_not_fill_the_memory(tmp_path: Path) -> None:
    """A small workbook that merges more cells than a register has is refused, at once."""
    with xlsxwriter.Workbook(tmp_path / "merged.xlsx") as book:
        sheet = book.add_worksheet()
        sheet.write_column("A1", ["x"] * 800)
        sheet.write("ZZ800", "y")
        sheet.merge_range("A1:ZZ800", "x")
        sheet.write("ZZ801", "y")
    with pytest.raises(Malformed, match=r"table\.too-large"):
        read_tables(tmp_path / "merged.xlsx", known)


def test_csv_files_in_an_archive_have_together_no_more_than_a_register(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither bytes nor rows, each of which one file alone would be allowed."""
    monkeypatch.setattr(sheets, "MOST_LINES", 100)
    monkeypatch.setattr(workbook, "_MOST_TEXT", 1000)
    for name, data in {"rows.zip": b"a,b\n" * 60, "bytes.zip": b"a" * 600}.items():
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr("a.csv", data)
            archive.writestr("b.csv", data)
        with pytest.raises(Malformed, match=r"table\.too-large"):
            read_tables(tmp_path / name, known)


def test_a_number_that_is_endless_is_no_day() -> None:
    """A spreadsheet can hold one; it is the cell that is wrong, and nothing else fails."""
    column = next(column for column in columns_of("objects").values() if column.form is Form.DATE)
    for number in (float("inf"), float("-inf"), float("nan")):
        with pytest.raises(Malformed, match=r"cell\.date"):
            read_cell(column, number)


def test_sheets_of_one_name_and_endless_numbers_are_written_all_the_same(tmp_path: Path) -> None:
    """Names that are alike in what Excel keeps of them are told apart."""
    tables = [Table(f"A register of digital objects of {n}", ["x"], [[float("inf")], [1.5]]) for n in ("2025", "2026")]
    write_xlsx(tables, tmp_path / "two.xlsx")
    names = [sheet.name for sheet in read_sheets(tmp_path / "two.xlsx")]
    assert names == ["A register of digital objects o", "A register of digital objec (2)"]


def test_cells_are_counted_over_all_sheets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty ones at the ends of rows are none."""
    monkeypatch.setattr(sheets, "MOST_CELLS", 40)
    write_xlsx([Table(name, ["a", "b"], [["x", "y"], ["z", ""]] * 4) for name in ("one", "two")], tmp_path / "a.xlsx")
    assert len(read_tables(tmp_path / "a.xlsx", known)) == 2
    write_xlsx([Table(name, ["a", "b"], [["x", "y"]] * 10) for name in ("one", "two")], tmp_path / "b.xlsx")
    with pytest.raises(Malformed, match=r"table\.too-large"):
        read_tables(tmp_path / "b.xlsx", known)
