"""The life of a card as a status machine, and whether its system may be called.

draft → declared → reviewed → in service → suspended → retired. The owner declares, serves, suspends and retires; the
reviewer at the centre approves, returns with a reason, suspends and lets go on. What the owner changes of the substance
is a draft again and is reviewed again; what it keeps up (reviews, documents, audits, evaluations) needs no new review.
Everything here is pure. Not here: who somebody is, where cards are kept.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final, Literal

import msgspec

from qaztech.ai.register.card import Card, check_text, days_of, missing, unchecked
from qaztech.ai.register.law import Law, current_law
from qaztech.ai.register.standing import State, Why
from qaztech.ai.terms import begin_of
from qaztech.core.errors import Conflict, Forbidden, Malformed

Role = Literal["owner", "reviewer"]
Act = Literal["declare", "approve", "return", "serve", "suspend", "resume", "retire", "revise"]
STATES: Final[tuple[State, ...]] = State.__args__  # type: ignore[attr-defined]
MOST_REASON: Final = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """An act: who may do it, from which states, where it leads, whether it needs a reason, whether the card must pass.

    `passes` means that nothing may stand against the card (`obstacles`, and at `declare` what is `missing`).
    """

    roles: frozenset[Role]
    before: frozenset[State]
    after: State
    reason: bool = False
    passes: bool = False


_OWNER: Final = frozenset[Role]({"owner"})
_REVIEWER: Final = frozenset[Role]({"reviewer"})
_EITHER: Final = _OWNER | _REVIEWER

STEPS: Final[Mapping[Act, Step]] = {
    "declare": Step(roles=_OWNER, before=frozenset({"draft"}), after="declared", passes=True),
    "approve": Step(roles=_REVIEWER, before=frozenset({"declared"}), after="reviewed", passes=True),
    "return": Step(roles=_REVIEWER, before=frozenset({"declared", "reviewed"}), after="draft", reason=True),
    "serve": Step(roles=_OWNER, before=frozenset({"reviewed"}), after="in-service", passes=True),
    "suspend": Step(roles=_EITHER, before=frozenset({"in-service"}), after="suspended", reason=True),
    "resume": Step(roles=_EITHER, before=frozenset({"suspended"}), after="in-service", passes=True),
    "revise": Step(roles=_OWNER, before=frozenset({"declared", "reviewed", "suspended"}), after="draft", reason=True),
    "retire": Step(
        roles=_OWNER, before=frozenset({"draft", "declared", "reviewed", "in-service", "suspended"}), after="retired",
        reason=True,
    ),
}  # fmt: skip

# What an owner keeps up without a new review.
UPKEEP: Final = frozenset({"prohibited", "documents", "risk_review", "audit", "evaluation", "eu"})
_KEPT_UP: Final = frozenset[State]({"reviewed", "in-service", "suspended"})
# What no change alters: another owner or system is another card.
_FIXED: Final = ("id", "owner", "system")


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """Something that stands against a card, and of what (a document's kind, a capability, a combination)."""

    why: Why
    what: tuple[str, ...] = ()


def obstacles(card: Card, today: date, law: Law | None = None) -> list[Obstacle]:
    """All that stands against a card's system being called on a day, whatever the card's state."""
    law = law or current_law()
    found = [check.capability for check in card.prohibited if check.found]
    held = {document.kind for document in card.documents if document.day <= today}
    lacking = tuple(each.kind for each in law.documents(card.risk, today) if each.kind not in held)
    audited = card.audit is not None and card.audit.passed and card.audit.day <= today
    due = review_due(card, today, law)
    every: list[tuple[Why, bool, tuple[str, ...]]] = [
        ("prohibited", bool(found), tuple(found)),
        ("unchecked", bool(unchecked(card)), unchecked(card)),
        ("forbidden-combination", bool(law.forbidden(card, today)), tuple(c.id for c in law.forbidden(card, today))),
        ("review-overdue", due is None or due < today, () if due is None else (due.isoformat(),)),
        ("audit-missing", law.needs_audit(card.risk, today) and not audited, ()),
        ("documents-missing", bool(lacking), lacking),
    ]
    return [Obstacle(why=why, what=what) for why, stands, what in every if stands]


def is_callable(card: Card, state: State, today: date, law: Law | None = None) -> Why | None:
    """Why the card's system may not be called on a day; None where it may."""
    by_state: Mapping[State, Why] = {
        "draft": "not-reviewed",
        "declared": "not-reviewed",
        "reviewed": "not-in-service",
        "suspended": "suspended",
        "retired": "retired",
    }
    if state != "in-service":
        return by_state[state]
    found = obstacles(card, today, law)
    return found[0].why if found else None


def review_due(card: Card, today: date, law: Law | None = None) -> date | None:
    """The last day on which the latest risk review holds; None without one (a review to come is none)."""
    if card.risk_review is None or card.risk_review > today:
        return None
    return _months_later(card.risk_review, (law or current_law()).number("risk-review", today))


def callable_until(card: Card, today: date, law: Law | None = None) -> int | None:
    """When (ms) the card's system may no longer be called if nobody reviews its risk again."""
    due = review_due(card, today, law)
    return None if due is None else begin_of(due + timedelta(days=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An act as somebody asks for it. `held` tells who suspended the card, where it is suspended."""

    act: str
    role: Role
    reason: str = ""
    held: str = ""


def step(card: Card, state: State, asked: Asked, today: date, law: Law | None = None) -> State:
    """The state after an act.

    Raises `Malformed` for what is no act or lacks its reason, `Forbidden` for the wrong role, `Conflict` where the act
    does not follow on the state or something stands against the card.
    """
    found = next((each for name, each in STEPS.items() if name == asked.act), None)
    if found is None:
        raise Malformed("ai.card.act", f"no such act: {asked.act[:40]!r}", at="caller")
    if asked.role not in found.roles:
        raise Forbidden("ai.card.role", f"{asked.act} is not for the {asked.role} of a card", at="caller")
    if state not in found.before:
        raise Conflict("ai.card.state", f"{asked.act} does not follow on {state}", at="caller")
    if len(asked.reason) > MOST_REASON or (found.reason and not asked.reason.strip()):
        raise Malformed(
            "ai.card.reason", f"{asked.act} needs a reason of at most {MOST_REASON} characters", at="caller"
        )
    check_text(asked.reason, "reason")
    if asked.act == "resume" and asked.role == "owner" and asked.held == "reviewer":
        # The owner may revise instead: what it drafts anew is reviewed again before it serves.
        raise Forbidden("ai.card.held", "the centre suspended the card: the centre lets it go on", at="caller")
    if found.passes:
        _require_passing(card, asked.act, today, law)
    return found.after


def refuse_change(before: Card, after: Card, state: State) -> tuple[str, ...]:
    """The names of the fields that an owner changes in a card of that state.

    Raises `Conflict` where the state does not allow it: substance is changed in a draft, upkeep also later. That a
    prohibited capability was found, an owner may add at any time; that it is gone, somebody has to review.
    """
    changed = changes(before, after)
    if fixed := [name for name in _FIXED if name in changed]:
        raise Conflict("ai.card.fixed", f"a card keeps its {', '.join(fixed)}", at="caller")
    if state == "draft" or not changed:
        return tuple(changed)
    substance = [name for name in changed if name not in UPKEEP]
    if "prohibited" in changed and not _found(before) <= _found(after):
        substance.append("prohibited")
    if state not in _KEPT_UP or substance:
        named = ", ".join(substance or changed)
        raise Conflict("ai.card.not-draft", f"the card is {state}: revise it to change {named}", at="caller")
    return tuple(changed)


def _found(card: Card) -> frozenset[str]:
    return frozenset(check.capability for check in card.prohibited if check.found)


def changes(before: Card | None, after: Card) -> dict[str, tuple[Any, Any]]:
    """What differs between two cards: for each field its values before and after, as JSON has them."""
    new: dict[str, Any] = msgspec.to_builtins(after)
    old: dict[str, Any] = {} if before is None else msgspec.to_builtins(before)
    return {name: (old.get(name), value) for name, value in new.items() if old.get(name) != value}


def check_days(card: Card, today: date) -> None:
    """Raises `Malformed` where a card tells of what has not happened yet."""
    if any(day > today for day in days_of(card)):
        raise Malformed("ai.card.day", "a card tells of what has happened: a day in it is still to come", at="caller")


def _require_passing(card: Card, act: str, today: date, law: Law | None) -> None:
    gaps = missing(card)
    if gaps:
        raise Conflict("ai.card.incomplete", f"{act}: the card lacks {', '.join(gaps)}", at="caller")
    found = obstacles(card, today, law)
    if found:
        told = "; ".join(f"{each.why} {' '.join(each.what)}".strip() for each in found)
        raise Conflict("ai.card.obstacle", f"{act}: {told}"[:500], at="caller")


def _months_later(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
