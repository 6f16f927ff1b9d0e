"""What a visitor may try of a service on its page, and the call that a filled-in form makes. Pure rules.

Tried is only what reads, in a test environment, as a system of the instance that its owner gave a right. What stands in
a form comes from anybody: a value fills in one place of the call and reaches no other. The node decides all the same.
Not here: the page and its limits (`try_page`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from qaztech.core.errors import Error, Forbidden, Malformed
from qaztech.core.ids import ServiceId, SubsystemId
from qaztech.core.rights import Endpoint, climbs
from qaztech.member.openapi import Operation, Parameter
from qaztech.member.rendering import Rendered
from qaztech.member.samples import filled_path, is_plain_header, service_target
from qaztech.registry.catalogue import Caller, CatalogueService
from qaztech.web.country import Call, Country, call_of

METHODS = ("GET", "HEAD")
MAX_VALUE = 500
# More fields than this no form has; what is required beyond it makes an operation one that cannot be tried here.
MAX_FIELDS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Trier:
    """As which system visitors try, and the address of its node."""

    client: SubsystemId
    edge: str
    node: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One input of a form: the name it is sent by, and the parameter it fills in."""

    key: str
    parameter: Parameter


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """An operation that can be tried: its place on the page and its inputs; `given` where a right may cover it."""

    anchor: str
    operation: Operation
    fields: tuple[Field, ...]
    given: bool


def trier_of(country: Country) -> Trier | None:
    """As whom the instance lets its visitors try, from the call that its file shows; None where nobody may."""
    call = call_of(country.try_.curl) if country.try_ is not None else None
    if call is None:
        return None
    parts = urlsplit(call.url)
    edge = f"{parts.scheme}://{parts.netloc}"
    node = next((n.name for n in country.nodes if n.edge is not None and n.edge.rstrip("/") == edge), None)
    try:
        client = SubsystemId.parse(call.headers.get("X-Road-Client", ""))
    except Error:
        return None
    return Trier(client=client, edge=edge, node=node) if node is not None else None


def is_for_trying(service: CatalogueService) -> bool:
    """Whether its owner says that it is a test environment, and it is switched on."""
    return service.passport is not None and service.passport.environment == "test" and service.disabled is None


def trials(rendered: Rendered, rights: Collection[Endpoint]) -> dict[str, Trial]:
    """What can be tried of a description, by its place on the page."""
    return {one.anchor: one for one in _trials(rendered, rights)}


def rights_of(callers: Collection[Caller], client: SubsystemId) -> list[Endpoint]:
    """What a client may call, of those who may call the service."""
    return [Endpoint.parse(text) for caller in callers if caller.client == client for text in caller.endpoints]


def call_for(
    trial: Trial, values: Mapping[str, str], *, trier: Trier, service: ServiceId, rights: Collection[Endpoint]
) -> Call:
    """The call that a filled-in form makes. Raises `Malformed` (its detail is the field), or `Forbidden`."""
    given = {field.parameter: _value(field, values.get(field.key, "")) for field in trial.fields}
    chosen = {parameter: value for parameter, value in given.items() if value}
    places = {p.name: value for p, value in chosen.items() if p.place == "path"}
    path = filled_path(trial.operation.path, places)
    if climbs(path):
        raise Malformed("trial.value", next(iter(places), trial.operation.path), at="caller")
    if not any(right.covers(trial.operation.method, path) for right in rights):
        raise Forbidden("trial.no-right", f"{trier.client} has no right to {path[:200]}", at="caller")
    query = "&".join(
        f"{quote(p.name, safe='')}={quote(value, safe='')}" for p, value in chosen.items() if p.place == "query"
    )
    headers = {p.name: value for p, value in chosen.items() if p.place == "header"}
    return Call(
        f"{trier.edge}/r1/{service_target(service)}{path}{'?' + query if query else ''}",
        {**headers, "X-Road-Client": str(trier.client)},
    )


def _trials(rendered: Rendered, rights: Collection[Endpoint]) -> Iterator[Trial]:
    for group in rendered.groups:
        for one in group.operations:
            operation = one.operation
            if operation.method not in METHODS:
                continue
            fields = tuple(
                Field(key=f"p{number}", parameter=parameter)
                for number, parameter in enumerate(operation.parameters)
                if parameter.place in {"path", "query"} or is_plain_header(parameter)
            )
            if len(fields) <= MAX_FIELDS:
                given = any(_may_cover(right, operation) for right in rights)
                yield Trial(anchor=one.anchor, operation=operation, fields=fields, given=given)


def _may_cover(right: Endpoint, operation: Operation) -> bool:
    """Whether some call of the operation may fall under the right. Which one does is looked at when it is made."""
    if right.method not in {"*", operation.method}:
        return False
    pattern, path = right.path.split("/"), operation.path.split("/")
    if "**" in pattern:
        before = pattern.index("**")
        pattern, path = pattern[:before], path[:before]
    same = all(a in {"*", b} or "{" in b for a, b in zip(pattern, path, strict=False))
    return same and len(pattern) == len(path)


def _value(field: Field, text: str) -> str:
    """A value as it may be sent; empty where nothing is to be."""
    parameter = field.parameter
    header = parameter.place == "header"
    needed = parameter.required or parameter.place == "path"
    wrong = (
        len(text) > MAX_VALUE
        or not (text.isprintable() and _encodes(text))
        or (header and (not text.isascii() or text != text.strip()))
        or (needed and not text)
    )
    if wrong:
        raise Malformed("trial.value", parameter.name, at="caller")
    return text


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
