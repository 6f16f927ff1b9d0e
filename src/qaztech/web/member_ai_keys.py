"""Pages of keys and budgets: who may call which models through the member's gateway, and what pays for it.

A key's text is on one page, once, and nowhere else. Not here: what was used (`member_ai_usage`), how calls are let in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from qaztech.ai.gateway.budgeting import KINDS, MICRO, exact_tenge
from qaztech.ai.gateway.budgets import Budget
from qaztech.ai.gateway.keys import CALLS_PER_MINUTE, TOKENS_PER_MINUTE, Key
from qaztech.ai.gateway.policy import HANDLINGS
from qaztech.ai.office import KeyForm
from qaztech.ai.register.service import CardLine
from qaztech.ai.terms import CLASSES
from qaztech.core.errors import Error, Malformed
from qaztech.people.people import Person
from qaztech.web.hub_pages import hub_texts
from qaztech.web.member_ai_cards import AI
from qaztech.web.member_parts import PageRoute, Parts, off_loop
from qaztech.web.member_site import Form, one, read_values, redirect, whole
from qaztech.web.people_pages import page_language

KEYS, BUDGETS = f"{AI}/keys", f"{AI}/budgets"
KEY = f"{KEYS}/{{id}}"
# How wide the bar of a budget is.
BAR = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A budget's present period as widths of `BAR`: settled, then reserved; the rest is left."""

    settled: float
    reserved: float


