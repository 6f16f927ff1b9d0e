"""What the pages of a member's console share: rendering in three languages, problems in words, forms, the guard.

Not here: who may what (`people.gate`, by the table in `member.console`), and what a page does (`member_console`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from qaztech.core.errors import Error, Limited, Malformed
from qaztech.member.access import ZONE
from qaztech.people.gate import FORM, MAX_FIELDS, MULTIPART, read_form_lists
from qaztech.people.people import Person
from qaztech.registry.forms import Names
from qaztech.web.people_pages import moment_text, page_language, people_texts
from qaztech.web.texts import LANGUAGES, STATIC, Catalogue

TEMPLATES = Path(__file__).parent / "templates"
HOME = "/console/"
MAX_DOCUMENT = 2 * 1024 * 1024
Form = dict[str, list[str]]
# Of an address, what stays when the language is changed.
_KEPT = frozenset({"q", "state", "service", "before", "from", "to", "month", "by", "key", "card"})


@lru_cache(maxsize=len(LANGUAGES))
def member_texts(language: str) -> Catalogue:
    """Every text of the console in one language."""
    path = STATIC / "texts" / "member" / f"{language}.json"
    found: Catalogue = json.loads(path.read_text(encoding="utf-8"))
    return found


class MemberPages:
    """Renders the console's pages. `menu` are path and scope of its entries, in order."""

    def __init__(self, *, site: Mapping[str, str], menu: Sequence[tuple[str, str]]) -> None:
        self._site = site
        self._menu = menu
        self._environment = _environment()

    def render(self, request: Request, template: str, person: Person, *, status: int = 200, **values: Any) -> Response:
        """A page; never kept by the browser."""
        language = page_language(request)
        texts = member_texts(language)
        lang = f"lang={language}"
        kept = {k: v for k, v in request.query_params.items() if k in _KEPT}
        page = self._environment.get_template(f"member/{template}").render(
            language=language,
            languages=LANGUAGES,
            texts=texts,
            common=people_texts(language),
            site=self._site[language],
            menu=[(path, texts["menu"][path]) for path, scope in self._menu if person.may(scope)],
            path=request.url.path,
            rest=f"&{urlencode(kept)}" if kept else "",
            lang=lang,
            person=person,
            said=self._said(request, texts),
            may=person.may,
            **values,
        )
        headers = {"Cache-Control": "no-store", "Content-Language": language}
        return Response(page, status_code=status, media_type="text/html", headers=headers)

    def problem(self, request: Request, error: Error, person: Person, *, back: str = HOME) -> Response:
        """A page that says what went wrong."""
        response = self.render(
            request, "problem.html", person, status=error.status, problem=self.words(request, error), back=back
        )
        if error.retry_after is not None:
            response.headers["Retry-After"] = str(error.retry_after)
        return response

    def words(self, request: Request, error: Error) -> dict[str, str]:
        """What went wrong, in the reader's language, and the technical words beside it."""
        texts = member_texts(page_language(request))["problems"]
        return {"text": texts.get(error.code, texts["other"]), "detail": error.detail, "code": error.code}

    def _said(self, request: Request, texts: Catalogue) -> list[tuple[str, str]]:
        """What has just been done, and what of it has not arrived yet."""
        found = []
        if (done := request.query_params.get("done")) in texts["done"]:
            found.append(("ok", texts["done"][done]))
        for where in ("registry", "node", "showcase"):
            if code := request.query_params.get(where):
                reason = texts["problems"].get(code, code[:80] if code.isascii() and code.isprintable() else "")
                found.append(("bad", f"{texts['late'][where]} {reason}"))
        return found


def redirect(request: Request, path: str, **said: str | None) -> Response:
    """On to another page, which says what was done; the language stays."""
    query = {name: value for name, value in said.items() if value}
    if "lang" in request.query_params:
        query["lang"] = page_language(request)
    return RedirectResponse(f"{path}?{urlencode(query)}" if query else path, status_code=303)


async def read_values(request: Request) -> Form:
    """The fields of a form, each with all its values; files are left out. Raises `Malformed`."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind == FORM:
        return await read_form_lists(request)
    if kind != MULTIPART:
        raise Malformed("form.malformed", "not the fields of a form", at="caller")
    form = await request.form(max_files=20, max_fields=MAX_FIELDS)
    found: Form = {}
    for name, value in form.multi_items():
        if isinstance(value, str):
            found.setdefault(name, []).append(value)
    return found


async def read_upload(request: Request, name: str) -> bytes | None:
    """A file of a form; None where none was chosen. Raises `Limited`."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != MULTIPART:
        return None
    file = (await request.form(max_files=20, max_fields=MAX_FIELDS)).get(name)
    if not isinstance(file, UploadFile):
        return None
    data = await file.read(MAX_DOCUMENT + 1)
    if len(data) > MAX_DOCUMENT:
        raise Limited("request.too-large", f"a file has at most {MAX_DOCUMENT} bytes", at="caller")
    return data or None


def one(values: Form, name: str) -> str:
    """A field's first value, without space around it; empty where there is none."""
    return values.get(name, [""])[0].strip()


def three(values: Form, name: str) -> Names:
    """A name in three languages."""
    kk, ru, en = (one(values, f"{name}.{language}") for language in LANGUAGES)
    return Names(kk=kk, ru=ru, en=en)


def whole(values: Form, name: str) -> int | None:
    """A whole number; None where the field is empty. Raises `Malformed`."""
    text = one(values, name)
    if not text:
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > 12:
        raise Malformed("form.malformed", f"{name} is a whole number", at="caller")
    return int(text)


def moment_of(text: str) -> int | None:
    """Milliseconds from `2026-11-23T10:15`, as a page's input gives it by the country's clocks; None for nothing."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=ZONE)).timestamp() * 1000)
    except (ValueError, OverflowError) as exc:
        raise Malformed("form.malformed", "a time is written 2026-11-23T10:15", at="caller") from exc


def _in_fours(text: str) -> str:
    """A long hash in groups, to be compared aloud."""
    return " ".join(text[i : i + 4] for i in range(0, len(text), 4))


def _local(identifier: str) -> str:
    """The part of an identifier behind its member, for a narrow column."""
    return " / ".join(identifier.split("/")[3:])


@lru_cache(maxsize=1)
def _environment() -> Environment:
    # One for all who make pages in this process: a template is compiled once.
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(moment=moment_text, fours=_in_fours, local=_local)
    return environment
