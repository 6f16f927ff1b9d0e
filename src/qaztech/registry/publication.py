"""Publishing: the registry's state as a TUF repository on disk (The Update Framework 1.0, with TAP 15 for bins).

`prepare` writes what changed under names never used before, `commit` replaces `timestamp.json`; between the two the
caller appends the snapshot's leaf to the registry's own log, durably. So a crash anywhere leaves the old state
published, and no snapshot is published that the log does not hold. Not here: what may be accepted (`admission`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from securesystemslib.signer import Signer  # type: ignore[attr-defined]  # its API, re-exported without __all__

from qaztech.core.errors import Conflict, Internal
from qaztech.core.time import Clock
from qaztech.registry.files import sync_directory, write_file
from qaztech.registry.keys import RegistryKeys, Thresholds
from qaztech.registry.metadata import (
    BIN_LIFETIME,
    BIN_PREFIX,
    HOUR,
    OFFLINE_LIFETIME,
    SNAPSHOT_LIFETIME,
    TIMESTAMP_LIFETIME,
    Delegations,
    Root,
    SignedT,
    Snapshot,
    SuccinctRoles,
    TargetFile,
    Targets,
    Timestamp,
    meta_file,
    milliseconds,
    moment,
    read,
    sign,
    snapshot_leaf,
    succinct_roles,
)

SNAPSHOT_EVERY = HOUR
RESUMED = "resumed"
_VERSIONED = re.compile(r"([1-9][0-9]*)\.(.+)\.json\Z")


class Entry(NamedTuple):
    """What is published under a target path."""

    length: int
    sha256: str

    @classmethod
    def of(cls, data: bytes) -> Entry:
        """The entry of these bytes."""
        return cls(len(data), sha256(data).hexdigest())


class Role(NamedTuple):
    """A signed metadata file that is published: its version, bytes, and when it expires."""

    version: int
    data: bytes
    expires: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A snapshot written but not yet published: what to log before `commit`."""

    version: int
    sha256: str
    leaf: bytes
    data: bytes
    expires: int
    bins: Mapping[str, Role]
    targets: Mapping[str, Entry]


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    """What is published: the bytes of every role, and every target."""

    root: Role
    top: Role
    bins: Mapping[str, Role]
    snapshot: Role
    timestamp: int
    targets: Mapping[str, Entry]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetimes:
    """How long what is signed is valid, in milliseconds."""

    timestamp: int = TIMESTAMP_LIFETIME
    snapshot: int = SNAPSHOT_LIFETIME
    bins: int = BIN_LIFETIME
    offline: int = OFFLINE_LIFETIME


