"""The registry's own keys for The Update Framework: thresholds that can live offline, and three that must be online.

In the embedded default each is a file; `offline/` can be carried to another machine, and the registry then publishes
members and rights as before, but neither a new root nor new targets. None of them can grant anything (design, 3).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]  # its API, re-exported without __all__

from qaztech.core.errors import Malformed, NotFound
from qaztech.trust.keys import Ed25519Key

ONLINE = ("bins", "snapshot", "timestamp")


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """How many keys sign root and targets, and how many there are."""

    root: int = 2
    root_keys: int = 3
    targets: int = 2
    targets_keys: int = 3


class RegistryKeys:
    """Key files in two folders, `offline` and `online`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @classmethod
    def generate(cls, directory: Path, thresholds: Thresholds) -> RegistryKeys:
        """Make every key that is not there yet; what is there stays."""
        names = [f"offline/root-{n + 1}" for n in range(thresholds.root_keys)]
        names += [f"offline/targets-{n + 1}" for n in range(thresholds.targets_keys)]
        names += [f"online/{name}" for name in ONLINE]
        for folder in ("offline", "online"):
            (directory / folder).mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in names:
            path = directory / f"{name}.pem"
            if not path.exists():
                Ed25519Key.generate().save(path)
        return cls(directory)

    def replace_online(self) -> None:
        """Make new online keys; the old ones stay beside them, for whoever looks into what happened."""
        folder = self._directory / "online"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in ONLINE:
            path = folder / f"{name}.pem"
            number = 1
            while path.exists():
                old = folder / f"{name}.pem.old-{number}"
                if not old.exists():
                    path.rename(old)
                number += 1
            Ed25519Key.generate().save(path)

    def offline(self, role: str) -> list[CryptoSigner]:
        """The keys of `root` or `targets` that are at hand; none once they are carried away."""
        return [_load(path) for path in sorted((self._directory / "offline").glob(f"{role}-*.pem"))]

    def online(self, role: str) -> CryptoSigner:
        """The key of `bins`, `snapshot` or `timestamp`."""
        return _load(self._directory / "online" / f"{role}.pem")


def _load(path: Path) -> CryptoSigner:
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except FileNotFoundError as exc:
        raise NotFound("registry.key", f"there is no key file {path.name}", at="registry") from exc
    except (ValueError, TypeError) as exc:
        raise Malformed("registry.key", f"{path.name} is not a private key in PEM", at="registry") from exc
    if not isinstance(key, Ed25519PrivateKey):
        raise Malformed("registry.key", f"{path.name} is not an Ed25519 key", at="registry")
    return CryptoSigner(key)
