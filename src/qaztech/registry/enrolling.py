"""The two ends of an enrolment away from the registry: the member who grants it, and the new node that uses it.

What crosses the wire proves itself, so the link need not be trusted: the anchor must have the hash the token names, and
the certificate must be for the node's own key by an authority of the configuration verified from that anchor.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from qaztech.core.errors import Conflict, Malformed, Untrusted
from qaztech.core.ids import NodeId
from qaztech.registry.anchor import Anchor, parse_anchor
from qaztech.registry.desk import Desk
from qaztech.registry.enrolment import Token, make_enrolment, make_grant, new_token
from qaztech.registry.enrolments import Granted
from qaztech.registry.files import replace_file, write_file
from qaztech.registry.key_files import TLS_CERTIFICATE, TLS_REQUEST, load_log_keys
from qaztech.registry.node_identity import NODE_FILE, NodeIdentity
from qaztech.registry.submitting import fetch, fetch_bytes, send
from qaztech.trust.certificates import node_of, spki_hash
from qaztech.trust.envelope import key_id

MAX_ANCHOR = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """A node that has its certificate."""

    identity: NodeIdentity
    anchor: Anchor
    certificate: Path


def grant(desk: Desk, node: NodeId, *, registry: str, now: int, fingerprint: str = "") -> Token:
    """Let one node of this name enrol; the token is for whoever sets it up. Raises what the registry says.

    `fingerprint` is that of the anchor the member knows. The link to the registry proves nothing: without it the token
    names whatever anchor the address gives, and the new node would take that country for its own.
    """
    if node.member != desk.member:
        raise Conflict("member.other", f"this is the desk of {desk.member}, and {node} is another member's")
    anchor = parse_anchor(fetch_bytes(registry, "/anchor"))
    if fingerprint and anchor.fingerprint != fingerprint:
        raise Untrusted(
            "enrolment.anchor", "the registry at that address has another anchor than the member", at="registry"
        )
    token = new_token(registry=registry, anchor=anchor.fingerprint, node=node, lineage=desk.lineage)
    send(
        registry,
        "/nodes/grants",
        make_grant(instance=node.member.instance, node=node, token_key=token.key.public, now=now, key=desk.key),
    )
    return token


def granted(token: Token) -> Granted:
    """What became of a grant: `identity` is there once a node has used it."""
    answer = fetch(token.registry, f"/nodes/grants/{key_id(token.key.public)}")
    identity = answer["identity"].encode() if answer["identity"] is not None else None
    return Granted(
        token=answer["token"], node=answer["node"], expires=answer["expires"], used=answer["used"], identity=identity
    )


def accept(desk: Desk, granted_: Granted) -> NodeIdentity:
    """Name an enrolled node, and its log, in the member file: from then on it speaks for the member."""
    if granted_.identity is None:
        raise Conflict("enrolment.waiting", f"no node has enrolled as {granted_.node} yet", at="caller")
    identity = NodeIdentity.parse(granted_.identity)
    if str(identity.id) != granted_.node or identity.id.member != desk.member:
        raise Untrusted("enrolment.proof", "the registry shows another node than was granted", at="registry")
    desk.add_node(identity.id, identity.address, identity.tls, identity.log, identity.continues)
    return identity


def enrol(token: Token, directory: Path, *, address: str, hybrid: bool) -> Enrolled:
    """Make the node's keys, prove them, and get its certificate. What is there stays, so it can be run again."""
    node = NodeId.parse(token.node)
    data = fetch_bytes(token.registry, "/anchor")
    if len(data) > MAX_ANCHOR:
        raise Malformed("anchor.malformed", "what the registry gives as its anchor is too long", at="registry")
    anchor = parse_anchor(data)
    if anchor.fingerprint != token.anchor:
        raise Untrusted(
            "enrolment.anchor",
            "the registry at the token's address has another anchor than the token names",
            at="registry",
        )
    identity = NodeIdentity.create(directory, node, address, hybrid=hybrid)
    write_file(directory / NODE_FILE, identity.format())
    write_file(directory / "anchor.json", anchor.data)
    request = (directory / TLS_REQUEST).read_bytes()
    keys = load_log_keys(directory, node.member.instance)
    certificate = fetch_bytes(
        token.registry, "/nodes/enrolments", make_enrolment(token, identity=identity, request=request, keys=keys)
    )
    _check(certificate, identity)
    replace_file(directory / TLS_CERTIFICATE, certificate)
    return Enrolled(identity=identity, anchor=anchor, certificate=directory / TLS_CERTIFICATE)


def _check(certificate: bytes, identity: NodeIdentity) -> None:
    try:
        der = ssl.PEM_cert_to_DER_cert(certificate.decode("ascii"))
    except ValueError as exc:
        raise Malformed("certificate.malformed", "the registry's answer is not a certificate", at="registry") from exc
    if spki_hash(der) != identity.tls or node_of(der) != identity.id:
        raise Untrusted("enrolment.certificate", "the certificate is for another key or another node", at="registry")
