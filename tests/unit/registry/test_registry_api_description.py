"""The description of the registry's API: what is served is what is kept, and what is described is what there is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.routing import Match, Route

from asgi_caller import Caller
from qaztech.people.actors import COMMAND_LINE
from qaztech.registry.act_service import ActService
from qaztech.registry.api_description import describe_registry
from qaztech.registry.enrolments import Enrolments
from qaztech.registry.joining import Joining
from qaztech.registry.scopes import REGISTRY_SCOPES
from qaztech.registry.service import RegistryService
from registry_country import Country
from registry_office import HOLDERS, Offices

ROOT = Path(__file__).parents[3]


@pytest.fixture
def offices(country: Country) -> Iterator[Offices]:
    """What stands behind the management API."""
    country.publish()
    found = Offices(country)
    yield found
    found.close()


@pytest.fixture
def service(country: Country, offices: Offices) -> RegistryService:
    """A registry with all that programs may ask it."""
    enrolments = Enrolments(engine=offices.engine, registry=country.registry, authority=None, clock=country.clock)
    return RegistryService(
        publisher=country.publisher,
        joining=Joining(
            applications=offices.applications, enrolments=enrolments, publisher=country.publisher, clock=country.clock
        ),
        store=country.store,
        published=country.published,
        anchor=country.anchor_bytes,
        log=country.log,
        witnessed=country.witnessed_note,
        witness=None,
        authority=None,
        clock=country.clock,
        more=[*offices.management().routes(), *ActService(offices.log, witnessed=lambda: b"").routes()],
    )


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    """Method, path and description of every call."""
    return [
        (method.upper(), path, operation)
        for path, methods in describe_registry()["paths"].items()
        for method, operation in methods.items()
    ]


def example(path: str) -> str:
    """A path with something in the place of its parameters."""
    return re.sub(r"\{\w+\}", "1", path)


def test_the_description_is_kept_in_the_docs_and_served(service: RegistryService) -> None:
    """One description, wherever it is read."""
    kept = json.loads((ROOT / "docs/reference/registry-api.json").read_text(encoding="utf-8"))
    assert kept == describe_registry()
    assert Caller(service.app()).get("/api/openapi.json").json() == kept


def test_every_route_is_described_and_nothing_else(service: RegistryService) -> None:
    """Each call leads to a route, and no route is left over; `/metrics` is of every process."""
    routes = [route for route in service.routes() if isinstance(route, Route)]
    left = {(method, route.path) for route in routes for method in route.methods or () if method != "HEAD"}
    astray = []
    for method, path, _ in operations():
        scope = {"type": "http", "path": example(path), "method": method, "root_path": ""}
        found = next((route for route in routes if route.matches(scope)[0] is Match.FULL), None)
        if found is None:
            astray.append((method, path))
        else:
            left.discard((method, found.path))
    assert astray == [("GET", "/metrics")]
    assert left == set()


def test_names_and_schemas_of_the_description_are_sound() -> None:
    """Each call has a name of its own, and every reference leads somewhere."""
    description = describe_registry()
    names = [operation["operationId"] for _, _, operation in operations()]
    assert len(names) == len(set(names))
    references = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(description)))
    assert references == set(description["components"]["schemas"])


def test_a_call_needs_the_scope_that_is_described(service: RegistryService, offices: Offices) -> None:
    """Every call by every role: refused without the scope, let in with it; nobody comes in without a token."""
    accounts, tokens, day = offices.people.accounts, offices.people.tokens, offices.clock.now() + 86_400_000
    secrets = {
        role: tokens.create(accounts.named(name).id, "test", REGISTRY_SCOPES[role], day, by=COMMAND_LINE)[0]
        for role, name in HOLDERS.items()
    }
    caller, wrong = Caller(service.app(), address="192.0.2.7"), []
    for method, path, operation in operations():
        scope = operation.get("x-scope")
        if scope is None:
            continue
        for role, secret in secrets.items():
            ask = caller.post if method == "POST" else caller.get
            answer = ask(example(path), headers={"Authorization": f"Bearer {secret}"})
            if (answer.status_code == 403) != (scope not in REGISTRY_SCOPES[role]):
                wrong.append((method, path, role, answer.status_code))
        status = (caller.post if method == "POST" else caller.get)(example(path)).status_code
        if status not in {401, 403}:
            wrong.append((method, path, "nobody", status))
    assert wrong == []
