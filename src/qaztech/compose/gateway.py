"""Builds a body's gateway: a process of its own beside the body's node, by which its systems call models."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta
from sqlalchemy import Engine

from qaztech.ai.gateway.gateway import Gateway, GatewayLimits
from qaztech.ai.gateway.keys import Keys
from qaztech.ai.gateway.ledger import Ledger
from qaztech.ai.gateway.models import Model, check_models
from qaztech.ai.gateway.places import Node, Places
from qaztech.ai.gateway.standings import Standings
from qaztech.ai.gateway.tables import AI_GATEWAY
from qaztech.ai.gateway.telling import Teller
from qaztech.ai.gateway.usage import CallRow, untold
from qaztech.ai.personal.finding import finder
from qaztech.ai.register.standing import Standing, parse_standing
from qaztech.core.errors import Malformed
from qaztech.core.ids import MemberId, ServiceId
from qaztech.core.time import Clock, SystemClock
from qaztech.runtime.database import database_url, open_database
from qaztech.runtime.settings import read_settings
from qaztech.runtime.shell import require_free

logger = logging.getLogger("qaztech.ai")
_DRAIN_SECONDS = 20.0
_TELL_SECONDS = 5.0


class ServedMember(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A member whose systems call here: who it is, and which of its systems asks the register how its cards stand."""

    member: str
    asks_as: str
    # By code of a system, the file with the bearer token the node's edge asks it for; none where loopback is enough.
    tokens: dict[str, str] = {}


class GatewaySettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The settings of a gateway, as they stand in its `gateway.toml`. Paths are relative to that file."""

    # What keeps its books apart from those of another gateway on the same database.
    name: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")] = "gateway"
    directory: str
    # The edge of the body's own node.
    edge: str
    # The service of the register of AI systems, as `KZ/GOV/…/support-center/ai-register`.
    register: str
    members: Annotated[list[ServedMember], Meta(min_length=1)]
    models: list[Model] = []
    host: str = "127.0.0.1"
    port: int = 8430
    # URL of the database that is shared with the member's console; empty: a SQLite file in the directory.
    database: str = ""
    # Only to try things out: deployments may be a URL, and calls of those are no exchanges.
    without_backbone: bool = False
    max_prompt_bytes: int = 10 * 1024 * 1024


def open_books(path: Path) -> tuple[GatewaySettings, Engine]:
    """The settings of a gateway, and the database with its keys, budgets and ledger, to be disposed of."""
    settings = read_settings(path, GatewaySettings)
    directory = (path.parent / settings.directory).resolve()
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    return settings, open_database(database_url(settings.database, directory / "gateway.db"), AI_GATEWAY)


async def run_gateway(path: Path, stop: asyncio.Event, *, clock: Clock | None = None) -> None:
    """Run a gateway until told to stop; calls under way come to their end first."""
    clock = clock or SystemClock()
    settings, engine = open_books(path)
    check_models(tuple(settings.models), without_backbone=settings.without_backbone)
    require_free((settings.host, settings.port))
    node = Node(edge=settings.edge, tokens=_tokens(path, settings))
    places = Places(node)
    ledger = Ledger(engine, clock, settings.name)
    orphans = await ledger.start()
    if orphans.calls:
        logger.warning("calls of before are settled in full", extra={"fields": {"calls": orphans.calls}})
    standings = Standings(_questions(settings, places), clock)
    standings.start()
    teller = Teller(ledger, places)
    teller.resume(await asyncio.to_thread(_untold, engine, settings, clock), settings.models)
    gateway = Gateway(
        models=tuple(settings.models), keys=Keys(engine, clock), ledger=ledger, places=places, finder=finder(),
        card=standings.card, clock=clock, settled=teller.tell, limits=GatewayLimits(prompt=settings.max_prompt_bytes),
        ready=lambda: _reasons(settings, standings),
    )  # fmt: skip
    try:
        await gateway.listen(settings.host, settings.port)
        logger.info("listening", extra={"fields": {"address": f"http://{settings.host}:{settings.port}"}})
        await stop.wait()
        await gateway.drain(_DRAIN_SECONDS)
        await teller.drain(_TELL_SECONDS)
    finally:
        await standings.close()
        await ledger.close()
        await places.close()
        engine.dispose()


def _untold(engine: Engine, settings: GatewaySettings, clock: Clock) -> list[tuple[CallRow, str]]:
    keys = {key.id: str(key.member) for key in Keys(engine, clock).all()}
    return [(row, keys[row.key]) for row in untold(engine, settings.name)]


def _tokens(path: Path, settings: GatewaySettings) -> dict[str, str]:
    found = {}
    for each in settings.members:
        member = MemberId.parse(each.member)
        for system, file in each.tokens.items():
            found[f"{member}/{system}"] = (path.parent / file).read_text().strip()
    return found


def _questions(settings: GatewaySettings, places: Places) -> dict[str, Callable[[], Awaitable[Standing]]]:
    register = str(ServiceId.parse(settings.register))

    def question(served: ServedMember) -> Callable[[], Awaitable[Standing]]:
        member = str(MemberId.parse(served.member))

        async def ask() -> Standing:
            return parse_standing(await places.fetch(register, "standing", member=member, system=served.asks_as))

        return ask

    found = {str(MemberId.parse(each.member)): question(each) for each in settings.members}
    if len(found) != len(settings.members):
        raise Malformed("ai.gateway.members", "a member is named twice")
    return found


def _reasons(settings: GatewaySettings, standings: Standings) -> tuple[str, ...]:
    """Why the gateway cannot serve now, as codes."""
    known = standings.ages()
    return tuple(
        f"register.silent {each.member}" for each in settings.members if str(MemberId.parse(each.member)) not in known
    )
