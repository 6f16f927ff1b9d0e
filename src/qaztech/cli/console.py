"""`qaztech console new|run`: a member's console in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qaztech.cli.options import add_action, add_json, tell
from qaztech.cli.running import add_run, serve
from qaztech.core.errors import Conflict
from qaztech.core.time import SystemClock

if TYPE_CHECKING:
    import argparse

    from qaztech.cli.verbs import Verbs

SETTINGS, SECRET, DATABASE = "console.toml", "exchange.secret", "console.db"


def add_parser(verbs: Verbs) -> None:
    """Add the verb."""
    parser = verbs.add_parser("console", help="make and run a member's console in the browser")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    new = add_action(
        actions, "new", "make a console: its settings, and an administrator's account", _new,
        more="The organisation makes its key there, or has it already in DIR/desk. The password is printed once.",
    )  # fmt: skip
    new.add_argument("directory", type=Path, metavar="DIR", help="its folder")
    new.add_argument("--anchor", type=Path, required=True, metavar="FILE", help="the country's anchor")
    new.add_argument("--registry", required=True, metavar="URL", help="the registry's address")
    new.add_argument("--node", default="http://127.0.0.1:4000", metavar="URL", help="the own node's management API")
    new.add_argument("--edge", default="http://127.0.0.1:8080", metavar="URL", help="where the own node takes calls")
    new.add_argument("--node-settings", type=Path, metavar="FILE", help="its node.toml, where it is on this machine")
    new.add_argument("--port", type=int, default=8420, metavar="N", help="where the console listens (8420)")
    new.add_argument("--admin", default="admin", metavar="NAME", help="the administrator's account (admin)")
    add_json(new)
    add_run(actions, "a member's console", SETTINGS, _run)


def _new(args: argparse.Namespace) -> int:
    import secrets  # noqa: PLC0415  # imports that other verbs need not pay

    from qaztech.member.console import CONSOLE_ROLES, LIMITS  # noqa: PLC0415
    from qaztech.people.actors import COMMAND_LINE  # noqa: PLC0415
    from qaztech.people.passwords import made_password  # noqa: PLC0415
    from qaztech.people.people import People  # noqa: PLC0415
    from qaztech.people.tables import PEOPLE  # noqa: PLC0415
    from qaztech.registry.files import write_file, write_private  # noqa: PLC0415
    from qaztech.runtime.database import open_database, sqlite_url  # noqa: PLC0415

    directory: Path = args.directory
    if (directory / SETTINGS).exists():
        raise Conflict("console.exists", f"there is a console in {directory} already", at="caller")
    kept = directory / "console"
    kept.mkdir(parents=True, exist_ok=True, mode=0o700)
    secret, password = secrets.token_urlsafe(32), made_password()
    write_private(directory / SECRET, secret.encode())
    engine = open_database(sqlite_url(kept / DATABASE), PEOPLE)
    accounts = People(engine, roles=CONSOLE_ROLES, clock=SystemClock()).accounts
    accounts.add(args.admin, args.admin, ["administrator"], password, by=COMMAND_LINE)
    engine.dispose()
    lines = [
        "# A member's console. Paths are relative to this file.",
        'desk = "desk"',
        'directory = "console"',
        f'anchor = "{args.anchor.resolve()}"',
        f'registry = "{args.registry}"',
        f'node = "{args.node}"',
        f'edge = "{args.edge}"',
        f'node_settings = "{args.node_settings.resolve() if args.node_settings else ""}"',
        f'limits = "{LIMITS}"',
        f'exchange_secret_file = "{SECRET}"',
        f"port = {args.port}",
        '# openapi_hosts = ["codes.example"]  # hosts from which an OpenAPI document may be fetched by its address',
    ]
    write_file(directory / SETTINGS, ("\n".join(lines) + "\n").encode())
    url, desk = f"http://127.0.0.1:{args.port}", f"http://127.0.0.1:{args.port}/exchanges/{secret}"
    return tell(
        args,
        {"url": url, "account": args.admin, "password": password, "settings": str(directory / SETTINGS), "desk": desk},
        [
            f"account   {args.admin}",
            f"password  {password}",
            "Start it, and sign in:",
            f"  qaztech console run --settings {directory / SETTINGS}",
            f"  {url}",
            "For requests for access, the member's [[members]] table in node.toml gets",
            f'  desk = "{desk}"',
            f'  limits = "{(directory / LIMITS).resolve()}"',
        ],
    )


def _run(args: argparse.Namespace) -> int:
    from qaztech.compose.console import run_console  # noqa: PLC0415

    return serve(lambda stop: run_console(args.settings, stop))
