"""The embedded country `KZ`, laid out on disk: keys, registry, members, nodes, systems. Everyone in it is fictitious.

`found` makes it once, without a network or a process running; `processes` brings it to life. What it makes is what a
real country has, only in one folder: nobody's key is shared, and every file says what a real one would.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import socket
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from qaztech.ai.register.service import PLACE as REGISTER_PLACE
from qaztech.core.bin import reserved_bin
from qaztech.core.ids import MemberId, NodeId, ServiceId, SubsystemId
from qaztech.core.rights import Endpoint
from qaztech.core.time import Clock, SystemClock
from qaztech.evidence.dev_tsa import DevelopmentAuthority
from qaztech.people.actors import COMMAND_LINE
from qaztech.people.passwords import made_password
from qaztech.people.people import People
from qaztech.people.tables import PEOPLE
from qaztech.registry.desk import Desk
from qaztech.registry.directory import InstanceSettings
from qaztech.registry.files import write_file, write_private
from qaztech.registry.forms import Names
from qaztech.registry.founding import PEOPLE_FILE, Charter, Founding, policy_lines, with_quorum
from qaztech.registry.key_files import TLS_CERTIFICATE, TLS_REQUEST, create_cosigner
from qaztech.registry.node_identity import NODE_FILE, NodeIdentity
from qaztech.registry.scopes import REGISTRY_SCOPES
from qaztech.runtime.database import database_url, open_database
from qaztech.testing import ai_service, centre, codes
from qaztech.testing.codes_passport import show
from qaztech.testing.consoles import WITH_CONSOLE, make_console, make_secret, member_settings
from qaztech.testing.datasette import CodesService
from qaztech.testing.free_ports import free_ports
from qaztech.testing.national import founding as national

INSTANCE = "KZ"
HOST = "kz.qaztech.example"
DEFAULT_BASE_PORT = 8400
LOCAL = "127.0.0.1"
COUNTRY_FILE = "country.json"
# Stands in a home while its country is being made, in these folders.
HALF_MADE = ".founding"
FOLDERS = ("registry", "nodes", "members", "witnesses", "systems", centre.FOLDER, ai_service.FOLDER, national.FOLDER)


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
# Who runs the support center, behind its own node.
CENTRE_MEMBER = UNIVERSITY
OPERATIONAL = centre.service_of(CENTRE_MEMBER.member)
AI_REGISTER = centre.register_of(CENTRE_MEMBER.member)
# Who hosts the model that the ministry calls.
MODEL_HOST = UNIVERSITY
LANGUAGE_MODEL = ai_service.service_of(MODEL_HOST.system)
# Who speaks as an identity provider to the support center.
IDENTITY_PROVIDER = MINISTRY
# The people of the registry: name, name to be shown, role.
REGISTRY_PEOPLE = (
    ("operator", "Оператор (үлгі)", "registry-operator"),
    ("auditor", "Аудитор (үлгі)", "auditor"),
)
PEOPLE_LIST = "people.txt"
CODES = ServiceId(REGISTERS.system, "codes")
CODES_NAMES = Names(kk="ISO кодтары", ru="Коды ISO", en="ISO codes")


# Ports of a country.
COUNT = 4 + 3 * len(ORGANISATIONS) + len(WITH_CONSOLE) + 4


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
    # A country that was founded before there were consoles has none.
    consoles: dict[str, int] = field(default_factory=dict)
    # Where the centre's node brings it exchanges, and where people look at it; 0 in a country that has no centre.
    centre: int = 0
    support: int = 0
    # The server of a model, and the gateway by which the ministry calls it; 0 in a country that has none.
    models: int = 0
    gateway: int = 0

    @classmethod
    def at(cls, base: int) -> Ports:
        """A block of ports from `base` on."""
        names = [o.name for o in ORGANISATIONS]
        return cls._from(lambda i: base + i, names)

    @classmethod
    def free(cls) -> Ports:
        """Ports that are free now."""
        ports = free_ports(COUNT)
        return cls._from(lambda i: ports[i], [o.name for o in ORGANISATIONS])

    def all(self) -> list[int]:
        """Every port of the country."""
        ports = [
            self.portal,
            self.registry,
            self.archive,
            self.codes,
            *filter(None, (self.centre, self.support, self.models, self.gateway)),
        ]
        listening = (self.edges, self.links, self.management, self.consoles)
        return [*ports, *(port for group in listening for port in group.values())]

    def taken(self) -> list[int]:
        """Those on which somebody listens already."""
        found = []
        for port in self.all():
            with socket.socket() as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    sock.bind(("127.0.0.1", port))
                except OSError:
                    found.append(port)
        return found

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
            consoles={n: port(4 + 3 * count + i) for i, n in enumerate(WITH_CONSOLE)},
            centre=port(COUNT - 4),
            support=port(COUNT - 3),
            models=port(COUNT - 2),
            gateway=port(COUNT - 1),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CountryOptions:
    """What differs between the embedded country and a test's."""

    ports: Ports
    witnessing_seconds: float = 1.0
    refresh_seconds: float = 20.0
    hybrid: bool = True
    # URL of a PostgreSQL database for the registry; empty: SQLite files.
    database: str = ""
    # Whether there is a support center; how often nodes deliver to it, and it compares what both sides brought.
    centre: bool = True
    deliver_seconds: float = 10.0
    check_seconds: float = 20.0
    # Whether a member hosts a model and another calls it by a gateway; only with a centre, which has the register.
    ai: bool = True
    # Whether the centre has the national sample, and whether a dozen of its systems make calls while the country runs.
    sample: bool = False
    life: bool = False
    # Where other machines reach the registry, the archive's witness and the nodes' links; 127.0.0.1: there are none.
    host: str = LOCAL

    @property
    def listen(self) -> str:
        """What those that other machines reach listen on."""
        return LOCAL if self.host == LOCAL else "0.0.0.0"


