"""Node certificates and the TLS they speak: TLS 1.3, mutual, issued by the instance's own authority (RFC 5280, 8446).

A certificate only lets a node onto the wire. Who it is follows from the SHA-256 of its public key (SPKI), which its
member names in the signed member file: so host names are not checked here, and a stolen authority speaks for nobody.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from qaztech.core.errors import Error, Malformed, Untrusted
from qaztech.core.ids import NodeId

URI_SCHEME = "qaztech:"
ALPN = "qaztech/1"
CA_DAYS = 3650
NODE_DAYS = 365
_DAY = timedelta(days=1)
# Clocks of nodes may run behind the authority's; of a short life no more than this part goes to that.
_BACKDATED = timedelta(minutes=5)
_BACKDATED_PART = 100


class Period(NamedTuple):
    """From when until when a certificate is valid, in milliseconds since 1970."""

    begins: int
    ends: int


def generate_key() -> ec.EllipticCurvePrivateKey:
    """A new P-256 key: what TLS 1.3 stacks, tokens and HSMs all have, and quick to sign with."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The private key as unencrypted PKCS #8 PEM; whoever writes it to disk restricts the file."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def load_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    """An EC private key from PEM; raises `Malformed`."""
    try:
        key = serialization.load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise Malformed("certificate.key", "this is not a PEM private key without a password") from exc
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise Malformed("certificate.key", "a node's TLS key is an EC key")
    return key


def spki_hash(cert_der: bytes) -> bytes:
    """SHA-256 of a certificate's SubjectPublicKeyInfo: the identity of a node's TLS key. Raises `Malformed`."""
    try:
        public = x509.load_der_x509_certificate(cert_der).public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise Malformed("certificate.malformed", "this is not an X.509 certificate") from exc
    return _spki(public)


def certificate_period(data: bytes) -> Period:
    """The period of the first certificate in PEM, or of one in DER; raises `Malformed`."""
    return _period(_certificate(data))


def certificate_spki(data: bytes) -> bytes:
    """SHA-256 of the public key (SPKI) of the first certificate in PEM; raises `Malformed`."""
    return _spki_of(_certificate(data))


def _spki_of(certificate: x509.Certificate) -> bytes:
    try:
        return _spki(certificate.public_key())
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise Malformed("certificate.malformed", "the certificate's key is of no kind that is known") from exc


def check_issued(pem: bytes, *, spki: bytes, node: NodeId, authorities: Iterable[str], now: int) -> Period:
    """The period of a certificate that is this node's, for this key, by one of these authorities, and valid now.

    `spki` is the SHA-256 of the key's SPKI, `authorities` are PEM, `now` in milliseconds. Raises `Untrusted`.
    """
    try:
        certificate = _certificate(pem)
        right = _spki_of(certificate) == spki
        named = node_of(certificate.public_bytes(serialization.Encoding.DER)) == node
    except Error as exc:
        raise Untrusted("certificate.answer", "what the registry gave is no node's certificate", at="registry") from exc
    if not right or not named:
        raise Untrusted("certificate.answer", "the certificate is for another key or another node", at="registry")
    if not any(_issued_by(certificate, authority) for authority in authorities):
        raise Untrusted("certificate.answer", "no authority of the instance issued the certificate", at="registry")
    period = _period(certificate)
    if not period.begins <= now < period.ends:
        raise Untrusted("certificate.answer", "the certificate is not valid now: are both clocks right?", at="registry")
    return period


def _certificate(data: bytes) -> x509.Certificate:
    try:
        is_pem = data.lstrip().startswith(b"-----")
        return x509.load_pem_x509_certificate(data) if is_pem else x509.load_der_x509_certificate(data)
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise Malformed("certificate.malformed", "this is not an X.509 certificate") from exc


def _period(certificate: x509.Certificate) -> Period:
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return Period(int(begins.timestamp() * 1000), int(ends.timestamp() * 1000))


