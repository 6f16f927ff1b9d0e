"""The showcase of a member: its services as it shows them, signed with its present key (docs/formats/showcase.md).

One envelope holds the passports of all services and names their OpenAPI descriptions by hash; those travel beside it.
Nodes never read it and it grants nothing: the catalogue and the portal do. Not here: who stores it, and the check of an
OpenAPI document (`member.openapi`), which the registry does not need.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from typing import Literal

from qaztech.core.errors import Conflict, Malformed, NotFound, Untrusted
from qaztech.core.ids import MemberId, ServiceId
from qaztech.registry.forms import (
    MAX_VERSION,
    Form,
    bytes32,
    check_hex,
    check_time,
    decode,
    encode,
    malformed,
)
from qaztech.registry.maintenance import Maintenance, check_maintenance
from qaztech.registry.member_file import MemberFile
from qaztech.registry.passport import Passport, check_passport
from qaztech.trust.envelope import SignedEnvelope, seal
from qaztech.trust.keys import Ed25519Key

PAYLOAD_TYPE = "application/vnd.qaztech.showcase+json"
TYPE = "qaztech-showcase 1"
# What fits into an envelope of 1 MiB once it is in base64.
MAX_SHOWCASE = 768 * 1024
MAX_SERVICES = 4096
MAX_DESCRIPTION = 1024 * 1024
MEDIA: Literal["application/json"] = "application/json"
_CODE = "showcase.malformed"


class DescriptionReference(Form, frozen=True, forbid_unknown_fields=True):
    """An OpenAPI document by its SHA-256 (hex), its length in bytes and its media type."""

    sha256: str
    length: int
    media: Literal["application/json"]


class ShownService(Form, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One service: its passport, its description where it has one, and its next maintenance where one is planned."""

    id: str
    passport: Passport
    description: DescriptionReference | None
    maintenance: Maintenance | None = None