def is_founded(home: Path) -> bool:
    """Whether a country lives there."""
    return (home / COUNTRY_FILE).exists()


def read_country(home: Path) -> dict[str, Any]:
    """The country's file."""
    country: dict[str, Any] = json.loads((home / COUNTRY_FILE).read_text())
    return country


async def found(home: Path, options: CountryOptions, tell: Callable[[str], None] = lambda _: None) -> None:
    """Make the country. Ends with `country.json`; what an earlier attempt left half made is made anew."""
    _begin(home)
    tell("keys and anchor of the registry")
    founding = _Founding(home, options, SystemClock())
    for organisation in ORGANISATIONS:
        tell(f"{organisation.names.en}: member key, node, certificate, log")
        founding.organisation(organisation)
    founding.rights()
    tell("first publication of the registry")
    await founding.publish()
    founding.processes()
    founding.people()
    founding.consoles()
    founding.centre()
    founding.ai()
    founding.codes()
    founding.country_file()
    (home / HALF_MADE).unlink()


def _begin(home: Path) -> None:
    if (home / HALF_MADE).exists():
        for folder in FOLDERS:
            shutil.rmtree(home / folder, ignore_errors=True)
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    (home / HALF_MADE).touch()


class _Founding:
    """The work of `found`, step by step."""

    def __init__(self, home: Path, options: CountryOptions, clock: Clock) -> None:
        self._home = home
        self._options = options
        self._ports = options.ports
        self._clock = clock
        self._desks: dict[str, Desk] = {}
        tsa = DevelopmentAuthority.generate(clock)
        charter = Charter(
            instance=INSTANCE,
            witnesses=self._witnesses(),
            settings=InstanceSettings(
                witnessing_interval=int(options.witnessing_seconds * 1000), timestamp_interval=600_000
            ),
            tsas=(tsa.certificate,),
            hybrid=options.hybrid,
        )
        tsa.save(home / "witnesses" / "archive")
        self._registry = Founding(home / "registry", charter, clock, database=options.database)
        write_file(home / "anchor.json", self._registry.anchor)

    def _witnesses(self) -> str:
        """The witnesses' part of the policy: the registry, the university's node, and one small process."""
        home, ports, host = self._home, self._ports, self._options.host
        places = {
            "registry": (home / "registry", f"http://{host}:{ports.registry}/witness"),
            "university": (
                home / "nodes" / "university",
                f"http://127.0.0.1:{ports.management['university']}/witness",
            ),
            "archive": (home / "witnesses" / "archive", f"http://{host}:{ports.archive}"),
        }
        lines = []
        for name, (directory, url) in places.items():
            cosigner = create_cosigner(directory, f"{HOST}/witness/{name}", hybrid=self._options.hybrid)
            lines += policy_lines(name, cosigner.verifier_keys, url)
        return with_quorum("\n".join(lines))

    def organisation(self, organisation: Organisation) -> None:
        """A member with its own key; a node with its own keys, certified; its system."""
        directory = self._home / "nodes" / organisation.name
        desk = Desk.create(
            self._home / "members" / organisation.name,
            member=organisation.member,
            names=organisation.names,
            clock=self._clock,
        )
        self._desks[organisation.name] = desk
        self._registry.registry.admit(desk.member, desk.lineage, organisation.names)
        address = f"{self._options.host}:{self._ports.links[organisation.name]}"
        node = NodeIdentity.create(directory, organisation.node, address, hybrid=self._options.hybrid)
        write_file(directory / NODE_FILE, node.format())
        request = (directory / TLS_REQUEST).read_bytes()
        write_file(directory / TLS_CERTIFICATE, self._registry.certificate(request, node.id))
        desk.add_node(node.id, node.address, node.tls, node.log)
        desk.add_subsystem(organisation.system, organisation.subsystem_names)
        if self._options.centre and organisation is CENTRE_MEMBER:
            desk.add_subsystem(OPERATIONAL.subsystem, centre.SUBSYSTEM_NAMES)
        if self._options.sample:
            national.add_systems(desk, organisation.name)
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
            *self._console_lines(name),
            "",
            "[[clients]]",
            f'id = "{organisation.system}"',
            "# Anyone on this machine may call as this system: for the embedded country only.",
            "loopback = true",
            "",
            "[edge]",
            f"port = {ports.edges[name]}",
            "[link]",
            f'host = "{self._options.listen}"',
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
        if self._has_ai and organisation is MODEL_HOST:
            openapi = os.path.relpath(ai_service.OPENAPI, directory)
            lines += ai_service.node_lines(LANGUAGE_MODEL, ports.models, openapi)
        if self._options.sample:
            code_lists = CodesService(directory=self._home / "systems", port=ports.codes).url
            lines += national.node_settings(organisation.member, organisation.name, code_lists)
        if self._options.centre:
            lines += self._centre_lines(organisation)
        write_file(directory / "node.toml", ("\n".join(lines) + "\n").encode())

    def _centre_lines(self, organisation: Organisation) -> list[str]:
        """Where the node delivers, and at the centre's own node where the centre is."""
        lines = []
        if organisation is CENTRE_MEMBER:
            here = f"http://127.0.0.1:{self._ports.centre}"
            lines += ["", "[[services]]", f'id = "{OPERATIONAL}"', f'url = "{here}"']
            lines += ["", "[[services]]", f'id = "{AI_REGISTER}"', f'url = "{here}{REGISTER_PLACE}"']
        every = self._options.deliver_seconds
        return [*lines, *centre.operational_settings(OPERATIONAL, organisation.system, every)]

    def _console_lines(self, name: str) -> list[str]:
        """What the node is told of the member's console, where it has one."""
        if name not in WITH_CONSOLE:
            return []
        secret = make_secret(self._home / "members" / name)
        return member_settings(name, self._ports.consoles[name], secret)

    def consoles(self) -> None:
        """A console for those who have one, with accounts."""
        ports = self._ports
        for organisation in ORGANISATIONS:
            if (name := organisation.name) in WITH_CONSOLE:
                make_console(
                    self._home, name, title=organisation.names.en, port=ports.consoles[name], registry=ports.registry,
                    management=ports.management[name], edge=ports.edges[name], refresh=self._options.refresh_seconds,
                    clock=self._clock,
                    centre=(str(OPERATIONAL), str(organisation.system)) if self._options.centre else None,
                    ai=self._ai_of(organisation),
                )  # fmt: skip

    def _ai_of(self, organisation: Organisation) -> tuple[str, str, str] | None:
        """What the ministry's console is told of the register of AI systems and of the gateway."""
        if organisation is not MINISTRY or not self._has_ai:
            return None
        gateway = f"../../{ai_service.FOLDER}/{ai_service.SETTINGS}"
        return str(AI_REGISTER), str(organisation.system), gateway

    def centre(self) -> None:
        """The support center, with accounts."""
        if self._options.centre:
            centre.make_centre(
                self._home, nodes=[o.name for o in ORGANISATIONS], port=self._ports.centre,
                pages=self._ports.support, registry=self._ports.registry,
                refresh=self._options.refresh_seconds, check=self._options.check_seconds, clock=self._clock,
                sign_in_providers=[IDENTITY_PROVIDER.member], sample=self._options.sample,
            )  # fmt: skip
        if self._options.sample and self._options.life:
            edges = {name: f"http://127.0.0.1:{port}" for name, port in self._ports.edges.items()}
            national.give_life(self._home, {o.name: o.member for o in ORGANISATIONS}, edges)

    @property
    def _has_ai(self) -> bool:
        return self._options.ai and self._options.centre

    def ai(self) -> None:
        """A gateway for the ministry, with its AI system in the register."""
        if self._has_ai:
            ai_service.register_card(self._home / centre.FOLDER / "hub.db", MINISTRY.system, self._clock)
            ai_service.make_gateway(
                self._home, caller=MINISTRY.system, edge=self._ports.edges[MINISTRY.name], port=self._ports.gateway,
                register=AI_REGISTER, models=LANGUAGE_MODEL, clock=self._clock,
            )  # fmt: skip

    def rights(self) -> None:
        """The service, and who may call it: the ministry everything, the university the list of countries."""
        desk = self._desks[REGISTERS.name]
        desk.add_service(CODES, CODES_NAMES, type_="OPENAPI", disabled=None)
        ministry, university = self._desks[MINISTRY.name], self._desks[UNIVERSITY.name]
        desk.grant(CODES, MINISTRY.system, ministry.lineage, [Endpoint.parse("GET /**")], None)
        desk.grant(CODES, UNIVERSITY.system, university.lineage, [Endpoint.parse("GET /countries.json")], None)
        if self._options.centre:
            self._centre_rights()
        if self._has_ai:
            host = self._desks[MODEL_HOST.name]
            host.add_service(LANGUAGE_MODEL, ai_service.NAMES, type_="OPENAPI", disabled=None)
            host.grant(LANGUAGE_MODEL, MINISTRY.system, ministry.lineage, list(ai_service.ENDPOINTS), None)
        if self._options.sample:
            national.add_rights(self._desks)
        for each in self._desks.values():
            self._registry.accept(each.submission())
        show(
            self._home / "members" / REGISTERS.name, desk, CODES, openapi=codes.OPENAPI,
            registry=self._registry.registry, clock=self._clock,
        )  # fmt: skip

    def _centre_rights(self) -> None:
        """Each member's system may deliver to the centre and ask it; the centre's own member signs that."""
        desk = self._desks[CENTRE_MEMBER.name]
        desk.add_service(OPERATIONAL, centre.SERVICE_NAMES, type_="REST", disabled=None)
        desk.add_service(AI_REGISTER, centre.REGISTER_NAMES, type_="REST", disabled=None)
        for organisation in ORGANISATIONS:
            lineage = self._desks[organisation.name].lineage
            more = [centre.SIGNALS] if organisation is IDENTITY_PROVIDER else []
            desk.grant(OPERATIONAL, organisation.system, lineage, [*centre.ENDPOINTS, *more], None)
            desk.grant(AI_REGISTER, organisation.system, lineage, list(centre.REGISTER_ENDPOINTS), None)

    async def publish(self) -> None:
        """Show it."""
        await self._registry.publish()

    def processes(self) -> None:
        """Settings of the registry and of the witness that is a process of its own."""
        ports = self._ports
        registry = [
            "# The registry. Paths are relative to this file.",
            f'instance = "{INSTANCE}"',
            'directory = "."',
            'anchor = "../anchor.json"',
            f'host = "{self._options.listen}"',
            f"port = {ports.registry}",
            f'witness = "{HOST}/witness/registry"',
            f"witnessing_seconds = {self._options.witnessing_seconds}",
            'national_test = ["national-test.pem"]',
            f"database = {json.dumps(self._options.database)}",
        ]
        write_file(self._home / "registry" / "registry.toml", ("\n".join(registry) + "\n").encode())
        witness = [
            "# A witness. Paths are relative to this file.",
            f'name = "{HOST}/witness/archive"',
            'directory = "."',
            'anchor = "../../anchor.json"',
            f'registry = "http://127.0.0.1:{ports.registry}"',
            f'host = "{self._options.listen}"',
            f"port = {ports.archive}",
            f"refresh_seconds = {self._options.refresh_seconds}",
            "# The development timestamping authority of the embedded country.",
            "timestamping = true",
        ]
        write_file(self._home / "witnesses" / "archive" / "witness.toml", ("\n".join(witness) + "\n").encode())

    def people(self) -> None:
        """An operator and an auditor of the registry, with passwords that stand in a file beside it."""
        directory = self._home / "registry"
        engine = open_database(database_url(self._options.database, directory / PEOPLE_FILE), PEOPLE)
        accounts = People(engine, roles=REGISTRY_SCOPES, clock=self._clock).accounts
        lines = ["# Who may sign in to the registry's console. Change the passwords there."]
        for name, display, role in REGISTRY_PEOPLE:
            password = made_password()
            accounts.add(name, display, [role], password, by=COMMAND_LINE)
            lines.append(f"{name} {password}")
        engine.dispose()
        write_private(directory / PEOPLE_LIST, ("\n".join(lines) + "\n").encode())

    def codes(self) -> None:
        """The real provider's data."""
        systems = self._home / "systems"
        systems.mkdir(exist_ok=True)
        CodesService(directory=systems, port=self._ports.codes).prepare()

    def country_file(self) -> None:
        """What the commands, the page and the tests find the country by."""
        ports = self._ports
        country = {
            "instance": INSTANCE,
            "registry": f"http://127.0.0.1:{ports.registry}",
            "portal": f"http://127.0.0.1:{ports.portal}",
            "console": f"http://localhost:{ports.registry}/console/",
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
            "consoles": {n: f"http://127.0.0.1:{port}" for n, port in ports.consoles.items()},
            **self._centre_facts(),
            "ports": asdict(ports),
            "witnessing_seconds": self._options.witnessing_seconds,
            "refresh_seconds": self._options.refresh_seconds,
        }
        write_file(self._home / COUNTRY_FILE, json.dumps(country, ensure_ascii=False, indent=2).encode())

    def _centre_facts(self) -> dict[str, Any]:
        if not self._options.centre:
            return {}
        facts = {
            "url": f"http://localhost:{self._ports.support}",
            "service": str(OPERATIONAL),
            "ai_register": str(AI_REGISTER),
        }
        ai = {
            "gateway": f"http://127.0.0.1:{self._ports.gateway}",
            "key": str(self._home / ai_service.FOLDER / ai_service.KEY),
            "model": ai_service.OFFERED,
            "service": str(LANGUAGE_MODEL),
            "try": ai_service.call_line(self._home, self._ports.gateway),
        }
        return {
            "centre": facts,
            **({"ai": ai} if self._has_ai else {}),
            **({"sample": True} if self._options.sample else {}),
        }


def lines_to_paste(home: Path, command: str, ports: Ports) -> dict[str, str]:
    """A call, its receipt, its check: three lines for a terminal, with the command as the user has it."""
    where = "" if home == Path.home() / ".qaztech" else f" --home {shlex.quote(str(home))}"
    target = f"http://127.0.0.1:{ports.edges[MINISTRY.name]}/r1/{CODES}/countries/KZ.json?_shape=object"
    return {
        "curl": f"curl -i -H 'X-Road-Client: {MINISTRY.system}' '{target}'",
        "receipt": f"{command} receipt last --node {MINISTRY.name} --wait witnessed{where} > r.json",
        "verify": f"{command} verify r.json --anchor {shlex.quote(str(home / 'anchor.json'))} --require witnessed",
        "down": f"{command} down{where}",
    }
