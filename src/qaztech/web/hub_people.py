"""The support center's people, for its administrators; the page is the one that the registry's console has."""

from __future__ import annotations

from qaztech.hub import scopes
from qaztech.web.hub_pages import HubPages
from qaztech.web.hub_parts import HubParts, HubRoute, PageGroup
from qaztech.web.registry_people import PeoplePages

PEOPLE = "/console/people"


def _routes(parts: HubParts, pages: HubPages) -> list[HubRoute]:
    people = PeoplePages(parts, pages)
    return [
        HubRoute("GET", PEOPLE, scopes.PEOPLE, people.list_all),
        HubRoute("POST", PEOPLE, scopes.CHANGE_PEOPLE, people.add),
        HubRoute("POST", f"{PEOPLE}/{{name}}", scopes.CHANGE_PEOPLE, people.change),
    ]


GROUP = PageGroup("people", ((PEOPLE, scopes.PEOPLE),), _routes)
