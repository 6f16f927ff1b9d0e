"""What a node keeps of the registry: every verified piece by its hash, and the proof of every snapshot it decided by.

Years later a receipt's configuration excerpt is made from here (`excerpt`). Only verified bytes are put in, and each
is checked against its name when read. Also the roots in their order and the last timestamp, for the next start.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from qaztech.registry.files import replace_file, sync_directory, sync_file, write_file
from qaztech.registry.metadata import Blob


class Archive:
    """A folder of blobs by hash, roots and snapshots by version."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._unsettled: list[Path] = []
        for name in ("blobs", "roots", "snapshots", "proofs"):
            (directory / name).mkdir(parents=True, exist_ok=True)

    def put(self, blob: Blob) -> None:
        """Keep verified bytes: durably once `settle` has been called, for syncing many files together costs a tenth.

        Until then a power cut may leave less; what is damaged is not given out, and put anew.
        """
        if self.get(blob.sha256) is None:
            path = self._path(blob.sha256)
            path.parent.mkdir(exist_ok=True)
            temporary = path.with_name(f".{path.name}.new")
            temporary.write_bytes(blob.data)
            temporary.replace(path)
            self._unsettled.append(path)

    def settle(self) -> None:
        """Make durable what was put: before anything is decided by it."""
        if not self._unsettled:
            return
        for path in self._unsettled:
            sync_file(path)
        for folder in {path.parent for path in self._unsettled}:
            sync_directory(folder)
        sync_directory(self._directory / "blobs")
        self._unsettled.clear()

    def get(self, digest: str) -> bytes | None:
        """The bytes with this SHA-256, if they are here and undamaged."""
        try:
            data = self._path(digest).read_bytes()
        except OSError:
            return None
        return data if sha256(data).hexdigest() == digest else None

    def put_root(self, version: int, data: bytes) -> None:
        """Keep a verified root."""
        replace_file(self._directory / "roots" / str(version), data)

    def root(self, version: int) -> bytes | None:
        """A root by version."""
        return _read(self._directory / "roots" / str(version))

    def put_timestamp(self, data: bytes) -> None:
        """Keep the last accepted timestamp: the guard against rollback across restarts."""
        replace_file(self._directory / "timestamp.json", data)

    def timestamp(self) -> bytes | None:
        """The last accepted timestamp."""
        return _read(self._directory / "timestamp.json")

    def put_snapshot(self, version: int, digest: str, root: int) -> None:
        """Note that this snapshot was verified, under which root; its blob must be in already."""
        self.settle()
        path = self._directory / "snapshots" / str(version)
        if not path.exists():
            replace_file(path, f"{digest} {root}\n".encode())

    def snapshot(self, version: int) -> tuple[str, int] | None:
        """Hash of a verified snapshot, and the version of the root it was verified under."""
        data = _read(self._directory / "snapshots" / str(version))
        if data is None:
            return None
        digest, _, root = data.decode("ascii", "replace").strip().partition(" ")
        return (digest, int(root)) if root.isdigit() else None

    def snapshots(self) -> list[int]:
        """The versions of all verified snapshots, in their order."""
        return sorted(int(path.name) for path in (self._directory / "snapshots").iterdir() if path.name.isdigit())

    def put_proof(self, version: int, proof: bytes) -> None:
        """Keep the verified proof that a snapshot is in the registry's witnessed log."""
        write_file(self._directory / "proofs" / str(version), proof)

    def proof(self, version: int) -> bytes | None:
        """That proof, once there is one."""
        return _read(self._directory / "proofs" / str(version))

    def unproven(self) -> list[int]:
        """Snapshots whose proof is not here yet, oldest first."""
        versions = {p.name for p in (self._directory / "snapshots").iterdir() if p.name.isdigit()}
        proven = {p.name for p in (self._directory / "proofs").iterdir()}
        return sorted(int(name) for name in versions - proven)

    def _path(self, digest: str) -> Path:
        return self._directory / "blobs" / digest[:2] / digest


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
