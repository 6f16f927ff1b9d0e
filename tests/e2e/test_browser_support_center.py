"""An analyst with a spreadsheet: findings with evidence, decisions, a summary on paper, and one number's receipt."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect, sync_playwright

pytest.importorskip("duckdb")
pytest.importorskip("python_calamine")
pytest.importorskip("xlsxwriter")
pytest.importorskip("weasyprint")

import duckdb
import xlsxwriter

from axe import grave_findings
from pdf_text import pdf_text
from qaztech.cli.main import main
from qaztech.core.bin import reserved_bin
from qaztech.core.time import SystemClock
from qaztech.hub.detecting import today_in_kazakhstan
from qaztech.hub.flows import Flows
from qaztech.hub.register.titles import column_title, table_title
from qaztech.testing.centre import FOLDER, centre_passwords
from qaztech.testing.instance import Instance
from qaztech.web.hub_pages import hub_texts
from running_console import ARGUMENTS

pytestmark = pytest.mark.browser

RUNNING = (
    "registry",
    "witness-archive",
    "system-codes",
    "node-ministry",
    "node-registers",
    "node-university",
    "centre",
)
CALLS = 3
BODY = reserved_bin(74_001)
CODES, DESK = "ds-codes", "ds-desk"
SCREENS = os.environ.get("QAZTECH_SCREENSHOTS", "")
TODAY = today_in_kazakhstan(SystemClock())


@pytest.fixture(scope="module")
def country(tmp_path_factory: pytest.TempPathFactory, program: Callable[[str], str]) -> Iterator[Instance]:
    """A country with its centre, in which the registers' service was called three times."""
    program("chromium")
    with Instance(tmp_path_factory.mktemp("support") / "home", only=RUNNING, centre=True) as running:
        for _ in range(CALLS):
            assert running.call().status == 200
        hours(running)
        yield running


@pytest.fixture(scope="module")
def page(country: Instance, program: Callable[[str], str]) -> Iterator[Page]:
    """The analyst's browser, signed in; nothing is asked of another address, nothing complained of."""
    complaints: list[str] = []
    asked: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program("chromium"), headless=True, args=ARGUMENTS)
        page = browser.new_context(locale="kk-KZ").new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{country.center}/console/import?lang=ru")
        page.get_by_label("Имя для входа").fill("analyst")
        page.get_by_label("Пароль", exact=True).fill(centre_passwords(country.home)["analyst"])
        page.get_by_role("button", name="Войти", exact=True).click()
        page.wait_for_url("**/console/import**")
        yield page
        browser.close()
    assert [url for url in asked if not url.startswith(country.center)] == []
    # The browser tells of each refusal; the one here is meant.
    assert [text for text in complaints if "409 (Conflict)" not in text] == []


def hours(country: Instance) -> None:
    """A file of hours of a hundred days, of other systems of the members: so long they were observed."""
    folder = country.home / FOLDER / "flows"
    path = folder.parent / "hours.parquet"
    caller, provider = country.node("ministry")["system"], country.service
    client, service = (f"{each.rsplit('/', count)[0]}/old" for each, count in ((caller, 1), (provider, 2)))
    service += "/search"
    last = datetime(TODAY.year, TODAY.month, TODAY.day, tzinfo=UTC) - timedelta(days=2)
    with duckdb.connect() as db:
        db.execute(
            f"""COPY (SELECT TIMESTAMP '{last:%Y-%m-%d} 06:00:00' - to_days(n::INTEGER) AS hour,
            '{client}' AS client, '{service}' AS service, 40::BIGINT AS calls, 0::BIGINT AS failed,
            900::BIGINT AS bytes FROM range(100) AS days(n)) TO '{path}' (FORMAT parquet)"""
        )
    Flows(folder).take(path, now=SystemClock().now())


def before(days: int) -> str:
    """A day as spreadsheets of the country have it."""
    return (TODAY - timedelta(days=days)).strftime("%d.%m.%Y")


def systems(country: Instance) -> list[dict[str, Any]]:
    """The codes that really answer, and systems of one body with what audits find."""
    found: list[dict[str, Any]] = [
        {
            "id": CODES, "name_kk": "Елдер анықтамалығы", "name_ru": "Справочник стран", "status": "эксплуатация",
            "owner_bin": country.service.split("/")[2], "status_since": before(900), "created": before(1500),
            "subsystems": country.service.rpartition("/")[0], "use_channel": "backbone", "declared_users": 40_000,
            "actualised": before(20), "kind": "digital_system",
        },
        {
            "id": DESK, "name_kk": "Рұқсаттар терезесі", "name_ru": "Окно разрешений", "status": "эксплуатация",
            "owner_bin": country.node("ministry")["system"].split("/")[2], "status_since": before(900),
            "subsystems": country.node("ministry")["system"], "use_channel": "backbone", "actualised": before(20),
        },
    ]  # fmt: skip
    names = ("Су есебі", "Орман тізілімі", "Балық аулау кітабы", "Көше жарығы", "Кітапхана қоры", "Мектеп асханасы")
    for number, name in enumerate(names):
        found.append({
            "id": f"ds-{number}", "name_kk": name, "name_ru": f"Система № {number}", "owner_bin": BODY,
            "status": "trial", "status_since": before(800 + number), "created": before(1400),
            "actualised": before(700 if number % 2 else 30), "kind": "digital_system",
            "ai": "yes" if number > 3 else "no",
        })  # fmt: skip
    return found


