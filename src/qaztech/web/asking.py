"""Questions to nodes over HTTP/1.1, in the page's own event loop: one request a connection, answers bounded.

For the management API of nodes on this machine or behind a bearer token; nothing that comes back is believed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import httptools

from qaztech.core.errors import Limited, Malformed, Unavailable

MAX_ANSWER = 8 * 1024 * 1024
MAX_EVENT = 256 * 1024
CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _Reader:
    """The parser's callbacks: collects an answer."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.started = self.complete = False
        self.body = bytearray()

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self.started = True

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        self.complete = True


async def ask(
    url: str, *, method: str = "GET", headers: Mapping[str, str] | None = None, seconds: float = 5.0
) -> Answer:
    """One request and its whole answer. Raises `Unavailable`, `Limited` or `Malformed`."""
    try:
        async with asyncio.timeout(seconds), _request(url, method, headers or {}) as (stream, reader, parser):
            while not reader.complete:
                data = await stream.read(CHUNK)
                if not data:
                    break
                parser.feed_data(data)
                if len(reader.body) > MAX_ANSWER:
                    raise Limited("answer.too-large", "an answer is larger than is looked at")
            if not reader.started:
                raise _unavailable(url)
            return Answer(parser.get_status_code(), reader.headers, bytes(reader.body))
    except httptools.HttpParserError as exc:
        raise Malformed("answer.malformed", "what came back is not HTTP") from exc
    except (OSError, TimeoutError) as exc:
        raise _unavailable(url) from exc


async def watch(
    url: str, *, headers: Mapping[str, str] | None = None, silence: float = 30.0
) -> AsyncIterator[tuple[str, bytes]]:
    """Server-Sent Events: name and data of each, until the stream ends. Raises as `ask` does; also after silence."""
    try:
        async with _request(url, "GET", headers or {}) as (stream, reader, parser):
            while not reader.complete:
                async with asyncio.timeout(silence):
                    data = await stream.read(CHUNK)
                if not data:
                    return
                parser.feed_data(data)
                if reader.started and parser.get_status_code() != 200:
                    raise _unavailable(url)
                for event in _events(reader.body):
                    yield event
                if len(reader.body) > MAX_EVENT:
                    raise Limited("answer.too-large", "an event is larger than is looked at")
    except httptools.HttpParserError as exc:
        raise Malformed("answer.malformed", "what came back is not HTTP") from exc
    except (OSError, TimeoutError) as exc:
        raise _unavailable(url) from exc


@contextlib.asynccontextmanager
async def _request(
    url: str, method: str, headers: Mapping[str, str]
) -> AsyncIterator[tuple[asyncio.StreamReader, _Reader, httptools.HttpResponseParser]]:
    parts = urlsplit(url)
    target = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    lines = [f"{method} {target} HTTP/1.1", f"Host: {parts.netloc}", "Connection: close", "Accept: */*"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if method == "POST":
        lines.append("Content-Length: 0")
    if any(character in line for line in lines for character in "\r\n\0"):
        raise Malformed("request.malformed", "a line of the request has a line break in it")
    stream, writer = await asyncio.open_connection(parts.hostname, parts.port or 80)
    try:
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        await writer.drain()
        reader = _Reader()
        yield stream, reader, httptools.HttpResponseParser(reader)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def _events(buffer: bytearray) -> list[tuple[str, bytes]]:
    """Take the complete events out of what has come so far."""
    found = []
    while (end := buffer.find(b"\n\n")) >= 0:
        block = bytes(buffer[:end])
        del buffer[: end + 2]
        name, data = "message", b""
        for line in block.split(b"\n"):
            if line.startswith(b"event:"):
                name = line[6:].strip().decode("utf-8", "replace")
            elif line.startswith(b"data:"):
                data += line[5:].strip()
        if data:
            found.append((name, data))
    return found


def _unavailable(url: str) -> Unavailable:
    return Unavailable("node.unreachable", f"{urlsplit(url).netloc} does not answer")
