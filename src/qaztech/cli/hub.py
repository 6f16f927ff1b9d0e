"""`qaztech hub`: run the centre that knows the traffic; show what it counts and what does not add up."""

from __future__ import annotations

import argparse
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from qaztech.cli import hub_objects
from qaztech.cli.hub_detect import add_detect
from qaztech.cli.hub_refresh import add_refresh
from qaztech.cli.hub_traffic import add_traffic
from qaztech.cli.options import add_action, add_json, tell
from qaztech.cli.running import add_run, serve
from qaztech.core.errors import Malformed
from qaztech.core.ids import MemberId

if TYPE_CHECKING:
    from qaztech.cli.verbs import Verbs


def add_parser(verbs: Verbs) -> None:
    """Add the verb and what it does."""
    parser = verbs.add_parser("hub", help="run the centre that knows the traffic; show what it knows")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    add_run(actions, "the centre", "hub.toml", _run)
    held = add_action(actions, "held", "show how far each log has been delivered", _held)
    findings = add_action(actions, "findings", "show what does not add up in what was delivered", _findings)
    totals = add_action(
        actions, "totals", "show how many calls there were, by day, client and service", _totals,
        more="Days are those of Kazakhstan (UTC+5).",
    )  # fmt: skip
    totals.add_argument("--since", type=_date, metavar="DATE", help="first day, as YYYY-MM-DD (a week before the last)")
    totals.add_argument("--until", type=_date, metavar="DATE", help="last day, as YYYY-MM-DD (today)")
    totals.add_argument("--member", metavar="MEMBER", help="only what this member may see, such as KZ/GOV/991340000017")
    add_detect(actions)
    add_traffic(actions)
    add_refresh(actions)
    for each in (held, findings, totals, *hub_objects.add_actions(actions)):
        each.add_argument("--settings", type=Path, required=True, metavar="FILE", help="the centre's hub.toml")
        add_json(each)


def _run(args: argparse.Namespace) -> int:
    from qaztech.compose.hub import run_hub  # noqa: PLC0415  # each process imports only what it runs

    return serve(lambda stop: run_hub(args.settings, stop))


def _held(args: argparse.Namespace) -> int:
    from qaztech.compose.hub import open_store  # noqa: PLC0415

    with open_store(args.settings) as store:
        logs = store.all_held()
    facts = {"logs": [{"origin": log.origin, "size": log.size, "recorded": log.recorded} for log in logs]}
    return tell(args, facts, [f"{_moment(log.recorded)}  {log.size:>12}  {log.origin}" for log in logs] or ["nothing"])


def _findings(args: argparse.Namespace) -> int:
    from qaztech.compose.hub import open_store  # noqa: PLC0415

    with open_store(args.settings) as store:
        kept = store.findings()
    facts = {
        "findings": [
            {name: getattr(each.finding, name) for name in each.finding.__slots__} | {"found": each.found}
            for each in kept
        ]
    }
    lines = [
        f"{_moment(each.found)}  {each.finding.level:13} {each.finding.code:24} {each.finding.origin}"
        f" at {each.finding.place}: {each.finding.detail}"
        for each in kept
    ]
    return tell(args, facts, lines or ["nothing was found"])


def _totals(args: argparse.Namespace) -> int:
    from qaztech.compose.hub import open_store  # noqa: PLC0415
    from qaztech.core.time import SystemClock  # noqa: PLC0415
    from qaztech.hub.traffic import DAY_BEGINS, Traffic, Viewer  # noqa: PLC0415

    today = datetime.fromtimestamp((SystemClock().now() + DAY_BEGINS) / 1000, UTC).date()
    until = args.until or today
    since = args.since or until - timedelta(days=6)
    viewer = Viewer(member=MemberId.parse(args.member) if args.member else None)
    begin, end = (_midnight(day) - DAY_BEGINS for day in (since, until + timedelta(days=1)))
    if begin >= end:
        raise Malformed("command.malformed", "the last day is before the first")
    with open_store(args.settings) as store:
        totals = Traffic(store.directory, store.files).totals(viewer, begin, end)
    lines = [
        f"{t.day}  {t.calls:>9} calls  {t.succeeded:>9} succeeded  {t.client} -> {t.service}" for t in totals
    ]  # fmt: skip
    return tell(args, {"totals": [total._asdict() for total in totals]}, lines or ["no calls"])


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(f"not a day as YYYY-MM-DD: {text!r}") from exc


def _midnight(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000


def _moment(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
