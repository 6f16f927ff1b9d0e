"""`qaztech apply FILE`: bring a country or a member to what a file says; the difference is shown first."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qaztech.cli.country import add_home
from qaztech.cli.options import add_json, add_registry, add_yes, confirm, registry_of, registry_url_of, tell
from qaztech.core.errors import Malformed, NotFound
from qaztech.core.time import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from qaztech.cli.verbs import Verbs
    from qaztech.member.window import Window
    from qaztech.registry.desk import Desk

MAX_FILE = 2 * 1024 * 1024


def add_parser(verbs: Verbs) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "apply",
        help="bring a country or a member to what a file says",
        description="Bring a country or a member to what a file says. The difference is shown first; run again, there "
        "is none. The file's `kind` is `country` (for the registry's operator) or `member` (at the member's desk).",
    )
    add_home(parser)
    parser.add_argument("file", type=Path, metavar="FILE", help="a country.yaml or member.yaml")
    parser.add_argument("--desk", type=Path, metavar="DIR", help="the member's folder, for a member.yaml")
    add_registry(parser)
    parser.add_argument("--dry-run", action="store_true", help="show the difference, change nothing")
    add_yes(parser)
    add_json(parser)
    parser.set_defaults(run=_apply)


def _apply(args: argparse.Namespace) -> int:
    if args.file.stat().st_size > MAX_FILE:
        raise Malformed("declared.malformed", f"{args.file} is longer than {MAX_FILE} bytes")
    data = args.file.read_bytes()
    values = _values(data)
    kind = values.get("kind")
    if kind == "country":
        return _country(args, values)
    if kind == "member":
        return _member(args, data)
    raise Malformed("declared.malformed", f"{args.file}: `kind` is `country` or `member`")


def _values(data: bytes) -> dict[str, Any]:
    from qaztech.member.openapi_text import read_tree  # noqa: PLC0415

    try:
        return read_tree(data).root
    except Malformed as exc:
        raise Malformed("declared.malformed", exc.detail) from exc


def _country(args: argparse.Namespace, values: dict[str, Any]) -> int:
    from qaztech.registry.declared import plan, read_country_form  # noqa: PLC0415
    from qaztech.registry.submitting import manage  # noqa: PLC0415

    url, token = registry_of(args)
    status = manage(url, token, "status")
    decisions = plan(read_country_form(values), status, status.get("revoked_tls", ()))
    lines = [f"{decision.sign} {decision.what}" for decision in decisions]
    if _agreed(args, lines):
        for decision in decisions:
            manage(url, token, decision.path, json.dumps(decision.body).encode())
            _progress(decision.what)
    return _told(args, lines)


def _member(args: argparse.Namespace, data: bytes) -> int:
    from qaztech.member.declared import plan, read_declared  # noqa: PLC0415
    from qaztech.member.declared_shown import plan_shown, read_shown  # noqa: PLC0415
    from qaztech.member.window import Window  # noqa: PLC0415
    from qaztech.registry.desk import Desk  # noqa: PLC0415

    if args.desk is None:
        raise NotFound("command.missing", "at which desk? Give the member's folder with --desk")
    form, url, clock = read_declared(data), registry_url_of(args), SystemClock()
    wanted, window = read_shown(form, _reader(args.file.parent)), Window(args.desk, clock)
    with Desk.locked(args.desk, clock) as desk:
        steps = plan(form, desk, _lineages(url)) + plan_shown(wanted, window)
        lines = [f"{step.sign} {step.what}" for step in steps]
        if _agreed(args, lines):
            for step in steps:
                step.do(desk)
                _progress(step.what)
        if not args.dry_run:
            _deliver(url, desk, window)
    return _told(args, lines)


def _reader(folder: Path) -> Callable[[str, int], bytes]:
    """Reads the files that the file names, beside it."""

    def read(name: str, limit: int) -> bytes:
        try:
            with (folder / name).open("rb") as file:
                data = file.read(limit + 1)
        except (OSError, ValueError) as exc:
            raise Malformed("declared.malformed", "there is no such file to be read") from exc
        if len(data) > limit:
            raise Malformed("declared.malformed", f"longer than {limit} bytes")
        return data

    return read


def _deliver(url: str, desk: Desk, window: Window) -> None:
    """Bring what is signed; what was signed before and did not arrive, too."""
    from qaztech.registry.submitting import show, submit  # noqa: PLC0415

    if desk.statement.version > 1:
        submit(url, desk.submission())
    window.bring(lambda member, envelope, documents: show(url, member, envelope, documents))


def _lineages(url: str) -> Any:
    from qaztech.member.declared import directory_lineages  # noqa: PLC0415
    from qaztech.registry.submitting import fetch  # noqa: PLC0415

    return directory_lineages({m["id"]: m["lineage"] for m in fetch(url, "/directory")["members"]})


def _agreed(args: argparse.Namespace, lines: list[str]) -> bool:
    """Whether there is something to do and it is to be done; shows it first."""
    if not lines or args.dry_run:
        return False
    if not args.json:
        print("\n".join(lines))
    if not args.yes:
        confirm(args, f"{len(lines)} changes, as shown.")
    return True


def _progress(what: str) -> None:
    sys.stderr.write(f"  {what}\n")


def _told(args: argparse.Namespace, lines: list[str]) -> int:
    if args.dry_run:
        return tell(args, {"changes": lines, "applied": False}, lines or ["it is so already"])
    said = [f"{len(lines)} changes made"] if lines else ["it is so already"]
    return tell(args, {"changes": lines, "applied": True}, said)
