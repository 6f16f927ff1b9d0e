"""Builds a node."""

from __future__ import annotations

import asyncio
import gc
import json
import shutil
import ssl
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from qaztech.compose.node_members import LimitFiles, build_desks
from qaztech.compose.node_upkeep import build_upkeep
from qaztech.compose.witness import known_logs, want_everyone
from qaztech.core.errors import Error
from qaztech.core.ids import MemberId, NodeId, ServiceId, SubsystemId
from qaztech.core.time import Clock, SystemClock
from qaztech.evidence.log import Commit, Log
from qaztech.evidence.note import VerifierKey
from qaztech.evidence.sequencer import Sequencer
from qaztech.evidence.storage import OsStorage
from qaztech.evidence.timestamp import Authorities
from qaztech.evidence.witness import SqliteWitnessStore, Witness
from qaztech.evidence.witnessing import Witnessing
from qaztech.node.clock_watch import REGISTRY, ClockWatch
from qaztech.node.closed_logs import PastTimestamps, Receipts, ReceiptsOfAllLogs, open_closed_logs
from qaztech.node.consumer import Consumer
from qaztech.node.crosscheck import CrossCheck
from qaztech.node.edge import ClientAccess, Edge, EdgeRules
from qaztech.node.events import Events
from qaztech.node.finding import ExchangeFinder
from qaztech.node.http_client import ClientLimits, HttpClient
from qaztech.node.http_server import HttpServer, ServerLimits
from qaztech.node.incidents import Incidents
from qaztech.node.limits import CallCounts
from qaztech.node.link import Link, LinkHandler
from qaztech.node.management import Management
from qaztech.node.node import Node, Parts
from qaztech.node.own_log import OwnLog
from qaztech.node.peers import AcceptedHeads
from qaztech.node.place import Finished, Limits, Place, untraced
from qaztech.node.provider import Provider
from qaztech.node.questions import Questions
from qaztech.node.receipts import ReadableLog, ReceiptMaker, Timestamps
from qaztech.node.renewal import CLOSED_LOGS
from qaztech.node.replay import ReplayGuard
from qaztech.node.rewiring import Rewiring
from qaztech.node.settings import NodeSettings, ServiceSettings
from qaztech.node.systems import System, Systems
from qaztech.node.throttle import Throttle
from qaztech.node.timestamping import Timestamping
from qaztech.node.tls import EdgeFiles, EdgeTls, LinkTls
from qaztech.node.tls_files import TlsFiles
from qaztech.node.tracing import Tracing
from qaztech.registry.anchor import Anchor, parse_anchor
from qaztech.registry.client import ClientSettings, ConfigurationClient
from qaztech.registry.configuration import NodeEntry
from qaztech.registry.excerpt_maker import ExcerptMaker
from qaztech.registry.fetch import HttpFetcher
from qaztech.registry.key_files import load_cosigner, load_log_keys
from qaztech.runtime.outbound import Outbound, get
from qaztech.runtime.settings import read_settings
from qaztech.runtime.telemetry import Metrics
from qaztech.runtime.tracing import SpanExporter
from qaztech.trust.keys import MlDsa44Key


