"""Why two objects that look alike are rightly two: parts of one system, a successor, a stand, a chain, two registers.

Read from what the register declares: names, words of the purpose, integrations. Pure. Not here: how alike they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Final

from qaztech.hub.register.rows import DigitalObject, Integration
from qaztech.hub.register.snapshot import Register
from qaztech.registry.search_words import LANGUAGES, is_stop, key, words


class Relation(StrEnum):
    """What stands between two objects."""

    PART = "part"
    SUCCESSOR = "successor"
    STAND = "stand"
    CHAIN = "chain"
    REGISTERS = "registers"
    PLATFORM = "platform"


_PART: Final = re.compile(
    r"(республикан|национальн|центральн|региональн|областн|районн|местн)\w{0,12}\s+(част|сегмент|подсистем|модул|уров|контур)"
    r"|(республикалық|ұлттық|орталық|өңірлік|облыстық|аудандық|жергілікті)\s+(бөлі|сегмент|кіші жүйе|модул|деңгей)"
    r"|(national|central|regional|local|district)\s+(part|segment|subsystem|module|tier|level|node)"
    r"|подсистем|кіші жүйе|subsystem|модуль систем|module of|бөлігі болып|является частью|part of"
)
_SUCCESSOR: Final = re.compile(
    r"преемни|взамен|замен(ит|яет|ена|ён|ил|яющ)|на смену|на замену|передан[аоы]? в|передаёт данные в|мұрагер|орнын бас"
    r"|орнына (келді|жасал|енгіз)|ауыстыр|алмастыр|жүйесіне (берілді|көшіріл)|successor|supersed|replac|took over"
    r"|takes over|handed over|inherit"
)
_STAND: Final = re.compile(
    r"тренаж|учебн\w{1,12} (стенд|контур|верси)|тестов\w{1,12} (стенд|контур|сред)|демо-?стенд|песочниц|симулятор"
    r"|жаттығ|оқу стенд|сынақ стенд|тест(ілеу|тік) (стенд|орта)|құмсалғыш"
    r"|training (stand|system|copy|simulator)|test (bench|stand|environment)|sandbox|simulator"
)
_BRACKETS: Final = re.compile(r"\([^)]*\)")
_VERSION: Final = re.compile(r"[\s-]*(v\.?\s?)?\d+(\.\d+)?\s*$")
_QUOTES: Final = re.compile(r"[«»„“”\"']")
# A name of fewer letters may stand in a text, or be another system's, by chance.
_LONG_NAME: Final = 8
_LONG_STEMS: Final = 6
# What is longer is no name; looking for a version takes the square of its length.
_LONGEST_NAME: Final = 500


def relation(register: Register, one: DigitalObject, other: DigitalObject) -> Relation | None:
    """What makes of two alike objects rightly two; None where nothing declared does."""
    said = (_said(one), _said(other))
    named = _named(one, other) or _named(other, one)
    akin = _base_names(one) & _base_names(other)
    linked = _linked(register, one, other)
    if any(map(_SUCCESSOR.search, said)) and (named or akin):
        return Relation.SUCCESSOR
    if any(map(_PART.search, said)) and (named or akin or linked or set(one.functions) & set(other.functions)):
        return Relation.PART
    if one.owner_bin == other.owner_bin and akin:
        # Versions and parts of one system under one name.
        return Relation.PART
    if bool(_STAND.search(said[0])) != bool(_STAND.search(said[1])):
        return Relation.STAND
    if other.id in one.platform_products or one.id in other.platform_products:
        return Relation.PLATFORM
    if one.source_of_truth and other.source_of_truth and not set(one.data_elements) & set(other.data_elements):
        return Relation.REGISTERS
    return Relation.CHAIN if linked else None


def declared_successor(register: Register, old: DigitalObject, new: DigitalObject) -> bool:
    """Whether the register says that one object follows another."""
    found = relation(register, old, new)
    return found in {Relation.SUCCESSOR, Relation.PART} or new.id in old.platform_products


def _texts(object_: DigitalObject) -> Iterator[str]:
    for language in LANGUAGES:
        yield getattr(object_, f"purpose_{language}")


def _names(object_: DigitalObject) -> Iterator[str]:
    for language in LANGUAGES:
        yield getattr(object_, f"name_{language}")


def _said(object_: DigitalObject) -> str:
    return " ; ".join((*_names(object_), *_texts(object_))).casefold()


def _named(one: DigitalObject, other: DigitalObject) -> bool:
    """Whether a text of one names the other."""
    texts = _QUOTES.sub("", " ; ".join(_texts(one))).casefold()
    names = (_QUOTES.sub("", name).strip().casefold() for name in _names(other))
    return any(len(name) >= _LONG_NAME and " " in name and name in texts for name in names) or (
        bool(other.id) and other.id in texts
    )


def _base_names(object_: DigitalObject) -> set[tuple[str, ...]]:
    """Names without brackets, versions and quotation marks, as stems."""
    found = set()
    for language in LANGUAGES:
        given = getattr(object_, f"name_{language}")[:_LONGEST_NAME]
        name = _VERSION.sub("", _BRACKETS.sub(" ", _QUOTES.sub("", given)).strip())
        stems = tuple(key(word, language) for word in words(name) if not is_stop(word))
        if sum(map(len, stems)) >= _LONG_STEMS:
            found.add(stems)
    return found


def _linked(register: Register, one: DigitalObject, other: DigitalObject) -> bool:
    """Whether data flow between them, by declaration."""
    return any(other.id in {row.consumer_object, row.provider_object} for row in register.of(Integration, one.id))
