"""A body's developer, from an AI system that nobody knows to one that is suspended: consoles in a browser, in Kazakh.

Registered, reviewed, put into service; a budget and a key; called with the official client, personal data masked and
restored; the budget hit; receipt and statement read; suspended at the centre and refused.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import openai
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from ai_cards import CARD, at_day
from axe import grave_findings
from qaztech.ai.register.card import Card
from qaztech.ai.terms import day_of
from qaztech.cli.main import main
from qaztech.core.bin import check_digit
from qaztech.core.ids import SubsystemId
from qaztech.core.time import SystemClock
from qaztech.testing import ai_service
from qaztech.testing.centre import centre_passwords
from qaztech.testing.consoles import passwords
from qaztech.testing.instance import Instance
from qaztech.web.member_ai_form import ROWS, values_of
from running_console import ARGUMENTS

pytest.importorskip("duckdb")
pytestmark = pytest.mark.browser

IIN = f"99130130000{check_digit('99130130000')}"
NAME = "call-triage"
SCREENS = os.environ.get("QAZTECH_SCREENSHOTS", "")


@pytest.fixture(scope="module")
def country(tmp_path_factory: pytest.TempPathFactory, program: Callable[[str], str]) -> Iterator[Instance]:
    """A country with a centre and a gateway."""
    program("chromium")
    with Instance(tmp_path_factory.mktemp("ai") / "home", centre=True, ai=True, deliver_seconds=60) as running:
        yield running


@pytest.fixture(scope="module")
def browser(country: Instance, program: Callable[[str], str]) -> Iterator[Browser]:
    """Debian's Chromium, headless."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program("chromium"), headless=True, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture
def enter(browser: Browser) -> Iterator[Callable[[str, str, str], Page]]:
    """Sign in somewhere; nothing is asked of another address, nothing complained of."""
    contexts: list[Any] = []
    asked: list[tuple[str, str]] = []
    complaints: list[str] = []

    def go(url: str, name: str, password: str) -> Page:
        context = browser.new_context(locale="kk-KZ", viewport={"width": 1200, "height": 800})
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: asked.append((url, request.url)))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{url}/console/")
        page.get_by_label("Кіру аты").fill(name)
        page.get_by_label("Құпиясөз", exact=True).fill(password)
        page.get_by_role("button", name="Кіру", exact=True).click()
        expect(page.get_by_role("link", name="Шолу")).to_be_visible()
        return page

    yield go
    for context in contexts:
        context.close()
    assert [found for url, found in asked if not found.startswith((url, "blob:", "data:"))] == []
    assert complaints == []


def keep(page: Page, name: str) -> None:
    """What holds for every page, wide and on a phone: nothing sticks out, axe finds nothing grave."""
    page.wait_for_load_state()
    for width in (1200, 360):
        page.set_viewport_size({"width": width, "height": 800})
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, (name, width)
        if SCREENS:
            page.screenshot(path=f"{SCREENS}/ai-{name}-{width}.png", full_page=True)
    page.set_viewport_size({"width": 1200, "height": 800})
    assert grave_findings(page) == [], name


def type_card(page: Page, card: Card) -> None:
    """Fill the form in, asking for more rows when those there are full."""
    values = {path: texts[0] for path, texts in values_of(card).items()}
    typed: set[str] = set()
    for _ in range(12):
        for path, text in values.items():
            if path not in typed and type_field(page, path, text):
                typed.add(path)
        lacking = next(
            (rows for rows in ROWS for path in values if path.startswith(f"{rows}.") and path not in typed), ""
        )
        if not lacking:
            return
        page.locator(f"button[name=more][value={lacking}]").click()
        page.wait_for_load_state()
    raise AssertionError(sorted(set(values) - typed))


def type_field(page: Page, path: str, text: str) -> bool:
    """Fill one field in; whether it is there."""
    field = page.locator(f"[name='{path}']")
    if not field.count():
        return False
    kind = field.first.evaluate("element => element.type")
    if kind == "select-one":
        field.select_option(text)
    elif kind == "checkbox":
        field.set_checked(bool(text))
    elif kind != "hidden":
        field.fill(text)
    return True


def act(page: Page, name: str, reason: str = "") -> None:
    """Do something with the card whose page is open."""
    form = page.locator(f"form:has(input[name=act][value={name}])")
    details = page.locator(f"details:has(input[name=act][value={name}])")
    if details.count() and details.get_attribute("open") is None:
        details.locator("summary").click()
    if reason:
        form.locator("textarea").fill(reason)
    form.locator("button").click()
    page.wait_for_load_state()


