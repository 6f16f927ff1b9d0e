"""What does not add up in the delivered logs: each finding with its evidence, and the way down to the exchange.

A finding is arithmetic or a comparison of two logs, not a verdict on anybody. Not here: how it was found (`hub`).
"""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from qaztech.core.errors import NotFound
from qaztech.hub import scopes
from qaztech.hub.crosscheck import CONTRADICTION, DIFFERENCE, OMISSION
from qaztech.hub.store import KeptFinding
from qaztech.people.people import Person
from qaztech.web.hub_pages import HubPages
from qaztech.web.hub_parts import HubParts, HubRoute, PageGroup
from qaztech.web.hub_traffic import owner_text
from qaztech.web.registry_pages import asked

FINDINGS = "/console/findings"
LEVELS = (CONTRADICTION, OMISSION, DIFFERENCE)
_SHOWN = 200


class FindingPages:
    """The handlers."""

    def __init__(self, parts: HubParts, pages: HubPages) -> None:
        self._parts = parts
        self._pages = pages

    def routes(self) -> list[HubRoute]:
        """Every route with its scope."""
        return [
            HubRoute("GET", FINDINGS, scopes.FINDINGS, self._list),
            HubRoute("GET", f"{FINDINGS}/{{id:int}}", scopes.FINDINGS, self._show),
        ]

    async def _list(self, request: Request, person: Person) -> Response:
        """`?level=` narrows it; the latest first."""
        level = asked(request, "level")
        kept = await asyncio.to_thread(self._parts.deliveries.store.findings)
        chosen = [each for each in kept if level in {"", each.finding.level}]
        return self._pages.render(
            request, person, "findings.html", findings=chosen[:_SHOWN], level=level, levels=LEVELS,
            counts=await asyncio.to_thread(self._parts.deliveries.store.levels),
            owners={each.finding.origin: owner_text(self._parts, each.finding.origin) for each in chosen[:_SHOWN]},
            hidden=len(chosen) - _SHOWN,
        )  # fmt: skip

    async def _show(self, request: Request, person: Person) -> Response:
        """One finding: what is claimed, of whom, on what evidence."""
        kept = await asyncio.to_thread(self._parts.deliveries.store.finding, request.path_params["id"])
        if kept is None:
            raise NotFound("finding.unknown", "there is no such finding", at="caller")
        values = await asyncio.to_thread(self._evidence, kept)
        return self._pages.render(request, person, "finding.html", kept=kept, finding=kept.finding, **values)

    def _evidence(self, kept: KeptFinding) -> dict[str, Any]:
        deliveries, finding = self._parts.deliveries, kept.finding
        return {
            "owner": owner_text(self._parts, finding.origin),
            "other": owner_text(self._parts, finding.other),
            "held": deliveries.store.held(finding.origin),
            "rows": deliveries.traffic.of_message(finding.message) if finding.message else [],
        }


GROUP = PageGroup("findings", ((FINDINGS, scopes.FINDINGS),), lambda parts, pages: FindingPages(parts, pages).routes())
