"""A small country for tests of the registry: real keys, files, log and witnesses; no network."""

from __future__ import annotations

import asyncio
import os
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from databases import database_at
from qaztech.core.bin import reserved_bin
from qaztech.core.errors import Error, Limited, NotFound, Unavailable
from qaztech.core.ids import MemberId, NodeId, ServiceId, SubsystemId
from qaztech.core.rights import Endpoint
from qaztech.core.time import ManualClock
from qaztech.evidence.checkpoint import SignedCheckpoint
from qaztech.evidence.cosignature import cosign_ed25519
from qaztech.evidence.log import Log
from qaztech.evidence.merkle import leaf_hash
from qaztech.evidence.note import COSIGNATURE_ED25519, ED25519, VerifierKey, format_note
from qaztech.evidence.proof import TlogProof
from qaztech.evidence.storage import OsStorage
from qaztech.evidence.wal import Entry
from qaztech.registry.admission import Registry
from qaztech.registry.anchor import Anchor, make_anchor, parse_anchor
from qaztech.registry.authoring import (
    ServiceRights,
    new_statement,
    revise,
    with_log,
    with_node,
    with_rights,
    with_service,
    with_subsystem,
)
from qaztech.registry.client import ConfigurationClient
from qaztech.registry.directory import InstanceSettings
from qaztech.registry.forms import Names
from qaztech.registry.keys import RegistryKeys, Thresholds
from qaztech.registry.member_file import MemberStatement, log_origin, sign_statement
from qaztech.registry.publication import Entry as TargetEntry
from qaztech.registry.publication import Publication
from qaztech.registry.publisher import Publisher
from qaztech.registry.store import RegistryStore
from qaztech.trust.envelope import key_id
from qaztech.trust.keys import Ed25519Key

HOST = "kz.qaztech.example"


def names(text: str) -> Names:
    """A name that is the same in three languages."""
    return Names(kk=text, ru=text, en=text)


@contextmanager
def quick_folder() -> Iterator[Path]:
    """A folder in memory where the machine has one: what these tests sync, they sync often."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as name:
        yield Path(name)


def seed(text: str) -> bytes:
    """A key seed that is the same on every run."""
    return sha256(text.encode()).digest()


@dataclass
class MemberDesk:
    """A member as its own people run it: its key, its statement, its rights."""

    id: MemberId
    key: Ed25519Key
    log_key: Ed25519Key
    statement: MemberStatement
    rights: dict[ServiceId, ServiceRights] = field(default_factory=dict)

    @property
    def lineage(self) -> str:
        return self.statement.lineage

    @property
    def node(self) -> NodeId:
        return NodeId(self.id, "node1")

    @property
    def origin(self) -> str:
        return log_origin(self.id.instance, self.log_key.public)

    @property
    def tls(self) -> bytes:
        return sha256(f"tls {self.id}".encode()).digest()

    def subsystem(self, code: str) -> SubsystemId:
        return SubsystemId(self.id, code)

    def service(self, subsystem: str, code: str) -> ServiceId:
        return ServiceId(SubsystemId(self.id, subsystem), code)

    def file(self) -> bytes:
        return sign_statement(self.statement, self.key)


class LocalFetcher:
    """The registry's files as a node fetches them; `broken` and `replaced` stand for what goes wrong on the way."""

    def __init__(self, country: Country) -> None:
        self._country = country
        self.fetched: list[tuple[str, int]] = []
        self.down = False
        self.replaced: dict[str, bytes] = {}

    def fetch(self, path: str, limit: int) -> bytes:
        if self.down:
            raise Unavailable("registry.unavailable", "down", at="registry")
        data = self.replaced.get(path)
        if data is None:
            if path.startswith("snapshots/"):
                data = self._country.proof(int(path.split("/")[1]))
            else:
                file = self._country.published / path
                if not file.exists():
                    raise NotFound("registry.missing", path, at="registry")
                data = file.read_bytes()
        if len(data) > limit:
            raise Limited("registry.oversized", path, at="registry")
        self.fetched.append((path, len(data)))
        return data


