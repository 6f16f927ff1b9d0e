"""What an append to the log costs at 10^4 and at 10^7 entries, and how long a log takes to open.

    python -m bench.log_append [--directory DIR] [--large 10000000] [--rounds 5] [--json]

Measured is the CPU of this process for one append of a 1 KiB record through the sequencer: all of it, with frame,
checksum, hashes, row, queue, thread, callback and its share of the signature, at a given number of appends in flight.
Small and large take turns, and the small log is a new one each time. A log is opened twice: as a node left it that
stopped, and as one left it that was killed after twenty thousand entries more.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import uvloop

from qaztech.core.time import SystemClock
from qaztech.evidence.log import Commit, Entry, Log
from qaztech.evidence.sequencer import Sequencer
from qaztech.evidence.storage import OsStorage
from qaztech.trust.keys import Ed25519Key

ORIGIN = "kz.qaztech.example/log/00000000000000000000"
KEY = Ed25519Key.from_seed(bytes(32))
CLOCK = SystemClock()
DATA, PRIVATE = os.urandom(1024), os.urandom(200)
WIDTHS = (1, 32, 128)
WARM, MEASURED = 100, 200  # batches; while the first ones pass the sequencer learns how quick the disk is
KILLED_AFTER = 20_000  # entries


def entry(data: bytes = DATA, private: bytes = PRIVATE) -> Entry:
    now = CLOCK.now()
    return Entry(now.to_bytes(6) + b"\x70" + os.urandom(9), now, data, private)


def build(directory: Path, size: int) -> None:
    """A log of small entries, in batches as large as the queue would make them."""
    log = Log.create(directory, storage=OsStorage(), key=KEY, origin=ORIGIN, clock=CLOCK)
    while log.size < size:
        now = CLOCK.now()
        stamp = now.to_bytes(6) + b"\x70"
        first = log.size
        log.commit([Entry(stamp + i.to_bytes(9), now, b"%d" % i) for i in range(first, min(first + 8192, size))])
    log.close()


@contextmanager
def opened(directory: Path) -> Iterator[Log]:
    log = Log.open(directory, storage=OsStorage(), key=KEY, origin=ORIGIN, clock=CLOCK)
    try:
        yield log
    finally:
        log.close()


async def in_flight(log: Log, width: int) -> dict[str, float]:
    """Append through the sequencer with so many in flight; what one append takes once it is warm."""
    commits = 0

    def on_commit(_: Commit) -> None:
        nonlocal commits
        commits += 1

    sequencer = Sequencer(log=log, on_commit=on_commit)
    sequencer.start()
    done = asyncio.get_running_loop().create_future()
    record = entry()
    left = started = 0

    def durable(_: int, commit: Commit | None, error: object) -> None:
        nonlocal left
        assert commit is not None, error
        left -= 1
        if left == 0:
            done.set_result(None)
        again()

    def again() -> None:
        nonlocal started
        if started:
            started -= 1
            sequencer.append(record, durable)

    async def pass_(appends: int) -> None:
        nonlocal left, started, done
        left = started = appends
        done = asyncio.get_running_loop().create_future()
        for _ in range(width):
            again()
        await done

    await pass_(WARM * width)
    commits = 0
    cpu, wall = time.process_time(), time.perf_counter()
    await pass_(MEASURED * width)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    await sequencer.close()
    appends = MEASURED * width
    return {"cpu_us": cpu / appends * 1e6, "per_second": appends / wall, "batch": appends / commits}


def _opening(directory: Path) -> float:
    began = time.perf_counter()
    with opened(directory):
        return time.perf_counter() - began


def _append_and_die(directory: Path) -> None:
    """Append in a child that ends without closing anything."""
    child = os.fork()
    if child == 0:
        try:
            log = Log.open(directory, storage=OsStorage(), key=KEY, origin=ORIGIN, clock=CLOCK)
            for _ in range(KILLED_AFTER // 50):
                log.commit([entry() for _ in range(50)])
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    if status:
        raise SystemExit(f"{directory}: the child that appends failed")


def measure(root: Path, small: int, large: int, rounds: int) -> dict[str, object]:
    """Everything, small and large in turn; medians."""
    kept = root / f"log-{large}"
    began = time.perf_counter()
    if not kept.exists():
        build(kept, large)
    built = time.perf_counter() - began
    opening = [_opening(kept) for _ in range(rounds)]
    killed = []
    for _ in range(min(rounds, 3)):
        _append_and_die(kept)
        killed.append(_opening(kept))
    found: dict[tuple[int, int], list[dict[str, float]]] = {}
    for _ in range(rounds):
        fresh = root / "log-small"
        build(fresh, small)
        for size, directory in ((small, fresh), (large, kept)):
            with opened(directory) as log:
                for width in WIDTHS:
                    found.setdefault((size, width), []).append(uvloop.run(in_flight(log, width)))
        shutil.rmtree(fresh)
    return {
        "small": small,
        "large": large,
        "rounds": rounds,
        "built_seconds": built,
        "open_seconds": median(opening),
        "open_killed_seconds": median(killed),
        "peak_rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "appends": [
            {"entries": size, "in_flight": width, **{name: median(run[name] for run in runs) for name in runs[0]}}
            for (size, width), runs in found.items()
        ],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--directory", type=Path, help="where the logs are made, and the large one is kept")
    parser.add_argument("--small", type=int, default=10_000)
    parser.add_argument("--large", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="on one line")
    options = parser.parse_args()
    root = options.directory or Path(tempfile.mkdtemp(prefix="qaztech-bench-"))
    root.mkdir(parents=True, exist_ok=True)
    try:
        found = measure(root, options.small, options.large, options.rounds)
    finally:
        if options.directory is None:
            shutil.rmtree(root)
    json.dump(found, sys.stdout, indent=None if options.json else 2)
    print()


if __name__ == "__main__":
    main()
