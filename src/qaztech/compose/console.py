"""Builds a member's console: a process of its own beside the member's desk and node. It holds the member key."""

from __future__ import annotations

import asyncio
import logging
import threading
from hashlib import sha256
from pathlib import Path

import msgspec

from qaztech.ai.office import AiOffice, GatewayBooks
from qaztech.ai.register.client import RegisterClient
from qaztech.core.errors import Error, Malformed
from qaztech.core.ids import ServiceId, SubsystemId
from qaztech.core.time import Clock, SystemClock
from qaztech.member.centre import centre_of
from qaztech.member.console import CONSOLE_ROLES, Console, Places
from qaztech.member.desk_work import CONSOLE
from qaztech.member.exchanges import EdgeCaller
from qaztech.member.node_client import NodeClient
from qaztech.member.nodes import MemberNodes
from qaztech.member.store import ACCESS
from qaztech.people.acts import KEY, AdminLog
from qaztech.people.gate import Gate
from qaztech.people.openid_settings import OpenIdSettings
from qaztech.people.people import People
from qaztech.people.tables import PEOPLE
from qaztech.registry.anchor import parse_anchor
from qaztech.registry.catalogue import Catalogue
from qaztech.registry.fetch import HttpFetcher
from qaztech.registry.submitting import show, submit
from qaztech.registry.survey import Surveyor
from qaztech.runtime.database import add_tables, database_url, open_database
from qaztech.runtime.settings import read_settings
from qaztech.runtime.shell import require_free, serve
from qaztech.runtime.telemetry import log_error
from qaztech.web.member_console import MemberConsole

logger = logging.getLogger("qaztech.console")
RECORD_AGAIN = 5.0


