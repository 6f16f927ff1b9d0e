"""A node's verified copy of the registry: the TUF client workflow (specification 5.3-5.7), decided by python-tuf.

`TrustedMetadataSet` is python-tuf's own state machine and makes every decision; here are its input and output: what
is fetched, what is kept, and the clock. Nothing is fetched twice: all is archived by hash. Not here: what the targets
say (`client`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Protocol

from tuf.api.exceptions import (
    BadVersionNumberError,
    EqualVersionNumberError,
    ExpiredMetadataError,
    LengthOrHashMismatchError,
    RepositoryError,
    UnsignedMetadataError,
)
from tuf.ngclient._internal.trusted_metadata_set import TrustedMetadataSet
from tuf.ngclient.config import EnvelopeType

from qaztech.core.errors import NotFound, Unavailable, Untrusted
from qaztech.registry.archive import Archive
from qaztech.registry.metadata import (
    FAILURES,
    Blob,
    MetaFile,
    TargetFile,
    expires_first,
    moment,
    succinct_roles,
)


class Fetcher(Protocol):
    """Where the registry is reached."""

    def fetch(self, path: str, limit: int) -> bytes:
        """The bytes at a path below the registry's URL. Raises `NotFound`, `Limited` or `Unavailable`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorLimits:
    """How much is taken from a registry that may be hostile, in bytes; all are settings."""

    root: int = 512_000
    root_rotations: int = 256
    timestamp: int = 16_384
    snapshot: int = 4_000_000
    targets: int = 5_000_000
    target: int = 32 * 1024 * 1024


