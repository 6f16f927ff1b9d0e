"""What callers ask, in the form of the OpenAI API: read, looked through, and made ready for the server of a model.

Whatever of a body is text is looked at: each part of each message, names, tool arguments (JSON within JSON), tools'
descriptions, schemas, stops, metadata; it is the places that hold no text which are named here, not those that do. A
part that cannot be looked at (an image, a sound, a file) makes the call personal. Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Literal

import msgspec

from qaztech.core.errors import Malformed

Endpoint = Literal["chat/completions", "completions", "embeddings"]
ENDPOINTS: Final[tuple[Endpoint, ...]] = ("chat/completions", "completions", "embeddings")
# Words of the protocol: what stands under these names is not what people wrote.
_WORDS: Final = frozenset({"model", "role", "type", "object", "encoding_format"})
# Parts that hold what cannot be read here.
_UNREADABLE: Final = frozenset({"image_url", "input_audio", "file", "input_image", "input_file", "video_url"})
_NEEDED: Final = {"chat/completions": "messages", "completions": "prompt", "embeddings": "input"}
MOST_CHOICES = 16
_DEPTH = 64
# A model's template may put some tokens around what it is given.
_TEMPLATE_TOKENS = 64

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCall:
    """One request as it was asked. `unreadable`: whether parts of it cannot be looked at."""

    endpoint: Endpoint
    model: str
    stream: bool
    # Whether the caller wants the event that tells the usage of a stream.
    wants_usage: bool
    choices: int
    # Tokens it may be answered with at most, for each choice; None: what the place allows.
    most: int | None
    unreadable: bool
    body: dict[str, Any]
    # Every text in it, names of fields included.
    texts: tuple[str, ...]

    def masked(self, mask: Callable[[str], str]) -> dict[str, Any]:
        """The body with every text changed by `mask`. Raises `Malformed` where a field's name would change."""
        changed = _changed(self.body, mask)
        assert isinstance(changed, dict)  # noqa: S101 - a body is one, and stays one
        return changed


def parse_call(endpoint: Endpoint, data: bytes) -> ModelCall:
    """Read a body. Raises `Malformed` with what to change."""
    try:
        body = _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise Malformed("ai.call.json", "the body is not JSON in UTF-8", at="caller") from exc
    if not isinstance(body, dict):
        raise Malformed("ai.call.json", "the body is a JSON object", at="caller")
    model = body.get("model")
    if not isinstance(model, str) or not 0 < len(model) <= 100:
        raise Malformed("ai.call.model", "`model` names the model", at="caller")
    needed = _NEEDED[endpoint]
    if not body.get(needed):
        raise Malformed("ai.call.empty", f"`{needed}` is missing or empty", at="caller")
    if endpoint == "chat/completions":
        _check_messages(body["messages"])
    options = body.get("stream_options")
    texts: list[str] = []
    unreadable: list[str] = []
    _collect(body, texts.append, unreadable.append, 0)
    return ModelCall(
        endpoint=endpoint, model=model, stream=_flag(body, "stream") and endpoint != "embeddings",
        wants_usage=isinstance(options, dict) and options.get("include_usage") is True,
        choices=_choices(body, endpoint), most=_most(body), unreadable=bool(unreadable), body=body,
        texts=tuple(texts),
    )  # fmt: skip


def _check_messages(messages: object) -> None:
    if not isinstance(messages, list) or not all(
        isinstance(each, dict) and isinstance(each.get("role"), str) for each in messages
    ):
        raise Malformed("ai.call.messages", "`messages` is a list of objects, each with a `role`", at="caller")


def _flag(body: dict[str, Any], name: str) -> bool:
    value = body.get(name)
    if value is None or isinstance(value, bool):
        return bool(value)
    raise Malformed("ai.call.field", f"`{name}` is true or false", at="caller")


def _number(body: dict[str, Any], name: str, most: int) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= most:
        raise Malformed("ai.call.field", f"`{name}` is a whole number from 1 to {most}", at="caller")
    return value


def _choices(body: dict[str, Any], endpoint: Endpoint) -> int:
    asked = _number(body, "n", MOST_CHOICES) or 1
    best = (_number(body, "best_of", MOST_CHOICES) or 1) if endpoint == "completions" else 1
    prompts = body.get("prompt")
    # Several prompts at once are as many completions; a list of numbers is one prompt, in tokens.
    several = len(prompts) if isinstance(prompts, list) and prompts and not isinstance(prompts[0], int) else 1
    if several > MOST_CHOICES:
        raise Malformed("ai.call.field", f"`prompt` has at most {MOST_CHOICES} texts", at="caller")
    return max(asked, best) * several


