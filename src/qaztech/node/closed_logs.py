"""The logs a node had before its present one: closed, never written again, and still the proof of what stands in them.

What was recorded under an origin stays provable under it, so receipts are made from whichever of the node's logs holds
the message; and a peer that has another origin today is still the party it was. Not here: closing a log (`renewal`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

import msgspec

from qaztech.core.errors import Error
from qaztech.core.ids import SubsystemId
from qaztech.evidence.log import StoredEntry
from qaztech.evidence.storage import Storage
from qaztech.evidence.view import LogView
from qaztech.node.receipts import ReadableLog, ReceiptMaker, Timestamps
from qaztech.registry.configuration import Configuration
from qaztech.runtime.telemetry import log_error

logger = logging.getLogger("qaztech.closed-logs")
NOTHING = msgspec.msgpack.encode([])


class ClosedLogReader:
    """A closed log, as receipts read it."""

    def __init__(self, view: LogView) -> None:
        self._view = view
        self.origin = view.origin
        self.inclusion_proof = view.inclusion_proof
        self.note_count = view.note_count
        self.read_note = view.read_note

    @property
    def size(self) -> int:
        """Entries under the last signed head."""
        return self._view.head.size

    def checkpoint_note(self) -> bytes:
        """The last signed checkpoint."""
        return self._view.head.note

    def find(self, message: bytes) -> list[int]:
        """Indexes of the entries with this message id that are under a signed head."""
        return [index for index in self._view.find(message) if index < self.size]

    def read(self, index: int) -> StoredEntry:
        """One entry."""
        return self._view.read(index)

    def first_note_ordinal(self, kind: int, key: int) -> int:
        """Ordinal of the first note of a kind whose key is not smaller."""
        return self._view.first_note_at_or_above(kind, key)

    def first_note_at_or_above(self, kind: int, key: int) -> tuple[int, bytes] | None:
        """Key and payload of the first note of a kind whose key is not smaller."""
        ordinal = self._view.first_note_at_or_above(kind, key)
        return self._view.read_note(kind, ordinal) if ordinal < self._view.note_count(kind) else None


def open_closed_logs(folder: Path, storage: Storage) -> list[ClosedLogReader]:
    """Every closed log in a node's folder `closed`; one that cannot be read is left out, and logged."""
    found = []
    for directory in sorted(folder.glob("*/log")):
        try:
            found.append(ClosedLogReader(LogView.open_read_only(directory, storage=storage)))
        except Error as exc:
            log_error(logger, "a closed log cannot be read", exc, log=directory.parent.name)
    return found


class PastTimestamps:
    """Timestamps of a closed log: those there are count, and no more are made."""

    def __init__(self, present: Timestamps) -> None:
        self.holds = present.holds

    def want(self) -> None:
        """Nothing under a closed origin is timestamped any more."""


class Receipts(Protocol):
    """Receipts of a node, whichever of its logs they are made from."""

    def answer_proofs(self, message: bytes, peer: str, *, timestamped: bool) -> bytes:
        """Our proofs for the records of a message that the peer, by the origin of its log, is a party to."""
        ...

    async def make(self, message: UUID, *, wait: str, seconds: float, disclose: Sequence[str]) -> dict[str, Any]:
        """The receipt of a message."""
        ...

    async def outcome(self, message: UUID, client: SubsystemId | None) -> dict[str, Any]:
        """What became of a message."""
        ...


class ReceiptsOfAllLogs:
    """Receipts from the present log and from those before it. `makers` begin with the present one."""

    def __init__(
        self, makers: Sequence[tuple[ReadableLog, ReceiptMaker]], configuration: Callable[[], Configuration]
    ) -> None:
        self._makers = makers
        self._configuration = configuration

    def answer_proofs(self, message: bytes, peer: str, *, timestamped: bool) -> bytes:
        """Our proofs for the records of a message that the peer, under this origin or another, is a party to."""
        maker = self._holder(message)
        for origin in self._origins(peer):
            proofs = maker.answer_proofs(message, origin, timestamped=timestamped)
            if proofs != NOTHING:
                return proofs
        return NOTHING

    async def make(self, message: UUID, *, wait: str, seconds: float, disclose: Sequence[str]) -> dict[str, Any]:
        """The receipt of a message."""
        return await self._holder(message.bytes).make(message, wait=wait, seconds=seconds, disclose=disclose)

    async def outcome(self, message: UUID, client: SubsystemId | None) -> dict[str, Any]:
        """What became of a message."""
        return await self._holder(message.bytes).outcome(message, client)

    def _holder(self, message: bytes) -> ReceiptMaker:
        """The maker whose log has the message; the present one, which then says so, where none has."""
        return next((maker for log, maker in self._makers if log.find(message)), self._makers[0][1])

    def _origins(self, peer: str) -> list[str]:
        """The origins that the node of this one has had; itself first."""
        configuration = self._configuration()
        entry = configuration.log(peer)
        if entry is None:
            return [peer]
        return [peer, *(log.origin for log in configuration.logs() if log.node == entry.node and log.origin != peer)]
