"""Signing in with a real browser, in Kazakh: by password, wrongly, by passkey, and out; on a phone, by keyboard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from axe import grave_findings
from people_console import PASSWORD
from running_console import ARGUMENTS, Console

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory, program: Callable[[str], str]) -> Iterator[Console]:
    """A running console; at the end its admin log must tell what was done."""
    program("chromium")
    with Console(tmp_path_factory.mktemp("console")) as running:
        yield running
    assert {"account.add", "passkey.add", "token.create", "passkey.remove"} <= set(running.acts)


@pytest.fixture(scope="module")
def browser(console: Console, program: Callable[[str], str]) -> Iterator[Browser]:
    """Debian's Chromium, headless."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program("chromium"), headless=True, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture
def visit(browser: Browser, console: Console) -> Iterator[Callable[..., Page]]:
    """Open a page; nothing may be asked of another address, and the browser must have nothing to complain of."""
    contexts: list[Any] = []
    asked: list[str] = []
    complaints: list[str] = []

    def go(path: str = "/sign-in?lang=kk", **options: Any) -> Page:
        contexts.append(browser.new_context(**options))
        page: Page = contexts[-1].new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(console.url + path)
        return page

    yield go
    for context in contexts:
        context.close()
    assert [url for url in asked if not url.startswith(console.url)] == []
    assert [line for line in complaints if "status of 401" not in line and "status of 403" not in line] == []


def enter(page: Page, name: str = "aigerim", password: str = PASSWORD) -> None:
    """Fill the form as it is labelled, and send it."""
    page.get_by_label("Кіру аты").fill(name)
    page.get_by_label("Құпиясөз", exact=True).fill(password)
    page.get_by_role("button", name="Кіру", exact=True).click()


def test_in_kazakh_by_password_and_out(visit: Callable[..., Page], console: Console) -> None:
    """In with the right password, to the page asked for; after signing out the page is closed again."""
    page = visit("/account?lang=kk")
    expect(page.locator(".said")).to_have_text("Бұл бетті көру үшін кіріңіз.")
    expect(page.locator("html")).to_have_attribute("lang", "kk")
    enter(page)
    expect(page).to_have_url(console.url + "/account?lang=kk")
    expect(page.get_by_role("heading", name="Сіздің есептік жазбаңыз")).to_be_visible()
    expect(page.get_by_text("Айгерім Сейтқызы").first).to_be_visible()
    page.get_by_role("button", name="Шығу").click()
    expect(page.locator(".said")).to_have_text("Сіз шықтыңыз.")
    page.goto(console.url + "/account?lang=kk")
    expect(page.get_by_role("button", name="Кіру", exact=True)).to_be_visible()
    assert page.context.cookies()[0]["httpOnly"]


def test_a_wrong_password_is_told_and_the_name_kept(visit: Callable[..., Page]) -> None:
    """One line that a screen reader speaks; the password field is empty and has the focus."""
    page = visit()
    enter(page, password="falsch falsch")
    expect(page.get_by_role("alert")).to_have_text("Кіру аты немесе құпиясөз қате.")
    expect(page.get_by_label("Кіру аты")).to_have_value("aigerim")
    expect(page.get_by_label("Құпиясөз", exact=True)).to_have_value("")
    expect(page.get_by_label("Құпиясөз", exact=True)).to_be_focused()


def test_a_passkey_is_added_used_and_removed(visit: Callable[..., Page], console: Console) -> None:
    """With an authenticator that Chromium plays itself; no password is typed the second time."""
    page = visit()
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    session.send(
        "WebAuthn.addVirtualAuthenticator",
        {"options": {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
                     "isUserVerified": True, "automaticPresenceSimulation": True}},
    )  # fmt: skip
    enter(page)
    page.get_by_label("Жаңа кіру кілтінің атауы").fill("Жұмыс ноутбугі")
    page.get_by_role("button", name="Кіру кілтін қосу").click()
    expect(page.locator(".said")).to_have_text("Сақталды.")
    expect(page.get_by_role("cell", name="Жұмыс ноутбугі", exact=True)).to_be_visible()
    page.get_by_role("button", name="Шығу").click()
    page.get_by_role("button", name="Кіру кілтімен кіру").click()
    expect(page.get_by_role("heading", name="Сіздің есептік жазбаңыз")).to_be_visible()
    expect(page.get_by_text("кіру кілтімен", exact=True)).to_be_visible()
    page.get_by_role("button", name="«Жұмыс ноутбугі» жою").click()
    expect(page.locator(".said")).to_have_text("Сақталды.")
    page.get_by_role("button", name="Шығу").click()
    page.get_by_role("button", name="Кіру кілтімен кіру").click()
    expect(page.get_by_role("alert")).to_have_text("Бұл кіру кілті қабылданбады.")


def test_a_token_is_shown_once(visit: Callable[..., Page]) -> None:
    """Made with two clicks and a name."""
    page = visit()
    enter(page)
    page.get_by_label("Токен атауы").fill("есеп беру")
    page.get_by_label("services:read").check()
    page.get_by_role("button", name="Токен жасау").click()
    expect(page.locator(".secret")).to_contain_text("qazt_")
    expect(page.get_by_role("cell", name="есеп беру", exact=True)).to_be_visible()
    page.get_by_role("link", name="Айгерім Сейтқызы").click()
    expect(page.locator(".secret")).to_have_count(0)


@pytest.mark.parametrize("language", ["kk", "ru", "en"])
def test_without_javascript_it_works_all_the_same(visit: Callable[..., Page], language: str) -> None:
    """By keyboard alone; what needs a script is not shown."""
    page = visit(f"/sign-in?lang={language}", java_script_enabled=False)
    page.locator("#name").focus()
    page.keyboard.type("aigerim")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("#passkeys-part")).to_be_visible()
    expect(page.locator("#add-passkey")).to_be_hidden()
    expect(page.locator("html")).to_have_attribute("lang", "kk")


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (360, "dark"), (1280, "dark")])
def test_it_fits_the_screen_and_is_read_aloud(visit: Callable[..., Page], width: int, scheme: str) -> None:
    """Nothing sticks out; every control has a name, every cell a heading."""
    page = visit(viewport={"width": width, "height": 740}, color_scheme=scheme)
    for step in ("door", "account"):
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), step
        unnamed = (
            "[...document.querySelectorAll('input:not([type=hidden]),button,a')].filter((one) => "
            "!(one.ariaLabel || one.labels?.length || one.textContent.trim())).length"
        )
        assert page.evaluate(unnamed) == 0
        assert page.locator("th:not([scope])").count() == 0
        assert grave_findings(page) == [], step
        if step == "door":
            enter(page)
            expect(page.locator("#sessions-part")).to_be_visible()
