"""The HTML receipt in a real browser, from disk and offline: what it says, what it finds, what it never does."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from qaztech.core.commitment import BODY, HEADERS, PATH, QUERY
from qaztech.evidence.receipt import Disclosure, Receipt, format_receipt
from qaztech.web.receipt_html import render_html
from receipt_country import BODIES, ReceiptCountry
from registry_country import Country

pytestmark = pytest.mark.browser

ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
DISCLOSED = (("request", PATH), ("request", QUERY), ("request", HEADERS), ("response", BODY))
EVIL = "<img src=x onerror=\"document.title='broken'\"></script><script>document.title='broken'</script>"


@pytest.fixture(scope="module")
def browser(program: Callable[[str], str], country: ReceiptCountry) -> Iterator[Browser]:
    """Debian's Chromium, headless, with a profile of its own; made after the country, which runs loops of its own."""
    path = program("chromium")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, headless=True, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture(scope="module")
def country(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReceiptCountry]:
    """Receipts of real records in real logs."""
    registry = Country(tmp_path_factory.mktemp("country"))
    yield ReceiptCountry(registry)
    registry.close()


@pytest.fixture
def receipt(country: ReceiptCountry) -> Receipt:
    """The receipt of the usual call."""
    return country.receipt(country.answered(), disclose=DISCLOSED)  # type: ignore[arg-type]


class Opened:
    """A receipt's file in a page, with everything it asked for and complained of."""

    def __init__(self, browser: Browser, path: Path, *, script: str = "", **options: Any) -> None:
        self.context = browser.new_context(**options)
        self.context.set_offline(True)
        self.page: Page = self.context.new_page()
        self.asked: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        if script:
            self.page.add_init_script(script)
        self.page.goto(path.as_uri())
        expect(self.page.locator(".headline .mark")).to_be_visible()

    def verdicts(self, kind: str) -> int:
        return self.page.locator(f".check.{kind}").count()


@pytest.fixture
def opened(browser: Browser, country: ReceiptCountry, tmp_path: Path) -> Iterator[Callable[..., Opened]]:
    """Write a receipt as HTML and open the file."""
    pages: list[Opened] = []

    def open_(receipt: Receipt | dict[str, Any], *, language: str = "en", **options: Any) -> Opened:
        form = json.loads(format_receipt(receipt)) if isinstance(receipt, Receipt) else receipt
        path = tmp_path / f"receipt-{len(pages)}.html"
        path.write_bytes(render_html(form, country.country.anchor_bytes, language=language))
        pages.append(Opened(browser, path, **options))
        return pages[-1]

    yield open_
    for page in pages:
        page.context.close()


def test_a_good_receipt_is_green_from_disk_and_offline(
    opened: Callable[..., Opened], receipt: Receipt, country: ReceiptCountry
) -> None:
    """Every check holds, by the browser's own cryptography; nothing but the file itself is loaded."""
    shown = opened(receipt)
    expect(shown.page.locator(".headline")).to_contain_text("Everything that can be checked here holds")
    assert shown.verdicts("bad") == 0
    assert shown.verdicts("ok") > 30
    assert len(shown.asked) == 1
    assert shown.complaints == []
    text = shown.page.inner_text("main")
    assert country.country.anchor.fingerprint in " ".join(text.split())
    assert "A page cannot vouch for itself" in text
    assert "by this browser itself" in text
    assert "/countries/KZ" in text


def test_without_webcrypto_the_vendored_code_finds_the_same(opened: Callable[..., Opened], receipt: Receipt) -> None:
    """And the page says so."""
    shown = opened(receipt, script="Object.defineProperty(globalThis.crypto, 'subtle', {value: undefined});")
    assert shown.verdicts("bad") == 0
    assert shown.verdicts("ok") > 30
    assert "the code that comes with this page" in shown.page.inner_text("main")


def test_one_changed_byte_turns_checks_red_and_can_be_undone(opened: Callable[..., Opened], receipt: Receipt) -> None:
    """By a click, by the keyboard alone, and by editing."""
    page = opened(receipt).page
    for _ in range(5):
        page.get_by_role("button", name="Change one byte").click()
        expect(page.locator(".headline.bad")).to_be_visible()
        assert page.locator(".check.bad").count() >= 1
        expect(page.locator(".changed-bar")).to_contain_text("became")
        page.get_by_role("button", name="Undo").click()
        expect(page.locator(".headline.ok")).to_be_visible()
        assert page.locator(".check.bad").count() == 0
    page.get_by_role("button", name="Change one byte").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".headline.bad")).to_be_visible()
    page.get_by_role("button", name="Undo").focus()
    page.keyboard.press("Space")
    expect(page.locator(".headline.ok")).to_be_visible()
    page.locator("details.bytes summary").first.click()
    editor = page.locator("details.bytes textarea").first
    record = editor.input_value()
    editor.fill(record.replace("attempt 1", "attempt 2"))
    expect(page.locator(".failures")).to_contain_text("Inclusion")
    editor.fill(record)
    expect(page.locator(".headline.ok")).to_be_visible()
    expect(page.locator(".changed")).to_have_count(0)


