"""The routes by which organisations join: open to anyone, believed from nobody, slowed down for who is refused."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256

import pytest
from sqlalchemy import Engine
from starlette.routing import Route

from asgi_caller import Caller
from databases import database_at
from qaztech.core.errors import Error, NotFound
from qaztech.core.rights import Endpoint
from qaztech.registry.applications import JOINING, Applications
from qaztech.registry.authoring import revise, rotate_key, with_rights
from qaztech.registry.directory import showcase_path
from qaztech.registry.enrolments import Enrolments
from qaztech.registry.joining import MAX_REFUSED, Joining
from qaztech.registry.member_file import verify_member_file
from qaztech.registry.passport import new_passport
from qaztech.registry.showcase import ShownService, describe, new_showcase, sign_showcase
from qaztech.runtime.database import open_database
from qaztech.runtime.shell import application
from qaztech.trust.keys import Ed25519Key
from qaztech.trust.national import TestVerifier
from registry_country import Country, MemberDesk


@pytest.fixture
def desk(country: Country) -> MemberDesk:
    """A member that has sent its file."""
    return country.admit(country.new_member(0, "ministry"))


def routes(country: Country, engine: Engine, *, behind_proxy: bool = False) -> list[Route]:
    """The routes of the country's registry."""
    return Joining(
        applications=Applications(
            engine=engine, registry=country.registry, national=TestVerifier([]), clock=country.clock
        ),
        enrolments=Enrolments(engine=engine, registry=country.registry, authority=None, clock=country.clock),
        publisher=country.publisher,
        clock=country.clock,
        behind_proxy=behind_proxy,
    ).routes()


@pytest.fixture
def http(country: Country, desk: MemberDesk) -> Iterator[Caller]:
    """The routes, called from one address."""
    del desk
    engine = open_database(database_at(country.directory / "joining.db"), JOINING)
    yield Caller(application(routes(country, engine)))
    engine.dispose()


def submission(desk: MemberDesk, pages: list[bytes], *, partial: bool = False) -> dict[str, object]:
    encoded = [b64encode(page).decode() for page in pages]
    return {"envelope": b64encode(desk.file()).decode(), "pages": encoded, "partial": partial}


def with_right(country: Country, desk: MemberDesk) -> list[bytes]:
    """The next version of the member's file, which names rights pages; these pages."""
    service = country.add_service(desk, "list")
    desk.rights[service] = desk.rights[service].grant(
        desk.subsystem("main"), desk.lineage, [Endpoint.parse("GET /*")], None
    )
    statement = revise(desk.statement, country.clock.now())
    pages = desk.rights[service].pages(statement.version)
    desk.statement = with_rights(statement, service, [page.reference for page in pages])
    return [page.data for page in pages]


def test_a_file_with_its_pages_is_accepted_from_anyone(http: Caller, country: Country, desk: MemberDesk) -> None:
    """It counts by the member's signature; sent again it is the same."""
    pages = with_right(country, desk)
    for _ in range(2):
        answer = http.post("/members/files", json=submission(desk, pages))
        assert (answer.status_code, answer.json()) == (201, {"id": str(desk.id), "version": desk.statement.version})
    assert country.registry.members()[str(desk.id)][2] == desk.statement.version


def test_what_is_sent_again_is_not_published_again(http: Caller, country: Country, desk: MemberDesk) -> None:
    """Member files are public: who sends one over and over has nothing signed anew, and holds nobody up."""
    assert http.post("/members/files", json=submission(desk, with_right(country, desk))).status_code == 201
    timestamp = next(country.directory.rglob("timestamp.json"))
    before = timestamp.read_bytes()
    country.clock.advance(1000)
    assert http.post("/members/files", json=submission(desk, [])).status_code == 201
    assert timestamp.read_bytes() == before


