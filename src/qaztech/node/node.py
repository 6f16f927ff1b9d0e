"""A node's life: start, follow the configuration, be witnessed, serve, reload, drain. What it decides is elsewhere.

Everything runs on one loop; fetching the configuration and anything else that blocks runs in a thread beside it.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from qaztech.core.errors import Error, Halt, Unavailable
from qaztech.core.ids import MemberId, NodeId
from qaztech.core.time import Clock
from qaztech.evidence.policy import Witnessed
from qaztech.evidence.sequencer import Sequencer
from qaztech.evidence.witnessing import Witnessing
from qaztech.node.alarms import Health, alarms_of
from qaztech.node.clock_watch import ClockWatch
from qaztech.node.consumer import Consumer
from qaztech.node.crosscheck import CrossCheck
from qaztech.node.edge import Edge
from qaztech.node.events import Events
from qaztech.node.http_server import HttpServer
from qaztech.node.incidents import Incidents
from qaztech.node.link import Link
from qaztech.node.management import Management
from qaztech.node.own_log import OwnLog
from qaztech.node.peers import AcceptedHeads
from qaztech.node.provider import Provider
from qaztech.node.settings import NodeSettings
from qaztech.node.timestamping import Timestamping
from qaztech.node.upkeep import Upkeep
from qaztech.registry.client import Alarm, ConfigurationClient
from qaztech.registry.configuration import Configuration
from qaztech.runtime.release import release
from qaztech.runtime.telemetry import Metrics, log_error

SAVE_PEERS = 5.0
DRAIN_GRACE = 20.0
# Seconds for which peers are waited for that have not answered that they know of the end.
GOAWAY_GRACE = 3.0
# Who connects and does not show a certificate in so many seconds is not heard; it need not be anyone we know.
HANDSHAKE_TIMEOUT = 10.0
EAGER_REFRESH = 1.0
logger = logging.getLogger("qaztech.node")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Everything a node is made of; built in `compose`."""

    settings: NodeSettings
    id: NodeId
    members: tuple[MemberId, ...]
    clock: Clock
    client: ConfigurationClient
    log: OwnLog
    sequencer: Sequencer
    accepted: AcceptedHeads
    incidents: Incidents
    events: Events
    metrics: Metrics
    consumer: Consumer
    provider: Provider
    edge: Edge
    management: Management
    edge_server: HttpServer
    management_server: HttpServer
    make_link: Callable[[], Link]
    server_tls: Callable[[], ssl.SSLContext]
    edge_tls: Callable[[], ssl.SSLContext | None]
    witnessing: Witnessing
    crosscheck: CrossCheck
    timestamping: Timestamping | None
    reload: Callable[[], None]
    upkeep: Upkeep
    times: ClockWatch
    # The bytes left beside its log.
    free: Callable[[], int | None]
    # After each refresh; True when there is more to fetch at once.
    refreshed: Callable[[], bool]


