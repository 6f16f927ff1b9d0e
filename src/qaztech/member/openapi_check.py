"""Holding an OpenAPI document against the published schema, and its references against itself.

The schemas lie in `schemas/` and nothing is fetched: neither by the validator, whose registry knows only these, nor for
a reference in the document, which is followed inside it or reported. Cycles are allowed and never unrolled.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote

from qaztech.member.openapi_findings import Findings, Pointer

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator

Specification = Literal["3.0", "3.1"]
SCHEMAS = Path(__file__).parent / "schemas"
MAX_CHAIN = 32
MAX_REFERENCE = 1000
_UNEXPECTED = re.compile(r"\((.*) (?:was|were) unexpected\)", re.DOTALL)
_DATA = frozenset({"example", "examples", "default", "const", "enum", "value"})


@lru_cache(maxsize=2)
def _validator(specification: Specification) -> Validator:
    # The libraries take three MiB of every process that only shows descriptions.
    from jsonschema import Draft4Validator, Draft202012Validator  # noqa: PLC0415
    from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]  # noqa: PLC0415
    from referencing import Resource  # noqa: PLC0415

    schema = json.loads((SCHEMAS / f"openapi-{specification}.json").read_text(encoding="utf-8"))
    if specification == "3.0":
        return Draft4Validator(schema, registry=REGISTRY)
    dialect = "https://json-schema.org/draft/2020-12/schema"
    # How the published schema is meant to be extended: schemas inside a description are JSON Schemas.
    extended = {
        "$schema": dialect,
        "$id": "urn:qaztech:openapi-3.1",
        "$ref": schema["$id"],
        "$defs": {"schema": {"$dynamicAnchor": "meta", "$ref": dialect}},
    }
    # Crawled once, so that looking up an anchor does not crawl each time: half the cost.
    return Draft202012Validator(extended, registry=(Resource.from_contents(schema) @ REGISTRY).crawl())


def check_schema(root: dict[str, Any], specification: Specification, findings: Findings) -> None:
    """Report what the published schema does not allow."""
    for error in _validator(specification).iter_errors(root):
        cause = _cause(error)
        findings.error("schema", tuple(cause.absolute_path), _say(cause))
        if findings.full:
            return


def _cause(error: ValidationError) -> ValidationError:
    """Inside an error of alternatives, the error of the alternative that was most likely meant."""
    while error.context:
        # An object without `$ref` was not meant as a reference.
        meant = [e for e in error.context if not (e.validator == "required" and e.validator_value == ["$ref"])]
        error = max(meant or error.context, key=lambda e: len(e.absolute_path))
    return error


def _say(error: ValidationError) -> str:
    rule, value = error.validator, error.validator_value
    if rule == "required" and isinstance(value, list) and isinstance(error.instance, dict):
        return f"missing: {', '.join(name for name in value if name not in error.instance)}"
    if rule == "type":
        return f"this must be {' or '.join(value) if isinstance(value, list) else value}"
    unexpected = _UNEXPECTED.search(error.message)
    if rule in {"additionalProperties", "unevaluatedProperties"} and unexpected is not None:
        return f"not allowed here: {unexpected[1][:200]}"
    if rule == "enum" and isinstance(value, list):
        return f"this must be one of {', '.join(map(str, value))}"
    if rule == "pattern":
        return f"this does not have the form {value}"
    if rule in {"minProperties", "minItems"}:
        return "this may not be empty"
    if rule == "uniqueItems":
        return "the same entry stands twice"
    if rule in {"oneOf", "anyOf", "not"}:
        return "this fits none, or more than one, of the forms allowed here"
    return f"this breaks the rule {rule}: {str(value)[:100]}"


# References -----------------------------------------------------------------------------------------------------------


def check_references(root: dict[str, Any], findings: Findings) -> None:
    """Report references that lead outside, nowhere, or only to each other."""
    anchors = _anchors(root)
    for pointer, key, reference in _references(root):
        if findings.full:
            return
        if not reference.startswith("#"):
            findings.error("remote-ref", pointer, f"{key} leads outside the document: {_short(reference)}")
        elif _DATA.isdisjoint(pointer):
            problem = _problem(root, reference, anchors)
            if problem is not None:
                findings.error(problem, pointer, f"{key} leads nowhere: {_short(reference)}")


def _references(root: dict[str, Any]) -> Iterator[tuple[Pointer, str, str]]:
    stack: list[tuple[Any, Pointer]] = [(root, ())]
    while stack:
        value, pointer = stack.pop()
        if isinstance(value, list):
            stack += ((child, (*pointer, index)) for index, child in enumerate(value))
        elif isinstance(value, dict):
            stack += ((child, (*pointer, key)) for key, child in value.items())
            for key in ("$ref", "operationRef", "$dynamicRef"):
                reference = value.get(key)
                if isinstance(reference, str):
                    yield (*pointer, key), key, reference
            if pointer[-2:] == ("discriminator", "mapping"):
                yield from (
                    ((*pointer, name), "mapping", target)
                    for name, target in value.items()
                    if isinstance(target, str) and "/" in target
                )


def _problem(root: dict[str, Any], reference: str, anchors: frozenset[str]) -> str | None:
    """What is wrong with a local reference, as a kind of finding."""
    seen: set[str] = set()
    while True:
        if reference in seen or len(seen) > MAX_CHAIN:
            return "ref-loop"
        seen.add(reference)
        try:
            target = resolve(root, reference)
        except LookupError:
            # An anchor of JSON Schema is a name, not a path; it is looked for as such.
            return None if reference[1:] in anchors else "missing-ref"
        following = target.get("$ref") if isinstance(target, dict) else None
        if not isinstance(following, str) or not following.startswith("#"):
            return None
        reference = following


def _anchors(root: dict[str, Any]) -> frozenset[str]:
    found = set()
    stack: list[Any] = [root]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            names = (value.get("$anchor"), value.get("$dynamicAnchor"))
            found |= {name for name in names if isinstance(name, str)}
            stack += value.values()
        elif isinstance(value, list):
            stack += value
    return frozenset(found)


def resolve(root: dict[str, Any], reference: str) -> Any:
    """What a local reference (`#/components/schemas/Pet`) names; raises `LookupError`. One step, no chain."""
    if reference == "#":
        return root
    if not reference.startswith("#/") or len(reference) > MAX_REFERENCE:
        raise LookupError(reference)
    value: Any = root
    for token in reference[2:].split("/"):
        name = unquote(token).replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict):
            value = value[name]
        elif isinstance(value, list) and name.isdecimal() and name.isascii() and len(name) < 9:
            value = value[int(name)]
        else:
            raise LookupError(reference)
    return value


def dereferenced(root: dict[str, Any], value: Any) -> dict[str, Any]:
    """An object, or the object at the end of its chain of references; empty where there is none."""
    for _ in range(MAX_CHAIN):
        if not isinstance(value, dict):
            return {}
        reference = value.get("$ref")
        if not isinstance(reference, str):
            return value
        try:
            value = resolve(root, reference)
        except LookupError:
            return {}
    return {}


def _short(reference: str) -> str:
    return json.dumps(reference[:120])
