"""The member file: what a member says of itself, signed with its own key (docs/formats/member-file.md).

Its nodes and their TLS keys, its logs and from when they speak for it, its subsystems and services, and the hash of
each rights page. A `MemberStatement` is the text; it becomes a `MemberFile` through `verify`, which proves that the
holder of this lineage's key said it. Not here: whether that lineage is the one expected (`pins`, `publication`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from typing import Literal

import msgspec

from qaztech.core.errors import Error, Malformed, Untrusted
from qaztech.core.ids import MemberId, NodeId, ServiceId, SubsystemId
from qaztech.evidence.note import ED25519, ML_DSA_44, VerifierKey
from qaztech.registry.forms import (
    MAX_NAME,
    MAX_VERSION,
    ORIGIN,
    Form,
    Names,
    bytes32,
    check_hex,
    check_time,
    decode,
    encode,
    fixed,
    malformed,
)
from qaztech.trust.envelope import SignedEnvelope, key_id, seal
from qaztech.trust.keys import Ed25519Key, verify_ed25519

PAYLOAD_TYPE = "application/vnd.qaztech.member-file+json"
TYPE = "qaztech-member-file 1"
MAX_MEMBER_FILE = 512 * 1024
MAX_PAGE = 16 * 1024
MAX_NODE_KEYS = 2
MAX_LIFETIME = 366 * 24 * 3600 * 1000
_CODE = "member-file.malformed"
_ADDRESS = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\]):([1-9][0-9]{0,4})\Z")
_MAX = {"nodes": 64, "logs": 1024, "subsystems": 1024, "services": 4096, "key_history": 256, "rights": 4096}


class KeyChange(Form, frozen=True, forbid_unknown_fields=True):
    """From which file version the next key speaks, signed with the key it follows."""

    from_: str = msgspec.field(name="from")
    to: str
    version: int
    signature: str


class NodeLine(Form, frozen=True, forbid_unknown_fields=True):
    """A node that may speak for the member: where it listens, and the SHA-256 of its TLS key (SPKI).

    While a node changes its TLS key it has a line for each.
    """

    id: str
    address: str
    tls: str


class Closed(Form, frozen=True, forbid_unknown_fields=True):
    """The last size and root of a log that goes no further."""

    size: int
    root: str


class LogLine(Form, frozen=True, forbid_unknown_fields=True):
    """A log that speaks for the member, its keys, and from when until when."""

    origin: str
    node: str
    vkeys: tuple[str, ...]
    from_: int = msgspec.field(name="from")
    until: int | None
    closed: Closed | None
    continues: str | None


class SubsystemLine(Form, frozen=True, forbid_unknown_fields=True):
    """An information system of the member."""

    code: str
    names: Names


class PageReference(Form, frozen=True, forbid_unknown_fields=True):
    """A rights page: it covers the clients from `first` up to the next page's."""

    first: str
    sha256: str
    length: int


class ServiceLine(Form, frozen=True, forbid_unknown_fields=True):
    """A service, switched off where `disabled` gives the notice for callers."""

    id: str
    type: Literal["REST", "OPENAPI"]
    names: Names
    disabled: str | None
    rights: tuple[PageReference, ...]


