"""An organisation that joins a running country by commands, with its desk and its node in folders of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from qaztech.cli.main import main
from qaztech.testing.free_ports import free_ports
from qaztech.testing.instance import Answer, Instance, request


class Newcomer:
    """The organisation that joins, with its desk and its node in folders of its own."""

    def __init__(self, country: Instance, folder: Path, member: str) -> None:
        self.member_id = member
        self.node_id, self.system = f"{member}/node1", f"{member}/shop"
        self.service = f"{self.system}/codes"
        self.country = country
        self.folder = folder
        self.capsys: pytest.CaptureFixture[str] | None = None
        self.desk, self.node = folder / "desk", folder / "node"
        self.registry: str = country.country["registry"]
        self.token = country.home / "registry" / "management.token"
        self.edge, self.link, self.management = free_ports(3)
        self.process: subprocess.Popen[bytes] | None = None
        self.lineage = ""

    def run(self, *arguments: object, status: int = 0) -> dict:
        """One command, with --json; its facts."""
        assert self.capsys is not None
        self.capsys.readouterr()
        given = [str(argument) for argument in arguments]
        assert main([*given, "--home", str(self.country.home), "--json"]) == status, self.capsys.readouterr().err
        said = self.capsys.readouterr()
        return json.loads(said.out) if said.out else {"error": said.err}

    def operator(self, *arguments: object, status: int = 0) -> dict:
        """One command of the registry's operator."""
        return self.run("registry", *arguments, "--registry", self.registry, "--token-file", self.token, status=status)

    def member(self, action: str, *arguments: object, status: int = 0, desk: Path | None = None) -> dict:
        """One change at a desk, brought to the registry."""
        where = desk or self.desk
        facts = self.run("member", action, "--desk", where, *arguments, status=status)
        if not status:
            self.run("member", "submit", "--desk", where, "--registry", self.registry)
        return facts

    def of(self, name: str) -> Path:
        """The desk of one who was there before."""
        return self.country.home / "members" / name

    def start(self) -> None:
        command = [sys.executable, "-m", "qaztech.cli.main", "node", "run", "--settings", str(self.node / "node.toml")]
        with (self.folder / "node.log").open("ab") as log:
            self.process = subprocess.Popen(command, stderr=log)
        self.country.until(self.ready, 30.0)

    def ready(self) -> bool:
        try:
            return request(f"http://127.0.0.1:{self.management}", "GET", "/ready").status == 200
        except OSError:
            return False

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)

    def call(self) -> Answer:
        """Call the country's service as the newcomer."""
        target = f"/r1/{self.country.service}/countries/KZ.json?_shape=object"
        return request(f"http://127.0.0.1:{self.edge}", "GET", target, headers={"X-Road-Client": self.system})

    def until(self, status: int, error: str = "", *, called: bool = False) -> None:
        """Wait until a call by the newcomer (or of it) ends so: nodes take a change up at their next refresh."""
        answers: list[Answer] = []

        def so() -> bool:
            answer = self.country.call(service=self.service) if called else self.call()
            answers[:] = [answer]
            return answer.status == status and error in answer.headers.get("x-road-error", "")

        try:
            self.country.until(so)
        except TimeoutError:
            pytest.fail(f"still {answers}")
