"""The landscape as rows for tables and words for a browser's picture: names, counts, the gap. Pure.

Not here: routes and their queries (`hub_landscape`), the graph (`hub.landscape`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from qaztech.hub.landscape.choice import Choice, links_of, nodes_of
from qaztech.hub.landscape.graph import UNREGISTERED, Hurt, Landscape, Link, Node, Standing
from qaztech.hub.landscape.kept import Known
from qaztech.hub.landscape.layout import GROUPINGS
from qaztech.hub.register.kato import ended, regions
from qaztech.hub.register.law import current_law
from qaztech.hub.register.rows import DigitalObject, Organisation
from qaztech.hub.register.snapshot import Register

# Zeros after the two digits of a region make a whole code.
_REST: Final = "0000000"


class Names:
    """What systems, bodies, areas and regions are called in one language on a day; `none` is the word for no such."""

    def __init__(self, register: Register, language: str, today: date, none: str) -> None:
        self._register = register
        self._language = language
        self._none = none
        self._today = today
        self._areas = {area.code: str(getattr(area, language)) for area in current_law().areas(today)}
        self._regions = {region.code: str(getattr(region, language)) for region in regions(today)}

    def node(self, node: Node) -> str:
        """A system; one that no record names by its subsystem."""
        return node.id.removeprefix(UNREGISTERED) if node.object is None else self._row(node.object, node.id)

    def body(self, bin_: str) -> str:
        """An organisation."""
        if not bin_:
            return self._none
        body = self._register.organisations.get(bin_)
        return bin_ if body is None else self._row(body, bin_)

    def area(self, code: str) -> str:
        """A priority area."""
        return self._areas.get(code, code) if code else self._none

    def region(self, code: str) -> str:
        """A region by its two digits, also one that has ended."""
        if code in self._regions or not code:
            return self._regions.get(code, self._none)
        old = ended(code + _REST, self._today)
        return code if old is None else str(getattr(old, self._language))

    def group(self, grouping: str, key: str) -> str:
        """A group of the picture."""
        return {"organisation": self.body, "area": self.area, "region": self.region}[grouping](key)

    def _row(self, row: DigitalObject | Organisation, otherwise: str) -> str:
        return str(getattr(row, f"name_{self._language}") or row.name_ru or row.name_kk or row.name_en or otherwise)


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemLine:
    """A system: how many it provides to and consumes from, calls to it and by it, links with a gap."""

    node: Node
    name: str
    body: str
    area: str
    region: str
    provides: int
    consumes: int
    calls_in: int
    calls_out: int
    gaps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkLine:
    """A link with both names, its standing and calls in the chosen time."""

    link: Link
    provider: str
    consumer: str
    standing: Standing
    calls: int


SYSTEM_SORTS: Final[Mapping[str, Callable[[SystemLine], Any]]] = {
    "name": lambda line: (line.name.casefold(), line.node.id),
    "body": lambda line: (line.body.casefold(), line.name.casefold()),
    "area": lambda line: (line.area.casefold(), line.name.casefold()),
    "region": lambda line: (line.region.casefold(), line.name.casefold()),
    "provides": lambda line: (-line.provides, line.node.id),
    "consumes": lambda line: (-line.consumes, line.node.id),
    "calls_in": lambda line: (-line.calls_in, line.node.id),
    "calls_out": lambda line: (-line.calls_out, line.node.id),
    "gaps": lambda line: (-line.gaps, line.node.id),
}
LINK_SORTS: Final[Mapping[str, Callable[[LinkLine], Any]]] = {
    "calls": lambda line: (-line.calls, line.provider, line.consumer),
    "provider": lambda line: (line.provider.casefold(), line.consumer.casefold()),
    "consumer": lambda line: (line.consumer.casefold(), line.provider.casefold()),
    "standing": lambda line: (line.standing.value, -line.calls, line.provider),
    "failed": lambda line: (-line.link.failed, line.provider, line.consumer),
    "last": lambda line: (-(line.link.last.toordinal() if line.link.last else 0), line.provider, line.consumer),
}


def system_lines(known: Known, choice: Choice, names: Names, sort: str) -> list[SystemLine]:
    """The systems chosen, in an order of `SYSTEM_SORTS`."""
    landscape = known.landscape
    found = [_system(landscape, node, choice.month, names) for node in nodes_of(landscape, choice, names.node)]
    return sorted(found, key=SYSTEM_SORTS[sort])


def link_lines(known: Known, choice: Choice, names: Names, sort: str) -> list[LinkLine]:
    """The links chosen, in an order of `LINK_SORTS`."""
    found = link_rows(known.landscape, links_of(known.landscape, choice, names.node), names, choice.month)
    return sorted(found, key=LINK_SORTS[sort])


def link_rows(landscape: Landscape, links: Sequence[Link], names: Names, month: str = "") -> list[LinkLine]:
    """These links with names."""
    return [
        LinkLine(
            link=link,
            provider=names.node(landscape.nodes[link.provider]),
            consumer=names.node(landscape.nodes[link.consumer]),
            standing=standing,
            calls=link.in_month(month) if month else link.calls,
        )
        for link in links
        if (standing := link.standing_in(month)) is not None
    ]


def hurt_json(hurt: Hurt, landscape: Landscape, names: Names) -> dict[str, Any]:
    """One that is hurt, for the picture."""
    return {
        "id": hurt.id,
        "name": names.node(landscape.nodes[hurt.id]),
        "steps": hurt.steps,
        "through": names.node(landscape.nodes[hurt.through]),
        "calls": hurt.calls,
        "elements": hurt.elements,
        "public_services": hurt.public_services,
        "alternative": [names.node(landscape.nodes[each]) for each in hurt.alternative],
    }


def values_there(known: Known, names: Names) -> dict[str, list[tuple[str, str]]]:
    """What can be chosen of bodies, areas and regions: code and name, by name. Only what a system has."""
    found = {}
    for grouping, key_of in GROUPINGS.items():
        codes = {key_of(node) for node in known.landscape.nodes.values()} - {""}
        found[grouping] = sorted(
            ((code, names.group(grouping, code)) for code in codes), key=lambda pair: pair[1].casefold()
        )
    return found


def months_there(known: Known) -> list[str]:
    """The months in which calls were seen."""
    return sorted({month for link in known.landscape.links for month, _ in link.monthly})


def _system(landscape: Landscape, node: Node, month: str, names: Names) -> SystemLine:
    ways = [
        [(link, standing) for link in links if (standing := link.standing_in(month)) is not None]
        for links in (landscape.provided_by(node.id), landscape.consumed_by(node.id))
    ]
    calls = [sum(link.in_month(month) if month else link.calls for link, _ in way) for way in ways]
    return SystemLine(
        node=node,
        name=names.node(node),
        body=names.body(node.owner),
        area=names.area(node.area),
        region=names.region(node.kato[:2]),
        provides=len(ways[0]),
        consumes=len(ways[1]),
        calls_in=calls[0],
        calls_out=calls[1],
        gaps=sum(standing is not Standing.BOTH for way in ways for _, standing in way),
    )
