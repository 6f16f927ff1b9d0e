"""A gateway's ledger in a process of its own that spends as fast as it can, for tests with several and with `kill -9`.

ai_spender.py URL GATEWAY KEY '{"calls": 500, "amount": …, "cost": …, "patience": …, "forever": false}'

Prints one line for each thing that it was told is durable (`+ CALL` taken in, `- CALL COST` settled), `! CODE` for each
refusal, and `.` at the end.
"""

from __future__ import annotations

import asyncio
import json
import sys
from itertools import count
from typing import Any

from ai_books import ask, settlement
from qaztech.ai.gateway.ledger import Ledger
from qaztech.ai.gateway.tables import AI_GATEWAY
from qaztech.core.errors import Error
from qaztech.core.time import SystemClock
from qaztech.runtime.database import open_database


def say(line: str) -> None:
    """Told at once: what is said stands, whatever becomes of this process."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def spend(ledger: Ledger, key: str, form: dict[str, Any]) -> None:
    """One call."""
    call = ask(key, form["amount"])
    try:
        await ledger.reserved(call)
        say(f"+ {call.call}")
        cost = await ledger.settled(settlement(call.call, form["cost"]))
        say(f"- {call.call} {cost}")
    except Error as error:
        say(f"! {error.code}")


async def main(url: str, gateway: str, key: str, form: dict[str, Any]) -> None:
    """Spend with so many calls under way, once each or without an end."""
    engine = open_database(url, AI_GATEWAY)
    ledger = Ledger(engine, SystemClock(), gateway, patience=form["patience"])
    await ledger.start()
    say("begun")
    await asyncio.to_thread(sys.stdin.readline)

    async def lane() -> None:
        for _ in count() if form.get("forever") else range(1):
            await spend(ledger, key, form)

    await asyncio.gather(*(lane() for _ in range(form["calls"])))
    await ledger.close()
    engine.dispose()
    say(".")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], json.loads(sys.argv[4])))
