"""The try-it form in a real browser, in Kazakh, with and without script: a real call through both nodes, on record."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from axe import grave_findings
from qaztech.testing.instance import Instance, request
from running_console import ARGUMENTS

pytestmark = pytest.mark.browser

RUNNING = ("registry", "witness-archive", "system-codes", "node-ministry", "node-registers", "portal")


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, program: Callable[[str], str]) -> Iterator[Instance]:
    """A country whose one service is a test environment."""
    program("chromium")
    with Instance(tmp_path_factory.mktemp("trying") / "home", only=RUNNING) as running:
        portal = running.country["portal"]
        running.until(lambda: b"ISO codes" in request(portal, "GET", "/api/v1/catalogue").body)
        yield running


@pytest.fixture(scope="module")
def browser(live: Instance, program: Callable[[str], str]) -> Iterator[Browser]:
    """Chromium, headless."""
    del live
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program("chromium"), headless=True, args=ARGUMENTS)
        yield running
        running.close()


@pytest.mark.parametrize("script", [True, False])
def test_a_country_is_looked_up_by_the_form(browser: Browser, live: Instance, script: bool) -> None:
    """Filled in, sent, answered by the real service; what came back is shown, and its receipt is behind a link."""
    context = browser.new_context(java_script_enabled=script, viewport={"width": 360, "height": 780})
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(f"{live.country['portal']}/services/{live.service.partition('/')[2]}?lang=kk")
    operation = page.locator("details.operation").filter(has_text="/countries/{alpha_2}.json")
    operation.locator("summary").click()
    expect(operation).to_contain_text("Сынап көру")
    operation.get_by_label("alpha_2").fill("KZ")
    operation.get_by_label("_shape").fill("object")
    keep(page, script=script)
    operation.get_by_role("button", name="Шақыруды жіберу").click()
    expect(page.locator("#status")).to_have_text("200")
    expect(page.locator("main pre")).to_contain_text("KAZ")
    keep(page, script=script)
    link = page.locator("a[href^='/receipts/ministry/']")
    message = (link.text_content() or "").strip()
    assert live.manage("ministry", f"/exchanges/{message}")["outcome"] == "answered"
    assert live.receipt(message)
    page.get_by_role("link", name="Сервис бетіне оралу").click()
    expect(page.locator("h2.name")).to_have_text("ISO кодтары")
    assert complaints == []
    context.close()


def test_what_is_typed_wrong_is_said_in_words(browser: Browser, live: Instance) -> None:
    """Nothing is sent; the page names the field."""
    page = browser.new_page()
    page.goto(f"{live.country['portal']}/services/{live.service.partition('/')[2]}?lang=kk")
    operation = page.locator("details.operation").filter(has_text="/countries/{alpha_2}.json")
    operation.locator("summary").click()
    operation.get_by_label("alpha_2").fill("../../x/..")
    operation.get_by_role("button", name="Шақыруды жіберу").click()
    expect(page.get_by_role("status")).to_have_text("Шақыру жіберілмеді: «alpha_2» өрісінің мәні бос немесе жарамсыз.")
    page.close()


def keep(page: Page, *, script: bool) -> None:
    """Nothing sticks out on a phone, and axe finds nothing grave."""
    if script:
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0
        assert grave_findings(page) == []
