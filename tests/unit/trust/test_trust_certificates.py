"""Node certificates: who gets one, and how two nodes meet with them."""

from __future__ import annotations

import asyncio
import ssl
import time
from base64 import encodebytes
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from qaztech.core.errors import Malformed, Untrusted
from qaztech.core.ids import MemberId, NodeId
from qaztech.trust.certificates import (
    ALPN,
    Authority,
    certificate_request,
    client_context,
    generate_key,
    key_pem,
    key_spki_hash,
    load_key,
    node_of,
    server_context,
    spki_hash,
)

NODE = NodeId(MemberId("KZ", "GOV", "991340000017"), "node1")
OTHER = NodeId(MemberId("KZ", "GOV", "991340000017"), "node2")
NOW = int(time.clock_gettime(time.CLOCK_REALTIME)) * 1000
DAY = 86_400_000


@pytest.fixture(scope="module")
def authority() -> Authority:
    """An authority of today."""
    return Authority.create("KZ", NOW)


class Holder:
    """A node's TLS files."""

    def __init__(self, folder: Path, authority: Authority, node: NodeId, *, now: int = NOW, days: int = 30) -> None:
        folder.mkdir(exist_ok=True)
        self.key = generate_key()
        self.pem = authority.issue(certificate_request(self.key, node), node, now, days=days)
        self.certificate, self.key_file = folder / "tls.pem", folder / "tls.key"
        self.certificate.write_bytes(self.pem)
        self.key_file.write_bytes(key_pem(self.key))
        self.authorities = [authority.certificate_pem.decode()]

    def server(self) -> ssl.SSLContext:
        return server_context(self.certificate, self.key_file, self.authorities)

    def client(self) -> ssl.SSLContext:
        return client_context(self.certificate, self.key_file, self.authorities)


def test_a_certificate_names_its_node_and_key(authority: Authority) -> None:
    """The identity of a TLS key is the hash of its SubjectPublicKeyInfo, the node's stands in the URI."""
    key = generate_key()
    pem = authority.issue(certificate_request(key, NODE), NODE, NOW)
    certificate = x509.load_pem_x509_certificate(pem)
    der = certificate.public_bytes(Encoding.DER)
    assert node_of(der) == NODE
    assert spki_hash(der) == key_spki_hash(key)
    spki = key.public_key().public_bytes(Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert spki_hash(der) == sha256(spki).digest()
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.certificate_pem))


def test_an_identifier_of_any_length_and_script_fits(authority: Authority) -> None:
    """The common name is cut; the URI is whole and percent-encoded."""
    node = NodeId(MemberId("KZ", "GOV", "991340000017"), "түйін" * 20)
    certificate = x509.load_pem_x509_certificate(authority.issue(certificate_request(generate_key(), node), node, NOW))
    assert node_of(certificate.public_bytes(Encoding.DER)) == node


def test_a_request_must_name_the_node_and_be_signed(authority: Authority) -> None:
    """Nobody gets another's name, and nobody a certificate for a key they do not hold."""
    request = certificate_request(generate_key(), NODE)
    with pytest.raises(Untrusted, match="another node"):
        authority.issue(request, OTHER, NOW)
    der = bytearray(x509.load_pem_x509_csr(request).public_bytes(Encoding.DER))
    der[-1] ^= 1
    forged = b"-----BEGIN CERTIFICATE REQUEST-----\n" + encodebytes(bytes(der)) + b"-----END CERTIFICATE REQUEST-----\n"
    with pytest.raises((Untrusted, Malformed)):
        authority.issue(forged, NODE, NOW)
    key = rsa.generate_private_key(65537, 2048)
    name = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(f"qaztech:{NODE}")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).add_extension(name, critical=False)
    with pytest.raises(Untrusted, match="EC key"):
        authority.issue(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM), NODE, NOW)


ENVELOPED = b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"


