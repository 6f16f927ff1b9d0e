"""What a member's people do with AI: cards of its systems in the register, keys and budgets of its gateway.

Every act is noted for the admin log before it counts, a key's text never. The register is asked by exchanges, the
gateway's books are the database that the gateway itself keeps. Not here: pages, and who may do what (`member.console`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Protocol, TypeVar

from sqlalchemy import Engine

from qaztech.ai.gateway.budgeting import Kind
from qaztech.ai.gateway.budgets import Budget, Budgets
from qaztech.ai.gateway.keys import Key, Keys
from qaztech.ai.gateway.policy import Handling
from qaztech.ai.gateway.usage import By, CallRow, Statement, Sum, calls_before, calls_of, statement, usage
from qaztech.ai.register.card import Card, card_bytes
from qaztech.ai.register.life import changes
from qaztech.ai.register.service import CardLine, CardShown
from qaztech.ai.terms import DataClass
from qaztech.core.errors import Conflict, Error, NotFound
from qaztech.core.ids import MemberId
from qaztech.core.time import Clock
from qaztech.people.actors import Actor

_T = TypeVar("_T")
DECLARING: Final = ("declare", "revise")
SERVING: Final = ("serve", "suspend", "resume", "retire")


class Note(Protocol):
    """Notes an act on its way to the admin log."""

    def __call__(
        self, by: Actor, act: str, subject: str, before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        """Durable when this returns."""
        ...


class Register(Protocol):
    """The register as a member asks it (`ai.register.client`)."""

    def cards(self) -> list[CardLine]:
        """The own cards."""
        ...

    def card(self, identifier: str) -> CardShown:
        """One own card."""
        ...

    def draft(self, card: Card, version: int = 0) -> CardShown:
        """Keep a card."""
        ...

    def act(self, identifier: str, act: str, reason: str, version: int) -> CardShown:
        """Do something with one."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayBooks:
    """A gateway as its members' people see it: its books, the models it offers, where it is called."""

    engine: Engine
    models: tuple[str, ...]
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyForm:
    """A key as an administrator asks for it; each value is checked where the key is made."""

    name: str
    system: str
    purpose: str
    purpose_text: str
    card: str
    data_class: DataClass
    handling: Handling
    models: tuple[str, ...]
    calls_per_minute: int
    tokens_per_minute: int
    budget: str


