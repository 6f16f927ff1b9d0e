"""The landscape in a real browser: search, expand, filters, months, impact; tables without scripts; three languages."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from axe import grave_findings
from hub_office import HOLDERS, HubOffice
from landscape_register import HOSTILE, edits, hours
from operational_logs import START
from people_console import PASSWORD
from qaztech.testing.free_ports import free_ports
from qaztech.web import hub_landscape, hub_overview, hub_regions
from qaztech.web.hub_app import HubSite
from running_console import ARGUMENTS
from served_app import Served

pytest.importorskip("duckdb")
pytest.importorskip("rustworkx")
pytestmark = pytest.mark.browser

SCREENS = os.environ.get("QAZTECH_SCREENSHOTS", "")
# Sigma draws with WebGL: in software where there is no accelerator.
WEBGL = [
    *(each for each in ARGUMENTS if each != "--disable-gpu"),
    "--use-gl=angle", "--use-angle=swiftshader-webgl", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist",
]  # fmt: skip
PHONE = {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A centre with a small register and three months of its traffic."""
    folder, port = Path(tmp_path_factory.mktemp("landscape")), free_ports(1)[0]
    office = HubOffice(folder / "hub", deliver=False, origin=f"http://127.0.0.1:{port}")
    office.objects.apply(edits(), by="aigerim", source="test", at=START)
    office.flows.take(hours(folder / "hours.parquet"), now=office.clock.now())
    groups = (hub_overview.GROUP, hub_landscape.GROUP, hub_regions.GROUP)
    with Served(HubSite(office.parts, groups).app, port=port) as served:
        yield served.url
    office.close()


@pytest.fixture(scope="module")
def browser(program: Callable[[str], str]) -> Iterator[Browser]:
    """Debian's Chromium, headless, drawing in software."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program("chromium"), headless=True, args=WEBGL)
        yield running
        running.close()


@pytest.fixture
def enter(browser: Browser, url: str) -> Iterator[Callable[..., Page]]:
    """Sign in as an analyst; nothing may be asked of another address, nothing complained of."""
    contexts: list[Any] = []
    asked: list[str] = []
    complaints: list[str] = []

    def go(**options: Any) -> Page:
        context = browser.new_context(locale="kk-KZ", reduced_motion="reduce", **options)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{url}/console/?lang=kk")
        page.get_by_label("Кіру аты").fill(HOLDERS["analyst"])
        page.get_by_label("Құпиясөз", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Кіру", exact=True).click()
        expect(page.get_by_role("link", name="Ландшафт")).to_be_visible()
        return page

    yield go
    for context in contexts:
        context.close()
    assert [found for found in asked if not found.startswith(url)] == []
    # How fast software reads its pixels is no complaint about the page.
    assert [said for said in complaints if "GPU stall due to ReadPixels" not in said] == []


def keep(page: Page, name: str) -> None:
    """What holds for every page: nothing sticks out, axe finds nothing grave. A screenshot, for who looks at pages."""
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, name
    assert grave_findings(page) == [], name
    if SCREENS:
        page.screenshot(path=f"{SCREENS}/landscape-{name}.png", full_page=True)


def shown(page: Page) -> tuple[int, int]:
    """How many points and lines the picture has now."""
    points, lines = (page.locator("#picture").get_attribute("data-shown") or "0 0").split()
    return int(points), int(lines)


def opened(page: Page, where: str) -> None:
    """Open a page with the picture, and wait until it is drawn."""
    page.goto(where)
    page.wait_for_selector("#picture[data-ready]", timeout=15_000)


def test_the_analyst_searches_expands_and_filters(enter: Callable[..., Page], url: str) -> None:
    """Groups first; all systems when expanded; a filter, a gap and a month leave out what they should."""
    page = enter()
    opened(page, f"{url}/console/landscape?lang=en")
    assert shown(page) == (4, 4)  # three bodies and a stranger, and what flows between them
    keep(page, "collapsed")
    page.get_by_role("button", name="Expand all").click()
    assert shown(page) == (9, 8)
    page.get_by_label("Declared and observed").select_option("observed")
    assert shown(page) == (4, 2)
    page.get_by_label("Declared and observed").select_option("")
    page.locator("#time").fill("2")
    expect(page.locator("#time-said")).to_have_text("2026-08")
    assert shown(page)[1] == 6
    page.locator("#time").fill("0")
    page.locator("#region").select_option(label="Abai Region")
    assert shown(page) == (6, 5)
    page.locator("#region").select_option("")
    page.get_by_role("button", name="Collapse all").click()
    page.get_by_label("Find a system").fill("tax acc")
    page.get_by_role("button", name="Tax accounts").click()
    told = page.locator("#told")
    expect(told.get_by_role("heading", name="Tax accounts")).to_be_visible()
    expect(told).to_contain_text("Revenue Committee")
    assert shown(page) == (5, 5)
    keep(page, "system")


def test_switching_off_shows_who_is_hurt(enter: Callable[..., Page], url: str) -> None:
    """In the picture and in words, and the same on the system's own page; and where its data go."""
    page = enter()
    opened(page, f"{url}/console/landscape?lang=en&focus=tax")
    told = page.locator("#told")
    told.get_by_role("button", name="What if it is switched off?").click()
    expect(told).to_contain_text("Hurt directly: 1")
    expect(told).to_contain_text("Hurt through others: 1")
    expect(page.locator("#legend-impact")).to_be_visible()
    expect(told.get_by_role("button", name="Benefits")).to_be_visible()
    keep(page, "impact")
    page.get_by_role("button", name="Back to the plain picture").click()
    expect(page.locator("#legend-impact")).to_be_hidden()
    opened(page, f"{url}/console/landscape?lang=en&focus=people&mode=flow")
    expect(told).to_contain_text("Connections that may carry its data: ")
    told.get_by_role("button", name="address").click()
    expect(told).to_contain_text("Where its data go: address")
    told.get_by_role("link", name="All about its connections").click()
    expect(page.get_by_role("heading", name="If it is switched off")).to_be_visible()
    keep(page, "one")
    page.get_by_role("link", name="Show in the picture who is hurt").click()
    expect(page.locator("#told")).to_contain_text("Hurt directly: 4")


