"""Renewing a node's certificate at the registry: for whom, with what proof, and for nobody else."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from asgi_caller import Caller
from qaztech.core.errors import Error
from qaztech.core.ids import NodeId
from qaztech.registry.authoring import with_node
from qaztech.registry.renewal import RENEW_EVERY, RenewalRequest, Renewals, renewal_statement
from qaztech.registry.service import RegistryService
from qaztech.trust.certificates import (
    Authority,
    certificate_period,
    certificate_request,
    certificate_spki,
    check_issued,
    generate_key,
    key_spki_hash,
    sign_with,
)
from registry_country import Country, MemberDesk

DAY = 86_400_000


class Place:
    """An admitted member with a node whose TLS key is at hand, and the registry's side of renewals."""

    def __init__(self, country: Country) -> None:
        self.country = country
        self.key = generate_key()
        self.desk: MemberDesk = country.new_member(1, "provider")
        self.node = self.desk.node
        statement = with_node(self.desk.statement, self.node, "provider.example:5500", key_spki_hash(self.key))
        self.desk.statement = statement
        country.admit(self.desk)
        self.authority = Authority.create("KZ", country.clock.now())
        self.renewals = Renewals(country.registry, self.authority, country.clock)
        country.clock.advance(1000)

    def ask(
        self,
        *,
        key: ec.EllipticCurvePrivateKey | None = None,
        proof: ec.EllipticCurvePrivateKey | None = None,
        node: NodeId | None = None,
        instance: str = "KZ",
        time: int | None = None,
    ) -> RenewalRequest:
        """A request as the node would make it, but for what is given."""
        key, node = key or self.key, node or self.node
        time = self.country.clock.now() if time is None else time
        request = certificate_request(key, node)
        signature = sign_with(proof or key, renewal_statement(instance, node, time, request))
        return RenewalRequest(str(node), time, request.decode(), b64encode(signature).decode())


@pytest.fixture
def place(country: Country) -> Place:
    """A node that may renew its certificate."""
    return Place(country)


def refused(place: Place, asked: RenewalRequest) -> str:
    with pytest.raises(Error) as caught:
        place.renewals.renew(asked)
    return caught.value.code


def test_a_node_renews_its_certificate_over_the_wire(place: Place) -> None:
    """Nobody's token is needed: the key speaks."""
    country = place.country
    service = RegistryService(
        publisher=country.publisher, store=country.store, published=country.published, anchor=country.anchor_bytes,
        log=country.log, witnessed=country.witnessed_note, witness=None, authority=place.authority,
        clock=country.clock,
    )  # fmt: skip
    country.clock.advance(1000)
    asked = place.ask()
    answer = Caller(service.app()).post(
        "/certificates/renew",
        json={"node": asked.node, "time": asked.time, "request": asked.request, "signature": asked.signature},
    )
    assert answer.status_code == 201
    pem = answer.json()["certificate"].encode()
    authorities, now = [place.authority.certificate_pem.decode()], country.clock.now()
    period = check_issued(pem, spki=key_spki_hash(place.key), node=place.node, authorities=authorities, now=now)
    assert period.ends - now > 364 * DAY
    assert certificate_spki(pem) == key_spki_hash(place.key)


def test_only_a_key_that_the_member_names_for_that_node(place: Place) -> None:
    """Not another key, not another node's, not that of a node whose member is unknown."""
    stranger = generate_key()
    assert refused(place, place.ask(key=stranger)) == "certificate.unnamed"
    other = NodeId(place.node.member, "node2")
    assert refused(place, place.ask(node=other)) == "certificate.unnamed"
    nobody = NodeId.parse("KZ/GOV/000000000000/node1")
    assert refused(place, place.ask(node=nobody)) == "member.unknown"


def test_the_key_must_have_signed_for_now_and_here(place: Place) -> None:
    """A request copied from elsewhere proves nothing: another signature, another instance, another name."""
    assert refused(place, place.ask(proof=generate_key())) == "certificate.proof"
    assert refused(place, place.ask(instance="UZ")) == "certificate.proof"
    mine, theirs = place.ask(), place.ask(node=NodeId(place.node.member, "node2"))
    swapped = RenewalRequest(mine.node, mine.time, theirs.request, mine.signature)
    assert refused(place, swapped) == "certificate.request"
    late = RenewalRequest(mine.node, mine.time + 1, mine.request, mine.signature)
    assert refused(place, late) == "certificate.proof"


