"""The embedded country `KZ`, laid out on disk: keys, registry, members, nodes, systems. Everyone in it is fictitious.

`found` makes it once, without a network or a process running; `processes` brings it to life. What it makes is what a
real country has, only in one folder: nobody's key is shared, and every file says what a real one would.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shlex
import socket
from collections.abc import Callable
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from qaztech.core.bin import reserved_bin
from qaztech.core.ids import MemberId, NodeId, ServiceId, SubsystemId
from qaztech.core.rights import Endpoint
from qaztech.core.time import Clock, SystemClock
from qaztech.evidence.dev_tsa import DevelopmentAuthority
from qaztech.evidence.log import Entry, Log
from qaztech.evidence.note import COSIGNATURE_ED25519, ED25519, ML_DSA_44, VerifierKey
from qaztech.evidence.storage import OsStorage
from qaztech.registry.admission import Registry
from qaztech.registry.anchor import make_anchor
from qaztech.registry.desk import Desk, Submission
from qaztech.registry.directory import InstanceSettings
from qaztech.registry.files import write_file
from qaztech.registry.forms import Names
from qaztech.registry.keys import RegistryKeys, Thresholds
from qaztech.registry.member_file import log_origin
from qaztech.registry.publication import Publication
from qaztech.registry.publisher import Publisher
from qaztech.registry.store import RegistryStore
from qaztech.testing.datasette import CodesService
from qaztech.trust.certificates import Authority, certificate_request, generate_key, key_pem, key_spki_hash
from qaztech.trust.keys import Ed25519Key, MlDsa44Key

INSTANCE = "KZ"
HOST = "kz.qaztech.example"
DEFAULT_BASE_PORT = 8400
COUNTRY_FILE = "country.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Organisation:
    """One fictitious organisation of the country."""

    name: str
    member: MemberId
    names: Names
    subsystem: str
    subsystem_names: Names

    @property
    def node(self) -> NodeId:
        """Its node."""
        return NodeId(self.member, "node1")

    @property
    def system(self) -> SubsystemId:
        """Its information system."""
        return SubsystemId(self.member, self.subsystem)


MINISTRY = Organisation(
    name="ministry",
    member=MemberId(INSTANCE, "GOV", reserved_bin(1)),
    names=Names(
        kk="Рұқсаттар министрлігі (үлгі)", ru="Министерство разрешений (пример)", en="Ministry of Permits (demo)"
    ),
    subsystem="permits",
    subsystem_names=Names(kk="Рұқсаттар жүйесі", ru="Система разрешений", en="Permits system"),
)
REGISTERS = Organisation(
    name="registers",
    member=MemberId(INSTANCE, "QUASI", reserved_bin(2)),
    names=Names(kk="Тізілімдер орталығы (үлгі)", ru="Центр регистров (пример)", en="Centre of Registers (demo)"),
    subsystem="codes",
    subsystem_names=Names(kk="Халықаралық кодтар", ru="Международные коды", en="International codes"),
)
UNIVERSITY = Organisation(
    name="university",
    member=MemberId(INSTANCE, "EDU", reserved_bin(3)),
    names=Names(kk="Дала университеті (үлгі)", ru="Степной университет (пример)", en="Steppe University (demo)"),
    subsystem="research",
    subsystem_names=Names(kk="Зерттеулер", ru="Исследования", en="Research"),
)
ORGANISATIONS = (MINISTRY, REGISTERS, UNIVERSITY)
CODES = ServiceId(REGISTERS.system, "codes")
CODES_NAMES = Names(kk="ISO кодтары", ru="Коды ISO", en="ISO codes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where everything listens, on 127.0.0.1."""

    registry: int
    portal: int
    archive: int
    codes: int
    edges: dict[str, int]
    links: dict[str, int]
    management: dict[str, int]

    @classmethod
    def at(cls, base: int) -> Ports:
        """A block of ports from `base` on."""
        names = [o.name for o in ORGANISATIONS]
        return cls._from(lambda i: base + i, names)

    @classmethod
    def free(cls) -> Ports:
        """Ports that are free now."""
        names = [o.name for o in ORGANISATIONS]
        sockets = [socket.socket() for _ in range(4 + 3 * len(names))]
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        ports = [sock.getsockname()[1] for sock in sockets]
        for sock in sockets:
            sock.close()
        return cls._from(lambda i: int(ports[i]), names)

    @classmethod
    def _from(cls, port: Callable[[int], int], names: list[str]) -> Ports:
        count = len(names)
        return cls(
            portal=port(0),
            registry=port(1),
            archive=port(2),
            codes=port(3),
            edges={n: port(4 + i) for i, n in enumerate(names)},
            links={n: port(4 + count + i) for i, n in enumerate(names)},
            management={n: port(4 + 2 * count + i) for i, n in enumerate(names)},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CountryOptions:
    """What differs between the embedded country and a test's."""

    ports: Ports
    witnessing_seconds: float = 1.0
    refresh_seconds: float = 20.0
    hybrid: bool = True


def is_founded(home: Path) -> bool:
    """Whether a country lives there."""
    return (home / COUNTRY_FILE).exists()


def read_country(home: Path) -> dict[str, Any]:
    """The country's file."""
    country: dict[str, Any] = json.loads((home / COUNTRY_FILE).read_text())
    return country


async def found(home: Path, options: CountryOptions, tell: Callable[[str], None] = lambda _: None) -> None:
    """Make the country. Ends with `country.json`, so that one half made is made anew."""
    clock = SystemClock()
    tell("keys and anchor of the registry")
    founding = _Founding(home, options, clock)
    for organisation in ORGANISATIONS:
        tell(f"{organisation.names.en}: member key, node, certificate, log")
        founding.organisation(organisation)
    founding.rights()
    tell("first publication of the registry")
    await founding.publish()
    founding.processes()
    founding.codes()
    founding.country_file()


class _Founding:
    """The work of `found`, step by step."""

    def __init__(self, home: Path, options: CountryOptions, clock: Clock) -> None:
        self._home = home
        self._options = options
        self._ports = options.ports
        self._clock = clock
        self._desks: dict[str, Desk] = {}
        registry = home / "registry"
        registry.mkdir(parents=True, mode=0o700, exist_ok=True)
        thresholds = Thresholds()
        self._store = RegistryStore(registry / "registry.db")
        self._registry = Registry(
            instance=INSTANCE,
            store=self._store,
            settings=InstanceSettings(
                witnessing_interval=int(options.witnessing_seconds * 1000), timestamp_interval=600_000
            ),
            clock=clock,
        )
        keys = RegistryKeys.generate(registry / "keys", thresholds)
        self._publication = Publication.create(
            directory=registry / "tuf", keys=keys, clock=clock, thresholds=thresholds, bits=4
        )
        self._authority = Authority.create(INSTANCE, clock.now())
        write_private(registry / "ca.key", self._authority.key_pem)
        write_file(registry / "ca.pem", self._authority.certificate_pem)
        self._registry.add_authority(self._authority.certificate_pem.decode())
        self._log_key = Ed25519Key.generate()
        self._log_key.save(registry / "log.key")
        self._anchor()

    def _hybrid_key(self, path: Path) -> MlDsa44Key | None:
        if not self._options.hybrid:
            return None
        key = MlDsa44Key.generate()
        key.save(path)
        return key

    def _anchor(self) -> None:
        """The anchor, with the witnesses: the registry, the university's node, and one small process."""
        ports, registry = self._ports, self._home / "registry"
        origin = log_origin(INSTANCE, self._log_key.public)
        vkeys = [VerifierKey.of(origin, ED25519, self._log_key.public)]
        hybrid = self._hybrid_key(registry / "log.ml-dsa.key")
        if hybrid is not None:
            vkeys.append(VerifierKey.of(origin, ML_DSA_44, hybrid.public))
        lines = [f"log {key}" for key in vkeys]
        urls = {
            "registry": (registry, f"http://127.0.0.1:{ports.registry}/witness"),
            "university": (
                self._home / "nodes" / "university",
                f"http://127.0.0.1:{ports.management['university']}/witness",
            ),
            "archive": (self._home / "witnesses" / "archive", f"http://127.0.0.1:{ports.archive}"),
        }
        for name, (directory, url) in urls.items():
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            key_name = f"{HOST}/witness/{name}"
            key = Ed25519Key.generate()
            key.save(directory / "witness.key")
            lines.append(f"witness {name} {VerifierKey.of(key_name, COSIGNATURE_ED25519, key.public)} {url}")
            pq = self._hybrid_key(directory / "witness.ml-dsa.key")
            if pq is not None:
                lines.append(f"witness {name}.pq {VerifierKey.of(key_name, ML_DSA_44, pq.public)}")
        authority = DevelopmentAuthority.generate(self._clock)
        authority.save(self._home / "witnesses" / "archive")
        lines += ["group witnesses 2 registry university archive", "quorum witnesses", ""]
        anchor = make_anchor(
            instance=INSTANCE,
            root=self._publication.first_root,
            log_origin=origin,
            log_vkeys=tuple(map(str, vkeys)),
            policy="\n".join(lines).encode(),
            tsas=(authority.certificate,),
            issued=self._clock.now(),
        )
        write_file(self._home / "anchor.json", anchor)

    def organisation(self, organisation: Organisation) -> None:
        """A member with its own key; a node with its own keys, certified; its system."""
        directory = self._home / "nodes" / organisation.name
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        desk = Desk.create(
            self._home / "members" / organisation.name,
            member=organisation.member,
            names=organisation.names,
            clock=self._clock,
        )
        self._desks[organisation.name] = desk
        self._registry.admit(desk.member, desk.lineage, organisation.names)
        tls = generate_key()
        write_private(directory / "tls.key", key_pem(tls))
        request = certificate_request(tls, organisation.node)
        write_file(directory / "tls.pem", self._authority.issue(request, organisation.node, self._clock.now()))
        log_key = Ed25519Key.generate()
        log_key.save(directory / "log.key")
        origin = log_origin(INSTANCE, log_key.public)
        keys = [VerifierKey.of(origin, ED25519, log_key.public)]
        hybrid = self._hybrid_key(directory / "log.ml-dsa.key")
        if hybrid is not None:
            keys.append(VerifierKey.of(origin, ML_DSA_44, hybrid.public))
        address = f"127.0.0.1:{self._ports.links[organisation.name]}"
        desk.add_node(organisation.node, address, key_spki_hash(tls), keys)
        desk.add_subsystem(organisation.system, organisation.subsystem_names)
        self._node_settings(organisation, desk, directory)

    def _node_settings(self, organisation: Organisation, desk: Desk, directory: Path) -> None:
        ports, name = self._ports, organisation.name
        lines = [
            f"# The node of {organisation.names.en}. Paths are relative to this file.",
            f'id = "{organisation.node}"',
            'directory = "."',
            'anchor = "../../anchor.json"',
            f'registry = "http://127.0.0.1:{ports.registry}"',
            f"refresh_seconds = {self._options.refresh_seconds}",
            f"witnessing_seconds = {self._options.witnessing_seconds}",
            f'timestamping = "http://127.0.0.1:{ports.archive}/tsa"',
            "",
            "[[members]]",
            f'id = "{organisation.member}"',
            f'lineage = "{desk.lineage}"',
            "",
            "[[clients]]",
            f'id = "{organisation.system}"',
            "# Anyone on this machine may call as this system: for the embedded country only.",
            "loopback = true",
            "",
            "[edge]",
            f"port = {ports.edges[name]}",
            "[link]",
            f"port = {ports.links[name]}",
            "[management]",
            f"port = {ports.management[name]}",
        ]
        if organisation is UNIVERSITY:
            lines += ["[witness]", f'name = "{HOST}/witness/university"']
        if organisation is REGISTERS:
            codes = CodesService(directory=self._home / "systems", port=ports.codes)
            openapi = os.path.relpath(codes.openapi, directory)
            lines += ["", "[[services]]", f'id = "{CODES}"', f'url = "{codes.url}"', f'openapi = "{openapi}"']
        write_file(directory / "node.toml", ("\n".join(lines) + "\n").encode())

    def rights(self) -> None:
        """The service, and who may call it: the ministry everything, the university the list of countries."""
        desk = self._desks[REGISTERS.name]
        desk.add_service(CODES, CODES_NAMES, type_="OPENAPI", disabled=None)
        ministry, university = self._desks[MINISTRY.name], self._desks[UNIVERSITY.name]
        desk.grant(CODES, MINISTRY.system, ministry.lineage, [Endpoint.parse("GET /**")], None)
        desk.grant(CODES, UNIVERSITY.system, university.lineage, [Endpoint.parse("GET /countries.json")], None)
        for each in self._desks.values():
            accept(self._registry, each.submission())

    async def publish(self) -> None:
        """Show it: the first snapshot, whose hash is the first leaf of the registry's log."""
        directory = self._home / "registry" / "log"
        origin = log_origin(INSTANCE, self._log_key.public)
        with Log.create(directory, storage=OsStorage(), key=self._log_key, origin=origin, clock=self._clock) as log:

            async def append(leaf: bytes) -> int:
                entry = Entry(secrets.token_bytes(16), self._clock.now(), leaf)
                return (await asyncio.to_thread(log.commit, [entry])).start

            publisher = Publisher(
                registry=self._registry, publication=self._publication, store=self._store, append=append
            )
            await publisher.publish()
        self._store.close()

    def processes(self) -> None:
        """Settings of the registry and of the witness that is a process of its own."""
        ports = self._ports
        registry = [
            "# The registry. Paths are relative to this file.",
            f'instance = "{INSTANCE}"',
            'directory = "."',
            'anchor = "../anchor.json"',
            f"port = {ports.registry}",
            f'witness = "{HOST}/witness/registry"',
            f"witnessing_seconds = {self._options.witnessing_seconds}",
        ]
        write_file(self._home / "registry" / "registry.toml", ("\n".join(registry) + "\n").encode())
        witness = [
            "# A witness. Paths are relative to this file.",
            f'name = "{HOST}/witness/archive"',
            'directory = "."',
            'anchor = "../../anchor.json"',
            f'registry = "http://127.0.0.1:{ports.registry}"',
            f"port = {ports.archive}",
            f"refresh_seconds = {self._options.refresh_seconds}",
            "# The development timestamping authority of the embedded country.",
            "timestamping = true",
        ]
        write_file(self._home / "witnesses" / "archive" / "witness.toml", ("\n".join(witness) + "\n").encode())

    def codes(self) -> None:
        """The real provider's data."""
        systems = self._home / "systems"
        systems.mkdir(exist_ok=True)
        CodesService(directory=systems, port=self._ports.codes).prepare()

    def country_file(self) -> None:
        """What the commands, the page and the tests find the country by."""
        ports = self._ports
        token = secrets.token_urlsafe(24)
        write_private(self._home / "registry" / "management.token", token.encode())
        write_file(self._home / "registry" / "management.hash", sha256(token.encode()).hexdigest().encode())
        country = {
            "instance": INSTANCE,
            "registry": f"http://127.0.0.1:{ports.registry}",
            "portal": f"http://127.0.0.1:{ports.portal}",
            "anchor": str(self._home / "anchor.json"),
            "nodes": [
                {
                    "name": o.name,
                    "member": str(o.member),
                    "names": {"kk": o.names.kk, "ru": o.names.ru, "en": o.names.en},
                    "system": str(o.system),
                    "edge": f"http://127.0.0.1:{ports.edges[o.name]}",
                    "management": f"http://127.0.0.1:{ports.management[o.name]}",
                }
                for o in ORGANISATIONS
            ],
            "witnesses": [
                {"name": "registry", "url": f"http://127.0.0.1:{ports.registry}/witness", "run_by": "registry"},
                {
                    "name": "university",
                    "url": f"http://127.0.0.1:{ports.management['university']}/witness",
                    "run_by": str(UNIVERSITY.member),
                },
                {"name": "archive", "url": f"http://127.0.0.1:{ports.archive}", "run_by": "archive"},
            ],
            "systems": [{"name": "codes", "url": f"http://127.0.0.1:{ports.codes}", "service": str(CODES)}],
            "try": lines_to_paste(self._home, "qaztech", ports),
            "ports": asdict(ports),
            "witnessing_seconds": self._options.witnessing_seconds,
        }
        write_file(self._home / COUNTRY_FILE, json.dumps(country, ensure_ascii=False, indent=2).encode())


def lines_to_paste(home: Path, command: str, ports: Ports) -> dict[str, str]:
    """A call, its receipt, its check: three lines for a terminal, with the command as the user has it."""
    where = "" if home == Path.home() / ".qaztech" else f" --home {shlex.quote(str(home))}"
    target = f"http://127.0.0.1:{ports.edges[MINISTRY.name]}/r1/{CODES}/countries/KZ.json?_shape=object"
    return {
        "curl": f"curl -i -H 'X-Road-Client: {MINISTRY.system}' '{target}'",
        "receipt": f"{command} receipt last --node {MINISTRY.name} --wait witnessed{where} > r.json",
        "verify": f"{command} verify r.json --anchor {shlex.quote(str(home / 'anchor.json'))} --require witnessed",
    }


def accept(registry: Registry, submission: Submission) -> None:
    """Hand a member's submission to a registry in the same process."""
    for page in submission.pages:
        registry.accept_rights_page(page)
    registry.accept_member_file(submission.envelope)


def write_private(path: Path, data: bytes) -> None:
    """A file only its owner may read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)