def test_pages_may_come_before_their_file(http: Caller, country: Country, desk: MemberDesk) -> None:
    """A partial submission keeps pages; the file counts with the last of them."""
    pages = with_right(country, desk)
    assert http.post("/members/files", json=submission(desk, pages, partial=True)).status_code == 201
    assert country.registry.members()[str(desk.id)][2] < desk.statement.version
    assert http.post("/members/files", json=submission(desk, [])).status_code == 201
    assert country.registry.members()[str(desk.id)][2] == desk.statement.version


def test_pages_that_the_file_does_not_name_are_not_kept(http: Caller, country: Country, desk: MemberDesk) -> None:
    """Nobody fills the registry's disk with pages, nor with those of a file that is refused."""
    pages = with_right(country, desk)
    refused = http.post("/members/files", json=submission(desk, [b"{}", b"x" * 1000]))
    assert (refused.status_code, refused.json()["code"]) == (409, "rights-page.missing")
    assert country.store.pages() == []
    desk.key = type(desk.key).generate()
    forged = http.post("/members/files", json=submission(desk, pages))
    assert forged.json()["code"] == "envelope.signature"
    assert country.store.pages() == []


def test_what_was_begun_and_left_gives_way_to_what_is_begun_next(
    http: Caller, country: Country, desk: MemberDesk
) -> None:
    """A member cannot fill the registry's disk with pages and documents that nothing names in the end."""
    for number in range(4):
        country.add_service(desk, f"s{number}")
        pages = with_right(country, desk)
        assert http.post("/members/files", json=submission(desk, pages, partial=True)).status_code == 201
        assert country.store.pages() == [sha256(page).hexdigest() for page in pages]
    assert http.post("/members/files", json=submission(desk, [])).status_code == 201
    old = country.registry.file_of(desk.id)
    assert old is not None
    documents = [f'{{"openapi":"3.1.{number}"}}'.encode() for number in range(4)]
    for document in documents:
        part = showcase(desk, 1, document) | {"descriptions": [b64encode(document).decode()], "partial": True}
        assert http.post("/members/showcases", json=part).status_code == 201
    kept = [document for document in documents if country.store.description(sha256(document).hexdigest()) is not None]
    assert kept == documents[-1:]
    assert http.post("/members/showcases", json=showcase(desk, 1, documents[-1])).status_code == 201


def test_an_old_file_brings_no_old_pages_back(http: Caller, country: Country, desk: MemberDesk) -> None:
    """Anyone has it and may send it; what it names is not kept, and takes nothing from what is on its way."""
    pages, old = with_right(country, desk), desk.statement
    assert http.post("/members/files", json=submission(desk, pages)).status_code == 201
    desk.statement = with_rights(revise(desk.statement, country.clock.now()), desk.service("main", "list"), [])
    assert http.post("/members/files", json=submission(desk, [])).status_code == 201
    desk.statement = old
    assert http.post("/members/files", json=submission(desk, pages, partial=True)).status_code == 201
    assert country.store.pages() == []


def test_a_stranger_sends_nothing(http: Caller, country: Country) -> None:
    """A file of somebody who was never admitted is refused before anything of it is kept."""
    stranger = country.new_member(9, "stranger")
    answer = http.post("/members/files", json=submission(stranger, []))
    assert (answer.status_code, answer.json()["code"]) == (404, "member.unknown")


def test_who_is_refused_too_often_waits_a_minute(http: Caller, country: Country) -> None:
    """Guessing ids of applications and grants is slow; others are not held up by it."""
    for number in range(MAX_REFUSED):
        assert http.get(f"/members/applications/{number:032x}").status_code == 404
    limited = http.get(f"/nodes/grants/{'0' * 64}")
    assert (limited.status_code, limited.headers["retry-after"]) == (429, "60")
    country.clock.advance(60_000)
    assert http.get(f"/nodes/grants/{'0' * 64}").status_code == 404


