"""Schemas of an OpenAPI document in a few words: the type of a value, and an example of it.

Cycles end where they begin: a schema inside itself is named, not unrolled.
"""

from __future__ import annotations

import json
from typing import Any

from qaztech.member.openapi_check import dereferenced

MAX_KIND = 120
MAX_EXAMPLE = 500
_DEEPEST = 4
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
    for source in (holder, dereferenced(root, holder.get("schema"))):
        if "example" in source:
            return _as_text(source["example"])
        examples = source.get("examples")
        if isinstance(examples, dict) and examples:
            first = dereferenced(root, next(iter(examples.values())))
            if "value" in first:
                return _as_text(first["value"])
        if isinstance(examples, list) and examples:
            return _as_text(examples[0])
        for word in ("const", "default"):
            if word in source:
                return _as_text(source[word])
        values = source.get("enum")
        if isinstance(values, list) and values:
            return _as_text(values[0])
    return None


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