def _issued_by(certificate: x509.Certificate, authority_pem: str) -> bool:
    try:
        certificate.verify_directly_issued_by(_certificate(authority_pem.encode()))
    except (Error, ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def key_spki_hash(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The same hash from the private key, for the member file of a node that has no certificate yet."""
    return _spki(key.public_key())


def _spki(public: object) -> bytes:
    encoded = public.public_bytes(  # type: ignore[attr-defined]  # every public key type has it
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return sha256(encoded).digest()


def certificate_request(key: ec.EllipticCurvePrivateKey, node: NodeId) -> bytes:
    """A certificate signing request (PKCS #10, PEM) for a node."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(_subject(node.code))
    builder = builder.add_extension(_alternative_name(node), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


class VerifiedRequest(NamedTuple):
    """A certificate request that its own key signed, for a node that its URI names; made by `verify_request` only."""

    spki: bytes
    """SHA-256 of its key's SPKI."""
    public: ec.EllipticCurvePublicKey

    def signed(self, signature: bytes, statement: bytes) -> bool:
        """Whether the request's key made this signature (ECDSA, SHA-256, DER) over a statement."""
        try:
            self.public.verify(signature, statement, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            return False
        return True


def verify_request(request_pem: bytes, node: NodeId) -> VerifiedRequest:
    """A request for a certificate of this node; raises `Malformed` or `Untrusted`."""
    try:
        public = _verified_request(request_pem, node).public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise Malformed("certificate.request", "the request's key is of no kind that is known", at="registry") from exc
    if not isinstance(public, ec.EllipticCurvePublicKey):
        raise Untrusted("certificate.request", "a node's TLS key is an EC key", at="registry")
    return VerifiedRequest(_spki(public), public)


def sign_with(key: ec.EllipticCurvePrivateKey, statement: bytes) -> bytes:
    """An ECDSA signature (SHA-256, DER) over a statement, to prove that one has the key."""
    return key.sign(statement, ec.ECDSA(hashes.SHA256()))


def node_of(cert_der: bytes) -> NodeId:
    """The node a certificate was issued to, from its URI; raises `Malformed`."""
    try:
        names = x509.load_der_x509_certificate(cert_der).extensions.get_extension_for_class(x509.SubjectAlternativeName)
        uris = names.value.get_values_for_type(x509.UniformResourceIdentifier)
    except (ValueError, TypeError, x509.ExtensionNotFound, x509.DuplicateExtension) as exc:
        raise Malformed("certificate.malformed", "this is not a node's certificate") from exc
    if len(uris) != 1 or not uris[0].startswith(URI_SCHEME):
        raise Malformed("certificate.malformed", f"a node's certificate has one {URI_SCHEME} URI")
    return NodeId.parse(uris[0].removeprefix(URI_SCHEME))


class Authority:
    """The instance's certificate authority: a self-signed root that issues node certificates."""

    def __init__(
        self, *, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate, days: float = NODE_DAYS
    ) -> None:
        self._key = key
        self._certificate = certificate
        self._days = days

    @classmethod
    def create(cls, instance: str, now: int) -> Authority:
        """A new authority for an instance; `now` in milliseconds."""
        key = generate_key()
        name = _subject(f"QazTech {instance} nodes")
        start = _moment(now)
        certificate = (
            _builder(name, key.public_key(), start, CA_DAYS)
            .issuer_name(name)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(authority=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        return cls(key=key, certificate=certificate)

    @classmethod
    def load(cls, key_pem_: bytes, certificate_pem: bytes, *, days: float = NODE_DAYS) -> Authority:
        """An authority from its two PEM files' contents; its certificates are valid for `days`. Raises `Malformed`."""
        try:
            certificate = x509.load_pem_x509_certificate(certificate_pem)
        except ValueError as exc:
            raise Malformed("certificate.malformed", "this is not a PEM certificate") from exc
        return cls(key=load_key(key_pem_), certificate=certificate, days=days)

    @property
    def certificate_pem(self) -> bytes:
        """The root certificate, PEM."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The root's private key, PEM."""
        return key_pem(self._key)

    def issue(self, request_pem: bytes, node: NodeId, now: int, *, days: float | None = None) -> bytes:
        """A node certificate (PEM) for a request whose key signed it and whose URI is this node's."""
        public = verify_request(request_pem, node).public
        issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        certificate = (
            _builder(_subject(node.code), public, _moment(now), self._days if days is None else days)
            .issuer_name(self._certificate.subject)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(authority=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            .add_extension(_alternative_name(node), critical=False)
            .add_extension(issuer_key, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM)


def server_context(certificate: Path, key: Path, authorities: Iterable[str]) -> ssl.SSLContext:
    """The accepting side of a link; `authorities` are PEM certificates of the instance."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # A ticket would let a peer come back without showing its certificate again.
    context.num_tickets = 0
    return _hardened(context, certificate, key, authorities)


def client_context(certificate: Path, key: Path, authorities: Iterable[str]) -> ssl.SSLContext:
    """The opening side of a link."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    return _hardened(context, certificate, key, authorities)


def _hardened(context: ssl.SSLContext, certificate: Path, key: Path, authorities: Iterable[str]) -> ssl.SSLContext:
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_3
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.set_alpn_protocols([ALPN])
    try:
        context.load_cert_chain(certificate, key)
        context.load_verify_locations(cadata="\n".join(authorities))
    except (ssl.SSLError, ValueError) as exc:
        raise Malformed("certificate.malformed", "certificate, key or authority cannot be loaded") from exc
    return context


def _verified_request(pem: bytes, node: NodeId) -> x509.CertificateSigningRequest:
    try:
        request = x509.load_pem_x509_csr(pem)
        names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        uris = names.value.get_values_for_type(x509.UniformResourceIdentifier)
        proven = request.is_signature_valid
    except (ValueError, TypeError, x509.ExtensionNotFound, x509.DuplicateExtension) as exc:
        raise Malformed("certificate.request", "this is not a node's certificate request", at="registry") from exc
    except (InvalidSignature, UnsupportedAlgorithm) as exc:
        raise Untrusted("certificate.request", "the request is not signed by its own key", at="registry") from exc
    if not proven:
        raise Untrusted("certificate.request", "the request is not signed by its own key", at="registry")
    if uris != [f"{URI_SCHEME}{node}"]:
        raise Untrusted("certificate.request", "the request names another node", at="registry")
    return request


def _builder(
    subject: x509.Name, public: ec.EllipticCurvePublicKey, start: datetime, days: float
) -> x509.CertificateBuilder:
    life = days * _DAY
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - min(_BACKDATED, life / _BACKDATED_PART))
        .not_valid_after(start + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _subject(common_name: str) -> x509.Name:
    # RFC 5280 bounds a common name at 64, counted here in bytes; the full identifier stands in the URI.
    short = common_name.encode()[:64].decode(errors="ignore")
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, short)])


def _alternative_name(node: NodeId) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([x509.UniformResourceIdentifier(f"{URI_SCHEME}{node}")])


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds // 1000, UTC)
