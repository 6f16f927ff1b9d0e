"""What the provider's node decides for itself, whatever the consumer's node has let pass."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from qaztech.core.errors import Error, Forbidden, NotFound, Unavailable, Untrusted
from qaztech.core.ids import ServiceId, SubsystemId
from qaztech.core.record import format_record
from qaztech.node.deciding import reason_to_refuse
from qaztech.node.frames import Request
from receipt_country import ReceiptCountry
from registry_country import Country


@pytest.fixture(scope="module")
def country(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReceiptCountry]:
    """One country for all: decisions change nothing in it."""
    registry = Country(tmp_path_factory.mktemp("country"))
    yield ReceiptCountry(registry)
    registry.close()


class Systems:
    """The provider edge: asked who calls by which right, and it refuses when told to."""

    def __init__(self, *, known: bool = True, refuses: Error | None = None) -> None:
        self.known, self.refuses = known, refuses
        self.asked: list[tuple[str, str, str]] = []

    def has(self, _: ServiceId) -> bool:
        return self.known

    def refusal(self, service: ServiceId, client: SubsystemId, endpoint: str) -> Error | None:
        self.asked.append((str(service), str(client), endpoint))
        return self.refuses


def decide(country, systems=None, path="/countries/KZ", **fields):
    """The decision on a request with these fields of its record."""
    made = country.fields(**fields)
    record = format_record("request", **made)
    frame = Request(1, 0, record.data, bytes(32), b"/r1/x", path, b"", b"", b"")
    return reason_to_refuse(
        record, frame, SubsystemId.parse(made["client"]), ServiceId.parse(made["service"]),
        configuration=country.client.configuration(), systems=systems or Systems(), now=made["time"],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("code", "method", "taken"),
    [
        ("listMethods", "GET", True), ("getOpenAPI", "GET", True), ("accessRequests", "GET", True),
        ("accessRequests", "POST", True), ("listMethods", "POST", False), ("accessRequests", "DELETE", False),
        ("registers", "GET", False),
    ],
)  # fmt: skip
def test_what_needs_no_right_is_taken_by_its_methods_only(country, code, method, taken):
    """A consumer's node that records `-` for anything else is refused, on record."""
    service = f"{country.provider.subsystem('main')}/{code}"
    refused = decide(country, service=service, method=method, endpoint="-", path="")
    assert refused is None if taken else refused.code == "access-right.missing"


def test_a_right_is_needed_and_must_cover_the_call(country):
    """As the provider's own configuration has it; a record that contradicts the call ends the link."""
    assert decide(country) is None
    assert isinstance(decide(country, endpoint="GET /**"), Forbidden)
    assert isinstance(decide(country, Systems(known=False)), NotFound)
    with pytest.raises(Untrusted):
        decide(country, path="/other")


def test_the_provider_edge_has_the_last_word(country):
    """It hears by which right the call is made; also of calls that need none."""
    closed = Unavailable("service.disabled", "closed")
    systems = Systems(refuses=closed)
    assert decide(country, systems) is closed
    access = f"{country.provider.subsystem('main')}/accessRequests"
    assert decide(country, systems, service=access, method="POST", endpoint="-") is closed
    client = str(country.consumer.subsystem("main"))
    assert systems.asked == [(str(country.service), client, "GET /countries/*"), (access, client, "-")]


def test_a_service_switched_off_says_so_also_to_who_has_not_heard(country, monkeypatch):
    """The caller's node may follow the registry a moment later; the reason told is the owner's notice."""
    configuration = country.client.configuration()
    off = dataclasses.replace(configuration.service(ServiceId.parse(country.fields()["service"])), disabled="back soon")
    monkeypatch.setattr(type(configuration), "service", lambda *_: off)
    refused = decide(country)
    assert refused.code == "service.disabled"
    assert "back soon" in refused.detail
