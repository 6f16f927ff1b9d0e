"""Loads keys from the folders where their owners keep them."""

from __future__ import annotations

from pathlib import Path

from qaztech.evidence.cosignature import Cosigner
from qaztech.evidence.note import ED25519, ML_DSA_44, VerifierKey
from qaztech.registry.member_file import log_origin
from qaztech.trust.keys import Ed25519Key, MlDsa44Key


def load_cosigner(directory: Path, name: str) -> Cosigner:
    """A witness's keys: `witness.key`, and `witness.ml-dsa.key` where there is one."""
    return Cosigner(
        name=name,
        ed25519=Ed25519Key.load(directory / "witness.key"),
        ml_dsa_44=_hybrid(directory / "witness.ml-dsa.key"),
    )


def load_log_keys(directory: Path, instance: str) -> tuple[str, Ed25519Key, MlDsa44Key | None, tuple[VerifierKey, ...]]:
    """A log's origin, its `log.key`, its `log.ml-dsa.key` where there is one, and what others verify it by."""
    key, hybrid = Ed25519Key.load(directory / "log.key"), _hybrid(directory / "log.ml-dsa.key")
    origin = log_origin(instance, key.public)
    keys = [VerifierKey.of(origin, ED25519, key.public)]
    if hybrid is not None:
        keys.append(VerifierKey.of(origin, ML_DSA_44, hybrid.public))
    return origin, key, hybrid, tuple(keys)


def _hybrid(path: Path) -> MlDsa44Key | None:
    return MlDsa44Key.load(path) if path.exists() else None
