"""Words as the pieces a model knows: the likeliest way to put a word together (Kudo 2018, unigram language model).

A piece never crosses a space, so each word is cut once and remembered. Pure. Not here: the vocabulary's file
(`modelfile`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_SPACES: Final = re.compile(" +")
# Marks the beginning of a word in the vocabulary.
_BEGIN: Final = "\u2581"
_NEVER: Final = -1e30
# What an unknown letter costs more than the rarest piece.
_UNKNOWN: Final = 10.0
# Words remembered at most.
_MOST_WORDS: Final = 200_000


class Pieces:
    """Cuts texts by a vocabulary: piece to its number and the logarithm of its probability."""

    def __init__(self, pieces: Mapping[str, tuple[int, float]], characters: Mapping[int, str], unknown: int) -> None:
        self._pieces = pieces
        self._characters = characters
        self._unknown = unknown
        self._longest = max(map(len, pieces))
        self._unknown_score = min(score for _, score in pieces.values()) - _UNKNOWN
        self._words: dict[str, list[int]] = {}

    def of(self, text: str) -> list[int]:
        """The numbers of the pieces of a text."""
        spaced = _SPACES.sub(" ", text.translate(self._characters)).removeprefix(" ")
        found = []
        for word in spaced.split(" "):
            found += self._word(_BEGIN + word)
        return found

    def _word(self, word: str) -> list[int]:
        cut = self._words.get(word)
        if cut is None:
            cut = self._cut(word)
            if len(self._words) < _MOST_WORDS:
                self._words[word] = cut
        return cut

    def _cut(self, word: str) -> list[int]:
        """The cut whose pieces are likeliest together."""
        best = [0.0] + [_NEVER] * len(word)
        last: list[tuple[int, int]] = [(0, 0)] * (len(word) + 1)
        for start, sum_ in enumerate(best[:-1]):
            sum_ = best[start]  # noqa: PLW2901  # it may have grown since
            for end in range(start + 1, min(start + self._longest, len(word)) + 1):
                number, score = self._pieces.get(word[start:end], (self._unknown, 0.0))
                if number != self._unknown and sum_ + score > best[end]:
                    best[end], last[end] = sum_ + score, (number, start)
            if sum_ + self._unknown_score > best[start + 1]:
                best[start + 1], last[start + 1] = sum_ + self._unknown_score, (self._unknown, start)
        found = []
        end = len(word)
        while end:
            number, end = last[end]
            found.append(number)
        return found[::-1]
