"""The file of a backup: a tar whose last member says what all the others must be, by length and SHA-256.

    manifest.json   {"type": "qaztech-backup 1", "facts": {…}, "files": {name: [length, sha256, mode]}}

It is written beside its name, read back and compared, and only then given its name; only its owner may read it. The
manifest guards against a damaged file, not against who can write it: a backup is kept where keys may be kept. Names
that lead out of a folder, links and devices are refused before anything is written. Not here: what is backed up.
"""

from __future__ import annotations

import io
import json
import os
import re
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO, Any, NamedTuple

import msgspec

from qaztech.core.errors import Conflict, Malformed

TYPE = "qaztech-backup 1"
MANIFEST = "manifest.json"
MAX_MANIFEST = 256 * 1024 * 1024
MAX_NAME = 1000
_CHUNK = 1 << 20
_NAME = re.compile(r"[A-Za-z0-9._%@+=,~-]+(/[A-Za-z0-9._%@+=,~-]+)*\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A file to put in: the first `length` bytes at `path` (None: all there are when it is opened), or `data`."""

    name: str
    path: Path | None = None
    length: int | None = None
    data: bytes = b""
    private: bool = False


class Listed(NamedTuple):
    """What the manifest says of one file."""

    length: int
    sha256: str
    mode: int


class Manifest(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The last member of an archive. `facts` are what its maker says of it: its kind first of all."""

    type: str
    facts: dict[str, Any]
    files: dict[str, Listed]


def write_archive(path: Path, facts: dict[str, Any], pieces: Iterable[Piece]) -> Manifest:
    """Write an archive, check it, and give it its name. Raises `Conflict` where something has that name."""
    if path.exists():
        raise Conflict("backup.exists", f"there is a file {path} already")
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            _write(file, facts, pieces)
            file.flush()
            os.fsync(file.fileno())
        manifest = check_archive(temporary)
        temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)
    return manifest


@contextmanager
def _reading() -> Iterator[None]:
    """What Python's tar reader says of a damaged file, in our words."""
    try:
        yield
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as exc:
        raise _malformed("it is damaged, or no archive at all") from exc


@_reading()
def check_archive(path: Path) -> Manifest:
    """Read a whole archive and compare all of it with its manifest. Raises `Malformed` for what is not one."""
    found: dict[str, Listed] = {}
    manifest: Manifest | None = None
    for member, file in _members(path):
        if manifest is not None:
            raise _malformed("something follows its manifest")
        if member.name == MANIFEST:
            manifest = _manifest(member, file)
        elif member.name in found:
            raise _malformed(f"{member.name} is in it twice")
        else:
            found[member.name] = Listed(member.size, _digest(file), member.mode)
    if manifest is None:
        raise _malformed("it has no manifest: it was not written to its end")
    for name in sorted(found.keys() | manifest.files.keys()):
        if found.get(name) != manifest.files.get(name):
            raise _malformed(f"{name} is not as its manifest says")
    return manifest


@_reading()
def unpack(path: Path, folder: Path, manifest: Manifest, prefix: str) -> list[Path]:
    """Write the files whose names begin with `prefix` (a folder, with its slash) into an existing folder, durably.

    Each is compared with the manifest that was checked before; raises `Malformed` where the archive has changed since.
    """
    written, folders = [], {folder}
    for member, file in _members(path):
        if not member.name.startswith(prefix) or member.name == MANIFEST:
            continue
        target = folder / member.name.removeprefix(prefix)
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        folders.update(parent for parent in target.parents if parent == folder or folder in parent.parents)
        listed = manifest.files.get(member.name)
        if listed is None or _copy(file, target, 0o600 if member.mode == 0o600 else 0o644) != listed[:2]:
            raise _malformed(f"{member.name} changed while it was restored")
        written.append(target)
    for each in folders:
        _sync_folder(each)
    return written


@_reading()
def read_piece(path: Path, name: str, limit: int = MAX_MANIFEST) -> bytes:
    """One file of an archive that was checked. Raises `Malformed` where it has none by this name."""
    for member, file in _members(path):
        if member.name == name and member.size <= limit:
            return file.read()
    raise _malformed(f"it has no {name}")


def _write(file: IO[bytes], facts: dict[str, Any], pieces: Iterable[Piece]) -> None:
    files: dict[str, Listed] = {}
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for piece in pieces:
            _check_name(piece.name)
            if piece.name in files or piece.name == MANIFEST:
                raise _malformed(f"two files would be {piece.name}")
            with piece.path.open("rb") if piece.path is not None else io.BytesIO(piece.data) as source:
                size = piece.length if piece.length is not None else source.seek(0, io.SEEK_END)
                source.seek(0)
                hashed = _Hashed(source)
                mode = 0o600 if piece.private else 0o644
                tar.addfile(_info(piece.name, size, mode), hashed)
            files[piece.name] = Listed(size, hashed.digest.hexdigest(), mode)
        data = json.dumps({"type": TYPE, "facts": facts, "files": files}, indent=0, ensure_ascii=False).encode()
        tar.addfile(_info(MANIFEST, len(data), 0o600), io.BytesIO(data))


class _Hashed(io.RawIOBase):
    """A source that is hashed as it is read."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self.digest = sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._source.read(size)
        self.digest.update(data)
        return data


def _info(name: str, size: int, mode: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, mode
    return info


def _members(path: Path) -> Iterator[tuple[tarfile.TarInfo, IO[bytes]]]:
    with tarfile.open(path, mode="r|") as tar:
        for member in tar:
            _check_name(member.name)
            file = tar.extractfile(member) if member.isreg() and not member.issparse() else None
            if file is None:
                raise _malformed(f"{member.name} is no plain file")
            yield member, file


def _manifest(member: tarfile.TarInfo, file: IO[bytes]) -> Manifest:
    if member.size > MAX_MANIFEST:
        raise _malformed("its manifest is too long")
    try:
        manifest = msgspec.json.decode(file.read(), type=Manifest)
    except (msgspec.DecodeError, RecursionError) as exc:
        raise _malformed("its manifest does not have its form") from exc
    if manifest.type != TYPE:
        raise _malformed(f"it is not a {TYPE!r}")
    return manifest


def _check_name(name: str) -> None:
    if len(name) > MAX_NAME or not _NAME.match(name) or any(part in {".", ".."} for part in name.split("/")):
        raise _malformed(f"a name leads elsewhere: {name[:100]!r}")


def _digest(file: IO[bytes]) -> str:
    digest = sha256()
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def _copy(file: IO[bytes], target: Path, mode: int) -> tuple[int, str]:
    digest, length = sha256(), 0
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "wb") as written:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            length += len(chunk)
            written.write(chunk)
        written.flush()
        os.fsync(descriptor)
    return length, digest.hexdigest()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _malformed(what: str) -> Malformed:
    return Malformed("backup.malformed", f"this is no backup that can be used: {what}")
