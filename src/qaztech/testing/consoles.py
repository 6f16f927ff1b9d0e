"""The consoles of the embedded country: settings, the secret their nodes know them by, accounts with new passwords.

The passwords stand in `people.txt` in the member's folder, for who runs the country on this machine; nowhere else.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from qaztech.core.time import Clock
from qaztech.member.console import CONSOLE_ROLES, LIMITS
from qaztech.people.actors import COMMAND_LINE
from qaztech.people.passwords import made_password
from qaztech.people.people import People
from qaztech.people.tables import PEOPLE
from qaztech.registry.files import write_file, write_private
from qaztech.runtime.database import open_database, sqlite_url

SETTINGS, FOLDER, SECRET, PASSWORDS = "console.toml", "console", "exchange.secret", "people.txt"
# The members that have a console, by name: the others use the command line.
WITH_CONSOLE = ("ministry", "registers")
ACCOUNTS = (
    ("admin", "Әкімші (үлгі)", "administrator"),
    ("owner", "Сервис иесі (үлгі)", "service-owner"),
    ("developer", "Әзірлеуші (үлгі)", "developer"),
)


def make_secret(member: Path) -> str:
    """The unguessable part of the address by which the node reaches the console."""
    secret = secrets.token_urlsafe(32)
    write_private(member / SECRET, secret.encode())
    return secret


def member_settings(name: str, port: int, secret: str) -> list[str]:
    """What the node is told of the member's console, for its `[[members]]` table."""
    return [
        f'desk = "http://127.0.0.1:{port}/exchanges/{secret}"',
        f'limits = "../../members/{name}/{LIMITS}"',
    ]


def make_console(  # each is a place
    home: Path, name: str, *, title: str, port: int, registry: int, management: int, edge: int, refresh: float,
    clock: Clock, centre: tuple[str, str] | None = None, ai: tuple[str, str, str] | None = None,
) -> None:  # fmt: skip
    """A member's console as it can be started: `console.toml`, and accounts in its database.

    `ai` is the register of AI systems, the system that asks it, and the gateway's settings.
    """
    member = home / "members" / name
    lines = [
        f"# The console of {title}. Paths are relative to this file.",
        'desk = "."',
        f'directory = "{FOLDER}"',
        'anchor = "../../anchor.json"',
        f'registry = "http://127.0.0.1:{registry}"',
        f'node = "http://127.0.0.1:{management}"',
        f'edge = "http://127.0.0.1:{edge}"',
        f'node_settings = "../../nodes/{name}/node.toml"',
        f'limits = "{LIMITS}"',
        f'exchange_secret_file = "{SECRET}"',
        f"port = {port}",
        f"follow_seconds = {refresh}",
    ]
    if centre is not None:
        lines += [f'centre = "{centre[0]}"', f'centre_client = "{centre[1]}"']
    if ai is not None:
        lines += [f'ai_register = "{ai[0]}"', f'ai_client = "{ai[1]}"', f'gateway = "{ai[2]}"']
    write_file(member / SETTINGS, ("\n".join(lines) + "\n").encode())
    (member / FOLDER).mkdir(mode=0o700, exist_ok=True)
    engine = open_database(sqlite_url(member / FOLDER / "console.db"), PEOPLE)
    accounts = People(engine, roles=CONSOLE_ROLES, clock=clock).accounts
    told = [f"http://127.0.0.1:{port}"]
    for account, display, role in ACCOUNTS:
        password = made_password()
        accounts.add(account, display, [role], password, by=COMMAND_LINE)
        told.append(f"{account} {password}")
    engine.dispose()
    write_private(member / PASSWORDS, ("\n".join(told) + "\n").encode())


def passwords(home: Path, name: str) -> dict[str, str]:
    """The accounts of a member's console with their first passwords."""
    lines = (home / "members" / name / PASSWORDS).read_text().splitlines()[1:]
    return dict(line.split(" ", 1) for line in lines)