class AiKeyPages:
    """The handlers."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._ai = parts.ai

    def routes(self) -> list[PageRoute]:
        """Every route with its scope."""
        return [
            PageRoute("GET", KEYS, "ai:read", self._list),
            PageRoute("GET", f"{KEYS}/new", "ai-keys:write", self._new),
            PageRoute("POST", f"{KEYS}/new", "ai-keys:write", self._issue),
            PageRoute("GET", KEY, "ai:read", self._show),
            PageRoute("POST", KEY, "ai-keys:write", self._change),
            PageRoute("POST", f"{KEY}/revoke", "ai-keys:write", self._revoke),
            PageRoute("GET", BUDGETS, "ai:read", self._budgets),
            PageRoute("POST", BUDGETS, "ai-keys:write", self._create_budget),
            PageRoute("POST", f"{BUDGETS}/{{id}}", "ai-keys:write", self._change_budget),
        ]

    # Keys -------------------------------------------------------------------------------------------------------------

    async def _list(self, request: Request, person: Person) -> Response:
        found: list[Key] = []
        budgets: dict[str, Budget] = {}
        if self._ai.gateway is not None:
            found = await off_loop(self._ai.keys)
            budgets = {each.id: each for each in await off_loop(self._ai.budgets)}
        return self._render(request, "ai-keys.html", person, keys=found, budgets=budgets)

    async def _new(self, request: Request, person: Person) -> Response:
        card = request.query_params.get("card", "")[:100]
        values = {
            "card": [card], "class": ["internal"], "handling": ["mask"], "calls": [str(CALLS_PER_MINUTE)],
            "tokens": [str(TOKENS_PER_MINUTE)],
        }  # fmt: skip
        return await self._form(request, person, values, None)

    async def _issue(self, request: Request, person: Person) -> Response:
        values = await read_values(request)
        try:
            form = _key_form(values, await off_loop(self._cards))
            shown, key = await off_loop(lambda: self._ai.issue(form, person.actor))
        except Error as exc:
            if exc.status >= 500:
                raise
            return await self._form(request, person, values, exc)
        return self._render(request, "ai-key-issued.html", person, shown=shown, key=key)

    async def _form(self, request: Request, person: Person, values: Form, problem: Error | None) -> Response:
        gateway, work = self._ai.gateway, self._parts.console.work
        return self._render(
            request, "ai-key-new.html", person, status=200 if problem is None else problem.status, values=values,
            cards=await off_loop(self._cards), budgets=await off_loop(self._ai.budgets) if gateway else [],
            systems=work.file().statement.subsystems, classes=CLASSES, handlings=HANDLINGS,
            problem=None if problem is None else self._parts.pages.words(request, problem),
        )  # fmt: skip

    def _cards(self) -> list[CardLine]:
        """The member's cards; none where the register is silent: their names are typed then."""
        if not self._ai.has_register:
            return []
        try:
            return [line for line in self._ai.cards() if line.state != "retired"]
        except Error as exc:
            if exc.status < 500:
                raise
            return []

    async def _show(self, request: Request, person: Person) -> Response:
        return await self._page(request, person)

    async def _page(
        self, request: Request, person: Person, values: Form | None = None, problem: Error | None = None
    ) -> Response:
        key = await off_loop(lambda: self._ai.key(request.path_params["id"]))
        values = values or {
            "models": sorted(key.models), "calls": [str(key.calls_per_minute)], "tokens": [str(key.tokens_per_minute)],
            "budget": [key.budget],
        }  # fmt: skip
        gateway = self._ai.gateway
        offered = sorted({*(gateway.models if gateway else ()), *key.models})
        return self._render(
            request, "ai-key.html", person, status=200 if problem is None else problem.status, key=key, values=values,
            offered=offered, budgets=await off_loop(self._ai.budgets),
            problem=None if problem is None else self._parts.pages.words(request, problem),
        )  # fmt: skip

    async def _change(self, request: Request, person: Person) -> Response:
        values, id_ = await read_values(request), request.path_params["id"]
        try:
            calls, tokens = _limits(values)
            await off_loop(
                lambda: self._ai.change_key(
                    id_, models=values.get("models", ()), calls=calls, tokens=tokens, budget=one(values, "budget"),
                    by=person.actor,
                )
            )  # fmt: skip
        except Malformed as exc:
            return await self._page(request, person, values, exc)
        return redirect(request, f"{KEYS}/{id_}", done="ai-key-changed")

    async def _revoke(self, request: Request, person: Person) -> Response:
        values, id_ = await read_values(request), request.path_params["id"]
        if one(values, "sure") != "yes":
            return await self._page(
                request, person, None, Malformed("console.confirm", "a key is revoked for good", at="caller")
            )
        await off_loop(lambda: self._ai.revoke(id_, person.actor))
        return redirect(request, f"{KEYS}/{id_}", done="ai-key-revoked")

    # Budgets ----------------------------------------------------------------------------------------------------------

    async def _budgets(self, request: Request, person: Person) -> Response:
        return await self._budget_page(request, person, {}, None)

    async def _budget_page(self, request: Request, person: Person, values: Form, problem: Error | None) -> Response:
        budgets = await off_loop(self._ai.budgets) if self._ai.gateway is not None else []
        return self._render(
            request, "ai-budgets.html", person, status=200 if problem is None else problem.status, values=values,
            budgets=[(each, bar_of(each)) for each in budgets], kinds=KINDS, width=BAR,
            problem=None if problem is None else self._parts.pages.words(request, problem),
        )  # fmt: skip

    async def _create_budget(self, request: Request, person: Person) -> Response:
        values = await read_values(request)
        kind: Any = one(values, "kind")
        try:
            tenge = _tenge(values)
            await off_loop(
                lambda: self._ai.create_budget(name=one(values, "name"), kind=kind, tenge=tenge, by=person.actor)
            )
        except Malformed as exc:
            return await self._budget_page(request, person, values, exc)
        return redirect(request, BUDGETS, done="ai-budget-made")

    async def _change_budget(self, request: Request, person: Person) -> Response:
        values, id_ = await read_values(request), request.path_params["id"]
        try:
            tenge = _tenge(values)
            await off_loop(lambda: self._ai.change_budget(id_, tenge=tenge, by=person.actor))
        except Malformed as exc:
            return await self._budget_page(request, person, {}, exc)
        return redirect(request, BUDGETS, done="ai-budget-changed")

    def _render(self, request: Request, template: str, person: Person, **values: Any) -> Response:
        words = hub_texts(page_language(request))["ai"]
        return self._parts.pages.render(
            request, template, person, words=words, gateway=self._ai.gateway, tenge=exact_tenge, micro=MICRO, **values
        )


def bar_of(budget: Budget) -> Bar:
    """How far a budget is used in its present period."""
    whole_ = max(budget.tenge * MICRO, 1)
    settled = min(BAR, budget.present.settled * BAR / whole_)
    return Bar(settled=round(settled, 1), reserved=round(min(BAR - settled, budget.present.reserved * BAR / whole_), 1))


def _key_form(values: Form, cards: list[CardLine]) -> KeyForm:
    """The key that the form describes. Its system is that of its card, where the register tells."""
    card = one(values, "card")
    system = next((line.system for line in cards if line.id == card), one(values, "system"))
    calls, tokens = _limits(values)
    data_class: Any = one(values, "class")
    handling: Any = one(values, "handling")
    return KeyForm(
        name=one(values, "name"), system=system, purpose=one(values, "purpose"),
        purpose_text=" ".join(one(values, "purpose_text").split()), card=card, data_class=data_class,
        handling=handling, models=tuple(values.get("models", ())), calls_per_minute=calls, tokens_per_minute=tokens,
        budget=one(values, "budget"),
    )  # fmt: skip


def _limits(values: Form) -> tuple[int, int]:
    return whole(values, "calls") or 0, whole(values, "tokens") or 0


def _tenge(values: Form) -> int:
    found = whole(values, "tenge")
    if found is None:
        raise Malformed("ai.budget.limit", "how many tenge?", at="caller")
    return found
