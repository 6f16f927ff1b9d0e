"""The support center of the embedded country: its service behind the university's node, its settings, its accounts.

The passwords stand in `people.txt` in its folder, for who runs the country on this machine; nowhere else.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from qaztech.core.ids import MemberId, ServiceId, SubsystemId
from qaztech.core.rights import Endpoint
from qaztech.core.time import Clock
from qaztech.hub.scopes import HUB_ROLES
from qaztech.hub.store import METADATA
from qaztech.people.actors import COMMAND_LINE
from qaztech.people.passwords import made_password
from qaztech.people.people import People
from qaztech.people.tables import PEOPLE
from qaztech.registry.files import write_file, write_private
from qaztech.registry.forms import Names
from qaztech.runtime.database import add_tables, open_database, sqlite_url

FOLDER, SETTINGS, PASSWORDS = "centre", "hub.toml", "people.txt"
PROCESS = "centre"
SUBSYSTEM, SERVICE = "support-center", "operational"
SUBSYSTEM_NAMES = Names(
    kk="Цифрлық үкіметті қолдау орталығы (үлгі)",
    ru="Центр поддержки цифрового правительства (пример)",
    en="Digital Government Support Center (demo)",
)
SERVICE_NAMES = Names(kk="Операциялық деректер", ru="Операционные данные", en="Operational data")
# What each node's own system may do: bring what its logs hold, and ask for what is its member's.
ENDPOINTS = tuple(
    Endpoint.parse(text) for text in ("POST /deliveries", "GET /held", "GET /totals", "GET /exchanges", "GET /findings")
)
# The register of AI systems: each member's system may ask for its own cards, write them, and act on them.
REGISTER = "ai-register"
REGISTER_NAMES = Names(kk="ЖИ жүйелерінің тізілімі", ru="Реестр систем ИИ", en="Register of AI systems")
REGISTER_ENDPOINTS = tuple(
    Endpoint.parse(text)
    for text in ("GET /cards", "GET /cards/*", "PUT /cards/*", "POST /cards/*/acts", "GET /standing")
)
# What the system of an identity provider may do beside that.
SIGNALS = Endpoint.parse("POST /signals")
ACCOUNTS = (
    ("analyst", "Талдаушы (үлгі)", "analyst"),
    ("auditor", "Аудитор (үлгі)", "auditor"),
    ("admin", "Әкімші (үлгі)", "administrator"),
)


def system_of(member: MemberId) -> SubsystemId:
    """The centre's system at the member that runs it."""
    return SubsystemId(member, SUBSYSTEM)


def service_of(member: MemberId) -> ServiceId:
    """The service that nodes deliver to and members ask."""
    return ServiceId(system_of(member), SERVICE)


def register_of(member: MemberId) -> ServiceId:
    """The service by which members register AI systems and gateways ask how they stand."""
    return ServiceId(system_of(member), REGISTER)


def is_installed() -> bool:
    """Whether the extra `traffic` is here, which centre and deliveries need."""
    return find_spec("duckdb") is not None


def operational_settings(service: ServiceId, client: SubsystemId, every_seconds: float) -> list[str]:
    """The section of a node's settings by which it delivers."""
    return [
        "",
        "[operational]",
        f'service = "{service}"',
        f'client = "{client}"',
        f"every_seconds = {every_seconds}",
    ]


def make_centre(
    home: Path,
    *,
    nodes: Sequence[str],
    port: int,
    pages: int,
    registry: int,
    refresh: float,
    check: float,
    clock: Clock,
    sign_in_providers: Sequence[MemberId] = (),
    sample: bool = False,
) -> None:
    """The centre as it can be started: `hub.toml`, accounts in its database, the national sample if wished."""
    folder = home / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    lines = [
        "# The support center. Paths are relative to this file.",
        'directory = "."',
        'anchor = "../anchor.json"',
        f'registry = "http://127.0.0.1:{registry}"',
        f"refresh_seconds = {refresh}",
        f"check_seconds = {check}",
        "# In this small country the same process delivers for the nodes; each delivery goes through its own node.",
        f"deliver_for = {json.dumps([f'../nodes/{name}/node.toml' for name in nodes])}",
        "# Its node brings exchanges here.",
        f"port = {port}",
        "# Who may send monthly sign-ins.",
        f"sign_in_providers = {json.dumps([str(member) for member in sign_in_providers])}",
        "[pages]",
        f"port = {pages}",
        *(["# Every page says that what it shows is made up.", "fictitious = true"] if sample else []),
    ]
    write_file(folder / SETTINGS, ("\n".join(lines) + "\n").encode())
    engine = open_database(sqlite_url(folder / "hub.db"), METADATA)
    add_tables(engine, PEOPLE)
    accounts = People(engine, roles=HUB_ROLES, clock=clock).accounts
    told = [f"http://localhost:{pages}"]
    for account, display, role in ACCOUNTS:
        password = made_password()
        accounts.add(account, display, [role], password, by=COMMAND_LINE)
        told.append(f"{account} {password}")
    if sample:
        from qaztech.testing.national.loading import load_sample  # noqa: PLC0415  # only who wishes it pays for it

        load_sample(engine, folder / "flows", clock, hours=is_installed())
    engine.dispose()
    write_private(folder / PASSWORDS, ("\n".join(told) + "\n").encode())


def centre_passwords(home: Path) -> dict[str, str]:
    """The accounts of the support center with their first passwords."""
    lines = (home / FOLDER / PASSWORDS).read_text().splitlines()[1:]
    return dict(line.split(" ", 1) for line in lines)
