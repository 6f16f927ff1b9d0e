"""What the portal's pages share: rendering in three languages, where things stand, errors as pages for people.

An error becomes a page for a browser that asks for HTML, with the status it has; programs get `problem+json` as
everywhere. Not here: the pages themselves (`portal`, `catalogue_pages`).
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import Response

from qaztech.core.errors import Error, Forbidden
from qaztech.registry.forms import Names
from qaztech.web.blocks import json_block
from qaztech.web.country import Country
from qaztech.web.texts import LANGUAGES, STATIC, Catalogue, catalogue, chosen_language, local_moment

TEMPLATES = Path(__file__).parent / "templates"
OUTCOMES = ("answered", "refused", "no answer", "aborted", "outcome unknown")

_KINDS = {404: "missing", 503: "later"}

Handler = Callable[[Request], Awaitable[Response]]


@lru_cache(maxsize=len(LANGUAGES))
def portal_texts(language: str) -> Catalogue:
    """The texts of the catalogue's pages in one language, beside those of `texts.catalogue`."""
    path = STATIC / "texts" / "portal" / f"{language}.json"
    found: Catalogue = json.loads(path.read_text(encoding="utf-8"))
    return found


def page_language(request: Request) -> str:
    """The language of a page: as the address says, else as the browser asks."""
    asked = [request.query_params["lang"]] if "lang" in request.query_params else []
    return chosen_language([*asked, *request.headers.get("accept-language", "").split(",")])


def page_path(kind: str, identifier: object) -> str:
    """Where the page of a member (`members`) or a service (`services`) stands: its identifier without the instance."""
    return f"/{kind}/{quote(str(identifier).partition('/')[2], safe='/%')}"


def require_own_page(request: Request) -> None:
    """Raise `Forbidden` unless a page of this site sent the form: another site's has another origin."""
    origin = request.headers.get("origin")
    if origin is None or urlsplit(origin).netloc != request.headers.get("host"):
        raise Forbidden("call.foreign", "the call is made from this page only", at="caller")


def named(names: Names, language: str) -> str:
    """A name in a language of the page."""
    return {"kk": names.kk, "ru": names.ru}.get(language, names.en)


class PortalPages:
    """Renders the pages of one instance."""

    def __init__(self, country: Country) -> None:
        self._country = country
        self._environment = _environment()

    def render(
        self, template: str, request: Request, *, status: int = 200, data: object = None, rest: str = "", **values: Any
    ) -> Response:
        """A page. `data` is for its script; `rest` is what the language links keep of the query, `&`-led."""
        language = page_language(request)
        explicit = "lang" in request.query_params
        text = self._environment.get_template(template).render(
            country=self._country,
            language=language,
            languages=LANGUAGES,
            texts=catalogue(language),
            words=portal_texts(language),
            path=quote(request.url.path),
            lang=f"?lang={language}" if explicit else "",
            and_lang=f"&lang={language}" if explicit else "",
            rest=rest,
            data=json_block(data),
            **values,
        )
        headers = {"Cache-Control": "no-store", "Content-Language": language, "Vary": "Accept, Accept-Language"}
        return Response(text, status_code=status, media_type="text/html", headers=headers)

    def guarded(self, handler: Handler) -> Handler:
        """A page's handler whose errors are pages too, for whoever asks for HTML."""

        async def answer(request: Request) -> Response:
            try:
                return await handler(request)
            except Error as exc:
                if "text/html" not in request.headers.get("accept", ""):
                    raise
                return self.problem(request, exc)

        return answer

    def problem(self, request: Request, error: Error) -> Response:
        """What went wrong, as a page."""
        return self.render(
            "portal/problem.html", request, status=error.status, code=error.code, kind=_KINDS.get(error.status, "other")
        )


def clock_text(milliseconds: int) -> str:
    """The time of day on Kazakhstan's clocks."""
    return local_moment(milliseconds).strftime("%H:%M:%S")


def moment_text(milliseconds: int, form: str = "%d.%m.%Y %H:%M:%S") -> str:
    """Date and time on Kazakhstan's clocks."""
    return local_moment(milliseconds).strftime(form)


def _service_text(identifier: object) -> str:
    """The part of an identifier behind its member, for a narrow column."""
    return " / ".join(str(identifier).split("/")[3:])


def _outcome(state: str) -> str:
    """How an exchange ended, in one of the words that have texts and colours."""
    return next((known for known in OUTCOMES if state.startswith(known)), OUTCOMES[-1])


@lru_cache(maxsize=1)
def _environment() -> Environment:
    # One for all who make pages in this process: a template is compiled once.
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined)
    environment.filters.update(
        clock=clock_text, moment=moment_text, local=_service_text, outcome=_outcome, named=named, at=page_path
    )
    return environment
