"""Importing an OpenAPI 3.0 or 3.1 document: what it offers, what is wrong with it, and the form that is shown.

`read_description` takes bytes and fetches nothing: `$ref` is followed only inside the document, and a reference to
anywhere else is a finding. What a document may cost is bounded before anything is built from it (`openapi_text`); the
largest of 3.1 take seconds, so run it off an event loop. A description with errors among its findings must not be
published. Not here: how a description looks on a page (`rendering`), and who signs for it (`registry.showcase`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

from qaztech.core.errors import Malformed
from qaztech.core.rights import Endpoint, climbs
from qaztech.member.openapi_check import Specification, check_references, check_schema, dereferenced
from qaztech.member.openapi_findings import Finding, Findings, json_pointer
from qaztech.member.openapi_schema import example_text, kind_of
from qaztech.member.openapi_text import Tree, read_tree, too_large

Place = Literal["path", "query", "header", "cookie"]
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
MAX_OPERATIONS = 2000
# Through references a few lines can stand for very many.
MAX_PARAMETERS = 20_000
MAX_PARAMETER_TEXT = 2000
MAX_SHOWN = 1024 * 1024
MAX_PATH = 1000
MAX_LINE = 300
_SPECIFICATION = re.compile(r"(3\.[01])\.[0-9]+(?:-.+)?\Z")
# Fields that look like the number of a person: `iin`, `applicantIin`, `holder_iin`, the words it stands for in Kazakh.
_IIN = re.compile(r"(?:\A|[_.-])(?:[Ii][Ii][Nn]s?|иин|ИИН|жсн|ЖСН)(?![a-zа-я])|[a-z](?:IIN|Iin)(?![a-z])")
_TEMPLATE = re.compile(r"\{([^{}/]*)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter of an operation; `kind` is its type in a few words, `example` as text."""

    name: str
    place: Place
    required: bool
    kind: str
    description: str
    example: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method on one path template, and the endpoint that a right to it names."""

    method: str
    path: str
    endpoint: Endpoint
    operation_id: str
    summary: str
    description: str
    tags: tuple[str, ...]
    deprecated: bool
    parameters: tuple[Parameter, ...]
    request_media: tuple[str, ...]
    responses: tuple[str, ...]
    """The statuses that are described, as written: `200`, `4XX`, `default`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What a document says. Where it breaks the specification, operations, endpoints and fields are empty."""

    title: str
    version: str
    specification: Specification
    operations: tuple[Operation, ...]
    endpoints: tuple[Endpoint, ...]
    fields: tuple[str, ...]
    """The names of all properties in its schemas, each once, sorted."""
    findings: tuple[Finding, ...]
    document: bytes
    """The document as it may be shown: JSON without servers and without the contact person, at most 1 MiB."""

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that stand against publishing."""
        return tuple(f for f in self.findings if f.severity == "error")

    def require_sound(self) -> None:
        """Raise `Malformed`, with the first error in it, unless the description may be published."""
        for finding in self.errors:
            where = f"line {finding.line}, {finding.pointer}" if finding.line is not None else finding.pointer
            more = len(self.errors) - 1
            rest = f" ({more} more)" if more else ""
            raise Malformed("openapi.faulty", f"{where or '/'}: {finding.problem}{rest}", at="caller")


def read_description(data: bytes) -> Description:
    """Read a document (JSON or YAML, at most 2 MiB). Raises `Malformed` where it cannot be read at all."""
    tree = read_tree(data)
    specification = _specification(tree.root)
    findings = Findings()
    check_schema(tree.root, specification, findings)
    operations: tuple[Operation, ...] = ()
    fields: tuple[str, ...] = ()
    sound = not findings.any_error
    check_references(tree.root, findings)
    if sound:
        operations = tuple(read_operations(tree.root, findings))
        fields = tuple(sorted(_fields(tree.root)))
        _look_over(tree.root, operations, findings)
    return Description(
        title=_info(tree.root, "title"),
        version=_info(tree.root, "version"),
        specification=specification,
        operations=operations,
        endpoints=tuple(dict.fromkeys(o.endpoint for o in operations)),
        fields=fields,
        findings=_placed(tree, findings),
        document=shown_document(tree.root),
    )


