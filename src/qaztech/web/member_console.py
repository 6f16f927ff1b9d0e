"""A member's console in the browser: every route with the scope it needs, pages and JSON API, behind one gate.

Beside them stand signing in (`sign_in`), the page's own files, and what the member's node calls (`member.exchanges`).
A route of pages or API is made in one way only, from the lists of the groups, so none is without its scope.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from qaztech.ai.office import AiOffice
from qaztech.core.errors import Error
from qaztech.member.console import Console
from qaztech.member.exchanges import desk_exchange_routes
from qaztech.people.acts import AdminLog
from qaztech.people.gate import SAFE, Gate
from qaztech.people.people import People, Person
from qaztech.runtime.shell import ShellLimits, application
from qaztech.web.files import StaticFiles
from qaztech.web.headers import Guard
from qaztech.web.member_access import AccessPages
from qaztech.web.member_ai_cards import AiCardPages
from qaztech.web.member_ai_keys import AiKeyPages
from qaztech.web.member_ai_usage import AiUsagePages
from qaztech.web.member_api import MemberApi
from qaztech.web.member_centre import CentrePages
from qaztech.web.member_desk import DeskPages
from qaztech.web.member_nodes import NodePages
from qaztech.web.member_parts import PageRoute, Parts
from qaztech.web.member_services import ServicePages
from qaztech.web.member_site import HOME, MemberPages
from qaztech.web.people_pages import Pages
from qaztech.web.sign_in import sign_in_routes
from qaztech.web.texts import STATIC

MAX_BODY = 3 * 1024 * 1024
SITE = {"kk": "Қатысушы консолі", "ru": "Консоль участника", "en": "Member’s console"}
MENU = (
    (HOME, "overview:read"),
    ("/console/services", "services:read"),
    ("/console/access", "access:read"),
    ("/console/requests", "requests:read"),
    ("/console/rights", "rights:read"),
    ("/console/nodes", "nodes:read"),
    ("/console/exchanges", "exchanges:read"),
    ("/console/centre", "exchanges:read"),
    ("/console/ai", "ai:read"),
    ("/console/joining", "member:read"),
    ("/console/people", "people:read"),
    ("/console/log", "log:read"),
)


class MemberConsole:
    """The console of one member. `app` is the ASGI application; `secret_hash` the SHA-256 of the node's secret."""

    def __init__(
        self, *, console: Console, people: People, gate: Gate, log: AdminLog, anchor: bytes, secret_hash: bytes,
        ai: AiOffice | None = None,
    ) -> None:  # fmt: skip
        """`ai` is what is done with AI; None: its pages say what the console has to be told first."""
        self._gate = gate
        self._log = log
        doors, self._people_pages = sign_in_routes(people, gate, site=SITE, home=HOME, admin_log=log)
        parts = Parts(
            console=console, people=people, log=log, anchor=anchor, pages=MemberPages(site=SITE, menu=MENU),
            ai=ai or AiOffice(member=lambda: console.work.file().member, note=console.work.note, clock=console.clock),
        )  # fmt: skip
        self._pages, self.ai = parts.pages, parts.ai
        self.page_routes: list[PageRoute] = [
            *DeskPages(parts).routes(),
            *ServicePages(parts).routes(),
            *AccessPages(parts).routes(),
            *NodePages(parts).routes(),
            *CentrePages(parts).routes(),
            *AiCardPages(parts).routes(),
            *AiKeyPages(parts).routes(),
            *AiUsagePages(parts).routes(),
        ]
        self.api = MemberApi(parts)
        files = StaticFiles(STATIC)
        self.routes: list[BaseRoute] = [
            Route("/", _to_console),
            Route("/health", _health),
            *doors,
            *(Route(r.path, self._page(r, self._people_pages), methods=[r.method]) for r in self.page_routes),
            *(Route(r.path, self._guarded(r), methods=[r.method]) for r in self.api.routes),
            Route("/api/v1/openapi.json", self.api.describe),
            *desk_exchange_routes({secret_hash: console}),
            Route("/static/{path:path}", files.answer),
        ]
        hosts = frozenset({"127.0.0.1", "localhost", "::1", urlsplit(gate.origin).hostname or "localhost"})
        self.app: ASGIApp = Guard(
            application(self.routes, ShellLimits(body=MAX_BODY), counts=people.guesses.counts), hosts
        )

    def _page(self, route: PageRoute, people_pages: Pages) -> Callable[[Request], Awaitable[Response]]:
        """A page behind the gate; what goes wrong inside is told on a page of the console."""

        async def told(request: Request, person: Person) -> Response:
            try:
                self._require_log(request)
                return await route.handler(request, person)
            except Error as exc:
                return self._pages.problem(request, exc, person)

        guarded = people_pages.signed_in(self._gate, told, route.scope)

        async def closed(request: Request) -> Response:
            try:
                return await guarded(request)
            finally:
                await request.close()  # files that came with a form

        return closed

    def _guarded(self, route: PageRoute) -> Callable[[Request], Awaitable[Response]]:
        async def guarded(request: Request) -> Response:
            person = await self._gate.require(request, route.scope)
            self._require_log(request)
            return await route.handler(request, person)

        return guarded

    def _require_log(self, request: Request) -> None:
        """Nothing is changed while the admin log takes nothing. Raises the halt."""
        if request.method not in SAFE and self._log.halted is not None:
            raise self._log.halted

    def matrix(self) -> Sequence[tuple[str, str, str]]:
        """Method, path and scope of every route of pages and API."""
        return [(r.method, r.path, r.scope) for r in (*self.page_routes, *self.api.routes)]


async def _to_console(_: Request) -> Response:
    return RedirectResponse(HOME, status_code=303)


async def _health(_: Request) -> Response:
    return Response("ok", media_type="text/plain")
