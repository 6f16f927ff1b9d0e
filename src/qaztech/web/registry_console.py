"""The registry's console in the browser: for its operator, its auditor and its analyst.

Every page and every form has a scope of `registry.scopes`; what is decided goes through the `Office`, as by the API.
Server-rendered, in three languages, without JavaScript. Not here: signing in (`sign_in`), the rules (`registry`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from qaztech.core.errors import NotFound
from qaztech.registry import scopes
from qaztech.web.files import StaticFiles
from qaztech.web.people_pages import PageHandler
from qaztech.web.registry_acts import ActPages
from qaztech.web.registry_applications import ApplicationPages
from qaztech.web.registry_keys import KeyPages
from qaztech.web.registry_members import MemberPages
from qaztech.web.registry_overview import OverviewPages
from qaztech.web.registry_pages import HOME, SITE, ConsolePages
from qaztech.web.registry_parts import Parts
from qaztech.web.registry_people import PeoplePages
from qaztech.web.sign_in import sign_in_routes
from qaztech.web.texts import STATIC


def console_routes(parts: Parts) -> list[BaseRoute]:
    """Every route for people: signing in, the console, the admin log's tiles, the files of the pages."""
    doors, pages = sign_in_routes(parts.people, parts.gate, site=SITE, home=HOME, admin_log=parts.admin_log)
    console = ConsolePages(doors=pages, gate=parts.gate, instance=parts.publisher.registry.instance)
    overview = OverviewPages(parts, console)
    applications = ApplicationPages(parts, console)
    members = MemberPages(parts, console)
    keys = KeyPages(parts, console)
    acts = ActPages(parts, console)
    people = PeoplePages(parts, console)
    table: list[tuple[str, str, str, PageHandler]] = [
        ("GET", HOME, scopes.STATUS, overview.show),
        ("GET", "/console/snapshot", scopes.STATUS, overview.snapshot),
        ("GET", "/console/applications", scopes.APPLICATIONS, applications.list_all),
        ("GET", "/console/applications/{id}", scopes.APPLICATIONS, applications.show),
        ("POST", "/console/applications/{id}", scopes.DECIDE_APPLICATIONS, applications.decide),
        ("GET", "/console/members", scopes.MEMBERS, members.list_all),
        ("GET", "/console/members/{kind}/{code}", scopes.MEMBERS, members.show),
        ("GET", "/console/members/{kind}/{code}/standing", scopes.DECIDE_MEMBERS, members.ask),
        ("POST", "/console/members/{kind}/{code}/standing", scopes.DECIDE_MEMBERS, members.change),
        ("GET", "/console/keys", scopes.KEYS, keys.list_all),
        ("GET", "/console/keys/revoke", scopes.DECIDE_KEYS, keys.ask),
        ("POST", "/console/keys/revoke", scopes.DECIDE_KEYS, keys.revoke),
        ("GET", "/console/acts", scopes.ACTS, acts.list_all),
        ("GET", "/console/people", scopes.PEOPLE, people.list_all),
        ("POST", "/console/people", scopes.CHANGE_PEOPLE, people.add),
        ("POST", "/console/people/{name}", scopes.CHANGE_PEOPLE, people.change),
    ]
    return [
        *doors,
        *(Route(path, console.guarded(handle, scope), methods=[method]) for method, path, scope, handle in table),
        Route("/console", _to_home),
        Route("/admin-log/{path:path}", _tiles(parts)),
        Route("/static/{path:path}", StaticFiles(STATIC).answer),
    ]


async def _to_home(_: Request) -> Response:
    return RedirectResponse(HOME, status_code=303)


def _tiles(parts: Parts) -> Callable[[Request], Awaitable[Response]]:
    """The admin log as C2SP tlog-tiles: its checkpoint for anyone, the rest for those who may read acts."""

    async def answer(request: Request) -> Response:
        path = request.path_params["path"]
        if path != "checkpoint":
            await parts.gate.require(request, scopes.ACTS)
        found = parts.admin_log.tile(path)
        if found is None:
            raise NotFound("registry.missing", "there is no such part of the admin log", at="registry")
        return Response(found[1], media_type=found[0])

    return answer
