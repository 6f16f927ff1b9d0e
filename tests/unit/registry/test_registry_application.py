"""Applications: what proves itself is taken in, what people must look at is said, and a decision is made once."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest
from sqlalchemy import Engine

from databases import database_at
from qaztech.core.bin import reserved_bin
from qaztech.core.errors import Conflict, Error, Limited, Malformed, NotFound, Untrusted
from qaztech.core.ids import MemberId
from qaztech.registry.application import (
    MAX_AGE,
    PAYLOAD_TYPE,
    ApplicationForm,
    Listed,
    binding_text,
    findings,
    make_application,
    new_contact,
    verify_application,
)
from qaztech.registry.applications import JOINING, MAX_OF_ONE_A_DAY, Applications
from qaztech.registry.forms import Names, base64, encode
from qaztech.runtime.database import open_database
from qaztech.trust.envelope import SignedEnvelope, key_id, seal
from qaztech.trust.keys import Ed25519Key
from qaztech.trust.national import TestAuthority, TestSigner, TestVerifier
from registry_country import Country

BIN = reserved_bin(700)
MEMBER = MemberId("KZ", "EDU", BIN)
NAMES = Names(kk="Абай университеті", ru="Университет Абая", en="Abai University")
CONTACT = new_contact("IT department", "it@university.example", "+77010000000")
KEY = Ed25519Key.from_seed(bytes(32))
NOW = 1_790_000_000_000
AUTHORITY = TestAuthority.create(NOW)
SIGNER = AUTHORITY.signer(name="Signatory", iin="991300000019", bin_=BIN, now=NOW)
VERIFIER = TestVerifier([AUTHORITY.certificate])


def application(
    *,
    member: MemberId = MEMBER,
    key: Ed25519Key = KEY,
    names: Names = NAMES,
    issued: int = NOW,
    signer: TestSigner = SIGNER,
) -> bytes:
    binding = signer.sign(binding_text(str(member), base64(key.public), issued))
    return make_application(member=member, key=key, names=names, contact=CONTACT, issued=issued, binding=binding)


def refused(envelope: bytes, *, now: int = NOW, verifier: TestVerifier = VERIFIER) -> str:
    with pytest.raises((Malformed, Untrusted)) as caught:
        verify_application(envelope, instance="KZ", national=verifier, now=now)
    return caught.value.code


def test_it_says_who_applies_and_who_signed() -> None:
    """Member, lineage of the key that sealed it, and the person who binds it to the organisation."""
    proven = verify_application(application(), instance="KZ", national=VERIFIER, now=NOW)
    assert (proven.member, proven.lineage, proven.names) == (MEMBER, key_id(KEY.public), NAMES)
    assert (proven.signatory.name, proven.signatory.iin, proven.signatory.bin) == ("Signatory", "991300000019", BIN)


def test_the_envelope_must_be_sealed_with_the_key_it_names() -> None:
    """Somebody else's key cannot be applied for."""
    payload = SignedEnvelope.parse(application()).unverified_payload
    assert refused(seal(payload, PAYLOAD_TYPE, Ed25519Key.generate())) == "envelope.signature"
    assert refused(seal(payload, "application/json", KEY)) == "envelope.type"


@pytest.mark.parametrize(
    "member", ["KZ/EDU/123456789012", "KZ/EDU/99134000040", "KZ/EDU/abcdefghijkl", "KZ/ANY/" + BIN]
)
def test_a_bin_has_its_check_digit_and_a_class_is_one_there_is(member: str) -> None:
    """Wrong BINs and classes are refused before anybody is asked to decide."""
    with pytest.raises(Malformed, match=r"BIN|class"):
        application(member=MemberId.parse(member))


def test_it_is_of_this_instance_and_of_this_time() -> None:
    """Another country's, one of the future, one that lay about too long."""
    assert refused(application(member=MemberId("UZ", "EDU", BIN))) == "application.malformed"
    assert refused(application(), now=NOW + MAX_AGE + 1) == "application.malformed"
    assert refused(application(issued=NOW + 61_000)) == "application.malformed"


