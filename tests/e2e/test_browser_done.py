"""An organisation joins in the browser, in Kazakh, from a second machine, as `docs/howto/join.md` says of the browser.

Two browsers run: the organisation's on the second machine, where its console listens for that machine alone, and one
for the registry's operator and the ministry on this one. By command is only what the guide says is typed: making the
console, enrolling and starting the node.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright

from qaztech.core.bin import reserved_bin
from qaztech.testing.consoles import passwords
from qaztech.testing.instance import Instance
from running_console import ARGUMENTS
from second_machine import SecondMachine

pytestmark = pytest.mark.browser

RUNNING = ("registry", "witness-archive", "node-ministry", "console-ministry")
BIN = reserved_bin(40)
MEMBER = f"KZ/EDU/{BIN}"
SERVICE = f"{MEMBER}/library/books"
NAME = "Талдықорған техника университеті"
OPENAPI = """
openapi: 3.0.3
info: {title: Books, version: "1"}
paths:
  /books.json: {get: {summary: All books, responses: {"200": {description: The list}}}}
"""


class Place:
    """Both machines with a browser each, and the three people at them."""

    def __init__(self, country: Instance, machine: SecondMachine, playwright: Playwright, chromium: str) -> None:
        self.country, self.machine = country, machine
        self.registry = f"http://{machine.here}:{country.country['ports']['registry']}"
        self.browsers: list[Browser] = []
        self.complaints: list[str] = []

        def open_(path: str | Path) -> Page:
            browser = playwright.chromium.launch(executable_path=path, headless=True, args=ARGUMENTS)
            self.browsers.append(browser)
            return browser.new_context(locale="kk-KZ").new_page()

        self.own, self.operator = open_(machine.wrapped(chromium)), open_(chromium)
        self.ministry = self.browsers[1].new_context(locale="kk-KZ").new_page()
        for page in (self.own, self.operator, self.ministry):
            page.on("console", lambda message: self.complaints.append(message.text))
            page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def go(self, path: str) -> None:
        """A page of the organisation's own console."""
        self.own.goto(f"http://127.0.0.1:8420/console/{path}?lang=kk")

    def said(self, text: str) -> None:
        expect(self.own.locator(".said").first).to_have_text(text)

    def press(self, name: str, page: Page | None = None) -> None:
        (page or self.own).locator("main").get_by_role("button", name=name, exact=True).click()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, program: Callable[[str], str]) -> Iterator[Place]:
    chromium = program("chromium")
    folder = tmp_path_factory.mktemp("joining")
    (folder / "there").mkdir()
    with (
        SecondMachine(folder / "there") as machine,
        Instance(folder / "home", only=RUNNING, host=machine.here) as country,
        sync_playwright() as playwright,
    ):
        place = Place(country, machine, playwright, chromium)
        yield place
        for browser in place.browsers:
            browser.close()
    # The browser tells of an answer with a status of its own, though the page says it in words.
    assert [text for text in place.complaints if "status of 4" not in text] == []


def sign_in(page: Page, url: str, account: str, password: str) -> None:
    page.goto(url)
    page.get_by_label("Кіру аты").fill(account)
    page.get_by_label("Құпиясөз", exact=True).fill(password)
    page.locator("main").get_by_role("button", name="Кіру", exact=True).click()


