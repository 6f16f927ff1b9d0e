"""The member's side: writing its member file and rights pages, signing them, changing its key.

Pure functions from one statement to the next; whoever calls them holds the member key and sends the result to the
registry. Rights of a service are edited as a whole (`ServiceRights`) and cut into pages of at most 16 KiB, so that a
change touches one page.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import msgspec

from qaztech.core.errors import Conflict, NotFound
from qaztech.core.ids import MemberId, NodeId, ServiceId, SubsystemId
from qaztech.core.rights import Endpoint
from qaztech.evidence.note import VerifierKey
from qaztech.registry.configuration import ServiceType
from qaztech.registry.forms import Names, encode
from qaztech.registry.member_file import (
    MAX_PAGE,
    TYPE,
    Closed,
    KeyChange,
    LogLine,
    MemberStatement,
    NodeLine,
    PageReference,
    ServiceLine,
    SubsystemLine,
    key_change_text,
)
from qaztech.registry.rights_page import (
    TYPE as PAGE_TYPE,
)
from qaztech.registry.rights_page import (
    GroupMember,
    Right,
    RightsPage,
    format_rights_page,
    page_reference,
)
from qaztech.trust.envelope import key_id
from qaztech.trust.keys import Ed25519Key

LIFETIME = 365 * 24 * 3600 * 1000


def new_statement(member: MemberId, key: bytes, names: Names, now: int) -> MemberStatement:
    """The first statement of a member whose first key this is (32 bytes): version 1, with nothing in it yet."""
    return MemberStatement(
        type=TYPE,
        version=1,
        member=str(member),
        lineage=key_id(key),
        key=b64encode(key).decode(),
        key_history=(),
        names=names,
        issued=now,
        expires=now + LIFETIME,
        nodes=(),
        logs=(),
        subsystems=(),
        services=(),
    )


def revise(statement: MemberStatement, now: int, **changes: Any) -> MemberStatement:
    """The next version, with these fields changed, valid for a year from now."""
    changes = {"version": statement.version + 1, "issued": now, "expires": now + LIFETIME} | changes
    return msgspec.structs.replace(statement, **changes)


def rotate_key(statement: MemberStatement, old: Ed25519Key, new: bytes, now: int) -> MemberStatement:
    """The next version under a new key (32 bytes), introduced by the present one; sign the file with the new key."""
    from_, to = b64encode(old.public).decode(), b64encode(new).decode()
    if from_ != statement.key:
        raise Conflict("member-file.key", "this is not the member's present key", at="caller")
    version = statement.version + 1
    signature = old.sign(key_change_text(statement.member, version, from_, to))
    change = KeyChange(from_=from_, to=to, version=version, signature=b64encode(signature).decode())
    return revise(statement, now, key=to, key_history=(*statement.key_history, change))


def with_node(
    statement: MemberStatement, node: NodeId, address: str, tls: bytes, next_tls: bytes | None = None
) -> MemberStatement:
    """A node added, or changed; `tls` is the SHA-256 of its TLS key (SPKI). Same version: `revise` last.

    `next_tls` is the key that it will change to; until it has, both are named.
    """
    keys = [b64encode(key).decode() for key in (tls, next_tls) if key is not None]
    lines = [NodeLine(id=str(node), address=address, tls=key) for key in keys]
    others = tuple(n for n in statement.nodes if n.id != str(node))
    return msgspec.structs.replace(statement, nodes=(*others, *lines))


def without_node(statement: MemberStatement, node: NodeId, until: int) -> MemberStatement:
    """A node that speaks for the member no more, and whose logs do so until a moment; what they hold stays theirs.

    Raises `NotFound` where the file names no such node.
    """
    kept = tuple(n for n in statement.nodes if n.id != str(node))
    if len(kept) == len(statement.nodes):
        raise NotFound("node.unnamed", f"the member file names no node {node}", at="caller")
    logs = tuple(
        msgspec.structs.replace(line, until=max(until, line.from_))
        if line.node == str(node) and (line.until is None or line.until > until)
        else line
        for line in statement.logs
    )
    return msgspec.structs.replace(statement, nodes=kept, logs=logs)


def with_log(
    statement: MemberStatement,
    node: NodeId,
    keys: Sequence[VerifierKey],
    from_: int,
    *,
    continues: str | None = None,
) -> MemberStatement:
    """A log that speaks for the member from a moment on; `keys` are Ed25519, then perhaps ML-DSA-44."""
    line = LogLine(
        origin=keys[0].name,
        node=str(node),
        vkeys=tuple(map(str, keys)),
        # Witnesses tell time in whole seconds: what they cosign in the second in which the log begins counts too.
        from_=from_ // 1000 * 1000,
        until=None,
        closed=None,
        continues=continues,
    )
    return msgspec.structs.replace(statement, logs=(*statement.logs, line))


def reopen_log(statement: MemberStatement, origin: str) -> MemberStatement:
    """A log that speaks for the member again, whose node it had left. One that is closed stays so."""
    logs = tuple(
        msgspec.structs.replace(line, until=None) if line.origin == origin and line.closed is None else line
        for line in statement.logs
    )
    return msgspec.structs.replace(statement, logs=logs)


def close_log(
    statement: MemberStatement, origin: str, *, until: int, closed: tuple[int, bytes] | None = None
) -> MemberStatement:
    """A log that speaks for the member no more; `closed` is its last witnessed size and root."""
    end = Closed(size=closed[0], root=b64encode(closed[1]).decode()) if closed else None
    if all(line.origin != origin for line in statement.logs):
        raise NotFound("log.unknown", f"the member file names no log {origin}", at="caller")
    logs = [
        msgspec.structs.replace(line, until=until, closed=end) if line.origin == origin else line
        for line in statement.logs
    ]
    return msgspec.structs.replace(statement, logs=tuple(logs))


def with_subsystem(statement: MemberStatement, subsystem: SubsystemId, names: Names) -> MemberStatement:
    """A subsystem added, or renamed."""
    line = SubsystemLine(code=str(subsystem).rpartition("/")[2], names=names)
    others = tuple(s for s in statement.subsystems if s.code != line.code)
    return msgspec.structs.replace(statement, subsystems=(*others, line))


def with_service(
    statement: MemberStatement,
    service: ServiceId,
    names: Names,
    *,
    type_: ServiceType = "REST",
    disabled: str | None = None,
    rights: Sequence[PageReference] = (),
) -> MemberStatement:
    """A service added, or changed, with the rights pages that hold for it."""
    line = ServiceLine(id=str(service), type=type_, names=names, disabled=disabled, rights=tuple(rights))
    others = tuple(s for s in statement.services if s.id != line.id)
    return msgspec.structs.replace(statement, services=(*others, line))


def with_rights(statement: MemberStatement, service: ServiceId, rights: Sequence[PageReference]) -> MemberStatement:
    """Other rights pages for a service."""
    if all(line.id != str(service) for line in statement.services):
        raise NotFound("service.unknown", f"the member file names no service {service}", at="caller")
    services = [
        msgspec.structs.replace(line, rights=tuple(rights)) if line.id == str(service) else line
        for line in statement.services
    ]
    return msgspec.structs.replace(statement, services=tuple(services))


class CutPage(NamedTuple):
    """A rights page ready to send: how the member file names it, and its bytes."""

    reference: PageReference
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceRights:
    """Everyone's rights to one service, however many pages they fill."""

    service: ServiceId
    groups: Mapping[str, tuple[GroupMember, ...]] = field(default_factory=dict)
    rights: tuple[Right, ...] = ()

    @classmethod
    def of(cls, service: ServiceId, pages: Iterable[RightsPage]) -> ServiceRights:
        """The rights that these pages, all pages of a service, amount to."""
        groups: dict[str, tuple[GroupMember, ...]] = {}
        rights: dict[Right, None] = {}
        for page in pages:
            for name, members in page.groups.items():
                groups[name] = (*groups.get(name, ()), *members)
            rights.update(dict.fromkeys(page.rights))
        return cls(service=service, groups=groups, rights=tuple(rights))

    def grant(
        self, client: SubsystemId, lineage: str, endpoints: Iterable[Endpoint], until: int | None = None
    ) -> ServiceRights:
        """A right for one client, whose member has this lineage; it takes the place of the client's earlier ones."""
        right = Right(
            client=str(client), group=None, lineage=lineage, endpoints=tuple(map(str, endpoints)), until=until
        )
        return replace(self, rights=(*self.revoke(client).rights, right))

    def revoke(self, client: SubsystemId) -> ServiceRights:
        """Without the rights of one client; those it has through a group stay."""
        return replace(self, rights=tuple(r for r in self.rights if r.client != str(client)))

    def grant_group(self, group: str, endpoints: Iterable[Endpoint], until: int | None = None) -> ServiceRights:
        """A right for everyone in a group, present and future."""
        right = Right(client=None, group=group, lineage=None, endpoints=tuple(map(str, endpoints)), until=until)
        kept = tuple(r for r in self.rights if r.group != group)
        return replace(self, groups={**self.groups, group: self.groups.get(group, ())}, rights=(*kept, right))

    def revoke_group(self, group: str) -> ServiceRights:
        """Without the right of a group, and without the group."""
        groups = {name: members for name, members in self.groups.items() if name != group}
        return replace(self, groups=groups, rights=tuple(r for r in self.rights if r.group != group))

    def join(self, group: str, client: SubsystemId, lineage: str) -> ServiceRights:
        """A client into a group."""
        members = (*self.leave(group, client).groups.get(group, ()), GroupMember(client=str(client), lineage=lineage))
        return replace(self, groups={**self.groups, group: tuple(sorted(members, key=lambda m: m.client))})

    def leave(self, group: str, client: SubsystemId) -> ServiceRights:
        """A client out of a group."""
        members = tuple(m for m in self.groups.get(group, ()) if m.client != str(client))
        return replace(self, groups={**self.groups, group: members})

    def pages(self, version: int, before: Mapping[str, RightsPage] | None = None) -> list[CutPage]:
        """Cut into pages for a version of the member file.

        `before` are the pages in force by their `first`: a page that says the same stays as it is.
        """
        before = before or {}
        clients = sorted(
            {r.client for r in self.rights if r.client} | {m.client for g in self.groups.values() for m in g}
        )
        firsts = sorted(before) or [""]
        cut: list[CutPage] = []
        for first, end in zip(firsts, [*firsts[1:], None], strict=True):
            covered = [c for c in clients if c >= first and (end is None or c < end)]
            cut += self._cut(first, covered, version, before.get(first))
        return cut

    def _cut(self, first: str, clients: list[str], version: int, before: RightsPage | None) -> list[CutPage]:
        page = self._page(set(clients), version, keep_empty=not first)
        if before is not None and (before.groups, before.rights) == (page.groups, page.rights):
            page = before
        if len(encode(page)) > MAX_PAGE and len(clients) > 1:
            middle = len(clients) // 2
            head = self._cut(first, clients[:middle], version, before)
            return [*head, *self._cut(clients[middle], clients[middle:], version, before)]
        data = format_rights_page(page)
        return [CutPage(page_reference(data, first), data)]

    def _page(self, clients: set[str], version: int, *, keep_empty: bool) -> RightsPage:
        groups = {
            name: tuple(m for m in members if m.client in clients) for name, members in sorted(self.groups.items())
        }
        # A group nobody is in yet stays known by the first page.
        groups = {name: members for name, members in groups.items() if members or keep_empty}
        rights = tuple(r for r in self.rights if r.client in clients or r.group in groups)
        return RightsPage(type=PAGE_TYPE, service=str(self.service), version=version, groups=groups, rights=rights)
