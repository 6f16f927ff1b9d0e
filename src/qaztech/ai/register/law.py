"""What the law on artificial intelligence asks of a card on a day, as versioned data with its sources.

`law.json` beside this file holds provisions, limits, documents by risk, what is needed beside them and combinations
that may not be, each with its provision and the days from and until which it holds. `mark` tells how sure that is: T
read in the text of the law, S a setting of the centre where the law leaves it to an act that is not known here. No rule
has a number of its own.
"""

from __future__ import annotations

from datetime import date
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta

from qaztech.ai.register.card import Card
from qaztech.ai.terms import Autonomy, DataClass, Mode, Risk
from qaztech.core.errors import NotFound

FILE = Path(__file__).parent / "law.json"


class _Held(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something in force from `since` to the day before `until`."""

    since: date
    until: date | None = None
    mark: Literal["T", "S"]


class Provision(_Held, frozen=True, kw_only=True):
    """Act, article, edition, source, and what it says in short."""

    id: str
    act: str
    article: str
    edition: date
    source: str
    kk: str
    ru: str
    en: str


class _Resting(_Held, frozen=True, kw_only=True):
    """Something that a provision says, or that a setting fills in where it says nothing."""

    provision: str


class Limit(_Resting, frozen=True, kw_only=True):
    """A whole number with its unit."""

    name: str
    number: int
    unit: str


class DocumentKind(_Resting, frozen=True, kw_only=True):
    """A document that systems of these risks must have; its name in three languages."""

    kind: str
    risks: Annotated[tuple[Risk, ...], Meta(min_length=1)]
    kk: str
    ru: str
    en: str


class Requirement(_Resting, frozen=True, kw_only=True):
    """Something else that systems of these risks must have."""

    id: Literal["audit"]
    risks: Annotated[tuple[Risk, ...], Meta(min_length=1)]


class Combination(_Resting, frozen=True, kw_only=True):
    """What may not be together; a list that is empty means: whatever it is."""

    id: str
    modes: tuple[Mode, ...] = ()
    autonomies: tuple[Autonomy, ...] = ()
    risks: tuple[Risk, ...] = ()
    classes: tuple[DataClass, ...] = ()
    kk: str
    ru: str
    en: str

    def meets(self, card: Card) -> bool:
        """Whether a card is of this combination."""
        return (
            (not self.modes or card.mode in self.modes)
            and (not self.autonomies or card.autonomy in self.autonomies)
            and (not self.risks or card.risk in self.risks)
            and (not self.classes or card.highest_class in self.classes)
        )


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    provisions: Annotated[tuple[Provision, ...], Meta(min_length=1)]
    limits: tuple[Limit, ...]
    documents: tuple[DocumentKind, ...]
    requirements: tuple[Requirement, ...]
    combinations: tuple[Combination, ...]


_T = TypeVar("_T", bound=_Held)


class Law:
    """All that the register works by."""

    def __init__(self, data: bytes) -> None:
        self._held = held = msgspec.json.decode(data, type=_File)
        self.provisions = {provision.id: provision for provision in held.provisions}
        resting: tuple[_Resting, ...] = (*held.limits, *held.documents, *held.requirements, *held.combinations)
        if unknown := {each.provision for each in resting} - set(self.provisions):
            raise NotFound("ai.law.provision", f"no such provision: {', '.join(sorted(unknown))}", at="caller")

    def number(self, name: str, today: date) -> int:
        """A limit in force on a day. Raises `NotFound`: without it nothing can be judged."""
        for limit in _in_force(self._held.limits, today):
            if limit.name == name:
                return limit.number
        raise NotFound("ai.law.limit", f"no limit {name!r} is in force on {today}", at="service")

    def documents(self, risk: Risk, today: date) -> tuple[DocumentKind, ...]:
        """The documents that a system of that risk must have on a day."""
        return tuple(each for each in _in_force(self._held.documents, today) if risk in each.risks)

    def document_kinds(self) -> dict[str, DocumentKind]:
        """Every kind of document there ever was, by its slug."""
        return {each.kind: each for each in self._held.documents}

    def needs_audit(self, risk: Risk, today: date) -> bool:
        """Whether a system of that risk must be audited on a day."""
        return any(each.id == "audit" and risk in each.risks for each in _in_force(self._held.requirements, today))

    def forbidden(self, card: Card, today: date) -> tuple[Combination, ...]:
        """The combinations that a card is of and that may not be on a day."""
        return tuple(each for each in _in_force(self._held.combinations, today) if each.meets(card))


def _in_force(held: tuple[_T, ...], today: date) -> list[_T]:
    return [each for each in held if each.since <= today and (each.until is None or today < each.until)]


@cache
def current_law() -> Law:
    """What is shipped with this release."""
    return Law(FILE.read_bytes())
