"""The living architecture in the browser: a picture, and the same as tables that need no JavaScript.

What is declared beside what was seen, chosen by the query; one system with who is hurt without it and where its data
go; single points of failure. Not here: the graph (`hub.landscape`), drawing (`static/landscape.js`).
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Final, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from qaztech.core.errors import Malformed, NotFound, Unavailable
from qaztech.hub import scopes
from qaztech.hub.detecting import today_in_kazakhstan
from qaztech.hub.landscape.choice import Choice
from qaztech.hub.landscape.graph import SinglePoint, Standing
from qaztech.hub.landscape.kept import Known, Landscapes
from qaztech.hub.landscape.layout import GROUPINGS
from qaztech.hub.landscape.picture import CHANNELS, STANDINGS, picture
from qaztech.hub.register.rows import Channel
from qaztech.hub.register.titles import choice_title
from qaztech.people.people import Person
from qaztech.web.hub_pages import HubPages, hub_texts
from qaztech.web.hub_parts import HubParts, HubRoute, PageGroup
from qaztech.web.landscape_view import (
    LINK_SORTS,
    SYSTEM_SORTS,
    Names,
    hurt_json,
    link_lines,
    link_rows,
    months_there,
    system_lines,
    values_there,
)
from qaztech.web.people_pages import page_language
from qaztech.web.registry_pages import asked

LANDSCAPE: Final = "/console/landscape"
SYSTEM: Final = f"{LANDSCAPE}/system"
# Lines of one page of a table, of a list on the page of one system, and of single points of failure.
_LINES: Final = 50
_SHOWN: Final = 200
_POINTS: Final = 50
_VIEWS: Final = {"systems": SYSTEM_SORTS, "links": LINK_SORTS}
_SMALL: Final = 1024
W = TypeVar("W", bound=StrEnum)


class LandscapePages:
    """The handlers."""

    def __init__(self, parts: HubParts, pages: HubPages) -> None:
        self._parts = parts
        self._pages = pages
        self._landscapes = Landscapes(parts.objects, parts.flows)

    def routes(self) -> list[HubRoute]:
        """Every route with its scope."""
        return [
            HubRoute("GET", LANDSCAPE, scopes.OBJECTS, self._show),
            HubRoute("GET", f"{LANDSCAPE}.json", scopes.OBJECTS, self._picture),
            HubRoute("GET", SYSTEM, scopes.OBJECTS, self._system),
            HubRoute("GET", f"{SYSTEM}.json", scopes.OBJECTS, self._system_json),
        ]

    async def _show(self, request: Request, person: Person) -> Response:
        """Picture and table.

        `?group=` groups the picture, `?focus=` shows one system in it; `?q=`, `body`, `area`, `region`, `channel`,
        `standing` and `month` choose; `?view=` is systems or links, `sort` and `page` are the table's.
        """
        grouping, choice = _grouping(request), _choice(request)
        view = _one_of(request, "view", tuple(_VIEWS))
        sort = _one_of(request, "sort", tuple(_VIEWS[view]))
        page = _page(request)
        values = await asyncio.to_thread(self._shown, request, choice, view, sort, page)
        query = _query(request)
        return self._pages.render(
            request, person, "landscape.html", grouping=grouping, groupings=tuple(GROUPINGS), choice=choice, view=view,
            sort=sort, sorts=tuple(_VIEWS[view]), page=page, query=query, lines_most=_LINES, points_most=_POINTS,
            focus=asked(request, "focus"), element=asked(request, "element"), mode=asked(request, "mode"),
            channels=CHANNELS, standings=STANDINGS, views=tuple(_VIEWS), **values,
        )  # fmt: skip

    async def _picture(self, request: Request, _: Person) -> Response:
        """The picture's data; `?group=` as on the page. Columns as `hub.landscape.picture` makes them."""
        grouping, language = _grouping(request), page_language(request)
        packed = await asyncio.to_thread(self._packed, grouping, language)
        return _json(request, packed, packed=True)

    async def _system(self, request: Request, person: Person) -> Response:
        """`?id=` a system; `?element=` narrows where its data go."""
        id_, element = _id(request), asked(request, "element")
        values = await asyncio.to_thread(self._one, request, id_, element)
        return self._pages.render(request, person, "landscape-system.html", element=element, most=_SHOWN, **values)

    async def _system_json(self, request: Request, _: Person) -> Response:
        """What the page of one system says: who is hurt without it, and the links over which its data go on."""
        id_, element = _id(request), asked(request, "element")
        found = await asyncio.to_thread(self._one, request, id_, element)
        landscape, names = found["known"].landscape, found["names"]
        answer = {
            "id": id_,
            "name": names.node(found["node"]),
            "elements": found["elements"],
            "hurt": [hurt_json(hurt, landscape, names) for hurt in found["hurt"]],
            "flow": [[line.link.provider, line.link.consumer] for line in found["flow"]],
        }
        return _json(request, msgspec.json.encode(answer), packed=False)

    def _shown(self, request: Request, choice: Choice, view: str, sort: str, page: int) -> dict[str, Any]:
        known = self._landscapes.newest()
        names = self._names(request, known)
        make = system_lines if view == "systems" else link_lines
        lines: Sequence[Any] = make(known, choice, names, sort)
        language = page_language(request)
        return {
            "known": known,
            "names": names,
            "lines": lines[(page - 1) * _LINES : page * _LINES],
            "found": len(lines),
            "points": self._points(known),
            "there": values_there(known, names),
            "months": months_there(known),
            "channel_names": {each: choice_title("integrations", "channel", each, language) for each in CHANNELS},
            "changed": self._changed(),
        }

    def _one(self, request: Request, id_: str, element: str) -> dict[str, Any]:
        known = self._landscapes.newest()
        landscape, names = known.landscape, self._names(request, known)
        if id_ not in landscape.nodes:
            raise NotFound("landscape.node", "no such system", at="caller")
        node = landscape.nodes[id_]
        language = page_language(request)
        return {
            "known": known,
            "names": names,
            "node": node,
            "elements": node.object.data_elements if node.object else (),
            "hurt": landscape.impact(id_),
            "flow": link_rows(landscape, landscape.register_flow(id_, element), names),
            "provided": link_rows(landscape, landscape.provided_by(id_), names),
            "consumed": link_rows(landscape, landscape.consumed_by(id_), names),
            "life": choice_title("objects", "status", node.object.status, language)
            if node.object and node.object.status
            else "",
            "channel_names": {each: choice_title("integrations", "channel", each, language) for each in CHANNELS},
            "changed": self._changed(),
        }

    def _packed(self, grouping: str, language: str) -> bytes:
        known = self._landscapes.newest()

        def make() -> bytes:
            names = self._names_in(language, known)
            found = picture(
                known.landscape, known.layout(grouping), grouping, known.traffic,
                node_name=names.node, group_name=names.group,
            )  # fmt: skip
            return gzip.compress(msgspec.json.encode({"version": known.register.version, **found}), 5, mtime=0)

        return known.picture(grouping, language, make)

    def _points(self, known: Known) -> list[SinglePoint] | None:
        try:
            return known.points()
        except Unavailable:  # the page says that it is not known
            return None

    def _changed(self) -> int | None:
        """When the registry last changed (milliseconds)."""
        newest = self._parts.objects.batches(limit=1)
        return newest[0].at if newest else None

    def _names(self, request: Request, known: Known) -> Names:
        return self._names_in(page_language(request), known)

    def _names_in(self, language: str, known: Known) -> Names:
        none = hub_texts(language)["landscape"]["none-such"]
        return Names(known.register, language, today_in_kazakhstan(self._parts.clock), none)


