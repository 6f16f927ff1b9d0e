"""What is found in a text: where, of which kind, how sure. The one interface that every way of finding has."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, Protocol, get_args

Kind = Literal[
    "iin", "bin", "iban", "phone", "id_card", "passport", "email", "plate", "name", "address", "card", "birth_date"
]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
# A number of an organisation is found and said, and is nobody's personal data (Digital Code, art. 45).
NOT_PERSONAL: Final[frozenset[Kind]] = frozenset({"bin"})


class Span(NamedTuple):
    """A piece of a text: from `start` up to `end`, counted in code points; `confidence` is between 0 and 1."""

    start: int
    end: int
    kind: Kind
    confidence: float = 1.0


class Finder(Protocol):
    """Finds personal data in a text."""

    def find(self, text: str) -> tuple[Span, ...]:
        """What was found, in order, without overlaps."""