def test_a_name_stays_text(enter: Callable[..., Page], url: str) -> None:
    """In the panel, in what is found and in the tables: markup in it is shown, not obeyed."""
    page = enter()
    opened(page, f"{url}/console/landscape?lang=en&focus=archive")
    expect(page.locator("#told").get_by_role("heading")).to_have_text(HOSTILE)
    page.get_by_label("Find a system").fill("archive <img")
    expect(page.locator("#found button")).to_have_text(HOSTILE)
    expect(page.locator("#table").get_by_role("link", name=HOSTILE)).to_be_visible()
    assert page.locator("main img").count() == 0


def test_without_scripts_the_table_says_the_same(enter: Callable[..., Page], url: str) -> None:
    """Chosen and sorted by links and a plain form."""
    page = enter(java_script_enabled=False)
    page.goto(f"{url}/console/landscape?lang=ru")
    expect(page.locator("#picture")).to_be_hidden()
    expect(page.locator("#no-picture")).to_be_visible()
    page.get_by_label("Найти систему").fill("реестр")
    page.get_by_role("button", name="Показать").click()
    expect(page.locator("#counted")).to_have_text("Найдено: 2")
    page.get_by_role("link", name="Связи", exact=True).click()
    expect(page.locator("#table tbody tr")).to_have_count(6)
    page.get_by_role("link", name="Реестр людей").first.click()
    expect(page.get_by_role("heading", name="Если её отключить")).to_be_visible()


def test_every_page_in_three_languages_and_on_a_phone(enter: Callable[..., Page], url: str) -> None:
    """Nothing grave for axe, nothing sticks out; also in the dark."""
    page = enter(viewport=PHONE)
    for language in ("kk", "ru", "en"):
        opened(page, f"{url}/console/landscape?lang={language}&focus=people&view=links")
        keep(page, f"phone-{language}")
        for path in ("landscape/system?id=people&", "regions?"):
            page.goto(f"{url}/console/{path}lang={language}")
            keep(page, f"phone-{path.partition('?')[0].replace('/', '-')}-{language}")
    dark = enter(color_scheme="dark")
    opened(dark, f"{url}/console/landscape?lang=kk&focus=people&mode=impact")
    keep(dark, "dark-kk")
    dark.goto(f"{url}/console/regions?lang=kk")
    keep(dark, "regions-dark-kk")
