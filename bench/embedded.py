"""The embedded instance as a person meets it: how soon `qaztech up` is ready, and what all its processes hold.

Also how fast receipts verify in one process. Both take the thing measured as an argument or a command, so that
nothing here knows the inside of QazTech.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import processes
from bench.tools import Unusable, free_ports

_READY = 60  # seconds until an instance that is not ready is given up


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """A running embedded instance: its home, how long it took to be ready, and what `status --json` says."""

    home: Path
    seconds: float
    status: dict[str, Any]

    def processes(self) -> list[int]:
        """Every process of the instance: those started for its home, and all below them."""
        return processes.tree(processes.mentioning(str(self.home)))

    def pss(self) -> int:
        """Memory of all its processes together, in bytes."""
        return processes.pss(self.processes())


def _qaztech(*arguments: str) -> str:
    program = Path(sys.executable).with_name("qaztech")
    done = subprocess.run([str(program), *arguments], capture_output=True, text=True, timeout=_READY + 30, check=False)
    if done.returncode != 0:
        raise Unusable(f"qaztech {' '.join(arguments)}: {done.stderr or done.stdout}")
    return done.stdout


@contextlib.contextmanager
def up(home: Path) -> Iterator[Embedded]:
    """`qaztech up` on a fresh home, timed until `qaztech status` says ready; `qaztech down` after."""
    where = ("--home", str(home))
    base = min(free_ports(1)[0], 60_000)
    began = time.perf_counter()
    try:
        _qaztech("up", *where, "--base-port", str(base))
        _qaztech("status", *where, "--wait", str(_READY))
        seconds = time.perf_counter() - began
        yield Embedded(home=home, seconds=seconds, status=json.loads(_qaztech("status", *where, "--json")))
    finally:
        with contextlib.suppress(Unusable):
            _qaztech("down", *where)


def verify_rate(verify: Callable[[bytes], object], receipts: Sequence[bytes], *, seconds: float = 3) -> float:
    """Receipts a second that `verify` checks in this process, one after another, after one warm pass."""
    for receipt in receipts:
        verify(receipt)
    checked, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        for receipt in receipts:
            verify(receipt)
        checked += len(receipts)
    return checked / (time.perf_counter() - began)
