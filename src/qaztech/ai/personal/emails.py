"""E-mail addresses, as they are written and as people spell them so that machines do not see them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from qaztech.ai.personal.spans import Span

_ADDRESS: Final = re.compile(r"(?<![\w.+%-])[\w.+%-]{1,64}@[^\W_](?:[\w-]{0,62})(?:\.[\w-]{1,63}){1,6}(?<![-_.])")
_SPACED: Final = re.compile(
    r"(?<![\w.+%-])[\w+-]{1,64}(?: ?\. ?[\w+-]{1,64}){0,3} {0,2}@ {0,2}[\w-]{1,63}(?: ?\. ?[a-zA-Z][\w-]{1,62}){1,4}"
)
_AT: Final = (
    r"(?: {0,2}[\[(<{] ?(?:at|ат|эт|собака|собачка|ит|@|gav) ?[\])>}] {0,2}"
    r"| {1,2}(?:at|собака|собачка|эт|гав|ит белгісі|ит таңбасы|айқұлақ|ıt belgisi|it belgisi|sobaka) {1,2})"
)
_DOT: Final = (
    r"(?: {0,2}[\[(<{] ?(?:dot|точка|тчк|нүкте|nukte|punkt|\.) ?[\])>}] {0,2}| {1,2}(?:dot|точка|тчк|нүкте|nukte"
    r"|núkte|tochka) {1,2}"
    r"| ?\. ?)"
)
_DASH: Final = r"(?: {1,2}(?:dash|дефис|тире|минус|underscore|подчёркивание|нижнее подчеркивание|сызықша) {1,2})"
_SPELT: Final = re.compile(
    rf"(?<![\w.+%-])[\w+-]{{1,64}}(?:(?:{_DOT}|{_AT}|{_DASH})[\w+-]{{1,64}}){{0,4}}{_AT}"
    rf"[\w-]{{1,63}}(?:{_DOT}[\w-]{{1,63}}){{1,4}}",
    re.IGNORECASE,
)
_SIGNS: Final = (
    "dot", "точка", "тчк", "нүкте", "nukte", "núkte", "tochka", "[at", "(at", "<at", "{at", "[ at", "( at", "собак",
    "[эт", "(эт", "[ат", "(ат", "[@", "(@", "[ит",
)  # fmt: skip
_SPELT_DOT: Final = re.compile(r"dot|точка|тчк|нүкте|nukte|núkte|tochka|[\[(<{] ?\.", re.IGNORECASE)
_PLAIN_AT: Final = re.compile(r" at | эт | ат ", re.IGNORECASE)


def in_text(text: str, low: str) -> Iterator[Span]:
    """Addresses, those spelt out too."""
    if "@" in text:
        for match in _ADDRESS.finditer(text):
            yield Span(*match.span(), "email")
        if " @" in text or "@ " in text or " ." in text:
            for match in _SPACED.finditer(text):
                if not match[0].startswith("- "):
                    yield Span(*match.span(), "email", 0.9)
    if any(sign in low for sign in _SIGNS):
        for match in _SPELT.finditer(text):
            if not _PLAIN_AT.search(match[0]) or _SPELT_DOT.search(match[0]):
                yield Span(*match.span(), "email", 0.9)
