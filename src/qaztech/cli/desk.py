"""What the actions at a member's desk share: a change makes and signs the next version of the member file."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

from qaztech.cli.options import add_action, add_desk, add_json, tell
from qaztech.core.errors import Malformed
from qaztech.core.time import SystemClock

if TYPE_CHECKING:
    from qaztech.cli.verbs import Verbs
    from qaztech.registry.desk import Desk

# Days are counted as in Kazakhstan.
HERE = timezone(timedelta(hours=5))


def add_change(
    actions: Verbs, name: str, help_: str, run: Callable[[argparse.Namespace, Desk], str], *, more: str = ""
) -> argparse.ArgumentParser:
    """An action that changes the file; `run` says in a few words what has changed."""
    parser = add_action(actions, name, help_, lambda args: changed(args, run), more=more)
    add_desk(parser)
    add_json(parser)
    return parser


def add_service_id(parser: argparse.ArgumentParser) -> None:
    """Which service."""
    parser.add_argument("--service", required=True, metavar="ID", help="such as KZ/GOV/991340000017/permits/list")


def changed(args: argparse.Namespace, run: Callable[[argparse.Namespace, Desk], str]) -> int:
    """Change the file of a desk that nobody else works on, and print what it is now."""
    from qaztech.registry.desk import Desk  # noqa: PLC0415  # imports that other verbs need not pay

    with Desk.locked(args.desk, SystemClock()) as desk:
        what = run(args, desk)
        statement = desk.statement
        facts = {"member": statement.member, "lineage": desk.lineage, "version": statement.version, "change": what}
        return tell(args, facts, [what, f"version {statement.version} of {statement.member} is signed; {_next(args)}"])


def _next(args: argparse.Namespace) -> str:
    return f"bring it to the registry: qaztech member submit --desk {args.desk} --registry URL"


def time_of(text: str) -> int:
    """Milliseconds from a time that says its zone. Raises `Malformed`."""
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is None:
            raise Malformed("command.malformed", f"{text} does not say in which time zone, such as +05:00")
        return int(found.timestamp() * 1000)
    except (ValueError, OverflowError) as exc:
        raise Malformed("command.malformed", f"{text!r} is no time such as 2031-05-01T12:00+05:00") from exc


def moment(milliseconds: int) -> str:
    """A time for people."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).astimezone(HERE).strftime("%Y-%m-%d %H:%M UTC+05:00")
