"""What a node is told of the members it serves beyond their keys: their desks, and how often clients may call."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path

from qaztech.core.errors import Error
from qaztech.core.ids import MemberId, ServiceId, SubsystemId
from qaztech.node.desks import check_address
from qaztech.node.http_client import ClientLimits, HttpClient
from qaztech.node.limits import CallCounts
from qaztech.node.settings import MemberSettings
from qaztech.node.systems import System
from qaztech.registry.call_limits import CallLimit, CallLimits, parse_limits

# A desk answers people's requests, and few of them: what more there is waits, or is told to come again.
DESK_LIMITS = ClientLimits(max_connections=4, max_queue=32, first_byte_timeout=20.0)
logger = logging.getLogger("qaztech.node")


def build_desks(members: Sequence[MemberSettings]) -> dict[MemberId, System]:
    """The desk of each member that has told this node of one. Raises `Malformed`."""
    return {MemberId.parse(member.id): _desk(member.desk) for member in members if member.desk}


def _desk(url: str) -> System:
    check_address(url)
    context = ssl.create_default_context() if url.startswith("https:") else None
    client = HttpClient(url=url, ssl=context, limits=DESK_LIMITS)
    return System(client=client, timeout=DESK_LIMITS.first_byte_timeout, early=False, openapi=None, disabled="")


class LimitFiles:
    """The members' files of limits, read when they change. A file that is not there limits nothing."""

    def __init__(self, counts: CallCounts, resolve: Callable[[str], Path]) -> None:
        self._counts = counts
        self._resolve = resolve
        self._files: list[tuple[MemberId, Path]] = []
        self._seen: list[tuple[int, int, int] | None] = []

    def use(self, members: Sequence[MemberSettings]) -> None:
        """Follow the files of these members from now on. Raises `Malformed`."""
        self._files = [(MemberId.parse(m.id), self._resolve(m.limits)) for m in members if m.limits]
        self._seen = [_state(path) for _, path in self._files]
        self._counts.limits = self._read()

    def look(self) -> None:
        """Take up what has changed; a file that cannot be used changes nothing, and is told to the operator."""
        seen = [_state(path) for _, path in self._files]
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self._counts.limits = self._read()
        except Error as exc:
            logger.warning("limits are not taken up", extra={"fields": {"code": exc.code, "detail": exc.detail}})

    def _read(self) -> CallLimits:
        found: dict[tuple[ServiceId, SubsystemId], CallLimit] = {}
        for (member, path), seen in zip(self._files, self._seen, strict=True):
            if seen is not None:
                found |= parse_limits(path.read_bytes(), member)
        return found


def _state(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns
