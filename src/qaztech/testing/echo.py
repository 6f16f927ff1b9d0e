"""A tiny honest HTTP service for tests and local measurements: it says what it got, and misbehaves when asked to.

| path | what it does |
|---|---|
| `/delay/SECONDS` | waits, then echoes |
| `/status/CODE` | answers with that status, without a body |
| `/stream/MIB` | answers with so many MiB (`?chunked`: without saying how many) |
| `/sink`, `/sink/MIB` | takes a body of any size (no faster than MIB a second) and says how much it was |
| `/close`, `/close-mid-body` | closes before, or in the middle of, its answer |
| `/malformed`, `/malformed/KIND` | answers with something that is not HTTP as it should be, see `MALFORMED` |
| any other | echoes: method, target, headers, and length and SHA-256 of the body, as JSON |

Both directions stream with back-pressure, so memory does not grow with what passes. Not for production, and no proxy.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import math
import signal
import sys
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Self

import httptools
import uvloop

MIB = 1024 * 1024
BLOCK = bytes(range(256)) * 256

_KNOWN = frozenset(HTTPStatus)
_WITHOUT_BODY = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})

MALFORMED = {
    "": b"this is not HTTP\r\n\r\n",
    "status": b"HTTP/1.1 2OO OK\r\nContent-Length: 0\r\n\r\n",
    "header": b"HTTP/1.1 200 OK\r\nno colon in this line\r\nContent-Length: 0\r\n\r\n",
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
    "framing": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n",
}


def stream_sha256(mebibytes: int) -> str:
    """The SHA-256 (hex) of what `/stream/MIB` sends."""
    digest = hashlib.sha256()
    for _ in range(mebibytes * MIB // len(BLOCK)):
        digest.update(BLOCK)
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Call:
    """The head of a request: method, target as it stood in the request line, headers in order."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    keep_alive: bool


class _Gone(Exception):
    """The connection ends: the caller left, speaks no HTTP, or asked for a broken answer."""


