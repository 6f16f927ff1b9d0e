"""The catalogue: members, systems and services as their own signed files describe them, for people who look for one.

Everything here comes from member files and rights pages that were verified before (`survey`). A member that is
suspended, or whose file cannot be trusted, is not in it. Pure: no disk, no network, no clock. Not here: searching
(`search`), and any decision about a call, which nodes make from a `Configuration`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from qaztech.core.ids import MemberId, NodeId, ServiceId, SubsystemId
from qaztech.registry.configuration import Configuration, LogEntry, NodeEntry, ServiceType
from qaztech.registry.forms import Names
from qaztech.registry.maintenance import Maintenance
from qaztech.registry.member_file import MemberFile, MemberStatement, ServiceLine
from qaztech.registry.passport import Passport
from qaztech.registry.rights_page import Right, RightsPage
from qaztech.registry.showcase import Showcase, ShownService

MAX_ENDPOINTS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A system that may call a service: what, until when (milliseconds), and by which group if by one."""

    client: SubsystemId
    endpoints: tuple[str, ...]
    until: int | None
    group: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueService:
    """A service as its provider signed for it. `disabled` is the notice of one that is switched off."""

    id: ServiceId
    type: ServiceType
    names: Names
    disabled: str | None
    pages: tuple[RightsPage, ...] = field(repr=False)
    endpoints: tuple[str, ...] = ()
    """Every endpoint that some right names, by path and method; at most `MAX_ENDPOINTS`."""
    shown: ShownService | None = None
    """What the member's showcase shows of it."""

    @property
    def passport(self) -> Passport | None:
        """Its passport, where the member shows one."""
        return self.shown.passport if self.shown is not None else None

    def planned(self, now: int) -> Maintenance | None:
        """Its maintenance, until that is over."""
        found = self.shown.maintenance if self.shown is not None else None
        return found if found is not None and now < found.end else None

    @property
    def shown_names(self) -> Names:
        """Its names for people: of the passport, else of the member file."""
        return self.names if self.shown is None else self.shown.passport.names

    @property
    def member(self) -> MemberId:
        """Whose service it is."""
        return self.id.subsystem.member


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueMember:
    """An organisation: its systems and services by code, its nodes, and since when (milliseconds) its logs speak."""

    id: MemberId
    lineage: str
    version: int
    names: Names
    subsystems: Mapping[SubsystemId, Names]
    services: tuple[ServiceId, ...]
    nodes: tuple[NodeId, ...]
    since: int
    shown: int | None = None
    """When its showcase was signed, in milliseconds; None where it has none."""


class Source(NamedTuple):
    """What a member's services are made from: its file, its showcase, and how many of its pages were at hand."""

    file: str
    showcase: str
    pages: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Catalogue:
    """Everyone and everything in one verified snapshot of the registry. `refused` says what could not be trusted."""

    configuration: Configuration = field(repr=False)
    """Members, nodes and logs; services are here and not in it."""
    members: Mapping[MemberId, CatalogueMember] = field(repr=False)
    services: Mapping[ServiceId, CatalogueService] = field(repr=False)
    calls: Mapping[str, Sequence[ServiceId]] = field(repr=False)
    """Which services a system may call, where a right names it; by the system's identifier."""
    refused: tuple[str, ...] = ()
    sources: Mapping[MemberId, Source] = field(default_factory=dict, repr=False)
    """What each member's services were made from."""

    def callers(self, service: CatalogueService, now: int) -> Iterator[Caller]:
        """Who may call a service at this moment; rights of a lineage that is not the client's own are no rights."""
        for page in service.pages:
            for right in page.rights:
                if right.until is not None and right.until <= now:
                    continue
                for client, lineage in _holders(page, right):
                    known = self.members.get(client.member)
                    if known is not None and known.lineage == lineage:
                        yield Caller(client=client, endpoints=right.endpoints, until=right.until, group=right.group)

    def logs_of(self, member: MemberId) -> list[LogEntry]:
        """The logs that speak, or spoke, for a member, oldest first."""
        return sorted((log for log in self.configuration.logs() if member in log.members), key=lambda log: log.from_)

    def nodes_of(self, member: MemberId) -> tuple[NodeEntry, ...]:
        """The nodes that serve a member."""
        return self.configuration.nodes_of(member)


