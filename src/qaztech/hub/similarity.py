"""Objects that look alike, as scored pairs with reasons; what duplicates, copies and resurrections are found from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """Why two objects look alike.

    `what` is purpose, ahead, words, functions, public_services, data_elements, fields, legal_basis, consumers or
    rarely_together; `strength` 0..1; `shared` what they share, in words.
    """

    what: str
    strength: float
    shared: tuple[str, ...] = ()


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """Two objects (ids in order), how alike they are (0..1) and why."""

    one: str
    other: str
    score: float
    reasons: tuple[Reason, ...]


class Similarity:
    """Pairs of objects that look alike, the likest first. `missing` says what could not be compared (`embeddings`)."""

    def __init__(self, pairs: Iterable[Pair], missing: Sequence[str] = ()) -> None:
        self.pairs: Sequence[Pair] = sorted(pairs, key=lambda pair: -pair.score)
        self.missing = tuple(missing)
        self._of: defaultdict[str, list[Pair]] = defaultdict(list)
        for pair in self.pairs:
            self._of[pair.one].append(pair)
            self._of[pair.other].append(pair)

    def of(self, object_id: str) -> Sequence[Pair]:
        """The pairs an object is in, the likest first."""
        return self._of.get(object_id, ())
