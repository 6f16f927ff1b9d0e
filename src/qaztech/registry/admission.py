"""The registry's decisions: whom it admits, which member files and rights pages it accepts, whom it takes away.

It can narrow, never grant: a member file counts because its member signed it, and what is refused here a node would
refuse as well. Not here: signing and writing what follows from a decision (`publication`), the wire (`service`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from typing import NamedTuple

from qaztech.core.errors import Conflict, Error, Forbidden, Malformed, NotFound, Untrusted
from qaztech.core.exchange import CLOCK_SKEW
from qaztech.core.ids import MemberId, NodeId
from qaztech.core.time import Clock
from qaztech.evidence.note import VerifierKey
from qaztech.registry.application import looks_of
from qaztech.registry.directory import (
    DIRECTORY,
    INSTANCE,
    INSTANCE_TYPE,
    LOGS,
    AdminLogLine,
    InstanceFile,
    InstanceSettings,
    ListedMember,
    ListedSubsystem,
    format_directory,
    format_logs,
    member_path,
    open_keys,
    page_path,
    showcase_path,
)
from qaztech.registry.forms import Names, base64, check_hex, encode
from qaztech.registry.member_file import LogLine, MemberFile, NodeLine, verify_member_file
from qaztech.registry.publication import Entry
from qaztech.registry.rights_page import parse_rights_page
from qaztech.registry.showcase import Showcase, check_follows, verify_showcase
from qaztech.registry.store import Admitted, RegistryStore


class _Known(NamedTuple):
    """A member with its accepted file, if any, and what the registry published under its path."""

    lineage: str
    names: Names
    suspended: bool
    path: str
    file: MemberFile | None
    entry: Entry | None
    showcase: Showcase | None
    shown: Entry | None


class Registry:
    """The registry's state and rules. One caller at a time."""

    def __init__(self, *, instance: str, store: RegistryStore, settings: InstanceSettings, clock: Clock) -> None:
        self.instance = instance
        self._store = store
        self._settings = settings
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self._paths: dict[str, str] = {}
        self._shown: dict[str, str] = {}
        self._logs: dict[str, tuple[VerifierKey, ...]] = {}
        self._admin_logs: tuple[AdminLogLine, ...] = ()
        # Members of whom it is not known whether the last change was stored.
        self._unsure: set[str] = set()
        self._revision = 0
        # By member, what it sent before the file or showcase that names it: pages and documents, by hash.
        self._pages_before: dict[str, set[str]] = {}
        self._documents_before: dict[str, set[str]] = {}
        showcases = store.showcases()
        for member in store.members():
            self._take(member, showcases.get(member.id))

    # Decisions ---------------------------------------------------------------------------------------------------

    def admit(self, member: MemberId, lineage: str, names: Names) -> None:
        """Admit a member under the lineage of its key. A new lineage for a known member is a new beginning."""
        self.check_admission(member, lineage, names)
        self._unsure.add(str(member))
        self._store.admit(str(member), lineage, names, self._clock.now())
        self._remember(str(member))

    def check_admission(self, member: MemberId, lineage: str, names: Names) -> None:
        """Raise unless the member could be admitted so now."""
        if member.instance != self.instance:
            raise Conflict("registry.instance", f"the instance is {self.instance}", at="registry")
        check_hex(lineage, "member.malformed", "lineage")
        names.check("member.malformed")
        known = self._known.get(str(member))
        if known is not None and known.lineage == lineage:
            raise Conflict("registry.admitted", "this member is admitted with this lineage already", at="registry")

    def accept_member_file(self, envelope: bytes) -> MemberFile:
        """Accept a member file, or say why not."""
        file = verify_member_file(envelope)
        id_ = str(file.member)
        known = self._of(id_)
        if file.lineage != known.lineage:
            raise Untrusted("member-file.lineage", "the file's lineage is not the one admitted", at="registry")
        if known.file is not None and known.file.digest == file.digest:
            return known.file  # sent again, by somebody who did not hear the answer
        now = self._clock.now()
        if file.statement.issued > now + CLOCK_SKEW or file.statement.expires <= now:
            raise Conflict("member-file.time", "the file is not valid at this time", at="registry")
        if known.file is not None:
            _check_follows(known.file, file)
        self._check_names(file, known)
        self._check_unique(file)
        self._check_pages(file)
        self._unsure.add(id_)
        self._store.put_member_file(id_, envelope)
        self._remember(id_)
        if known.file is not None:
            self._store.drop_pages(_pages(known.file) - self._named_pages())
        return file

    def accept_submission(self, envelope: bytes, pages: Iterable[bytes], *, partial: bool = False) -> MemberFile:
        """Accept a member file with the pages it names; whoever sends them: the signature says whose they are.

        Pages that the file does not name are not kept, nor those of a file that is refused. Of a `partial` submission
        the pages are kept, and the file waits for the rest: one at a time, and none that is older than what there is.
        """
        file = verify_member_file(envelope)
        id_ = str(file.member)
        known = self._of(id_)
        if file.lineage != known.lineage:
            raise Untrusted("member-file.lineage", "the file's lineage is not the one admitted", at="registry")
        if partial and known.file is not None and file.version <= known.file.version:
            return file
        wanted, kept = _pages(file), []
        before = self._pages_before.pop(id_, set())
        if left := before - wanted:
            self._store.drop_pages(left - self._named_pages())
        for content in pages:
            digest = sha256(content).hexdigest()
            if digest in wanted and self._store.page(digest) is None:
                self.accept_rights_page(content)
                kept.append(digest)
        if partial:
            self._pages_before[id_] = (before & wanted) | set(kept)
            return file
        try:
            return self.accept_member_file(envelope)
        except BaseException:
            self._store.drop_pages(kept)
            self._pages_before[id_] = before & wanted
            raise

    def accept_showcase(
        self, member: MemberId, envelope: bytes, descriptions: Iterable[bytes], *, partial: bool = False
    ) -> Showcase:
        """Accept what a member shows of its services, signed with its present key, and the documents it names.

        Of a `partial` one the documents are kept, and the showcase waits for the rest: one at a time.
        """
        id_ = str(member)
        known = self._of(id_)
        if known.file is None:
            raise NotFound("member.no-file", "send the member file first", at="registry")
        showcase = verify_showcase(envelope, known.file)
        before = known.showcase
        if before is not None and not check_follows(showcase, before.version, before.digest):
            return before
        wanted, kept = _described(showcase), []
        waiting = self._documents_before.get(id_, set())
        if left := waiting - wanted:
            self._store.drop_descriptions(left - self._named_documents())
        for content in descriptions:
            digest = sha256(content).hexdigest()
            if digest in wanted and self._store.description(digest) is None:
                self._store.put_description(digest, content)
                kept.append(digest)
        self._documents_before[id_] = (waiting & wanted) | set(kept)
        if partial:
            return showcase
        missing = [digest for digest in sorted(wanted) if self._store.description(digest) is None]
        if missing:
            self._store.drop_descriptions(kept)
            raise Conflict("showcase.description", f"send the document {missing[0]} first", at="registry")
        self._unsure.add(id_)
        self._store.put_showcase(id_, envelope)
        self._remember(id_)
        self._documents_before.pop(id_)
        if before is not None:
            self._store.drop_descriptions(_described(before) - self._named_documents())
        return showcase

    def description(self, digest: str) -> bytes:
        """An OpenAPI document that a showcase names; raises `NotFound`."""
        found = self._store.description(digest)
        if found is None:
            raise NotFound("registry.target", f"there is no description {digest[:64]}", at="registry")
        return found

    def accept_rights_page(self, content: bytes) -> str:
        """Keep a rights page until a member file names it; returns its hash."""
        page = parse_rights_page(content)
        self._of("/".join(page.service.split("/")[:3]))
        digest = sha256(content).hexdigest()
        self._store.put_page(digest, content)
        return digest

    def suspend(self, member: MemberId) -> None:
        """Take a member out of the directory and the configuration."""
        self._set_suspended(member, suspended=True)

    def resume(self, member: MemberId) -> None:
        """Let a suspended member back, as it was."""
        self._set_suspended(member, suspended=False)

    def check_suspension(self, member: MemberId, *, suspended: bool) -> None:
        """Raise unless the member could be suspended, or resumed, now."""
        if self._of(str(member)).suspended == suspended:
            raise Conflict("registry.suspended", "the member is in that state already", at="registry")

    def revoke_tls(self, spki: bytes) -> None:
        """Take a TLS key (SHA-256 of SPKI) off the wire for good."""
        _check_spki(spki)
        self._store.revoke_tls(base64(spki), self._clock.now())
        self._revision += 1

    def is_revoked(self, spki: bytes) -> bool:
        """Whether a TLS key (SHA-256 of SPKI) has been revoked. Raises `Malformed`."""
        _check_spki(spki)
        return base64(spki) in self._store.revoked_tls()

    def refresh(self) -> None:
        """Read again what may not be as remembered: the database broke off while it was changed."""
        for id_ in sorted(self._unsure):
            if self._store.member(id_) is not None:
                self._remember(id_)
            self._unsure.discard(id_)

    def add_authority(self, certificate_pem: str) -> None:
        """Let nodes accept certificates of this authority."""
        self._store.add_authority(certificate_pem)
        self._revision += 1

    def name_admin_logs(self, lines: tuple[AdminLogLine, ...]) -> None:
        """Tell everyone by which keys the admin logs of this registry are verified."""
        if lines != self._admin_logs:
            self._admin_logs = lines
            self._revision += 1

    def may_have_certificate(self, node: NodeId) -> None:
        """Raise unless the node's member is admitted and not suspended."""
        if self._of(str(node.member)).suspended:
            raise Conflict("registry.suspended", "the member is suspended", at="registry")

    def may_renew(self, node: NodeId, spki: bytes) -> None:
        """Raise unless the node's member, which is not suspended, names this TLS key for it, and it is not revoked."""
        self.may_have_certificate(node)
        file, key = self._of(str(node.member)).file, base64(spki)
        if file is None or not any((n.id, n.tls) == (str(node), key) for n in file.statement.nodes):
            raise Forbidden("certificate.unnamed", "its member names no such TLS key for this node", at="registry")
        if key in self._store.revoked_tls():
            raise Forbidden("certificate.revoked", "this TLS key is revoked", at="registry")

    # What follows from them --------------------------------------------------------------------------------------

    @property
    def revision(self) -> int:
        """Rises with every decision that changes what is to be published."""
        return self._revision

    def targets(self) -> dict[str, Entry]:
        """Everything to publish, by target path."""
        targets = {
            DIRECTORY: Entry.of(self._directory()),
            INSTANCE: Entry.of(self._instance_file()),
        }
        if logs := self._logs_file():
            targets[LOGS] = Entry.of(logs)
        for known in self._known.values():
            if known.file is not None and known.entry is not None and not known.suspended:
                targets[known.path] = known.entry
                if known.showcase is not None and known.shown is not None:
                    targets[showcase_path(known.showcase.member)] = known.shown
                for service in known.file.statement.services:
                    for page in service.rights:
                        targets[page_path(page.sha256)] = Entry(page.length, page.sha256)
        return targets

    def content(self, path: str) -> bytes:
        """The bytes of one of the targets."""
        if path == DIRECTORY:
            return self._directory()
        if path == INSTANCE:
            return self._instance_file()
        if path == LOGS:
            return self._logs_file()
        if path in self._shown:
            found = self._store.showcase(self._shown[path])
        elif path in self._paths:
            member = self._store.member(self._paths[path])
            found = member.envelope if member else None
        else:
            found = self._store.page(path.removeprefix("rights/").removesuffix(".json"))
        if found is not None:
            return found
        raise NotFound("registry.target", f"there is no target {path}", at="registry")

    def log_keys(self, origin: str) -> tuple[VerifierKey, ...]:
        """The keys of a member's open log, as its owner's file names them, or of the admin log that is written now."""
        if origin in self._logs:
            return self._logs[origin]
        return open_keys(self._admin_logs, origin)

    def members(self) -> Mapping[str, tuple[str, bool, int]]:
        """Every member: lineage, whether suspended, version of its file (0 where there is none)."""
        return {
            id_: (known.lineage, known.suspended, known.file.version if known.file else 0)
            for id_, known in self._known.items()
        }

    def revoked_tls(self) -> tuple[str, ...]:
        """Every TLS key taken off the wire (base64 SHA-256 of SPKI)."""
        return self._store.revoked_tls()

    def names(self) -> Iterator[tuple[str, str, Names]]:
        """Every member's id, lineage and names."""
        for id_, known in self._known.items():
            yield id_, known.lineage, known.names

    def files(self) -> list[MemberFile]:
        """The accepted file of every member that has one, suspended or not."""
        return [known.file for known in self._known.values() if known.file is not None]

    def file_of(self, member: MemberId) -> MemberFile | None:
        """The accepted file of an admitted member that is not suspended, if there is one. Raises `NotFound`."""
        known = self._of(str(member))
        return None if known.suspended else known.file

    def knows_key(self, tls: bytes, origins: Iterable[str]) -> bool:
        """Whether any member's file names this TLS key (SHA-256 of SPKI) or one of these logs."""
        text, wanted = base64(tls), set(origins)
        return any(
            any(node.tls == text for node in known.file.statement.nodes)
            or any(log.origin in wanted for log in known.file.statement.logs)
            for known in self._known.values()
            if known.file is not None
        )

    def _remember(self, id_: str) -> None:
        self._take(self._of_store(id_), self._store.showcase(id_))
        self._unsure.discard(id_)
        self._revision += 1

    def _take(self, member: Admitted, shown_as: bytes | None) -> None:
        id_ = member.id
        path = member_path(MemberId.parse(id_))
        file = verify_member_file(member.envelope) if member.envelope is not None else None
        entry = Entry.of(member.envelope) if member.envelope is not None else None
        showcase, shown = _showcase_of(shown_as, file)
        self._known[id_] = _Known(
            member.lineage, member.names, member.suspended, path, file, entry, showcase, shown
        )  # fmt: skip
        self._shown[showcase_path(MemberId.parse(id_))] = id_
        self._paths[path] = id_
        if file is not None:
            for log in file.statement.logs:
                if NodeId.parse(log.node).member == file.member:
                    self._logs[log.origin] = tuple(map(VerifierKey.parse, log.vkeys)) if log.closed is None else ()

    def _of_store(self, id_: str) -> Admitted:
        member = self._store.member(id_)
        if member is None:
            raise NotFound("member.unknown", f"{id_} is not admitted", at="registry")
        return member

    def _of(self, id_: str) -> _Known:
        known = self._known.get(id_)
        if known is None:
            raise NotFound("member.unknown", f"{id_} is not admitted", at="registry")
        return known

    def _set_suspended(self, member: MemberId, *, suspended: bool) -> None:
        self.check_suspension(member, suspended=suspended)
        self._unsure.add(str(member))
        self._store.set_suspended(str(member), suspended)
        self._remember(str(member))

    def _check_names(self, file: MemberFile, known: _Known) -> None:
        """A member may change its names, but not to what another is called: that is for the operator to admit."""
        names = file.statement.names
        if names == known.names or (known.file is not None and names == known.file.statement.names):
            return
        looks = looks_of(names)
        for id_, other in self._known.items():
            theirs = looks_of(other.names)
            if other.file is not None:
                theirs |= looks_of(other.file.statement.names)
            if id_ != str(file.member) and looks & theirs:
                raise Conflict("registry.name", f"the member's new name looks like that of {id_}", at="registry")

    def _check_unique(self, file: MemberFile) -> None:
        """TLS keys and logs belong to one node; another's may be named only as its owner names it."""
        others = [k.file for id_, k in self._known.items() if k.file is not None and id_ != str(file.member)]
        for node in file.statement.nodes:
            owner = NodeId.parse(node.id).member
            if owner == file.member:
                if any(n.tls == node.tls and n.id != node.id for o in others for n in o.statement.nodes):
                    raise Conflict("registry.tls", "another node has this TLS key", at="registry")
            elif not self._owner_says(owner, node):
                raise Conflict("registry.node", f"{owner} does not name the node {node.id} so", at="registry")
        for log in file.statement.logs:
            owner = NodeId.parse(log.node).member
            if owner == file.member:
                if any(one.origin == log.origin and one.node != log.node for o in others for one in o.statement.logs):
                    raise Conflict("registry.log", "another node has this log", at="registry")
            elif not self._owner_says(owner, log):
                raise Conflict("registry.log", f"{owner} does not name the log {log.origin} so", at="registry")

    def _owner_says(self, owner: MemberId, line: NodeLine | LogLine) -> bool:
        known = self._known.get(str(owner))
        if known is None or known.file is None:
            return False
        if isinstance(line, NodeLine):
            return any(n.id == line.id and n.tls == line.tls for n in known.file.statement.nodes)
        same = (line.origin, line.node, line.vkeys)
        return any((one.origin, one.node, one.vkeys) == same for one in known.file.statement.logs)

    def _check_pages(self, file: MemberFile) -> None:
        for service in file.statement.services:
            for reference in service.rights:
                content = self._store.page(reference.sha256)
                if content is None or len(content) != reference.length:
                    raise Conflict("rights-page.missing", f"send the page {reference.sha256} first", at="registry")
                if parse_rights_page(content).service != service.id:
                    raise Conflict("rights-page.service", "a rights page is for another service", at="registry")

    def _named_pages(self) -> set[str]:
        return {sha for known in self._known.values() if known.file is not None for sha in _pages(known.file)}

    def _named_documents(self) -> set[str]:
        return {d for k in self._known.values() if k.showcase is not None for d in _described(k.showcase)}

    def _directory(self) -> bytes:
        listed = []
        for id_, known in self._known.items():
            if not known.suspended:
                lines = known.file.statement.subsystems if known.file else ()
                names = known.file.statement.names if known.file else known.names
                subsystems = tuple(ListedSubsystem(code=line.code, names=line.names) for line in lines)
                listed.append(ListedMember(id=id_, lineage=known.lineage, names=names, subsystems=subsystems))
        return format_directory(self.instance, listed)

    def _instance_file(self) -> bytes:
        return encode(
            InstanceFile(
                type=INSTANCE_TYPE,
                instance=self.instance,
                authorities=self._store.authorities(),
                revoked_tls=self._store.revoked_tls(),
                settings=self._settings,
            )
        )

    def _logs_file(self) -> bytes:
        """What names the admin logs; empty where there is none."""
        return format_logs(self.instance, self._admin_logs) if self._admin_logs else b""


