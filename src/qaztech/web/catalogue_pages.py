"""The pages of the catalogue: search, members, services, logs, checking a receipt; and the page for what is not there.

Server-rendered, for any browser and without JavaScript except where a receipt is checked. Everything shown comes from a
verified `View`. The same for programs is in `portal_api`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import islice
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from qaztech.core.errors import Error, NotFound
from qaztech.core.ids import MemberId, ServiceId, SubsystemId
from qaztech.core.time import Clock
from qaztech.member.rendering import Rendered, render
from qaztech.registry.catalogue import CatalogueMember, CatalogueService
from qaztech.registry.search import FACETS, MAX_QUERY, Result
from qaztech.registry.search_words import marked
from qaztech.registry.showcase import DescriptionReference
from qaztech.web.catalogue_view import Catalogues, View
from qaztech.web.country import Country
from qaztech.web.log_states import LogStates
from qaztech.web.portal_api import PortalApi
from qaztech.web.portal_pages import PortalPages, named, page_language, portal_texts
from qaztech.web.sample_calls import sample_calls
from qaztech.web.texts import catalogue as texts_of
from qaztech.web.try_page import TryPage

PAGE = 20
LAST_PAGE = 10_000
CALLERS_SHOWN = 200
CALLERS_COUNTED = 10_000
CALLED_SHOWN = 200
LOGS_SHOWN = 20
KEPT_DESCRIPTIONS = 32


class CataloguePages:
    """The routes of the catalogue, its pages and its API."""

    def __init__(
        self, *, country: Country, pages: PortalPages, catalogues: Catalogues, anchor: Callable[[], bytes], clock: Clock
    ) -> None:
        self._country = country
        self._pages = pages
        self._catalogues = catalogues
        self._clock = clock
        self._read: dict[str, Rendered] = {}
        self._logs = LogStates(country=country, anchor=anchor)
        self._try = TryPage(country=country, pages=pages)
        self._api = PortalApi(country=country, catalogues=catalogues, logs=self._logs, clock=clock)

    def routes(self) -> list[BaseRoute]:
        """Every route; the last takes whatever no other has taken."""
        service = "/services/{member_class}/{code}/{subsystem}/{service}"
        pages = [
            ("/catalogue", self._search),
            ("/members", self._members),
            ("/members/{member_class}/{code}", self._member),
            (service, self._service),
            (f"{service}/openapi.json", self._document),
            ("/logs", self._show_logs),
            ("/verify", self._verify),
        ]
        return [
            *self._api.routes(),
            *(Route(path, self._pages.guarded(handler)) for path, handler in pages),
            Route(f"{service}/try", self._pages.guarded(self._tried), methods=["POST"]),
            Route("/{path:path}", self._pages.guarded(_nothing)),
        ]

    # Search ------------------------------------------------------------------------------------------------------

    async def _search(self, request: Request) -> Response:
        asked = request.query_params
        query = asked.get("q", "")[:MAX_QUERY].strip()
        chosen = {name: asked[name] for name in FACETS if asked.get(name)}
        kept = ({"q": query} if query else {}) | chosen
        view = self._view()
        if view is None:
            return self._pages.render("portal/catalogue.html", request, status=503, view=None, query=query)
        number = page_number(request)
        result = view.index.search(query, filters=chosen, offset=(number - 1) * PAGE, limit=PAGE)
        return self._pages.render(
            "portal/catalogue.html",
            request,
            rest=f"&{urlencode(kept)}" if kept else "",
            view=view,
            query=query,
            chosen=chosen,
            result=result,
            rows=rows(view, result, page_language(request)),
            number=number,
            last=max(1, -(-result.total // PAGE)),
            kept=urlencode(kept),
        )

    def _view(self) -> View | None:
        try:
            return self._catalogues.view()
        except Error:
            return None

    async def _members(self, request: Request) -> Response:
        view, asked = self._catalogues.view(), request.query_params
        query = asked.get("q", "")[:MAX_QUERY].strip()
        chosen = {"class": asked["class"]} if asked.get("class") else {}
        kept = ({"q": query} if query else {}) | chosen
        number = page_number(request)
        result = view.members.search(query, filters=chosen, offset=(number - 1) * PAGE, limit=PAGE)
        language = page_language(request)
        found = (view.catalogue.members.get(MemberId.parse(one)) for one in result.ids)
        return self._pages.render(
            "portal/members.html",
            request,
            rest=f"&{urlencode(kept)}" if kept else "",
            view=view,
            query=query,
            chosen=chosen,
            result=result,
            rows=[(one, marked(named(one.names, language), result.keys)) for one in found if one is not None],
            number=number,
            last=max(1, -(-result.total // PAGE)),
            kept=urlencode(kept),
        )

    # One member, one service --------------------------------------------------------------------------------------

    async def _member(self, request: Request) -> Response:
        view = self._catalogues.view()
        member = find_member(view, request)
        catalogue = view.catalogue
        services = {system: [] for system in member.subsystems}  # type: dict[SubsystemId, list[CatalogueService]]
        for one in member.services:
            services.setdefault(one.subsystem, []).append(catalogue.services[one])
        return self._pages.render(
            "portal/member.html",
            request,
            view=view,
            member=member,
            systems=[(system, member.subsystems.get(system), mine) for system, mine in services.items()],
            calls=[
                (system, [catalogue.services[one] for one in catalogue.calls.get(str(system), ())[:CALLED_SHOWN]])
                for system in member.subsystems
            ],
            nodes=catalogue.nodes_of(member.id),
            logs=catalogue.logs_of(member.id),
        )

    async def _service(self, request: Request) -> Response:
        view = self._catalogues.view()
        service = find_service(view, request)
        now = self._clock.now()
        callers = list(islice(view.catalogue.callers(service, now), CALLERS_COUNTED))
        rendered, lost = await self._description(service)
        return self._pages.render(
            "portal/service.html",
            request,
            view=view,
            service=service,
            planned=service.planned(now),
            provider=view.catalogue.members[service.member],
            callers=callers[:CALLERS_SHOWN],
            more_callers=max(0, len(callers) - CALLERS_SHOWN),
            rendered=rendered,
            lost=lost,
            samples=sample_calls(service, rendered, self._country, [caller.client for caller in callers]),
            offer=self._try.offer(service, rendered, callers),
        )

    async def _tried(self, request: Request) -> Response:
        view = self._catalogues.view()
        service = find_service(view, request)
        callers = list(islice(view.catalogue.callers(service, self._clock.now()), CALLERS_COUNTED))
        rendered, _ = await self._description(service)
        return await self._try.answer(request, service, rendered, callers)

    async def _document(self, request: Request) -> Response:
        service = find_service(self._catalogues.view(), request)
        if service.shown is None or service.shown.description is None:
            raise NotFound("service.no-description", "the owner shows no description of this service", at="caller")
        data = await asyncio.to_thread(self._catalogues.description, service.shown.description)
        # A document from elsewhere is never opened as a page of this site.
        headers = {"Content-Disposition": 'attachment; filename="openapi.json"', "Cache-Control": "no-cache"}
        return Response(data, media_type="application/json", headers=headers)

    async def _description(self, service: CatalogueService) -> tuple[Rendered | None, bool]:
        """The description to show, if there is one; and whether there is one that cannot be shown now."""
        reference = service.shown.description if service.shown is not None else None
        if reference is None:
            return None, False
        try:
            return await asyncio.to_thread(self._rendered, reference), False
        except Error:
            return None, True

    def _rendered(self, reference: DescriptionReference) -> Rendered:
        """A description read for a page; the last few are kept, for reading takes a while."""
        found = self._read.get(reference.sha256)
        if found is None:
            found = render(self._catalogues.description(reference))
            while len(self._read) >= KEPT_DESCRIPTIONS:
                self._read.pop(next(iter(self._read)), None)
            self._read[reference.sha256] = found
        return found

    # Logs, receipts, and nothing -----------------------------------------------------------------------------------

    async def _show_logs(self, request: Request) -> Response:
        view, number = self._catalogues.view(), page_number(request)
        states, total = await self._logs.states(view.catalogue, offset=(number - 1) * LOGS_SHOWN, limit=LOGS_SHOWN)
        return self._pages.render(
            "portal/logs.html",
            request,
            view=view,
            states=states,
            rule=self._logs.rule(),
            names={id_: member.names for id_, member in view.catalogue.members.items()},
            number=number,
            last=max(1, -(-total // LOGS_SHOWN)),
        )

    async def _verify(self, request: Request) -> Response:
        language = page_language(request)
        data = {"texts": {language: texts_of(language)}, "words": portal_texts(language)["verify"]}
        return self._pages.render("portal/verify.html", request, data=data)


async def _nothing(_: Request) -> Response:
    raise NotFound("request.no-route", "there is no such page", at="caller")


def page_number(request: Request) -> int:
    """Which page is asked for, from 1; 1 for anything that is no number."""
    text = request.query_params.get("page", "1")
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 1
    return max(1, min(number, LAST_PAGE))


def find_member(view: View, request: Request) -> CatalogueMember:
    """The member an address names; raises `NotFound`."""
    asked = request.path_params
    found = view.catalogue.members.get(
        MemberId(view.catalogue.configuration.instance, asked["member_class"], asked["code"])
    )
    if found is None:
        raise NotFound("member.unknown", "there is no such member", at="caller")
    return found


def find_service(view: View, request: Request) -> CatalogueService:
    """The service an address names; raises `NotFound`."""
    asked = request.path_params
    member = MemberId(view.catalogue.configuration.instance, asked["member_class"], asked["code"])
    found = view.catalogue.services.get(ServiceId(SubsystemId(member, asked["subsystem"]), asked["service"]))
    if found is None:
        raise NotFound("service.unknown", "there is no such service", at="caller")
    return found


def rows(view: View, result: Result, language: str) -> list[dict[str, Any]]:
    """The results of one page: each service, and its texts with the words that were found marked.

    The index may be a little older than the catalogue; what is no longer there is passed over.
    """
    found = (view.catalogue.services.get(ServiceId.parse(one)) for one in result.ids)
    return [_row(view, service, result, language) for service in found if service is not None]


def _row(view: View, service: CatalogueService, result: Result, language: str) -> dict[str, Any]:
    provider = view.catalogue.members[service.member]
    purpose = service.passport.purpose if service.passport is not None else None
    return {
        "service": service,
        "provider": provider,
        "name": marked(named(service.shown_names, language), result.keys),
        "purpose": marked(named(purpose, language), result.keys) if purpose is not None else [],
        "member": marked(named(provider.names, language), result.keys),
    }
