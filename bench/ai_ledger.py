"""What it costs a gateway to reserve and to settle one call, both durable, and how many a second there are.

    python -m bench.ai_ledger [--database URL] [--before 100000] [--calls 6000] [--rounds 3] [--json]

Measured is the CPU of this process, its ledger's thread included, for one call that is taken in and settled, at a given
number of callers, each of which begins its next call when its last one is settled. On PostgreSQL the server's own CPU
is not in it. `--before` calls stand in the ledger already. What is told is the least of the rounds: other programs on
the machine only ever make it more.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path

import uvloop
from sqlalchemy import Engine

from qaztech.ai.gateway.books import Ask, Books, Settlement
from qaztech.ai.gateway.budgeting import MOST_TENGE, MOST_TOKENS, new_call_id
from qaztech.ai.gateway.budgets import Budgets
from qaztech.ai.gateway.keys import MOST_CALLS, Keys
from qaztech.ai.gateway.ledger import Ledger
from qaztech.ai.gateway.tables import AI_GATEWAY
from qaztech.core.ids import MemberId
from qaztech.core.time import SystemClock
from qaztech.runtime.database import open_database, sqlite_url

CLOCK = SystemClock()
MEMBER = MemberId.parse("KZ/GOV/991340000017")
WIDTHS = (1, 8, 32, 128)
DIGEST = "a" * 64
BATCH = 1000


def key_of(engine: Engine) -> str:
    """A key that no limit stops."""
    budget = Budgets(engine, CLOCK).create(member=MEMBER, name="bench", kind="month", tenge=MOST_TENGE, by="bench")
    return Keys(engine, CLOCK).issue(
        name="bench", member=MEMBER, system="letters", purpose="drafts", purpose_text="Drafts of answers to letters",
        card="letters-1", data_class="internal", models=["small"], budget=budget.id, by="bench",
        calls_per_minute=MOST_CALLS, tokens_per_minute=MOST_TOKENS,
    )[1].id  # fmt: skip


def ask(key: str) -> Ask:
    return Ask(
        call=new_call_id(CLOCK.now()), key=key, model="small", deployment="quasi-small",
        service="KZ/QUASI/1234567890/models/chat", version="v1", declared="internal", data_class="personal",
        decision="iin 1, name 2: masked", prompt_digest=DIGEST, amount=1_000_000, tokens=900,
    )  # fmt: skip


def settlement(call: str) -> Settlement:
    return Settlement(
        call=call, outcome="complete", cost=345_678, prompt_tokens=300, completion_tokens=200, answer_digest=DIGEST,
        exchange="019a0000-0000-7000-8000-000000000000",
    )  # fmt: skip


def fill(engine: Engine, key: str, calls: int) -> None:
    """So many calls of before, each taken in, settled and told."""
    books = Books("before", engine.dialect.name)
    with engine.begin() as db:
        books.begin(db, CLOCK.now())
    for _ in range(0, calls, BATCH):
        asks = [ask(key) for _ in range(BATCH)]
        with engine.begin() as db:
            books.apply(db, asks, [], [], CLOCK.now())
            books.apply(db, [], [settlement(each.call) for each in asks], [], CLOCK.now())


async def measured(engine: Engine, key: str, width: int, calls: int) -> dict[str, float]:
    """What one call takes at this number of callers."""
    ledger = Ledger(engine, CLOCK, f"bench-{width}")
    await ledger.start()
    left = calls
    waits: list[float] = []

    async def caller() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            made = ask(key)
            begun = time.perf_counter()
            await ledger.reserved(made)
            waits.append(time.perf_counter() - begun)
            await ledger.settled(settlement(made.call))

    cpu, wall = time.process_time(), time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(width)))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    await ledger.close()
    waits.sort()
    return {
        "cpu_us": cpu / calls * 1e6, "calls_per_second": calls / wall, "reserve_p50_ms": waits[len(waits) // 2] * 1e3,
        "reserve_p99_ms": waits[len(waits) * 99 // 100] * 1e3,
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", metavar="URL", help="an empty database of PostgreSQL (a SQLite file of its own)")
    parser.add_argument("--before", type=int, default=100_000, help="calls in the ledger already (100000)")
    parser.add_argument("--calls", type=int, default=6000, help="calls of each measurement (6000)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        engine = open_database(args.database or sqlite_url(Path(folder, "gateway.db")), AI_GATEWAY)
        key = key_of(engine)
        fill(engine, key_of(engine), args.before)
        found = {}
        for width in WIDTHS:
            calls = args.calls if width >= 8 else args.calls // 10
            rounds = [uvloop.run(measured(engine, key, width, calls)) for _ in range(args.rounds)]
            found[width] = min(rounds, key=lambda each: each["cpu_us"])
        engine.dispose()
    if args.json:
        print(json.dumps({"before": args.before, "callers": found}))
        return 0
    for width, each in found.items():
        print(
            f"{width:4} callers: {each['cpu_us']:.0f} us CPU a call, {each['calls_per_second']:.0f} calls a second,"
            f" taken in after {each['reserve_p50_ms']:.1f} ms (p99 {each['reserve_p99_ms']:.1f})"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
