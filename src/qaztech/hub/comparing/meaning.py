"""How near objects are in meaning: first by one text of each, then the nearest again in all their languages.

Gives for each pair a margin, by which two are nearer than their neighbourhoods, and how far either is ahead of the
next likest of both: of many systems of one field the two that do the same stand out. Not here: what else two have in
common (`shared`), what it makes together (`pairs`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from qaztech.hub.comparing.embedding import Embedder
from qaztech.hub.comparing.neighbours import Space
from qaztech.hub.comparing.texts import Text

# How many near ones of each object are looked at.
NEAREST: Final = 6
# Pairs as near as this are looked at again in all languages, since one wording may mislead.
SECOND_LOOK: Final = -0.1
# Texts of the second look, the nearest pairs first: fewer in a register so large that the first look takes the time.
_FEWEST_AGAIN: Final = 200
_MOST_TEXTS: Final = 4000

PairOfIds = tuple[str, str]


class Meaning:
    """Margins of pairs (ids in order)."""

    def __init__(self, told: Mapping[str, list[Text]], others: Iterable[PairOfIds], embedder: Embedder) -> None:
        self._embedder = embedder
        first = [texts[0] for texts in told.values() if texts]
        self.margins: dict[PairOfIds, float] = {}
        if len(first) > 1:
            space = self._space(first)
            places = {text.object: place for place, text in enumerate(first)}
            for one, other in others:
                if one in places and other in places:
                    self.margins[one, other] = space.margin(places[one], places[other])
            for here, there, margin in space.nearest(NEAREST):
                one, other = sorted((first[here].object, first[there].object))
                self.margins[one, other] = margin
            self._look_again(told, first)
        self._best = self._likest()

    def ahead(self, pair: PairOfIds) -> float:
        """By how much a pair is nearer than the next likest of either, both together; below 0 where one is likelier.

        Nobody's next likest is taken for farther than its neighbourhood, so a small register makes nothing stand out.
        """
        next_best = 0.0
        for id_, other in (pair, pair[::-1]):
            next_best += max(0.0, *(margin for margin, likest in self._best.get(id_, ()) if likest != other), 0.0)
        return 2 * self.margins[pair] - next_best

    def _likest(self) -> dict[str, list[tuple[float, str]]]:
        """The two likest of each object."""
        best: defaultdict[str, list[tuple[float, str]]] = defaultdict(list)
        for (one, other), margin in self.margins.items():
            for id_, likest in ((one, other), (other, one)):
                best[id_] = sorted([*best[id_], (margin, likest)], reverse=True)[:2]
        return dict(best)

    def _space(self, texts: Sequence[Text]) -> Space:
        vectors = self._embedder.vectors([(text.name, text.purpose) for text in texts])
        return Space(vectors, [text.language for text in texts], [text.object for text in texts])

    def _look_again(self, told: Mapping[str, list[Text]], first: list[Text]) -> None:
        """Take for close pairs the mean over all texts of one and all of the other."""
        most = max(_MOST_TEXTS - len(first), _FEWEST_AGAIN)
        close = [pair for pair, margin in self.margins.items() if margin >= SECOND_LOOK]
        chosen, wanted = [], set[str]()
        for pair in sorted(close, key=lambda pair: (-self.margins[pair], pair)):
            if most < 0:
                break
            most -= sum(len(told[id_]) - 1 for id_ in set(pair) - wanted)
            chosen.append(pair)
            wanted |= set(pair)
        again = [text for id_ in sorted(wanted) for text in told[id_][1:]]
        if not again:
            return
        texts = [*first, *again]
        space = self._space(texts)
        places: defaultdict[str, list[int]] = defaultdict(list)
        for place, text in enumerate(texts):
            places[text.object].append(place)
        for one, other in chosen:
            margins = [space.margin(here, there) for here in places[one] for there in places[other]]
            self.margins[one, other] = sum(margins) / len(margins)
