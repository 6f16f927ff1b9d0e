"""Making configuration excerpts: from the node's archive, and from the registry for what the peer alone had fetched.

The peer may have decided by a snapshot that this node never took up; the registry keeps them all, and the hash in the
record says which it must be. What is made is verified before it is given out, so no bad excerpt leaves the node.
May fetch: call it in a thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Protocol

from qaztech.core.errors import Error, NotFound, Untrusted
from qaztech.core.ids import MemberId, NodeId, ServiceId, SubsystemId
from qaztech.core.record import NO_ENDPOINT, Record
from qaztech.evidence.proof import MAX_PROOF_BYTES
from qaztech.registry.anchor import Anchor
from qaztech.registry.archive import Archive
from qaztech.registry.directory import member_path, page_path
from qaztech.registry.excerpt import FORMAT, ExcerptForm, ExcerptVerifier, SnapshotPart, encode_excerpt
from qaztech.registry.member_file import MAX_MEMBER_FILE, MAX_PAGE, MemberFile, verify_member_file
from qaztech.registry.metadata import (
    Blob,
    MetaFile,
    Root,
    Snapshot,
    SuccinctRoles,
    TargetFile,
    Targets,
    first_root,
    read,
    succinct_roles,
    verified,
    verified_root,
)
from qaztech.registry.rights_page import page_for
from qaztech.registry.snapshot_proof import check_snapshot_proof

_METADATA_LIMIT = 5_000_000
_ENVELOPE_LIMIT = 2 * MAX_MEMBER_FILE


class Source(Protocol):
    """Where the registry is reached."""

    def fetch(self, path: str, limit: int) -> bytes:
        """The bytes at a path below the registry's URL. Raises `NotFound`, `Limited` or `Unavailable`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Parties:
    """What an excerpt has to say: for which members, whose logs, and by which right."""

    members: frozenset[MemberId]
    origins: frozenset[str]
    right: tuple[str, str] | None
    """Client and service, where the request's record names an endpoint."""

    @classmethod
    def of(cls, records: Iterable[Record]) -> Parties:
        """The parties of an exchange, from its records."""
        members, origins, right = set(), set(), None
        for record in records:
            origins |= {record["from"], record["to"]}
            if "client" in record.fields:
                members.add(SubsystemId.parse(record["client"]).member)
                members.add(ServiceId.parse(record["service"]).subsystem.member)
            if record.kind == "request" and record["endpoint"] != NO_ENDPOINT:
                right = record["client"], record["service"]
        return cls(members=frozenset(members), origins=frozenset(origins), right=right)


class ExcerptMaker:
    """Makes excerpts for one node."""

    def __init__(self, *, anchor: Anchor, archive: Archive, source: Source) -> None:
        self._anchor = anchor
        self._archive = archive
        self._source = source
        self._verifier = ExcerptVerifier(anchor)

    def for_records(self, records: Sequence[Record]) -> dict[str, Any]:
        """The excerpt for every snapshot that the records of one exchange name."""
        named = dict.fromkeys(record["snapshot"] for record in records if "snapshot" in record.fields)
        return self.make(list(named), records)

    def make(self, snapshots: Sequence[str], records: Sequence[Record]) -> dict[str, Any]:
        """The excerpt for these snapshots (`version hash`, as records name them) and the records of one exchange.

        Raises `NotFound` or `Unavailable` for what neither the archive nor the registry has.
        """
        parties = Parties.of(records)
        blobs: dict[str, str] = {}
        parts = [self._part(snapshot, parties, blobs) for snapshot in snapshots]
        form = ExcerptForm(format=FORMAT, snapshots=tuple(parts), blobs=blobs)
        excerpt = encode_excerpt(form)
        if all(part.proof is not None for part in parts):
            self._verifier.verify(excerpt)
        return excerpt

    def _part(self, snapshot: str, parties: Parties, blobs: dict[str, str]) -> SnapshotPart:
        version, _, digest = snapshot.partition(" ")
        work = _Part(self._archive, self._source, blobs)
        data = work.take(digest, f"metadata/{version}.snapshot.json", _METADATA_LIMIT)
        roots = self._roots(int(version), data)
        for root in roots:
            work.put(root)
        signed = read(data, Snapshot).signed
        targets, name = _named(signed.meta.get("targets.json"), "targets")
        roles = succinct_roles(read(work.take(targets, name, _METADATA_LIMIT), Targets).signed)
        work.gather(signed, roles, parties)
        return SnapshotPart(
            version=int(version),
            sha256=digest,
            roots=tuple(sha256(root).hexdigest() for root in roots),
            targets=targets,
            bins=work.bins,
            files=work.files,
            proof=self._proof(int(version), digest),
        )

    def _roots(self, version: int, snapshot: bytes) -> list[bytes]:
        """The roots after the anchor's up to the one that the snapshot is signed under."""
        known = self._archive.snapshot(version)
        trusted: Root = first_root(self._anchor.root)
        roots: list[bytes] = []
        while True:
            if known is None:
                try:
                    verified(snapshot, Snapshot, "snapshot", trusted)
                    return roots
                except Untrusted:
                    pass
            elif trusted.version == known[1]:
                return roots
            data = self._archive.root(trusted.version + 1)
            if data is None:
                raise NotFound("excerpt.root", "no root at hand signs for this snapshot", at="registry")
            trusted = verified_root(data, trusted)
            roots.append(data)

    def _proof(self, version: int, digest: str) -> str | None:
        proof = self._archive.proof(version)
        if proof is None:
            try:
                proof = self._source.fetch(f"snapshots/{version}/proof", MAX_PROOF_BYTES)
                check_snapshot_proof(proof, version, digest, self._anchor)
            except Error:
                return None
            self._archive.put_proof(version, proof)
        return proof.decode()


