"""`python -m bench`: everything the page `docs/performance.md` holds, in one run bounded in time."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import embedded, exchange, gateway, gateway_sides, machine, memory, network, receipts, report
from bench.bodies import MIB
from bench.gateway_report import RSS_CALLS
from bench.instance import WITNESSING, Nodes, nodes
from bench.pair import pair, service
from bench.side import Side
from bench.targets import ENTRIES, EXCHANGES, Found
from bench.tools import Unusable

PARTS = ("up", "exchange", "bodies", "memory", "verify", "append", "gateway")
_SOAK_LIMIT = 120  # seconds for one side
_APPEND_LIMIT = 300  # seconds


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="windows of each kind (at least 3 for the page)")
    parser.add_argument("--seconds", type=int, default=5, help="length of one window")
    parser.add_argument("--connections", default="1,32,128", help="comma-separated")
    parser.add_argument("--parts", default=",".join(PARTS), help="comma-separated, of " + ", ".join(PARTS))
    parser.add_argument("--mib", type=int, default=100, help="length of a large body")
    parser.add_argument("--exchanges", type=int, default=EXCHANGES, help="how many before memory is looked at")
    parser.add_argument("--receipts", type=int, default=200, help="how many are verified")
    parser.add_argument("--entries", type=int, default=ENTRIES, help="of the large log")
    parser.add_argument("--witnessing", type=float, default=WITNESSING, help="seconds between witnessings of our nodes")
    parser.add_argument("--model-calls", type=int, default=RSS_CALLS, help="before the gateway's memory is looked at")
    parser.add_argument("--only-pair", action="store_true", help="measure the nginx pair alone")
    parser.add_argument("--output", type=Path, help="the page whose marked sections are replaced; else standard output")
    parser.add_argument("--json", type=Path, help="where every window goes, unrounded")
    options = parser.parse_args(given)
    options.parts = options.parts.split(",")
    options.connections = [int(count) for count in options.connections.split(",")]
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    # The gateway's section says by itself when and beside what it was measured.
    options.alone = options.parts == ["gateway"]
    partly = set(options.parts) != set(PARTS) or options.only_pair or options.witnessing != WITNESSING
    if options.output and ((partly and not options.alone) or options.rounds < 3):
        parser.error("the page holds one whole run, or the gateway's alone, with medians of at least three rounds")
    return options


_BEGAN = time.monotonic()


def _say(line: str) -> None:
    print(f"{time.monotonic() - _BEGAN:6.1f} s  {line}", file=sys.stderr, flush=True)


def _append(run: Path, options: argparse.Namespace) -> dict[str, Any]:
    """The log alone, in a process of its own."""
    _say(f"the log alone: {options.entries:,} entries are made first")
    command = [sys.executable, "-m", "bench.log_append", "--json", "--directory", str(run / "append")]
    command += ["--large", str(options.entries), "--rounds", str(options.rounds)]
    here = Path(__file__).parent.parent
    done = subprocess.run(command, cwd=here, capture_output=True, text=True, timeout=_APPEND_LIMIT, check=False)
    if done.returncode:
        raise Unusable(f"the log: {done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


class _Run:
    """One run: its options, its folder, and what it has found."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self._options = options
        self._folder = folder
        self.found = Found(machine=machine.describe(folder))
        self.windows: list[exchange.Window] = []
        self.reasons: list[str] = []
        """Why the run is void, if it is."""

    def _wants(self, *parts: str) -> bool:
        return bool(set(parts) & set(self._options.parts))

    def measure(self) -> None:
        """All parts asked for, one after another."""
        options = self._options
        if self._wants("up") and not options.only_pair:
            rounds = min(options.rounds, 3)
            self.found.up = embedded.measure(self._folder, rounds=rounds, progress=_say)
        if self._wants("exchange", "bodies", "memory", "verify"):
            self._sides()
        if self._wants("append") and not options.only_pair:
            self.found.append = _append(self._folder, options)
        if self._wants("gateway") and not options.only_pair:
            self.found.gateway = gateway.measure(
                self._folder, rounds=options.rounds, seconds=options.seconds, calls=options.model_calls, progress=_say
            )
        self.found.seconds = time.monotonic() - _BEGAN

    def _sides(self) -> None:
        options = self._options
        with contextlib.ExitStack() as stack:
            called = stack.enter_context(service(self._folder))
            sides: list[Side] = [stack.enter_context(pair(self._folder, called, connections=max(options.connections)))]
            ours: Nodes | None = None
            if not options.only_pair:
                ours = stack.enter_context(nodes(self._folder, called, witnessing=options.witnessing))
                _say("the instance is ready")
                sides.append(ours)
            if self._wants("exchange"):
                self.windows = exchange.run(
                    sides,
                    called,
                    connections=options.connections,
                    rounds=options.rounds,
                    seconds=options.seconds,
                    progress=_say,
                )
                self.found.rows = exchange.rows(self.windows)
                self.reasons += exchange.void(self.found.rows, sides[0].name)
            if self._wants("bodies"):
                self.found.passages = memory.passages(
                    sides, length=options.mib * MIB, rounds=options.rounds, progress=_say
                )
            if self._wants("memory"):
                self._soak(sides)
            if ours is not None:
                if self._wants("verify"):
                    self.found.verified = receipts.measure(
                        ours, count=options.receipts, rounds=options.rounds, progress=_say
                    )
                self.reasons += ours.incidents()

    def _soak(self, sides: Sequence[Side]) -> None:
        for side in sides:
            soaked = memory.soak(
                side, exchanges=self._options.exchanges, connections=32, limit=_SOAK_LIMIT, progress=_say
            )
            self.found.soaked.append(soaked)
            if soaked.failed:
                self.reasons.append(f"{soaked.side}: {soaked.failed} of {soaked.exchanges} failed")

    def raw(self) -> dict[str, Any]:
        """Every number, unrounded."""
        windows = [dataclasses.asdict(window) for window in self.windows]
        return {"void": self.reasons, **dataclasses.asdict(self.found), "windows": windows}


def main(given: Sequence[str] | None = None) -> int:
    """0: measured; 1: measured, and void; 2: could not be measured."""
    options = _arguments(given)
    if "gateway" in options.parts and not options.only_pair:
        gateway_sides.prepare_peer(_say)  # here: there is no way out of the network that is entered next
    network.enter(sys.argv[1:] if given is None else given)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended on that way, too
    try:
        with tempfile.TemporaryDirectory(prefix="qaztech-bench-") as folder:
            run = _Run(options, Path(folder))
            run.measure()
    except (Unusable, OSError, subprocess.TimeoutExpired) as error:
        _say(f"bench: {error}")
        return 2
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(run.raw(), indent=1) + "\n")
    for name, text in report.sections(run.found, run.reasons).items():
        if options.output and options.alone and name != "gateway":
            continue
        if options.output:
            report.put(options.output, name, text)
        else:
            print(f"\n{text}")
    for reason in run.reasons:
        _say(f"void: {reason}")
    _say(f"measured in {run.found.seconds:.0f} s")
    return 1 if run.reasons else 0


if __name__ == "__main__":
    sys.exit(main())
