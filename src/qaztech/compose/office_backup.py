"""Backups of a member's console and of the support center, taken while they run (docs/howto/back-up.md).

Both have a database and an admin log, copied as one by looking whether an act came in between. A console's backup has
the member's desk too, with the member key. The centre's Parquet files are written once and put together now and then:
where one that is meant has gone meanwhile, the copy is made again.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import MetaData

from qaztech.ai.register.store import METADATA as AI_REGISTER
from qaztech.compose.backup import (
    CENTRE_KIND,
    CONSOLE_KIND,
    TABLES,
    TRIES,
    Made,
    facts_of,
    named_pieces,
    size_of,
)
from qaztech.compose.console import ConsoleSettings
from qaztech.compose.folder_backup import Folder
from qaztech.compose.hub import ADMIN_LOG, HubSettings
from qaztech.core.errors import Unavailable
from qaztech.core.time import Clock
from qaztech.hub.findings import METADATA as FINDINGS
from qaztech.hub.register.store import METADATA as OBJECTS
from qaztech.hub.store import METADATA as DELIVERED
from qaztech.member.desk_work import CONSOLE
from qaztech.member.store import ACCESS
from qaztech.people.tables import PEOPLE
from qaztech.registry.anchor import parse_anchor
from qaztech.runtime.archive import Piece, write_archive
from qaztech.runtime.database import open_database
from qaztech.runtime.settings import read_settings
from qaztech.runtime.table_dump import dump_tables

CONSOLE_TABLES = (PEOPLE, ACCESS, CONSOLE)
CENTRE_TABLES = (DELIVERED, PEOPLE, OBJECTS, FINDINGS, AI_REGISTER)
DESK_FOLDER, CONSOLE_FOLDER, SECRETS = "desk", "console", "secrets"
# Files of a member's desk are small; who keeps others there keeps them elsewhere too.
_DESK_FILE = 64 << 20
# What comes in, and what the centre makes again from the rest.
_PASSING = ("rows/incoming", "flows/sums", "flows/counted", "vectors.bin")


@dataclass(slots=True)
class _Moment:
    """Whether what was copied is of one moment: as much as shows it, before and after."""

    seen: Callable[[], object]


def back_up_console(settings_file: Path, out: Path, clock: Clock, *, without_keys: bool) -> Made:
    """A member's console: its database, people and admin log, and the member's desk with its key.

    Raises `Unavailable` where people decide so fast that no moment between two acts is found.
    """
    settings, base = read_settings(settings_file, ConsoleSettings), settings_file.parent
    desk, directory = (base / settings.desk).resolve(), (base / settings.directory).resolve()
    id_ = parse_anchor((base / settings.anchor).read_bytes()).instance

    def seen() -> object:
        file = desk / "member-file.json"
        return size_of(directory / ADMIN_LOG / "log"), file.read_bytes() if file.exists() else b""

    def collect(scratch: Path) -> tuple[dict[str, Any], list[Piece]]:
        own = Folder(directory, scratch, lambda log: log == f"{ADMIN_LOG}/log", without_keys, f"{CONSOLE_FOLDER}/")
        of_desk = Folder(desk, scratch, lambda _: False, without_keys, f"{DESK_FOLDER}/")
        of_desk.leave(directory)
        emptied = ["database"] if without_keys else []
        pieces = named_pieces(of_desk, settings_file, base / settings.anchor, *emptied)
        pieces += own.pieces()
        pieces += _dumped(settings.database, CONSOLE_TABLES, scratch)
        pieces += map(_as_it_is, of_desk.pieces())
        paths, secrets, outside = _console_paths(settings, base, desk, directory)
        pieces += [] if without_keys else secrets
        facts = facts_of(CONSOLE_KIND, id_, clock, own, of_desk)
        facts["left_out"] += [*outside, *(s.name.removeprefix("files/") for s in secrets if without_keys)]
        return {**facts, "paths": paths, "postgresql": bool(settings.database)}, pieces

    return _back_up(out, _Moment(seen), collect)


def back_up_centre(settings_file: Path, out: Path, clock: Clock, *, without_keys: bool) -> Made:
    """The support center: its database, what was delivered and brought, people, admin log.

    Raises `Unavailable` as `back_up_console` does.
    """
    settings, base = read_settings(settings_file, HubSettings), settings_file.parent
    directory = (base / settings.directory).resolve()
    id_ = parse_anchor((base / settings.anchor).read_bytes()).instance

    def seen() -> object:
        return size_of(directory / ADMIN_LOG / "log")

    def collect(scratch: Path) -> tuple[dict[str, Any], list[Piece]]:
        folder = Folder(directory, scratch, lambda log: log == f"{ADMIN_LOG}/log", without_keys)
        for name in _PASSING:
            folder.leave(directory / name)
        meant = _parquet(directory)
        pieces = named_pieces(folder, settings_file, base / settings.anchor, *(["database"] if without_keys else []))
        pieces += folder.pieces("hub.db")
        pieces += _dumped(settings.database, CENTRE_TABLES, scratch)
        pieces += folder.pieces()
        if not meant <= _parquet(directory):
            raise FileNotFoundError
        facts = facts_of(CENTRE_KIND, id_, clock, folder)
        paths: dict[str, Any] = {"directory": "."}
        if settings.deliver_for:
            paths["deliver_for"] = [str((base / name).resolve()) for name in settings.deliver_for]
        return {**facts, "paths": paths, "postgresql": bool(settings.database)}, pieces

    return _back_up(out, _Moment(seen), collect)


def _back_up(out: Path, moment: _Moment, collect: Callable[[Path], tuple[dict[str, Any], list[Piece]]]) -> Made:
    for _ in range(TRIES):
        with tempfile.TemporaryDirectory(dir=out.resolve().parent, prefix=".backup-") as scratch:
            before = moment.seen()
            try:
                facts, pieces = collect(Path(scratch))
                if moment.seen() != before:
                    continue
                manifest = write_archive(out, facts, pieces)
            except FileNotFoundError:
                # Files were put together into another one meanwhile.
                continue
            return Made(manifest=manifest, left_out=tuple(facts["left_out"]))
    raise Unavailable("backup.busy", "acts keep coming; try again in a quieter moment", at="registry")


def _as_it_is(piece: Piece) -> Piece:
    """A small file with what it holds now: what is looked at afterwards shows whether all are of one moment."""
    if piece.path is None or piece.path.stat().st_size > _DESK_FILE:
        return piece
    return replace(piece, path=None, data=piece.path.read_bytes()[: piece.length])


def _parquet(directory: Path) -> set[Path]:
    """The files of rows that are there now."""
    found = {path.relative_to(directory) for path in directory.rglob("*.parquet")}
    return {path for path in found if not str(path).startswith(_PASSING)}


def _dumped(database: str, sets: tuple[MetaData, ...], scratch: Path) -> Iterator[Piece]:
    """The rows, where they are in PostgreSQL; SQLite files are in the folder."""
    if database:
        for each in sets:  # a centre without pages has made only some
            open_database(database, each).dispose()
        dump_tables(database, sets, scratch / TABLES)
        yield Piece(name=TABLES, path=scratch / TABLES, private=True)


def _console_paths(
    settings: ConsoleSettings, base: Path, desk: Path, directory: Path
) -> tuple[dict[str, Any], list[Piece], list[str]]:
    """What the settings name the restored files by; secrets from elsewhere; what is on this machine alone."""
    paths: dict[str, Any] = {"desk": DESK_FOLDER, "directory": CONSOLE_FOLDER}
    secrets, outside = [], []
    for key in ("exchange_secret_file", "node_token_file", "edge_token_file", "node_settings", "limits"):
        name = getattr(settings, key)
        if not name:
            continue
        path = (base / name).resolve()
        if directory in path.parents:
            paths[key] = f"{CONSOLE_FOLDER}/{path.relative_to(directory)}"
        elif desk in path.parents:
            paths[key] = f"{DESK_FOLDER}/{path.relative_to(desk)}"
        elif key in {"node_settings", "limits"}:
            paths[key] = str(path)
            outside.append(name)
        else:
            paths[key] = f"{SECRETS}/{key}"
            secrets.append(Piece(name=f"files/{SECRETS}/{key}", data=path.read_bytes(), private=True))
    outside += [more.token_file for more in settings.more_nodes if more.token_file]
    return paths, secrets, outside
