"""Bodies, areas and regions: their systems, what those cost, how good the records are, what is found and at stake."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from qaztech.core.errors import NotFound
from qaztech.hub import scopes
from qaztech.hub.observation import observability_of, usage_of
from qaztech.hub.register.law import current_law
from qaztech.hub.register.quality import mean_score, quality
from qaztech.hub.stakes import STANDING, Scope, Stake
from qaztech.people.people import Person
from qaztech.web.hub_book import PRINTABLE, Book, as_json, book_of, printed, traffic_of, words_for
from qaztech.web.hub_cases import case_json
from qaztech.web.hub_figures import costs_figure, detectors_figure, stakes_figure
from qaztech.web.hub_pages import HubPages, hub_texts
from qaztech.web.hub_parts import HubParts, HubRoute, PageGroup
from qaztech.web.people_pages import page_language
from qaztech.web.registry_pages import asked

BODIES = "/console/bodies"


class BodyPages:
    """The handlers."""

    def __init__(self, parts: HubParts, pages: HubPages) -> None:
        self._parts = parts
        self._pages = pages

    def routes(self) -> list[HubRoute]:
        """Every route with its scope."""
        found = [
            HubRoute("GET", BODIES, scopes.OBJECTS, self._list),
            HubRoute("GET", f"{BODIES}.json", scopes.OBJECTS, self._list_json),
        ]
        for scope in Scope:
            found += self._scope_routes(scope)
        return found

    def _scope_routes(self, scope: Scope) -> list[HubRoute]:
        async def show(request: Request, person: Person) -> Response:
            values = await asyncio.to_thread(self._values, request, scope)
            return self._pages.render(request, person, "body.html", **values)

        async def show_json(request: Request, _: Person) -> Response:
            values = await asyncio.to_thread(self._values, request, scope)
            return as_json(_stake_json(values["stake"], values["score"], whole=True))

        async def show_pdf(request: Request, person: Person) -> Response:
            return await asyncio.to_thread(self._printed, request, person, scope)

        path = f"{BODIES}/{scope}"
        return [
            HubRoute("GET", path, scopes.OBJECTS, show),
            HubRoute("GET", f"{path}.json", scopes.OBJECTS, show_json),
            HubRoute("GET", f"{path}.pdf", scopes.OBJECTS, show_pdf),
        ]

    async def _list(self, request: Request, person: Person) -> Response:
        """`?by=` body, area or region: the most at stake first."""
        values = await asyncio.to_thread(self._all, request)
        return self._pages.render(request, person, "bodies.html", **values)

    async def _list_json(self, request: Request, _: Person) -> Response:
        values = await asyncio.to_thread(self._all, request)
        return as_json([_stake_json(each, values["scores"][each.code], whole=False) for each in values["stakes"]])

    def _all(self, request: Request) -> dict[str, Any]:
        scope, book = _scope(request), book_of(self._parts)
        words, stakes = words_for(request, book), book.stakes.all(scope)
        return {
            "words": words,
            "scope": scope,
            "scopes_": list(Scope),
            "stakes": stakes,
            "scores": {stake.code: self._score(stake, book) for stake in stakes},
            "money": book.stakes.whole(),
            "once": book.stakes.once(),
            "chart": stakes_figure(stakes, words),
            "year": book.today.year,
            "book": book,
        }

    def _printed(self, request: Request, person: Person, scope: Scope) -> Response:
        values = self._values(request, scope)
        name, now = f"summary-{values['stake'].code or scope}", self._parts.clock.now()
        return printed(self._pages, request, person, "body.html", name=name, at=now, **values)

    def _values(self, request: Request, scope: Scope) -> dict[str, Any]:
        book, code = book_of(self._parts), asked(request, "code")
        stake = book.stakes.one(scope, code)
        known = scope is Scope.BODY and code in book.register.organisations
        if not stake.objects and not stake.cases and not known:
            raise NotFound("bodies.none", "the registry has nothing of this one", at="caller")
        words, law = words_for(request, book), current_law()
        traffic, readable = traffic_of(self._parts)
        texts = hub_texts(page_language(request))
        return {
            "words": words,
            "scope": scope,
            "stake": stake,
            "score": self._score(stake, book),
            "qualities": {each.id: quality(each, book.register, law, book.today) for each in stake.objects},
            "seen": {each.id: observability_of(each) for each in stake.objects},
            "usages": {each.id: usage_of(each, book.register, traffic) for each in stake.objects},
            "traffic": traffic,
            "readable": readable,
            "findings": {each.id: book.stakes.standing_of(each.id) for each in stake.objects},
            "cases": [case for case in stake.cases if case.state in STANDING and not case.finding.asks],
            "costs": costs_figure(book.stakes.years(stake.objects), words),
            "detectors": detectors_figure(stake, texts["cases"]["detector"]),
            "year": book.today.year,
            "book": book,
            "printable": PRINTABLE(),
        }

    @staticmethod
    def _score(stake: Stake, book: Book) -> int | None:
        return mean_score(stake.objects, book.register, current_law(), book.today)


def _scope(request: Request) -> Scope:
    by = asked(request, "by")
    return Scope(by) if by in set(Scope) else Scope.BODY


def _stake_json(stake: Stake, score: int | None, *, whole: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "scope": stake.scope.value,
        "code": stake.code,
        "objects": len(stake.objects),
        "findings": stake.standing,
        "by_detector": dict(stake.by_detector),
        "cost_this_year": stake.cost,
        "money_at_stake": stake.money,
        "once_at_stake": stake.once,
        "asked": dict(stake.asked),
        "weighed": stake.weighed,
        "quality": score,
    }
    if whole:
        found |= {
            "object_ids": [object_.id for object_ in stake.objects],
            "cases": [case_json(case) for case in stake.cases],
        }
    return found


GROUP = PageGroup("bodies", ((BODIES, scopes.OBJECTS),), lambda parts, pages: BodyPages(parts, pages).routes())
