"""A country of one's own for tests that change keys, certificates and members while calls go on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from qaztech.cli.main import main
from qaztech.registry.anchor import parse_anchor
from qaztech.registry.verification import Verifier
from qaztech.testing import processes
from qaztech.testing.instance import Instance
from steady_load import SteadyLoad

PROGRAM = Path(__file__).parents[1] / "docs" / "verify.py"
RUNNING = ("registry", "witness-archive", "node-ministry", "node-registers")


class ChangingCountry(Instance):
    """The country with what these tests ask of it; `echo` is the service that the ministry may call."""

    echo: str

    def restart(self, name: str) -> None:
        """Start a process again that was ended, and wait until it is ready."""
        processes.start(self.home, only=(name,))
        processes.wait(self.home, 40.0, only=(name,))

    def publish(self, desk, *nodes: str) -> None:
        """Bring a desk's newest file to the registry and have these nodes follow at once."""
        self.submit(desk)
        for node in nodes:
            self.manage(node, "/reload", "POST")

    def warm(self) -> None:
        """Wait until the ministry may call the service."""
        self.until(lambda: self.call("/warm", service=self.echo).status == 200)

    def load(self, name: str) -> SteadyLoad:
        """Calls from the ministry, one after the other."""
        where = self.node("ministry")
        return SteadyLoad(where["edge"], where["system"], self.echo, name=name)

    def codes(self, name: str) -> set[str]:
        """The codes of a node's alarms."""
        return {alarm["code"] for alarm in self.manage(name, "/status")["alarms"]}

    def looked(self, node: str) -> dict:
        """The state of a node's certificate after it has looked; by itself it looks every five seconds."""
        self.manage(node, "/reload", "POST")
        return self.certificate(node)

    def certificate(self, node: str) -> dict:
        """The state of a node's certificate."""
        found: dict = self.manage(node, "/status")["certificate"]
        return found

    def name_node(self, node: str) -> None:
        """Say at the member's desk what the node's `node.json` says, and bring it to the registry."""
        home = self.home
        self.command("member", "add-node", "--desk", home / "members" / node, "--node", home / "nodes" / node)
        self.submit(self.desk(node))

    def receipt_verifies(self, file: Path) -> None:
        """Make a call; its receipt, kept in a file, verifies by both programs that verify receipts."""
        self.manage("ministry", "/reload", "POST")
        answer = self.call("/kept", service=self.echo)
        file.write_text(json.dumps(self.receipt(answer.message)))
        self.verify(file)

    def verify(self, file: Path) -> None:
        """Both programs find that a receipt verifies, witnessed."""
        verdict = Verifier(parse_anchor(self.anchor.read_bytes())).verify(file.read_bytes(), require="witnessed")
        assert verdict.ok, [verdict.unmet, verdict.bad()]
        command = [sys.executable, PROGRAM, file, "--anchor", self.anchor, "--require", "witnessed"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout

    @staticmethod
    def command(*arguments: object) -> None:
        """Run a command as people do."""
        assert main([str(argument) for argument in arguments]) == 0

    def cli(self, capsys: pytest.CaptureFixture[str], *arguments: object) -> dict:
        """Run a command; what it prints for programs."""
        capsys.readouterr()
        self.command(*arguments, "--json")
        found: dict = json.loads(capsys.readouterr().out)
        return found
