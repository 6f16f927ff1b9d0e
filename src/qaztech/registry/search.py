"""Search over the services of a country: word forms of three languages, beginnings, slips of one letter, filters.

An index in memory, built once for each catalogue and never changed. For each key of a word: in which services it
stands and in which of their fields, five bytes a place; for frequent keys also the set of services as bits, so that
what is found and how many of each kind cost the same however many services there are. The best of what is found are
then ranked one by one, at most `RANKED` of them. Built for 100,000 services. Not here: who exists (`catalogue`).
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import and_, or_
from typing import Final

from qaztech.registry.search_words import (
    LANGUAGES,
    is_stop,
    key,
    misspelt,
    path_words,
    prefix,
    query_keys,
    renamed,
    spelling,
    words,
)

MAX_QUERY: Final = 200
MAX_QUERY_WORDS: Final = 8
MAX_FIELD: Final = 4000
RANKED: Final = 500
_BEGINNINGS: Final = 32
_MIN_BEGINNING: Final = 3
_MIN_MISSPELT: Final = 4
_MIN_STEM: Final = 4
# A key in more than one of so many services has its set of services as bits.
_FREQUENT: Final = 256
NAME, PURPOSE, DATA, ENDPOINTS, MEMBER = 1, 2, 4, 8, 16
_WEIGHTS: Final = {NAME: 8.0, PURPOSE: 4.0, DATA: 2.5, ENDPOINTS: 1.5, MEMBER: 1.0}
_SCORES: Final = tuple(
    max((w for f, w in _WEIGHTS.items() if mask & f), default=0.0)
    + 0.1 * sum(w for f, w in _WEIGHTS.items() if mask & f)
    for mask in range(32)
)
FACETS: Final = ("class", "personal", "environment", "type")

Three = tuple[str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What is searched of one service. Texts are in Kazakh, Russian and English; facets by their names."""

    id: str
    names: Three
    purpose: Three = ("", "", "")
    data: tuple[Three, ...] = ()
    endpoints: tuple[str, ...] = ()
    member: Three = ("", "", "")
    facets: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What was found: how many, the identifiers of one page of them, and how many of each kind the query finds.

    `facets` counts what the query finds for each value of a facet, with the other facets' filters applied. `keys` are
    those by which words in texts can be marked. `loose` says that not every word of the query was found together.
    """

    total: int
    ids: tuple[str, ...]
    facets: Mapping[str, Mapping[str, int]]
    keys: frozenset[str]
    loose: bool = False


@dataclass(frozen=True, slots=True)
class _Word:
    """One word of a query: the keys it may stand under, each with what it is worth, and how rare it is."""

    keys: dict[str, float]
    found: int
    named: int
    rarity: float


class SearchIndex:
    """The index of one catalogue. Documents come in the order in which they are listed without a query."""

    def __init__(self, documents: Iterable[Document]) -> None:
        self._ids: list[str] = []
        self._places: dict[str, array[int]] = {}
        self._fields: dict[str, bytearray] = {}
        self._name_words = bytearray()
        facets: dict[str, dict[str, bytearray]] = {name: {} for name in FACETS}
        spellings: dict[str, set[str]] = {}
        for number, document in enumerate(documents):
            self._ids.append(document.id)
            found, longest = _analyse(document, spellings)
            self._name_words.append(longest)
            for one, mask in found.items():
                places = self._places.get(one)
                if places is None:
                    places, self._fields[one] = array("I"), bytearray()
                    self._places[one] = places
                places.append(number)
                self._fields[one].append(mask)
            for name, value in document.facets.items():
                _set(facets[name].setdefault(value, bytearray()), number)
        self._facets = {
            name: {value: int.from_bytes(bits, "little") for value, bits in values.items()}
            for name, values in facets.items()
        }
        self._everything = (1 << len(self._ids)) - 1
        self._frequent = {
            one: self._bits(one) for one, places in self._places.items() if len(places) * _FREQUENT > len(self._ids)
        }
        self._spellings = sorted(spellings)
        self._keys_of = {one: tuple(keys) for one, keys in spellings.items()}

    def __len__(self) -> int:
        return len(self._ids)

    def search(
        self, query: str, *, filters: Mapping[str, str] | None = None, offset: int = 0, limit: int = 20
    ) -> Result:
        """One page of what a query finds, best first; everything in its order where the query has no words."""
        given = _query_words(query)
        other = renamed(given)
        asked = [self._word(word, other.get(word, ())) for word in given]
        found, loose = self._matching(asked)
        chosen = {
            name: self._facets[name].get(value, 0)
            for name, value in (filters or {}).items()
            if name in self._facets and value
        }
        kept = reduce(and_, chosen.values(), found)
        return Result(
            total=kept.bit_count(),
            ids=tuple(self._ids[number] for number in self._page(kept, asked, offset, limit)),
            facets={name: self._counted(name, found, chosen) for name in FACETS},
            keys=frozenset(one for word in asked for one in word.keys),
            loose=loose,
        )

    # What matches ------------------------------------------------------------------------------------------------

    def _word(self, word: str, other: Sequence[str]) -> _Word:
        keys = {one: 1.0 for one in query_keys(word) if one in self._places}
        keys |= {one: 0.9 for one in other if one in self._places}
        if len(word) >= _MIN_BEGINNING:
            for one in self._beginning(prefix(word)):
                keys.setdefault(one, 0.4)
        if not keys and len(word) >= _MIN_MISSPELT:
            keys = dict.fromkeys(self._near(word), 0.3)
        # The words made from the same stem: `налог` is in `налоговый`.
        stems = [one for one in query_keys(word) if len(one) > _MIN_STEM]
        for one in self._beginning(stems):
            keys.setdefault(one, 0.2)
        found, named = (reduce(or_, (self._set_of(one)[i] for one in keys), 0) for i in (0, 1))
        return _Word(keys, found, named, math.log(1 + len(self._ids) / (1 + found.bit_count())))

    def _near(self, word: str) -> set[str]:
        """The keys of words one letter away: of the word as it is written, and of its stem."""
        written = {one for start in prefix(word) for near in misspelt(start) for one in self._keys_of.get(near, ())}
        return written | {near for one in query_keys(word) for near in misspelt(one) if near in self._places}

    def _beginning(self, starts: Iterable[str]) -> Iterator[str]:
        for start in starts:
            at = bisect_left(self._spellings, start)
            for spelt in self._spellings[at : at + _BEGINNINGS]:
                if not spelt.startswith(start):
                    break
                yield from self._keys_of[spelt]

    def _matching(self, asked: list[_Word]) -> tuple[int, bool]:
        """The services that have every word; where there are none, all but one of the words, else any of them."""
        if not asked:
            return self._everything, False
        sets = [word.found for word in asked]
        together = reduce(and_, sets)
        if together or len(sets) == 1:
            return together, False
        but_one = reduce(or_, (reduce(and_, sets[:i] + sets[i + 1 :]) for i in range(len(sets))))
        return but_one or reduce(or_, sets), True

    def _counted(self, name: str, found: int, chosen: Mapping[str, int]) -> dict[str, int]:
        others = reduce(and_, (bits for other, bits in chosen.items() if other != name), found)
        return {value: (bits & others).bit_count() for value, bits in sorted(self._facets[name].items())}

    # Order -------------------------------------------------------------------------------------------------------

    def _page(self, kept: int, asked: list[_Word], offset: int, limit: int) -> list[int]:
        if not asked:
            return _numbers(kept, offset, limit)
        named = reduce(and_, (word.named for word in asked), kept)
        page: list[int] = []
        for tier in (named, kept & ~named):
            size = tier.bit_count()
            if offset < size and len(page) < limit:
                page += self._ranked(tier, asked, offset, limit - len(page))
            offset = max(0, offset - size)
        return page

    def _ranked(self, tier: int, asked: list[_Word], offset: int, limit: int) -> list[int]:
        best = _numbers(tier, 0, RANKED)
        best.sort(key=lambda number: -self._score(number, asked))
        page = best[offset : offset + limit]
        if len(page) < limit:
            page += _numbers(tier, max(offset, RANKED), limit - len(page))
        return page

    def _score(self, number: int, asked: list[_Word]) -> float:
        score, in_name = 0.0, 0
        for word in asked:
            best, named = 0.0, False
            for one, worth in word.keys.items():
                mask = self._mask(one, number)
                named = named or bool(mask & NAME and worth == 1.0)
                best = max(best, worth * _SCORES[mask])
            score += best * word.rarity
            in_name += named
        return score + 4.0 * in_name / max(1, self._name_words[number])

    def _mask(self, one: str, number: int) -> int:
        places = self._places[one]
        at = bisect_left(places, number)
        return self._fields[one][at] if at < len(places) and places[at] == number else 0

    # Sets --------------------------------------------------------------------------------------------------------

    def _set_of(self, one: str) -> tuple[int, int]:
        return self._frequent.get(one) or self._bits(one)

    def _bits(self, one: str) -> tuple[int, int]:
        """The services with this key, and those with it in their names."""
        everywhere, in_names = bytearray(), bytearray()
        for number, mask in zip(self._places[one], self._fields[one], strict=True):
            _set(everywhere, number)
            if mask & NAME:
                _set(in_names, number)
        return int.from_bytes(everywhere, "little"), int.from_bytes(in_names, "little")


def _set(bits: bytearray, number: int) -> None:
    at = number >> 3
    if at >= len(bits):
        bits.extend(bytes(at + 1 - len(bits)))
    bits[at] |= 1 << (number & 7)


def _numbers(bits: int, offset: int, limit: int) -> list[int]:
    """The places of the bits that are set, lowest first, from the `offset`th on."""
    found: list[int] = []
    text = bin(bits)[:1:-1]
    at = text.find("1")
    while at >= 0 and len(found) < limit:
        if offset:
            offset -= 1
        else:
            found.append(at)
        at = text.find("1", at + 1)
    return found


def _query_words(query: str) -> list[str]:
    return _useful(list(dict.fromkeys(words(query[:MAX_QUERY]))))[:MAX_QUERY_WORDS]


def _useful(found: list[str]) -> list[str]:
    """The words that say something; all of them where none does."""
    return [word for word in found if not is_stop(word)] or found


def _analyse(document: Document, spellings: dict[str, set[str]]) -> tuple[dict[str, int], int]:
    """The keys of a document, each with the fields it stands in; and how many words its longest name has."""
    found: dict[str, int] = {}

    def take(texts: Sequence[str], mask: int) -> int:
        longest = 0
        for language, text in zip(LANGUAGES, texts, strict=True):
            useful = _useful(words(text[:MAX_FIELD]))
            longest = max(longest, len(useful))
            for word in useful:
                one = key(word, language)
                found[one] = found.get(one, 0) | mask
                if mask & (NAME | PURPOSE | DATA):
                    spellings.setdefault(spelling(word, language), set()).add(one)
        return longest

    longest = take(document.names, NAME)
    take(document.purpose, PURPOSE)
    for element in document.data:
        take(element, DATA)
    for endpoint in document.endpoints:
        for word in path_words(endpoint):
            one = key(word, "en")
            found[one] = found.get(one, 0) | ENDPOINTS
    take(document.member, MEMBER)
    return found, min(255, longest)
