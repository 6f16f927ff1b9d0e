"""Names of people: given names, surnames, patronymics and initials, together or alone, in any of their case forms.

Runs of tokens are looked at by class (`lexicon`) and by what stands beside them. Pure. People that streets, bodies and
laws are named after are no names here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from qaztech.ai.personal import lists
from qaztech.ai.personal.reading import Reading
from qaztech.ai.personal.spans import Span

_INITIALS: Final = r"(?:[IX]\.-?){1,3}(?:B{1,2})?[GASVOXJER](?:-[GASVOXE])?"
_SMALL_INITIALS: Final = r"(?:[ia]\.){1,2}[sqga](?![.@])"
_AFTER: Final = r"[GASVOXJER](?:-[GASVOXE])?,?(?:I\.-?){2}(?!I)|[GASVOJ](?:-[GASVO])?I\.?(?![.\w])"
_SMALL_AFTER: Final = r"[gsq](?:-[gsq])?(?:[iLDKcB]\.){2}"
_RUN: Final = (
    r"(?:[GASVOXJPYERgsp]|(?<=T)[aj]|(?<=T[:=])[aj])"
    r"(?:[-'’]?[GASVOXJPYgspaqj]|I['’][GASVOX]|-w|B{1,2}[GASVOXEgsw]|,[GAPX](?=[,;\n.\-<]|P|I|[GX]|$)){0,4}(?:,?I\.?(?![\w])){0,2}K?"
)
_PARTICLE: Final = r"B{1,2}['-]?[GASVOXYEsq](?:[GASVOX])?"
_LOWER: Final = r"[aq][gsp](?:[gsp])?|y[ygspqaj]{1,2}|[aqy]K|[aq]P?p|(?<=[kTc])[qs]a|B{2}w"
_ALL: Final = re.compile(
    f"(?=[GASVOXJPYERgspIiaqjytBr])(?:(?P<initials>{_INITIALS})|(?P<small>{_SMALL_INITIALS})|(?P<after>{_AFTER})"
    f"|(?P<smallafter>{_SMALL_AFTER})|(?P<lower>{_LOWER})|(?P<run>{_RUN})|(?P<particle>{_PARTICLE})|(?P<word>[ay]))"
)
_SURE: Final = frozenset("GSOPgsp")
_SENTENCE: Final = frozenset('.!?:\n»"—;|>()•*')
_QUOTES: Final = frozenset('«"“„')
_NAMED_AFTER: Final = frozenset("eUQM")
_NAMED_BEFORE: Final = frozenset("fUML")
# What stands before single words that are no names by themselves.
_PLAIN: Final = frozenset("w,-(UZNRXnhv") | {""}
_TWO: Final = frozenset({"XX", "XV", "VX", "AX", "XA"})
_KIN: Final = frozenset(lists.part("kin"))
_ADJECTIVE: Final = re.compile(
    r"(?:[лдт][ықі]к?|ный|ная|ное|ной|ого|ому|ский|ская|ское|ской|цкий|ий|ый|ая|ое|ых|их|ция|ство|изм)$"
)
_WHOLE: Final = re.compile("[GAX][GASOVX][GASOVXE]")
_CYRILLIC: Final = re.compile("[а-яёәғқңөұүһі]{3,}")
_AND_LONGEST: Final = 3
_ABBREVIATED: Final = frozenset({"т", "г", "п", "ст", "д", "e", "g", "i", "p", "a", "и", "ж", "с", "ч"})
_STRONG_CALL: Final = frozenset({
    "зовут", "это", "меня", "мне", "кличут", "зовите", "позовите", "позови", "набери", "наберите", "звони", "спроси",
    "спросите", "спросить", "скажи", "скажите", "передай", "передайте", "передать", "попроси", "попросите", "привет",
    "здравствуйте", "здрасте", "алло", "сәлем", "бұл", "мен", "құрметті", "its", "ask", "call", "ring", "tell", "text",
    "txt", "hi", "hello", "hey", "dear", "am", "named", "called", "met", "regards", "thanks", "звать",
})  # fmt: skip
_NAMING: Final = frozenset(
    {"зовут", "звать", "кличут", "ask", "named", "called", "аты", "атым", "атыңыз", "txt", "ring"}
)
_AFTER_A_PERSON: Final = frozenset({"с", "не", "и", "мен", "пен", "бен", "да"})
_CALLED: Final = frozenset({"деген", "дегенге", "дегенді", "дегеннің", "дегеннен", "degen"})
_AND: Final = frozenset({"и", "пен", "бен", "мен", "және", "or", "and", "да", "или", "а", "but"})
_BODY: Final = frozenset({"BIN", "БИН", "БСН", "LLP", "LLC", "ЖШС", "ТОО"})
_OF_A_STREET: Final = ("ова", "ева", "ина")
_SURNAME_ENDS: Final = ("ова", "ева", "ина", "ов", "ев", "ov", "ova", "ev", "eva")


def in_text(reading: Reading) -> Iterator[Span]:
    """The names in a text."""
    refused = found = -9
    for match in _ALL.finditer(reading.shape):
        first, last = match.span()
        group = str(match.lastgroup)
        if last - first == 1 and reading.shape[first] in "XYRE" and reading.shape[first - 1 : first] in _PLAIN:
            if _joined(reading, refused, first) or _is_context(reading, first, last):
                refused = last
            continue
        judged = _JUDGES[group](reading, first, last)
        listed = _joined(reading, refused, first)
        if judged is None and group == "run" and reading.shape[first:last] in _TWO and _joined(reading, found, first):
            judged = first, last
        if judged is None:
            if group != "word" and (listed or _is_context(reading, first, last)):
                refused = last
            elif group == "word" and _joined(reading, found, first):
                judged = first, last
        elif listed and last - first <= _AND_LONGEST and group == "run":
            judged, refused = None, last
        if judged is not None:
            found = judged[1]
            yield reading.span(_with_prefix(reading, judged[0]), judged[1], "name", 0.85)


_Judged = tuple[int, int] | None


def _with_prefix(reading: Reading, first: int) -> int:
    """Where a name begins that has a letter with an apostrophe before it."""
    if first > 1 and reading.shape[first - 1] in "'?" and reading.tokens[first - 1] in "'’ʼ`":
        joined = reading.shape[first - 2] in "Ii" and reading.is_joined(first) and reading.is_joined(first - 1)
        return first - 2 if joined else first
    return first


def _joined(reading: Reading, end: int, first: int) -> bool:
    """Whether only a comma or an "and" stands between."""
    return end >= 0 and first - end == 1 and (reading.shape[end] == "," or reading.word(end) in _AND)


def _is_context(reading: Reading, first: int, last: int) -> bool:
    """Whether it is a name that something else is called by."""
    return (
        reading.before(first) in _NAMED_BEFORE or reading.after(last) in _NAMED_AFTER or reading.shape[first] in "RE"
    )  # fmt: skip


def _opens(reading: Reading, place: int) -> bool:
    """Whether a sentence begins here, so that a capital says nothing."""
    before = reading.before(place)
    if not before or before in _SENTENCE or before in _QUOTES:
        return True
    return before == "-" and reading.before(place - 1) in ("", "\n")


def _initials(reading: Reading, first: int, last: int) -> _Judged:
    """Initials before a surname. A word of three letters with a full stop is none."""
    kinds = reading.shape[first:last]
    for at, kind in enumerate(kinds[:-1]):
        if kind == "X" and kinds[at + 1] == "." and len(reading.tokens[first + at]) > 2:
            return None
    if reading.before(first) in _NAMED_BEFORE or reading.after(last) in _NAMED_AFTER:
        return None
    return first, last


def _small(reading: Reading, first: int, last: int) -> _Judged:
    """Initials and a surname in small letters."""
    word = reading.word(last - 1)
    if reading.shape[last - 1] in "sg":
        return first, last
    if reading.shape[last - 1] == "q" and len(word) > 4:
        plain = reading.word(first) not in _ABBREVIATED or first == 0
        return (first, last) if word.endswith(_SURNAME_ENDS) and plain else None
    return None


def _after(reading: Reading, first: int, last: int) -> _Judged:
    """A surname with initials behind it."""
    kinds = reading.shape[first:last]
    doubtful = _opens(reading, first) and kinds[0] == "X" and "I.I" not in kinds
    return None if doubtful or reading.before(first) in ("U", "f") else (first, last)


def _small_after(reading: Reading, first: int, last: int) -> _Judged:
    """A surname with initials behind it, in small letters."""
    return None if reading.before(first) == "@" else (first, last)


def _particle(reading: Reading, first: int, last: int) -> _Judged:
    """A surname behind `van`, `von` and such."""
    capital = reading.tokens[first][0].isupper()
    kind = reading.shape[last - 1]
    if kind in "SG" or (kind in "XVAsY" and (not capital or not _opens(reading, first))):
        return first, last
    return None


def _lower(reading: Reading, first: int, last: int) -> _Judged:
    """A small word that may be a name, beside one that is."""
    if reading.shape[first] == "q" and reading.shape[last - 1] == "K":
        return None
    if reading.before(first) in ("U", "f") or reading.after(last) in _NAMED_AFTER:
        return None
    return first, last


def _word(reading: Reading, first: int, last: int) -> _Judged:
    """A small word that may be a name: only where what stands beside it says so."""
    before, after, said = reading.before(first), reading.after(last), reading.word(first - 1) if first else ""
    if before in ("T", "H") or after == "H" or reading.word(last) in _CALLED:
        return first, last
    if before == "k" or said in _STRONG_CALL:
        return (first, last) if said in _NAMING or after not in ("w", "a", "q", "e") else None
    if reading.shape[last : last + 2] in ("vw", "vv", "v,", "vc", "v-") and (
        before in ("", "\n", ",") or (before in ("w", "c") and said in _AND)
    ):
        return first, last
    return None


def _run(reading: Reading, first: int, last: int) -> _Judged:
    """A run of words that a name may be of: what is certain of it, if anything is."""
    first, whole = _tight(reading, first, last)
    if reading.after(whole) == "e" and _WHOLE.fullmatch(reading.shape, first, whole):
        whole -= 1
    first, last = _without_edges(reading, first, whole)
    if first == last:
        return None
    kinds = reading.shape[first:last]
    bare = re.sub("[-,.'’]", "", kinds)
    if _is_named_after(reading, first, last, kinds, len(bare)):
        return None
    if "E" in reading.shape[last:whole] and reading.after(whole) in _NAMED_AFTER:
        return None
    before = reading.before(first)
    if before == "T" or (before in (":", "=", ".") and reading.before(first - 1) == "T"):
        return (first, last) if kinds[0] not in "RE" or len(bare) > 1 else None
    if "P" in kinds or "p" in kinds:
        return first, last
    if len(bare) == 1:
        return (first, last) if _alone(reading, first, last) else None
    if _SURE & set(kinds) or _is_pair(reading, first, last, bare):
        return first, last
    return None


def _is_named_after(reading: Reading, first: int, last: int, kinds: str, words: int) -> bool:
    """Whether the name is of a street, a body, a work or a thing."""
    before, after = reading.before(first), reading.after(last)
    if after in ("U", "Q", "M") or (after == "E" and reading.after(last + 1) in ("U", "M")):
        return True
    if "P" in kinds:
        return False
    if after in _NAMED_AFTER or before in _NAMED_BEFORE:
        return True
    if before in ("«", "“", "„") and after in ("»", '"', "”", "“"):
        return True
    if before == '"' and after != '"' and '"' in reading.shape[last : last + 4]:
        return True
    if reading.word(last - 1) == "park" and kinds[0] != "J":
        return True
    if any(token in _BODY for token in reading.tokens[last : last + 2]):
        return True
    return words == 1 and before in ("e", "D") and reading.tokens[first - 1][0].isupper()


def _is_pair(reading: Reading, first: int, last: int, bare: str) -> bool:
    """Whether words none of which is a name for certain are one together."""
    opens = _opens(reading, first)
    if "A" in bare:
        if set(bare) & set("VJIK") or bare == "AX":
            return True
        return bare in ("XA", "AA") and not opens
    if "J" in bare:
        short = all(len(token) <= 9 for token in reading.tokens[first:last])
        return short and bare[0] in "JX" and (not opens or len(bare) > 2 or bare[0] == "J")
    if "V" in bare and not opens and len(bare) == 2:
        return True
    if bare == "XX" and not opens and all(_may_be_name(reading.word(place)) for place in (first, last - 1)):
        return True
    if bare == "VX" and not reading.word(first).isascii():
        return True
    return reading.before(first) == "k" and 1 < len(bare) < 4 and set(bare) <= set("XVAJ")


def _may_be_name(word: str) -> bool:
    """Whether an unknown Cyrillic word with a capital looks like part of a name: it is no adjective."""
    return _CYRILLIC.fullmatch(word) is not None and _ADJECTIVE.search(word) is None


def _tight(reading: Reading, first: int, last: int) -> tuple[int, int]:
    """The run up to where a hyphen or an apostrophe does not join."""
    shape = reading.shape
    end = last
    for place in range(first + 1, last):
        loose = shape[place] == "-" and not (
            reading.is_joined(place) and place + 1 < last and reading.is_joined(place + 1)
        )
        if loose or (shape[place] in "'’" and (place + 1 >= last or not reading.is_joined(place + 1))):
            end = place
            break
    while end > first and shape[end - 1] in "-',B":
        end -= 1
    return first, end


def _without_edges(reading: Reading, first: int, last: int) -> tuple[int, int]:
    """A run without the words at its ends that are not of the name."""
    shape, tokens = reading.shape, reading.tokens
    while last - first > 1 and shape[first] in "XYWRE" and shape[first + 1] in "GASOJPgsV" and _leaves(reading, first):
        first += 1
    while last > first and shape[last - 1] in "YRE," and not (shape[last - 1] == "Y" and tokens[first].isupper()):
        last -= 1
    if shape[first : first + 1] == "Y" and not _SURE & set(shape[first:last]):
        return first, first
    return first, last


def _leaves(reading: Reading, first: int) -> bool:
    """Whether the first word of a run is not of the name: a sentence begins with it, or it is a place."""
    shape = reading.shape
    if shape[first] in "RE":
        return True
    if shape[first] == "Y":
        return not reading.tokens[first + 1].isupper()
    return _opens(reading, first) and shape[first + 1] != "P" and shape[first + 1 : first + 3] != "GP"


def _alone(reading: Reading, first: int, last: int) -> bool:
    """Whether one word, with nothing of a name beside it, is a name."""
    kind, before, after = reading.shape[first], reading.before(first), reading.after(last)
    if kind in "SO" and reading.word(first - 1) == "по" and reading.word(first).endswith(_OF_A_STREET):
        return False
    if kind in "GgSs":
        return kind in "GS" or not (before in ("@", "_", "/", "№") or after in ("@", "_"))
    if kind == "O":
        known = (
            after in ("v", "T")
            or reading.shape[last : last + 2] in (",O", ",S")
            or _goes_on(reading, first)
            or before in (":", ")", "|")
        )
        return known or not _opens(reading, first)
    if kind == "A":
        if before in ("T", "k") or after in ("K", "H"):
            return True
        if (
            before in ("@", "_", "/", "№")
            or "R" in reading.shape[max(0, first - 2) : first] + reading.shape[last : last + 2]
        ):
            return False
        if _opens(reading, first):
            follows = reading.shape[last : last + 2]
            return ("v" in follows and follows[:1] not in ("e", "b", "a")) or follows[:1] == "'"
        return after not in ("»", '"')
    if kind in "XVJ" and reading.word(first - 1) in _KIN:
        return after not in ("»", "U", "Q", "M")
    if kind == "J" and len(reading.tokens[first]) > 2 and reading.word(last) in _AFTER_A_PERSON:
        return True
    return kind in "VJ" and before in ("T", "k")


def _goes_on(reading: Reading, first: int) -> bool:
    """Whether a surname is followed by what is said of people at the beginning of a sentence."""
    return reading.word(first).endswith(_SURNAME_ENDS) and reading.word(first + 1) in ("с", "не")


_JUDGES: Final = {
    "initials": _initials, "small": _small, "after": _after, "smallafter": _small_after, "lower": _lower, "run": _run,
    "particle": _particle, "word": _word,
}  # fmt: skip
