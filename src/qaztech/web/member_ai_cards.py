"""Pages of the member's AI systems: cards in the register, the form of a whole card, and what may be done with one.

A developer writes drafts and declares, a service owner serves, suspends and retires. Not here: the law (`ai.register`),
keys and budgets (`member_ai_keys`), what was used (`member_ai_usage`).
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from qaztech.ai.office import DECLARING, SERVING
from qaztech.ai.register.card import PROHIBITED, Card, missing
from qaztech.ai.register.law import current_law
from qaztech.ai.register.life import STEPS, obstacles, review_due
from qaztech.ai.register.service import CardShown
from qaztech.ai.terms import AUTONOMIES, CLASSES, MODES, RISKS, day_of
from qaztech.core.errors import Conflict, Error, Malformed
from qaztech.people.people import Person
from qaztech.web.hub_pages import hub_texts
from qaztech.web.member_ai_form import Problems, card_of, rows_of, values_of
from qaztech.web.member_parts import PageRoute, Parts, off_loop
from qaztech.web.member_site import Form, one, read_values, redirect, whole
from qaztech.web.people_pages import page_language

AI = "/console/ai"
CARD = f"{AI}/cards/{{id}}"
# What is there where a choice is none yet.
CHOICES = {
    "risk": RISKS,
    "autonomy": AUTONOMIES,
    "mode": MODES,
    "class": CLASSES,
    "use": ("training", "tuning", "reference", "input"),
    "trusted": ("none", "candidate", "listed", "removed"),
    "eu-risk": ("", "minimal", "limited", "high", "prohibited"),
    "language": ("kk", "ru", "en"),
}


class AiCardPages:
    """The handlers."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._ai = parts.ai

    def routes(self) -> list[PageRoute]:
        """Every route with its scope."""
        return [
            PageRoute("GET", AI, "ai:read", self._list),
            PageRoute("GET", f"{AI}/new", "ai-cards:write", self._new),
            PageRoute("POST", f"{AI}/new", "ai-cards:write", self._create),
            PageRoute("GET", CARD, "ai:read", self._show),
            PageRoute("GET", f"{CARD}/edit", "ai-cards:write", self._edit),
            PageRoute("POST", f"{CARD}/edit", "ai-cards:write", self._change),
            PageRoute("POST", f"{CARD}/declare", "ai-cards:write", self._declare),
            PageRoute("POST", f"{CARD}/service", "ai-service:write", self._serve),
        ]

    async def _list(self, request: Request, person: Person) -> Response:
        lines, problem = None, None
        if self._ai.has_register:
            try:
                lines = await off_loop(self._ai.cards)
            except Error as exc:
                if exc.status < 500:
                    raise
                problem = self._parts.pages.words(request, exc)
        return self._render(request, "ai-cards.html", person, lines=lines, problem=problem, unset=not self._has)

    @property
    def _has(self) -> bool:
        return self._ai.has_register

    # One card ---------------------------------------------------------------------------------------------------------

    async def _show(self, request: Request, person: Person) -> Response:
        shown = await off_loop(lambda: self._ai.card(request.path_params["id"]))
        return self._page(request, person, shown)

    def _page(
        self, request: Request, person: Person, shown: CardShown, problem: Error | None = None, form: Form | None = None
    ) -> Response:
        card, today, law = shown.card, self._today(), current_law()
        checks = {check.capability: check for check in card.prohibited}
        needed = law.documents(card.risk, today)
        marks = {document.kind for document in card.documents}
        form = form or {}
        needing = {name for name, step in STEPS.items() if step.reason}
        return self._render(
            request, "ai-card.html", person, status=200 if problem is None else problem.status, shown=shown, card=card,
            acts=[(act, act in needing) for act in shown.acts if person.may(_scope(act))],
            checks=[(name, checks.get(name)) for name in PROHIBITED], due=review_due(card, today),
            against=obstacles(card, today), missing=missing(card), kinds=law.document_kinds(),
            combinations={each.id: each for each in law.forbidden(card, today)},
            lacking=[kind for kind in needed if kind.kind not in marks],
            problem=None if problem is None else self._parts.pages.words(request, problem),
            asked=one(form, "act"), reason=one(form, "reason"), writable=shown.state != "retired",
        )  # fmt: skip

    async def _declare(self, request: Request, person: Person) -> Response:
        return await self._act(request, person, DECLARING)

    async def _serve(self, request: Request, person: Person) -> Response:
        return await self._act(request, person, SERVING)

    async def _act(self, request: Request, person: Person, acts: tuple[str, ...]) -> Response:
        """An act on the card as it was when the page was made."""
        form, identifier = await read_values(request), request.path_params["id"]
        act, version = one(form, "act"), _version(form)
        if act not in acts:
            raise Malformed("ai.card.act", "no such act", at="caller")
        reason = one(form, "reason").replace("\r\n", "\n")
        try:
            await off_loop(lambda: self._ai.act(identifier, act, reason, version, person.actor))
        except (Malformed, Conflict) as exc:
            refused = exc
            shown = await off_loop(lambda: self._ai.card(identifier))
            return self._page(request, person, shown, refused, form)
        return redirect(request, f"{AI}/cards/{identifier}", done=f"ai-{act}")

    # The form ---------------------------------------------------------------------------------------------------------

    async def _new(self, request: Request, person: Person) -> Response:
        return await self._form(request, person, {"risk": ["high"], "marking.synthetic": ["yes"]}, new=True)

    async def _create(self, request: Request, person: Person) -> Response:
        return await self._keep(request, person, new=True)

    async def _edit(self, request: Request, person: Person) -> Response:
        shown = await off_loop(lambda: self._ai.card(request.path_params["id"]))
        return await self._form(request, person, values_of(shown.card) | {"version": [str(shown.version)]})

    async def _change(self, request: Request, person: Person) -> Response:
        return await self._keep(request, person)

    async def _keep(self, request: Request, person: Person, *, new: bool = False) -> Response:
        """Keep what was typed; or show it again with all that is wrong, or with more rows."""
        values = await read_values(request)
        if one(values, "more"):
            return await self._form(request, person, values, new=new, more=3)
        owner = self._parts.console.work.file().member
        if not new:
            values |= {"id": [request.path_params["id"]]}
        card, problems = card_of(values, owner, self._today())
        if card is None:
            return await self._form(request, person, values, problems, new=new)
        try:
            await self._draft(card, 0 if new else _version(values), person)
        except (Malformed, Conflict) as exc:
            return await self._form(request, person, values, refused=exc, new=new)
        return redirect(request, f"{AI}/cards/{card.id}", done="ai-draft")

    async def _draft(self, card: Card, version: int, person: Person) -> None:
        await off_loop(lambda: self._ai.draft(card, version, person.actor))

    async def _form(
        self, request: Request, person: Person, values: Form, problems: Problems | None = None, *, new: bool = False,
        refused: Error | None = None, more: int = 0,
    ) -> Response:  # fmt: skip
        status = 200 if refused is None else refused.status
        work = self._parts.console.work
        return self._render(
            request, "ai-card-edit.html", person, status=400 if problems else status, values=values,
            wrong=problems or {}, rows=rows_of(values, more), new=new, choices=CHOICES, prohibited=PROHIBITED,
            kinds=current_law().document_kinds(), systems=work.file().statement.subsystems if work.exists else (),
            action=request.url.path, unset=not self._has,
            problem=None if refused is None else self._parts.pages.words(request, refused),
        )  # fmt: skip

    def _today(self) -> Any:
        return day_of(self._parts.console.clock.now())

    def _render(self, request: Request, template: str, person: Person, **values: Any) -> Response:
        words = hub_texts(page_language(request))["ai"]
        return self._parts.pages.render(request, template, person, words=words, **values)


def _scope(act: str) -> str:
    return "ai-cards:write" if act in DECLARING else "ai-service:write"


def _version(values: Form) -> int:
    version = whole(values, "version")
    if version is None:
        raise Malformed("form.malformed", "which version was looked at?", at="caller")
    return version
