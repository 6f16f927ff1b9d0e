"""From the bytes of an OpenAPI document to plain values, with bounds that hold before anything is built.

JSON and the part of YAML 1.2 that JSON has a meaning for: keys are text, scalars follow the core schema (`no` and dates
stay text), tags other than JSON's own are refused. An alias stands for what it names and is counted as that, so that no
few lines become a gigabyte. Values may be shared by aliases: never change them in place. Nothing here knows OpenAPI.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from qaztech.core.errors import Malformed

MAX_TEXT = 2 * 1024 * 1024
MAX_DEPTH = 64
MAX_NODES = 60_000
MAX_NUMBER = 400
# What lists that must hold nothing twice cost to look through: the sum of the squares of their lengths.
MAX_COMPARISONS = 1_000_000
_UNIQUE_LISTS = frozenset({"parameters", "tags", "required", "type"})

# Never fails and never steps back: a text without closing quotes costs what any other does.
_JSON_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_DIRECTIVE = re.compile(r"^%(?!YAML 1\.[0-9]\s)", re.MULTILINE)
_BRACKET = re.compile(r"[\[{\]}]")
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})
_INTEGER = re.compile(r"[-+]?[0-9]+\Z")
_OTHER_BASE = re.compile(r"0(?:o[0-7]+|x[0-9a-fA-F]+)\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_NOT_FINITE = re.compile(r"(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z")
_TAG = "tag:yaml.org,2002:"
_SCALAR_TAGS = frozenset(f"{_TAG}{kind}" for kind in ("str", "int", "float", "bool", "null"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A document as plain values; `lines` has the line of each entry by container and key, where the text is YAML."""

    root: dict[str, Any]
    lines: Mapping[tuple[int, str | int], int]

    def line(self, pointer: tuple[str | int, ...]) -> int | None:
        """The line of what a path leads to, or of the nearest thing above it that has one."""
        value: Any = self.root
        found = None
        for token in pointer:
            found = self.lines.get((id(value), token), found)
            try:
                value = value[token]
            except (KeyError, IndexError, TypeError):
                break
        return found


def read_tree(data: bytes) -> Tree:
    """Read JSON (a text that begins with a brace) or YAML; raises `Malformed` and nothing else."""
    if len(data) > MAX_TEXT:
        too_large(f"longer than the {MAX_TEXT} bytes that are read; split the service, or leave out long examples")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        raise Malformed("openapi.malformed", f"line {line}: not UTF-8; save the file as UTF-8", at="caller") from exc
    return _read_json(text) if text.lstrip()[:1] == "{" else _read_yaml(text)


def too_large(detail: str) -> NoReturn:
    """Raise `Malformed` for a document with too much in it."""
    raise Malformed("openapi.too-large", detail, at="caller")


def _malformed(detail: str) -> NoReturn:
    raise Malformed("openapi.malformed", detail[:500], at="caller")


# JSON ---------------------------------------------------------------------------------------------------------------


def _read_json(text: str) -> Tree:
    _bound_json(text)
    try:
        root = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_no_constant,
            parse_float=_float,
            parse_int=_integer,
        )
    except json.JSONDecodeError as exc:
        raise Malformed("openapi.malformed", f"line {exc.lineno}, column {exc.colno}: {exc.msg}", at="caller") from exc
    except RecursionError as exc:
        raise Malformed("openapi.too-large", "nested too deep", at="caller") from exc
    _check_text(root)
    return Tree(root=root, lines={})


def _bound_json(text: str) -> None:
    """Depth and number of values, counted in the text itself; a text that is not JSON fails later."""
    bare = _JSON_STRING.sub("", text)
    depth = 0
    for bracket in _BRACKET.finditer(bare):
        depth += 1 if bracket[0] in "[{" else -1
        if depth > MAX_DEPTH:
            too_large(f"nested deeper than {MAX_DEPTH} levels")
    if bare.count(",") + bare.count("{") + bare.count("[") > MAX_NODES:
        _too_many()


def _too_many() -> NoReturn:
    too_large(f"more than {MAX_NODES} values; split the service, or leave out long examples")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            beside = next(iter(found))
            _malformed(f"the name {_shown(key)} stands twice in the object that begins with {_shown(beside)}")
        found[key] = value
    return found


