"""`qaztech node operational`: deliver a node's operational data, once or for ever, and show what was delivered."""

from __future__ import annotations

import argparse
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from qaztech.cli.options import add_action, add_json, tell
from qaztech.core.time import SystemClock

if TYPE_CHECKING:
    from qaztech.cli.verbs import Verbs
    from qaztech.node.operational import Delivered, OperationalData
    from qaztech.node.settings import NodeSettings


def add_operational(actions: Verbs) -> None:
    """Add the action to those of `node`."""
    parser = add_action(
        actions, "operational", "deliver a node's operational data to the centre, as exchanges", _operational,
        more="Runs beside the node until it is told to stop; what is not witnessed yet waits for the next round.",
    )  # fmt: skip
    parser.add_argument("--settings", type=Path, required=True, metavar="FILE", help="the node's node.toml")
    once = parser.add_mutually_exclusive_group()
    once.add_argument("--once", action="store_true", help="deliver what is there, and end")
    once.add_argument("--show", action="store_true", help="show what was delivered, and deliver nothing")
    add_json(parser)


def _operational(args: argparse.Namespace) -> int:
    from qaztech.node.operational import OperationalData, lower_priority  # noqa: PLC0415  # other verbs need it not
    from qaztech.node.settings import NodeSettings  # noqa: PLC0415
    from qaztech.runtime.settings import read_settings  # noqa: PLC0415

    settings = read_settings(args.settings, NodeSettings)
    base = args.settings.parent
    data = OperationalData(
        (base / settings.directory).resolve(),
        clock=SystemClock(),
        keep_days=settings.operational.keep_days,
        quiet="" if args.once else settings.operational.service,
    )
    if args.show:
        return _show(args, data.delivered())
    lower_priority()
    lock = data.lock()
    try:
        if args.once:
            return _show(args, _deliver(data, settings, base))
        return _for_ever(data, settings, base)
    finally:
        os.close(lock)


def _deliver(data: OperationalData, settings: NodeSettings, base: Path) -> list[Delivered]:
    from qaztech.node.operational_edge import EdgeCentre  # noqa: PLC0415

    return data.deliver(EdgeCentre(settings, base))


def _for_ever(data: OperationalData, settings: NodeSettings, base: Path) -> int:
    from qaztech.cli.running import serve  # noqa: PLC0415
    from qaztech.node.operational import deliver_rounds  # noqa: PLC0415
    from qaztech.node.operational_edge import EdgeCentre  # noqa: PLC0415

    centre = EdgeCentre(settings, base)
    return serve(lambda stop: deliver_rounds(data, centre, settings.operational.every_seconds, stop))


def _show(args: argparse.Namespace, delivered: list[Delivered]) -> int:
    facts = {"deliveries": [_facts(each) for each in delivered]}
    lines = [
        f"{_moment(each.time)}  {each.origin}  leaves {each.start} to {each.stop}  message {each.message}"
        for each in delivered
    ]
    return tell(args, facts, lines or ["nothing"])


def _facts(delivered: Delivered) -> dict[str, object]:
    names = ("origin", "start", "stop", "kinds", "message", "time")
    return {name: getattr(delivered, name) for name in names}


def _moment(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
