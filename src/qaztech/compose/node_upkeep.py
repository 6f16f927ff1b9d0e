"""Builds what looks after a running node: its certificate, what else ends, and what is shown of its members."""

from __future__ import annotations

from collections.abc import Callable

from qaztech.core.errors import Error
from qaztech.core.ids import MemberId, NodeId
from qaztech.core.time import Clock
from qaztech.node.certificate import Certificate, Place, Post
from qaztech.node.rewiring import Rewiring
from qaztech.node.settings import NodeSettings
from qaztech.node.tls import EdgeTls, LinkTls
from qaztech.node.tls_files import TlsFiles
from qaztech.node.upkeep import Kept, Upkeep
from qaztech.node.watch import OwnMember
from qaztech.registry.anchor import Anchor
from qaztech.registry.client import ConfigurationClient


def build_upkeep(
    settings: Callable[[], NodeSettings],
    *,
    anchor: Anchor,
    clock: Clock,
    client: ConfigurationClient,
    post: Post,
    wire: Rewiring,
    files: TlsFiles,
    link_tls: LinkTls,
    edge_tls: EdgeTls,
    origins: frozenset[str],
) -> Upkeep:
    """The upkeep of the node with these settings; `origins` are all its logs. Raises `Malformed`."""
    now = settings()
    node = NodeId.parse(now.id)

    def names(key: bytes) -> bool:
        try:
            entry = client.configuration().node_by_tls(key)
        except Error:
            return False
        return entry is not None and entry.id == node

    place = Place(
        node=node, registry=now.registry, clock=clock, post=post, names=names,
        authorities=lambda: client.configuration().authorities, overlap=int(now.link.key_overlap_seconds * 1000),
    )  # fmt: skip
    return Upkeep(
        Kept(
            node=node, clock=clock, client=client, certificate=Certificate(place, files, wire), link_tls=link_tls,
            edge_tls=edge_tls, origins=origins, members=lambda: _members(settings()), tsas=anchor.tsas,
            renews=now.link.renew_certificate,
        )
    )  # fmt: skip


def _members(settings: NodeSettings) -> list[OwnMember]:
    return [
        OwnMember(id=MemberId.parse(m.id), lineage=m.lineage, acknowledged=frozenset(m.acknowledged))
        for m in settings.members
    ]
