"""The services a node answers about itself: clients, services, descriptions, as X-Road's metadata protocols have them.

Plain data in, content type and body out: the configuration is given by the caller, a description is fetched by the
caller (nothing is fetched here, and no `$ref` is followed). What a description costs is bounded by size, depth and
number of nodes before anything is built from it; run `anonymise` off the data plane's loop all the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import parse_qsl

import yaml

from qaztech.core.errors import Malformed, NotFound, Unavailable
from qaztech.core.ids import MemberId, ServiceId, SubsystemId
from qaztech.core.rights import Endpoint
from qaztech.node.faults import xml_text, xroad_text

LIST_METHODS, ALLOWED_METHODS, GET_OPENAPI = "listMethods", "allowedMethods", "getOpenAPI"
METADATA_SERVICES = frozenset({LIST_METHODS, ALLOWED_METHODS, GET_OPENAPI})
LIST_CLIENTS = b"/listClients"

JSON_UTF8 = b"application/json;charset=utf-8"
JSON = b"application/json"
XML_UTF8 = b"text/xml;charset=utf-8"
YAML = b"application/x-yaml"
_XROAD = "http://x-road.eu/xsd/xroad.xsd"
_IDENTIFIERS = "http://x-road.eu/xsd/identifiers"
_WHOLE_SERVICE = Endpoint("*", "/**")

MAX_DESCRIPTION = 2 * 1024 * 1024
MAX_DEPTH = 64
MAX_NODES = 200_000

Answer = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class ClientEntry:
    """One line of `listClients`: a member, or a subsystem of one."""

    id: MemberId | SubsystemId
    name: str
    subsystem_name: str | None = None


@dataclass(frozen=True, slots=True)
class ServiceEntry:
    """One line of `listMethods`: a service, how it is described, and the endpoints worth naming."""

    id: ServiceId
    type: Literal["REST", "OPENAPI"]
    endpoints: tuple[Endpoint, ...] = ()


# --- listClients


def is_list_clients(target: bytes) -> bool:
    """Whether a request target asks for the list of clients."""
    return target.partition(b"?")[0] == LIST_CLIENTS


def asked_instance(target: bytes) -> str | None:
    """The instance a `listClients` asks for; None means its own."""
    for name, value in _parameters(target.partition(b"?")[2]):
        if name == "xRoadInstance" and value:
            return value
    return None


def list_clients(clients: Iterable[ClientEntry], accept: Iterable[bytes]) -> Answer:
    """The body of `listClients`: JSON where Accept mentions it (weights are not read), else XML."""
    if any(b"application/json" in value.lower() for value in accept):
        return JSON_UTF8, _dump({"member": [_client(entry) for entry in clients]})
    members = "".join(map(_client_xml, clients))
    namespaces = f'xmlns:xroad="{_XROAD}" xmlns:id="{_IDENTIFIERS}"'
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<xroad:clientList {namespaces}>{members}</xroad:clientList>\n'
    return XML_UTF8, text.encode(errors="replace")


def _client_xml(entry: ClientEntry) -> str:
    kind, *parts = _identifier(entry.id).values()
    names = ("xRoadInstance", "memberClass", "memberCode", "subsystemCode")
    fields = "".join(f"<id:{name}>{xml_text(part)}</id:{name}>" for name, part in zip(names, parts, strict=False))
    subsystem = ""
    if entry.subsystem_name is not None:
        subsystem = f"<xroad:subsystemName>{xml_text(entry.subsystem_name)}</xroad:subsystemName>"
    return (
        f'<xroad:member><xroad:id id:objectType="{kind}">{fields}</xroad:id>'
        f"<xroad:name>{xml_text(entry.name)}</xroad:name>{subsystem}</xroad:member>"
    )


def _client(entry: ClientEntry) -> dict[str, Any]:
    out: dict[str, Any] = {"id": _identifier(entry.id), "name": entry.name}
    if entry.subsystem_name is not None:
        out["subsystem_name"] = entry.subsystem_name
    return out


def _identifier(identifier: MemberId | SubsystemId) -> dict[str, str]:
    member = identifier.member if isinstance(identifier, SubsystemId) else identifier
    out = {
        "object_type": "MEMBER",
        "xroad_instance": member.instance,
        "member_class": member.member_class,
        "member_code": member.code,
    }
    if isinstance(identifier, SubsystemId):
        out |= {"object_type": "SUBSYSTEM", "subsystem_code": identifier.code}
    return out


# --- listMethods, allowedMethods


def is_metadata_call(method: str, service: ServiceId) -> bool:
    """Whether a call is for the provider node itself: GET on one of the reserved codes."""
    return service.code in METADATA_SERVICES and method == "GET"


def method_list(services: Iterable[ServiceEntry]) -> Answer:
    """The body of `listMethods`, and of `allowedMethods` when given only what the caller may use."""
    entries = []
    for service in services:
        member = service.id.subsystem.member
        entries.append({
            "member_class": member.member_class,
            "member_code": member.code,
            "object_type": "SERVICE",
            "service_code": service.id.code,
            "service_type": service.type,
            "subsystem_code": service.id.subsystem.code,
            "xroad_instance": member.instance,
            "endpoint_list": [{"method": e.method, "path": e.path} for e in service.endpoints if e != _WHOLE_SERVICE],
        })  # fmt: skip
    return JSON, _dump({"service": entries})


# --- getOpenAPI


def asked_service(query: bytes, subsystem: SubsystemId) -> ServiceId:
    """The service whose description is asked for; raises `Malformed`."""
    code = ""
    for name, value in _parameters(query.removeprefix(b"?")):
        if name.lower() == "servicecode":
            code = value
    if not code:
        raise Malformed("metadata.parameter", "Missing serviceCode in message body", at="provider-node")
    return ServiceId(subsystem, code)


def check_described(asked: ServiceId, found: ServiceEntry | None) -> None:
    """Raise `NotFound` in X-Road's words unless this service exists and has an OpenAPI description."""
    if found is None:
        raise NotFound("metadata.service", f"Service not found: {xroad_text(asked)}", at="provider-node")
    if found.type != "OPENAPI":
        raise NotFound("metadata.type", f"Invalid service type: {found.type}", at="provider-node")


