"""Trusted timestamps (RFC 3161) over witnessed checkpoints: every so often, and on request."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import msgspec

from qaztech.core.errors import Error, Unavailable
from qaztech.evidence.witnessing import Witnessing
from qaztech.node.journal import TIMESTAMP
from qaztech.node.own_log import OwnLog
from qaztech.runtime.telemetry import log_error

logger = logging.getLogger("qaztech.timestamping")


class Timestamping:
    """Has the newest witnessed checkpoint timestamped and keeps the token."""

    def __init__(self, *, log: OwnLog, witnessing: Witnessing, request: Callable[[bytes], Awaitable[bytes]]) -> None:
        self._log = log
        self._witnessing = witnessing
        # Asks the authority for a verified token over these bytes.
        self._request = request
        self._stamped = 0

    async def run(self, interval: float) -> None:
        """Timestamp every `interval` seconds, for ever."""
        while True:
            await asyncio.sleep(interval)
            try:
                await self.stamp()
            except Error as exc:
                log_error(logger, "no timestamp", exc)

    async def stamp(self) -> int:
        """Timestamp the newest witnessed checkpoint; gives its size. Raises `Unavailable` or `Untrusted`."""
        latest, note = self._witnessing.latest, self._witnessing.latest_note
        if latest is None:
            raise Unavailable("timestamp.nothing", "nothing of this log is witnessed yet", at="log")
        size = latest.checkpoint.size
        if size != self._stamped:
            token = await self._request(note)
            self._log.note(TIMESTAMP, size, msgspec.msgpack.encode((note, token)))
            self._stamped = size
        return size
