"""The registry's console in a real browser, in Kazakh: who applied by command line is admitted there."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from axe import grave_findings
from newcomer import Newcomer
from qaztech.core.bin import reserved_bin
from qaztech.testing import processes
from qaztech.testing.instance import Instance
from running_console import ARGUMENTS

pytestmark = pytest.mark.browser

BIN = reserved_bin(40)
# The first `a` is Latin: it looks like the university that is a member already.
NAMES = ("--name-kk", "Дaла университеті (үлгі)", "--name-ru", "Второй степной университет",
         "--name-en", "Second Steppe University")  # fmt: skip
CONTACT = ("--unit", "Ақпараттық технологиялар бөлімі", "--email", "it@university.example", "--phone", "+77010000000")
SCREENS = os.environ.get("QAZTECH_SCREENSHOTS", "")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory, program: Callable[[str], str]) -> Iterator[Instance]:
    """The registry of a country, and one witness."""
    program("chromium")
    with Instance(tmp_path_factory.mktemp("registry") / "home", only=("registry", "witness-archive")) as running:
        yield running


@pytest.fixture(scope="module")
def accounts(registry: Instance) -> dict[str, str]:
    """Name and password of those whom the founding made."""
    file = registry.home / "registry" / "people.txt"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    lines = [line for line in file.read_text().splitlines() if not line.startswith("#")]
    return dict(line.split() for line in lines)


@pytest.fixture(scope="module")
def browser(registry: Instance, program: Callable[[str], str]) -> Iterator[Browser]:
    """Debian's Chromium, headless."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program("chromium"), headless=True, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture
def enter(browser: Browser, registry: Instance, accounts: dict[str, str]) -> Iterator[Callable[..., Page]]:
    """Sign in; nothing may be asked of another address, nothing complained of, no page wider than its window."""
    contexts: list[Any] = []
    asked: list[str] = []
    complaints: list[str] = []

    def go(name: str = "operator", **options: Any) -> Page:
        context = browser.new_context(locale="kk-KZ", **options)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(registry.country["console"])
        page.get_by_label("Кіру аты").fill(name)
        page.get_by_label("Құпиясөз", exact=True).fill(accounts[name])
        page.get_by_role("button", name="Кіру", exact=True).click()
        expect(page.get_by_role("heading", name="Шолу")).to_be_visible()
        return page

    yield go
    for context in contexts:
        context.close()
    origin = registry.country["console"].removesuffix("/console/")
    assert [url for url in asked if not url.startswith(origin)] == []
    assert [text for text in complaints if "409" not in text] == []


@pytest.fixture(scope="module")
def applied(registry: Instance, tmp_path_factory: pytest.TempPathFactory) -> Newcomer:
    """An organisation with a desk of its own."""
    return Newcomer(registry, tmp_path_factory.mktemp("applying"), f"KZ/EDU/{BIN}")


def apply(place: Newcomer, capsys: pytest.CaptureFixture[str]) -> str:
    """Apply by command; the application's id."""
    place.capsys = capsys
    signer: Path = place.folder / "signer.pem"
    if not signer.exists():
        made = place.run("member", "new", "--desk", place.desk, "--id", place.member_id, *NAMES)
        place.lineage = made["lineage"]
        place.run("registry", "test-signer", "--directory", place.country.home / "registry", "--name",
                  "Signatory of a test", "--iin", "991300000019", "--bin", BIN, "--out", signer)  # fmt: skip
    where = ("--desk", place.desk, "--registry", place.registry)
    return str(place.run("member", "apply", *where, *CONTACT, "--signer", signer)["id"])


def keep(page: Page, name: str) -> None:
    """What holds for every page: nothing sticks out, axe finds nothing grave. A screenshot, for who looks at pages."""
    page.wait_for_load_state()
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, name
    assert grave_findings(page) == [], name
    if SCREENS:
        page.screenshot(path=f"{SCREENS}/{name}.png", full_page=True)


