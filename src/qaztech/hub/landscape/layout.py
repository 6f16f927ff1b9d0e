"""Places on a picture of the landscape: groups apart from each other, their systems around their middle.

The same landscape always gets the same picture. Groups that exchange much lie near each other (rustworkx' spring
layout, seeded); within a group those with most links lie in the middle, on a spiral that leaves each the same room.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from qaztech.hub.landscape.graph import Landscape, Node, graph_engine

# The turn between two neighbours of a sunflower's spiral, radians.
_GOLDEN: Final = math.pi * (3 - math.sqrt(5))
_SEED: Final = 7
# Room between two systems of a group, and around a group, in units of the picture.
_STEP: Final = 1.0
_GAP: Final = 2.5
_ROUNDS: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A group of systems: its middle, its radius, how many systems it has."""

    key: str
    x: float
    y: float
    radius: float
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Groups by key and the place of each system (x, y), in units of the picture."""

    groups: Mapping[str, Group]
    places: Mapping[str, tuple[float, float]]


GROUPINGS: Final[Mapping[str, Callable[[Node], str]]] = {
    "organisation": lambda node: node.owner,
    "area": lambda node: node.area,
    "region": lambda node: node.kato[:2],
}


def lay_out(landscape: Landscape, grouping: str = "organisation") -> Layout:
    """A picture grouped by `organisation`, `area` or `region`. Raises `KeyError` for another word."""
    key_of = GROUPINGS[grouping]
    members: defaultdict[str, list[str]] = defaultdict(list)
    for node in landscape.nodes.values():
        members[key_of(node)].append(node.id)
    degree = Counter(end for link in landscape.links for end in (link.provider, link.consumer))
    radii = {key: _STEP * math.sqrt(len(ids)) + _GAP / 2 for key, ids in members.items()}
    middles = _apart(_near(landscape, key_of, sorted(members)), radii)
    places = {}
    for key, ids in members.items():
        x, y = middles[key]
        for turn, id_ in enumerate(sorted(ids, key=lambda id_: (-degree[id_], id_))):
            away = _STEP * math.sqrt(turn)
            places[id_] = (
                round(x + away * math.cos(turn * _GOLDEN), 3),
                round(y + away * math.sin(turn * _GOLDEN), 3),
            )
    groups = {
        key: Group(key=key, x=round(x, 3), y=round(y, 3), radius=round(radii[key], 3), size=len(members[key]))
        for key, (x, y) in middles.items()
    }
    return Layout(groups=groups, places=places)


def _near(landscape: Landscape, key_of: Callable[[Node], str], keys: list[str]) -> dict[str, tuple[float, float]]:
    """Groups by how much flows between them."""
    rustworkx = graph_engine()
    graph = rustworkx.PyGraph(multigraph=False)
    numbers = {key: graph.add_node(key) for key in keys}
    between: Counter[tuple[int, int]] = Counter()
    for link in landscape.links:
        ends = sorted(numbers[key_of(landscape.nodes[end])] for end in (link.provider, link.consumer))
        if ends[0] != ends[1]:
            between[ends[0], ends[1]] += 1
    graph.add_edges_from([(one, other, float(count)) for (one, other), count in sorted(between.items())])
    found = rustworkx.spring_layout(graph, weight_fn=float, seed=_SEED, num_iter=100)
    return {key: (float(found[number][0]), float(found[number][1])) for key, number in numbers.items()}


def _apart(near: dict[str, tuple[float, float]], radii: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    """Stretched until there is room for all, then pushed apart where two still touch."""
    room = math.sqrt(sum(radius * radius for radius in radii.values()))
    middles = {key: [x * room * 1.4, y * room * 1.4] for key, (x, y) in near.items()}
    keys = sorted(middles)
    for _ in range(_ROUNDS):
        moved = False
        for place, one in enumerate(keys):
            for other in keys[place + 1 :]:
                moved |= _push(middles[one], middles[other], radii[one] + radii[other])
        if not moved:
            break
    return {key: (x, y) for key, (x, y) in middles.items()}


def _push(one: list[float], other: list[float], least: float) -> bool:
    across, along = other[0] - one[0], other[1] - one[1]
    distance = math.hypot(across, along)
    if distance >= least:
        return False
    if distance == 0:
        across, along, distance = 1.0, 0.0, 1.0
    share = (least - math.hypot(other[0] - one[0], other[1] - one[1])) / distance / 2
    for end, sign in ((one, -1), (other, 1)):
        end[0] += sign * across * share
        end[1] += sign * along * share
    return True
