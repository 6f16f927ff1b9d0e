"""Rights pages: who may call one service, down to method and path (docs/formats/rights-page.md).

A page is plain JSON whose hash stands in the signed member file, so it carries no signature of its own. Rights name
the client's lineage beside its name: a stranger registered later under the same name inherits nothing. Large sets are
split by client into pages of at most 16 KiB. Pure decisions; nothing here touches disk or network.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from qaztech.core.errors import Error, Malformed
from qaztech.core.ids import ServiceId, SubsystemId
from qaztech.core.rights import Endpoint
from qaztech.registry.forms import (
    MAX_VERSION,
    Form,
    check_hex,
    check_time,
    decode,
    encode,
    malformed,
)
from qaztech.registry.member_file import MAX_PAGE, PageReference

TYPE = "qaztech-rights-page 1"
MAX_ENDPOINTS = 64
_CODE = "rights-page.malformed"


class GroupMember(Form, frozen=True, forbid_unknown_fields=True):
    """A client in a group, and the lineage of its member."""

    client: str
    lineage: str


class Right(Form, frozen=True, forbid_unknown_fields=True):
    """What one client, or every client of one group, may call; until when, if it ends."""

    client: str | None
    group: str | None
    lineage: str | None
    endpoints: tuple[str, ...]
    until: int | None


class RightsPage(Form, frozen=True, forbid_unknown_fields=True):
    """One page of the rights to one service."""

    type: str
    service: str
    version: int
    groups: dict[str, tuple[GroupMember, ...]]
    rights: tuple[Right, ...]


@dataclass(frozen=True, slots=True)
class Grant:
    """One right of one client, ready to decide by."""

    lineage: str
    endpoints: tuple[Endpoint, ...]
    until: int | None


class RightsTable:
    """The rights of one page by client: `authorise` is one look-up and a few pattern matches."""

    __slots__ = ("_grants", "service")

    def __init__(self, page: RightsPage) -> None:
        self.service = page.service
        grants: dict[str, list[Grant]] = {}
        for right in page.rights:
            endpoints = tuple(map(Endpoint.parse, right.endpoints))
            if right.client is not None and right.lineage is not None:
                who = [(right.client, right.lineage)]
            else:
                who = [(m.client, m.lineage) for m in page.groups[right.group or ""]]
            for client, lineage in who:
                grants.setdefault(client, []).append(Grant(lineage, endpoints, right.until))
        self._grants = grants

    def clients(self) -> Iterable[tuple[str, str]]:
        """Every client that has a right here, with the lineage the right names."""
        return ((client, grant.lineage) for client, grants in self._grants.items() for grant in grants)

    def every_endpoint(self) -> Iterable[Endpoint]:
        """All endpoints named here, whoever may call them."""
        return (endpoint for grants in self._grants.values() for grant in grants for endpoint in grant.endpoints)

    def endpoints(self, client: str, lineage: str, now: int) -> list[Endpoint]:
        """All that this client may call at this moment."""
        found = [e for g in self._grants.get(client, ()) if _holds(g, lineage, now) for e in g.endpoints]
        return list(dict.fromkeys(found))

    def gives(self, client: str, lineage: str, endpoint: Endpoint, now: int) -> bool:
        """Whether one of this client's rights names that very endpoint."""
        return any(_holds(g, lineage, now) and endpoint in g.endpoints for g in self._grants.get(client, ()))

    def authorise(self, client: str, lineage: str, method: str, path: str, now: int) -> Endpoint | None:
        """The endpoint that covers the call, the first in the page's order; None where no right does."""
        for grant in self._grants.get(client, ()):
            if _holds(grant, lineage, now):
                for endpoint in grant.endpoints:
                    if endpoint.covers(method, path):
                        return endpoint
        return None


def _holds(grant: Grant, lineage: str, now: int) -> bool:
    return grant.lineage == lineage and (grant.until is None or now < grant.until)


def page_reference(data: bytes, first: str) -> PageReference:
    """How a member file names this page."""
    return PageReference(first=first, sha256=sha256(data).hexdigest(), length=len(data))


def page_for(pages: Sequence[PageReference], client: str) -> PageReference | None:
    """The page that covers a client: the last whose `first` is not after it, by code point."""
    found = None
    for page in pages:
        if page.first > client:
            break
        found = page
    return found


def format_rights_page(page: RightsPage) -> bytes:
    """The page's bytes, which its hash is taken of."""
    data = encode(page)
    parse_rights_page(data)
    return data


def parse_rights_page(data: bytes) -> RightsPage:
    """Read a rights page; raises `Malformed`."""
    page = decode(RightsPage, data, code=_CODE, limit=MAX_PAGE)
    try:
        _check(page)
    except Error as exc:
        raise Malformed(_CODE, exc.detail, at="registry") from exc
    return page


def _check(page: RightsPage) -> None:
    if page.type != TYPE:
        malformed(_CODE, f"the type is not {TYPE!r}")
    if str(ServiceId.parse(page.service)) != page.service or not 1 <= page.version <= MAX_VERSION:
        malformed(_CODE, "the service or the version is not well-formed")
    if list(page.groups) != sorted(page.groups):
        malformed(_CODE, "groups stand in the order of their names")
    for name, members in page.groups.items():
        if not 1 <= len(name) <= 100 or not name.isprintable():
            malformed(_CODE, "a group's name has 1 to 100 printable characters")
        for member in members:
            _check_client(member.client, member.lineage)
    for right in page.rights:
        if right.group is None and right.client is not None and right.lineage is not None:
            _check_client(right.client, right.lineage)
        elif right.client is not None or right.lineage is not None or right.group not in page.groups:
            malformed(_CODE, "a right is given to a client with its lineage, or to a group of this page")
        if not 1 <= len(right.endpoints) <= MAX_ENDPOINTS:
            malformed(_CODE, f"a right has 1 to {MAX_ENDPOINTS} endpoints")
        for endpoint in right.endpoints:
            if str(Endpoint.parse(endpoint)) != endpoint:
                malformed(_CODE, "an endpoint has one spelling")
        if right.until is not None:
            check_time(right.until, _CODE)


def _check_client(client: str, lineage: str) -> None:
    if str(SubsystemId.parse(client)) != client:
        malformed(_CODE, "a client has one spelling")
    check_hex(lineage, _CODE, "lineage")


def empty_page(service: ServiceId, version: int) -> RightsPage:
    """A page by which nobody may call the service."""
    return RightsPage(type=TYPE, service=str(service), version=version, groups={}, rights=())
