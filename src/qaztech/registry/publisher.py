"""Publishing in order: write, log, show. One publication at a time.

The snapshot's leaf is durable in the registry's own log before the timestamp that names the snapshot replaces the one
before it, so whatever a node is shown can be found in the log. A crash between two steps leaves the old state shown,
and the next publication makes it whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy.exc import SQLAlchemyError

from qaztech.core.errors import Unavailable
from qaztech.registry.admission import Registry
from qaztech.registry.publication import Pending, Publication
from qaztech.registry.store import RegistryStore

Append = Callable[[bytes], Awaitable[int]]
"""Append a leaf to the registry's log; its index, once it is durable and signed."""
DecisionT = TypeVar("DecisionT")


class Publisher:
    """Carries the registry's decisions to what nodes fetch."""

    def __init__(self, *, registry: Registry, publication: Publication, store: RegistryStore, append: Append) -> None:
        self.registry = registry
        self.publication = publication
        self._store = store
        self._append = append
        self._lock = asyncio.Lock()
        # The registry's revision that is published.
        self._shown: int | None = None

    async def decide(
        self,
        decision: Callable[[], DecisionT],
        *,
        publish: bool = True,
        first: Callable[[], Awaitable[None]] | None = None,
    ) -> DecisionT:
        """Let the registry decide, in a thread, and publish what follows. One decision at a time.

        A decision stands once it is made: if publishing fails, the next publication shows it. `first` is what has to
        be done before it, with no other decision in between; where that fails nothing is decided. A decision that
        changes nothing is not published: anyone may send once more what a member has signed.
        """
        async with self._lock:
            with _storage_errors():
                await asyncio.to_thread(self.registry.refresh)
                if first is not None:
                    await first()
                decided = await asyncio.to_thread(decision)
            if publish and self.registry.revision != self._shown:
                await self._publish()
            return decided

    async def publish(self) -> None:
        """Show the registry's state as it is now; with nothing new, sign that it still holds."""
        async with self._lock:
            await self._publish()

    async def _publish(self) -> None:
        with _storage_errors():
            pending, revision = await asyncio.to_thread(self._prepare)
            if pending is not None:
                index = await self._append(pending.leaf)
                await asyncio.to_thread(self._store.logged, pending.version, pending.sha256, index)
            await asyncio.to_thread(self.publication.commit, pending)
            self._shown = revision

    def _prepare(self) -> tuple[Pending | None, int]:
        self.registry.refresh()
        revision = self.registry.revision
        published = self.publication.published
        # Shown but not in the log: made while the registry was lost (`rescue`).
        unlogged = published is not None and self._store.snapshot(published[0]) is None
        return self.publication.prepare(self.registry.targets(), self.registry.content, renew=unlogged), revision


@contextmanager
def _storage_errors() -> Iterator[None]:
    """A full disk or a lost database: nothing is shown that is not whole, and the next publication tries again."""
    try:
        yield
    except (OSError, SQLAlchemyError) as exc:
        raise Unavailable(
            "registry.unavailable", "the registry cannot reach its storage", at="registry", context=repr(exc)
        ) from exc
