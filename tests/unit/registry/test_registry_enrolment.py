"""Enrolment: a grant is the member's word, a token works once, and a node proves every key it names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import Engine

from databases import database_at
from qaztech.core.errors import Conflict, Malformed, NotFound, Untrusted
from qaztech.core.ids import NodeId
from qaztech.registry.applications import JOINING
from qaztech.registry.enrolment import LIFETIME, Enrolment, Token, make_enrolment, make_grant, new_token
from qaztech.registry.enrolments import Enrolments
from qaztech.registry.forms import base64, encode
from qaztech.registry.key_files import TLS_REQUEST, load_log_keys
from qaztech.registry.node_identity import NodeIdentity
from qaztech.runtime.database import open_database
from qaztech.trust.certificates import Authority, node_of
from qaztech.trust.envelope import key_id
from qaztech.trust.keys import Ed25519Key
from registry_country import Country, MemberDesk


@dataclass
class Place:
    """A registry that enrols, and a member of it."""

    country: Country
    engine: Engine
    enrolments: Enrolments
    desk: MemberDesk

    def node(self, code: str = "node7") -> NodeId:
        return NodeId(self.desk.id, code)

    def token(self, node: NodeId | None = None) -> Token:
        return new_token(
            registry="http://127.0.0.1:1", anchor="3f2a 91c0", node=node or self.node(), lineage=self.desk.lineage
        )

    def grant(self, token: Token, key: Ed25519Key | None = None, now: int | None = None) -> bytes:
        return make_grant(
            instance="KZ", node=NodeId.parse(token.node), token_key=token.key.public,
            now=now or self.country.clock.now(), key=key or self.desk.key,
        )  # fmt: skip

    def enrolment(self, token: Token, folder: str = "node", *, hybrid: bool = True) -> bytes:
        directory: Path = self.country.directory / folder
        identity = NodeIdentity.create(directory, NodeId.parse(token.node), "127.0.0.1:5500", hybrid=hybrid)
        keys = load_log_keys(directory, "KZ")
        return make_enrolment(
            token, identity=identity, request=(directory / TLS_REQUEST).read_bytes(), keys=keys
        )  # fmt: skip


@pytest.fixture
def place(country: Country) -> Iterator[Place]:
    """A registry with one member that has sent its file."""
    desk = country.admit(country.new_member(0, "ministry"))
    engine = open_database(database_at(country.directory / "joining.db"), JOINING)
    authority = Authority.create("KZ", country.clock.now())
    enrolments = Enrolments(engine=engine, registry=country.registry, authority=authority, clock=country.clock)
    yield Place(country=country, engine=engine, enrolments=enrolments, desk=desk)
    engine.dispose()


def test_a_token_is_one_line_that_reads_back(place: Place) -> None:
    """Cut short or changed it is refused."""
    token = place.token()
    text = token.format()
    assert Token.parse(f" {text}\n") == token
    for wrong in (
        "",
        "qaztech-enrol1.",
        text[:-3],
        text.replace("enrol1", "enrol2"),
        text + "AAAA",
        "qaztech-enrol1.é",
    ):
        with pytest.raises(Malformed):
            Token.parse(wrong)


def test_a_granted_node_gets_its_certificate_once(place: Place) -> None:
    """The same proof again gets the same certificate; other keys get none."""
    import ssl

    token = place.token()
    granted = place.enrolments.grant(place.grant(token))
    assert (granted.token, granted.used) == (key_id(token.key.public), None)
    data = place.enrolment(token)
    certificate = place.enrolments.enrol(data)
    assert node_of(ssl.PEM_cert_to_DER_cert(certificate.decode())) == place.node()
    assert place.enrolments.enrol(data) == certificate
    with pytest.raises(Conflict, match="other keys"):
        place.enrolments.enrol(place.enrolment(token, "thief"))
    used = place.enrolments.status(granted.token)
    assert used.identity is not None
    assert NodeIdentity.parse(used.identity).id == place.node()


def test_only_the_member_grants(place: Place) -> None:
    """Another key, another instance, a grant without end or of yesterday: nothing."""
    token = place.token()
    for envelope in (
        place.grant(token, key=Ed25519Key.generate()),
        make_grant(instance="UZ", node=place.node(), token_key=token.key.public, now=1, key=place.desk.key),
        place.grant(token, now=place.country.clock.now() - LIFETIME - 1),
    ):
        with pytest.raises(Untrusted):
            place.enrolments.grant(envelope)
    stranger = NodeId.parse("KZ/COM/991340009999/node1")
    with pytest.raises(NotFound):
        place.enrolments.grant(place.grant(place.token(stranger)))
    with pytest.raises(Untrusted):
        place.enrolments.enrol(place.enrolment(token))


def test_a_token_ends(place: Place) -> None:
    """After seven days the member makes another."""
    token = place.token()
    place.enrolments.grant(place.grant(token))
    place.country.clock.advance(LIFETIME)
    with pytest.raises(Untrusted, match="expired"):
        place.enrolments.enrol(place.enrolment(token))


@pytest.mark.parametrize("field", ["token_signature", "log_signature", "hybrid_signature"])
def test_every_key_must_sign(place: Place, field: str) -> None:
    """One signature of another key, and nothing is issued."""
    token = place.token()
    place.enrolments.grant(place.grant(token))
    good = msgspec.json.decode(place.enrolment(token), type=Enrolment)
    other = msgspec.json.decode(place.enrolment(place.token(), "other"), type=Enrolment)
    forged = msgspec.structs.replace(good, **{field: getattr(other, field)})
    with pytest.raises(Untrusted):
        place.enrolments.enrol(encode(forged))
    assert place.enrolments.status(key_id(token.key.public)).used is None


def test_the_request_must_be_for_the_key_that_is_stated(place: Place) -> None:
    """Keys of one node cannot vouch for another's TLS key, nor one's request for another name."""
    token = place.token()
    place.enrolments.grant(place.grant(token))
    directory = place.country.directory / "node"
    place.enrolment(token)
    place.enrolment(token, "other")
    request = (place.country.directory / "other" / TLS_REQUEST).read_bytes()
    identity = NodeIdentity.of(directory, place.node(), "127.0.0.1:5500")
    mixed = make_enrolment(token, identity=identity, request=request, keys=load_log_keys(directory, "KZ"))
    with pytest.raises(Untrusted, match="TLS key"):
        place.enrolments.enrol(mixed)
    assert place.enrolments.status(key_id(token.key.public)).used is None


def test_a_certificate_request_for_somebody_else_is_refused(place: Place) -> None:
    """The token is for one name; a request for another name under it gets nothing."""
    token = place.token()
    place.enrolments.grant(place.grant(token))
    other = place.token(place.node("node8"))
    renamed = Token(
        registry=other.registry, anchor=other.anchor, node=other.node, lineage=other.lineage, seed=token.seed
    )
    with pytest.raises(Untrusted):
        place.enrolments.enrol(place.enrolment(renamed, "renamed"))


def test_keys_that_a_member_names_are_not_new(place: Place) -> None:
    """A duplicate of a public key that is in use does not enrol under another name."""
    token = place.token()
    place.enrolments.grant(place.grant(token))
    data = msgspec.json.decode(place.enrolment(token), type=Enrolment)
    assert not place.country.registry.knows_key(bytes(32), data.statement.log)
    assert place.country.registry.knows_key(place.desk.tls, [])
    assert place.country.registry.knows_key(bytes(32), [place.desk.origin])


def test_a_suspended_member_enrols_nothing(place: Place) -> None:
    """Neither a grant nor a certificate."""
    token = place.token()
    place.enrolments.grant(place.grant(token))
    place.country.registry.suspend(place.desk.id)
    with pytest.raises(Conflict):
        place.enrolments.enrol(place.enrolment(token))
    with pytest.raises(NotFound):
        place.enrolments.grant(place.grant(place.token()))


def test_without_hybrid_keys_none_is_claimed(place: Place) -> None:
    """A log of one key signs with one key."""
    token = place.token()
    place.enrolments.grant(place.grant(token))
    data = msgspec.json.decode(place.enrolment(token, hybrid=False), type=Enrolment)
    assert data.hybrid_signature == ""
    with pytest.raises(Malformed):
        place.enrolments.enrol(encode(msgspec.structs.replace(data, hybrid_signature=base64(bytes(2420)))))
    assert place.enrolments.enrol(encode(data))
