"""Builds the centre: a process of its own behind a node, which takes the nodes' operational data and shows it.

It listens twice: where its node brings exchanges, and, if it has pages, where people look at it in a browser.
"""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path

import msgspec
from sqlalchemy import Engine
from starlette.types import ASGIApp

from qaztech.ai.register.service import RegisterService, register_routes
from qaztech.ai.register.store import METADATA as AI_REGISTER
from qaztech.ai.register.store import CardStore
from qaztech.compose.witness import follow_everyone
from qaztech.core.errors import Error, Malformed
from qaztech.core.ids import MemberId
from qaztech.core.time import Clock, SystemClock
from qaztech.hub.detecting import DetectApart, Detecting
from qaztech.hub.findings import METADATA as FINDINGS
from qaztech.hub.findings import FindingQueue
from qaztech.hub.flows import Flows
from qaztech.hub.judging import JudgeApart
from qaztech.hub.operational import hub_app, keep_checking, keep_compacting
from qaztech.hub.receiving import Deliveries, HubLimits, owner_in
from qaztech.hub.register.store import METADATA as OBJECTS
from qaztech.hub.register.store import ObjectStore
from qaztech.hub.scopes import HUB_ROLES
from qaztech.hub.signals import Signals
from qaztech.hub.store import METADATA, OperationalStore
from qaztech.node.operational import OperationalData, deliver_rounds
from qaztech.node.operational_edge import EdgeCentre
from qaztech.node.settings import NodeSettings
from qaztech.people.acts import KEY, AdminLog
from qaztech.people.gate import Gate
from qaztech.people.openid_settings import OpenIdSettings
from qaztech.people.people import People
from qaztech.people.tables import PEOPLE
from qaztech.registry.anchor import Anchor, parse_anchor
from qaztech.registry.client import ConfigurationClient
from qaztech.registry.fetch import HttpFetcher
from qaztech.runtime.database import add_tables, database_url, open_database
from qaztech.runtime.settings import read_settings
from qaztech.runtime.shell import require_free, serve
from qaztech.runtime.telemetry import log_error

logger = logging.getLogger("qaztech.hub")
COMPACT_SECONDS = 3600.0
RECORD_AGAIN = 5.0
ADMIN_LOG = "admin-log"
WAITING = "waiting"
SIGNALS = "signals"
FLOWS, ROWS = "flows", "rows"
JUDGE_IDLE_SECONDS = 3.0


class PagesSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Where people look at the centre: the section `[pages]` of `hub.toml`."""

    host: str = "127.0.0.1"
    port: int = 8405
    # The address people type; empty: http://localhost:PORT.
    origin: str = ""
    # Another way in than own accounts; whether a proxy of ours stands in front (docs/howto/let-people-in.md).
    openid: OpenIdSettings = OpenIdSettings()
    behind_proxy: bool = False
    # Whether every page says that what it shows is made up (the national sample).
    fictitious: bool = False


class HubSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The settings of a centre, as they stand in its `hub.toml`. Paths are relative to that file."""

    directory: str
    anchor: str
    registry: str
    # Its node calls it here; it answers nobody from another machine.
    host: str = "127.0.0.1"
    port: int = 8404
    # Members that may send monthly sign-ins, as `KZ/GOV/991340000017`: they speak as identity providers.
    sign_in_providers: list[str] = []
    # Pages for people; without the section there are none.
    pages: PagesSettings | None = None
    # URL of the database; empty: a SQLite file in the directory.
    database: str = ""
    refresh_seconds: float = 20.0
    # Settings of nodes on this machine for which this process delivers too: a small country has a process less.
    deliver_for: list[str] = []
    # How often the two sides' rows are compared.
    check_seconds: float = 60.0
    max_body_bytes: int = 2 * 1024**3
    max_leaves: int = 2_000_000
    # How long after others have named a log it must have been delivered.
    late_seconds: float = 3600.0


def open_store(path: Path) -> OperationalStore:
    """What the centre with these settings keeps."""
    settings = read_settings(path, HubSettings)
    directory = _directory(path, settings)
    return OperationalStore(_database(settings, directory), directory / ROWS)


def open_objects(path: Path) -> tuple[ObjectStore, Engine]:
    """The registry of digital objects of the centre with these settings, and its database, to be disposed of."""
    settings = read_settings(path, HubSettings)
    engine = _database(settings, _directory(path, settings))
    for tables in (OBJECTS, PEOPLE):  # what is changed is noted for the admin log
        add_tables(engine, tables)
    return ObjectStore(engine), engine