def declared(country: Instance) -> dict[str, Any]:
    """An integration as a body declares it: far more calls than there are."""
    return {
        "id": "di-1", "consumer_object": DESK, "provider_object": CODES, "service": country.service,
        "channel": "gateway", "status": "active", "declared_monthly_calls": 40_000, "since": before(800),
    }  # fmt: skip


def spreadsheet(path: Path, country: Instance) -> Path:
    """A workbook of four sheets with Russian titles."""
    rows = {
        "organisations": [{"bin": BODY, "class": "GOV", "name_kk": "Су және орман комитеті", "name_ru": "Комитет"}],
        "objects": systems(country),
        "costs": [
            {"object": one["id"], "year": TODAY.year - 1, "kind": "support", "tenge": 12_000_000 + n, "state": "paid"}
            for n, one in enumerate(systems(country))
        ],
        "integrations": [declared(country)],
    }
    with xlsxwriter.Workbook(path) as book:
        for table, lines in rows.items():
            sheet = book.add_worksheet(table_title(table, "ru")[:31])
            names = list(dict.fromkeys(name for line in lines for name in line))
            sheet.write_row(0, 0, [column_title(table, name, "ru") for name in names])
            for number, line in enumerate(lines, 1):
                sheet.write_row(number, 0, [line.get(name, "") for name in names])
    return path


def keep(page: Page, name: str) -> None:
    """What holds for every page, in three languages: nothing sticks out, axe finds nothing grave."""
    here = page.url
    plain = here.replace("?lang=kk&", "?").replace("?lang=kk", "?")
    for language in ("ru", "en", "kk"):
        page.goto(plain.replace("?", f"?lang={language}&", 1))
        page.wait_for_load_state()
        assert grave_findings(page) == [], (name, language)
        for width in (360, 1280):
            page.set_viewport_size({"width": width, "height": 800})
            wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wide <= 0, (name, language, width)
        if SCREENS:
            page.screenshot(path=f"{SCREENS}/support-{name}-{language}.png", full_page=True)


def test_a_spreadsheet_becomes_findings(country: Instance, page: Page, tmp_path: Path) -> None:
    """Brought through the pages; the centre runs its detectors by itself, and ten findings wait with their money."""
    page.locator("input[type=file]").set_input_files(spreadsheet(tmp_path / "реестр.xlsx", country))
    page.get_by_role("button", name="Загрузить и посмотреть").click()
    page.get_by_role("button", name="Посмотреть, что изменится").click()
    page.get_by_role("button", name="Импортировать", exact=True).click()
    expect(page.get_by_role("heading", name="Импорт выполнен")).to_be_visible()

    def found() -> bool:
        page.goto(f"{country.center}/console/cases?lang=kk")
        return len(cases(page)) >= 10 and page.locator("[role=status]").count() == 0

    country.until(found, 120.0)
    expect(page.get_by_role("heading", name="Анықталған жайттар")).to_be_visible()
    keep(page, "cases")


def cases(page: Page) -> list[str]:
    """Where the findings of a list lead, relative to the site."""
    links = page.locator("tbody th a[href^='/console/cases/case?']").all()
    return [link.get_attribute("href") or "" for link in links]


def test_three_are_confirmed_one_is_rejected_one_becomes_a_measure(country: Instance, page: Page) -> None:
    """With a reason, with an owner and a day; each decision stands in the finding's history and in the admin log."""
    page.goto(f"{country.center}/console/cases?lang=kk&body={BODY}")
    chosen = cases(page)[:5]
    for where in chosen[:3]:
        page.goto(country.center + where)
        decide(page, "Растау", {})
        expect(page.locator("h2 .outcome")).to_have_text("расталған")
    page.goto(country.center + chosen[3])
    keep(page, "case")
    decide(page, "Қабылдамау", {"Себебі": "Сынақ актісі хатпен келді"})
    expect(page.locator("h2 .outcome")).to_have_text("қабылданбаған")
    page.goto(country.center + chosen[4])
    due = (TODAY + timedelta(days=90)).isoformat()
    filled = {"Не істеу керек": "Жүйені тоқтату", "Жауапты лауазым": "Цифрландыру бөлімінің басшысы", "Мерзімі": due}
    decide(page, "Шараға айналдыру", filled)
    expect(page.locator("[aria-labelledby=measure]")).to_contain_text("Жүйені тоқтату")
    listed = page.request.get(f"{country.center}/console/cases.json?state=all").json()["findings"]
    states = [each["state"] for each in listed]
    assert [states.count(state) for state in ("confirmed", "rejected", "measure")] == [3, 1, 1]


