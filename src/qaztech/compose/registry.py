"""Builds the registry: its state and rules, publication, its own witnessed log, its witness, its service."""

from __future__ import annotations

import asyncio
import logging
import secrets
from pathlib import Path

import msgspec
from starlette.routing import BaseRoute

from qaztech.core.errors import Error, Halt
from qaztech.core.time import Clock, SystemClock
from qaztech.evidence.log import Entry, Log
from qaztech.evidence.note import VerifierKey
from qaztech.evidence.sequencer import Sequencer
from qaztech.evidence.storage import OsStorage
from qaztech.evidence.witness import SqliteWitnessStore, Witness
from qaztech.evidence.witnessing import Witnessing
from qaztech.node.journal import WITNESSED
from qaztech.node.own_log import OwnLog
from qaztech.people.acts import AdminLog
from qaztech.people.gate import Gate
from qaztech.people.openid_settings import OpenIdSettings
from qaztech.people.people import People
from qaztech.people.tables import PEOPLE
from qaztech.registry.act_service import ActService
from qaztech.registry.admin_logs import note_admin_logs, read_admin_logs, with_open
from qaztech.registry.admission import Registry
from qaztech.registry.anchor import Anchor, parse_anchor
from qaztech.registry.applications import JOINING, Applications
from qaztech.registry.directory import AdminLogLine, InstanceSettings, open_keys
from qaztech.registry.enrolments import Enrolments
from qaztech.registry.founding import ADMIN_LOG, PEOPLE_FILE, REGISTRY_FILE
from qaztech.registry.joining import MAX_REFUSED, Joining
from qaztech.registry.key_files import load_cosigner, load_log_keys
from qaztech.registry.keys import RegistryKeys
from qaztech.registry.management import Guard, Management
from qaztech.registry.office import Office
from qaztech.registry.outlook import Ending, endings
from qaztech.registry.publication import Publication
from qaztech.registry.publisher import Publisher
from qaztech.registry.scopes import REGISTRY_SCOPES
from qaztech.registry.service import RegistryService
from qaztech.registry.store import RegistryStore
from qaztech.runtime.database import database_url, open_database
from qaztech.runtime.outbound import Outbound, get
from qaztech.runtime.settings import read_settings
from qaztech.runtime.shell import require_free, serve
from qaztech.runtime.telemetry import log_error
from qaztech.trust.certificates import Authority
from qaztech.trust.keys import MlDsa44Key
from qaztech.trust.national import TestVerifier
from qaztech.web.headers import Secured
from qaztech.web.registry_console import console_routes
from qaztech.web.registry_parts import Parts

logger = logging.getLogger("qaztech.registry")


class RegistrySettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The settings of a registry, as they stand in its `registry.toml`. Paths are relative to that file."""

    instance: str
    directory: str
    anchor: str
    host: str = "127.0.0.1"
    port: int = 8401
    # URL of the PostgreSQL database for all it decides and keeps; empty: SQLite files in its folder.
    database: str = ""
    # Where people reach the console, such as https://registry.example; empty: this machine only.
    console: str = ""
    # Another way in than own accounts; whether a proxy of ours stands in front (docs/howto/let-people-in.md).
    openid: OpenIdSettings = OpenIdSettings()
    behind_proxy: bool = False
    # Certificates (PEM files) of the authorities whose signatures may bind an organisation to its member key.
    national_test: list[str] = []
    # Key name of the registry's own witness; empty: it runs none.
    witness: str = ""
    witnessing_seconds: float = 30.0
    timestamp_seconds: float = 600.0
    # How often what is published is signed to still hold; the design says at least hourly.
    renew_seconds: float = 60.0
    # How long node certificates are valid. Nodes renew theirs at two thirds of it.
    certificate_days: float = 365.0
    # So many refused requests to join an address may make in a minute before it has to wait.
    refused_per_minute: int = MAX_REFUSED


class _RegistryProcess:
    """The registry's parts, wired; on the running loop."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._clock = clock
        self.settings = settings = read_settings(path, RegistrySettings)
        self._beside = path.parent
        directory = (path.parent / settings.directory).resolve()
        self._anchor_bytes = (path.parent / settings.anchor).read_bytes()
        anchor = parse_anchor(self._anchor_bytes)
        self._store = RegistryStore.open(database_url(settings.database, directory / REGISTRY_FILE))
        registry = Registry(
            instance=settings.instance,
            store=self._store,
            settings=InstanceSettings(
                witnessing_interval=int(settings.witnessing_seconds * 1000),
                timestamp_interval=int(settings.timestamp_seconds * 1000),
            ),
            clock=clock,
        )
        self._log, self.sequencer, keys, hybrid = self._own_log(directory)
        publication = Publication(directory=directory / "tuf", keys=RegistryKeys(directory / "keys"), clock=clock)
        self.publisher = Publisher(registry=registry, publication=publication, store=self._store, append=self._append)
        self.witnessing = Witnessing(
            log=self._log, policy=anchor.policy, keys=keys, hybrid=hybrid, post=Outbound().post, get=get, clock=clock
        )
        self._engine = open_database(database_url(settings.database, directory / "joining.db"), JOINING)
        self.people_engine = open_database(database_url(settings.database, directory / PEOPLE_FILE), PEOPLE)
        self.people = People(self.people_engine, roles=REGISTRY_SCOPES, clock=clock)
        self.admin_log = _admin_log(directory / ADMIN_LOG, settings.instance, clock)
        admin_key = VerifierKey.parse(self.admin_log.vkey)
        registry.name_admin_logs(_named(directory, settings.instance, admin_key, clock))
        self.acts_witnessing = Witnessing(
            log=self.admin_log, policy=anchor.policy, keys=(admin_key,), hybrid=None, post=Outbound().post, get=get,
            clock=clock,
        )  # fmt: skip
        authority = _authority(directory, settings.certificate_days)
        national = TestVerifier([(path.parent / name).read_bytes() for name in settings.national_test])
        applications = Applications(engine=self._engine, registry=registry, national=national, clock=clock)
        self.office = Office(
            publisher=self.publisher, applications=applications, authority=authority, log=self.admin_log, clock=clock
        )
        enrolments = Enrolments(engine=self._engine, registry=registry, authority=authority, clock=clock)
        self.service = RegistryService(
            publisher=self.publisher,
            joining=Joining(
                applications=applications,
                enrolments=enrolments,
                publisher=self.publisher,
                clock=clock,
                most_refused=settings.refused_per_minute,
                behind_proxy=settings.behind_proxy,
            ),
            store=self._store,
            published=directory / "tuf",
            anchor=self._anchor_bytes,
            log=self._log.log,
            witnessed=self._witnessed,
            witness=self._witness(directory, registry, anchor),
            authority=authority,
            clock=clock,
            more=self._routes_for_people(directory, anchor, applications, enrolments),
            counts=self.people.guesses.counts,
        )

    def _routes_for_people(
        self, directory: Path, anchor: Anchor, applications: Applications, enrolments: Enrolments
    ) -> list[BaseRoute]:
        """The management API and the console, behind one gate."""
        settings, publisher = self.settings, self.publisher
        people = self.people
        origin = (settings.console or f"http://localhost:{settings.port}").rstrip("/")
        provider = settings.openid.provider(people, origin=origin, beside=self._beside)
        gate = Gate(people, origin=origin, provider=provider, behind_proxy=settings.behind_proxy)

        def all_endings() -> list[Ending]:
            authorities = self._store.authorities()
            return endings(publisher.registry, publisher.publication, authorities=authorities, tsas=anchor.tsas)

        token_hash = bytes.fromhex((directory / "management.hash").read_text().strip())
        management = Management(
            guard=Guard(token_hash=token_hash, gate=gate),
            office=self.office,
            acts=self.admin_log,
            publisher=publisher,
            applications=applications,
            log_size=lambda: self._log.log.head.size,
            endings=all_endings,
            clock=self._clock,
        )
        parts = Parts(
            publisher=publisher,
            store=self._store,
            office=self.office,
            applications=applications,
            enrolments=enrolments,
            people=people,
            gate=gate,
            admin_log=self.admin_log,
            log=self._log.log,
            anchor=anchor,
            witnessed=self._witnessed,
            witnesses=self.witnessing.states,
            endings=all_endings,
            clock=self._clock,
        )
        acts = ActService(self.admin_log, witnessed=self._acts_witnessed)
        return [*acts.routes(), *management.routes(), *console_routes(parts)]

    def _own_log(self, directory: Path) -> tuple[OwnLog, Sequencer, tuple[VerifierKey, ...], MlDsa44Key | None]:
        origin, key, hybrid, keys = load_log_keys(directory, self.settings.instance)
        log = Log.open(directory / "log", storage=OsStorage(), key=key, origin=origin, clock=self._clock)
        sequencer = Sequencer(log=log)
        return OwnLog(log=log, sequencer=sequencer, public=key.public), sequencer, keys, hybrid

    async def _append(self, leaf: bytes) -> int:
        index, _ = await self.sequencer.appended(Entry(secrets.token_bytes(16), self._clock.now(), leaf))
        return index

    def _witness(self, directory: Path, registry: Registry, anchor: Anchor) -> Witness | None:
        if not self.settings.witness:
            return None

        def log_keys(origin: str) -> tuple[VerifierKey, ...]:
            return anchor.log_keys if origin == anchor.log_origin else registry.log_keys(origin)

        return Witness(
            store=SqliteWitnessStore(directory / "witness.db"),
            keys=load_cosigner(directory, self.settings.witness),
            log_keys=log_keys,
            clock=self._clock,
        )

    def _witnessed(self) -> bytes:
        """The newest witnessed checkpoint of the registry's log, also from before a restart."""
        if self.witnessing.latest_note:
            return self.witnessing.latest_note
        count = self._log.note_count(WITNESSED)
        return self._log.read_note(WITNESSED, count - 1)[1] if count else b""

    def _acts_witnessed(self) -> bytes:
        """The newest witnessed checkpoint of the admin log, also from before a restart."""
        return self.acts_witnessing.latest_note or self.admin_log.witnessed_note()

    async def recover(self) -> None:
        """Carry out what was decided before the process ended; if that cannot be done now, `renew` tries again."""
        try:
            await self.office.recover()
        except Error as exc:
            log_error(logger, "carrying out the last act failed", exc)

    async def follow_acts(self, stop: asyncio.Event) -> None:
        """Bring to the admin log what commands noted in the database."""
        try:
            await self.admin_log.follow(self.people_engine, stop)
        except Error as exc:
            log_error(logger, "the admin log stands still", exc)

    async def renew(self) -> None:
        """Sign, over and over, that what is published still holds."""
        while True:
            try:
                await self.office.finish()
                await self.publisher.publish()
            except Error as exc:
                log_error(logger, "publishing failed", exc)
            await asyncio.sleep(self.settings.renew_seconds)

    def halted(self, why: Halt) -> None:
        """A witness contradicts the registry's log."""
        self._log.log.halt(why)
        log_error(logger, "the registry's log is halted", why)

    def acts_halted(self, why: Halt) -> None:
        """A witness contradicts the admin log: nothing is decided any more."""
        self.admin_log.halt(why)
        log_error(logger, "the admin log is halted", why)

    async def close(self) -> None:
        """Leave everything so that it opens again."""
        await self.sequencer.close()
        await self.admin_log.close()
        self._log.log.close()
        self._store.close()
        self._engine.dispose()
        self.people_engine.dispose()


