"""An analyst brings a spreadsheet that nobody here made, in a real browser, and takes it back."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

pytest.importorskip("duckdb")
pytest.importorskip("python_calamine")

from axe import grave_findings
from hub_office import HOLDERS, HubOffice
from people_console import PASSWORD
from qaztech.core.bin import reserved_bin
from registry_country import quick_folder
from running_console import ARGUMENTS
from served_app import Served

pytestmark = pytest.mark.browser
SCREENS = os.environ.get("QAZTECH_SCREENSHOTS", "")
OWNERS = [reserved_bin(730 + number) for number in range(3)]


@pytest.fixture
def office() -> Iterator[tuple[HubOffice, str]]:
    """A centre that really listens, and where."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with quick_folder() as folder:
        office = HubOffice(folder / "hub", deliver=False, origin=f"http://localhost:{port}")
        with Served(office.app, port=port):
            yield office, f"http://localhost:{port}"
        office.close()


@pytest.fixture
def page(office: tuple[HubOffice, str], program: Callable[[str], str]) -> Iterator[Page]:
    """The browser of an analyst who has signed in; nothing is complained of."""
    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program("chromium"), headless=True, args=ARGUMENTS)
        page = browser.new_context(locale="ru-KZ").new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{office[1]}/console/import?lang=ru")
        page.get_by_label("Имя для входа").fill(HOLDERS["analyst"])
        page.get_by_label("Пароль", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Войти", exact=True).click()
        expect(page.get_by_role("heading", name="Импорт реестра цифровых объектов")).to_be_visible()
        yield page
        browser.close()
    assert complaints == []


def spreadsheet(path: Path) -> Path:
    """As a ministry sends it: a title, a header of two rows, thousands of tenge, a total, a signature; two mistakes."""
    xlsxwriter = pytest.importorskip("xlsxwriter")
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet("Лист1")
        sheet.merge_range("A1:G1", "Перечень информационных систем по состоянию на 01.11.2026")
        for column, title in enumerate(["№", "Наименование ИС", "БИН владельца", "Статус", "Дата ввода"]):
            sheet.merge_range(2, column, 3, column, title)
        sheet.merge_range("F3:G3", "Расходы на сопровождение, тыс. тенге")
        sheet.write_row("F4", ["2025 факт", "2026 план"])
        sheet.write_row("A5", [1, "Учёт воды", OWNERS[0], "в эксплуатации", "01.02.2020", 12_000.5, 13_000])
        sheet.write_row("A6", [2, "Учёт леса", OWNERS[1], "пилот", "2025-03-04", 7_000, 8_000])
        sheet.write_row("A7", [3, "Учёт рыбы", "123456789012", "летает", "", 1, 2])
        sheet.write_row("A8", [4, "УЧЁТ ВОДЫ", OWNERS[0], "списана", "", 5, 6])
        sheet.write_row("B9", ["Итого", "", "", "", 19_006.5, 21_008])
        sheet.write("B12", "Исполнитель: отдел цифровизации")
    return path


def looked_at(page: Page, name: str) -> None:
    """In three languages and on a phone: nothing sticks out, axe finds nothing grave."""
    here = page.url
    for language in ("kk", "en", "ru"):
        page.goto(f"{here.partition('?')[0]}?lang={language}")
        assert grave_findings(page) == [], (name, language)
        if SCREENS:
            page.screenshot(path=f"{SCREENS}/import-{name}-{language}.png", full_page=True)
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0, name
    if SCREENS:
        page.screenshot(path=f"{SCREENS}/import-{name}-phone.png", full_page=True)
    page.set_viewport_size({"width": 1280, "height": 800})


def test_an_analyst_brings_a_spreadsheet(office: tuple[HubOffice, str], page: Page, tmp_path: Path) -> None:
    """Its columns, its mistakes by row, a conflict decided, the good rows taken, the others given back, all undone."""
    page.get_by_label("Файл реестра").set_input_files(spreadsheet(tmp_path / "перечень.xlsx"))
    page.get_by_role("button", name="Загрузить и посмотреть").click()
    expect(page.get_by_label("Поле: Наименование ИС", exact=True)).to_have_value("name_ru")
    expect(page.get_by_label("год: Расходы на сопровождение, тыс. тенге / 2025 факт")).to_have_value("2025")
    looked_at(page, "columns")
    page.get_by_role("button", name="Посмотреть, что изменится").click()
    expect(page.locator("[aria-labelledby=errors]")).to_contain_text("летает")
    page.get_by_label("Лист1, строка 8").select_option("skip")
    page.get_by_role("button", name="Сохранить решения").click()
    looked_at(page, "plan")
    with page.expect_download() as download:
        page.get_by_role("link", name="Файл оставшихся строк").click()
    assert download.value.suggested_filename == "left-out.xlsx"
    page.get_by_label("Взять только строки без ошибок").check()
    page.get_by_role("button", name="Импортировать", exact=True).click()
    expect(page.get_by_role("heading", name="Импорт выполнен")).to_be_visible()
    register = office[0].objects.register()
    assert {each.name_ru for each in register.objects.values()} == {"Учёт воды", "Учёт леса"}
    page.get_by_role("link", name="Посмотреть, что именно изменилось").click()
    expect(page.locator("[aria-labelledby=differences]")).to_contain_text("12\u202f000\u202f500")
    looked_at(page, "change")
    page.get_by_label("Да, отменить всё это изменение").check()
    page.get_by_role("button", name="Отменить изменение").click()
    expect(page.get_by_role("table")).to_contain_text("undo:1")
    assert not office[0].objects.register().objects
    looked_at(page, "list")
