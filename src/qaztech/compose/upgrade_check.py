"""What an administrator asks before an upgrade: is the archive the release's, and how long is the way back.

An unpacked archive of `make bundle` is checked by its signed sums, every file, none more. Databases are looked at by
the release that is to run: one that it changes is refused by the release before, whose way back is then the backup
(docs/howto/upgrade.md). Nothing is changed. Only whoever trusts the release key from elsewhere learns anything.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import msgspec

from qaztech.core.errors import Malformed, NotFound, Untrusted
from qaztech.evidence.note import VerifierKey, parse_note
from qaztech.runtime.database import database_url, sqlite_url, standing_of
from qaztech.runtime.migration import Standing
from qaztech.runtime.settings import read_settings
from qaztech.trust.keys import verify_ed25519

SUMS = "SHA256SUMS"
SIGNED_SUMS = "SHA256SUMS.note"
MAX_SUMS = 1 << 20
_LINE = re.compile(r"([0-9a-f]{64})  ([^\n]+)")


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    """Where a process keeps its tables: what the settings of registry, console, centre and node have in common."""

    directory: str = "."
    database: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """One database: its file's name, or `postgresql`, and its sets of tables."""

    name: str
    sets: list[Standing]


def databases(settings: Path) -> list[Database]:
    """The databases of a process by its settings file, and how far they have come."""
    kept = read_settings(settings, _Kept)
    if kept.database:
        return [Database(name="postgresql", sets=standing_of(database_url(kept.database, settings)))]
    folder = settings.parent / kept.directory
    files = sorted(path for path in folder.rglob("*.db") if path.is_file())
    found = [Database(name=str(file.relative_to(folder)), sets=standing_of(sqlite_url(file))) for file in files]
    return [database for database in found if database.sets]


def check_bundle(folder: Path, key: VerifierKey) -> str:
    """The version of an unpacked archive that this release key signed, every file of it as it was signed.

    Raises `Untrusted` where it is not, `NotFound` where nobody signed it.
    """
    try:
        with (folder / SIGNED_SUMS).open("rb") as file:
            note = parse_note(file.read(MAX_SUMS))
    except FileNotFoundError as exc:
        raise NotFound("bundle.unsigned", "nobody has signed this archive", at="caller") from exc
    except Malformed as exc:
        raise Untrusted("bundle.unsigned", "what should be its signature is none", at="caller") from exc
    signatures = [line.signature for line in note.signatures if key.made(line)]
    if not any(verify_ed25519(key.public, signature, note.text) for signature in signatures):
        raise Untrusted("bundle.unsigned", "this release key has not signed this archive", at="caller")
    _check_files(folder, note.text.decode())
    return (folder / "VERSION").read_text().strip()


def _check_files(folder: Path, text: str) -> None:
    lines = [_LINE.fullmatch(line) for line in text.splitlines()]
    signed = {line[2]: line[1] for line in lines if line is not None}
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()}
    more = there - signed.keys() - {SUMS, SIGNED_SUMS}
    if len(signed) != len(lines) or signed.keys() - there or more or (folder / SUMS).read_bytes() != text.encode():
        raise Untrusted("bundle.changed", "the archive has not the files that were signed", at="caller")
    for name, digest in signed.items():
        path = folder / name
        if path.is_symlink() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            raise Untrusted("bundle.changed", f"{name} is not what was signed", at="caller")
