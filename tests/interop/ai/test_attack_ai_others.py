"""What others try: who has no key, another body that shares the gateway, a register that answers as it likes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import Engine

from model_gateway import IIN, Stand, gateway_stand, until
from qaztech.ai.gateway.gateway import GatewayLimits
from qaztech.ai.gateway.places import Node, Places
from qaztech.ai.gateway.shares import Readers, Shares
from qaztech.ai.gateway.standings import Standings
from qaztech.ai.register.standing import Standing
from qaztech.core.errors import Limited, Unavailable
from qaztech.core.time import ManualClock

SERVICE = "KZ/GOV/991340000058/support-center/ai-register"
MEMBER = "KZ/GOV/991340000017"


@pytest.fixture
async def stand(engine: Engine, clock: ManualClock) -> AsyncIterator[Stand]:
    """A gateway that reads little at once."""
    limits = GatewayLimits(prompt=400_000, reading=500_000, held=800_000)
    async with gateway_stand(engine, clock=clock, limits=limits, tenge=1_000_000, tokens_per_minute=10**8) as stand:
        yield stand


async def test_who_has_no_key_is_not_read(stand: Stand) -> None:
    """Bodies that are begun and never ended take no memory, and no turn, from those who have one."""
    port = int(stand.url.rpartition(":")[2])
    keys = ["qk-", "x", f"qk-{'0' * 12}-{'0' * 48}", stand.shown[:-1] + ("1" if stand.shown.endswith("0") else "0")]
    writers = []
    for number in range(8):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {keys[number % 4]}\r\n"
        writer.write(f"{head}Content-Length: 390000\r\n\r\n".encode() + b"x" * 200_000)
        answer = await asyncio.wait_for(reader.read(100), 5)
        assert answer.startswith(b"HTTP/1.1 401")
        writers.append(writer)
    assert stand.gateway._reading == 0
    assert (await stand.chat("word " * 30_000)).status == 200
    for writer in writers:
        writer.close()


async def test_prompts_that_are_held_are_bounded(stand: Stand) -> None:
    """A call that hangs holds its prompt; what is left stays for others, and comes back."""
    asked = [asyncio.create_task(stand.chat("word " * 40_000, model="stuck")) for _ in range(6)]
    await until(lambda: sum(each.done() for each in asked) >= 3)
    refused = [each.result() for each in asked if each.done()]
    assert {each.status for each in refused} == {429}
    assert stand.gateway._kit.shares.held <= 800_000
    assert (await stand.chat("hello")).status == 200
    await stand.client.close()
    for each in asked:
        each.cancel()


def test_no_member_has_all_there_is() -> None:
    """Neither of calls nor of memory; what was given back can be had again."""
    shares = Shares(calls=8, held=800)
    for _ in range(6):
        shares.take("a", 100)
    with pytest.raises(Limited):
        shares.take("a", 0)
    shares.take("b", 100)
    with pytest.raises(Limited):
        shares.take("c", 101)
    for _ in range(6):
        shares.give("a", 100)
    shares.take("a", 600)
    shares.give("b", 100)
    shares.give("a", 600)
    assert shares.held == 0


async def test_texts_are_read_in_turn_by_member() -> None:
    """Whoever comes with a hundred long ones does not keep another waiting."""
    readers = Readers(asyncio.get_running_loop())
    stops = threading.Event()
    order: list[str] = []
    for number in range(100):
        readers.read("a", lambda: stops.wait(5), lambda _, n=number: order.append(f"a{n}"))  # type: ignore[misc]
    readers.read("b", lambda: None, lambda _: order.append("b"))
    await until(lambda: order == ["b"])
    stops.set()
    await until(lambda: len(order) == 101)
    assert order[1:4] == ["a0", "a1", "a2"]
    readers.close()


async def test_a_register_that_drips_is_left_and_asked_again() -> None:
    """An answer that never ends does not end the asking."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while True:
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.02)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            writer.close()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    places = Places(Node(edge=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", tokens={}))
    try:
        with pytest.raises(Unavailable):
            await asyncio.wait_for(places.fetch(SERVICE, "standing", member=MEMBER, system="s", patience=0.2), 3)
    finally:
        await places.close()
        server.close()


async def test_asking_survives_every_answer(clock: ManualClock) -> None:
    """A fault in what reads an answer is one more answer that was none."""
    asked = 0

    async def ask() -> Standing:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise ValueError(IIN)
        return Standing(time=0, cards=())

    standings = Standings({MEMBER: ask}, clock, every=0.01)
    standings.start()
    await until(lambda: MEMBER in standings.ages())
    await standings.close()
