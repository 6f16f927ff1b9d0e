"""The support center in a real browser, in Kazakh: calls are made, delivered, seen by the centre and by each member."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from ai_cards import CARD, at_day
from axe import grave_findings
from qaztech.ai.register.client import RegisterClient
from qaztech.ai.terms import day_of
from qaztech.core.errors import Forbidden, NotFound
from qaztech.core.ids import ServiceId, SubsystemId
from qaztech.core.time import SystemClock
from qaztech.testing.centre import centre_passwords
from qaztech.testing.consoles import passwords
from qaztech.testing.instance import Instance
from running_console import ARGUMENTS

pytest.importorskip("duckdb")
pytestmark = pytest.mark.browser

RUNNING = (
    "registry", "witness-archive", "system-codes", "node-ministry", "node-registers", "node-university", "centre",
    "console-ministry", "console-registers",
)  # fmt: skip
CALLS = 4
SCREENS = os.environ.get("QAZTECH_SCREENSHOTS", "")


@pytest.fixture(scope="module")
def country(tmp_path_factory: pytest.TempPathFactory, program: Callable[[str], str]) -> Iterator[Instance]:
    """A country with its centre, in which the ministry and the university have called the registers."""
    program("chromium")
    with Instance(tmp_path_factory.mktemp("centre") / "home", only=RUNNING, centre=True) as running:
        for _ in range(CALLS - 1):
            assert running.call().status == 200
        assert running.call("/none.json").status == 404
        assert running.call("/countries.json", node="university").status == 200
        yield running


@pytest.fixture(scope="module")
def browser(country: Instance, program: Callable[[str], str]) -> Iterator[Browser]:
    """Debian's Chromium, headless."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program("chromium"), headless=True, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture
def enter(browser: Browser, country: Instance) -> Iterator[Callable[..., Page]]:
    """Sign in somewhere; nothing may be asked of another address, nothing complained of."""
    contexts: list[Any] = []
    asked: list[tuple[str, str]] = []
    complaints: list[str] = []

    def go(url: str, name: str, password: str, **options: Any) -> Page:
        context = browser.new_context(locale="kk-KZ", **options)
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
    assert [found for url, found in asked if not found.startswith(url)] == []
    assert complaints == []


def sticks_out(page: Page) -> bool:
    """Whether a page is wider than the window."""
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return int(wide) > 0


def keep(page: Page, name: str) -> None:
    """What holds for every page: nothing sticks out, axe finds nothing grave. A screenshot, for who looks at pages."""
    page.wait_for_load_state()
    assert not sticks_out(page), name
    assert grave_findings(page) == [], name
    if SCREENS:
        page.screenshot(path=f"{SCREENS}/centre-{name}.png", full_page=True)


def until_shown(page: Page, country: Instance, url: str, text: str) -> None:
    """Open a page again and again until it shows something."""

    def shown() -> bool:
        page.goto(url)
        return text in page.content()

    country.until(shown, 30.0)


def test_the_analyst_sees_what_was_called_and_goes_down_to_the_logs(
    country: Instance, enter: Callable[..., Page]
) -> None:
    """Within seconds of the calls: totals by service and organisation, the exchange, the same leaf in both logs."""
    url = country.center
    page = enter(url, "analyst", centre_passwords(country.home)["analyst"])
    until_shown(page, country, f"{url}/console/traffic?lang=kk", country.service)
    # Both nodes have delivered: five calls of the codes, of which four went well, by two organisations.
    row = page.locator("section", has=page.locator("#services")).locator("tr", has_text=country.service)

    def counted() -> bool:
        page.goto(f"{url}/console/traffic?lang=kk")
        return row.locator("td").first.inner_text() == str(CALLS + 1)

    country.until(counted, 30.0)
    assert row.locator("td").nth(1).inner_text() == str(CALLS)
    assert row.locator("td").nth(4).inner_text() == "2"
    keep(page, "traffic")
    row.get_by_role("link").click()
    expect(page.get_by_role("heading", name="Алмасулар", exact=True)).to_be_visible()
    keep(page, "exchanges")
    # Other calls may have had a 404 too: a centre that has only begun knows no log yet.
    found = page.locator("tbody tr", has_text=country.service).filter(has=page.locator(".outcome", has_text="404"))
    found.get_by_role("link").first.click()
    expect(page.get_by_role("heading", name="Алмасу", exact=True)).to_be_visible()

    def both() -> bool:
        page.reload()
        leaves = [found.split()[-1] for found in page.locator("tbody tr").all_inner_texts()]
        # Request and answer, and where the answer was streamed its end, each in both logs.
        return len(set(leaves)) in {2, 3} and all(leaves.count(leaf) == 2 for leaf in leaves)

    country.until(both, 30.0)
    assert "Рұқсаттар министрлігі (үлгі)" in page.content()
    keep(page, "exchange")
    message = page.url.partition("?")[0].rpartition("/")[2]
    assert country.receipt(message)["state"] == "witnessed"


