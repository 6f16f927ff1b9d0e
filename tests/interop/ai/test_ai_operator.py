"""What an operator of a gateway is told when something is broken: health, counters, log, and the check."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from ai_books import MEMBER, ask, settlement
from model_gateway import Stand, gateway_stand, until
from qaztech.ai.gateway import counting
from qaztech.ai.gateway.answers import Usage
from qaztech.ai.gateway.keys import Key
from qaztech.ai.gateway.ledger import Ledger
from qaztech.ai.gateway.models import Deployment
from qaztech.ai.gateway.places import Node, Places
from qaztech.ai.gateway.serving import Settled
from qaztech.ai.gateway.standings import STALE_MS, Standings
from qaztech.ai.gateway.tables import AI_GATEWAY
from qaztech.ai.gateway.telling import Teller
from qaztech.ai.gateway.watching import Watch
from qaztech.ai.register.standing import Standing, standing_bytes
from qaztech.compose.gateway import check_settings, open_books, tokens_of
from qaztech.compose.gateway_check import check_gateway
from qaztech.core.errors import Error, Malformed, Unavailable
from qaztech.core.time import ManualClock, SystemClock
from qaztech.node.http_request import Request
from qaztech.node.http_server import HttpServer
from qaztech.runtime.database import open_database, sqlite_url
from qaztech.runtime.telemetry import Metrics

OWNER = str(MEMBER)
HOST = "KZ/QUASI/991340000027/models/chat"
REGISTER = "KZ/EDU/991340000037/support-center/ai-register"
ROOT = Path(__file__).parents[3]


class Register:
    """What the register answers: the cards, or why not."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.failure: Error | None = None
        self.asked = 0

    async def __call__(self) -> Standing:
        self.asked += 1
        if self.failure is not None:
            raise self.failure
        return Standing(time=self.clock.now(), cards=())


class Edge:
    """A node's edge in front of a register and of one host of models."""

    def __init__(self) -> None:
        self.server = HttpServer(on_request=self._request)
        self.fault = ""
        self.asked = 0

    def _request(self, request: Request) -> None:
        self.asked += 1
        if request.target.startswith(f"/r1/{HOST}/".encode()) and self.fault:
            request.respond(500, [(b"x-road-error", self.fault.encode())])
        elif request.target == f"/r1/{REGISTER}/standing".encode():
            request.respond(200, [], standing_bytes(Standing(time=SystemClock().now(), cards=())))
        else:
            request.respond(200, [(b"x-road-request-id", b"m-1")], b'{"data": [{"id": "echo"}]}')


@pytest.fixture
async def edge() -> AsyncIterator[tuple[Edge, str]]:
    """One, and its address."""
    edge = Edge()
    port = await edge.server.listen("127.0.0.1", 0)
    yield edge, f"http://127.0.0.1:{port}"
    await edge.server.drain(0.2)


