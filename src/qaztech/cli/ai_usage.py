"""`qaztech ai usage`, `statement`, `check-books`, `close-books`: what calls of models cost, and whether it adds up."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from datetime import date
from typing import TYPE_CHECKING, Any

from qaztech.cli.ai_keys import add_books, open_books
from qaztech.cli.ai_proving import add_proving, is_proved, run_proved
from qaztech.cli.options import add_action, add_json, add_yes, confirm, tell
from qaztech.core.errors import Malformed
from qaztech.core.ids import MemberId
from qaztech.core.time import SystemClock

if TYPE_CHECKING:
    from qaztech.ai.gateway.usage import Sum
    from qaztech.cli.verbs import Verbs

_DAY = 86_400_000
_ZONE_MS = 5 * 3_600_000


def add_usage(actions: Verbs) -> None:
    """The actions and their options."""
    used = add_action(
        actions, "usage", "show how much was called and what it cost", _usage,
        more="Days are those of Kazakhstan (UTC+5). Costs are exact; in JSON they are micro-tenge, a millionth each.",
    )  # fmt: skip
    used.add_argument("--member", metavar="MEMBER", help="only this member's calls, such as KZ/GOV/991340000017")
    used.add_argument("--since", type=_day, metavar="DATE", help="first day, as YYYY-MM-DD")
    used.add_argument("--until", type=_day, metavar="DATE", help="last day, as YYYY-MM-DD")
    used.add_argument(
        "--by", default="day,system,model", metavar="WORDS",
        help="what to sum by: of key, system, card, purpose, model, deployment, service, version, class, outcome, day",
    )  # fmt: skip
    said = add_action(
        actions, "statement", "show what a member's calls of a month cost", _statement,
        more="By the gateway's ledger; or by what a node has on record, at the caller's side or at the model's host: "
        "then it is proved, and --compare holds it against the other side's. Only the total is rounded, up to whole "
        "tenge; the exact one stands beside it.",
    )  # fmt: skip
    said.add_argument("--member", metavar="MEMBER", help="who called, such as KZ/GOV/991340000017")
    said.add_argument("--month", required=True, metavar="MONTH", help="as YYYY-MM")
    said.add_argument("--provider", metavar="MEMBER", help="only calls of this member's models")
    said.add_argument("--calls", action="store_true", help="print the calls it sums, a JSON object a line")
    add_proving(said)
    check = add_action(
        actions, "check-books", "see whether what is spent and reserved is what the calls say", _check,
        more="It is, wherever gateways were killed, unless the database was changed from outside.",
    )  # fmt: skip
    close = add_action(
        actions, "close-books", "settle what a gateway left open that will not come back", _close,
        more="Its open calls cost what was reserved. A gateway that starts again does this by itself; "
        "one that still runs is refused from then on.",
    )  # fmt: skip
    close.add_argument("gateway", metavar="NAME", help="the gateway, as its gateway.toml names it")
    add_yes(close)
    for each in (used, said, check, close):
        add_books(each)
        add_json(each)


def _day(text: str) -> int:
    """The first millisecond of a day in Kazakhstan."""
    return (date.fromisoformat(text) - date(1970, 1, 1)).days * _DAY - _ZONE_MS


def _usage(args: argparse.Namespace) -> int:
    from qaztech.ai.gateway.usage import usage  # noqa: PLC0415

    by: Any = tuple(args.by.split(","))
    member = MemberId.parse(args.member) if args.member else None
    until = None if args.until is None else args.until + _DAY
    with open_books(args) as engine:
        sums = usage(engine, member=member, since=args.since, until=until, by=by)
    return tell(args, {"sums": [asdict(each) for each in sums]}, [_line(each) for each in sums] or ["no calls"])


def _statement(args: argparse.Namespace) -> int:
    from qaztech.ai.gateway.usage import calls_of, statement  # noqa: PLC0415

    if args.calls and args.json:
        raise Malformed("command.malformed", "--calls prints JSON by itself")
    if is_proved(args):
        return run_proved(args)
    if not args.member:
        raise Malformed("command.malformed", "say who called, by --member")
    member = MemberId.parse(args.member)
    with open_books(args) as engine:
        if args.calls:
            for call in calls_of(engine, member, args.month, provider=args.provider):
                sys.stdout.write(json.dumps(asdict(call), ensure_ascii=False) + "\n")
            return 0
        found = statement(engine, member, args.month, provider=args.provider)
    facts = {
        "member": str(member), "month": found.month, "lines": [asdict(each) for each in found.lines],
        "calls": found.calls, "open": found.open, "micro_tenge": found.total, "tenge": found.tenge,
    }  # fmt: skip
    total = f"total: {found.tenge} tenge (exactly {found.exact}) for {found.calls} calls"
    still = [f"{found.open} of them are still open and cost nothing yet"] if found.open else []
    return tell(args, facts, [*map(_line, found.lines), total, *still])


def _check(args: argparse.Namespace) -> int:
    from qaztech.ai.gateway.budgeting import exact_tenge  # noqa: PLC0415
    from qaztech.ai.gateway.usage import differences  # noqa: PLC0415

    with open_books(args) as engine:
        found = differences(engine)
    lines = [
        f"{each.budget}  {each.period}: {exact_tenge(each.settled)} spent and {exact_tenge(each.reserved)} reserved; by"
        f" its calls {exact_tenge(each.settled_by_calls)} and {exact_tenge(each.reserved_by_calls)}"
        for each in found
    ]
    tell(args, {"differences": [asdict(each) for each in found]}, lines or ["everything adds up"])
    return 1 if found else 0


def _close(args: argparse.Namespace) -> int:
    from qaztech.ai.gateway.books import declare_dead  # noqa: PLC0415
    from qaztech.ai.gateway.budgeting import exact_tenge  # noqa: PLC0415

    confirm(args, f"What {args.gateway} left open will cost all that was reserved; if it runs, it has to stop.")
    with open_books(args) as engine, engine.begin() as db:
        orphans = declare_dead(db, args.gateway, SystemClock().now())
    said = f"{orphans.calls} calls of {args.gateway} are settled at {exact_tenge(orphans.amount)} tenge"
    return tell(args, {"gateway": args.gateway, "calls": orphans.calls, "micro_tenge": orphans.amount}, [said])


def _line(each: Sum) -> str:
    from qaztech.ai.gateway.budgeting import exact_tenge  # noqa: PLC0415

    odd = [
        f"{count} {word}"
        for count, word in (
            (each.open, "open"),
            (each.failed, "failed"),
            (each.orphaned, "orphaned"),
            (each.capped, "capped"),
        )
        if count
    ]
    return (
        f"{'  '.join(each.by.values())}  {each.calls} calls{' (' + ', '.join(odd) + ')' if odd else ''}"
        f"  {each.prompt_tokens} + {each.completion_tokens} tokens  {exact_tenge(each.cost)} tenge"
    )
