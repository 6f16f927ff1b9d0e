"""The running country that the exchange's tests share: two nodes, the registry, two witnesses, a system that echoes.

The university's node does not run: its identity is in the hands of the tests (`adversary`).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import pytest

from adversary import Adversary
from qaztech.core.ids import ServiceId, SubsystemId
from qaztech.core.record import parse_record
from qaztech.core.rights import Endpoint
from qaztech.evidence.log import LogView
from qaztech.evidence.storage import OsStorage
from qaztech.testing import processes
from qaztech.testing.echo import EchoService
from qaztech.testing.instance import Instance, request

RUNNING = ("registry", "witness-archive", "node-ministry", "node-registers")


class RunningEcho:
    """The echo service on a loop of its own; `calls` are what has reached the system."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.service = EchoService(remember=100_000)
        self._do(self.service.start())

    def _do(self, coroutine) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    @property
    def url(self) -> str:
        return self.service.url

    @property
    def calls(self):
        return list(self.service.calls)

    def stop(self) -> None:
        self._do(self.service.stop())

    def start(self) -> None:
        self._do(self.service.start())

    def close(self) -> None:
        self._do(self.service.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


class Country(Instance):
    """The country with what these tests ask of it."""

    echo: str

    def size(self, node: str) -> int:
        """Entries of a node's log."""
        size: int = self.manage(node, "/status")["log"]["size"]
        return size

    def log(self, node: str) -> LogView:
        """A node's log as it is on the disk."""
        return LogView.open_read_only(self.home / "nodes" / node / "log", storage=OsStorage())

    def records(self, node: str, message: str) -> list[str]:
        """The kinds of the records a node's log has of a message, in their order."""
        with self.log(node) as log:
            return [parse_record(log.read(i).data).kind for i in log.find(UUID(message).bytes)]

    def counted(self, node: str, code: str) -> float:
        """How often a node has counted a refusal (`refused_total`) with that code."""
        text = request(self.node(node)["management"], "GET", "/metrics").body.decode()
        lines = [line for line in text.splitlines() if "refused_total" in line and f'"{code}"' in line]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

    def measured(self, node: str, name: str) -> float:
        """One number of a node's metrics; its name comes with its labels."""
        text = request(self.node(node)["management"], "GET", "/metrics").body.decode()
        return next(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(f"qaztech_{name} "))

    def incidents(self, node: str, code: str) -> list[dict]:
        """A node's incidents of one code."""
        return [incident for incident in self.manage(node, "/incidents") if incident["code"] == code]

    def restart(self, name: str) -> None:
        """Start a process again that was ended, and wait until it is ready."""
        processes.start(self.home, only=(name,))
        processes.wait(self.home, 40.0, only=(name,))

    def grant(self, owner: str, service: str, client: str, endpoints: list[str]) -> None:
        """Give a client a right, and wait until the owner's node decides by it."""
        desk = self.desk(owner)
        desk.grant(
            ServiceId.parse(service), SubsystemId.parse(self.node(client)["system"]), self.desk(client).lineage,
            [Endpoint.parse(e) for e in endpoints], None,
        )  # fmt: skip
        self.publish(desk, owner)

    def publish(self, desk, *nodes: str) -> None:
        """Bring a desk's newest file to the registry and have these nodes follow at once."""
        self.submit(desk)
        for node in nodes:
            self.manage(node, "/reload", "POST")

    @contextmanager
    def unrecorded(self, *nodes: str) -> Iterator[None]:
        """Inside this block nothing may be appended to these nodes' logs."""
        before = [self.size(node) for node in nodes]
        yield
        assert [self.size(node) for node in nodes] == before


@contextmanager
def running_country(home: Path, echo: RunningEcho, **options) -> Iterator[Country]:
    """A country with the echo service of `registers`, which the ministry and the university may call."""
    country = Country(home, only=RUNNING, **options)
    with country:
        country.echo = country.add_service("registers", "echo", echo.url)
        country.grant("registers", country.echo, "university", ["* /**"])
        yield country


@pytest.fixture(scope="session")
def echo() -> Iterator[RunningEcho]:
    """The system behind the service."""
    running = RunningEcho()
    yield running
    running.close()


@pytest.fixture(scope="session")
def country(tmp_path_factory: pytest.TempPathFactory, echo: RunningEcho) -> Iterator[Country]:
    """The one country that most tests share."""
    with running_country(tmp_path_factory.mktemp("country") / "home", echo) as country:
        yield country


@pytest.fixture(scope="session")
def adversary(country: Country) -> Adversary:
    """The university, which does not keep to the protocol."""
    return Adversary(country, "university")
