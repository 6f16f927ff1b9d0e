"""Builds a member's side of access: its requests, received and made, its desk, its node."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from sqlalchemy import Engine

from qaztech.core.time import Clock
from qaztech.member.exchanges import EdgeCaller
from qaztech.member.granting import Granting
from qaztech.member.requests import AccessRequests
from qaztech.member.store import AccessStore
from qaztech.registry.member_file import verify_member_file
from qaztech.registry.submitting import submit


def build_access(
    engine: Engine,
    desk: Path,
    *,
    registry: str,
    edge: EdgeCaller,
    tell: Callable[[], None],
    limits: Path | None,
    clock: Clock,
) -> AccessRequests:
    """The requests of the member whose desk is in that folder.

    The database holds the tables `member.store.ACCESS` and `people.tables.PEOPLE`; `limits` is the file the member's
    node is told of by `[[members]] limits`; `tell` has that node look at once (`NodeClient.reload`).
    """
    member = verify_member_file((desk / "member-file.json").read_bytes()).member
    granting = Granting(
        directory=desk, submit=lambda submission: submit(registry, submission), tell=tell, limits=limits, clock=clock
    )
    return AccessRequests(store=AccessStore(engine, member, clock), granting=granting, edge=edge, clock=clock)


def secret_hash(secret: str) -> bytes:
    """What a desk knows its node's secret by: the key of `desk_exchange_routes`."""
    return sha256(secret.encode()).digest()
