"""Personal data put aside for one call and put back into its answer: reversible, and only for who sent it.

A token is `[NAME_1_K7QX]`: a kind, a number, and four characters that are drawn for each call and stand nowhere in its
request. So a caller cannot write one beforehand, nor one of another call. The token is a word of its own: what
languages put behind a word (`[NAME_1_K7QX]ға`) stays where it is. A model that leaves out the brackets, or changes
case, is understood too. Equal values have one token. Pure but for the drawing.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Sequence
from html import unescape

from qaztech.ai.personal.spans import KINDS, Span
from qaztech.core.errors import Unavailable

_LETTERS = "ABCDEFGHJKMNPQRSTVWXYZ23456789"
_MARK = 4
# Where every mark of that length stands in the texts, a longer one is drawn.
_MOST_MARK = 12
_DRAWS = 8
_KINDS = "|".join(kind.upper() for kind in KINDS)
_TOKEN = re.compile(
    rf"(\[?)((?:{_KINDS})_[0-9]{{1,6}}_[{_LETTERS}]{{{_MARK},{_MOST_MARK}}})(\]?)", re.IGNORECASE | re.ASCII
)

_SPACE = re.compile(r"\s")
_ADDRESS = re.compile(r"[/\\]{2}|(?:https?|ftp|wss?):|www\.", re.IGNORECASE)
_ESCAPE = re.compile(r"\\u([0-9a-f]{4})", re.IGNORECASE)
# Characters of what came that are looked at again with what comes: the longest sign of an address, escaped.
_TAIL = 64


def draw_mark(texts: Iterable[str]) -> str:
    """Four characters that stand in none of these texts, in either case; more, where a caller wrote all there are."""
    everything = [text.upper() for text in texts]
    for length in range(_MARK, _MOST_MARK + 1):
        for _ in range(_DRAWS):
            mark = "".join(secrets.choice(_LETTERS) for _ in range(length))
            if not any(mark in text for text in everything):
                return mark
    raise Unavailable("ai.mark.none", "no mark could be drawn that stands nowhere in the text", at="consumer-node")


class Surroundings:
    """Whether a text that comes in pieces is within an address: since the last space, or within angle brackets."""

    def __init__(self) -> None:
        self._word = self._bracket = ""
        self._word_leads = self._bracket_leads = False

    @property
    def is_address(self) -> bool:
        """Whether what comes next would be a part of one."""
        return self._word_leads or (self._bracket_leads and self._bracket.startswith("<"))

    def feed(self, text: str) -> None:
        """Take in what came next."""
        if not text:
            return
        words = _SPACE.split(text)
        begin = "" if len(words) > 1 else self._word
        self._word_leads = (self._word_leads and len(words) == 1) or _leads(begin + words[-1])
        self._word = (begin + words[-1])[-_TAIL:]
        at = max(text.rfind(each) for each in "<>\n")
        bracket = self._bracket + text if at < 0 else text[at:]
        self._bracket_leads = (self._bracket_leads and at < 0) or _leads(bracket)
        self._bracket = bracket[:1] + bracket[1:][-_TAIL:]


def _leads(text: str) -> bool:
    """Whether a text has the beginning of an address, however its signs are written."""
    if "&" in text or "\\u" in text:
        text = unescape(_ESCAPE.sub(lambda match: chr(int(match[1], 16)), text))
    return _ADDRESS.search(text) is not None


class Vault:
    """What was put aside in one call. Not shared between calls, never written down."""

    def __init__(self, mark: str) -> None:
        self._mark = mark
        self._tokens: dict[tuple[str, str], str] = {}
        self._values: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self._beginnings: set[str] = set()
        self._longest = 0

    def __len__(self) -> int:
        return len(self._values)

    def counts(self) -> dict[str, int]:
        """How many values of each kind were put aside."""
        return dict(self._counts)

    def mask(self, text: str, spans: Sequence[Span]) -> str:
        """The text with each span's place taken by a token. Spans are in order and do not overlap."""
        parts, at = [], 0
        for span in spans:
            parts += [text[at : span.start], self._token(span.kind, text[span.start : span.end])]
            at = span.end
        return "".join([*parts, text[at:]])

    def _token(self, kind: str, value: str) -> str:
        token = self._tokens.get((kind, value))
        if token is None:
            number = self._counts[kind] = self._counts.get(kind, 0) + 1
            bare = f"{kind.upper()}_{number}_{self._mark}"
            token = self._tokens[kind, value] = f"[{bare}]"
            self._values[bare] = value
            for form in (token, bare):
                self._beginnings.update(form[:length] for length in range(1, len(form)))
            self._longest = max(self._longest, len(token))
        return token

    def restore(
        self, text: str, *, escape: Callable[[str], str] | None = None, before: Surroundings | None = None
    ) -> str:
        """The text with every token of this call replaced by what it stands for (through `escape`).

        Not in an address: who shows the text would send it there. `before` is what came before the text.
        """
        if not self._values:
            return text
        before = before or Surroundings()
        parts, at = [], 0
        for match in _TOKEN.finditer(text):
            before.feed(text[at : match.start()])
            parts += [text[at : match.start()], match[0] if before.is_address else self._value_of(match, escape)]
            before.feed(match[0])
            at = match.end()
        before.feed(text[at:])
        return "".join([*parts, text[at:]])

    def _value_of(self, match: re.Match[str], escape: Callable[[str], str] | None) -> str:
        value = self._values.get(match[2].upper())
        if value is None:
            return match[0]
        value = value if escape is None else escape(value)
        # A bracket is of the token where both are there.
        return value if match[1] and match[3] else f"{match[1]}{value}{match[3]}"

    def held_back(self, text: str) -> int:
        """How many characters at the end of a text may be the beginning of a token."""
        upper = text[-self._longest :].upper() if self._longest else ""
        for length in range(len(upper), 0, -1):
            if upper[-length:] in self._beginnings:
                return length
        return 0


class Restorer:
    """Puts back what a stream holds tokens of, wherever its pieces are cut."""

    def __init__(self, vault: Vault, *, escape: Callable[[str], str] | None = None) -> None:
        self._vault = vault
        self._escape = escape
        self._held = ""
        self._before = Surroundings()

    def feed(self, piece: str) -> str:
        """What of the stream is certain now."""
        text = self._held + piece
        keep = self._vault.held_back(text)
        self._held = text[len(text) - keep :]
        return self._vault.restore(text[: len(text) - keep], escape=self._escape, before=self._before)

    def end(self) -> str:
        """What was held back, as the stream is over."""
        text, self._held = self._held, ""
        return self._vault.restore(text, escape=self._escape, before=self._before)