def test_who_signs_must_sign_for_this_organisation_and_this_key() -> None:
    """Another BIN, another authority, a signature over another key, an expired certificate."""
    other = AUTHORITY.signer(name="Signatory", iin="991300000019", bin_=reserved_bin(701), now=NOW)
    assert refused(application(signer=other)) == "application.binding"
    stranger = TestAuthority.create(NOW).signer(name="Signatory", iin="991300000019", bin_=BIN, now=NOW)
    assert refused(application(signer=stranger)) == "national.signature"
    binding = SIGNER.sign(binding_text(str(MEMBER), base64(Ed25519Key.generate().public), NOW))
    moved = make_application(member=MEMBER, key=KEY, names=NAMES, contact=CONTACT, issued=NOW, binding=binding)
    assert refused(moved) == "national.signature"
    old = AUTHORITY.signer(name="Signatory", iin="991300000019", bin_=BIN, now=NOW - 366 * 86_400_000)
    assert refused(application(signer=old)) == "national.signature"


def test_a_changed_field_or_spelling_is_refused() -> None:
    """The form has one spelling, and no field more."""
    payload = SignedEnvelope.parse(application()).unverified_payload
    for changed in (payload + b" ", payload[:-1] + b',"more":1}', b"[]", b"{}", b"\xff"):
        assert refused(seal(changed, PAYLOAD_TYPE, KEY)) == "application.malformed"
    form = msgspec.json.decode(payload, type=ApplicationForm)
    for name in ("Uni\u200bversity", "Uni\u202eversity"):
        hidden = msgspec.structs.replace(form, names=Names(kk=name, ru=name, en=name))
        assert refused(seal(encode(hidden), PAYLOAD_TYPE, KEY)) == "application.malformed"


@pytest.mark.parametrize(
    "contact", [("", "a@b.kz", "+77010000000"), ("IT", "nobody", "+77010000000"), ("IT", "a@b.kz", "87010000000"),
                ("I\nT", "a@b.kz", "+77010000000")],
)  # fmt: skip
def test_a_contact_can_be_used(contact: tuple[str, str, str]) -> None:
    """A unit, an address, a number with its country code."""
    with pytest.raises(Malformed):
        new_contact(*contact)


def test_findings_name_what_looks_the_same() -> None:
    """A name with letters of another script, a code of another class, another key for a member there is."""
    proven = verify_application(application(), instance="KZ", national=VERIFIER, now=NOW)
    alike = Names(kk="х", ru="у", en="АBАI UNIVЕRSITY")  # Cyrillic А, В, Е among the Latin letters
    others = [
        Listed(id=f"KZ/COM/{reserved_bin(702)}", lineage="1" * 64, names=alike),
        Listed(id=f"KZ/COM/{BIN}", lineage="2" * 64, names=Names(kk="a", ru="b", en="c")),
        Listed(id=str(MEMBER), lineage="3" * 64, names=Names(kk="a", ru="b", en="c")),
        Listed(id=f"KZ/GOV/{reserved_bin(703)}", lineage="4" * 64, names=Names(kk="d", ru="e", en="f")),
    ]
    assert findings(proven, others) == [
        f"name-alike {others[0].id}",
        f"code-taken {others[1].id}",
        f"lineage-differs {MEMBER}",
    ]


# As they are kept --------------------------------------------------------------------------------------------------


class Place:
    """A registry that takes applications."""

    def __init__(self, country: Country) -> None:
        self.country = country
        self.engine: Engine = open_database(database_at(country.directory / "joining.db"), JOINING)
        self.applications = Applications(
            engine=self.engine, registry=country.registry, national=VERIFIER, clock=country.clock
        )

    def application(self, **given: object) -> bytes:
        now = self.country.clock.now()
        return application(
            issued=now, signer=AUTHORITY.signer(name="S", iin="991300000019", bin_=BIN, now=now), **given
        )  # type: ignore[arg-type]


