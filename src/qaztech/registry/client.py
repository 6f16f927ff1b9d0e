"""The node's side of the registry: fetch, verify, pin, keep, refresh; the result is a `Configuration`.

`refresh` runs in a thread of its own, off the data plane, every 20 seconds and when a new counterparty is wanted. What
contradicts what was signed before (rollback, a wrong key) closes the configuration at once; a registry that is only
silent raises an alarm after three minutes, and closes it at expiry. A member whose file cannot be trusted is left out
and reported, and hurts nobody else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from qaztech.core.errors import Error, NotFound, Unavailable, Untrusted
from qaztech.core.ids import MemberId
from qaztech.core.time import Clock
from qaztech.evidence.proof import MAX_PROOF_BYTES
from qaztech.registry.anchor import Anchor
from qaztech.registry.archive import Archive
from qaztech.registry.configuration import Configuration, build_configuration
from qaztech.registry.directory import DIRECTORY, INSTANCE, LOGS, parse_directory, parse_instance, parse_logs
from qaztech.registry.gather import Gathering, Parsed
from qaztech.registry.metadata import first_root
from qaztech.registry.mirror import Fetcher, Mirror, MirrorLimits
from qaztech.registry.pins import Pins
from qaztech.registry.snapshot_proof import check_snapshot_proof

_NEVER = 2**62
# So many snapshots back a record may name one and have its hash compared.
REMEMBERED = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """How a node follows the registry; times in milliseconds."""

    freeze_alarm: int = 3 * 60 * 1000
    unproven_alarm: int = 10 * 60 * 1000
    # Clients named in the own rights pages are fetched ahead of their first call, up to so many.
    eager_counterparties: int = 512
    wanted: int = 16_384
    proofs_each_refresh: int = 8
    # A witness cosigns the registry's admin log too; a node has no use for it.
    admin_logs: bool = False
    limits: MirrorLimits = field(default_factory=MirrorLimits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """Something an operator must know: its code, what it is, since when."""

    code: str
    detail: str
    since: int


class ConfigurationClient:
    """Keeps one node's configuration. `refresh` is called from one thread at a time; everything else from any."""

    def __init__(
        self,
        *,
        anchor: Anchor,
        directory: Path,
        fetcher: Fetcher,
        own_members: Mapping[MemberId, str],
        counterparties: Iterable[MemberId] = (),
        clock: Clock,
        settings: ClientSettings | None = None,
        incident: Callable[[Error], None] = lambda _: None,
    ) -> None:
        first_root(anchor.root)
        directory.mkdir(parents=True, exist_ok=True)
        self._anchor = anchor
        self._own = dict(own_members)
        self._clock = clock
        self._settings = settings or ClientSettings()
        self._incident = incident
        self._fetcher = fetcher
        self.archive = Archive(directory)
        self._mirror = Mirror(root=anchor.root, archive=self.archive, fetcher=fetcher, limits=self._settings.limits)
        self._pins = Pins(directory / "pins.json", self._own)
        self._lock = threading.Lock()
        self._wanted: set[MemberId] = {*self._own, *counterparties, *self._pins.members()}
        self._built_for: frozenset[MemberId] = frozenset()
        self._forgotten: set[MemberId] = set()
        self._rebuild_at = 0
        self._current: Configuration | None = None
        self._closed: Error | None = None
        self._alive = (0, clock.now())
        self._failing: Alarm | None = None
        self._unproven = dict.fromkeys(self.archive.unproven(), clock.now())
        self._refused: dict[str, Alarm] = {}
        self._parsed: Mapping[str, Parsed] = {}

    # For the data plane ------------------------------------------------------------------------------------------

    def configuration(self) -> Configuration:
        """The configuration to decide by now; raises `Unavailable` when there is none, or none any more."""
        current = self._current
        if current is None:
            raise Unavailable("configuration.missing", "no configuration has been verified yet")
        if self._closed is not None:
            raise Unavailable("configuration.closed", f"the registry contradicts itself: {self._closed.detail}")
        current.check(self._clock.now())
        return current

    def want(self, member: MemberId) -> bool:
        """Fetch this member's file from the next refresh on; True if that is new, and a refresh is worth while."""
        with self._lock:
            if member in self._wanted or len(self._wanted) >= self._settings.wanted:
                return False
            self._wanted.add(member)
        return member.instance == self._anchor.instance

    # For the operator --------------------------------------------------------------------------------------------

    def alarms(self) -> list[Alarm]:
        """What is wrong at this moment."""
        now = self._clock.now()
        alarms = [*self._refused.values()]
        if self._failing is not None:
            alarms.append(self._failing)
        if now - self._alive[1] >= self._settings.freeze_alarm:
            alarms.append(
                Alarm(code="configuration.frozen", detail="the registry shows no sign of life", since=self._alive[1])
            )
        late = [(v, at) for v, at in self._unproven.items() if now - at >= self._settings.unproven_alarm]
        if late:
            detail = f"{len(late)} snapshots are not proven to be in the registry's witnessed log, first {late[0][0]}"
            alarms.append(Alarm(code="configuration.unproven", detail=detail, since=late[0][1]))
        return alarms

    def offline_expires(self) -> dict[str, int]:
        """When the registry's `root` and `targets` end, which only its offline keys can prolong."""
        return self._mirror.offline_expires

    def forget(self, member: MemberId) -> bool:
        """Drop a member's pin, after its new lineage has been checked by other means."""
        if not self._pins.knows(member):
            return False
        with self._lock:
            # The pins belong to whoever refreshes: done there, at the next refresh.
            self._forgotten.add(member)
        return True

    # The work ----------------------------------------------------------------------------------------------------

    def load(self) -> Configuration:
        """Start from what is on disk, without the network as far as it goes. Raises `Untrusted` or `Unavailable`."""
        self._mirror.load(self._clock.now())
        return self._build(self._clock.now())

    def refresh(self) -> Configuration:
        """Follow the registry once. Raises `Untrusted` or `Unavailable`.

        The configuration of before stays in force unless what was seen contradicts it.
        """
        now = self._clock.now()
        try:
            self._mirror.update(now)
            if self._mirror.timestamp_version != self._alive[0]:
                self._alive = (self._mirror.timestamp_version, now)
            current = self._current
            if current is None or self._stale(current, now):
                current = self._build(now)
            else:
                current = self._prolong(current)
        except Error as exc:
            self._failed(exc, now)
            raise
        self._closed = self._failing = None
        self._prove()
        return current

    def _failed(self, exc: Error, now: int) -> None:
        if self._failing is None or self._failing.code != exc.code:
            self._failing = Alarm(code=exc.code, detail=exc.detail, since=now)
            if isinstance(exc, Untrusted):
                self._incident(exc)
        if isinstance(exc, Untrusted) and exc.code != "configuration.expired":
            self._closed = exc

    def _stale(self, current: Configuration, now: int) -> bool:
        with self._lock:
            wanting = self._wanted != self._built_for or bool(self._forgotten)
        same = (current.snapshot_version, current.snapshot_hash) == self._mirror.snapshot
        return wanting or not same or bool(self._refused) or now >= self._rebuild_at

    def _prolong(self, current: Configuration) -> Configuration:
        if self._mirror.expires != current.expires:
            self._current = current = replace(current, expires=self._mirror.expires)
        return current

    def _build(self, now: int) -> Configuration:
        with self._lock:
            wanted, forgotten = set(self._wanted), self._forgotten
            self._forgotten = set()
        for member in forgotten:
            self._pins.forget(member)
        work = Gathering(mirror=self._mirror, pins=self._pins, own=self._own, now=now, parsed=self._parsed)
        work.members(wanted)
        work.rights()
        eager = work.named_clients() - work.files.keys()
        room = max(0, self._settings.eager_counterparties - len(work.files))
        work.members(sorted(eager)[:room])
        # Who is called may also call: what was taken up for the one must do for the other.
        work.rights()
        listing = work.target(DIRECTORY, parse_directory)
        instance = work.target(INSTANCE, parse_instance)
        logs = work.target(LOGS, parse_logs) if self._settings.admin_logs else None
        # Durable before anything is decided by them.
        self.archive.settle()
        self._pins.save()
        self._parsed = work.parsed
        self._report(work.refused, now)
        with self._lock:
            self._built_for = frozenset(wanted)
        version, digest = self._mirror.snapshot
        if self.archive.proof(version) is None:
            self._unproven.setdefault(version, now)
        self._rebuild_at = min((f.statement.expires for f in work.files.values()), default=_NEVER)
        self._current = build_configuration(
            instance=self._anchor.instance,
            snapshot=(version, digest),
            expires=self._mirror.expires,
            files=sorted(work.files.values(), key=lambda f: self._pins.order(f.member)),
            pages=work.pages,
            listing=listing,
            instance_file=instance,
            earlier=self._earlier(version),
            logs_file=logs,
        )
        return self._current

    def _earlier(self, version: int) -> dict[int, str]:
        """Hashes of the latest snapshots before this one, as far as this node took them up."""
        known = ((v, self.archive.snapshot(v)) for v in range(max(1, version - REMEMBERED), version))
        return {v: found[0] for v, found in known if found is not None}

    def _report(self, refused: Mapping[str, Error], now: int) -> None:
        before = self._refused
        self._refused = {
            path: before.get(path, Alarm(code=exc.code, detail=exc.detail, since=now)) for path, exc in refused.items()
        }
        for path, exc in refused.items():
            if path not in before:
                self._incident(exc)

    def _prove(self) -> None:
        """Fetch what shows that the snapshots decided by are in the registry's witnessed log."""
        for version in sorted(self._unproven)[: self._settings.proofs_each_refresh]:
            known = self.archive.snapshot(version)
            if known is None:
                self._unproven.pop(version)
                continue
            try:
                proof = self._fetcher.fetch(f"snapshots/{version}/proof", MAX_PROOF_BYTES)
                check_snapshot_proof(proof, version, known[0], self._anchor)
            except NotFound:
                continue
            except Untrusted as exc:
                self._incident(exc)
                continue
            except Error:
                return
            self.archive.put_proof(version, proof)
            self._unproven.pop(version)