def shown_document(root: dict[str, Any]) -> bytes:
    """The document as JSON without what is the provider's own: servers, wherever they stand, and the contact person."""
    shown = _without_servers(root)
    if isinstance(shown.get("info"), dict):
        shown["info"].pop("contact", None)
    data = json.dumps(shown, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    if len(data) > MAX_SHOWN:
        too_large(f"longer than {MAX_SHOWN} bytes as JSON; split the service, or leave out long examples")
    return data


def _without_servers(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_servers(child) for child in value]
    if isinstance(value, dict):
        return {key: _without_servers(child) for key, child in value.items() if not _is_server(key, child)}
    return value


def _is_server(key: str, value: Any) -> bool:
    """Whether this is OpenAPI's `servers` or a link's `server`, and not a property that has the same name."""
    servers = value if key == "servers" and isinstance(value, list) else [value] if key == "server" else [None]
    return all(isinstance(server, dict) and isinstance(server.get("url"), str) for server in servers)


def _specification(root: dict[str, Any]) -> Specification:
    version = root.get("openapi")
    match = _SPECIFICATION.match(version) if isinstance(version, str) else None
    if match is None:
        said = json.dumps(str(root.get("openapi", root.get("swagger", "nothing")))[:40])
        raise Malformed(
            "openapi.version",
            f'`openapi` must say 3.0 or 3.1 (as "3.0.3"), here it says {said}; convert the document to one of these',
            at="caller",
        )
    return "3.0" if match[1] == "3.0" else "3.1"


def _info(root: dict[str, Any], name: str) -> str:
    info = root.get("info")
    return _line(info.get(name)) if isinstance(info, dict) else ""


def _line(value: Any) -> str:
    """A text on one line, without control characters and not long."""
    text = " ".join(value.split()) if isinstance(value, str) else ""
    return "".join(c for c in text[: 2 * MAX_LINE] if c.isprintable())[:MAX_LINE]


def _text(value: Any) -> str:
    return value.strip()[:20_000] if isinstance(value, str) else ""


# Operations -----------------------------------------------------------------------------------------------------------


def read_operations(root: dict[str, Any], findings: Findings) -> Iterator[Operation]:
    """The operations of a document, which need not be a sound one. Raises `Malformed` when there are too many."""
    paths = root.get("paths")
    count = described = 0
    for path, given in paths.items() if isinstance(paths, dict) else ():
        if not path.startswith("/"):
            continue  # an extension
        item = dereferenced(root, given)
        for method in METHODS:
            operation = item.get(method)
            if not isinstance(operation, dict):
                continue
            count += 1
            if count > MAX_OPERATIONS:
                too_large(f"more than {MAX_OPERATIONS} operations; split the service")
            endpoint = _endpoint(method.upper(), path, findings)
            if endpoint is not None:
                parameters = tuple(_parameters(root, item, operation))
                described += len(parameters)
                if described > MAX_PARAMETERS:
                    too_large(f"more than {MAX_PARAMETERS} parameters in all operations together; split the service")
                _check_template(method, path, parameters, findings)
                yield _operation(root, endpoint, path, operation, parameters)


def _operation(
    root: dict[str, Any], endpoint: Endpoint, path: str, given: dict[str, Any], parameters: tuple[Parameter, ...]
) -> Operation:
    content = dereferenced(root, given.get("requestBody")).get("content")
    responses = given.get("responses")
    tags = given.get("tags")
    return Operation(
        method=endpoint.method,
        path=path,
        endpoint=endpoint,
        operation_id=_line(given.get("operationId")),
        summary=_line(given.get("summary")),
        description=_text(given.get("description")),
        tags=tuple(_line(tag) for tag in tags) if isinstance(tags, list) else (),
        deprecated=given.get("deprecated") is True,
        parameters=parameters,
        request_media=tuple(map(_line, content)) if isinstance(content, dict) else (),
        responses=tuple(s for s in responses if not s.startswith("x-")) if isinstance(responses, dict) else (),
    )


def _endpoint(method: str, path: str, findings: Findings) -> Endpoint | None:
    """The endpoint a right names: whole segments in place of whatever has a variable in it."""
    bare = _TEMPLATE.sub("x", path)
    if len(path) > MAX_PATH or any(c in bare for c in "{}?#*\\") or not bare.isprintable() or climbs(bare):
        findings.error("path-form", ("paths", path), f"not a path that a right can name: {json.dumps(path[:120])}")
        return None
    segments = ["*" if "{" in s else quote(s, safe="!$&'()+,;=:@~-._%") for s in path.split("/")]
    try:
        return Endpoint.parse(f"{method} {'/'.join(segments)}")
    except Malformed as exc:
        findings.error("path-form", ("paths", path), exc.detail)
        return None


def _parameters(root: dict[str, Any], item: dict[str, Any], operation: dict[str, Any]) -> Iterator[Parameter]:
    """Those of the path, replaced by those of the operation that have the same name and place."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for source in (item, operation):
        given = source.get("parameters")
        for entry in given if isinstance(given, list) else ():
            parameter = dereferenced(root, entry)
            name, place = parameter.get("name"), parameter.get("in")
            if isinstance(name, str) and isinstance(place, str) and place in {"path", "query", "header", "cookie"}:
                found[name, place] = parameter
    for (name, place), parameter in found.items():
        yield Parameter(
            name=name,
            place=place,  # type: ignore[arg-type]  # one of the four, as asked above
            required=parameter.get("required") is True,
            kind=_parameter_kind(root, parameter),
            description=_text(parameter.get("description"))[:MAX_PARAMETER_TEXT],
            example=example_text(root, parameter),
        )


def _parameter_kind(root: dict[str, Any], parameter: dict[str, Any]) -> str:
    content = parameter.get("content")
    if isinstance(content, dict):
        return ", ".join(map(_line, content))
    return kind_of(root, parameter.get("schema"))


def _check_template(method: str, path: str, parameters: tuple[Parameter, ...], findings: Findings) -> None:
    named = set(_TEMPLATE.findall(path))
    declared = {p.name for p in parameters if p.place == "path"}
    for name in sorted(named - declared):
        findings.warning("path-parameter", ("paths", path, method), f"{{{name[:60]}}} is not among the parameters")
    for name in sorted(declared - named):
        findings.warning("path-parameter", ("paths", path, method), f"the path has no {{{name[:60]}}}")


def _look_over(root: dict[str, Any], operations: tuple[Operation, ...], findings: Findings) -> None:
    """What is allowed and yet worth a look."""
    if not operations and not findings.any_error:
        findings.error("no-operations", ("paths",), "no operation is described")
    names: set[str] = set()
    endpoints: dict[Endpoint, str] = {}
    for operation in operations:
        where = ("paths", operation.path, operation.method.lower())
        name = operation.operation_id
        if name and name in names:
            findings.warning("operation-id", where, f"the operationId {name[:80]!r} is used before")
        names.add(name)
        first = endpoints.setdefault(operation.endpoint, operation.path)
        if first != operation.path:
            findings.warning("same-endpoint", where, f"a right to {operation.endpoint} covers {first[:100]} too")
        if not operation.summary and not operation.description:
            findings.warning("undescribed", where, "neither summary nor description")
    named = {parameter.name for operation in operations for parameter in operation.parameters} | _fields(root)
    if numbers := sorted(name for name in named if _IIN.search(name)):
        findings.warning("personal-field", (), f"looks like the number of a person: {', '.join(numbers)[:200]}")
    info = root.get("info")
    if isinstance(info, dict) and info.get("contact"):
        findings.warning("contact", ("info", "contact"), "left out of what is shown")


def _fields(root: dict[str, Any]) -> set[str]:
    """The names of the properties of schemas, wherever schemas stand."""
    found: set[str] = set()
    stack: list[Any] = [root]
    while stack:
        value = stack.pop()
        if isinstance(value, list):
            stack += value
        elif isinstance(value, dict):
            stack += value.values()
            properties = value.get("properties")
            # A property that is itself called `properties` holds a schema, not schemas by name.
            if isinstance(properties, dict) and all(isinstance(p, dict | bool) for p in properties.values()):
                found |= {name for name in properties if len(name) <= MAX_LINE}
    return found


def _placed(tree: Tree, findings: Findings) -> tuple[Finding, ...]:
    return tuple(
        Finding(
            severity=severity,
            kind=kind,
            pointer=json_pointer(pointer),
            line=tree.line(pointer),
            problem=problem,
        )
        for severity, kind, pointer, problem in findings.found()
    )
