"""A gateway on this machine with a stand-in for models behind it, and a caller that says what it got."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, text

from ai_books import MEMBER, issue
from qaztech.ai.gateway.budgets import Budget, Budgets
from qaztech.ai.gateway.gateway import Gateway, GatewayLimits
from qaztech.ai.gateway.keys import Key, Keys
from qaztech.ai.gateway.ledger import Ledger
from qaztech.ai.gateway.models import Deployment, Model
from qaztech.ai.gateway.places import Places
from qaztech.ai.gateway.serving import Settled
from qaztech.ai.personal.spans import Finder, Span
from qaztech.ai.register.standing import CardStanding
from qaztech.core.time import ManualClock
from qaztech.node.http_client import HttpClient
from qaztech.runtime.database import reading
from qaztech.testing.models import FAULTS, MODEL, ModelStandIn

IIN = "990101300006"
CARD = CardStanding(
    id="letters-1", owner=str(MEMBER), system="letters", state="in-service", callable=True, risk="medium",
    mode="open", highest_class="restricted",
)  # fmt: skip


class TwelveDigits:
    """Finds numbers of twelve digits, and names that begin with Айгүл: enough to see what is done with them."""

    def find(self, text: str) -> tuple[Span, ...]:
        """Every one."""
        found = [Span(*match.span(), "iin") for match in re.finditer(r"(?<!\d)\d{12}(?!\d)", text)]
        found += [Span(*match.span(), "name") for match in re.finditer(r"Айгүл \w+", text)]
        return tuple(sorted(found))


@dataclass(slots=True)
class Said:
    """An answer: status, headers in small letters, body; `pieces` as they came."""

    status: int
    headers: dict[str, str]
    pieces: list[bytes] = field(default_factory=list)
    broken: str = ""

    @property
    def body(self) -> bytes:
        """All of it."""
        return b"".join(self.pieces)

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def events(self) -> list[Any]:
        """The events of a stream: JSON, or text."""
        lines = [line[6:] for line in self.body.decode().split("\n\n") if line.startswith("data: ")]
        return [json.loads(line) if line.startswith("{") else line for line in lines]

    @property
    def text(self) -> str:
        """What a stream of a chat says."""
        choices = [each["choices"][0] for each in self.events if isinstance(each, dict) and each.get("choices")]
        return "".join(choice.get("delta", {}).get("content") or choice.get("text") or "" for choice in choices)


@dataclass(slots=True, kw_only=True)
class Stand:
    """Everything of one test."""

    gateway: Gateway
    url: str
    client: HttpClient
    server: ModelStandIn
    engine: Engine
    ledger: Ledger
    keys: Keys
    budget: Budget
    key: Key
    shown: str
    settled: list[Settled]
    cards: dict[str, CardStanding]

    async def post(self, path: str, body: Any, *, key: str | None = None, **headers: str) -> Said:
        """One call, until its end."""
        data = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        return await self.send("POST", path, data, key=key, **headers)

    async def chat(self, said: Any, *, model: str = "small", **more: Any) -> Said:
        """A chat of one message."""
        headers = {name: more.pop(name) for name in ("key", "data_class") if name in more}
        if "data_class" in headers:
            headers["x_qaztech_data_class"] = headers.pop("data_class")
        body = {"model": model, "messages": [{"role": "user", "content": said}], **more}
        return await self.post("/v1/chat/completions", body, **headers)

    async def send(self, method: str, path: str, data: bytes = b"", *, key: str | None = None, **headers: str) -> Said:
        """One request."""
        done: asyncio.Future[Said] = asyncio.get_running_loop().create_future()
        said = Said(0, {})

        def answered(response: Any) -> None:
            said.status = response.status
            said.headers = {name.decode().lower(): value.decode() for name, value in response.headers}
            if response.body is not None:
                said.pieces.append(response.body)
                done.set_result(said)
            else:
                response.on_data, response.on_end = said.pieces.append, lambda: done.set_result(said)

        def failed(error: Any) -> None:
            said.broken = error.code
            if not done.done():
                done.set_result(said)

        lines = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        shown = self.shown if key is None else key
        if shown:
            lines.append((b"Authorization", f"Bearer {shown}".encode()))
        self.client.send(method, path.encode(), lines, data, on_response=answered, on_error=failed, timeout=20)
        return await asyncio.wait_for(done, 25)

    def rows(self) -> list[Any]:
        """The ledger."""
        with reading(self.engine) as db:
            return list(db.execute(text("SELECT * FROM ai_calls ORDER BY started, id")))

    def row(self) -> Any:
        """Its only call."""
        (row,) = self.rows()
        return row


def models(url: str) -> tuple[Model, ...]:
    """One that answers, and one for each way to misbehave."""

    def place(name: str, model: str, **more: Any) -> Deployment:
        form = {"mode": "local", "prompt_price": 1000, "completion_price": 2000, "max_completion": 100, "version": "v1"}
        return Deployment(name=name, model=model, url=url, **(form | more))

    return (
        Model(name="small", deployments=(place("here", MODEL),)),
        Model(name="vectors", kind="embedding", deployments=(place("here", MODEL),)),
        Model(name="cached", deployments=(place("here", MODEL),), cache_seconds=60),
        Model(name="two", deployments=(place("first", "broken"), place("second", MODEL, rank=1))),
        Model(
            name="spread",
            deployments=(
                place("abroad", MODEL, mode="closed", country="NL"), place("open", MODEL, mode="open"),
                place("closed", MODEL, mode="closed", rank=1), place("local", "broken", mode="local", rank=1),
            ),
        ),
        Model(name="hasty", deployments=(place("here", "stuck", first_byte_seconds=0.2),)),
        Model(name="gone", deployments=(Deployment(
            name="gone", model=MODEL, url="http://127.0.0.1:9", mode="local", prompt_price=1
        ),)),
        *(Model(name=fault, deployments=(place("here", fault, total_seconds=20.0),)) for fault in sorted(FAULTS)),
    )  # fmt: skip


@asynccontextmanager
async def gateway_stand(
    engine: Engine, *, clock: ManualClock, finder: Finder | None = None, limits: GatewayLimits | None = None,
    pace: float = 0.0, tenge: int = 10, more: tuple[Model, ...] = (), **changes: Any,
) -> AsyncIterator[Stand]:  # fmt: skip
    """A gateway, its stand-in and a key; `more` models than those of the stand-in."""
    server = ModelStandIn(pace=pace, remembers=100)
    offered = (*models(f"http://127.0.0.1:{await server.listen()}"), *more)
    keys = Keys(engine, clock)
    budget = Budgets(engine, clock).create(member=MEMBER, name="Chat", kind="month", tenge=tenge, by="aigerim")
    shown, key = issue(keys, budget, models=[model.name for model in offered], **changes)
    ledger = Ledger(engine, clock, "first", patience=0.3)
    await ledger.start()
    settled: list[Settled] = []
    cards = {CARD.id: CARD}
    places = Places(None)
    gateway = Gateway(
        models=offered, keys=keys, ledger=ledger, places=places, finder=finder or TwelveDigits(),
        card=lambda _, identifier: cards.get(identifier), clock=clock, settled=settled.append, ready=lambda: (),
        limits=limits,
    )  # fmt: skip
    port = await gateway.listen("127.0.0.1", 0)
    client = HttpClient(url=f"http://127.0.0.1:{port}")
    try:
        yield Stand(
            gateway=gateway, url=f"http://127.0.0.1:{port}", client=client, server=server, engine=engine, ledger=ledger,
            keys=keys, budget=budget,
            key=key, shown=shown, settled=settled, cards=cards,
        )  # fmt: skip
    finally:
        await client.close()
        await gateway.drain(0.5)
        await ledger.close()
        await places.close()
        await server.close()


async def until(holds: Callable[[], bool], seconds: float = 5.0) -> None:
    """Wait for something to become true."""
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.01)
