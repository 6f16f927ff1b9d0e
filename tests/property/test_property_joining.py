"""What organisations send to join, changed at random: only our own errors escape, and nothing forged gets through."""

from __future__ import annotations

from contextlib import suppress
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qaztech.core.bin import reserved_bin
from qaztech.core.errors import Error
from qaztech.core.ids import MemberId, NodeId
from qaztech.registry.application import binding_text, make_application, new_contact, verify_application
from qaztech.registry.enrolment import (
    Token,
    granting_member,
    make_enrolment,
    make_grant,
    new_token,
    verify_enrolment,
    verify_grant,
)
from qaztech.registry.forms import Names, base64
from qaztech.registry.key_files import TLS_REQUEST, load_log_keys
from qaztech.registry.node_identity import NodeIdentity
from qaztech.trust.envelope import SignedEnvelope
from qaztech.trust.keys import Ed25519Key
from qaztech.trust.national import NationalSignature, TestAuthority, TestSigner, TestVerifier
from registry_country import quick_folder

NOW = 1_800_000_000_000
BIN = reserved_bin(700)
MEMBER = MemberId("KZ", "EDU", BIN)
KEY = Ed25519Key.from_seed(bytes(32))
AUTHORITY = TestAuthority.create(NOW)
VERIFIER = TestVerifier([AUTHORITY.certificate])


@cache
def samples() -> dict[str, bytes]:
    """One good example for each parser."""
    signer = AUTHORITY.signer(name="S", iin="991300000019", bin_=BIN, now=NOW)
    binding = signer.sign(binding_text(str(MEMBER), base64(KEY.public), NOW))
    names, contact = Names(kk="а", ru="б", en="c"), new_contact("unit", "a@b.example", "+77010000000")
    token = new_token(registry="http://127.0.0.1:1", anchor="3f2a", node=NodeId(MEMBER, "n"), lineage="0" * 64)
    with quick_folder() as folder:
        identity = NodeIdentity.create(folder, NodeId(MEMBER, "n"), "127.0.0.1:5500", hybrid=True)
        request, keys = (folder / TLS_REQUEST).read_bytes(), load_log_keys(folder, "KZ")
        enrolment = make_enrolment(token, identity=identity, request=request, keys=keys)
    return {
        "application": make_application(
            member=MEMBER, key=KEY, names=names, contact=contact, issued=NOW, binding=binding
        ),
        "grant": make_grant(instance="KZ", node=NodeId(MEMBER, "n"), token_key=token.key.public, now=NOW, key=KEY),
        "enrolment": enrolment,
        "token": token.format().encode(),
        "signer": signer.format(),
    }


def read(kind: str, data: bytes) -> None:
    """Give bytes to the parser of a kind."""
    if kind == "application":
        verify_application(data, instance="KZ", national=VERIFIER, now=NOW)
    elif kind == "grant":
        granting_member(data)
        verify_grant(data, instance="KZ", member_key=KEY.public, now=NOW)
    elif kind == "enrolment":
        verify_enrolment(data, instance="KZ")
    elif kind == "token":
        _ = Token.parse(data.decode("utf-8", "replace")).key
    else:
        TestSigner.parse(data)


KINDS = ("application", "grant", "enrolment", "token", "signer")


@pytest.mark.parametrize("kind", KINDS)
def test_the_samples_are_good(kind: str) -> None:
    """Else the rest would prove nothing."""
    read(kind, samples()[kind])


@pytest.mark.parametrize("kind", KINDS)
@given(noise=st.binary(max_size=300))
@settings(max_examples=40, deadline=None)
def test_noise_is_refused(kind: str, noise: bytes) -> None:
    """Bytes at random are nothing that any of them takes."""
    with pytest.raises(Error):
        read(kind, noise)


@pytest.mark.parametrize("kind", KINDS)
@given(st.data())
@settings(max_examples=60, deadline=None)
def test_one_changed_byte_escapes_as_our_error_(kind: str, data: st.DataObject) -> None:
    """A byte replaced, removed or doubled: our own error, and nothing else than what was signed is taken."""
    good = samples()[kind]
    at = data.draw(st.integers(0, len(good) - 1))
    change = data.draw(st.sampled_from(["replace", "remove", "double"]))
    new = data.draw(st.integers(0, 255).filter(lambda b: b != good[at]))
    changed = {
        "replace": good[:at] + bytes([new]) + good[at + 1 :],
        "remove": good[:at] + good[at + 1 :],
        "double": good[: at + 1] + good[at:],
    }[change]
    with suppress(Error):
        read(kind, changed)
        # What was taken says what was signed: only the hint beside a signature may differ.
        if kind in {"application", "grant"}:
            assert SignedEnvelope.parse(changed).unverified_payload == SignedEnvelope.parse(good).unverified_payload
        assert kind != "enrolment" or changed == good


@given(kind=st.text(max_size=20), certificate=st.text(max_size=200), signature=st.text(max_size=100))
@settings(max_examples=60, deadline=None)
def test_a_national_signature_of_anything_is_untrusted(kind: str, certificate: str, signature: str) -> None:
    """Whatever stands in it, the verifier says so in our words."""
    for given_kind in (kind, "test-x509"):
        with pytest.raises(Error):
            VERIFIER.verify(b"x", NationalSignature(kind=given_kind, certificate=certificate, signature=signature), NOW)
