"""A member's own desk: its key, its file in the making, the rights it has given. A folder only the member has.

    member.key                    the member key (PKCS #8 PEM, 0600)
    member.key.until-version-<n>  a key that was replaced in version n
    member-file.json              the newest signed member file
    rights/<hash>.json            the rights pages the file names

Every change makes the next version of the file, signs it and says what has to reach the registry. The registry is told
by `Submission`s; it can refuse them, not change them. One at a time: two versions with one number are taken for an
attack by whoever sees both, so whatever changes a desk holds `locked`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from qaztech.core.errors import Conflict, NotFound
from qaztech.core.ids import MemberId, NodeId, ServiceId, SubsystemId
from qaztech.core.rights import Endpoint
from qaztech.core.time import Clock
from qaztech.evidence.note import VerifierKey
from qaztech.evidence.state import ClosedLog
from qaztech.evidence.storage import OsStorage
from qaztech.registry import authoring
from qaztech.registry.authoring import ServiceRights
from qaztech.registry.configuration import ServiceType
from qaztech.registry.files import replace_file, sync_directory, write_file, write_private
from qaztech.registry.forms import Names
from qaztech.registry.member_file import MemberStatement, sign_statement, verify_member_file
from qaztech.registry.rights_page import RightsPage, parse_rights_page
from qaztech.trust.keys import Ed25519Key

NEXT_KEY = "member.key.next"
Change = Callable[[MemberStatement], MemberStatement]


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What the registry must get for a change to count: new rights pages first, then the member file."""

    pages: tuple[bytes, ...]
    envelope: bytes


