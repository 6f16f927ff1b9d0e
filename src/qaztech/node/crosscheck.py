"""Heads accepted on links, checked against what witnesses saw: a log that shows two peers two histories is found out.

Each interval the peer is asked for its newest witnessed checkpoint and the proof that joins it to the head accepted
here. A peer that cannot join the two has forked, or lost its log; both signed heads go into the incident. A head is
checked once a witnessed checkpoint covers it: what was witnessed before a fork says nothing of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from qaztech.core.errors import Error, Malformed, Unavailable, Untrusted
from qaztech.core.time import Clock
from qaztech.evidence.merkle import verify_consistency
from qaztech.evidence.note import ED25519, VerifierKey, parse_note
from qaztech.evidence.policy import Policy
from qaztech.node.consumer import Consumer
from qaztech.node.heads import Fork
from qaztech.node.incidents import Incidents
from qaztech.node.journal import Remembered
from qaztech.node.peers import AcceptedHeads
from qaztech.registry.configuration import Configuration

WITNESSED = "witnessed"
# The operator is told of a peer that has been silent for so many rounds in a row, and for so long (milliseconds). The
# time is ten intervals of a node with usual settings: how often this node looks says nothing of how often the peer
# has its log witnessed.
PATIENCE = 10
PATIENT_FOR = 300_000


class WitnessedHead(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A peer's newest witnessed checkpoint, and the consistency proof between it and the size asked about."""

    note: bytes
    proof: list[bytes]


class ProvableLog(Protocol):
    """The own log, as far as a peer may ask."""

    @property
    def size(self) -> int:
        """Entries under the newest signed head."""
        ...

    def consistency_proof(self, old: int, new: int) -> list[bytes]:
        """RFC 6962 consistency proof."""
        ...


def answer_witnessed(log: ProvableLog, note: bytes, witnessed_size: int, asked: int) -> bytes:
    """The answer to a peer that has accepted our head of size `asked`."""
    if not note:
        raise Unavailable("witness.none", "nothing of this log is witnessed yet", at="log")
    if not 0 < asked <= log.size:
        raise Malformed("question.malformed", "this log has no such size", at="caller")
    old, new = sorted((asked, witnessed_size))
    proof = log.consistency_proof(old, new) if old and old != new else []
    return msgspec.msgpack.encode(WitnessedHead(note, proof))


@dataclass(slots=True)
class _Silence:
    """Rounds in a row in which a peer did not show that its head is witnessed, since when (milliseconds)."""

    since: int
    rounds: int = 0
    told: bool = False


class CrossCheck:
    """Asks every peer whose heads were accepted."""

    def __init__(
        self,
        *,
        accepted: AcceptedHeads,
        consumer: Consumer,
        configuration: Callable[[], Configuration],
        policy: Policy,
        incidents: Incidents,
        clock: Clock,
    ) -> None:
        self._clock = clock
        self._accepted = accepted
        self._consumer = consumer
        self._configuration = configuration
        self._policy = policy
        self._incidents = incidents
        self._checked: dict[str, Remembered] = {}
        # Heads that no witnessed checkpoint covered when they were asked about: the same is asked about again, for the
        # newest of a busy log is always ahead of the witnesses.
        self._waiting: dict[str, Remembered] = {}
        self._silent: dict[str, _Silence] = {}

    async def run(self, interval: float) -> None:
        """Check for ever."""
        while True:
            await asyncio.sleep(interval)
            await self.round()

    async def round(self) -> None:
        """Ask each peer whose accepted head has moved since it was last checked; a silent one delays no other."""
        moved = [(o, newest) for o, newest in self._accepted.all().items() if self._checked.get(o) != newest]
        await asyncio.gather(*(self._judge(o, self._waiting.setdefault(o, newest)) for o, newest in moved))

    async def _judge(self, origin: str, head: Remembered) -> None:
        try:
            await self._check(origin, head)
        except Untrusted as exc:
            self._incidents.report(exc, peer=origin)
        except Error as exc:
            silence = self._silent.setdefault(origin, _Silence(self._clock.now()))
            silence.rounds += 1
            if not silence.told and silence.rounds >= PATIENCE and self._clock.now() - silence.since >= PATIENT_FOR:
                silence.told = True
                self._incidents.report(
                    Unavailable("peer.unwitnessed", f"the peer does not show its witnessed head ({exc.code})"),
                    peer=origin,
                )
        else:
            self._checked[origin] = head
            self._waiting.pop(origin)
            self._silent.pop(origin, None)

    async def _check(self, origin: str, head: Remembered) -> None:
        """Raise `Untrusted` where the peer contradicts itself, `Unavailable` where nothing covers the head yet."""
        entry = self._configuration().log(origin)
        if entry is None or entry.closed is not None:
            return
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bytes | Error] = loop.create_future()
        self._consumer.ask(
            entry.node, WITNESSED, head.size.to_bytes(8, "big"),
            lambda answer: None if future.done() else future.set_result(answer),
        )  # fmt: skip
        answer = await future
        if isinstance(answer, Error):
            raise answer
        try:
            given = msgspec.msgpack.decode(answer, type=WitnessedHead)
        except msgspec.MsgspecError as exc:
            raise Untrusted("peer.unwitnessed", "the peer's answer does not have its form", at="caller") from exc
        try:
            checkpoint = self._policy.verify(given.note, entry.keys).checkpoint
        except Malformed as exc:
            raise Untrusted("peer.unwitnessed", exc.detail, at="caller") from exc
        if checkpoint.origin != origin:
            raise Untrusted("peer.unwitnessed", "the peer shows another log's checkpoint", at="caller")
        seen = Remembered(checkpoint.size, checkpoint.root, _signature(given.note, entry.keys))
        first, second = sorted((head, seen), key=lambda h: h.size)
        try:
            if first.size:
                verify_consistency(first.size, first.root, second.size, second.root, given.proof)
        except Untrusted as exc:
            raise Fork(origin=origin, first=head, second=seen) from exc
        if seen.size < head.size:
            raise Unavailable("peer.unwitnessed", "the peer's witnessed checkpoint does not cover the head yet")


def _signature(note: bytes, keys: Sequence[VerifierKey]) -> bytes:
    """The log's own Ed25519 signature under a note that has been verified: what makes it evidence."""
    own = {(key.name, key.key_id) for key in keys if key.kind == ED25519}
    return next(line.signature for line in parse_note(note).signatures if (line.name, line.key_id) in own)
