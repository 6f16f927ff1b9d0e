"""Access on the portal: how to ask for it, and who was given what; as pages and, under `/api/v1`, for programs.

A request travels as an exchange between the two members and is seen by them alone, so none is here. Rights are signed
and public: what is shown comes from the book of rights (`registry.granted`) that this portal keeps while it looks.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, Protocol
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from qaztech.core.errors import Error, Malformed
from qaztech.core.ids import MemberId, ServiceId, SubsystemId
from qaztech.core.time import Clock
from qaztech.registry.catalogue import Catalogue, CatalogueMember, CatalogueService
from qaztech.registry.granted import MOST_NAMED, Granted, Which
from qaztech.registry.search import MAX_QUERY
from qaztech.web.catalogue_view import Catalogues, View
from qaztech.web.portal_pages import PortalPages

SHOWN = 20
LAST_PAGE = 10_000
MAX_LIMIT = 100
MAX_OFFSET = 1_000_000

State = Literal["open", "expired", "revoked", "changed", "void"]


class GrantedRights(Protocol):
    """Where pages get rights from: `registry.granted.RightsBook`."""

    def newest(
        self,
        *,
        members: Collection[str] | None = None,
        services: Collection[str] | None = None,
        which: Which = "",
        now: int,
        offset: int = 0,
        limit: int = 20,
    ) -> tuple[list[Granted], int]:
        """Rights, those first that were given or taken away last; and how many there are. Blocks."""
        ...


class NoRights:
    """Stands in where no book is kept."""

    def newest(self, **_: object) -> tuple[list[Granted], int]:
        """There is none."""
        return [], 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What is asked for: words or identifiers, empty for any."""

    member: str
    service: str
    which: Which
    offset: int
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownRight:
    """A right and how it stands; None for a member or service that is not in the catalogue now.

    `void`: signed and not over, but provider or client are not members now under that key, or the service is not there.
    """

    right: Granted
    state: State
    provider: CatalogueMember | None
    holder: CatalogueMember | None
    service: CatalogueService | None


class AccessPages:
    """The page and its twin for programs."""

    def __init__(self, *, pages: PortalPages, catalogues: Catalogues, rights: GrantedRights, clock: Clock) -> None:
        self._pages = pages
        self._catalogues = catalogues
        self._rights = rights
        self._clock = clock

    def routes(self) -> list[BaseRoute]:
        """Every route."""
        return [Route("/access", self._pages.guarded(self._show)), Route("/api/v1/access", self._give)]

    async def _show(self, request: Request) -> Response:
        asked, view = request.query_params, self._catalogues.view()
        member, service = (asked.get(name, "")[:MAX_QUERY].strip() for name in ("member", "service"))
        which: Which = _which(asked.get("state", "")) or ""
        number = max(1, min(_number(asked.get("page", "1")) or 1, LAST_PAGE))
        page = _Asked(member=member, service=service, which=which, offset=(number - 1) * SHOWN, limit=SHOWN)
        found, total = await self._found(view, page)
        kept = {name: value for name, value in (("member", member), ("service", service), ("state", which)) if value}
        return self._pages.render(
            "portal/access.html",
            request,
            rest=f"&{urlencode(kept)}" if kept else "",
            view=view,
            wanted=_service(view.catalogue, service),
            rights=found,
            total=total,
            member=member,
            service=service,
            which=which,
            number=number,
            last=max(1, -(-total // SHOWN)),
            kept=urlencode(kept),
        )

    async def _give(self, request: Request) -> Response:
        asked = request.query_params
        limit, offset = (_number(asked.get(name, usual)) for name, usual in (("limit", "20"), ("offset", "0")))
        which = _which(asked.get("state", ""))
        names = asked.get("member", ""), asked.get("service", "")
        unknown = set(asked) - {"member", "service", "state", "limit", "offset"}
        if (
            unknown or which is None or limit is None or offset is None or limit > MAX_LIMIT or offset > MAX_OFFSET
            or any(len(name) > MAX_QUERY for name in names)
        ):  # fmt: skip
            raise Malformed(
                "request.query", f"member, service, state (open, ended), offset, limit up to {MAX_LIMIT}", at="caller"
            )
        view = self._catalogues.view()
        page = _Asked(member=names[0].strip(), service=names[1].strip(), which=which, offset=offset, limit=limit)
        found, total = await self._found(view, page)
        rights = [{**msgspec.to_builtins(one.right), "state": one.state} for one in found]
        text = json.dumps({"total": total, "rights": rights}, ensure_ascii=False, separators=(",", ":"))
        return Response(text, media_type="application/json", headers={"Cache-Control": "no-store"})

    async def _found(self, view: View, asked: _Asked) -> tuple[list[ShownRight], int]:
        now = self._clock.now()
        rows, total = await asyncio.to_thread(
            self._rights.newest,
            members=_members(view, asked.member) if asked.member else None,
            services=_services(view, asked.service) if asked.service else None,
            which=asked.which,
            now=now,
            offset=asked.offset,
            limit=asked.limit,
        )
        return [_shown(view.catalogue, row, now) for row in rows], total


def _members(view: View, text: str) -> list[str]:
    """Members by identifier, or by words and numbers as the search finds them."""
    try:
        return [str(MemberId.parse(text))]
    except Error:
        return list(view.members.search(text, limit=MOST_NAMED).ids)


def _services(view: View, text: str) -> list[str]:
    """Services by identifier, or by words."""
    try:
        return [str(ServiceId.parse(text))]
    except Error:
        return list(view.index.search(text, limit=MOST_NAMED).ids)


def _service(catalogue: Catalogue, text: str) -> CatalogueService | None:
    try:
        return catalogue.services.get(ServiceId.parse(text))
    except Error:
        return None


def _shown(catalogue: Catalogue, right: Granted, now: int) -> ShownRight:
    provider = catalogue.members.get(MemberId.parse(right.provider))
    holder = catalogue.members.get(SubsystemId.parse(right.client).member)
    service = catalogue.services.get(ServiceId.parse(right.service))
    state: State = "open"
    if right.why is not None:
        state = right.why
    elif right.until is not None and right.until <= now:
        state = "expired"
    elif provider is None or service is None or holder is None or holder.lineage != right.lineage:
        state = "void"
    return ShownRight(right=right, state=state, provider=provider, holder=holder, service=service)


def _which(text: str) -> Which | None:
    """Which rights; None for a word that is not known."""
    known: dict[str, Which] = {"": "", "open": "open", "ended": "ended"}
    return known.get(text)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
