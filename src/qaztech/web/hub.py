"""What happens in the country, gathered once and told to every open page.

Each node's state, recent exchanges and events are read while somebody looks, and left alone otherwise. Calls come in
any number; pages are told at most ten times a second, the newest calls one by one and the others as a count.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import OrderedDict
from collections.abc import AsyncIterator
from typing import Any, Literal

import msgspec

from qaztech.core.errors import Error
from qaztech.core.time import Clock
from qaztech.web.asking import ask, watch
from qaztech.web.country import Country, NodePlace

SHOWN = 30
TOLD_AT_ONCE = 12
TELL_EVERY = 0.1
RETRY = 1.0
STATUS_EVERY = 5.0
ALIVE_EVERY = 10.0
# Two signed statements that exclude each other; every other incident may be a fault, and accuses nobody by itself.
CONTRADICTIONS = frozenset({"log.forked", "log.contradicted"})
PATIENCE = 64  # messages a page may be behind before it is given the whole state anew


class Finished(msgspec.Struct, frozen=True):
    """One exchange as a node on one side of it saw its end."""

    side: Literal["consumer", "provider"]
    message: str
    client: str
    service: str
    method: str
    peer: str
    time: int
    milliseconds: int
    state: str
    status: int


class _Witnessed(msgspec.Struct, frozen=True):
    size: int
    time: int


class _Log(msgspec.Struct, frozen=True):
    origin: str
    size: int
    root: str
    halted: str | None = None
    witnessed: _Witnessed | None = None


class _Status(msgspec.Struct, frozen=True):
    ready: bool
    reasons: tuple[str, ...]
    log: _Log
    incidents: int = 0


class _Grown(msgspec.Struct, frozen=True):
    """The event `checkpoint`."""

    origin: str
    size: int
    root: str
    witnessed_size: int
    witnessed_time: int


class Hub:
    """Gathers and tells. `subscribe` gives one page its messages: Server-Sent Events, ready to be sent."""

    def __init__(self, *, country: Country, clock: Clock) -> None:
        self._country = country
        self._clock = clock
        self._pages: set[asyncio.Queue[bytes | None]] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._nodes: dict[str, dict[str, Any]] = {n.name: {"reachable": False} for n in country.nodes}
        self._registry: dict[str, Any] = {"reachable": False}
        self._incidents: dict[str, list[Any]] = {}
        self._exchanges: dict[str, dict[str, Any]] = {}
        self._names: dict[str, str] = {}
        self._new: OrderedDict[tuple[str, str], dict[str, Any]] = OrderedDict()
        self._more = 0
        self._heard = asyncio.Event()
        self._changed: set[str] = set()

    # For pages ---------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """All that is known, for a page that begins."""
        return {
            "time": self._clock.now(),
            "nodes": self._nodes,
            "registry": self._registry,
            "exchanges": sorted(self._exchanges.values(), key=lambda row: -row["time"]),
            "incidents": self.incidents(),
        }

    def incidents(self) -> list[Any]:
        """Every node's incidents, each with whether it is a `contradiction`."""
        return [
            incident | {"contradiction": incident.get("code") in CONTRADICTIONS}
            for found in self._incidents.values()
            for incident in found
            if isinstance(incident, dict)
        ]

    async def refresh(self) -> None:
        """Ask everyone once, unless that is being done all the time."""
        if not self._tasks:
            await asyncio.gather(self._ask_registry(), *(self._ask_node(node) for node in self._country.nodes))

    async def subscribe(self) -> AsyncIterator[bytes]:
        """The messages of one page: the whole state first, then what changes."""
        queue: asyncio.Queue[bytes | None] = asyncio.Queue(PATIENCE)
        self._pages.add(queue)
        self._start()
        try:
            await self._first()
            yield _event("state", self.state())
            while (message := await self._next(queue)) is not None:
                yield message
        finally:
            self._pages.discard(queue)
            if not self._pages:
                self._stop()

    async def _next(self, queue: asyncio.Queue[bytes | None]) -> bytes | None:
        """The next message of a page; a comment after a while without one, so that a page that left is noticed."""
        if queue.full():
            # Too far behind to catch up one by one.
            while not queue.empty():
                if queue.get_nowait() is None:
                    return None
            return _event("state", self.state())
        try:
            async with asyncio.timeout(ALIVE_EVERY):
                return await queue.get()
        except TimeoutError:
            return b": here\n\n"

    def close(self) -> None:
        """End every page's stream."""
        for queue in self._pages:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(None)
        self._stop()

    async def _first(self) -> None:
        """Wait a moment for what the nodes say, so that a page does not begin empty."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await self._heard.wait()

    # Gathering ---------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        if not self._tasks:
            work = [self._follow(node) for node in self._country.nodes] + [self._follow_registry(), self._tell_often()]
            self._tasks = [asyncio.create_task(one) for one in work]

    def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._tasks = []

    async def _follow(self, node: NodePlace) -> None:
        status = asyncio.create_task(self._follow_status(node))
        try:
            while True:
                with contextlib.suppress(Error):
                    async for name, data in watch(f"{node.management}/events", headers=headers_for(node)):
                        self._happened(node.name, name, data)
                await asyncio.sleep(RETRY)
        finally:
            status.cancel()

    async def _follow_status(self, node: NodePlace) -> None:
        while True:
            await self._ask_node(node)
            await asyncio.sleep(STATUS_EVERY if self._nodes[node.name]["reachable"] else RETRY)

    async def _follow_registry(self) -> None:
        while True:
            await self._ask_registry()
            await asyncio.sleep(STATUS_EVERY / 2)

    async def _ask_node(self, node: NodePlace) -> None:
        headers, url = headers_for(node), node.management
        try:
            status = msgspec.json.decode((await ask(f"{url}/status", headers=headers)).body, type=_Status)
            recent = await ask(f"{url}/exchanges?limit={SHOWN}", headers=headers)
            exchanges = msgspec.json.decode(recent.body, type=list[Finished])
            if status.incidents != len(self._incidents.get(node.name, ())):
                self._incidents[node.name] = json.loads((await ask(f"{url}/incidents", headers=headers)).body)
        except (Error, msgspec.DecodeError, ValueError):
            self._put(node.name, {"reachable": False})
            return
        self._names[status.log.origin] = node.name
        for finished in reversed(exchanges):
            self._merge(node.name, finished)
        log = msgspec.to_builtins(status.log)
        shown = {"ready": status.ready, "reasons": status.reasons, "log": log, "incidents": status.incidents}
        self._put(node.name, {"reachable": True, **shown})

    async def _ask_registry(self) -> None:
        try:
            answer = await ask(f"{self._country.registry}/registry/log/checkpoint")
            origin, size, root = answer.body.decode().split("\n")[:3]
            found: dict[str, Any] = {"reachable": True, "log": {"origin": origin, "size": int(size), "root": root}}
        except (Error, ValueError):
            found = {"reachable": False}
        if found != self._registry:
            self._registry = found
            self._changed.add("")

    def _happened(self, name: str, event: str, data: bytes) -> None:
        try:
            if event == "exchange":
                self._exchange(name, msgspec.json.decode(data, type=Finished))
            elif event == "checkpoint":
                self._grew(name, msgspec.json.decode(data, type=_Grown))
            elif event == "incident":
                self._incidents.setdefault(name, []).insert(0, json.loads(data))
                self._changed.add(name)
        except (msgspec.DecodeError, ValueError):
            return  # not what an event of a node looks like

    def _exchange(self, name: str, finished: Finished) -> None:
        row = self._merge(name, finished)
        self._new[finished.message, finished.side] = {**row, "side": finished.side, "at": name}
        if len(self._new) > TOLD_AT_ONCE:
            self._new.popitem(last=False)
            self._more += finished.side == "consumer"

    def _grew(self, name: str, grown: _Grown) -> None:
        if not self._nodes[name]["reachable"]:
            return
        witnessed = {"size": grown.witnessed_size, "time": grown.witnessed_time} if grown.witnessed_size else None
        log = self._nodes[name]["log"] | {"size": grown.size, "root": grown.root, "witnessed": witnessed}
        self._put(name, self._nodes[name] | {"log": log})

    def _merge(self, name: str, finished: Finished) -> dict[str, Any]:
        """One row for an exchange, whichever sides tell of it; the caller's side knows how it ended for the caller."""
        row = self._exchanges.get(finished.message)
        if row is None:
            row = self._exchanges[finished.message] = {"from": None, "to": None, "node": name}
        here, there = ("from", "to") if finished.side == "consumer" else ("to", "from")
        row[here] = name
        row[there] = row[there] or self._names.get(finished.peer)
        if finished.side == "consumer" or "state" not in row:
            row |= msgspec.to_builtins(finished) | {"node": name}
            del row["side"], row["peer"]
        if len(self._exchanges) > SHOWN:
            del self._exchanges[min(self._exchanges.values(), key=lambda known: known["time"])["message"]]
        return row

    # Telling -----------------------------------------------------------------------------------------------------

    def _put(self, name: str, state: dict[str, Any]) -> None:
        if state != self._nodes[name]:
            self._nodes[name] = state
            self._changed.add(name)
            if all(node["reachable"] for node in self._nodes.values()):
                self._heard.set()

    async def _tell_often(self) -> None:
        while True:
            await asyncio.sleep(TELL_EVERY)
            if self._changed or self._new:
                self._tell(_event("change", self._change()))

    def _change(self) -> dict[str, Any]:
        change: dict[str, Any] = {"time": self._clock.now()}
        if self._new:
            change |= {"exchanges": list(self._new.values()), "more": self._more}
        if self._changed:
            change["nodes"] = {name: self._nodes[name] for name in self._changed if name}
            change["registry"] = self._registry
            change["incidents"] = self.incidents()
        self._new.clear()
        self._changed.clear()
        self._more = 0
        return change

    def _tell(self, message: bytes) -> None:
        for queue in self._pages:
            with contextlib.suppress(asyncio.QueueFull):
                queue.put_nowait(message)


def headers_for(node: NodePlace) -> dict[str, str]:
    """What a request to a node's management needs."""
    return {} if node.token is None else {"Authorization": f"Bearer {node.token}"}


def _event(name: str, data: object) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()
