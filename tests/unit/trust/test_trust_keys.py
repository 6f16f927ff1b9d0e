"""Signing keys: making, keeping, signing, verifying."""

from __future__ import annotations

import resource
import signal
import stat

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from qaztech.core.errors import Conflict, Malformed, NotFound, Unavailable
from qaztech.trust.keys import Ed25519Key, MlDsa44Key, verify_ed25519, verify_ml_dsa_44

KINDS = [(Ed25519Key, verify_ed25519, 32, 64), (MlDsa44Key, verify_ml_dsa_44, 1312, 2420)]


@pytest.mark.parametrize(("kind", "verify", "public_size", "signature_size"), KINDS)
def test_a_signature_holds_for_its_message_and_key_only(kind, verify, public_size, signature_size) -> None:
    """What a key signs verifies with its public key, and with nothing changed."""
    key, other = kind.generate(), kind.generate()
    signature = key.sign(b"message")
    assert (len(key.public), len(signature)) == (public_size, signature_size)
    assert verify(key.public, signature, b"message")
    assert not verify(key.public, signature, b"Message")
    assert not verify(other.public, signature, b"message")
    assert not verify(key.public, signature[:-1] + bytes([signature[-1] ^ 1]), b"message")


@pytest.mark.parametrize(("kind", "verify", "public_size", "signature_size"), KINDS)
def test_wrong_lengths_are_not_verified(kind, verify, public_size, signature_size) -> None:
    """Keys and signatures of a wrong length, empty ones included, give no rather than an error."""
    key = kind.generate()
    signature = key.sign(b"m")
    for public in (b"", key.public[:-1], key.public + b"\0", bytes(public_size)):
        assert not verify(public, signature, b"m")
    for wrong in (b"", signature[:-1], signature + b"\0", bytes(signature_size)):
        assert not verify(key.public, wrong, b"m")


@pytest.mark.parametrize(("kind", "verify", "public_size", "signature_size"), KINDS)
def test_a_saved_key_is_the_same_key(kind, verify, public_size, signature_size, tmp_path) -> None:
    """A key file holds the key, only its owner may read it, and saving again does not overwrite it."""
    key = kind.generate()
    path = tmp_path / "key.pem"
    key.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert kind.load(path).public == key.public
    assert verify(key.public, kind.load(path).sign(b"m"), b"m")
    before = path.read_bytes()
    with pytest.raises(Conflict):
        kind.generate().save(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("kind", [Ed25519Key, MlDsa44Key])
def test_a_seed_makes_one_key(kind) -> None:
    """The same seed gives the same key, and only 32 bytes are a seed."""
    assert kind.from_seed(bytes(32)).public == kind.from_seed(bytes(32)).public
    assert kind.from_seed(bytes(32)).public != kind.from_seed(b"\1" * 32).public
    for seed in (b"", bytes(31), bytes(33)):
        with pytest.raises(Malformed):
            kind.from_seed(seed)


@pytest.mark.parametrize("kind", [Ed25519Key, MlDsa44Key])
def test_what_is_not_such_a_key_is_not_loaded(kind, tmp_path) -> None:
    """A missing file, rubbish, and a key of another kind are told apart from a key."""
    with pytest.raises(NotFound):
        kind.load(tmp_path / "missing.pem")
    rubbish = tmp_path / "rubbish.pem"
    for content in (b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"):
        rubbish.write_bytes(content)
        with pytest.raises(Malformed):
            kind.load(rubbish)
    with pytest.raises(Unavailable):
        kind.load(tmp_path)
    other = tmp_path / "p256.pem"
    p256 = generate_private_key(SECP256R1())
    other.write_bytes(p256.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(Malformed):
        kind.load(other)


def test_a_key_that_cannot_be_written_leaves_nothing(tmp_path) -> None:
    """Without a directory, or on a full disk, saving fails as our own error and no half file stays."""
    key = Ed25519Key.generate()
    with pytest.raises(Unavailable):
        key.save(tmp_path / "missing" / "key.pem")
    path = tmp_path / "key.pem"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, hard))
    try:
        with pytest.raises(Unavailable):
            key.save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, previous)
    assert not path.exists()
    key.save(path)


def test_a_key_does_not_show_its_secret() -> None:
    """Neither form of a key as text contains its seed."""
    seed = bytes(range(32))
    for key in (Ed25519Key(seed), MlDsa44Key(seed)):
        assert seed.hex() not in repr(key)
        assert repr(seed)[2:-1] not in repr(key)
