"""A registry that was restored from a backup is brought up to what it published since, before it signs anything.

What was published carries the registry's own signatures and those of members, and the registry's log is nothing but
the hashes of its snapshots, in their order. So from the newest copy of `tuf/`, or from whoever serves it, come back:
the versions to go on above, the members' files and pages, who was admitted, suspended or had a key revoked, and the
log's missing entries. These count only if they lead to the very root that witnesses have cosigned: then nobody sees
a fork. Without such a copy versions jump far ahead; a log that witnesses have seen more of cannot go on then, for its
origin is in the anchor (docs/howto/back-up.md). Not here: people and open applications since the backup; they are lost.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from secrets import token_bytes

from qaztech.core.errors import Conflict, Error, NotFound, Untrusted
from qaztech.core.ids import MemberId
from qaztech.core.time import Clock
from qaztech.evidence.last_seen import LastSeen, check_enough
from qaztech.evidence.log import Entry, Log
from qaztech.evidence.merkle import leaf_hash
from qaztech.evidence.storage import OsStorage
from qaztech.registry.admission import Registry
from qaztech.registry.anchor import Anchor
from qaztech.registry.archive import Archive
from qaztech.registry.directory import (
    DIRECTORY,
    INSTANCE,
    LOGS,
    AdminLogLine,
    member_path,
    page_path,
    parse_directory,
    parse_instance,
    parse_logs,
    showcase_path,
)
from qaztech.registry.files import write_file
from qaztech.registry.forms import bytes32
from qaztech.registry.key_files import LogKeys
from qaztech.registry.member_file import verify_member_file
from qaztech.registry.metadata import (
    LEAF_HEADER,
    TIMESTAMP_LIFETIME,
    Snapshot,
    Targets,
    Timestamp,
    milliseconds,
    read,
    snapshot_leaf,
)
from qaztech.registry.mirror import Fetcher, Mirror, MirrorLimits
from qaztech.registry.publication import mark_resumed
from qaztech.registry.store import RegistryStore

# How far versions jump: over what was prepared and not shown, or over all that may have been published since.
NEAR, FAR = 10, 100_000
_LIMITS = MirrorLimits()


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOutcome:
    """What became of the registry's log: entries put back, and why it cannot go on (empty where it can)."""

    size: int
    added: int
    ended: str


