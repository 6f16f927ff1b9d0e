"""Ports for what tests start: below those that the kernel gives to who calls out, and each to one test process only.

A port that was free a moment ago may be taken by any connection before what was meant to listen there has started; in
a country of ten processes that happens. These stay free, as far as others keep to the kernel's range.
"""

from __future__ import annotations

import socket
from collections import deque
from pathlib import Path
from random import SystemRandom

from qaztech.core.errors import Conflict

_OUTGOING = Path("/proc/sys/net/ipv4/ip_local_port_range")
_OUTGOING_WHERE_UNTOLD = 32_768
_FIRST, _BLOCK = 10_000, 32
# What this process has claimed and not yet given.
_left: deque[int] = deque()


def free_ports(count: int) -> list[int]:
    """So many ports on which nobody listens. None is given twice. Raises `Conflict` where there are no more."""
    found: list[int] = []
    while len(found) < count:
        if not _left:
            _left.extend(_claimed())
        if _is_free(port := _left.popleft()):
            found.append(port)
    return found


def _claimed() -> range:
    """A block of ports that is this process's until it ends: who holds a block's name holds the block."""
    blocks = list(range(_FIRST, _first_outgoing() - _BLOCK + 1, _BLOCK))
    SystemRandom().shuffle(blocks)
    for first in blocks:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as claim:
            try:
                claim.bind(f"\0qaztech-ports-{first}")
            except OSError:
                continue
            claim.detach()  # stays open, and is closed by the end of the process
            return range(first, first + _BLOCK)
    raise Conflict("country.port-taken", f"no ports are left between {_FIRST} and {_first_outgoing()}")


def _first_outgoing() -> int:
    try:
        return int(_OUTGOING.read_text().split()[0])
    except OSError:
        return _OUTGOING_WHERE_UNTOLD


def _is_free(port: int) -> bool:
    with socket.socket() as sock:
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
