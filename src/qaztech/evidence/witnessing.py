"""A log's own side of witnessing: take its newest checkpoint to the witnesses, keep what a quorum cosigned.

Speaks C2SP tlog-witness to the URLs of the policy. A witness that remembers what the log does not hold is the proof
that the log was restored or copied: `Contradicted` says so, and the log must not go on. One witness alone is believed
when it shows the checkpoint with the log's own signature; so many that no quorum is left are believed at their word.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from qaztech.core.errors import Error, Halt, Unavailable, Untrusted
from qaztech.core.time import Clock
from qaztech.evidence.checkpoint import SignedCheckpoint
from qaztech.evidence.cosignature import accept_cosignatures, cosign_ml_dsa_44
from qaztech.evidence.last_seen import Get, ask_witness
from qaztech.evidence.note import Note, SignatureLine, VerifierKey, format_note
from qaztech.evidence.policy import Policy, PolicyWitness, Witnessed
from qaztech.evidence.witness import SIZE, format_add_checkpoint
from qaztech.trust.keys import MlDsa44Key

logger = logging.getLogger("qaztech.witnessing")

Post = Callable[[str, bytes], Awaitable[tuple[int, str, bytes]]]
_ATTEMPTS = 3
# Seconds: the first pause after a failed round, and between rounds however many want one.
FIRST_PAUSE = 0.25
AT_MOST_EVERY = 0.2
# Milliseconds for which rounds may fail before that is told: witnesses start when the log does, and start anew.
GRACE = 30_000


class WitnessedLog(Protocol):
    """The log whose checkpoints are witnessed."""

    origin: str

    @property
    def size(self) -> int:
        """Entries under the newest signed head."""
        ...

    def checkpoint_note(self) -> bytes:
        """The newest signed checkpoint (Ed25519), as a note."""
        ...

    def consistency_proof(self, old: int, new: int) -> list[bytes]:
        """RFC 6962 consistency proof."""
        ...

    def holds(self, size: int, root: bytes) -> bool:
        """Whether the log has that root at that size."""
        ...

    def keep_witnessed(self, size: int, note: bytes) -> None:
        """Keep a witnessed checkpoint, durably, with the next batch."""
        ...


class Contradicted(Halt):
    """A witness holds a checkpoint of this log that the log does not."""

    def __init__(self, *, origin: str, witness: str, seen: int, size: int) -> None:
        super().__init__(
            "log.contradicted",
            f"witness {witness} has cosigned {origin} at size {seen}, another history than the {size} entries here: "
            "the log was restored or copied, and must not go on (stop the node, then `qaztech node renew-log`)",
            at="log",
        )
        self.seen = seen


class _Claimed(Unavailable):
    """A witness says that it knows better, and does not show it."""

    def __init__(self, witness: str, seen: int) -> None:
        super().__init__("witness.refused", f"witness {witness} contradicts the log without showing why", at="log")
        self.witness = witness
        self.seen = seen


@dataclass(slots=True)
class WitnessState:
    """What is known of one witness: the size it cosigned last, and how the last attempt went."""

    size: int | None = None
    failure: str = ""
    time: int = 0


class Witnessing:
    """Takes one log's checkpoints to the witnesses. Runs on the loop that owns the log; only `post` leaves it."""

    def __init__(
        self,
        *,
        log: WitnessedLog,
        policy: Policy,
        keys: Sequence[VerifierKey],
        hybrid: MlDsa44Key | None,
        post: Post,
        get: Get,
        clock: Clock,
    ) -> None:
        self._log = log
        self._policy = policy
        self._hybrid = hybrid
        self._post = post
        self._get = get
        self._clock = clock
        self._keys = tuple(keys)
        self.states = {name: WitnessState() for name in policy.witnesses}
        self._wanted = asyncio.Event()
        self.latest: Witnessed | None = None
        self.latest_note = b""
        # Since when rounds fail (milliseconds since 1970); None while they do not.
        self.failing: int | None = None

    async def run(self, interval: float, halted: Callable[[Halt], None]) -> None:
        """Witness every `interval` seconds and when wanted, for ever; what contradicts the log ends it, by `halted`.

        A round that failed is tried again soon, then less and less soon, up to the interval.
        """
        pause, told = FIRST_PAUSE, False
        while True:
            self._wanted.clear()
            try:
                await self.round()
                if told:
                    logger.info("witnessed again", extra={"fields": {}})
                self.failing, told = None, False
                pause = FIRST_PAUSE
                wait = interval
            except Halt as exc:
                halted(exc)
                return
            except Error as exc:
                now = self._clock.now()
                self.failing = now if self.failing is None else self.failing
                if not told and now - self.failing >= GRACE:
                    told = True
                    logger.warning(
                        "witnessing failed, and is tried again",
                        extra={"fields": {"code": exc.code, "detail": exc.detail, "witnesses": list(self.missing())}},
                    )
                wait = pause = min(2 * pause, interval)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._wanted.wait()
            await asyncio.sleep(min(AT_MOST_EVERY, wait))

    def missing(self) -> tuple[str, ...]:
        """The witnesses that did not cosign when last asked."""
        return tuple(name for name, state in self.states.items() if state.failure)

    def want(self) -> None:
        """Somebody waits for the newest head to be witnessed: do not wait for the interval."""
        self._wanted.set()

    async def round(self) -> Witnessed | None:
        """One round: the newest checkpoint to every witness. Gives what a quorum cosigned, None if nothing is new.

        Then it goes only to those that have not cosigned it yet: a log may not grow again for long.
        Raises `Unavailable` where no quorum answered, `Contradicted` where a witness knows better.
        """
        if self.latest is not None and self.latest.checkpoint.size == self._log.size:
            if missing := self.missing():
                await self._submit_all(self._signed(), missing)
            return None
        signed = self._signed()
        lines = [line for answer in await self._submit_all(signed) for line in answer]
        cosigned = format_note(_with_lines(signed, lines).note)
        try:
            witnessed = self._policy.verify(cosigned, self._keys)
        except Untrusted as exc:
            raise Unavailable("witness.quorum", "no quorum of witnesses answered", at="log") from exc
        self.latest, self.latest_note = witnessed, cosigned
        self._log.keep_witnessed(signed.size, cosigned)
        return witnessed

    async def ask_what_was_seen(self) -> None:
        """On start: raise `Contradicted` if a witness has cosigned more of this log than it has, or another root."""
        await self._submit_all(self._signed())

    def _signed(self) -> SignedCheckpoint:
        """The newest checkpoint, with every signature that the log's keys ask for."""
        signed = SignedCheckpoint.parse(self._log.checkpoint_note())
        if self._hybrid is not None:
            line = cosign_ml_dsa_44(signed, signed.origin, self._hybrid, self._clock.now() // 1000)
            signed = _with_lines(signed, (line,))
        return signed

    async def _submit_all(
        self, signed: SignedCheckpoint, only: Collection[str] | None = None
    ) -> list[tuple[SignatureLine, ...]]:
        """What each witness that cosigned has answered. Raises `Contradicted`."""
        note = format_note(signed.note)
        witnesses = self._policy.witnesses
        answers = await asyncio.gather(
            *(self._submit(w, signed, note) for name, w in witnesses.items() if only is None or name in only),
            return_exceptions=True,
        )
        claims = []
        for answer in answers:
            if isinstance(answer, BaseException) and (isinstance(answer, Halt) or not isinstance(answer, Error)):
                raise answer
            if isinstance(answer, _Claimed):
                claims.append(answer)
        if claims and not self._policy.satisfied_by(witnesses.keys() - {claim.witness for claim in claims}):
            names, seen = ", ".join(claim.witness for claim in claims), max(claim.seen for claim in claims)
            raise Contradicted(origin=signed.origin, witness=names, seen=seen, size=self._log.size)
        return [answer for answer in answers if not isinstance(answer, BaseException)]

    async def _submit(self, witness: PolicyWitness, signed: SignedCheckpoint, note: bytes) -> tuple[SignatureLine, ...]:
        state = self.states[witness.name]
        try:
            lines = await self._offer(witness, state, signed, note)
        except Error as exc:
            state.failure = exc.detail
            raise
        state.failure, state.time, state.size = "", self._clock.now(), signed.size
        return lines

    async def _offer(
        self, witness: PolicyWitness, state: WitnessState, signed: SignedCheckpoint, note: bytes
    ) -> tuple[SignatureLine, ...]:
        if not witness.url:
            raise Unavailable("witness.unreachable", "the policy names no URL for this witness", at="log")
        old = state.size or 0
        for _ in range(_ATTEMPTS):
            proof = self._log.consistency_proof(old, signed.size) if old else []
            status, kind, body = await self._post(
                f"{witness.url.rstrip('/')}/add-checkpoint", format_add_checkpoint(old, proof, note)
            )
            if status == 200:
                lines = accept_cosignatures(signed, body, witness.keys)
                if not lines:
                    raise Untrusted("witness.answer", "a witness answered without a cosignature of its own", at="log")
                return lines
            if status == 409 and kind.startswith(SIZE):
                seen = _size(body)
                if seen > signed.size:
                    if seen > self._log.size:
                        raise await self._contradicted(witness, signed.origin, seen)
                    raise Unavailable("witness.ahead", "a witness has a newer checkpoint already", at="log")
                old = seen
                continue
            if status in {409, 422}:
                raise await self._contradicted(witness, signed.origin, old)
            raise Unavailable("witness.refused", f"a witness answered {status}", at="log")
        raise Unavailable("witness.refused", "a witness keeps changing its mind about the size it has seen", at="log")

    async def _contradicted(self, witness: PolicyWitness, origin: str, seen: int) -> Error:
        """What it means that a witness knows better: have it shown."""
        try:
            shown = await asyncio.to_thread(ask_witness, witness, origin, self._keys[0], self._get)
        except Error:
            shown = None
        if shown is None or self._log.holds(shown.size, shown.root):
            return _Claimed(witness.name, seen)
        return Contradicted(origin=origin, witness=witness.name, seen=shown.size, size=self._log.size)


def _with_lines(signed: SignedCheckpoint, lines: Sequence[SignatureLine]) -> SignedCheckpoint:
    note = Note(signed.note.text, (*signed.note.signatures, *lines))
    return SignedCheckpoint(signed.origin, signed.size, signed.root, signed.extensions, note)


def _size(body: bytes) -> int:
    text = body.strip()
    if not text.isdigit() or len(text) > 19:
        raise Untrusted("witness.answer", "a witness named no size", at="log")
    return int(text)
