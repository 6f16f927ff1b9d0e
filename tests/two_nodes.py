"""A country whose provider has two nodes: the second has keys and a log of its own, and the member names both."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from breakable_country import BreakableCountry
from qaztech.core.ids import MemberId, NodeId
from qaztech.registry.key_files import TLS_CERTIFICATE, TLS_REQUEST
from qaztech.registry.node_identity import NODE_FILE, NodeIdentity
from qaztech.runtime.settings import child_environment
from qaztech.testing.free_ports import free_ports
from qaztech.testing.instance import request

RUNNING = ("registry", "witness-archive", "node-ministry", "node-registers")
SECOND = "registers2"
PROVIDERS = ("registers", SECOND)


class TwoNodes(BreakableCountry):
    """The country, and the second node as a process of the test."""

    process: subprocess.Popen[bytes]
    ports: dict[str, int]

    def add_second(self) -> None:
        """Make it as an administrator does: keys, certificate, a line in the member's file, settings."""
        member = MemberId.parse(self.node("registers")["member"])
        folder = self.home / "nodes" / SECOND
        self.ports = dict(zip(("edge", "link", "management"), free_ports(3), strict=True))
        node = NodeIdentity.create(
            folder, NodeId(member, "node2"), f"127.0.0.1:{self.ports['link']}",
            hybrid=(self.home / "nodes/registers/log.ml-dsa.key").exists(),
        )  # fmt: skip
        (folder / NODE_FILE).write_bytes(node.format())
        made = self.command(
            "registry", "certificate", "--node", str(node.id), "--request", str(folder / TLS_REQUEST),
            "--out", str(folder / TLS_CERTIFICATE), "--registry", self.country["registry"],
            "--token-file", str(self.home / "registry" / "management.token"),
        )  # fmt: skip
        assert made.returncode == 0, made.stderr
        desk = self.desk("registers")
        desk.add_node(node.id, node.address, node.tls, node.log)
        self._write_settings(folder, member)
        self.submit(desk)
        for name in ("ministry", "registers"):
            self.manage(name, "/reload", "POST")

    def _write_settings(self, folder: Path, member: MemberId) -> None:
        first = self.settings("registers")
        text, ports = first.read_text(), self.country["ports"]
        for kind, group in (("edge", "edges"), ("link", "links"), ("management", "management")):
            text = text.replace(f"port = {ports[group]['registers']}\n", f"port = {self.ports[kind]}\n")
        line = f'id = "{member}"\n'
        (folder / "node.toml").write_text(
            text.replace("/node1", "/node2", 1).replace(line, f'{line}acknowledged = ["{member}/node1"]\n')
        )
        first.write_text(first.read_text().replace(line, f'{line}acknowledged = ["{member}/node2"]\n'))

    def start_second(self) -> None:
        """Run it, and wait until it is ready."""
        with (self.home / "run" / f"{SECOND}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "qaztech.cli.main", "node", "run", "--settings",
                 str(self.home / "nodes" / SECOND / "node.toml")],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log, env=child_environment(),
            )  # fmt: skip
        self.until(self._second_ready, 40.0)

    def _second_ready(self) -> bool:
        try:
            return request(self.management(SECOND), "GET", "/ready").status == 200
        except OSError:
            return False

    def end(self, name: str, number: int = signal.SIGTERM) -> None:
        """End one of the provider's nodes, in good order or at once."""
        if name == SECOND:
            self.process.send_signal(number)
            self.process.wait(40)
        elif number == signal.SIGKILL:
            self.kill(f"node-{name}")
        else:
            self.terminate(f"node-{name}")

    def again(self, name: str) -> None:
        """Start it again, and wait until it is ready."""
        if name == SECOND:
            self.start_second()
        else:
            self.begin(f"node-{name}")

    def origin(self, name: str) -> str:
        """The origin of a node's log."""
        return NodeIdentity.read(self.home / "nodes" / name).log[0].name

    def management(self, name: str) -> str:
        """Where a node of the provider is managed."""
        ports = self.country["ports"]["management"]
        return f"http://127.0.0.1:{self.ports['management'] if name == SECOND else ports[name]}"

    def called_at(self, message: str) -> str:
        """Which of the provider's nodes has a message in its log; empty: none."""

        def has(name: str) -> bool:
            try:
                return request(self.management(name), "GET", f"/exchanges/{message}").status == 200
            except OSError:  # it is down
                return False

        found = [name for name in PROVIDERS if has(name)]
        assert len(found) < 2, f"{message} is in both logs"
        return found[0] if found else ""

    def linked(self, name: str) -> bool:
        """Whether calls of the ministry reach that node."""
        return any(self.called_at(self.echoed("/linked").message) == name for _ in range(4))


@contextmanager
def two_nodes(home: Path, echo) -> Iterator[TwoNodes]:
    """The running country, with links to both nodes."""
    country = TwoNodes(home, only=RUNNING)
    with running_both(country, echo):
        yield country


@contextmanager
def running_both(country: TwoNodes, echo) -> Iterator[None]:
    """Run it, founded or not, with its second node."""
    country.found()
    with country:
        country.echo = country.add_service("registers", "echo", echo.url)
        country.add_second()
        country.start_second()
        try:
            country.until(lambda: all(country.linked(name) for name in PROVIDERS), 30.0)
            yield
        finally:
            if country.process.poll() is None:
                country.process.terminate()
                country.process.wait(40)