def unreadable(service: ServiceId, context: str = "") -> Unavailable:
    """The description could not be fetched, or is none. X-Road would name its address; that is the provider's own."""
    detail = f"Failed reading service description from {xroad_text(service)}"
    return Unavailable("metadata.description", detail, at="provider-node", context=context)


def anonymise(
    service: ServiceId,
    document: bytes,
    *,
    content_type: bytes | None = None,
    path: str = "",
    max_size: int = MAX_DESCRIPTION,
) -> Answer:
    """The description with each server's scheme and host removed and its path kept; raises `Unavailable`.

    JSON stays JSON, YAML stays the same text but for the places changed. `path` is that of the description's address:
    its ending decides where the content type does not.
    """
    if len(document) > max_size:
        raise unreadable(service, f"larger than {max_size} bytes")
    try:
        text = document.decode("utf-8-sig")
        if _is_json(content_type, path):
            return content_type or JSON, _anonymise_json(text)
        return content_type or YAML, _anonymise_yaml(text)
    except (ValueError, RecursionError, yaml.YAMLError) as exc:
        raise unreadable(service, f"{type(exc).__name__}: {exc}"[:200]) from exc


def _is_json(content_type: bytes | None, path: str) -> bool:
    media = (content_type or b"").partition(b";")[0].strip().lower()
    if media == b"application/json" or media.endswith(b"+json"):
        return True
    return not media.endswith(b"yaml") and path.endswith(".json")


_ORIGIN = re.compile(r"(?:[^/?#]*:)?//[^/?#]*")
_VARIABLE = re.compile(r"\{([^{}]*)\}")


def anonymous_url(url: str) -> str:
    """A server's URL without scheme, host and query: the path, perhaps empty.

    A first segment that is a variable, or looks like a host somebody wrote without its scheme, goes too.
    """
    url = re.split(r"[?#]", url.strip(), maxsplit=1)[0]
    origin = _ORIGIN.match(url)
    if origin is not None:
        return url[origin.end() :]
    first, slash, rest = url.partition("/")
    if first not in {"", ".", ".."} and (first.startswith("{") or "." in first or ":" in first):
        return slash + rest
    return url