class AiOffice:
    """One member's. Methods block: call from a thread. Without `register` or `books` what needs it says so."""

    def __init__(
        self,
        *,
        member: Callable[[], MemberId],
        note: Note,
        clock: Clock,
        register: Register | None = None,
        books: GatewayBooks | None = None,
    ) -> None:
        self._member = member
        self._note = note
        self._clock = clock
        self._register = register
        self._books = books

    @property
    def has_register(self) -> bool:
        """Whether the register is asked from here."""
        return self._register is not None

    @property
    def gateway(self) -> GatewayBooks | None:
        """The gateway whose books are kept here; None where there is none."""
        return self._books

    # Cards ------------------------------------------------------------------------------------------------------------

    def cards(self) -> list[CardLine]:
        """The member's cards, those that changed last first. Raises `Unavailable`."""
        return sorted(self._asked.cards(), key=lambda line: -line.changed)

    def card(self, identifier: str) -> CardShown:
        """One card with its history. Raises `NotFound`, `Unavailable`."""
        return self._asked.card(identifier)

    def draft(self, card: Card, version: int, by: Actor) -> CardShown:
        """Keep a card as it is written. Raises as the register does."""
        before = self._asked.card(card.id).card if version else None
        changed = sorted(changes(before, card))
        after = {"version": version, "sha256": sha256(card_bytes(card)).hexdigest(), "fields": changed}
        kept = None if before is None else {"sha256": sha256(card_bytes(before)).hexdigest()}
        return self._done(
            by, "ai-card.draft", card.id, lambda: self._asked.draft(card, version), before=kept, after=after
        )

    def act(self, identifier: str, act: str, reason: str, version: int, by: Actor) -> CardShown:
        """Declare, serve, suspend, resume, revise or retire. Raises as the register does."""
        return self._done(
            by, f"ai-card.{act}", identifier, lambda: self._asked.act(identifier, act, reason, version),
            before={"version": version}, after={"reason": reason} if reason else None,
        )  # fmt: skip

    # Keys -------------------------------------------------------------------------------------------------------------

    def keys(self) -> list[Key]:
        """The member's keys, the newest first; revoked ones too."""
        return self._keys.all(member=self._member())

    def key(self, identifier: str) -> Key:
        """One of the member's keys. Raises `NotFound`, also for another member's."""
        found = self._keys.key(identifier)
        if found.member != self._member():
            raise NotFound("ai.key.none", "there is no key with this identifier", at="caller")
        return found

    def issue(self, form: KeyForm, by: Actor) -> tuple[str, Key]:
        """A new key and what its user shows, told this once. Raises `Malformed`, `NotFound`, `Conflict`."""
        self._require_card(form)
        shown, key = self._keys.issue(
            name=form.name, member=self._member(), system=form.system, purpose=form.purpose,
            purpose_text=form.purpose_text, card=form.card, data_class=form.data_class, models=form.models,
            budget=form.budget, by=by.name, handling=form.handling, calls_per_minute=form.calls_per_minute,
            tokens_per_minute=form.tokens_per_minute,
        )  # fmt: skip
        try:
            self._note(by, "ai-key.issue", key.id, None, key_facts(key))
        except BaseException:
            # What is not in the log is not to be: nobody has seen the key yet.
            self._keys.revoke(key.id, by=by.name)
            raise
        return shown, key

    def change_key(self, identifier: str, *, models: Iterable[str], calls: int, tokens: int, budget: str,
        by: Actor,
    ) -> Key:  # fmt: skip
        """Other models, limits or another budget. Raises `Malformed`, `NotFound`, `Conflict`."""
        before = self.key(identifier)
        names = sorted(models)
        after = {"models": names, "calls_per_minute": calls, "tokens_per_minute": tokens, "budget": budget}
        known = key_facts(before)
        return self._done(
            by, "ai-key.change", identifier,
            lambda: self._keys.change(
                identifier, models=names, calls_per_minute=calls, tokens_per_minute=tokens, budget=budget
            ),
            before={name: known[name] for name in after}, after=after,
        )  # fmt: skip

    def revoke(self, identifier: str, by: Actor) -> Key:
        """Let a key call no more. Raises `NotFound`."""
        self.key(identifier)
        return self._done(by, "ai-key.revoke", identifier, lambda: self._keys.revoke(identifier, by=by.name))

    # Budgets ----------------------------------------------------------------------------------------------------------

    def budgets(self) -> list[Budget]:
        """The member's budgets, the newest first."""
        return self._budgets.all(member=self._member())

    def budget(self, identifier: str) -> Budget:
        """One of the member's budgets. Raises `NotFound`, also for another member's."""
        found = self._budgets.budget(identifier)
        if found.member != self._member():
            raise NotFound("ai.budget.unknown", "this member has no such budget", at="caller")
        return found

    def create_budget(self, *, name: str, kind: Kind, tenge: int, by: Actor) -> Budget:
        """A new budget. Raises `Malformed`."""
        return self._done(
            by, "ai-budget.create", name or "-",
            lambda: self._budgets.create(member=self._member(), name=name, kind=kind, tenge=tenge, by=by.name),
            after={"kind": kind, "tenge": tenge},
        )  # fmt: skip

    def change_budget(self, identifier: str, *, tenge: int, by: Actor) -> Budget:
        """Another limit. Raises `Malformed`, `NotFound`."""
        before = self.budget(identifier)
        return self._done(
            by, "ai-budget.change", identifier, lambda: self._budgets.change(identifier, tenge=tenge),
            before={"tenge": before.tenge}, after={"tenge": tenge},
        )  # fmt: skip

    # What was used ----------------------------------------------------------------------------------------------------

    def usage(self, since: int, until: int, by: tuple[By, ...], key: str | None = None) -> list[Sum]:
        """Sums of the member's calls from a time to before another (milliseconds)."""
        return usage(self._engine, member=self._member(), since=since, until=until, by=by, key=key)

    def calls(self, *, key: str | None = None, before: str = "", most: int = 50) -> list[CallRow]:
        """The member's calls, the newest first, from before one on."""
        return calls_before(self._engine, self._member(), key=key, before=before, most=most)

    def statement(self, month: str) -> Statement:
        """What a month cost. Raises `Malformed`."""
        return statement(self._engine, self._member(), month)

    def month_calls(self, month: str, most: int) -> list[CallRow]:
        """The first calls of a month, in the order in which they were taken in. Raises `Malformed`."""
        found: list[CallRow] = []
        for row in calls_of(self._engine, self._member(), month):
            if len(found) >= most:
                break
            found.append(row)
        return found

    # Pieces -----------------------------------------------------------------------------------------------------------

    @property
    def _asked(self) -> Register:
        if self._register is None:
            raise NotFound("ai.console.no-register", "console.toml names no register of AI systems", at="caller")
        return self._register

    @property
    def _engine(self) -> Engine:
        if self._books is None:
            raise NotFound("ai.console.no-gateway", "console.toml names no gateway", at="caller")
        return self._books.engine

    @property
    def _keys(self) -> Keys:
        return Keys(self._engine, self._clock)

    @property
    def _budgets(self) -> Budgets:
        return Budgets(self._engine, self._clock)

    def _require_card(self, form: KeyForm) -> None:
        """A key for a card that is not there would only be refused later; a silent register keeps nobody waiting."""
        if self._register is None:
            return
        try:
            found = {line.id: line.system for line in self._register.cards()}
        except Error as exc:
            if exc.status >= 500:
                return
            raise
        if form.card not in found:
            raise NotFound("ai.card.unknown", "the register has no such card of this member", at="caller")
        if found[form.card] != form.system:
            raise Conflict("ai.key.system", "the card is another system's", at="caller")

    def _done(
        self, by: Actor, act: str, subject: str, work: Callable[[], _T], *, before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> _T:  # fmt: skip
        """Note an act, then do it; what fails is noted as well."""
        self._note(by, act, subject, before, after)
        try:
            return work()
        except Error as exc:
            self._note(by, f"{act}.failed", subject, None, {"code": exc.code})
            raise


def key_facts(key: Key) -> dict[str, Any]:
    """What may be said of a key to anybody who may read the log."""
    return {
        "name": key.name, "system": key.system, "card": key.card, "purpose": key.purpose, "class": key.data_class,
        "handling": key.handling, "models": sorted(key.models), "calls_per_minute": key.calls_per_minute,
        "tokens_per_minute": key.tokens_per_minute, "budget": key.budget,
    }  # fmt: skip
