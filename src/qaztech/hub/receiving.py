"""Taking deliveries of operational data: received to disk, judged row by row, taken whole or not at all.

What contradicts a log's signed history is refused and kept as a finding. Not here: the judging itself (`delivery`),
who asks over HTTP (`operational`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from qaztech.core.errors import Error, Forbidden, Limited, Malformed, NotFound
from qaztech.core.ids import MemberId, SubsystemId
from qaztech.core.time import Clock
from qaztech.evidence.note import VerifierKey
from qaztech.evidence.policy import Policy
from qaztech.hub.compaction import compact_days
from qaztech.hub.crosscheck import CONTRADICTION, DIFFERENCE, GRACE, Finding, foreign_parties, late_logs
from qaztech.hub.delivery import Claim, Contradicted, HeldLog, check_manifest, check_place
from qaztech.hub.judging import Judge, judge_here
from qaztech.hub.store import KeptFinding, OperationalStore
from qaztech.hub.traffic import Traffic
from qaztech.node.operational_manifest import MAX_MANIFEST, Manifest, Part, format_manifest, parse_manifest
from qaztech.registry.configuration import Configuration
from qaztech.registry.files import sync_directory
from qaztech.runtime.telemetry import Metrics

logger = logging.getLogger("qaztech.hub.operational")
# Leaves of one delivery, and bytes of a file for each of them at most.
MOST_LEAVES: Final = 2_000_000
MOST_BYTES_A_LEAF: Final = 20 * 1024
# Deliveries being received at one time.
AT_ONCE: Final = 4
# Of them those of one member at most: whoever sends slowly must not keep all others out.
AT_ONCE_OF_ONE: Final = 2
# Where deliveries are received, beside the days.
INCOMING: Final = "incoming"
_DAY: Final = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOwner:
    """Whose a log is in the verified configuration: the member whose node writes it, all it speaks for, its keys."""

    member: MemberId
    members: frozenset[MemberId]
    keys: Sequence[VerifierKey]


@dataclass(frozen=True, slots=True, kw_only=True)
class HubLimits:
    """Limits of the centre; all are settings."""

    body: int = 2 * 1024**3
    leaves: int = MOST_LEAVES
    # Milliseconds after which what others name must have been delivered.
    late: int = 3_600_000


class Deliveries:
    """Takes deliveries and answers what is held. Judging runs in threads, one at a time."""

    def __init__(
        self,
        *,
        store: OperationalStore,
        owner: Callable[[str], LogOwner | None],
        policy: Policy,
        clock: Clock,
        limits: HubLimits | None = None,
        grace: int = GRACE,
        judge: Judge = judge_here,
    ) -> None:
        self.store = store
        self.traffic = Traffic(store.directory, store.files)
        self._owner = owner
        self._policy = policy
        self._clock = clock
        self._limits = limits or HubLimits()
        self._grace = grace
        self._judge = judge
        self._metrics = Metrics()
        self._judging = asyncio.Lock()
        self._receiving = asyncio.Semaphore(AT_ONCE)
        self._sending: Counter[MemberId] = Counter()
        # What was recorded since then (milliseconds) has not been compared with the counterparties' rows yet.
        # A process that was killed may have left two days of it.
        self._unchecked: int | None = clock.now() - 2 * _DAY

    async def receive(self, sender: SubsystemId, stream: AsyncIterator[bytes]) -> HeldLog:
        """Take a delivery; gives what is held of its log then. Raises why nothing was taken."""
        if self._receiving.locked() or self._sending[sender.member] >= AT_ONCE_OF_ONE:
            raise Limited("operational.busy", "too many deliveries at once", at="service", retry_after=5)
        async with self._receiving, self._sent_by(sender.member):
            reader = _Reader(stream)
            try:
                return await self._receive(sender, reader)
            except Error as exc:
                self._metrics.count_label("operational_refused_total", "code", exc.code)
                await reader.drain()  # whoever still sends hears why only when it has been listened to
                raise

    def held(self, sender: SubsystemId, origin: str) -> HeldLog:
        """What is held of a log, told to its owner."""
        self._check_sender(sender, origin)
        return self.store.held(origin)

    async def cross_check(self, since: int | None = None) -> list[Finding]:
        """Compare with the counterparties what was delivered since the last time (or recorded since `since`).

        Gives the findings that are new.
        """
        async with self._judging:
            return await asyncio.to_thread(self._cross_check, since)

    async def _receive(self, sender: SubsystemId, reader: _Reader) -> HeldLog:
        manifest = parse_manifest(await reader.line(MAX_MANIFEST))
        owner = self._check_sender(sender, manifest.origin)
        if manifest.stop - manifest.start > self._limits.leaves:
            raise Limited("operational.too-large", f"a delivery has at most {self._limits.leaves} leaves", at="caller")
        claim = await asyncio.to_thread(check_manifest, manifest, self._policy, owner.keys)
        if await asyncio.to_thread(self._is_held, claim):
            await reader.drain()
            return self.store.held(manifest.origin)
        with TemporaryDirectory(dir=self._incoming(), prefix="delivery-") as folder:
            files = [await reader.file(part, Path(folder)) for part in manifest.parts]
            await reader.end()
            async with self._judging:
                return await asyncio.to_thread(self._take, claim, files, str(sender))

    def owner(self, origin: str) -> LogOwner | None:
        """Whose a log is, as the verified configuration has it; None where no member has such a log."""
        return self._owner(origin)

    def findings_of(self, member: MemberId) -> list[KeptFinding]:
        """What was found about a member's own logs, and about others against them; the latest first."""
        found, own = self.store.findings(), {"": False}
        for origin in (o for kept in found for o in (kept.finding.origin, kept.finding.other)):
            if origin not in own:
                owner = self._owner(origin)
                own[origin] = owner is not None and owner.member == member
        return [kept for kept in found if own[kept.finding.origin] or own[kept.finding.other]]

    async def compact(self) -> int:
        """Put the files of past days together; gives how many days were."""
        async with self._judging:
            return await asyncio.to_thread(compact_days, self.store, self._clock.now())

    def render_metrics(self) -> bytes:
        """The Prometheus text."""
        held = self.store.all_held()
        gauges = {"operational_logs": float(len(held)), "operational_leaves_held": float(sum(log.size for log in held))}
        return self._metrics.render(gauges)

    # Steps -----------------------------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def _sent_by(self, member: MemberId) -> AsyncIterator[None]:
        self._sending[member] += 1
        try:
            yield
        finally:
            self._sending[member] -= 1
            self._sending += Counter()  # forgets who sends nothing now

    def _check_sender(self, sender: SubsystemId, origin: str) -> LogOwner:
        owner = self._owner(origin)
        if owner is None:
            raise NotFound("operational.unknown-log", "no member has such a log", at="service")
        if owner.member != sender.member:
            raise Forbidden("operational.sender", "a log is delivered by the member whose node writes it", at="service")
        return owner

    def _is_held(self, claim: Claim) -> bool:
        """Whether a delivery is held already. Raises `Contradicted` where something else is held in its place."""
        manifest, held = claim.manifest, self.store.held(claim.manifest.origin)
        root = self.store.root_at(manifest.origin, manifest.stop)
        before = self.store.root_at(manifest.origin, manifest.start) if manifest.start else claim.before
        forked = root not in {None, claim.after} or before not in {None, claim.before}
        with self._findings(manifest):
            if forked:
                raise Contradicted(
                    "operational.forked", "the log has signed two roots at one size: its history is forked", at="caller"
                )
            if root is None:
                check_place(claim, held)
        return root is not None

    def _take(self, claim: Claim, files: Sequence[Path], sender: str) -> HeldLog:
        manifest = claim.manifest
        held = self.store.held(manifest.origin)
        with self._findings(manifest):
            check_place(claim, held)
            after = self._judge(claim, held, files)
        placed = self._place(manifest, files)
        try:
            self.store.accept(manifest, held, after, sender=sender, now=self._clock.now())
        except BaseException:
            for path in placed:
                path.unlink(missing_ok=True)
            raise
        if after.odd_time is not None:
            self._keep_odd_time(manifest, after.odd_time)
        self._metrics.count("operational_deliveries_total")
        first = held.recorded - 2 * self._grace
        self._unchecked = first if self._unchecked is None else min(first, self._unchecked)
        return after

    def _keep_odd_time(self, manifest: Manifest, place: int) -> None:
        """A leaf that says a time it cannot have: its node's clock was set, or somebody writes times as he likes."""
        finding = Finding(
            code="operational.time", level=DIFFERENCE, origin=manifest.origin, other="", message="", place=place,
            detail=f"row {place} cannot have been recorded when it says",
        )  # fmt: skip
        evidence = format_manifest(manifest).decode()
        for new in self.store.keep([finding], now=self._clock.now(), evidence=evidence):
            self._tell(new)

    def _place(self, manifest: Manifest, files: Sequence[Path]) -> list[Path]:
        """Move files to where they are read from. They count once the store says so."""
        placed = []
        for part, path in zip(manifest.parts, files, strict=True):
            target = self.store.directory / part.name(manifest.origin)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
            sync_directory(target.parent)
            placed.append(target)
        return placed

    def _cross_check(self, since: int | None) -> list[Finding]:
        begin = self._unchecked if since is None else since
        held = {log.origin: log.recorded for log in self.store.all_held()}
        if begin is None or not held:
            return []
        found = self.traffic.cross_check(held, max(0, begin), max(held.values()) + 1, grace=self._grace)
        now = self._clock.now()
        sizes = {log.origin: (log.size, log.recorded) for log in self.store.all_held()}
        found += late_logs(self.traffic.named(max(0, begin - self._limits.late), now - self._limits.late), sizes)
        found += foreign_parties(self.traffic.parties(max(0, begin), now - self._grace), self._spoken_for(held))
        new = self.store.keep(found, now=now)
        self._unchecked = None
        for finding in new:
            self._tell(finding)
        return new

    def _spoken_for(self, origins: Iterable[str]) -> dict[str, list[str]]:
        """The members that each log speaks for, as far as the configuration knows it."""
        owners = {origin: self._owner(origin) for origin in origins}
        return {origin: [str(m) for m in owner.members] for origin, owner in owners.items() if owner is not None}

    @contextlib.contextmanager
    def _findings(self, manifest: Manifest) -> Any:
        """Keep as a finding what contradicts a log's signed history."""
        try:
            yield
        except Contradicted as exc:
            finding = Finding(
                code=exc.code, level=CONTRADICTION, origin=manifest.origin, other="", message="", place=manifest.start,
                detail=exc.detail,
            )  # fmt: skip
            evidence = format_manifest(manifest).decode()
            for new in self.store.keep([finding], now=self._clock.now(), evidence=evidence):
                self._tell(new)
            raise

    def _tell(self, finding: Finding) -> None:
        self._metrics.count_label("operational_findings_total", "code", finding.code)
        fields = {"code": finding.code, "level": finding.level, "origin": finding.origin, "other": finding.other}
        logger.warning("finding", extra={"fields": {**fields, "detail": finding.detail}})

    def clean(self) -> None:
        """On start: remove what a process that was killed has left."""
        shutil.rmtree(self.store.directory / INCOMING, ignore_errors=True)
        self.store.tidy()

    def _incoming(self) -> Path:
        folder = self.store.directory / INCOMING
        folder.mkdir(parents=True, exist_ok=True)
        return folder


