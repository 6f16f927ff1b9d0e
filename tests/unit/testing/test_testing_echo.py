"""The echo service: honest about what it got, broken exactly where it is asked to be, and never in need of memory."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httptools
import pytest

from qaztech.testing.echo import BLOCK, MALFORMED, MIB, EchoService, stream_sha256


@pytest.fixture
async def service() -> AsyncIterator[EchoService]:
    async with EchoService() as started:
        yield started


async def talk(service: EchoService, *sent: bytes) -> bytes:
    """Send these bytes and read until the service closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.writelines(sent)
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    await writer.wait_closed()
    return answer


def request(path: str, body: bytes = b"", method: str = "POST", *headers: str) -> bytes:
    """A request after which the connection closes."""
    lines = [f"{method} {path} HTTP/1.1", "Host: x", "Connection: close", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def parts(answer: bytes) -> tuple[int, bytes]:
    """Status and body."""
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


async def echo(service: EchoService, *sent: bytes) -> dict[str, Any]:
    """What the service says it got."""
    status, body = parts(await talk(service, *sent))
    assert status == 200
    return json.loads(body)


async def test_it_says_what_it_got(service: EchoService) -> None:
    """Method, target and headers as they were, and the digest of the body."""
    got = await echo(service, request("/any/p%C3%A4th?q=1&q=2", b"hello", "PUT", "X-One: 1", "x-one:  2 "))
    assert (got["method"], got["target"]) == ("PUT", "/any/p%C3%A4th?q=1&q=2")
    assert [pair for pair in got["headers"] if pair[0].lower() == "x-one"] == [["X-One", "1"], ["x-one", "2"]]
    assert (got["size"], got["sha256"]) == (5, hashlib.sha256(b"hello").hexdigest())
    assert [call.target for call in service.calls] == ["/any/p%C3%A4th?q=1&q=2"]


async def test_a_chunked_body_is_counted_by_its_content(service: EchoService) -> None:
    """Framing is not part of the body."""
    chunks = b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    got = await echo(service, request("/x", b"", "POST", "Transfer-Encoding: chunked") + chunks)
    assert (got["size"], got["sha256"]) == (5, hashlib.sha256(b"abcde").hexdigest())


async def test_requests_of_a_connection_are_answered_in_order(service: EchoService) -> None:
    """Keep-alive and pipelining; the one that says close is the last."""
    first = b"POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
    answer = await talk(service, first, request("/2"), request("/3"))
    assert re.findall(rb'"target": "(/\d)"', answer) == [b"/1", b"/2"]
    assert answer.count(b"Connection: close") == 1


async def test_head_is_answered_without_a_body(service: EchoService) -> None:
    """With the length that GET would have."""
    status, body = parts(await talk(service, request("/x", method="HEAD")))
    assert (status, body) == (200, b"")


async def test_a_caller_that_waits_is_told_to_go_on(service: EchoService) -> None:
    """`Expect: 100-continue` is answered before the body is there."""
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(request("/x", b"", "POST", "Expect: 100-continue", "Content-Length: 2"))
    assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5) == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"ok")
    assert parts(await reader.read())[0] == 200
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("code", [200, 204, 304, 418, 503, 599])
async def test_a_status_can_be_had(service: EchoService, code: int) -> None:
    """Known or not, and without a body."""
    assert parts(await talk(service, request(f"/status/{code}"))) == (code, b"")


@pytest.mark.parametrize("path", ["/status/99", "/status/x", "/delay/nan", "/stream/-1", "/malformed/no-such-kind"])
async def test_what_cannot_be_had_is_echoed(service: EchoService, path: str) -> None:
    """A path that asks for nothing known is like any other."""
    assert (await echo(service, request(path)))["target"] == path


async def test_it_can_be_slow(service: EchoService) -> None:
    """The answer comes after the delay, not before."""
    began = time.monotonic()
    assert (await echo(service, request("/delay/0.2")))["target"] == "/delay/0.2"
    assert time.monotonic() - began >= 0.2


async def test_it_can_close_before_its_answer(service: EchoService) -> None:
    """Without a byte; the call was heard all the same."""
    assert await talk(service, request("/close")) == b""
    assert len(service.calls) == 1