class NodeBuilder:
    """Builds one node from its settings file. Paths in the settings are relative to that file."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._base = path.parent
        self.settings = read_settings(path, NodeSettings)
        self._directory = self._resolve(self.settings.directory)
        self._metrics = Metrics()
        self._events = Events(metrics=self._metrics)
        self._tracing = self._traces()
        self._times = ClockWatch(clock)

    def _traces(self) -> Tracing | None:
        settings = self.settings.tracing
        if not settings.endpoint:
            return None
        exporter = SpanExporter(endpoint=settings.endpoint, service=self.settings.id)
        return Tracing(sink=exporter, ratio=settings.ratio)

    def _finished(self, exchange: Finished) -> None:
        self._events.finished(exchange)
        if self._tracing is not None:
            self._tracing.finished(exchange)

    def build(self) -> Node:
        """Everything, wired; call on the loop that will run it. Raises `Malformed` or `Halt` with what is wrong."""
        settings, clock, loop = self.settings, self._clock, asyncio.get_running_loop()
        anchor = parse_anchor(self._resolve(settings.anchor).read_bytes())
        outbound = Outbound()
        incidents = Incidents(
            path=self._directory / "incidents.jsonl", clock=clock, tell=lambda i: self._events.tell("incident", i)
        )
        client = ConfigurationClient(
            anchor=anchor,
            directory=self._directory / "configuration",
            fetcher=HttpFetcher(settings.registry, heard=partial(self._times.heard, REGISTRY)),
            own_members={MemberId.parse(m.id): m.lineage for m in settings.members},
            clock=clock, incident=lambda error: incidents.report(error, peer="registry"),
            settings=ClientSettings(admin_logs=bool(settings.witness.name)),
        )  # fmt: skip
        own, sequencer, keys, hybrid = self._log()
        sequencer.on_commit = self._committed
        accepted = AcceptedHeads(
            path=self._directory / "peers.json", notes=own, node_of=lambda origin: _node_of(client, origin)
        )
        place = Place(
            clock=clock, configuration=client.configuration, journal=own, loop=loop, limits=self._limits(),
            finished=self._finished, replays=ReplayGuard(accepted.all()),
            trace=Tracing.context_of if self._tracing is not None else untraced,
        )  # fmt: skip
        systems, limit_files = self._provided(client)
        witnessing = Witnessing(
            log=own, policy=anchor.policy, keys=keys, hybrid=hybrid, post=outbound.post, get=get, clock=clock
        )
        excerpts = ExcerptMaker(anchor=anchor, archive=client.archive, source=HttpFetcher(settings.registry))
        timestamping = self._timestamping(own, witnessing, outbound, anchor.tsas)
        receipts: list[Receipts] = []
        questions = Questions(
            log=own, receipts=lambda: receipts[0], witnessing=lambda: witnessing, seconds=loop.time
        )  # fmt: skip

        link_throttle = Throttle()
        nodes: list[Node] = []

        def link(handler: LinkHandler, dialled: NodeEntry | None) -> Link:
            return Link(
                dialled=dialled, node=settings.id, configuration=client.configuration, log=own, accepted=accepted,
                incidents=incidents, throttle=link_throttle, handler=handler, loop=loop,
                stranger=lambda member: bool(nodes) and nodes[0].meet(member),
            )  # fmt: skip

        tls_files, link_tls, edge_tls = self._tls(client)
        consumer = Consumer(
            place=place, make_link=link, tls=link_tls.client,
            answer_question=questions.answer, incidents=incidents,
        )  # fmt: skip
        provider = Provider(
            place=place, systems=systems, answer_question=questions.answer,
            count=lambda code: self._metrics.count_label("refused_total", "code", code), incidents=incidents,
        )  # fmt: skip
        asker = _Asker(provider, consumer)

        def maker(log: ReadableLog, timestamps: Timestamps | None, witness_soon: Callable[[], None]) -> ReceiptMaker:
            return ReceiptMaker(
                log=log, configuration=client.configuration, policy=anchor.policy,
                excerpt=lambda snapshots, records: asyncio.to_thread(excerpts.make, snapshots, records),
                asker=asker, timestamps=timestamps, witness_soon=witness_soon,
            )  # fmt: skip

        past = PastTimestamps(timestamping) if timestamping is not None else None
        closed = open_closed_logs(self._directory / CLOSED_LOGS, OsStorage())
        makers: list[tuple[ReadableLog, ReceiptMaker]] = [
            (own, maker(own, timestamping, witnessing.want)),
            *((log, maker(log, past, lambda: None)) for log in closed),
        ]
        receipts.append(ReceiptsOfAllLogs(makers, client.configuration))
        rules = [self._rules()]
        edge = Edge(
            place=place, consumer=consumer, rules=lambda: rules[0],
            reconcile=lambda message, subsystem, answer: _reconcile(loop, receipts[0], message, subsystem, answer),
            count=lambda code: self._metrics.count_label("edge_faults_total", "code", code),
            want=lambda member: nodes[0].want(member),  # noqa: PLW0108  # the node comes after its edge
            throttle=Throttle(), tracing=self._tracing,
        )  # fmt: skip
        incoming = Management(
            node=_Late(nodes), receipts=receipts[0], events=self._events, incidents=incidents, log=own.log,
            witness=self._witness(client, anchor), finder=ExchangeFinder(self._directory, storage=OsStorage()),
            token_hash=bytes.fromhex(settings.management.token_hash), loop=loop,
        )  # fmt: skip

        upkeep = build_upkeep(
            lambda: self.settings, anchor=anchor, clock=clock, client=client, post=outbound.post,
            wire=Rewiring(link_tls, consumer, provider, loop.time), files=tls_files, link_tls=link_tls,
            edge_tls=edge_tls, origins=frozenset(log.origin for log, _ in makers),
        )  # fmt: skip

        def reload() -> None:
            fresh = read_settings(self._path, NodeSettings)
            self.settings = fresh
            rules[0] = self._rules()
            systems.systems, systems.desks = self._systems(), build_desks(fresh.members)
            systems.limits.access_requests = fresh.exchange.access_requests_a_minute
            limit_files.use(fresh.members)

        node = Node(
            Parts(
                settings=settings, id=NodeId.parse(settings.id),
                members=tuple(MemberId.parse(m.id) for m in settings.members), clock=clock, client=client, log=own,
                sequencer=sequencer, accepted=accepted, incidents=incidents, events=self._events,
                metrics=self._metrics, consumer=consumer, provider=provider, edge=edge, management=incoming,
                edge_server=HttpServer(on_request=edge.on_request, limits=self._edge_limits()),
                management_server=HttpServer(on_request=incoming.on_request),
                make_link=lambda: link(provider, None), server_tls=link_tls.server,
                edge_tls=edge_tls.context, witnessing=witnessing,
                crosscheck=CrossCheck(
                    accepted=accepted, consumer=consumer, configuration=client.configuration, policy=anchor.policy,
                    incidents=incidents, clock=clock,
                ),
                timestamping=timestamping, reload=reload, upkeep=upkeep, free=self._free, times=self._times,
                refreshed=lambda: self._refreshed(limit_files, client),
            )
        )  # fmt: skip
        nodes.append(node)
        return node

    # Pieces ----------------------------------------------------------------------------------------------------------

    def _resolve(self, path: str) -> Path:
        return (self._base / path).resolve()

    def _log(self) -> tuple[OwnLog, Sequencer, tuple[VerifierKey, ...], MlDsa44Key | None]:
        instance = NodeId.parse(self.settings.id).member.instance
        origin, key, hybrid, keys = load_log_keys(self._directory, instance)
        make = Log.open if (self._directory / "log").exists() else Log.create
        log = make(self._directory / "log", storage=OsStorage(), key=key, origin=origin, clock=self._clock)
        sequencer = Sequencer(log=log, max_waiting=self.settings.exchange.max_waiting_appends)
        return OwnLog(log=log, sequencer=sequencer, public=key.public), sequencer, keys, hybrid

    def _committed(self, commit: Commit) -> None:
        """One batch: one sync, one signature, so many entries."""
        self._metrics.count("log_fsyncs_total")
        self._metrics.count("log_heads_signed_total")
        self._metrics.count("log_entries_total", len(commit.leaves))

    def _limits(self) -> Limits:
        exchange, edge = self.settings.exchange, self.settings.edge
        return Limits(
            request_lifetime=int(exchange.request_lifetime_seconds * 1000),
            answer_timeout=exchange.answer_timeout_seconds,
            exchanges=exchange.max_exchanges,
            body=edge.max_body_bytes,
        )

    def _edge_limits(self) -> ServerLimits:
        edge = self.settings.edge
        return ServerLimits(
            max_connections=edge.max_connections,
            max_target=edge.max_target_bytes,
            max_headers=edge.max_headers,
            max_header_bytes=edge.max_header_bytes,
            max_body=edge.max_body_bytes,
            buffered_body=edge.whole_body_bytes,
        )

    def _rules(self) -> EdgeRules:
        edge = self.settings.edge
        return EdgeRules(
            clients={
                SubsystemId.parse(client.id): ClientAccess(
                    tokens=frozenset(map(bytes.fromhex, client.token_hashes)),
                    certificates=frozenset(map(bytes.fromhex, client.certificate_hashes)),
                    loopback=client.loopback,
                )
                for client in self.settings.clients
            },
            dialect=edge.dialect,
            max_headers=edge.max_headers,
            max_header_bytes=edge.max_header_bytes,
            max_target_bytes=edge.max_target_bytes,
        )

    def _provided(self, client: ConfigurationClient) -> tuple[Systems, LimitFiles]:
        """The systems and desks of this node's members, and the files that say how often these may be called."""
        counts = CallCounts(access_requests=self.settings.exchange.access_requests_a_minute)
        files = LimitFiles(counts, self._resolve, self._directory / "call-counts.json")
        files.start(self.settings.members)
        spool = self._directory / "spool"
        spool.mkdir(exist_ok=True)
        systems = Systems(
            systems=self._systems(), configuration=client.configuration, clock=self._clock, spool=spool,
            desks=build_desks(self.settings.members), limits=counts,
        )  # fmt: skip
        return systems, files

    def _refreshed(self, limits: LimitFiles, client: ConfigurationClient) -> bool:
        """After each refresh: the limits that may have changed, and for a witness the members it does not know yet."""
        limits.look()
        return bool(self.settings.witness.name) and want_everyone(client)

    def _systems(self) -> dict[ServiceId, System]:
        return {ServiceId.parse(service.id): self._system(service) for service in self.settings.services}

    def _system(self, service: ServiceSettings) -> System:
        context = None
        if service.url.startswith("https:"):
            context = ssl.create_default_context(cafile=str(self._resolve(service.ca)) if service.ca else None)
            if service.certificate:
                context.load_cert_chain(self._resolve(service.certificate), self._resolve(service.key))
        limits = ClientLimits(
            max_connections=service.connections,
            connect_timeout=service.connect_timeout,
            first_byte_timeout=service.timeout,
            buffered_body=self.settings.edge.whole_body_bytes,
        )
        return System(
            client=HttpClient(url=service.url, ssl=context, limits=limits),
            timeout=service.timeout,
            early=service.early,
            openapi=self._resolve(service.openapi) if service.openapi else None,
            disabled=service.disabled,
        )

    def _tls(self, client: ConfigurationClient) -> tuple[TlsFiles, LinkTls, EdgeTls]:
        """The TLS files, of the links and of the edge, and what listens and dials with them."""
        files = TlsFiles(self._directory, NodeId.parse(self.settings.id))
        files.settle()
        link = LinkTls(files.certificate, files.key_file, lambda: client.configuration().authorities)
        edge = self.settings.edge
        if not edge.certificate:
            return files, link, EdgeTls(None)
        ca = self._resolve(edge.ca) if edge.ca else None
        own = EdgeFiles(certificate=self._resolve(edge.certificate), key=self._resolve(edge.key), ca=ca)
        return files, link, EdgeTls(own)

    def _free(self) -> int | None:
        try:
            return shutil.disk_usage(self._directory / "log").free
        except OSError:
            return None

    def _witness(self, client: ConfigurationClient, anchor: Anchor) -> Witness | None:
        name = self.settings.witness.name
        if not name:
            return None

        return Witness(
            store=SqliteWitnessStore(self._directory / "witness.db"),
            keys=load_cosigner(self._directory, name),
            log_keys=lambda origin: known_logs(client, anchor, origin),
            clock=self._clock,
        )

    def _timestamping(
        self, own: OwnLog, witnessing: Witnessing, outbound: Outbound, tsas: tuple[bytes, ...]
    ) -> Timestamping | None:
        url = self.settings.timestamping
        if not url:
            return None
        return Timestamping(log=own, witnessing=witnessing, url=url, authorities=Authorities(tsas), outbound=outbound)


