"""`qaztech people`: the accounts of a registry's or a member's console, from its own machine.

What is changed here is an act like any other: it is noted with the change, and the process that has the admin log
brings it there within a second.
"""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from qaztech.cli.desk import moment
from qaztech.cli.options import Run, add_action, add_json, add_yes, confirm, tell
from qaztech.core.errors import Conflict, Malformed, NotFound
from qaztech.core.time import SystemClock

if TYPE_CHECKING:
    from qaztech.cli.verbs import Verbs
    from qaztech.people.people import People

_DAY = 86_400_000
_MAX_PASSWORD_FILE = 4096


def add_parser(verbs: Verbs) -> None:
    """Add the verb and what it does."""
    parser = verbs.add_parser("people", help="say who may sign in to a console, and as what")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    add = _action(
        actions, "add", "add an account, with roles and a password", _add,
        more="The roles are of one kind: those of a registry (registry-operator, auditor, analyst), of a member"
        " (administrator, service-owner, developer) or of the support center (analyst, auditor, administrator).",
    )  # fmt: skip
    _add_name(add)
    add.add_argument("--display", metavar="NAME", help="how the person is called on pages (the account's name)")
    _add_role(add)
    _add_password(add)
    add.add_argument("--new", action="store_true", help="make the database where no console's settings lie beside it")
    add.add_argument("--no-password", action="store_true", help="no password: for who will sign in through OIDC")
    listed = _action(actions, "list", "list the accounts", _list)
    roles = _action(actions, "roles", "give an account these roles and no others", _roles)
    disable = _action(actions, "disable", "keep an account out, and end its sessions", _disable)
    disable.add_argument("--undo", action="store_true", help="let it in again")
    add_yes(disable)
    password = _action(actions, "password", "give an account a new password, and end its sessions", _password)
    token = _action(
        actions, "token", "make an API token of an account, and print it once", _token,
        more="It may do what it is given here, as long as the roles of the account give it too.",
    )  # fmt: skip
    for parser in (roles, disable, password, token):
        _add_name(parser)
    _add_role(roles)
    _add_password(password)
    token.add_argument("--token-name", required=True, metavar="TEXT", help="what it is for")
    token.add_argument(
        "--scope", action="append", required=True, metavar="SCOPE", help="such as services:read; may be repeated"
    )
    token.add_argument("--out", type=Path, metavar="FILE", help="write it to this file, which others may not read")
    token.add_argument("--days", type=int, default=90, metavar="N", help="how long it is valid, 1 to 366 (90)")
    for parser in (add, listed, roles, disable, password, token):
        add_json(parser)


def _action(actions: Verbs, name: str, help_: str, run: Run, *, more: str = "") -> argparse.ArgumentParser:
    parser = add_action(actions, name, help_, run, more=more)
    parser.add_argument(
        "--database",
        required=True,
        metavar="FILE",
        help="the console's database: a SQLite file, or a URL of PostgreSQL",
    )
    return parser


def _add_name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="the account's name, as it is typed to sign in")


