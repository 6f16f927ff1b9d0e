"""What the centre knows of traffic comes from the nodes' logs, delivered by exchanges and checked by arithmetic."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from qaztech.cli.main import main
from qaztech.compose.hub import open_store
from qaztech.core.errors import Unavailable
from qaztech.core.time import SystemClock
from qaztech.hub.crosscheck import CONTRADICTION
from qaztech.hub.store import OperationalStore
from qaztech.hub.traffic import CENTRE, Traffic
from qaztech.node.journal import WITNESSED
from qaztech.node.operational import Delivery, OperationalData
from qaztech.node.operational_edge import EdgeCentre
from qaztech.node.operational_parquet import file_facts, write_part
from qaztech.node.operational_rows import rows
from qaztech.node.settings import NodeSettings
from qaztech.runtime.settings import read_settings
from qaztech.testing.country import Ports
from qaztech.testing.instance import request

if TYPE_CHECKING:
    from conftest import Country

pytest.importorskip("duckdb")
NODES = ("ministry", "registers")


class Centre:
    """The centre, a process behind the node of the registers."""

    def __init__(self, country: Country, directory: Path) -> None:
        self._country = country
        self.directory = directory
        self.port = Ports.free().portal
        self.settings = directory / "hub.toml"
        self.settings.write_text(
            f'directory = "."\nanchor = "{country.anchor}"\nregistry = "{country.country["registry"]}"\n'
            f"port = {self.port}\nrefresh_seconds = 0.5\ncheck_seconds = 0.2\n"
        )
        self.start()
        self.service = country.add_service(
            "registers", "operational", f"http://127.0.0.1:{self.port}", clients=NODES,
            endpoints=("POST /deliveries", "GET /held", "GET /totals"),
        )  # fmt: skip
        for name in NODES:
            toml = country.home / "nodes" / name / "node.toml"
            toml.write_text(
                f'{toml.read_text()}\n[operational]\nservice = "{self.service}"\n'
                f'client = "{country.node(name)["system"]}"\nevery_seconds = 0.1\n'
            )

    def start(self) -> None:
        command = [sys.executable, "-m", "qaztech.cli.main", "hub", "run", "--settings", str(self.settings)]
        with (self.directory / "hub.log").open("ab") as log:
            self.process = subprocess.Popen(command, stderr=log)
        self._country.until(self._answers, 60.0)

    def stop(self, how: int = signal.SIGTERM) -> None:
        self.process.send_signal(how)
        self.process.wait(60)

    def told(self) -> list[dict]:
        """What the centre has logged."""
        return [json.loads(line) for line in (self.directory / "hub.log").read_text().splitlines()]

    @property
    def store(self) -> OperationalStore:
        """What it keeps, looked at beside it."""
        return open_store(self.settings)

    def held(self, origin: str) -> int:
        with self.store as store:
            return store.held(origin).size

    def _answers(self) -> bool:
        try:
            return request(f"http://127.0.0.1:{self.port}", "GET", "/health").status == 200
        except OSError:
            return False


@pytest.fixture(scope="module")
def centre(country: Country, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centre]:
    """The centre, to which the ministry and the registers deliver."""
    centre = Centre(country, tmp_path_factory.mktemp("centre"))
    yield centre
    centre.stop()


def toml_of(country: Country, name: str) -> Path:
    return country.home / "nodes" / name / "node.toml"


def origin_of(country: Country, name: str) -> str:
    return country.manage(name, "/status")["log"]["origin"]


def witness(country: Country, name: str) -> int:
    """Have all that a node's log holds witnessed, on its disk; gives the largest witnessed size."""
    size = country.size(name)
    country.manage(name, "/witness-now", "POST")

    def witnessed() -> int:
        with country.log(name) as log:
            count = log.note_count(WITNESSED)
            return log.read_note(WITNESSED, count - 1)[0] if count else 0

    country.until(lambda: witnessed() >= size)
    return witnessed()


def deliver(country: Country, name: str, capsys: pytest.CaptureFixture[str]) -> list[dict]:
    """Deliver what a node has by the command; gives the deliveries."""
    witness(country, name)
    assert main(["node", "operational", "--settings", str(toml_of(country, name)), "--once", "--json"]) == 0
    return json.loads(capsys.readouterr().out)["deliveries"]