class _Asker:
    """Reaches a peer by the link it has with us, whoever dialled; else by dialling."""

    def __init__(self, provider: Provider, consumer: Consumer) -> None:
        self._provider = provider
        self._consumer = consumer

    def ask(self, node: NodeId, kind: str, payload: bytes, callback: Callable[[bytes | Error], None]) -> None:
        """Ask; the callback gets the answer or why there is none."""
        for link in self._provider.links():
            if link.alive and link.peer is not None and link.peer.id == node:
                link.ask(kind, payload, lambda answer: callback(Consumer.outcome_of(answer)))
                return
        self._consumer.ask(node, kind, payload, callback)


class _Late:
    """The node as its management API sees it; it is built after the API."""

    def __init__(self, nodes: list[Node]) -> None:
        self._nodes = nodes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._nodes[0], name)


def _node_of(client: ConfigurationClient, origin: str) -> NodeId | None:
    try:
        entry = client.configuration().log(origin)
    except Error:
        return None
    return entry.node if entry is not None else None


def _reconcile(
    loop: asyncio.AbstractEventLoop,
    receipts: Receipts,
    message: Any,
    subsystem: SubsystemId,
    answer: Callable[[bytes | Error], None],
) -> None:
    async def ask() -> None:
        try:
            answer(json.dumps(await receipts.outcome(message, subsystem)).encode())
        except Error as exc:
            answer(exc)

    loop.create_task(ask())  # it ends by answering; the caller holds the connection


async def run_node(path: Path, stop: asyncio.Event) -> None:
    """Run one node until told to stop."""
    builder = NodeBuilder(path, SystemClock())
    node = builder.build()
    await node.start()
    # What is there now stays: the collector need not look at it again, nor as often at what exchanges leave behind.
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 100)
    await stop.wait()
    await node.stop()
