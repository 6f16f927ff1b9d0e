"""The part of a console's management API that is about AI: cards, keys, budgets, what was used. By the pages' scopes.

A key's text is in one answer, once. Not here: the other calls and how they are carried out (`member_api`).
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from qaztech.ai.gateway.budgeting import Kind, month_span
from qaztech.ai.gateway.budgets import Budget
from qaztech.ai.gateway.keys import Key
from qaztech.ai.gateway.policy import Handling
from qaztech.ai.gateway.usage import By, CallRow, Statement, Sum
from qaztech.ai.office import DECLARING, SERVING, AiOffice, KeyForm, key_facts
from qaztech.ai.register.service import CardLine, CardShown, DraftForm
from qaztech.ai.terms import DataClass
from qaztech.core.errors import Malformed
from qaztech.people.people import Person
from qaztech.web.member_parts import Action

_Name = Annotated[str, Meta(max_length=1000)]
_Count = Annotated[int, Meta(ge=0, le=10**13)]
_Month = Annotated[str, Meta(pattern=r"^\d{4}-\d{2}$")]


class _Input(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What all bodies share: unknown fields are refused."""


class CardAct(_Input, frozen=True, kw_only=True):
    """An act on a card as it was at `version`."""

    act: Annotated[str, Meta(max_length=40)]
    version: _Count
    reason: Annotated[str, Meta(max_length=2000)] = ""


class PutKey(_Input, frozen=True, kw_only=True):
    """A key that is to be issued."""

    name: _Name
    system: _Name
    card: _Name
    purpose: _Name
    purpose_text: _Name
    data_class: DataClass
    models: Annotated[list[_Name], Meta(max_length=100)]
    budget: _Name
    handling: Handling = "mask"
    calls_per_minute: _Count = 600
    tokens_per_minute: _Count = 1_000_000


class ChangeKey(_Input, frozen=True, kw_only=True):
    """What of a key can be changed, all of it."""

    models: Annotated[list[_Name], Meta(max_length=100)]
    calls_per_minute: _Count
    tokens_per_minute: _Count
    budget: _Name


class RevokeKey(_Input, frozen=True, kw_only=True):
    """An empty object: that it is meant."""


class PutBudget(_Input, frozen=True, kw_only=True):
    """A new budget, in whole tenge."""

    name: Annotated[str, Meta(max_length=100)]
    kind: Kind
    tenge: _Count


class ChangeBudget(_Input, frozen=True, kw_only=True):
    """Another limit, in whole tenge."""

    tenge: _Count


class LookAtUsage(_Input, frozen=True, kw_only=True):
    """Which month, summed by what."""

    month: _Month
    by: Annotated[list[By], Meta(min_length=1, max_length=11)]


class LookAtCalls(_Input, frozen=True, kw_only=True):
    """Calls of a key or of all, before one by its id."""

    key: Annotated[str, Meta(pattern=r"^[0-9a-f]{12}$")] | None = None
    before: Annotated[str, Meta(pattern=r"^[0-9a-f-]{0,36}$")] = ""
    limit: Annotated[int, Meta(ge=1, le=200)] = 50


class AiKeyAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A key, without its text."""

    id: str
    about: dict[str, Any]
    created: int
    created_by: str
    revoked: int | None
    revoked_by: str | None

    @classmethod
    def of(cls, key: Key) -> AiKeyAnswer:
        """As programs read it."""
        return cls(
            id=key.id, about=key_facts(key), created=key.created, created_by=key.created_by, revoked=key.revoked,
            revoked_by=key.revoked_by,
        )  # fmt: skip


class IssuedKeyAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A new key with its text, told this once."""

    shown: str
    key: AiKeyAnswer


class BudgetAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A budget. `tenge` are whole, the rest is micro-tenge of the present `period`."""

    id: str
    name: str
    kind: str
    tenge: int
    period: str
    settled: int
    reserved: int
    left: int

    @classmethod
    def of(cls, budget: Budget) -> BudgetAnswer:
        """As programs read it."""
        return cls(
            id=budget.id, name=budget.name, kind=budget.kind, tenge=budget.tenge, period=budget.present.period,
            settled=budget.present.settled, reserved=budget.present.reserved, left=budget.left,
        )  # fmt: skip


class StatementAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A month. Costs are micro-tenge; `tenge` is their sum rounded up."""

    member: str
    month: str
    lines: tuple[Sum, ...]
    calls: int
    open: int
    micro_tenge: int
    tenge: int

    @classmethod
    def of(cls, found: Statement) -> StatementAnswer:
        """As programs read it."""
        return cls(
            member=str(found.member), month=found.month, lines=found.lines, calls=found.calls, open=found.open,
            micro_tenge=found.total, tenge=found.tenge,
        )  # fmt: skip


