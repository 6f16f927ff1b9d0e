"""A country of one's own for tests that break something: processes are killed, links are cut, disks fill up.

The link from the ministry to the registers goes through `Cable`, which a test may cut or hold up.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from qaztech.cli.verdict import as_json
from qaztech.core.record import Record, parse_record
from qaztech.core.time import SystemClock
from qaztech.evidence.check import CheckReport, check_log
from qaztech.evidence.log import Log, LogView
from qaztech.evidence.storage import OsStorage
from qaztech.registry.anchor import parse_anchor
from qaztech.registry.key_files import load_log_keys
from qaztech.registry.submitting import manage
from qaztech.registry.verification import Verifier
from qaztech.runtime.settings import child_environment
from qaztech.testing import processes
from qaztech.testing.free_ports import free_ports
from qaztech.testing.instance import Answer, Instance, request

RUNNING = ("registry", "witness-archive", "node-ministry", "node-registers", "node-university")
NODES = ("ministry", "registers")


class Cable:
    """A plain TCP relay on a thread of its own: what goes through it can be cut, or swallowed."""

    def __init__(self, port: int, target: int) -> None:
        self._target = target
        self._deaf = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._do(asyncio.start_server(self._accept, "127.0.0.1", port))

    def _do(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, far_writer}
        for source, sink, outward in ((reader, far_writer, True), (far_reader, writer, False)):
            task = self._loop.create_task(self._pump(source, sink, outward=outward))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, outward: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                if not (outward and self._deaf):
                    sink.write(data)
                    await sink.drain()
        sink.close()
        self._writers.discard(sink)

    async def _cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    def cut(self) -> None:
        """Break every connection; new ones are relayed again."""
        self._do(self._cut())

    @contextmanager
    def deaf(self) -> Iterator[None]:
        """Inside this block nothing reaches the provider, and its caller does not notice; then all is cut."""
        self._deaf = True
        try:
            yield
            self.cut()
        finally:
            self._deaf = False

    async def _close(self) -> None:
        self._server.close()
        await self._cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def close(self) -> None:
        """End it."""
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


class BreakableCountry(Instance):
    """The country with what these tests do to it."""

    echo: str
    cable: Cable

    # What is done to it ----------------------------------------------------------------------------------------------

    def settings(self, node: str) -> Path:
        """The file a node reads its settings from."""
        return self.home / "nodes" / node / "node.toml"

    def begin(self, name: str) -> None:
        """Start one process again, and wait until it is ready."""
        processes.start(self.home, only=(name,))
        processes.wait(self.home, 40.0, only=(name,))

    def restart(self, *names: str) -> None:
        """End processes in good order and start them again."""
        for name in names:
            self.terminate(name)
        for name in names:
            self.begin(name)

    def with_segments(self, node: str, size: int) -> None:
        """Make the log of a node that has never run: a full disk shows when its next segment begins."""
        origin, key, *_ = load_log_keys(self.home / "nodes" / node, self.country["instance"])
        Log.create(
            self.log_folder(node), storage=OsStorage(), key=key, origin=origin, clock=SystemClock(), segment_size=size
        ).close()

    def suspend(self, node: str, *, suspended: bool) -> None:
        """Take a member out of the configuration, or let it back."""
        token = (self.home / "registry" / "management.token").read_text()
        body = json.dumps({"member": self.node(node)["member"], "suspended": suspended}).encode()
        manage(self.country["registry"], token, "suspend", body)

    def until_called(self, seconds: float = 20.0) -> None:
        """Wait until the service can be called again."""
        self.until(lambda: self.echoed("/again").status == 200, seconds)

    # Calls -----------------------------------------------------------------------------------------------------------

    def echoed(self, path: str, **options) -> Answer:
        """Call the service that echoes."""
        return self.call(path, service=self.echo, **options)

    @contextmanager
    def in_flight(self, echo, path: str, **options) -> Iterator[Future[Answer]]:
        """A call of the service that echoes, begun: it has reached the system, and is not answered yet."""
        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(self.echoed, path, **options)
            self.until(lambda: any(call.target.endswith(path) for call in echo.calls))
            yield future

    def outcome(self, message: str, node: str = "ministry") -> dict:
        """What a node's management says became of a message."""
        found: dict = self.manage(node, f"/exchanges/{message}")
        return found

    def outcome_at_edge(self, message: str) -> Answer:
        """What the consumer's edge says of it to the subsystem that called."""
        where = self.node("ministry")
        headers = {"X-Road-Client": where["system"]}
        return request(where["edge"], "GET", f"/exchanges/{message}", headers=headers)

    # What is left of it ----------------------------------------------------------------------------------------------

    def log_folder(self, node: str) -> Path:
        """Where a node's log lies."""
        return self.home / "nodes" / node / "log"

    def log(self, node: str) -> LogView:
        """A node's log as it is on the disk."""
        return LogView.open_read_only(self.log_folder(node), storage=OsStorage())

    def records(self, node: str, message: str) -> list[Record]:
        """The records a node's log has of a message, in their order."""
        with self.log(node) as log:
            return [parse_record(log.read(i).data) for i in log.find(UUID(message).bytes)]

    def kinds(self, node: str, message: str) -> list[str]:
        """The kinds of those records."""
        return [record.kind for record in self.records(node, message)]

    def checked(self, node: str) -> CheckReport:
        """What `qaztech log check` finds."""
        return check_log(self.log_folder(node), storage=OsStorage())

    def verdict(self, receipt: dict) -> dict:
        """What `qaztech verify --json` says of a receipt."""
        anchor = parse_anchor(self.anchor.read_bytes())
        return as_json(Verifier(anchor).verify(json.dumps(receipt).encode()), anchor)

    def command(self, *args: str) -> subprocess.CompletedProcess[str]:
        """Run `qaztech`."""
        return subprocess.run(
            [sys.executable, "-m", "qaztech.cli.main", *args], capture_output=True, text=True, timeout=60,
            env=child_environment(),
        )  # fmt: skip


@contextmanager
def breakable_country(
    home: Path, echo, *, answer_timeout: float = 60.0, segment_size: int | None = None, **options
) -> Iterator[BreakableCountry]:
    """A running country of one's own, with the service that echoes, and a cable between the two nodes."""
    country = BreakableCountry(home, only=RUNNING, **options)
    country.found()
    for node in NODES if segment_size is not None else ():
        country.with_segments(node, segment_size)
    address = country.country["ports"]["links"]["registers"]
    (port,) = free_ports(1)
    toml = country.settings("registers")
    toml.write_text(toml.read_text().replace(f"port = {address}\n", f"port = {port}\n"))
    with country.settings("ministry").open("a") as settings:
        settings.write(f"\n[exchange]\nanswer_timeout_seconds = {answer_timeout}\n")
    with country:
        country.cable = Cable(address, port)  # not before: a country looks whether its ports are free
        try:
            country.echo = country.add_service("registers", "echo", echo.url)
            yield country
        finally:
            country.cable.close()
