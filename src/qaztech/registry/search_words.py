"""Texts as the words a search compares: three languages, each word by its stem, one key whatever its ending.

A text's language is known where it was written, a query's is not: a query's word is looked up as a word of every
language its letters allow. Pure. Not here: the index (`search`).
"""

from __future__ import annotations

import re
import threading
import unicodedata
from functools import lru_cache
from typing import Any, Literal

import snowballstemmer  # type: ignore[import-untyped]  # it has no annotations

from qaztech.registry import kazakh

Language = Literal["kk", "ru", "en"]
LANGUAGES: tuple[Language, ...] = ("kk", "ru", "en")
MAX_WORD = 40
_WORD = re.compile(r"[^\W_]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_CYRILLIC = re.compile(r"[Ѐ-ӿ]")
_STOP = frozenset({
    "және", "мен", "пен", "бен", "туралы", "бойынша", "үшін",
    "и", "о", "об", "обо", "в", "во", "на", "по", "для", "с", "со", "к", "ко", "от", "из", "у", "за", "при", "или",
    "a", "an", "the", "of", "in", "on", "for", "to", "and", "or", "by", "with", "from",
})  # fmt: skip
# A vowel that stands in the genitive plural only: справка, справок.
_FLEETING = re.compile(r"(?<=[бвгджзклмнпрстфхцчшщ])[ое](?=[кц]\Z)")
# Stems that one word has several of: the stemmer takes some plurals for verbs, and some words change their stem.
_SAME_STEM = {
    "сист": "систем", "подсист": "подсистем", "пробл": "проблем", "гражда": "граждан", "гражданин": "граждан",
    "пис": "письм", "земел": "земл", "люд": "человк", "дет": "ребенк",
}  # fmt: skip
_CYRILLIC_LETTERS = "абвгдежзийклмнопрстуфхцчшщъыьэюя"
_LATIN_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
# The stemmers keep the word they work on in themselves.
_turn = threading.Lock()
_stemmers: dict[str, Any] = {
    "ru": snowballstemmer.stemmer("russian"),
    "en": snowballstemmer.stemmer("english"),
}


def words(text: str) -> list[str]:
    """The words of a text in lower case, in their order; `ё` is `е`."""
    plain = unicodedata.normalize("NFC", text).lower().replace("ё", "е")
    return [word[:MAX_WORD] for word in _WORD.findall(plain)]


def path_words(endpoint: str) -> list[str]:
    """The words of an endpoint's path: `/taxpayers/*/taxDebt` has three."""
    return words(_CAMEL.sub(" ", endpoint.partition(" ")[2]))


def is_stop(word: str) -> bool:
    """Whether a word says nothing of what is looked for."""
    return word in _STOP or (len(word) == 1 and not word.isdigit())


@lru_cache(maxsize=300_000)
def key(word: str, language: Language) -> str:
    """The key of a word in a language: a letter for the language, and the stem. One of figures has no language."""
    if word.isdigit():
        return "=" + word
    if language == "kk" and _CYRILLIC.search(word):
        return "k" + kazakh.stem(word)
    if _CYRILLIC.search(word):
        return "r" + _russian(word)
    return "e" + _snowball(word, "en")


@lru_cache(maxsize=20_000)
def query_keys(word: str) -> tuple[str, ...]:
    """The keys under which a query's word may stand."""
    if _CYRILLIC.search(word):
        return tuple(dict.fromkeys((key(word, "kk"), key(word, "ru"))))
    return (key(word, "en"),)


def misspelt(found: str) -> set[str]:
    """Every key that is one letter away from this one: left out, put in, changed, or two in the wrong order."""
    language, stem = found[0], found[1:]
    letters = _LATIN_LETTERS if language == "e" else _CYRILLIC_LETTERS
    splits = [(stem[:i], stem[i:]) for i in range(len(stem) + 1)]
    less = {a + b[1:] for a, b in splits if b}
    turned = {a + b[1] + b[0] + b[2:] for a, b in splits if len(b) > 1}
    other = {a + letter + b[1:] for a, b in splits if b for letter in letters}
    more = {a + letter + b for a, b in splits for letter in letters}
    return {language + stem for stem in less | turned | other | more if stem}


# One thing under the word of the law of before and that of the Digital Code: what changes, beside what stays.
_RENAMED: tuple[tuple[Language, str, str, str], ...] = (
    ("ru", "информационная", "цифровая", "система"),
    ("ru", "информатизации", "цифровой", "объект"),
    ("ru", "информационный", "цифровой", "ресурс"),
    ("ru", "электронное", "цифровое", "правительство"),
    ("kk", "ақпараттық", "цифрлық", "жүйе"),
    ("kk", "ақпараттандыру", "цифрлық", "объект"),
    ("kk", "ақпараттық", "цифрлық", "ресурс"),
    ("kk", "электрондық", "цифрлық", "үкімет"),
    ("en", "information", "digital", "system"),
    ("en", "informatization", "digital", "object"),
    ("en", "electronic", "digital", "government"),
)


def renamed(asked: list[str]) -> dict[str, tuple[str, ...]]:
    """For words of a query that the law has renamed: the keys of the other name, old or new."""
    keys = {one: word for word in asked for one in query_keys(word)}
    found: dict[str, tuple[str, ...]] = {}
    for language, before, now, beside in _RENAMED:
        old, new = key(before, language), key(now, language)
        if key(beside, language) not in keys:
            continue
        for one, other in ((old, new), (new, old)):
            if one in keys:
                found[keys[one]] = (*found.get(keys[one], ()), other)
    return found


def prefix(word: str) -> tuple[str, ...]:
    """What the words that begin so begin with, as the index keeps them."""
    if _CYRILLIC.search(word):
        return tuple(dict.fromkeys(("k" + kazakh.fold(word), "r" + word)))
    return ("e" + word,)


def spelling(word: str, language: Language) -> str:
    """A word as it stands in the list that beginnings are looked up in."""
    found = key(word, language)[0]
    return found + (kazakh.fold(word) if found == "k" else word)


def _russian(word: str) -> str:
    stem = _FLEETING.sub("", _snowball(word, "ru"))
    return _SAME_STEM.get(stem, stem)


def _snowball(word: str, language: str) -> str:
    with _turn:
        stem: str = _stemmers[language].stemWord(word)
    return stem


def marked(text: str, keys: frozenset[str]) -> list[tuple[str, bool]]:
    """The text in pieces, with the words found by these keys marked."""
    pieces: list[tuple[str, bool]] = []
    last = 0
    for match in _WORD.finditer(text):
        word = (words(match[0]) or [""])[0]
        if word and not keys.isdisjoint(key(word, language) for language in LANGUAGES):
            pieces += [(text[last : match.start()], False), (match[0], True)]
            last = match.end()
    pieces.append((text[last:], False))
    return [piece for piece in pieces if piece[0]]
