"""A provider is told of each call's usage, once, also where it or the gateway was away."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import Engine

from ai_books import ask, settlement
from model_gateway import until
from qaztech.ai.gateway.answers import Usage
from qaztech.ai.gateway.keys import Key
from qaztech.ai.gateway.ledger import Ledger
from qaztech.ai.gateway.models import Deployment, Model
from qaztech.ai.gateway.places import Node, Places
from qaztech.ai.gateway.serving import Settled
from qaztech.ai.gateway.telling import Teller, usage_line
from qaztech.ai.gateway.usage import untold
from qaztech.core.time import ManualClock
from qaztech.node.http_request import Request
from qaztech.node.http_server import HttpServer

SERVICE = "KZ/QUASI/123/models/chat"
PLACE = Deployment(name="there", service=SERVICE, model="echo", version="v1", mode="local", prompt_price=1)


class Edge:
    """A node's edge that counts what it is told, or refuses."""

    def __init__(self) -> None:
        self.heard: list[dict[str, str]] = []
        self.refuses = False
        self.server = HttpServer(on_request=self._request)

    def _request(self, request: Request) -> None:
        headers = {name.decode().lower(): value.decode() for name, value in request.headers}
        assert request.target == f"/r1/{SERVICE}/v1/models".encode()
        self.heard.append(headers)
        if self.refuses:
            request.respond(500, [(b"x-road-error", b"server.clientproxy.network_error")])
        else:
            request.respond(200, [(b"x-road-request-id", b"usage-1")], b"{}")


async def test_who_was_not_told_is_told_later(
    engine: Engine, clock: ManualClock, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the same process, or by the next one from the ledger."""
    monkeypatch.setattr("qaztech.ai.gateway.telling.AGAIN_SECONDS", 0.1)
    edge = Edge()
    port = await edge.server.listen("127.0.0.1", 0)
    places = Places(Node(edge=f"http://127.0.0.1:{port}", tokens={f"{key.member}/letters": "t0"}))
    ledger = Ledger(engine, clock, "first")
    await ledger.start()
    first, second = ask(key), ask(key)
    for each in (first, second):
        await ledger.reserved(each)
        await ledger.settled(settlement(each.call, 7, exchange="x-1", service=SERVICE, deployment="there"))
    teller = Teller(ledger, places)
    edge.refuses = True
    told = Settled(
        call=first.call, place=PLACE, member=str(key.member), system="letters", exchange="x-1",
        usage=Usage(prompt=40, completion=60), cost=7, outcome="complete", answer="a" * 64,
    )  # fmt: skip
    teller.tell(told)
    await until(lambda: len(edge.heard) >= 2)
    edge.refuses = False
    await until(lambda: len(teller) == 0)
    last = edge.heard[-1]
    assert last["x-qaztech-ai-usage"] == usage_line(told).decode()
    assert (last["x-road-client"], last["authorization"]) == (f"{key.member}/letters", "Bearer t0")
    await asyncio.sleep(0.1)
    rows = untold(engine, "first")
    assert [row.id for row in rows] == [second.call]

    again = Teller(ledger, places)
    again.resume([(row, str(key.member)) for row in rows], [Model(name="small", deployments=(PLACE,))])
    await until(lambda: not untold(engine, "first"))
    assert f"call={second.call}" in edge.heard[-1]["x-qaztech-ai-usage"]
    assert "cost=7;" in edge.heard[-1]["x-qaztech-ai-usage"]
    await again.drain(1)
    await ledger.close()
    await places.close()
    await edge.server.drain(0.2)