class Mirror:
    """The latest verified snapshot, and what hangs from it. One thread at a time."""

    def __init__(self, *, root: bytes, archive: Archive, fetcher: Fetcher, limits: MirrorLimits) -> None:
        self._archive = archive
        self._fetcher = fetcher
        self._limits = limits
        self._root = root
        self._set: TrustedMetadataSet | None = None
        self._timestamp = archive.timestamp()
        self._snapshot: Blob | None = None
        self._timestamp_expires = 0
        self._timestamp_version = 0
        self._loaded: set[str] = set()

    @property
    def snapshot(self) -> tuple[int, str]:
        """Version and SHA-256 of the snapshot in force."""
        if self._set is None or self._snapshot is None:
            raise Unavailable("configuration.missing", "no configuration has been fetched yet")
        return self._set.snapshot.version, self._snapshot.sha256

    @property
    def expires(self) -> int:
        """When the first of all that was loaded expires."""
        if self._set is None:
            return 0
        roles = [self._set.root, self._set.snapshot, self._set.targets, *(self._set[name] for name in self._loaded)]
        return min(expires_first(roles), self._timestamp_expires)

    @property
    def offline_expires(self) -> dict[str, int]:
        """When the metadata ends that needs the registry's offline keys: `root` and `targets`; empty before any."""
        current = self._set
        if current is None:
            return {}
        return {"root": expires_first([current.root]), "targets": expires_first([current.targets])}

    @property
    def timestamp_version(self) -> int:
        """The version of the newest timestamp: it rises with every sign of life of the registry."""
        return self._timestamp_version

    def load(self, now: int) -> None:
        """Take up what is on disk, without the network. Raises `Untrusted` where it has expired or is not whole."""
        with _decided():
            fresh = self._start(now, fetch=False)
            if self._timestamp is None:
                raise Unavailable("configuration.missing", "no configuration has been fetched yet")
            fresh.update_timestamp(self._timestamp)
            self._take_up(fresh, None, fetch=False)

    def update(self, now: int) -> bool:
        """Follow the registry; True if the snapshot changed. Raises `Untrusted` or what the fetcher raises."""
        with _decided():
            fresh = self._start(now, fetch=True)
            if self._timestamp is not None:
                # An expired or re-keyed timestamp of before is no longer a guard; everything else it is.
                with suppress(RepositoryError):
                    fresh.update_timestamp(self._timestamp)
            previous = self._archive.get(_sha256(fresh.timestamp.snapshot_meta)) if "timestamp" in fresh else None
            data = self._fetcher.fetch("metadata/timestamp.json", self._limits.timestamp)
            with suppress(EqualVersionNumberError):
                fresh.update_timestamp(data)
                self._timestamp = data
            changed = self._take_up(fresh, previous, fetch=True)
        if now >= self.expires:
            raise Untrusted("configuration.expired", "what the registry shows has expired", at="registry")
        return changed

    def target(self, path: str) -> Blob | None:
        """A target of the snapshot in force, verified; None where it has none by that path."""
        with _decided():
            file = self._file(path)
            return None if file is None else self._content(path, file)

    def digest(self, path: str) -> str | None:
        """The SHA-256 a target has in the snapshot in force, its content left alone; None where there is none."""
        with _decided():
            file = self._file(path)
            return None if file is None else _sha256(file)

    def _file(self, path: str) -> TargetFile | None:
        if self._set is None:
            raise Unavailable("configuration.missing", "no configuration has been fetched yet")
        name = succinct_roles(self._set.targets).get_role_for_target(path)
        if name not in self._loaded:
            data = self._metadata(self._set.snapshot.meta.get(f"{name}.json"), name, fetch=True)
            self._set.update_delegated_targets(data, name, "targets")
            self._loaded.add(name)
        found: TargetFile | None = self._set[name].targets.get(path)  # type: ignore[attr-defined]  # bins are Targets
        return found

    def _start(self, now: int, *, fetch: bool) -> TrustedMetadataSet:
        fresh = TrustedMetadataSet(self._root, EnvelopeType.METADATA)
        fresh.reference_time = moment(now)
        for _ in range(self._limits.root_rotations):
            version = fresh.root.version + 1
            data = self._archive.root(version)
            if data is None:
                if not fetch:
                    break
                try:
                    data = self._fetcher.fetch(f"metadata/{version}.root.json", self._limits.root)
                except NotFound:
                    break
                fresh.update_root(data)
                self._archive.put_root(version, data)
            else:
                fresh.update_root(data)
            # The anchor's root was checked once; from here on the newest stands for the chain.
            self._root = data
        return fresh

    def _take_up(self, fresh: TrustedMetadataSet, previous: bytes | None, *, fetch: bool) -> bool:
        meta = fresh.timestamp.snapshot_meta
        digest = _sha256(meta)
        current = self._set if self._snapshot is not None and self._snapshot.sha256 == digest else None
        if current is not None and current.root.version == fresh.root.version:
            current.reference_time = fresh.reference_time
            self._keep_timestamp(fresh)
            return False
        data = self._archive.get(digest)
        if data is None and not fetch:
            raise Unavailable("configuration.missing", "the last snapshot is not on disk")
        if data is None:
            data = self._fetcher.fetch(f"metadata/{meta.version}.snapshot.json", meta.length or self._limits.snapshot)
        if previous is not None:
            # Loaded first so that no role goes back to a version before it; that it is no longer the one is expected.
            with suppress(RepositoryError):
                fresh.update_snapshot(previous, trusted=True)
        fresh.update_snapshot(data)
        targets = self._metadata(fresh.snapshot.meta.get("targets.json"), "targets", fetch=fetch)
        fresh.update_targets(targets)
        succinct_roles(fresh.targets)
        snapshot = Blob(data, digest)
        self._archive.put(snapshot)
        self._archive.put_snapshot(fresh.snapshot.version, digest, fresh.root.version)
        changed = self._snapshot is None or self._snapshot.sha256 != digest
        self._set, self._snapshot, self._loaded = fresh, snapshot, set()
        self._keep_timestamp(fresh)
        return changed

    def _keep_timestamp(self, fresh: TrustedMetadataSet) -> None:
        if self._timestamp is not None and self._timestamp_version != fresh.timestamp.version:
            self._archive.put_timestamp(self._timestamp)
        self._timestamp_version = fresh.timestamp.version
        self._timestamp_expires = expires_first([fresh.timestamp])

    def _metadata(self, meta: MetaFile | None, name: str, *, fetch: bool) -> bytes:
        if meta is None:
            raise Untrusted("configuration.metadata", f"the snapshot does not name {name}", at="registry")
        data = self._archive.get(_sha256(meta))
        if data is None:
            if not fetch:
                raise Unavailable("configuration.missing", f"{name} is not on disk")
            data = self._fetcher.fetch(f"metadata/{meta.version}.{name}.json", meta.length or self._limits.targets)
            meta.verify_length_and_hashes(data)
            self._archive.put(Blob.of(data))
        return data

    def _content(self, path: str, file: TargetFile) -> Blob:
        digest = _sha256(file)
        data = self._archive.get(digest)
        if data is None:
            if file.length > self._limits.target:
                raise Untrusted("configuration.hash", f"{path} is larger than is taken", at="registry")
            folder, slash, name = path.rpartition("/")
            data = self._fetcher.fetch(f"targets/{folder}{slash}{digest}.{name}", file.length)
            file.verify_length_and_hashes(data)
            self._archive.put(Blob(data, digest))
        return Blob(data, digest)


def _sha256(meta: MetaFile | TargetFile) -> str:
    digest = (meta.hashes or {}).get("sha256")
    if digest is None or len(digest) != 64 or not digest.isalnum():
        raise Untrusted("configuration.metadata", "a file is named without its SHA-256", at="registry")
    return digest


@contextmanager
def _decided() -> Iterator[None]:
    """Turn what python-tuf raises into `Untrusted`."""
    try:
        yield
    except ExpiredMetadataError as exc:
        raise Untrusted("configuration.expired", str(exc), at="registry") from exc
    except BadVersionNumberError as exc:
        raise Untrusted("configuration.rollback", str(exc), at="registry") from exc
    except UnsignedMetadataError as exc:
        raise Untrusted("configuration.signature", str(exc), at="registry") from exc
    except LengthOrHashMismatchError as exc:
        raise Untrusted("configuration.hash", str(exc), at="registry") from exc
    except FAILURES as exc:
        raise Untrusted("configuration.metadata", str(exc)[:200], at="registry") from exc
