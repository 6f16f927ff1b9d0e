"""The verified configuration a node decides by: immutable, in memory, every look-up a dictionary's.

It is built from one snapshot of the registry and the member files and rights pages that go with it, all verified
before (`client`, or `excerpt` for a snapshot of the past). Whatever cannot be trusted is simply not in it: suspended
members, revoked TLS keys, files of a lineage that was not pinned. Pure; no disk, no network, no clock.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from qaztech.core.errors import Unavailable
from qaztech.core.ids import MemberId, NodeId, ServiceId, SubsystemId
from qaztech.core.rights import Endpoint
from qaztech.evidence.note import VerifierKey
from qaztech.registry.directory import (
    AdminLogLine,
    InstanceFile,
    InstanceSettings,
    Listed,
    Listing,
    LogsFile,
    open_keys,
)
from qaztech.registry.forms import Names, bytes32
from qaztech.registry.member_file import Closed, LogLine, MemberFile, NodeLine, ServiceLine
from qaztech.registry.rights_page import RightsPage, RightsTable

# A peer may have followed the registry further than this node has, by so many publications.
AHEAD = 1000
ServiceType = Literal["REST", "OPENAPI"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A member whose file this node trusts."""

    id: MemberId
    lineage: str
    version: int
    names: Names
    subsystems: Mapping[str, Names]
    issued: int
    expires: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeEntry:
    """A node: where it listens, its TLS key, the members that let it speak for them, and its open logs, latest last.

    While it changes its TLS key it has two.
    """

    id: NodeId
    address: str
    keys: tuple[bytes, ...]
    members: frozenset[MemberId]
    origins: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """A log: whose node writes it, its keys, and for which members it speaks from when until when."""

    origin: str
    node: NodeId
    keys: tuple[VerifierKey, ...]
    from_: int
    until: int | None
    closed: Closed | None
    continues: str | None
    claims: Mapping[MemberId, tuple[int, int | None]]

    @property
    def members(self) -> frozenset[MemberId]:
        """The members it speaks for, at whatever time."""
        return frozenset(self.claims)

    def speaks_for(self, member: MemberId, at: int) -> bool:
        """Whether it speaks for a member at a moment (milliseconds)."""
        claim = self.claims.get(member)
        if claim is None:
            return False
        from_, until = claim
        return self.from_ <= at and from_ <= at and all(end is None or at < end for end in (self.until, until))


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service: what kind it is, whether it is switched off, and the rights to it as far as they are at hand."""

    id: ServiceId
    type: ServiceType
    names: Names
    disabled: str | None
    provider: Member
    firsts: tuple[str, ...]
    tables: tuple[RightsTable | None, ...]

    def table(self, client: str) -> RightsTable | None:
        """The rights page that covers a client; None where there is none or it was not fetched."""
        index = bisect_right(self.firsts, client) - 1
        return self.tables[index] if index >= 0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A service as `listMethods` and `allowedMethods` show it."""

    code: str
    type: ServiceType
    endpoints: tuple[Endpoint, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Configuration:
    """One verified view of the country. `expires` is when the first of what it was built from does."""

    instance: str
    snapshot_version: int
    snapshot_hash: str
    expires: int
    settings: InstanceSettings | None = None
    # Hashes of earlier snapshots that this node verified, by version.
    earlier: Mapping[int, str] = field(default_factory=dict, repr=False)
    authorities: tuple[str, ...] = ()
    # The registry's admin logs, for those who asked for them: witnesses, the portal.
    admin_logs: tuple[AdminLogLine, ...] = ()
    _members: Mapping[MemberId, Member] = field(repr=False)
    _clients: Mapping[SubsystemId, tuple[str, str]] = field(repr=False)
    _services: Mapping[ServiceId, Service] = field(repr=False)
    _by_subsystem: Mapping[SubsystemId, tuple[Service, ...]] = field(repr=False)
    _nodes: Mapping[MemberId, tuple[NodeEntry, ...]] = field(repr=False)
    _by_tls: Mapping[bytes, NodeEntry] = field(repr=False)
    _logs: Mapping[str, LogEntry] = field(repr=False)
    _directory: tuple[Listed, ...] = field(repr=False)

    @property
    def snapshot_text(self) -> str:
        """The snapshot as records name it: version and hash."""
        return f"{self.snapshot_version} {self.snapshot_hash}"

    def contradicts(self, snapshot: str) -> bool:
        """Whether no such snapshot can have been, as far as this node knows: a record that names it proves nothing."""
        version, _, digest = snapshot.partition(" ")
        number = int(version)
        known = self.snapshot_hash if number == self.snapshot_version else self.earlier.get(number)
        return (known is not None and known != digest) or number > self.snapshot_version + AHEAD

    def usable(self, now: int) -> bool:
        """Whether it may still be decided by."""
        return now < self.expires

    def check(self, now: int) -> None:
        """Raise `Unavailable` once it has expired."""
        if now >= self.expires:
            raise Unavailable("configuration.expired", "the configuration has expired and no newer one is at hand")

    def member(self, member: MemberId) -> Member | None:
        """A member whose file is at hand and trusted."""
        return self._members.get(member)

    def known(self) -> Iterable[Member]:
        """Every member whose file is at hand and trusted."""
        return self._members.values()

    def is_subsystem(self, subsystem: SubsystemId) -> bool:
        """Whether its member has declared this subsystem."""
        return subsystem in self._clients

    def service(self, service: ServiceId) -> Service | None:
        """A service by identifier."""
        return self._services.get(service)

    def authorise(self, client: SubsystemId, service: ServiceId, method: str, path: str, now: int) -> Endpoint | None:
        """The endpoint of the right that covers a call; None where no right does.

        The right must name the lineage that this node knows the client's member by.
        """
        found = self._services.get(service)
        who = self._clients.get(client)
        if found is None or who is None or found.disabled is not None:
            return None
        name, lineage = who
        table = found.table(name)
        return table.authorise(name, lineage, method, path, now) if table is not None else None

    def gives(self, client: SubsystemId, service: ServiceId, endpoint: Endpoint, now: int) -> bool:
        """Whether a right that is in force gives a client this very endpoint."""
        found, who = self._services.get(service), self._clients.get(client)
        if found is None or who is None or found.disabled is not None:
            return False
        table = found.table(who[0])
        return table is not None and table.gives(*who, endpoint, now)

    def log(self, origin: str) -> LogEntry | None:
        """A log by its origin."""
        return self._logs.get(origin)

    def admin_log_keys(self, origin: str) -> tuple[VerifierKey, ...]:
        """The keys of the registry's admin log that is written now, by its origin; none for any other log."""
        return open_keys(self.admin_logs, origin)

    def logs(self) -> Iterable[LogEntry]:
        """Every log of every member at hand."""
        return self._logs.values()

    def node_by_tls(self, spki_hash: bytes) -> NodeEntry | None:
        """The node with this TLS key (SHA-256 of SPKI), unless revoked."""
        return self._by_tls.get(spki_hash)

    def nodes_of(self, member: MemberId) -> tuple[NodeEntry, ...]:
        """The nodes that serve a member, in its order of preference."""
        return self._nodes.get(member, ())

    def members(self) -> tuple[Listed, ...]:
        """The directory, for `listClients`."""
        return self._directory

    def methods(self, subsystem: SubsystemId) -> tuple[Method, ...]:
        """The services of a subsystem, with every endpoint that some right names, for `listMethods`."""
        return tuple(_method(s, _all_endpoints(s)) for s in self._by_subsystem.get(subsystem, ()))

    def allowed(self, subsystem: SubsystemId, client: SubsystemId, now: int) -> tuple[Method, ...]:
        """The services of a subsystem that a client may call, with what it may call, for `allowedMethods`."""
        who = self._clients.get(client)
        if who is None:
            return ()
        found = []
        for service in self._by_subsystem.get(subsystem, ()):
            table = service.table(who[0])
            endpoints = table.endpoints(*who, now) if table is not None else []
            if endpoints:
                found.append(_method(service, endpoints))
        return tuple(found)


def build_configuration(
    *,
    instance: str,
    snapshot: tuple[int, str],
    expires: int,
    files: Iterable[MemberFile],
    pages: Mapping[str, RightsPage],
    listing: Listing | None,
    instance_file: InstanceFile | None,
    earlier: Mapping[int, str] | None = None,
    logs_file: LogsFile | None = None,
) -> Configuration:
    """Put the view together. `files` come in order of trust: where two claim one TLS key or log, the first has it.

    `pages` are by hash; a page that is not among them grants nothing.
    """
    found = list(files)
    members = {f.member: _member(f) for f in found}
    clients = {
        SubsystemId(m.id, code): (str(SubsystemId(m.id, code)), m.lineage)
        for m in members.values()
        for code in m.subsystems
    }
    services = {s.id: s for f in found for s in _services(f, members[f.member], pages)}
    by_subsystem: dict[SubsystemId, list[Service]] = {}
    for service in services.values():
        by_subsystem.setdefault(service.id.subsystem, []).append(service)
    revoked = frozenset(instance_file.revoked_tls) if instance_file else frozenset()
    logs = _logs(found)
    nodes, by_tls = _nodes(found, logs, revoked)
    return Configuration(
        instance=instance,
        snapshot_version=snapshot[0],
        snapshot_hash=snapshot[1],
        expires=expires,
        settings=instance_file.settings if instance_file else None,
        earlier=MappingProxyType(dict(earlier or {})),
        authorities=instance_file.authorities if instance_file else (),
        admin_logs=logs_file.admin if logs_file else (),
        _members=MappingProxyType(members),
        _clients=MappingProxyType(clients),
        _services=MappingProxyType(services),
        _by_subsystem=MappingProxyType({k: tuple(v) for k, v in by_subsystem.items()}),
        _nodes=MappingProxyType(nodes),
        _by_tls=MappingProxyType(by_tls),
        _logs=MappingProxyType(logs),
        _directory=listing.members if listing else (),
    )


def _member(file: MemberFile) -> Member:
    statement = file.statement
    codes = {SubsystemId.parse(f"{statement.member}/{s.code}").code: s.names for s in statement.subsystems}
    return Member(
        id=file.member,
        lineage=file.lineage,
        version=file.version,
        names=statement.names,
        subsystems=MappingProxyType(codes),
        issued=statement.issued,
        expires=statement.expires,
    )


def _services(file: MemberFile, provider: Member, pages: Mapping[str, RightsPage]) -> Iterable[Service]:
    for line in file.statement.services:
        yield Service(
            id=ServiceId.parse(line.id),
            type=line.type,
            names=line.names,
            disabled=line.disabled,
            provider=provider,
            firsts=tuple(r.first for r in line.rights),
            tables=tuple(_table(line, pages.get(r.sha256)) for r in line.rights),
        )


def _table(line: ServiceLine, page: RightsPage | None) -> RightsTable | None:
    # A page is for the service it names, whoever else points at it.
    return RightsTable(page) if page is not None and page.service == line.id else None


def _logs(files: list[MemberFile]) -> dict[str, LogEntry]:
    lines: dict[str, tuple[NodeId, LogLine]] = {}
    claims: dict[str, dict[MemberId, tuple[int, int | None]]] = {}
    for file in files:
        for line in file.statement.logs:
            owner = NodeId.parse(line.node)
            if owner.member == file.member and line.origin not in lines:
                lines[line.origin] = (owner, line)
    for file in files:
        for line in file.statement.logs:
            node, own = lines.get(line.origin, (None, None))
            # A member served by another's node says so; the node's owner must say the same of its log.
            if node is None or own is None or (own.node, own.vkeys) != (line.node, line.vkeys):
                continue
            claims.setdefault(line.origin, {})[file.member] = (line.from_, line.until)
    return {
        origin: LogEntry(
            origin=origin,
            node=node,
            keys=tuple(map(VerifierKey.parse, line.vkeys)),
            from_=line.from_,
            until=line.until,
            closed=line.closed,
            continues=line.continues,
            claims=MappingProxyType(claims.get(origin, {})),
        )
        for origin, (node, line) in lines.items()
    }


def _nodes(
    files: list[MemberFile], logs: Mapping[str, LogEntry], revoked: frozenset[str]
) -> tuple[dict[MemberId, tuple[NodeEntry, ...]], dict[bytes, NodeEntry]]:
    owned: dict[str, list[NodeLine]] = {}
    taken: set[str] = set()
    for file in files:
        for line in file.statement.nodes:
            if NodeId.parse(line.id).member == file.member and line.tls not in taken and line.tls not in revoked:
                owned.setdefault(line.id, []).append(line)
                taken.add(line.tls)
    served: dict[str, set[MemberId]] = {}
    for file in files:
        for line in file.statement.nodes:
            if any(own.tls == line.tls for own in owned.get(line.id, ())):
                served.setdefault(line.id, set()).add(file.member)
    open_logs: dict[str, list[LogEntry]] = {}
    for log in logs.values():
        if log.closed is None:
            open_logs.setdefault(str(log.node), []).append(log)
    entries = {
        id_: NodeEntry(
            id=NodeId.parse(id_),
            address=lines[-1].address,
            keys=tuple(bytes32(line.tls, "member-file.malformed", "TLS key hash") for line in lines),
            members=frozenset(served[id_]),
            origins=tuple(log.origin for log in sorted(open_logs.get(id_, ()), key=lambda log: log.from_)),
        )
        for id_, lines in owned.items()
    }
    nodes = {}
    for file in files:
        ids = dict.fromkeys(n.id for n in file.statement.nodes if n.id in entries)
        nodes[file.member] = tuple(entries[id_] for id_ in ids if file.member in entries[id_].members)
    return nodes, {key: entry for entry in entries.values() for key in entry.keys}


def _method(service: Service, endpoints: Iterable[Endpoint]) -> Method:
    return Method(code=service.id.code, type=service.type, endpoints=tuple(endpoints))


def _all_endpoints(service: Service) -> list[Endpoint]:
    found = {endpoint for table in service.tables if table is not None for endpoint in table.every_endpoint()}
    return sorted(found, key=str)
