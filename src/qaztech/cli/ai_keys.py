"""`qaztech ai key` and `qaztech ai budget`: who may call models through a gateway, and who pays for it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qaztech.cli.desk import moment
from qaztech.cli.options import Run, add_action, add_json, add_yes, confirm, tell
from qaztech.core.errors import Conflict, Malformed, NotFound
from qaztech.core.ids import MemberId
from qaztech.core.time import SystemClock

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from qaztech.ai.gateway.budgeting import Kind
    from qaztech.ai.gateway.budgets import Budget
    from qaztech.ai.gateway.keys import Key
    from qaztech.cli.verbs import Verbs

# Who is noted as having done it.
_BY = "command-line"


def add_books(parser: argparse.ArgumentParser) -> None:
    """Which gateway's books."""
    parser.add_argument("--settings", type=Path, metavar="FILE", help="the gateway's gateway.toml")
    parser.add_argument("--database", metavar="FILE", help="or its database: a SQLite file, or a URL of PostgreSQL")


@contextmanager
def open_books(args: argparse.Namespace) -> Iterator[Engine]:
    """The database of a gateway. Raises `Malformed` unless one of both is given, `NotFound`."""
    if (args.settings is None) == (args.database is None):
        raise Malformed("command.malformed", "give the gateway's --settings, or its --database")
    if args.settings is not None:
        from qaztech.compose import gateway  # noqa: PLC0415  # each process imports only what it runs

        engine = gateway.open_books(args.settings)[1]
    else:
        from qaztech.ai.gateway.tables import AI_GATEWAY  # noqa: PLC0415
        from qaztech.runtime.database import open_database, sqlite_url  # noqa: PLC0415

        if "://" not in args.database and not Path(args.database).is_file():
            raise NotFound("command.missing", f"there is no {Path(args.database).absolute()}")
        url = args.database if "://" in args.database else sqlite_url(Path(args.database))
        engine = open_database(url, AI_GATEWAY)
    try:
        yield engine
    finally:
        engine.dispose()


def add_keys(actions: Verbs) -> None:
    """The two groups and what they do."""
    of_keys = actions.add_parser("key", help="give systems keys, see and revoke them")
    keys = of_keys.add_subparsers(title="actions", metavar="ACTION", required=True)
    issue = _action(
        keys, "issue", "give a system a key, and print it once", _issue,
        more="The data class is what the key's calls hold at least: detection may raise it, nothing lowers it.",
    )  # fmt: skip
    issue.add_argument("--member", required=True, metavar="MEMBER", help="whose, such as KZ/GOV/991340000017")
    issue.add_argument("--system", required=True, metavar="CODE", help="code of the subsystem that calls")
    issue.add_argument("--card", required=True, metavar="CARD", help="its card in the register of AI systems")
    issue.add_argument("--purpose", required=True, metavar="SLUG", help="what it calls for, such as drafts")
    issue.add_argument("--purpose-text", required=True, metavar="TEXT", help="the same in a sentence")
    issue.add_argument(
        "--class", required=True, dest="data_class", metavar="CLASS", help="public, internal, personal or restricted"
    )
    issue.add_argument(
        "--model", required=True, action="append", metavar="NAME", help="a model it may call; may be repeated"
    )
    issue.add_argument("--budget", required=True, metavar="ID", help="what pays, as `qaztech ai budget list` names it")
    issue.add_argument("--name", metavar="TEXT", help="what the key is called on pages (system and purpose)")
    issue.add_argument(
        "--handling",
        default="mask",
        choices=("mask", "pass", "refuse"),
        help="what is done with personal data that is found (mask)",
    )
    issue.add_argument("--calls", type=int, metavar="N", help="calls a minute (600)")
    issue.add_argument("--tokens", type=int, metavar="N", help="tokens a minute (1000000)")
    issue.add_argument("--out", type=Path, metavar="FILE", help="write it to this file, which others may not read")
    listed = _action(keys, "list", "list the keys, revoked ones too", _list_keys)
    listed.add_argument("--member", metavar="MEMBER", help="only this member's")
    revoke = _action(keys, "revoke", "let a key call no more, from its next call on", _revoke)
    revoke.add_argument("id", metavar="ID", help="the key, as `list` names it")
    add_yes(revoke)

    of_budgets = actions.add_parser("budget", help="make and change budgets, see what is left")
    budgets = of_budgets.add_subparsers(title="actions", metavar="ACTION", required=True)
    make = _action(
        budgets, "set", "make a budget, or give the one by this name another limit", _set,
        more="What is spent stays spent. Months are those of Kazakhstan's calendar.",
    )  # fmt: skip
    make.add_argument("--member", required=True, metavar="MEMBER", help="whose, such as KZ/GOV/991340000017")
    make.add_argument("--name", required=True, metavar="TEXT", help="what it is called")
    kinds = make.add_mutually_exclusive_group(required=True)
    kinds.add_argument("--month", type=int, metavar="TENGE", help="whole tenge for each month")
    kinds.add_argument("--total", type=int, metavar="TENGE", help="whole tenge once")
    budget_list = _action(budgets, "list", "list the budgets: what is spent, reserved and left", _list_budgets)
    budget_list.add_argument("--member", metavar="MEMBER", help="only this member's")
    for each in (issue, listed, revoke, make, budget_list):
        add_json(each)