class OtherNode(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Another node of the member: its management API, and a file with the token it asks for there."""

    url: str
    token_file: str = ""


class ConsoleSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The settings of a console, as they stand in its `console.toml`. Paths are relative to that file."""

    # The member's folder, with its key; it is made here when the organisation makes its key in the console.
    desk: str
    # What the console keeps for itself: database, admin log, the country as it has verified it.
    directory: str
    anchor: str
    registry: str
    # The own node: its management API with a file that holds its token (or none), and its edge.
    node: str
    node_token_file: str = ""
    # More nodes of the member, which are asked for exchanges and told to reload too.
    more_nodes: tuple[OtherNode, ...] = ()
    edge: str
    # File with the bearer token that the edge asks the member's own system for; empty where loopback is enough.
    edge_token_file: str = ""
    # The centre's service, and the own subsystem that asks it what it knows of us; empty: it is not asked.
    centre: str = ""
    centre_client: str = ""
    # The register of AI systems, and the own subsystem that asks it; the settings of the gateway by which the member's
    # systems call models, whose database with keys, budgets and calls is shared. Empty: the pages of AI say so.
    ai_register: str = ""
    ai_client: str = ""
    gateway: str = ""
    # The node's own settings and the file of limits it reads; empty where the node is on another machine.
    node_settings: str = ""
    limits: str = ""
    # File with the unguessable part of the address by which the node brings requests for access.
    exchange_secret_file: str
    # Hosts from which an OpenAPI document may be fetched by its URL, such as "codes.example" or "10.0.0.5:8099". The
    # hosts of the member's own systems count without being named; from all others a document is uploaded as a file.
    openapi_hosts: tuple[str, ...] = ()
    host: str = "127.0.0.1"
    port: int = 8420
    # The address people type; empty: http://HOST:PORT.
    origin: str = ""
    # Another way in than own accounts; whether a proxy of ours stands in front (docs/howto/let-people-in.md).
    openid: OpenIdSettings = OpenIdSettings()
    behind_proxy: bool = False
    # URL of a PostgreSQL database for this console alone; empty: a SQLite file in `directory`.
    database: str = ""
    follow_seconds: float = 20.0


class FollowedCountry:
    """The catalogue of the country, followed in a thread."""

    def __init__(self, surveyor: Surveyor) -> None:
        self._surveyor = surveyor
        self._turn = threading.Lock()

    def catalogue(self) -> Catalogue | None:
        """The newest verified view; None before there was one."""
        survey = self._surveyor.survey
        return survey.catalogue if survey is not None else None

    def refresh(self) -> None:
        """Look at the registry once. What goes wrong is logged, and the view of before stays."""
        with self._turn:
            try:
                self._surveyor.refresh()
            except Error as exc:
                log_error(logger, "the catalogue was not refreshed", exc)


class _ConsoleProcess:
    """The console's parts, wired; on the running loop."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self.settings = settings = read_settings(path, ConsoleSettings)
        base = path.parent

        def at(name: str) -> Path:
            return (base / name).resolve()

        def secret(name: str) -> str:
            return at(name).read_text().strip() if name else ""

        directory = at(settings.directory)
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        anchor_bytes = at(settings.anchor).read_bytes()
        anchor = parse_anchor(anchor_bytes)
        exchange_secret = secret(settings.exchange_secret_file)
        if len(exchange_secret) < 32:
            raise Malformed("console.secret", "the exchange secret has 32 characters at least")
        origin = settings.origin.rstrip("/") or f"http://{settings.host}:{settings.port}"
        self.engine = open_database(database_url(settings.database, directory / "console.db"), PEOPLE)
        add_tables(self.engine, ACCESS)
        add_tables(self.engine, CONSOLE)
        self.log = _admin_log(directory / "admin-log", anchor.instance, clock)
        people = People(self.engine, roles=CONSOLE_ROLES, clock=clock)
        provider = settings.openid.provider(people, origin=origin, beside=base)
        gate = Gate(people, origin=origin, provider=provider, behind_proxy=settings.behind_proxy)
        self.country = FollowedCountry(
            Surveyor(
                anchor=anchor, directory=directory / "country", fetcher=HttpFetcher(settings.registry), clock=clock,
                descriptions=HttpFetcher(settings.registry),
            )
        )  # fmt: skip
        here = f"http://{settings.host}:{settings.port}"
        self.console = Console(
            places=Places(
                directory=at(settings.desk),
                registry=settings.registry,
                instance=anchor.instance,
                node_settings=at(settings.node_settings) if settings.node_settings else None,
                limits=at(settings.limits) if settings.limits else None,
                reserved=(
                    here,
                    origin,
                    settings.node,
                    settings.edge,
                    settings.registry,
                    *(more.url for more in settings.more_nodes),
                ),
                fingerprint=anchor.fingerprint,
                openapi_hosts=settings.openapi_hosts,
            ),
            engine=self.engine,
            node=MemberNodes(
                [
                    NodeClient(settings.node, secret(settings.node_token_file)),
                    *(NodeClient(more.url, secret(more.token_file)) for more in settings.more_nodes),
                ]
            ),
            edge=EdgeCaller(settings.edge, token=secret(settings.edge_token_file)),
            submit=lambda submission: submit(settings.registry, submission),
            send_showcase=lambda member, envelope, documents: show(settings.registry, member, envelope, documents),
            country=self.country,
            clock=clock,
            centre=centre_of(
                settings.centre,
                settings.centre_client,
                edge=settings.edge,
                token=secret(settings.edge_token_file),
                clock=clock,
            ),
        )
        self.books = _books(at(settings.gateway)) if settings.gateway else None
        self.site = MemberConsole(
            console=self.console, people=people, gate=gate, log=self.log, anchor=anchor_bytes,
            secret_hash=sha256(exchange_secret.encode()).digest(),
            ai=AiOffice(
                member=lambda: self.console.work.file().member, note=self.console.work.note, clock=clock,
                register=_register(settings, secret(settings.edge_token_file)), books=self.books,
            ),
        )  # fmt: skip

    async def follow(self) -> None:
        """Follow the country, carry out what could not be, hear what providers say."""
        while True:
            await asyncio.to_thread(self.country.refresh)
            try:
                await asyncio.to_thread(self.console.follow)
            except Error as exc:
                log_error(logger, "what waits was not carried out", exc)
            await asyncio.sleep(self.settings.follow_seconds)

    async def record(self, stop: asyncio.Event) -> None:
        """Bring what is noted to the admin log, again after a failure; a log that is halted stays so."""
        while not stop.is_set() and self.log.halted is None:
            try:
                await self.log.follow(self.engine, stop)
            except Error as exc:
                log_error(logger, "acts are not brought to the admin log", exc)
                await asyncio.sleep(RECORD_AGAIN)

    async def close(self) -> None:
        """Bring what is noted to the admin log, and leave everything so that it opens again."""
        try:
            await self.log.drain(self.engine)
        except Error as exc:  # it stands in the database, and is brought at the next start
            log_error(logger, "acts are not brought to the admin log", exc)
        await self.log.close()
        self.engine.dispose()
        if self.books is not None:
            self.books.engine.dispose()


def _register(settings: ConsoleSettings, token: str) -> RegisterClient | None:
    """The register of AI systems, as far as the settings name it. Raises `Malformed`."""
    if not settings.ai_register:
        return None
    return RegisterClient(
        edge=settings.edge, service=ServiceId.parse(settings.ai_register),
        client=SubsystemId.parse(settings.ai_client), token=token,
    )  # fmt: skip


def _books(path: Path) -> GatewayBooks:
    from qaztech.compose.gateway import open_books  # noqa: PLC0415  # a console without a gateway imports nothing of it

    gateway, engine = open_books(path)
    return GatewayBooks(
        engine=engine, models=tuple(model.name for model in gateway.models),
        address=f"http://{gateway.host}:{gateway.port}/v1",
    )  # fmt: skip


def _admin_log(directory: Path, instance: str, clock: Clock) -> AdminLog:
    if (directory / KEY).exists() and (directory / "log").exists():
        return AdminLog.open(directory, clock=clock)
    return AdminLog.create(directory, instance=instance, clock=clock)


async def run_console(path: Path, stop: asyncio.Event) -> None:
    """Run a member's console until told to stop."""
    settings = read_settings(path, ConsoleSettings)
    require_free((settings.host, settings.port))
    process = _ConsoleProcess(path, SystemClock())
    tasks = [
        asyncio.create_task(process.follow()),
        asyncio.create_task(process.record(stop)),
    ]
    await serve(process.site.app, host=settings.host, port=settings.port, stop=stop)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await process.close()
