"""Trusted timestamps (RFC 3161) over witnessed checkpoints: every so often, and on request."""

from __future__ import annotations

import asyncio
import logging

import msgspec

from qaztech.core.errors import Error, Unavailable
from qaztech.evidence.timestamp import REQUEST_TYPE, Authorities, timestamp_request
from qaztech.evidence.witnessing import Witnessing
from qaztech.node.journal import TIMESTAMP
from qaztech.node.own_log import OwnLog
from qaztech.runtime.outbound import Outbound
from qaztech.runtime.telemetry import log_error

# However often peers and people ask, the authority is asked at most once in so many seconds.
AT_MOST_EVERY = 2.0
logger = logging.getLogger("qaztech.timestamping")


class Timestamping:
    """Has the newest witnessed checkpoint timestamped by an authority of the anchor, and keeps the token."""

    def __init__(
        self, *, log: OwnLog, witnessing: Witnessing, url: str, authorities: Authorities, outbound: Outbound
    ) -> None:
        self._log = log
        self._witnessing = witnessing
        self._url = url
        self._authorities = authorities
        self._outbound = outbound
        self._stamped = 0
        self._wanted = asyncio.Event()

    async def run(self, interval: float) -> None:
        """Timestamp every `interval` seconds, and when wanted, for ever."""
        while True:
            try:
                async with asyncio.timeout(interval):
                    await self._wanted.wait()
            except TimeoutError:
                pass
            self._wanted.clear()
            try:
                await self.stamp()
            except Error as exc:
                log_error(logger, "no timestamp", exc)
            await asyncio.sleep(AT_MOST_EVERY)

    def want(self) -> None:
        """Have the newest witnessed checkpoint timestamped soon."""
        self._wanted.set()

    def holds(self, token: bytes, note: bytes) -> bool:
        """Whether a token is a timestamp over that note by an authority of the anchor."""
        try:
            self._authorities.verify(token, note)
        except Error:
            return False
        return True

    async def stamp(self) -> int:
        """Timestamp the newest witnessed checkpoint; gives its size. Raises `Unavailable` or `Untrusted`."""
        latest, note = self._witnessing.latest, self._witnessing.latest_note
        if latest is None:
            raise Unavailable("timestamp.nothing", "nothing of this log is witnessed yet", at="log")
        size = latest.checkpoint.size
        if size and size != self._stamped:
            asked = timestamp_request(note)
            status, _, answer = await self._outbound.post(self._url, asked.data, REQUEST_TYPE)
            if status != 200:
                raise Unavailable("timestamp.unavailable", f"the timestamping authority answered {status}", at="log")
            token = self._authorities.accept(asked, answer)
            self._log.note(TIMESTAMP, size, msgspec.msgpack.encode((note, token)))
            self._stamped = size
        return size