@pytest.mark.parametrize("seconds", [-61, 61])
def test_a_request_from_another_time_is_refused(place: Place, seconds: int) -> None:
    """Also one from the future: it could be kept until then."""
    now = place.country.clock.now()
    assert refused(place, place.ask(time=now + seconds * 1000)) == "certificate.stale"


def test_a_request_counts_once(place: Place) -> None:
    """Nor does an older one count after a newer, nor one from before the registry began; and not many a second."""
    first = place.ask()
    assert certificate_period(place.renewals.renew(first)).ends > place.country.clock.now()
    assert refused(place, first) == "certificate.replayed"
    assert refused(place, place.ask(time=first.time - 1)) == "certificate.replayed"
    assert refused(place, place.ask(time=first.time + RENEW_EVERY - 1)) == "certificate.too-often"
    again = Renewals(place.country.registry, place.authority, place.country.clock)
    with pytest.raises(Error, match="here before"):
        again.renew(first)
    place.country.clock.advance(RENEW_EVERY)
    place.renewals.renew(place.ask())


def test_whoever_was_taken_off_the_wire_stays_off(place: Place) -> None:
    """A suspended member, a revoked key; the member is let back, the key never."""
    registry = place.country.registry
    registry.suspend(place.node.member)
    assert refused(place, place.ask()) == "registry.suspended"
    registry.resume(place.node.member)
    registry.revoke_tls(key_spki_hash(place.key))
    assert refused(place, place.ask()) == "certificate.revoked"


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda a: RenewalRequest("KZ/GOV", a.time, a.request, a.signature), "identifier.malformed"),
        (lambda a: RenewalRequest(a.node, a.time, "nonsense", a.signature), "certificate.request"),
        (lambda a: RenewalRequest(a.node, a.time, "я" * 10, a.signature), "certificate.request"),
        (lambda a: RenewalRequest(a.node, a.time, "A" * 9000, a.signature), "certificate.request"),
        (lambda a: RenewalRequest(a.node, a.time, a.request, "?"), "certificate.proof"),
        (lambda a: RenewalRequest(a.node, a.time, a.request, "AAAA"), "certificate.proof"),
        (lambda a: RenewalRequest(a.node, a.time, a.request, "A" * 1000), "certificate.proof"),
        (lambda a: RenewalRequest(a.node, -(2**60), a.request, a.signature), "certificate.stale"),
    ],
)
def test_nonsense_is_refused(place: Place, spoil: Callable[[RenewalRequest], RenewalRequest], code: str) -> None:
    """And after it a good request still counts."""
    assert refused(place, spoil(place.ask())) == code
    place.renewals.renew(place.ask())


def test_a_registry_without_an_authority_says_so(country: Country) -> None:
    """Certificates then come from elsewhere."""
    with pytest.raises(Error) as caught:
        Renewals(country.registry, None, country.clock).renew(RenewalRequest("", 0, "", ""))
    assert caught.value.code == "certificate.authority"


def test_what_a_node_checks_of_the_answer(place: Place) -> None:
    """Its key, its name, an authority of the instance, and that it is valid now."""
    clock, spki = place.country.clock, key_spki_hash(place.key)
    authorities = [place.authority.certificate_pem.decode()]
    request = certificate_request(place.key, place.node)
    good = place.authority.issue(request, place.node, clock.now())
    other = Authority.create("KZ", clock.now())

    def code(pem: bytes, *, key: bytes = spki, node: NodeId = place.node, now: int = clock.now()) -> str:
        try:
            check_issued(pem, spki=key, node=node, authorities=authorities, now=now)
        except Error as exc:
            return exc.code
        return ""

    assert code(good) == ""
    wrong = [
        code(b"nothing"), code(good, key=bytes(32)), code(good, node=NodeId(place.node.member, "node2")),
        code(good, now=clock.now() + 366 * DAY), code(other.issue(request, place.node, clock.now())),
    ]  # fmt: skip
    assert wrong == ["certificate.answer"] * 5
    assert x509.load_pem_x509_certificate(good).not_valid_before_utc.timestamp() * 1000 == clock.now() - 300_000


def test_a_short_life_is_hardly_backdated(place: Place) -> None:
    """Or two thirds of it would be over before it began."""
    now = place.country.clock.now() // 1000 * 1000
    period = certificate_period(
        place.authority.issue(certificate_request(place.key, place.node), place.node, now, days=100 / 86_400)
    )
    assert (period.begins, period.ends) == (now - 1000, now + 100_000)