class _Reader:
    """A body that begins with a line and goes on with files, as it comes."""

    def __init__(self, stream: AsyncIterator[bytes]) -> None:
        self._stream = stream
        self._rest = b""

    async def line(self, most: int) -> bytes:
        """Up to and including the first U+000A."""
        data = b""
        while b"\n" not in data:
            if len(data) > most:
                raise Malformed("operational.manifest", "a delivery begins with the line of its manifest", at="caller")
            data += await self._next()
        line, _, self._rest = data.partition(b"\n")
        return line + b"\n"

    async def file(self, part: Part, folder: Path) -> Path:
        """One file, checked against its length and SHA-256."""
        if part.length > (part.stop - part.start) * MOST_BYTES_A_LEAF + 64 * 1024:
            raise Malformed("operational.file", "a file too large for its leaves", at="caller")
        path = folder / f"{part.start}.parquet"
        digest, left = sha256(), part.length
        with path.open("wb") as file:
            while left:
                data = self._rest or await self._next()
                piece, self._rest = data[:left], data[left:]
                left -= len(piece)
                digest.update(piece)
                file.write(piece)
            file.flush()
            await asyncio.to_thread(os.fsync, file.fileno())
        if digest.hexdigest() != part.sha256:
            raise Malformed("operational.file", "a file is not the one of the manifest", at="caller")
        return path

    async def end(self) -> None:
        """There is nothing more. Raises `Malformed` otherwise."""
        more = self._rest
        async for data in self._stream:
            more = more or data
        if more:
            raise Malformed("operational.file", "more bytes than the manifest names", at="caller")

    async def drain(self) -> None:
        """Let the rest pass."""
        async for _ in self._stream:
            pass

    async def _next(self) -> bytes:
        async for data in self._stream:
            if data:
                return data
        raise Malformed("operational.file", "the delivery ends before its files do", at="caller")


def owner_in(configuration: Callable[[], Configuration]) -> Callable[[str], LogOwner | None]:
    """Owners of logs as the newest verified configuration has them; raises what `configuration` does."""

    def owner(origin: str) -> LogOwner | None:
        entry = configuration().log(origin)
        return None if entry is None else LogOwner(member=entry.node.member, members=entry.members, keys=entry.keys)

    return owner
