"""What callers ask, in the form of the OpenAI API: read, looked through, and made ready for the server of a model.

Whatever of a body is text is looked at: each part of each message, names, tool arguments (JSON within JSON), tools'
descriptions, schemas, stops, metadata; it is the places that hold no text which are named here, not those that do. A
part that cannot be looked at (an image, a sound, a file) makes the call personal. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final, Literal

import msgspec

from qaztech.core.errors import Malformed

Endpoint = Literal["chat/completions", "completions", "embeddings"]
ENDPOINTS: Final[tuple[Endpoint, ...]] = ("chat/completions", "completions", "embeddings")
_NEEDED: Final = {"chat/completions": "messages", "completions": "prompt", "embeddings": "input"}
# Fields that are passed on. Servers have others, by which they give more than was reserved, fetch, or run something.
_OF_ALL: Final = frozenset({"model", "user"})
_OF_BOTH: Final = _OF_ALL | frozenset({
    "frequency_penalty", "guided_choice", "guided_grammar", "guided_json", "guided_regex", "ignore_eos",
    "length_penalty", "logit_bias", "logprobs", "max_completion_tokens", "max_tokens", "min_p", "min_tokens", "n",
    "presence_penalty", "repeat_penalty", "repetition_penalty", "seed", "skip_special_tokens", "stop", "stream",
    "stream_options", "structured_outputs", "temperature", "top_k", "top_p", "typical_p",
})  # fmt: skip
_FIELDS: Final[dict[Endpoint, frozenset[str]]] = {
    "chat/completions": _OF_BOTH | frozenset({
        "function_call", "functions", "messages", "metadata", "parallel_tool_calls", "prediction",
        "prompt_cache_key", "reasoning_effort", "response_format", "safety_identifier", "service_tier", "store",
        "tool_choice", "tools", "top_logprobs", "verbosity",
    }),
    "completions": _OF_BOTH | frozenset({"best_of", "echo", "prompt", "suffix"}),
    "embeddings": _OF_ALL | frozenset({"dimensions", "encoding_format", "input"}),
}  # fmt: skip
# What the parts of a message are that can be read; all others are images, sounds, files, whatever they are called.
_READABLE: Final = frozenset({"text", "refusal", "input_text", "output_text", "thinking", "reasoning"})
_MEDIA: Final = re.compile(r"image|audio|video|file|source|embeds", re.IGNORECASE)
MOST_CHOICES = 16
_DEPTH = 64
# Values of a body, each of which costs much more to read than its bytes do; commas say how many there can be.
_MOST_VALUES = 100_000
_MOST_COMMAS = 1_000_000
# Digits from which on a number may be somebody's; one that has lost its leading zeros had twelve.
_DIGITS = 9
_FULL = 12
# A model's template may put some tokens around what it is given.
_TEMPLATE_TOKENS = 64

_ADDRESS: Final = re.compile(r"\s*(?!data:)([a-z][a-z0-9+.-]*:|//)", re.IGNORECASE)
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{64,}={0,2}")

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
    # Every text in it, names of fields and long numbers included.
    texts: tuple[str, ...]
    # What servers put together of texts that stand side by side: the parts of a message.
    joined: tuple[tuple[str, ...], ...] = ()

    def masked(self, mask: Callable[[str], str]) -> dict[str, Any]:
        """The body with every text changed by `mask`. Raises `Malformed` where a field's name would change."""
        changed = _changed(self.body, mask)
        assert isinstance(changed, dict)  # noqa: S101 - a body is one, and stays one
        return changed


def parse_call(endpoint: Endpoint, data: bytes) -> ModelCall:
    """Read a body. Raises `Malformed` with what to change."""
    if data.count(b",") > _MOST_COMMAS:
        raise _too_many()
    try:
        body = _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise Malformed("ai.call.json", "the body is not JSON in UTF-8", at="caller") from exc
    if not isinstance(body, dict):
        raise Malformed("ai.call.json", "the body is a JSON object", at="caller")
    model = body.get("model")
    if not isinstance(model, str) or not 0 < len(model) <= 100:
        raise Malformed("ai.call.model", "`model` names the model", at="caller")
    if unknown := sorted(name for name, value in body.items() if name not in _FIELDS[endpoint] and value is not None):
        raise Malformed("ai.call.field", f"this gateway does not pass on `{unknown[0][:60]}`", at="caller")
    needed = _NEEDED[endpoint]
    if not body.get(needed):
        raise Malformed("ai.call.empty", f"`{needed}` is missing or empty", at="caller")
    if endpoint == "chat/completions":
        _check_messages(body["messages"])
    options = body.get("stream_options")
    found = _Found()
    _collect({name: value for name, value in body.items() if name != "model"}, found, 0)
    return ModelCall(
        endpoint=endpoint, model=model, stream=_flag(body, "stream") and endpoint != "embeddings",
        wants_usage=isinstance(options, dict) and options.get("include_usage") is True,
        choices=_choices(body, endpoint), most=_most(body),
        unreadable=found.unreadable or (endpoint != "chat/completions" and _is_tokens(body[needed])), body=body,
        texts=tuple(found.texts), joined=tuple(found.joined),
    )  # fmt: skip


