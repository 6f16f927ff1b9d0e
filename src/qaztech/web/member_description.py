"""The description of a console's management API, OpenAPI 3.1: made from the list of its calls, kept in docs/reference.

Bodies are described from the structures that read them, so description and checks cannot differ.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

_PARAMETER = re.compile(r"\{(\w+)\}")
_ABOUT = "What the console's pages do, for programs. Every call needs one scope, named beside it."


class Described(Protocol):
    """A call of the API, as far as its description goes. One that takes more than its path has `parameters` too."""

    @property
    def method(self) -> str:
        """Such as `GET`."""
        ...

    @property
    def path(self) -> str:
        """Below the base, with `{parameters}`."""
        ...

    @property
    def scope(self) -> str:
        """What it needs."""
        ...

    @property
    def summary(self) -> str:
        """What it does."""
        ...

    @property
    def body(self) -> type[msgspec.Struct] | None:
        """What reads its body."""
        ...

    @property
    def answer(self) -> Any:
        """The type of a good answer."""
        ...

    @property
    def status(self) -> int:
        """The status of a good answer."""
        ...


def description_of(
    actions: Sequence[Described], base: str, *, title: str = "A member's console", about: str = ""
) -> dict[str, Any]:
    """The whole document. `about` is said of the API beside what is true of every console's."""
    types = [kind for action in actions for kind in (action.body, action.answer) if kind is not None]
    references, schemas = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    schema_of = dict(zip(types, references, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for action in actions:
        paths.setdefault(action.path, {})[action.method.lower()] = _operation(action, schema_of)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "version": "1",
            "description": f"{_ABOUT} {about}".strip(),
        },
        "servers": [{"url": base}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {**schemas, "Problem": _problem()},
        },
    }


def _operation(action: Described, schema_of: dict[Any, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": _name(action),
        "summary": action.summary,
        "description": f"Needs `{action.scope}`.",
        "x-scope": action.scope,
        "tags": [action.path.split("/")[1]],
        "responses": {
            str(action.status): {
                "description": "Done.",
                "content": {"application/json": {"schema": schema_of[action.answer]}},
            },
            **{code: _refusal(words) for code, words in _REFUSALS.items()},
        },
    }
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PARAMETER.findall(action.path)
    ]
    if parameters := [*parameters, *getattr(action, "parameters", ())]:
        operation["parameters"] = parameters
    if action.body is not None:
        content = {"application/json": {"schema": schema_of[action.body]}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


_REFUSALS = {
    "400": "Not what this call takes.",
    "401": "Nobody, or a token that has ended.",
    "403": "The scope is missing.",
    "404": "No such thing here.",
    "409": "It has changed meanwhile, or stands against it.",
    "429": "Too often, or too large.",
    "502": "Something does not verify.",
    "503": "Registry or node does not answer.",
}


def _refusal(words: str) -> dict[str, Any]:
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"description": words, "content": content}


def _problem() -> dict[str, Any]:
    names = ("type", "title", "detail", "code", "at")
    return {
        "type": "object",
        "required": [*names, "status"],
        "properties": {**{name: {"type": "string"} for name in names}, "status": {"type": "integer"}},
    }


def _name(action: Described) -> str:
    words = [word for word in re.split(r"[/{}-]+", action.path) if word]
    return action.method.lower() + "".join(word[0].upper() + word[1:] for word in words)
