"""The landscape for a browser: as few bytes as it takes, columns of equal length and places in them instead of ids.

`docs/howto/see-the-landscape.md` says what each column is. Pure. Not here: who is asked for it, drawing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from qaztech.hub.landscape.graph import Landscape, Node, Standing
from qaztech.hub.landscape.layout import GROUPINGS, Layout
from qaztech.hub.observation import Traffic
from qaztech.hub.register.rows import Channel

STANDINGS: Final = (Standing.BOTH, Standing.DECLARED, Standing.OBSERVED)
CHANNELS: Final = tuple(Channel)


def picture(
    landscape: Landscape,
    layout: Layout,
    grouping: str,
    traffic: Traffic,
    *,
    node_name: Callable[[Node], str],
    group_name: Callable[[str, str], str],
) -> dict[str, Any]:
    """What is drawn. `node_name` names a system, `group_name` a group by grouping and key."""
    nodes = list(landscape.nodes.values())
    places = {node.id: place for place, node in enumerate(nodes)}
    months = sorted({month for link in landscape.links for month, _ in link.monthly})
    groups = sorted(layout.groups)
    columns = {each: _column([key_of(node) for node in nodes]) for each, key_of in GROUPINGS.items()}
    return {
        "since": traffic.since.isoformat() if traffic.since else None,
        "until": traffic.until.isoformat() if traffic.until else None,
        "months": months,
        "channels": [channel.value for channel in CHANNELS],
        "standings": [standing.value for standing in STANDINGS],
        "group": {
            "key": groups,
            "name": [group_name(grouping, key) for key in groups],
            "x": [layout.groups[key].x for key in groups],
            "y": [layout.groups[key].y for key in groups],
            "radius": [layout.groups[key].radius for key in groups],
        },
        "bodies": {
            "key": columns["organisation"][0],
            "name": [group_name("organisation", key) for key in columns["organisation"][0]],
        },
        "areas": columns["area"][0],
        "regions": columns["region"][0],
        "node": {
            "id": [node.id for node in nodes],
            "name": [node_name(node) for node in nodes],
            "group": _places([GROUPINGS[grouping](node) for node in nodes], groups),
            "x": [layout.places[node.id][0] for node in nodes],
            "y": [layout.places[node.id][1] for node in nodes],
            "body": columns["organisation"][1],
            "area": columns["area"][1],
            "region": columns["region"][1],
            "registered": [int(node.object is not None) for node in nodes],
        },
        "link": {
            "from": [places[link.provider] for link in landscape.links],
            "to": [places[link.consumer] for link in landscape.links],
            "declared": [int(bool(link.integrations)) for link in landscape.links],
            "channels": [sum(1 << CHANNELS.index(channel) for channel in link.channels) for link in landscape.links],
            "calls": [link.calls for link in landscape.links],
            "monthly": [_dense(link.monthly, months) for link in landscape.links],
        },
    }


def _column(values: Sequence[str]) -> tuple[list[str], list[int]]:
    """The values there are, and of each row which of them."""
    known = sorted(set(values))
    return known, _places(values, known)


def _places(values: Sequence[str], known: Sequence[str]) -> list[int]:
    numbers = {value: place for place, value in enumerate(known)}
    return [numbers[value] for value in values]


def _dense(monthly: Sequence[tuple[str, int]], months: Sequence[str]) -> list[int]:
    """The first month's place, then calls month by month to the last one with calls; nothing where there are none."""
    if not monthly:
        return []
    calls = dict(monthly)
    first, last = months.index(monthly[0][0]), months.index(monthly[-1][0])
    return [first, *(calls.get(month, 0) for month in months[first : last + 1])]