def test_an_application_is_admitted_in_kazakh(
    enter: Callable[..., Page], applied: Newcomer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Seen on the first page, with its finding; the lineage compared; admitted; in the log; the applicant is told."""
    apply(applied, capsys)
    page = enter()
    keep(page, "overview")
    page.get_by_role("link", name="Дaла университеті (үлгі)").click()
    finding = page.locator(".findings li")
    expect(finding).to_contain_text("Атауы басқа ұйымның атауына ұқсайды")
    expect(finding.get_by_role("link")).to_have_text("KZ/EDU/991340000037")
    lineage = " ".join(applied.lineage[i : i + 4] for i in range(0, 64, 4))
    expect(page.get_by_text(lineage)).to_be_visible()
    expect(page.get_by_text("it@university.example")).to_be_visible()
    keep(page, "application")
    page.get_by_role("button", name="Қабылдау", exact=True).click()
    expect(page.get_by_role("status")).to_have_count(0)  # the browser asks for the tick first
    page.get_by_label("Кілттер шежіресін ұйыммен басқа жолмен салыстырдым").check()
    page.get_by_role("button", name="Қабылдау", exact=True).click()
    expect(page.get_by_role("status")).to_have_text(
        "Қатысушы қабылданды, шешім әрекеттер журналына жазылып, жарияланды."
    )
    page.get_by_role("link", name="Әрекеттер журналы").click()
    newest = page.locator(".acts > li").first
    expect(newest).to_contain_text("Өтінім қабылданды")
    expect(newest).to_contain_text("operator")
    expect(newest).to_contain_text(applied.member_id)
    keep(page, "acts")
    assert applied.run("member", "application", "--desk", applied.desk)["state"] == "admitted"
    page.get_by_role("link", name="Қатысушылар").click()
    page.get_by_label("Атауы немесе БСН").fill(BIN)
    page.get_by_role("button", name="Табу").click()
    page.get_by_role("link", name="Дaла университеті (үлгі)").click()
    expect(page.get_by_text("Қатысушы өз файлын әлі жібермеген")).to_be_visible()
    page.get_by_role("button", name="Шығу").click()
    expect(page.locator(".said")).to_have_text("Сіз шықтыңыз.")


def test_it_still_stands_after_the_registry_was_killed(
    enter: Callable[..., Page], registry: Instance, applied: Newcomer
) -> None:
    """Once, in state and log; the session lives on, for it is in the database."""
    page = enter()
    page.wait_for_load_state("networkidle")
    registry.kill("registry")
    processes.start(registry.home, only=("registry",))
    processes.wait(registry.home, 40.0, only=("registry",))
    page.get_by_role("link", name="Әрекеттер журналы").click()
    expect(page.locator(".acts > li").filter(has_text="Өтінім қабылданды")).to_have_count(1)
    page.get_by_role("link", name="Қатысушылар").click()
    expect(page.get_by_text(applied.member_id)).to_be_visible()


def test_the_auditor_sees_everything_and_changes_nothing_on_a_phone(
    enter: Callable[..., Page], applied: Newcomer
) -> None:
    """No form that decides, no link to one; every page fits 360 pixels."""
    page = enter("auditor", viewport={"width": 360, "height": 740}, color_scheme="dark")
    keep(page, "phone-overview")
    for number, name in enumerate(
        ("Өтінімдер", "Қатысушылар", "Кілттер", "Көрініс пен куәгерлер", "Әрекеттер журналы", "Қызметкерлер")
    ):
        page.get_by_role("navigation", name="Бөлімдер").get_by_role("link", name=name).click()
        expect(page.get_by_role("navigation", name="Бөлімдер").get_by_role("link", name=name)).to_have_attribute(
            "aria-current", "page"
        )
        keep(page, f"phone-{number}")
        assert page.locator("main form[method=post]").count() == 0
    page.goto(page.url.replace("/people", "/applications"))
    page.get_by_role("link", name="Дaла университеті (үлгі)").click()
    expect(page.get_by_text("it@university.example")).to_be_visible()
    keep(page, "phone-application")
    assert page.locator("main form").count() == 0


def test_the_keyboard_is_enough_to_suspend(enter: Callable[..., Page], applied: Newcomer) -> None:
    """Skip link, question, reason, button: no mouse."""
    page = enter()
    page.goto(page.url.replace("/console/", f"/console/members/EDU/{BIN}/standing"))
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Мазмұнға өту")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Себебі")).to_be_focused()
    page.keyboard.type("Сынақ")
    page.keyboard.press("Tab")
    keep(page, "standing")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Қатысушы тоқтатыла тұрды")
    expect(page.locator(".outcome").first).to_have_text("уақытша тоқтатылған")
