"""A time-stamping authority for development: real RFC 3161 tokens from a key that anyone may run.

It issues what any authority does (CMS `SignedData` over `TSTInfo`, ECDSA P-256, `signingCertificateV2`), so that the
path of trusted timestamps is walked from the first day on. It proves as much about time as the machine it runs on.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from qaztech.core.errors import Conflict, Malformed, NotFound
from qaztech.core.time import Clock
from qaztech.evidence.der import der, integer, octets, oid, sequence, set_of

LIFETIME_DAYS: Final = 3650
POLICY: Final = "2.25.329800735698586629295641978511506172918"  # a UUID of our own: no promise about the time
_SHA256: Final = "2.16.840.1.101.3.4.2.1"
_DIGESTS: Final = {_SHA256: 32, "2.16.840.1.101.3.4.2.2": 48, "2.16.840.1.101.3.4.2.3": 64}
_ECDSA_SHA256: Final = "1.2.840.10045.4.3.2"
_SIGNED_DATA: Final = "1.2.840.113549.1.7.2"
_TST_INFO: Final = "1.2.840.113549.1.9.16.1.4"
_CONTENT_TYPE: Final = "1.2.840.113549.1.9.3"
_MESSAGE_DIGEST: Final = "1.2.840.113549.1.9.4"
_SIGNING_CERTIFICATE_V2: Final = "1.2.840.113549.1.9.16.2.47"
# PKIFailureInfo bits (RFC 3161, 2.4.2).
_BAD_ALGORITHM, _BAD_REQUEST, _BAD_FORMAT, _BAD_POLICY, _BAD_EXTENSION = 0, 2, 5, 15, 16


@asn1.sequence
class _Algorithm:
    oid: x509.ObjectIdentifier
    parameters: asn1.Null | None


@asn1.sequence
class _Imprint:
    algorithm: _Algorithm
    digest: bytes


@asn1.sequence
class _Extension:
    oid: x509.ObjectIdentifier
    critical: Annotated[bool, asn1.Default(False)]
    value: bytes


@asn1.sequence
class _Request:
    version: int
    imprint: _Imprint
    policy: x509.ObjectIdentifier | None
    nonce: int | None
    certificate: Annotated[bool, asn1.Default(False)]
    extensions: Annotated[list[_Extension] | None, asn1.Implicit(0)]


class DevelopmentAuthority:
    """Answers time-stamp requests with its key and its clock."""

    def __init__(self, *, key: EllipticCurvePrivateKey, certificate: x509.Certificate, clock: Clock) -> None:
        self._key = key
        self._certificate = certificate
        self._clock = clock

    @classmethod
    def generate(cls, clock: Clock) -> DevelopmentAuthority:
        """A new authority with a self-signed certificate, not on disk."""
        key = generate_private_key(SECP256R1())
        return cls(key=key, certificate=_self_signed(key, clock.now()), clock=clock)

    @classmethod
    def load(cls, directory: Path, clock: Clock) -> DevelopmentAuthority:
        """The authority whose key and certificate `save` wrote here."""
        try:
            key = load_pem_private_key((directory / "tsa-key.pem").read_bytes(), password=None)
            certificate = x509.load_pem_x509_certificate((directory / "tsa.pem").read_bytes())
        except FileNotFoundError as exc:
            raise NotFound("key.missing", f"there is no time-stamping authority in {directory}") from exc
        except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
            raise Malformed("key.malformed", f"the time-stamping authority in {directory} cannot be read") from exc
        if not isinstance(key, EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
            raise Malformed("key.malformed", f"key and certificate in {directory} do not belong together")
        return cls(key=key, certificate=certificate, clock=clock)

    def save(self, directory: Path) -> None:
        """Write `tsa-key.pem` (mode 0600) and `tsa.pem`; what exists stays as it is."""
        pem = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        for name, data, mode in (
            ("tsa-key.pem", pem, 0o600),
            ("tsa.pem", self._certificate.public_bytes(Encoding.PEM), 0o644),
        ):
            try:
                descriptor = os.open(directory / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
            except FileExistsError as exc:
                raise Conflict("key.exists", f"{directory / name} exists; a key is never overwritten") from exc
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)

    @property
    def certificate(self) -> bytes:
        """The authority's certificate (DER), for the anchor."""
        return self._certificate.public_bytes(Encoding.DER)

    def timestamp_reply(self, request: bytes) -> bytes:
        """The answer (`TimeStampResp`) to a `TimeStampReq`: a token, or a refusal that says why. Nothing is raised."""
        try:
            asked = asn1.decode_der(_Request, request)
        except ValueError:
            return _refusal(_BAD_FORMAT, "not a TimeStampReq")
        digest = asked.imprint.algorithm.oid.dotted_string
        if digest not in _DIGESTS:
            return _refusal(_BAD_ALGORITHM, "SHA-256, SHA-384 or SHA-512")
        if asked.version != 1 or len(asked.imprint.digest) != _DIGESTS[digest]:
            return _refusal(_BAD_REQUEST, "another version, or a digest of another length")
        if asked.policy is not None and asked.policy.dotted_string != POLICY:
            return _refusal(_BAD_POLICY, f"the policy is {POLICY}")
        if asked.extensions:
            return _refusal(_BAD_EXTENSION, "no extensions")
        return sequence(sequence(integer(0)), self._token(asked, digest))

    def _token(self, asked: _Request, digest: str) -> bytes:
        now = datetime.fromtimestamp(self._clock.now() // 1000, UTC)
        info = sequence(
            integer(1),
            oid(POLICY),
            sequence(_algorithm(digest), octets(asked.imprint.digest)),
            integer(int.from_bytes(os.urandom(8), "big")),
            der(0x18, now.strftime("%Y%m%d%H%M%SZ").encode()),
            sequence(integer(1)),  # accuracy: one second
            b"" if asked.nonce is None else integer(asked.nonce),
        )
        attributes = set_of(
            _attribute(_CONTENT_TYPE, oid(_TST_INFO)),
            _attribute(_MESSAGE_DIGEST, octets(sha256(info).digest())),
            _attribute(
                _SIGNING_CERTIFICATE_V2, sequence(sequence(sequence(octets(sha256(self.certificate).digest()))))
            ),
        )
        signer = sequence(
            integer(1),
            sequence(self._certificate.issuer.public_bytes(), integer(self._certificate.serial_number)),
            _algorithm(_SHA256),
            b"\xa0" + attributes[1:],  # [0] IMPLICIT; what is signed has the tag of a SET
            _algorithm(_ECDSA_SHA256, null=False),
            octets(self._key.sign(attributes, ECDSA(SHA256()))),
        )
        signed = sequence(
            integer(3),
            set_of(_algorithm(_SHA256)),
            sequence(oid(_TST_INFO), der(0xA0, octets(info))),
            der(0xA0, self.certificate) if asked.certificate else b"",
            set_of(signer),
        )
        return sequence(oid(_SIGNED_DATA), der(0xA0, signed))


def _self_signed(key: EllipticCurvePrivateKey, now: int) -> x509.Certificate:
    start = datetime.fromtimestamp(now // 1000, UTC) - timedelta(minutes=5)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "QazTech development time-stamping authority")])
    usage = {
        "digital_signature": True, "content_commitment": False, "key_encipherment": False, "data_encipherment": False,
        "key_agreement": False, "key_cert_sign": False, "crl_sign": False, "encipher_only": False,
        "decipher_only": False,
    }  # fmt: skip
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=LIFETIME_DAYS))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**usage), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, SHA256())
    )


def _refusal(bit: int, why: str) -> bytes:
    """A `TimeStampResp` with status rejection (2), a reason for people and one for programs."""
    size = bit // 8 + 1
    bits = (1 << (8 * size - 1 - bit)).to_bytes(size, "big")
    failure = der(0x03, bytes([7 - bit % 8]) + bits)
    return sequence(sequence(integer(2), sequence(der(0x0C, why.encode())), failure))


def _algorithm(dotted: str, *, null: bool = True) -> bytes:
    return sequence(oid(dotted), b"\x05\x00" if null else b"")


def _attribute(dotted: str, value: bytes) -> bytes:
    return sequence(oid(dotted), set_of(value))