def _no_constant(name: str) -> NoReturn:
    _malformed(f"{name} is not a number JSON has")


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        _malformed(f"the number {text[:40]} is too large")
    return value


def _integer(text: str) -> int:
    if len(text) > MAX_NUMBER:
        _malformed(f"the number {text[:40]}… is too large")
    return int(text)


def _shown(text: str) -> str:
    """A name as an error may show it: short, printable, encodable."""
    return json.dumps(text[:60])


# YAML ---------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Open:
    """A collection that is being built: what it costs with all its aliases, and what waits for its end."""

    value: dict[str, Any] | list[Any]
    anchor: str | None
    key: str | None = None
    merge: bool = False
    key_line: int = 0
    nodes: int = 1
    characters: int = 0
    merges: list[dict[str, Any]] = field(default_factory=list)


class _Builder:
    """Builds values from YAML events, one stack deep, and counts what they would be without aliases."""

    def __init__(self) -> None:
        self.root: Any = None
        self.lines: dict[tuple[int, str | int], int] = {}
        self._stack: list[_Open] = []
        self._anchors: dict[str, tuple[Any, int, int]] = {}
        self._events = 0
        self._documents = 0
        self._yaml = _yaml()

    def take(self, event: Any) -> None:
        """One event of the parser."""
        self._events += 1
        if self._events > 2 * MAX_NODES:
            _too_many()
        line = event.start_mark.line + 1
        if isinstance(event, self._yaml.ScalarEvent):
            self._scalar(event, line)
        elif isinstance(event, self._yaml.CollectionStartEvent):
            self._begin(event, line)
        elif isinstance(event, self._yaml.CollectionEndEvent):
            self._end(line)
        elif isinstance(event, self._yaml.AliasEvent):
            self._alias(event.anchor or "", line)
        elif isinstance(event, self._yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                _malformed(f"line {line}: a second document; a file holds one")

    def _scalar(self, event: Any, line: int) -> None:
        top = self._stack[-1] if self._stack else None
        if top is not None and isinstance(top.value, dict) and top.key is None:
            self._key(top, event, line)
            return
        value = _resolve(event, line)
        characters = len(event.value)
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, 1, characters)
        self._place(value, 1, characters, line)

    def _key(self, top: _Open, event: Any, line: int) -> None:
        if event.tag not in {None, "!", f"{_TAG}str"}:
            _malformed(f"line {line}: a name is text, without a tag")
        text = event.value
        if event.anchor is not None:
            self._anchors[event.anchor] = (text, 1, len(text))
        top.key, top.key_line = text, line
        top.merge = text == "<<" and event.implicit[0]
        top.characters += len(text)
        if not top.merge and text in top.value:
            _malformed(f"line {line}: the name {_shown(text)} stands twice")

    def _begin(self, event: Any, line: int) -> None:
        if len(self._stack) >= MAX_DEPTH:
            too_large(f"line {line}: nested deeper than {MAX_DEPTH} levels")
        mapping = isinstance(event, self._yaml.MappingStartEvent)
        if event.tag not in {None, "!", f"{_TAG}map" if mapping else f"{_TAG}seq"}:
            _malformed(f"line {line}: the tag {_shown(event.tag)} is not used in OpenAPI; leave it out")
        top = self._stack[-1] if self._stack else None
        if top is not None and isinstance(top.value, dict) and top.key is None:
            _malformed(f"line {line}: a name is text, not a collection")
        if event.anchor is not None:
            self._anchors.pop(event.anchor, None)
        self._stack.append(_Open(value={} if mapping else [], anchor=event.anchor))

    def _end(self, line: int) -> None:
        done = self._stack.pop()
        if isinstance(done.value, dict):
            for merged in done.merges:
                for key, value in merged.items():
                    done.value.setdefault(key, value)
        if done.anchor is not None:
            self._anchors[done.anchor] = (done.value, done.nodes, done.characters)
        self._place(done.value, done.nodes, done.characters, line)

    def _alias(self, anchor: str, line: int) -> None:
        top = self._stack[-1] if self._stack else None
        if top is not None and isinstance(top.value, dict) and top.key is None:
            _malformed(f"line {line}: a name is text, not an alias")
        if any(entry.anchor == anchor for entry in self._stack):
            _malformed(f"line {line}: the alias {_shown(anchor)} stands inside what it names; use $ref for that")
        if anchor not in self._anchors:
            _malformed(f"line {line}: nothing is named {_shown(anchor)} before this alias")
        value, nodes, characters = self._anchors[anchor]
        self._place(value, nodes, characters, line)

    def _place(self, value: Any, nodes: int, characters: int, line: int) -> None:
        if not self._stack:
            self.root = value
            return
        top = self._stack[-1]
        top.nodes += nodes
        top.characters += characters
        if top.nodes > MAX_NODES:
            _too_many()
        if top.characters > MAX_TEXT:
            too_large(f"line {line}: longer than {MAX_TEXT} characters once every alias is written out")
        if isinstance(top.value, list):
            self.lines[id(top.value), len(top.value)] = line
            top.value.append(value)
            return
        key, top.key = top.key or "", None
        if top.merge:
            top.merge = False
            top.merges += _merged(value, line)
        else:
            self.lines[id(top.value), key] = top.key_line
            top.value[key] = value


