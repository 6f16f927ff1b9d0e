"""Signing in through a real OpenID provider: Canaille, in an environment of its own, in a real browser, in Kazakh."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from locked_environment import locked_python
from qaztech.people.oidc import CALLBACK, ProviderSettings
from qaztech.testing.free_ports import free_ports
from running_console import ARGUMENTS, Console

pytestmark = pytest.mark.browser

HERE = Path(__file__).parent / "openid"
LOCK = HERE / "provider.lock"
SECRET = "correct horse battery staple"


@pytest.fixture(scope="module")
def provider_python(pytestconfig: pytest.Config) -> Path:
    """The Python of an environment with the provider."""
    return locked_python(pytestconfig.cache, "openid-provider", LOCK)


@pytest.fixture(scope="module")
def console(
    tmp_path_factory: pytest.TempPathFactory, provider_python: Path, program: Callable[[str], str]
) -> Iterator[Console]:
    """A running console, and the provider that it sends people to."""
    program("chromium")
    port, provider_port = free_ports(2)
    arguments = [provider_python, HERE / "provider.py", str(provider_port), f"http://localhost:{port}{CALLBACK}"]
    provider = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert provider.stdout is not None
    settings = ProviderSettings(
        issuer=f"http://localhost:{provider_port}", client_id="console", client_secret="secret of the client",
        name="Canaille", scopes=("openid", "profile", "groups"), role_claim="groups", name_claim="sub",
        role_map={"qaztech-developers": "developer"}, create_accounts=True,
    )  # fmt: skip
    try:
        assert provider.stdout.readline() == "ready\n"
        with Console(tmp_path_factory.mktemp("console"), settings=settings, port=port) as running:
            yield running
    finally:
        provider.terminate()
        provider.wait(10)
        provider.stdout.close()
    assert {"identity.link", "account.add"} <= set(running.acts)


@pytest.fixture
def page(console: Console, program: Callable[[str], str]) -> Iterator[Page]:
    """A fresh browser at the door, in Kazakh."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program("chromium"), headless=True, args=ARGUMENTS)
        page = browser.new_page()
        page.goto(console.url + "/account?lang=kk")
        page.get_by_role("link", name="«Canaille» арқылы кіру").click()
        yield page
        browser.close()


def sign_in_there(page: Page, name: str) -> None:
    """What the provider asks: name, password, and consent, where nobody has given it for this console yet."""
    page.locator("input[name=login]").fill(name)
    page.locator("input[name=login]").press("Enter")
    page.locator("input[name=password]").fill(SECRET)
    page.locator("input[name=password]").press("Enter")
    consent = page.locator("button[name=answer][value=accept]")
    consent.or_(page.locator("body.people")).first.wait_for()
    if consent.is_visible():
        consent.click()


def test_who_the_provider_knows_comes_in_with_their_role(page: Page, console: Console) -> None:
    """There and back; an account is made, its role is the provider's group, and signing out works as for others."""
    sign_in_there(page, "dana")
    expect(page).to_have_url(console.url + "/account?lang=kk")
    expect(page.get_by_text("Әзірлеуші")).to_be_visible()
    expect(page.get_by_text("басқа қызмет арқылы")).to_be_visible()
    assert console.people.accounts.named("dana").roles == ("developer",)
    page.get_by_role("button", name="Шығу").click()
    expect(page.locator(".said")).to_have_text("Сіз шықтыңыз.")


def test_who_has_no_role_there_stays_out(page: Page, console: Console) -> None:
    """The provider knows them, and that is not enough."""
    sign_in_there(page, "stranger")
    expect(page.get_by_role("alert")).to_contain_text("мұнда есептік жазбасы жоқ")
    assert "stranger" not in [account.name for account in console.people.accounts.all()]
