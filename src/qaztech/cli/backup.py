"""`qaztech backup` and `qaztech restore`: one file with all that a process needs to come back."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qaztech.cli.options import add_action, add_json, tell
from qaztech.core.time import SystemClock

if TYPE_CHECKING:
    from qaztech.cli.verbs import Verbs
    from qaztech.compose.backup import Made
    from qaztech.compose.registry_restore import Resumed


def add_parsers(verbs: Verbs) -> None:
    """Add both verbs."""
    parser = verbs.add_parser("backup", help="back a node, a registry, a console or the centre up while it runs")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    for action, what, file, run in (
        ("node", "a node", "node.toml", _node),
        ("registry", "a registry", "registry.toml", _registry),
        ("console", "a member's console with the member's desk", "console.toml", _console),
        ("hub", "the support center", "hub.toml", _hub),
    ):
        make = add_action(
            actions, action, f"write a backup of {what} into one file", run,
            more="The process goes on meanwhile. The file holds private keys and can be read by its owner alone.",
        )  # fmt: skip
        make.add_argument("--settings", type=Path, required=True, metavar="FILE", help=f"its {file}")
        make.add_argument(
            "--out", type=Path, required=True, metavar="FILE", help="the backup, a file that is not there"
        )
        make.add_argument("--without-keys", action="store_true", help="leave private keys and passwords out")
        add_json(make)
    check = add_action(actions, "check", "read a whole backup and compare it with what it says of itself", _check)
    check.add_argument("file", type=Path, metavar="FILE", help="the backup")
    add_json(check)
    restore = add_action(
        verbs, "restore", "restore a node, a registry, a console or the centre into an empty folder", _restore,
        more="It says what is to be done next. See docs/howto/back-up.md.",
    )  # fmt: skip
    restore.add_argument("file", type=Path, metavar="FILE", help="the backup")
    restore.add_argument("--into", type=Path, required=True, metavar="DIR", help="a folder that is empty or not there")
    restore.add_argument(
        "--database", default="", metavar="URL", help="a new PostgreSQL database, for rows that were in one"
    )
    restore.add_argument("--keys", type=Path, metavar="DIR", help="folder with what was left out of the backup")
    restore.add_argument(
        "--published", default="", metavar="DIR|URL",
        help="the newest copy of a registry's tuf/, or a server that still shows it: nothing published is lost then",
    )  # fmt: skip
    add_json(restore)


def _node(args: argparse.Namespace) -> int:
    from qaztech.compose.backup import back_up_node  # noqa: PLC0415  # imports that other verbs need not pay

    return _made(args, back_up_node(args.settings, args.out, SystemClock(), without_keys=args.without_keys))


def _registry(args: argparse.Namespace) -> int:
    from qaztech.compose.backup import back_up_registry  # noqa: PLC0415

    return _made(args, back_up_registry(args.settings, args.out, SystemClock(), without_keys=args.without_keys))


def _console(args: argparse.Namespace) -> int:
    from qaztech.compose.office_backup import back_up_console  # noqa: PLC0415

    return _made(args, back_up_console(args.settings, args.out, SystemClock(), without_keys=args.without_keys))


def _hub(args: argparse.Namespace) -> int:
    from qaztech.compose.office_backup import back_up_centre  # noqa: PLC0415

    return _made(args, back_up_centre(args.settings, args.out, SystemClock(), without_keys=args.without_keys))


def _made(args: argparse.Namespace, made: Made) -> int:
    facts = made.manifest.facts
    size = args.out.stat().st_size
    return tell(
        args,
        {"file": str(args.out), "bytes": size, "files": len(made.manifest.files), **facts},
        [
            f"backup   {args.out}: {len(made.manifest.files)} files, {size} bytes, written and read back",
            *_logs(facts),
            *(f"not in it: {name}" for name in made.left_out),
        ],
    )


def _check(args: argparse.Namespace) -> int:
    from qaztech.runtime.archive import check_archive  # noqa: PLC0415

    manifest = check_archive(args.file)
    facts = manifest.facts
    lines = [f"whole    {facts.get('kind')} {facts.get('id')}: {len(manifest.files)} files", *_logs(facts)]
    return tell(args, {"file": str(args.file), "whole": True, "files": len(manifest.files), **facts}, lines)


def _logs(facts: dict[str, Any]) -> list[str]:
    return [f"log      {log['origin']}: {log['size']} entries" for log in facts.get("logs", {}).values()]


def _restore(args: argparse.Namespace) -> int:
    from qaztech.compose.registry_restore import resume, source_of  # noqa: PLC0415
    from qaztech.compose.restore import Restored, restore  # noqa: PLC0415

    resumed: list[Resumed] = []

    def finish(restored: Restored) -> None:
        if restored.kind == "registry":
            resumed.append(resume(restored, source_of(args.published), SystemClock()))

    restored = restore(args.file, args.into, database=args.database, keys=args.keys, finish=finish)
    left = [name for name in restored.facts["left_out"] if not (args.into / name).exists()]
    facts = {"kind": restored.kind, "settings": str(restored.settings), "left_out": left}
    lines = [f"restored {restored.facts['id']} into {args.into}"]
    lines += [f"bring    {name}: it is not in the backup" for name in left]
    if resumed:
        facts |= _resumed(resumed[0])
        lines += _of_registry(resumed[0], restored.settings)
    elif restored.kind != "node":
        lines += [
            "Its admin log begins anew; the one before it stands in admin-log.ended. The old one must never run again:",
            f"  qaztech {restored.kind} run --settings {restored.settings}",
        ]
    else:
        lines += [
            "Its log does not go on. Close it and open the next one, with the member's desk at hand:",
            f"  qaztech node renew-log --settings {restored.settings} --desk DIR --reason 'restored from a backup'",
            "then start it; the old node must never run again:",
            f"  qaztech node run --settings {restored.settings}",
        ]
    return tell(args, facts, lines)


def _resumed(resumed: Resumed) -> dict[str, Any]:
    log = resumed.log
    return {
        "published": resumed.published, "not_taken": resumed.not_taken,
        "log": {"size": log.size, "added": log.added, "ended": log.ended},
    }  # fmt: skip


def _of_registry(resumed: Resumed, settings: Path) -> list[str]:
    log = resumed.log
    if resumed.published is None:
        lines = ["versions jump ahead of all that may have been published since; members bring their files again"]
    else:
        lines = [f"published version {resumed.published} was taken up"]
    lines += [f"not taken up: {what}; that member brings it again" for what in resumed.not_taken]
    if log.ended:
        lines += [
            f"THE REGISTRY'S LOG CANNOT GO ON: {log.ended}.",
            "Restore again with --published, a copy of tuf/ that is newer. Without one the country needs a new anchor:",
            "until then keep what was published in force (docs/howto/registry-lost.md).",
        ]
        return lines
    return [
        *lines,
        f"log      {log.size} entries, {log.added} of them put back; it is what witnesses have seen",
        "The admin log begins anew; the one before it stands in admin.ended. The old registry must never run again.",
        f"  qaztech registry run --settings {settings}",
    ]
