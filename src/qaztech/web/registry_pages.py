"""What the pages of the registry's console share: rendering in three languages, a menu of what one may, problems.

A page's handler is given who asks; whatever goes wrong in it becomes a page that says so in words. Not here: the pages.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from qaztech.people.gate import Gate
from qaztech.people.people import Person
from qaztech.registry import scopes
from qaztech.registry.forms import Names
from qaztech.web.console_frame import ConsoleFrame
from qaztech.web.people_pages import TEMPLATES, Pages, moment_text, page_language
from qaztech.web.texts import LANGUAGES, STATIC, Catalogue

SITE = {"kk": "Тізілім консолі", "ru": "Консоль реестра", "en": "Registry console"}
HOME = "/console/"
_MENU = (
    ("overview", HOME, scopes.STATUS),
    ("applications", "/console/applications", scopes.APPLICATIONS),
    ("members", "/console/members", scopes.MEMBERS),
    ("keys", "/console/keys", scopes.KEYS),
    ("snapshot", "/console/snapshot", scopes.STATUS),
    ("acts", "/console/acts", scopes.ACTS),
    ("people", "/console/people", scopes.PEOPLE),
)
_LONGEST_QUERY = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class MenuItem:
    """One entry of the menu."""

    name: str
    path: str
    here: bool


@lru_cache(maxsize=len(LANGUAGES))
def registry_texts(language: str) -> Catalogue:
    """Every text of the console in one language."""
    path = STATIC / "texts" / "registry" / f"{language}.json"
    found: Catalogue = json.loads(path.read_text(encoding="utf-8"))
    return found


class ConsolePages(ConsoleFrame):
    """Renders the console's pages. `doors` are the pages of signing in, which guard these."""

    def __init__(self, *, doors: Pages, gate: Gate, instance: str) -> None:
        super().__init__(doors=doors, gate=gate)
        self._instance = instance
        self._environment = _environment()

    def texts(self, language: str) -> Catalogue:
        """Every text of the console in one language."""
        return registry_texts(language)

    def render(self, request: Request, person: Person, template: str, *, status: int = 200, **values: Any) -> Response:
        """A page. It is never kept by the browser."""
        language = page_language(request)

        def to(path: str, **query: object) -> str:
            """A link that keeps the language."""
            kept = {name: value for name, value in query.items() if value not in {None, ""}}
            return f"{path}?{urlencode({'lang': language, **kept})}"

        rest = urlencode([pair for pair in request.query_params.multi_items() if pair[0] not in {"lang", "said"}])
        text = self._environment.get_template(f"registry/{template}").render(
            language=language, languages=LANGUAGES, texts=registry_texts(language), site=SITE[language],
            frame="registry/base.html", instance=self._instance, path=quote(request.url.path),
            rest=f"&{rest}" if rest else "", person=person, menu=_menu(request, person), to=to,
            said=self.said(request), **values,
        )  # fmt: skip
        headers = {"Cache-Control": "no-store", "Content-Language": language}
        return Response(text, status_code=status, media_type="text/html", headers=headers)


def redirect(request: Request, path: str, **query: str) -> Response:
    """To another page after a change, in the same language."""
    kept = {"lang": page_language(request), **query}
    return RedirectResponse(f"{path}?{urlencode(kept)}", status_code=303)


def asked(request: Request, name: str) -> str:
    """A value of the query, shortened."""
    return request.query_params.get(name, "").strip()[:_LONGEST_QUERY]


def grouped(text: str) -> str:
    """A hash in groups of four, to be read aloud or compared on paper."""
    return " ".join(text[i : i + 4] for i in range(0, len(text), 4))


def named(names: Names, language: str) -> str:
    """A name in the page's language."""
    return {"kk": names.kk, "ru": names.ru}.get(language, names.en)


def told(value: object, texts: Catalogue) -> str:
    """A value of an act for people: roles and yes or no in words, everything else as it is."""
    if isinstance(value, bool):
        return str(texts["yes"] if value else texts["no"])
    if isinstance(value, list):
        return ", ".join(told(one, texts) for one in value) or "—"
    if isinstance(value, dict):
        return "; ".join(f"{name}: {told(one, texts)}" for name, one in value.items())
    return str(texts["role"].get(value, texts["state"].get(value, value))) if isinstance(value, str) else str(value)


def code_of(identifier: str) -> str:
    """The BIN in a member's id."""
    return identifier.rpartition("/")[2]


def member_path(identifier: str) -> str:
    """Where the page of a member stands."""
    return f"/console/members/{quote(identifier.partition('/')[2], safe='/%')}"


def _menu(request: Request, person: Person) -> list[MenuItem]:
    here = request.url.path
    return [
        MenuItem(name=name, path=path, here=here == path or (path != HOME and here.startswith(path)))
        for name, path, scope in _MENU
        if person.may(scope)
    ]


@lru_cache(maxsize=1)
def _environment() -> Environment:
    # One for all who make pages in this process: a template is compiled once.
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined)
    environment.filters.update(
        moment=moment_text, grouped=grouped, named=named, told=told, code=code_of, member_path=member_path
    )
    return environment