class ShowcaseStatement(Form, frozen=True, forbid_unknown_fields=True):
    """The text of a showcase."""

    type: str
    member: str
    lineage: str
    key: str
    version: int
    issued: int
    services: tuple[ShownService, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Showcase:
    """A showcase proven to come from the holder of the member's present key. Made by `verify_showcase` only."""

    statement: ShowcaseStatement
    member: MemberId
    digest: str
    """SHA-256 of the signed text: two showcases of one version with different digests are a contradiction."""

    @property
    def lineage(self) -> str:
        """SHA-256 of the member's first key, hex."""
        return self.statement.lineage

    @property
    def version(self) -> int:
        """The showcase's version; it rises."""
        return self.statement.version

    def service(self, service: ServiceId) -> ShownService | None:
        """What is shown of this service; None where nothing is."""
        return next((s for s in self.statement.services if s.id == str(service)), None)


def new_showcase(file: MemberFile, version: int, now: int, services: tuple[ShownService, ...]) -> ShowcaseStatement:
    """The text of a showcase for this member file; `version` rises, `now` is in milliseconds."""
    return ShowcaseStatement(
        type=TYPE,
        member=file.statement.member,
        lineage=file.lineage,
        key=file.statement.key,
        version=version,
        issued=now,
        services=tuple(sorted(services, key=lambda s: s.id)),
    )


def describe(document: bytes) -> DescriptionReference:
    """How a showcase names this OpenAPI document; raises `Malformed` when it is too long."""
    if not 1 <= len(document) <= MAX_DESCRIPTION:
        malformed("showcase.description", f"a description has 1 to {MAX_DESCRIPTION} bytes")
    return DescriptionReference(sha256=sha256(document).hexdigest(), length=len(document), media=MEDIA)


def check_description(reference: DescriptionReference, document: bytes) -> None:
    """Raise `Untrusted` unless these are the very bytes the showcase names."""
    if len(document) != reference.length or sha256(document).hexdigest() != reference.sha256:
        raise Untrusted("showcase.description", "the description is not the one the showcase names", at="registry")


def parse_showcase(data: bytes) -> ShowcaseStatement:
    """Read the text of a showcase; proves form only. Raises `Malformed`."""
    statement = decode(ShowcaseStatement, data, code=_CODE, limit=MAX_SHOWCASE)
    if statement.type != TYPE:
        malformed(_CODE, f"the type is not {TYPE!r}")
    if not 1 <= statement.version <= MAX_VERSION:
        malformed(_CODE, "a version is a whole number from 1")
    check_time(statement.issued, _CODE)
    check_hex(statement.lineage, _CODE, "lineage")
    bytes32(statement.key, _CODE, "key")
    member = _parsed_member(statement.member)
    _check_services(member, statement.services)
    return statement


def sign_showcase(statement: ShowcaseStatement, key: Ed25519Key) -> bytes:
    """The showcase: the statement in an envelope signed by the member key. Raises `Malformed`."""
    data = encode(statement)
    parse_showcase(data)
    if bytes32(statement.key, _CODE, "key") != key.public:
        malformed(_CODE, "the statement names another key than the one that signs")
    return seal(data, PAYLOAD_TYPE, key)


def verify_showcase(envelope: bytes, member_file: MemberFile) -> Showcase:
    """Prove that a showcase was signed by the present key of this member file, for services the file has.

    Raises `Malformed`, `Untrusted` (another member, lineage or key) or `NotFound` (a service the file does not name).
    """
    payload = SignedEnvelope.parse(envelope).verify([member_file.keys[-1]], PAYLOAD_TYPE)
    statement = parse_showcase(payload)
    file = member_file.statement
    if (statement.member, statement.lineage, statement.key) != (file.member, file.lineage, file.key):
        raise Untrusted("showcase.signer", "the showcase speaks for another member, lineage or key", at="registry")
    known = {line.id for line in file.services}
    for service in statement.services:
        if service.id not in known:
            raise NotFound(
                "showcase.service", f"the member file names no service {service.id[:300]}; add it first", at="registry"
            )
    return Showcase(statement=statement, member=member_file.member, digest=sha256(payload).hexdigest())


def check_follows(showcase: Showcase, version: int, digest: str) -> bool:
    """Whether a showcase is newer than the one kept; False where it is that one. Raises `Conflict` where it is neither.

    `version` and `digest` are those of the newest showcase of this lineage.
    """
    if (showcase.version, showcase.digest) == (version, digest):
        return False
    if showcase.version <= version:
        raise Conflict(
            "showcase.version", f"version {showcase.version} does not follow version {version}", at="registry"
        )
    return True


def _parsed_member(text: str) -> MemberId:
    try:
        member = MemberId.parse(text)
    except Malformed as exc:
        raise Malformed(_CODE, exc.detail, at="registry") from exc
    if str(member) != text:
        malformed(_CODE, "an identifier has one spelling")
    return member


def _check_services(member: MemberId, services: tuple[ShownService, ...]) -> None:
    if len(services) > MAX_SERVICES:
        malformed(_CODE, f"more than {MAX_SERVICES} services")
    ids = [service.id for service in services]
    if any(a >= b for a, b in pairwise(ids)):
        malformed(_CODE, "services rise by identifier, each once")
    for service in services:
        try:
            parsed = ServiceId.parse(service.id)
            check_passport(service.passport)
            if service.maintenance is not None:
                check_maintenance(service.maintenance, _CODE)
        except Malformed as exc:
            raise Malformed(_CODE, f"{service.id[:300]}: {exc.detail}", at="registry") from exc
        if str(parsed) != service.id or parsed.subsystem.member != member:
            malformed(_CODE, "a service is one of the member's own, in its one spelling")
        reference = service.description
        if reference is not None:
            check_hex(reference.sha256, _CODE, "description's hash")
            if not 1 <= reference.length <= MAX_DESCRIPTION:
                malformed(_CODE, f"a description has 1 to {MAX_DESCRIPTION} bytes")