class _Connection:
    """One caller: requests one after another, each a head and then its body in pieces, read only when asked for."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._parser = httptools.HttpRequestParser(self)
        # What was parsed and not yet asked for: heads, pieces of bodies, None where a body ends, and where HTTP ends.
        self._events: deque[Call | bytes | _Gone | None] = deque()
        self._target = b""
        self._headers: list[tuple[str, str]] = []
        self._call: Call | None = None

    # --- the parser's side

    def on_url(self, data: bytes) -> None:
        self._target += data

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.decode("latin-1"), value.rstrip(b" \t").decode("latin-1")))

    def on_headers_complete(self) -> None:
        method = self._parser.get_method().decode("ascii")
        keep_alive = self._parser.get_http_version() == "1.1" and self._parser.should_keep_alive()
        self._events.append(Call(method, self._target.decode("latin-1"), tuple(self._headers), keep_alive))
        self._target, self._headers = b"", []

    def on_body(self, data: bytes) -> None:
        self._events.append(data)

    def on_message_complete(self) -> None:
        self._events.append(None)

    # --- the service's side

    async def _event(self) -> Call | bytes | None:
        while not self._events:
            data = await self._reader.read(4 * len(BLOCK))
            if not data:
                raise _Gone
            try:
                self._parser.feed_data(data)
            except (httptools.HttpParserError, httptools.HttpParserUpgrade):
                self._events.append(_Gone("not HTTP"))
        event = self._events.popleft()
        if isinstance(event, _Gone):
            await self.send(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            raise event
        return event

    async def next_call(self) -> Call:
        """The head of the next request, once the one before is answered."""
        if self._call is not None and not self._call.keep_alive:
            raise _Gone
        event = await self._event()
        if not isinstance(event, Call):
            raise TypeError("the body before was not read to its end")
        self._call = event
        if any(name.lower() == "expect" and value.lower() == "100-continue" for name, value in event.headers):
            await self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        return event

    async def body(self) -> AsyncIterator[bytes]:
        """The body of that request."""
        while isinstance(data := await self._event(), bytes):
            yield data

    async def send(self, data: bytes) -> None:
        """Write, and wait until the other side has room for more."""
        self._writer.write(data)
        await self._writer.drain()

    def head(self, status: int, headers: str) -> bytes:
        """The head of an answer to the present call."""
        reason = HTTPStatus(status).phrase if status in _KNOWN else ""
        end = "" if self._call is None or self._call.keep_alive else "Connection: close\r\n"
        return f"HTTP/1.1 {status} {reason}\r\n{headers}{end}\r\n".encode("ascii")

    async def answer(self, value: object) -> None:
        """Answer in JSON, or with the head alone where that was asked for."""
        body = json.dumps(value).encode()
        head = self.head(200, f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n")
        await self.send(head if self._call is not None and self._call.method == "HEAD" else head + body)


class EchoService:
    """The service on a port of 127.0.0.1 (0: any free one, see `port`), within the running event loop."""

    def __init__(self, *, port: int = 0, remember: int = 1000) -> None:
        self.port = port
        # The latest calls whose head has come, oldest first: what arrived, whatever was answered.
        self.calls: deque[Call] = deque(maxlen=remember)
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Where it listens, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, limit=2 * len(BLOCK))
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and drop every connection; `start` takes the same port again."""
        if self._server is None:
            return
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        await self.stop()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)
        connection = _Connection(reader, writer)
        try:
            while True:
                call = await connection.next_call()
                self.calls.append(call)
                await self._serve(connection, call)
        except (_Gone, ConnectionError):
            writer.close()
        except asyncio.CancelledError:
            # The service stops, and does not wait for callers that read no more.
            writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    async def _serve(self, connection: _Connection, call: Call) -> None:
        path, _, query = call.target.partition("?")
        name, _, argument = path.removeprefix("/").partition("/")
        if name == "close":
            raise _Gone
        if name == "sink":
            await _sink(connection, _number(argument))
            return
        size, digest = 0, hashlib.sha256()
        async for data in connection.body():
            size += len(data)
            digest.update(data)
        number = _number(argument)
        if name == "stream" and number is not None:
            await _stream(connection, int(number), chunked=query == "chunked")
        elif name == "status" and number is not None and 200 <= number <= 599:
            length = "" if int(number) in _WITHOUT_BODY else "Content-Length: 0\r\n"
            await connection.send(connection.head(int(number), length))
        elif name == "malformed" and argument in MALFORMED:
            await connection.send(MALFORMED[argument])
            raise _Gone
        elif name == "close-mid-body":
            await connection.send(connection.head(200, f"Content-Length: {2 * len(BLOCK)}\r\n") + BLOCK)
            raise _Gone
        else:
            if name == "delay" and number is not None:
                await asyncio.sleep(number)
            echo = {
                "method": call.method,
                "target": call.target,
                "headers": call.headers,
                "size": size,
                "sha256": digest.hexdigest(),
            }
            await connection.answer(echo)


async def _stream(connection: _Connection, mebibytes: int, *, chunked: bool) -> None:
    """So many MiB, as fast as the other side takes them."""
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {mebibytes * MIB}"
    await connection.send(connection.head(200, f"Content-Type: application/octet-stream\r\n{framing}\r\n"))
    block = b"%x\r\n%b\r\n" % (len(BLOCK), BLOCK) if chunked else BLOCK
    for _ in range(mebibytes * MIB // len(BLOCK)):
        await connection.send(block)
    if chunked:
        await connection.send(b"0\r\n\r\n")


async def _sink(connection: _Connection, mebibytes_a_second: float | None) -> None:
    """Count a body; while this sleeps nothing is read, and the sender feels it."""
    size = 0
    async for data in connection.body():
        size += len(data)
        if mebibytes_a_second:
            await asyncio.sleep(len(data) / (mebibytes_a_second * MIB))
    await connection.answer({"size": size})


def _number(text: str) -> float | None:
    """A finite number that is not negative, or None."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


async def _run(port: int) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with EchoService(port=port) as service:
        sys.stdout.write(f"{service.url}\n")
        sys.stdout.flush()
        await stopped.wait()


def main() -> None:
    """Serve until a signal; the first line of output is the URL."""
    parser = argparse.ArgumentParser(prog="python -m qaztech.testing.echo", description="a tiny HTTP service for tests")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; any free one by default")
    uvloop.run(_run(parser.parse_args().port))


if __name__ == "__main__":
    main()
