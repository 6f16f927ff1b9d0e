"""The embedded country with the national sample: hundreds of systems, and a finding that rests on real exchanges."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from qaztech.cli.main import main
from qaztech.compose.hub import open_objects, open_store
from qaztech.core.time import SystemClock
from qaztech.hub.flows import Flows
from qaztech.hub.register.snapshot import Register
from qaztech.hub.store import OperationalStore
from qaztech.hub.traffic import CENTRE, Traffic
from qaztech.testing import processes
from qaztech.testing.instance import Instance
from qaztech.testing.national.hours import LABEL
from qaztech.testing.national.sample import SOURCE

pytest.importorskip("duckdb")
RUNNING = (
    "registry", "witness-archive", "system-codes", "node-ministry", "node-registers", "node-university", "centre",
    "life",
)  # fmt: skip
# The portal of languages declares 40,000 users.
LANGUAGES, PORTAL, HELP_DESK = "KZ/QUASI/991340000027/languages/v1", "ns-0004", "ns-0009"


@pytest.fixture(scope="module")
def country(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """A country with the sample, whose systems live."""
    home = tmp_path_factory.mktemp("sample") / "home"
    with Instance(home, only=RUNNING, centre=True, sample=True, life=True) as running:
        yield running


@pytest.fixture(scope="module")
def settings(country: Instance) -> Path:
    """The centre's settings."""
    return country.home / "centre" / "hub.toml"


@pytest.fixture(scope="module")
def store(settings: Path) -> Iterator[OperationalStore]:
    """What the centre keeps of deliveries."""
    with open_store(settings) as kept:
        yield kept


def _register(settings: Path) -> Register:
    objects, engine = open_objects(settings)
    try:
        (batch,) = objects.batches()
        assert batch.source == SOURCE
        return objects.register()
    finally:
        engine.dispose()


def test_the_centre_starts_with_the_sample(country: Instance, settings: Path, store: OperationalStore) -> None:
    """Three hundred objects and more in one batch, one labelled file of hours; the country says so."""
    assert len(_register(settings).objects) >= 300
    (hours,) = Flows(settings.parent / "flows", store).brought()
    assert hours.label == LABEL
    assert country.country["sample"] is True
    assert "fictitious = true" in settings.read_text()


def test_a_finding_rests_on_exchanges_that_verify(
    country: Instance, settings: Path, store: OperationalStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A portal of 40,000 declared users was called three times, and each call has its receipt."""
    now = SystemClock().now() + 3_600_000
    traffic = Traffic(store.directory, store.files)
    country.until(lambda: len(traffic.exchanges(CENTRE, 0, now, service=LANGUAGES)) == 3, 120.0)
    calls = traffic.exchanges(CENTRE, 0, now, service=LANGUAGES)
    assert [call.status for call in calls] == [200] * 3
    detect = ["hub", "detect", "--settings", str(settings), "--json"]
    assert main([*detect, "--detector", "paid_but_unused", "--detector", "commissioned_without_use"]) == 0
    found = {finding["objects"][0]: finding for finding in json.loads(capsys.readouterr().out)}
    facts = {fact["what"]: fact["value"] for fact in found[PORTAL]["evidence"]}
    assert facts["calls"] == 3
    assert facts["observed_days"] > 180
    assert found[PORTAL]["money"] > 0
    assert HELP_DESK in found
    assert _register(settings).objects[PORTAL].declared_users == 40_000
    for number, call in enumerate(calls):
        receipt = tmp_path / f"{number}.json"
        receipt.write_text(json.dumps(country.receipt(call.message, node="university")))
        assert main(["verify", str(receipt), "--anchor", str(country.anchor), "--require", "witnessed"]) == 0


def test_the_dozen_are_seen(country: Instance, settings: Path, store: OperationalStore) -> None:
    """Systems of three organisations call each other for real, and the registry knows all of them."""
    flows = Flows(settings.parent / "flows", store)
    register = _register(settings)
    members = {object_.owner_bin for object_ in list(register.objects.values())[:13]}

    def seen() -> set[str]:
        real = [flow for flow in flows.traffic().flows if flow.client.split("/")[2] in members]
        return {end for flow in real for end in (flow.client, flow.provider)}

    country.until(lambda: len(seen()) >= 11, 120.0)
    assert all(register.by_subsystem(subsystem) is not None for subsystem in seen())


def test_the_last_exchange_is_the_users_own(country: Instance, capsys: pytest.CaptureFixture[str]) -> None:
    """What the country calls by itself is not what somebody who tries it asks for."""
    message = country.call().message
    done = country.home / "life" / "done.json"
    before = sum(json.loads(done.read_text()).values())
    country.until(lambda: sum(json.loads(done.read_text()).values()) > before + 4)
    capsys.readouterr()
    assert main(["receipt", "last", "--node", "ministry", "--home", str(country.home)]) == 0
    assert message in capsys.readouterr().out


def test_life_ends_with_the_country(country: Instance) -> None:
    """It runs as a process of its own and can be stopped by itself."""
    assert processes.status(country.home, RUNNING)["processes"]["life"] == "ready"
    country.terminate("life")
    assert processes.status(country.home, RUNNING)["processes"]["life"] == "not running"
    assert processes.status(country.home, ("registry",))["ready"]
