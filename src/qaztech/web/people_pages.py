"""What the pages of people share: rendering in three languages, problems in words, the way in front of a page.

`signed_in` is how any console guards a page of its own: a visitor is sent to sign in and comes back afterwards; who may
not sees why. Not here: the routes (`sign_in`, `account`), and who may what (`people.gate`).
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from qaztech.core.errors import Error, Unauthenticated
from qaztech.people.gate import SAFE, Gate
from qaztech.people.parameters import Parameters
from qaztech.people.people import Person
from qaztech.web.texts import LANGUAGES, STATIC, Catalogue, chosen_language, local_moment

TEMPLATES = Path(__file__).parent / "templates"
_LONGEST_NEXT = 500

PageHandler = Callable[[Request, Person], Awaitable[Response]]


@lru_cache(maxsize=len(LANGUAGES))
def people_texts(language: str) -> Catalogue:
    """Every text of these pages in one language."""
    path = STATIC / "texts" / "people" / f"{language}.json"
    found: Catalogue = json.loads(path.read_text(encoding="utf-8"))
    return found


def page_language(request: Request) -> str:
    """The language of a page: as the address says, else as the browser asks."""
    asked = [request.query_params["lang"]] if "lang" in request.query_params else []
    if not asked and "state" in request.query_params:  # back from an OpenID provider: `kk.…`
        asked = [request.query_params["state"][:2]]
    return chosen_language([*asked, *request.headers.get("accept-language", "").split(",")])


def safe_next(wanted: str, otherwise: str) -> str:
    """Where to go after signing in: a path of this site, never another site."""
    plain = wanted.isascii() and wanted.isprintable() and len(wanted) <= _LONGEST_NEXT
    if plain and wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and "\\" not in wanted:
        return wanted
    return otherwise


class Pages:
    """Renders the pages of one console. `site` is its name in each language, `home` the path of its first page.

    `notice` stands on every page: what everybody must know, in each language.
    """

    def __init__(
        self, *, site: Mapping[str, str], home: str, parameters: Parameters, notice: Mapping[str, str] | None = None
    ) -> None:
        self._site = site
        self._notice = notice or {}
        self.home = home
        self._parameters = parameters
        self._environment = _environment()

    def render(
        self, request: Request, template: str, *, status: int = 200, person: Person | None = None, **values: Any
    ) -> Response:
        """A page. It is never kept by the browser, for it shows whose it is."""
        language = page_language(request)
        kept = {name: request.query_params[name] for name in ("next",) if name in request.query_params}
        text = self._environment.get_template(f"people/{template}").render(
            language=language, languages=LANGUAGES, texts=people_texts(language), site=self._site[language],
            home=self.home, path=request.url.path, rest=f"&{urlencode(kept)}" if kept else "", person=person,
            notice=self._notice.get(language, ""), **values,
        )  # fmt: skip
        headers = {"Cache-Control": "no-store", "Content-Language": language}
        return Response(text, status_code=status, media_type="text/html", headers=headers)

    def words(self, request: Request, error: Error) -> str:
        """What went wrong, in the reader's language."""
        texts = people_texts(page_language(request))["problem"]
        said: str = texts.get(error.code, texts["other"])
        places = {
            "{seconds}": error.retry_after or 1,
            "{least}": self._parameters.password_min,
            "{most}": self._parameters.password_max,
        }
        for place, value in places.items():
            said = said.replace(place, str(value))
        return said

    def problem(self, request: Request, error: Error, person: Person | None = None) -> Response:
        """A page that says what went wrong."""
        response = self.render(
            request, "problem.html", status=error.status, person=person, problem=self.words(request, error)
        )
        if error.retry_after is not None:
            response.headers["Retry-After"] = str(error.retry_after)
        return response

    def signed_in(
        self, gate: Gate, handler: PageHandler, scope: str | None = None
    ) -> Callable[[Request], Awaitable[Response]]:
        """A route for people: `handler` is given who asks, once they are known and have the scope."""

        async def guarded(request: Request) -> Response:
            person = None
            try:
                person = await gate.person(request)
                return await handler(request, await gate.check(request, person, scope))
            except Unauthenticated as exc:
                if "authorization" in request.headers:
                    raise
                return self._to_sign_in(request) if request.method in SAFE else self.problem(request, exc)
            except Error as exc:
                return self.problem(request, exc, person)

        return guarded

    def _to_sign_in(self, request: Request) -> Response:
        wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        lang = f"lang={page_language(request)}&" if "lang" in request.query_params else ""
        return RedirectResponse(f"/sign-in?{lang}next={quote(wanted, safe='')}", status_code=303)


def answered(body: Any, *, status: int = 200) -> Response:
    """JSON that no cache keeps."""
    content = json.dumps(body, ensure_ascii=False)
    return Response(content, status_code=status, media_type="application/json", headers={"Cache-Control": "no-store"})


def moment_text(milliseconds: int | None) -> str:
    """A time for people, on the clocks of Kazakhstan."""
    if milliseconds is None:
        return ""
    return local_moment(milliseconds).strftime("%d.%m.%Y %H:%M")


@lru_cache(maxsize=1)
def _environment() -> Environment:
    # One for all who make pages in this process: a template is compiled once.
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined)
    environment.filters["moment"] = moment_text
    return environment
