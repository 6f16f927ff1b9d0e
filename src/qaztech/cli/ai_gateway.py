"""`qaztech ai gateway`: run the gateway by which a body's systems call models."""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from qaztech.cli.options import add_action, add_json, tell
from qaztech.cli.running import add_run, serve

if TYPE_CHECKING:
    from qaztech.cli.verbs import Verbs


def add_actions(actions: Verbs) -> None:
    """Add `gateway` and what it does."""
    parser = actions.add_parser("gateway", help="the gateway by which a body's systems call models")
    gateway = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    add_run(gateway, "a gateway", "gateway.toml", _run)
    check = add_action(
        gateway, "check", "look at all that a gateway needs", _check,
        more="Settings, database, node, register and every place that hosts a model, over the backbone; each look "
        "is an exchange on record. A running gateway is not disturbed. Exit status 1 where something fails.",
    )  # fmt: skip
    check.add_argument("--settings", type=Path, required=True, metavar="FILE", help="its gateway.toml")
    add_json(check)


def _run(args: argparse.Namespace) -> int:
    from qaztech.compose.gateway import run_gateway  # noqa: PLC0415  # imports that other verbs need not pay

    return serve(lambda stop: run_gateway(args.settings, stop), fast=True)


def _check(args: argparse.Namespace) -> int:
    from qaztech.compose.gateway_check import check_gateway  # noqa: PLC0415  # imports that other verbs need not pay

    steps = asyncio.run(check_gateway(args.settings))
    lines = []
    for step in steps:
        lines.append(
            f"{'good' if step.good else 'BAD '}  {step.what}: {step.said}{f' ({step.code})' * bool(step.code)}"
        )
        if step.advice:
            lines.append(f"      {step.advice}")
    good = all(step.good for step in steps)
    tell(args, {"good": good, "steps": [asdict(step) for step in steps]}, lines)
    return 0 if good else 1
