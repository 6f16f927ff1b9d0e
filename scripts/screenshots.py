"""Make docs/screenshots from a running country: pages of portal, consoles and support center.

python scripts/screenshots.py [NAME …]    (make screenshots)

Needs Chromium. Names pick pages (`centre-` all that begin so); without any, all are made. The page that shows them is
written each time.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import screenshot_centre
import screenshot_scene
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from small_png import small_png

from qaztech.testing.centre import centre_passwords
from qaztech.testing.consoles import passwords
from qaztech.testing.country import DEFAULT_BASE_PORT, CountryOptions, Ports, found
from qaztech.testing.instance import Instance

FOLDER = Path(__file__).parents[1] / "docs" / "screenshots"
MOST_BYTES = 200 * 1024
TALLEST = 2400
WIDE, PHONE = 1120, 360
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--font-render-hinting=none", "--lang=kk"]  # fmt: skip
WITNESSING = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One picture: where, in which language, how wide, what it shows. `site`: portal, registry, centre or a member."""

    name: str
    site: str
    path: str
    shows: str
    language: str = "kk"
    width: int = WIDE
    dark: bool = False
    # What is done on the page first: `open` one operation and show it alone, `send` its form, or `bring` a file.
    step: str = ""
    # Milliseconds until it is drawn.
    wait: int = 150


def _shots() -> list[Shot]:
    def of(site: str, *lines: tuple[str, str, str]) -> list[Shot]:
        return [Shot(name=f"{site}-{name}", site=site, path=path, shows=shows) for name, path, shows in lines]

    portal = of(
        "portal",
        ("live", "/", "the country live: nodes, calls as they are made, logs and witnesses"),
        ("catalogue", "/catalogue", "the catalogue"),
        ("search", "/catalogue?q=анықтаманы", "search by word forms"),
        ("service", "/services/{service}", "a service: passport, OpenAPI, who may call, calls to copy"),
        ("members", "/members", "members"),
        ("member", "/members/{provider}", "one member"),
        ("access", "/access?service={asked_service}", "how to ask for access, and who was given it"),
        ("logs", "/logs", "every log with its checkpoint and witnesses"),
        ("acts", "/admin-log", "the admin log without names, with its witnesses and proofs"),
        ("verify", "/verify", "check a receipt by dropping its file"),
        ("receipt", "/receipts/ministry/{message}", "one exchange and its receipt"),
    )
    registry = of(
        "registry",
        ("sign-in", "/sign-in", "signing in"),
        ("overview", "/console/", "the overview: what waits, what ends"),
        ("applications", "/console/applications", "applications"),
        (
            "application",
            "/console/applications/{application}",
            "an application and what to look at: a name like another",
        ),
        ("members", "/console/members", "members"),
        ("member", "/console/members/{provider}", "one member"),
        ("standing", "/console/members/{provider}/standing", "suspending a member asks first"),
        ("keys", "/console/keys", "certificates and keys"),
        ("snapshot", "/console/snapshot", "what is published"),
        ("acts", "/console/acts", "the admin log"),
        ("people", "/console/people", "who may sign in"),
        ("account", "/account", "one's own account: password, passkeys, tokens"),
    )
    member = of(
        "ministry",
        ("overview", "/console/", "the member at a glance"),
        ("services", "/console/services", "its services"),
        ("service", "/console/services/{own}", "one of them"),
        ("passport", "/console/services/{own}/passport", "the passport's form"),
        ("service-new", "/console/services/new", "a new service from its OpenAPI file"),
        ("access", "/console/access", "requests received"),
        ("access-one", "/console/access/{asked}", "a request to decide"),
        ("requests", "/console/requests", "requests made"),
        ("request-one", "/console/requests/{made}", "how one stands"),
        ("request-new", "/console/requests/new?service={asked_service}", "asking for access"),
        ("rights", "/console/rights", "who may call what"),
        ("nodes", "/console/nodes", "nodes: health, certificates, enrolment"),
        ("exchanges", "/console/exchanges", "exchanges"),
        ("exchange", "/console/exchanges/{message}", "one exchange"),
        ("joining", "/console/joining", "joining the country, step by step"),
        ("key", "/console/key", "changing the member key"),
        ("people", "/console/people", "who may sign in"),
        ("log", "/console/log", "the console's admin log"),
    )
    more = [
        Shot(name="portal-try", site="portal", path="/services/{service}", step="open",
             shows="one operation: parameters, calls to copy, a form to try it"),
        Shot(name="portal-tried", site="portal", path="/services/{service}", step="send",
             shows="what the test environment answered"),
        Shot(name="portal-live-ru", site="portal", path="/", shows="the same in Russian", language="ru"),
        Shot(name="portal-service-en", site="portal", path="/services/{service}", shows="a service in English",
             language="en"),
        Shot(name="portal-search-phone", site="portal", path="/catalogue?q=справки", shows="search on a phone",
             language="ru", width=PHONE),
        Shot(name="portal-access-phone", site="portal", path="/access", shows="access on a phone", language="ru",
             width=PHONE),
        Shot(name="portal-acts-ru", site="portal", path="/admin-log?kind=application.admit", language="ru",
             shows="admissions in the admin log, in Russian"),
        Shot(name="portal-logs-dark", site="portal", path="/logs", shows="logs on a dark screen", dark=True),
        Shot(name="registry-overview-ru", site="registry", path="/console/", shows="the overview in Russian",
             language="ru"),
        Shot(name="registry-acts-en", site="registry", path="/console/acts", shows="the admin log in English",
             language="en"),
        Shot(name="registry-application-phone", site="registry", path="/console/applications/{application}",
             shows="an application on a phone", width=PHONE),
        Shot(name="ministry-overview-ru", site="ministry", path="/console/", shows="the member at a glance, in Russian",
             language="ru"),
        Shot(name="ministry-exchanges-en", site="ministry", path="/console/exchanges", shows="exchanges in English",
             language="en"),
        Shot(name="ministry-access-one-phone", site="ministry", path="/console/access/{asked}",
             shows="deciding on a phone", width=PHONE),
        Shot(name="ministry-nodes-dark", site="ministry", path="/console/nodes", shows="nodes on a dark screen",
             dark=True),
    ]  # fmt: skip
    centre = [
        Shot(name=f"centre-{name}", site="centre", path=path, shows=shows, **own)
        for name, path, shows, own in screenshot_centre.PAGES
    ]
    return [*portal, *registry, *member, *more, *centre]