def _add_role(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--role", action="append", default=[], metavar="ROLE", help="a role; may be repeated")


def _add_password(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--password-file",
        type=Path,
        metavar="FILE",
        help="file with the password in its first line (asked for at a terminal, else made and printed once)",
    )


def _people(args: argparse.Namespace, *, create: bool = False) -> People:
    """The people of a database; a file that is not there is made only by `add`, where a console will look for it."""
    from qaztech.people.people import People  # noqa: PLC0415  # imports that other verbs need not pay
    from qaztech.people.roles import MEMBER_ROLES, REGISTRY_ROLES  # noqa: PLC0415
    from qaztech.people.tables import PEOPLE  # noqa: PLC0415
    from qaztech.runtime.database import open_database, sqlite_url  # noqa: PLC0415

    url = args.database
    if "://" not in url:
        path = Path(url)
        if not path.exists():
            if not create:
                raise NotFound("command.missing", f"there is no {path.absolute()}; `qaztech people add` makes it")
            _make(path.absolute(), wanted=args.new)
        url = sqlite_url(path)
    known = dict.fromkeys((*REGISTRY_ROLES, *MEMBER_ROLES), frozenset[str]())
    return People(open_database(url, PEOPLE), roles=known, clock=SystemClock())


def _make(path: Path, *, wanted: bool) -> None:
    """An empty file for the database, which others may not read. Raises `NotFound` in what is likely a wrong place."""
    from qaztech.registry.files import write_private  # noqa: PLC0415

    if not path.parent.is_dir():
        raise NotFound("command.missing", f"there is no folder {path.parent}")
    # Console and centre keep their database in a folder beside their settings.
    settings = (path.parent / name for name in ("registry.toml", "console.toml", "hub.toml"))
    above = (path.parent.parent / name for name in ("console.toml", "hub.toml"))
    if not wanted and not any(file.exists() for file in (*settings, *above)):
        raise NotFound(
            "command.missing", f"there is no {path}, and no registry.toml, console.toml or hub.toml beside it; "
            "--new makes a database there all the same",
        )  # fmt: skip
    write_private(path, b"")


def _checked_roles(args: argparse.Namespace) -> list[str]:
    """The roles given, which must be of one kind of console."""
    from qaztech.people.roles import CENTRE_ROLES, MEMBER_ROLES, REGISTRY_ROLES  # noqa: PLC0415

    given: list[str] = args.role
    known = set(given) & {*REGISTRY_ROLES, *MEMBER_ROLES}  # what is no role at all is told by whoever gives it
    if not any(known <= set(kind) for kind in (REGISTRY_ROLES, MEMBER_ROLES, CENTRE_ROLES)):
        raise Malformed("command.malformed", "these roles are not those of one console")
    return given


def _new_password(args: argparse.Namespace) -> tuple[str, bool]:
    """The password to give, and whether it was made here and must be shown."""
    from qaztech.people.passwords import made_password  # noqa: PLC0415

    if args.password_file is not None:
        with args.password_file.open(encoding="utf-8") as file:
            return file.read(_MAX_PASSWORD_FILE).partition("\n")[0], False
    if not sys.stdin.isatty():
        return made_password(), True
    password = getpass.getpass("Password (nothing: one is made): ")
    if not password:
        return made_password(), True
    if getpass.getpass("Once more: ") != password:
        raise Malformed("password.differ", "the two passwords differ; nothing was done")
    return password, False


def _add(args: argparse.Namespace) -> int:
    from qaztech.people.actors import COMMAND_LINE  # noqa: PLC0415

    roles, people = _checked_roles(args), _people(args, create=True)
    if args.no_password and args.password_file is not None:
        raise Malformed("command.malformed", "either --no-password or --password-file")
    password, made = (None, False) if args.no_password else _new_password(args)
    account = people.accounts.add(args.name, args.display or args.name, roles, password, by=COMMAND_LINE)
    facts = {"account": account.name, "roles": list(account.roles)}
    held = ", ".join(account.roles) or "no role yet"
    return _told_password(args, facts, [f"account {account.name} is there: {held}"], password if made else None)


def _password(args: argparse.Namespace) -> int:
    from qaztech.people.actors import COMMAND_LINE  # noqa: PLC0415

    people = _people(args)
    people.accounts.named(args.name)
    password, made = _new_password(args)
    people.accounts.set_password(args.name, password, by=COMMAND_LINE)
    lines = [f"account {args.name} has a new password; its sessions have ended"]
    return _told_password(args, {"account": args.name}, lines, password if made else None)


def _told_password(args: argparse.Namespace, facts: Mapping[str, object], lines: list[str], made: str | None) -> int:
    if made is None:
        return tell(args, facts, lines)
    return tell(args, {**facts, "password": made}, [*lines, f"its password, shown this once: {made}"])


def _list(args: argparse.Namespace) -> int:
    accounts = _people(args).accounts.all()
    facts = [
        {"account": a.name, "display": a.display, "roles": list(a.roles), "disabled": a.disabled, "created": a.created}
        for a in accounts
    ]
    lines = [
        f"{a.name:24} {', '.join(a.roles) or '-':40} {'disabled' if a.disabled else 'since ' + moment(a.created)}"
        for a in accounts
    ]
    return tell(args, {"accounts": facts}, lines or ["no accounts yet"])


def _roles(args: argparse.Namespace) -> int:
    from qaztech.people.actors import COMMAND_LINE  # noqa: PLC0415

    account = _people(args).accounts.set_roles(args.name, _checked_roles(args), by=COMMAND_LINE)
    held = ", ".join(account.roles) or "no role"
    facts = {"account": account.name, "roles": list(account.roles)}
    return tell(args, facts, [f"account {account.name} has now: {held}; its sessions have ended"])


def _disable(args: argparse.Namespace) -> int:
    from qaztech.people.actors import COMMAND_LINE  # noqa: PLC0415

    people = _people(args)
    if people.accounts.named(args.name).disabled is not args.undo:
        raise Conflict(
            "account.disabled", f"account {args.name} is {'not disabled' if args.undo else 'disabled already'}"
        )
    if not args.undo:
        confirm(args, f"{args.name} will be signed out everywhere and cannot come in.")
    account = people.accounts.set_disabled(args.name, not args.undo, by=COMMAND_LINE)
    what = "disabled; its sessions have ended, its tokens do not work" if account.disabled else "let in again"
    return tell(args, {"account": account.name, "disabled": account.disabled}, [f"account {account.name} is {what}"])


def _token(args: argparse.Namespace) -> int:
    from qaztech.people.actors import COMMAND_LINE  # noqa: PLC0415
    from qaztech.registry.files import write_private  # noqa: PLC0415

    people = _people(args)
    account, now = people.accounts.named(args.name), people.clock.now()
    secret, token = people.tokens.create(
        account.id, args.token_name, args.scope, now + args.days * _DAY, by=COMMAND_LINE
    )
    facts = {
        "account": account.name,
        "token": secret,
        "id": token.id,
        "scopes": sorted(token.scopes),
        "expires": token.expires,
    }
    lines = [f"a token of {account.name}, valid until {moment(token.expires)}, shown this once:", secret]
    if args.out is not None:
        write_private(args.out, f"{secret}\n".encode())
        facts.pop("token")
        lines = [f"a token of {account.name}, valid until {moment(token.expires)}, is in {args.out}"]
    return tell(args, facts, lines)
