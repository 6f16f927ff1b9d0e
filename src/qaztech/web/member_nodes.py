"""Pages of nodes and of what went through them: enrolment, certificates, incidents, exchanges, receipts."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from qaztech.core.errors import Error, NotFound, Unavailable
from qaztech.core.ids import NodeId
from qaztech.member.nodes import Looked
from qaztech.people.people import Person
from qaztech.web.blocks import json_block
from qaztech.web.member_parts import PageRoute, Parts, late, off_loop
from qaztech.web.member_site import moment_of, one, read_values, redirect
from qaztech.web.people_pages import page_language
from qaztech.web.texts import catalogue

NODES, EXCHANGES = "/console/nodes", "/console/exchanges"
_LONGEST = 200
_LONGEST_PLACE = 2000
_MINUTE = 60_000


class NodePages:
    """The handlers."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._console = parts.console

    def routes(self) -> list[PageRoute]:
        """Every route with its scope."""
        return [
            PageRoute("GET", NODES, "nodes:read", self._nodes),
            PageRoute("POST", f"{NODES}/grant", "nodes:write", self._grant),
            PageRoute("POST", f"{NODES}/accept", "nodes:write", self._accept),
            PageRoute("GET", "/console/anchor.json", "exchanges:read", self._anchor),
            PageRoute("GET", EXCHANGES, "exchanges:read", self._exchanges),
            PageRoute("GET", f"{EXCHANGES}/{{message}}", "exchanges:read", self._exchange),
            PageRoute("GET", f"{EXCHANGES}/{{message}}/receipt.json", "exchanges:read", self._receipt),
            PageRoute("GET", f"{EXCHANGES}/{{message}}/receipt.html", "exchanges:read", self._receipt_page),
        ]

    # Nodes ------------------------------------------------------------------------------------------------------------

    async def _nodes(self, request: Request, person: Person, token: str = "", problem: Error | None = None) -> Response:
        console = self._console
        status, other = await off_loop(console.node_seen)
        grants = await off_loop(console.member.grants)
        incidents = await off_loop(lambda: _or_none(console.node.incidents))
        return self._parts.pages.render(
            request, "nodes.html", person, status=200 if problem is None else problem.status,
            statement=console.work.file().statement, node=status, other_node=other, grants=grants, incidents=incidents,
            token=token, now=console.clock.now(),
            problem=None if problem is None else self._parts.pages.words(request, problem),
        )  # fmt: skip

    async def _grant(self, request: Request, person: Person) -> Response:
        values = await read_values(request)
        code = one(values, "code")
        try:
            token = await off_loop(lambda: self._console.member.grant_node(code, person.actor))
        except Error as exc:
            return await self._nodes(request, person, problem=exc)
        return await self._nodes(request, person, token)

    async def _accept(self, request: Request, person: Person) -> Response:
        values = await read_values(request)
        node = NodeId.parse(one(values, "node"))
        outcome = await off_loop(lambda: self._console.member.accept_node(node, person.actor))
        return redirect(request, NODES, done="node-accepted", **late(outcome))

    # Exchanges --------------------------------------------------------------------------------------------------------

    async def _exchanges(self, request: Request, person: Person) -> Response:
        query = {name: request.query_params.get(name, "")[:_LONGEST] for name in ("q", "service", "from", "to")}
        if (message := query["q"].strip().lower()) and len(message) == 36 and message.count("-") == 4:
            return redirect(request, f"{EXCHANGES}/{message}")
        before = request.query_params.get("before", "")[:_LONGEST_PLACE]
        since, until = moment_of(query["from"]), moment_of(query["to"])
        looked = await off_loop(lambda: self._looked(query, since, until, before))
        found = () if looked is None else looked.exchanges
        if looked is not None and not before:
            own = str(self._console.work.file().member)
            back_to = looked.back_to or 0
            found = _with_unrecorded(found, await off_loop(self._console.node.exchanges), own, query, back_to)
        asked = {name: text for name, text in query.items() if text} | {"lang": page_language(request)}
        further = None if looked is None or looked.further is None else urlencode(asked | {"before": looked.further})
        return self._parts.pages.render(
            request, "exchanges.html", person, exchanges=found, query=query, looked=looked, further=further,
            first=None if not before else urlencode(asked),
        )  # fmt: skip

    def _looked(self, query: dict[str, str], since: int | None, until: int | None, before: str) -> Looked | None:
        """A page of the logs; None where no node answers."""
        try:
            return self._console.look(
                service=f"{query['service']} {query['q']}".strip(), since=since,
                until=None if until is None else until + _MINUTE, before=before,
            )  # fmt: skip
        except Unavailable:
            return None

    async def _exchange(self, request: Request, person: Person) -> Response:
        message = request.path_params["message"][:_LONGEST]
        language = page_language(request)
        texts = catalogue(language)
        outcome = await off_loop(lambda: self._console.node.outcome(message))
        listed = await off_loop(lambda: _or_none(self._console.node.exchanges)) or []
        known = next((each for each in listed if each.get("message") == message), None)
        return self._parts.pages.render(
            request, "exchange.html", person, message=message, outcome=outcome, known=known,
            data=json_block({"texts": {language: texts}}), waiting=texts["portal"]["waiting"],
        )  # fmt: skip

    async def _anchor(self, _: Request, __: Person) -> Response:
        return Response(self._parts.anchor, media_type="application/json", headers=_UNKEPT)

    async def _receipt(self, request: Request, _: Person) -> Response:
        message = request.path_params["message"]
        receipt = await off_loop(lambda: self._console.node.receipt(message))
        body = json.dumps(receipt, ensure_ascii=False, indent=1)
        headers = {"Content-Disposition": f'attachment; filename="receipt-{_safe(message)}.json"', **_UNKEPT}
        return Response(body, media_type="application/json", headers=headers)

    async def _receipt_page(self, request: Request, _: Person) -> Response:
        from qaztech.web.receipt_html import render_html  # noqa: PLC0415  # seldom asked for, and not small

        message, language = request.path_params["message"], page_language(request)
        receipt = await off_loop(lambda: self._console.node.receipt(message))
        page = await off_loop(lambda: render_html(receipt, self._parts.anchor, language=language))
        # Saved and opened from the disk: its script stands in it, which this site's own policy does not let run.
        headers = {"Content-Disposition": f'attachment; filename="receipt-{_safe(message)}.html"', **_UNKEPT}
        return Response(page, media_type="text/html", headers=headers)


