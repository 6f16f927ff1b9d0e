"""Links made anew after a change of the node's own TLS key, beside those there are, which end by themselves.

A dialled link is replaced once its successor stands; until then calls go over the old one. A peer that dialled us is
told to dial again: what is in progress, and on its way, still goes over the old link.
"""

from __future__ import annotations

from qaztech.node.consumer import Consumer
from qaztech.node.link import Link
from qaztech.node.provider import Provider
from qaztech.node.tls import LinkTls


class Rewiring:
    """The links of one node, as its `certificate` sees them."""

    def __init__(self, tls: LinkTls, consumer: Consumer, provider: Provider) -> None:
        self._tls = tls
        self._consumer = consumer
        self._provider = provider
        self._old: set[Link] = set()

    def reload(self) -> None:
        """Show the certificate there is now to whoever comes next. Raises `Malformed`."""
        self._tls.reload()

    def changed_key(self) -> None:
        """From here on every link there is counts as one of the old key; peers are told to dial again."""
        self._old |= {*self._consumer.links(), *self._provider.links()}
        for link in self._provider.links():
            link.drain("peer.moved")

    def remake(self) -> int:
        """Dial anew where the present link is one of the old key; how many links of the old key are still left."""
        self._old = {link for link in self._old if link.alive}
        self._consumer.redial(self._old)
        return len(self._old)
