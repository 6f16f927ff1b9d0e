"""A browser without a window: pages of people in this process, called byte for byte, with a cookie jar.

And what its tests agree on: a table of roles, a password, cheap argon2.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import re
from dataclasses import dataclass
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import unquote, urlencode

from qaztech.people.parameters import Parameters

ORIGIN = "http://localhost:8410"
ROLES = {
    "administrator": frozenset({"services:read", "services:write", "people:read", "people:write"}),
    "service-owner": frozenset({"services:read", "services:write"}),
    "developer": frozenset({"services:read"}),
}
CHEAP = Parameters(argon2_memory_kib=8, argon2_passes=1)
PASSWORD = "жеті рет өлшеп, бір рет кес"


# One loop for all requests: a loop for each would start and end its threads each time.
_LOOP = asyncio.new_event_loop()
atexit.register(_LOOP.close)


@dataclass
class Reply:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def csrf(self) -> str:
        """The token in the first form of a page."""
        found = re.search(r'(?:name="csrf" value|data-csrf)="([0-9a-f]{64})"', self.text)
        assert found, self.text[:300]
        return found[1]


class Visitor:
    """One browser. `origin` is where its pages come from: None is a program that says nothing."""

    def __init__(self, app: Any, *, address: str = "127.0.0.1", origin: str | None = ORIGIN) -> None:
        self._app = app
        self._address = address
        self._origin = origin
        self.cookies: dict[str, str] = {}

    def send(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Reply:
        sent = {"host": "localhost:8410", "content-length": str(len(body)), **(headers or {})}
        if self.cookies:
            sent["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if method not in {"GET", "HEAD"} and self._origin is not None:
            sent.setdefault("origin", self._origin)
        return _LOOP.run_until_complete(self._send(method, path, body, sent))

    async def _send(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Reply:
        path, _, query = path.partition("?")
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
            "path": unquote(path), "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": (self._address, 50000), "server": ("localhost", 8410),
        }  # fmt: skip
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
        pairs = [(name.decode(), value.decode()) for name, value in sent[0]["headers"]]
        for name, value in pairs:
            if name == "set-cookie":
                self._keep(value)
        return Reply(sent[0]["status"], dict(pairs), b"".join(m.get("body", b"") for m in sent[1:]))

    def _keep(self, value: str) -> None:
        for name, morsel in SimpleCookie(value).items():
            if morsel["max-age"] == "0" or not morsel.value:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = morsel.value

    def get(self, path: str, headers: dict[str, str] | None = None) -> Reply:
        return self.send("GET", path, headers=headers)

    def submit(self, path: str, fields: dict[str, str], headers: dict[str, str] | None = None) -> Reply:
        """Send a form."""
        kind = {"content-type": "application/x-www-form-urlencoded", **(headers or {})}
        return self.send("POST", path, urlencode(fields).encode(), kind)

    def send_json(self, method: str, path: str, value: Any = None, headers: dict[str, str] | None = None) -> Reply:
        kind = {"content-type": "application/json", **(headers or {})}
        return self.send(method, path, b"" if value is None else json.dumps(value).encode(), kind)

    def sign_in(self, name: str, password: str, **fields: str) -> Reply:
        """By the page, as people do."""
        page = self.get("/sign-in")
        return self.submit("/sign-in", {"csrf": page.csrf, "name": name, "password": password, **fields})
