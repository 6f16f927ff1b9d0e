"""What a node is told of the members it serves beyond their keys: their desks, and how often clients may call."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path

from qaztech.core.errors import Error
from qaztech.core.ids import MemberId
from qaztech.node.desks import check_address
from qaztech.node.http_client import ClientLimits, HttpClient
from qaztech.node.limits import CallCounts
from qaztech.node.settings import MemberSettings
from qaztech.node.systems import System
from qaztech.registry.call_limits import CallLimits, Timetable, parse_limits, parse_timetable
from qaztech.registry.files import write_file

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
    """The members' files of limits, read when they change; and `kept`, the file that keeps the calls of the day.

    A file that is not there limits nothing. One that cannot be used leaves that member's limits as they were, and is
    told to the operator.
    """

    def __init__(self, counts: CallCounts, resolve: Callable[[str], Path], kept: Path) -> None:
        self._counts = counts
        self._resolve = resolve
        self._kept = kept
        self._saved = b""
        self._files: dict[MemberId, Path] = {}
        self._seen: dict[MemberId, tuple[int, int, int] | None] = {}
        self._found: dict[MemberId, tuple[CallLimits, Timetable]] = {}

    def start(self, members: Sequence[MemberSettings]) -> None:
        """Begin with the files of these members. Raises `Malformed`: nothing is known of what it was before."""
        if self._kept.exists():
            self._counts.restore(self._kept.read_bytes())
        self.use(members)
        for member, path in self._files.items():
            if member not in self._found and path.exists():
                parse_limits(path.read_bytes(), member)
                parse_timetable(path.read_bytes(), member)

    def use(self, members: Sequence[MemberSettings]) -> None:
        """Follow the files of these members from now on."""
        self._files = {MemberId.parse(m.id): self._resolve(m.limits) for m in members if m.limits}
        self._found = {member: limits for member, limits in self._found.items() if member in self._files}
        self._seen.clear()
        self.look()

    def look(self) -> None:
        """Take up what has changed, and keep what has been counted this day."""
        saved = self._counts.saved()
        if self._files and saved != self._saved:
            self._saved = saved
            try:
                write_file(self._kept, saved)
            except OSError as exc:
                logger.warning("the calls of the day are not kept", extra={"fields": {"error": repr(exc)}})
        seen = {member: _state(path) for member, path in self._files.items()}
        if seen == self._seen:
            return
        for member, path in self._files.items():
            try:
                data = path.read_bytes() if seen[member] is not None else b""
                self._found[member] = (parse_limits(data, member), parse_timetable(data, member)) if data else ({}, {})
            except (Error, OSError) as exc:
                logger.warning("limits are not taken up", extra={"fields": {"member": str(member), "error": str(exc)}})
        self._seen = seen
        self._counts.limits = {pair: limit for limits, _ in self._found.values() for pair, limit in limits.items()}
        self._counts.timetable = {id_: one for _, planned in self._found.values() for id_, one in planned.items()}


def _state(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns
