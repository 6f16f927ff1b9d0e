"""The Update Framework's metadata as the registry uses it: roles, lifetimes, bins, and time in milliseconds.

Thin names over python-tuf's Metadata API, shared by who publishes (`publication`), who fetches (`client`) and who
checks years later (`excerpt`). Root and targets are signed by thresholds of keys that can live offline; one set of
hashed bins (TAP 15) is signed online.
"""

# python-tuf documents these names as its API, yet re-exports them without `__all__`.
# mypy: disable-error-code="attr-defined"

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import TypeVar

from securesystemslib.signer import Signer
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import (
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Signed,
    Snapshot,
    SuccinctRoles,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.serialization import DeserializationError

from qaztech.core.errors import Untrusted

HOUR = 3600 * 1000
DAY = 24 * HOUR
TIMESTAMP_LIFETIME = SNAPSHOT_LIFETIME = 24 * HOUR
BIN_LIFETIME = 7 * DAY
OFFLINE_LIFETIME = 365 * DAY
BIN_PREFIX = "b"
MIN_BITS, MAX_BITS = 4, 14
LEAF_HEADER = "qaztech-snapshot 1"

SignedT = TypeVar("SignedT", Root, Timestamp, Snapshot, Targets)
# What python-tuf and its JSON reader raise for input that is not as it must be.
FAILURES = (RepositoryError, DeserializationError, ValueError, KeyError, TypeError, AttributeError, RecursionError)


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes with their SHA-256 in hex: how every piece of the configuration is named."""

    data: bytes
    sha256: str

    @classmethod
    def of(cls, data: bytes) -> Blob:
        """These bytes and their hash."""
        return cls(data, sha256(data).hexdigest())


def moment(milliseconds: int) -> datetime:
    """A time as TUF writes it: UTC, whole seconds."""
    return datetime.fromtimestamp(milliseconds // 1000, UTC)


def milliseconds(when: datetime) -> int:
    """A TUF time in milliseconds since 1970."""
    return int(when.timestamp()) * 1000


def snapshot_leaf(version: int, digest: str) -> bytes:
    """The leaf of the registry's log that stands for a snapshot."""
    return f"{LEAF_HEADER}\nversion {version}\nsha256 {digest}\n".encode()


def suitable_bits(targets: int) -> int:
    """How many bits of bins keep one change cheap: the snapshot grows with the bins, each bin shrinks."""
    bits = MIN_BITS
    # One snapshot line costs about as much as a third of the two target lines a change of rights touches.
    while bits < MAX_BITS and 4**bits < 3 * targets:
        bits += 1
    return bits


def sign(signed: SignedT, signers: list[Signer]) -> bytes:
    """Metadata with the signatures of all these keys, as the bytes that are published."""
    metadata: Metadata[SignedT] = Metadata(signed)
    for signer in signers:
        metadata.sign(signer, append=True)
    return metadata.to_bytes()


def meta_file(version: int, data: bytes) -> MetaFile:
    """How a snapshot or timestamp names a metadata file: version, length and hash, so that it binds the content."""
    return MetaFile(version=version, length=len(data), hashes={"sha256": sha256(data).hexdigest()})


def read(data: bytes, kind: type[SignedT]) -> Metadata[SignedT]:
    """Metadata of this kind, its signatures not looked at; raises `Untrusted`."""
    try:
        metadata: Metadata[SignedT] = Metadata.from_bytes(data)
    except FAILURES as exc:
        raise Untrusted("configuration.metadata", f"not {kind.type} metadata", at="registry") from exc
    if not isinstance(metadata.signed, kind):
        raise Untrusted("configuration.metadata", f"not {kind.type} metadata", at="registry")
    return metadata


def verified(data: bytes, kind: type[SignedT], role: str, delegator: Root | Targets) -> SignedT:
    """Metadata signed by the threshold of keys its delegator names for the role; raises `Untrusted`."""
    metadata = read(data, kind)
    try:
        delegator.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
    except FAILURES as exc:
        raise Untrusted("configuration.signature", f"{role} is not signed as it must be", at="registry") from exc
    return metadata.signed


def verified_root(data: bytes, trusted: Root) -> Root:
    """The next root: signed by the keys of the one before and by its own; raises `Untrusted`."""
    root = verified(data, Root, Root.type, trusted)
    if root.version != trusted.version + 1:
        raise Untrusted("configuration.rollback", "the versions of root are not consecutive", at="registry")
    return verified(data, Root, Root.type, root)


def first_root(data: bytes) -> Root:
    """The anchor's root, which must at least be signed by itself; raises `Untrusted`."""
    root: Root = read(data, Root).signed
    return verified(data, Root, Root.type, root)


def check_file(meta: MetaFile | TargetFile, data: bytes, what: str) -> None:
    """Raise `Untrusted` unless the bytes are those named."""
    try:
        meta.verify_length_and_hashes(data)
    except FAILURES as exc:
        raise Untrusted("configuration.hash", f"{what} is not the file that was signed for", at="registry") from exc


def succinct_roles(targets: Targets) -> SuccinctRoles:
    """How the targets are spread over bins; raises `Untrusted` where they are delegated otherwise."""
    roles = targets.delegations.succinct_roles if targets.delegations else None
    if not isinstance(roles, SuccinctRoles):
        raise Untrusted("configuration.metadata", "targets does not delegate to bins", at="registry")
    return roles


def expires_first(parts: Iterable[Signed]) -> int:
    """When the first of these expires, in milliseconds."""
    return min(milliseconds(part.expires) for part in parts)


__all__ = [
    "BIN_LIFETIME",
    "BIN_PREFIX",
    "DAY",
    "FAILURES",
    "HOUR",
    "LEAF_HEADER",
    "MAX_BITS",
    "MIN_BITS",
    "OFFLINE_LIFETIME",
    "SNAPSHOT_LIFETIME",
    "TIMESTAMP_LIFETIME",
    "Blob",
    "Delegations",
    "MetaFile",
    "Metadata",
    "Root",
    "Signed",
    "SignedT",
    "Snapshot",
    "SuccinctRoles",
    "TargetFile",
    "Targets",
    "Timestamp",
    "check_file",
    "expires_first",
    "first_root",
    "meta_file",
    "milliseconds",
    "moment",
    "read",
    "sign",
    "snapshot_leaf",
    "succinct_roles",
    "suitable_bits",
    "verified",
    "verified_root",
]
