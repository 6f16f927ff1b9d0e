"""Letters brought into one form, each for one: places in a text stay what they are.

Pure. Not here: what a word means (`lexicon`).
"""

from __future__ import annotations

import re
from typing import Final

# A letter that is two when it is small, full-width forms, digits of other scripts, dashes, spaces that are none,
# and what is not seen at all.
_ODD: Final = re.compile(
    "[\u0130\u00a0\u00ad\u0660-\u0669\u06f0-\u06f9\u0966-\u096f\u2000-\u2015\u202f\u2060\u2212\u3000\ufeff\uff01-\uff5e]"
)
_PLAIN: Final[dict[int, str]] = (
    {0xFF01 + at: chr(0x21 + at) for at in range(94)}
    | {start + at: str(at) for start in (0x660, 0x6F0, 0x966) for at in range(10)}
    | dict.fromkeys((*range(0x2000, 0x2010), 0xA0, 0xAD, 0x202F, 0x2060, 0x3000, 0xFEFF), " ")
    | {0x130: "I"}
    | dict.fromkeys((*range(0x2010, 0x2016), 0x2212), "-")
)
_OF_THE_WEB: Final = (("%2B", "+"), ("%2b", "+"), ("%40", "@"), ("%20", " "), ("&#64;", "@"), ("&#43;", "+"))
# What a scanner reads for a digit.
_LIKE: Final = "OОoоlIІiЗзБбВB"
_DIGIT_LIKE: Final = str.maketrans(_LIKE, "00001111336688"[: len(_LIKE)])
_MIXED: Final = re.compile(rf"[0-9][{_LIKE}]|[{_LIKE}][0-9]|[0-9]\)? [OОoо]{{2}}|[OОoо]{{2}}[ -][0-9]")
_READ: Final = re.compile(rf"[{_LIKE}0-9](?<!\w.)[{_LIKE}0-9]{{1,23}}(?!\w)")
_DIGITS: Final = re.compile(r"[0-9]")
_NEAR: Final = 4

_TO_LATIN: Final = str.maketrans(
    dict(zip("аәбвгғдежзийікқлмнңоөпрстуұүфхһэёы", "aabvggdejziiikklmnnooprstuuufhheei", strict=True))
    | {"ч": "ch", "ш": "sh", "щ": "sh", "ц": "ts", "ю": "iu", "я": "ia", "ъ": "", "ь": ""}
)
TO_RUSSIAN: Final = str.maketrans("әғқңөұүһіёэ", "агкноуухиее")
_MARKS: Final = str.maketrans(
    "áàâäãåāçćčéèêëēğģǵíìîïīıñńňóòôöõøōřšśşßúùûüūýÿžźżłðđþ", "aaaaaaaccceeeeegggiiiiiinnnooooooorssssuuuuuyyzzzlddt"
)
_LATIN_RULES: Final = (
    ("zh", "j"), ("kh", "h"), ("gh", "g"), ("q", "k"), ("w", "u"), ("yo", "o"), ("y", "i"), ("sch", "sh"), ("ck", "k"),
    ("x", "ks"), ("ii", "i"), ("ss", "s"), ("ie", "e"), ("iu", "u"), ("ou", "u"), ("oo", "u"), ("ee", "i"),
)  # fmt: skip
# Letters of the two alphabets that look alike.
_CYRILLIC_LOOK: Final = str.maketrans("aceopxyikmtbhnABCEHKMOPTXYIgu", "асеорхуікмтвнпАВСЕНКМОРТХУІди")
_LATIN_LOOK: Final = str.maketrans("асеорхуікмтвнАВСЕНКМОРТХУІ", "aceopxyikmtbhABCEHKMOPTXYI")
_HAS_LATIN: Final = re.compile("[a-zA-Z]")
_HAS_CYRILLIC: Final = re.compile("[\u0400-\u04ff]")


def plain(text: str) -> str:
    """The text with full-width and foreign forms as common ones. As long as the text."""
    if "%" in text or "&#" in text:
        for written, meant in _OF_THE_WEB:
            if written in text:
                text = text.replace(written, meant.rjust(len(written)))
    if text.isascii() or not _ODD.search(text):
        return text
    return text.translate(_PLAIN)


def with_digits_read(text: str) -> str:
    """The text with letters read as the digits they look like, where they stand among digits. As long as the text."""
    if not _MIXED.search(text):
        return text
    return _READ.sub(lambda match: _read(text, match), text)


def _read(text: str, match: re.Match[str]) -> str:
    word = match[0]
    if word.isdecimal():
        return word
    if not _DIGITS.search(word):
        if len(word) > _NEAR or word.lower().strip("oо"):
            return word
        around = text[max(0, match.start() - _NEAR) : match.start()] + text[match.end() : match.end() + _NEAR]
        if not _DIGITS.search(around):
            return word
    return word.translate(_DIGIT_LIKE)


def is_mixed(word: str) -> bool:
    """Whether letters of both alphabets stand in the word."""
    return not word.isascii() and bool(_HAS_LATIN.search(word)) and bool(_HAS_CYRILLIC.search(word))


def unmixed(word: str) -> str:
    """A word of both alphabets as one of the alphabet that most of its letters are of."""
    latin, cyrillic = len(_HAS_LATIN.findall(word)), len(_HAS_CYRILLIC.findall(word))
    only_cyrillic = re.search("[бвгджзийлпфцчшщъыьэюяәғқңөұүһ]", word.lower())
    return word.translate(_CYRILLIC_LOOK) if only_cyrillic or cyrillic >= latin else word.translate(_LATIN_LOOK)


def key(word: str) -> str:
    """What spellings of a word in small letters have in common: Kazakh letters as Russian ones, Latin as said."""
    if _HAS_CYRILLIC.search(word):
        return word.translate(TO_RUSSIAN)
    return latin_key(word if word.isascii() else word.translate(_MARKS))


def latin_key(word: str) -> str:
    """A word in small Latin letters as it is said, more or less."""
    if word.startswith("ye"):
        word = word[1:]
    for written, said in _LATIN_RULES:
        if written in word:
            word = word.replace(written, said)
    return word


def in_latin(word: str) -> str:
    """The key of a Cyrillic word as it would be written in Latin letters."""
    return latin_key(word.translate(_TO_LATIN))
