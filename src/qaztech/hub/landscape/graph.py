"""The graph of systems: what is declared to flow joined with what was seen to flow; what hangs on what.

A link leads from the system that provides to the one that consumes: who consumes depends. A subsystem that called or
was called and that no record names is a node of its own, so nothing observed is left out. Needs rustworkx (extra
`analysis`) for single points of failure only. Not here: places on a picture (`layout`).
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, Final

from qaztech.core.errors import NotFound, Unavailable
from qaztech.hub.observation import Flow, Traffic
from qaztech.hub.register.rows import Channel, DigitalObject, Integration, IntegrationStatus
from qaztech.hub.register.snapshot import Register

UNREGISTERED: Final = "unregistered:"


class Standing(StrEnum):
    """Whether a link is declared, was seen, or both: the gap between the two."""

    BOTH = "both"
    DECLARED = "declared"
    OBSERVED = "observed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A system, or a subsystem that no record names (`object` None then); its owner's BIN, area and region (KATO).

    Where a record has no area or region, its owner's count.
    """

    id: str
    object: DigitalObject | None
    owner: str
    area: str
    kato: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """All that flows from one system to another.

    `integrations` ids of declared ones, `elements` and `channels` they name; `calls` and `failed` seen, `last` the
    day of the last call, `monthly` calls by month (YYYY-MM); `services` those called or declared; `flows` the client
    and service of each flow seen.
    """

    provider: str
    consumer: str
    integrations: tuple[str, ...] = ()
    elements: tuple[str, ...] = ()
    channels: tuple[Channel, ...] = ()
    services: tuple[str, ...] = ()
    flows: tuple[tuple[str, str], ...] = ()
    calls: int = 0
    failed: int = 0
    last: date | None = None
    monthly: tuple[tuple[str, int], ...] = ()

    @property
    def standing(self) -> Standing:
        """Declared, observed or both."""
        if not self.integrations:
            return Standing.OBSERVED
        return Standing.BOTH if self.calls else Standing.DECLARED

    def in_month(self, month: str) -> int:
        """Calls seen in a month (YYYY-MM)."""
        return next((calls for name, calls in self.monthly if name == month), 0)

    def standing_in(self, month: str) -> Standing | None:
        """The same of one month; of the whole observed time if none is named; None for what is no link in it."""
        if not month:
            return self.standing
        if self.in_month(month):
            return Standing.BOTH if self.integrations else Standing.OBSERVED
        return Standing.DECLARED if self.integrations else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hurt:
    """A system that suffers where another is switched off.

    `steps` away from it (1 directly), through `through`; `calls` seen on the link that leads to it; `elements` it
    would no longer get; `alternative` systems that provide the same elements to somebody.
    """

    id: str
    steps: int
    through: str
    calls: int
    elements: tuple[str, ...]
    public_services: tuple[str, ...]
    alternative: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SinglePoint:
    """A system whose end cuts others off from the rest; how many depend on it, directly and further."""

    id: str
    cut_off: int
    dependants: int


class Landscape:
    """Nodes by id and links between them."""

    def __init__(self, nodes: Iterable[Node], links: Iterable[Link]) -> None:
        self.nodes: Mapping[str, Node] = {node.id: node for node in nodes}
        self.links: Sequence[Link] = tuple(links)
        self._from: defaultdict[str, list[Link]] = defaultdict(list)
        self._to: defaultdict[str, list[Link]] = defaultdict(list)
        self._providers: defaultdict[str, set[str]] = defaultdict(set)
        for link in self.links:
            self._from[link.provider].append(link)
            self._to[link.consumer].append(link)
            for element in link.elements:
                self._providers[element].add(link.provider)

    def provided_by(self, id_: str) -> Sequence[Link]:
        """Links from a system to those that consume of it."""
        return self._from.get(id_, ())

    def consumed_by(self, id_: str) -> Sequence[Link]:
        """Links to a system from those it consumes of."""
        return self._to.get(id_, ())

    def impact(self, id_: str) -> list[Hurt]:
        """Who is hurt if a system is switched off: nearest first, each once. Raises `NotFound` for none such."""
        if id_ not in self.nodes:
            raise NotFound("landscape.node", "no such system", at="caller")
        found: dict[str, Hurt] = {}
        waiting = deque([(id_, 0)])
        while waiting:
            current, steps = waiting.popleft()
            for link in sorted(self.provided_by(current), key=lambda link: (-link.calls, link.consumer)):
                if link.consumer == id_ or link.consumer in found:
                    continue
                found[link.consumer] = self._hurt(link, steps + 1, gone=id_)
                waiting.append((link.consumer, steps + 1))
        return sorted(found.values(), key=lambda hurt: (hurt.steps, -hurt.calls, hurt.id))

    def single_points(self) -> list[SinglePoint]:
        """Systems without which others are cut off from the rest, those that cut off most first."""
        rustworkx = graph_engine()
        graph = rustworkx.PyGraph(multigraph=False)
        places = {id_: graph.add_node(id_) for id_ in self.nodes}
        graph.add_edges_from_no_data([(places[link.provider], places[link.consumer]) for link in self.links])
        found = []
        for place in rustworkx.articulation_points(graph):
            id_ = graph[place]
            found.append(SinglePoint(id=id_, cut_off=self._cut_off(id_), dependants=len(self.impact(id_))))
        return sorted(found, key=lambda point: (-point.cut_off, -point.dependants, point.id))

    def register_flow(self, id_: str, element: str = "") -> list[Link]:
        """The links over which a register's data go on, from system to system; of one element, if given.

        A link that names no elements carries on what its provider got of it: where data go is then not known better.
        """
        if id_ not in self.nodes:
            raise NotFound("landscape.node", "no such system", at="caller")
        source = self.nodes[id_].object
        wanted = {element} if element else set(source.data_elements if source else ())
        found: dict[tuple[str, str], Link] = {}
        waiting = deque([id_])
        while waiting:
            current = waiting.popleft()
            for link in self.provided_by(current):
                carries = not link.elements or not wanted or wanted.intersection(link.elements)
                if carries and (link.provider, link.consumer) not in found:
                    found[link.provider, link.consumer] = link
                    waiting.append(link.consumer)
        return list(found.values())

    def _hurt(self, link: Link, steps: int, *, gone: str) -> Hurt:
        object_ = self.nodes[link.consumer].object
        others = {p for element in link.elements for p in self._providers[element]} - {
            link.provider,
            gone,
            link.consumer,
        }
        return Hurt(
            id=link.consumer,
            steps=steps,
            through=link.provider,
            calls=link.calls,
            elements=link.elements,
            public_services=object_.public_services if object_ else (),
            alternative=tuple(sorted(others)),
        )

    def _cut_off(self, id_: str) -> int:
        """How many systems are in all parts but the largest that are left without one."""
        sizes, seen = [], {id_}
        for first in self._neighbours(id_):
            if first in seen:
                continue
            seen.add(first)
            waiting, size = deque([first]), 0
            while waiting:
                size += 1
                for other in self._neighbours(waiting.popleft()):
                    if other not in seen:
                        seen.add(other)
                        waiting.append(other)
            sizes.append(size)
        return sum(sizes) - max(sizes, default=0)

    def _neighbours(self, id_: str) -> list[str]:
        return [link.consumer for link in self.provided_by(id_)] + [link.provider for link in self.consumed_by(id_)]