async def test_it_can_close_in_the_middle_of_its_answer(service: EchoService) -> None:
    """Half of what was announced comes."""
    answer = await talk(service, request("/close-mid-body"))
    assert f"Content-Length: {2 * len(BLOCK)}\r\n".encode() in answer
    assert parts(answer) == (200, BLOCK)


class Reader:
    """A parser's other half that counts whole answers."""

    def __init__(self) -> None:
        self.complete = 0

    def on_message_complete(self) -> None:
        self.complete += 1


@pytest.mark.parametrize("kind", MALFORMED)
async def test_it_can_answer_what_is_not_http(service: EchoService, kind: str) -> None:
    """Every kind is refused by a parser, or is a framing that two readers could take differently."""
    answer = await talk(service, request(f"/malformed/{kind}"))
    assert answer == MALFORMED[kind]
    try:
        httptools.HttpResponseParser(Reader()).feed_data(answer)
    except httptools.HttpParserError:
        return
    assert b"Content-Length" in answer
    assert b"Transfer-Encoding" in answer


async def test_a_caller_that_speaks_no_http_is_told_so(service: EchoService) -> None:
    """400, and the connection ends."""
    assert parts(await talk(service, b"what?\r\n\r\n"))[0] == 400


@pytest.mark.parametrize("query", ["", "?chunked"])
async def test_a_stream_has_the_length_and_the_digest_it_should_have(service: EchoService, query: str) -> None:
    """Announced or chunked, the same bytes."""

    def fetch() -> bytes:
        connection = HTTPConnection("127.0.0.1", service.port, timeout=10)
        connection.request("GET", f"/stream/3{query}")
        body = connection.getresponse().read()
        connection.close()
        return body

    body = await asyncio.to_thread(fetch)
    assert len(body) == 3 * MIB
    assert hashlib.sha256(body).hexdigest() == stream_sha256(3)


async def test_a_sink_says_how_much_it_took(service: EchoService) -> None:
    """And nothing else."""
    assert await echo(service, request("/sink", BLOCK * 5)) == {"size": 5 * len(BLOCK)}


async def test_a_slow_sink_holds_its_sender_back(service: EchoService) -> None:
    """At 1 MiB a second, 32 MiB are not taken in a moment: what is not read waits at the sender."""
    _, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(request("/sink/1", b"", "POST", f"Content-Length: {32 * MIB}"))
    writer.write(bytes(32 * MIB))
    await asyncio.sleep(0.2)
    assert writer.transport.get_write_buffer_size() > 16 * MIB
    writer.transport.abort()


async def test_it_stops_though_a_caller_reads_no_more(service: EchoService) -> None:
    """Stopping waits for nobody, and the same port can be had again."""
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port, limit=1024)
    writer.write(request("/stream/100"))
    await reader.readline()
    port = service.port
    await asyncio.wait_for(service.stop(), 2)
    await service.start()
    assert service.port == port
    assert (await echo(service, request("/again")))["target"] == "/again"
    writer.transport.abort()


@pytest.fixture
def process() -> Iterator[tuple[int, int]]:
    """The service as a process: its port and its id."""
    started = subprocess.Popen([sys.executable, "-m", "qaztech.testing.echo"], stdout=subprocess.PIPE, text=True)
    assert started.stdout is not None
    with started.stdout:
        yield int(started.stdout.readline().rpartition(":")[2]), started.pid
        started.send_signal(signal.SIGTERM)
        assert started.wait(5) == 0


def test_memory_does_not_grow_with_what_passes(process: tuple[int, int]) -> None:
    """64 MiB each way, and the peak is where it was; a reader that is slow does not make it buffer."""
    port, pid = process

    def peak() -> int:
        return int(re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[1])  # type: ignore[index]

    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("POST", "/sink", BLOCK)
    connection.getresponse().read()
    before = peak()
    connection.request("POST", "/sink", (BLOCK for _ in range(1024)), {"Content-Length": str(64 * MIB)})
    assert json.loads(connection.getresponse().read()) == {"size": 64 * MIB}
    connection.request("GET", "/stream/64")
    answer = connection.getresponse()
    time.sleep(0.2)  # a service without back-pressure would have it all in its buffer by now
    size = 0
    while piece := answer.read(MIB):
        size += len(piece)
    connection.close()
    assert size == 64 * MIB
    assert peak() - before < 8 * 1024
