"""The protocol between nodes: its version, and the limits both ends hold to.

Version history of `PROTOCOL_VERSION` (one integer, named in every hello and every record):

1   2026-11-23   the first: records, heads, links, receipts
"""

from __future__ import annotations

PROTOCOL_VERSION = 1
# A record and its padding must fit a C2SP entry bundle, whose length prefix has 16 bits.
MAX_RECORD = 16 * 1024
# How far the clocks of two nodes may be apart, and how long a request may be on its way, in milliseconds.
CLOCK_SKEW = 60_000
# How long a request may at most be valid, whatever its sender says, in milliseconds.
MAX_LIFETIME = 600_000