class Desk:
    """One member's folder."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        if not (directory / "member.key").exists():
            raise NotFound("member.no-desk", f"{directory} has no member key; make one with `qaztech member new`")
        self._directory = directory
        self._clock = clock
        self._file = verify_member_file((directory / "member-file.json").read_bytes())
        self.key = self._present_key()

    @classmethod
    def create(cls, directory: Path, *, member: MemberId, names: Names, clock: Clock) -> Desk:
        """A new member key and a first, empty member file. Raises `Conflict` where there is one already."""
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if (directory / "member.key").exists():
            raise Conflict("member.exists", f"{directory} already holds a member key")
        key = Ed25519Key.generate()
        statement = authoring.new_statement(member, key.public, names, clock.now())
        write_file(directory / "member-file.json", sign_statement(statement, key))
        key.save(directory / "member.key")
        return cls(directory, clock)

    @classmethod
    @contextmanager
    def locked(cls, directory: Path, clock: Clock) -> Iterator[Desk]:
        """The desk, while nobody else changes it. Raises `Conflict` when somebody does."""
        storage = OsStorage()
        try:
            lock = storage.lock(directory)
        except BlockingIOError as exc:
            raise Conflict("member.desk-in-use", f"another command works on {directory}; wait for it") from exc
        except OSError as exc:
            raise NotFound("member.no-desk", f"there is no folder {directory}; `qaztech member new` makes one") from exc
        try:
            yield cls(directory, clock)
        finally:
            storage.close(lock)

    @property
    def statement(self) -> MemberStatement:
        """What the newest signed file says."""
        return self._file.statement

    @property
    def member(self) -> MemberId:
        """Whose desk this is."""
        return self._file.member

    @property
    def lineage(self) -> str:
        """Hash of the member's first key."""
        return self._file.lineage

    def submission(self) -> Submission:
        """Everything the registry must have for the newest file."""
        pages = tuple(self._page(r.sha256) for s in self.statement.services for r in s.rights)
        return Submission(pages=pages, envelope=(self._directory / "member-file.json").read_bytes())

    def rights(self, service: ServiceId) -> ServiceRights:
        """Everyone's rights to one of the member's services."""
        return ServiceRights.of(service, self._rights_pages(service).values())

    # Changes ------------------------------------------------------------------------------------------------------

    def change(self, *changes: Change) -> Submission:
        """Make the next version with these changes, sign it, keep it."""
        statement = self.statement
        for change in changes:
            statement = change(statement)
        return self._sign(authoring.revise(statement, self._clock.now()), self.key)

    def add_node(
        self,
        node: NodeId,
        address: str,
        tls: bytes,
        logs: Sequence[VerifierKey],
        continues: ClosedLog | None = None,
        *,
        next_tls: bytes | None = None,
    ) -> Submission:
        """A node that speaks for this member, with its TLS key (SHA-256 of SPKI) and the keys of its log; or a change.

        A log that `continues` one the file names closes that one. `next_tls` is a key that the node will change to.
        """
        changes: list[Change] = [lambda s: authoring.with_node(s, node, address, tls, next_tls)]
        if continues is not None and self._names_log(continues.origin):
            changes += self._next_log(node, continues, logs)
        elif not self._names_log(logs[0].name):
            now = self._clock.now()
            changes.append(lambda s: authoring.with_log(s, node, logs, now))
        else:
            changes.append(lambda s: authoring.reopen_log(s, logs[0].name))
        return self.change(*changes)

    def remove_node(self, node: NodeId, grace: int) -> Submission:
        """Let a node speak for this member no more; its logs do so for `grace` milliseconds, until all have heard."""
        until = self._clock.now() + grace
        return self.change(lambda s: authoring.without_node(s, node, until))

    def continue_log(self, node: NodeId, closed: ClosedLog, logs: Sequence[VerifierKey]) -> Submission:
        """Say that a log is closed, and which comes after it. Said before, it changes nothing."""
        changes = self._next_log(node, closed, logs)
        return self.change(*changes) if changes else self.submission()

    def add_subsystem(self, subsystem: SubsystemId, names: Names) -> Submission:
        """A subsystem, or new names for one."""
        return self.change(lambda s: authoring.with_subsystem(s, subsystem, names))

    def add_service(self, service: ServiceId, names: Names, *, type_: ServiceType, disabled: str | None) -> Submission:
        """A service, or a change of one; its rights stay."""
        known = next((line for line in self.statement.services if line.id == str(service)), None)
        rights = known.rights if known is not None else ()
        return self.change(
            lambda s: authoring.with_service(s, service, names, type_=type_, disabled=disabled, rights=rights)
        )

    def grant(
        self, service: ServiceId, client: SubsystemId, lineage: str, endpoints: Iterable[Endpoint], until: int | None
    ) -> Submission:
        """A right for one client, in place of any it had; `lineage` is its member's."""
        return self.change_rights(service, lambda rights: rights.grant(client, lineage, endpoints, until))

    def revoke(self, service: ServiceId, client: SubsystemId) -> Submission:
        """Take a client's right away."""
        return self.change_rights(service, lambda rights: rights.revoke(client))

    def change_rights(self, service: ServiceId, change: Callable[[ServiceRights], ServiceRights]) -> Submission:
        """Other rights to a service: those of clients and of groups of clients."""
        before = self._rights_pages(service)
        rights = change(ServiceRights.of(service, before.values()))
        cut = rights.pages(self.statement.version + 1, before)
        (self._directory / "rights").mkdir(exist_ok=True)
        for page in cut:
            write_file(self._directory / "rights" / f"{page.reference.sha256}.json", page.data)
        return self.change(lambda s: authoring.with_rights(s, service, [page.reference for page in cut]))

    def rotate_key(self) -> Submission:
        """A new member key, introduced by the old one, which is kept beside it until it is carried away."""
        path = self._directory / NEXT_KEY
        if not path.exists():  # one that is there was made for a rotation that did not come to its end
            Ed25519Key.generate().save(path)
        new = Ed25519Key.load(path)
        submission = self._sign(authoring.rotate_key(self.statement, self.key, new.public, self._clock.now()), new)
        self._take_next_key()
        return submission

    # Pieces ---------------------------------------------------------------------------------------------------------

    def _present_key(self) -> Ed25519Key:
        """The key the newest file speaks of; a rotation that was cut short behind its file is brought to its end."""
        following = self._directory / NEXT_KEY
        if following.exists() and Ed25519Key.load(following).public == self._file.keys[-1]:
            self._take_next_key()
        key = Ed25519Key.load(self._directory / "member.key")
        if key.public != self._file.keys[-1]:
            raise Conflict("member.key-differs", f"member.key and member-file.json in {self._directory} do not belong")
        return key

    def _take_next_key(self) -> None:
        path = self._directory / "member.key"
        write_private(self._directory / f"member.key.until-version-{self.statement.version}", path.read_bytes())
        (self._directory / NEXT_KEY).replace(path)
        sync_directory(self._directory)

    def _next_log(self, node: NodeId, closed: ClosedLog, logs: Sequence[VerifierKey]) -> list[Change]:
        if self._names_log(logs[0].name):
            return []
        now = self._clock.now()
        return [
            lambda s: authoring.close_log(s, closed.origin, until=now, closed=(closed.size, closed.root)),
            lambda s: authoring.with_log(s, node, logs, now, continues=closed.origin),
        ]

    def _names_log(self, origin: str) -> bool:
        return any(line.origin == origin for line in self.statement.logs)

    def _rights_pages(self, service: ServiceId) -> dict[str, RightsPage]:
        line = next((line for line in self.statement.services if line.id == str(service)), None)
        if line is None:
            raise NotFound("service.unknown", f"the member file names no service {service}", at="caller")
        return {r.first: parse_rights_page(self._page(r.sha256)) for r in line.rights}

    def _page(self, digest: str) -> bytes:
        data = (self._directory / "rights" / f"{digest}.json").read_bytes()
        if sha256(data).hexdigest() != digest:
            raise Conflict("rights-page.changed", f"the rights page {digest} is not what the member file names")
        return data

    def _sign(self, statement: MemberStatement, key: Ed25519Key) -> Submission:
        envelope = sign_statement(statement, key)
        self._file = verify_member_file(envelope)
        self.key = key
        replace_file(self._directory / "member-file.json", envelope)
        return self.submission()
