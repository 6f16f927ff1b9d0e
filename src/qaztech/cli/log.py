"""`qaztech log`: look after a log on disk."""

from __future__ import annotations

import argparse
import json
import sys
from base64 import b64encode
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from qaztech.cli.country import add_home

if TYPE_CHECKING:
    from qaztech.cli.verbs import Verbs
    from qaztech.evidence.check import CheckReport


def add_parser(verbs: Verbs) -> None:
    """Add the verb and what it does."""
    parser = verbs.add_parser("log", help="check a log on disk, or close one that must not go on")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    check = actions.add_parser("check", help="read a whole log again and verify everything in it")
    add_home(check)
    check.add_argument("directory", type=Path, metavar="DIR", help="the log's folder, such as nodes/NAME/log")
    check.add_argument("--vkey", default=None, help="verifier key to check its heads by (its own, if not given)")
    check.add_argument("--json", action="store_true", help="print the report as JSON")
    check.set_defaults(run=_check)


def _check(args: argparse.Namespace) -> int:
    from qaztech.evidence.check import check_log  # noqa: PLC0415
    from qaztech.evidence.storage import OsStorage  # noqa: PLC0415

    def progress(done: int, total: int) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r  {done:,} of {total:,}")

    report = check_log(args.directory, storage=OsStorage(), vkey=args.vkey, progress=progress)
    if sys.stderr.isatty():
        sys.stderr.write("\r")
    if args.json:
        print(json.dumps({"ok": report.ok, **_facts(report), "problems": [asdict(p) for p in report.problems]}))
        return 0 if report.ok else 1
    for name, value in _facts(report).items():
        print(f"{name:8} {value}")
    for problem in report.problems:
        print(f"BAD      {problem}")
    print("the log is as it was signed" if report.ok else "the log is not as it was signed")
    return 0 if report.ok else 1


def _facts(report: CheckReport) -> dict[str, object]:
    return {
        "origin": report.origin,
        "entries": report.size,
        "root": b64encode(report.root).decode(),
        "notes": report.notes,
        "heads": report.heads,
        "torn": report.torn,
        "closed": report.closed,
    }
