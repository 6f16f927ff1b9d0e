"""Where peers are told to reach a node, as far as its own machine knows: in its members' files, else in its node.json.

Read from the configuration that the node fetched last, without asking the registry. The name in an address is looked
up; nothing is sent to what is found there.
"""

from __future__ import annotations

import socket
from collections.abc import Collection
from pathlib import Path

from qaztech.core.errors import Error, Unavailable
from qaztech.core.ids import MemberId
from qaztech.core.time import Clock
from qaztech.registry.anchor import Anchor
from qaztech.registry.archive import Archive
from qaztech.registry.directory import member_path
from qaztech.registry.member_file import verify_member_file
from qaztech.registry.mirror import Mirror, MirrorLimits
from qaztech.registry.node_identity import NODE_FILE, NodeIdentity


class _NoFetcher:
    """What is not here already is not read."""

    def fetch(self, path: str, limit: int) -> bytes:
        """Refuse."""
        raise Unavailable("configuration.missing", f"{path[:200]} of at most {limit} bytes is not here")


def told_addresses(
    directory: Path, node: str, members: Collection[MemberId], anchor: Anchor, clock: Clock
) -> tuple[str, ...]:
    """Every address of this node that peers are told, as `HOST:PORT`; empty where nothing here says one."""
    found: dict[str, None] = {}
    if (directory / "configuration").is_dir():
        for address in _of_member_files(directory / "configuration", node, members, anchor, clock):
            found[address] = None
    if not found and (directory / NODE_FILE).exists():
        found[NodeIdentity.read(directory).address] = None
    return tuple(found)


def _of_member_files(
    directory: Path, node: str, members: Collection[MemberId], anchor: Anchor, clock: Clock
) -> list[str]:
    mirror = Mirror(root=anchor.root, archive=Archive(directory), fetcher=_NoFetcher(), limits=MirrorLimits())
    try:
        mirror.load(clock.now())
        blobs = [mirror.target(member_path(member)) for member in members]
        files = [verify_member_file(blob.data) for blob in blobs if blob is not None]
    except Error:  # it has expired, or is not whole: what it says no longer counts
        return []
    return [line.address for file in files for line in file.statement.nodes if line.id == node]


def resolves(address: str) -> bool:
    """Whether the host in `HOST:PORT` is an address, or a name that is found from this machine."""
    host = address.rpartition(":")[0].strip("[]")
    try:
        socket.getaddrinfo(host, None)
    except (OSError, UnicodeError):
        return False
    return True
