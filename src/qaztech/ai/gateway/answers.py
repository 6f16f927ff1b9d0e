"""What servers answer: usage taken as a claim, texts put back, the mark of synthetic output added. Pure.

Counts that are missing are estimated from what was produced and said to be estimates; a stream is never free.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from qaztech.ai.personal.masking import Restorer, Vault
from qaztech.core.errors import Unavailable

MOST_TOKENS: Final = 10**9
# Characters of a token where a server does not say how many there were; languages written in Cyrillic have fewer.
_CHARACTERS = 3
# How deep an answer may be nested, and how many values it may have: embeddings of many texts have millions.
_DEPTH = 64
_MOST_COMMAS = 4_000_000
_decode = msgspec.json.Decoder().decode
encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of a call; `estimated` where the server did not count."""

    prompt: int
    completion: int
    estimated: bool = False


@dataclass(slots=True, kw_only=True)
class Produced:
    """What a stream has brought so far."""

    pieces: int = 0
    characters: int = 0
    claimed: Usage | None = None
    digest: Any = None
    unfinished: int = 1

    def usage(self, prompt_bytes: int) -> Usage:
        """What is paid: the claim, or at least what was seen to pass."""
        if self.claimed is not None:
            return self.claimed
        completion = max(self.pieces, -(-self.characters // _CHARACTERS))
        return Usage(prompt=-(-prompt_bytes // (2 * _CHARACTERS)), completion=completion, estimated=True)


def parse_answer(data: bytes) -> dict[str, Any]:
    """A whole answer. Raises `Unavailable`: the server does not speak JSON."""
    if data.count(b",") > _MOST_COMMAS:
        raise Unavailable("ai.answer.malformed", "the model's server answered too many values", at="service")
    try:
        answer = _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise Unavailable("ai.answer.malformed", "the model's server did not answer JSON", at="service") from exc
    if not isinstance(answer, dict):
        raise Unavailable("ai.answer.malformed", "the model's server did not answer a JSON object", at="service")
    # One with few brackets is not deep; that costs no walk.
    if data.count(b"[") + data.count(b"{") > _DEPTH and not _is_shallow(answer, _DEPTH):
        raise Unavailable("ai.answer.malformed", "the model's server answered what is too deep", at="service")
    return answer


def _is_shallow(value: object, depth: int) -> bool:
    if isinstance(value, dict):
        return depth > 0 and all(_is_shallow(each, depth - 1) for each in value.values())
    if isinstance(value, list):
        flat = bool(value) and all(type(each) is float for each in value)
        return depth > 0 and (flat or all(_is_shallow(each, depth - 1) for each in value))
    return True


def claimed_usage(answer: dict[str, Any]) -> Usage | None:
    """The tokens a server says there were; None where it says nothing that can be believed."""
    usage = answer.get("usage")
    if not isinstance(usage, dict):
        return None
    prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens", 0)
    if not all(type(each) is int and 0 <= each <= MOST_TOKENS for each in (prompt, completion)):
        return None
    return Usage(prompt=prompt, completion=completion)  # type: ignore[arg-type]


def usage_of(answer: dict[str, Any], prompt_bytes: int) -> Usage:
    """The tokens of a whole answer; estimated where the server does not count."""
    found = claimed_usage(answer)
    if found is not None:
        return found
    produced = Produced()
    produced.characters = sum(map(len, texts_of(answer.get("choices"))))
    return produced.usage(prompt_bytes)


def texts_of(value: object) -> list[str]:
    """Every text in a piece of an answer."""
    found: list[str] = []
    _walk(value, found.append)
    return found


def _walk(value: object, found: Callable[[str], object]) -> None:
    if isinstance(value, str):
        found(value)
    elif isinstance(value, dict):
        for each in value.values():
            _walk(each, found)
    elif isinstance(value, list):
        for each in value:
            _walk(each, found)


def restored(value: object, vault: Vault) -> object:
    """An answer with every text put back; a tool's arguments stay JSON."""
    if isinstance(value, str):
        return vault.restore(value)
    if isinstance(value, dict):
        return {
            name: vault.restore(each, escape=json_escape)
            if name == "arguments" and isinstance(each, str)
            else restored(each, vault)
            for name, each in value.items()
        }
    if isinstance(value, list):
        return [restored(each, vault) for each in value]
    return value


def json_escape(text: str) -> str:
    """A text as it stands between the quotation marks of JSON."""
    return encode(text).decode()[1:-1]


def mark(model: str, version: str, call: str, *, estimated: bool = False) -> dict[str, Any]:
    """What says in machine-readable form that an answer is synthetic (AI law, art. 21 and 22)."""
    found = {"synthetic": True, "model": model, "version": version, "call": call}
    return {**found, "usage_estimated": True} if estimated else found


@dataclass(slots=True)
class StreamRestorer:
    """Puts back what the pieces of a stream hold, each field of each choice by itself."""

    vault: Vault
    _open: dict[tuple[object, ...], Restorer] = field(default_factory=dict)

    def choice(self, choice: dict[str, Any]) -> dict[str, Any]:
        """One choice of one event. What is held back comes with a later event, the last of it with the choice's end."""
        index, ends = _index(choice), choice.get("finish_reason") is not None
        found = dict(choice)
        if isinstance(text := found.get("text"), str):
            found["text"] = self._fed((index, "text"), text) + (self._ended((index, "text")) if ends else "")
        delta = found.get("delta")
        if isinstance(delta, dict):
            found["delta"] = self._delta(index, delta, ends=ends)
        return found

    def _delta(self, index: object, delta: dict[str, Any], *, ends: bool) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in delta.items():
            if isinstance(value, str) and name != "role":
                found[name] = self._fed((index, name), value)
            elif name == "tool_calls" and isinstance(value, list):
                found[name] = [self._tool(index, each) for each in value]
            else:
                found[name] = value
        if ends:
            self._end_choice(index, found)
        return found

    def _tool(self, index: object, tool: object) -> object:
        function = tool.get("function") if isinstance(tool, dict) else None
        if not isinstance(tool, dict) or not isinstance(function, dict):
            return tool
        arguments = function.get("arguments")
        if not isinstance(arguments, str):
            return tool
        place = (index, "arguments", _index(tool))
        return {**tool, "function": {**function, "arguments": self._fed(place, arguments, json_escape)}}

    def _end_choice(self, index: object, delta: dict[str, Any]) -> None:
        for place in [each for each in self._open if each[0] == index]:
            rest = self._ended(place)
            if not rest:
                continue
            if place[1] == "arguments":
                tools = delta.get("tool_calls")
                if not isinstance(tools, list):
                    tools = delta["tool_calls"] = []
                tools.append({"index": place[2], "function": {"arguments": rest}})
            else:
                delta[str(place[1])] = str(delta.get(str(place[1])) or "") + rest

    def _fed(self, place: tuple[object, ...], text: str, escape: Callable[[str], str] | None = None) -> str:
        restorer = self._open.get(place)
        if restorer is None:
            restorer = self._open[place] = Restorer(self.vault, escape=escape)
        return restorer.feed(text)

    def _ended(self, place: tuple[object, ...]) -> str:
        restorer = self._open.pop(place, None)
        return restorer.end() if restorer is not None else ""


def _index(choice: dict[str, Any]) -> int:
    found = choice.get("index", 0)
    return found if isinstance(found, int) else 0
