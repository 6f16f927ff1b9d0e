"""Publishing in order: write, log, show. One publication at a time.

The snapshot's leaf is durable in the registry's own log before the timestamp that names the snapshot replaces the one
before it, so whatever a node is shown can be found in the log. A crash between two steps leaves the old state shown,
and the next publication makes it whole.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from qaztech.core.errors import Error
from qaztech.registry.admission import Registry
from qaztech.registry.publication import Publication
from qaztech.registry.store import RegistryStore

logger = logging.getLogger("qaztech.registry")

Append = Callable[[bytes], Awaitable[int]]
"""Append a leaf to the registry's log; its index, once it is durable and signed."""
# Nodes take three minutes of silence for a freeze; the timestamp is signed anew well within that.
SIGN_OF_LIFE = 60.0
DecisionT = TypeVar("DecisionT")


class Publisher:
    """Carries the registry's decisions to what nodes fetch."""

    def __init__(self, *, registry: Registry, publication: Publication, store: RegistryStore, append: Append) -> None:
        self.registry = registry
        self.publication = publication
        self._store = store
        self._append = append
        self._lock = asyncio.Lock()

    async def decide(self, decision: Callable[[], DecisionT], *, publish: bool = True) -> DecisionT:
        """Let the registry decide, in a thread, and publish what follows. One decision at a time.

        A decision stands once it is made: if publishing fails, the next publication shows it.
        """
        async with self._lock:
            decided = await asyncio.to_thread(decision)
            if publish:
                await self._publish()
            return decided

    async def publish(self) -> None:
        """Show the registry's state as it is now; with nothing new, sign that it still holds."""
        async with self._lock:
            await self._publish()

    async def run(self, interval: float = SIGN_OF_LIFE) -> None:
        """Give a sign of life every so many seconds, for ever."""
        while True:
            try:
                await self.publish()
            except (Error, OSError) as exc:
                # Said every time: a registry that cannot publish closes the country within a day.
                logger.exception("publication failed", extra={"fields": {"error": str(exc)}})
            await asyncio.sleep(interval)

    async def _publish(self) -> None:
        targets, content = self.registry.targets, self.registry.content
        pending = await asyncio.to_thread(lambda: self.publication.prepare(targets(), content))
        if pending is not None:
            index = await self._append(pending.leaf)
            self._store.logged(pending.version, pending.sha256, index)
        await asyncio.to_thread(self.publication.commit, pending)
