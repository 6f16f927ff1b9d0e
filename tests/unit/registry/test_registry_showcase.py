"""The showcase: signed by the member's present key, for services it has, never older than what is known."""

from __future__ import annotations

from functools import cache

import msgspec
import pytest

from qaztech.core.errors import Conflict, Error, Malformed, NotFound, Untrusted
from qaztech.core.ids import MemberId, ServiceId, SubsystemId
from qaztech.registry.authoring import new_statement, revise, rotate_key, with_service, with_subsystem
from qaztech.registry.forms import encode
from qaztech.registry.member_file import MemberFile, sign_statement, verify_member_file
from qaztech.registry.passport import new_passport
from qaztech.registry.showcase import (
    MAX_DESCRIPTION,
    PAYLOAD_TYPE,
    ShowcaseStatement,
    ShownService,
    check_description,
    check_follows,
    describe,
    new_showcase,
    parse_showcase,
    sign_showcase,
    verify_showcase,
)
from qaztech.trust.envelope import seal
from qaztech.trust.keys import Ed25519Key
from registry_country import names, seed

NOW = 1_800_000_000_000
MEMBER = MemberId("KZ", "GOV", "991340000017")
SERVICE = ServiceId(SubsystemId(MEMBER, "main"), "permits")
OTHER = ServiceId(SubsystemId(MEMBER, "main"), "appeals")
KEY = Ed25519Key.from_seed(seed("showcase"))
NEXT = Ed25519Key.from_seed(seed("showcase next"))
DOCUMENT = b'{"openapi":"3.0.3"}'


@cache
def member_file() -> MemberFile:
    """A member with two services."""
    statement = with_subsystem(new_statement(MEMBER, KEY.public, names("a"), NOW), SERVICE.subsystem, names("b"))
    for service in (SERVICE, OTHER):
        statement = with_service(statement, service, names("c"), type_="OPENAPI", disabled=None, rights=())
    return verify_member_file(sign_statement(statement, KEY))


def shown(service: ServiceId = SERVICE) -> ShownService:
    """A service as it is shown, with a description."""
    return ShownService(id=str(service), passport=new_passport(names("d")), description=describe(DOCUMENT))


def statement(version: int = 1) -> ShowcaseStatement:
    """A showcase of both services."""
    return new_showcase(member_file(), version, NOW, (shown(), shown(OTHER)))


def test_a_showcase_is_read_as_it_was_signed() -> None:
    """Its services are found by identifier, their descriptions by hash."""
    showcase = verify_showcase(sign_showcase(statement(3), KEY), member_file())
    assert (showcase.member, showcase.lineage, showcase.version) == (MEMBER, member_file().lineage, 3)
    found = showcase.service(SERVICE)
    assert found is not None
    assert found.description is not None
    check_description(found.description, DOCUMENT)
    with pytest.raises(Untrusted):
        check_description(found.description, DOCUMENT + b" ")
    assert showcase.service(ServiceId(SubsystemId(MEMBER, "main"), "x")) is None


def test_only_the_present_key_speaks() -> None:
    """After a change of key the showcase is signed anew; a stranger's never counted."""
    envelope = sign_showcase(statement(), KEY)
    rotated = rotate_key(member_file().statement, KEY, NEXT.public, NOW)
    after = verify_member_file(sign_statement(rotated, NEXT))
    with pytest.raises(Untrusted):
        verify_showcase(envelope, after)
    verify_showcase(sign_showcase(new_showcase(after, 2, NOW, (shown(),)), NEXT), after)
    stranger = Ed25519Key.from_seed(seed("stranger"))
    with pytest.raises(Untrusted):
        verify_showcase(seal(encode(statement()), PAYLOAD_TYPE, stranger), member_file())
    with pytest.raises(Malformed):
        sign_showcase(statement(), stranger)


