"""Backups of a node and of a registry, taken while they run (docs/howto/back-up.md).

The order is what makes the parts fit together: what a part names is copied after it. A registry's database and its
admin log are copied as one, by looking whether an act came in between.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qaztech.compose.folder_backup import Folder
from qaztech.compose.registry import RegistrySettings
from qaztech.core.errors import Unavailable
from qaztech.core.time import Clock
from qaztech.evidence.storage import OsStorage
from qaztech.evidence.view import LogView
from qaztech.node.settings import NodeSettings
from qaztech.people.tables import PEOPLE
from qaztech.registry.applications import JOINING
from qaztech.registry.founding import ADMIN_LOG
from qaztech.registry.store import REGISTRY
from qaztech.runtime.archive import Manifest, Piece, write_archive
from qaztech.runtime.settings import read_settings
from qaztech.runtime.table_dump import dump_tables

NODE, REGISTRY_KIND, CONSOLE_KIND, CENTRE_KIND = "node", "registry", "console", "hub"
SETTINGS, ANCHOR, TABLES = "settings.toml", "anchor.json", "tables.jsonl"
TRIES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A backup that was written and checked, and what is not in it."""

    manifest: Manifest
    left_out: tuple[str, ...]


def back_up_node(settings_file: Path, out: Path, clock: Clock, *, without_keys: bool) -> Made:
    """A node: its folder, settings and anchor. The key of its log is never in it: a restored log must not go on."""
    settings, base = read_settings(settings_file, NodeSettings), settings_file.parent
    directory = (base / settings.directory).resolve()
    with tempfile.TemporaryDirectory(dir=out.resolve().parent, prefix=".backup-") as scratch:
        folder = Folder(directory, Path(scratch), lambda _: True, without_keys)
        pieces = [*named_pieces(folder, settings_file, base / settings.anchor), *folder.pieces()]
        facts = facts_of(NODE, settings.id, clock, folder)
        outside = _outside(directory, base, _files_of(settings))
        facts["left_out"] += outside
        manifest = write_archive(out, facts, pieces)
    return Made(manifest=manifest, left_out=tuple(facts["left_out"]))


def back_up_registry(settings_file: Path, out: Path, clock: Clock, *, without_keys: bool) -> Made:
    """A registry: its folder, settings and anchor, and its tables where they are in PostgreSQL.

    Raises `Unavailable` where people decide so fast that no moment between two acts is found.
    """
    settings, base = read_settings(settings_file, RegistrySettings), settings_file.parent
    directory = (base / settings.directory).resolve()
    for _ in range(TRIES):
        with tempfile.TemporaryDirectory(dir=out.resolve().parent, prefix=".backup-") as scratch:
            # The registry's own log can go on, for its origin is in the anchor; an admin log never does.
            folder = Folder(directory, Path(scratch), lambda log: log == f"{ADMIN_LOG}/log", without_keys)
            # The URL of a database holds its password.
            named = named_pieces(folder, settings_file, base / settings.anchor, *(["database"] if without_keys else []))
            before = size_of(directory / ADMIN_LOG / "log")
            pieces = [*named, *_registry_pieces(folder, settings.database, Path(scratch) / TABLES)]
            if size_of(directory / ADMIN_LOG / "log") != before:
                continue
            facts = facts_of(REGISTRY_KIND, settings.instance, clock, folder)
            facts["postgresql"] = bool(settings.database)
            manifest = write_archive(out, facts, pieces)
            return Made(manifest=manifest, left_out=tuple(facts["left_out"]))
    raise Unavailable("backup.busy", "acts keep coming; try again in a quieter moment", at="registry")


def _registry_pieces(folder: Folder, database: str, dump: Path) -> Iterator[Piece]:
    """What is shown first, then the state it was made of, then the logs that hold both."""
    shown = "tuf/metadata/timestamp.json"
    for piece in folder.pieces(shown):
        yield Piece(name=piece.name, data=(folder.directory / shown).read_bytes())
    if database:
        dump_tables(database, (REGISTRY, JOINING, PEOPLE), dump)
        yield Piece(name=TABLES, path=dump, private=True)
    else:
        for file in sorted(folder.directory.glob("*.db")):
            yield from folder.pieces(file.name)
    yield from folder.pieces("tuf")
    yield from folder.pieces()


def named_pieces(folder: Folder, settings: Path, anchor: Path, *emptied: str) -> list[Piece]:
    """Settings and anchor, under names of their own; of the settings without the values of these keys."""
    folder.leave(settings)
    text = settings.read_text()
    for key in emptied:
        text = set_key(text, key, "")
    return [
        Piece(name=SETTINGS, data=text.encode(), private=True),
        Piece(name=ANCHOR, data=anchor.read_bytes()),
    ]


def facts_of(kind: str, id_: str, clock: Clock, *folders: Folder) -> dict[str, Any]:
    """What a backup says of itself."""
    logs = {name: copy for folder in folders for name, copy in folder.logs.items()}
    return {
        "kind": kind,
        "id": id_,
        "made": clock.now(),
        "without_keys": any(folder.without_keys for folder in folders),
        "logs": {name: {"origin": copy.origin, "size": copy.size} for name, copy in logs.items()},
        "left_out": [name for folder in folders for name in folder.left_out],
    }


def size_of(log: Path) -> int:
    """How many entries a log has; 0 where there is none."""
    if not log.exists():
        return 0
    with LogView.open_read_only(log, storage=OsStorage()) as view:
        return view.size


def _files_of(settings: NodeSettings) -> list[str]:
    """Files that a node's settings name."""
    edge, found = settings.edge, [member.limits for member in settings.members]
    found += [edge.certificate, edge.key, edge.ca]
    for service in settings.services:
        found += [service.openapi, service.ca, service.certificate, service.key]
    return [name for name in found if name]


def _outside(directory: Path, base: Path, names: list[str]) -> list[str]:
    """Those that stand outside the node's folder: whoever restores it brings them."""
    return [name for name in names if directory not in (base / name).resolve().parents]


def set_key(text: str, key: str, value: str | list[str]) -> str:
    """One key before the first table, put where it stands or at the very beginning."""
    head, table, rest = text.partition("\n[")
    line, pattern = f"{key} = {json.dumps(value)}", rf"(?m)^{key}\s*=.*$"
    if re.search(pattern, head):
        head = re.sub(pattern, lambda _: line, head, count=1)
    else:
        head = f"{line}\n{head}"
    return head + table + rest
