"""`qaztech upgrade-check`: before an upgrade, whether the archive is the release's, and what the way back will be."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from qaztech.cli.options import add_action, add_json, tell
from qaztech.core.errors import Conflict, NotFound
from qaztech.runtime.release import release

if TYPE_CHECKING:
    from qaztech.cli.verbs import Verbs
    from qaztech.compose.upgrade_check import Database


def add_parser(verbs: Verbs) -> None:
    """Add the verb."""
    parser = add_action(
        verbs, "upgrade-check", "before an upgrade: is the archive the release's, and what is the way back", _run,
        more="The running release checks the archive, the new one the databases. Changes nothing. "
        "See docs/howto/upgrade.md.",
    )  # fmt: skip
    parser.add_argument("--bundle", type=Path, metavar="DIR", help="the unpacked archive of a release")
    parser.add_argument("--release-key", type=Path, metavar="FILE", help="the release key's public half (.vkey)")
    parser.add_argument("--settings", type=Path, metavar="FILE", help="the settings of a process that keeps databases")
    add_json(parser)


def _run(args: argparse.Namespace) -> int:
    from qaztech.compose.upgrade_check import check_bundle, databases  # noqa: PLC0415  # imports others need not pay
    from qaztech.evidence.note import VerifierKey  # noqa: PLC0415

    if (args.bundle is None) != (args.release_key is None) or (args.bundle is None and args.settings is None):
        raise NotFound("command.missing", "give --bundle and --release-key, or --settings, or all three", at="caller")
    facts: dict[str, object] = {"release": release()}
    lines = []
    if args.bundle is not None:
        key = VerifierKey.parse(args.release_key.read_text().strip())
        facts["bundle"] = version = check_bundle(args.bundle, key)
        lines.append(f"archive  {version}, signed by {key.name}, every file as it was signed")
    if args.settings is not None:
        found = databases(args.settings)
        facts |= _facts(found)
        lines += _lines(found)
        newer = [f"{d.name} ({s.tables} {s.version})" for d in found for s in d.sets if s.is_newer]
        if newer:
            raise Conflict("database.newer", f"a newer release has changed {', '.join(newer)}", at="caller")
    return tell(args, facts, lines)


def _facts(found: list[Database]) -> dict[str, object]:
    sets = [(database.name, each) for database in found for each in database.sets]
    return {
        "databases": [
            {"database": name, "tables": s.tables, "version": s.version, "becomes": s.known[-1], "changes": s.changes}
            for name, s in sets
        ],
        "changes": any(s.changes for _, s in sets),
    }


def _lines(found: list[Database]) -> list[str]:
    changed = [
        f"changes  {database.name}: {each.tables} {each.version} becomes {each.known[-1]}"
        for database in found
        for each in database.sets
        if each.changes
    ]
    if changed:
        return [*changed, "Back up first: the release before will not read it, and the way back is that backup."]
    return [f"databases {len(found)}, none is changed by release {release()}: the way back is the release before"]
