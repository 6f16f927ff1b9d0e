"""Writing member files and rights pages: cut small, changed in one place, the same on every run."""

from __future__ import annotations

import pytest

from qaztech.core.errors import Malformed, NotFound
from qaztech.core.ids import MemberId, ServiceId, SubsystemId
from qaztech.core.rights import Endpoint
from qaztech.registry.authoring import ServiceRights, with_rights, with_subsystem
from qaztech.registry.member_file import MAX_PAGE, sign_statement, verify_member_file
from qaztech.registry.rights_page import (
    GroupMember,
    Right,
    RightsPage,
    RightsTable,
    format_rights_page,
    page_for,
    parse_rights_page,
)
from registry_country import Country, names

PROVIDER = MemberId("KZ", "GOV", "991340000017")
SERVICE = ServiceId(SubsystemId(PROVIDER, "main"), "countries")
GET = Endpoint.parse("GET /**")
LINEAGE = "ab" * 32


def client(number: int) -> SubsystemId:
    """One of many callers."""
    return SubsystemId(MemberId("KZ", "COM", f"{number:012d}"), "main")


def crowd(count: int) -> ServiceRights:
    """Rights for so many clients, each in a group too."""
    rights = ServiceRights(service=SERVICE).grant_group("all", [Endpoint.parse("HEAD /")])
    members = tuple(GroupMember(client=str(client(n)), lineage=LINEAGE) for n in range(count))
    granted = tuple(
        Right(client=str(client(n)), group=None, lineage=LINEAGE, endpoints=("GET /**",), until=None)
        for n in range(count)
    )
    return ServiceRights(service=SERVICE, groups={"all": members}, rights=(*rights.rights, *granted))


def test_many_clients_are_cut_into_pages_that_cover_all() -> None:
    """Each page fits, they rise by their first client, and every client finds its rights on its page."""
    pages = crowd(500).pages(1)
    assert len(pages) > 4
    assert all(len(page.data) <= MAX_PAGE for page in pages)
    references = [page.reference for page in pages]
    assert references[0].first == ""
    assert [r.first for r in references] == sorted({r.first for r in references})
    tables = {page.reference.sha256: RightsTable(parse_rights_page(page.data)) for page in pages}
    for number in range(500):
        name = str(client(number))
        found = page_for(references, name)
        assert found is not None
        assert tables[found.sha256].authorise(name, LINEAGE, "GET", "/x", 0) == GET
        assert tables[found.sha256].authorise(name, LINEAGE, "HEAD", "/", 0) == Endpoint.parse("HEAD /")


def test_a_change_touches_one_page() -> None:
    """A right given to one of many leaves the other pages as they were, byte for byte."""
    rights = crowd(500)
    before = {page.reference.first: parse_rights_page(page.data) for page in rights.pages(1)}
    old = {page.reference.sha256 for page in rights.pages(1)}
    changed = rights.grant(client(250), LINEAGE, [Endpoint.parse("POST /x")]).pages(2, before)
    new = [page for page in changed if page.reference.sha256 not in old]
    assert len(new) == 1
    assert parse_rights_page(new[0].data).version == 2
    assert [page.reference for page in rights.pages(9, before)] == [page.reference for page in rights.pages(1)]


def test_pages_read_back_are_the_rights_they_were_cut_from() -> None:
    """Cutting and joining is no change."""
    rights = crowd(300)
    pages = [parse_rights_page(page.data) for page in rights.pages(1)]
    again = ServiceRights.of(SERVICE, pages)
    assert again.groups == rights.groups
    assert set(again.rights) == set(rights.rights)
    assert [p.reference for p in again.pages(1)] == [p.reference for p in rights.pages(1)]


def test_rights_are_given_and_taken() -> None:
    """A grant replaces the client's earlier one; groups are joined and left; an empty group is remembered."""
    rights = ServiceRights(service=SERVICE).grant_group("g", [GET], until=100)
    assert ServiceRights.of(SERVICE, [parse_rights_page(p.data) for p in rights.pages(1)]).groups == {"g": ()}
    rights = rights.join("g", client(2), LINEAGE).join("g", client(1), LINEAGE).join("g", client(1), LINEAGE)
    assert [m.client for m in rights.groups["g"]] == [str(client(1)), str(client(2))]
    table = RightsTable(parse_rights_page(rights.pages(1)[0].data))
    assert table.authorise(str(client(1)), LINEAGE, "GET", "/x", 99) == GET
    assert table.authorise(str(client(1)), LINEAGE, "GET", "/x", 100) is None
    assert table.authorise(str(client(1)), "cd" * 32, "GET", "/x", 99) is None
    assert table.endpoints(str(client(2)), LINEAGE, 99) == [GET]
    assert rights.leave("g", client(1)).groups["g"] == rights.groups["g"][1:]
    rights = rights.grant(client(3), LINEAGE, [GET]).grant(client(3), LINEAGE, [Endpoint.parse("PUT /y")])
    assert [r.endpoints for r in rights.rights if r.client] == [("PUT /y",)]
    assert [r.client for r in rights.revoke(client(3)).rights] == [None]


@pytest.mark.parametrize(
    "page",
    [
        {"type": "qaztech-rights-page 2"},
        {"service": "KZ/GOV/1"},
        {"version": 0},
        {"groups": {"": ()}},
        {"groups": {"b": (), "a": ()}},
        {"groups": {"g": (GroupMember(client="x", lineage=LINEAGE),)}},
        {"groups": {"g": (GroupMember(client=str(client(1)), lineage="x"),)}},
        {"rights": (Right(client=None, group=None, lineage=None, endpoints=("GET /",), until=None),)},
        {"rights": (Right(client=None, group="g", lineage=None, endpoints=("GET /",), until=None),)},
        {"rights": (Right(client=str(client(1)), group=None, lineage=None, endpoints=("GET /",), until=None),)},
        {"rights": (Right(client="KZ//1/2", group=None, lineage=LINEAGE, endpoints=("GET /",), until=None),)},
        {"rights": (Right(client=str(client(1)), group=None, lineage=LINEAGE, endpoints=(), until=None),)},
        {"rights": (Right(client=str(client(1)), group=None, lineage=LINEAGE, endpoints=("GET",), until=None),)},
        {"rights": (Right(client=str(client(1)), group=None, lineage=LINEAGE, endpoints=("GET /",), until=-1),)},
    ],
)
def test_a_page_has_one_form(page: dict[str, object]) -> None:
    """Everything else is malformed when written, and when read."""
    whole = {"type": "qaztech-rights-page 1", "service": str(SERVICE), "version": 1, "groups": {}, "rights": ()}
    with pytest.raises(Malformed):
        format_rights_page(RightsPage(**{**whole, **page}))  # type: ignore[arg-type]


def test_a_file_round_trips(country: Country) -> None:
    """What was written is what is read, in the three languages of the country."""
    desk = country.new_member(1, "provider")
    code = SubsystemId(desk.id, "тізілім")
    desk.statement = with_subsystem(desk.statement, code, names("Қазақша «тізілім»"))
    file = verify_member_file(desk.file())
    assert file.statement == desk.statement
    assert (file.lineage, file.version, file.member) == (desk.lineage, 1, desk.id)
    assert sign_statement(file.statement, desk.key) == desk.file()
    with pytest.raises(NotFound):
        with_rights(desk.statement, SERVICE, [])
