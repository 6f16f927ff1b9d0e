"""The catalogue of a running country in a real browser: search, services, logs, a dropped receipt; for everyone.

"For everyone" is looked at: axe on every page in both colour schemes, the keyboard alone, a phone's width, no script.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

import qaztech.testing
from axe import grave_findings
from qaztech.core.errors import Untrusted
from qaztech.evidence.note import VerifierKey
from qaztech.evidence.proof import TlogProof
from qaztech.member.openapi import read_description
from qaztech.registry.anchor import parse_anchor
from qaztech.registry.forms import Names
from qaztech.registry.member_file import verify_member_file
from qaztech.registry.passport import new_passport
from qaztech.registry.showcase import ShownService, describe, new_showcase, sign_showcase
from qaztech.registry.submitting import show
from qaztech.testing import processes
from qaztech.testing.instance import Instance, request

pytestmark = pytest.mark.browser

ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
NAMES = Names(kk="ISO кодтарының анықтамалығы", ru="Справочник кодов ISO", en="ISO code lists")
PURPOSE = Names(
    kk="Елдердің, валюталардың және тілдердің кодтарын береді",
    ru="Выдаёт коды стран, валют и языков",
    en="Gives the codes of countries, currencies and languages",
)


def show_codes(country: Instance) -> None:
    """The centre of registers shows its service: a passport and its OpenAPI description."""
    desk = country.desk("registers")
    source = Path(qaztech.testing.__file__).parent / "codes.openapi.yaml"
    document = read_description(source.read_bytes()).document
    passport = msgspec.structs.replace(new_passport(NAMES, environment="production"), purpose=PURPOSE)
    line = ShownService(id=country.service, passport=passport, description=describe(document))
    statement = new_showcase(verify_member_file(desk.submission().envelope), 1000, int(time.time() * 1000), (line,))
    show(country.country["registry"], str(desk.member), sign_showcase(statement, desk.key), [document])


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, program: Callable[[str], str]) -> Iterator[Instance]:
    """A country whose one service is shown."""
    program("chromium")
    with Instance(tmp_path_factory.mktemp("live") / "home") as running:
        show_codes(running)
        portal = running.country["portal"]
        running.until(lambda: b"ISO code lists" in request(portal, "GET", "/api/v1/catalogue").body)
        yield running


@pytest.fixture(scope="module")
def browser(live: Instance, program: Callable[[str], str]) -> Iterator[Browser]:
    """Debian's Chromium, headless."""
    del live
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program("chromium"), headless=True, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture
def visit(browser: Browser, live: Instance) -> Iterator[Callable[..., Page]]:
    """Open the portal as one visitor; whatever a page asks for must come from the portal."""
    contexts: list[BrowserContext] = []
    foreign: list[str] = []
    portal: str = live.country["portal"]

    def go(path: str, **options: object) -> Page:
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda asked: None if asked.url.startswith(portal) else foreign.append(asked.url))
        page.goto(portal + path)
        return page

    yield go
    for context in contexts:
        context.close()
    assert foreign == []


