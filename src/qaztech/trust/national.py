"""National signatures: who may bind an organisation, proven by a certificate that names person and organisation.

Kazakhstan's certificates for legal entities name the organisation in the subject as `OU=BIN<12 digits>` and the person
as `SERIALNUMBER=IIN<12 digits>`. This is the interface behind which a national provider stands; what is here is the
test provider: ECDSA P-256 over the bytes, and an authority of its own that nobody outside a test country trusts. The
legal effect of a signature is not decided here.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from qaztech.core.errors import Malformed, Untrusted
from qaztech.trust.certificates import generate_key, key_pem, load_key
from qaztech.trust.envelope import decode_base64

TEST = "test-x509"
_MAX_CERTIFICATE = 16 * 1024
_BIN, _IIN = re.compile(r"BIN(\d{12})\Z", re.ASCII), re.compile(r"IIN(\d{12})\Z", re.ASCII)
_DAY = timedelta(days=1)


class NationalSignature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A detached signature: the provider's kind, the signer's certificate (PEM), the signature (base64)."""

    kind: str
    certificate: str
    signature: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Signatory:
    """Who signed, as the certificate says: the person's name and IIN, the organisation's BIN. Personal data."""

    name: str
    iin: str
    bin: str


class NationalVerifier(Protocol):
    """What accepts national signatures."""

    def verify(self, data: bytes, signature: NationalSignature, now: int) -> Signatory:
        """Who signed these bytes, by a certificate in force at `now` (milliseconds); raises `Untrusted`."""
        ...


class TestAuthority:
    """Issues certificates of the test kind. Anyone may make one: it proves nothing outside a test country."""

    __test__ = False  # not a test case

    def __init__(self, *, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        self._key = key
        self._certificate = certificate

    @classmethod
    def create(cls, now: int) -> TestAuthority:
        """A new authority."""
        key, name = generate_key(), _name([(NameOID.COMMON_NAME, "QazTech test of national signatures")])
        builder = _builder(name, name, key.public_key(), now, days=3650)
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        return cls(key=key, certificate=builder.add_extension(constraints, critical=True).sign(key, hashes.SHA256()))

    @classmethod
    def load(cls, directory: Path) -> TestAuthority:
        """From `national-test.key` and `national-test.pem` in a folder."""
        pem = (directory / "national-test.pem").read_bytes()
        key = load_key((directory / "national-test.key").read_bytes())
        return cls(key=key, certificate=x509.load_pem_x509_certificate(pem))

    @property
    def certificate(self) -> bytes:
        """Its certificate, PEM."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key(self) -> bytes:
        """Its private key, PEM."""
        return key_pem(self._key)

    def signer(self, *, name: str, iin: str, bin_: str, now: int) -> TestSigner:
        """A person who may sign for an organisation."""
        key = generate_key()
        subject = _name(
            [
                (NameOID.COMMON_NAME, name),
                (NameOID.SERIAL_NUMBER, f"IIN{iin}"),
                (NameOID.ORGANIZATIONAL_UNIT_NAME, f"BIN{bin_}"),
            ]
        )
        builder = _builder(subject, self._certificate.subject, key.public_key(), now, days=365)
        constraints = x509.BasicConstraints(ca=False, path_length=None)
        certificate = builder.add_extension(constraints, critical=True).sign(self._key, hashes.SHA256())
        return TestSigner(key=key, certificate=certificate.public_bytes(serialization.Encoding.PEM))


@dataclass(frozen=True, slots=True, kw_only=True)
class TestSigner:
    """A person's key and certificate of the test kind."""

    __test__ = False

    key: ec.EllipticCurvePrivateKey
    certificate: bytes

    @classmethod
    def parse(cls, pem: bytes) -> TestSigner:
        """From one PEM file that holds the key and the certificate; raises `Malformed`."""
        marker = b"-----BEGIN CERTIFICATE-----"
        key, found, rest = pem.partition(marker)
        if not found:
            raise Malformed("national.signer", "the signer's file holds a private key, then its certificate (PEM)")
        return cls(key=load_key(key), certificate=marker + rest)

    def format(self) -> bytes:
        """Key and certificate in one PEM file."""
        return key_pem(self.key) + self.certificate

    def sign(self, data: bytes) -> NationalSignature:
        """Sign these bytes."""
        signature = b64encode(self.key.sign(data, ec.ECDSA(hashes.SHA256()))).decode()
        return NationalSignature(kind=TEST, certificate=self.certificate.decode(), signature=signature)


class TestVerifier:
    """Accepts signatures of the test kind by these authorities (PEM)."""

    __test__ = False

    def __init__(self, authorities: Iterable[bytes]) -> None:
        self._authorities = [x509.load_pem_x509_certificate(pem) for pem in authorities]

    def verify(self, data: bytes, signature: NationalSignature, now: int) -> Signatory:
        """See `NationalVerifier`."""
        if signature.kind != TEST or len(signature.certificate) > _MAX_CERTIFICATE:
            raise Untrusted("national.signature", f"a signature of kind {signature.kind[:40]!r} is not accepted here")
        try:
            certificate = x509.load_pem_x509_certificate(signature.certificate.encode())
            given = decode_base64(signature.signature, "signature")
            self._check_issued(certificate, now)
            public = certificate.public_key()
            if not isinstance(public, ec.EllipticCurvePublicKey):
                raise Untrusted("national.signature", "the signer's key is not an EC key")
            public.verify(given, data, ec.ECDSA(hashes.SHA256()))
        except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature) as exc:
            raise Untrusted("national.signature", "the national signature does not verify") from exc
        return _signatory(certificate)

    def _check_issued(self, certificate: x509.Certificate, now: int) -> None:
        moment = datetime.fromtimestamp(now / 1000, UTC)
        if not certificate.not_valid_before_utc <= moment <= certificate.not_valid_after_utc:
            raise Untrusted("national.signature", "the signer's certificate is not in force")
        for authority in self._authorities:
            try:
                certificate.verify_directly_issued_by(authority)
            except (ValueError, TypeError, InvalidSignature):
                continue
            return
        raise Untrusted("national.signature", "the signer's certificate is of no authority accepted here")


def _signatory(certificate: x509.Certificate) -> Signatory:
    def found(oid: x509.ObjectIdentifier, pattern: re.Pattern[str] | None = None) -> str:
        values = [str(attribute.value) for attribute in certificate.subject.get_attributes_for_oid(oid)]
        if pattern is not None:
            values = [match[1] for value in values if (match := pattern.match(value))]
        if len(values) != 1:
            raise Untrusted("national.signature", "the certificate does not name one person of one organisation")
        return values[0]

    return Signatory(
        name=found(NameOID.COMMON_NAME),
        iin=found(NameOID.SERIAL_NUMBER, _IIN),
        bin=found(NameOID.ORGANIZATIONAL_UNIT_NAME, _BIN),
    )


def _name(values: list[tuple[x509.ObjectIdentifier, str]]) -> x509.Name:
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in values])


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, now: int, *, days: int
) -> x509.CertificateBuilder:
    start = datetime.fromtimestamp(now // 1000, UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - _DAY)
        .not_valid_after(start + days * _DAY)
    )
