"""Key files in the folders where their owners keep them: of a log, of a witness, of a node's TLS.

    log.key, log.ml-dsa.key          a log's keys; its origin follows from the first
    witness.key, witness.ml-dsa.key  a witness's keys
    tls.key, tls.csr                 a node's TLS key and the request for its certificate

What is there is never replaced: making keys again gives those that there are. The ML-DSA-44 keys may be absent; then
there is no hybrid evidence (design, 4).
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from qaztech.core.errors import NotFound
from qaztech.core.ids import NodeId
from qaztech.evidence.cosignature import Cosigner
from qaztech.evidence.note import ED25519, ML_DSA_44, VerifierKey
from qaztech.registry.files import write_file, write_private
from qaztech.registry.member_file import log_origin
from qaztech.trust.certificates import certificate_request, generate_key, key_pem, key_spki_hash, load_key
from qaztech.trust.keys import Ed25519Key, MlDsa44Key

LOG_KEY, LOG_HYBRID = "log.key", "log.ml-dsa.key"
WITNESS_KEY, WITNESS_HYBRID = "witness.key", "witness.ml-dsa.key"
TLS_KEY, TLS_REQUEST, TLS_CERTIFICATE = "tls.key", "tls.csr", "tls.pem"


class LogKeys(NamedTuple):
    """A log's origin, its keys, and what others verify it by."""

    origin: str
    key: Ed25519Key
    hybrid: MlDsa44Key | None
    vkeys: tuple[VerifierKey, ...]


def create_log_keys(directory: Path, instance: str, *, hybrid: bool) -> LogKeys:
    """Make the keys of a log that are not there yet."""
    _create(directory, LOG_KEY, LOG_HYBRID, hybrid=hybrid)
    return load_log_keys(directory, instance)


def load_log_keys(directory: Path, instance: str) -> LogKeys:
    """The keys of the log in a folder. Raises `NotFound` and `Malformed`."""
    key, hybrid = Ed25519Key.load(directory / LOG_KEY), _hybrid(directory / LOG_HYBRID)
    origin = log_origin(instance, key.public)
    vkeys = [VerifierKey.of(origin, ED25519, key.public)]
    if hybrid is not None:
        vkeys.append(VerifierKey.of(origin, ML_DSA_44, hybrid.public))
    return LogKeys(origin, key, hybrid, tuple(vkeys))


def create_cosigner(directory: Path, name: str, *, hybrid: bool) -> Cosigner:
    """Make the keys of a witness that are not there yet; `name` is its key name."""
    _create(directory, WITNESS_KEY, WITNESS_HYBRID, hybrid=hybrid)
    return load_cosigner(directory, name)


def load_cosigner(directory: Path, name: str) -> Cosigner:
    """The keys of the witness in a folder. Raises `NotFound` and `Malformed`."""
    return Cosigner(
        name=name, ed25519=Ed25519Key.load(directory / WITNESS_KEY), ml_dsa_44=_hybrid(directory / WITNESS_HYBRID)
    )


def create_tls_key(directory: Path, node: NodeId) -> bytes:
    """Make a node's TLS key and the request for its certificate, where they are not there yet; the request (PEM)."""
    path = directory / TLS_KEY
    if not path.exists():
        write_private(path, key_pem(generate_key()))
    request = certificate_request(load_key(path.read_bytes()), node)
    write_file(directory / TLS_REQUEST, request)
    return request


def tls_key_hash(directory: Path) -> bytes:
    """SHA-256 of a node's TLS key (SPKI), as its member names it. Raises `NotFound` and `Malformed`."""
    try:
        pem = (directory / TLS_KEY).read_bytes()
    except FileNotFoundError as exc:
        raise NotFound("key.missing", f"there is no {TLS_KEY} in {directory}; `qaztech node new` makes one") from exc
    return key_spki_hash(load_key(pem))


def _create(directory: Path, name: str, hybrid_name: str, *, hybrid: bool) -> None:
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not (directory / name).exists():
        if hybrid and not (directory / hybrid_name).exists():  # first, so that the first key says that all are there
            MlDsa44Key.generate().save(directory / hybrid_name)
        Ed25519Key.generate().save(directory / name)


def _hybrid(path: Path) -> MlDsa44Key | None:
    return MlDsa44Key.load(path) if path.exists() else None
