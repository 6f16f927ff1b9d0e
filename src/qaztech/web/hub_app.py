"""The support center in the browser: for its analysts, its auditors and its administrators.

Every route of a page is made in one way, from the groups listed here, so none is without its scope. Server-rendered, in
three languages, without JavaScript. Not here: signing in (`sign_in`), the rules (`hub`), what nodes and members reach
by exchanges (`hub.operational`), which listens elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from qaztech.core.errors import NotFound
from qaztech.hub import scopes
from qaztech.people.gate import SAFE
from qaztech.people.people import Person
from qaztech.runtime.shell import ShellLimits, application
from qaztech.web import (
    hub_acts,
    hub_ai,
    hub_bodies,
    hub_cases,
    hub_deliveries,
    hub_findings,
    hub_flows,
    hub_import,
    hub_landscape,
    hub_objects,
    hub_overview,
    hub_people,
    hub_regions,
    hub_traffic,
)
from qaztech.web.files import StaticFiles
from qaztech.web.headers import Guard
from qaztech.web.hub_ai_public import PublicAi
from qaztech.web.hub_api import BASE, UPLOADS, HubApi
from qaztech.web.hub_pages import HOME, SITE, HubPages, MenuEntry, hub_texts
from qaztech.web.hub_parts import HubParts, HubRoute, PageGroup
from qaztech.web.sign_in import sign_in_routes
from qaztech.web.texts import LANGUAGES, STATIC

# Every group of pages, in the order of the menu.
GROUPS: Final[tuple[PageGroup, ...]] = (
    hub_overview.GROUP,
    hub_cases.GROUP,
    hub_bodies.GROUP,
    hub_objects.GROUP,
    hub_ai.GROUP,
    hub_flows.GROUP,
    hub_traffic.GROUP,
    hub_findings.GROUP,
    hub_landscape.GROUP,
    hub_regions.GROUP,
    hub_import.GROUP,
    hub_deliveries.GROUP,
    hub_acts.GROUP,
    hub_people.GROUP,
)
MAX_BODY: Final = 3 * 1024 * 1024


class HubSite:
    """The pages of one support center. `app` is the ASGI application."""

    def __init__(self, parts: HubParts, groups: Sequence[PageGroup] = GROUPS) -> None:
        self._parts = parts
        made_up = {language: str(hub_texts(language)["fictitious"]) for language in LANGUAGES}
        doors, self._doors = sign_in_routes(
            parts.people, parts.gate, site=SITE, home=HOME, admin_log=parts.admin_log,
            notice=made_up if parts.fictitious else None,
        )  # fmt: skip
        menu = [MenuEntry(group.name, path, scope) for group in groups for path, scope in group.menu]
        self._pages = HubPages(
            doors=self._doors, gate=parts.gate, instance=parts.instance, menu=menu, configuration=parts.configuration,
            body=self._body, fictitious=parts.fictitious,
        )  # fmt: skip
        self.page_routes: list[HubRoute] = [route for group in groups for route in group.routes(parts, self._pages)]
        self.api = HubApi(parts)
        self.routes: list[BaseRoute] = [
            Route("/", _to_home),
            Route("/console", _to_home),
            Route("/health", self._health),
            *PublicAi(parts, self._pages).routes(),
            *doors,
            *(Route(r.path, self._guarded(r), methods=[r.method]) for r in self.page_routes),
            *(Route(r.path, self._by_program(r), methods=[r.method]) for r in self.api.routes),
            Route(f"{BASE}/openapi.json", self.api.describe),
            Route("/admin-log/{path:path}", self._tiles),
            Route("/static/{path:path}", StaticFiles(STATIC).answer),
        ]
        hosts = frozenset({"127.0.0.1", "localhost", "::1", urlsplit(parts.gate.origin).hostname or "localhost"})
        self.app: ASGIApp = Guard(
            application(
                self.routes,
                ShellLimits(body=MAX_BODY, larger={**hub_import.UPLOADS, **UPLOADS}),
                counts=parts.people.guesses.counts,
            ),
            hosts,
        )

    def _body(self, bin_: str, language: str) -> str:
        """What the registry of digital objects calls an organisation; empty where it has none."""
        found = self._parts.objects.register().organisations.get(bin_)
        return "" if found is None else str(getattr(found, f"name_{language}", None) or found.name_ru or "")

    def matrix(self) -> Sequence[tuple[str, str, str]]:
        """Method, path and scope of every route of pages and API."""
        return [(r.method, r.path, r.scope) for r in (*self.page_routes, *self.api.routes)]

    def _guarded(self, route: HubRoute) -> Callable[[Request], Awaitable[Response]]:
        async def handle(request: Request, person: Person) -> Response:
            self._require_log(request)
            return await route.handler(request, person)

        return self._pages.guarded(handle, route.scope)

    def _by_program(self, route: HubRoute) -> Callable[[Request], Awaitable[Response]]:
        async def handle(request: Request) -> Response:
            person = await self._parts.gate.require(request, route.scope)
            self._require_log(request)
            return await route.handler(request, person)

        return handle

    def _require_log(self, request: Request) -> None:
        """Nothing is changed while the admin log takes nothing. Raises the halt."""
        if request.method not in SAFE and self._parts.admin_log.halted is not None:
            raise self._parts.admin_log.halted

    async def _health(self, _: Request) -> Response:
        """Whether the centre can answer; without its database it cannot, and says so as a problem."""
        await asyncio.to_thread(self._parts.deliveries.store.check)
        return Response("ok", media_type="text/plain")

    async def _tiles(self, request: Request) -> Response:
        """The admin log as C2SP tlog-tiles: its checkpoint for anyone, the rest for those who may read acts."""
        path = request.path_params["path"]
        if path != "checkpoint":
            await self._parts.gate.require(request, scopes.ACTS)
        found = self._parts.admin_log.tile(path)
        if found is None:
            raise NotFound("log.no-tile", "there is no such part of the admin log", at="log")
        return Response(found[1], media_type=found[0])


async def _to_home(_: Request) -> Response:
    return RedirectResponse(HOME, status_code=303)