@pytest.mark.parametrize("language", ["kk", "ru", "en"])
def test_the_language_can_be_switched_in_the_file(
    opened: Callable[..., Opened], receipt: Receipt, language: str
) -> None:
    """Everything is said in it, the checks too."""
    page = opened(receipt, language="ru").page
    page.locator(f"button[data-language={language}]").click()
    title = {"kk": "Алмасу түбіртегі", "ru": "Квитанция обмена", "en": "Receipt of an exchange"}[language]
    expect(page.locator("h1")).to_have_text(title)
    expect(page).to_have_title(title)
    assert page.evaluate("document.documentElement.lang") == language
    held = {"kk": "дұрыс", "ru": "проверено", "en": "holds"}[language]
    expect(page.locator(".check .verdict").first).to_have_text(held)


def test_a_body_is_checked_when_its_file_is_chosen(
    opened: Callable[..., Opened], receipt: Receipt, tmp_path: Path
) -> None:
    """Until then it is not checked; another body is found out."""
    page = opened(receipt).page
    card = page.locator("article", has_text="answer: body")
    expect(card.locator(".check.unchecked")).to_have_count(1)
    for name, body, verdict in (("right", BODIES["response"], "ok"), ("wrong", b"another", "bad")):
        path = tmp_path / name
        path.write_bytes(body)
        card.locator("input[type=file]").set_input_files(path)
        expect(card.locator(f".check.{verdict}")).to_have_count(1)


def test_what_a_receipt_says_never_becomes_markup(opened: Callable[..., Opened], receipt: Receipt) -> None:
    """Wherever text of others stands: a disclosed value, a log's name, the state, a record that is none."""
    evil = Disclosure("request", QUERY, receipt.disclosure[1].salt, EVIL.encode())
    changed = replace(receipt, disclosure=(evil,))
    form = json.loads(format_receipt(changed))
    form["logs"][0] |= {"origin": EVIL, "member": EVIL, "vkeys": [EVIL]}
    for one in (form, form | {"state": EVIL}, form | {"message": EVIL, "messages": [EVIL]}, [EVIL]):
        shown = opened(one)
        assert shown.page.title() == "Receipt of an exchange"
        assert shown.page.locator("img").count() == 0
        expect(shown.page.locator(".headline.bad")).to_be_visible()
        assert len(shown.asked) == 1


def test_the_file_can_reach_nobody(opened: Callable[..., Opened], receipt: Receipt) -> None:
    """Its policy forbids it, even to a script that got in."""
    shown = opened(receipt)
    shown.context.set_offline(False)
    tried = "fetch('http://127.0.0.1:9/').then(() => 'sent', (error) => String(error))"
    assert "sent" not in shown.page.evaluate(tried)
    assert any("Content Security Policy" in text for text in shown.complaints)
    shown.page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), {textContent: 'document.title = 1'}))"
    )
    assert shown.page.title() == "Receipt of an exchange"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(opened: Callable[..., Opened], receipt: Receipt, scheme: str) -> None:
    """Nothing is cut off or has to be moved sideways."""
    shown = opened(receipt, viewport={"width": 360, "height": 740}, color_scheme=scheme)
    page = shown.page
    page.get_by_role("button", name="Change one byte").click()
    expect(page.locator(".headline.bad")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_it_can_be_read_aloud(opened: Callable[..., Opened], receipt: Receipt) -> None:
    """Headings in order, every control with a name, verdicts in words beside their marks."""
    page = opened(receipt).page
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map((heading) => Number(heading.tagName[1]))")
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    names = page.evaluate(
        "[...document.querySelectorAll('button,textarea,input')].map((one) =>"
        " one.ariaLabel || one.textContent.trim() || (one.labels[0] && one.labels[0].textContent.trim()))"
    )
    assert all(names)
    assert page.locator(".check .verdict").count() == page.locator(".check").count()
    assert page.locator(".mark:not([aria-hidden=true])").count() == 0


def test_what_it_cannot_check_is_never_green(opened: Callable[..., Opened], country: ReceiptCountry) -> None:
    """A timestamp stands as not checked here, and the state it would give is not claimed."""
    receipt = country.stamped(country.receipt(country.answered()), lambda _: b"token")
    page = opened(receipt).page
    rows = page.locator(".check", has=page.locator("strong", has_text="Timestamp"))
    assert rows.count() >= 2
    for row in rows.all():
        expect(row.locator(".verdict")).to_have_text("not checked here")
    state = page.locator("#at-receipt .check", has=page.locator("strong", has_text="State"))
    expect(state.locator(".verdict")).to_have_text("not checked here")