class Node:
    """One node process."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._tasks: list[asyncio.Task[None]] = []
        self._link_server: asyncio.Server | None = None
        self._fetched = 0
        self._wanted = asyncio.Event()
        self._refreshing = asyncio.Lock()
        self._seen_witnesses = False
        self._stopping = False
        self._halted_at: int | None = None
        self._told_reasons: list[str] | None = None
        self._told_alarms: frozenset[str] = frozenset()

    # Start ---------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Listen and begin; `ready` follows when the configuration is there and the witnesses do not object."""
        parts, settings = self._parts, self._parts.settings
        for where in (settings.edge, settings.link, settings.management):
            _check_free(where.host, where.port)
        parts.sequencer.start()
        parts.consumer.start()
        parts.provider.start()
        management = settings.management
        await parts.management_server.listen(management.host, management.port)
        with contextlib.suppress(Error):
            await asyncio.to_thread(parts.client.load)
        for coroutine in (self._follow(), self._save_peers(), self._watch_checkpoints(), parts.upkeep.run()):
            self._tasks.append(asyncio.create_task(coroutine))

    async def _open(self) -> None:
        """The configuration is there: ask the witnesses, then take links and callers."""
        parts, settings = self._parts, self._parts.settings
        try:
            self._check_open()
            await parts.witnessing.ask_what_was_seen()
        except Halt as exc:
            self._halted(exc)
        self._seen_witnesses = True
        if parts.log.halted is None:
            loop = asyncio.get_running_loop()
            self._link_server = await loop.create_server(
                parts.make_link, settings.link.host, settings.link.port, ssl=parts.server_tls(), backlog=512,
                ssl_handshake_timeout=HANDSHAKE_TIMEOUT,
            )  # fmt: skip
            self._tasks.append(asyncio.create_task(parts.witnessing.run(settings.witnessing_seconds, self._halted)))
            self._tasks.append(asyncio.create_task(parts.crosscheck.run(settings.witnessing_seconds)))
            if parts.timestamping is not None:
                self._tasks.append(asyncio.create_task(parts.timestamping.run(settings.timestamping_seconds)))
        # Also when the log is halted: callers hear why, and no call goes without its record.
        await parts.edge_server.listen(settings.edge.host, settings.edge.port, ssl=parts.edge_tls())

    def _check_open(self) -> None:
        """Raise `Halt` where the member has closed this log: a copy of it may still be started."""
        configuration, origin = self._configuration(), self._parts.log.origin
        entry = configuration.log(origin) if configuration is not None else None
        if entry is not None and entry.closed is not None:
            raise Halt("log.closed", f"its member has closed {origin} at size {entry.closed.size}", at="log")

    def _halted(self, why: Halt) -> None:
        self._parts.log.log.halt(why)

    # Loops ---------------------------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        """Follow the registry: every `refresh_seconds`, and at once when somebody unknown is asked for."""
        parts = self._parts
        interval = parts.settings.refresh_seconds
        while True:
            await self._refresh()
            wait = interval if self._fetched else EAGER_REFRESH
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wanted.wait(), wait)
            self._wanted.clear()

    async def _refresh(self) -> None:
        """Follow once; one at a time, for `reload` comes at any moment."""
        async with self._refreshing:
            await self._refresh_alone()

    async def _refresh_alone(self) -> None:
        parts = self._parts
        before = self._version()
        try:
            await asyncio.to_thread(parts.client.refresh)
            self._fetched = parts.clock.now()
            if parts.refreshed():
                self._wanted.set()
        except (Error, OSError) as exc:
            parts.metrics.count("configuration_failures_total")
            log_error(logger, "the configuration was not refreshed", _disk(exc))
        if self._version() != before:
            parts.provider.recheck()
            parts.consumer.recheck()
        if not self._seen_witnesses and self._configuration() is not None:
            await self._open()

    async def _save_peers(self) -> None:
        while True:
            await asyncio.sleep(SAVE_PEERS)
            try:
                self._parts.accepted.save()
            except OSError as exc:  # the notes of the log are the truth; a full disk costs a slower start
                log_error(logger, "what is known of peers was not saved", _disk(exc))

    async def _watch_checkpoints(self) -> None:
        """Tell the page when the log has grown or was witnessed, and people when it has halted, whatever the reason."""
        parts = self._parts
        told: tuple[int, int] = (-1, -1)
        heard: Witnessed | None = None
        while True:
            await asyncio.sleep(0.5)
            if self._halted_at is None and parts.log.halted is not None:
                self._halted_at = parts.clock.now()
                parts.incidents.report(parts.log.halted, peer=parts.log.origin)
            self._tell_what_changed()
            latest = parts.witnessing.latest
            if latest is not None and latest is not heard:
                heard = latest
                parts.times.heard_witnesses(latest.times.values())
            now = (parts.log.size, latest.checkpoint.size if latest else 0)
            if now != told:
                told = now
                parts.events.tell(
                    "checkpoint",
                    {
                        "origin": parts.log.origin,
                        "size": now[0],
                        "root": parts.log.root().hex(),
                        "witnessed_size": now[1],
                        "witnessed_time": latest.time if latest else 0,
                    },
                )

    # NodeView ------------------------------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """The state in one object (`GET /status`)."""
        parts = self._parts
        configuration = self._configuration()
        reasons = self._reasons()
        latest = parts.witnessing.latest
        links = [(link, "out") for link in parts.consumer.links()] + [(link, "in") for link in parts.provider.links()]
        return {
            "node": str(parts.id),
            "release": release(),
            "members": [str(member) for member in parts.members],
            "ready": not reasons,
            "reasons": reasons,
            "time": parts.clock.now(),
            "log": {
                "origin": parts.log.origin,
                "size": parts.log.size,
                "root": parts.log.root().hex(),
                "halted": parts.log.halted.detail if parts.log.halted else None,
                # Whether no new start mends it: it is renewed, or restored.
                "halted_for_good": parts.log.halted is not None and parts.log.halted.is_final,
                "witnessed": None
                if latest is None
                else {
                    "size": latest.checkpoint.size,
                    "time": latest.time,
                    "witnesses": {
                        name: {"size": state.size, "time": state.time, "failure": state.failure}
                        for name, state in parts.witnessing.states.items()
                    },
                },
            },
            "configuration": None
            if configuration is None
            else {
                "version": configuration.snapshot_version,
                "hash": configuration.snapshot_hash,
                "expires": configuration.expires,
                "fetched": self._fetched,
            },
            "alarms": [{"code": a.code, "detail": a.detail, "since": a.since} for a in self._alarms()],
            "links": [
                {
                    "peer": str(link.peer.id) if link.peer else "",
                    "origin": link.origin,
                    "direction": direction,
                    "open": link.open,
                    "exchanges": len(link.streams),
                }
                for link, direction in links
            ],
            "incidents": parts.incidents.count,
            **parts.upkeep.facts(),
        }

    def _reasons(self) -> list[str]:
        """Why the node is not ready; nothing when it is."""
        parts = self._parts
        reasons = []
        if self._configuration() is None:
            reasons.append("no usable configuration")
        if self._link_server is None:
            reasons.append("not listening yet")
        if parts.log.halted is not None:
            reasons.append(f"the log is halted: {parts.log.halted.detail}")
        if parts.upkeep.certificate_ends <= parts.clock.now():
            reasons.append("tls.pem has expired")
        if self._stopping:
            reasons.append("shutting down")
        if parts.witnessing.latest is None:
            reasons.append("not witnessed yet")
        return reasons

    def _alarms(self) -> list[Alarm]:
        parts = self._parts
        now, witnessing, halted = parts.clock.now(), parts.witnessing, parts.log.halted
        health = Health(
            now=now,
            free=parts.free(),
            halted=None if halted is None else (self._halted_at or now, halted),
            unwitnessed=None if witnessing.failing is None else (witnessing.failing, witnessing.missing()),
        )
        return [*alarms_of(health), *parts.times.alarms(), *parts.upkeep.alarms(), *parts.client.alarms()]

    def _tell_what_changed(self) -> None:
        """One line for each change: ready or why not, an alarm raised or over."""
        reasons, alarms = self._reasons(), {alarm.code: alarm for alarm in self._alarms()}
        if reasons != self._told_reasons:
            self._told_reasons = reasons
            logger.info("not ready" if reasons else "ready", extra={"fields": {"reasons": reasons}})
        for code in sorted(alarms.keys() - self._told_alarms):
            logger.warning("alarm", extra={"fields": {"code": code, "detail": alarms[code].detail}})
        for code in sorted(self._told_alarms - alarms.keys()):
            logger.info("alarm over", extra={"fields": {"code": code}})
        self._told_alarms = frozenset(alarms)

    def gauges(self) -> dict[str, float]:
        """Numbers for the metrics."""
        parts = self._parts
        return {
            f'build_info{{version="{release()}"}}': 1,
            "log_size": parts.log.size,
            "log_halted": float(parts.log.halted is not None),
            "ready": float(not self._reasons()),
            "alarms": float(len(self._alarms())),
            **parts.upkeep.gauges(),
            **parts.times.gauges(),
            "certificate_ends_seconds": parts.upkeep.certificate_ends / 1000,
            "witnessed_size": parts.witnessing.latest.checkpoint.size if parts.witnessing.latest else 0,
            "links": len(parts.consumer.links()) + len(parts.provider.links()),
            "exchanges_in_progress": len(parts.consumer.exchanges) + len(parts.provider.exchanges),
            "incidents": parts.incidents.count,
            "edge_connections": parts.edge_server.connections,
            "gc_objects_collected": sum(generation["collected"] for generation in gc.get_stats()),
        }

    def render_metrics(self) -> bytes:
        """The Prometheus text."""
        return self._parts.metrics.render(self.gauges())

    async def reload(self) -> None:
        """Read the settings again (clients, services, limits of the edge) and refresh the configuration."""
        self._parts.reload()
        await self._refresh()
        await self._parts.upkeep.look()

    async def witness_now(self) -> dict[str, Any]:
        """Have the newest head witnessed at once."""
        await self._parts.witnessing.round()
        latest = self._parts.witnessing.latest
        if latest is None:
            raise Unavailable("witness.quorum", "no quorum of witnesses has answered yet", at="log")
        return {"size": latest.checkpoint.size, "time": latest.time}

    async def timestamp_now(self) -> dict[str, Any]:
        """Have the newest witnessed checkpoint timestamped at once."""
        if self._parts.timestamping is None:
            raise Unavailable("timestamp.none", "no timestamping authority is set for this node", at="log")
        return {"size": await self._parts.timestamping.stamp()}

    def want(self, member: MemberId) -> bool:
        """Somebody asks for a member this node does not know yet: fetch it now. False when that is no news."""
        if self._parts.client.want(member):
            self._wanted.set()
            return True
        return False

    def meet(self, member: MemberId) -> bool:
        """A node of a member not known here has come: fetch that member's file now, if the directory lists it.

        Who stole the registry's authority could make up members without end.
        """
        listed = any(one.id == member for one in self._parts.client.configuration().members())
        return listed and self.want(member)

    # Stop ----------------------------------------------------------------------------------------------------------

    async def stop(self) -> None:
        """Drain: take nothing new, finish what is in progress, be witnessed once more, close."""
        parts = self._parts
        self._stopping = True
        if self._link_server is not None:
            self._link_server.close()
        parts.consumer.drain()
        parts.provider.drain()
        await parts.edge_server.drain(DRAIN_GRACE)
        await self._in_progress_ends()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(Error, TimeoutError):
            async with asyncio.timeout(2.0):
                await parts.witnessing.round()
        parts.consumer.close()
        parts.provider.close()
        parts.management.close()
        await parts.management_server.drain(1.0)
        await parts.sequencer.close()
        parts.accepted.save()
        parts.log.log.close()

    async def _in_progress_ends(self) -> None:
        """Wait for what is under way, and until no peer can have a request on its way: within limits."""
        consumer, provider = self._parts.consumer, self._parts.provider
        now = asyncio.get_running_loop().time
        began = now()
        while now() - began < DRAIN_GRACE:
            # A peer that does not answer is not waited for as long as an exchange.
            heard = provider.is_quiet or (not provider.exchanges and now() - began > GOAWAY_GRACE)
            if heard and not consumer.exchanges:
                return
            await asyncio.sleep(0.02)

    def _configuration(self) -> Configuration | None:
        try:
            return self._parts.client.configuration()
        except Error:
            return None

    def _version(self) -> int:
        configuration = self._configuration()
        return configuration.snapshot_version if configuration is not None else 0


def _check_free(host: str, port: int) -> None:
    """Raise `Unavailable` where somebody else listens: a node that cannot be reached must not look as if it could."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, port))
        except OSError as exc:
            raise Unavailable("node.port-taken", f"cannot listen on {host}:{port}: {exc.strerror}") from exc


def _disk(exc: Error | OSError) -> Error:
    return exc if isinstance(exc, Error) else Unavailable("disk.failed", "the disk does not take it", context=repr(exc))