@pytest.mark.parametrize(
    "changed",
    [{"member": "KZ/GOV/991340000027", "services": ()}, {"lineage": "ab" * 32}, {"key": NEXT.public}],
    ids=["member", "lineage", "key"],
)
def test_a_showcase_speaks_for_the_member_of_the_file_only(changed: dict[str, object]) -> None:
    """A key that two members share, or a mistake, does not put one's services into the other's window."""
    if isinstance(changed.get("key"), bytes):
        changed = {"key": new_statement(MEMBER, NEXT.public, names("a"), NOW).key}
    wrong = msgspec.structs.replace(statement(), **changed)
    with pytest.raises(Untrusted) as caught:
        verify_showcase(seal(encode(wrong), PAYLOAD_TYPE, KEY), member_file())
    assert caught.value.code == "showcase.signer"


def test_a_service_the_member_file_lacks_is_not_shown() -> None:
    """First the service, then its showcase."""
    unknown = shown(ServiceId(SubsystemId(MEMBER, "main"), "zzz"))
    envelope = sign_showcase(new_showcase(member_file(), 1, NOW, (unknown,)), KEY)
    with pytest.raises(NotFound, match="zzz") as caught:
        verify_showcase(envelope, member_file())
    assert caught.value.code == "showcase.service"


def test_versions_only_rise() -> None:
    """The same one twice is nothing new; an older one, or another of the same version, is refused."""
    old, new = (verify_showcase(sign_showcase(statement(v), KEY), member_file()) for v in (1, 2))
    assert check_follows(new, old.version, old.digest)
    assert not check_follows(new, new.version, new.digest)
    with pytest.raises(Conflict):
        check_follows(old, new.version, new.digest)
    with pytest.raises(Conflict):
        check_follows(new, new.version, old.digest)


@pytest.mark.parametrize(
    "changed",
    [
        {"type": "qaztech-showcase 2"},
        {"version": 0},
        {"version": 2**53},
        {"issued": -1},
        {"lineage": "AB" * 32},
        {"member": "KZ/GOV"},
        {"services": (shown(), shown())},
        {"services": (shown(), shown(OTHER))},
        {"services": (msgspec.structs.replace(shown(), id="KZ/GOV/991340000027/main/permits"),)},
        {"services": (msgspec.structs.replace(shown(), id="KZ/GOV/991340000017/main"),)},
        {"services": (msgspec.structs.replace(shown(), passport=new_passport(names(" "))),)},
        {
            "services": (
                msgspec.structs.replace(
                    shown(), description=msgspec.structs.replace(describe(b"x"), length=MAX_DESCRIPTION + 1)
                ),
            )
        },
    ],
)
def test_a_showcase_out_of_form_is_refused(changed: dict[str, object]) -> None:
    """Whoever signed it: services out of order, of others, with wrong passports or too long descriptions."""
    with pytest.raises(Malformed) as caught:
        parse_showcase(encode(msgspec.structs.replace(statement(), **changed)))
    assert caught.value.code == "showcase.malformed"


def test_only_our_errors_escape_from_damaged_showcases() -> None:
    """Every byte changed in turn, within the signed text and around it."""
    text, envelope = encode(statement()), sign_showcase(statement(), KEY)
    refused = 0
    for at in range(0, len(text), 3):
        try:
            parse_showcase(text[:at] + bytes([text[at] ^ 1]) + text[at + 1 :])
        except Error:
            refused += 1
    assert refused
    for at in range(0, len(envelope), 7):
        broken = envelope[:at] + bytes([envelope[at] ^ 1]) + envelope[at + 1 :]
        try:
            verify_showcase(broken, member_file())
        except Error:
            continue
        # What is not covered by the signature is the hint which key it was.
        assert b'"keyid"' in envelope[:at]


def test_a_description_has_a_size() -> None:
    """Neither nothing nor more than a megabyte."""
    for document in (b"", b"x" * (MAX_DESCRIPTION + 1)):
        with pytest.raises(Malformed):
            describe(document)


def test_the_version_of_the_member_file_does_not_bind_the_showcase() -> None:
    """A new node or right does not ask for a new showcase."""
    envelope = sign_showcase(statement(), KEY)
    later = verify_member_file(sign_statement(revise(member_file().statement, NOW + 1), KEY))
    assert verify_showcase(envelope, later).version == 1
