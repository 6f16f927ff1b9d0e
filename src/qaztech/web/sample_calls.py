"""Which call of a service its page shows to copy, and from whose node. Not here: the calls' texts (`member.samples`).

Where the instance's file names a node whose system may call the service, the samples work as they stand; else they
name places to fill in.
"""

from __future__ import annotations

from collections.abc import Collection

from qaztech.core.ids import MemberId, SubsystemId
from qaztech.core.rights import Endpoint
from qaztech.member.rendering import Rendered, RenderedOperation
from qaztech.member.samples import endpoint_call, example_call, samples
from qaztech.registry.catalogue import CatalogueService
from qaztech.web.country import Country

EDGE = "http://127.0.0.1:8080"
NAMES = {"curl": "curl", "python": "Python", "javascript": "JavaScript", "java": "Java", "csharp": "C#"}


def sample_calls(
    service: CatalogueService, rendered: Rendered | None, country: Country, callers: Collection[SubsystemId]
) -> list[tuple[str, str, str]]:
    """The same call in each language: short name, name for people, text."""
    edge, client = _caller(country, callers)
    operation = _operation(rendered)
    if operation is not None:
        call = example_call(operation, edge=edge, client=client, service=service.id)
    else:
        call = endpoint_call(_endpoint(service), edge=edge, client=client, service=service.id)
    return [(code, NAMES[code], text) for code, text in samples(call).items()]


def _caller(country: Country, callers: Collection[SubsystemId]) -> tuple[str, SubsystemId]:
    """A node's edge and the system behind it: one that may call the service, else places to fill in."""
    may = {str(caller): caller for caller in callers}
    for node in country.nodes:
        if node.edge and node.system in may:
            return node.edge, may[node.system]
    return EDGE, SubsystemId(MemberId(country.instance, "GOV", "YOUR-BIN"), "YOUR-SYSTEM")


def _operation(rendered: Rendered | None) -> RenderedOperation | None:
    """The first GET, else the first of all."""
    found = [one for group in (rendered.groups if rendered is not None else ()) for one in group.operations]
    return next((one for one in found if one.operation.method == "GET"), next(iter(found), None))


def _endpoint(service: CatalogueService) -> Endpoint:
    """The most telling endpoint that a right names: the longest that reads."""
    found = [Endpoint.parse(text) for text in service.endpoints]
    reads = [one for one in found if one.method in {"GET", "*"}]
    return max(reads or found, key=lambda one: len(one.path), default=Endpoint("GET", "/"))