def test_a_key_is_made_and_the_organisation_applies(place: Place, tmp_path: Path) -> None:
    """The console is made by one command; the rest is two forms."""
    machine = place.machine
    machine.type(f"curl -fsS {place.registry}/anchor > anchor.json")
    made = machine.type(
        f"qaztech console new ~/org --anchor anchor.json --registry {place.registry}"
        " --node-settings ~/node/node.toml --json"
    )
    machine.start("qaztech console run --settings ~/org/console.toml", machine.home / "console.log")
    machine.type("for i in $(seq 150); do curl -fsS http://127.0.0.1:8420/health && exit; sleep 0.2; done; exit 1")
    sign_in(place.own, "http://127.0.0.1:8420/console/?lang=kk", "admin", json.loads(made)["password"])
    place.go("joining")
    page = place.own
    page.get_by_label("Қатысушы класы").select_option("EDU")
    page.get_by_label("БСН").fill(BIN)
    page.get_by_label("Қазақша").fill(NAME)
    page.get_by_label("Орысша").fill("Талдыкорганский технический университет")
    page.get_by_label("Ағылшынша").fill("Taldykorgan Technical University")
    place.press("Кілт жасау")
    place.said("Кілт жасалды.")
    page.get_by_label("Жауапты бөлімше").fill("Ақпараттық технологиялар бөлімі")
    page.get_by_label("Электрондық пошта").fill("it@university.example")
    page.get_by_label("Телефон").fill("+77010000000")
    page.get_by_label("Қол қоюшының файлы").set_input_files(signer(place, tmp_path))
    place.press("Өтінім беру")
    place.said("Өтінім жіберілді.")


def signer(place: Place, folder: Path) -> Path:
    """A person of the test kind who may sign for the organisation."""
    directory, out = place.country.home / "registry", folder / "signer.pem"
    place.machine.type(
        f"qaztech registry test-signer --directory {directory} --name Signatory --iin 991300000019"
        f" --bin {BIN} --out {out}"
    )
    return out


