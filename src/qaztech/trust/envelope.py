"""Signed envelopes: the Dead Simple Signing Envelope (DSSE 1.0) with Ed25519.

An envelope binds a payload to its type, so that what was signed as one thing is never read as another. Parsing proves
form only; bytes leave through `verify`, which needs the keys and the payload type that are expected.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable
from hashlib import sha256
from typing import Self

import msgspec

from qaztech.core.errors import Malformed, Untrusted
from qaztech.trust.keys import Ed25519Key, verify_ed25519

MAX_ENVELOPE = 1024 * 1024
MAX_SIGNATURES = 16


class Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One signature: a hint which key made it, and its 64 bytes in base64."""

    keyid: str
    sig: str


class _Wire(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    payload: str
    payloadType: str  # noqa: N815 - the name DSSE gives it
    signatures: list[Signature]


_DECODER = msgspec.json.Decoder(_Wire)


def key_id(public: bytes) -> str:
    """The name of a key: SHA-256 of its 32 raw bytes, in hex. That of a member's first key is its lineage."""
    return sha256(public).hexdigest()


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """The bytes that are signed (DSSE: PAE)."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def decode_base64(text: str, what: str = "value") -> bytes:
    """Standard, padded, canonical base64; raises `Malformed`."""
    try:
        data = b64decode(text, validate=True)
    except ValueError as exc:
        raise Malformed("envelope.malformed", f"the {what} is not base64") from exc
    if b64encode(data).decode() != text:
        raise Malformed("envelope.malformed", f"the {what} is not canonical base64")
    return data


class SignedEnvelope:
    """A parsed envelope, not yet verified: its payload is nobody's word until `verify`."""

    __slots__ = ("_payload", "_signatures", "data", "payload_type")

    def __init__(self, *, data: bytes, payload_type: str, payload: bytes, signatures: list[tuple[str, bytes]]) -> None:
        self.data = data
        self.payload_type = payload_type
        self._payload = payload
        self._signatures = signatures

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read an envelope from its JSON; raises `Malformed`."""
        if len(data) > MAX_ENVELOPE:
            raise Malformed("envelope.malformed", f"an envelope has at most {MAX_ENVELOPE} bytes")
        try:
            wire = _DECODER.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            raise Malformed("envelope.malformed", "this is not a DSSE envelope") from exc
        if not 1 <= len(wire.signatures) <= MAX_SIGNATURES:
            raise Malformed("envelope.malformed", f"an envelope has 1 to {MAX_SIGNATURES} signatures")
        payload = decode_base64(wire.payload, "payload")
        signatures = [(s.keyid, decode_base64(s.sig, "signature")) for s in wire.signatures]
        return cls(data=data, payload_type=wire.payloadType, payload=payload, signatures=signatures)

    @property
    def unverified_payload(self) -> bytes:
        """The payload before anything is proven: only to find out which key should have signed it."""
        return self._payload

    def verify(self, keys: Iterable[bytes], payload_type: str) -> bytes:
        """The payload, if it has this type and one of these Ed25519 keys signed it; raises `Untrusted`."""
        if self.payload_type != payload_type:
            raise Untrusted("envelope.type", f"the envelope holds {self.payload_type[:80]!r}, not {payload_type!r}")
        message = pre_authentication_encoding(payload_type, self._payload)
        for key in keys:
            if any(len(sig) == 64 and verify_ed25519(key, sig, message) for _, sig in self._signatures):
                return self._payload
        raise Untrusted("envelope.signature", "no signature by the key that had to sign")


def seal(payload: bytes, payload_type: str, key: Ed25519Key) -> bytes:
    """Sign a payload and its type; the envelope as JSON."""
    signature = key.sign(pre_authentication_encoding(payload_type, payload))
    wire = _Wire(
        payload=b64encode(payload).decode(),
        payloadType=payload_type,
        signatures=[Signature(keyid=key_id(key.public), sig=b64encode(signature).decode())],
    )
    return msgspec.json.encode(wire)