def _most(body: dict[str, Any]) -> int | None:
    asked = [_number(body, name, 1_000_000) for name in ("max_completion_tokens", "max_tokens")]
    return min((value for value in asked if value is not None), default=None)


def _collect(value: object, found: Callable[[str], object], unreadable: Callable[[str], object], depth: int) -> None:
    if depth > _DEPTH:
        raise Malformed("ai.call.deep", f"the body is nested deeper than {_DEPTH}", at="caller")
    if isinstance(value, str):
        inner = _inner_json(value)
        if inner is None:
            found(value)
        else:
            _collect(inner, found, unreadable, depth + 1)
    elif isinstance(value, dict):
        part = _part(value)
        if part:
            _check_inline(part, value[part])
            unreadable(part)
        for name, each in value.items():
            found(name)
            if name == part:
                each = _readable(each)  # noqa: PLW2901
            if name not in _WORDS or not isinstance(each, str):
                _collect(each, found, unreadable, depth + 1)
    elif isinstance(value, list):
        for each in value:
            _collect(each, found, unreadable, depth + 1)


def _part(value: dict[str, Any]) -> str:
    """The name of what cannot be read, where this is a part of a message that has such; else empty."""
    kind = value.get("type")
    return kind if isinstance(kind, str) and kind in _UNREADABLE and kind in value else ""


def _readable(content: object) -> object:
    """What of such a part can be read: its name, its format, whatever is not the content itself."""
    if isinstance(content, dict):
        return {name: each for name, each in content.items() if not _is_content(name, each)}
    return None


def _is_content(name: str, value: object) -> bool:
    return isinstance(value, str) and (name in {"data", "file_data"} or (name == "url" and value.startswith("data:")))


def _check_inline(name: str, part: object) -> None:
    """A server that fetches an address on a caller's word would reach where the caller may not."""
    url = part.get("url") if isinstance(part, dict) else part
    if isinstance(url, str) and name.endswith(("url", "image")) and not url.startswith("data:"):
        raise Malformed("ai.call.remote", "images are sent in the request (data:…), not by address", at="caller")


def _changed(value: object, mask: Callable[[str], str]) -> object:
    if isinstance(value, str):
        inner = _inner_json(value)
        if inner is None:
            return mask(value)
        other = _changed(inner, mask)
        return value if other == inner else _encode(other).decode()
    if isinstance(value, dict):
        for name in value:
            if mask(name) != name:
                raise Malformed(
                    "ai.personal.name", "a field's name holds personal data, which cannot be masked there", at="caller"
                )
        part = _part(value)
        return {
            name: _part_changed(each, mask)
            if name == part
            else each
            if name in _WORDS and isinstance(each, str)
            else _changed(each, mask)
            for name, each in value.items()
        }
    if isinstance(value, list):
        return [_changed(each, mask) for each in value]
    return value


def _part_changed(content: object, mask: Callable[[str], str]) -> object:
    if not isinstance(content, dict):
        return content
    return {name: each if _is_content(name, each) else _changed(each, mask) for name, each in content.items()}


def _inner_json(text: str) -> object | None:
    """What a text holds that is JSON itself (a tool's arguments): escapes would hide what it says."""
    if not text.startswith(("{", "[")) or ("\\" not in text and len(text) > 64 * 1024):
        return None
    try:
        inner = _decode(text.encode())
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    return inner if isinstance(inner, (dict, list)) else None


def prepared(call: ModelCall, body: dict[str, Any], *, model: str, most: int) -> tuple[bytes, int, int]:
    """The body for a server, and the most tokens it may take and give.

    The bounds hold for every tokeniser that falls back to bytes: a token is at least one byte of the body.
    """
    sent = {**body, "model": model}
    completion = 0
    if call.endpoint != "embeddings":
        given = min(call.most or most, most)
        name = "max_completion_tokens" if sent.get("max_completion_tokens") is not None else "max_tokens"
        sent.pop("max_tokens" if name == "max_completion_tokens" else "max_completion_tokens", None)
        sent[name] = given
        completion = given * call.choices
    if call.stream:
        sent["stream_options"] = {"include_usage": True}
    data = _encode(sent)
    several = call.choices if call.endpoint == "completions" else 1
    return data, (len(data) + _TEMPLATE_TOKENS) * several, completion


def digest_of(data: bytes) -> str:
    """SHA-256, hex, of what was asked or answered."""
    return sha256(data).hexdigest()
