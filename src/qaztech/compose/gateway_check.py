"""Looks at everything a gateway needs, step by step, beside a gateway that may be running: nothing is changed.

For whoever sets one up, and whoever is called at night. Each step says what to do where it fails.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text

from qaztech.ai.gateway.models import Deployment
from qaztech.ai.gateway.places import Node, Places
from qaztech.ai.gateway.tables import AI_GATEWAY
from qaztech.compose.gateway import GatewaySettings, check_settings, questions, tokens_of
from qaztech.core.errors import Error, Malformed, Unavailable
from qaztech.core.ids import MemberId
from qaztech.core.time import SystemClock
from qaztech.runtime.database import database_url, open_database, reading, standing_of
from qaztech.runtime.settings import read_settings

_PATIENCE = 10.0
# What an answer says of the cause, and what mends it.
_ADVICE = {
    "ai.node.away": "start the body's node, or correct `edge`",
    "service.timeout": "look at the node's /status and at the host's node",
    "unknown_member": "correct `member` and `asks_as`: the registry lists no such system of this node",
    "unknown_service": "correct the service: its host offers none of that name",
    "access_denied": "ask the host for a right to GET /v1/models and POST /v1/…; of the register, to /standing",
    "network_error": "a process behind that node is away: tell its operator",
    "authentication": "the edge asks for a token: name it under `tokens`",
    "database.": "see the runbook: a database is held, full or damaged",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing looked at; `said` is what was found, or what is wrong, and `advice` what to do about it."""

    what: str
    good: bool
    said: str
    code: str = ""
    advice: str = ""


async def check_gateway(path: Path) -> list[Step]:
    """Every step, the first failure of the settings being the last."""
    try:
        settings = read_settings(path, GatewaySettings)
        check_settings(settings)
        tokens = tokens_of(path, settings)
        places = Places(Node(edge=settings.edge, tokens=tokens))
    except Error as exc:
        return [_bad("settings", exc)]
    steps = [Step(what="settings", good=True, said=f"{len(settings.models)} models, {len(settings.members)} members")]
    steps.append(await asyncio.to_thread(_books, path, settings))
    try:
        steps += await _over_the_backbone(settings, places)
    finally:
        await places.close()
    return steps


def _books(path: Path, settings: GatewaySettings) -> Step:
    what = "database"
    file = (path.parent / settings.directory).resolve() / "gateway.db"
    try:
        if not settings.database and not file.exists():
            return Step(what=what, good=True, said="not made yet: it is made when keys are issued, or at the start")
        url = database_url(settings.database, file)
        if any(each.is_newer or each.changes for each in standing_of(url)):
            return Step(what=what, good=True, said="is of another release: it is brought up when the gateway starts")
        engine = open_database(url, AI_GATEWAY, new=False)
        try:
            keys, budgets = _count(engine)
        finally:
            engine.dispose()
    except Error as exc:
        return _bad(what, exc)
    except OSError as exc:
        return _bad(what, Unavailable("database.unavailable", f"{exc.strerror}: {file.name}"))
    return Step(what=what, good=True, said=f"{keys} keys that are not revoked, {budgets} budgets")


def _count(engine: Engine) -> tuple[int, int]:
    with reading(engine) as db:
        keys = db.execute(text("SELECT COUNT(*) FROM ai_keys WHERE revoked IS NULL")).scalar_one()
        return keys, db.execute(text("SELECT COUNT(*) FROM ai_budgets")).scalar_one()


async def _over_the_backbone(settings: GatewaySettings, places: Places) -> list[Step]:
    asks = questions(settings, places)
    looked = [_step(f"register for {member}", _standing(ask())) for member, ask in asks.items()]
    first = settings.members[0]
    member = str(MemberId.parse(first.member))
    seen: set[tuple[str, str]] = set()
    for model in settings.models:
        for place in model.deployments:
            if place.service and (place.service, place.model) not in seen:
                seen.add((place.service, place.model))
                call = _models(places, place, member, first.asks_as)
                looked.append(_step(f"{model.name} at {place.name} ({place.service})", call))
    steps = list(await asyncio.gather(*looked))
    if places.is_node_away:
        return [_bad("node", Unavailable("ai.node.away", f"nobody answers at {settings.edge}"))]
    return [Step(what="node", good=True, said=f"answers at {settings.edge}"), *steps]


async def _step(what: str, looking: Awaitable[str]) -> Step:
    try:
        async with asyncio.timeout(_PATIENCE + 5):
            return Step(what=what, good=True, said=await looking)
    except Error as exc:
        return _bad(what, exc)
    except TimeoutError:
        return _bad(what, Unavailable("service.timeout", "no answer came in time"))


async def _standing(asking: Awaitable[Any]) -> str:
    standing = await asking
    callable_now = sum(card.callable for card in standing.cards)
    return f"{callable_now} of {len(standing.cards)} cards may be called; its time is {_apart(standing.time)}"


def _apart(time: int) -> str:
    seconds = (SystemClock().now() - time) / 1000
    return "ours" if abs(seconds) < 30 else f"{abs(seconds):.0f} s {'behind' if seconds > 0 else 'ahead of'} ours"


async def _models(places: Places, place: Deployment, member: str, system: str) -> str:
    data = await places.fetch(place.service, "v1/models", member=member, system=system, patience=_PATIENCE)
    try:
        names = [str(each["id"]) for each in json.loads(data)["data"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Malformed("ai.answer.malformed", "GET /v1/models answers no list of models", at="service") from None
    if place.model not in names:
        return f"answers, and does not list {place.model!r} among its {len(names)} models"
    return f"answers, and has {place.model}"


def _bad(what: str, error: Error) -> Step:
    key = f"{error.code} {error.context}"
    advice = next((said for part, said in _ADVICE.items() if part in key), "")
    return Step(what=what, good=False, said=error.detail, code=error.code, advice=advice)
