"""A gateway by itself, as a process: no backbone behind it, all else as it is. Prints its port and a key, then serves.

python bench/ai_gateway_process.py FOLDER URL-OF-MODEL-SERVER [NAME] [TENGE]
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path

import uvloop

from qaztech.ai.gateway.budgets import Budgets
from qaztech.ai.gateway.gateway import Gateway
from qaztech.ai.gateway.keys import Keys
from qaztech.ai.gateway.ledger import Ledger
from qaztech.ai.gateway.models import Deployment, Model
from qaztech.ai.gateway.places import Places
from qaztech.ai.gateway.tables import AI_GATEWAY
from qaztech.ai.personal.finding import finder
from qaztech.ai.register.standing import CardStanding
from qaztech.core.ids import MemberId
from qaztech.core.time import SystemClock
from qaztech.runtime.database import open_database, sqlite_url

MEMBER = MemberId.parse("KZ/GOV/991340000017")
CARD = CardStanding(
    id="bench", owner=str(MEMBER), system="bench", state="in-service", callable=True, risk="minimal", mode="open",
    highest_class="restricted",
)  # fmt: skip


async def serve(folder: Path, server: str, name: str, tenge: int) -> None:
    """Run until told to stop."""
    clock = SystemClock()
    engine = open_database(sqlite_url(folder / "gateway.db"), AI_GATEWAY)
    keys, budgets = Keys(engine, clock), Budgets(engine, clock)
    budget = next(iter(budgets.all(member=MEMBER)), None) or budgets.create(
        member=MEMBER, name="Bench", kind="total", tenge=tenge, by="bench"
    )
    shown, _ = keys.issue(
        name="Bench", member=MEMBER, system="bench", purpose="bench", purpose_text="A benchmark", card=CARD.id,
        data_class="internal", models=["bench"], budget=budget.id, by="bench", calls_per_minute=1_000_000,
        tokens_per_minute=1_000_000_000,
    )  # fmt: skip
    ledger = Ledger(engine, clock, name)
    await ledger.start()
    places = Places(None)
    model = Model(name="bench", deployments=(
        Deployment(name="here", url=server, model="mock", mode="local", prompt_price=100, completion_price=200,
                   max_completion=100),
    ))  # fmt: skip
    gateway = Gateway(
        models=(model,), keys=keys, ledger=ledger, places=places, finder=finder(), card=lambda _m, _c: CARD,
        clock=clock, settled=lambda _: None, ready=lambda: (),
    )  # fmt: skip
    port = await gateway.listen("127.0.0.1", 0)
    print(json.dumps({"port": port, "key": shown, "budget": budget.id}), flush=True)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    await gateway.drain(2)
    await ledger.close()
    await places.close()


if __name__ == "__main__":
    sys.setswitchinterval(0.0005)
    _, where, url, called, amount = sys.argv
    uvloop.run(serve(Path(where), url, called, int(amount)))