_UNKEPT = {"Cache-Control": "no-store"}


def _safe(message: str) -> str:
    if not message.replace("-", "").isalnum() or not message.isascii():
        raise NotFound("exchange.unknown", "that is not a message id", at="caller")
    return message


def _with_unrecorded(
    found: tuple[dict[str, Any], ...], ended: list[dict[str, Any]], own: str, query: dict[str, str], back_to: int
) -> tuple[dict[str, Any], ...]:
    """With those that just ended and are in no log, for they were refused before: as far back as was looked."""
    known = {one["message"] for one in found}
    more = [one for one in _chosen(ended, query) if one["message"] not in known and one["time"] >= back_to]
    unrecorded = [one for one in more if not one["state"].startswith("answered") and _concerns(one, own)]
    return tuple(sorted([*found, *unrecorded], key=lambda one: one["time"], reverse=True))


def _concerns(one: dict[str, Any], own: str) -> bool:
    return any(f"{one[name]}/".startswith(f"{own}/") for name in ("client", "service"))


def _chosen(found: list[dict[str, Any]], query: dict[str, str]) -> list[dict[str, Any]]:
    """Those that a search asks for: by service or client, from and to a moment of the country's clocks."""
    from_, to = moment_of(query["from"]), moment_of(query["to"])
    words = f"{query['service']} {query['q']}".casefold().split()
    return [
        each
        for each in found
        if (from_ is None or each["time"] >= from_)
        and (to is None or each["time"] < to + _MINUTE)
        and all(word in f"{each['service']} {each['client']}".casefold() for word in words)
    ]


def _or_none(ask: Any) -> Any:
    """What the node says; None where it does not answer."""
    try:
        return ask()
    except Error:
        return None
