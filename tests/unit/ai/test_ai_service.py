"""The register's service: a member sees and changes its own cards, by whoever its node says it is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ai_cards import CARD, DAY, OTHER, OWNER
from asgi_caller import Answer, Caller
from databases import database_at
from qaztech.ai.register.client import RegisterClient
from qaztech.ai.register.service import PLACE, RegisterService, register_routes
from qaztech.ai.register.standing import parse_standing
from qaztech.ai.register.store import METADATA, CardStore, Origin
from qaztech.ai.terms import begin_of
from qaztech.core.errors import Conflict, Forbidden, Malformed, NotFound, Unavailable
from qaztech.core.ids import ServiceId, SubsystemId
from qaztech.core.time import ManualClock
from qaztech.people.tables import PEOPLE
from qaztech.runtime.database import add_tables, open_database
from qaztech.runtime.shell import application
from served_app import Served

SERVICE = ServiceId.parse("KZ/EDU/991340000041/support-center/ai-register")
OWN, OTHERS = f"{OWNER}/health", f"{OTHER}/health"
MESSAGE = "0199b2f4-6c1d-7a52-9c3e-5b0c0f1f7a11"


class Register:
    """The service in front of which a node stands."""

    def __init__(self, path: Path) -> None:
        self.clock = ManualClock(begin_of(DAY) + 43_200_000)
        engine = open_database(database_at(path / "hub.db"), METADATA)
        add_tables(engine, PEOPLE)
        self.store = CardStore(engine, self.clock)
        self.app = application(register_routes(RegisterService(self.store, self.clock)))

    def ask(self, method: str, path: str, body: Any = None, client: str = OWN, address: str = "127.0.0.1") -> Answer:
        """One exchange as the node brings it."""
        data = b"" if body is None else body if isinstance(body, bytes) else msgspec.json.encode(body)
        headers = {"x-road-client": client, "x-road-request-id": MESSAGE, "host": "127.0.0.1:8404"}
        return asyncio.run(Caller(self.app, address).call(method, f"{PLACE}{path}", data, headers))

    def draft(self, card: Any = CARD, version: int = 0, client: str = OWN) -> Answer:
        return self.ask("PUT", f"/cards/{CARD.id}", {"card": card, "version": version}, client)

    def act(self, act: str, version: int, client: str = OWN, reason: str = "") -> Answer:
        return self.ask("POST", f"/cards/{CARD.id}/acts", {"act": act, "version": version, "reason": reason}, client)


@pytest.fixture
def register(tmp_path: Path) -> Register:
    """An empty one."""
    return Register(tmp_path)


def refused(answer: Answer, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_member_drafts_and_declares_and_gateways_are_told(register: Register) -> None:
    """With the history, what may be done next, and by which exchange it came."""
    drafted = register.draft().json()
    assert (drafted["state"], drafted["version"], drafted["why"]) == ("draft", 1, "not-reviewed")
    assert drafted["acts"] == ["declare", "retire"]
    assert register.act("declare", 1).json()["events"][0]["message"] == MESSAGE
    register.store.act(CARD.id, "approve", Origin(by="aigul", role="reviewer"), reason="", version=2)
    assert register.act("serve", 3).json()["why"] is None
    standing = parse_standing(register.ask("GET", "/standing").raw)
    assert standing.time == register.clock.now()
    assert [(card.id, card.callable, card.system) for card in standing.cards] == [(CARD.id, True, "health")]
    assert [card["state"] for card in register.ask("GET", "/cards").json()] == ["in-service"]


def test_another_member_sees_and_changes_nothing(register: Register) -> None:
    """Neither by reading nor by writing in the owner's name; an act is told that there is no such card."""
    register.draft()
    assert register.ask("GET", "/cards", client=OTHERS).json() == []
    assert json.loads(register.ask("GET", "/standing", client=OTHERS).raw)["cards"] == []
    refused(register.ask("GET", f"/cards/{CARD.id}", client=OTHERS), 404, "ai.card.unknown")
    refused(register.draft(version=1, client=OTHERS), 403, "ai.card.owner")
    refused(register.draft(msgspec.structs.replace(CARD, owner=OTHER), 1, OTHERS), 409, "ai.card.taken")
    refused(register.act("retire", 1, OTHERS, "x"), 404, "ai.card.unknown")
    assert register.store.card(CARD.id).version == 1


