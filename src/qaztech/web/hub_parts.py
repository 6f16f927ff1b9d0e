"""What the support center's pages are built from: its own parts, given to every group of pages; and what a group is.

A group of pages is one module `hub_<name>.py` with a `GROUP`: its routes with the scope each needs, and its entries of
the menu. `hub_app.GROUPS` lists them. Its words are in `static/texts/hub/<language>/<name>.json`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from qaztech.ai.register.store import CardStore
from qaztech.core.time import Clock
from qaztech.hub.detecting import Detecting
from qaztech.hub.findings import FindingQueue
from qaztech.hub.flows import Flows
from qaztech.hub.receiving import Deliveries
from qaztech.hub.register.search import ObjectSearch
from qaztech.hub.register.store import ObjectStore
from qaztech.people.acts import AdminLog
from qaztech.people.gate import Gate
from qaztech.people.people import People
from qaztech.registry.configuration import Configuration
from qaztech.web.hub_import_work import ImportWork
from qaztech.web.hub_pages import HubPages
from qaztech.web.people_pages import PageHandler


@dataclass(frozen=True, slots=True, kw_only=True)
class HubParts:
    """What the centre has. `configuration` gives the newest verified one, or raises why there is none.

    `objects` is the registry of digital objects, `cards` that of AI systems; `flows` what was observed; `findings` the
    queue for people and `detecting` what fills it; `waiting` a folder for files between two steps of a person's work,
    `imports` where these are read.
    """

    deliveries: Deliveries
    objects: ObjectStore
    cards: CardStore
    flows: Flows
    findings: FindingQueue
    detecting: Detecting
    waiting: Path
    configuration: Callable[[], Configuration]
    people: People
    gate: Gate
    admin_log: AdminLog
    instance: str
    clock: Clock
    # Every page says that what it shows is made up.
    fictitious: bool = False
    imports: ImportWork = field(default_factory=ImportWork)
    search: ObjectSearch = field(default_factory=ObjectSearch)


@dataclass(frozen=True, slots=True)
class HubRoute:
    """One route: its handler is called for people who have the scope."""

    method: str
    path: str
    scope: str
    handler: PageHandler


@dataclass(frozen=True, slots=True)
class PageGroup:
    """Pages that belong together. `menu` has for each entry its path and scope; its label is `texts.<name>.menu`."""

    name: str
    menu: tuple[tuple[str, str], ...]
    routes: Callable[[HubParts, HubPages], list[HubRoute]]
