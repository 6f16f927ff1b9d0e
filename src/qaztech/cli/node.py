"""`qaztech node|registry|witness|portal run`: the processes of an instance, in the foreground until told to stop."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from qaztech.cli.country import add_home
from qaztech.runtime.telemetry import set_up_logging

if TYPE_CHECKING:
    from qaztech.cli.verbs import Verbs

Serve = Callable[[asyncio.Event], Awaitable[None]]


def add_parsers(verbs: Verbs) -> None:
    """Add the four verbs."""
    _runnable(verbs, "node", "run a node", "node.toml", _node)
    _runnable(verbs, "registry", "run the registry", "registry.toml", _registry)
    _runnable(verbs, "witness", "run a witness that is a process of its own", "witness.toml", _witness)
    _runnable(verbs, "portal", "run the page", "country.json", _portal)


def _runnable(verbs: Verbs, name: str, help_: str, file: str, run: Callable[[argparse.Namespace], int]) -> None:
    actions = verbs.add_parser(name, help=help_).add_subparsers(title="actions", metavar="ACTION", required=True)
    parser = actions.add_parser("run", help=f"{help_} in the foreground")
    add_home(parser)
    parser.add_argument("--settings", type=Path, required=True, metavar="FILE", help=f"its {file}")
    parser.set_defaults(run=run)


def _node(args: argparse.Namespace) -> int:
    from qaztech.compose.node import run_node  # noqa: PLC0415  # each process imports only what it runs

    return _serve(lambda stop: run_node(args.settings, stop), fast=True)


def _registry(args: argparse.Namespace) -> int:
    from qaztech.compose.registry import run_registry  # noqa: PLC0415

    return _serve(lambda stop: run_registry(args.settings, stop))


def _witness(args: argparse.Namespace) -> int:
    from qaztech.compose.witness import run_witness  # noqa: PLC0415

    return _serve(lambda stop: run_witness(args.settings, stop))


def _portal(args: argparse.Namespace) -> int:
    from qaztech.compose.portal import run_portal  # noqa: PLC0415

    return _serve(lambda stop: run_portal(args.settings, stop))


def _serve(serve: Serve, *, fast: bool = False) -> int:
    """Run until SIGTERM or SIGINT."""
    set_up_logging()

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await serve(stop)

    if fast:
        import uvloop  # noqa: PLC0415

        # The other threads of a node wait for disks and the network; when they come back they must not wait five
        # milliseconds, the default, for the data plane to let go of the interpreter.
        sys.setswitchinterval(0.0005)

        uvloop.run(main())
    else:
        asyncio.run(main())
    return 0