def test_from_a_card_to_a_refusal(country: Instance, enter: Callable[[str, str, str], Page], tmp_path: Path) -> None:
    """The whole way, by hand where people have hands in it."""
    ministry = SubsystemId.parse(country.node("ministry")["system"])
    console = country.country["consoles"]["ministry"]
    own = passwords(country.home, "ministry")
    day = day_of(SystemClock().now())
    card = at_day(msgspec.structs.replace(CARD, id=NAME, owner=str(ministry.member), system=ministry.code), day)
    card = msgspec.structs.replace(card, mode="closed", risk="medium")

    # The developer registers the system, and declares it.
    developer = enter(console, "developer", own["developer"])
    developer.goto(f"{console}/console/ai/new?lang=kk")
    keep(developer, "card-new")
    type_card(developer, card)
    developer.locator("form.passport button.big").click()
    expect(developer.get_by_role("heading", level=2)).to_contain_text("Triage of calls (kk)")
    keep(developer, "card-draft")
    act(developer, "declare")

    # The centre's analyst reviews it; the owner at the body puts it into service.
    analyst = enter(country.center, "analyst", centre_passwords(country.home)["analyst"])
    analyst.goto(f"{country.center}/console/ai/{NAME}?lang=kk")
    analyst.get_by_text("Мақұлдау", exact=True).first.click()
    analyst.get_by_role("button", name="Мақұлдау", exact=True).click()
    expect(analyst.get_by_text("Әрекет жазылды.")).to_be_visible()
    owner = enter(console, "owner", own["owner"])
    owner.goto(f"{console}/console/ai/cards/{NAME}?lang=kk")
    act(owner, "serve")
    keep(owner, "card-in-service")

    # The administrator gives it a budget and a key.
    admin = enter(console, "admin", own["admin"])
    admin.goto(f"{console}/console/ai/budgets?lang=kk")
    admin.locator("form.card [name=name]").fill("Сынақ")
    admin.locator("form.card [name=tenge]").fill("3")
    admin.locator("form.card button").click()
    expect(admin.get_by_role("heading", name="Сынақ")).to_be_visible()
    keep(admin, "budgets")
    admin.goto(f"{console}/console/ai/keys/new?lang=kk&card={NAME}")
    keep(admin, "key-new")
    for name, text in (("name", "Сынақ"), ("purpose", "triage"), ("purpose_text", "Шақыруларды сұрыптау")):
        admin.locator(f"[name={name}]").fill(text)
    admin.locator("[name=card]").select_option(NAME)
    admin.locator("[name=class]").select_option("internal")
    admin.locator(f"[name=models][value={ai_service.OFFERED}]").check()
    budget = admin.locator("[name=budget] option", has_text="Сынақ").get_attribute("value")
    admin.locator("[name=budget]").select_option(budget)
    admin.locator("form.card button").click()
    shown = admin.locator("code.secret").inner_text().strip()
    keep(admin, "key-issued")

    # The call: what the model never saw comes back.
    client = openai.OpenAI(base_url=f"{country.country['ai']['gateway']}/v1", api_key=shown, max_retries=0, timeout=30)
    said: list[dict[str, Any]] = [{"role": "user", "content": f"Тексеріңіз: ЖСН {IIN}"}]

    def call() -> Any:
        return client.chat.completions.create(model=ai_service.OFFERED, messages=said, max_tokens=40)  # type: ignore[arg-type]

    def goes_through() -> bool:
        try:
            call()
        except openai.PermissionDeniedError:
            return False
        return True

    country.until(goes_through, 20.0)  # the gateway asks the register every few seconds
    answer = call()
    assert answer.choices[0].message.content == f"You said: Тексеріңіз: ЖСН {IIN}"

    # The budget is hit.
    spent = None
    while spent is None:
        try:
            call()
        except openai.RateLimitError as error:
            spent = error
    assert spent.code == "ai.budget.exhausted"

    # Usage, the exchange and its receipt, the statement.
    admin.goto(f"{console}/console/ai/calls?lang=kk")
    keep(admin, "calls")
    assert IIN not in admin.content()
    exchange = admin.locator("td a[href*='/console/exchanges/']").first
    message = exchange.get_attribute("href").split("/exchanges/")[1].split("?")[0]
    exchange.click()
    keep(admin, "exchange")
    receipt = tmp_path / "receipt.json"
    receipt.write_text(json.dumps(country.receipt(message, disclose=["headers"])))
    assert main(["verify", str(receipt), "--anchor", str(country.anchor), "--require", "witnessed"]) == 0
    for path in ("usage", "statement"):
        admin.goto(f"{console}/console/ai/{path}?lang=kk")
        keep(admin, path)
    with admin.expect_download() as download:
        admin.locator("a[href*='statement.json']").click()
    statement = json.loads(Path(download.value.path()).read_text())
    assert statement["calls"] >= 2

    # Suspended at the centre, refused at the gateway.
    analyst.goto(f"{country.center}/console/ai/{NAME}?lang=kk")
    analyst.get_by_text("Тоқтата тұру", exact=True).first.click()
    analyst.locator("#r-suspend").fill("Шақырулар жоғалды")
    analyst.get_by_role("button", name="Тоқтата тұру", exact=True).click()
    expect(analyst.get_by_text("Әрекет жазылды.")).to_be_visible()

    def refused() -> bool:
        try:
            call()
        except openai.PermissionDeniedError as exc:
            return exc.code == "ai.system.not-callable"
        except openai.RateLimitError:
            return False
        return False

    country.until(refused, 20.0)
    developer.goto(f"{console}/console/ai/cards/{NAME}?lang=kk")
    keep(developer, "card-suspended")
