"""`qaztech ai`: the gateway of a body, its keys, budgets and statements; the register of AI systems."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qaztech.cli import ai_gateway
from qaztech.cli.ai_cards import add_cards
from qaztech.cli.ai_detect import add_detect
from qaztech.cli.ai_keys import add_keys
from qaztech.cli.ai_usage import add_usage

if TYPE_CHECKING:
    from qaztech.cli.verbs import Verbs


def add_parser(verbs: Verbs) -> None:
    """Add the verb and what it does."""
    parser = verbs.add_parser("ai", help="let systems call models: the gateway, keys, budgets, what was used")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    ai_gateway.add_actions(actions)
    add_keys(actions)
    add_usage(actions)
    add_cards(actions)
    add_detect(actions)
