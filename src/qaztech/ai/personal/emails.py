"""E-mail addresses, as they are written and as people spell them so that machines do not see them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from qaztech.ai.personal import lists
from qaztech.ai.personal.spans import Span

_ADDRESS: Final = re.compile(r"(?<![\w.+%-])[\w.+%-]{1,64}@[^\W_](?:[\w-]{0,62})(?:\.[\w-]{1,63}){1,6}(?<![-_.])")
_SPACED: Final = re.compile(
    r"(?<![\w.+%-])[\w+-]{1,64}(?: ?\. ?[\w+-]{1,64}){0,3} {0,2}@ {0,2}[\w-]{1,63}(?: ?\. ?[a-zA-Z][\w-]{1,62}){1,4}"
)
_AT: Final = (
    r"(?: {0,2}[\[(<{*_] ?(?:at|ат|эт|собака|собачка|ит|@|гав|dog) ?[\])>}*_] {0,2}"
    r"| {1,2}(?:at|at[ -]sign|собак[аиу]|собачка|собачку|эт|гав|на|ит белгісі|ит таңбасы|ит|айқұлақ|ıt belgisi"
    r"|it belgisi|sobaka|dog) {1,2})"
)
_DOT: Final = (
    r"(?: {0,2}[\[(<{*_] ?(?:dot|точка|тчк|нүкте|nukte|punkt|\.) ?[\])>}*_] {0,2}"
    r"| {1,2}(?:dot|точка|тчк|нүкте|nukte|núkte|tochka) {1,2}| ?\. ?)"
)
_DASH: Final = (
    r"(?: {1,2}(?:dash|дефис|тире|минус|underscore|подчёркивание|нижнее подчеркивание|сызықша|астын сызу) {1,2})"
)
_SPELT: Final = re.compile(
    rf"(?<![\w.+%-])[\w+-]{{1,64}}?(?:(?:{_DOT}|{_AT}|{_DASH})[\w+-]{{1,64}}?){{0,4}}{_AT}"
    rf"[\w-]{{1,63}}?(?:(?:{_DOT}|{_DASH})[\w-]{{1,63}}?){{0,3}}{_DOT}[^\W\d]{{2,16}}(?![\w-])(?!\.\w)(?! ?@)",
    re.IGNORECASE,
)
_BRACKETED: Final = re.compile(r"[\[(<{?][wW@zcva][\])>}?]")
_LAST_PART: Final = re.compile(r"[^\W\d_]*\Z")
_GLUED: Final = ("at-sign", "at sign", "_dot_", "*at*", "_at_", "(.)", "[.]")
_PLAIN_AT: Final = re.compile(r" at [\w-]+ ?\.")
_SPELT_DOT: Final = re.compile(r"dot|точка|тчк|нүкте|nukte|núkte|tochka|[\[(<{*] ?\.", re.IGNORECASE)
# Words for the sign that are used for little else, and those that mean something else more often.
_SURE: Final = re.compile(r"собач?к|белгісі|таңбасы|айқұлақ|belgisi|sobaka|at[ -]sign|[\[(<{*_] ?\w{2,7} ?[\])>}*_]")
_LAST: Final = frozenset(lists.part("mail-ends"))
_USER: Final = re.compile(r"[\d_.+-]|dot|точка|нүкте")
_CUE: Final = re.compile(r"mail|почт|пошта|жаз|пиш|write|мыло|ящик|хат")
_CUE_NEAR: Final = 40


def in_text(text: str, low: str, shape: str) -> Iterator[Span]:
    """Addresses, those spelt out too. `low` is the text in small letters, `shape` the classes of its words."""
    if "@" in text:
        for match in _ADDRESS.finditer(text):
            yield Span(*match.span(), "email")
        if " @" in text or "@ " in text or " ." in text:
            for match in _SPACED.finditer(text):
                if not match[0].startswith("- "):
                    yield Span(*match.span(), "email", 0.9)
    said = "z" in shape or _BRACKETED.search(shape)
    if said or (" at " in low and _PLAIN_AT.search(low)) or any(sign in low for sign in _GLUED):
        for match in _SPELT.finditer(low):
            if _is_one(low, match):
                yield Span(*match.span(), "email", 0.9)


def _is_one(low: str, match: re.Match[str]) -> bool:
    """Whether what was spelt is an address: by a sign that is nothing else, or by its last part and what is beside."""
    written = match[0]
    if _SURE.search(written):
        return True
    if "".join(_LAST_PART.findall(written)) not in _LAST:
        return False
    user = written.split(" ", 1)[0]
    return bool(
        _SPELT_DOT.search(written)
        or _USER.search(user)
        or _CUE.search(low, max(0, match.start() - _CUE_NEAR), match.start())
    )