class MemberStatement(Form, frozen=True, forbid_unknown_fields=True):
    """The text of a member file."""

    type: str
    version: int
    member: str
    lineage: str
    key: str
    key_history: tuple[KeyChange, ...]
    names: Names
    issued: int
    expires: int
    nodes: tuple[NodeLine, ...]
    logs: tuple[LogLine, ...]
    subsystems: tuple[SubsystemLine, ...]
    services: tuple[ServiceLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberFile:
    """A statement proven to come from the holder of its lineage's key. Made by `verify_member_file` only."""

    statement: MemberStatement
    member: MemberId
    keys: tuple[bytes, ...]
    """Every key the lineage has had, the present one last."""
    digest: str
    """SHA-256 of the signed text: two files of one version with different digests are a contradiction."""

    @property
    def lineage(self) -> str:
        """SHA-256 of the first member key, hex."""
        return self.statement.lineage

    @property
    def version(self) -> int:
        """The file's version."""
        return self.statement.version


def log_origin(instance: str, public: bytes) -> str:
    """The origin of the log that signs with this Ed25519 key."""
    return f"{instance.lower()}.qaztech.example/log/{sha256(public).hexdigest()[:20]}"


def key_change_text(member: str, version: int, from_: str, to: str) -> bytes:
    """What the previous key signs when a member changes its key."""
    return f"qaztech-member-key 1\nmember {member}\nversion {version}\nfrom {from_}\nto {to}\n".encode()


def parse_statement(data: bytes) -> MemberStatement:
    """Read the text of a member file; proves form only. Raises `Malformed`."""
    statement = decode(MemberStatement, data, code=_CODE, limit=MAX_MEMBER_FILE)
    try:
        _check(statement)
    except Malformed as exc:
        raise Malformed(_CODE, exc.detail, at="registry") from exc
    except Error as exc:
        raise Malformed(_CODE, f"a key in the file: {exc.detail}", at="registry") from exc
    return statement


def sign_statement(statement: MemberStatement, key: Ed25519Key) -> bytes:
    """The member file: the statement in an envelope signed by the member key."""
    data = encode(statement)
    parse_statement(data)
    return seal(data, PAYLOAD_TYPE, key)


def verify_member_file(envelope: bytes) -> MemberFile:
    """Prove that a member file was signed by the key its lineage leads to; raises `Malformed` or `Untrusted`."""
    signed = SignedEnvelope.parse(envelope)
    statement = parse_statement(signed.unverified_payload)
    payload = signed.verify([bytes32(statement.key, _CODE, "key")], PAYLOAD_TYPE)
    return MemberFile(
        statement=statement,
        member=MemberId.parse(statement.member),
        keys=_verified_chain(statement),
        digest=sha256(payload).hexdigest(),
    )


def _verified_chain(statement: MemberStatement) -> tuple[bytes, ...]:
    if not statement.key_history:
        keys = [bytes32(statement.key, _CODE, "key")]
    else:
        keys = [bytes32(statement.key_history[0].from_, _CODE, "key")]
    version = 0
    for change in statement.key_history:
        text = key_change_text(statement.member, change.version, change.from_, change.to)
        new = bytes32(change.to, _CODE, "key")
        if bytes32(change.from_, _CODE, "key") != keys[-1] or new in keys:
            raise Untrusted("member-file.lineage", "the key history is not one chain", at="registry")
        if not version < change.version <= statement.version:
            raise Untrusted("member-file.lineage", "the versions of the key history do not rise", at="registry")
        if not verify_ed25519(keys[-1], fixed(change.signature, 64, _CODE, "signature"), text):
            raise Untrusted("member-file.lineage", "a key change is not signed by the key before it", at="registry")
        keys.append(new)
        version = change.version
    if keys[-1] != bytes32(statement.key, _CODE, "key") or key_id(keys[0]) != statement.lineage:
        raise Untrusted("member-file.lineage", "the key history does not lead from the lineage to the key")
    return tuple(keys)


def _check(statement: MemberStatement) -> None:
    if statement.type != TYPE:
        malformed(_CODE, f"the type is not {TYPE!r}")
    _check_version(statement.version)
    member = MemberId.parse(statement.member)
    _same(str(member), statement.member)
    check_hex(statement.lineage, _CODE, "lineage")
    bytes32(statement.key, _CODE, "key")
    statement.names.check(_CODE)
    check_time(statement.issued, _CODE)
    check_time(statement.expires, _CODE)
    if not 0 < statement.expires - statement.issued <= MAX_LIFETIME:
        malformed(_CODE, "a member file is valid for at most a year")
    for name in ("nodes", "logs", "subsystems", "services", "key_history"):
        if len(getattr(statement, name)) > _MAX[name]:
            malformed(_CODE, f"more than {_MAX[name]} {name}")
    _check_nodes(statement.nodes)
    _check_logs(statement.logs)
    _check_services(member, statement)
    for change in statement.key_history:
        _check_version(change.version)
        fixed(change.signature, 64, _CODE, "signature")


def _check_nodes(nodes: tuple[NodeLine, ...]) -> None:
    _unique((n.tls for n in nodes), "TLS key")
    for count in Counter(n.id for n in nodes).values():
        if count > MAX_NODE_KEYS:
            malformed(_CODE, f"a node has at most {MAX_NODE_KEYS} TLS keys")
    for node in nodes:
        _same(str(NodeId.parse(node.id)), node.id)
        bytes32(node.tls, _CODE, "TLS key hash")
        match = _ADDRESS.match(node.address)
        if not match or int(match[1]) > 65535:
            malformed(_CODE, "an address is host:port")


def _check_logs(logs: tuple[LogLine, ...]) -> None:
    _unique((log.origin for log in logs), "log")
    for log in logs:
        _same(str(NodeId.parse(log.node)), log.node)
        check_vkeys(log.origin, log.vkeys, _CODE)
        check_time(log.from_, _CODE)
        if log.until is not None:
            check_time(log.until, _CODE)
            if log.until < log.from_:
                malformed(_CODE, "a log's time ends before it begins")
        if log.closed is not None:
            _check_version(log.closed.size + 1)
            bytes32(log.closed.root, _CODE, "root")
        if log.continues is not None and (log.continues == log.origin or not ORIGIN.match(log.continues)):
            malformed(_CODE, "`continues` names another log")


def check_vkeys(origin: str, vkeys: tuple[str, ...], code: str) -> tuple[VerifierKey, ...]:
    """A log's keys: Ed25519 first, whose hash the origin ends with, then at most one ML-DSA-44. Raises `Malformed`."""
    match = ORIGIN.match(origin)
    if not match or not 1 <= len(vkeys) <= 2:
        malformed(code, "a log has an origin and one or two keys")
    keys = tuple(VerifierKey.parse(v) for v in vkeys)
    if [k.kind for k in keys] != [ED25519, ML_DSA_44][: len(keys)] or any(k.name != origin for k in keys):
        malformed(code, "a log's keys are Ed25519, then perhaps ML-DSA-44, named as its origin")
    if sha256(keys[0].public).hexdigest()[:20] != match[1]:
        malformed(code, "a log's origin ends with the hash of its Ed25519 key")
    if tuple(str(k) for k in keys) != vkeys:
        malformed(code, "a key has one spelling")
    return keys


def _check_services(member: MemberId, statement: MemberStatement) -> None:
    _unique((s.code for s in statement.subsystems), "subsystem")
    _unique((s.id for s in statement.services), "service")
    subsystems = set()
    for line in statement.subsystems:
        subsystem = SubsystemId.parse(f"{member}/{line.code}")
        _same(str(subsystem), f"{member}/{line.code}")
        line.names.check(_CODE)
        subsystems.add(subsystem)
    for service in statement.services:
        parsed = ServiceId.parse(service.id)
        _same(str(parsed), service.id)
        if parsed.subsystem not in subsystems:
            malformed(_CODE, "a service belongs to a subsystem of its member")
        service.names.check(_CODE)
        notice = service.disabled
        if notice is not None and not (1 <= len(notice) <= MAX_NAME and notice.isprintable()):
            malformed(_CODE, f"a notice has 1 to {MAX_NAME} printable characters")
        _check_pages(service.rights)


def _check_pages(pages: tuple[PageReference, ...]) -> None:
    if len(pages) > _MAX["rights"]:
        malformed(_CODE, f"more than {_MAX['rights']} rights pages")
    firsts = [p.first for p in pages]
    if pages and (firsts[0] or any(a >= b for a, b in pairwise(firsts))):
        malformed(_CODE, "rights pages rise by their first client; the first covers from the beginning")
    for page in pages:
        check_hex(page.sha256, _CODE, "page's hash")
        if page.first:
            _same(str(SubsystemId.parse(page.first)), page.first)
        if not 0 < page.length <= MAX_PAGE:
            malformed(_CODE, f"a rights page has at most {MAX_PAGE} bytes")


def _check_version(version: int) -> None:
    if not 1 <= version <= MAX_VERSION:
        malformed(_CODE, "a version is a whole number from 1")


def _same(canonical: str, given: str) -> None:
    if canonical != given:
        malformed(_CODE, "an identifier has one spelling")


def _unique(values: Iterable[str], what: str) -> None:
    values = list(values)
    if len(set(values)) != len(values):
        malformed(_CODE, f"a {what} stands twice")