def open_cards(path: Path) -> tuple[CardStore, Engine]:
    """The register of AI systems of the centre with these settings, and its database, to be disposed of."""
    settings = read_settings(path, HubSettings)
    engine = _database(settings, _directory(path, settings))
    return _cards(engine, SystemClock()), engine


def _cards(engine: Engine, clock: Clock) -> CardStore:
    for tables in (PEOPLE, AI_REGISTER):  # what people do with cards is noted for the admin log
        add_tables(engine, tables)
    return CardStore(engine, clock)


def open_detecting(path: Path) -> tuple[Detecting, Engine]:
    """Runs of detectors for the centre with these settings, and its database, to be disposed of."""
    settings = read_settings(path, HubSettings)
    directory = _directory(path, settings)
    engine = _database(settings, directory)
    return _detecting(settings, directory, engine, SystemClock())[0], engine


def _detecting(
    settings: HubSettings, directory: Path, engine: Engine, clock: Clock
) -> tuple[Detecting, FindingQueue, DetectApart]:
    for tables in (PEOPLE, OBJECTS, FINDINGS):
        add_tables(engine, tables)
    apart = DetectApart(
        database=database_url(settings.database, directory / "hub.db"), flows=directory / FLOWS, rows=directory / ROWS
    )
    findings = FindingQueue(engine, clock)
    return Detecting(objects=ObjectStore(engine), findings=findings, detect=apart, clock=clock), findings, apart


class _Pages:
    """The people of the centre, their admin log, and the site."""

    def __init__(
        self,
        settings: HubSettings,
        pages: PagesSettings,
        *,
        base: Path,
        directory: Path,
        engine: Engine,
        deliveries: Deliveries,
        client: ConfigurationClient,
        anchor: Anchor,
        clock: Clock,
    ) -> None:
        from qaztech.web.hub_ai_cases import CardCases  # noqa: PLC0415
        from qaztech.web.hub_app import HubSite  # noqa: PLC0415  # a centre without pages need not have them
        from qaztech.web.hub_import_work import ImportWork  # noqa: PLC0415
        from qaztech.web.hub_parts import HubParts  # noqa: PLC0415

        self._engine = engine
        self.detecting, findings, self._detectors = _detecting(settings, directory, engine, clock)
        people = People(engine, roles=HUB_ROLES, clock=clock)
        origin = pages.origin.rstrip("/") or f"http://localhost:{pages.port}"
        provider = pages.openid.provider(people, origin=origin, beside=base)
        gate = Gate(people, origin=origin, provider=provider, behind_proxy=pages.behind_proxy)
        self.log = _admin_log(directory / ADMIN_LOG, anchor.instance, clock)
        self._imports, cards = ImportWork(), _cards(engine, clock)
        self.card_cases = CardCases(cards, deliveries, findings, clock)
        self.site = HubSite(
            HubParts(
                imports=self._imports,
                deliveries=deliveries,
                objects=ObjectStore(engine),
                cards=cards,
                flows=Flows(directory / FLOWS, deliveries.store),
                findings=findings,
                detecting=self.detecting,
                waiting=directory / WAITING,
                configuration=client.configuration,
                fictitious=pages.fictitious,
                people=people,
                gate=gate,
                admin_log=self.log,
                instance=anchor.instance,
                clock=clock,
            )
        )

    async def record(self, stop: asyncio.Event) -> None:
        """Bring what is noted to the admin log, again after a failure; a log that is halted stays so."""
        while not stop.is_set() and self.log.halted is None:
            try:
                await self.log.follow(self._engine, stop)
            except Error as exc:
                log_error(logger, "acts are not brought to the admin log", exc)
                await asyncio.sleep(RECORD_AGAIN)

    async def close(self) -> None:
        """End a run of detectors, bring what is noted to the admin log, and leave it so that it opens again."""
        self._imports.close()
        self._detectors.close()
        try:
            await self.log.drain(self._engine)
        except Error as exc:  # it stands in the database, and is brought at the next start
            log_error(logger, "acts are not brought to the admin log", exc)
        await self.log.close()