class Photographer:
    """Goes to pages as somebody who is signed in, and keeps what is there."""

    def __init__(self, browser: Browser, country: Instance, facts: dict[str, str]) -> None:
        self._browser = browser
        self._country = country
        self._facts = facts
        self._states: dict[str, object] = {}
        self._plain = browser.new_page()

    def take(self, shot: Shot) -> bytes:
        """One picture."""
        context = self._browser.new_context(
            viewport={"width": shot.width, "height": 800 if shot.width == WIDE else 640}, locale="kk-KZ",
            timezone_id="Asia/Almaty", color_scheme="dark" if shot.dark else "light",
            storage_state=self._signed_in(shot.site) if not shot.path.startswith("/sign-in") else None,
            reduced_motion="reduce",
        )  # fmt: skip
        page = context.new_page()
        path = shot.path.format(**self._facts)
        page.goto(f"{self._site(shot.site)}{path}{'&' if '?' in path else '?'}lang={shot.language}")
        page.wait_for_load_state()
        page.wait_for_timeout(1200 if shot.name.startswith("portal-live") else shot.wait)
        if shot.step == "bring":
            screenshot_centre.bring(page)
        elif shot.step:
            operation = page.locator("details.operation").filter(has_text="/countries/{alpha_2}.json")
            operation.locator("summary").click()
            if shot.step == "open":
                return self._small(operation.screenshot(), context)
            operation.get_by_label("alpha_2").fill("KZ")
            operation.get_by_label("_shape").fill("object")
            operation.locator("form button").click()
            page.wait_for_load_state()
        height = min(TALLEST, int(page.evaluate("document.documentElement.scrollHeight")))
        wide = int(page.evaluate("document.documentElement.scrollWidth"))
        if wide > shot.width:
            print(f"{shot.name}: {wide} px wide, {shot.width} are there", file=sys.stderr)
        png = page.screenshot(full_page=True, clip={"x": 0, "y": 0, "width": shot.width, "height": height})
        return self._small(png, context)

    def _small(self, png: bytes, context: BrowserContext) -> bytes:
        context.close()
        return small_png(self._plain, png)

    def _site(self, site: str) -> str:
        country = self._country.country
        if site == "portal":
            return str(country["portal"])
        if site == "registry":
            return str(country["console"]).removesuffix("/console/")
        if site == "centre":
            return self._country.center
        return str(country["consoles"][site])

    def centre_facts(self) -> dict[str, str]:
        """What addresses of the support center are made of."""
        context = self._browser.new_context(storage_state=self._signed_in("centre"))
        found = screenshot_centre.facts(context.new_page(), self._site("centre"))
        context.close()
        return found

    def _signed_in(self, site: str) -> object:
        """The cookies of who signed in at a site; None where nobody needs to."""
        if site == "portal":
            return None
        if site not in self._states:
            name, secret = self._account(site)
            page: Page = self._browser.new_page()
            page.goto(f"{self._site(site)}/sign-in?lang=en")
            page.locator("input[name=name]").fill(name)
            page.locator("input[name=password]").fill(secret)
            page.locator("main form button").first.click()
            page.wait_for_url("**/console/**")
            self._states[site] = page.context.storage_state()
            page.context.close()
        return self._states[site]

    def _account(self, site: str) -> tuple[str, str]:
        if site == "centre":
            return "analyst", centre_passwords(self._country.home)["analyst"]
        if site != "registry":
            return "admin", passwords(self._country.home, site)["admin"]
        lines = (self._country.home / "registry" / "people.txt").read_text().splitlines()
        name, secret = next(line.split() for line in lines if line.startswith("operator "))
        return name, secret


