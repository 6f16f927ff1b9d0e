"""Which systems and links of a landscape somebody wants to see: by text, body, area, region, channel, gap, month. Pure.

The picture in the browser chooses by the same rules (`web/static/landscape.js`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from qaztech.hub.landscape.graph import UNREGISTERED, Landscape, Link, Node, Standing
from qaztech.hub.register.rows import Channel


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What is wanted; empty or None: all. `text` in a name or id, `body` BIN, `region` two digits, `month` YYYY-MM."""

    text: str = ""
    body: str = ""
    area: str = ""
    region: str = ""
    channel: Channel | None = None
    standing: Standing | None = None
    month: str = ""

    @property
    def by_link(self) -> bool:
        """Whether links are chosen too, not only systems."""
        return bool(self.channel or self.standing or self.month)


def links_of(landscape: Landscape, choice: Choice, name: Callable[[Node], str]) -> list[Link]:
    """The links wanted, those with a wanted system at either end; the most called first."""
    wanted = {id_ for id_, node in landscape.nodes.items() if _is_wanted(node, choice, name)}
    found = [
        link
        for link in landscape.links
        if (link.provider in wanted or link.consumer in wanted) and _link_is_wanted(link, choice)
    ]
    return sorted(found, key=lambda link: (-link.calls, link.provider, link.consumer))


def nodes_of(landscape: Landscape, choice: Choice, name: Callable[[Node], str]) -> list[Node]:
    """The systems wanted; where links are chosen, those with such a link."""
    found = [node for node in landscape.nodes.values() if _is_wanted(node, choice, name)]
    if choice.by_link:
        linked = {end for link in landscape.links if _link_is_wanted(link, choice) for end in _ends(link)}
        found = [node for node in found if node.id in linked]
    return found


def _ends(link: Link) -> tuple[str, str]:
    return link.provider, link.consumer


def _is_wanted(node: Node, choice: Choice, name: Callable[[Node], str]) -> bool:
    text = choice.text.casefold()
    return (
        choice.body in {"", node.owner}
        and choice.area in {"", node.area}
        and choice.region in {"", node.kato[:2]}
        and (not text or text in name(node).casefold() or text in node.id.removeprefix(UNREGISTERED).casefold())
    )


def _link_is_wanted(link: Link, choice: Choice) -> bool:
    standing = link.standing_in(choice.month)
    return (
        standing is not None
        and (choice.standing is None or standing is choice.standing)
        and (choice.channel is None or choice.channel in link.channels)
    )
