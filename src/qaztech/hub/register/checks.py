"""What a person should look at in rows that can be taken: codes of regions that ended, ids that lead nowhere, cycles.

These are warnings; nothing is refused for them. Not here: what a cell must have (`columns`), detectors.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date

from qaztech.hub.register.kato import ended, region_of, successors


def region_warning(code: str, today: date) -> tuple[str, str] | None:
    """What is wrong with a KATO code on a day: the warning's code, and the regions that took its place."""
    if ended(code, today) is not None:
        return "kato.ended", ", ".join(f"{one.code.ljust(9, '0')} {one.en}" for one in successors(code, today))
    return None if region_of(code, today) is not None else ("kato.unknown", "a code of one of the regions")


def cycles(edges: Iterable[tuple[str, str]]) -> list[list[str]]:
    """The groups of nodes that depend on each other in a circle, each sorted: strongly connected, larger than one."""
    after: dict[str, list[str]] = defaultdict(list)
    nodes: dict[str, None] = {}
    for first, second in edges:
        nodes[first] = nodes[second] = None
        if first != second:
            after[first].append(second)
    return sorted(group for group in _connected(list(nodes), after) if len(group) > 1)


def _connected(nodes: Sequence[str], after: Mapping[str, Sequence[str]]) -> Iterable[list[str]]:
    """Tarjan's strongly connected components, without recursion: a register may be one long chain."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    open_: list[str] = []
    is_open: set[str] = set()
    for root in nodes:
        work = [(root, 0)] if root not in index else []
        while work:
            node, place = work.pop()
            if place == 0:
                index[node] = low[node] = len(index)
                open_.append(node)
                is_open.add(node)
            following = after.get(node, ())
            for at in range(place, len(following)):
                other = following[at]
                if other not in index:
                    work += [(node, at + 1), (other, 0)]
                    break
                if other in is_open:
                    low[node] = min(low[node], index[other])
            else:
                if work:
                    parent = work[-1][0]
                    low[parent] = min(low[parent], low[node])
                if low[node] == index[node]:
                    group: list[str] = []
                    while not group or group[-1] != node:
                        group.append(open_.pop())
                        is_open.discard(group[-1])
                    yield sorted(group)
