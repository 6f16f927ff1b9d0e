"""Enrolment: a new node proves to the registry, with a token of its member, that it holds all of its keys.

The token is the private half of a key pair made for one enrolment: the member registers the public half, signed with
its member key, and hands the token to whoever sets the node up. Nothing secret ever travels to the registry, so what
the registry holds lets nobody enrol, and who listens learns nothing. The token names the anchor's hash: the node takes
no other country's word. What the registry has enrolled counts for nothing until the member names the node in its
signed file. Format: docs/formats/enrolment.md.
"""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass

from qaztech.core.errors import Malformed, Untrusted
from qaztech.core.ids import MemberId, NodeId
from qaztech.evidence.note import ML_DSA_44
from qaztech.registry.forms import Form, base64, bytes32, check_hex, check_time, decode, encode, fixed, malformed
from qaztech.registry.key_files import LogKeys
from qaztech.registry.member_file import check_vkeys
from qaztech.registry.node_identity import NodeIdentity
from qaztech.trust.envelope import SignedEnvelope, seal
from qaztech.trust.keys import Ed25519Key, verify_ed25519, verify_ml_dsa_44

GRANT_TYPE = "application/vnd.qaztech.enrolment-grant+json"
LIFETIME = 7 * 24 * 3600 * 1000
MAX_ENROLMENT = 128 * 1024
_PREFIX = "qaztech-enrol1."
_CODE = "enrolment.malformed"


class Token(Form, frozen=True, forbid_unknown_fields=True):
    """What a new node is given: where the registry is, which anchor it must show, its name, a key to use once."""

    registry: str
    anchor: str
    node: str
    lineage: str
    seed: str

    def format(self) -> str:
        """The token as people carry it."""
        return _PREFIX + urlsafe_b64encode(encode(self)).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str) -> Token:
        """Read a token; raises `Malformed`."""
        text = text.strip()
        if not text.startswith(_PREFIX) or len(text) > 8192:
            malformed(_CODE, f"an enrolment token begins with {_PREFIX}")
        body = text.removeprefix(_PREFIX)
        try:
            data = urlsafe_b64decode(body + "=" * (-len(body) % 4))
        except ValueError as exc:
            raise Malformed(_CODE, "the token is cut short or changed", at="caller") from exc
        token = decode(cls, data, code=_CODE, limit=8192)
        NodeId.parse(token.node)
        if not 1 <= len(token.anchor) <= 200 or not token.anchor.isprintable():
            malformed(_CODE, "a token names the anchor's fingerprint")
        check_hex(token.lineage, _CODE, "lineage")
        bytes32(token.seed, _CODE, "seed")
        return token

    @property
    def key(self) -> Ed25519Key:
        """The key to use once."""
        return Ed25519Key.from_seed(bytes32(self.seed, _CODE, "seed"))


class Grant(Form, frozen=True, forbid_unknown_fields=True):
    """The member's word to the registry: whoever holds this key may enrol a node of this name, until then."""

    instance: str
    node: str
    key: str
    issued: int
    expires: int


class Statement(Form, frozen=True, forbid_unknown_fields=True):
    """What all keys of the node sign: its name, the token's key, and each other."""

    instance: str
    node: str
    token: str
    address: str
    tls: str
    log: tuple[str, ...]
    request: str


class Enrolment(Form, frozen=True, forbid_unknown_fields=True):
    """A node's enrolment: the statement with the signatures of token, log key and hybrid log key ("" for none).

    `statement.request` is the PKCS #10 request (PEM), which the TLS key has signed.
    """

    statement: Statement
    token_signature: str
    log_signature: str
    hybrid_signature: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenNode:
    """A node that has proven possession of its keys; made by `verify_enrolment` only.

    Its TLS key is proven by its signature on `request`, which the authority that issues checks.
    """

    identity: NodeIdentity
    request: bytes
    token: bytes
    """The public key of the token used."""


def make_grant(*, instance: str, node: NodeId, token_key: bytes, now: int, key: Ed25519Key) -> bytes:
    """A grant, sealed with the member's present key."""
    grant = Grant(
        instance=instance, node=str(node), key=base64(token_key), issued=now, expires=now + LIFETIME
    )  # fmt: skip
    return seal(encode(grant), GRANT_TYPE, key)