def test_every_page_in_three_languages_and_on_a_phone(country: Instance, enter: Callable[..., Page]) -> None:
    """For the administrator, who sees all of them; axe finds nothing grave."""
    url, viewport = country.center, {"width": 360, "height": 740}
    page = enter(url, "admin", centre_passwords(country.home)["admin"], viewport=viewport)
    until_shown(page, country, f"{url}/console/deliveries?lang=kk", "/log/")
    for language in ("kk", "ru", "en"):
        for path in ("", "traffic", "exchanges", "findings", "deliveries", "ai", "acts", "people"):
            page.goto(f"{url}/console/{path}?lang={language}")
            keep(page, f"{path or 'overview'}-{language}")
    page.goto(f"{url}/console/deliveries?lang=kk")
    page.locator("tbody a").first.click()
    keep(page, "log")


def test_a_member_sees_its_own_and_nobody_elses(country: Instance, enter: Callable[..., Page]) -> None:
    """Asked by its own exchange: the owner of the service sees both callers' calls, a caller only its own."""
    consoles = country.country["consoles"]
    page = enter(consoles["registers"], "developer", passwords(country.home, "registers")["developer"])
    until_shown(page, country, f"{consoles['registers']}/console/centre?lang=kk", country.node("university")["system"])
    expect(page.get_by_role("heading", name="Сервистеріміздің шақырылуы")).to_be_visible()
    own = page.locator("section", has=page.locator("#provided")).locator("tr", has_text=country.service)
    assert own.locator("td").nth(1).inner_text() == str(CALLS + 1)
    keep(page, "member-provides")
    caller = enter(consoles["ministry"], "developer", passwords(country.home, "ministry")["developer"])
    until_shown(caller, country, f"{consoles['ministry']}/console/centre?lang=kk", country.service)
    mine = caller.locator("section", has=caller.locator("#called")).locator("tr", has_text=country.service)
    assert mine.locator("td").nth(1).inner_text() == str(CALLS)
    assert country.node("university")["system"] not in caller.content()
    keep(caller, "member-calls")
    asked = country.manage("ministry", "/exchanges?limit=50")
    assert {each["service"] for each in asked} >= {country.country["centre"]["service"]}


def test_a_body_registers_an_ai_system_and_citizens_read_of_it(country: Instance, enter: Callable[..., Page]) -> None:
    """Declared by exchange, approved on a page, put into service, suspended: gateways are told each time."""
    ministry, day = country.node("ministry"), day_of(SystemClock().now())
    system = SubsystemId.parse(ministry["system"])
    register = RegisterClient(
        edge=ministry["edge"], service=ServiceId.parse(country.country["centre"]["ai_register"]), client=system
    )
    card = at_day(msgspec.structs.replace(CARD, owner=str(system.member), system=system.code), day)
    assert register.draft(card).version == 1
    assert register.act(card.id, "declare", "", 1).state == "declared"
    url = country.center
    page = enter(url, "analyst", centre_passwords(country.home)["analyst"])
    page.goto(f"{url}/console/ai?lang=kk")
    page.get_by_role("link", name="Triage of calls (kk)").click()
    keep(page, "ai-card")
    page.get_by_text("Мақұлдау", exact=True).first.click()
    page.get_by_role("button", name="Мақұлдау", exact=True).click()
    expect(page.get_by_text("Әрекет жазылды.")).to_be_visible()
    assert not register.standing().cards[0].callable
    assert register.act(card.id, "serve", "", 3).why is None
    told = register.standing().card(card.id)
    assert told is not None
    assert (told.callable, told.system, told.highest_class) == (True, system.code, "personal")
    with pytest.raises(NotFound):
        RegisterClient(
            edge=country.node("university")["edge"], service=ServiceId.parse(country.country["centre"]["ai_register"]),
            client=SubsystemId.parse(country.node("university")["system"]),
        ).card(card.id)  # fmt: skip
    citizen = page.context.browser.new_context(viewport={"width": 360, "height": 740}).new_page()
    for language in ("kk", "ru", "en"):
        for path in ("/ai", f"/ai/{card.id}"):
            citizen.goto(f"{url}{path}?lang={language}")
            assert f"Triage of calls ({language})" in citizen.content()
            if language == "kk":
                keep(citizen, f"ai-public-{path.count('/')}")
            assert not sticks_out(citizen)
    assert citizen.goto(f"{url}/ai/none?lang=kk").status == 404
    citizen.context.close()
    page.goto(f"{url}/console/ai/{card.id}?lang=kk")
    page.get_by_text("Тоқтата тұру", exact=True).first.click()
    page.locator("#r-suspend").fill("Шақырулар жоғалды")
    page.get_by_role("button", name="Тоқтата тұру", exact=True).click()
    expect(page.get_by_text("Әрекет жазылды.")).to_be_visible()
    told = register.standing().card(card.id)
    assert told is not None
    assert (told.callable, told.why) == (False, "suspended")
    with pytest.raises(Forbidden):
        register.act(card.id, "resume", "", 5)


def test_nobody_reaches_the_exchanges_side_through_the_pages(country: Instance) -> None:
    """The port for people takes no deliveries and tells no totals, whatever header somebody sends."""
    from qaztech.testing.instance import request

    client = {"X-Road-Client": country.node("ministry")["system"]}
    for method, path in (("POST", "/deliveries"), ("GET", "/totals?since=0&until=1"), ("GET", "/findings")):
        assert request(country.center, method, path, headers=client).status in {404, 405}