class Country:
    """A registry with three witnesses, its members, and nodes that follow it."""

    def __init__(self, directory: Path, *, bits: int = 4) -> None:
        self.directory = directory
        self.clock = ManualClock()
        self.published = directory / "published"
        self.store = RegistryStore.open(database_at(self._folder("registry") / "registry.db"))
        self.registry = Registry(
            instance="KZ",
            store=self.store,
            settings=InstanceSettings(witnessing_interval=1000, timestamp_interval=600_000),
            clock=self.clock,
        )
        thresholds = Thresholds()
        self.keys = RegistryKeys.generate(directory / "registry" / "keys", thresholds)
        self.publication = Publication.create(
            directory=self.published, keys=self.keys, clock=self.clock, thresholds=thresholds, bits=bits
        )
        self.log_key = Ed25519Key.from_seed(seed("registry log"))
        self.log = Log.create(
            self._folder("log"),
            storage=OsStorage(),
            key=self.log_key,
            origin=log_origin("KZ", self.log_key.public),
            clock=self.clock,
        )
        self.publisher = self.make_publisher()
        self.witnesses = {n: Ed25519Key.from_seed(seed(f"witness {n}")) for n in ("registry", "third", "small")}
        self.anchor_bytes = self._make_anchor()
        self.anchor: Anchor = parse_anchor(self.anchor_bytes)
        self.members: dict[str, MemberDesk] = {}
        self.witnessed: bytes | None = None

    def _folder(self, name: str) -> Path:
        (self.directory / name).mkdir(parents=True, exist_ok=True)
        return self.directory / name

    def make_publisher(self) -> Publisher:
        async def append(leaf: bytes) -> int:
            return self.log.commit([Entry(message=bytes(16), time=self.clock.now(), data=leaf)]).start

        return Publisher(registry=self.registry, publication=self.publication, store=self.store, append=append)

    def _make_anchor(self) -> bytes:
        lines = [f"log {self.log.vkey}"]
        for name, key in self.witnesses.items():
            lines.append(f"witness {name} {VerifierKey.of(f'{HOST}/witness/{name}', COSIGNATURE_ED25519, key.public)}")
        lines += ["group members 2 registry third small", "quorum members", ""]
        return make_anchor(
            instance="KZ",
            root=self.publication.first_root,
            log_origin=self.log.origin,
            log_vkeys=(self.log.vkey,),
            policy="\n".join(lines).encode(),
            issued=self.clock.now(),
        )

    def close(self) -> None:
        self.log.close()
        self.store.close()

    # Members

    def new_member(self, serial: int, name: str, *, member_class: str = "GOV", seed_: str = "") -> MemberDesk:
        """A member with one node, one log and one subsystem `main`, not yet known to the registry."""
        id_ = MemberId("KZ", member_class, reserved_bin(serial))
        key = Ed25519Key.from_seed(seed(f"member {serial} {seed_}"))
        desk = MemberDesk(
            id=id_,
            key=key,
            log_key=Ed25519Key.from_seed(seed(f"log {serial} {seed_}")),
            statement=new_statement(id_, key.public, names(name), self.clock.now()),
        )
        log = VerifierKey.of(desk.origin, ED25519, desk.log_key.public)
        statement = with_node(desk.statement, desk.node, f"{name}.example:5500", desk.tls)
        statement = with_log(statement, desk.node, [log], self.clock.now())
        desk.statement = with_subsystem(statement, desk.subsystem("main"), names(f"{name} main"))
        self.members[name] = desk
        return desk

    def admit(self, desk: MemberDesk) -> MemberDesk:
        """Admit a member and publish its first file."""
        self.registry.admit(desk.id, desk.lineage, desk.statement.names)
        self.registry.accept_member_file(desk.file())
        self.publish()
        return desk

    def add_service(self, desk: MemberDesk, code: str, **changes: object) -> ServiceId:
        """A service nobody may call yet."""
        service = desk.service("main", code)
        desk.rights[service] = ServiceRights(service=service)
        desk.statement = with_service(desk.statement, service, names(code), **changes)
        return service

    def grant(self, desk: MemberDesk, service: ServiceId, client: SubsystemId, lineage: str, *endpoints: str) -> None:
        """Give a right and send what follows from it."""
        desk.rights[service] = desk.rights[service].grant(client, lineage, map(Endpoint.parse, endpoints))
        self.send(desk)

    def send(self, desk: MemberDesk) -> None:
        """The next version of a member's file with its rights pages; published."""
        statement = revise(desk.statement, self.clock.now())
        for service, rights in desk.rights.items():
            pages = rights.pages(statement.version)
            for page in pages:
                self.registry.accept_rights_page(page.data)
            statement = with_rights(statement, service, [page.reference for page in pages])
        desk.statement = statement
        self.registry.accept_member_file(desk.file())
        self.publish()

    def publish(self) -> None:
        """Publish what the registry has decided."""
        asyncio.run(self.publisher.publish())

    def publish_anything(self, changes: dict[str, bytes | None]) -> None:
        """Show these targets in place of, or without (None), the registry's own: what its keys can do in any hands."""
        targets = self.registry.targets()
        contents = {}
        for path, data in changes.items():
            if data is None:
                targets.pop(path, None)
            else:
                targets[path], contents[path] = TargetEntry.of(data), data
        original = self.registry.content
        pending = self.publication.prepare(targets, lambda path: contents.get(path) or original(path), renew=True)
        assert pending is not None
        entry = Entry(message=bytes(16), time=self.clock.now(), data=pending.leaf)
        self.store.logged(pending.version, pending.sha256, self.log.commit([entry]).start)
        self.publication.commit(pending)

    # Evidence

    def proof(self, version: int, witnesses: tuple[str, ...] = ("registry", "third")) -> bytes:
        """The proof of a snapshot in the witnessed log."""
        found = self.store.snapshot(version)
        if found is None or self.witnessed == b"":
            raise NotFound("registry.snapshot", "no such snapshot", at="registry")
        hashes = tuple(self.log.inclusion_proof(found[1], self.log.size))
        return TlogProof(index=found[1], hashes=hashes, checkpoint=self.witnessed_note(witnesses)).format()

    def witnessed_note(self, witnesses: tuple[str, ...] = ("registry", "third")) -> bytes:
        """The newest checkpoint of the registry's log, cosigned by these; empty where `witnessed` was set so."""
        if self.witnessed == b"":
            return b""
        signed = SignedCheckpoint.parse(self.log.head.note)
        lines = [
            cosign_ed25519(signed, f"{HOST}/witness/{n}", self.witnesses[n], self.clock.now() // 1000)
            for n in witnesses
        ]
        return format_note(signed.note.with_signatures(lines))

    # Nodes

    def client(self, desk: MemberDesk, name: str = "", **options: object) -> tuple[ConfigurationClient, LocalFetcher]:
        """A node of a member that follows the registry, and what stands between them."""
        fetcher = LocalFetcher(self)
        incidents: list[Error] = []
        client = ConfigurationClient(
            anchor=self.anchor,
            directory=self._folder(f"nodes/{name or desk.id.code}"),
            fetcher=fetcher,
            own_members={desk.id: key_id(desk.key.public) if not desk.statement.key_history else desk.lineage},
            clock=self.clock,
            incident=incidents.append,
            **options,
        )
        client.incidents = incidents  # type: ignore[attr-defined]  # for the tests to look at
        return client, fetcher


__all__ = ["Country", "LocalFetcher", "MemberDesk", "b64encode", "leaf_hash", "names", "seed"]
