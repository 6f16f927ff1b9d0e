"""`run`: a process of an instance in the foreground, until SIGTERM or SIGINT. Each imports only what it runs."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from qaztech.cli.options import Run, add_action
from qaztech.runtime.telemetry import set_up_logging

if TYPE_CHECKING:
    import argparse

    from qaztech.cli.verbs import Verbs

# Python's own: allocations until a collection, and collections until those of older generations.
_COLLECT = (700, 10, 10)

Serve = Callable[[asyncio.Event], Awaitable[None]]


def add_run(actions: Verbs, what: str, file: str, run: Run) -> None:
    """The action `run` of a verb."""
    parser = add_action(actions, "run", f"run {what} in the foreground", run)
    parser.add_argument("--settings", type=Path, required=True, metavar="FILE", help=f"its {file}")


def add_portal(verbs: Verbs) -> None:
    """The page has no other action."""
    parser = verbs.add_parser("portal", help="run the page of an instance")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    add_run(actions, "the page", "country.json", _portal)


def _portal(args: argparse.Namespace) -> int:
    from qaztech.compose.portal import run_portal  # noqa: PLC0415

    return serve(lambda stop: run_portal(args.settings, stop))


def serve(run: Serve, *, fast: bool = False) -> int:
    """Run until SIGTERM or SIGINT; `fast` is for the data plane."""
    set_up_logging()
    # All that it runs is imported now and never garbage: it is not looked through again.
    gc.freeze()
    gc.set_threshold(*_COLLECT)

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await run(stop)

    if fast:
        import uvloop  # noqa: PLC0415

        # The other threads of a node wait for disks and the network; when they come back they must not wait five
        # milliseconds, the default, for the data plane to let go of the interpreter.
        sys.setswitchinterval(0.0005)

        uvloop.run(main())
    else:
        asyncio.run(main())
    return 0
