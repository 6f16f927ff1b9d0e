"""What large bodies and many exchanges cost in memory, and how fast large bodies pass."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from bench import bodies, processes
from bench.exchange import check_answers
from bench.load import drive
from bench.side import Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A large body one way through one side: the median of the rounds, and the worst growth."""

    side: str
    way: str
    length: int
    rate: float  # MB (10⁶ bytes) a second
    growth: int  # bytes of resident memory, of the process that grew most


def _once(side: Side, way: str, length: int) -> tuple[float, int]:
    pids = [pid for group in side.nodes().values() for pid in group]
    processes.forget_peak(pids)
    before = {pid: processes.rss(pid) for pid in pids}
    target = side.bodies()
    seconds = (bodies.send if way == "to the service" else bodies.fetch)(target.url, target.headers, length)
    return length / seconds / 1e6, max(processes.peak_rss(pid) - before[pid] for pid in pids)


def passages(sides: Sequence[Side], *, length: int, rounds: int, progress: Callable[[str], None]) -> list[Passage]:
    """Bodies of `length` bytes each way through every side, in turn; the first of each is a warm-up of 1 MiB."""
    seen: dict[tuple[str, str], list[tuple[float, int]]] = {}
    for side in sides:
        for way in ("to the service", "from the service"):
            _once(side, way, bodies.MIB)
    for _ in range(rounds):
        for way in ("to the service", "from the service"):
            for side in sides:
                once = _once(side, way, length)
                seen.setdefault((side.name, way), []).append(once)
                progress(f"{length // bodies.MIB} MiB {way:<16} {side.name:<12} {once[0]:>6.0f} MB/s")
    return [
        Passage(
            side=name,
            way=way,
            length=length,
            rate=median(rate for rate, _ in all_of),
            growth=max(growth for _, growth in all_of),
        )
        for (name, way), all_of in seen.items()
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Soaked:
    """Resident memory of each node's largest process before and after many exchanges."""

    side: str
    exchanges: int
    failed: int
    before: dict[str, int]
    after: dict[str, int]


def soak(side: Side, *, exchanges: int, connections: int, limit: float, progress: Callable[[str], None]) -> Soaked:
    """Pass `exchanges` exchanges through `side`, or as many as fit in `limit` seconds, and look at its memory."""

    def now() -> dict[str, int]:
        return {name: max(processes.rss(pid) for pid in pids) for name, pids in side.nodes().items()}

    target = side.exchange()
    check_answers(target)
    before, done, failed = now(), 0, 0
    deadline = time.monotonic() + limit
    while done < exchanges and time.monotonic() < deadline:
        load = drive(target, connections=connections, seconds=5)
        done, failed = done + load.exchanges, failed + load.failed
    progress(f"{done} exchanges through {side.name}")
    return Soaked(side=side.name, exchanges=done, failed=failed, before=before, after=now())
