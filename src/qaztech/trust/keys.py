"""Signing keys: Ed25519 (RFC 8032) for heads and cosignatures, ML-DSA-44 (FIPS 204) beside it in hybrid evidence.

A key is a file (PKCS #8, PEM, mode 0600) or bytes in memory; a token behind the same three members (`public`, `sign`,
and nothing that gives the secret away) can take its place. Ed25519 goes through PyNaCl's bindings, the fastest of those
measured; both verifying functions answer yes or no and never raise for what they are given. Not here: certificates.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from nacl.bindings import crypto_sign, crypto_sign_open, crypto_sign_seed_keypair
from nacl.exceptions import CryptoError

from qaztech.core.errors import Conflict, Malformed, NotFound, Unavailable

SEED_SIZE: Final = 32
ED25519_PUBLIC_SIZE: Final = 32
ED25519_SIGNATURE_SIZE: Final = 64
ML_DSA_44_PUBLIC_SIZE: Final = 1312
ML_DSA_44_SIGNATURE_SIZE: Final = 2420


class Ed25519Key:
    """An Ed25519 signing key."""

    __slots__ = ("_secret", "public")

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_SIZE:
            raise Malformed("key.malformed", "an Ed25519 seed has 32 bytes")
        self.public, self._secret = crypto_sign_seed_keypair(seed)

    @classmethod
    def generate(cls) -> Ed25519Key:
        """A new key from the system's randomness."""
        return cls(os.urandom(SEED_SIZE))

    @classmethod
    def from_seed(cls, seed: bytes) -> Ed25519Key:
        """The key of this 32-byte seed (RFC 8032's private key)."""
        return cls(seed)

    @classmethod
    def load(cls, path: Path) -> Ed25519Key:
        """The key in a PEM file."""
        key = _load(path)
        if not isinstance(key, Ed25519PrivateKey):
            raise Malformed("key.malformed", f"{path} does not hold an Ed25519 key")
        return cls(key.private_bytes_raw())

    def save(self, path: Path) -> None:
        """Write the key to a new file that only its owner can read; an existing file stays as it is."""
        key = Ed25519PrivateKey.from_private_bytes(self._secret[:SEED_SIZE])
        _save(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature of `message`."""
        return crypto_sign(message, self._secret)[:ED25519_SIGNATURE_SIZE]


def verify_ed25519(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether `signature` over `message` was made by the key `public`."""
    if len(public) != ED25519_PUBLIC_SIZE or len(signature) != ED25519_SIGNATURE_SIZE:
        return False  # the binding reads fixed lengths without looking
    try:
        crypto_sign_open(signature + message, public)
    except CryptoError:
        return False
    return True


class MlDsa44Key:
    """An ML-DSA-44 signing key."""

    __slots__ = ("_private", "public")

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_SIZE:
            raise Malformed("key.malformed", "an ML-DSA-44 seed has 32 bytes")
        self._private = MLDSA44PrivateKey.from_seed_bytes(seed)
        self.public = self._private.public_key().public_bytes_raw()

    @classmethod
    def generate(cls) -> MlDsa44Key:
        """A new key from the system's randomness."""
        return cls(os.urandom(SEED_SIZE))

    @classmethod
    def from_seed(cls, seed: bytes) -> MlDsa44Key:
        """The key of this 32-byte seed (FIPS 204's ξ)."""
        return cls(seed)

    @classmethod
    def load(cls, path: Path) -> MlDsa44Key:
        """The key in a PEM file."""
        key = _load(path)
        if not isinstance(key, MLDSA44PrivateKey):
            raise Malformed("key.malformed", f"{path} does not hold an ML-DSA-44 key")
        return cls(key.private_bytes_raw())

    def save(self, path: Path) -> None:
        """Write the key to a new file that only its owner can read; an existing file stays as it is."""
        _save(path, self._private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    def sign(self, message: bytes) -> bytes:
        """The 2420-byte signature of `message`, with an empty context."""
        return self._private.sign(message)


def verify_ml_dsa_44(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether `signature` over `message` (empty context) was made by the key `public`."""
    try:
        MLDSA44PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True


def _load(path: Path) -> object:
    try:
        return load_pem_private_key(path.read_bytes(), password=None)
    except FileNotFoundError as error:
        raise NotFound("key.missing", f"there is no key file {path}") from error
    except OSError as error:
        raise Unavailable("key.unreadable", f"the key file {path} cannot be read", context=str(error)) from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Malformed("key.malformed", f"{path} is not a readable private key in PEM", context=str(error)) from error


def _save(path: Path, pem: bytes) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError as error:
        raise Conflict("key.exists", f"{path} exists; a key is never overwritten") from error
    except OSError as error:
        raise Unavailable("key.unwritable", f"{path} cannot be written", context=str(error)) from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        path.unlink(missing_ok=True)  # half a key, or one that may vanish, is worse than none
        raise Unavailable("key.unwritable", f"{path} cannot be written", context=str(error)) from error
