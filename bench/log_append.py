"""What an append to the log costs at 10^4 and at 10^7 entries, and how long that log takes to open.

    python -m bench.log_append [--directory DIR] [--large 10000000] [--rounds 5] [--json]

The large log is made by large batches of small entries. Measured: CPU of the process for one append of a 1 KiB record
through the sequencer (all of it: frame, checksum, hashes, row, queue, thread, callback, its share of the signature), at
a given number of appends in flight; and the synchronous `commit` for the interpreter's work alone, without the disk.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

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


def entry(data: bytes = DATA, private: bytes = PRIVATE) -> Entry:
    now = CLOCK.now()
    return Entry(now.to_bytes(6) + b"\x70" + os.urandom(9), now, data, private)


def open_log(directory: Path) -> Log:
    return Log.open(directory, storage=OsStorage(), key=KEY, origin=ORIGIN, clock=CLOCK)


def build(directory: Path, size: int) -> None:
    """A log of small entries, in batches as large as the queue would make them."""
    log = Log.create(directory, storage=OsStorage(), key=KEY, origin=ORIGIN, clock=CLOCK)
    while log.size < size:
        now = CLOCK.now()
        stamp = now.to_bytes(6) + b"\x70"
        first = log.size
        log.commit([Entry(stamp + i.to_bytes(9), now, b"%d" % i) for i in range(first, min(first + 8192, size))])
        if first % (8192 * 50) == 0:
            print(f"\r{log.size:,} of {size:,} entries", end="", file=sys.stderr)
    print(file=sys.stderr)
    log.close()


async def in_flight(log: Log, appends: int, width: int) -> dict[str, float]:
    """Append through the sequencer with so many in flight."""
    commits = 0

    def on_commit(_: Commit) -> None:
        nonlocal commits
        commits += 1

    sequencer = Sequencer(log=log, on_commit=on_commit)
    sequencer.start()
    done = asyncio.get_running_loop().create_future()
    left, started = appends, 0

    def durable(_: int, commit: Commit | None, error: object) -> None:
        nonlocal left
        assert commit is not None, error
        left -= 1
        if left == 0:
            done.set_result(None)
        again()

    def again() -> None:
        nonlocal started
        if started < appends:
            started += 1
            sequencer.append(record, durable)

    record = entry()
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(width):
        again()
    await done
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    await sequencer.close()
    return {"cpu_us": cpu / appends * 1e6, "per_second": appends / wall, "batch": appends / commits}


def interpreter(log: Log, width: int, rounds: int = 200) -> float:
    """Microseconds of the building and finishing parts for one entry, without the disk."""
    batch = [entry() for _ in range(width)]
    spent = 0.0
    for _ in range(rounds):
        started = time.perf_counter()
        prepared = log.prepare(batch)
        spent += time.perf_counter() - started
        log.write_and_sync(prepared)
        started = time.perf_counter()
        log.finish(prepared)
        spent += time.perf_counter() - started
        if (chore := log.chore()) is not None:
            log._do(chore)  # noqa: SLF001 as `commit` does
    return spent / rounds / width * 1e6


def opened(directory: Path) -> tuple[Log, dict[str, object]]:
    started = time.perf_counter()
    log = open_log(directory)
    return log, {"entries": log.size, "open_seconds": time.perf_counter() - started}


def measure(logs: list[tuple[Log, dict[str, object]]], rounds: int) -> None:
    """In turns, so that what else the machine does falls on both logs alike."""
    for width in (1, 8, 32, 128):
        runs: list[list[dict[str, float]]] = [[] for _ in logs]
        for _ in range(rounds):
            for (log, _), run in zip(logs, runs, strict=True):
                run.append(uvloop.run(in_flight(log, 500 * min(width, 32), width)))
        for (_, found), run in zip(logs, runs, strict=True):
            found[f"in_flight_{width}"] = {name: statistics.median(one[name] for one in run) for name in run[0]}
    for log, found in logs:
        found["interpreter_us_32"] = interpreter(log, 32)
        found["proof_us"] = _proofs(log)
        log.close()
        found["peak_rss_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _proofs(log: Log) -> float:
    started = time.perf_counter()
    for i in range(200):
        log.inclusion_proof(log.size * i // 200, log.size)
    return (time.perf_counter() - started) / 200 * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--directory", type=Path, help="where the logs are made, and kept")
    parser.add_argument("--small", type=int, default=10_000)
    parser.add_argument("--large", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="on one line")
    options = parser.parse_args()
    root = options.directory or Path(tempfile.mkdtemp(prefix="qaztech-bench-"))
    root.mkdir(parents=True, exist_ok=True)
    try:
        logs = []
        for size in (options.small, options.large):
            directory = root / f"log-{size}"
            if size < 1_000_000:
                shutil.rmtree(directory, ignore_errors=True)  # it would grow from run to run
            if not directory.exists():
                build(directory, size)
            logs.append(opened(directory))
        measure(logs, options.rounds)
        found = [one for _, one in logs]
        print(json.dumps(found, indent=None if options.json else 2))
    finally:
        if options.directory is None:
            shutil.rmtree(root)


if __name__ == "__main__":
    main()
