"""Every page of a member's console in a real browser: in three languages, light and dark, and what axe says of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from axe import grave_findings
from qaztech.testing.consoles import passwords
from qaztech.testing.instance import Instance
from running_console import ARGUMENTS

pytestmark = pytest.mark.browser

RUNNING = (
    "registry", "witness-archive", "system-codes", "node-ministry", "node-registers", "console-registers",
)  # fmt: skip
PAGES = (
    "", "services", "services/new", "services/codes/codes", "services/codes/codes/passport", "access", "requests",
    "requests/new?service={service}", "requests/new?q=ISO", "rights", "rights/new", "nodes", "exchanges",
    "exchanges/{message}", "joining", "key", "people", "log",
)  # fmt: skip


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, program: Callable[[str], str]) -> Iterator[Instance]:
    """A country with a console whose member has a service, rights and exchanges."""
    program("chromium")
    with Instance(tmp_path_factory.mktemp("pages") / "home", only=RUNNING) as running:
        yield running


@pytest.fixture(scope="module")
def browser(live: Instance, program: Callable[[str], str]) -> Iterator[Browser]:
    """Chromium, headless."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program("chromium"), headless=True, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture(scope="module")
def page(browser: Browser, live: Instance) -> Page:
    """The member's administrator, signed in."""
    page = browser.new_page()
    page.goto(f"{url(live)}/console/?lang=kk")
    page.get_by_label("Кіру аты").fill("admin")
    page.get_by_label("Құпиясөз").fill(passwords(live.home, "registers")["admin"])
    page.locator("main").get_by_role("button", name="Кіру", exact=True).click()
    page.wait_for_url("**/console/**")
    return page


@pytest.fixture(scope="module")
def paths(live: Instance) -> list[str]:
    """Every page by its address."""
    message = live.call().message
    return ["/console/" + path.format(service=live.service, message=message) for path in PAGES]


def url(live: Instance) -> str:
    """Where the console is."""
    return str(live.country["consoles"]["registers"])


@pytest.mark.parametrize(("language", "scheme"), [("kk", "light"), ("ru", "dark"), ("en", "light")])
def test_every_page_opens_and_axe_finds_nothing_grave(
    page: Page, live: Instance, paths: list[str], language: str, scheme: str
) -> None:
    """No page fails, in any language; labels, contrast and structure are as people with a screen reader need them."""
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    wrong = {}
    for path in paths:
        answer = page.goto(f"{url(live)}{path}{'&' if '?' in path else '?'}lang={language}")
        assert answer is not None
        findings = grave_findings(page) if answer.status == 200 else [f"status {answer.status}"]
        if page.locator("html").get_attribute("lang") != language:
            findings.append("another language")
        if findings:
            wrong[path] = findings
    assert wrong == {}
