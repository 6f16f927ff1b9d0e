"""`qaztech ai cards`: the register of AI systems from the command line, and a card that is still a file."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from qaztech.cli.desk import moment
from qaztech.cli.options import add_action, add_json, tell
from qaztech.core.errors import NotFound
from qaztech.core.time import SystemClock

if TYPE_CHECKING:
    from qaztech.ai.register.life import Obstacle
    from qaztech.ai.register.store import CardStore
    from qaztech.cli.verbs import Verbs


def add_cards(actions: Verbs) -> None:
    """The group and what it does."""
    group = actions.add_parser("cards", help="see the register of AI systems; check a card before it is sent")
    cards = group.add_subparsers(title="actions", metavar="ACTION", required=True)
    every = add_action(cards, "list", "list the AI systems that the centre has registered", _list)
    every.add_argument("--owner", default="", metavar="MEMBER", help="only this member's, such as KZ/GOV/991340000017")
    show = add_action(cards, "show", "show one card, what stands against it, and its history", _show)
    show.add_argument("card", metavar="CARD", help="the card's id")
    for each in (every, show):
        each.add_argument("--settings", type=Path, required=True, metavar="FILE", help="the centre's hub.toml")
        add_json(each)
    check = add_action(
        cards, "check", "check a card in a file: what it lacks, what stands against it", _check,
        more="FILE is one card as JSON (docs/formats/ai-card.md). Nothing is sent.",
    )  # fmt: skip
    check.add_argument("file", type=Path, metavar="FILE", help="the card")
    add_json(check)


@contextmanager
def _opened(args: argparse.Namespace) -> Iterator[CardStore]:
    from qaztech.compose.hub import open_cards  # noqa: PLC0415  # each process imports only what it runs

    store, engine = open_cards(args.settings)
    try:
        yield store
    finally:
        engine.dispose()


def _list(args: argparse.Namespace) -> int:
    from qaztech.ai.register.service import card_line  # noqa: PLC0415

    now = SystemClock().now()
    with _opened(args) as store:
        kept = store.cards(owner=args.owner)
    facts = {"cards": [{**msgspec.to_builtins(card_line(each, now)), "owner": each.card.owner} for each in kept]}
    lines = [
        f"{each.card.id:32} {each.state:10} {each.card.risk:8} {each.why(now) or 'callable':22} "
        f"{each.card.owner}/{each.card.system}"
        for each in kept
    ]
    return tell(args, facts, lines or ["there are none"])


def _show(args: argparse.Namespace) -> int:
    from qaztech.ai.register.service import card_shown  # noqa: PLC0415

    with _opened(args) as store:
        shown = card_shown(store.card(args.card), store.events(args.card), SystemClock().now())
    card = shown.card
    lines = [
        f"{card.id}: {card.names.en or card.names.ru or card.names.kk}",
        f"owner       {card.owner}, system {card.system}",
        f"state       {shown.state}, version {shown.version}",
        f"may be called: {'yes' if shown.why is None else f'no, {shown.why}'}",
        f"risk        {card.risk}, autonomy {card.autonomy}, mode {card.mode}, data up to {card.highest_class}",
        *(f"against it  {each.why} {' '.join(each.what)}".rstrip() for each in shown.obstacles),
        *(
            f"{moment(event.at)}  {event.act:8} {event.role:8} {event.by}{f': {event.reason}' if event.reason else ''}"
            for event in shown.events
        ),
    ]
    return tell(args, msgspec.to_builtins(shown), lines)


def _check(args: argparse.Namespace) -> int:
    from qaztech.ai.register.card import MOST_BYTES, missing, parse_card  # noqa: PLC0415
    from qaztech.ai.register.life import check_days, obstacles  # noqa: PLC0415
    from qaztech.ai.terms import day_of  # noqa: PLC0415

    if not args.file.is_file():
        raise NotFound("command.missing", f"there is no {args.file.absolute()}")
    with args.file.open("rb") as file:
        card = parse_card(file.read(MOST_BYTES + 1))
    today = day_of(SystemClock().now())
    check_days(card, today)
    lacks, against = missing(card), obstacles(card, today)
    facts = {"id": card.id, "lacks": lacks, "against": [{"why": each.why, "what": each.what} for each in against]}
    lines = [*(f"lacks    {name}" for name in lacks), *map(_told, against)]
    tell(args, facts, lines or [f"{card.id}: nothing stands in the way of declaring it"])
    return 1 if lines else 0


def _told(obstacle: Obstacle) -> str:
    return f"against  {obstacle.why} {' '.join(obstacle.what)}".rstrip()
