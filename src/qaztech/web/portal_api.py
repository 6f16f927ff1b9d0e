"""The portal for programs: the same catalogue, members, services and logs as JSON under `/api/v1` (OpenAPI 3.1).

Read-only and for anyone; the description is `openapi.json` beside it, kept in docs/reference/portal-api.json. What is
answered was verified as for the pages, and a program that must know for itself checks it from the anchor on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from qaztech.core.errors import Malformed, NotFound
from qaztech.core.ids import MemberId, ServiceId, SubsystemId
from qaztech.core.time import Clock
from qaztech.registry.catalogue import CatalogueMember, CatalogueService
from qaztech.registry.forms import Names
from qaztech.registry.search import FACETS, MAX_QUERY, Result, SearchIndex
from qaztech.web.catalogue_view import Catalogues, View
from qaztech.web.country import Country
from qaztech.web.log_states import LogStates
from qaztech.web.portal_description import FILTERS, describe_api

MAX_LIMIT = 100
MAX_OFFSET = 1_000_000
MAX_CALLERS = 1000
MAX_CALLED = 1000


class PortalApi:
    """The routes under `/api/v1`."""

    def __init__(self, *, country: Country, catalogues: Catalogues, logs: LogStates, clock: Clock) -> None:
        self._country = country
        self._catalogues = catalogues
        self._logs = logs
        self._clock = clock

    def routes(self) -> list[BaseRoute]:
        """Every route."""
        return [
            Route("/api/v1/openapi.json", self._openapi),
            Route("/api/v1/catalogue", self._search),
            Route("/api/v1/members", self._members),
            Route("/api/v1/members/{member_class}/{code}", self._member),
            Route("/api/v1/services/{member_class}/{code}/{subsystem}/{service}", self._service),
            Route("/api/v1/logs", self._show_logs),
        ]

    async def _openapi(self, _: Request) -> Response:
        return _json(describe_api())

    async def _search(self, request: Request) -> Response:
        asked = request.query_params
        unknown = set(asked) - {"q", "offset", "limit", *FACETS}
        query = asked.get("q", "")
        if unknown or len(query) > MAX_QUERY:
            raise Malformed(
                "request.query", f"q of at most {MAX_QUERY} letters, offset, limit and filters", at="caller"
            )
        for name, values in FILTERS.items():
            if asked.get(name, values[0]) not in values:
                raise Malformed("request.query", f"{name} is one of {', '.join(values)}", at="caller")
        view = self._catalogues.view()
        result = view.index.search(
            query,
            filters={name: asked[name] for name in FACETS if asked.get(name)},
            offset=_number(asked, "offset", 0, MAX_OFFSET),
            limit=_number(asked, "limit", 20, MAX_LIMIT),
        )
        known = (view.catalogue.services.get(ServiceId.parse(one)) for one in result.ids)
        services = [_service_line(view, one) for one in known if one is not None]
        found = {"total": result.total, "loose": result.loose, "facets": result.facets, "services": services}
        return _json({"snapshot": _snapshot(view), **found})

    async def _members(self, request: Request) -> Response:
        view = self._catalogues.view()
        result = _found(view.members, request.query_params, ("class",))
        known = (view.catalogue.members.get(MemberId.parse(one)) for one in result.ids)
        members = [
            {"id": str(one.id), "names": _names(one.names), "since": one.since, "services": len(one.services)}
            for one in known
            if one is not None
        ]
        found = {"total": result.total, "loose": result.loose, "classes": result.facets["class"], "members": members}
        return _json({"snapshot": _snapshot(view), **found})

    async def _member(self, request: Request) -> Response:
        view, asked = self._catalogues.view(), request.path_params
        catalogue = view.catalogue
        id_ = MemberId(catalogue.configuration.instance, asked["member_class"], asked["code"])
        member = catalogue.members.get(id_)
        if member is None:
            raise NotFound("member.unknown", "there is no such member", at="caller")
        return _json({"snapshot": _snapshot(view), **_member_text(view, member)})

    async def _service(self, request: Request) -> Response:
        view, asked = self._catalogues.view(), request.path_params
        member = MemberId(view.catalogue.configuration.instance, asked["member_class"], asked["code"])
        found = view.catalogue.services.get(ServiceId(SubsystemId(member, asked["subsystem"]), asked["service"]))
        if found is None:
            raise NotFound("service.unknown", "there is no such service", at="caller")
        callers = list(islice(view.catalogue.callers(found, self._clock.now()), MAX_CALLERS))
        reference = found.shown.description if found.shown is not None else None
        return _json({
            "snapshot": _snapshot(view),
            **_service_line(view, found),
            "endpoints": found.endpoints,
            "callers": [
                {"client": str(c.client), "endpoints": c.endpoints, "until": c.until, "group": c.group}
                for c in callers
            ],
            "callers_cut": len(callers) == MAX_CALLERS,
            "passport": msgspec.to_builtins(found.passport) if found.passport is not None else None,
            "description": msgspec.to_builtins(reference) if reference is not None else None,
        })  # fmt: skip

    async def _show_logs(self, request: Request) -> Response:
        view, asked = self._catalogues.view(), request.query_params
        states, total = await self._logs.states(
            view.catalogue,
            offset=_number(asked, "offset", 0, MAX_OFFSET),
            limit=_number(asked, "limit", 20, MAX_LIMIT),
        )
        logs = [
            {
                "origin": state.origin,
                "kind": state.kind,
                "member": str(state.member) if state.member is not None else None,
                "node": state.node or None,
                "closed": state.closed,
                "finding": state.finding,
                "size": state.size,
                "root": state.root,
                "quorum": state.quorum,
                "witnesses": [
                    {"name": one.name, "finding": one.finding, "size": one.size, "time": one.time}
                    for one in state.witnesses
                ],
            }
            for state in states
        ]
        return _json({"snapshot": _snapshot(view), "total": total, "logs": logs})


def _found(index: SearchIndex, asked: Mapping[str, str], filters: Sequence[str]) -> Result:
    """What a query finds; raises `Malformed` for parameters that are not described."""
    query = asked.get("q", "")
    if set(asked) - {"q", "offset", "limit", *filters} or len(query) > MAX_QUERY:
        raise Malformed("request.query", f"q of at most {MAX_QUERY} letters, offset, limit and filters", at="caller")
    return index.search(
        query,
        filters={name: asked[name] for name in filters if asked.get(name)},
        offset=_number(asked, "offset", 0, MAX_OFFSET),
        limit=_number(asked, "limit", 20, MAX_LIMIT),
    )


def _snapshot(view: View) -> dict[str, Any]:
    configuration = view.catalogue.configuration
    return {
        "version": configuration.snapshot_version,
        "sha256": configuration.snapshot_hash,
        "expires": configuration.expires,
        "confirmed": view.survey.confirmed,
        "proven": view.survey.proven,
        "problem": view.survey.problem,
    }


def _names(names: Names) -> dict[str, str]:
    return {"kk": names.kk, "ru": names.ru, "en": names.en}


def _service_line(view: View, service: CatalogueService) -> dict[str, Any]:
    passport = service.passport
    return {
        "id": str(service.id),
        "names": _names(service.shown_names),
        "type": service.type,
        "disabled": service.disabled,
        "member": {"id": str(service.member), "names": _names(view.catalogue.members[service.member].names)},
        "environment": passport.environment if passport is not None else None,
        "personal": passport.states_personal if passport is not None else None,
    }


def _member_text(view: View, member: CatalogueMember) -> dict[str, Any]:
    catalogue = view.catalogue
    return {
        "id": str(member.id),
        "names": _names(member.names),
        "lineage": member.lineage,
        "version": member.version,
        "since": member.since,
        "subsystems": [
            {
                "id": str(system),
                "names": _names(names),
                "services": [str(one) for one in member.services if one.subsystem == system],
                "calls": [str(one) for one in catalogue.calls.get(str(system), ())[:MAX_CALLED]],
            }
            for system, names in member.subsystems.items()
        ],
        "nodes": [{"id": str(node.id), "address": node.address} for node in catalogue.nodes_of(member.id)],
        "logs": [
            {"origin": log.origin, "node": str(log.node), "from": log.from_, "closed": log.closed is not None}
            for log in catalogue.logs_of(member.id)
        ],
    }


def _number(asked: Mapping[str, str], name: str, usual: int, most: int) -> int:
    text = asked.get(name, str(usual))
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) <= most):
        raise Malformed("request.query", f"{name} is a whole number up to {most}", at="caller")
    return int(text)


def _json(value: object) -> Response:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Response(text, media_type="application/json", headers={"Cache-Control": "no-store"})