def decide(page: Page, decision: str, fields: dict[str, str]) -> None:
    """Open a decision, fill it in, send it."""
    box = page.locator("details", has=page.locator("summary", has_text=decision))
    box.locator("summary").click()
    for label, text in fields.items():
        box.get_by_label(label).fill(text)
    box.get_by_role("button", name=decision).click()
    expect(page.locator(".said")).to_have_text("Шешім жазылды.")


def test_a_bodys_summary_on_paper_in_kazakh(country: Instance, page: Page) -> None:
    """The same page as PDF: names, money and findings are in it as text, Kazakh letters too."""
    page.goto(f"{country.center}/console/cases/missing?lang=kk")
    expect(page.locator("tbody tr").first).to_be_visible()
    keep(page, "missing")
    page.goto(f"{country.center}/console/regions?lang=kk")
    keep(page, "regions")
    page.goto(f"{country.center}/console/bodies?lang=kk")
    keep(page, "bodies")
    page.locator("tbody").get_by_role("link", name="Су және орман комитеті").click()
    page.wait_for_url("**/bodies/body**")
    assert page.locator(".drawn canvas").count() >= 1
    keep(page, "body")
    answer = page.request.get(
        country.center + (page.get_by_role("link", name="PDF түрінде").get_attribute("href") or "")
    )
    assert (answer.status, answer.headers["content-type"]) == (200, "application/pdf")
    told = " ".join(pdf_text(answer.body()).split())
    for words in ("Су және орман комитеті", "Балық аулау кітабы", "Тәуекелдегі ақша", "Тәжірибелік пайдалану тым ұзақ"):
        assert words in told
    assert "қабылданбаған" not in told, "what was rejected is at stake no longer"


def test_one_number_leads_down_to_its_receipt(country: Instance, page: Page, tmp_path: Path) -> None:
    """Forty thousand calls a month declared, three seen: from the finding to a flow, an exchange, and a receipt."""
    page.goto(f"{country.center}/console/cases?lang=kk&detector=integration_gap")
    page.locator("tbody tr", has_text=CODES).locator("th a").click()
    calls = page.locator("tbody tr", has_text=hub_texts("kk")["cases"]["fact"]["calls"])
    expect(calls.locator("td").first).to_have_text(str(CALLS))
    calls.get_by_role("link").click()
    expect(page.get_by_role("heading", name="Байқалған ағын", exact=True)).to_be_visible()
    keep(page, "flow")
    messages = page.locator("[aria-labelledby=exchanges] tbody th a")
    assert messages.count() == CALLS
    message = messages.first.inner_text()
    messages.first.click()
    expect(page.locator("pre").first).to_contain_text(f"qaztech receipt {message}")
    receipt = tmp_path / "receipt.json"
    receipt.write_text(json.dumps(country.receipt(message)))
    assert main(["verify", str(receipt), "--anchor", str(country.anchor), "--require", "witnessed"]) == 0
    page.goto(f"{country.center}/console/objects/object?lang=kk&id={CODES}")
    expect(page.locator("#usage")).to_be_visible()
    assert page.locator(".drawn canvas").count() >= 1
    keep(page, "object")


def test_a_field_changed_by_hand_keeps_who_why_and_from_what(country: Instance, page: Page) -> None:
    """A status that the life cycle does not allow is refused; another field is changed, and the findings follow."""
    page.goto(f"{country.center}/console/objects/edit?lang=kk&id={CODES}&field=status")
    page.get_by_label("Мәні").select_option("written_off")
    page.get_by_label("Себебі").fill("тексеру")
    page.get_by_role("button", name="Сақтау").click()
    expect(page.locator("[role=alert]")).to_contain_text("Өмірлік цикл ережелері")
    page.goto(f"{country.center}/console/objects/edit?lang=kk&id={CODES}&field=declared_users")
    page.get_by_label("Мәні").fill("400")
    page.get_by_label("Себебі").fill("орган хатпен түзетті")
    page.get_by_role("button", name="Сақтау").click()
    expect(page.locator(".said")).to_have_text("Сақталды.")
    page.goto(f"{country.center}/console/objects/history?lang=kk&table=objects&key={CODES}&field=declared_users")
    changed = page.locator("tbody tr").first
    expect(changed).to_contain_text("40\u202f000")
    expect(changed).to_contain_text("орган хатпен түзетті")
    keep(page, "history")
