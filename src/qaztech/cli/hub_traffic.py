"""`qaztech hub traffic`: hand the centre hours of traffic as Parquet, see what files it has, take one back."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qaztech.cli.options import add_action, add_json, tell
from qaztech.core.errors import Malformed, NotFound

if TYPE_CHECKING:
    from qaztech.cli.verbs import Verbs
    from qaztech.hub.flows import HourFile


def add_traffic(actions: Verbs) -> None:
    """The action and its options."""
    parser = add_action(
        actions, "traffic", "hand the centre hours of observed traffic as a Parquet file, or see those that it has",
        _traffic,
        more="A file is taken whole or not at all, and the same file again changes nothing. Its columns are hour "
        "(UTC), client, service, calls, failed and bytes.",
    )  # fmt: skip
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="Parquet file of hours to be taken")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--list", action="store_true", help="show the files that were taken")
    what.add_argument("--remove", metavar="DIGEST", help="forget the file with this digest")
    parser.add_argument("--label", default="", metavar="TEXT", help="what the file is, shown beside it from then on")
    parser.add_argument(
        "--settings", type=Path, metavar="FILE", help="the centre's hub.toml (that of the embedded country)"
    )
    add_json(parser)


def _traffic(args: argparse.Namespace) -> int:
    from qaztech.compose.hub import open_store  # noqa: PLC0415  # each process imports only what it runs
    from qaztech.core.time import SystemClock  # noqa: PLC0415
    from qaztech.hub.flows import Flows  # noqa: PLC0415

    asked = (args.file is not None) + args.list + (args.remove is not None)
    if asked != 1:
        raise Malformed("command.malformed", "give a FILE to be taken, or --list, or --remove DIGEST")
    if args.file is not None and not args.file.is_file():
        raise Malformed("command.malformed", f"no such file: {args.file}")
    with open_store(_settings(args)) as store:
        flows = Flows(store.directory.parent / "flows", store)
        if args.remove is not None:
            gone = flows.remove(args.remove)
            lines = ["removed", *_superseded(gone)]
            return tell(args, {"removed": gone.digest, "superseded": gone.superseded}, lines)
        if args.list:
            files = flows.brought()
            lines = [line for file in files for line in (_line(file), *_superseded(file))]
            return tell(args, {"files": [_facts(file) for file in files]}, lines or ["none"])
        taken = flows.take(args.file, now=SystemClock().now(), label=args.label)
    lines = [_line(taken), *_superseded(taken)]
    if taken.ignored:
        lines.append(f"columns that are not ours were left out: {', '.join(taken.ignored)}")
    return tell(args, _facts(taken), lines)


def _settings(args: argparse.Namespace) -> Path:
    from qaztech.runtime.settings import home_directory  # noqa: PLC0415
    from qaztech.testing.centre import FOLDER, SETTINGS  # noqa: PLC0415

    settings: Path | None = args.settings
    if settings is not None:
        return settings
    found = home_directory(args.home) / FOLDER / SETTINGS
    if not found.exists():
        raise NotFound("command.missing", f"which centre? There is no {found}; give its settings with --settings")
    return found


def _facts(file: HourFile) -> dict[str, Any]:
    return {
        "digest": file.digest,
        "rows": file.rows,
        "since": file.since.isoformat(),
        "until": file.until.isoformat(),
        "ignored": list(file.ignored),
        "label": file.label,
        "superseded": file.superseded,
    }


def _superseded(file: HourFile) -> list[str]:
    """What is said of hours that do not count, if there are any."""
    if not file.superseded:
        return []
    return [f"of its rows {file.superseded} do not count: nodes have delivered the exchanges of these hours"]


def _line(file: HourFile) -> str:
    return f"{file.digest}  {file.rows:>9} rows  {file.since} to {file.until}  {file.label}".rstrip()
