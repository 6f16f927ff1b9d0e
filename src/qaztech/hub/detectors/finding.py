"""What a detector says: which objects, on what evidence, how sure, how much money; and what it is given to look at."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import msgspec

from qaztech.hub.observation import Observability, Traffic
from qaztech.hub.register.law import Law
from qaztech.hub.register.snapshot import Register

if TYPE_CHECKING:
    from qaztech.hub.similarity import Similarity

# Characters of a key, which databases keep and addresses of pages carry.
_LONGEST_OBJECTS: Final = 400


class Fact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One piece of evidence.

    `what` is a code that pages put into words (`fact.<what>` of the texts); `value` a text or number; `source` says
    where it was read: `objects/<key>/<field>` and so for the other tables, `flows/<client>/<service>` for observed
    calls, `law/<reference>`, `law/<value>`; `as_of` the day it is known for. A `moving` fact is another one with every
    day or month, such as calls so far: it makes the finding no other.
    """

    what: str
    value: str | int
    source: str
    as_of: date | None = None
    moving: bool = False


class MoneyOf(StrEnum):
    """What a finding's money is. Only upkeep is money of a year; all other sums are spent, promised or asked once."""

    UPKEEP = "upkeep"
    INVESTED = "invested"
    OVER_LIMIT = "over_limit"
    BUDGET_OVER = "budget_over"
    ESTIMATE = "estimate"
    CONTRACTS = "contracts"
    PRICE = "price"


# The facts that are the lines of such a sum.
LINES: Final = {
    MoneyOf.UPKEEP: "upkeep",
    MoneyOf.INVESTED: "invested",
    MoneyOf.OVER_LIMIT: "modification",
    MoneyOf.BUDGET_OVER: "budget_over",
    MoneyOf.ESTIMATE: "initial_estimate",
    MoneyOf.CONTRACTS: "contract",
    MoneyOf.PRICE: "contract",
}


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What a person is to look at.

    `money` is whole tenge at stake, None where none can be told; `money_of` says what it is, facts are its lines.
    `objects` are ids of digital objects; a supplier is written `bin:<BIN>`. `observability` tells whether use could
    be seen at all where the finding rests on use. `asks` names what would settle it (`sign_ins`, `traffic`,
    `documents`, `roles`): such a finding asks a body for data and puts no money at stake.
    """

    detector: str
    objects: tuple[str, ...]
    evidence: tuple[Fact, ...]
    confidence: float
    money: int | None = None
    money_of: MoneyOf | None = None
    observability: Observability | None = None
    asks: str = ""

    @property
    def key(self) -> str:
        """The same for the same matter, whatever its facts: detector and objects, or a digest of too many of those."""
        objects = "|".join(sorted(self.objects))
        told = objects if len(objects) <= _LONGEST_OBJECTS else sha256(objects.encode()).hexdigest()
        return f"{self.detector}|{told}"

    @property
    def a_year(self) -> bool:
        """Whether its money is that of a year. Cases of before `money_of` tell it by their lines."""
        if self.money_of is None:
            return any(fact.what == LINES[MoneyOf.UPKEEP] for fact in self.evidence)
        return self.money_of is MoneyOf.UPKEEP

    @property
    def lines(self) -> tuple[Fact, ...]:
        """The facts that its money is made of."""
        of = self.money_of or (MoneyOf.UPKEEP if self.a_year else None)
        return () if of is None else tuple(fact for fact in self.evidence if fact.what == LINES[of])

    @property
    def facts(self) -> str:
        """A digest of the evidence (hex): where it differs, the facts have changed.

        Days of knowing do not count, nor do facts that move.
        """
        told = sorted(f"{fact.what}\x00{fact.value}\x00{fact.source}" for fact in self.evidence if not fact.moving)
        return sha256("\x01".join(told).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """All that detectors look at. `similar` is None where texts were not compared."""

    register: Register
    traffic: Traffic
    law: Law
    today: date
    similar: Similarity | None = None


Detect = Callable[[Case], Iterable[Finding]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector:
    """A rule. `deterministic` ones follow from the record alone; `references` are provisions of the law data."""

    slug: str
    detect: Detect
    deterministic: bool
    references: tuple[str, ...] = ()


MOST_CERTAIN: Final = 1.0
# How sure a finding is that rests on nothing but what a body has not declared at all.
NOT_TOLD: Final = 0.4
