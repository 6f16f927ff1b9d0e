"""The portal: the country as a picture, its calls as they happen, its logs as they grow, every receipt with its checks.

The catalogue and what belongs to it are pages of their own (`catalogue_pages`).

It reads, and does one thing: make the harmless call that is shown on it, or one that a visitor fills in to try a test
environment (`try_page`). It believes nodes no more than any visitor
would: receipts are checked in the visitor's browser. Whatever comes from outside stands in it as text.
"""

from __future__ import annotations

import json
import re
import time
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from qaztech.core.errors import Limited, NotFound, Unavailable
from qaztech.core.time import Clock
from qaztech.registry.anchor import parse_anchor
from qaztech.runtime.shell import ShellLimits, application
from qaztech.web.access_pages import AccessPages, GrantedRights, NoRights
from qaztech.web.asking import ask
from qaztech.web.catalogue_pages import CataloguePages
from qaztech.web.catalogue_view import Catalogues, NoCatalogue
from qaztech.web.country import Country, call_of
from qaztech.web.files import StaticFiles
from qaztech.web.headers import Guard
from qaztech.web.hub import Hub, headers_for
from qaztech.web.picture import pictures
from qaztech.web.portal_pages import PortalPages, page_language, require_own_page
from qaztech.web.public_acts import ActPages
from qaztech.web.texts import STATIC, catalogue

MESSAGE = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
WAIT_SECONDS = 20
CALL_EVERY = 0.25