def build_catalogue(
    configuration: Configuration,
    files: Iterable[MemberFile],
    pages: Mapping[str, RightsPage],
    *,
    showcases: Mapping[MemberId, Showcase] | None = None,
    refused: Iterable[str] = (),
    before: Catalogue | None = None,
) -> Catalogue:
    """Put the catalogue together from verified files, and pages by hash.

    What has not changed since the catalogue `before` is taken from it.
    """
    members: dict[MemberId, CatalogueMember] = {}
    services: dict[ServiceId, CatalogueService] = {}
    sources: dict[MemberId, Source] = {}
    for file in files:
        showcase = (showcases or {}).get(file.member)
        references = (r.sha256 for line in file.statement.services for r in line.rights)
        source = Source(
            file.digest, showcase.digest if showcase is not None else "", sum(r in pages for r in references)
        )
        if before is not None and before.sources.get(file.member) == source:
            mine = [before.services[id_] for id_ in before.members[file.member].services]
        else:
            shown = {one.id: one for one in showcase.statement.services} if showcase is not None else {}
            mine = [_service(line, pages, shown.get(line.id)) for line in file.statement.services]
        services.update((service.id, service) for service in mine)
        issued = showcase.statement.issued if showcase is not None else None
        members[file.member] = _member(file, configuration, [service.id for service in mine], issued)
        sources[file.member] = source
    return Catalogue(
        configuration=configuration,
        members=MappingProxyType(members),
        services=MappingProxyType(services),
        calls=MappingProxyType(_calls(services.values())),
        refused=tuple(refused),
        sources=MappingProxyType(sources),
    )


def _service(line: ServiceLine, pages: Mapping[str, RightsPage], shown: ShownService | None) -> CatalogueService:
    found = (pages.get(reference.sha256) for reference in line.rights)
    mine = tuple(page for page in found if page is not None and page.service == line.id)
    return CatalogueService(
        id=ServiceId.parse(line.id),
        type=line.type,
        names=line.names,
        disabled=line.disabled,
        pages=mine,
        endpoints=_endpoints(mine),
        shown=shown,
    )


def _endpoints(pages: tuple[RightsPage, ...]) -> tuple[str, ...]:
    found = {endpoint for page in pages for right in page.rights for endpoint in right.endpoints}
    return tuple(sorted(found, key=lambda text: text.partition(" ")[::-1])[:MAX_ENDPOINTS])


def _member(
    file: MemberFile, configuration: Configuration, services: list[ServiceId], shown: int | None
) -> CatalogueMember:
    statement = file.statement
    return CatalogueMember(
        id=file.member,
        lineage=file.lineage,
        version=file.version,
        names=statement.names,
        subsystems=MappingProxyType(
            {SubsystemId.parse(f"{statement.member}/{line.code}"): line.names for line in statement.subsystems}
        ),
        services=tuple(services),
        nodes=tuple(node.id for node in configuration.nodes_of(file.member)),
        since=_since(statement),
        shown=shown,
    )


def _since(statement: MemberStatement) -> int:
    return min((log.from_ for log in statement.logs), default=statement.issued)


def _holders(page: RightsPage, right: Right) -> Iterator[tuple[SubsystemId, str]]:
    if right.client is not None and right.lineage is not None:
        yield SubsystemId.parse(right.client), right.lineage
    else:
        for member in page.groups[right.group or ""]:
            yield SubsystemId.parse(member.client), member.lineage


def _calls(services: Iterable[CatalogueService]) -> dict[str, list[ServiceId]]:
    """By text as rights have it: there may be a million of them."""
    found: dict[str, list[ServiceId]] = {}
    for service in services:
        clients = {right.client for page in service.pages for right in page.rights if right.client is not None}
        clients |= {one.client for page in service.pages for group in page.groups.values() for one in group}
        for client in clients:
            found.setdefault(client, []).append(service.id)
    return found
