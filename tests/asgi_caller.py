"""Calls an ASGI application in the same process, byte for byte as a server would: no network, no client library."""

from __future__ import annotations

import asyncio
import gzip
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote


@dataclass
class Answer:
    """What came back."""

    status_code: int
    headers: dict[str, str]
    raw: bytes

    @property
    def content(self) -> bytes:
        return gzip.decompress(self.raw) if self.headers.get("content-encoding") == "gzip" else self.raw

    @property
    def text(self) -> str:
        return self.content.decode()

    def json(self) -> Any:
        return json.loads(self.content)


class Caller:
    """One caller at one address."""

    def __init__(self, app: Any, address: str = "127.0.0.1") -> None:
        self._app = app
        self._address = address

    def get(self, path: str, headers: dict[str, str] | None = None) -> Answer:
        return asyncio.run(self.call("GET", path, b"", headers or {}))

    def post(
        self, path: str, *, json: Any = None, content: bytes = b"", headers: dict[str, str] | None = None
    ) -> Answer:
        body = _encode(json) if json is not None else content
        return asyncio.run(self.call("POST", path, body, headers or {}))

    async def call(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path.partition("?")[0]),
            "raw_path": path.partition("?")[0].encode(),
            "query_string": path.partition("?")[2].encode(),
            "root_path": "",
            "headers": [
                (b"content-length", str(len(body)).encode()),
                *((name.lower().encode(), value.encode()) for name, value in headers.items()),
            ],
            "client": (self._address, 50000),
            "server": ("127.0.0.1", 80),
        }
        sent: list[dict[str, Any]] = []
        waiting = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> dict[str, Any]:
            if waiting:
                return waiting.pop()
            await asyncio.Event().wait()
            raise AssertionError

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self._app(scope, receive, send)
        start = sent[0]
        pieces = [m.get("body", b"") for m in sent[1:]]
        return Answer(start["status"], {k.decode(): v.decode() for k, v in start["headers"]}, b"".join(pieces))


def _encode(value: Any) -> bytes:
    return json.dumps(value).encode()
