"""The protocol between nodes: its version, the limits both ends hold to, and what needs no right.

Version history of `PROTOCOL_VERSION` (one integer, named in every hello and every record):

1   2026-11-23   the first: records, heads, links, receipts
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

PROTOCOL_VERSION = 1
# A record and its padding must fit a C2SP entry bundle, whose length prefix has 16 bits.
MAX_RECORD = 16 * 1024
# How far the clocks of two nodes may be apart, and how long a request may be on its way, in milliseconds.
CLOCK_SKEW = 60_000
# How long a request may at most be valid, whatever its sender says, in milliseconds.
MAX_LIFETIME = 600_000
# Where anyone who may connect asks a subsystem's member for access to its services.
ACCESS_REQUESTS = "accessRequests"
# The services every node answers about its members, and the methods by which they need no right.
ABOUT_ITSELF: Mapping[str, frozenset[str]] = MappingProxyType({
    "listMethods": frozenset({"GET"}),
    "allowedMethods": frozenset({"GET"}),
    "getOpenAPI": frozenset({"GET"}),
    ACCESS_REQUESTS: frozenset({"GET", "POST"}),
})  # fmt: skip


def needs_no_right(code: str, method: str) -> bool:
    """Whether a service is one that every node answers about its members, called as that is done."""
    return method in ABOUT_ITSELF.get(code, ())