def _anonymise_json(text: str) -> bytes:
    document = json.loads(text, parse_constant=_no_constant)
    if not isinstance(document, dict):
        raise ValueError("not a description")  # noqa: TRY004 - of the input, not of an argument
    nodes = 0
    stack: list[tuple[Any, int]] = [(document, 0)]
    while stack:
        value, depth = stack.pop()
        nodes += 1
        if depth > MAX_DEPTH or nodes > MAX_NODES:
            raise ValueError("too deep or too large")
        if isinstance(value, dict):
            stack += ((child, depth + 1) for child in value.values())
            servers = value.get("servers")
            for server in servers if isinstance(servers, list) else [servers]:
                if isinstance(server, dict):
                    _anonymise_server(server)
        elif isinstance(value, list):
            stack += ((child, depth + 1) for child in value)
    return json.dumps(document, ensure_ascii=False, allow_nan=False).encode()


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _anonymise_server(server: dict[str, Any]) -> None:
    url = server.get("url")
    kept: set[str] = set()
    if isinstance(url, str):
        server["url"] = anonymous_url(url)
        kept = set(_VARIABLE.findall(server["url"]))
    variables = server.get("variables")
    if isinstance(variables, dict):
        server["variables"] = {name: value for name, value in variables.items() if name in kept}


def _anonymise_yaml(text: str) -> bytes:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    depth = 0
    for nodes, event in enumerate(yaml.parse(text, Loader=loader)):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH or nodes > MAX_NODES:
            raise ValueError("too deep or too large")
    root = yaml.compose(text, Loader=loader)
    if not isinstance(root, yaml.MappingNode):
        raise ValueError("not a description")  # noqa: TRY004 - of the input, not of an argument
    edits: dict[int, tuple[int, str]] = {}
    for server in _yaml_servers(root):
        _edit_server(text, server, edits)
    out, end = [], 0
    for start in sorted(edits):
        out += [text[end:start], edits[start][1]]
        end = edits[start][0]
    out.append(text[end:])
    return "".join(out).encode()


def _yaml_servers(root: yaml.Node) -> Iterator[yaml.MappingNode]:
    """Every server object, each once: aliases are the node they stand for."""
    seen: set[int] = set()
    stack: list[yaml.Node] = [root]
    while stack:
        node = stack.pop()
        if id(node) in seen or isinstance(node, yaml.ScalarNode):
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            stack += node.value
            continue
        for key, value in node.value:
            stack += (key, value)
            if key.value == "servers":
                servers = value.value if isinstance(value, yaml.SequenceNode) else [value]
                yield from (server for server in servers if isinstance(server, yaml.MappingNode))


def _entries(mapping: yaml.MappingNode) -> Iterator[tuple[yaml.Node, yaml.Node]]:
    """The entries of a mapping with those of its merge keys, each mapping once."""
    seen: set[int] = set()
    stack: list[yaml.Node] = [mapping]
    while stack:
        node = stack.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            stack += node.value
        elif isinstance(node, yaml.MappingNode):
            stack += (value for key, value in node.value if key.value == "<<")
            yield from ((key, value) for key, value in node.value if key.value != "<<")


def _edit_server(text: str, server: yaml.MappingNode, edits: dict[int, tuple[int, str]]) -> None:
    kept: set[str] = set()
    entries = list(_entries(server))
    for key, value in entries:
        if key.value == "url" and isinstance(value, yaml.ScalarNode):
            url = anonymous_url(value.value)
            kept |= set(_VARIABLE.findall(url))
            _replace(text, value, url, edits)
    for key, value in entries:
        if key.value == "variables" and isinstance(value, yaml.MappingNode):
            for name, variable in _entries(value):
                if name.value not in kept:
                    for scalar in _scalars(variable):
                        _replace(text, scalar, "", edits)


def _scalars(node: yaml.Node) -> Iterator[yaml.ScalarNode]:
    stack, seen = [node], set()
    while stack:
        node = stack.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.ScalarNode):
            yield node
        elif isinstance(node, yaml.SequenceNode):
            stack += node.value
        else:
            stack += (value for _, value in node.value)


_NOT_TEXT = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("null", "bool", "int", "float"))
_PROPERTIES = re.compile(r"(?:[&!]\S*\s+)*")


def _replace(text: str, node: yaml.ScalarNode, value: str, edits: dict[int, tuple[int, str]]) -> None:
    if value == node.value or node.tag in _NOT_TEXT:
        return
    start, end = node.start_mark.index, node.end_mark.index
    old = text[start:end]
    properties = _PROPERTIES.match(old)
    before = properties[0] if properties is not None else ""  # an anchor others refer to
    after = old[len(old.rstrip()) :]
    edits[start] = (end, before + json.dumps(value, ensure_ascii=False) + after)


def _parameters(query: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query.decode("ascii"), keep_blank_values=True, max_num_fields=100, errors="strict")
    except ValueError as exc:
        raise Malformed("metadata.parameter", "The query is not well-formed", at="caller") from exc


def _dump(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
