"""The embedded instance as a person meets it: how soon `qaztech up` is ready, and what all its processes hold.

The command is run as it is typed, on a fresh home each time; what runs is found by the ids under `run/`.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench import processes
from bench.tools import Unusable, free_block
from qaztech.testing.processes import running

_READY = 60  # seconds until an instance that is not ready is given up
_PORTS = 17
_SETTLE = 1.0  # seconds after it is ready, until memory is looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class Up:
    """Medians of all rounds of `qaztech up`."""

    rounds: int
    seconds: float  # from the command to ready, the country founded on the way
    again: float  # the same for a country that was stopped
    pss: float  # bytes, all its processes together
    processes: int


def _qaztech(*arguments: str) -> str:
    program = Path(sys.executable).with_name("qaztech")
    done = subprocess.run([str(program), *arguments], capture_output=True, text=True, timeout=_READY + 30, check=False)
    if done.returncode != 0:
        raise Unusable(f"qaztech {' '.join(arguments)}: {done.stderr or done.stdout}")
    return done.stdout


@contextlib.contextmanager
def _up(home: Path, *more: str) -> Iterator[float]:
    """`qaztech up`, timed until `qaztech status` says ready; `qaztech down` after."""
    where = ("--home", str(home))
    began = time.perf_counter()
    try:
        _qaztech("up", *where, *more)
        _qaztech("status", *where, "--wait", str(_READY))
        yield time.perf_counter() - began
    finally:
        with contextlib.suppress(Unusable):
            _qaztech("down", *where)


def measure(run: Path, *, rounds: int, progress: Callable[[str], None]) -> Up:
    """Bring a fresh country up `rounds` times, and each a second time."""
    found: list[tuple[float, float, int, int]] = []
    for number in range(1, rounds + 1):
        home = run / f"up-{number}"
        with _up(home, "--base-port", str(free_block(_PORTS))) as seconds:
            time.sleep(_SETTLE)
            pids = processes.tree(pid for _, pid in running(home))
            pss = processes.pss(pids)
        with _up(home) as again:
            pass
        found.append((seconds, again, pss, len(pids)))
        progress(f"qaztech up: ready after {seconds:.1f} s, once more after {again:.1f} s, {pss / 2**20:.0f} MiB PSS")
    seconds, again, pss, count = (median(values) for values in zip(*found, strict=True))
    return Up(rounds=rounds, seconds=seconds, again=again, pss=pss, processes=round(count))
