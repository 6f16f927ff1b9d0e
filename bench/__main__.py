"""`python -m bench`: everything the page `docs/performance.md` holds, in one run bounded in time."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import exchange, machine, memory, report
from bench.bodies import MIB
from bench.pair import pair, service
from bench.side import Side
from bench.tools import Unusable

_PARTS = ("exchange", "bodies", "memory")
_SOAK_LIMIT = 120  # seconds for one side


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="windows of each kind (at least 3 for the page)")
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


def _measure(options: argparse.Namespace, run: Path, sections: dict[str, str], raw: dict[str, Any]) -> list[str]:
    """Fill `sections` with Markdown and `raw` with the numbers; what is returned is why the run is void."""
    facts = machine.describe()
    sections["machine"], raw["machine"] = report.machine(facts), facts
    reasons: list[str] = []
    with contextlib.ExitStack() as stack:
        called = stack.enter_context(service(run))
        beside = stack.enter_context(pair(run, called, connections=max(options.connections)))
        sides: list[Side] = [beside]
        if not options.only_pair:
            raise Unusable("our nodes cannot be measured yet; --only-pair measures the nginx pair")
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
            reasons = exchange.void(rows, beside.name)
            sections["exchange"] = report.exchange(rows, reasons, pair=beside.name)
            raw["windows"] = [dataclasses.asdict(window) for window in windows]
        if "bodies" in options.parts:
            passages = memory.passages(sides, length=options.mib * MIB, rounds=options.rounds, progress=_say)
            sections["bodies"] = report.bodies(passages, pair=beside.name)
            raw["bodies"] = [dataclasses.asdict(passage) for passage in passages]
        if "memory" in options.parts:
            soaked = [
                memory.soak(side, exchanges=options.exchanges, connections=32, limit=_SOAK_LIMIT, progress=_say)
                for side in sides
            ]
            reasons += [f"{each.side}: {each.failed} of {each.exchanges} failed" for each in soaked if each.failed]
            sections["memory"] = report.soaked(soaked)
            raw["memory"] = [dataclasses.asdict(each) for each in soaked]
    return reasons


def main(given: Sequence[str] | None = None) -> int:
    """0: measured; 1: measured, and void; 2: could not be measured."""
    options = _arguments(given)
    sections: dict[str, str] = {}
    raw: dict[str, Any] = {}
    try:
        with tempfile.TemporaryDirectory(prefix="qaztech-bench-") as folder:
            reasons = _measure(options, Path(folder), sections, raw)
    except (Unusable, OSError) as error:
        _say(f"bench: {error}")
        return 2
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(raw, indent=1) + "\n")
    for name, text in sections.items():
        if options.output:
            report.put(options.output, name, text)
        else:
            print(f"\n{text}")
    for reason in reasons:
        _say(f"void: {reason}")
    return 1 if reasons else 0


if __name__ == "__main__":
    sys.exit(main())