def landscape_of(register: Register, traffic: Traffic) -> Landscape:
    """The landscape of a registry and of what was observed. What was stopped or is only planned is no link."""
    nodes = {id_: _node(object_, register) for id_, object_ in register.objects.items()}
    declared: defaultdict[tuple[str, str], list[Integration]] = defaultdict(list)
    for row in register.all(Integration).values():
        live = row.status not in {IntegrationStatus.STOPPED, IntegrationStatus.PLANNED}
        if live and row.provider_object in nodes and row.consumer_object in nodes:
            declared[row.provider_object, row.consumer_object].append(row)
    observed: defaultdict[tuple[str, str], list[Flow]] = defaultdict(list)
    for flow in traffic.flows:
        ends = [_end(register, subsystem) for subsystem in (flow.provider, flow.client)]
        for id_ in ends:
            if id_ not in nodes:
                nodes[id_] = _stranger(id_, register)
        observed[ends[0], ends[1]].append(flow)
    pairs = sorted(declared.keys() | observed.keys())
    return Landscape(nodes.values(), [_link(pair, declared[pair], observed[pair]) for pair in pairs])


def _node(object_: DigitalObject, register: Register) -> Node:
    owner = object_.owner_bin or object_.holder_bin or ""
    body = register.organisations.get(owner)
    return Node(
        id=object_.id,
        object=object_,
        owner=owner,
        area=object_.area or (body.area if body else ""),
        kato=object_.kato or (body.kato if body else None) or "",
    )


def _stranger(id_: str, register: Register) -> Node:
    """A subsystem that no record names: its member is known, and where that is."""
    parts = id_.split("/")
    owner = parts[2] if len(parts) > 2 else ""
    body = register.organisations.get(owner)
    return Node(
        id=id_, object=None, owner=owner, area=body.area if body else "", kato=(body.kato if body else None) or ""
    )


def _end(register: Register, subsystem: str) -> str:
    object_ = register.by_subsystem(subsystem)
    return object_.id if object_ else UNREGISTERED + subsystem


def _link(pair: tuple[str, str], declared: Sequence[Integration], observed: Sequence[Flow]) -> Link:
    monthly: defaultdict[str, int] = defaultdict(int)
    for flow in observed:
        for month, calls in flow.monthly:
            monthly[month] += calls
    services = {row.service for row in declared if row.service} | {flow.service for flow in observed}
    return Link(
        provider=pair[0],
        consumer=pair[1],
        integrations=tuple(sorted(row.id for row in declared)),
        elements=tuple(sorted({element for row in declared for element in row.elements})),
        channels=tuple(sorted({row.channel for row in declared if row.channel})),
        services=tuple(sorted(services)),
        flows=tuple(sorted((flow.client, flow.service) for flow in observed)),
        calls=sum(flow.calls for flow in observed),
        failed=sum(flow.failed for flow in observed),
        last=max((flow.last for flow in observed), default=None),
        monthly=tuple(sorted(monthly.items())),
    )


def graph_engine() -> Any:
    """The library of graphs. Raises `Unavailable` where it is not installed."""
    try:
        import rustworkx  # noqa: PLC0415  # an optional part
    except ImportError as exc:
        raise Unavailable(
            "landscape.no-engine", "the graph needs rustworkx: install qaztech[analysis]", at="service"
        ) from exc
    return rustworkx
