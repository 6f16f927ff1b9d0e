"""Words and what they may be: names, their endings, words beside names and addresses. One letter a class.

A text becomes a string of these letters, a letter a token, in which patterns are looked for (`names`, `addresses`).
What was said of a word is kept, up to a bound; of numbers nothing is kept. Pure but for reading its own data files.

    G given name   A given name that is a word too   S surname   V surname by a weak ending   J Asian surname
    P patronymic   g a s p the same in small letters   q may be a surname, small
    j Asian surname, small   y foreign given name, small
    O surname by its ending alone
    X unknown with a capital   Y unknown in capitals   W known word with a capital   w any other word
    I i one letter   B particle of surnames   R r place   E t name of streets
    T form of address or field   k role or kin   c what stands before names   v what a person does   K H behind names
    U street  M district  L locality before  Q locality behind  D house or flat  e f what is named after people
    b birth   m money   o number word   h month   N house number   n number with an ending   Z six digits
    d other digits   u digits and letters   z word for a sign of an e-mail address
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from qaztech.ai.personal import letters, lists

_SECTIONS: Final = {
    "house": "D", "locality": "L", "locality_after": "Q", "street": "U", "district": "M", "born": "b", "month": "h",
    "number": "o", "money": "m", "honorific": "T", "role": "k", "verb": "v", "after_name": "K", "form": "H",
    "place_end": "e", "place_before": "f", "call": "c", "mail": "z",
    "ordinary": "w",
}  # fmt: skip
# Classes that hold with a capital too, whatever name is spelt the same.
_ALWAYS: Final = frozenset("DLQUMbhTkKH")
_LONGEST: Final = 40
_KEPT: Final = 30_000
_KEPT_LENGTH: Final = 24

_PUNCTUATION: Final = frozenset(".,-/:;()|\"'«»\n\t№@_=<>[]{}&+!?")
_HOUSE: Final = re.compile(r"[0-9]{1,4}(?:[а-яa-z]|үй|дом|кв|пәтер|st|nd|rd|th)?", re.IGNORECASE)
_ENDED: Final = re.compile(r"[0-9]{1,4}(?:да|де|та|те|ның|нің|ға|ге|го|й|я|ші|шы)")
# Case endings of Kazakh as keys write them, in Cyrillic and in Latin letters, longest first.
_KAZAKH: Final = re.compile(
    "(?:ымның|нын|нин|дын|дин|тын|тин|нан|нен|дан|ден|тан|тен|мен|бен|пен|мын|мин|бын|бин|пын|пин|дики|тики|ники|"
    "лар|лер|дар|дер|тар|тер|га|ге|ка|ке|на|не|ны|ни|ды|ди|ты|ти|да|де|та|те|ша|ше|н|"
    "nin|din|tin|nan|nen|dan|den|tan|ten|men|ben|pen|min|bin|ga|ge|ka|ke|ni|di|ti|da|de|ta|te)$"
)
# Case endings of Russian names, and what the name ends with instead.
_RUSSIAN: Final[dict[str, tuple[str, ...]]] = {
    "а": ("",), "я": ("й", "ь"), "у": ("", "а"), "ю": ("й", "ь", "я"), "ы": ("а",), "и": ("а", "я", "ь"),
    "е": ("", "а", "я", "й", "ь"), "ой": ("а",), "ей": ("я", "а"), "ом": ("",), "ем": ("й", "ь", ""), "ии": ("ия",),
    "ию": ("ия", "ий"), "ия": ("ий",), "ией": ("ия",), "ием": ("ий",), "ью": ("ь",),
}  # fmt: skip
# Syllables that Chinese names alone have, and letters of languages whose names no list has.
_CHINESE: Final = re.compile(
    "[а-яё]*(?:чж|цз|сяо|цюа|сюй|сюэ|чэнь|гуан|цян|шэн|вэй|лян|чэн|юань|цин|юнь|мэй|жуй)[а-яё]{0,5}"
    "|(?:xi|zh|qi)[aiou][a-z]{1,3}(?:ing|ang|ong|an|ao|ui|ei|un|in|u|i|ia|ie)"
)
# Ends that nothing but Kazakh names has.
_NAME_END: Final = re.compile(
    "...(?:бек|жан|гүл|гул|гуль|ғали|гали|болат|мұрат|мурат|зада|заде|сұлу|сулу|берді|берди|бибі|биби|дәулет|даулет"
    "|нияз|мырза|берген|ханым|шаһ|zhan|gul|ghali|zada|murat|bolat|bergen|berdi)$"
)
_FOREIGN: Final = re.compile("[ãõøåæïêčćžšłđùûèìò\u1e00-\u1eff]")
_FONDLY: Final = re.compile("[а-яәғқңөұүһі]{1,5}(?:[еәө]кең|[аұ]қаң|әбең|еңнің|әкең)(?:н[іы]ң|ге|ғ?е|ді|мен|нен|е)?")
_MONTH: Final = re.compile(
    "(?:январ|феврал|апрел|июн|июл|сентябр|октябр|ноябр|декабр)(?:[ьяею]|[её]м)|март[аеу]?|августу|августом|июн|июл|мае"
    "|(?:қаңтар|ақпан|наурыз|сәуір|мамыр|маусым|шілде|тамыз|қыркүйек|қыркүйег|қазан|қараша|желтоқсан)"
    "(?:[ыі]|с[ыі])?(?:н?[дт]а|н?[дт]е|н?да[нғ]ы|[дт]ағы|н?[дт]егі|[дтн]ан|[дтн]ен|[дтн]ың|[дтн]ің|[ғқн]а|[гкн]е"
    "|[дтн]ы|[дтн]і|н)?"
)
_FOND: Final = re.compile("(?:жан|еке)(?:га|ге|ды|ны|дын|нын|дан|нан)?$")
_PATRONYMIC: Final = re.compile(
    "(?:(?:ов|ев|ь)ич(?:а|у|ем|е)?|(?:ов|ев)н(?:а|ы|е|у|ой)|(?:ин)?ичн(?:а|ы|е|у|ой)|ильич(?:а|у|ом|е)?|"
    "ovich|evich|ovna|evna|ichna|"
    "(?:улы|кызы|огли|оглы|угли)(?:нын|нин|на|не|ны|ни|нда|нде|нан|нен|мен|н|га|ге)?|"
    "(?:uli|kizi|ogli)(?:nin|na|ne|ni|nan|nen|men)?)$"
)
_CERTAIN: Final = re.compile(
    "ұл[ыm]|қыз|кыз|qyz|kyz|ович|евич|ьич|ильич|(?:ов|ев)н[аы]$|ovich|evich|ovna|evna|оглы|uly"
)
_PATRONYMIC_STEMS: Final = frozenset(lists.part("patronymic-stems"))
_KAZAKH_STEM: Final = (
    "(?:бек|бай|ба|жан|хан|гали|кали|али|кул|мбет|гул|тай|та|ра[йк]|мурат|болат|султан|магамбет|ахмет|гази|шер"
    "|нур|гельди|"
    "берген|берди)"
)
_SURNAME: Final = re.compile(
    f"(?:(?P<kazakh>{_KAZAKH_STEM})(?:ов|ев|иев)|(?P<plain>ов|ев|ин|цын))"
    "(?P<case>у|ым|е|ой|ы|ых|ыми|а?(?:ның|нің|ға|ге|қа|ке|ны|ні|ды|ді|ты|ті|тың|тің|дың|дің|тан|тен|дан|ден|нан|нен|"
    "да|де|та|те|мен|бен|пен|на|не)|а)?$"
)
_LATIN_SURNAME: Final = re.compile(
    "(?:(?P<kazakh>bek|bai|ba|jan|han|gali|kali|ali|kul|mbet|tai|nur|murat|magambet|ahmet|bergen|berdi)(?:ov|ev)|"
    "(?P<plain>ov|ev))(?P<case>a|oi|u|tin|nin|ti|ni|ka|ke|ga|s)?$"
)
_WEAK: Final = re.compile(
    "(?:(?:ск|цк)(?:ий|ой|ого|ому|им|ом|ая|ую)|(?P<sure>енко|швили)|(?:чук|юк|ук)(?:а|у|ом|е)?|(?:дзе|янц"
    "|ян)(?:а|у|ом|е)?|ski|skii|skaia|"
    "(?P<latin>enko|idze|shvili)|in|ina|ian|chuk)$"
)
_SECOND: Final = frozenset(lists.part("name-ends"))
_FIRST: Final = frozenset(lists.part("name-begins"))
_SHORTEST: Final = 4


def _words(*names: str) -> Iterator[str]:
    return (word.lower() for name in names for _, word in lists.words(name))


def _keys(*names: str) -> set[str]:
    """Keys of the words of some lists, as they are written and in Latin letters."""
    found = set()
    for word in _words(*names):
        found.add(letters.key(word))
        if not word.isascii():
            found.add(letters.in_latin(word))
    return found


class Lexicon(dict[str, str]):
    """The class of each token, worked out when it is asked for the first time."""

    def __init__(self) -> None:
        super().__init__()
        self._plain: dict[str, str] = {}
        self._never: set[str] = set()
        for section, written in lists.words("words.txt"):
            self._plain.setdefault(written, _SECTIONS[section])
            if section == "ordinary":
                self._never.add(written)
        self._plain |= {word: "w" for word in _words("not_names.txt") if word not in self._plain}
        self._roots = {
            letters.key(word): said
            for word, said in self._plain.items()
            if said in "UQMDe" and len(word) > _SHORTEST and (said != "e" or word[-1] in "ыі")
        }
        self._own = _keys("given_kk_1.txt", "given_kk_2.txt", "given_ru_1.txt", "given_ru_2.txt")
        self._given = self._own | _keys("given_latin.txt")
        self._both = _keys("given_words_1.txt", "given_words_2.txt", "given_latin_words.txt")
        own = list(lists.words("surnames_own.txt"))
        self._surnames = _keys("surnames_ru.txt", "surnames_latin.txt")
        self._surnames |= {letters.key(word.lower()) for section, word in own if section == "surname"}
        self._surnames |= {letters.in_latin(word.lower()) for section, word in own if section == "surname"}
        self._word_surnames = {letters.key(word) for section, word in own if section == "word"}
        self._weak_surnames = _keys("surnames_latin_words.txt")
        self._asian = {word.lower() for section, word in own if section == "asian"}
        self._particles = {word.lower() for section, word in own if section == "particle"}
        self._places = set(_words("places_1.txt", "places_2.txt"))
        folded = {letters.key(word) for word in self._places}
        self._folded = folded | {word[:-1] for word in folded if len(word) > _SHORTEST and word[-1] in "аяый"}
        self.streets = frozenset(_words("streets.txt"))
        self._short = {len(word) for word in _SECOND}
        self.clear()

    def clear(self) -> None:
        """Forget what was said of words; of signs and of numbers up to two digits nothing new can be said."""
        super().clear()
        self.update({sign: _not_a_word(sign) for sign in _PUNCTUATION})
        self.update({str(number): "N" for number in range(100)} | {f"0{number}": "N" for number in range(10)})

    def __missing__(self, token: str) -> str:
        first = token[0]
        if first.isalpha() and len(token) <= _LONGEST and token.isalpha():
            said = self._word(token)
            if len(token) <= _KEPT_LENGTH:
                if len(self) >= _KEPT:
                    self.clear()
                self[token] = said
            return said
        if "_" in token and len(token) > 1:
            return self._plain.get(token.lower(), "w") if token.replace("_", "").isalpha() else "u"
        return _not_a_word(token)

    def _word(self, token: str) -> str:
        word = token.lower()
        if letters.is_mixed(word):
            token = letters.unmixed(token)
            word = token.lower()
        capital = token[0].isupper()
        listed = self._plain.get(word)
        if word in self._never:
            return "W" if capital else "w"
        if _MONTH.fullmatch(word):
            return "h"
        if len(token) == 1:
            return "I" if capital else listed or "i"
        if word in self._particles and (not capital or (token.isupper() and len(token) == 3)):
            return "B"
        if listed is not None and (not capital or listed in _ALWAYS):
            return "E" if capital and listed == "U" and word in self.streets else listed
        said = self._name(word, capital=capital)
        if (
            (said in ("G", "A", "V") or letters.key(word) in self._surnames)
            and token.isupper()
            and token.isascii()
            and letters.key(word) not in self._own
        ):
            said = "Y" if len(token) <= _SHORTEST else "A" if said != "V" else "Y"
        if listed is not None:
            return said if said in ("A", "J") else "W" if listed == "w" else listed
        if said in ("", "q", "a", "O", "V", "X") and len(word) > _SHORTEST + 1:
            root = self._roots.get(_KAZAKH.sub("", letters.key(word)))
            if root:
                return root
        if said:
            return said
        if not capital:
            return "w"
        if word in self._particles:
            return "B"
        if token[1:].islower() and len(token) > _SHORTEST - 1:
            if _FONDLY.fullmatch(word) or any(_NAME_END.search(stem) for stem in (word, *_stems(letters.key(word)))):
                return "G"
            if _CHINESE.fullmatch(word):
                return "J"
            if _FOREIGN.search(word):
                return "V"
        return "Y" if token.isupper() else "X"

    def _name(self, word: str, *, capital: bool) -> str:
        """Which name or place a word may be."""
        key = letters.key(word)
        if word in self._asian and capital:
            return "J"
        if word in self._places:
            return "R" if capital else "r"
        kind = self._given_name(key, capital=capital)
        if not kind and self._is_patronymic(word, key, capital=capital):
            return "P" if capital else "p"
        if not kind and self._is_place(key):
            return "R" if capital else "r"
        if kind:
            return kind
        kind = self._surname(word, key, capital=capital)
        if word in self.streets and kind in ("", "q", "s", "O"):
            return "E" if capital else "t"
        return kind

    def _is_patronymic(self, word: str, key: str, *, capital: bool) -> bool:
        found = _PATRONYMIC.search(key) if len(key) > 5 else None
        if not found:
            return False
        stem = key[: found.start()]
        stem = stem[:-1] + "и" if stem.endswith("ь") else stem
        if stem in _PATRONYMIC_STEMS or any(stem + end in self._given for end in ("", "й", "ь", "а", "i", "a")):
            return True
        return self._is_compound(stem) or (len(stem) > 3 and capital and _CERTAIN.search(word) is not None)

    def _is_place(self, key: str) -> bool:
        """Whether a word is a case form of a place."""
        return len(key) > _SHORTEST and (
            _KAZAKH.sub("", key) in self._folded or any(stem in self._folded for stem in _stems(key))
        )

    def _given_name(self, key: str, *, capital: bool) -> str:
        if key in self._both:
            return "A" if capital else "a"
        if key in self._given:
            if capital:
                return "G"
            if key in self._own and len(key) >= (5 if key.isascii() else _SHORTEST):
                return "g"
            return "y" if key.isascii() and len(key) >= _SHORTEST else "a"
        if len(key) < _SHORTEST:
            return ""
        for stem in _stems(key):
            if len(stem) > (_SHORTEST if key.isascii() else 2) and (not key.isascii() or stem in self._own):
                if stem in self._both:
                    return "A" if capital else "a"
                if stem in self._given:
                    if capital:
                        return "G"
                    long = len(stem) >= (6 if key.isascii() else 5)
                    return "g" if long and stem in self._own else "a"
        for stem in (key, *_stems(key)):
            if len(stem) > _SHORTEST and self._is_compound(stem):
                return "G" if capital else "g" if len(stem) > 6 and not key.isascii() else "a"
        return ""

    def _is_compound(self, key: str) -> bool:
        """Whether a word is made of two parts that Kazakh names are made of."""
        for length in self._short:
            if key[-length:] in _SECOND and (key[:-length] in _FIRST or (key[:-length] in self._given and length > 2)):
                return True
        return False

    def _surname(self, word: str, key: str, *, capital: bool) -> str:
        if key in self._word_surnames:
            return "O" if capital else "q"
        if key in self._surnames and (capital or len(key) > 5):
            return "S" if capital else "q" if key.isascii() else "s"
        if key in self._weak_surnames and capital:
            return "V"
        if len(key) <= _SHORTEST:
            return ""
        latin = key.isascii()
        found = (_LATIN_SURNAME.search(key) if latin else _SURNAME.search(word.replace("ё", "е"))) if key else None
        if not found:
            weak = _WEAK.search(key)
            if weak and len(key) > 5:
                return "V" if capital else "s" if (weak["sure"] or weak["latin"]) and len(key) > 6 else "q"
            known = not latin and any(stem in self._surnames for stem in _stems(key) if len(stem) > 3)
            return ("S" if capital else "q") if known else ""
        stem = key[: found.start("plain") if found["plain"] else found.end("kazakh")]
        base = key[: found.start("case")] if found["case"] else key
        known = bool(found["kazakh"]) or base in self._surnames
        known = known or any(stem + end in self._given for end in ("", "а", "й", "a", "i", "я", "ь"))
        known = known or (len(stem) > _SHORTEST + 1 and self._is_compound(stem))
        if known and len(stem) > 2:
            return "S" if capital else "s" if len(stem) > 3 else "q"
        return "O" if capital else "q"


def _stems(key: str) -> Iterator[str]:
    """What a word may be a case form of."""
    stem = _KAZAKH.sub("", key)
    if stem != key:
        yield stem
    fond = _FOND.sub("", key)
    if fond != key:
        yield fond
    for length in (3, 2, 1):
        for end in _RUSSIAN.get(key[-length:], ()):
            yield key[:-length] + end


def _not_a_word(token: str) -> str:
    if len(token) == 1 and not token.isalnum():
        return token if token in _PUNCTUATION else "?"
    if not token.isascii() or not token.isdecimal():
        if _HOUSE.fullmatch(token):
            return "N"
        return "n" if _ENDED.fullmatch(token) else "w" if token.isalpha() else "u"
    return "N" if len(token) <= 4 else "Z" if len(token) == 6 else "d"


@lru_cache(maxsize=1)
def lexicon() -> Lexicon:
    """The one lexicon of a process."""
    return Lexicon()
