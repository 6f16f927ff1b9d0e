"""The TLS files of a node: the key and certificate in use, those of before, and those that are to come.

    tls.key, tls.csr, tls.pem                    in use
    tls.next.key, tls.next.csr, tls.next.pem     a key to come; its certificate, once the registry gave one
    tls.pem.before                               the certificate before the last renewal
    tls.old.key, tls.old.pem                     the key before the last change of key, and its certificate

Every change may be cut short: `settle` at the next start brings it to its end. Nothing here asks anybody; `certificate`
decides when.
"""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from qaztech.core.errors import Conflict, Error, Malformed
from qaztech.core.ids import NodeId
from qaztech.registry.files import replace_file, sync_directory, write_file, write_private
from qaztech.registry.key_files import TLS_CERTIFICATE, TLS_KEY, TLS_REQUEST
from qaztech.registry.node_identity import NEXT_TLS_KEY, NODE_FILE, NodeIdentity
from qaztech.trust.certificates import (
    Period,
    certificate_period,
    certificate_request,
    certificate_spki,
    generate_key,
    key_pem,
    key_spki_hash,
    load_key,
)

NEXT_CERTIFICATE, NEXT_REQUEST = "tls.next.pem", "tls.next.csr"
OLD_KEY, OLD_CERTIFICATE = "tls.old.key", "tls.old.pem"
BEFORE = "tls.pem.before"


class TlsFiles:
    """The TLS files in one node's folder."""

    def __init__(self, directory: Path, node: NodeId) -> None:
        self._directory = directory
        self._node = node

    @property
    def certificate(self) -> Path:
        """The certificate in use."""
        return self._directory / TLS_CERTIFICATE

    @property
    def key_file(self) -> Path:
        """The key in use."""
        return self._directory / TLS_KEY

    def key(self) -> ec.EllipticCurvePrivateKey:
        """The key in use. Raises `Malformed`."""
        return load_key(self.key_file.read_bytes())

    def spki(self) -> bytes:
        """SHA-256 of the key in use (SPKI)."""
        return key_spki_hash(self.key())

    def period(self) -> Period:
        """When the certificate in use begins and ends. Raises `Malformed`, also where there is none."""
        try:
            return certificate_period(self.certificate.read_bytes())
        except FileNotFoundError as exc:
            detail = f"there is no {self.certificate}: have the registry certify tls.csr (qaztech registry certificate)"
            raise Malformed("certificate.malformed", detail) from exc
        except Malformed as exc:
            raise Malformed("certificate.malformed", f"{self.certificate} is not a certificate in PEM") from exc

    def replace(self, pem: bytes) -> None:
        """Put another certificate of the key in use into its place, and keep the one before beside it."""
        replace_file(self._directory / BEFORE, self.certificate.read_bytes())
        replace_file(self.certificate, pem)

    # A change of key -----------------------------------------------------------------------------------------------

    def make_next(self) -> bytes:
        """Make the key to come, unless it is there, and name it in `node.json`; SHA-256 of its SPKI."""
        path = self._directory / NEXT_TLS_KEY
        if not path.exists():
            write_private(path, key_pem(generate_key()))
            sync_directory(self._directory)
        key = load_key(path.read_bytes())
        write_file(self._directory / NEXT_REQUEST, certificate_request(key, self._node))
        self._name()
        return key_spki_hash(key)

    def next_key(self) -> ec.EllipticCurvePrivateKey | None:
        """The key to come, if one was made. Raises `Malformed`."""
        path = self._directory / NEXT_TLS_KEY
        return load_key(path.read_bytes()) if path.exists() else None

    def next_spki(self) -> bytes | None:
        """SHA-256 of the key to come (SPKI), if one was made. Raises `Malformed`."""
        key = self.next_key()
        return key_spki_hash(key) if key is not None else None

    def has_next_certificate(self) -> bool:
        """Whether the key to come has its certificate."""
        key, path = self.next_key(), self._directory / NEXT_CERTIFICATE
        return key is not None and path.exists() and _is_of(path, key_spki_hash(key))

    def put_next(self, pem: bytes) -> None:
        """The certificate of the key to come."""
        replace_file(self._directory / NEXT_CERTIFICATE, pem)

    def take_next(self) -> None:
        """Put the key to come and its certificate into use. Raises `Conflict` where they are not both there."""
        if self._is_half_taken():
            self.settle()
            return
        if not self.has_next_certificate():
            raise Conflict("key.no-next", f"there is no next TLS key with its certificate in {self._directory}")
        write_private(self._directory / OLD_KEY, self.key_file.read_bytes())
        write_file(self._directory / OLD_CERTIFICATE, self.certificate.read_bytes())
        sync_directory(self._directory)
        (self._directory / NEXT_CERTIFICATE).replace(self.certificate)
        sync_directory(self._directory)
        self.settle()

    def settle(self) -> None:
        """Bring a change of key to its end that was cut short after its certificate had taken its place."""
        if self._is_half_taken():
            request = self._directory / NEXT_REQUEST
            if request.exists():
                request.replace(self._directory / TLS_REQUEST)
            (self._directory / NEXT_TLS_KEY).replace(self.key_file)
            sync_directory(self._directory)
            self._name()

    def known(self) -> frozenset[bytes]:
        """SHA-256 of every TLS key (SPKI) that is this node's: in use, to come, and the one before."""
        found = {self.spki()}
        for name in (NEXT_TLS_KEY, OLD_KEY):
            path = self._directory / name
            if path.exists():
                found.add(key_spki_hash(load_key(path.read_bytes())))
        return frozenset(found)

    def _is_half_taken(self) -> bool:
        key = self.next_key()
        return key is not None and _is_of(self.certificate, key_spki_hash(key))

    def _name(self) -> None:
        """Write `node.json` as the keys now are, where there is one."""
        path = self._directory / NODE_FILE
        if path.exists():
            before = NodeIdentity.read(self._directory)
            replace_file(path, NodeIdentity.of(self._directory, before.id, before.address, before.continues).format())


def _is_of(certificate: Path, spki: bytes) -> bool:
    try:
        return certificate_spki(certificate.read_bytes()) == spki
    except (Error, OSError):
        return False
