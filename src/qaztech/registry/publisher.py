"""Publishing in order: write, log, show. One publication at a time.

The snapshot's leaf is durable in the registry's own log before the timestamp that names the snapshot replaces the one
before it, so whatever a node is shown can be found in the log. A crash between two steps leaves the old state shown,
and the next publication makes it whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from qaztech.registry.admission import Registry
from qaztech.registry.publication import Publication
from qaztech.registry.store import RegistryStore

Append = Callable[[bytes], Awaitable[int]]
"""Append a leaf to the registry's log; its index, once it is durable and signed."""


class Publisher:
    """Carries the registry's decisions to what nodes fetch."""

    def __init__(self, *, registry: Registry, publication: Publication, store: RegistryStore, append: Append) -> None:
        self.registry = registry
        self.publication = publication
        self._store = store
        self._append = append
        self._lock = asyncio.Lock()

    async def publish(self) -> None:
        """Show the registry's state as it is now; with nothing new, sign that it still holds."""
        async with self._lock:
            pending = await asyncio.to_thread(
                lambda: self.publication.prepare(self.registry.targets(), self.registry.content)
            )
            if pending is not None:
                index = await self._append(pending.leaf)
                self._store.logged(pending.version, pending.sha256, index)
            await asyncio.to_thread(self.publication.commit, pending)
