"""The server of a model that costs next to nothing: a fixed answer, whole or as a stream. Both gateways call it.

    python -m bench.mock_model PORT

A request is a head and a body of the length it says; what is asked is not read, but for whether a stream is wanted.
Whatever is got (GET) is answered with the number of calls there have been.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from typing import Any

import uvloop

PROMPT, COMPLETION = 120, 22
TEXT = (
    "The answer is that the permit is issued within five working days after the documents have been received by the"
    " centre."
)
_PAUSE = 0.005  # seconds between the events of a stream, the first one coming at once
_USAGE = {"prompt_tokens": PROMPT, "completion_tokens": COMPLETION, "total_tokens": PROMPT + COMPLETION}
_HEAD = {"id": "chatcmpl-1", "created": 1, "model": "mock"}


def _whole() -> bytes:
    message = {"role": "assistant", "content": TEXT}
    choices = [{"index": 0, "finish_reason": "stop", "message": message}]
    body = json.dumps({**_HEAD, "object": "chat.completion", "choices": choices, "usage": _USAGE}).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def _events() -> list[bytes]:
    def chunk(choices: list[object], **more: object) -> bytes:
        event = {**_HEAD, "object": "chat.completion.chunk", "choices": choices, **more}
        line = b"data: " + json.dumps(event).encode() + b"\n\n"
        return b"%x\r\n%b\r\n" % (len(line), line)

    words = TEXT.split(" ")
    first = [chunk([{"index": 0, "finish_reason": None, "delta": {"role": "assistant", "content": words[0]}}])]
    rest = [chunk([{"index": 0, "finish_reason": None, "delta": {"content": f" {word}"}}]) for word in words[1:]]
    last = chunk([{"index": 0, "finish_reason": "stop", "delta": {}}]) + chunk([], usage=_USAGE)
    return [*first, *rest, last + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"]


_WHOLE, _EVENTS = _whole(), _events()
_STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


class _Connection(asyncio.Protocol):
    """Answers one request after the other."""

    calls = 0

    def __init__(self) -> None:
        self._data = b""
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        while (end := self._data.find(b"\r\n\r\n")) >= 0:
            head = self._data[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self._data) < end + 4 + length:
                return
            body, self._data = self._data[end + 4 : end + 4 + length], self._data[end + 4 + length :]
            if head.startswith(b"get "):
                said = b"%d" % _Connection.calls
                self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(said), said))
            else:
                _Connection.calls += 1
                self._answer(body)

    def _answer(self, body: bytes) -> None:
        if b'"stream":true' in body or b'"stream": true' in body:
            self._transport.write(_STREAM_HEAD + _EVENTS[0])
            asyncio.get_running_loop().call_later(_PAUSE, self._go_on, 1)
        else:
            self._transport.write(_WHOLE)

    def _go_on(self, number: int) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(_EVENTS[number])
        if number + 1 < len(_EVENTS):
            asyncio.get_running_loop().call_later(_PAUSE, self._go_on, number + 1)


async def _serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = await loop.create_server(_Connection, "127.0.0.1", port, backlog=4096)
    await stop.wait()
    server.close()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