def _action(actions: Verbs, name: str, help_: str, run: Run, *, more: str = "") -> argparse.ArgumentParser:
    parser = add_action(actions, name, help_, run, more=more)
    add_books(parser)
    return parser


def _issue(args: argparse.Namespace) -> int:
    from qaztech.ai.gateway.keys import CALLS_PER_MINUTE, TOKENS_PER_MINUTE, Keys  # noqa: PLC0415
    from qaztech.registry.files import write_private  # noqa: PLC0415

    if args.out is not None and args.out.exists():
        raise Conflict("command.unconfirmed", f"{args.out} is there already; nothing was done")
    with open_books(args) as engine:
        shown, key = Keys(engine, SystemClock()).issue(
            name=args.name or f"{args.system} {args.purpose}", member=MemberId.parse(args.member), system=args.system,
            purpose=args.purpose, purpose_text=args.purpose_text, card=args.card, data_class=args.data_class,
            models=args.model, budget=args.budget, by=_BY, handling=args.handling,
            calls_per_minute=CALLS_PER_MINUTE if args.calls is None else args.calls,
            tokens_per_minute=TOKENS_PER_MINUTE if args.tokens is None else args.tokens,
        )  # fmt: skip
    facts = _key_facts(key)
    if args.out is not None:
        write_private(args.out, f"{shown}\n".encode())
        return tell(args, facts, [f"key {key.id} of {key.system} is in {args.out}"])
    return tell(args, facts | {"key": shown}, [f"key {key.id} of {key.system}, shown this once:", shown])


def _list_keys(args: argparse.Namespace) -> int:
    from qaztech.ai.gateway.keys import Keys  # noqa: PLC0415

    member = MemberId.parse(args.member) if args.member else None
    with open_books(args) as engine:
        found = Keys(engine, SystemClock()).all(member=member)
    lines = [
        f"{key.id}  {key.member}/{key.system}  {key.purpose}  {key.data_class}  {' '.join(sorted(key.models))}  "
        f"{key.budget}  {'revoked ' + moment(key.revoked) if key.revoked is not None else 'in use'}"
        for key in found
    ]
    return tell(args, {"keys": [_key_facts(key) for key in found]}, lines or ["none"])


def _revoke(args: argparse.Namespace) -> int:
    from qaztech.ai.gateway.keys import Keys  # noqa: PLC0415

    with open_books(args) as engine:
        keys = Keys(engine, SystemClock())
        key = keys.key(args.id)
        confirm(args, f"Key {key.id} of {key.system} ({key.purpose}) will call no more; that cannot be undone.")
        key = keys.revoke(args.id, by=_BY)
    return tell(args, _key_facts(key), [f"key {key.id} is revoked"])


def _set(args: argparse.Namespace) -> int:
    from qaztech.ai.gateway.budgets import Budgets  # noqa: PLC0415

    member, name = MemberId.parse(args.member), args.name.strip()
    kind: Kind = "month" if args.total is None else "total"
    tenge = args.month if args.total is None else args.total
    with open_books(args) as engine:
        budgets = Budgets(engine, SystemClock())
        known = next((each for each in budgets.all(member=member) if each.name == name), None)
        if known is None:
            budget = budgets.create(member=member, name=name, kind=kind, tenge=tenge, by=_BY)
        elif known.kind != kind:
            raise Conflict(
                "ai.budget.kind", "the budget of this name is of the other kind: month or total", at="caller"
            )
        else:
            budget = budgets.change(known.id, tenge=tenge)
    return tell(args, _budget_facts(budget), [_budget_line(budget)])


def _list_budgets(args: argparse.Namespace) -> int:
    from qaztech.ai.gateway.budgets import Budgets  # noqa: PLC0415

    member = MemberId.parse(args.member) if args.member else None
    with open_books(args) as engine:
        found = Budgets(engine, SystemClock()).all(member=member)
    return tell(args, {"budgets": [_budget_facts(each) for each in found]}, [*map(_budget_line, found)] or ["none"])


def _key_facts(key: Key) -> dict[str, Any]:
    return {
        "id": key.id, "name": key.name, "member": str(key.member), "system": key.system, "purpose": key.purpose,
        "purpose_text": key.purpose_text, "card": key.card, "class": key.data_class, "handling": key.handling,
        "models": sorted(key.models), "calls_per_minute": key.calls_per_minute,
        "tokens_per_minute": key.tokens_per_minute, "budget": key.budget, "created": key.created,
        "created_by": key.created_by, "revoked": key.revoked, "revoked_by": key.revoked_by,
    }  # fmt: skip


def _budget_facts(budget: Budget) -> dict[str, Any]:
    return {
        "id": budget.id, "member": str(budget.member), "name": budget.name, "kind": budget.kind, "tenge": budget.tenge,
        "left": budget.left, "created": budget.created, "created_by": budget.created_by,
        "periods": [
            {"period": each.period, "settled": each.settled, "reserved": each.reserved} for each in budget.periods
        ],
    }  # fmt: skip


def _budget_line(budget: Budget) -> str:
    from qaztech.ai.gateway.budgeting import exact_tenge  # noqa: PLC0415

    spent = budget.present
    return (
        f"{budget.id}  {budget.member}  {budget.name}  {budget.tenge} tenge"
        f"{' a month' if budget.kind == 'month' else ''}  {spent.period}: {exact_tenge(spent.settled)} spent, "
        f"{exact_tenge(spent.reserved)} reserved, {exact_tenge(max(0, budget.left))} left"
    )
