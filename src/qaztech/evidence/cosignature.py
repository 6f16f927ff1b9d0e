"""Cosignatures: timestamped statements that a checkpoint continues what the cosigner saw (C2SP tlog-cosignature).

Two types: Ed25519 (0x04), over a text with the whole checkpoint, and ML-DSA-44 (0x06, `subtree/v1`), over origin, size
and root, which a log also uses, under its origin's name, to sign its own checkpoints. Evidence is hybrid: where an
ML-DSA-44 key is in force beside an Ed25519 key both must verify, see `verify_log` here and `policy` for witnesses.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from qaztech.core.errors import Malformed, Untrusted
from qaztech.evidence.checkpoint import MAX_SIZE, Checkpoint, SignedCheckpoint
from qaztech.evidence.note import (
    COSIGNATURE_ED25519,
    ML_DSA_44,
    SignatureLine,
    VerifierKey,
    key_id,
    parse_signature_lines,
)
from qaztech.trust.keys import Ed25519Key, MlDsa44Key, verify_ed25519, verify_ml_dsa_44

_LABEL: Final = b"subtree/v1\n\0"
_TIME_SIZE: Final = 8
_MAX_NAME: Final = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosigner:
    """Who cosigns: a name, an Ed25519 key and, for hybrid evidence, an ML-DSA-44 key."""

    name: str
    ed25519: Ed25519Key
    ml_dsa_44: MlDsa44Key | None = None

    @property
    def verifier_keys(self) -> tuple[VerifierKey, ...]:
        """What others check the cosignatures with."""
        ed25519 = VerifierKey.of(self.name, COSIGNATURE_ED25519, self.ed25519.public)
        if self.ml_dsa_44 is None:
            return (ed25519,)
        return ed25519, VerifierKey.of(self.name, ML_DSA_44, self.ml_dsa_44.public)

    def cosign(self, signed: SignedCheckpoint, timestamp: int) -> tuple[SignatureLine, ...]:
        """One cosignature for each key, all with this time (seconds). The caller has verified what is cosigned."""
        ed25519 = cosign_ed25519(signed, self.name, self.ed25519, timestamp)
        if self.ml_dsa_44 is None:
            return (ed25519,)
        return ed25519, cosign_ml_dsa_44(signed, self.name, self.ml_dsa_44, timestamp)


def cosign_ed25519(signed: SignedCheckpoint, name: str, key: Ed25519Key, timestamp: int) -> SignatureLine:
    """An Ed25519 cosignature (0x04) at `timestamp`, in seconds."""
    signature = key.sign(_ed25519_message(signed.note.text, timestamp))
    return _line(name, COSIGNATURE_ED25519, key.public, timestamp, signature)


def cosign_ml_dsa_44(head: Checkpoint | SignedCheckpoint, name: str, key: MlDsa44Key, timestamp: int) -> SignatureLine:
    """An ML-DSA-44 cosignature (0x06) at `timestamp`, in seconds; a log signs with its origin as the name."""
    signature = key.sign(_ml_dsa_44_message(head, name, timestamp))
    return _line(name, ML_DSA_44, key.public, timestamp, signature)


def verify_cosignature(line: SignatureLine, key: VerifierKey, signed: SignedCheckpoint) -> int:
    """The time (seconds) of a cosignature that `key` made of this checkpoint."""
    timestamp = int.from_bytes(line.signature[:_TIME_SIZE], "big")
    signature = line.signature[_TIME_SIZE:]
    if not key.made(line) or timestamp > MAX_SIZE:
        raise Untrusted("cosignature.wrong", f"not a cosignature by {key.name}", at="log")
    if key.kind == COSIGNATURE_ED25519:
        verified = verify_ed25519(key.public, signature, _ed25519_message(signed.note.text, timestamp))
    elif key.kind == ML_DSA_44 and len(key.name.encode()) <= _MAX_NAME:
        verified = verify_ml_dsa_44(key.public, signature, _ml_dsa_44_message(signed, key.name, timestamp))
    else:
        verified = False
    if not verified:
        raise Untrusted("cosignature.wrong", f"a wrong cosignature by {key.name}", at="log")
    return timestamp


def cosigned_at(signed: SignedCheckpoint, key: VerifierKey) -> int | None:
    """The earliest time at which `key` cosigned this checkpoint, if it did; one wrong cosignature spoils the note."""
    return min(
        (verify_cosignature(line, key, signed) for line in signed.note.signatures if key.made(line)), default=None
    )


def verify_log(signed: SignedCheckpoint, keys: Iterable[VerifierKey]) -> Checkpoint:
    """The checkpoint, verified with every type of key the log has among `keys`.

    Ed25519 is always required. If an ML-DSA-44 key under the origin's name is there, one such signature is required too
    and the checkpoint has no extension lines, which that type does not cover.
    """
    keys = tuple(keys)
    checkpoint = signed.verify(keys)
    hybrid = [key for key in keys if key.kind == ML_DSA_44 and key.name == signed.origin]
    if hybrid:
        if signed.extensions:
            raise Untrusted("checkpoint.extension", "extension lines are not covered by ML-DSA-44", at="log")
        times = [cosigned_at(signed, key) for key in hybrid]
        if all(time is None for time in times):
            raise Untrusted("checkpoint.downgraded", f"log {signed.origin} did not sign with ML-DSA-44", at="log")
    return checkpoint


def accept_cosignatures(
    signed: SignedCheckpoint, answer: bytes, keys: Sequence[VerifierKey]
) -> tuple[SignatureLine, ...]:
    """The lines of a witness's answer that `keys` made, each verified; lines of unknown keys are passed over."""
    accepted = []
    for line in parse_signature_lines(answer):
        for key in keys:
            if key.made(line):
                verify_cosignature(line, key, signed)
                accepted.append(line)
    return tuple(accepted)


def _line(name: str, kind: int, public: bytes, timestamp: int, signature: bytes) -> SignatureLine:
    return SignatureLine(name, key_id(name, kind, public), timestamp.to_bytes(_TIME_SIZE, "big") + signature)


def _ed25519_message(text: bytes, timestamp: int) -> bytes:
    return b"cosignature/v1\ntime %d\n%b" % (timestamp, text)


def _ml_dsa_44_message(head: Checkpoint | SignedCheckpoint, name: str, timestamp: int) -> bytes:
    cosigner, origin = name.encode(), head.origin.encode()
    if not 0 < len(cosigner) <= _MAX_NAME or len(origin) > _MAX_NAME:
        raise Malformed("cosignature.malformed", f"a cosigner's name and an origin have 1 to {_MAX_NAME} bytes")
    return b"".join(
        (
            _LABEL,
            bytes([len(cosigner)]),
            cosigner,
            timestamp.to_bytes(_TIME_SIZE, "big"),
            bytes([len(origin)]),
            origin,
            bytes(8),
            head.size.to_bytes(8, "big"),
            head.root,
        )
    )