class Publication:
    """The repository's folder: `metadata/` and `targets/`. One writer."""

    def __init__(
        self, *, directory: Path, keys: RegistryKeys, clock: Clock, lifetimes: Lifetimes | None = None
    ) -> None:
        self._lifetimes = lifetimes or Lifetimes()
        self._metadata = directory / "metadata"
        self._targets = directory / "targets"
        self._keys = keys
        self._clock = clock
        self._state = self._load()
        self._highest = self._scan()
        self._resumed = directory / RESUMED
        if self._resumed.exists():
            self._skip(int(self._resumed.read_text()))
        roles = succinct_roles(read(self._state.top.data, Targets).signed)
        self._bin_of = {path: roles.get_role_for_target(path) for path in self._state.targets}

    @classmethod
    def create(
        cls, *, directory: Path, keys: RegistryKeys, clock: Clock, thresholds: Thresholds, bits: int
    ) -> Publication:
        """Write the first root and targets, if there are none, and open the repository."""
        metadata = directory / "metadata"
        for folder in (metadata, directory / "targets"):
            folder.mkdir(parents=True, exist_ok=True)
        if not (metadata / "1.targets.json").exists():
            expires = moment(clock.now() + OFFLINE_LIFETIME)
            root = Root(expires=expires, consistent_snapshot=True)
            for role, count in (("root", thresholds.root), ("targets", thresholds.targets)):
                for signer in keys.offline(role):
                    root.add_key(signer.public_key, role)
                root.roles[role].threshold = count
            for role in ("snapshot", "timestamp"):
                root.add_key(keys.online(role).public_key, role)
            bins = keys.online("bins").public_key
            roles = SuccinctRoles([bins.keyid], 1, bits, BIN_PREFIX)
            targets = Targets(expires=expires, delegations=Delegations({bins.keyid: bins}, succinct_roles=roles))
            write_file(metadata / "1.root.json", sign(root, _signers(keys, root, "root")))
            write_file(metadata / "1.targets.json", sign(targets, _signers(keys, root, "targets")))
            sync_directory(metadata)
        return cls(directory=directory, keys=keys, clock=clock)

    @property
    def first_root(self) -> bytes:
        """The first root, which the anchor carries."""
        return (self._metadata / "1.root.json").read_bytes()

    @property
    def published(self) -> tuple[int, str] | None:
        """Version and hash of the published snapshot."""
        snapshot = self._state.snapshot
        return (snapshot.version, sha256(snapshot.data).hexdigest()) if snapshot.version else None

    @property
    def targets(self) -> Mapping[str, Entry]:
        """What is published, by target path."""
        return self._state.targets

    @property
    def offline_ends(self) -> dict[str, int]:
        """When what only the offline keys can sign again ends (milliseconds since 1970), by role."""
        return {"root": self._state.root.expires, "targets": self._state.top.expires}

    def warnings(self) -> list[str]:
        """What will expire within 30 days and needs the offline keys."""
        soon = self._clock.now() + 30 * 24 * HOUR
        return [
            f"{name} expires within 30 days: sign it with the offline keys"
            for name, ends in self.offline_ends.items()
            if ends < soon
        ]

    def prepare(
        self, targets: Mapping[str, Entry], content: Callable[[str], bytes], *, renew: bool = False
    ) -> Pending | None:
        """Write all that differs from what is published; None if only the timestamp has to be renewed.

        `targets` is all there is to publish; `content` is asked for the bytes of those that are new. `renew` makes a
        new snapshot though nothing differs.
        """
        now = self._clock.now()
        state = self._state
        changed = {path for path, _ in targets.items() ^ state.targets.items()}
        self._write_targets(sorted(changed & targets.keys()), content)
        bins = self._prepare_bins(targets, changed, now)
        due = now >= state.snapshot.expires - self._lifetimes.snapshot + SNAPSHOT_EVERY
        if not bins and state.snapshot.version and not due and not renew:
            return None
        everything = {**state.bins, **bins}
        version = self._next("snapshot", state.snapshot.version)
        expires = moment(now + self._lifetimes.snapshot)
        meta = {f"{name}.json": meta_file(role.version, role.data) for name, role in everything.items()}
        meta["targets.json"] = meta_file(state.top.version, state.top.data)
        signed = Snapshot(version=version, expires=expires, meta=dict(sorted(meta.items())))
        data = sign(signed, [self._keys.online("snapshot")])
        write_file(self._metadata / f"{version}.snapshot.json", data)
        sync_directory(self._metadata)
        digest = sha256(data).hexdigest()
        return Pending(
            version=version,
            sha256=digest,
            leaf=snapshot_leaf(version, digest),
            data=data,
            expires=milliseconds(expires),
            bins=everything,
            targets=dict(targets),
        )

    def commit(self, pending: Pending | None) -> None:
        """Publish: replace the timestamp. `pending` is None to renew it only."""
        state = self._state
        if pending is not None:
            if pending.version <= state.snapshot.version:
                raise Conflict("registry.published", "a newer snapshot is published already", at="registry")
            state = replace(
                state,
                snapshot=Role(pending.version, pending.data, pending.expires),
                bins=pending.bins,
                targets=pending.targets,
            )
        if not state.snapshot.version:
            raise Internal("registry.empty", "there is no snapshot to publish", at="registry")
        version = state.timestamp + 1
        signed = Timestamp(version=version, expires=moment(self._clock.now() + self._lifetimes.timestamp))
        signed.snapshot_meta = meta_file(state.snapshot.version, state.snapshot.data)
        write_file(self._metadata / "timestamp.json", sign(signed, [self._keys.online("timestamp")]))
        sync_directory(self._metadata)
        self._state = replace(state, timestamp=version)
        if pending is not None and self._resumed.exists():
            self._resumed.unlink()
            sync_directory(self._resumed.parent)

    def check_offline(self) -> None:
        """Raise `Conflict` unless enough offline keys are at hand for `renew_offline`."""
        root = read(self._state.root.data, Root).signed
        for role in ("root", "targets"):
            _signers(self._keys, root, role)

    def renew_offline(self) -> None:
        """Sign root and targets anew with the offline keys at hand, for the online keys at hand.

        The next `prepare` publishes them. Online keys that are new are introduced so, and the old ones are worth
        nothing from then on.
        """
        expires = moment(self._clock.now() + self._lifetimes.offline)
        root = read(self._state.root.data, Root).signed
        root.version, root.expires = root.version + 1, expires
        for role in ("snapshot", "timestamp"):
            for keyid in list(root.roles[role].keyids):
                root.revoke_key(keyid, role)
            root.add_key(self._keys.online(role).public_key, role)
        top = read(self._state.top.data, Targets).signed
        top.version, top.expires = self._next("targets", top.version), expires
        bins, roles = self._keys.online("bins").public_key, succinct_roles(top)
        rekeyed = roles.keyids != [bins.keyid]
        fresh = SuccinctRoles([bins.keyid], 1, roles.bit_length, roles.name_prefix)
        top.delegations = Delegations({bins.keyid: bins}, succinct_roles=fresh)
        new_root, new_top = (
            sign(root, _signers(self._keys, root, "root")), sign(top, _signers(self._keys, root, "targets"))
        )  # fmt: skip
        write_file(self._metadata / f"{top.version}.targets.json", new_top)
        write_file(self._metadata / f"{root.version}.root.json", new_root)
        sync_directory(self._metadata)
        state = self._state
        self._state = replace(
            state,
            root=Role(root.version, new_root, milliseconds(expires)),
            top=Role(top.version, new_top, milliseconds(expires)),
            # The published snapshot names the old targets, and bins may have the old key: due at once.
            snapshot=state.snapshot._replace(expires=0),
            bins={name: role._replace(expires=0) for name, role in state.bins.items()} if rekeyed else state.bins,
        )

    def _prepare_bins(self, targets: Mapping[str, Entry], changed: Collection[str], now: int) -> dict[str, Role]:
        roles = succinct_roles(read(self._state.top.data, Targets).signed)
        known = self._bin_of
        for path in changed:
            known[path] = roles.get_role_for_target(path)
        touched = {known[path] for path in changed}
        due = now + self._lifetimes.bins // 2
        old = self._state.bins
        content: dict[str, dict[str, TargetFile]] = {
            name: {} for name in roles.get_roles() if name in touched or name not in old or old[name].expires < due
        }
        for path in sorted(targets):
            if known[path] in content:
                entry = targets[path]
                content[known[path]][path] = TargetFile(entry.length, {"sha256": entry.sha256}, path)
        renewed = {}
        for name, files in content.items():
            version = self._next(name, old[name].version if name in old else 0)
            signed = Targets(version=version, expires=moment(now + self._lifetimes.bins), targets=files)
            data = sign(signed, [self._keys.online("bins")])
            write_file(self._metadata / f"{version}.{name}.json", data)
            renewed[name] = Role(version, data, milliseconds(signed.expires))
        return renewed

    def _write_targets(self, changed: Iterable[str], content: Callable[[str], bytes]) -> None:
        folders = set()
        for path in changed:
            data = content(path)
            folder, _, name = path.rpartition("/")
            file = self._targets / folder / f"{sha256(data).hexdigest()}.{name}"
            if not file.exists():
                file.parent.mkdir(parents=True, exist_ok=True)
                write_file(file, data)
                folders.update({file.parent, *file.parent.parents})
        for directory in folders:
            if directory == self._targets or self._targets in directory.parents:
                sync_directory(directory)

    def _next(self, name: str, version: int) -> int:
        """A version of this role that no file has yet, so that nothing is ever signed twice under one version."""
        self._highest[name] = max(self._highest.get(name, 0), version) + 1
        return self._highest[name]

    def _skip(self, step: int) -> None:
        """Go on so far above what is here: more may have been published than this folder knows."""
        state = self._state
        self._highest = {name: number + step * (name != "root") for name, number in self._highest.items()}
        self._state = replace(
            state,
            snapshot=state.snapshot._replace(expires=0),
            bins={name: role._replace(expires=0) for name, role in state.bins.items()},
            timestamp=state.timestamp + step,
        )

    def _scan(self) -> dict[str, int]:
        highest: dict[str, int] = {}
        for entry in os.scandir(self._metadata):
            match = _VERSIONED.match(entry.name)
            if match:
                highest[match[2]] = max(highest.get(match[2], 0), int(match[1]))
        return highest

    def _load(self) -> _State:
        highest = self._scan()
        root = self._role("root", highest["root"], Root)
        state = _State(
            root=root,
            top=self._role("targets", highest["targets"], Targets),
            bins={},
            snapshot=Role(0, b"", 0),
            timestamp=0,
            targets={},
        )
        path = self._metadata / "timestamp.json"
        if not path.exists():
            return state
        timestamp = read(path.read_bytes(), Timestamp).signed
        snapshot = self._role("snapshot", timestamp.snapshot_meta.version, Snapshot)
        meta = read(snapshot.data, Snapshot).signed.meta
        names = [name.removesuffix(".json") for name in meta if name != "targets.json"]
        bins = {name: self._role(name, meta[f"{name}.json"].version, Targets) for name in names}
        targets = {
            path: Entry(file.length, file.hashes["sha256"])
            for role in bins.values()
            for path, file in read(role.data, Targets).signed.targets.items()
        }
        if meta["targets.json"].version != state.top.version:
            snapshot = snapshot._replace(expires=0)
        return replace(state, bins=bins, snapshot=snapshot, timestamp=timestamp.version, targets=targets)

    def _role(self, name: str, version: int, kind: type[SignedT]) -> Role:
        data = (self._metadata / f"{version}.{name}.json").read_bytes()
        signed = read(data, kind).signed
        if signed.version != version:
            raise Internal("registry.contradicted", f"{version}.{name}.json is not what its name says", at="registry")
        return Role(version, data, milliseconds(signed.expires))


def mark_resumed(directory: Path, step: int) -> None:
    """Have the next publication from this folder, restored from a backup, go on with versions so far above it."""
    write_file(directory / RESUMED, str(step).encode())
    sync_directory(directory)


def _signers(keys: RegistryKeys, root: Root, role: str) -> list[Signer]:
    """The offline keys of a role. Raises `Conflict` unless as many are at hand as nodes ask for."""
    needed = root.roles[role]
    signers = [signer for signer in keys.offline(role) if signer.public_key.keyid in needed.keyids]
    if len(signers) < needed.threshold:
        found = f"{len(signers)} of the {needed.threshold} offline keys of {role} that are needed"
        raise Conflict("registry.key", f"{found} are at hand", at="registry")
    return list(signers)