def test_an_owner_is_no_reviewer(register: Register) -> None:
    """Whatever it sends."""
    register.draft()
    register.act("declare", 1)
    refused(register.act("approve", 2), 403, "ai.card.role")
    refused(register.act("return", 2, reason="x"), 403, "ai.card.role")
    refused(register.act("serve", 2), 409, "ai.card.state")


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/cards/call-triage", b"", 400),
        ("/cards/call-triage", b"[" * 100_000, 400),
        ("/cards/call-triage", b"\xff", 400),
        ("/cards/call-triage", b" " * 300_000, 429),
        ("/cards/call-triage", {"card": {}, "version": 0}, 400),
        ("/cards/other-card", {"card": msgspec.to_builtins(CARD), "version": 0}, 400),
        ("/cards/call-triage", {"card": msgspec.to_builtins(CARD), "version": -1}, 400),
        ("/cards/call-triage", {"card": msgspec.to_builtins(CARD), "version": 0, "state": "in-service"}, 400),
        ("/cards/call-triage", {"card": {**msgspec.to_builtins(CARD), "risk_review": "2030-01-01"}}, 400),
    ],
)
def test_what_is_no_card_changes_nothing(register: Register, path: str, body: Any, status: int) -> None:
    """However it is broken."""
    assert register.ask("PUT", path, body).status_code == status
    assert register.store.cards() == []


def test_only_the_own_node_is_answered(register: Register) -> None:
    """Not another machine, and not who names nobody."""
    refused(register.ask("GET", "/cards", address="192.0.2.7"), 403, "operational.remote")
    assert register.ask("GET", "/cards", client="").status_code == 400


def through_a_node(register: Register, client: list[str]) -> Callable[..., Any]:
    """An edge that brings calls to the service as a node does."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            path = scope["path"].removeprefix(f"/r1/{SERVICE}")
            headers = [pair for pair in scope["headers"] if pair[0] not in {b"host", b"x-road-client"}]
            client.append(dict(scope["headers"])[b"x-road-client"].decode())
            headers += [(b"host", b"127.0.0.1"), (b"x-road-client", client[-1].encode())]
            scope = {**scope, "path": PLACE + path, "raw_path": (PLACE + path).encode(), "headers": headers}
        await register.app(scope, receive, send)

    return app


def test_a_console_asks_it_through_its_own_node(register: Register) -> None:
    """All that a member may do, and the register's refusals by their codes."""
    called: list[str] = []
    with Served(through_a_node(register, called)) as edge:
        client = RegisterClient(edge=edge.url, service=SERVICE, client=SubsystemId.parse(OWN))
        assert client.draft(CARD).version == 1
        assert client.act(CARD.id, "declare", "", 1).state == "declared"
        assert client.card(CARD.id).card == CARD
        assert [line.why for line in client.cards()] == ["not-reviewed"]
        assert not client.standing().cards[0].callable
        for attempt, kind, code in (
            (lambda: client.act(CARD.id, "approve", "", 2), Forbidden, "ai.card.role"),
            (lambda: client.act(CARD.id, "revise", "x", 1), Conflict, "ai.card.changed"),
            (lambda: client.card("../health"), NotFound, ""),
            (lambda: client.card("no-card"), NotFound, "ai.card.unknown"),
            (lambda: client.draft(msgspec.structs.replace(CARD, owner="x"), 2), Forbidden, "ai.card.owner"),
            (lambda: client.act(CARD.id, "publish", "", 2), Malformed, "ai.card.act"),
        ):
            with pytest.raises(kind) as caught:
                attempt()
            assert code in {"", caught.value.code}
        assert set(called) == {OWN}
    with pytest.raises(Unavailable):
        client.cards()
