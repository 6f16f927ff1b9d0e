"""Renewing a node's certificate without the operator: `POST /certificates/renew`, open to anyone who can prove the key.

A node asks for the key that its member's file names for it, and proves at that moment that it has that key: by the
request (PKCS #10) and by a signature over a statement of node, instance, time and request. So nobody gets a certificate
here that the operator's `registry certificate` would not have given, and a member that is suspended gets none. Not
here: first certificates, which are the operator's to give.
"""

from __future__ import annotations

import logging
from base64 import b64decode
from hashlib import sha256
from typing import Protocol

import msgspec

from qaztech.core.errors import Conflict, Forbidden, Limited, Malformed, Untrusted
from qaztech.core.exchange import CLOCK_SKEW
from qaztech.core.ids import NodeId
from qaztech.core.time import Clock
from qaztech.trust.certificates import Authority, verify_request

logger = logging.getLogger("qaztech.registry")

MAX_REQUEST = 8 * 1024
MAX_SIGNATURE = 256
# Milliseconds between two certificates of one key: signing is the registry's work, whoever asks.
RENEW_EVERY = 5_000


class RenewalRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a node sends: `request` is PKCS #10 in PEM, `time` milliseconds, `signature` base64 (ECDSA, DER)."""

    node: str
    time: int
    request: str
    signature: str


class Members(Protocol):
    """What the registry knows of nodes (`admission.Registry`)."""

    instance: str

    def may_renew(self, node: NodeId, spki: bytes) -> None:
        """Raise unless this node's certificate for this key (SHA-256 of SPKI) may be renewed."""
        ...


def renewal_statement(instance: str, node: NodeId, time: int, request: bytes) -> bytes:
    """What the TLS key signs to renew its certificate; `request` are the bytes of the request in PEM."""
    digest = sha256(request).hexdigest()
    return f"qaztech-certificate-renewal 1\ninstance {instance}\nnode {node}\ntime {time}\nrequest {digest}\n".encode()


class Renewals:
    """The registry's side. What it remembers is the time of each key's last statement: the next must be later.

    A statement from before this object was made is refused too, so a restart opens no window for old ones.
    """

    def __init__(self, members: Members, authority: Authority | None, clock: Clock) -> None:
        self._members = members
        self._authority = authority
        self._clock = clock
        self._since = clock.now()
        self._last: dict[bytes, int] = {}

    def renew(self, asked: RenewalRequest) -> bytes:
        """The new certificate (PEM), or the error that says why there is none."""
        if self._authority is None:
            raise Conflict("certificate.authority", "this registry issues no certificates", at="registry")
        now, node, request = self._clock.now(), NodeId.parse(asked.node), _pem(asked.request)
        if abs(now - asked.time) > CLOCK_SKEW:
            raise Forbidden("certificate.stale", "a request from another time: is the node's clock right?", at="caller")
        verified = verify_request(request, node)
        self._members.may_renew(node, verified.spki)
        statement = renewal_statement(self._members.instance, node, asked.time, request)
        if not verified.signed(_signature(asked.signature), statement):
            raise Untrusted("certificate.proof", "the key did not sign this request for now and here", at="registry")
        last = self._last.get(verified.spki, self._since)
        if asked.time <= last:
            raise Forbidden("certificate.replayed", "a request that was here before", at="caller")
        if verified.spki in self._last and asked.time < last + RENEW_EVERY:
            raise Limited("certificate.too-often", "this key was certified a moment ago", at="registry", retry_after=5)
        certificate = self._authority.issue(request, node, now)
        self._last[verified.spki] = asked.time
        logger.info("certificate renewed", extra={"fields": {"node": str(node), "key": verified.spki.hex()}})
        return certificate


def _pem(text: str) -> bytes:
    if len(text) > MAX_REQUEST or not text.isascii():
        raise Malformed("certificate.request", f"a request is PEM of at most {MAX_REQUEST} bytes", at="caller")
    return text.encode("ascii")


def _signature(text: str) -> bytes:
    try:
        if len(text) <= MAX_SIGNATURE:
            return b64decode(text, validate=True)
    except ValueError:
        pass
    raise Malformed("certificate.proof", "the signature is not base64 of a signature's size", at="caller")
