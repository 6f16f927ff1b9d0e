"""Which admin logs this registry has had, kept in its folder in the form in which they are published (`logs.json`).

One is written; those before it ended when the registry was restored, for a restored log never goes on.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from qaztech.evidence.note import VerifierKey
from qaztech.registry.directory import AdminLogLine, format_logs, parse_logs
from qaztech.registry.files import replace_file

FILE = "admin-logs.json"

Lines = tuple[AdminLogLine, ...]


def read_admin_logs(directory: Path) -> Lines:
    """Those that are noted; none in a registry from before they were. Raises `Malformed`."""
    path = directory / FILE
    return parse_logs(path.read_bytes()).admin if path.exists() else ()


def note_admin_logs(directory: Path, instance: str, lines: Iterable[AdminLogLine]) -> Lines:
    """Keep these, durably."""
    data = format_logs(instance, lines)
    replace_file(directory / FILE, data)
    return parse_logs(data).admin


def with_open(lines: Lines, vkey: VerifierKey, now: int) -> Lines:
    """The same with this one open, and every other ended."""
    since = next((line.since for line in lines if line.origin == vkey.name), now)
    mine = AdminLogLine(origin=vkey.name, vkeys=(str(vkey),), since=since, ended=None)
    return (*all_ended((line for line in lines if line.origin != vkey.name), now), mine)


def all_ended(lines: Iterable[AdminLogLine], now: int) -> Lines:
    """The same, none of them open any more."""
    return tuple(
        AdminLogLine(
            origin=line.origin, vkeys=line.vkeys, since=line.since, ended=now if line.ended is None else line.ended
        )
        for line in lines
    )


def joined(lines: Lines, more: Lines) -> Lines:
    """All of both; where one is in both, as the first has it."""
    known = {line.origin for line in lines}
    return (*lines, *(line for line in more if line.origin not in known))
