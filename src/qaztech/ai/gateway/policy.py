"""Which places may take a call: pure decisions over the class of its data, its system's card and the places' terms.

A class is only ever raised. The places that may not have the data are not there for the call: not first, not on a
retry, not as what is fallen back on. Not here: finding personal data (`personal`), choosing among places (`routing`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from qaztech.ai.gateway.models import Deployment
from qaztech.ai.register.standing import CardStanding
from qaztech.ai.terms import CLASSES, MODES, DataClass, Mode, within
from qaztech.core.errors import Error, Forbidden

# What is done with personal data that is found: masked and restored, passed on as it stands, or the call refused.
Handling = Literal["mask", "pass", "refuse"]
HANDLINGS: Final[tuple[Handling, ...]] = ("mask", "pass", "refuse")


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """What was decided: the class the call has now, and the places that may take it, in their given order."""

    data_class: DataClass
    places: tuple[Deployment, ...]


def raised(declared: DataClass, *, has_personal: bool) -> DataClass:
    """The class after looking: personal data makes at least `personal`; nothing makes less than was declared."""
    return "personal" if has_personal and within(declared, "personal") else declared


def declared_class(own: DataClass, asked: str | None) -> DataClass:
    """The class a caller declares for one call: that of its key, or a higher one. Raises `Forbidden`."""
    if asked is None:
        return own
    found = next((each for each in CLASSES if each == asked), None)
    if found is None:
        raise Forbidden("ai.class.unknown", f"a data class is one of {', '.join(CLASSES)}", at="caller")
    if not within(own, found):
        raise Forbidden(
            "ai.class.lowered", f"this key declares {own}: a call may raise that, not lower it", at="caller"
        )
    return found


def check_card(card: CardStanding | None, system: str) -> CardStanding:
    """The card, if its system may be called now. Raises `Forbidden` with the reason the register gives."""
    if card is None:
        raise Forbidden("ai.system.unregistered", "the AI system of this key is not in the register", at="caller")
    if card.system != system:
        raise Forbidden("ai.system.other", "the card of this key is that of another system", at="caller")
    if not card.callable:
        raise Forbidden(
            "ai.system.not-callable",
            f"the register does not let this AI system be called: {card.why or card.state}",
            at="caller",
        )
    return card


def allow(
    places: Sequence[Deployment], *, card: CardStanding, declared: DataClass, has_personal: bool, handling: Handling
) -> Allowed:
    """The places for a call. Raises `Forbidden`: its data are above the card, or no place may have them."""
    if has_personal and handling == "refuse":
        raise Forbidden("ai.personal.refused", "personal data was found, and this key refuses that", at="caller")
    data_class = raised(declared, has_personal=has_personal)
    if not within(data_class, card.highest_class):
        raise Forbidden(
            "ai.class.above-card",
            f"the data are {data_class}, and the card of this AI system says {card.highest_class} at most",
            at="caller",
        )
    may = tuple(place for place in places if may_have(place, data_class, card.mode))
    if not may:
        raise _nowhere(data_class, card.mode)
    return Allowed(data_class=data_class, places=may)


def may_have(place: Deployment, data_class: DataClass, mode: Mode) -> bool:
    """Whether a place may be given data of a class by a system of this mode: one as closed as that, or more so."""
    return within(data_class, place.highest) and MODES.index(place.mode) >= MODES.index(mode)


def _nowhere(data_class: DataClass, mode: Mode) -> Error:
    return Forbidden(
        "ai.class.nowhere", f"no place that hosts this model may have {data_class} data of a {mode} system", at="caller"
    )
