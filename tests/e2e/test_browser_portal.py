"""The page of a running country in a real browser: calls light up, logs grow, receipts open and are checked there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from qaztech.testing.instance import Instance
from qaztech.web.receipt_html import render_html

pytestmark = pytest.mark.browser

ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, program: Callable[[str], str]) -> Iterator[Instance]:
    """A country of one's own, page included."""
    program("chromium")
    with Instance(tmp_path_factory.mktemp("live") / "home") as running:
        yield running


@pytest.fixture(scope="module")
def browser(live: Instance, program: Callable[[str], str]) -> Iterator[Browser]:
    """Debian's Chromium, headless, with a profile of its own."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program("chromium"), headless=True, args=ARGUMENTS)
        yield running
        running.close()


class Visit:
    """One visitor of the page, with everything the browser asked for and complained of."""

    def __init__(self, browser: Browser, url: str, **options: Any) -> None:
        self.url = url
        self.context = browser.new_context(**options)
        self.page: Page = self.context.new_page()
        self.asked: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(url)


@pytest.fixture
def visit(browser: Browser, live: Instance) -> Iterator[Callable[..., Visit]]:
    """Go to the page."""
    visits: list[Visit] = []

    def go(path: str = "/", **options: Any) -> Visit:
        visits.append(Visit(browser, live.country["portal"] + path, **options))
        return visits[-1]

    yield go
    for each in visits:
        assert [url for url in each.asked if not url.startswith((live.country["portal"], "file:"))] == [], (
            "a request to elsewhere"
        )
        each.context.close()


def test_a_call_lights_up_and_the_logs_grow(visit: Callable[..., Visit], live: Instance) -> None:
    """Made by anyone, anywhere: the line from node to node lights, the row comes, both logs are longer."""
    visitor = visit()
    page = visitor.page
    expect(page.locator("#live")).to_have_text("live")
    size = page.locator("[data-log=ministry] [data-part=size]")
    before = int(size.inner_text())
    answer = live.call()
    expect(page.locator(f'tr[data-message="{answer.message}"] .outcome')).to_have_text("answered 200")
    expect(page.locator(".picture.wide [data-line='ministry registers']")).to_have_class("line link lit-answered")
    expect(page.locator(".picture.wide [data-word='ministry registers']")).to_contain_text("GET · 200")
    expect(page.locator("#now")).to_contain_text("Ministry of Permits (demo) → Centre of Registers (demo)")
    now = live.manage("ministry", "/status")["log"]["size"]
    assert now >= before + 2
    expect(size).to_have_text(str(now))
    expect(page.locator("[data-log=ministry] [data-part=witnessed]")).to_contain_text(f"up to {now}")
    assert visitor.complaints == []


def test_a_refused_call_is_seen_as_one(visit: Callable[..., Visit], live: Instance) -> None:
    """The university may read the list of countries only."""
    page = visit().page
    expect(page.locator("#live")).to_have_text("live")
    live.call("/nothing.json", node="university")
    answer = live.call("/countries.json?_size=1", node="university")
    expect(page.locator(f'tr[data-message="{answer.message}"] .outcome')).to_have_text("answered 200")


def test_the_button_calls_and_the_receipt_is_checked_in_the_browser(visit: Callable[..., Visit]) -> None:
    """From the call to its receipt by clicks; what a browser cannot check stays grey; one byte turns it red."""
    visitor = visit("/?lang=en")
    page = visitor.page
    page.get_by_role("button", name="Make this call now").click()
    expect(page.locator("#called")).to_contain_text("HTTP 200")
    page.locator("#called").get_by_role("link").click()
    expect(page.locator(".headline")).to_contain_text("Everything that can be checked here holds", timeout=20_000)
    assert page.locator(".check.bad").count() == 0
    assert page.locator(".check.ok").count() > 30
    hybrid = page.locator(".check", has=page.locator("strong", has_text="ML-DSA-44"))
    assert hybrid.count() >= 5
    assert page.locator(".check.ok", has=page.locator("strong", has_text="ML-DSA-44")).count() == 0
    expect(page.locator(".state")).to_have_text("witnessed")
    for _ in range(4):
        page.get_by_role("button", name="Change one byte").click()
        expect(page.locator(".headline.bad")).to_be_visible()
        assert page.locator(".check.bad").count() >= 1
        page.get_by_role("button", name="Undo").click()
        expect(page.locator(".headline.ok")).to_be_visible()
    assert visitor.complaints == []


def test_the_receipt_can_be_taken_home(visit: Callable[..., Visit], live: Instance, tmp_path: Path) -> None:
    """One file from the page, opened from disk without network, finds the same."""
    answer = live.call()
    visitor = visit(f"/receipts/ministry/{answer.message}?lang=ru")
    page = visitor.page
    expect(page.locator(".headline.ok")).to_be_visible(timeout=20_000)
    held = page.locator(".check.ok").count()
    with page.expect_download() as started:
        page.get_by_role("link", name="Одним файлом").click()
    path = tmp_path / started.value.suggested_filename
    started.value.save_as(path)
    visitor.context.set_offline(True)
    alone = visitor.context.new_page()
    alone.goto(path.as_uri())
    expect(alone.locator(".headline.ok")).to_be_visible()
    assert alone.locator(".check.ok").count() == held
    assert path.stat().st_size < 600_000


@pytest.mark.parametrize("whose", ["/log/", "/witness/"])
def test_signatures_that_are_left_away_are_missed(
    visit: Callable[..., Visit], live: Instance, tmp_path: Path, whose: str
) -> None:
    """A browser cannot check ML-DSA-44, but it sees that a signature which is owed is not there."""
    receipt = live.receipt(live.call().message)
    for message in receipt["messages"]:
        for proof in message["proofs"]:
            lines = proof["proof"].split("\n")
            proof["proof"] = "\n".join(line for line in lines if len(line) < 1000 or whose not in line[:60])
    path = tmp_path / "downgraded.html"
    path.write_bytes(render_html(receipt, live.anchor.read_bytes(), language="en"))
    page = visit().page
    page.goto(path.as_uri())
    why = "though its key is in force" if whose == "/log/" else "no quorum"
    expect(page.locator(".failures")).to_contain_text(why)


def test_it_follows_through_a_restart_of_a_node(visit: Callable[..., Visit], live: Instance) -> None:
    """A node that goes is shown as gone, and is back when it is back."""
    page = visit().page
    expect(page.locator("#live")).to_have_text("live")
    note = page.locator(".picture.wide [data-node-note=university]")
    live.terminate("node-university")
    expect(note).to_contain_text("not reachable", timeout=15_000)
    live.start()
    expect(note).to_contain_text("log", timeout=15_000)


@pytest.mark.parametrize("language", ["kk", "ru", "en"])
def test_without_javascript_it_shows_and_calls_all_the_same(
    visit: Callable[..., Visit], live: Instance, language: str
) -> None:
    """State, list and button are HTML; the page says that it does not move."""
    time.sleep(0.3)  # calls are made from the page at most four times a second
    page = visit(f"/?lang={language}", java_script_enabled=False).page
    before = page.locator("#exchanges tr").count()
    page.locator("#call button").click()
    expect(page).to_have_url(live.country["portal"] + f"/?lang={language}")
    assert page.locator("#exchanges tr").count() > min(before, 29)
    expect(page.locator("html")).to_have_attribute("lang", language)
    expect(page.locator("noscript p").first).to_be_visible()


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (360, "dark"), (1280, "dark")])
def test_it_fits_the_screen(visit: Callable[..., Visit], width: int, scheme: str) -> None:
    """Phones and desks, light and dark: nothing sticks out."""
    page = visit(viewport={"width": width, "height": 800}, color_scheme=scheme).page
    expect(page.locator("#live")).to_have_text("live")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator(".picture:visible").count() == 1


def test_it_can_be_used_by_keyboard_and_read_aloud(visit: Callable[..., Visit]) -> None:
    """The first stop leads past the header; every control has a name; the picture has a description."""
    page = visit().page
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3')].map((heading) => Number(heading.tagName[1]))")
    assert levels[:2] == [1, 2]
    unnamed = (
        "[...document.querySelectorAll('a,button')].filter((one) => !(one.ariaLabel || one.textContent.trim())).length"
    )
    assert page.evaluate(unnamed) == 0
    assert page.locator("svg[role=img]:not([aria-label])").count() == 0
    assert page.locator("th:not([scope])").count() == 0
