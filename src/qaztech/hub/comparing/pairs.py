"""Pairs of objects that look alike: candidates, their score, and the reasons for it.

Candidates come from meaning (where the model is installed), from telling words and from codes and data that few have.
A score is the chance that two do the same, from seven named measures by weights kept in `weights.json`, which
scripts/fit_alike.py makes. Not here: how near texts are (`meaning`), what follows from a pair (`detectors.alike`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from qaztech.hub.comparing.embedding import Embedder, available
from qaztech.hub.comparing.meaning import NEAREST, Meaning, PairOfIds
from qaztech.hub.comparing.shared import Shared
from qaztech.hub.comparing.texts import FULL_LENGTH, Text, Words, texts_of
from qaztech.hub.observation import NOTHING_SEEN, Traffic
from qaztech.hub.register.snapshot import Register
from qaztech.hub.similarity import Pair, Reason, Similarity

WEIGHTS: Final = Path(__file__).parent / "weights.json"
# What is shared, and how much each kind says beside the others.
SHARED: Final[Mapping[str, float]] = {
    "public_services": 0.3,
    "data_elements": 0.2,
    "functions": 0.15,
    "fields": 0.1,
    "legal_basis": 0.1,
    "consumers": 0.05,
    "rarely_together": 0.02,
}
# Margins and leads count within these bounds; from the first margin on two texts are near at all, and by the second
# what else they share counts in full: two systems with one code and unlike texts are two steps of one matter.
_MARGINS: Final = (-0.5, 1.0)
_LEADS: Final = (-0.6, 1.0)
NO_MARGIN: Final = -0.1
_ENOUGH: Final = 0.2
FULL_MARGIN: Final = 0.8
# Texts with as large an overlap of words are copies of one another. A smaller one makes texts of one field seem nearer
# in meaning than they are (a register of plots, a register of the tax on plots); in between it turns.
COPIED: Final = 0.6
_TURN: Final = 0.5
# Where meaning was not compared: what a copy counts, from which overlap the other reasons count, and how much.
_COPY_BY_WORDS: Final = 0.6
ENOUGH_WORDS: Final = 0.25
_BY_WORDS: Final = 0.9
# The sum of these at which a pair is as likely alike as not, and how fast the chance grows about it: set by hand.
_EVEN_BY_WORDS: Final = 0.21
_STEEP_BY_WORDS: Final = 33.0
# Pairs below this are not kept.
LEAST: Final = 0.005

# Objects that are compared by meaning at most: the work grows with their square.
MOST_BY_MEANING: Final = 20_000
# Where a centre keeps what texts mean, beside its flows.
VECTORS: Final = "vectors.bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What is measured of a pair (ids in order); all but the ids and the reasons are what weights are for.

    `margin` and `lead` are of meaning (`Meaning`), `length` 0..1 is how far both texts are long enough to tell,
    `field` and `copied` 0..1 are two sides of the overlap of words, `shared` the codes and data in common.
    """

    one: str
    other: str
    margin: float
    lead: float
    length: float
    field: float
    copied: float
    shared: float
    reasons: tuple[Reason, ...]

    def measures(self) -> dict[str, float]:
        """What is weighed, by name."""
        return {name: getattr(self, name) for name in ("margin", "lead", "length", "field", "copied", "shared")}


def compare(register: Register, traffic: Traffic = NOTHING_SEEN, embedder: Embedder | None = None) -> Similarity:
    """All pairs that look alike.

    Without `embedder`, or in a register beyond bounds, meaning is not compared, which `missing` then says.
    """
    if embedder is None or len(register.objects) > MOST_BY_MEANING:
        return Similarity((pair for pair in _by_words(register, traffic) if pair.score >= LEAST), ["embeddings"])
    pairs = (
        Pair(one=found.one, other=found.other, score=chance(found), reasons=found.reasons)
        for found in measured(register, traffic, embedder)
    )
    return Similarity(pair for pair in pairs if pair.score >= LEAST)


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


