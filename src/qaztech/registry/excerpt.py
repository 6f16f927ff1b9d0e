"""The configuration excerpt of a receipt: what proves, offline and years later, who spoke for whom and by which right.

For each snapshot that a record names: the chain of roots from the anchor's, targets, the snapshot, the bins and files
that concern the parties, and the proof that the snapshot is in the registry's witnessed log (docs/formats/excerpt.md).
Blobs stand once, by hash. Verification ends in a `Configuration`, the same type a node decides by.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import msgspec

from qaztech.core.errors import Limited, Malformed, Untrusted
from qaztech.registry.anchor import Anchor
from qaztech.registry.configuration import Configuration, build_configuration
from qaztech.registry.directory import member_path
from qaztech.registry.forms import SHA256_HEX, Form, malformed
from qaztech.registry.member_file import MemberFile, verify_member_file
from qaztech.registry.metadata import (
    MetaFile,
    Root,
    Snapshot,
    Targets,
    check_file,
    expires_first,
    first_root,
    succinct_roles,
    verified,
    verified_root,
)
from qaztech.registry.rights_page import RightsPage, parse_rights_page
from qaztech.registry.snapshot_proof import check_snapshot_proof

FORMAT = "qaztech-excerpt 1"
MAX_EXCERPT = 200 * 1024
MAX_SNAPSHOTS = 8
_CODE = "excerpt.malformed"
_CACHED = 512


class SnapshotPart(Form, frozen=True, forbid_unknown_fields=True):
    """One snapshot: hashes of all it rests on, and its proof (null while the log has not been witnessed)."""

    version: int
    sha256: str
    roots: tuple[str, ...]
    targets: str
    bins: dict[str, str]
    files: dict[str, str]
    proof: str | None


class ExcerptForm(Form, frozen=True, forbid_unknown_fields=True):
    """The excerpt's JSON."""

    format: str
    snapshots: tuple[SnapshotPart, ...]
    blobs: dict[str, str]


@dataclass(frozen=True, slots=True)
class VerifiedExcerpt:
    """What an excerpt proves: by snapshot, as records name it, the configuration as far as the excerpt goes."""

    configurations: Mapping[str, Configuration]

    def at(self, snapshot: str, time: int) -> Configuration:
        """The configuration by which a record was decided at its time; raises `Untrusted`."""
        found = self.configurations.get(snapshot)
        if found is None:
            raise Untrusted("excerpt.snapshot", f"the excerpt does not cover snapshot {snapshot[:90]}", at="registry")
        if not found.usable(time):
            raise Untrusted("excerpt.expired", "the configuration had expired at the time of the record", at="registry")
        return found


def encode_excerpt(form: ExcerptForm) -> dict[str, Any]:
    """The excerpt as it stands in a receipt; raises `Limited` where it is larger than a receipt may carry."""
    if len(msgspec.json.encode(form)) > MAX_EXCERPT:
        raise Limited("excerpt.too-large", f"the excerpt has more than {MAX_EXCERPT} bytes", at="registry")
    built: dict[str, Any] = msgspec.to_builtins(form)
    return built


class ExcerptVerifier:
    """Verifies excerpts against one anchor. A part met before is not verified again; blobs are always hashed."""

    def __init__(self, anchor: Anchor) -> None:
        self._anchor = anchor
        self._root = first_root(anchor.root)
        self._done: OrderedDict[bytes, Configuration] = OrderedDict()

    def verify(self, excerpt: object) -> VerifiedExcerpt:
        """Check an excerpt (a JSON object, parsed); raises `Malformed` or `Untrusted`.

        What depends on the time of a record is asked of the result.
        """
        form = _parse(excerpt)
        blobs = {digest: text.encode() for digest, text in form.blobs.items()}
        for digest, data in blobs.items():
            if sha256(data).hexdigest() != digest:
                raise Untrusted("excerpt.hash", "a blob is not what its hash says", at="registry")
        found = {f"{part.version} {part.sha256}": self._part(part, blobs) for part in form.snapshots}
        return VerifiedExcerpt(found)

    def _part(self, part: SnapshotPart, blobs: Mapping[str, bytes]) -> Configuration:
        key = sha256(msgspec.json.encode(part)).digest()
        known = self._done.get(key)
        if known is None:
            known = self._done[key] = _verify_part(part, blobs, self._root, self._anchor)
            if len(self._done) > _CACHED:
                self._done.popitem(last=False)
        return known


def verify_excerpt(excerpt: object, anchor: Anchor) -> VerifiedExcerpt:
    """Verify one excerpt; whoever verifies many keeps an `ExcerptVerifier`."""
    return ExcerptVerifier(anchor).verify(excerpt)


