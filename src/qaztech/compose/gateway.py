"""Builds a body's gateway: a process of its own beside the body's node, by which its systems call models."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta
from sqlalchemy import Engine

from qaztech.ai.gateway.gateway import Gateway, GatewayLimits
from qaztech.ai.gateway.keys import Keys
from qaztech.ai.gateway.ledger import Ledger
from qaztech.ai.gateway.models import Model, check_models
from qaztech.ai.gateway.places import Node, Places
from qaztech.ai.gateway.standings import ASK_SECONDS, Standings
from qaztech.ai.gateway.tables import AI_GATEWAY
from qaztech.ai.gateway.telling import Teller
from qaztech.ai.gateway.usage import CallRow, untold
from qaztech.ai.gateway.watching import Watch
from qaztech.ai.personal.finding import finder
from qaztech.ai.register.standing import Standing, parse_standing
from qaztech.core.errors import Error, Malformed
from qaztech.core.ids import MemberId, ServiceId
from qaztech.core.time import Clock, SystemClock
from qaztech.runtime.database import database_url, open_database
from qaztech.runtime.settings import read_settings
from qaztech.runtime.shell import require_free

logger = logging.getLogger("qaztech.ai")
T = TypeVar("T")
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
    # How often the register is asked how the cards stand: so long a suspended system may still be called.
    register_seconds: Annotated[float, Meta(ge=1, le=300)] = ASK_SECONDS
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
    check_settings(settings)
    tokens = tokens_of(path, settings)
    require_free((settings.host, settings.port))
    _say_what_it_is(settings)
    node = Node(edge=settings.edge, tokens=tokens)
    places = Places(node)
    ledger = Ledger(engine, clock, settings.name)
    orphans = await ledger.start()
    if orphans.calls:
        logger.warning("calls of before are settled in full", extra={"fields": {"calls": orphans.calls}})
    standings = Standings(questions(settings, places), clock, every=settings.register_seconds)
    standings.start()
    teller = Teller(ledger, places)
    teller.resume(await asyncio.to_thread(_untold, engine, settings, clock), settings.models)
    watch = Watch(
        standings=standings, ledger=ledger, places=places, teller=teller,
        directory=None if settings.database else path.parent / settings.directory,
    )  # fmt: skip
    watch.start()
    gateway = Gateway(
        models=tuple(settings.models), keys=Keys(engine, clock), ledger=ledger, places=places, finder=finder(),
        card=standings.card, clock=clock, settled=teller.tell, limits=GatewayLimits(prompt=settings.max_prompt_bytes),
        ready=watch.reasons, warnings=watch.warnings, gauges=watch.gauges,
    )  # fmt: skip
    try:
        await gateway.listen(settings.host, settings.port)
        logger.info("listening", extra={"fields": {"address": f"http://{settings.host}:{settings.port}"}})
        await stop.wait()
        await gateway.drain(_DRAIN_SECONDS)
        await teller.drain(_TELL_SECONDS)
    finally:
        await watch.close()
        await standings.close()
        await ledger.close()
        await places.close()
        engine.dispose()


def _untold(engine: Engine, settings: GatewaySettings, clock: Clock) -> list[tuple[CallRow, str]]:
    keys = {key.id: str(key.member) for key in Keys(engine, clock).all()}
    return [(row, keys[row.key]) for row in untold(engine, settings.name)]


def check_settings(settings: GatewaySettings) -> None:
    """Raises `Malformed` for settings that no gateway can run by, and says which of them."""
    check_models(tuple(settings.models), without_backbone=settings.without_backbone)
    _named("register", settings.register, ServiceId.parse)
    members = [_named("member", each.member, MemberId.parse) for each in settings.members]
    if len(set(members)) != len(members):
        raise Malformed("ai.gateway.members", "a member is named twice")


def _named(setting: str, value: str, parse: Callable[[str], T]) -> T:
    try:
        return parse(value)
    except Error as exc:
        raise Malformed("ai.gateway.setting", f"`{setting}` = {value!r}: {exc.detail}", at="caller") from exc


def tokens_of(path: Path, settings: GatewaySettings) -> dict[str, str]:
    """The bearer tokens for the edge, by system. Raises `Malformed`, which names the file that cannot be used."""
    found = {}
    for each in settings.members:
        member = MemberId.parse(each.member)
        for system, file in each.tokens.items():
            found[f"{member}/{system}"] = _token(path.parent / file, f"{member}/{system}")
    return found


def _token(file: Path, system: str) -> str:
    try:
        token = file.read_text("ascii").strip()
        why = "" if token.isprintable() and token else "is empty, or more than one line"
    except OSError as exc:
        token, why = "", (exc.strerror or "cannot be read").lower()
    except UnicodeDecodeError:
        token, why = "", "holds something else"
    if why:
        said = (
            f"the file {file} with the token of {system} cannot be used: {why}. It holds what the node's edge asks for"
        )
        raise Malformed("ai.gateway.token", said, at="caller")
    return token


def _say_what_it_is(settings: GatewaySettings) -> None:
    """One line at the start, from which a log tells what this gateway was to do."""
    fields = {
        "name": settings.name, "edge": settings.edge, "register": settings.register,
        "members": [each.member for each in settings.members],
        "models": {
            model.name: [f"{place.name} {place.service or 'url'}" for place in model.deployments]
            for model in settings.models
        },
    }  # fmt: skip
    logger.info("a gateway starts", extra={"fields": fields})
    if not settings.models:
        logger.warning("this gateway offers no model: its settings have no [[models]]")


def questions(settings: GatewaySettings, places: Places) -> dict[str, Callable[[], Awaitable[Standing]]]:
    """By member, how the register is asked for its cards."""
    register = str(ServiceId.parse(settings.register))

    def question(served: ServedMember) -> Callable[[], Awaitable[Standing]]:
        member = str(MemberId.parse(served.member))

        async def ask() -> Standing:
            return parse_standing(await places.fetch(register, "standing", member=member, system=served.asks_as))

        return ask

    return {str(MemberId.parse(each.member)): question(each) for each in settings.members}
