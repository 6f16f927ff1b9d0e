"""What the centre knows of traffic comes from the nodes' logs, delivered by exchanges and checked by arithmetic."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import Country
from qaztech.cli.main import main
from qaztech.compose.witness import want_everyone
from qaztech.core.ids import MemberId
from qaztech.core.time import SystemClock
from qaztech.hub.operational import Deliveries, hub_app, owner_in
from qaztech.hub.store import METADATA, OperationalStore
from qaztech.hub.traffic import CENTRE, Viewer
from qaztech.node.journal import WITNESSED
from qaztech.registry.anchor import parse_anchor
from qaztech.registry.client import ConfigurationClient
from qaztech.registry.fetch import HttpFetcher
from qaztech.runtime.database import open_database, sqlite_url
from qaztech.runtime.shell import serve
from qaztech.testing.country import Ports

pytest.importorskip("duckdb")


class Centre:
    """The centre, on a loop of its own behind the node of the registers."""

    def __init__(self, country: Country, directory: Path) -> None:
        self._anchor = parse_anchor(country.anchor.read_bytes())
        self._fetcher = HttpFetcher(country.country["registry"])
        self._client = ConfigurationClient(
            anchor=self._anchor, directory=directory / "configuration", fetcher=self._fetcher, own_members={},
            clock=SystemClock(),
        )  # fmt: skip
        self.follow()
        self._engine = open_database(sqlite_url(directory / "hub.db"), METADATA)
        self.store = OperationalStore(self._engine, directory / "rows")
        self.deliveries = Deliveries(
            store=self.store,
            owner=owner_in(self._client.configuration),
            policy=self._anchor.policy,
            clock=SystemClock(),
            grace=0,
        )
        self.port = Ports.free().portal
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def follow(self) -> None:
        """Fetch the configuration, with everyone's files."""
        self._client.refresh()
        while want_everyone(self._client):
            self._client.refresh()
        self._fetcher.close()

    def check(self):
        """Compare the two sides' rows."""
        return asyncio.run_coroutine_threadsafe(self.deliveries.cross_check(), self._loop).result(30)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)
        self._loop.close()
        self._engine.dispose()

    def _run(self) -> None:
        self._loop.run_until_complete(
            serve(hub_app(self.deliveries), host="127.0.0.1", port=self.port, stop=self._stop)
        )


@pytest.fixture(scope="module")
def centre(country: Country, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centre]:
    """The centre, to which the ministry and the registers deliver."""
    centre = Centre(country, tmp_path_factory.mktemp("centre"))
    service = country.add_service(
        "registers", "operational", f"http://127.0.0.1:{centre.port}", clients=("ministry", "registers"),
        endpoints=("POST /deliveries", "GET /held", "GET /totals"),
    )  # fmt: skip
    for name in ("ministry", "registers"):
        system = country.node(name)["system"]
        toml = country.home / "nodes" / name / "node.toml"
        toml.write_text(f'{toml.read_text()}\n[operational]\nservice = "{service}"\nclient = "{system}"\n')
    yield centre
    centre.close()


def witnessed(country: Country, name: str) -> int:
    """The largest witnessed size that a node's log holds on its disk."""
    with country.log(name) as log:
        count = log.note_count(WITNESSED)
        return log.read_note(WITNESSED, count - 1)[0] if count else 0


def deliver(country: Country, name: str, capsys: pytest.CaptureFixture[str]) -> list[dict]:
    """Deliver what a node has by the command; gives the deliveries."""
    size = country.size(name)
    country.manage(name, "/witness-now", "POST")
    country.until(lambda: witnessed(country, name) >= size)
    settings = country.home / "nodes" / name / "node.toml"
    assert main(["node", "operational", "--settings", str(settings), "--once", "--json"]) == 0
    return json.loads(capsys.readouterr().out)["deliveries"]


def test_what_was_called_is_what_the_centre_counts(
    country: Country, centre: Centre, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both nodes deliver by exchanges; totals are those of the calls, each counted once, to each what it may see."""
    since = SystemClock().now() - 1
    for status in (200, 200, 404):
        assert country.call(f"/status/{status}", service=country.echo).status == status
    until = SystemClock().now() + 1
    for name in ("ministry", "registers"):
        assert deliver(country, name, capsys)[-1]["message"]
    assert {log.origin for log in centre.store.all_held()} == {
        country.manage(name, "/status")["log"]["origin"] for name in ("ministry", "registers")
    }
    totals = [t for t in centre.deliveries.traffic.totals(CENTRE, since, until) if t.service == country.echo]
    assert [(t.client, t.calls, t.succeeded) for t in totals] == [(country.node("ministry")["system"], 3, 2)]
    stranger = Viewer(member=MemberId("KZ", "GOV", "990000000000"))
    assert centre.deliveries.traffic.totals(stranger, since, until) == []
    assert centre.check() == []
