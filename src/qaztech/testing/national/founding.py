"""What the sample adds to the embedded country: a dozen systems of its organisations, and who calls whom."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from qaztech.core.ids import MemberId, ServiceId, SubsystemId
from qaztech.core.rights import Endpoint
from qaztech.registry.desk import Desk
from qaztech.registry.files import write_file
from qaztech.testing.national.life import MESSAGES, ORDERS
from qaztech.testing.national.members import granted, orders, real_systems

FOLDER: Final = "life"


def add_systems(desk: Desk, organisation: str) -> None:
    """The subsystems and services of one organisation, at its desk."""
    for system in real_systems():
        if system.organisation == organisation:
            subsystem = SubsystemId(desk.member, system.code)
            desk.add_subsystem(subsystem, system.names)
            if system.table:
                desk.add_service(ServiceId(subsystem, system.service), system.names, type_="REST", disabled=None)


def node_settings(member: MemberId, organisation: str, code_lists: str) -> list[str]:
    """Lines of the organisation's `node.toml`: who may call at its edge, and the code lists behind its services."""
    lines = []
    for system in real_systems():
        if system.organisation == organisation:
            subsystem = SubsystemId(member, system.code)
            lines += ["", "[[clients]]", f'id = "{subsystem}"', "loopback = true"]
            if system.table:
                lines += ["[[services]]", f'id = "{ServiceId(subsystem, system.service)}"', f'url = "{code_lists}"']
    return lines


def add_rights(desks: Mapping[str, Desk]) -> None:
    """Who may call what, at the desks of those who provide it."""
    members = {name: desk.member for name, desk in desks.items()}
    by_member = {desk.member: desk for desk in desks.values()}
    rights: dict[tuple[ServiceId, SubsystemId], list[Endpoint]] = {}
    for service, client, endpoint in granted(members):
        rights.setdefault((service, client), []).append(Endpoint.parse(endpoint))
    for (service, client), endpoints in rights.items():
        lineage = by_member[client.member].lineage
        by_member[service.subsystem.member].grant(service, client, lineage, endpoints, None)


def give_life(home: Path, members: dict[str, MemberId], edges: dict[str, str]) -> None:
    """Let the dozen make their calls while the country runs."""
    (home / FOLDER).mkdir(exist_ok=True)
    write_file(home / FOLDER / ORDERS, json.dumps(orders(members, edges), indent=1).encode())


def life_messages(home: Path) -> frozenset[str]:
    """Ids of the latest messages that the country's life has sent."""
    try:
        return frozenset(json.loads((home / FOLDER / MESSAGES).read_text()))
    except (FileNotFoundError, ValueError):
        return frozenset()


def life_command(home: Path) -> list[str]:
    """How the country's life is started; empty where it has none."""
    if not (home / FOLDER / ORDERS).exists():
        return []
    # -I and by its file: it needs nothing of ours, and so stays small.
    return [sys.executable, "-I", str(Path(__file__).with_name("life.py")), str(home / FOLDER)]
