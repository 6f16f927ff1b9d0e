"""A member's application: who asks to join, under which key, and who says for the organisation that the key is its own.

The application is sealed with the member key it names, so whoever sends it holds that key. Inside stands a binding, a
sentence signed with a national signature by a person who may sign for the organisation. `verify_application` proves
both; whether the organisation is admitted is for people to decide (`applications`), with the findings made here before
them. Format: docs/formats/application.md.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from qaztech.core.bin import is_bin
from qaztech.core.errors import Malformed, Untrusted
from qaztech.core.exchange import CLOCK_SKEW
from qaztech.core.ids import MemberId
from qaztech.registry.forms import Form, Names, base64, bytes32, check_time, decode, encode, malformed
from qaztech.trust.envelope import SignedEnvelope, key_id, seal
from qaztech.trust.keys import Ed25519Key
from qaztech.trust.national import NationalSignature, NationalVerifier, Signatory

PAYLOAD_TYPE = "application/vnd.qaztech.application+json"
TYPE = "qaztech-application 1"
MAX_APPLICATION = 64 * 1024
# How old an application may be when it arrives: signing it may take an organisation some days.
MAX_AGE = 30 * 24 * 3600 * 1000
# Member classes of the country (design, 2), with the words people see.
CLASSES = {
    "GOV": Names(kk="мемлекеттік орган", ru="государственный орган", en="state body"),
    "QUASI": Names(kk="квазимемлекеттік ұйым", ru="квазигосударственная организация", en="quasi-state company"),
    "COM": Names(kk="коммерциялық ұйым", ru="коммерческая организация", en="commercial organisation"),
    "EDU": Names(kk="университет", ru="университет", en="university"),
}
_CODE = "application.malformed"
_EMAIL = re.compile(r"[^@\s\x00-\x1f]{1,64}@[A-Za-z0-9.-]{1,190}\.[A-Za-z]{2,24}\Z")
_PHONE = re.compile(r"\+[0-9]{7,15}\Z")
# Letters of other scripts that look like Latin ones: two names that differ only in these look the same.
_ALIKE = str.maketrans("аәвеёіїјкмнңоөрстуүұхһԁԛԝ", "aabeeiijkmhhoopctyyyxhdqw")


class Contact(Form, frozen=True, forbid_unknown_fields=True):
    """Where the organisation is reached; a unit's address, not a person's."""

    unit: str
    email: str
    phone: str


class ApplicationForm(Form, frozen=True, forbid_unknown_fields=True):
    """The text of an application. `key` is the first member key (base64); its SHA-256 is the lineage."""

    type: str
    member: str
    key: str
    names: Names
    contact: Contact
    issued: int
    binding: NationalSignature


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """An application proven to come from the holder of its key, bound by a person who signs for the organisation."""

    member: MemberId
    lineage: str
    names: Names
    contact: Contact
    issued: int
    signatory: Signatory
    envelope: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """What findings compare an application with: a member there is, or another open application."""

    id: str
    lineage: str
    names: Names


def binding_text(member: str, key: str, issued: int) -> bytes:
    """The sentence that a person signs for the organisation."""
    return f"qaztech-member-binding 1\nmember {member}\nkey {key}\nissued {issued}\n".encode()


def make_application(
    *, member: MemberId, key: Ed25519Key, names: Names, contact: Contact, issued: int, binding: NationalSignature
) -> bytes:
    """The sealed application; `binding` is over `binding_text`. Raises `Malformed`."""
    form = ApplicationForm(
        type=TYPE,
        member=str(member),
        key=base64(key.public),
        names=names,
        contact=contact,
        issued=issued,
        binding=binding,
    )
    _check(form)
    return seal(encode(form), PAYLOAD_TYPE, key)


def verify_application(envelope: bytes, *, instance: str, national: NationalVerifier, now: int) -> Application:
    """Prove an application; raises `Malformed` or `Untrusted`."""
    signed = SignedEnvelope.parse(envelope)
    form = decode(ApplicationForm, signed.unverified_payload, code=_CODE, limit=MAX_APPLICATION)
    _check(form)
    public = bytes32(form.key, _CODE, "key")
    signed.verify([public], PAYLOAD_TYPE)
    member = MemberId.parse(form.member)
    if member.instance != instance:
        malformed(_CODE, f"the instance is {instance}")
    if not now - MAX_AGE <= form.issued <= now + CLOCK_SKEW:
        malformed(_CODE, "an application is at most thirty days old, and not of the future")
    signatory = national.verify(binding_text(form.member, form.key, form.issued), form.binding, form.issued)
    if signatory.bin != member.code:
        raise Untrusted("application.binding", "the person who signed does so for another organisation", at="caller")
    return Application(
        member=member,
        lineage=key_id(public),
        names=form.names,
        contact=form.contact,
        issued=form.issued,
        signatory=signatory,
        envelope=envelope,
    )


def findings(application: Application, others: Iterable[Listed]) -> list[str]:
    """What the operator must look at before deciding, as codes with what they point at."""
    found = []
    looks = looks_of(application.names)
    for other in others:
        if other.id == str(application.member):
            if other.lineage != application.lineage:
                found.append(f"lineage-differs {other.id}")
        elif other.id.split("/")[2] == application.member.code:
            found.append(f"code-taken {other.id}")
        elif looks & looks_of(other.names):
            found.append(f"name-alike {other.id}")
    return found


def _check(form: ApplicationForm) -> None:
    if form.type != TYPE:
        malformed(_CODE, f"the type is not {TYPE!r}")
    member = MemberId.parse(form.member)
    if str(member) != form.member:
        malformed(_CODE, "an identifier has one spelling")
    if member.member_class not in CLASSES:
        malformed(_CODE, f"the member class is one of {', '.join(CLASSES)}")
    if not is_bin(member.code):
        malformed(_CODE, f"{member.code!r} is not a BIN: twelve digits, the last a check digit")
    bytes32(form.key, _CODE, "key")
    form.names.check(_CODE)
    check_time(form.issued, _CODE)
    check_contact(form.contact)
    if any(unicodedata.category(letter) in {"Cf", "Co", "Cn"} for name in _each(form.names) for letter in name):
        malformed(_CODE, "a name has a character that cannot be seen")


def check_contact(contact: Contact) -> None:
    """Raise `Malformed` unless a contact can be used."""
    if not 1 <= len(contact.unit) <= 200 or not contact.unit.isprintable():
        raise Malformed(_CODE, "the contact names a unit in 1 to 200 printable characters", at="caller")
    if not _EMAIL.match(contact.email):
        raise Malformed(_CODE, "the contact's e-mail address is not one", at="caller")
    if not _PHONE.match(contact.phone):
        raise Malformed(_CODE, "the contact's telephone number is + and 7 to 15 digits", at="caller")


def _each(names: Names) -> tuple[str, str, str]:
    return names.kk, names.ru, names.en


def looks_of(names: Names) -> frozenset[str]:
    """What a name looks like in each language: two organisations with one in common are taken for each other."""
    return frozenset(filter(None, map(_skeleton, _each(names))))


def _skeleton(name: str) -> str:
    plain = unicodedata.normalize("NFKC", name).casefold().translate(_ALIKE)
    return "".join(letter for letter in plain if letter.isalnum())


def new_contact(unit: str, email: str, phone: str) -> Contact:
    """A contact that can be used; raises `Malformed`."""
    contact = Contact(unit=unit, email=email, phone=phone)
    check_contact(contact)
    return contact
