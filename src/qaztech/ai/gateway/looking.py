"""Looking through a call for personal data, and masking it. A finder that fails refuses the call, whatever it is asked.

Pure but for the drawing of a mark. Not here: how anything is found (`personal`), what follows from it (`policy`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import unescape
from typing import Any
from urllib.parse import unquote

from qaztech.ai.gateway.calls import ModelCall
from qaztech.ai.gateway.policy import Handling
from qaztech.ai.personal.masking import Vault, draw_mark
from qaztech.ai.personal.spans import NOT_PERSONAL, Finder, Span
from qaztech.core.errors import Unavailable

# Text from which on a call is looked through beside the loop, in characters.
LARGE = 4 * 1024
_SHORTEST = 3
# Characters written otherwise than as themselves.
_ESCAPED = re.compile(r"\\u[0-9a-f]{4}|\\x[0-9a-f]{2}|%[0-9a-f]{2}|&#|&[a-z]{2,8};", re.IGNORECASE)
_ESCAPE = re.compile(r"\\u([0-9a-f]{4})|\\x([0-9a-f]{2})", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a call holds: spans by text, and how many of which kind are personal data."""

    spans: dict[str, tuple[Span, ...]]
    counts: dict[str, int]
    unreadable: bool

    @property
    def has_personal(self) -> bool:
        """Whether personal data is in it, or may be in a part that nobody could look at."""
        return bool(self.counts) or self.unreadable

    def masked(self, call: ModelCall) -> tuple[dict[str, Any], Vault]:
        """The body with what was found put aside. Raises `Malformed` where it stands in a field's name."""
        vault = Vault(draw_mark(call.texts))
        spans = self.spans
        return call.masked(lambda text: vault.mask(text, found) if (found := spans.get(text)) else text), vault

    def said(self, handling: Handling) -> str:
        """What was decided, as it stands in records: `clean`, or what was done with how many of which kind."""
        parts = [f"{kind}:{count}" for kind, count in sorted(self.counts.items())]
        if self.unreadable:
            parts.append("unreadable")
        done = {"mask": "masked", "pass": "passed", "refuse": "refused"}[handling]
        return f"{done} {' '.join(parts)}" if parts else "clean"


def look_through(finder: Finder, call: ModelCall, handling: Handling) -> tuple[Seen, dict[str, Any], Vault | None]:
    """Look through a call, and mask it where that is asked for: what was seen, the body, what was put aside."""
    seen = look(finder, call)
    if seen.spans and handling == "mask":
        return seen, *seen.masked(call)
    return seen, call.body, None


def look(finder: Finder, call: ModelCall) -> Seen:
    """Look through every text of a call. Raises `Unavailable` where the finder fails: nothing passes unseen."""
    spans: dict[str, tuple[Span, ...]] = {}
    counts: dict[str, int] = {}
    hidden = False
    try:
        for text in call.texts:
            if len(text) < _SHORTEST or text in spans or text in _PROTOCOL:
                continue
            found = _personal(finder.find(text))
            hidden = hidden or _hides(finder, text, len(found))
            if found:
                spans[text] = found
                for span in found:
                    counts[span.kind] = counts.get(span.kind, 0) + 1
        hidden = hidden or any(_is_split(finder, parts, spans) for parts in call.joined)
    except Exception as exc:  # noqa: BLE001
        # The text may stand in what the finder says of its failure: only the kind of failure is kept.
        raise Unavailable(
            "ai.detector.failed", "personal data could not be looked for, so nothing was sent", at="consumer-node",
            context=type(exc).__name__,
        ) from None  # fmt: skip
    return Seen(spans=spans, counts=counts, unreadable=call.unreadable or hidden)


def _hides(finder: Finder, text: str, found: int) -> bool:
    """Whether a text says more personal data when its escapes, entities and percent signs are read."""
    if not _ESCAPED.search(text):
        return False
    plain = unquote(unescape(_ESCAPE.sub(lambda match: chr(int(match[1] or match[2], 16)), text)))
    return plain != text and len(_personal(finder.find(plain))) > found


def _is_split(finder: Finder, parts: Sequence[str], spans: Mapping[str, tuple[Span, ...]]) -> bool:
    """Whether parts say together what none of them says."""
    return len(_personal(finder.find("".join(parts)))) > sum(len(spans.get(part, ())) for part in parts)


def _personal(found: Sequence[Span]) -> tuple[Span, ...]:
    return tuple(span for span in found if span.kind not in NOT_PERSONAL)


# fmt: off
_PROTOCOL = frozenset({
    "arguments", "array", "assistant", "boolean", "content", "description", "developer", "dimensions",
    "encoding_format", "frequency_penalty", "function", "include_usage", "input", "integer", "json_schema", "logprobs",
    "max_completion_tokens", "max_tokens", "messages", "metadata", "model", "name", "number", "object", "parameters",
    "presence_penalty", "prompt", "properties", "required", "response_format", "role", "schema", "seed", "stop",
    "stream", "stream_options", "string", "system", "temperature", "text", "tool", "tool_calls", "tool_choice",
    "tools", "top_p", "type", "user",
})
# fmt: on
