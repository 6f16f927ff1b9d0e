"""Judging a delivery of operational data: two witnessed checkpoints, and every leaf between them exactly once.

Pure: given what the centre holds of a log, a manifest and rows, it says what the centre holds afterwards or raises why
not. The arithmetic decides: leaf hashes made from the delivered records must lead from the one root to the other, and
each row must be the one its record gives. Not here: who may deliver, files, the database.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from qaztech.core.errors import Conflict, Untrusted
from qaztech.core.exchange import CLOCK_SKEW
from qaztech.evidence.checkpoint import SignedCheckpoint
from qaztech.evidence.merkle import EMPTY_ROOT, Frontier
from qaztech.evidence.note import VerifierKey
from qaztech.evidence.policy import Policy, Witnessed
from qaztech.node.operational_manifest import Manifest, day_named
from qaztech.node.operational_rows import Row, day_of, row_of


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldLog:
    """What the centre holds of a log: so many leaves under a root, the peaks to go on from, the latest time of one.

    `odd_time` is the first leaf of a delivery just judged whose time cannot be; the log's own clock was set then.
    """

    origin: str
    size: int = 0
    root: bytes = EMPTY_ROOT
    peaks: tuple[bytes, ...] = ()
    recorded: int = 0
    odd_time: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A manifest whose checkpoints are verified: what its rows must lead to, and until when they can be (ms)."""

    manifest: Manifest
    before: bytes
    after: bytes
    latest: int | None


class Contradicted(Untrusted):
    """A delivery that cannot be true beside what its log has signed; it is kept as a finding."""


def check_manifest(manifest: Manifest, policy: Policy, keys: Sequence[VerifierKey]) -> Claim:
    """Verify both checkpoints of a manifest: signed by the log, cosigned by a quorum, of the sizes it names."""
    before = EMPTY_ROOT
    if manifest.start:
        before = _witnessed(manifest.before, manifest.origin, manifest.start, policy, keys).checkpoint.root
    elif manifest.before:
        raise Untrusted("operational.checkpoint", "there is no checkpoint before the first leaf", at="caller")
    after = _witnessed(manifest.after, manifest.origin, manifest.stop, policy, keys)
    latest = (after.time + 1) * 1000 + CLOCK_SKEW if after.time else None
    return Claim(manifest=manifest, before=before, after=after.checkpoint.root, latest=latest)


def check_place(claim: Claim, held: HeldLog) -> None:
    """Check that a delivery begins where what is held ends. Raises `Conflict`; `Contradicted` for another history."""
    if claim.manifest.start != held.size:
        raise Conflict(
            "operational.gap",
            f"the centre holds {held.size} leaves of this log; the delivery begins at {claim.manifest.start}",
            at="service",
        )
    if claim.before != held.root:
        raise Contradicted(
            "operational.forked",
            f"the log has signed two roots at {held.size} entries: its history is forked",
            at="caller",
        )


@dataclass(slots=True)
class Judgement:
    """Rows being judged, in their order. Feed each part, then `finish`."""

    claim: Claim
    held: HeldLog
    _frontier: Frontier = field(init=False)
    _kinds: dict[str, int] = field(init=False, default_factory=dict)
    _recorded: int = field(init=False)
    _odd_time: int | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._frontier = Frontier(self.held.size, self.held.peaks)
        self._recorded = self.held.recorded

    def feed(self, date: str, rows: Iterable[Row]) -> None:
        """The next rows, which stand in the file of that day. Raises `Contradicted`."""
        origin, latest, append = self.claim.manifest.origin, self.claim.latest, self._frontier.append
        day = day_named(date)
        for row in rows:
            place = self._frontier.size
            if row.place != place or row.log != origin:
                raise Contradicted(
                    "operational.gap-in-rows", f"leaf {place} is missing, or another stands in its place", at="caller"
                )
            if row.record is None or row.recorded is None or row != row_of(origin, place, row.recorded, row.record):
                raise Contradicted(
                    "operational.forged-row", f"row {place} says something else than its record", at="caller"
                )
            if row.recorded < 0 or day_of(row.recorded) != day:
                raise Contradicted(
                    "operational.time", f"row {place} is not of the day that its file is for", at="caller"
                )
            # A clock that jumped is told, not refused: the log cannot change, and all that follows would wait for ever.
            late = latest is not None and row.recorded > latest
            if (late or row.recorded < self._recorded) and self._odd_time is None:
                self._odd_time = place
            if not late:
                self._recorded = max(self._recorded, row.recorded)
            self._kinds[row.kind] = self._kinds.get(row.kind, 0) + 1
            append(row.leaf)

    def finish(self) -> HeldLog:
        """All rows were fed: what is held with them. Raises `Contradicted` where they do not lead to the root."""
        manifest = self.claim.manifest
        if self._frontier.size != manifest.stop or self._frontier.root() != self.claim.after:
            raise Contradicted(
                "operational.incomplete",
                f"the records do not lead to the witnessed root at {manifest.stop}: some were left out, or invented",
                at="caller",
            )
        if self._kinds != manifest.kinds:
            raise Contradicted("operational.counts", "the manifest counts other kinds than the rows have", at="caller")
        return HeldLog(
            origin=manifest.origin,
            size=manifest.stop,
            root=self.claim.after,
            peaks=self._frontier.hashes,
            recorded=self._recorded,
            odd_time=self._odd_time,
        )


def _witnessed(text: str, origin: str, size: int, policy: Policy, keys: Sequence[VerifierKey]) -> Witnessed:
    note = text.encode()
    if SignedCheckpoint.parse(note).origin != origin:
        raise Untrusted("operational.checkpoint", "a checkpoint of another log", at="caller")
    witnessed = policy.verify(note, keys)
    if witnessed.checkpoint.size != size:
        raise Untrusted("operational.checkpoint", "a checkpoint of another size than the manifest says", at="caller")
    return witnessed