def ai_actions(ai: AiOffice) -> list[Action]:
    """Every call with its scope."""
    calls = _Calls(ai)

    def of(route: str, scope: str, summary: str, run: Any, answer: Any, **more: Any) -> Action:
        method, path = route.split(" ")
        return Action(method=method, path=path, scope=scope, summary=summary, run=run, answer=answer, **more)

    return [
        of("GET /ai/cards", "ai:read", "The member's AI systems in the register", calls.cards, list[CardLine]),
        of("PUT /ai/cards", "ai-cards:write", "Keep a card as it is written", calls.draft, CardShown, body=DraftForm),
        of("GET /ai/cards/{id}", "ai:read", "One card with its history", calls.card, CardShown),
        of("POST /ai/cards/{id}/declare", "ai-cards:write", "Declare a card, or revise it", calls.declare, CardShown,
           body=CardAct),
        of("POST /ai/cards/{id}/service", "ai-service:write", "Put in service, suspend, resume, retire", calls.serve,
           CardShown, body=CardAct),
        of("GET /ai/keys", "ai:read", "Keys of the gateway, revoked ones too", calls.keys, list[AiKeyAnswer]),
        of("POST /ai/keys", "ai-keys:write", "Issue a key; its text, shown once", calls.issue, IssuedKeyAnswer,
           body=PutKey, status=201),
        of("GET /ai/keys/{id}", "ai:read", "One key", calls.key, AiKeyAnswer),
        of("PUT /ai/keys/{id}", "ai-keys:write", "Other models, limits, another budget", calls.change_key,
           AiKeyAnswer, body=ChangeKey),
        of("POST /ai/keys/{id}/revoke", "ai-keys:write", "Let a key call no more", calls.revoke, AiKeyAnswer,
           body=RevokeKey),
        of("GET /ai/budgets", "ai:read", "Budgets, and what is left of them", calls.budgets, list[BudgetAnswer]),
        of("POST /ai/budgets", "ai-keys:write", "Make a budget", calls.create_budget, BudgetAnswer, body=PutBudget,
           status=201),
        of("PUT /ai/budgets/{id}", "ai-keys:write", "Give a budget another limit", calls.change_budget, BudgetAnswer,
           body=ChangeBudget),
        of("POST /search/ai-usage", "ai:read", "Sums of a month's calls", calls.usage, list[Sum], body=LookAtUsage),
        of("POST /search/ai-calls", "ai:read", "Single calls, the newest first", calls.calls, list[CallRow],
           body=LookAtCalls),
        of("GET /ai/statements/{month}", "ai:read", "What a month cost", calls.statement, StatementAnswer),
    ]  # fmt: skip


class _Calls:
    """What each call does: the person, the path's parameters, the body. They block."""

    def __init__(self, ai: AiOffice) -> None:
        self._ai = ai

    def cards(self, _: Person, __: dict[str, str], ___: Any) -> Any:
        return self._ai.cards()

    def card(self, _: Person, parameters: dict[str, str], __: Any) -> Any:
        return self._ai.card(parameters["id"])

    def draft(self, person: Person, _: dict[str, str], body: DraftForm) -> Any:
        return self._ai.draft(body.card, body.version, person.actor)

    def declare(self, person: Person, parameters: dict[str, str], body: CardAct) -> Any:
        return self._act(person, parameters["id"], body, DECLARING)

    def serve(self, person: Person, parameters: dict[str, str], body: CardAct) -> Any:
        return self._act(person, parameters["id"], body, SERVING)

    def _act(self, person: Person, identifier: str, body: CardAct, acts: tuple[str, ...]) -> Any:
        if body.act not in acts:
            raise Malformed("ai.card.act", f"one of {', '.join(acts)}", at="caller")
        return self._ai.act(identifier, body.act, body.reason, body.version, person.actor)

    def keys(self, _: Person, __: dict[str, str], ___: Any) -> Any:
        return [AiKeyAnswer.of(key) for key in self._ai.keys()]  # noqa: SIM118  # no mapping

    def key(self, _: Person, parameters: dict[str, str], __: Any) -> Any:
        return AiKeyAnswer.of(self._ai.key(parameters["id"]))

    def issue(self, person: Person, _: dict[str, str], body: PutKey) -> Any:
        form = KeyForm(**msgspec.structs.asdict(body) | {"models": tuple(body.models)})
        shown, key = self._ai.issue(form, person.actor)
        return IssuedKeyAnswer(shown=shown, key=AiKeyAnswer.of(key))

    def change_key(self, person: Person, parameters: dict[str, str], body: ChangeKey) -> Any:
        key = self._ai.change_key(
            parameters["id"], models=body.models, calls=body.calls_per_minute, tokens=body.tokens_per_minute,
            budget=body.budget, by=person.actor,
        )  # fmt: skip
        return AiKeyAnswer.of(key)

    def revoke(self, person: Person, parameters: dict[str, str], _: Any) -> Any:
        return AiKeyAnswer.of(self._ai.revoke(parameters["id"], person.actor))

    def budgets(self, _: Person, __: dict[str, str], ___: Any) -> Any:
        return [BudgetAnswer.of(budget) for budget in self._ai.budgets()]

    def create_budget(self, person: Person, _: dict[str, str], body: PutBudget) -> Any:
        made = self._ai.create_budget(name=body.name, kind=body.kind, tenge=body.tenge, by=person.actor)
        return BudgetAnswer.of(made)

    def change_budget(self, person: Person, parameters: dict[str, str], body: ChangeBudget) -> Any:
        return BudgetAnswer.of(self._ai.change_budget(parameters["id"], tenge=body.tenge, by=person.actor))

    def usage(self, _: Person, __: dict[str, str], body: LookAtUsage) -> Any:
        try:
            begin, end = month_span(body.month)
        except (ValueError, OverflowError) as exc:
            raise Malformed("ai.usage.month", "a month is written YYYY-MM", at="caller") from exc
        return self._ai.usage(begin, end, tuple(dict.fromkeys(body.by)))

    def calls(self, _: Person, __: dict[str, str], body: LookAtCalls) -> Any:
        return self._ai.calls(key=body.key, before=body.before, most=body.limit)

    def statement(self, _: Person, parameters: dict[str, str], __: Any) -> Any:
        return StatementAnswer.of(self._ai.statement(parameters["month"]))
