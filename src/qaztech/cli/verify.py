"""`qaztech verify`: check a receipt against an anchor, with no network and no instance, and say what was found."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from qaztech.cli.country import add_home
from qaztech.runtime.settings import home_directory

if TYPE_CHECKING:
    from qaztech.cli.verbs import Verbs


def add_parser(verbs: Verbs) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "verify",
        help="check a receipt, offline",
        description="Check a receipt against an anchor: no network, no instance. Exits 0 if it verifies, else 1.",
    )
    add_home(parser)
    parser.add_argument("receipt", help="the receipt's file, or - for standard input")
    parser.add_argument("--anchor", type=Path, metavar="FILE", help="the anchor to trust (HOME/anchor.json)")
    parser.add_argument("--body", type=Path, metavar="FILE", help="the response's body, checked by its disclosed salt")
    parser.add_argument("--request-body", type=Path, metavar="FILE", help="the request's body, likewise")
    parser.add_argument(
        "--require", choices=("recorded", "witnessed", "timestamped", "sealed"), help="fail unless it is at least that"
    )
    parser.add_argument("--json", action="store_true", help="print the verdict as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Verify, print, and say by the exit status whether the receipt verifies."""
    from qaztech.cli.verdict import verify  # noqa: PLC0415  # imports that other verbs need not pay

    return verify(args, args.anchor if args.anchor is not None else home_directory(args.home) / "anchor.json")
