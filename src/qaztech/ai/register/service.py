"""The register's service on the backbone: a member's cards, its drafts and acts, and how cards stand for gateways.

It stands behind the centre's node in the centre's process. Who calls is what that node says; a member sees and changes
its own cards only, and another's are as if there were none. Pages are `web`'s.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from qaztech.ai.register.card import MOST_BYTES, Card
from qaztech.ai.register.life import MOST_REASON, STEPS, obstacles
from qaztech.ai.register.standing import Standing, standing_bytes
from qaztech.ai.register.store import CardEvent, CardStore, Kept, Origin
from qaztech.ai.terms import day_of
from qaztech.core.errors import Forbidden, Malformed, NotFound
from qaztech.core.ids import MemberId, SubsystemId
from qaztech.core.time import Clock
from qaztech.runtime.behind_node import calling_system, short_body

# Where the service is in the centre's process.
PLACE: Final = "/ai-register"
_T = TypeVar("_T", bound=msgspec.Struct)
_Version = Annotated[int, Meta(ge=0, le=10**9)]


class DraftForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole card as its owner writes it, and the version that it saw: 0 for a card that is new."""

    card: Card
    version: _Version = 0


class ActForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An act of the owner on the card as it was at `version`."""

    act: Annotated[str, Meta(max_length=40)]
    version: _Version
    reason: Annotated[str, Meta(max_length=MOST_REASON)] = ""


class Against(msgspec.Struct, frozen=True, kw_only=True):
    """Something that stands against a card, and of what, as programs read it."""

    why: str
    what: tuple[str, ...]


class CardLine(msgspec.Struct, frozen=True, kw_only=True):
    """A card in a list: its state, and why its system may not be called (None where it may)."""

    id: str
    system: str
    names: dict[str, str]
    state: str
    version: int
    why: str | None
    risk: str
    mode: str
    highest_class: str
    changed: int


class CardShown(msgspec.Struct, frozen=True, kw_only=True):
    """A card with its history, the acts that its owner may try now, and all that stands against it."""

    card: Card
    state: str
    version: int
    held: str
    created: int
    changed: int
    reviewed: int | None
    why: str | None
    until: int | None
    obstacles: tuple[Against, ...]
    acts: tuple[str, ...]
    events: tuple[CardEvent, ...] = ()


class RegisterService:
    """What a member may ask of the register. Blocks."""

    def __init__(self, store: CardStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def cards(self, member: MemberId) -> list[CardLine]:
        """The member's cards."""
        now = self._clock.now()
        return [card_line(kept, now) for kept in self._store.cards(owner=str(member))]

    def card(self, member: MemberId, identifier: str) -> CardShown:
        """One of the member's cards with its history. Raises `NotFound`."""
        kept = self._store.card(identifier)
        if kept.card.owner != str(member):
            raise NotFound("ai.card.unknown", "there is no such card", at="caller")
        return self._shown(kept)

    def draft(self, sender: SubsystemId, message: str, identifier: str, body: bytes) -> CardShown:
        """Keep a card as its owner writes it. Raises `Malformed`, `Forbidden`, `Conflict`."""
        form = _parsed(body, DraftForm)
        if form.card.id != identifier:
            raise Malformed("ai.card.malformed", "the card has another id than its address", at="caller")
        if form.card.owner != str(sender.member):
            raise Forbidden("ai.card.owner", "a member writes its own cards", at="caller")
        return self._shown(self._store.put(form.card, _origin(sender, message), version=form.version))

    def act(self, sender: SubsystemId, message: str, identifier: str, body: bytes) -> CardShown:
        """Do something with an own card. Raises `NotFound`, `Malformed`, `Forbidden`, `Conflict`."""
        form = _parsed(body, ActForm)
        kept = self._store.act(
            identifier, form.act, _origin(sender, message), reason=form.reason, version=form.version,
            owner=str(sender.member),
        )  # fmt: skip
        return self._shown(kept)

    def standing(self, member: MemberId) -> Standing:
        """How all the member's cards stand now."""
        now = self._clock.now()
        return Standing(time=now, cards=tuple(kept.standing(now) for kept in self._store.cards(owner=str(member))))

    def _shown(self, kept: Kept) -> CardShown:
        now = self._clock.now()
        return card_shown(kept, self._store.events(kept.card.id), now)


def card_line(kept: Kept, now: int) -> CardLine:
    """A card as a line of a list."""
    card = kept.card
    return CardLine(
        id=card.id, system=card.system, names=msgspec.to_builtins(card.names), state=kept.state, version=kept.version,
        why=kept.why(now), risk=card.risk, mode=card.mode, highest_class=card.highest_class, changed=kept.changed,
    )  # fmt: skip


def card_shown(kept: Kept, events: list[CardEvent], now: int) -> CardShown:
    """A card with all that its owner is told of it."""
    standing = kept.standing(now)
    return CardShown(
        card=kept.card, state=kept.state, version=kept.version, held=kept.held, created=kept.created,
        changed=kept.changed, reviewed=kept.reviewed, why=standing.why, until=standing.until,
        obstacles=tuple(Against(why=each.why, what=each.what) for each in obstacles(kept.card, day_of(now))),
        acts=tuple(name for name, each in STEPS.items() if kept.state in each.before and "owner" in each.roles),
        events=tuple(events),
    )  # fmt: skip


def register_routes(service: RegisterService) -> list[BaseRoute]:
    """The service's routes, for the process that answers the centre's node."""

    async def cards(request: Request) -> Response:
        return _json(await asyncio.to_thread(service.cards, calling_system(request).member))

    async def card(request: Request) -> Response:
        member = calling_system(request).member
        return _json(await asyncio.to_thread(service.card, member, request.path_params["id"]))

    async def draft(request: Request) -> Response:
        sender = calling_system(request)
        body = await short_body(request, MOST_BYTES)
        return _json(await asyncio.to_thread(service.draft, sender, _message(request), request.path_params["id"], body))

    async def act(request: Request) -> Response:
        sender = calling_system(request)
        body = await short_body(request, MOST_BYTES)
        return _json(await asyncio.to_thread(service.act, sender, _message(request), request.path_params["id"], body))

    async def standing(request: Request) -> Response:
        found = await asyncio.to_thread(service.standing, calling_system(request).member)
        return Response(standing_bytes(found), media_type="application/json")

    return [
        Route(f"{PLACE}/cards", cards, methods=["GET"]),
        Route(f"{PLACE}/cards/{{id}}", card, methods=["GET"]),
        Route(f"{PLACE}/cards/{{id}}", draft, methods=["PUT"]),
        Route(f"{PLACE}/cards/{{id}}/acts", act, methods=["POST"]),
        Route(f"{PLACE}/standing", standing, methods=["GET"]),
    ]


def _parsed(body: bytes, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise Malformed("ai.card.malformed", f"not the JSON expected: {str(exc)[:200]}", at="caller") from exc


def _origin(sender: SubsystemId, message: str) -> Origin:
    return Origin(by=str(sender), role="owner", message=message)


def _message(request: Request) -> str:
    return request.headers.get("x-road-request-id", "")[:64]


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
