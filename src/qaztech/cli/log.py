"""`qaztech log`: look after a log on disk."""

from __future__ import annotations

import argparse
import json
import sys
from base64 import b64decode, b64encode
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from qaztech.cli.options import add_action, add_json, add_yes, confirm, tell
from qaztech.core.errors import Conflict, Malformed, NotFound

if TYPE_CHECKING:
    from qaztech.cli.verbs import Verbs
    from qaztech.evidence.check import CheckReport
    from qaztech.evidence.note import VerifierKey


def add_parser(verbs: Verbs) -> None:
    """Add the verb and what it does."""
    parser = verbs.add_parser("log", help="check a log on disk, or close one that must not go on")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    check = add_action(actions, "check", "read a whole log again and verify everything in it", _check)
    check.add_argument("directory", type=Path, metavar="DIR", help="the log's folder, such as nodes/NAME/log")
    check.add_argument("--vkey", default=None, help="verifier key to check its heads by (its own, if not given)")
    check.add_argument("--json", action="store_true", help="print the report as JSON")
    close = add_action(
        actions, "close", "close a log for good: nothing is ever signed under its origin again", _close,
        more="A node's log is closed and continued in one step by `node renew-log`.",
    )  # fmt: skip
    close.add_argument("directory", type=Path, metavar="DIR", help="the log's folder, such as nodes/NAME/log")
    close.add_argument("--reason", required=True, metavar="TEXT", help="why, in a line")
    end = close.add_mutually_exclusive_group(required=True)
    end.add_argument("--anchor", type=Path, metavar="FILE", help="ask the witnesses of this anchor what they saw last")
    end.add_argument("--witnessed", nargs=2, metavar=("SIZE", "ROOT"), help="what they saw last; the root as base64")
    add_yes(close)
    add_json(close)


def size_and_root(given: list[str]) -> tuple[int, bytes]:
    """Size and root as they are given on the command line; raises `Malformed`."""
    size, root = given
    try:
        decoded = b64decode(root, validate=True)
    except ValueError as exc:
        raise Malformed("command.malformed", f"not base64: {root!r}") from exc
    if not size.isdecimal() or len(size) > 18 or len(decoded) != 32:
        raise Malformed("command.malformed", "a size is a whole number, and a root has 32 bytes in base64")
    return int(size), decoded


def _close(args: argparse.Namespace) -> int:
    from qaztech.evidence.state import close_origin, read_closed, read_identity  # noqa: PLC0415
    from qaztech.evidence.storage import OsStorage  # noqa: PLC0415

    storage, directory = OsStorage(), args.directory
    identity = read_identity(storage, directory)
    if identity is None:
        raise NotFound("log.missing", f"there is no log in {directory}", at="log")
    try:
        lock = storage.lock(directory)
    except BlockingIOError as exc:
        raise Conflict("log.in-use", f"a process has the log in {directory} open; stop it first", at="log") from exc
    try:
        closed = read_closed(storage, directory)
        if closed is None:
            size, root = size_and_root(args.witnessed) if args.witnessed else _ask(args.anchor, identity.key)
            confirm(args, f"The log {identity.key.name} will be closed for good.")
            closed = close_origin(directory, storage=storage, reason=args.reason, size=size, root=root)
    finally:
        storage.close(lock)
    root_text = b64encode(closed.root).decode()
    return tell(
        args,
        {"origin": closed.origin, "size": closed.size, "root": root_text, "reason": closed.reason},
        [f"{closed.origin} is closed at {closed.size} entries, root {root_text}: {closed.reason}"],
    )


def _ask(anchor: Path, key: VerifierKey) -> tuple[int, bytes]:
    from qaztech.evidence.last_seen import check_enough, last_seen  # noqa: PLC0415
    from qaztech.registry.anchor import parse_anchor  # noqa: PLC0415
    from qaztech.runtime.outbound import get  # noqa: PLC0415

    seen = last_seen(key.name, key, parse_anchor(anchor.read_bytes()).policy, get)
    check_enough(seen)
    return seen.checkpoint.size, seen.checkpoint.root


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
