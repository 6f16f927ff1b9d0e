"""A text as it is looked through: its words, the class of each, and where each begins. Pure."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Final

from qaztech.ai.personal import letters
from qaztech.ai.personal.lexicon import Lexicon
from qaztech.ai.personal.spans import Kind, Span

_TOKEN: Final = re.compile(r"\w+|[^\w\s]|[\n\t]")


class Reading:
    """A text with its tokens. `shape` has a letter for each of `tokens` (see `lexicon`)."""

    def __init__(self, text: str, words: Lexicon) -> None:
        self.text = letters.plain(text)
        self.low = self.text.lower()
        self.tokens: list[str] = _TOKEN.findall(self.text)
        self.shape = "".join(map(words.__getitem__, self.tokens))

    @cached_property
    def at(self) -> list[int]:
        """Where each token begins in the text."""
        return [match.start() for match in _TOKEN.finditer(self.text)]

    def before(self, first: int) -> str:
        """The class of the token before, empty at the beginning."""
        return self.shape[first - 1] if first else ""

    def after(self, last: int) -> str:
        """The class of the token at this place, empty at the end."""
        return self.shape[last : last + 1]

    def word(self, place: int) -> str:
        """A token in small letters, empty outside the text."""
        return self.tokens[place].lower() if 0 <= place < len(self.tokens) else ""

    def is_joined(self, place: int) -> bool:
        """Whether no space stands between this token and the one before."""
        return self.at[place] == self.at[place - 1] + len(self.tokens[place - 1])

    def span(self, first: int, last: int, kind: Kind, confidence: float) -> Span:
        """The span from one token up to another."""
        return Span(self.at[first], self.at[last - 1] + len(self.tokens[last - 1]), kind, confidence)
