"""A new organisation joins in its own console, in Kazakh: key, application, file, node; then a key changes."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from newcomer import Newcomer
from qaztech.core.bin import check_digit, reserved_bin
from qaztech.testing.free_ports import free_ports
from qaztech.testing.instance import Instance, request

pytestmark = pytest.mark.browser

RUNNING = ("registry", "witness-archive", "system-codes", "node-ministry", "node-registers")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
BIN = reserved_bin(61)
MEMBER = f"KZ/EDU/{BIN}"


class OwnConsole:
    """The organisation's console, a process of its own."""

    def __init__(self, place: Newcomer) -> None:
        (port,) = free_ports(1)
        folder = place.folder / "console"
        self.facts: dict[str, Any] = place.run(
            "console", "new", folder, "--anchor", place.country.anchor, "--registry", place.registry, "--port", port,
            "--node", f"http://127.0.0.1:{place.management}", "--edge", f"http://127.0.0.1:{place.edge}",
        )  # fmt: skip
        settings = Path(self.facts["settings"])
        settings.write_text(settings.read_text() + "follow_seconds = 0.5\n")
        command = [sys.executable, "-m", "qaztech.cli.main", "console", "run", "--settings", str(settings)]
        with (place.folder / "console.log").open("ab") as log:
            self.process = subprocess.Popen(command, stderr=log)
        place.country.until(self.is_there, 30.0)

    @property
    def url(self) -> str:
        return str(self.facts["url"])

    def is_there(self) -> bool:
        try:
            return request(self.url, "GET", "/health").status == 200
        except OSError:
            return False

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0


@pytest.fixture
def place(tmp_path: Path, program: Callable[[str], str], capsys: pytest.CaptureFixture[str]) -> Iterator[Newcomer]:
    """A country, and an organisation that is not in it yet."""
    program("chromium")
    with Instance(tmp_path / "home", only=RUNNING) as country:
        place = Newcomer(country, tmp_path, MEMBER)
        place.capsys = capsys
        yield place
        place.stop()


@pytest.fixture
def page(place: Newcomer, program: Callable[[str], str]) -> Iterator[tuple[Page, OwnConsole]]:
    """Its administrator, signed in."""
    console = OwnConsole(place)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program("chromium"), headless=True, args=ARGUMENTS)
        page = browser.new_context().new_page()
        page.goto(f"{console.url}/console/?lang=kk")
        page.get_by_label("Кіру аты").fill(console.facts["account"])
        page.get_by_label("Құпиясөз").fill(console.facts["password"])
        page.locator("main").get_by_role("button", name="Кіру", exact=True).click()
        yield page, console
        browser.close()
    console.stop()


def signer(place: Newcomer) -> Path:
    """A person of the test kind who signs for the organisation."""
    iin = next(f"99130000{n:03d}{d}" for n in range(100) if (d := check_digit(f"99130000{n:03d}")) is not None)
    file = place.folder / "signer.pem"
    place.run(
        "registry", "test-signer", "--directory", place.country.home / "registry", "--name", "Signatory of a test",
        "--iin", iin, "--bin", BIN, "--out", file,
    )  # fmt: skip
    return file


def test_an_organisation_joins_in_its_console(place: Newcomer, page: tuple[Page, OwnConsole]) -> None:
    """Each page says the next step; the operator and who sets the node up do theirs by command."""
    seen, console = page
    said, main = seen.locator(".said").last, seen.locator("main")

    def press(name: str) -> None:
        main.get_by_role("button", name=name, exact=True).click()

    expect(said).to_contain_text("Алдымен ұйымның кілтін жасаңыз.")
    seen.get_by_label("Қатысушы класы").select_option("EDU")
    for language, name in (("Қазақша", "Талдықорған техника университеті"), ("Орысша", "Техуниверситет"),
                           ("Ағылшынша", "Taldykorgan Technical University")):  # fmt: skip
        seen.get_by_label(language).fill(name)
    seen.get_by_label("БСН").fill(BIN[:-1] + str((int(BIN[-1]) + 1) % 10))
    press("Кілт жасау")
    expect(seen.get_by_role("alert")).to_contain_text("БСН дұрыс емес.")
    seen.get_by_label("БСН").fill(BIN)
    press("Кілт жасау")

    expect(said).to_contain_text("Енді тізілімге өтінім беріңіз.")
    seen.get_by_label("Жауапты бөлімше").fill("АТ бөлімі")
    seen.get_by_label("Электрондық пошта").fill("it@university.example")
    seen.get_by_label("Телефон").fill("+77010000000")
    seen.get_by_label("Қол қоюшының файлы").set_input_files(signer(place))
    press("Өтінім беру")
    expect(said).to_contain_text("Өтінім тізілімде.")

    application = place.operator("applications")["applications"][0]
    lineage = application["lineage"]
    expect(main).to_contain_text(" ".join(lineage[i : i + 4] for i in range(0, 64, 4)))
    place.operator("decide", application["id"], "--admit")
    seen.reload()
    expect(said).to_contain_text("Сіз қабылдандыңыз.")
    press("Файлды тізілімге жеткізу")

    expect(said).to_contain_text("Енді торап керек")
    seen.get_by_role("link", name="Жаңа торапқа рұқсат беру").click()
    seen.get_by_label("Торап коды").fill("node1")
    press("Жаңа торапқа рұқсат беру")
    token = seen.locator("code.secret").inner_text()
    place.run(
        "node", "enrol", place.node, "--grant", token, "--address", f"127.0.0.1:{place.link}", "--edge-port",
        place.edge, "--management-port", place.management,
    )  # fmt: skip
    seen.get_by_role("link", name="Тораптар", exact=True).click()
    expect(main).to_contain_text("тіркелді, қабылдауды күтуде")
    press("Торапты қабылдау")
    expect(main).to_contain_text("қатысушы атынан сөйлейді")
    settings = place.node / "node.toml"
    text = settings.read_text().replace("witnessing_seconds = 30.0", "witnessing_seconds = 0.25")
    settings.write_text("refresh_seconds = 0.5\n" + text)
    place.start()
    seen.get_by_role("link", name="Шолу", exact=True).click()
    expect(main).to_contain_text(f"дайын {MEMBER}/node1")

    seen.get_by_role("link", name="Қатысушы", exact=True).click()
    expect(said).to_contain_text("Бәрі дайын")
    seen.get_by_role("link", name="Кілтті ауыстыру").click()
    seen.get_by_label("Иә, кілтті ауыстырамын").check()
    press("Кілтті ауыстыру")
    expect(seen.locator(".said").first).to_contain_text("Кілт ауыстырылды.")
    seen.get_by_role("link", name="Әрекеттер журналы").click()
    for act in ("кілт жасау", "өтінім беру", "торапқа рұқсат беру", "торапты қабылдау", "кілтті ауыстыру"):
        expect(seen.locator("tbody")).to_contain_text(act)
    expect(main).not_to_contain_text("university.example")
    assert console.process.poll() is None
