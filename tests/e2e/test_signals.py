"""Sign-ins that an identity provider counted reach the registry by an exchange, and a receipt proves who sent them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from qaztech.cli.main import main
from qaztech.compose.hub import open_objects
from qaztech.hub.register.rows import Signal
from qaztech.hub.register.store import Edit
from qaztech.people.actors import COMMAND_LINE
from qaztech.testing.country import Ports
from qaztech.testing.instance import request

if TYPE_CHECKING:
    from conftest import Country

pytest.importorskip("duckdb")


class Centre:
    """The centre, a process behind the node of the registers; the ministry is its identity provider."""

    def __init__(self, country: Country, directory: Path) -> None:
        self.country = country
        self.directory = directory
        self.settings = directory / "hub.toml"
        self.port = Ports.free().portal
        self.settings.write_text(
            f'directory = "."\nanchor = "{country.anchor}"\nregistry = "{country.country["registry"]}"\n'
            f'port = {self.port}\nrefresh_seconds = 0.5\nsign_in_providers = ["{country.node("ministry")["member"]}"]\n'
        )
        self.start()

    def prepare(self) -> None:
        """Let the ministry call it, and register a system."""
        country = self.country
        self.service = country.add_service(
            "registers", "signals", f"http://127.0.0.1:{self.port}", endpoints=("POST /signals",)
        )
        store, engine = open_objects(self.settings)
        values = {"id": "ds-1", "name_kk": "Портал", "subsystems": [country.node("university")["system"]]}
        store.apply([Edit(table="objects", values=values)], by=COMMAND_LINE, source="test", at=1)
        engine.dispose()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [sys.executable, "-m", "qaztech.cli.main", "hub", "run", "--settings", str(self.settings)]
        with (self.directory / "hub.log").open("ab") as log:
            self.process = subprocess.Popen(command, stderr=log)
        self.country.until(lambda: answers(self.port), 60.0)

    def close(self) -> None:
        """End it."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


def answers(port: int) -> bool:
    """Whether the centre answers there."""
    try:
        return request(f"http://127.0.0.1:{port}", "GET", "/health").status == 200
    except OSError:
        return False


@pytest.fixture(scope="module")
def centre(country: Country, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centre]:
    """The centre."""
    centre = Centre(country, tmp_path_factory.mktemp("signals"))
    try:
        centre.prepare()
        yield centre
    finally:
        centre.close()


def test_a_number_of_sign_ins_leads_to_a_receipt(country: Country, centre: Centre, tmp_path: Path) -> None:
    """From the row to the exchange of its history, from there to a receipt over the bytes that were sent."""
    counted = {"subsystem": country.node("university")["system"], "month": "2026-01", "sign_ins": 3}
    body = json.dumps({"signals": [counted]}).encode()
    headers = {"Content-Type": "application/json"}
    sent = country.call("/signals", service=centre.service, method="POST", body=body, headers=headers)
    assert (sent.status, json.loads(sent.body)["added"]) == (200, 1)
    store, engine = open_objects(centre.settings)
    row = store.register().all(Signal)["ds-1|2026-01"]
    ((batch, _), *_) = store.history("signals", row.key)
    engine.dispose()
    assert (row.sign_ins, row.signed_by) == (3, country.node("ministry")["member"].rpartition("/")[2])
    kind, _, message = batch.source.partition(":")
    assert (kind, message, batch.by) == ("exchange", sent.message, country.node("ministry")["system"])
    kept = centre.directory / "signals" / f"{message}.json"
    assert kept.read_bytes() == body
    receipt = country.receipt(message, node="registers", disclose=["request.body"])
    path = tmp_path / "receipt.json"
    path.write_text(json.dumps(receipt))
    command = ["verify", str(path), "--anchor", str(country.anchor), "--require", "witnessed", "--request-body"]
    assert main([*command, str(kept)]) == 0
    other = tmp_path / "other.json"
    other.write_bytes(body.replace(b": 3", b": 4"))
    assert main([*command, str(other)]) == 1


def test_a_centre_that_knows_no_such_provider_refuses(country: Country, centre: Centre) -> None:
    """The right to call the service is not enough: the centre's settings say who speaks as an identity provider."""
    centre.close()
    centre.settings.write_text(
        centre.settings.read_text().replace('sign_in_providers = ["', "sign_in_providers = [] # ")
    )
    centre.start()
    signals = {"signals": [{"object": "ds-1", "month": "2026-01", "sign_ins": 3}]}
    body = json.dumps(signals).encode()
    refused = country.call("/signals", service=centre.service, method="POST", body=body)
    assert (refused.status, json.loads(refused.body)["code"]) == (403, "signals.sender")