@pytest.mark.parametrize("data", [b"", b"junk", ENVELOPED])
def test_what_is_no_request_is_malformed(authority: Authority, data: bytes) -> None:
    """Nothing but our errors escapes."""
    with pytest.raises(Malformed):
        authority.issue(data, NODE, NOW)
    with pytest.raises(Malformed):
        spki_hash(data)
    with pytest.raises(Malformed):
        node_of(data)
    with pytest.raises(Malformed):
        load_key(data)
    with pytest.raises(Malformed):
        Authority.load(authority.key_pem, data)


def test_an_authority_is_loaded_from_its_files(authority: Authority) -> None:
    """Key and certificate as they are kept on disk."""
    again = Authority.load(authority.key_pem, authority.certificate_pem)
    assert again.certificate_pem == authority.certificate_pem
    pem = ed25519.Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(Malformed, match="EC key"):
        load_key(pem)
    with pytest.raises(Malformed):
        node_of(x509.load_pem_x509_certificate(authority.certificate_pem).public_bytes(Encoding.DER))


async def _meet(server: ssl.SSLContext, client: ssl.SSLContext) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    met: asyncio.Future[ssl.SSLObject] = asyncio.get_running_loop().create_future()

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read(1)
            writer.write(b"y")
            await writer.drain()
            met.set_result(writer.get_extra_info("ssl_object"))
        finally:
            writer.close()

    listening = await asyncio.start_server(accepted, "127.0.0.1", 0, ssl=server)
    host, port = listening.sockets[0].getsockname()[:2]
    try:
        reader, writer = await asyncio.open_connection(host, port, ssl=client, server_hostname="")
        writer.write(b"x")
        own = writer.get_extra_info("ssl_object")
        answered = await reader.read(1)
        writer.close()
        if not answered:
            # In TLS 1.3 a client is done before the server has judged its certificate.
            raise ConnectionResetError
        return own, await met
    finally:
        listening.close()


async def test_two_nodes_meet(authority: Authority, tmp_path: Path) -> None:
    """TLS 1.3, both certificates seen, no ticket to come back with, our protocol named."""
    one, two = Holder(tmp_path / "1", authority, NODE), Holder(tmp_path / "2", authority, OTHER)
    own, theirs = await _meet(one.server(), two.client())
    assert own.version() == "TLSv1.3"
    assert own.selected_alpn_protocol() == ALPN
    assert spki_hash(own.getpeercert(binary_form=True) or b"") == key_spki_hash(one.key)
    assert node_of(theirs.getpeercert(binary_form=True) or b"") == OTHER
    assert own.session is None or not own.session.has_ticket
    assert one.server().num_tickets == 0


async def test_strangers_and_the_expired_are_not_let_in(authority: Authority, tmp_path: Path) -> None:
    """Another authority's certificate, one out of its time, none at all, or an older TLS."""
    good = Holder(tmp_path / "good", authority, NODE)
    foreign = Holder(tmp_path / "foreign", Authority.create("KZ", NOW), OTHER)
    foreign.authorities = good.authorities
    expired = Holder(tmp_path / "expired", authority, OTHER, now=NOW - 10 * DAY, days=5)
    bare = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    bare.check_hostname, bare.verify_mode = False, ssl.CERT_NONE
    old = Holder(tmp_path / "old", authority, OTHER).client()
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_2
    for client in (foreign.client(), expired.client(), bare, old):
        with pytest.raises((OSError, ssl.SSLError)):
            await _meet(good.server(), client)
    with pytest.raises(ssl.SSLError):
        await _meet(foreign.server(), good.client())


def test_files_that_do_not_belong_together_are_malformed(authority: Authority, tmp_path: Path) -> None:
    """A certificate with another's key, or an authority that is none."""
    one, two = Holder(tmp_path / "1", authority, NODE), Holder(tmp_path / "2", authority, OTHER)
    with pytest.raises(Malformed):
        server_context(one.certificate, two.key_file, one.authorities)
    with pytest.raises(Malformed):
        client_context(one.certificate, one.key_file, ["junk"])
