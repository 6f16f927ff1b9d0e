"""What the consoles of the registry and of the support center share: a guarded page, and what went wrong in words.

Not here: how a console renders its pages and which menu it has (`registry_pages`, `hub_pages`), signing in (`sign_in`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from qaztech.core.errors import Error, Halt
from qaztech.people.gate import Gate
from qaztech.people.people import Person
from qaztech.web.people_pages import PageHandler, Pages, page_language
from qaztech.web.texts import Catalogue


class ConsoleFrame(ABC):
    """Pages of one console. `doors` are the pages of signing in, which guard these."""

    def __init__(self, *, doors: Pages, gate: Gate) -> None:
        self._doors = doors
        self._gate = gate

    @abstractmethod
    def render(self, request: Request, person: Person, template: str, *, status: int = 200, **values: Any) -> Response:
        """A page. It is never kept by the browser."""

    @abstractmethod
    def texts(self, language: str) -> Catalogue:
        """Every text of the console in one language; `problem` holds words for the codes of errors."""

    def guarded(self, handler: PageHandler, scope: str | None) -> Callable[[Request], Awaitable[Response]]:
        """A route for people who have this scope; errors of its handler become pages."""

        async def answer(request: Request, person: Person) -> Response:
            try:
                return await handler(request, person)
            except Error as exc:
                return self.problem(request, person, exc)

        return self._doors.signed_in(self._gate, answer, scope)

    def problem(self, request: Request, person: Person, error: Error) -> Response:
        """A page that says what went wrong."""
        words = self.words(request, error)
        response = self.render(
            request, person, "problem.html", status=error.status, problem=words, code_of_error=error.code
        )
        if error.retry_after is not None:
            response.headers["Retry-After"] = str(error.retry_after)
        return response

    def words(self, request: Request, error: Error) -> str:
        """What went wrong, in the reader's language."""
        known = self.texts(page_language(request))["problem"]
        if isinstance(error, Halt):
            return str(known["halted"])
        if error.code in known:
            return str(known[error.code])
        if error.status >= 500:
            return str(known["failed"])
        return self._doors.words(request, error) or str(known["other"])

    def said(self, request: Request) -> str:
        """What has just been done, as a redirect says; a name of a text or nothing."""
        name = request.query_params.get("said", "")
        return name if name in self.texts("en")["said"] else ""
