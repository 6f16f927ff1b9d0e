"""The ledger of a gateway on a disk that is full: a SQLite file, whose size can be limited."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from sqlalchemy import Connection, Engine, event

from ai_books import added_up, ask, settlement
from qaztech.ai.gateway.budgeting import MICRO
from qaztech.ai.gateway.budgets import Budget
from qaztech.ai.gateway.keys import Key
from qaztech.ai.gateway.ledger import Ledger
from qaztech.core.errors import Unavailable
from qaztech.core.time import ManualClock


async def test_a_full_disk_refuses_calls_and_loses_no_settlement(
    engine: Engine, budget: Budget, key: Key, clock: ManualClock
) -> None:
    """As long as it is full; then all goes on."""
    full = False

    def limit(connection: Connection) -> None:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar() if full else 10**6
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    event.listen(engine, "begin", limit)
    ledger = Ledger(engine, clock, "first")
    await ledger.start()
    first = ask(key, 2 * MICRO)
    await ledger.reserved(first)
    full = True
    long = "x" * 100_000
    settled = asyncio.create_task(ledger.settled(settlement(first.call, 3, answer_digest=long)))
    with pytest.raises(Unavailable) as caught:
        await ledger.reserved(msgspec.structs.replace(ask(key), decision=long))
    assert caught.value.code == "database.unavailable"
    assert not settled.done()
    full = False
    assert await settled == 3
    await ledger.reserved(ask(key))
    assert added_up(engine, budget.id) == (3, MICRO)
    await ledger.close()
    event.remove(engine, "begin", limit)
