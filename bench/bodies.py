"""The service for large bodies, and the client that sends and fetches them.

The service (`python -m bench.bodies PORT`) counts what it is sent and answers the count, or sends as many bytes as
the path names (`GET /bodies/104857600`). It reads as it comes, so both sides may stream. The client is blocking
sockets with large buffers: next to the nodes it costs little, and it is the same for both sides.
"""

from __future__ import annotations

import asyncio
import http.client
import sys
import time
from collections.abc import Mapping
from typing import cast
from urllib.parse import urlsplit

import httptools
import uvloop

from bench.tools import Unusable

_PIECE = bytes(range(256)) * 1024
MIB = 1024 * 1024


class _Service(asyncio.Protocol):
    """One connection of a calling node."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._path = b""
        self._received = 0
        self._writable = asyncio.Event()
        self._writable.set()
        self._sending: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # what uvloop passes is one in all but ancestry

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if self._sending:
            self._sending.cancel()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.close()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def on_message_begin(self) -> None:
        self._path, self._received = b"", 0

    def on_url(self, url: bytes) -> None:
        self._path += url

    def on_body(self, body: bytes) -> None:
        self._received += len(body)

    def on_message_complete(self) -> None:
        if self._parser.get_method() == b"GET":
            self._sending = asyncio.ensure_future(self._send(int(self._path.rsplit(b"/", 1)[-1])))
            return
        answer = b"%d" % self._received
        self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n")
        self._transport.write(b"Content-Length: %d\r\n\r\n%b" % (len(answer), answer))

    async def _send(self, length: int) -> None:
        self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n")
        self._transport.write(b"Content-Length: %d\r\n\r\n" % length)
        piece = memoryview(_PIECE)
        while length:
            await self._writable.wait()
            self._transport.write(piece[:length])
            length -= min(length, len(piece))


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Service, "127.0.0.1", port)
    await server.serve_forever()


def _connection(base: str) -> tuple[http.client.HTTPConnection, str]:
    parts = urlsplit(base)
    return http.client.HTTPConnection(parts.netloc, timeout=120, blocksize=MIB), parts.path


def send(base: str, headers: Mapping[str, str], length: int) -> float:
    """Upload `length` bytes; the seconds until the whole answer was here. The service must have counted them all."""
    connection, path = _connection(base)
    whole, rest = divmod(length, len(_PIECE))
    pieces = [_PIECE] * whole + [_PIECE[:rest]] * bool(rest)
    began = time.perf_counter()
    connection.request("POST", path, body=iter(pieces), headers={**headers, "Content-Length": str(length)})
    response = connection.getresponse()
    said = response.read()
    seconds = time.perf_counter() - began
    connection.close()
    if response.status != http.HTTPStatus.OK or int(said) != length:
        raise Unusable(f"sending {length} bytes to {base}: {response.status} {said[:200]!r}")
    return seconds


def fetch(base: str, headers: Mapping[str, str], length: int) -> float:
    """Download `length` bytes; the seconds until the last was here. They must be the bytes that were sent."""
    connection, path = _connection(base)
    buffer = bytearray(MIB)
    received = 0
    began = time.perf_counter()
    connection.request("GET", f"{path}/{length}", headers=dict(headers))
    response = connection.getresponse()
    if response.status != http.HTTPStatus.OK:
        raise Unusable(f"fetching {length} bytes from {base}: {response.status} {response.read()[:200]!r}")
    last = b""
    while count := response.readinto(buffer):
        received += count
        last = bytes(buffer[count - 1 : count])
    seconds = time.perf_counter() - began
    connection.close()
    if received != length or last != _PIECE[(length - 1) % 256 : (length - 1) % 256 + 1]:
        raise Unusable(f"fetching from {base}: {received} of {length} bytes came")
    return seconds


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