def _admin_log(directory: Path, instance: str, clock: Clock) -> AdminLog:
    """The admin log; a registry from before there was one begins it now."""
    if directory.exists():
        return AdminLog.open(directory, clock=clock)
    return AdminLog.create(directory, instance=instance, clock=clock)


def _named(directory: Path, instance: str, key: VerifierKey, clock: Clock) -> tuple[AdminLogLine, ...]:
    """The admin logs of this registry, the one that is written now among them, as they are published."""
    known = read_admin_logs(directory)
    if len(open_keys(known, key.name)) == 1:
        return known
    return note_admin_logs(directory, instance, with_open(known, key, clock.now()))


def _authority(directory: Path, days: float) -> Authority | None:
    key = directory / "ca.key"
    return Authority.load(key.read_bytes(), (directory / "ca.pem").read_bytes(), days=days) if key.exists() else None


async def run_registry(path: Path, stop: asyncio.Event) -> None:
    """Run the registry until told to stop."""
    settings = read_settings(path, RegistrySettings)
    require_free((settings.host, settings.port))
    process = _RegistryProcess(path, SystemClock())
    process.sequencer.start()
    await process.recover()
    tasks = [
        asyncio.create_task(process.follow_acts(stop)),
        asyncio.create_task(process.renew()),
        asyncio.create_task(process.witnessing.run(settings.witnessing_seconds, process.halted)),
        asyncio.create_task(process.acts_witnessing.run(settings.witnessing_seconds, process.acts_halted)),
    ]
    await serve(Secured(process.service.app()), host=settings.host, port=settings.port, stop=stop)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await process.close()