def test_behind_a_proxy_one_caller_does_not_make_all_others_wait(country: Country, desk: MemberDesk) -> None:
    """Whoever the proxy names is counted, a network of IPv6 as one; what the caller says of itself is not believed."""
    engine = open_database(database_at(country.directory / "joining.db"), JOINING)
    http = Caller(application(routes(country, engine, behind_proxy=True)))
    for number in range(MAX_REFUSED):
        by = {"X-Forwarded-For": f"192.0.2.{number}, 2001:db8::{number:x}"}
        assert http.get(f"/nodes/grants/{'0' * 64}", headers=by).status_code == 404
    for address, status in [("192.0.2.9, 2001:db8::ffff", 429), ("2001:db8:0:1::1", 201), ("198.51.100.7", 201)]:
        answer = http.post("/members/files", json=submission(desk, []), headers={"X-Forwarded-For": address})
        assert answer.status_code == status
    engine.dispose()


def showcase(desk: MemberDesk, version: int, document: bytes | None = None) -> dict[str, object]:
    """The member shows its service `list`, with a description if one is given."""
    file = verify_member_file(desk.file())
    service = desk.statement.services[0]
    shown = ShownService(
        id=service.id,
        passport=new_passport(service.names),
        description=describe(document) if document is not None else None,
    )
    envelope = sign_showcase(new_showcase(file, version, 1_790_000_000_000, (shown,)), desk.key)
    return {"member": str(desk.id), "envelope": b64encode(envelope).decode()}


def test_a_showcase_is_published_with_its_documents(http: Caller, country: Country, desk: MemberDesk) -> None:
    """Documents first, then the showcase; an older one does not come back, nor one without its documents."""
    country.add_service(desk, "list")
    country.send(desk)
    document = b'{"openapi":"3.1.0"}'
    asked = showcase(desk, 1, document)
    missing = http.post("/members/showcases", json=asked)
    assert (missing.status_code, missing.json()["code"]) == (409, "showcase.description")
    part = asked | {"descriptions": [b64encode(document).decode(), b64encode(b"{}").decode()], "partial": True}
    assert http.post("/members/showcases", json=part).status_code == 201
    assert http.post("/members/showcases", json=asked).json()["version"] == 1
    assert showcase_path(desk.id) in country.registry.targets()
    assert country.registry.description(sha256(document).hexdigest()) == document
    with pytest.raises(NotFound):
        country.registry.description(sha256(b"{}").hexdigest())
    assert http.post("/members/showcases", json=showcase(desk, 2)).json()["version"] == 2
    assert http.post("/members/showcases", json=asked).json()["code"] == "showcase.version"
    with pytest.raises(NotFound):
        country.registry.description(sha256(document).hexdigest())


def test_a_showcase_of_another_key_is_neither_taken_nor_shown(http: Caller, country: Country, desk: MemberDesk) -> None:
    """Only the present member key shows: what an earlier one signed disappears with it."""
    country.add_service(desk, "list")
    country.send(desk)
    forged = showcase(desk, 1)
    own, desk.key = desk.key, Ed25519Key.generate()
    with pytest.raises(Error):
        showcase(desk, 1)
    desk.key = own
    other = country.admit(country.new_member(5, "other"))
    stolen = http.post("/members/showcases", json=forged | {"member": str(other.id)})
    assert stolen.json()["code"] == "envelope.signature"
    assert http.post("/members/showcases", json=forged).status_code == 201
    new = Ed25519Key.generate()
    desk.statement = rotate_key(desk.statement, desk.key, new.public, country.clock.now())
    desk.key = new
    country.registry.accept_member_file(desk.file())
    assert showcase_path(desk.id) not in country.registry.targets()


@pytest.mark.parametrize(
    ("path", "body"),
    [("/members/files", b"{"), ("/members/files", b'{"envelope":"!"}'), ("/members/files", b'{"envelope":"","more":1}'),
     ("/members/applications", b"\xff"), ("/members/showcases", b"{}"), ("/nodes/grants", b"{}"),
     ("/nodes/enrolments", b"[]")],
)  # fmt: skip
def test_noise_is_refused_with_words(http: Caller, path: str, body: bytes) -> None:
    """An error of ours, never one of the server's own."""
    answer = http.post(path, content=body)
    assert answer.status_code in {400, 403, 502, 503}
    assert answer.json()["code"]