def test_the_operator_admits_it_and_the_file_goes_to_the_registry(place: Place) -> None:
    """At the registry's console, with the lineage compared; then a button at the own one."""
    lines = (place.country.home / "registry" / "people.txt").read_text().splitlines()
    accounts = dict(line.split() for line in lines if not line.startswith("#"))
    page = place.operator
    sign_in(page, place.country.country["console"], "operator", accounts["operator"])
    page.get_by_role("link", name=NAME).click()
    lineage = place.own.locator("dl.facts code").filter(has_text=re.compile(r"^([0-9a-f]{4} ){15}[0-9a-f]{4}$")).first
    expect(page.get_by_text(lineage.text_content() or "-")).to_be_visible()
    page.get_by_label("Кілттер шежіресін ұйыммен басқа жолмен салыстырдым").check()
    page.get_by_role("button", name="Қабылдау", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("Қатысушы қабылданды")
    place.go("joining")
    expect(place.own.locator("main")).to_contain_text("қабылданды")
    place.press("Файлды тізілімге жеткізу")
    place.said("Файл тізілімге жеткізілді.")


def test_a_node_is_let_in_and_speaks(place: Place) -> None:
    """The token is shown once; the node enrols by a command; a button accepts it."""
    page, machine = place.own, place.machine
    place.go("nodes")
    page.get_by_label("Торап коды").fill("node1")
    place.press("Жаңа торапқа рұқсат беру")
    token = page.locator("code.secret").text_content() or ""
    machine.type('qaztech node enrol ~/node --grant "$TOKEN" --address "$ADDRESS"', TOKEN=token,
                 ADDRESS=f"{machine.there}:5500")  # fmt: skip
    place.go("nodes")
    place.press("Торапты қабылдау")
    place.said("Торап қабылданды.")
    secret = (machine.home / "org" / "exchange.secret").read_text()
    toml = machine.home / "node" / "node.toml"
    told = f'desk = "http://127.0.0.1:8420/exchanges/{secret}"\nlimits = "../org/limits.json"\n'
    text = toml.read_text().replace("[[members]]\n", f"[[members]]\n{told}", 1)
    text = text.replace("witnessing_seconds = 30.0", "witnessing_seconds = 0.25")
    toml.write_text("refresh_seconds = 0.5\n" + text)  # a test does not wait 20 seconds
    machine.start("qaztech node run --settings ~/node/node.toml", machine.home / "node.log")
    machine.type("for i in $(seq 150); do curl -fsS http://127.0.0.1:4000/ready && exit; sleep 0.2; done; exit 1")
    place.go("nodes")
    expect(page.locator("main tbody").first).to_contain_text("дайын")


def test_a_service_is_published_from_its_openapi_file(place: Place) -> None:
    """A system, an OpenAPI file, a passport; node and registry are told by the console."""
    page, machine = place.own, place.machine
    (machine.home / "books").mkdir()
    (machine.home / "books" / "books.json").write_text('[{"title": "Абай жолы"}]', encoding="utf-8")
    machine.start("python3 -m http.server 9000 --bind 127.0.0.1 --directory ~/books", machine.home / "system.log")
    (machine.home / "books.openapi.yaml").write_text(OPENAPI)
    place.go("services")
    page.get_by_label("Код").fill("library")
    for language, name in (("Қазақша", "Кітапхана"), ("Орысша", "Библиотека"), ("Ағылшынша", "Library")):
        page.get_by_label(language).fill(name)
    place.press("Жүйе қосу")
    place.said("Жүйе қосылды.")
    page.get_by_role("link", name="Жаңа сервис").click()
    page.get_by_label("Код", exact=False).first.fill("books")
    for language, name in (("Қазақша", "Кітаптар"), ("Орысша", "Книги"), ("Ағылшынша", "Books")):
        page.get_by_label(language).fill(name)
    page.get_by_label("OpenAPI 3.0 немесе 3.1 файлы").set_input_files(machine.home / "books.openapi.yaml")
    page.get_by_label("Жүйенің мекенжайы").fill("http://127.0.0.1:9000")
    place.press("Тексеру және жалғастыру")
    expect(page.locator("main")).to_contain_text("GET /books.json")
    page.locator("[name='purpose.kk']").fill("Кітапхана қорындағы кітаптардың тізімін береді")
    page.locator("[name='purpose.ru']").fill("Отдаёт список книг библиотеки")
    page.locator("[name='purpose.en']").fill("Gives the list of the library's books")
    place.press("Жариялау")
    place.said("Сервис жарияланды.")


def test_a_request_is_approved_and_the_service_is_called(place: Place) -> None:
    """The ministry asks at its own console; once approved it calls; no other endpoint opens."""
    page, country = place.ministry, place.country
    url = country.country["consoles"]["ministry"]
    sign_in(page, f"{url}/console/?lang=kk", "developer", passwords(country.home, "ministry")["developer"])
    country.until(lambda: "access_denied" in country.call("/books.json", service=SERVICE).headers["x-road-error"])
    page.goto(f"{url}/console/requests?lang=kk")
    page.get_by_role("link", name="Қолжетімділік сұрау").click()
    page.get_by_label("Сервис *").fill(SERVICE)
    page.get_by_label("Операциялар").fill("GET /books.json")
    page.get_by_label("Қазақша").fill("Кітап қорын салыстыру")
    page.get_by_label("Құқықтық негізі").fill("№ 7 бұйрық")
    page.get_by_label("Минутына шақыру").fill("60")
    page.get_by_label("Тәулігіне шақыру").fill("5000")
    page.get_by_label("Байланыс").fill("it@ministry.example")
    place.press("Сұрауды жіберу", page)
    expect(page.locator(".said")).to_have_text("Сұрау жеткізілді.")
    place.go("access")
    place.own.locator("tbody a").first.click()
    expect(place.own.locator("main")).to_contain_text("Кітап қорын салыстыру")
    place.press("Рұқсат беру")
    place.said("Рұқсат берілді.")
    country.until(lambda: country.call("/books.json", service=SERVICE).status == 200, 20.0)
    assert country.call("/other.json", service=SERVICE).status == 500


def test_the_key_is_changed_and_the_receipt_is_kept(place: Place) -> None:
    """Calls go on with another key; the console gives the receipt, which verifies on the second machine."""
    page, country = place.own, place.country
    place.go("key")
    page.get_by_label("Иә, кілтті ауыстырамын").check()
    place.press("Кілтті ауыстыру")
    place.said("Кілт ауыстырылды.")
    answer = country.call("/books.json", service=SERVICE)
    assert json.loads(answer.body) == [{"title": "Абай жолы"}]
    place.go(f"exchanges/{answer.message}")
    with page.expect_download() as saved:
        page.get_by_role("link", name=re.compile("JSON")).first.click()
    saved.value.save_as(place.machine.home / "receipt.json")
    place.machine.type("qaztech verify receipt.json --anchor anchor.json --require witnessed")
