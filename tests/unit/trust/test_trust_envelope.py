"""Signed envelopes: what was signed as one thing is never read as another."""

from __future__ import annotations

import json
from base64 import b64encode

import pytest

from qaztech.core.errors import Malformed, Untrusted
from qaztech.trust.envelope import SignedEnvelope, key_id, pre_authentication_encoding, seal
from qaztech.trust.keys import Ed25519Key

KEY = Ed25519Key.from_seed(bytes(32))
OTHER = Ed25519Key.from_seed(bytes(31) + b"\x01")
TYPE = "application/vnd.example+json"


def test_the_encoding_is_that_of_the_specification() -> None:
    """The example of DSSE's protocol page."""
    encoded = pre_authentication_encoding("http://example.com/HelloWorld", b"hello world")
    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_what_was_sealed_is_read_back() -> None:
    """One signature by the key, found among several keys that would do."""
    envelope = SignedEnvelope.parse(seal(b"payload", TYPE, KEY))
    assert envelope.unverified_payload == b"payload"
    assert envelope.verify([OTHER.public, KEY.public], TYPE) == b"payload"
    assert json.loads(envelope.data)["signatures"][0]["keyid"] == key_id(KEY.public)


def test_another_key_or_type_is_untrusted() -> None:
    """Neither who signed nor what it was signed as can be exchanged."""
    envelope = SignedEnvelope.parse(seal(b"payload", TYPE, KEY))
    with pytest.raises(Untrusted, match="signature"):
        envelope.verify([OTHER.public], TYPE)
    with pytest.raises(Untrusted, match="signature"):
        envelope.verify([], TYPE)
    with pytest.raises(Untrusted, match="holds"):
        envelope.verify([KEY.public], "application/other")
    wire = json.loads(envelope.data) | {"payloadType": "application/other"}
    with pytest.raises(Untrusted, match="signature"):
        SignedEnvelope.parse(json.dumps(wire).encode()).verify([KEY.public], "application/other")


def test_one_of_several_signatures_is_enough() -> None:
    """A signature by a stranger, or of a strange length, beside the right one does no harm."""
    wire = json.loads(seal(b"payload", TYPE, KEY))
    stranger = json.loads(seal(b"payload", TYPE, OTHER))["signatures"][0]
    short = {"keyid": "", "sig": b64encode(b"short").decode()}
    wire["signatures"] = [short, stranger, *wire["signatures"]]
    assert SignedEnvelope.parse(json.dumps(wire).encode()).verify([KEY.public], TYPE) == b"payload"
    wire["signatures"] = [short]
    with pytest.raises(Untrusted):
        SignedEnvelope.parse(json.dumps(wire).encode()).verify([KEY.public], TYPE)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b'{"payload":"","payloadType":"","signatures":[]}',
        b'{"payload":"!","payloadType":"t","signatures":[{"keyid":"","sig":""}]}',
        b'{"payload":"YQ","payloadType":"t","signatures":[{"keyid":"","sig":""}]}',
        b'{"payload":"YR==","payloadType":"t","signatures":[{"keyid":"","sig":""}]}',
        b'{"payload":"YQ==","payloadType":"t","signatures":[{"keyid":"","sig":"*"}]}',
        b'{"payload":"YQ==","payloadType":"t","signatures":[{"keyid":"","sig":"","x":1}]}',
        b'{"payload":"YQ==","payloadType":"t","signatures":[{"keyid":"","sig":""}],"x":1}',
        b'{"payload":"\\ud800","payloadType":"t","signatures":[{"keyid":"","sig":""}]}',
        b'{"payload":"' + b"A" * 2_000_000 + b'","payloadType":"t","signatures":[{"keyid":"","sig":""}]}',
        json.dumps({"payload": "", "payloadType": "", "signatures": [{"keyid": "", "sig": ""}] * 17}).encode(),
    ],
)
def test_anything_else_is_malformed(data: bytes) -> None:
    """Form comes before trust."""
    with pytest.raises(Malformed):
        SignedEnvelope.parse(data)
