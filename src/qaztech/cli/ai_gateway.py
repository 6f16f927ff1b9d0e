"""`qaztech ai gateway`: run the gateway by which a body's systems call models."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from qaztech.cli.running import add_run, serve

if TYPE_CHECKING:
    from qaztech.cli.verbs import Verbs


def add_actions(actions: Verbs) -> None:
    """Add `gateway` and what it does."""
    parser = actions.add_parser("gateway", help="the gateway by which a body's systems call models")
    gateway = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    add_run(gateway, "a gateway", "gateway.toml", _run)


def _run(args: argparse.Namespace) -> int:
    from qaztech.compose.gateway import run_gateway  # noqa: PLC0415  # imports that other verbs need not pay

    return serve(lambda stop: run_gateway(args.settings, stop), fast=True)
