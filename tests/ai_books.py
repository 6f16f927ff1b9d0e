"""What tests of a gateway's books share: a member, keys, calls of one tenge, and what the tables must add up to."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, func, select

from qaztech.ai.gateway.books import Ask, Outcome, Settlement
from qaztech.ai.gateway.budgeting import MICRO, new_call_id
from qaztech.ai.gateway.budgets import Budget
from qaztech.ai.gateway.keys import Key, Keys
from qaztech.ai.gateway.tables import periods
from qaztech.ai.gateway.usage import differences
from qaztech.core.ids import MemberId
from qaztech.core.time import SystemClock
from qaztech.runtime.database import reading

MEMBER = MemberId.parse("KZ/GOV/991340000017")
DIGEST = "a" * 64


def issue(keys: Keys, paid_by: Budget, **changes: Any) -> tuple[str, Key]:
    """A key like any other."""
    form = {
        "name": "Answers", "member": MEMBER, "system": "letters", "purpose": "drafts",
        "purpose_text": "Drafts of answers to letters", "card": "letters-1", "data_class": "internal",
        "models": ["small", "large"], "budget": paid_by.id, "by": "aigerim",
    }  # fmt: skip
    return keys.issue(**(form | changes))


def ask(key: Key | str, amount: int = MICRO, *, tokens: int = 100, call: str | None = None) -> Ask:
    """A call that reserves so much."""
    return Ask(
        call=call or new_call_id(SystemClock().now()), key=key if isinstance(key, str) else key.id, model="small",
        deployment="quasi-small", service="KZ/QUASI/123/models/chat", version="v1", declared="internal",
        data_class="internal", decision="allowed", prompt_digest=DIGEST, amount=amount, tokens=tokens,
    )  # fmt: skip


def settlement(call: str, cost: int, *, outcome: Outcome = "complete", **changes: Any) -> Settlement:
    """The end of a call."""
    form = {"prompt_tokens": 40, "completion_tokens": 60, "answer_digest": DIGEST, "exchange": "x-1"}
    return Settlement(call=call, outcome=outcome, cost=cost, **(form | changes))


def added_up(engine: Engine, budget: str) -> tuple[int, int]:
    """What is settled and reserved in all periods of a budget; all books are what their calls say, or it fails."""
    assert differences(engine) == []
    with reading(engine) as db:
        spent = select(func.sum(periods.c.settled), func.sum(periods.c.reserved)).where(periods.c.budget == budget)
        settled, reserved = db.execute(spent).one()
    return int(settled or 0), int(reserved or 0)
