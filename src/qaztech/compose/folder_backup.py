"""What stands in the folder of a process, as the pieces of a backup, while its process goes on.

Logs are copied up to one moment and SQLite files through SQLite's own backup; every other file of ours is replaced
whole when it changes, so it is copied as it is. The Ed25519 key of a log that must not go on is left out always, other
private keys on request. Not here: in which order (`backup`), and the file (`runtime.archive`).
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from qaztech.core.errors import Unavailable
from qaztech.evidence.copying import LogCopy, copy_of
from qaztech.evidence.state import IDENTITY
from qaztech.runtime.archive import Piece

# What is made again by itself: temporary files, sockets' folders, and what SQLite keeps beside its file.
_PASSING = re.compile(r"(\..*|.*\.(db-wal|db-shm|db-journal|pid|lock))\Z")
_SECRET_NAMES = frozenset({"management.token", "people.txt", "exchange.secret"})
_PRIVATE_KEY = b"PRIVATE KEY-----"
_LOOK_FOR_KEY = 4096
PASSING_FOLDERS = frozenset({"spool", "renewal"})


@dataclass(slots=True)
class Folder:
    """A folder to back up. `scratch` is where copies of databases are put for the time it takes."""

    directory: Path
    scratch: Path
    # Whether the Ed25519 key beside a log is left out, by the log's folder relative to `directory`.
    ends: Callable[[str], bool]
    without_keys: bool
    # What the names of its files begin with in the archive, with the slash; empty for the only folder of a backup.
    prefix: str = ""
    logs: dict[str, LogCopy] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    _done: set[str] = field(default_factory=set)

    def leave(self, path: Path) -> None:
        """Give no piece for this file or folder: it is in the backup under another name, or need not be."""
        if self.directory in path.resolve().parents:
            self._done.add(str(path.resolve().relative_to(self.directory)))

    def pieces(self, under: str = "") -> Iterator[Piece]:
        """Everything below a part of the folder that was not given before."""
        top = self.directory / under
        for path in sorted(top.iterdir()) if top.is_dir() else [top] if top.exists() else []:
            yield from self._path(path)

    def _path(self, path: Path) -> Iterator[Piece]:
        name = str(path.relative_to(self.directory))
        if name in self._done or _PASSING.match(path.name):
            return
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            self.left_out.append(self.prefix + name)
        elif path.is_dir():
            if (path / IDENTITY).is_file() and (path / "wal").is_dir():
                self._done.add(name)
                copy = self.logs[self.prefix + name] = copy_of(path, f"files/{self.prefix}{name}")
                yield from copy.pieces
            elif name not in PASSING_FOLDERS:
                for each in sorted(path.iterdir()):
                    yield from self._path(each)
        else:
            self._done.add(name)
            yield from self._file(path, name)

    def _file(self, path: Path, name: str) -> Iterator[Piece]:
        log = str((path.parent / "log").relative_to(self.directory))
        if path.name == "log.key" and self.ends(log):
            return
        try:
            secret = is_secret(path, name)
            if secret and self.without_keys:
                self.left_out.append(self.prefix + name)
            elif path.suffix == ".db":
                yield Piece(name=f"files/{self.prefix}{name}", path=self._database(path, name), private=True)
            else:
                private = secret or not path.stat().st_mode & 0o044
                yield Piece(name=f"files/{self.prefix}{name}", path=path, private=private)
        except FileNotFoundError:  # gone since it was listed
            return

    def _database(self, path: Path, name: str) -> Path:
        """A copy of a SQLite file as it is at one moment."""
        copy = self.scratch / (self.prefix + name).replace("/", "%")
        try:
            with closing(sqlite3.connect(path, timeout=10.0)) as source, closing(sqlite3.connect(copy)) as target:
                source.backup(target)
                target.execute("PRAGMA journal_mode = DELETE")
        except sqlite3.Error as exc:
            raise Unavailable(
                "database.unavailable", f"{path.name} cannot be read", context=type(exc).__name__
            ) from exc
        return copy


def is_secret(path: Path, name: str) -> bool:
    """Whether a file holds a private key, or what lets somebody in."""
    if path.suffix == ".key" or path.name in _SECRET_NAMES or name.startswith("keys/"):
        return True
    with path.open("rb") as file:
        return _PRIVATE_KEY in file.read(_LOOK_FOR_KEY)