def _json(request: Request, data: bytes, *, packed: bool) -> Response:
    """JSON, compressed for who can take that."""
    headers = {"Cache-Control": "no-store", "Vary": "Accept-Encoding"}
    accepts = "gzip" in request.headers.get("accept-encoding", "")
    if accepts and not packed and len(data) > _SMALL:
        data, packed = gzip.compress(data, 5, mtime=0), True
    if packed and accepts:
        headers["Content-Encoding"] = "gzip"
    elif packed:
        data = gzip.decompress(data)
    return Response(data, headers=headers, media_type="application/json")


def _grouping(request: Request) -> str:
    return _one_of(request, "group", tuple(GROUPINGS))


def _one_of(request: Request, name: str, known: Sequence[str]) -> str:
    """A word of the query, the first of those known if none is given."""
    text = asked(request, name)
    if text and text not in known:
        raise Malformed("form.malformed", f"{name} is one of {', '.join(known)}", at="caller")
    return text or known[0]


def _word(request: Request, name: str, kind: type[W]) -> W | None:
    text = asked(request, name)
    if not text:
        return None
    try:
        return kind(text)
    except ValueError:
        raise Malformed("form.malformed", f"{name} is one of {', '.join(kind)}", at="caller") from None


def _choice(request: Request) -> Choice:
    return Choice(
        text=asked(request, "q"),
        body=asked(request, "body"),
        area=asked(request, "area"),
        region=asked(request, "region"),
        channel=_word(request, "channel", Channel),
        standing=_word(request, "standing", Standing),
        month=asked(request, "month"),
    )


def _page(request: Request) -> int:
    text = asked(request, "page") or "1"
    if not text.isdecimal() or not 0 < int(text[:6]) < 100_000:
        raise Malformed("form.malformed", "a page is a number", at="caller")
    return int(text)


def _id(request: Request) -> str:
    return request.query_params.get("id", "").strip()[:500]


def _query(request: Request) -> dict[str, str]:
    """What is chosen, for links that keep it."""
    names = ("group", "q", "body", "area", "region", "channel", "standing", "month", "view", "sort")
    return {name: asked(request, name) for name in names}


GROUP = PageGroup(
    "landscape", ((LANDSCAPE, scopes.OBJECTS),), lambda parts, pages: LandscapePages(parts, pages).routes()
)