@pytest.fixture
def place(country: Country) -> Iterator[Place]:
    """A registry with its database."""
    place = Place(country)
    yield place
    place.engine.dispose()


def test_admitting_makes_a_member_once(place: Place) -> None:
    """Sent twice it is one application; decided it is closed; the member is there with its lineage."""
    envelope = place.application()
    filed = place.applications.submit(envelope)
    assert place.applications.submit(envelope) == filed
    decided = place.applications.decide(filed.id, version=1, admit=True, by="operator", reason="")
    assert (decided.state, decided.version, decided.decided_by) == ("admitted", 2, "operator")
    assert place.country.registry.members()[str(MEMBER)][0] == key_id(KEY.public)
    with pytest.raises(Conflict):
        place.applications.decide(filed.id, version=2, admit=False, by="other", reason="late")
    with pytest.raises(Conflict, match="admitted"):
        place.applications.submit(place.application(names=Names(kk="a", ru="b", en="c")))


def test_the_second_of_two_operators_meets_a_conflict(place: Place) -> None:
    """What one saw and another has changed is not decided."""
    first = place.applications.submit(place.application())
    second = place.applications.submit(place.application(names=Names(kk="a", ru="b", en="c")))
    with pytest.raises(Conflict):
        place.applications.decide(first.id, version=first.version, admit=True, by="operator", reason="")
    assert place.applications.get(first.id).state == "withdrawn"
    assert str(MEMBER) not in place.country.registry.members()
    assert (
        place.applications.decide(second.id, version=1, admit=False, by="x", reason="who are you?").state == "refused"
    )


def test_a_refusal_says_why(place: Place) -> None:
    """Without a reason nobody is refused; a reason is text."""
    filed = place.applications.submit(place.application())
    for reason in ("", "  ", "x" * 1001, "a\x00b"):
        with pytest.raises(Malformed):
            place.applications.decide(filed.id, version=1, admit=False, by="operator", reason=reason)
    assert place.applications.get(filed.id).state == "submitted"


def test_a_withdrawn_application_stays_so(place: Place) -> None:
    """And an id that was never given is unknown."""
    filed = place.applications.submit(place.application())
    assert place.applications.withdraw(filed.id).state == "withdrawn"
    with pytest.raises(Conflict):
        place.applications.withdraw(filed.id)
    with pytest.raises(NotFound):
        place.applications.get("0" * 32)


def test_one_organisation_does_not_fill_the_list_of_all(place: Place) -> None:
    """Neither with other keys and classes, nor by applying anew over and over; another day it may go on."""
    classes = ["COM", "QUASI", "EDU", "COM", "QUASI"]
    for member_class in classes:
        member = MemberId("KZ", member_class, BIN)
        place.applications.submit(place.application(member=member, key=Ed25519Key.generate()))
    with pytest.raises(Limited):
        place.applications.submit(place.application())
    for filed in place.applications.newest():
        place.applications.withdraw(filed.id)
    for number in range(MAX_OF_ONE_A_DAY - len(classes)):
        place.applications.submit(place.application(names=Names(kk=f"a{number}", ru="b", en="c")))
    with pytest.raises(Limited):
        place.applications.submit(place.application(names=Names(kk="a", ru="b", en="c")))
    place.country.clock.advance(24 * 3600 * 1000)
    place.applications.submit(place.application(names=Names(kk="a", ru="b", en="c")))
    assert place.applications.count("submitted") == 1


def test_what_is_refused_leaves_nothing(place: Place) -> None:
    """Neither noise nor a forged application is kept."""
    for noise in (b"", b"{}", b"\xff" * 100, b'{"payload":"","payloadType":"","signatures":[]}'):
        with pytest.raises(Error):
            place.applications.submit(noise)
    assert place.applications.newest() == []