def _showcase_of(envelope: bytes | None, file: MemberFile | None) -> tuple[Showcase | None, Entry | None]:
    """The member's showcase while its present key has signed it; one of an earlier key is shown no more."""
    if envelope is None or file is None:
        return None, None
    try:
        return verify_showcase(envelope, file), Entry.of(envelope)
    except Error:
        return None, None


def _check_spki(spki: bytes) -> None:
    if len(spki) != 32:
        raise Malformed("certificate.malformed", "a TLS key is named by 32 bytes", at="registry")


def _check_follows(old: MemberFile, new: MemberFile) -> None:
    if new.version <= old.version:
        raise Conflict("member-file.version", f"the version must be above {old.version}", at="registry")
    if new.keys[: len(old.keys)] != old.keys:
        raise Untrusted("member-file.lineage", "the key history differs from the one known", at="registry")
    logs = {log.origin: log for log in new.statement.logs}
    for log in old.statement.logs:
        now = logs.get(log.origin)
        if log.closed is not None and now is not None and now.closed != log.closed:
            raise Conflict("registry.log", "a closed log stays closed as it is", at="registry")


def _described(showcase: Showcase) -> set[str]:
    return {service.description.sha256 for service in showcase.statement.services if service.description is not None}


def _pages(file: MemberFile) -> set[str]:
    return {page.sha256 for service in file.statement.services for page in service.rights}
