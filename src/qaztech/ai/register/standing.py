"""What gateways ask every few seconds: which cards of their member may be called now, and why others may not.

One form for both sides: the register writes it, a gateway reads it. Pure. Not here: what decides (`life`), how long a
gateway goes on with an old answer (`gateway`).
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from qaztech.ai.terms import DataClass, Mode, Risk
from qaztech.core.errors import Malformed

MOST_BYTES: Final = 4 * 1024**2
MOST_CARDS: Final = 5_000
# A time in milliseconds: no year has five digits.
_Moment = Annotated[int, Meta(ge=0, lt=253_402_300_800_000)]

State = Literal["draft", "declared", "reviewed", "in-service", "suspended", "retired"]
# Why a card cannot be called, in the order in which it is looked for. Each has words in three languages on the pages.
Why = Literal[
    "not-reviewed",
    "not-in-service",
    "suspended",
    "retired",
    "prohibited",
    "unchecked",
    "forbidden-combination",
    "review-overdue",
    "audit-missing",
    "documents-missing",
]


class CardStanding(msgspec.Struct, frozen=True, kw_only=True):
    """How one card stands: `why` it cannot be called, or `until` when (ms) it can be if nothing else happens."""

    id: Annotated[str, Meta(min_length=1, max_length=100)]
    # The member and, within it, the code of the subsystem that calls.
    owner: Annotated[str, Meta(min_length=1, max_length=800)]
    system: Annotated[str, Meta(min_length=1, max_length=255)]
    state: State
    callable: bool
    why: Annotated[str, Meta(min_length=1, max_length=60)] | None = None
    risk: Risk
    mode: Mode
    highest_class: DataClass
    until: _Moment | None = None


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """All cards of a member, as the register had them at `time` (ms, the register's clock)."""

    time: _Moment
    cards: Annotated[tuple[CardStanding, ...], Meta(max_length=MOST_CARDS)]

    def card(self, identifier: str) -> CardStanding | None:
        """The card of that id, None where the member has none."""
        return next((card for card in self.cards if card.id == identifier), None)


def parse_standing(data: bytes) -> Standing:
    """What the register answered. Raises `Malformed` for anything that does not say clearly what may be called."""
    if len(data) > MOST_BYTES:
        raise Malformed("ai.standing.malformed", f"at most {MOST_BYTES} bytes", at="service")
    try:
        found = msgspec.json.decode(data, type=Standing)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise Malformed(
            "ai.standing.malformed", "the register answered something else than how cards stand", at="service"
        ) from exc
    if len({card.id for card in found.cards}) != len(found.cards):
        raise Malformed("ai.standing.malformed", "a card stands twice in the answer", at="service")
    if any(card.callable != (card.why is None and card.state == "in-service") for card in found.cards):
        raise Malformed("ai.standing.malformed", "a card is said to be callable and not to be", at="service")
    return found


def standing_bytes(standing: Standing) -> bytes:
    """The answer as it travels."""
    return msgspec.json.encode(standing)
