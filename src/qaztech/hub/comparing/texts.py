"""The texts of digital objects, as words that tell them apart.

Each word counts by how rare it is in its language: what every system says of itself weighs nothing. A word of a name
counts beside those of the purpose. Pure, standard library only.
"""

from __future__ import annotations

import math
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from qaztech.hub.register.rows import DigitalObject
from qaztech.registry.search_words import LANGUAGES, Language, is_stop, key, words

# The language of the one text that is embedded first: in which most of the registry is written, so that most pairs
# are compared within one language.
FIRST: Final[tuple[Language, ...]] = ("ru", "en", "kk")
# A text is cut here: what a system is for stands at its beginning.
MOST_LETTERS: Final = 240
# A word in more texts of its language than this share of them tells nothing.
_COMMON: Final = 0.2
# Words that fewer texts share than this lead from one text to another.
_LEADING: Final = 60
# A short text is weak evidence: with this many telling words it counts in full.
FULL_LENGTH: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """One object's text in one language, cut and normalised; `telling` counts words that are not mere grammar."""

    object: str
    language: Language
    name: str
    purpose: str
    telling: int


def texts_of(object_: DigitalObject) -> list[Text]:
    """The texts of an object, by language; those without a purpose are left out."""
    found = []
    for language in FIRST:
        purpose = plain(getattr(object_, f"purpose_{language}"))
        if purpose:
            name = plain(getattr(object_, f"name_{language}"))
            telling = sum(len(word) > 2 and not is_stop(word) for word in set(words(purpose)))
            found.append(Text(object=object_.id, language=language, name=name, purpose=purpose, telling=telling))
    return found


def plain(text: str) -> str:
    """A text in NFC, spaces made one, cut at a word."""
    one = " ".join(unicodedata.normalize("NFC", text).split())
    return one if len(one) <= MOST_LETTERS else one[:MOST_LETTERS].rsplit(" ", 1)[0]


class Words:
    """The telling words of all texts, and how much two objects have in common."""

    def __init__(self, texts: Iterable[Text]) -> None:
        told = {(text.object, text.language): (_counted(text), text) for text in texts}
        self._weights = _rarity(told)
        self._of: dict[tuple[str, Language], dict[str, float]] = {
            place: {stem: self._weights[stem] for stem in stems if self._weights.get(stem, 0) > 0}
            for place, (stems, _) in told.items()
        }
        self._spelt: dict[str, str] = {}
        for stems, _ in told.values():
            for stem, spelt in stems.items():
                self._spelt.setdefault(stem, spelt)
        self._size = {place: math.sqrt(sum(w * w for w in found.values())) for place, found in self._of.items()}

    def overlap(self, one: str, other: str) -> tuple[float | None, tuple[str, ...]]:
        """How much the words of two objects overlap in the language where most (0..1), and the words shared.

        None where they have no language in common.
        """
        best: float | None = None
        shared: list[str] = []
        for language in LANGUAGES:
            here, there = self._of.get((one, language)), self._of.get((other, language))
            if not here or not there:
                continue
            common = here.keys() & there.keys()
            size = self._size[one, language] * self._size[other, language]
            found = sum(here[stem] ** 2 for stem in common) / size
            if best is None or found > best:
                best = found
                shared = sorted(common, key=lambda stem: (-self._weights[stem], stem))
        return best, tuple(self._spelt[stem] for stem in shared)

    def near(self, most: int) -> set[tuple[str, str]]:
        """Pairs (ids in order) that share telling words, for each object and language the few that share most."""
        found: set[tuple[str, str]] = set()
        for language in LANGUAGES:
            places = {id_: stems for (id_, spoken), stems in self._of.items() if spoken == language}
            holders: defaultdict[str, list[str]] = defaultdict(list)
            for id_, stems in places.items():
                for stem in stems:
                    holders[stem].append(id_)
            for id_, stems in places.items():
                sums: Counter[str] = Counter()
                for stem, weight in stems.items():
                    if len(holders[stem]) <= _LEADING:
                        for other in holders[stem]:
                            sums[other] += weight * weight  # type: ignore[assignment]  # a counter of floats
                del sums[id_]
                ranked = sorted(sums.items(), key=lambda item: (-item[1] / self._size[item[0], language], item[0]))
                found |= {(min(id_, other), max(id_, other)) for other, _ in ranked[:most]}
        return found


def _counted(text: Text) -> dict[str, str]:
    """The stems of a text with a word that has each."""
    spelt: dict[str, str] = {}
    for word in words(f"{text.name} {text.purpose}"):
        if len(word) > 2 and not is_stop(word):
            spelt.setdefault(key(word, text.language) + "|" + text.language, word)
    return spelt


def _rarity(told: Mapping[tuple[str, Language], tuple[dict[str, str], Text]]) -> dict[str, float]:
    """How much each stem says: the logarithm of how few texts of its language have it."""
    count: Counter[str] = Counter(language for _, language in told)
    having = Counter(stem for stems, _ in told.values() for stem in stems)
    weights = {}
    for stem, number in having.items():
        all_ = count[stem.rpartition("|")[2]]
        weights[stem] = 0.0 if number > max(3, _COMMON * all_) else math.log((all_ + 1) / number)
    return weights
