"""Links made anew after a change of the node's own TLS key, beside those there are, which end by themselves.

A dialled link is replaced once its successor stands; until then calls go over the old one. A peer that dialled us is
told to dial again: what is in progress, and on its way, still goes over the old link.
"""

from __future__ import annotations

from collections.abc import Callable

from qaztech.node.consumer import Consumer
from qaztech.node.provider import Provider
from qaztech.node.tls import LinkTls


class Rewiring:
    """The links of one node, as its `certificate` sees them. `seconds` is the loop's clock."""

    def __init__(self, tls: LinkTls, consumer: Consumer, provider: Provider, seconds: Callable[[], float]) -> None:
        self._tls = tls
        self._consumer = consumer
        self._provider = provider
        self._seconds = seconds
        self._changed = -1.0

    def reload(self) -> None:
        """Show the certificate there is now to whoever comes next. Raises `Malformed`."""
        self._tls.reload()

    def changed_key(self) -> None:
        """From here on every link that has begun, also one whose handshake goes on, counts as one of the old key."""
        # One that begins in the same tick of the clock counts too: it is made once more, which costs nothing.
        self._changed = self._seconds()

    def remake(self) -> int:
        """Replace the links of the old key, or have the peer replace them; how many are still left."""
        self._consumer.redial(self._changed)
        old = [link for link in self._provider.links() if link.began <= self._changed]
        for link in old:
            if link.open:
                link.drain("peer.moved")
        return len(old) + sum(link.began <= self._changed for link in self._consumer.links())
