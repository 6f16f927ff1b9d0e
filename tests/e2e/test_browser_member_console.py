"""Two consoles in a real browser, in Kazakh: a service from its OpenAPI file, asked for, given, called, revoked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from axe import grave_findings
from qaztech import testing
from qaztech.testing.consoles import passwords
from qaztech.testing.instance import Instance

pytestmark = pytest.mark.browser

RUNNING = (
    "registry", "witness-archive", "system-codes", "node-ministry", "node-registers", "console-ministry",
    "console-registers",
)  # fmt: skip
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
SERVICE = "KZ/QUASI/991340000027/codes/tizilim"
OPENAPI = Path(testing.__file__).with_name("codes.openapi.yaml")
PATH = "/countries/KZ.json?_shape=object"


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, program: Callable[[str], str]) -> Iterator[Instance]:
    """A country with two consoles."""
    program("chromium")
    with Instance(tmp_path_factory.mktemp("consoles") / "home", only=RUNNING) as running:
        yield running


@pytest.fixture(scope="module")
def browser(live: Instance, program: Callable[[str], str]) -> Iterator[Browser]:
    """Chromium, headless."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program("chromium"), headless=True, args=ARGUMENTS)
        yield running
        running.close()


class Desk:
    """One person at one member's console; a request to elsewhere, or a complaint of the browser, fails the test."""

    def __init__(self, browser: Browser, live: Instance, member: str, account: str) -> None:
        self.url = live.country["consoles"][member]
        self.context = browser.new_context()
        self.page: Page = self.context.new_page()
        self.foreign: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda r: None if r.url.startswith(self.url) else self.foreign.append(r.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.go("/console/")
        self.page.get_by_label("Кіру аты").fill(account)
        self.page.get_by_label("Құпиясөз").fill(passwords(live.home, member)[account])
        self.page.locator("main").get_by_role("button", name="Кіру", exact=True).click()

    def go(self, path: str) -> None:
        self.page.goto(f"{self.url}{path}?lang=kk")

    def press(self, name: str) -> None:
        self.page.locator("main").get_by_role("button", name=name, exact=True).click()


@pytest.fixture
def at(browser: Browser, live: Instance) -> Iterator[Callable[..., Desk]]:
    """Somebody signs in at a member's console."""
    desks: list[Desk] = []

    def sign_in(member: str, account: str = "admin") -> Desk:
        desks.append(Desk(browser, live, member, account))
        return desks[-1]

    yield sign_in
    for desk in desks:
        # A form that comes back with what is wrong has a status of its own, of which the browser tells.
        complaints = [text for text in desk.complaints if "status of 400" not in text]
        assert (desk.foreign, complaints) == ([], [])
        desk.context.close()


def test_a_service_is_published_asked_for_given_called_and_revoked(at: Callable[..., Desk], live: Instance) -> None:
    """The whole way, by clicks on both sides; what is called in between goes through both nodes."""
    owner = at("registers")
    page = owner.page
    expect(page.locator("main h2").first).to_have_text("Тізілімдер орталығы (үлгі)")
    publish(owner, live)
    expect(page.locator(".said")).to_have_text("Сервис жарияланды.")
    expect(page.locator("main")).to_contain_text("Әзірге ешкім шақыра алмайды.")
    assert live.call(PATH, service=SERVICE).status == 500

    asking = at("ministry")
    ask(asking)
    expect(asking.page.locator(".said")).to_have_text("Сұрау жеткізілді.")
    expect(asking.page.locator(".head .outcome")).to_have_text("шешім күтуде")

    owner.go("/console/access")
    page.locator("tbody a").first.click()
    expect(page.locator("main")).to_contain_text("Рұқсат беру кезінде ел кодын тексеру")
    owner.press("Рұқсат беру")
    expect(page.locator(".said")).to_have_text("Рұқсат берілді.")
    live.until(lambda: live.call(PATH, service=SERVICE).status == 200)
    assert live.call("/currencies.json", service=SERVICE).status == 500, "no more than was given"

    asking.press("Күйін сұрау")
    expect(asking.page.locator(".head .outcome")).to_have_text("рұқсат берілді")
    message = live.call(PATH, service=SERVICE).message
    owner.go(f"/console/exchanges/{message}")
    expect(page.locator("#receipt .headline .mark")).to_have_class("mark ok", timeout=30_000)
    with page.expect_download() as saved:
        page.get_by_role("link", name="HTML түбіртек").click()
    assert b"991340000027" in Path(saved.value.path()).read_bytes()

    owner.go("/console/rights")
    page.get_by_role("link", name="KZ/GOV/991340000017/permits құқығын қайтарып алу").last.click()
    owner.press("Қайтарып алу")
    expect(page.locator(".said")).to_have_text("Құқық қайтарып алынды.")
    assert live.call(PATH, service=SERVICE).status == 500, "at once"
    asking.press("Күйін сұрау")
    expect(asking.page.locator(".head .outcome")).to_have_text("рұқсат тоқтатылды")

    owner.go("/console/log")
    for act in ("сервисті жариялау", "қолжетімділік беру", "қолжетімділікті тоқтату"):
        expect(page.locator("tbody")).to_contain_text(act)


def publish(owner: Desk, live: Instance) -> None:
    """From the OpenAPI file to a signed service."""
    page, country = owner.page, live.country
    page.get_by_role("link", name="Сервистер", exact=True).click()
    page.get_by_role("link", name="Жаңа сервис").click()
    page.get_by_label("Код", exact=False).first.fill("tizilim")
    for language, name in (("Қазақша", "Ел кодтары"), ("Орысша", "Коды стран"), ("Ағылшынша", "Country codes")):
        page.get_by_label(language).fill(name)
    page.get_by_label("OpenAPI 3.0 немесе 3.1 файлы").set_input_files(OPENAPI)
    page.get_by_label("Жүйенің мекенжайы").fill(f"{country['nodes'][1]['management']}/")
    owner.press("Тексеру және жалғастыру")
    expect(page.locator(".said.bad")).to_contain_text("Жүйенің мекенжайы жарамайды.")
    page.get_by_label("Жүйенің мекенжайы").fill(f"{country['systems'][0]['url']}/codes")
    page.get_by_label("OpenAPI 3.0 немесе 3.1 файлы").set_input_files(OPENAPI)
    owner.press("Тексеру және жалғастыру")
    expect(page.locator("main")).to_contain_text("GET /countries/*")
    page.locator("[name='purpose.kk']").fill("Елдердің халықаралық кодтарын береді")
    page.locator("[name='purpose.ru']").fill("Отдаёт международные коды стран")
    owner.press("Жариялау")
    expect(page.locator(".said.bad")).to_contain_text("Кейбір өрістер дұрыс толтырылмаған")
    page.locator("[name='purpose.en']").fill("Gives international country codes")
    owner.press("Жариялау")


def ask(asking: Desk) -> None:
    """The ministry asks for one endpoint of it."""
    page = asking.page
    page.get_by_role("link", name="Біздің сұраулар").click()
    page.get_by_role("link", name="Қолжетімділік сұрау").click()
    page.get_by_label("Сервисті каталогтан табу").fill("ел кодтары")
    found = page.get_by_role("link", name="Ел кодтары")
    for _ in range(100):  # the catalogue follows the registry
        asking.press("Іздеу")
        if found.count():
            break
        page.wait_for_timeout(200)
    found.click()
    expect(page.get_by_label("Сервис *")).to_have_value(SERVICE)
    page.get_by_label("Операциялар").fill("GET /countries/*")
    page.get_by_label("Қазақша").fill("Рұқсат беру кезінде ел кодын тексеру")
    page.get_by_label("Құқықтық негізі").fill("«Рұқсаттар мен хабарламалар туралы» заң, 12-бап")
    page.get_by_label("Минутына шақыру").fill("60")
    page.get_by_label("Тәулігіне шақыру").fill("5000")
    page.get_by_label("Байланыс").fill("it@ministry.example")
    asking.press("Сұрауды жіберу")


def test_every_page_can_be_used_on_a_phone_and_by_ear(at: Callable[..., Desk]) -> None:
    """After what the test before has left there: no page is wider than a phone, and axe finds nothing grave."""
    owner = at("registers")
    page = owner.page
    page.set_viewport_size({"width": 360, "height": 740})
    paths = [link.get_attribute("href") or "" for link in page.locator(".menu a").all()]
    owner.go("/console/access")
    paths += [page.locator("tbody a").first.get_attribute("href") or ""]
    more = ("services/new", "services/codes/tizilim", "services/codes/tizilim/passport", "requests/new", "key")
    for path in [*(one.partition("?")[0] for one in paths), *(f"/console/{one}" for one in more)]:
        owner.go(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
        assert grave_findings(page) == [], path


def test_a_developer_sees_and_asks_and_no_more(at: Callable[..., Desk], live: Instance) -> None:
    """What is not theirs is not offered; who types its address is told."""
    developer = at("ministry", "developer")
    page = developer.page
    expect(page.locator(".menu")).not_to_contain_text("Пайдаланушылар")
    developer.go("/console/services")
    expect(page.locator("main a.button, main button")).to_have_count(0)
    developer.go("/console/people")
    expect(page.locator("main")).to_contain_text("Рөлдеріңіз бұған рұқсат бермейді.")
    developer.complaints.clear()  # of the status 403


def test_a_service_is_switched_off_with_a_notice_and_on_again(at: Callable[..., Desk], live: Instance) -> None:
    """Callers are told at once; the rights are there when it comes back."""
    owner = at("registers", "owner")
    owner.go("/console/services/codes/codes")
    owner.page.get_by_label("Шақырушыларға хабарлама").fill("18:00-ге дейін жұмыс жүріп жатыр")
    owner.press("Өшіру")
    expect(owner.page.locator(".said")).to_have_text("Сервис өшірілді.")
    refused = live.call()
    assert refused.headers["x-road-error"] == "server.serverproxy.service_disabled"
    assert "18:00-ге дейін" in refused.body.decode()
    owner.press("Қосу")
    live.until(lambda: live.call().status == 200)
