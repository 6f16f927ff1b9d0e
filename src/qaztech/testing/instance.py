"""`Instance`: the embedded country on free ports, for members' own tests.

    @pytest.fixture(scope="session")
    def country(tmp_path_factory):
        with Instance(tmp_path_factory.mktemp("country")) as country:
            yield country

Ready in seconds; real processes, real logs, real witnesses. Everything it started ends with it.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

from qaztech.core.ids import ServiceId, SubsystemId
from qaztech.core.rights import Endpoint
from qaztech.core.time import SystemClock
from qaztech.registry.desk import Desk
from qaztech.registry.forms import Names
from qaztech.registry.submitting import submit
from qaztech.testing import processes
from qaztech.testing.country import LOCAL, CountryOptions, Ports, found, is_founded, read_country


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer of a node's consumer edge."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def message(self) -> str:
        """The message id: what a receipt is asked by."""
        return self.headers["x-road-request-id"]


class Instance:
    """One running country. `home` is its folder; an existing one goes on where it stopped.

    With `centre` and `ai` the university hosts a model (a stand-in) and the ministry has a gateway.
    With `centre` it has a support center, to which every node delivers each `deliver_seconds`; those deliveries are
    exchanges and stand in the nodes' logs beside the test's own. With `sample` the centre has the national sample, and
    with `life` the dozen systems of it that exchange for real do so.
    """

    def __init__(
        self,
        home: Path,
        *,
        witnessing_seconds: float = 0.25,
        refresh_seconds: float = 0.5,
        hybrid: bool = True,
        only: Sequence[str] = (),
        database: str = "",
        host: str = LOCAL,
        centre: bool = False,
        deliver_seconds: float = 0.5,
        sample: bool = False,
        life: bool = False,
        ai: bool = False,
    ) -> None:
        self.home = home
        self._only = tuple(only)
        self._options = CountryOptions(
            ports=Ports.free(), witnessing_seconds=witnessing_seconds, refresh_seconds=refresh_seconds, hybrid=hybrid,
            database=database, host=host, centre=centre, deliver_seconds=deliver_seconds, check_seconds=deliver_seconds,
            sample=sample, life=life, ai=ai,
        )  # fmt: skip

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # Life ------------------------------------------------------------------------------------------------------------

    def found(self) -> None:
        """Lay the country out on disk without starting it."""
        if not is_founded(self.home):
            asyncio.run(found(self.home, self._options))

    def start(self, seconds: float = 40.0) -> None:
        """Start every process (those of `only`, where it was given) and wait until they are ready."""
        self.found()
        try:
            processes.start(self.home, only=self._only)
            processes.wait(self.home, seconds, only=self._only)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End every process."""
        if is_founded(self.home):
            processes.stop(self.home)

    def kill(self, name: str) -> None:
        """End one process at once, as a power cut would: `node-ministry`, `registry`."""
        pid = processes.pid_of(self.home, name)
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
            self.until(lambda: processes.pid_of(self.home, name) is None, 10.0)

    def terminate(self, name: str) -> None:
        """Ask one process to drain and end, and wait for it."""
        pid = processes.pid_of(self.home, name)
        if pid is not None:
            os.kill(pid, signal.SIGTERM)
            self.until(lambda: processes.pid_of(self.home, name) is None, 40.0)

    # Facts -----------------------------------------------------------------------------------------------------------

    @property
    def country(self) -> dict[str, Any]:
        """The country's file."""
        return read_country(self.home)

    @property
    def anchor(self) -> Path:
        """The anchor file."""
        return self.home / "anchor.json"

    def node(self, name: str) -> dict[str, Any]:
        """One node: name, member, system, edge, management."""
        return next(node for node in self.country["nodes"] if node["name"] == name)

    @property
    def center(self) -> str:
        """Where the support center's pages are; only with `centre=True`."""
        return str(self.country["centre"]["url"])

    @property
    def service(self) -> str:
        """The service that Datasette provides."""
        return str(self.country["systems"][0]["service"])

    # Use -------------------------------------------------------------------------------------------------------------

    def call(
        self,
        path: str = "/countries/KZ.json?_shape=object",
        *,
        node: str = "ministry",
        service: str | None = None,
        method: str = "GET",
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        seconds: float = 30.0,
    ) -> Answer:
        """Call a service as the node's own system."""
        where = self.node(node)
        sent = {"X-Road-Client": where["system"], **(headers or {})}
        target = f"/r1/{service or self.service}{path}"
        return request(where["edge"], method, target, body=body, headers=sent, seconds=seconds)

    def manage(self, node: str, path: str, method: str = "GET") -> Any:
        """Ask a node's management API."""
        return processes.management(self.home, node, path, method)

    def receipt(
        self, message: str, *, node: str = "ministry", wait: str = "witnessed", disclose: Sequence[str] = ()
    ) -> dict[str, Any]:
        """The receipt of a message."""
        query = [("wait", wait)] + [("disclose", field) for field in disclose]
        found: dict[str, Any] = self.manage(node, f"/receipts/{message}?{urlencode(query)}")
        return found

    # Change ----------------------------------------------------------------------------------------------------------

    def desk(self, name: str) -> Desk:
        """A member's own desk."""
        return Desk(self.home / "members" / name, SystemClock())

    def submit(self, desk: Desk) -> None:
        """Bring a member's newest file and pages to the registry."""
        submit(self.country["registry"], desk.submission())

    def add_service(
        self,
        owner: str,
        code: str,
        url: str,
        *,
        clients: Sequence[str] = ("ministry",),
        endpoints: Sequence[str] = ("* /**",),
        **settings: object,
    ) -> str:
        """Give an organisation one more service at `url`, callable by these; gives its id when it can be called."""
        desk = self.desk(owner)
        system = SubsystemId.parse(self.node(owner)["system"])
        service = ServiceId(system, code)
        desk.add_service(service, Names(kk=code, ru=code, en=code), type_="REST", disabled=None)
        for client in clients:
            lineage = self.desk(client).lineage
            caller = SubsystemId.parse(self.node(client)["system"])
            desk.grant(service, caller, lineage, [Endpoint.parse(e) for e in endpoints], None)
        toml = self.home / "nodes" / owner / "node.toml"
        lines = ["", "[[services]]", f'id = "{service}"', f'url = "{url}"']
        lines += [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
        toml.write_text(toml.read_text() + "\n".join(lines) + "\n")
        self.submit(desk)
        for name in (owner, *clients):
            self.manage(name, "/reload", "POST")
        return str(service)

    @staticmethod
    def until(true: Callable[[], bool], seconds: float = 15.0) -> None:
        """Wait until something is so. Raises `TimeoutError`."""
        deadline = time.monotonic() + seconds
        while not true():
            if time.monotonic() > deadline:
                raise TimeoutError("it did not become so in time")
            time.sleep(0.02)


def request(
    url: str,
    method: str,
    target: str,
    *,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
    seconds: float = 30.0,
) -> Answer:
    """One HTTP request on a connection of its own."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=seconds)
    try:
        connection.request(method, target, body, headers or {})
        answer = connection.getresponse()
        return Answer(
            status=answer.status,
            headers={name.lower(): value for name, value in answer.getheaders()},
            body=answer.read(),
        )
    finally:
        connection.close()
