"""The regions as tiles placed as they lie: how many systems, what they cost, what is at stake; and the same as a table.

Not here: what is put together (`hub.stakes`), the pages of one region (`hub_bodies`).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from qaztech.hub import scopes
from qaztech.hub.detecting import today_in_kazakhstan
from qaztech.hub.register.kato import Region, regions
from qaztech.hub.stakes import Scope, Stake, Stakes
from qaztech.people.people import Person
from qaztech.web.hub_pages import HubPages, hub_texts
from qaztech.web.hub_parts import HubParts, HubRoute, PageGroup
from qaztech.web.people_pages import page_language

REGIONS = "/console/regions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """A region with what stands for it, money in short; `weight` is none, some, or much beside the other regions.

    `region` None for what is in none.
    """

    region: Region | None
    name: str
    stake: Stake
    cost: str
    money: str
    weight: str


class RegionPages:
    """The handler."""

    def __init__(self, parts: HubParts, pages: HubPages) -> None:
        self._parts = parts
        self._pages = pages

    def routes(self) -> list[HubRoute]:
        """Every route with its scope."""
        return [HubRoute("GET", REGIONS, scopes.OBJECTS, self._show)]

    async def _show(self, request: Request, person: Person) -> Response:
        values = await asyncio.to_thread(self._values, page_language(request))
        return self._pages.render(request, person, "regions.html", **values)

    def _values(self, language: str) -> dict[str, Any]:
        today = today_in_kazakhstan(self._parts.clock)
        register = self._parts.objects.register()
        stakes = Stakes(register, self._parts.findings.cases(), today)
        found = {stake.code: stake for stake in stakes.all(Scope.REGION)}
        most = max((stake.money for code, stake in found.items() if code), default=0)
        nowhere = found.get("") or stakes.one(Scope.REGION, "")
        newest = self._parts.objects.batches(limit=1)
        latest = self._parts.detecting.latest
        return {
            "tiles": [
                _tile(region, found.get(region.code) or stakes.one(Scope.REGION, region.code), language, most)
                for region in regions(today)
            ],
            # What lies in no region is not left out: the numbers add up to those of the country.
            "nowhere": _tile(None, nowhere, language, most) if nowhere.objects or nowhere.cases else None,
            "year": today.year,
            "version": register.version,
            "changed": newest[0].at if newest else None,
            "looked": latest.ended if latest else None,
        }


def _tile(region: Region | None, stake: Stake, language: str, most: int) -> Tile:
    weight = "much" if most and stake.money * 2 > most else "some" if stake.standing else "none"
    return Tile(
        region=region,
        name=hub_texts(language)["bodies"]["undeclared"] if region is None else str(getattr(region, language)),
        stake=stake,
        cost=short_tenge(stake.cost, language),
        money=short_tenge(stake.money, language),
        weight=weight,
    )


def short_tenge(tenge: int, language: str) -> str:
    """Tenge for a small place: in billions, millions or thousands, with one digit after the point where it is small."""
    words = hub_texts(language)["regions"]["short"]
    for size, word in ((10**9, "bn"), (10**6, "mn"), (10**3, "th")):
        if tenge >= size:
            amount = tenge / size
            text = f"{amount:.1f}" if amount < 10 else f"{amount:.0f}"
            return _filled(words[word], text if language == "en" else text.replace(".", ","))
    return _filled(words["one"], str(tenge))


def _filled(words: str, text: str) -> str:
    """The amount and its unit on one line."""
    return words.replace("{n}", text).replace(" ", "\N{NO-BREAK SPACE}")


GROUP = PageGroup("regions", (), lambda parts, pages: RegionPages(parts, pages).routes())