async def test_a_register_that_is_away_is_said_once_and_its_return_too(
    clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """However often it is asked meanwhile."""
    caplog.set_level(logging.INFO, "qaztech.ai")
    register = Register(clock)
    standings = Standings({OWNER: register}, clock, every=0.01)
    standings.start()
    await until(lambda: register.asked > 2)
    register.failure = Unavailable("service.timeout", "no answer")
    await until(lambda: bool(standings.failing()))
    before = register.asked
    await until(lambda: register.asked > before + 3)
    clock.advance(STALE_MS + 1)
    await until(lambda: "so long" in caplog.text)
    register.failure = None
    await until(lambda: not standings.failing())
    await standings.close()
    said = [record.getMessage() for record in caplog.records]
    assert sum("does not answer" in each for each in said) == 1
    assert sum("so long" in each for each in said) == 1
    assert sum("answers again" in each for each in said) == 1


async def test_health_says_silent_when_calls_are_refused_for_it(engine: Engine, clock: ManualClock) -> None:
    """Not only before the first answer; a clock that is set back keeps no answer for longer."""
    standings = Standings({OWNER: Register(clock)}, clock)
    assert standings.silent() == [OWNER]
    await standings.refresh(OWNER)
    assert standings.silent() == []
    for step in (STALE_MS + 1, -2 * STALE_MS):
        clock.advance(step)
        assert standings.silent() == [OWNER]
        with pytest.raises(Unavailable, match="silent"):
            standings.card(OWNER, "letters-1")
        await standings.refresh(OWNER)
        assert standings.silent() == []


async def watch_of(engine: Engine, clock: ManualClock, places: Places) -> tuple[Watch, Ledger]:
    """A watch over a register that answers."""
    standings = Standings({OWNER: Register(clock)}, clock)
    await standings.refresh(OWNER)
    ledger = Ledger(engine, clock, "first")
    await ledger.start()
    return Watch(standings=standings, ledger=ledger, places=places, teller=Teller(ledger, places)), ledger


async def test_two_gateways_of_one_name_are_known_before_a_caller_meets_them(
    engine: Engine, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """The one that was there first says that its books are another's."""
    places = Places(None)
    watch, ledger = await watch_of(engine, clock, places)
    await watch.look()
    assert watch.reasons() == ()
    other = Ledger(engine, clock, "first")
    await other.start()
    await watch.look()
    await watch.look()
    assert watch.reasons() == ("ledger ai.gateway.superseded",)
    assert watch.gauges()["ai_books_kept"] == 0
    assert sum("books cannot be kept" in record.getMessage() for record in caplog.records) == 1
    await other.close()
    await ledger.close()


async def test_a_database_that_was_moved_away_is_known_without_a_call(tmp_path: Path, clock: ManualClock) -> None:
    """And that it is back."""
    file = tmp_path / "moved.db"
    engine = open_database(sqlite_url(file), AI_GATEWAY)
    watch, ledger = await watch_of(engine, clock, Places(None))
    file.rename(tmp_path / "away.db")
    await watch.look()
    assert watch.reasons() == ("ledger database.replaced",)
    (tmp_path / "away.db").rename(file)
    await watch.look()
    assert watch.reasons() == ()
    await ledger.close()
    engine.dispose()


async def test_a_disk_that_fills_up_is_warned_of_and_a_write_that_failed_is_a_reason(
    engine: Engine, clock: ManualClock, key: Key, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, not with the next look; the next write that is done takes it back."""
    monkeypatch.setattr("qaztech.ai.gateway.watching.ROOM", 1 << 60)
    ledger = Ledger(engine, clock, "first")
    await ledger.start()
    places = Places(None)
    watch = Watch(
        standings=Standings({}, clock), ledger=ledger, places=places, teller=Teller(ledger, places), directory=tmp_path
    )
    await watch.look()
    assert watch.warnings()[0].startswith("disk.low ")
    full = Unavailable("database.unavailable", "its disk is full")
    with monkeypatch.context() as broken:
        broken.setattr("qaztech.ai.gateway.books.Books.apply", lambda *_: (_ for _ in ()).throw(full))
        with pytest.raises(Unavailable):
            await ledger.reserved(ask(key))
        assert watch.reasons() == ("ledger database.unavailable",)
    await ledger.reserved(ask(key))
    assert watch.reasons() == ()
    await ledger.close()


async def test_a_node_that_is_away_is_called_by_its_name(engine: Engine, clock: ManualClock) -> None:
    """Not the provider's system: somebody else would be woken for it."""
    places = Places(Node(edge="http://127.0.0.1:9", tokens={}))
    watch, ledger = await watch_of(engine, clock, places)
    with pytest.raises(Unavailable) as caught:
        await places.fetch(REGISTER, "standing", member=OWNER, system="permits")
    assert (caught.value.code, caught.value.retry_after) == ("ai.node.away", 5)
    assert watch.reasons() == ("node.away",)
    places.reached()
    assert watch.reasons() == ()
    await ledger.close()
    await places.close()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who was not told is told again at once."""
    monkeypatch.setattr("qaztech.ai.gateway.telling.AGAIN_SECONDS", 0.02)


@pytest.mark.usefixtures("quick")
async def test_a_provider_that_cannot_be_told_is_said_once(
    engine: Engine, key: Key, edge: tuple[Edge, str], caplog: pytest.LogCaptureFixture
) -> None:
    """As a warning while calls go on, and in the log; until it is told."""
    clock = ManualClock(SystemClock().now())
    caplog.set_level(logging.INFO, "qaztech.ai")
    host, url = edge
    places = Places(Node(edge=url, tokens={}))
    ledger = Ledger(engine, clock, "first")
    await ledger.start()
    teller = Teller(ledger, places)
    watch = Watch(standings=Standings({}, clock), ledger=ledger, places=places, teller=teller)
    host.fault = "server.clientproxy.network_error"
    place = Deployment(name="there", service=HOST, model="echo", mode="local", prompt_price=1)
    call = ask(key)
    await ledger.reserved(call)
    await ledger.settled(settlement(call.call, 7, exchange="x-1", service=HOST, deployment="there"))
    teller.tell(
        Settled(
            call=call.call, place=place, member=OWNER, system="letters", exchange="x-1",
            usage=Usage(prompt=1, completion=1), cost=7, outcome="complete", answer="",
        )
    )  # fmt: skip
    await until(lambda: host.asked >= 4)
    assert watch.warnings() == (f"usage.untold 1 {HOST}",)
    assert watch.reasons() == ()
    host.fault = ""
    await until(lambda: len(teller) == 0)
    assert watch.warnings() == ()
    said = [record.getMessage() for record in caplog.records]
    assert [each for each in said if "provider" in each] == [
        "a provider was not told of usage; it is tried again until it is", "a provider is told of usage again"
    ]  # fmt: skip
    await ledger.close()
    await places.close()


async def test_a_provider_that_cannot_be_told_keeps_no_other_waiting(
    engine: Engine, clock: ManualClock, key: Key, edge: tuple[Edge, str]
) -> None:
    """Also where hundreds of its calls are to be told first."""
    host, url = edge
    host.fault = "server.serverproxy.access_denied"
    places = Places(Node(edge=url, tokens={}))
    ledger = Ledger(engine, clock, "first")
    await ledger.start()
    teller = Teller(ledger, places)
    for number, service in enumerate([HOST] * 200 + ["KZ/QUASI/991340000028/models/chat"]):
        place = Deployment(name="there", service=service, model="echo", mode="local", prompt_price=1)
        teller.tell(
            Settled(
                call=f"call-{number}", place=place, member=OWNER, system="letters", exchange="x-1",
                usage=Usage(prompt=1, completion=1), cost=7, outcome="complete", answer="",
            )
        )  # fmt: skip
    await until(lambda: len(teller) == 200)
    assert teller.deaf == {HOST}
    assert host.asked < 30
    await teller.drain(0)
    await ledger.close()
    await places.close()


@pytest.fixture
async def stand(engine: Engine, clock: ManualClock) -> AsyncIterator[Stand]:
    """A gateway."""
    async with gateway_stand(engine, clock=clock) as stand:
        yield stand


async def test_every_way_a_call_ends_is_counted(stand: Stand) -> None:
    """Also what never came to be a call; by codes and outcomes of closed sets."""
    await stand.chat("one two")
    await stand.chat("same", model="cached")
    await stand.chat("same", model="cached")
    await stand.chat("x", key="qk-000000000000-00")
    await stand.post("/v1/chat/completions", b"{")
    await stand.chat("x", model="gone")
    told = (await stand.send("GET", "/metrics", key="")).body.decode()
    for line in (
        'ai_calls_total{outcome="complete"} 2', 'ai_calls_total{outcome="cached"} 1',
        'ai_calls_total{outcome="refused"} 2', 'ai_calls_total{outcome="failed"} 1',
        'ai_refused_total{code="ai.key.unknown"} 1', 'ai_refused_total{code="ai.call.json"} 1',
        'ai_refused_total{code="service.unreachable"} 1', 'ai_tokens_total{kind="prompt"} 3',
        "ai_cost_microtenge_total ", "ai_ready 1",
    ):  # fmt: skip
        assert f"qaztech_{line}" in told


def test_codes_that_are_counted_are_those_of_the_reference() -> None:
    """Every one is described; any other is `other`."""
    page = (ROOT / "docs" / "reference" / "errors.md").read_text()
    assert set(re.findall(r"`([a-z]+\.[a-z.-]+)`", page)) >= counting.CODES
    metrics = Metrics()
    counting.count_refusal(metrics, Unavailable("some.text of a caller", "x"))
    assert b'code="other"' in metrics.render({})


SETTINGS = """
directory = "."
edge = "EDGE"
register = "REGISTER"
[[members]]
member = "KZ/GOV/991340000017"
asks_as = "permits"
TOKENS
[[models]]
name = "small"
[[models.deployments]]
name = "there"
service = "HOST"
model = "echo"
mode = "closed"
prompt_price = 2000
"""


def settings_at(directory: Path, edge: str = "http://127.0.0.1:9", **changes: str) -> Path:
    """A gateway.toml."""
    values = {"EDGE": edge, "REGISTER": REGISTER, "HOST": HOST, "TOKENS": ""} | changes
    text = SETTINGS
    for name, value in values.items():
        text = text.replace(name, value)
    file = directory / "gateway.toml"
    file.write_text(text)
    return file


def test_the_register_is_asked_every_fifteen_seconds_unless_said_otherwise(tmp_path: Path) -> None:
    """Each question is an exchange on record."""
    settings, engine = open_books(settings_at(tmp_path))
    engine.dispose()
    assert settings.register_seconds == 15
    file = settings_at(tmp_path, TOKENS="")
    file.write_text(f"register_seconds = 60\n{file.read_text()}")
    settings, engine = open_books(file)
    engine.dispose()
    assert settings.register_seconds == 60


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"REGISTER": "KZ/EDU/x"}, "register"),
        ({"TOKENS": 'tokens = { permits = "gone.token" }'}, "gone.token"),
        ({"TOKENS": 'tokens = { permits = "empty.token" }'}, "empty.token"),
        ({"TOKENS": 'tokens = { permits = "other.token" }'}, "other.token"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(tmp_path: Path, change: dict[str, str], named: str) -> None:
    """With its file or its value."""
    (tmp_path / "empty.token").write_text("\n")
    (tmp_path / "other.token").write_bytes(b"\xff\xfe")
    file = settings_at(tmp_path, **change)
    settings, engine = open_books(file)
    engine.dispose()
    with pytest.raises(Malformed, match=named):  # noqa: PT012 - either of the two may find it
        check_settings(settings)
        tokens_of(file, settings)


async def test_the_check_says_step_by_step_what_is_there(tmp_path: Path, edge: tuple[Edge, str]) -> None:
    """And what to do about what is not; it makes no file."""
    host, url = edge
    file = settings_at(tmp_path, url)
    steps = await check_gateway(file)
    assert [step.good for step in steps] == [True] * 5
    assert not (tmp_path / "gateway.db").exists()
    host.fault = "server.serverproxy.unknown_service"
    steps = await check_gateway(file)
    assert [step.good for step in steps] == [True, True, True, True, False]
    assert "correct the service" in steps[-1].advice
    assert "(server.serverproxy.unknown_service)" in steps[-1].said
    away = await check_gateway(settings_at(tmp_path))
    assert [(step.what, step.code) for step in away if not step.good] == [("node", "ai.node.away")]
    (wrong,) = await check_gateway(settings_at(tmp_path, REGISTER="x"))
    assert (wrong.what, wrong.code) == ("settings", "ai.gateway.setting")
    assert json.dumps(wrong.said)
    await asyncio.sleep(0)
