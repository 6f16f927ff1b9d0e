"""`qaztech hub refresh`: run the detectors for the centre now, and take what they find into the queue."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from qaztech.cli.options import add_action, add_json, tell

if TYPE_CHECKING:
    from qaztech.cli.verbs import Verbs


def add_refresh(actions: Verbs) -> None:
    """The action and its options."""
    parser = add_action(
        actions, "refresh", "run the detectors now, and take what they find into the queue of findings", _refresh,
        more="The centre does so by itself after every change of the registry and once a night.",
    )  # fmt: skip
    parser.add_argument("--settings", type=Path, required=True, metavar="FILE", help="the centre's hub.toml")
    add_json(parser)


def _refresh(args: argparse.Namespace) -> int:
    from qaztech.compose.hub import open_detecting  # noqa: PLC0415  # each process imports only what it runs

    detecting, engine = open_detecting(args.settings)
    try:
        refreshed = asdict(detecting.run("command-line"))
    finally:
        engine.dispose()
    return tell(args, refreshed, [f"{count:>6}  {what}" for what, count in refreshed.items()])