class FolderFetcher:
    """A copy of the registry's folder `tuf/`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def fetch(self, path: str, limit: int) -> bytes:
        """The bytes at a path below it. Raises `NotFound` or `Untrusted`."""
        file = (self._directory / path).resolve()
        if self._directory.resolve() not in file.parents or not file.is_file():
            raise NotFound("registry.missing", f"the copy has no {path}", at="registry")
        if file.stat().st_size > limit:
            raise Untrusted("configuration.hash", f"{path} is larger than is taken", at="registry")
        return file.read_bytes()


class Resuming:
    """Brings a restored registry's folder and state up to what was published, verified from the anchor on."""

    def __init__(self, *, directory: Path, anchor: Anchor, source: Fetcher | None, scratch: Path) -> None:
        self._tuf = directory / "tuf"
        self._log = directory / "log"
        self._anchor = anchor
        self._source = source
        self._mirror: Mirror | None = None
        if source is not None:
            timestamp = read(source.fetch("metadata/timestamp.json", _LIMITS.timestamp), Timestamp).signed
            archive = Archive(scratch)
            self._mirror = Mirror(root=anchor.root, archive=archive, fetcher=source, limits=_LIMITS)
            # As of the moment it was signed: since the registry was lost it may have expired.
            self._mirror.update(milliseconds(timestamp.expires) - TIMESTAMP_LIFETIME)
            self._roots = archive

    def publication(self) -> int | None:
        """Let `tuf/` be what was published last, and have the next publication go on above it; its version."""
        if self._source is None or self._mirror is None:
            mark_resumed(self._tuf, FAR)
            return None
        version, digest = self._mirror.snapshot
        metadata, source = self._tuf / "metadata", self._source
        number = 2
        while (root := self._roots.root(number)) is not None:
            write_file(metadata / f"{number}.root.json", root)
            number += 1
        data = source.fetch(f"metadata/{version}.snapshot.json", _LIMITS.snapshot)
        if sha256(data).hexdigest() != digest:
            raise Untrusted("configuration.hash", "the published snapshot changed meanwhile", at="registry")
        for name, meta in read(data, Snapshot).signed.meta.items():
            role = source.fetch(f"metadata/{meta.version}.{name}", _LIMITS.targets)
            _verify(meta.verify_length_and_hashes, role, name)
            write_file(metadata / f"{meta.version}.{name}", role)
            if name != "targets.json":
                self._targets(role)
        write_file(metadata / f"{version}.snapshot.json", data)
        timestamp = source.fetch("metadata/timestamp.json", _LIMITS.timestamp)
        if read(timestamp, Timestamp).signed.version != self._mirror.timestamp_version:
            raise Untrusted("configuration.hash", "the registry still publishes there: stop it first", at="registry")
        write_file(metadata / "timestamp.json", timestamp)
        mark_resumed(self._tuf, NEAR)
        return version

    def _targets(self, role: bytes) -> None:
        """The content of what a bin names, where it is not here."""
        for path, file in read(role, Targets).signed.targets.items():
            folder, slash, name = path.rpartition("/")
            place = f"{folder}{slash}{file.hashes['sha256']}.{name}"
            here = self._tuf / "targets" / place
            if self._source is not None and not here.exists():
                data = self._source.fetch(f"targets/{place}", file.length)
                _verify(file.verify_length_and_hashes, data, path)
                here.parent.mkdir(parents=True, exist_ok=True)
                write_file(here, data)

    # State -----------------------------------------------------------------------------------------------------------

    def state(self, registry: Registry) -> list[str]:
        """Let the registry know again what it published: who is a member, suspended or revoked, and their files.

        Gives what could not be taken up. What members signed is verified as if they brought it.
        """
        if self._mirror is None:
            return []
        listed = parse_directory(self._content(DIRECTORY)).members
        for member in listed:
            known = registry.members().get(str(member.id))
            if known is None or known[0] != member.lineage:
                registry.admit(member.id, member.lineage, member.names)
            elif known[1]:
                registry.resume(member.id)
        shown = {str(member.id) for member in listed}
        for id_, (_, suspended, _) in registry.members().items():
            if id_ not in shown and not suspended:
                registry.suspend(MemberId.parse(id_))
        instance = parse_instance(self._content(INSTANCE))
        for certificate in instance.authorities:
            registry.add_authority(certificate)
        for spki in instance.revoked_tls:
            registry.revoke_tls(bytes32(spki, "instance.malformed", "revoked TLS key"))
        return self._files(registry, [member.id for member in listed])

    def admin_logs(self) -> tuple[AdminLogLine, ...]:
        """Every admin log that was named in what was published."""
        found = self._mirror.target(LOGS) if self._mirror is not None else None
        return parse_logs(found.data).admin if found is not None else ()

    def _files(self, registry: Registry, members: list[MemberId]) -> list[str]:
        """Every member's file; a node's owner comes before those it serves, so what waits is tried again."""
        left = members
        while True:
            failed = {member: why for member in left if (why := self._file(registry, member))}
            if len(failed) in {0, len(left)}:
                return [f"{member}: {why}" for member, why in failed.items()]
            left = list(failed)

    def _file(self, registry: Registry, member: MemberId) -> str:
        mirror = self._mirror
        if mirror is None or (found := mirror.target(member_path(member))) is None:
            return ""
        try:
            file = verify_member_file(found.data)
            if file.version > registry.members()[str(member)][2]:
                wanted = {page.sha256 for service in file.statement.services for page in service.rights}
                registry.accept_submission(found.data, [self._content(page_path(digest)) for digest in wanted])
            if (shown := mirror.target(showcase_path(member))) is not None:
                registry.accept_showcase(member, shown.data, [])
        except Error as exc:
            return exc.code
        return ""

    def _content(self, path: str) -> bytes:
        found = self._mirror.target(path) if self._mirror is not None else None
        if found is None:
            raise NotFound("registry.target", f"{path} is not published", at="registry")
        return found.data

    # Log -------------------------------------------------------------------------------------------------------------

    def log(self, store: RegistryStore, keys: LogKeys, ask: Callable[[], LastSeen], clock: Clock) -> LogOutcome:
        """Put the log's missing entries back, if they are the ones that witnesses have cosigned.

        Raises `Unavailable` where too few witnesses say what they have seen.
        """
        seen = ask()
        check_enough(seen)
        with Log.open(self._log, storage=OsStorage(), key=keys.key, origin=keys.origin, clock=clock) as log:
            leaves = self._missing(log)
            why = _contradiction(log, [leaf for _, _, leaf in leaves], seen)
            if why:
                return LogOutcome(size=log.size, added=0, ended=why)
            if leaves:
                start = log.commit([Entry(token_bytes(16), clock.now(), leaf) for _, _, leaf in leaves]).start
                for index, (version, digest, _) in enumerate(leaves, start):
                    store.logged(version, digest, index)
            return LogOutcome(size=log.size, added=len(leaves), ended="")

    def _missing(self, log: Log) -> list[tuple[int, str, bytes]]:
        """Versions, hashes and leaves of the snapshots that were published after the log's last entry."""
        if self._source is None or self._mirror is None:
            return []
        found = []
        last = _version(log.read(log.size - 1).data) if log.size else 0
        for version in range(last + 1, self._mirror.snapshot[0] + 1):
            try:
                data = self._source.fetch(f"metadata/{version}.snapshot.json", _LIMITS.snapshot)
            except NotFound:  # a version that was skipped
                continue
            digest = sha256(data).hexdigest()
            found.append((version, digest, snapshot_leaf(version, digest)))
        return found


def _contradiction(log: Log, leaves: list[bytes], seen: LastSeen) -> str:
    """Why the log, with these leaves behind it, is not the one that witnesses have seen; empty if it is."""
    size, root = seen.checkpoint.size, seen.checkpoint.root
    if size <= log.size:
        return "" if log.root_at(size) == root else f"witnesses have seen another root at {size} entries"
    if size > log.size + len(leaves):
        return f"witnesses have seen {size} entries; {log.size} are restored and {len(leaves)} more were published"
    frontier = log.frontier
    frontier.extend(map(leaf_hash, leaves[: size - log.size]))
    return "" if frontier.root() == root else f"what was published does not lead to the root cosigned at {size} entries"


def _version(leaf: bytes) -> int:
    lines = leaf.decode("ascii", "replace").split("\n")
    if len(lines) != 4 or lines[0] != LEAF_HEADER or not lines[1].removeprefix("version ").isdigit():
        raise Conflict("registry.log", "the log holds what is no snapshot", at="registry")
    return int(lines[1].removeprefix("version "))


def _verify(check: Callable[[bytes], None], data: bytes, name: str) -> None:
    try:
        check(data)
    except Exception as exc:
        raise Untrusted("configuration.hash", f"{name} is not what was signed", at="registry") from exc
