"""`python -m bench`: everything the page `docs/performance.md` holds, in one run bounded in time."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import exchange, machine, memory, report
from bench.bodies import MIB
from bench.instance import Nodes, nodes
from bench.pair import Service, pair, service
from bench.side import Side
from bench.targets import Found
from bench.tools import Unusable

_PARTS = ("exchange", "bodies", "memory")
_SOAK_LIMIT = 120  # seconds for one side


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="windows of each kind (at least 3 for the page)")
    parser.add_argument("--seconds", type=int, default=5, help="length of one window")
    parser.add_argument("--connections", default="1,32,128", help="comma-separated")
    parser.add_argument("--parts", default=",".join(_PARTS), help="comma-separated, of " + ", ".join(_PARTS))
    parser.add_argument("--mib", type=int, default=100, help="length of a large body")
    parser.add_argument("--exchanges", type=int, default=100_000, help="how many before memory is looked at")
    parser.add_argument("--only-pair", action="store_true", help="measure the nginx pair alone")
    parser.add_argument("--output", type=Path, help="the page whose marked sections are replaced; else standard output")
    parser.add_argument("--json", type=Path, help="where every window goes, unrounded")
    options = parser.parse_args(given)
    options.parts = options.parts.split(",")
    options.connections = [int(count) for count in options.connections.split(",")]
    if unknown := set(options.parts) - set(_PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    if options.output and options.rounds < 3:
        parser.error("the page holds medians of at least three rounds")
    return options


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _instance(run: Path, called: Service, stack: contextlib.ExitStack, raw: dict[str, Any]) -> Nodes:
    ours = stack.enter_context(nodes(run, called))
    raw["embedded"] = {"up_seconds": ours.embedded.seconds, "up_pss": ours.embedded.pss()}
    _say(f"the embedded instance is ready after {ours.embedded.seconds:.1f} s")
    return ours


def _measure(options: argparse.Namespace, run: Path, raw: dict[str, Any]) -> tuple[Found, list[str]]:
    """What was measured, and why it is void if it is; every number unrounded in `raw`."""
    reasons: list[str] = []
    rows, passages, soaked = [], [], []
    with contextlib.ExitStack() as stack:
        called = stack.enter_context(service(run))
        sides: list[Side] = [stack.enter_context(pair(run, called, connections=max(options.connections)))]
        if not options.only_pair:
            sides.append(_instance(run, called, stack, raw))
        if "exchange" in options.parts:
            windows = exchange.run(
                sides,
                called,
                connections=options.connections,
                rounds=options.rounds,
                seconds=options.seconds,
                progress=_say,
            )
            rows = exchange.rows(windows)
            reasons = exchange.void(rows, sides[0].name)
            raw["windows"] = [dataclasses.asdict(window) for window in windows]
        if "bodies" in options.parts:
            passages = memory.passages(sides, length=options.mib * MIB, rounds=options.rounds, progress=_say)
            raw["bodies"] = [dataclasses.asdict(passage) for passage in passages]
        if "memory" in options.parts:
            soaked = [
                memory.soak(side, exchanges=options.exchanges, connections=32, limit=_SOAK_LIMIT, progress=_say)
                for side in sides
            ]
            reasons += [f"{each.side}: {each.failed} of {each.exchanges} failed" for each in soaked if each.failed]
            raw["memory"] = [dataclasses.asdict(each) for each in soaked]
    return Found(rows=rows, passages=passages, soaked=soaked, **raw.get("embedded", {})), reasons


def _sections(found: Found, reasons: Sequence[str]) -> dict[str, str]:
    """Markdown for what was measured, by the names of the page's sections."""
    sections = {}
    if found.rows:
        sections["exchange"] = report.exchange(found.rows, reasons, pair=found.pair)
    if found.passages:
        sections["bodies"] = report.bodies(found.passages, pair=found.pair)
    if found.soaked:
        sections["memory"] = report.soaked(found.soaked)
    if found.up_seconds is not None:
        sections["embedded"] = report.embedded(found)
        sections["targets"] = report.targets(found)
    return sections


def main(given: Sequence[str] | None = None) -> int:
    """0: measured; 1: measured, and void; 2: could not be measured."""
    options = _arguments(given)
    raw: dict[str, Any] = {}
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended on that way, too
    try:
        raw["machine"] = machine.describe()
        with tempfile.TemporaryDirectory(prefix="qaztech-bench-") as folder:
            found, reasons = _measure(options, Path(folder), raw)
    except (Unusable, OSError) as error:
        _say(f"bench: {error}")
        return 2
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(raw, indent=1) + "\n")
    for name, text in {"machine": report.machine(raw["machine"]), **_sections(found, reasons)}.items():
        if options.output:
            report.put(options.output, name, text)
        else:
            print(f"\n{text}")
    for reason in reasons:
        _say(f"void: {reason}")
    return 1 if reasons else 0


if __name__ == "__main__":
    sys.exit(main())