class Portal:
    """The page of one instance. `app` is the ASGI application; `close` ends the streams of open pages."""

    def __init__(
        self,
        *,
        country: Country,
        clock: Clock,
        catalogues: Catalogues | None = None,
        rights: GrantedRights | None = None,
    ) -> None:
        self._country = country
        self._hub = Hub(country=country, clock=clock)
        self._call = call_of(country.try_.curl) if country.try_ is not None else None
        self._called = 0.0
        self._pages = PortalPages(country)
        catalogues = catalogues or NoCatalogue()
        pages = CataloguePages(
            country=country, pages=self._pages, catalogues=catalogues, anchor=self._read_anchor, clock=clock
        )
        acts = ActPages(
            country=country,
            pages=self._pages,
            catalogues=catalogues,
            rule=lambda: parse_anchor(self._read_anchor()).policy,
        )
        access = AccessPages(pages=self._pages, catalogues=catalogues, rights=rights or NoRights(), clock=clock)
        files = StaticFiles(STATIC)
        self.routes: list[BaseRoute] = [
            Route("/", self._home),
            Route("/health", self._health),
            Route("/events", self._events),
            Route("/calls", self._make_call, methods=["POST"]),
            Route("/anchor.json", self._anchor),
            Route("/receipts/{node}/{message}", self._receipt),
            Route("/receipts/{node}/{message}/receipt.json", self._receipt_json),
            Route("/receipts/{node}/{message}/receipt.html", self._receipt_html),
            Route("/static/{path:path}", files.answer),
            *acts.routes(),
            *access.routes(),
            *pages.routes(),
        ]
        self.app: ASGIApp = Guard(application(self.routes, ShellLimits(body=4096)), _hosts(country))

    def close(self) -> None:
        """End the streams of open pages."""
        self._hub.close()

    # Pages -------------------------------------------------------------------------------------------------------

    async def _home(self, request: Request) -> Response:
        await self._hub.refresh()
        language = page_language(request)
        texts = catalogue(language)
        state = self._hub.state()
        return self._pages.render(
            "home.html",
            request,
            pictures=pictures(self._country, language, texts),
            state=state,
            call=self._call is not None,
            fingerprint=_fingerprint(self._read_anchor()),
            data={"state": state, "texts": {language: texts}, "country": self._names(language)},
        )

    async def _receipt(self, request: Request) -> Response:
        node, message = self._exchange(request)
        language = page_language(request)
        return self._pages.render(
            "exchange.html",
            request,
            node=node.name,
            message=message,
            data={"texts": {language: catalogue(language)}},
        )

    def _names(self, language: str) -> dict[str, Any]:
        return {node.name: {"name": node.names.of(language), "member": node.member} for node in self._country.nodes}

    # Data --------------------------------------------------------------------------------------------------------

    async def _health(self, _: Request) -> Response:
        return Response("ok", media_type="text/plain")

    async def _events(self, _: Request) -> Response:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(self._hub.subscribe(), media_type="text/event-stream", headers=headers)

    async def _anchor(self, _: Request) -> Response:
        return Response(self._read_anchor(), media_type="application/json", headers={"Cache-Control": "no-cache"})

    async def _receipt_json(self, request: Request) -> Response:
        body = await self._fetch_receipt(request)
        return Response(body, media_type="application/json", headers={"Cache-Control": "no-store"})

    async def _receipt_html(self, request: Request) -> Response:
        from qaztech.web.receipt_html import render_html  # noqa: PLC0415  # seldom asked for, and not small

        receipt = json.loads(await self._fetch_receipt(request))
        page = render_html(receipt, self._read_anchor(), language=page_language(request))
        name = f"receipt-{request.path_params['message']}.html"
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
        return Response(page, media_type="text/html", headers=headers)

    async def _fetch_receipt(self, request: Request) -> bytes:
        node, message = self._exchange(request)
        url = f"{node.management}/receipts/{message}?wait=witnessed&seconds={WAIT_SECONDS}"
        answer = await ask(url, headers=headers_for(node), seconds=WAIT_SECONDS + 10)
        if answer.status == 200:
            return answer.body
        problem = _problem(answer.body)
        if answer.status == 404:
            raise NotFound("exchange.unknown", problem, at="log")
        raise Unavailable("receipt.incomplete", problem, at="log", retry_after=1)

    def _exchange(self, request: Request) -> tuple[Any, str]:
        message = request.path_params["message"]
        if not MESSAGE.match(message):
            raise NotFound("exchange.unknown", "that is not a message id", at="caller")
        return self._country.node(request.path_params["node"]), message

    def _read_anchor(self) -> bytes:
        try:
            return Path(self._country.anchor).read_bytes()
        except OSError as exc:
            raise NotFound("anchor.missing", "the anchor's file is not there") from exc

    # The one thing it does ------------------------------------------------------------------------------------------

    async def _make_call(self, request: Request) -> Response:
        """Make the call that the page shows, and tell how it went."""
        if self._call is None:
            raise NotFound("call.none", "this page has no call to make", at="caller")
        require_own_page(request)
        now = time.monotonic()
        if now < self._called + CALL_EVERY:
            raise Limited("call.too-often", "a call was made just now", at="caller", retry_after=1)
        self._called = now
        answer = await ask(self._call.url, headers=self._call.headers, seconds=30)
        if "text/html" in request.headers.get("accept", ""):
            return RedirectResponse("/" + _lang(request), status_code=303)
        told = {
            "node": next((n.name for n in self._country.nodes if n.edge and self._call.url.startswith(n.edge)), ""),
            "status": answer.status,
            "milliseconds": round((time.monotonic() - now) * 1000),
            "message": answer.headers.get("x-road-request-id", ""),
        }
        return Response(json.dumps(told), media_type="application/json", headers={"Cache-Control": "no-store"})


def portal_app(
    country: Country, *, clock: Clock, catalogues: Catalogues | None = None, rights: GrantedRights | None = None
) -> Portal:
    """The page of an instance, ready to be served; without `catalogues` its catalogue is never ready."""
    return Portal(country=country, clock=clock, catalogues=catalogues, rights=rights)


def _hosts(country: Country) -> frozenset[str]:
    return frozenset({"127.0.0.1", "localhost", "::1", urlsplit(country.portal).hostname or "localhost"})


def _lang(request: Request) -> str:
    return f"?lang={page_language(request)}" if "lang" in request.query_params else ""


def _problem(body: bytes) -> str:
    """Why a node refused, in its own words."""
    try:
        found = json.loads(body)
        return str(found.get("detail") or found.get("title") or "the node refused")[:500]
    except (ValueError, AttributeError):
        return "the node refused"


def _fingerprint(anchor: bytes) -> list[str]:
    digest = sha256(anchor).hexdigest()
    return [digest[i : i + 4] for i in range(0, 64, 4)]
