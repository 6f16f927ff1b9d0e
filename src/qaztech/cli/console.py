"""`qaztech console run`: a member's console in the browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qaztech.cli.running import add_run, serve

if TYPE_CHECKING:
    import argparse

    from qaztech.cli.verbs import Verbs


def add_parser(verbs: Verbs) -> None:
    """Add the verb."""
    parser = verbs.add_parser("console", help="run a member's console in the browser")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    add_run(actions, "a member's console", "console.toml", _run)


def _run(args: argparse.Namespace) -> int:
    from qaztech.compose.console import run_console  # noqa: PLC0415  # imports that other verbs need not pay

    return serve(lambda stop: run_console(args.settings, stop))
