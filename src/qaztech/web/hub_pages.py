"""What the pages of the support center share: rendering in three languages, the menu of what one may, names, problems.

A page's handler is given who asks; whatever goes wrong in it becomes a page that says so in words. Not here: the pages.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import Response

from qaztech.core.errors import Error
from qaztech.core.ids import MemberId, SubsystemId
from qaztech.people.gate import Gate
from qaztech.people.people import Person
from qaztech.registry.configuration import Configuration
from qaztech.web.console_frame import ConsoleFrame
from qaztech.web.people_pages import TEMPLATES, Pages, moment_text, page_language
from qaztech.web.registry_pages import grouped, named, registry_texts, told
from qaztech.web.texts import LANGUAGES, STATIC, Catalogue

SITE = {"kk": "Қолдау орталығы", "ru": "Центр поддержки", "en": "Support center"}
HOME = "/console/"
PRINTED = "hub/print.html"
# Words that this console and the registry's have in common, in sections of the registry's texts.
_SHARED = ("acts", "people", "snapshot", "actor", "field", "role", "state")
_SHARED_WORDS = (
    "language",
    "switch",
    "skip",
    "sign-out",
    "menu-label",
    "find",
    "yes",
    "no",
    "turn",
    "earlier",
    "later",
)


@dataclass(frozen=True, slots=True)
class MenuEntry:
    """One entry of the menu: the group whose word it is, where it leads, the scope that it needs."""

    name: str
    path: str
    scope: str


@lru_cache(maxsize=len(LANGUAGES))
def hub_texts(language: str) -> Catalogue:
    """Every text of the console in one language: a section for each file, those of `frame` at the top."""
    registry = registry_texts(language)
    found: Catalogue = {name: registry[name] for name in (*_SHARED, *_SHARED_WORDS)}
    for path in sorted((STATIC / "texts" / "hub" / language).glob("*.json")):
        own = json.loads(path.read_text(encoding="utf-8"))
        for name, words in own.items() if path.stem == "frame" else [(path.stem, own)]:
            found[name] = {**found[name], **words} if name in found and isinstance(words, dict) else words
    return found


class HubPages(ConsoleFrame):
    """Renders the center's pages. `doors` are the pages of signing in, which guard these.

    `body` names an organisation by its BIN in a language where the verified configuration does not know it.
    """

    def __init__(
        self,
        *,
        doors: Pages,
        gate: Gate,
        instance: str,
        menu: Sequence[MenuEntry],
        configuration: Callable[[], Configuration],
        body: Callable[[str, str], str] = lambda _bin, _language: "",
        fictitious: bool = False,
    ) -> None:
        super().__init__(doors=doors, gate=gate)
        self._fictitious = fictitious
        self._instance = instance
        self._menu = menu
        self._configuration = configuration
        self._body = body
        self._environment = _environment()

    def texts(self, language: str) -> Catalogue:
        """Every text of the console in one language."""
        return hub_texts(language)

    def words(self, request: Request, error: Error) -> str:
        """What went wrong, in the reader's language; with a file, in the words of imports."""
        texts = self.texts(page_language(request))
        of_files = texts["imports"]["problem"]
        if error.code in of_files and error.code not in texts["problem"]:
            return str(of_files[error.code])
        return super().words(request, error)

    def render(self, request: Request, person: Person, template: str, *, status: int = 200, **values: Any) -> Response:
        """A page of `templates/hub`. It is never kept by the browser.

        It is given `texts`, `to(path, **query)` for links that keep the language, `called(identifier)` for the name of
        an organisation, system or service, and `may(scope)`.
        """
        text = self.text(request, person, template, **values)
        headers = {"Cache-Control": "no-store", "Content-Language": page_language(request)}
        return Response(text, status_code=status, media_type="text/html", headers=headers)

    def text(
        self, request: Request, person: Person, template: str, *, frame: str = "hub/base.html", **values: Any
    ) -> str:
        """A page as `render` makes it, for a screen or in the frame of a printed one (`hub/print.html`)."""
        language = page_language(request)
        return self._environment.get_template(f"hub/{template}").render(
            language=language, languages=LANGUAGES, texts=hub_texts(language), site=SITE[language],
            frame=frame, printed=frame == PRINTED, instance=self._instance, path=quote(request.url.path),
            rest=_kept_query(request), person=person, menu=self._entries(request, person), to=_links(language),
            said=self.said(request), called=self._namer(language), may=person.may, fictitious=self._fictitious,
            **values,
        )  # fmt: skip

    def render_open(self, request: Request, template: str, *, status: int = 200, **values: Any) -> Response:
        """A page of `templates/hub` for anybody, signed in or not. It is given what `render` gives, but no person."""
        language = page_language(request)
        text = self._environment.get_template(f"hub/{template}").render(
            language=language, languages=LANGUAGES, texts=hub_texts(language), site=SITE[language],
            instance=self._instance, path=quote(request.url.path), rest=_kept_query(request), to=_links(language),
            called=self._namer(language), fictitious=self._fictitious, **values,
        )  # fmt: skip
        headers = {"Cache-Control": "no-cache", "Content-Language": language, "Vary": "Accept-Language"}
        return Response(text, status_code=status, media_type="text/html", headers=headers)

    def open(self, handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        """A page for anybody; errors of its handler become pages."""

        async def answer(request: Request) -> Response:
            try:
                return await handler(request)
            except Error as exc:
                words = self.words(request, exc)
                return self.render_open(request, "ai-public-problem.html", status=exc.status, problem=words)

        return answer

    def namer(self, request: Request) -> Callable[[str], str]:
        """What identifiers are called in the reader's language."""
        return self._namer(page_language(request))

    def _entries(self, request: Request, person: Person) -> list[Mapping[str, Any]]:
        here = request.url.path
        return [
            {"name": each.name, "path": each.path, "here": here == each.path or _within(here, each.path)}
            for each in self._menu
            if person.may(each.scope)
        ]

    def _namer(self, language: str) -> Callable[[str], str]:
        """What an identifier is called, as the verified configuration knows it, else the bodies; else empty."""
        try:
            configuration: Configuration | None = self._configuration()
        except Error:
            configuration = None

        @lru_cache(maxsize=2000)
        def called(identifier: str) -> str:
            parts = identifier.split("/")
            try:
                id_ = MemberId.parse("/".join(parts[:3]))
                member = None if configuration is None else configuration.member(id_)
                if len(parts) == 3:
                    return self._body(id_.code, language) if member is None else named(member.names, language)
                system = SubsystemId.parse("/".join(parts[:4]))
            except Error:
                return ""
            names = None if member is None else member.subsystems.get(system.code)
            return "" if names is None else named(names, language)

        return called


def _links(language: str) -> Callable[..., str]:
    """Links that keep the language."""

    def to(path: str, **query: object) -> str:
        kept = {name: value for name, value in query.items() if value is not None and value != ""}
        return f"{path}?{urlencode({'lang': language, **kept})}"

    return to


def _kept_query(request: Request) -> str:
    """What links to other languages keep of the query, led by `&`."""
    rest = urlencode([pair for pair in request.query_params.multi_items() if pair[0] not in {"lang", "said"}])
    return f"&{rest}" if rest else ""


def _within(here: str, path: str) -> bool:
    return path != HOME and here.startswith(f"{path}/")


def count_text(number: float) -> str:
    """A whole number with thin spaces between thousands, as it is written in all three languages."""
    return f"{round(number):,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def day_text(value: object) -> str:
    """A day, or one as YYYY-MM-DD, as DD.MM.YYYY; what is none as it is."""
    try:
        day = value if isinstance(value, date) else date.fromisoformat(str(value))
    except ValueError:
        return str(value)
    return day.strftime("%d.%m.%Y")


def bytes_text(number: float) -> str:
    """A size for people, in binary units."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} TiB"


@lru_cache(maxsize=1)
def _environment() -> Environment:
    # One for all who make pages in this process: a template is compiled once.
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined)
    environment.filters.update(
        moment=moment_text,
        grouped=grouped,
        named=named,
        told=told,
        count=count_text,
        bytes=bytes_text,
        day=day_text,
    )
    return environment