def _parse(excerpt: object) -> ExcerptForm:
    try:
        form = msgspec.convert(excerpt, ExcerptForm)
        size = len(msgspec.json.encode(form))
    except (msgspec.ValidationError, msgspec.EncodeError, UnicodeError, RecursionError, OverflowError) as exc:
        raise Malformed(_CODE, f"not an excerpt: {str(exc)[:200]}", at="registry") from exc
    if form.format != FORMAT or not 1 <= len(form.snapshots) <= MAX_SNAPSHOTS or size > MAX_EXCERPT:
        malformed(_CODE, f"not {FORMAT!r}, too large, or not 1 to {MAX_SNAPSHOTS} snapshots")
    named = set()
    for part in form.snapshots:
        named |= {part.sha256, *part.roots, part.targets, *part.bins.values(), *part.files.values()}
    if named != form.blobs.keys() or not all(map(SHA256_HEX.match, named)):
        malformed(_CODE, "the blobs are those that the snapshots name, by hash, and no others")
    if len({part.sha256 for part in form.snapshots}) != len(form.snapshots):
        malformed(_CODE, "a snapshot stands twice")
    return form


def _verify_part(part: SnapshotPart, blobs: Mapping[str, bytes], root: Root, anchor: Anchor) -> Configuration:
    # (1) the roots lead from the anchor's to the one in force
    for digest in part.roots:
        root = verified_root(blobs[digest], root)
    # (2) the snapshot is signed by root's snapshot key, and is the one that the record names
    snapshot = verified(blobs[part.sha256], Snapshot, "snapshot", root)
    if snapshot.version != part.version:
        raise Untrusted("excerpt.snapshot", "the snapshot has another version", at="registry")
    # (3) targets is the one in the snapshot, signed by the threshold of root's targets keys
    targets = _role(snapshot, "targets", part.targets, blobs, root)
    # (4) each bin is the one in the snapshot, signed by the key targets delegates to
    roles = succinct_roles(targets)
    places = {path: roles.get_role_for_target(path) for path in part.files}
    if set(places.values()) != part.bins.keys():
        malformed(_CODE, "the bins are those of the files, and no others")
    bins = {name: _role(snapshot, name, digest, blobs, targets) for name, digest in part.bins.items()}
    # (5) each file is the one in its bin
    files, pages = _files(part, blobs, {path: bins[name] for path, name in places.items()})
    if any(file.member.instance != anchor.instance for file in files):
        raise Untrusted("excerpt.hash", "a member of another instance", at="registry")
    # (6) the snapshot is in the registry's log, under a checkpoint that a quorum of the anchor's policy cosigned
    if part.proof is None:
        raise Untrusted("excerpt.unproven", "the snapshot is not proven to be in the registry's log", at="registry")
    check_snapshot_proof(part.proof.encode(), part.version, part.sha256, anchor)
    built = build_configuration(
        instance=anchor.instance,
        snapshot=(part.version, part.sha256),
        expires=expires_first([root, targets, snapshot, *bins.values()]),
        files=files,
        pages=pages,
        listing=None,
        instance_file=None,
    )
    return replace(built, expires=min([built.expires, *(f.statement.expires for f in files)]))


def _role(snapshot: Snapshot, name: str, digest: str, blobs: Mapping[str, bytes], delegator: Root | Targets) -> Targets:
    meta: MetaFile | None = snapshot.meta.get(f"{name}.json")
    if meta is None or (meta.hashes or {}).get("sha256") != digest:
        raise Untrusted("excerpt.hash", f"{name} is not the one in the snapshot", at="registry")
    check_file(meta, blobs[digest], name)
    role = verified(blobs[digest], Targets, name, delegator)
    if role.version != meta.version:
        raise Untrusted("excerpt.hash", f"{name} has another version than in the snapshot", at="registry")
    return role


def _files(
    part: SnapshotPart, blobs: Mapping[str, bytes], bins: Mapping[str, Targets]
) -> tuple[list[MemberFile], dict[str, RightsPage]]:
    files, pages = [], {}
    for path, digest in part.files.items():
        target = bins[path].targets.get(path)
        if target is None or target.hashes.get("sha256") != digest:
            raise Untrusted("excerpt.hash", f"{path} is not the one in its bin", at="registry")
        check_file(target, blobs[digest], path)
        if path.startswith("rights/"):
            pages[digest] = parse_rights_page(blobs[digest])
        else:
            file = verify_member_file(blobs[digest])
            if member_path(file.member) != path:
                raise Untrusted("excerpt.hash", f"{path} holds the file of another member", at="registry")
            files.append(file)
    return files, pages