@dataclass(slots=True)
class _Found:
    """What a walk through a body brings."""

    texts: list[str] = field(default_factory=list)
    joined: list[tuple[str, ...]] = field(default_factory=list)
    unreadable: bool = False
    values: int = 0


def _is_tokens(prompt: object) -> bool:
    """Whether a prompt is given in tokens, of one text or of several. Raises `Malformed`: it is neither that nor text.

    What tokens say nobody here can read.
    """
    several: list[Any] = prompt if isinstance(prompt, list) else [prompt]
    if all(isinstance(each, str) for each in several):
        return False
    lists = several if all(isinstance(each, list) for each in several) else [several]
    if not all(each and all(type(token) is int for token in each) for each in lists):
        raise Malformed("ai.call.field", "a prompt is a text, texts, tokens, or lists of tokens", at="caller")
    return True


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


def _collect(value: object, found: _Found, depth: int) -> None:
    if depth > _DEPTH:
        raise Malformed("ai.call.deep", f"the body is nested deeper than {_DEPTH}", at="caller")
    if isinstance(value, str):
        inner = _inner_json(value)
        if inner is None:
            found.texts.append(value)
        else:
            _collect(inner, found, depth + 1)
    elif isinstance(value, dict):
        _count(found, len(value))
        for name, each in value.items():
            found.texts.append(name)
            if name == "content" and isinstance(each, list):
                _collect_parts(each, found, depth + 1)
            else:
                _collect(each, found, depth + 1)
    elif isinstance(value, list):
        if value and all(type(each) is int for each in value):
            return  # tokens
        _count(found, len(value))
        for each in value:
            _collect(each, found, depth + 1)
    else:
        found.texts += _as_texts(value)


def _count(found: _Found, values: int) -> None:
    found.values += values
    if found.values > _MOST_VALUES:
        raise _too_many()


def _collect_parts(parts: list[Any], found: _Found, depth: int) -> None:
    """The parts of a message."""
    texts = []
    for part in parts:
        if _is_unreadable(part):
            _check_inline(part, 0)
            found.unreadable = True
            _collect(_readable(part), found, depth)
        else:
            _collect(part, found, depth)
            text = part.get("text") if isinstance(part, dict) else part
            if isinstance(text, str):
                texts.append(text)
    if len(texts) > 1:
        found.joined.append(tuple(texts))


def _is_unreadable(part: object) -> bool:
    """Whether a part of a message is, or has beside its text, what cannot be looked at."""
    if not isinstance(part, dict):
        return False
    kind = part.get("type", "text")
    return kind not in _READABLE or any(_MEDIA.search(name) for name in part)


def _readable(content: object) -> object:
    """What of such a part can be read: its name, its format, whatever is not the content itself."""
    if isinstance(content, dict):
        return {name: _readable(each) for name, each in content.items() if not _is_content(each)}
    if isinstance(content, list):
        return [_readable(each) for each in content if not _is_content(each)]
    return content


def _is_content(value: object) -> bool:
    return isinstance(value, str) and (value.startswith("data:") or _BASE64.fullmatch(value) is not None)


def _check_inline(value: object, depth: int) -> None:
    """A server that fetches an address on a caller's word would reach where the caller may not."""
    if depth > _DEPTH:
        raise Malformed("ai.call.deep", f"the body is nested deeper than {_DEPTH}", at="caller")
    if isinstance(value, dict):
        for each in value.values():
            _check_inline(each, depth + 1)
    elif isinstance(value, list):
        for each in value:
            _check_inline(each, depth + 1)
    elif isinstance(value, str) and _ADDRESS.match(value):
        raise Malformed("ai.call.remote", "images are sent in the request (data:…), not by address", at="caller")


def _as_texts(value: object) -> tuple[str, ...]:
    """A number as people write it, where it is long enough to be somebody's."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return ()
    text = str(int(value)) if value == value // 1 else repr(value)
    if len(text) < _DIGITS:
        return ()
    return (text,) if len(text) >= _FULL or not text.isdigit() else (text, text.zfill(_FULL))


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
        return {name: _changed(each, mask) for name, each in value.items()}
    if isinstance(value, list):
        return [_changed(each, mask) for each in value]
    # A number that is somebody's becomes a text: there is no other way to put it aside.
    return next((masked for text in _as_texts(value) if (masked := mask(text)) != text), value)


def _inner_json(text: str) -> object | None:
    """What a text holds that is JSON itself (a tool's arguments): escapes would hide what it says."""
    begin = text[:64].lstrip().lstrip("\ufeff").lstrip()[:1]
    if begin not in {"{", "[", '"'} or ("\\" not in text and len(text) > 64 * 1024):
        return None
    try:
        inner = _decode(text.strip().lstrip("\ufeff").encode())
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    return inner if isinstance(inner, (dict, list, str)) else None


def _too_many() -> Malformed:
    return Malformed("ai.call.values", "the body is made of too many values", at="caller")


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
