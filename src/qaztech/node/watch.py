"""A node watches over its own members: what the registry shows of them, against what the node knows itself.

A node or key that speaks for a member, and that its people did not set up, is the one thing a stolen member key or a
careless hand would add. The node cannot forbid it; it can say so at once. What belongs there is acknowledged in
`node.toml` (`acknowledged` of the member): node ids, TLS keys and log origins, spelled as the alarm spells them.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from qaztech.core.ids import MemberId, NodeId
from qaztech.registry.client import Alarm
from qaztech.registry.configuration import Configuration


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    """What a node knows to be its own: its id, its TLS keys (SHA-256 of SPKI), its logs, closed ones included.

    `left` are those of its keys that it uses no more.
    """

    node: NodeId
    keys: Collection[bytes]
    origins: Collection[str]
    left: Collection[bytes] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnMember:
    """A member of this node as `node.toml` has it."""

    id: MemberId
    lineage: str
    acknowledged: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be."""

    code: str
    detail: str


def look_over(configuration: Configuration, ours: Ours, member: OwnMember) -> Iterator[Finding]:
    """Whatever is wrong with a member of this node in a verified configuration."""
    yield from _listed(configuration, member)
    if configuration.member(member.id) is None:
        yield Finding("own-member.no-file", f"the registry shows no file of {member.id} that can be trusted")
        return
    yield from _nodes(configuration, ours, member)
    yield from _logs(configuration, ours, member)


def _listed(configuration: Configuration, member: OwnMember) -> Iterator[Finding]:
    listed = next((one for one in configuration.members() if one.id == member.id), None)
    if listed is None:
        detail = f"the directory does not list {member.id}: it is suspended, or was never admitted"
        yield Finding("own-member.missing", detail)
    elif listed.lineage != member.lineage:
        detail = f"the directory lists {member.id} with the lineage {listed.lineage}, not with its own"
        yield Finding("own-member.lineage", detail)


def _nodes(configuration: Configuration, ours: Ours, member: OwnMember) -> Iterator[Finding]:
    nodes = configuration.nodes_of(member.id)
    if all(entry.id != ours.node for entry in nodes):
        detail = f"the file of {member.id} does not let this node speak for it"
        yield Finding("own-member.not-served", detail)
    for entry in nodes:
        if entry.id != ours.node and str(entry.id) not in member.acknowledged:
            detail = f"the file of {member.id} lets the node {entry.id} speak for it, which nobody acknowledged here"
            yield Finding("own-member.node-unknown", detail)
        elif entry.id == ours.node:
            for key in map(_b64, set(entry.keys) - set(ours.keys)):
                if key not in member.acknowledged:
                    detail = f"the file of {member.id} names the TLS key {key} for this node, which has no such key"
                    yield Finding("own-member.key-unknown", detail)
            for key in map(_b64, set(entry.keys) & set(ours.left)):
                detail = f"the file of {member.id} still names the TLS key {key}, which this node uses no more"
                yield Finding("own-member.key-left", detail)


def _logs(configuration: Configuration, ours: Ours, member: OwnMember) -> Iterator[Finding]:
    for log in configuration.logs():
        known = log.origin in ours.origins or log.origin in member.acknowledged or str(log.node) in member.acknowledged
        if member.id in log.members and not known:
            detail = f"the log {log.origin} of {log.node} speaks for {member.id}, which nobody acknowledged here"
            yield Finding("own-member.log-unknown", detail)


def _b64(key: bytes) -> str:
    return b64encode(key).decode()


class Watch:
    """The findings as alarms, each with the time since when it is so."""

    def __init__(self) -> None:
        self._since: dict[Finding, int] = {}

    def alarms(
        self, configuration: Configuration | None, ours: Ours, members: Collection[OwnMember], now: int
    ) -> list[Alarm]:
        """What is wrong now; without a configuration nothing can be said, and other alarms say that."""
        if configuration is None:
            return []
        found = [finding for member in members for finding in look_over(configuration, ours, member)]
        self._since = {finding: self._since.get(finding, now) for finding in found}
        return [Alarm(code=each.code, detail=each.detail, since=self._since[each]) for each in found]