def test_what_was_called_is_what_the_centre_counts(
    country: Country, centre: Centre, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both nodes deliver by exchanges; totals are those of the calls, each counted once, for whoever may see them."""
    since = SystemClock().now() - 1
    for status in (200, 200, 404):
        assert country.call(f"/status/{status}", service=country.echo).status == status
    until = SystemClock().now() + 1
    messages = [deliver(country, name, capsys)[-1]["message"] for name in NODES]
    client = country.node("ministry")["system"]
    with centre.store as store:
        totals = Traffic(store.directory, store.files).totals(CENTRE, since, until)
    assert [t[1:5] for t in totals if t.service == country.echo] == [(client, country.echo, 3, 2)]
    # The same for a member, asked by an exchange, and for the operator, by the command.
    asked = country.call(f"/totals?since={since}&until={until}", service=centre.service)
    assert [t["calls"] for t in json.loads(asked.body) if t["service"] == country.echo] == [3]
    assert main(["hub", "totals", "--settings", str(centre.settings), "--json"]) == 0
    counted = json.loads(capsys.readouterr().out)["totals"]
    assert next(t["calls"] for t in counted if t["service"] == country.echo) >= 3
    # Each delivery is an exchange like any other: it has its records, and a receipt.
    assert country.records("ministry", messages[0])[0] == "request"
    assert country.receipt(messages[0])["state"] == "witnessed"


def test_a_withheld_row_is_found(country: Country, centre: Centre, tmp_path: Path) -> None:
    """A node that leaves a call out, under its own true checkpoints, is refused and found; then the truth is taken."""
    country.call(service=country.echo)
    witness(country, "ministry")
    settings = read_settings(toml_of(country, "ministry"), NodeSettings)
    edge = EdgeCentre(settings, toml_of(country, "ministry").parent)
    origin = origin_of(country, "ministry")
    start = edge.held(origin).size
    with country.log("ministry") as log:
        honest = OperationalData(tmp_path, clock=SystemClock()).prepare(log, start)
        assert honest is not None
        part = honest.manifest.parts[-1]
        path = tmp_path / "forged.parquet"
        found = list(rows(log, part.start, part.stop))
    write_part(path, [*found[:-1], found[-1]._replace(record=found[0].record)])
    length, digest = file_facts(path)
    forged = msgspec.structs.replace(
        honest.manifest,
        parts=[*honest.manifest.parts[:-1], msgspec.structs.replace(part, length=length, sha256=digest)],
    )
    with pytest.raises(Unavailable, match=r"502, operational\.forged-row"):
        edge.deliver(Delivery(manifest=forged, files=(*honest.files[:-1], path)))
    with centre.store as store:
        assert (store.findings()[0].finding.code, store.held(origin).size) == ("operational.forged-row", start)
    assert edge.deliver(honest)[1].size == honest.manifest.stop


def test_killed_again_and_again_nothing_is_lost_or_twice(country: Country, centre: Centre) -> None:
    """Deliverer and centre are killed at any moment, under calls; at the end each leaf is held once."""
    calling = threading.Event()

    def call() -> None:
        while not calling.wait(0.01):
            country.call(service=country.echo)

    thread = threading.Thread(target=call)
    thread.start()
    command = [
        sys.executable, "-m", "qaztech.cli.main", "node", "operational", "--settings",
        str(toml_of(country, "ministry")),
    ]  # fmt: skip
    origin = origin_of(country, "ministry")
    try:
        for turn in range(3):
            before = centre.held(origin)
            process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
            if turn % 2:
                country.until(lambda before=before: centre.held(origin) > before, 60.0)
            else:
                centre.stop(signal.SIGKILL)
                centre.start()
            process.kill()
            process.wait(10)
    finally:
        calling.set()
        thread.join(30)
    size = witness(country, "ministry")
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    country.until(lambda: centre.held(origin) >= size, 60.0)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    with centre.store as store:
        held = store.held(origin)
        taken = [row for row in Traffic(store.directory, store.files).rows(0, held.recorded + 1) if row.log == origin]
    with country.log("ministry") as log:
        assert [row.leaf for row in taken] == log.leaf_hashes(0, held.size)
    centre.stop()
    centre.start()
    assert not (centre.directory / "rows" / "incoming").exists(), "what a killed centre was receiving does not stay"


def test_two_honest_sides_do_not_contradict_each_other(
    country: Country, centre: Centre, capsys: pytest.CaptureFixture[str]
) -> None:
    """After all this, and all that other tests did to these nodes, no log contradicts the other; nobody is late."""
    time.sleep(1.0)  # what was recorded before must be complete on both sides
    for _ in range(2):
        country.call(service=country.echo)
        for name in NODES:
            deliver(country, name, capsys)
    with centre.store as store:
        held = {log.origin: log.recorded for log in store.all_held()}
        findings = Traffic(store.directory, store.files).cross_check(held, 0, max(held.values()) + 1, grace=800)
        compared = [row for row in Traffic(store.directory, store.files).rows(0, max(held.values())) if row.message]
    assert len({row.message for row in compared}) > 10
    assert [f for f in findings if f.level == CONTRADICTION] == []
    assert main(["hub", "findings", "--settings", str(centre.settings), "--json"]) == 0
    kept = json.loads(capsys.readouterr().out)["findings"]
    assert {f["code"] for f in kept} <= {"operational.forged-row", "exchange.ends-differ"}
    assert main(["hub", "held", "--settings", str(centre.settings)]) == 0
    assert origin_of(country, "registers") in capsys.readouterr().out
    assert [line for line in centre.told() if line["level"] == "error"] == []