def index(shots: list[Shot]) -> str:
    """The page that shows them."""
    titles = {
        "portal": "The portal", "registry": "The registry's console", "ministry": "A member's console",
        "centre": "The support center",
    }  # fmt: skip
    lines = [
        "# Screenshots",
        "",
        "From a running country, made by `make screenshots`. Everyone in it is fictitious.",
        "",
    ]
    for site, title in titles.items():
        lines += [f"## {title}", ""]
        for shot in shots:
            if shot.site == site:
                lines += [f"{shot.shows[0].upper()}{shot.shows[1:]}:", "", f"![{shot.shows}]({shot.name}.png)", ""]
    return "\n".join(lines).rstrip() + "\n"


def _new_folder() -> Path:
    """Where the country lives: the page shows it, so the name is short and the same each time, if it is free."""
    usual = Path(tempfile.gettempdir()) / "qaztech"
    try:
        usual.mkdir()
    except FileExistsError:
        return Path(tempfile.mkdtemp(prefix="qaztech-"))
    return usual


def _all_of(shot: Shot, name: str) -> bool:
    return name.endswith("-") and shot.name.startswith(name)


def main(names: list[str]) -> int:
    """Make them; 1 where one is too large."""
    shots = _shots()
    chosen = [shot for shot in shots if not names or any(shot.name == name or _all_of(shot, name) for name in names)]
    sample = any(shot.site == "centre" for shot in chosen)
    FOLDER.mkdir(parents=True, exist_ok=True)
    folder = _new_folder()
    status = 0
    try:
        home = folder / "home"
        usual = Ports.at(DEFAULT_BASE_PORT)
        ports = Ports.free() if usual.taken() else usual
        options = CountryOptions(ports=ports, witnessing_seconds=WITNESSING, refresh_seconds=2.0, sample=sample)
        asyncio.run(found(home, options))
        with Instance(home) as country, sync_playwright() as playwright:
            facts = screenshot_scene.act(country, folder)
            provider = "/".join(country.service.split("/")[1:3])
            facts |= {
                "service": country.service.partition("/")[2], "provider": provider, "asked_service": country.service
            }  # fmt: skip
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
            photographer = Photographer(browser, country, facts)
            if sample:
                facts |= photographer.centre_facts()
            for shot in chosen:
                picture = photographer.take(shot)
                (FOLDER / f"{shot.name}.png").write_bytes(picture)
                print(f"{shot.name} {len(picture) // 1024} KiB")
                status |= len(picture) > MOST_BYTES
            browser.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    made = [shot for shot in shots if (FOLDER / f"{shot.name}.png").exists()]
    (FOLDER / "README.md").write_text(index(made), encoding="utf-8")
    return status


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
