"""The support center's admin log for people; the page is the one that the registry's console has."""

from __future__ import annotations

from qaztech.hub import scopes
from qaztech.web.hub_pages import HubPages
from qaztech.web.hub_parts import HubParts, HubRoute, PageGroup
from qaztech.web.registry_acts import ActPages

ACTS = "/console/acts"


def _routes(parts: HubParts, pages: HubPages) -> list[HubRoute]:
    return [HubRoute("GET", ACTS, scopes.ACTS, ActPages(parts, pages).list_all)]


GROUP = PageGroup("acts", ((ACTS, scopes.ACTS),), _routes)