def paths(live: Instance) -> dict[str, str]:
    """Every page of the portal."""
    service = live.service.partition("/")[2]
    return {
        "country": "/",
        "catalogue": "/catalogue?q=%D0%BA%D0%BE%D0%B4",
        "nothing found": "/catalogue?q=zzzz",
        "service": f"/services/{service}",
        "members": "/members",
        "member": f"/members/{'/'.join(service.split('/')[:2])}",
        "access": "/access",
        "access to a service": f"/access?service={live.service}",
        "logs": "/logs",
        "admin log": "/admin-log",
        "verify": "/verify",
        "missing": "/nowhere",
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_grave(visit: Callable[..., Page], live: Instance, scheme: str) -> None:
    """On any page, in Kazakh, in light and in dark; details opened."""
    page = visit("/", color_scheme=scheme)
    found = {}
    for name, path in paths(live).items():
        page.goto(live.country["portal"] + path + ("&" if "?" in path else "?") + "lang=kk")
        page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        found[name] = grave_findings(page)
    assert {name: findings for name, findings in found.items() if findings} == {}


@pytest.mark.parametrize("language", ["ru", "en"])
def test_axe_finds_nothing_grave_on_access_and_acts_in_other_languages(
    visit: Callable[..., Page], live: Instance, language: str
) -> None:
    """Their longest words differ; details opened."""
    page = visit("/")
    found = {}
    for name in ("access", "access to a service", "admin log"):
        path = paths(live)[name]
        page.goto(live.country["portal"] + path + ("&" if "?" in path else "?") + f"lang={language}")
        page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        found[name] = grave_findings(page)
    assert {name: findings for name, findings in found.items() if findings} == {}


def test_the_keyboard_alone_finds_a_service(visit: Callable[..., Page]) -> None:
    """Past the skip link to the search, type a form of a word, and open what was found."""
    page = visit("/catalogue?lang=kk")
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "q":
            break
    page.keyboard.type("анықтамалықтарды")
    page.keyboard.press("Enter")
    expect(page.locator(".result mark").first).to_have_text("анықтамалығы")
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('.result h3') !== null"):
            break
    page.keyboard.press("Enter")
    expect(page.locator("h2.name")).to_have_text(NAMES.kk)


def test_a_phone_shows_every_page_without_scrolling_sideways(visit: Callable[..., Page], live: Instance) -> None:
    """At 360 pixels, in each language."""
    page = visit("/", viewport={"width": 360, "height": 740})
    wide = []
    for language in ("kk", "ru", "en"):
        for name, path in paths(live).items():
            page.goto(live.country["portal"] + path + ("&" if "?" in path else "?") + f"lang={language}")
            page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
            if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
                wide.append((language, name))
    assert wide == []


def test_the_catalogue_works_without_javascript(visit: Callable[..., Page], live: Instance) -> None:
    """Search, filter, open a service, go to its member and back by the sections."""
    page = visit("/catalogue?lang=ru", java_script_enabled=False)
    page.fill("#q", "справочники")
    page.select_option("#facet-class", "QUASI")
    page.click("form.search button")
    expect(page.locator("#found")).to_have_text("Найдено: 1")
    page.click(".result h3 a")
    expect(page.locator("h2.name")).to_have_text(NAMES.ru)
    expect(page.locator(".operation summary").first).to_contain_text("/countries.json")
    page.click("dl.facts a")
    expect(page.locator("h2.name")).to_have_text("Центр регистров (пример)")
    page.click("nav.sections a[href^='/logs']")
    expect(page.locator(".log-state")).to_have_count(2 + len(live.country["nodes"]))


def test_logs_show_what_each_witness_has_seen(visit: Callable[..., Page], live: Instance) -> None:
    """Sizes whose signatures were checked, with a quorum."""
    answer = live.call()
    live.receipt(answer.message)
    size = live.manage("ministry", "/status")["log"]["size"]
    origin = live.manage("ministry", "/status")["log"]["origin"]
    time.sleep(3.1)  # what was asked a moment ago is kept so long
    log = visit("/logs?lang=en").locator(f"[data-origin='{origin}']")
    expect(log.locator(".figure")).to_have_text(str(size))
    expect(log).to_contain_text(f"entries seen by a quorum: {size}")
    assert sum(int(text) == size for text in log.locator("tbody td.amount").all_inner_texts() if text.isdigit()) >= 2


def all_saw_the_acts(live: Instance) -> bool:
    """Whether the witness in the registry, in a node and in a process of its own have all cosigned the admin log."""
    logs = json.loads(request(live.country["portal"], "GET", "/api/v1/logs").body)["logs"]
    (log,) = [log for log in logs if log["kind"] == "admin"]
    return [one["size"] for one in log["witnesses"]] == [log["size"]] * 3 and log["size"] > 0


def test_an_act_is_shown_without_names_and_proven_to_anybody(
    visit: Callable[..., Page], live: Instance, tmp_path: Path
) -> None:
    """Cosigned by the witnesses; the file that the page gives holds with the anchor's policy and the log's key."""
    live.until(lambda: json.loads(request(live.country["portal"], "GET", "/api/v1/admin-log").body)["witnessed"] > 0)
    live.until(lambda: all_saw_the_acts(live))
    page = visit("/admin-log?lang=kk")
    expect(page.locator(".hero .badge")).to_contain_text("Куәгерлер кворумы")
    act = page.locator("li.card").last
    expect(act).to_contain_text("Есептік жазба қосылды")
    act.locator("summary").click()
    leaf = bytes.fromhex(act.locator("details code").inner_text())
    with page.expect_download() as download:
        act.locator("details a").click()
    file = tmp_path / "act.tlog-proof"
    download.value.save_as(file)
    proof = TlogProof.parse(file.read_bytes())
    anchor = parse_anchor(live.anchor.read_bytes())
    origin = proof.checkpoint.split(b"\n")[0].decode()
    named = json.loads(request(live.country["registry"], "GET", "/registry/admin-log/acts").body)
    assert origin == named["origin"]
    proof.verify(leaf, anchor.policy, [VerifierKey.parse(named["vkey"])])
    with pytest.raises(Untrusted):
        proof.verify(bytes(32), anchor.policy, [VerifierKey.parse(named["vkey"])])
    token = (live.home / "registry" / "management.token").read_text()
    headers = {"Authorization": f"Bearer {token}"}
    full = json.loads(request(live.country["registry"], "GET", "/manage/acts", headers=headers).body)
    names = {one[key] for one in full for key in ("who", "subject")}
    assert "operator" in names
    text = page.locator("main").inner_text()
    assert [name for name in names if name in text] == []


def test_asking_begins_at_the_service(visit: Callable[..., Page], live: Instance) -> None:
    """The page says what to type in one's own console, and that requests are not seen here."""
    page = visit(paths(live)["service"] + "?lang=kk")
    page.click("p.asking a.button")
    expect(page.locator("#path")).to_have_text(f"/console/requests/new?service={live.service}")
    expect(page.locator("#ask")).to_be_in_viewport()
    expect(page.locator(".rights .card").first).to_contain_text("күшінде")
    page.fill("#member", "университет")
    page.fill("#service", "")
    page.click("form.search button")
    expect(page.locator(".rights .card h3").first).to_contain_text("университеті")


def test_a_receipt_is_checked_here_and_sent_nowhere(visit: Callable[..., Page], live: Instance, tmp_path: Path) -> None:
    """A true one that was chosen holds, a forged one that was dropped does not; nothing leaves the browser."""
    receipt = live.receipt(live.call().message)
    true = tmp_path / "true.json"
    true.write_text(json.dumps(receipt))
    receipt["messages"][0]["record"] = receipt["messages"][1]["record"]
    page = visit("/verify?lang=kk")
    sent: list[str] = []
    page.on("request", lambda asked: sent.append(f"{asked.method} {asked.url.rpartition('/')[2]}"))
    page.set_input_files("#file", true)
    expect(page.locator(".headline")).to_contain_text("дұрыс", timeout=15_000)
    assert grave_findings(page) == []
    make = "text => { const given = new DataTransfer(); given.items.add(new File([text], 'r.json')); return given }"
    page.dispatch_event("#drop", "drop", {"dataTransfer": page.evaluate_handle(make, json.dumps(receipt))})
    expect(page.locator(".failures").first).to_be_visible(timeout=15_000)
    assert set(sent) <= {"GET anchor.json", "GET icon.svg"}


def test_a_call_is_copied_by_its_button(visit: Callable[..., Page], live: Instance) -> None:
    """And the button says so."""
    page = visit(paths(live)["service"] + "?lang=kk")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    button = page.locator("[data-copy=sample-curl]")
    button.click()
    expect(button).to_have_text("Көшірілді")
    assert page.evaluate("navigator.clipboard.readText()") == page.locator("#sample-curl").text_content()


def test_calls_to_copy_work_as_they_stand(
    visit: Callable[..., Page], live: Instance, program: Callable[[str], str], tmp_path: Path
) -> None:
    """In the embedded country nothing is left to fill in."""
    page = visit(paths(live)["service"])
    for code, runtime in (("curl", "bash"), ("python", "python3"), ("javascript", "node")):
        file = tmp_path / {"curl": "call.sh", "python": "call.py", "javascript": "call.mjs"}[code]
        file.write_text(page.locator(f"#sample-{code}").text_content() or "")
        told = subprocess.run([program(runtime), file], capture_output=True, text=True, timeout=60, check=True)
        assert "alpha_2" in told.stdout, code


def test_the_catalogue_stays_while_the_registry_is_down(visit: Callable[..., Page], live: Instance) -> None:
    """With the reason on the page; and goes on when it is back."""

    def problem() -> str | None:
        answer = request(live.country["portal"], "GET", "/api/v1/catalogue")
        found: str | None = json.loads(answer.body)["snapshot"]["problem"]
        return found

    live.kill("registry")
    try:
        live.until(lambda: problem() == "registry.unavailable")
        page = visit("/catalogue?lang=en")
        expect(page.locator(".warning")).to_contain_text("registry.unavailable")
        expect(page.locator(".result h3")).to_have_text(NAMES.en)
    finally:
        processes.start(live.home, only=("registry",))
    live.until(lambda: problem() is None, 40.0)