def granting_member(envelope: bytes) -> MemberId:
    """Whose grant this claims to be; proves nothing. Raises `Malformed`."""
    payload = SignedEnvelope.parse(envelope).unverified_payload
    return NodeId.parse(decode(Grant, payload, code=_CODE, limit=4096).node).member


def verify_grant(envelope: bytes, *, instance: str, member_key: bytes, now: int) -> Grant:
    """Prove that a member granted an enrolment. Raises `Malformed` and `Untrusted`."""
    payload = SignedEnvelope.parse(envelope).verify([member_key], GRANT_TYPE)
    grant = decode(Grant, payload, code=_CODE, limit=4096)
    NodeId.parse(grant.node)
    bytes32(grant.key, _CODE, "token key")
    check_time(grant.issued, _CODE)
    check_time(grant.expires, _CODE)
    if grant.instance != instance or not 0 < grant.expires - grant.issued <= LIFETIME or grant.expires <= now:
        raise Untrusted("enrolment.grant", "the grant is of another instance or another time", at="caller")
    return grant


def _text(statement: Statement) -> bytes:
    return b"qaztech-enrolment 1\n" + encode(statement)


def make_enrolment(token: Token, *, identity: NodeIdentity, request: bytes, keys: LogKeys) -> bytes:
    """What a new node sends."""
    statement = Statement(
        instance=identity.id.member.instance,
        node=str(identity.id),
        token=base64(token.key.public),
        address=identity.address,
        tls=base64(identity.tls),
        log=tuple(map(str, identity.log)),
        request=request.decode("ascii"),
    )
    text = _text(statement)
    return encode(
        Enrolment(
            statement=statement,
            token_signature=base64(token.key.sign(text)),
            log_signature=base64(keys.key.sign(text)),
            hybrid_signature=base64(keys.hybrid.sign(text)) if keys.hybrid is not None else "",
        )
    )


def verify_enrolment(data: bytes, *, instance: str) -> ProvenNode:
    """Prove that whoever sent this holds the token and the log's keys. Raises `Malformed` and `Untrusted`."""
    enrolment = decode(Enrolment, data, code=_CODE, limit=MAX_ENROLMENT)
    statement = enrolment.statement
    node = NodeId.parse(statement.node)
    if statement.instance != instance or node.member.instance != instance:
        malformed(_CODE, f"the instance is {instance}")
    vkeys = check_vkeys(statement.log[0].partition("+")[0] if statement.log else "", statement.log, _CODE)
    token, text = bytes32(statement.token, _CODE, "token's key"), _text(statement)
    proven = verify_ed25519(token, fixed(enrolment.token_signature, 64, _CODE, "signature"), text)
    proven &= verify_ed25519(vkeys[0].public, fixed(enrolment.log_signature, 64, _CODE, "signature"), text)
    if len(vkeys) == 2 and vkeys[1].kind == ML_DSA_44:
        hybrid = fixed(enrolment.hybrid_signature, 2420, _CODE, "hybrid signature")
        proven &= verify_ml_dsa_44(vkeys[1].public, hybrid, text)
    elif enrolment.hybrid_signature:
        malformed(_CODE, "a hybrid signature without its key")
    if not proven:
        raise Untrusted("enrolment.proof", "the node has not proven that it holds its keys", at="caller")
    identity = NodeIdentity(
        id=node, address=statement.address, tls=bytes32(statement.tls, _CODE, "TLS key hash"), log=vkeys
    )
    try:
        request = statement.request.encode("ascii")
    except UnicodeEncodeError as exc:
        raise Malformed(_CODE, "PEM is ASCII", at="caller") from exc
    return ProvenNode(identity=identity, request=request, token=token)


def new_token(*, registry: str, anchor: str, node: NodeId, lineage: str) -> Token:
    """A token with a key that nobody has used."""
    seed = secrets.token_bytes(32)
    return Token(registry=registry, anchor=anchor, node=str(node), lineage=lineage, seed=base64(seed))
