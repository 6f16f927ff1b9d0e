"""Schemas of an OpenAPI document in a few words: the type of a value, and an example of it, given or made up.

Cycles end where they begin: a schema inside itself is named, not unrolled. Documents need not be sound.
"""

from __future__ import annotations

import json
from typing import Any

from qaztech.member.openapi_check import dereferenced

MAX_KIND = 120
MAX_EXAMPLE = 500
MAX_MADE = 6
_DEEPEST = 4
# Stands for no example, where None may be one.
NONE = object()
_PLAIN: dict[Any, Any] = {"string": "text", "integer": 1, "number": 1.5, "boolean": True, "null": None}
_FORMS = {
    "date": "2027-01-31",
    "date-time": "2027-01-31T09:00:00+05:00",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "uri": "https://example.org/",
    "email": "office@example.org",
}
_ENCODER = json.JSONEncoder(ensure_ascii=False)


def kind_of(root: dict[str, Any], schema: Any, depth: int = 0) -> str:
    """The type in a few words: `integer`, `array of string`, `string (date)`, `"a" | "b"`, `Pet`."""
    named = reference_name(schema)
    resolved = dereferenced(root, schema)
    if not resolved or depth > _DEEPEST:
        return named or ("anything" if schema is not None else "")
    values = resolved.get("enum")
    if "const" in resolved:
        values = [resolved["const"]]
    if isinstance(values, list) and values:
        return _cut(" | ".join(brief_json(v, MAX_KIND) for v in values[:12]))
    for word, joint in (("oneOf", " or "), ("anyOf", " or "), ("allOf", " and ")):
        parts = resolved.get(word)
        if isinstance(parts, list) and parts:
            # Alternatives of alternatives multiply: two levels of them are enough to say what a thing is.
            return named or _cut(joint.join(kind_of(root, p, depth + 3) or "anything" for p in parts[:6]))
    type_ = resolved.get("type")
    types = [t for t in (type_ if isinstance(type_, list) else [type_]) if isinstance(t, str) and t != "null"]
    if types == ["array"]:
        return _cut(f"array of {kind_of(root, resolved.get('items'), depth + 1) or 'anything'}")
    if types == ["object"] or (not types and isinstance(resolved.get("properties"), dict)):
        return named or "object"
    text = " or ".join(types) or named or "anything"
    form = resolved.get("format")
    return _cut(f"{text} ({form})" if isinstance(form, str) and form else text)


def reference_name(schema: Any) -> str:
    """The last part of a schema's reference, as people call it; empty where it has none."""
    reference = schema.get("$ref") if isinstance(schema, dict) else None
    if not isinstance(reference, str):
        return ""
    return _cut(reference.rsplit("/", 1)[-1].replace("~1", "/").replace("~0", "~"))


def example_text(root: dict[str, Any], holder: dict[str, Any]) -> str | None:
    """The example that a parameter, media type or schema gives, as text; None where it gives none."""
    found = given_example(root, holder)
    return None if found is NONE else _as_text(found)


def given_example(root: dict[str, Any], holder: dict[str, Any]) -> Any:
    """The example that a parameter, media type or schema gives; `NONE` where it gives none."""
    for source in (holder, dereferenced(root, holder.get("schema"))):
        found = _own_example(root, source)
        if found is not NONE:
            return found
    return NONE


def _own_example(root: dict[str, Any], source: dict[str, Any]) -> Any:
    if "example" in source:
        return source["example"]
    examples = source.get("examples")
    if isinstance(examples, dict) and examples:
        first = dereferenced(root, next(iter(examples.values())))
        if "value" in first:
            return first["value"]
    if isinstance(examples, list) and examples:
        return examples[0]
    for word in ("const", "default"):
        if word in source:
            return source[word]
    values = source.get("enum")
    return values[0] if isinstance(values, list) and values else NONE


def made_example(root: dict[str, Any], schema: Any) -> Any:
    """A value of a schema's shape, small, with examples where the schema gives them; None where it says nothing."""
    return _Maker(root).value(schema, 0)


class _Maker:
    """Makes one example, in so many steps at most."""

    def __init__(self, root: dict[str, Any]) -> None:
        self._root = root
        self._left = 200

    def value(self, schema: Any, depth: int) -> Any:
        self._left -= 1
        resolved = dereferenced(self._root, schema)
        if self._left <= 0 or depth > MAX_MADE:
            return None
        own = _own_example(self._root, resolved)
        if own is not NONE:
            return own
        for word in ("oneOf", "anyOf"):
            parts = resolved.get(word)
            if isinstance(parts, list) and parts:
                return self.value(parts[0], depth + 1)
        type_ = resolved.get("type")
        kind = next((t for t in type_ if t != "null"), None) if isinstance(type_, list) else type_
        if kind == "array":
            return [self.value(resolved.get("items"), depth + 1)]
        if kind in _PLAIN:
            return _FORMS.get(str(resolved.get("format")), "text") if kind == "string" else _PLAIN[kind]
        return self._object(resolved, depth)

    def _object(self, schema: dict[str, Any], depth: int) -> Any:
        found: dict[str, Any] = {}
        parts = schema.get("allOf")
        for part in parts[:20] if isinstance(parts, list) else ():
            inner = self.value(part, depth + 1)
            found |= inner if isinstance(inner, dict) else {}
        properties = schema.get("properties")
        if not isinstance(properties, dict):
            return found or ({} if schema.get("type") == "object" else None)
        required = schema.get("required")
        # What must be there; where nothing must, the first few, to show what may be.
        names = [n for n in required if isinstance(n, str) and n in properties] if isinstance(required, list) else []
        for name in names[:50] or list(properties)[:5]:
            found[name] = self.value(properties[name], depth + 1)
        return found


def brief_json(value: Any, longest: int) -> str:
    """The beginning of a value as JSON; a large value costs no more than what is shown of it."""
    found: list[str] = []
    length = 0
    for chunk in _ENCODER.iterencode(value[: longest + 1] if isinstance(value, str) else value):
        found.append(chunk)
        length += len(chunk)
        if length > longest:
            break
    return "".join(found)[:longest]


def _as_text(value: Any) -> str:
    return value[:MAX_EXAMPLE] if isinstance(value, str) else brief_json(value, MAX_EXAMPLE)


def _cut(text: str) -> str:
    return text if len(text) <= MAX_KIND else text[: MAX_KIND - 1] + "…"