async def run_hub(path: Path, stop: asyncio.Event) -> None:
    """Run the centre until told to stop."""
    settings = read_settings(path, HubSettings)
    if settings.pages is not None and (settings.pages.host, settings.pages.port) == (settings.host, settings.port):
        raise Malformed("operational.settings", "the pages have a port of their own: a proxy must not reach the other")
    pages_at = [] if settings.pages is None else [(settings.pages.host, settings.pages.port)]
    require_free((settings.host, settings.port), *pages_at)
    directory = _directory(path, settings)
    anchor = parse_anchor((path.parent / settings.anchor).read_bytes())
    clock = SystemClock()
    fetcher = HttpFetcher(settings.registry)
    client = ConfigurationClient(
        anchor=anchor, directory=directory / "configuration", fetcher=fetcher, own_members={}, clock=clock
    )
    engine = _database(settings, directory)
    store = OperationalStore(engine, directory / ROWS)
    judge = JudgeApart()
    limits = HubLimits(body=settings.max_body_bytes, leaves=settings.max_leaves, late=int(settings.late_seconds * 1000))
    deliveries = Deliveries(
        store=store, owner=owner_in(client.configuration), policy=anchor.policy, clock=clock, limits=limits, judge=judge
    )
    deliveries.clean()
    pages = None
    if settings.pages is not None:
        pages = _Pages(
            settings, settings.pages, base=path.parent, directory=directory, engine=engine, deliveries=deliveries,
            client=client, anchor=anchor, clock=clock,
        )  # fmt: skip
    signals = _signals(settings, directory, engine, clock)
    tasks = [
        asyncio.create_task(follow_everyone(client, settings.refresh_seconds)),
        asyncio.create_task(keep_checking(deliveries, settings.check_seconds)),
        asyncio.create_task(keep_compacting(deliveries, COMPACT_SECONDS)),
        *_people_tasks(pages, stop),
        asyncio.create_task(_keep_small(judge)),
        *_deliverers(path.parent, settings, clock, stop),
    ]
    beside = register_routes(RegisterService(_cards(engine, clock), clock))
    await _serve(settings, hub_app(deliveries, limits=limits, signals=signals, beside=beside), pages, stop)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    if pages is not None:
        await pages.close()
    judge.close()
    fetcher.close()
    store.close()


def _signals(settings: HubSettings, directory: Path, engine: Engine, clock: Clock) -> Signals:
    add_tables(engine, OBJECTS)
    return Signals(
        objects=ObjectStore(engine), directory=directory / SIGNALS, clock=clock,
        providers=[MemberId.parse(member) for member in settings.sign_in_providers],
    )  # fmt: skip


def _people_tasks(pages: _Pages | None, stop: asyncio.Event) -> list[asyncio.Task[None]]:
    if pages is None:
        return []
    return [
        asyncio.create_task(pages.record(stop)),
        asyncio.create_task(pages.detecting.keep(stop)),
        asyncio.create_task(pages.card_cases.keep(stop)),
    ]


def _deliverers(base: Path, settings: HubSettings, clock: Clock, stop: asyncio.Event) -> list[asyncio.Task[None]]:
    """One for each node on this machine; they take turns, and each delivers through its own node like any other."""
    turn, tasks = asyncio.Lock(), []
    for name in settings.deliver_for:
        path = (base / name).resolve()
        node = read_settings(path, NodeSettings)
        data = OperationalData(
            (path.parent / node.directory).resolve(),
            clock=clock,
            keep_days=node.operational.keep_days,
            quiet=node.operational.service,
        )
        centre = EdgeCentre(node, path.parent)
        tasks.append(asyncio.create_task(_deliver(data, centre, node.operational.every_seconds, stop, turn)))
    return tasks


async def _deliver(
    data: OperationalData, centre: EdgeCentre, every: float, stop: asyncio.Event, turn: asyncio.Lock
) -> None:
    lock = data.lock()
    try:
        await deliver_rounds(data, centre, every, stop, turn=turn)
    finally:
        os.close(lock)


async def _keep_small(judge: JudgeApart) -> None:
    """Let the process that judges end while there is nothing to judge."""
    while True:
        await asyncio.sleep(JUDGE_IDLE_SECONDS / 2)
        await asyncio.to_thread(judge.rest, JUDGE_IDLE_SECONDS)


async def _serve(settings: HubSettings, exchanges: ASGIApp, pages: _Pages | None, stop: asyncio.Event) -> None:
    """Answer the node and people until told to stop; where one cannot listen, both end."""
    serving = [asyncio.create_task(serve(exchanges, host=settings.host, port=settings.port, stop=stop))]
    if settings.pages is not None and pages is not None:
        where = settings.pages
        serving.append(asyncio.create_task(serve(pages.site.app, host=where.host, port=where.port, stop=stop)))
    await asyncio.wait(serving, return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    await asyncio.gather(*serving)


def _directory(path: Path, settings: HubSettings) -> Path:
    directory = (path.parent / settings.directory).resolve()
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def _database(settings: HubSettings, directory: Path) -> Engine:
    return open_database(database_url(settings.database, directory / "hub.db"), METADATA)


def _admin_log(directory: Path, instance: str, clock: Clock) -> AdminLog:
    if (directory / KEY).exists() and (directory / "log").exists():
        return AdminLog.open(directory, clock=clock)
    return AdminLog.create(directory, instance=instance, clock=clock)
