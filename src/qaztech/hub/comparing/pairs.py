"""Pairs of objects that look alike: candidates, their score, and the reasons for it.

Candidates come from meaning (where the model is installed), from telling words and from codes and data that few have.
A pair's score is a sum of weighted reasons, cut at 1; the weights stand here, in one place, and were set on the
development split of the labelled set and on pairs that were written apart from it. Not here: what follows from a pair
(`detectors.alike`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from qaztech.hub.comparing.embedding import Embedder, available
from qaztech.hub.comparing.neighbours import Space
from qaztech.hub.comparing.shared import Shared
from qaztech.hub.comparing.texts import FULL_LENGTH, Text, Words, texts_of
from qaztech.hub.observation import NOTHING_SEEN, Traffic
from qaztech.hub.register.snapshot import Register
from qaztech.hub.similarity import Pair, Reason, Similarity

# What each reason adds to a score where it is as strong as can be. All but the first two count only as far as the
# texts are near in meaning: two systems with one code and unlike texts are two steps of one matter.
WEIGHTS: Final[Mapping[str, float]] = {
    "purpose": 0.75,
    "words": 0.6,
    "public_services": 0.3,
    "data_elements": 0.2,
    "functions": 0.15,
    "fields": 0.1,
    "legal_basis": 0.1,
    "consumers": 0.05,
    "rarely_together": 0.02,
}
# From this strength of "purpose" on, the other reasons count in full.
ENOUGH_MEANING: Final = 0.3
# Texts with as large an overlap of words are copies of one another. A smaller one makes texts of one field seem nearer
# in meaning than they are (a register of plots, a register of the tax on plots), and is taken off.
COPIED: Final = 0.6
_SAME_FIELD: Final = -0.6
_TURN: Final = 0.5
# Where meaning was not compared: from this overlap of words on, the other reasons count as much as they then may.
ENOUGH_WORDS: Final = 0.25
_BY_WORDS: Final = 0.9
# A margin (CSLS) that counts as a full reason, and one that counts for nothing. It is below 0: among many texts of one
# field the likest may be no nearer than its neighbourhood, and should still come first.
FULL_MARGIN: Final = 0.8
NO_MARGIN: Final = -0.1
# How many near ones of each object are looked at.
NEAREST: Final = 6
# Pairs as near as this, each among the nearest few of the other, are looked at again: with and without the name, in all
# languages. What is not looked at again counts for less, since one wording may mislead.
SECOND_LOOK: Final = 0.0
_SECOND_RANK: Final = 5
_ONCE: Final = 0.7
# Texts of the second look, the nearest pairs first: fewer in a register so large that the first look takes the time.
_FEWEST_AGAIN: Final = 300
_MOST_TEXTS: Final = 5400
# Pairs below this are not kept.
LEAST: Final = 0.01

# Objects that are compared by meaning at most: the work grows with their square.
MOST_BY_MEANING: Final = 20_000
# Where a centre keeps what texts mean, beside its flows.
VECTORS: Final = "vectors.bin"

PairOfIds = tuple[str, str]


def compare(register: Register, traffic: Traffic = NOTHING_SEEN, embedder: Embedder | None = None) -> Similarity:
    """All pairs that look alike.

    Without `embedder`, or in a register beyond bounds, meaning is not compared, which `missing` then says.
    """
    told = {id_: texts_of(object_) for id_, object_ in sorted(register.objects.items())}
    if len(told) > MOST_BY_MEANING:
        embedder = None
    words = Words(text for texts in told.values() for text in texts)
    shared = Shared(register, traffic)
    candidates = {*words.near(NEAREST), *shared.leads()}
    margins = _Meaning(told, candidates, embedder).margins if embedder is not None else None
    pairs = (
        _pair((one, other), margins, words, shared, told) for one, other in sorted({*candidates, *(margins or ())})
    )
    missing = [] if embedder is not None else ["embeddings"]
    return Similarity((pair for pair in pairs if pair.score >= LEAST), missing)


def compare_best(
    register: Register,
    traffic: Traffic = NOTHING_SEEN,
    cache: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Similarity:
    """All pairs that look alike, by meaning too where the model is installed; vectors are kept in the file `cache`.

    `progress` is told how many of the new texts have been read.
    """
    return compare(register, traffic, Embedder(cache, progress) if available() else None)


def _pair(
    pair: PairOfIds,
    margins: Mapping[PairOfIds, float] | None,
    words: Words,
    shared: Shared,
    told: Mapping[str, list[Text]],
) -> Pair:
    one, other = pair
    margin = None if margins is None else margins.get(pair, NO_MARGIN)
    reasons = []
    overlap, common = words.overlap(one, other)
    length = _length(told[one], told[other])
    if margin is not None and margin > NO_MARGIN:
        near = min((margin - NO_MARGIN) / (FULL_MARGIN - NO_MARGIN), 1.0)
        reasons.append(Reason(what="purpose", strength=round(near * length, 4)))
    if overlap:
        reasons.append(Reason(what="words", strength=round(overlap, 4), shared=common[:8]))
    reasons += [
        Reason(what=what, strength=round(strength, 4), shared=held[:12])
        for what, strength, held in shared.of(one, other)
    ]
    return Pair(one=one, other=other, score=_score(reasons, by_meaning=margin is not None), reasons=tuple(reasons))


def _score(reasons: Iterable[Reason], *, by_meaning: bool) -> float:
    """The sum of weighted reasons, from 0 to 1; by words alone where meaning was not compared."""
    strengths = {reason.what: reason.strength for reason in reasons}
    words = strengths.pop("words", 0.0)
    meaning = strengths.pop("purpose", 0.0)
    copied = WEIGHTS["words"] * words if words >= COPIED else 0.0
    if by_meaning:
        score = WEIGHTS["purpose"] * meaning + (copied or _of_one_field(words))
        counted = min(meaning / ENOUGH_MEANING, 1.0)
    else:
        score = copied
        counted = _BY_WORDS * min(words / ENOUGH_WORDS, 1.0)
    score += counted * sum(WEIGHTS[what] * strength for what, strength in strengths.items())
    return round(min(max(score, 0.0), 1.0), 4)


def _of_one_field(words: float) -> float:
    """What an overlap of words that are not copied takes off; from the turn on it rises to what copies add."""
    if words <= _TURN:
        return _SAME_FIELD * words
    far = (words - _TURN) / (COPIED - _TURN)
    return (1 - far) * _SAME_FIELD * _TURN + far * WEIGHTS["words"] * COPIED


def _length(here: Iterable[Text], there: Iterable[Text]) -> float:
    """How far two texts are long enough to tell what a system is for."""
    longest = min(max((text.telling for text in texts), default=0) for texts in (here, there))
    return min(longest / FULL_LENGTH, 1.0)


class _Meaning:
    """How near objects are in meaning: first by one text of each, then the nearest in two forms and all languages."""

    def __init__(self, told: Mapping[str, list[Text]], others: Iterable[PairOfIds], embedder: Embedder) -> None:
        self._embedder = embedder
        first = [texts[0] for texts in told.values() if texts]
        self.margins: dict[PairOfIds, float] = {}
        if len(first) < 2:
            return
        space = self._space(first, with_name)
        ranked = _ranked(first, space)
        places = {text.object: place for place, text in enumerate(first)}
        for one, other in others:
            if one in places and other in places:
                self.margins[one, other] = space.margin(places[one], places[other]) * _ONCE
        self.margins |= {pair: margin * _ONCE for pair, (margin, _) in ranked.items()}
        close = {pair: margin for pair, (margin, rank) in ranked.items() if rank <= _SECOND_RANK}
        self._look_again(told, first, {pair: margin for pair, margin in close.items() if margin >= SECOND_LOOK})

    def _space(self, texts: list[Text], form: Callable[[Text], str]) -> Space:
        vectors = self._embedder.vectors([form(text) for text in texts])
        return Space(vectors, [text.language for text in texts], int(form is with_name))

    def _look_again(self, told: Mapping[str, list[Text]], first: list[Text], close: Mapping[PairOfIds, float]) -> None:
        """Take for close pairs the mean over both forms: one accident of wording is not met in both."""
        most = max(_MOST_TEXTS - len(first), _FEWEST_AGAIN)
        chosen, wanted, again = [], set[str](), 0
        for pair in sorted(close, key=lambda pair: (-close[pair], pair)):
            again += sum(2 * len(told[id_]) - 1 for id_ in set(pair) - wanted)
            if again > most:
                break
            chosen.append(pair)
            wanted |= set(pair)
        if not chosen:
            return
        others = [text for id_ in sorted(wanted) for text in told[id_]]
        looks = [
            self._margins(chosen, [*first, *(text for text in others if text is not told[text.object][0])], with_name),
            self._margins(chosen, others, by_purpose),
        ]
        for number, pair in enumerate(chosen):
            self.margins[pair] = sum(look[number] for look in looks) / len(looks)

    def _margins(self, pairs: Sequence[PairOfIds], texts: list[Text], form: Callable[[Text], str]) -> list[float]:
        """For each pair the mean margin of all texts of one and all of the other."""
        space = self._space(texts, form)
        places: defaultdict[str, list[int]] = defaultdict(list)
        for place, text in enumerate(texts):
            places[text.object].append(place)
        found = []
        for one, other in pairs:
            margins = [space.margin(here, there) for here in places[one] for there in places[other]]
            found.append(sum(margins) / len(margins))
        return found


def _ranked(texts: list[Text], space: Space) -> dict[PairOfIds, tuple[float, int]]:
    """The nearest of each object: margin, and the worse of the two ranks."""
    near: defaultdict[int, list[tuple[float, int]]] = defaultdict(list)
    for here, there, margin in space.nearest(NEAREST):
        near[here].append((margin, there))
    ranks = {
        (here, there): rank
        for here, found in near.items()
        for rank, (_, there) in enumerate(sorted(found, reverse=True), 1)
    }
    ranked: dict[PairOfIds, tuple[float, int]] = {}
    for here, found in near.items():
        for margin, there in found:
            one, other = sorted((texts[here].object, texts[there].object))
            ranked[one, other] = (margin, max(ranks[here, there], ranks.get((there, here), NEAREST + 1)))
    return ranked


def by_purpose(text: Text) -> str:
    """The form without the name."""
    return text.purpose


def with_name(text: Text) -> str:
    """The form with the name, in which a text is embedded first: a name often says most."""
    return f"{text.name}. {text.purpose}" if text.name else text.purpose
