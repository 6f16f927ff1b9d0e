"""A gateway by itself, as a process, its keys, limits and books as they are. Prints its port and a key, then serves.

    python bench/ai_gateway_process.py FOLDER URL-OF-MODEL-SERVER [NAME] [TENGE]

No backbone is behind it, unless `--edge` and `--service` say by which node it is to call which service.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
from pathlib import Path

import uvloop

from qaztech.ai.gateway.budgets import Budgets
from qaztech.ai.gateway.gateway import Gateway
from qaztech.ai.gateway.keys import Keys
from qaztech.ai.gateway.ledger import Ledger
from qaztech.ai.gateway.models import Deployment, Model
from qaztech.ai.gateway.places import Node, Places
from qaztech.ai.gateway.tables import AI_GATEWAY
from qaztech.ai.gateway.telling import Teller
from qaztech.ai.personal.finding import finder
from qaztech.ai.personal.spans import Finder, Span
from qaztech.ai.register.standing import CardStanding
from qaztech.core.ids import MemberId, SubsystemId
from qaztech.core.time import SystemClock
from qaztech.runtime.database import open_database, sqlite_url

MEMBER = MemberId.parse("KZ/GOV/991340000017")
MODEL, PROMPT_PRICE, COMPLETION_PRICE, MAX_COMPLETION = "bench", 100, 200, 100


class _Nothing:
    """Finds nothing: what a call costs without the finder."""

    def find(self, _text: str, /) -> tuple[Span, ...]:
        return ()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("url", help="of the model's server")
    parser.add_argument("name", nargs="?", default="bench")
    parser.add_argument("tenge", nargs="?", type=int, default=100_000_000)
    parser.add_argument("--without-finder", action="store_true", help="look for no personal data")
    parser.add_argument("--edge", help="of the body's own node")
    parser.add_argument("--service", default="", help="of the backbone, which hosts the model")
    parser.add_argument("--system", default=f"{MEMBER}/bench", help="which system of the body calls")
    parser.add_argument("--profile", type=Path, help="where the loop's profile goes, in the form of cProfile")
    return parser.parse_args()


async def serve(options: argparse.Namespace) -> None:
    """Run until told to stop."""
    clock = SystemClock()
    system = SubsystemId.parse(options.system)
    member = system.member
    engine = open_database(sqlite_url(options.folder / "gateway.db"), AI_GATEWAY)
    keys, budgets = Keys(engine, clock), Budgets(engine, clock)
    budget = next(iter(budgets.all(member=member)), None) or budgets.create(
        member=member, name="Bench", kind="total", tenge=options.tenge, by="bench"
    )
    card = CardStanding(
        id="bench", owner=str(member), system=system.code, state="in-service", callable=True, risk="minimal",
        mode="open", highest_class="restricted",
    )  # fmt: skip
    shown, _ = keys.issue(
        name="Bench", member=member, system=system.code, purpose="bench", purpose_text="A benchmark", card=card.id,
        data_class="internal", models=[MODEL], budget=budget.id, by="bench", calls_per_minute=1_000_000,
        tokens_per_minute=1_000_000_000,
    )  # fmt: skip
    ledger = Ledger(engine, clock, options.name)
    await ledger.start()
    places = Places(Node(edge=options.edge, tokens={}) if options.edge else None)
    teller = Teller(ledger, places)
    model = Model(name=MODEL, deployments=(
        Deployment(name="here", url="" if options.service else options.url, service=options.service, model="mock",
                   mode="local", prompt_price=PROMPT_PRICE, completion_price=COMPLETION_PRICE,
                   max_completion=MAX_COMPLETION),
    ))  # fmt: skip
    looking: Finder = _Nothing() if options.without_finder else finder()
    gateway = Gateway(
        models=(model,), keys=keys, ledger=ledger, places=places, finder=looking, card=lambda _m, _c: card,
        clock=clock, settled=teller.tell, ready=lambda: (),
    )  # fmt: skip
    port = await gateway.listen("127.0.0.1", 0)
    print(json.dumps({"port": port, "pid": os.getpid(), "key": shown, "budget": budget.id}), flush=True)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    await gateway.drain(2)
    await teller.drain(2)
    await ledger.close()
    await places.close()
    engine.dispose()


def main() -> None:
    options = _arguments()
    sys.setswitchinterval(0.0005)  # as `qaztech` does for its own processes
    if options.profile is None:
        uvloop.run(serve(options))
        return
    import cProfile  # noqa: PLC0415

    profile = cProfile.Profile()
    with contextlib.suppress(KeyboardInterrupt):
        profile.runcall(uvloop.run, serve(options))
    profile.dump_stats(options.profile)


if __name__ == "__main__":
    main()
