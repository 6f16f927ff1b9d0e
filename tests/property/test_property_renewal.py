"""Requests to renew a certificate: whatever comes is answered by one of our errors, and certifies nobody."""

from __future__ import annotations

from base64 import b64encode
from contextlib import contextmanager, suppress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from qaztech.core.errors import Error, NotFound
from qaztech.core.ids import NodeId
from qaztech.core.time import ManualClock
from qaztech.registry.renewal import RenewalRequest, Renewals, renewal_statement
from qaztech.trust.certificates import (
    Authority,
    certificate_request,
    check_issued,
    generate_key,
    key_spki_hash,
    sign_with,
)

NODE = NodeId.parse("KZ/GOV/991340000017/node1")
KEY = generate_key()
CLOCK = ManualClock()
AUTHORITY = Authority.create("KZ", CLOCK.now())
DER = x509.load_pem_x509_csr(certificate_request(KEY, NODE)).public_bytes(Encoding.DER)
PEM = AUTHORITY.issue(certificate_request(KEY, NODE), NODE, CLOCK.now())
CERTIFICATE = x509.load_pem_x509_certificate(PEM).public_bytes(Encoding.DER)


class Members:
    """A registry that knows one key of one node."""

    instance = "KZ"

    def may_renew(self, node: NodeId, spki: bytes) -> None:
        if (node, spki) != (NODE, key_spki_hash(KEY)):
            raise NotFound("member.unknown", "not admitted", at="registry")


def pem(der: bytes, what: str) -> bytes:
    """Any bytes in the armour of PEM."""
    return b"-----BEGIN %b-----\n%b\n-----END %b-----\n" % (what.encode(), b64encode(der), what.encode())


@st.composite
def changed(draw: st.DrawFn, data: bytes) -> bytes:
    """The same bytes with a few of them changed, cut out or put in."""
    found = bytearray(data)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(found) - 1))
        found[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(found)


@contextmanager
def ours():
    """Only our own errors."""
    with suppress(Error):
        yield


@settings(max_examples=200)
@given(der=changed(DER))
def test_a_changed_request_is_refused_in_our_words(der: bytes) -> None:
    """Signed for, or not: what does not verify certifies nobody, and raises nothing else."""
    CLOCK.advance(10_000)
    request, time = pem(der, "CERTIFICATE REQUEST"), CLOCK.now()
    signature = b64encode(sign_with(KEY, renewal_statement("KZ", NODE, time, request))).decode()
    given_ = None
    with ours():
        renewals = Renewals(Members(), AUTHORITY, CLOCK)
        CLOCK.advance(1)
        given_ = renewals.renew(RenewalRequest(str(NODE), time + 1, request.decode(), signature))
    assert given_ is None


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")  # of a number that is none
@settings(max_examples=200)
@given(der=changed(CERTIFICATE))
def test_a_changed_certificate_is_not_believed(der: bytes) -> None:
    """By the node that asked for it; nor does it raise anything else."""
    authorities = [AUTHORITY.certificate_pem.decode()]
    now = CLOCK.now()
    period = None
    with ours():
        period = check_issued(
            pem(der, "CERTIFICATE"), spki=key_spki_hash(KEY), node=NODE, authorities=authorities, now=now
        )
    assert period is None or der == CERTIFICATE


@given(text=st.text(max_size=80), number=st.integers(-(2**63), 2**63 - 1))
def test_nonsense_is_refused_in_our_words(text: str, number: int) -> None:
    """In any field."""
    renewals = Renewals(Members(), AUTHORITY, CLOCK)
    given_ = None
    for asked in (
        RenewalRequest(text, number, text, text), RenewalRequest(str(NODE), CLOCK.now(), text, text),
        RenewalRequest(str(NODE), number, DER.hex(), text),
    ):  # fmt: skip
        with ours():
            given_ = renewals.renew(asked)
    assert given_ is None