def measured(register: Register, traffic: Traffic, embedder: Embedder) -> Iterator[Measured]:
    """All candidates with what is measured of them."""
    told, words, shared = _told(register), _words(register), Shared(register, traffic)
    candidates = {*words.near(NEAREST), *shared.leads()}
    meaning = Meaning(told, candidates, embedder)
    for pair in sorted(meaning.margins):
        one, other = pair
        margin, lead = _within(meaning.margins[pair], _MARGINS), _within(meaning.ahead(pair), _LEADS)
        length = _length(told[one], told[other])
        near = _within((margin - NO_MARGIN) / (FULL_MARGIN - NO_MARGIN), (0, 1))
        overlap, reasons = _reasons(pair, words, shared)
        ahead = Reason(what="ahead", strength=round(_within(lead, (0, 1)), 4))
        purpose = Reason(what="purpose", strength=round(near * length, 4))
        yield Measured(
            one=one,
            other=other,
            margin=margin,
            lead=lead,
            length=length,
            field=_field(overlap),
            copied=_copied(overlap),
            shared=_sum(reasons) * min(near * (FULL_MARGIN - NO_MARGIN) / (_ENOUGH - NO_MARGIN), 1),
            reasons=tuple(reason for reason in (purpose, ahead, *reasons) if reason.strength > 0),
        )


def chance(found: Measured) -> float:
    """The chance that two do the same, 0 to 1."""
    weights = _weights()
    sum_ = weights["nothing"] + sum(weights[name] * value for name, value in found.measures().items())
    return _logistic(sum_)


def _logistic(sum_: float) -> float:
    return round(1 / (1 + math.exp(-sum_)), 4)


@cache
def _weights() -> dict[str, float]:
    found: dict[str, float] = json.loads(WEIGHTS.read_bytes())["weights"]
    return found


def _told(register: Register) -> dict[str, list[Text]]:
    return {id_: texts_of(object_) for id_, object_ in sorted(register.objects.items())}


def _words(register: Register) -> Words:
    return Words(text for texts in _told(register).values() for text in texts)


def _reasons(pair: PairOfIds, words: Words, shared: Shared) -> tuple[float, list[Reason]]:
    """The overlap of words (0..1, 0 where there is no common language), and all reasons but meaning."""
    overlap, common = words.overlap(*pair)
    reasons = [Reason(what="words", strength=round(overlap, 4), shared=common[:8])] if overlap else []
    reasons += [
        Reason(what=what, strength=round(strength, 4), shared=held[:12]) for what, strength, held in shared.of(*pair)
    ]
    return overlap or 0.0, reasons


def _sum(reasons: Iterable[Reason]) -> float:
    return sum(SHARED.get(reason.what, 0.0) * reason.strength for reason in reasons)


def _field(overlap: float) -> float:
    """An overlap of words that makes texts seem nearer than they are; nothing where they are copies."""
    return min(overlap / _TURN, 1.0) * (1 - _copied(overlap))


def _copied(overlap: float) -> float:
    return _within((overlap - _TURN) / (COPIED - _TURN), (0, 1))


def _by_words(register: Register, traffic: Traffic) -> Iterator[Pair]:
    """Pairs without meaning: copies, and what shares words and codes."""
    words, shared = _words(register), Shared(register, traffic)
    for pair in sorted({*words.near(NEAREST), *shared.leads()}):
        overlap, reasons = _reasons(pair, words, shared)
        copied = _COPY_BY_WORDS * overlap if overlap >= COPIED else 0.0
        sum_ = copied + _BY_WORDS * min(overlap / ENOUGH_WORDS, 1.0) * _sum(reasons)
        score = _logistic(_STEEP_BY_WORDS * (sum_ - _EVEN_BY_WORDS))
        yield Pair(one=pair[0], other=pair[1], score=score, reasons=tuple(reasons))


def _length(here: Iterable[Text], there: Iterable[Text]) -> float:
    """How far two texts are long enough to tell what a system is for."""
    longest = min(max((text.telling for text in texts), default=0) for texts in (here, there))
    return min(longest / FULL_LENGTH, 1.0)


def _within(value: float, bounds: tuple[float, float]) -> float:
    return min(max(value, bounds[0]), bounds[1])
