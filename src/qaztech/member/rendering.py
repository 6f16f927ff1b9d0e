"""An OpenAPI description as a page can show it without scripts: operations by tag, schemas as flat lists of rows.

`render` takes the shown document of a member one need not trust: whatever its values are, it ends soon and gives plain
text (never markup: descriptions may hold CommonMark, and are shown as they stand). A schema inside itself is named
where it comes again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

from qaztech.member.openapi import Operation, read_operations
from qaztech.member.openapi_check import dereferenced, resolve
from qaztech.member.openapi_findings import Findings
from qaztech.member.openapi_schema import NONE, brief_json, given_example, kind_of, made_example
from qaztech.member.openapi_text import read_tree

MAX_ROWS = 300
MAX_ALL_ROWS = 10_000
MAX_ALL_TEXT = 2_000_000
MAX_ROW_TEXT = 500
MAX_STEPS = 50_000
MAX_DEPTH = 8
MAX_NESTED = 60
MAX_BODIES = 12
MAX_EXAMPLE = 4000
MAX_RESPONSES = 30
_MAX_TEXT = 20_000
_LIMITS = (
    ("minimum", "≥"),
    ("exclusiveMinimum", ">"),
    ("maximum", "≤"),
    ("exclusiveMaximum", "<"),
    ("minLength", "length ≥"),
    ("maxLength", "length ≤"),
    ("minItems", "items ≥"),
    ("maxItems", "items ≤"),
    ("pattern", "pattern"),
    ("default", "default"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of a schema: `depth` from 0, the property's name, its type in a few words and its limits."""

    depth: int
    name: str
    kind: str
    required: bool
    description: str
    limits: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What a request or response holds in one media type; `cut` where there are more rows than are shown.

    `example` is the document's own (None where it is long); `made` is JSON of the schema's shape where it has none.
    """

    media: str
    kind: str
    rows: tuple[Row, ...]
    cut: bool
    example: str | None
    made: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What comes back with one status (`200`, `4XX`, `default`)."""

    status: str
    description: str
    bodies: tuple[Body, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedOperation:
    """An operation with its bodies; `anchor` is its place on the page."""

    anchor: str
    operation: Operation
    request: tuple[Body, ...]
    request_required: bool
    responses: tuple[Response, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The operations of one tag, in the document's order; `name` is empty for those without a tag."""

    name: str
    description: str
    operations: tuple[RenderedOperation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A whole description, ready for a template."""

    title: str
    version: str
    description: str
    groups: tuple[Group, ...]


def render(document: bytes) -> Rendered:
    """A shown document (JSON) as a page can show it. Raises `Malformed` where it cannot be read at all."""
    root = read_tree(document).root
    reader = _Reader(root)
    by_tag: dict[str, list[RenderedOperation]] = {}
    about = _tags(root)
    for number, operation in enumerate(read_operations(root, Findings())):
        tag = operation.tags[0] if operation.tags else ""
        by_tag.setdefault(tag, []).append(reader.operation(operation, f"operation-{number + 1}"))
    # Tags in the order the document lists them, then those it only uses, then what has none.
    order = (
        [t for t in about if t in by_tag] + [t for t in by_tag if t not in about and t] + [t for t in by_tag if not t]
    )
    info = _object(root.get("info"))
    return Rendered(
        title=_text(info.get("title"))[:300],
        version=_text(info.get("version"))[:100],
        description=_text(info.get("description")),
        groups=tuple(Group(name=t, description=about.get(t, ""), operations=tuple(by_tag[t])) for t in order),
    )


def _tags(root: dict[str, Any]) -> dict[str, str]:
    found = {}
    tags = root.get("tags")
    for tag in tags if isinstance(tags, list) else ():
        if isinstance(tag, dict) and isinstance(tag.get("name"), str):
            found[" ".join(tag["name"].split())[:300]] = _text(tag.get("description"))
    return found


class _Reader:
    """Reads the bodies of one page, with what the page may yet cost: rows that are made, and steps to find them."""

    def __init__(self, root: dict[str, Any]) -> None:
        self._root = root
        self._rows_left = MAX_ALL_ROWS
        self._steps_left = MAX_STEPS
        self._text_left = MAX_ALL_TEXT

    def operation(self, operation: Operation, anchor: str) -> RenderedOperation:
        item = dereferenced(self._root, _object(self._root.get("paths")).get(operation.path))
        given = _object(item.get(operation.method.lower()))
        request = dereferenced(self._root, given.get("requestBody"))
        responses = _object(given.get("responses"))
        return RenderedOperation(
            anchor=anchor,
            operation=operation,
            request=self._bodies(request),
            request_required=request.get("required") is True,
            responses=tuple(self._response(s, responses.get(s)) for s in operation.responses[:MAX_RESPONSES]),
        )

    def _response(self, status: str, given: Any) -> Response:
        response = dereferenced(self._root, given)
        return Response(
            status=status[:20],
            description=self._told(response.get("description"), _MAX_TEXT),
            bodies=self._bodies(response),
        )

    def _told(self, value: Any, longest: int) -> str:
        """A description, for as long as the page has room: through references one text can come very often."""
        text = value[:longest].strip() if isinstance(value, str) and self._text_left > 0 else ""
        self._text_left -= len(text)
        return text

    def _bodies(self, holder: dict[str, Any]) -> tuple[Body, ...]:
        content = list(_object(holder.get("content")).items())[:MAX_BODIES]
        return tuple(self._body(media, _object(given)) for media, given in content)

    def _body(self, media: str, given: dict[str, Any]) -> Body:
        limit = min(MAX_ROWS, self._rows_left)
        rows = list(islice(self._rows(_Level(given.get("schema"), 0, 0, frozenset())), limit + 1))
        cut = len(rows) > limit or self._steps_left <= 0
        self._rows_left -= len(rows[:limit])
        own = given_example(self._root, given)
        example = None if own is NONE else _whole(own)
        return Body(
            media=media[:100],
            kind=kind_of(self._root, given.get("schema")),
            rows=tuple(rows[:limit]),
            cut=cut,
            example=example,
            made=self._made(media, given) if example is None else None,
        )

    def _made(self, media: str, given: dict[str, Any]) -> str | None:
        if media.partition(";")[0].strip().rpartition("/")[2].rpartition("+")[2] != "json" or "schema" not in given:
            return None
        return _whole(made_example(self._root, given["schema"]))

    def _rows(self, level: _Level) -> Iterator[Row]:
        """The rows of the properties of a schema, of the things in its list, of the parts it is made of."""
        schema, above = self._entered(level)
        if schema is None:
            return
        under = _Level(None, level.depth, level.steps + 1, above)
        for word in ("allOf", "oneOf", "anyOf"):
            parts = schema.get(word)
            for part in parts[:20] if isinstance(parts, list) else ():
                if word == "allOf":
                    yield from self._rows(under._replace(schema=part))
                else:
                    yield from self._row(under._replace(schema=part), "or", required=False)
        required = schema.get("required")
        names = {r for r in required if isinstance(r, str)} if isinstance(required, list) else set()
        for name, child in _object(schema.get("properties")).items():
            yield from self._row(under._replace(schema=child), name, required=name in names)
        if isinstance(schema.get("items"), dict):
            # A list adds no line of its own: its type is in the line above, and what is in it stands under that.
            yield from self._rows(under._replace(schema=schema["items"]))
        if isinstance(schema.get("additionalProperties"), dict):
            yield from self._row(under._replace(schema=schema["additionalProperties"]), "*", required=False)

    def _entered(self, level: _Level) -> tuple[dict[str, Any] | None, frozenset[str]]:
        """The schema behind the references, unless it is too deep, costs too much or comes again inside itself."""
        self._steps_left -= 1
        value, above = level.schema, level.above
        if self._steps_left <= 0 or level.depth > MAX_DEPTH or level.steps > MAX_NESTED:
            return None, above
        while isinstance(value, dict) and isinstance(value.get("$ref"), str):
            reference = value["$ref"]
            if reference in above:
                return None, above
            above |= {reference}
            try:
                value = resolve(self._root, reference)
            except LookupError:
                return None, above
        return (value, above) if isinstance(value, dict) else (None, above)

    def _row(self, level: _Level, name: str, *, required: bool) -> Iterator[Row]:
        """A line, and under it those of what it holds."""
        resolved = dereferenced(self._root, level.schema)
        # What stands beside a reference speaks of this use of it.
        own = _object(level.schema).get("description")
        limits = [f"{sign} {_brief(resolved[word])}" for word, sign in _LIMITS if word in resolved]
        yield Row(
            depth=level.depth,
            name=name[:200],
            kind=kind_of(self._root, level.schema),
            required=required,
            description=self._told(own if isinstance(own, str) else resolved.get("description"), MAX_ROW_TEXT),
            limits=", ".join(limits)[:300],
        )
        yield from self._rows(level._replace(depth=level.depth + 1))


class _Level(NamedTuple):
    """A schema on the way down: how deep its lines stand, how many steps led here and by which references."""

    schema: Any
    depth: int
    steps: int
    above: frozenset[str]


def _whole(value: Any) -> str | None:
    """A value as text, unless it is long: half an example is none."""
    text = value[: MAX_EXAMPLE + 1] if isinstance(value, str) else brief_json(value, MAX_EXAMPLE + 1)
    return text if len(text) <= MAX_EXAMPLE else None


def _brief(value: Any) -> str:
    return value[:80] if isinstance(value, str) else brief_json(value, 80)


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value.strip()[:_MAX_TEXT] if isinstance(value, str) else ""
