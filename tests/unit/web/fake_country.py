"""Three nodes and a registry that answer as theirs would, in the test's own loop; and a visitor of the page."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from qaztech.core.time import ManualClock
from qaztech.web.country import Country, parse_country
from qaztech.web.portal import Portal, portal_app

NOW = 1_800_000_000_000
MEMBERS = {
    "ministry": "KZ/GOV/991340000017",
    "registers": "KZ/QUASI/991340000027",
    "university": "KZ/EDU/991340000037",
}
SERVICE = f"{MEMBERS['registers']}/codes/codes"
CHECKPOINT = b"kz.qaztech.example/log/0123456789abcdef0123\n17\nq1uiQNXF9m1XxD/D6UjYe+ylGdTaiwKLbFgv2nu/mbQ=\n\n"


def origin(name: str) -> str:
    """A log's origin."""
    return f"kz.qaztech.example/log/{name.encode().hex():0<20.20}"


def message(number: int) -> str:
    """A message id."""
    return str(UUID(int=(7 << 76) | (2 << 62) | number))


class FakeNode:
    """A node's management API and edge, as far as the page asks for them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.size = 0
        self.finished: list[dict[str, Any]] = []
        self.incidents: list[dict[str, Any]] = []
        self.watchers: set[asyncio.StreamWriter] = set()
        self.asked: list[str] = []
        self.receipt: tuple[int, bytes] = (404, b'{"title": "this node has no record of it"}')
        self.on_call: Callable[[], str] = lambda: message(0)
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            for watcher in list(self.watchers):
                watcher.close()
            await self._server.wait_closed()
            self._server = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def tell(self, event: str, data: object) -> None:
        for watcher in self.watchers:
            watcher.write(f"event: {event}\ndata: {json.dumps(data)}\n\n".encode())

    def finish(self, exchange: dict[str, Any]) -> None:
        self.size += 2
        self.finished.insert(0, exchange)
        self.tell("exchange", exchange)
        self.tell(
            "checkpoint",
            {"origin": origin(self.name), "size": self.size, "root": f"{self.size:064x}", "witnessed_size": self.size,
             "witnessed_time": NOW // 1000},
        )  # fmt: skip

    def _status(self) -> dict[str, Any]:
        witnessed = {"size": self.size, "time": NOW // 1000, "witnesses": {}} if self.size else None
        log = {"origin": origin(self.name), "size": self.size, "root": f"{self.size:064x}", "halted": None}
        return {
            "node": f"{MEMBERS[self.name]}/node1",
            "ready": True,
            "reasons": [],
            "log": log | {"witnessed": witnessed},
            "incidents": len(self.incidents),
        }

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        method, target, _ = (await reader.readline()).decode().split(" ")
        self.asked.append(f"{method} {target}")
        while (await reader.readline()).strip():
            pass
        path = target.partition("?")[0]
        if path == "/events":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n: here\n\n")
            self.watchers.add(writer)
            await reader.read()
            self.watchers.discard(writer)
        else:
            status, body, header = self._answer(path)
            head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{header}\r\n"
            writer.write(head.encode() + body)
            await writer.drain()
        writer.close()

    def _answer(self, path: str) -> tuple[int, bytes, str]:
        if path.startswith("/receipts/"):
            return (*self.receipt, "")
        if path.startswith("/r1/"):
            return 200, b"{}", f"x-road-request-id: {self.on_call()}\r\n"
        if path == "/registry/log/checkpoint":
            return 200, CHECKPOINT, ""
        known = {
            "/status": self._status,
            "/exchanges": lambda: self.finished[:30],
            "/incidents": lambda: self.incidents,
        }
        return (200, json.dumps(known[path]()).encode(), "") if path in known else (404, b"{}", "")


class FakeCountry:
    """The nodes, what happens between them, and the page about them."""

    def __init__(self, anchor: Path) -> None:
        self.nodes = {name: FakeNode(name) for name in MEMBERS}
        self.anchor = anchor
        self.clock = ManualClock(NOW)
        self.calls = 0

    def file(self, **changes: Any) -> bytes:
        """Its `country.json`."""
        first = self.nodes["ministry"]
        country = {
            "instance": "KZ",
            "registry": first.url,
            "portal": "http://127.0.0.1:8400",
            "anchor": str(self.anchor),
            "nodes": [
                {
                    "name": name,
                    "member": MEMBERS[name],
                    "names": {"kk": f"{name} kk", "ru": f"{name} ru", "en": f"{name} en"},
                    "system": f"{MEMBERS[name]}/main",
                    "edge": node.url,
                    "management": node.url,
                }
                for name, node in self.nodes.items()
            ],
            "witnesses": [{"name": "registry", "url": "", "run_by": "registry"}],
            "systems": [{"name": "codes", "url": "http://127.0.0.1:1", "service": SERVICE}],
            "try": {
                "curl": f"curl -i -H 'X-Road-Client: {MEMBERS['ministry']}/main' '{first.url}/r1/{SERVICE}/x?a=b'",
                "receipt": "qaztech receipt last",
                "verify": "qaztech verify r.json",
            },
            "something": "more",
        }
        return json.dumps(country | changes).encode()

    def country(self) -> Country:
        """As the page reads it."""
        return parse_country(self.file())

    def call(self, a: str = "ministry", b: str = "registers", *, state: str = "answered 200", status: int = 200) -> str:
        """One exchange, told by both sides; gives its message id."""
        self.calls += 1
        identifier = message(self.calls)
        for side, node, peer in (("provider", b, a), ("consumer", a, b)):
            self.nodes[node].finish(
                {"side": side, "message": identifier, "client": f"{MEMBERS[a]}/main", "service": SERVICE,
                 "method": "GET", "peer": origin(peer), "time": NOW + self.calls, "milliseconds": 7, "state": state,
                 "status": status}
            )  # fmt: skip
        return identifier


@asynccontextmanager
async def running(anchor: Path) -> AsyncIterator[tuple[FakeCountry, Portal]]:
    """The country, its nodes listening, and its page."""
    country = FakeCountry(anchor)
    for node in country.nodes.values():
        await node.start()
    portal = portal_app(country.country(), clock=country.clock)
    try:
        yield country, portal
    finally:
        portal.close()
        for node in country.nodes.values():
            await node.stop()


class Answer:
    """What the page answered."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


async def visit(portal: Portal, target: str, *, method: str = "GET", **headers: str) -> Answer:
    """One request to the page, as a server would hand it over; `_` in a header's name stands for `-`."""
    path, _, query = target.partition("?")
    given = {"host": "127.0.0.1:8400"} | {name.replace("_", "-"): value for name, value in headers.items()}
    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": method,
        "scheme": "http", "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in given.items() if value],
        "client": ("127.0.0.1", 5), "server": ("127.0.0.1", 8400),
    }  # fmt: skip
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(part: dict[str, Any]) -> None:
        sent.append(part)

    await portal.app(scope, receive, send)
    found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Answer(sent[0]["status"], found, b"".join(part.get("body", b"") for part in sent[1:]))