class _Part:
    """What one snapshot contributes; blobs are shared with the other snapshots of the excerpt."""

    def __init__(self, archive: Archive, source: Source, blobs: dict[str, str]) -> None:
        self._archive = archive
        self._source = source
        self._blobs = blobs
        self.bins: dict[str, str] = {}
        self.files: dict[str, str] = {}

    def put(self, data: bytes) -> None:
        """A blob into the excerpt."""
        try:
            self._blobs[sha256(data).hexdigest()] = data.decode()
        except UnicodeDecodeError as exc:
            raise Untrusted("excerpt.hash", "a part of the configuration is not UTF-8", at="registry") from exc

    def take(self, digest: str, path: str, limit: int) -> bytes:
        """A blob by hash, into the excerpt."""
        data = self._get(digest, path, limit)
        self.put(data)
        return data

    def _get(self, digest: str, path: str, limit: int) -> bytes:
        """A blob by hash, from the archive or the registry."""
        data = self._archive.get(digest)
        if data is None:
            data = self._source.fetch(path, limit)
            if sha256(data).hexdigest() != digest:
                raise Untrusted("excerpt.hash", f"the registry's {path} is another than the record's", at="registry")
            self._archive.put(Blob(data, digest))
        return data

    def gather(self, snapshot: Snapshot, roles: SuccinctRoles, parties: Parties) -> None:
        """The files of the parties, of the owners of their nodes, and the rights page that was decided by."""
        found: dict[MemberId, MemberFile] = {}
        waiting = set(parties.members)
        while waiting:
            member = waiting.pop()
            data = self._file(snapshot, roles, member_path(member), _ENVELOPE_LIMIT)
            if data is None:
                continue
            found[member] = file = verify_member_file(data)
            logs = [log for log in file.statement.logs if log.origin in parties.origins]
            waiting |= {NodeId.parse(log.node).member for log in logs} - found.keys()
        if parties.right is not None:
            client, service = parties.right
            for file in found.values():
                for line in file.statement.services:
                    page = page_for(line.rights, client) if line.id == service else None
                    if page is not None:
                        self._file(snapshot, roles, page_path(page.sha256), MAX_PAGE)

    def _file(self, snapshot: Snapshot, roles: SuccinctRoles, path: str, limit: int) -> bytes | None:
        name = roles.get_role_for_target(path)
        digest, where = _named(snapshot.meta.get(f"{name}.json"), name)
        data = self._get(digest, where, _METADATA_LIMIT)
        target: TargetFile | None = read(data, Targets).signed.targets.get(path)
        if target is None:
            return None
        self.put(data)
        self.bins[name] = digest
        folder, _, file = path.rpartition("/")
        self.files[path] = sha = _hash(target)
        return self.take(sha, f"targets/{folder}/{sha}.{file}", limit)


def _named(meta: MetaFile | None, name: str) -> tuple[str, str]:
    if meta is None:
        raise Untrusted("configuration.metadata", f"the snapshot does not name {name}", at="registry")
    return _hash(meta), f"metadata/{meta.version}.{name}.json"


def _hash(file: MetaFile | TargetFile) -> str:
    digest = (file.hashes or {}).get("sha256")
    if digest is None:
        raise Untrusted("configuration.metadata", "a file is named without its SHA-256", at="registry")
    return digest