def _merged(value: Any, line: int) -> list[dict[str, Any]]:
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(v, dict) for v in values):
        _malformed(f"line {line}: `<<` takes in objects only")
    return values


def _resolve(event: Any, line: int) -> Any:
    """A scalar's value by the core schema of YAML 1.2."""
    text: str = event.value
    tag = event.tag
    if tag not in {None, "!"} and tag not in _SCALAR_TAGS:
        _malformed(f"line {line}: the tag {_shown(tag)} is not used in OpenAPI; leave it out")
    if tag in {"!", f"{_TAG}str"} or (tag is None and not event.implicit[0]):
        return text
    value = _plain(text, line)
    if isinstance(value, str) and tag is not None:
        _malformed(f"line {line}: {_shown(text)} is not what its tag says; leave the tag out")
    return value


def _plain(text: str, line: int) -> Any:
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if len(text) > MAX_NUMBER:
        return text
    if _INTEGER.match(text):
        return int(text)
    if _OTHER_BASE.match(text):
        return int(text, 0)
    if _NOT_FINITE.match(text):
        _malformed(f"line {line}: {text} is not a number JSON has; put it in quotes if it is text")
    if _FLOAT.match(text):
        value = float(text)
        if not math.isfinite(value):
            _malformed(f"line {line}: the number {text[:40]} is too large")
        return value
    return text


def _yaml() -> Any:
    # A MiB of every process that shows descriptions, most of which are JSON.
    import yaml  # noqa: PLC0415

    return yaml


def _read_yaml(text: str) -> Tree:
    directive = _DIRECTIVE.search(text)
    if directive is not None:
        line = text.count("\n", 0, directive.start()) + 1
        _malformed(f"line {line}: a directive; leave it out")
    yaml = _yaml()
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    builder = _Builder()
    try:
        for event in yaml.parse(text, Loader=loader):
            builder.take(event)
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
        raise Malformed("openapi.malformed", f"{where}{exc.problem or 'not YAML'}"[:300], at="caller") from exc
    except (yaml.YAMLError, ValueError, RecursionError, OverflowError) as exc:
        raise Malformed("openapi.malformed", f"not YAML: {str(exc).splitlines()[0][:200]}", at="caller") from exc
    if not isinstance(builder.root, dict):
        _malformed("the document is not an object with names such as `openapi` and `paths`")
    _check_text(builder.root)
    return Tree(root=builder.root, lines=builder.lines)


def _check_text(root: Any) -> None:
    """Every text can be written as UTF-8, and no list costs more than it may. Values are bounded by now."""
    comparisons = 0
    stack = [root]
    while stack:
        value = stack.pop()
        if isinstance(value, str):
            _encodable(value)
        elif isinstance(value, list):
            stack += value
        elif isinstance(value, dict):
            for key, child in value.items():
                _encodable(key)
                if key in _UNIQUE_LISTS and isinstance(child, list) and not all(isinstance(c, str) for c in child):
                    comparisons += len(child) ** 2
                    if comparisons > MAX_COMPARISONS:
                        too_large(f"lists of {key} are too long; name what is shared once, in `components`")
            stack += value.values()


def _encodable(text: str) -> None:
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        raise Malformed(
            "openapi.malformed", f"half a surrogate pair in the text {_shown(text)}; save the file anew", at="caller"
        ) from exc
