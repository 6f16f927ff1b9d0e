"""Kazakh words without their inflection: plural, possessive and case endings taken off, for search.

A table of endings with what may stand before them (vowel harmony, and the sound the stem ends in), applied again and
again until none fits. Derivation is left alone: `салық` and `салықшы` are two words. Endings of the first and second
person singular are left alone too: `білім` is not "my knowing". What comes out is a key to compare by, not always a
word; it never has fewer letters than three, unless it is one of a few short roots.
"""

from __future__ import annotations

import re
from functools import lru_cache

MIN_STEM = 3
# Roots of two letters that stand in names of services and would else keep their endings.
SHORT_ROOTS = frozenset({"су", "ел", "ер", "үй", "ай", "іс", "ат", "ой", "із", "ту"})
# Words that only look inflected, and whose shorter form is another word.
WHOLE = frozenset({"пайда", "теңге", "қайда", "мұнда", "онда", "сонда", "жауын", "қауын", "келін", "кейін", "дейін",
                   "алды", "арты", "тұлға", "мүше", "алғы", "баға", "тауба", "жұмада", "арда", "қазына", "бұрын",
                   "жақын", "қалың", "отын", "құрылғы"})  # fmt: skip
# A vowel that the bare word has and the inflected one loses.
ELIDED = {
    "халқ": "халық", "мүлк": "мүлік", "көңл": "көңіл", "орн": "орын", "ерн": "ерін", "нарқ": "нарық",
    "парқ": "парық", "ғұрп": "ғұрып", "әрп": "әріп", "айб": "айып", "құлқ": "құлық", "бұйр": "бұйрық",
}  # fmt: skip

_VOWELS = frozenset("аәеёиоөуұүыіэюя")
_BACK = frozenset("аоұыёюя")
_FRONT = frozenset("әеөүіэ")
_HARD = frozenset("кқптсшщчцфхһбвгд")  # after these an ending begins with т, қ, к or п
_NASAL = frozenset("мнң")
_SOFT_PLURAL = frozenset("зжлмнң")
_FOLD = str.maketrans("әғқңөұүһіё", "агкноуухие")
_OWN_LETTERS = re.compile("[әғқңөұүһі]")


def _before_lar(last: str) -> bool:
    return last in _VOWELS or last in "рй"


def _before_dar(last: str) -> bool:
    return last in _SOFT_PLURAL


def _hard(last: str) -> bool:
    return last in _HARD


def _vowel(last: str) -> bool:
    return last in _VOWELS


def _voiced(last: str) -> bool:
    return last not in _HARD


def _voiced_consonant(last: str) -> bool:
    return last not in _HARD and last not in "аәеёиоөұүыіэюя"


def _consonant(last: str) -> bool:
    return last not in "аәеёиоөұүыіэюя"


def _nasal_or_vowel(last: str) -> bool:
    return last in _NASAL or last in _VOWELS


def _nasal(last: str) -> bool:
    return last in _NASAL


def _owned(last: str) -> bool:
    return last in "ыіи"


def _liquid(last: str) -> bool:
    return last in _VOWELS or last in "рйлмнң"


def _buzzing(last: str) -> bool:
    return last in "зж"


# The ending with back vowels, with front vowels, and what may stand before it.
_ENDINGS = (
    # where: -да, and what is there: -дағы
    ("ндағы", "ндегі", _owned), ("дағы", "дегі", _voiced), ("тағы", "тегі", _hard),
    ("нда", "нде", _owned), ("да", "де", _voiced), ("та", "те", _hard),
    # from where
    ("нан", "нен", _nasal), ("нан", "нен", _owned), ("дан", "ден", _voiced), ("тан", "тен", _hard),
    # whose
    ("ның", "нің", _nasal_or_vowel), ("дың", "дің", _voiced_consonant), ("тың", "тің", _hard),
    # where to
    ("на", "не", _owned), ("ға", "ге", _voiced), ("қа", "ке", _hard),
    # whom, what
    ("ны", "ні", _vowel), ("ды", "ді", _voiced_consonant), ("ты", "ті", _hard), ("н", "н", _owned),
    # with what
    ("мен", "мен", _liquid), ("бен", "бен", _buzzing), ("пен", "пен", _hard),
    # ours, yours
    ("ымыз", "іміз", _consonant), ("мыз", "міз", _vowel), ("ыңыз", "іңіз", _consonant), ("ңыз", "ңіз", _vowel),
    # many
    ("лар", "лер", _before_lar), ("дар", "дер", _before_dar), ("тар", "тер", _hard),
    # its, theirs
    ("сы", "сі", _vowel), ("ы", "і", _consonant),
)  # fmt: skip


def fold(word: str) -> str:
    """The word as typed without Kazakh letters: `қ` as `к`, `ә` as `а`."""
    return word.translate(_FOLD)


@lru_cache(maxsize=200_000)
def stem(word: str) -> str:
    """The key of a word (lower case, NFC) without its endings, with Kazakh letters folded."""
    if _OWN_LETTERS.search(word) is None:
        # Typed on a keyboard that has only Russian letters, or a word that has no others: endings fit either way.
        return fold(_bare(word, loose=True))
    return fold(_bare(word, loose=False))


def _bare(word: str, *, loose: bool) -> str:
    while word not in WHOLE:
        shorter = next((s for s in _shortened(word, loose=loose)), None)
        if shorter is None:
            break
        word = shorter
    word = ELIDED.get(word, word)
    # A stem's last consonant is voiced before a vowel: құқық, құқығы.
    return word[:-1] + {"ғ": "қ", "г": "к", "б": "п"}.get(word[-1:], word[-1:])


def _shortened(word: str, *, loose: bool) -> list[str]:
    found = []
    for back, front, fits in _ENDINGS:
        for ending, other in ((back, _FRONT), (front, _BACK)):
            text = fold(ending) if loose else ending
            rest = word[: -len(text)]
            if not word.endswith(text) or not _is_stem(rest) or not fits(rest.rstrip("ь")[-1]):
                continue
            if back != front and not loose and _decisive(rest) in other:
                continue
            if back == "н" and not _is_stem(rest[:-1]):
                continue
            found.append(rest)
    return found


def _is_stem(rest: str) -> bool:
    return (len(rest) >= MIN_STEM and not _VOWELS.isdisjoint(rest)) or rest in SHORT_ROOTS


def _decisive(rest: str) -> str:
    """The last vowel that says which endings agree with it; empty where none does."""
    if rest.endswith("ь"):
        return ""
    return next((letter for letter in reversed(rest) if letter in _BACK or letter in _FRONT), "")
