"""Restoring a node or a registry from its backup, into an empty folder (docs/howto/back-up.md).

The archive is checked whole before the first file is written, and the folder appears under its name when all of it is
there. A node's log never goes on: its key is not in the archive, and `qaztech node renew-log` opens the next one. A
registry is brought up to what was published since (`registry.resuming`).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import MetaData

from qaztech.compose.backup import (
    ANCHOR,
    CENTRE_KIND,
    CONSOLE_KIND,
    NODE,
    REGISTRY_KIND,
    SETTINGS,
    TABLES,
    set_key,
)
from qaztech.compose.console import ConsoleSettings
from qaztech.compose.hub import ADMIN_LOG, HubSettings
from qaztech.compose.office_backup import CENTRE_TABLES, CONSOLE_FOLDER, CONSOLE_TABLES
from qaztech.compose.registry import RegistrySettings
from qaztech.core.errors import Conflict, Malformed
from qaztech.node.settings import NodeSettings
from qaztech.people.tables import PEOPLE
from qaztech.registry.applications import JOINING
from qaztech.registry.files import sync_directory, write_file, write_private
from qaztech.registry.store import REGISTRY
from qaztech.runtime.archive import Manifest, check_archive, read_piece, unpack
from qaztech.runtime.database import database_url
from qaztech.runtime.settings import read_settings
from qaztech.runtime.table_dump import load_tables

FILES = {
    NODE: "node.toml", REGISTRY_KIND: "registry.toml", CONSOLE_KIND: "console.toml", CENTRE_KIND: "hub.toml",
}  # fmt: skip
_SETTINGS: dict[str, type[NodeSettings | RegistrySettings | ConsoleSettings | HubSettings]] = {
    NODE: NodeSettings, REGISTRY_KIND: RegistrySettings, CONSOLE_KIND: ConsoleSettings, CENTRE_KIND: HubSettings,
}  # fmt: skip
_TABLES: dict[str, tuple[MetaData, ...]] = {
    REGISTRY_KIND: (REGISTRY, JOINING, PEOPLE), CONSOLE_KIND: CONSOLE_TABLES, CENTRE_KIND: CENTRE_TABLES,
}  # fmt: skip
# Where the admin log is that must not go on; a registry's is looked after with the rest of it.
_ADMIN_LOGS = {CONSOLE_KIND: f"{CONSOLE_FOLDER}/{ADMIN_LOG}", CENTRE_KIND: ADMIN_LOG}


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """A folder that was restored: its settings file, and what the backup says of itself."""

    kind: str
    settings: Path
    facts: dict[str, Any]


def restore(
    archive: Path,
    into: Path,
    *,
    database: str = "",
    keys: Path | None = None,
    finish: Callable[[Restored], None] = lambda _: None,
) -> Restored:
    """Restore into a folder that is empty or not there. `finish` is what else has to be done before it has its name.

    `keys` is a folder with what was left out of the archive. Raises `Conflict` where something is there, and
    `Malformed` for an archive that cannot be used.
    """
    if into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise Conflict("backup.not-empty", f"there is something in {into}; restore into an empty folder")
    manifest = check_archive(archive)
    kind = _kind(manifest)
    if database and kind not in _TABLES:
        raise Malformed("command.malformed", "a node has no database")
    half = into.with_name(f".{into.name}.restoring")
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir(parents=True, mode=0o700)
    try:
        unpack(archive, half, manifest, "files/")
        _bring(keys, half, manifest)
        settings = _settings(archive, half, manifest, kind, database)
        _tables(archive, half, manifest, kind, database)
        if kind in _ADMIN_LOGS:
            end_admin_log(half / _ADMIN_LOGS[kind])
        finish(Restored(kind=kind, settings=settings, facts=manifest.facts))
        if into.exists():
            into.rmdir()
        half.rename(into)
        sync_directory(into.parent)
    finally:
        shutil.rmtree(half, ignore_errors=True)
    return Restored(kind=kind, settings=into / FILES[kind], facts=manifest.facts)


def _kind(manifest: Manifest) -> str:
    kind = manifest.facts.get("kind")
    left_out = manifest.facts.get("left_out")
    paths = manifest.facts.get("paths", {})
    known = (
        kind in FILES
        and isinstance(paths, dict)
        and isinstance(left_out, list)
        and all(isinstance(name, str) for name in left_out)
    )
    if not known or not {SETTINGS, ANCHOR} <= manifest.files.keys():
        raise Malformed("backup.malformed", "this is a backup of nothing that is known here")
    return str(kind)


def _bring(keys: Path | None, folder: Path, manifest: Manifest) -> None:
    """The files that the backup was made without, from where they are kept."""
    for name in manifest.facts["left_out"] if keys is not None else ():
        source, target = keys / name, folder / name
        if folder in target.resolve().parents and source.is_file() and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_private(target, source.read_bytes())


def _settings(archive: Path, folder: Path, manifest: Manifest, kind: str, database: str) -> Path:
    """The settings, which now stand in the folder itself, with the anchor beside them."""
    (folder / ANCHOR).unlink(missing_ok=True)
    write_file(folder / ANCHOR, read_piece(archive, ANCHOR))
    text = read_piece(archive, SETTINGS).decode(errors="replace")
    paths = manifest.facts.get("paths", {"directory": "."})
    for key, value in {**paths, "anchor": ANCHOR}.items():
        text = set_key(text, str(key), value)
    if database:
        text = set_key(text, "database", database)
    path = folder / FILES[kind]
    path.unlink(missing_ok=True)
    write_private(path, text.encode())
    read_settings(path, _SETTINGS[kind])
    return path


def _tables(archive: Path, folder: Path, manifest: Manifest, kind: str, database: str) -> None:
    """The rows of a process that ran on PostgreSQL, into the new database that is named."""
    if TABLES not in manifest.files:
        if database:
            raise Malformed("command.malformed", "this process kept its tables in files, and they are restored so")
        return
    if not database or kind not in _TABLES:
        raise Malformed("command.malformed", "this process ran on PostgreSQL: name a new database with --database")
    rows = folder / TABLES
    rows.write_bytes(read_piece(archive, TABLES))
    load_tables(database_url(database, folder / "unused"), _TABLES[kind], rows)
    rows.unlink()


def end_admin_log(folder: Path) -> None:
    """Set it beside those that ended when it was restored before: `NAME.ended`, `NAME.ended.2` and on."""
    if not folder.exists():
        return
    ended = f"{folder.name}.ended"
    names = (ended, *(f"{ended}.{number}" for number in range(2, 1000)))
    folder.rename(next(path for name in names if not (path := folder.with_name(name)).exists()))
