"""A new instance by commands alone: witnesses, registry, a member, its node; and the registry lost and extended."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from qaztech.cli.main import main
from qaztech.core.bin import reserved_bin
from qaztech.testing.free_ports import free_ports
from qaztech.testing.instance import Instance, request

MEMBER = f"UZ/GOV/{reserved_bin(1)}"
NODE, SYSTEM = f"{MEMBER}/node1", f"{MEMBER}/desk"
NAMES = ("--name-kk", "Үлгі", "--name-ru", "Пример", "--name-en", "Sample")
Run = Callable[..., dict]


class Processes:
    """What was started, in the foreground of somebody's terminal."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, verb: str, settings: Path, health: str) -> None:
        command = [sys.executable, "-m", "qaztech.cli.main", verb, "run", "--settings", str(settings)]
        with self._log.open("ab") as log:
            self._running[verb] = subprocess.Popen(command, stderr=log)
        self.wait(health)

    def wait(self, health: str) -> None:
        url, _, path = health.rpartition("/")

        def well() -> bool:
            try:
                return request(url, "GET", f"/{path}").status == 200
            except OSError:
                return False

        try:
            Instance.until(well, 20.0)
        except TimeoutError:
            pytest.fail(f"{health}: {self._log.read_text()}")

    def stop(self, verb: str) -> None:
        process = self._running.pop(verb)
        process.send_signal(signal.SIGTERM)
        process.wait(30)

    def stop_all(self) -> None:
        for verb in reversed(list(self._running)):
            self.stop(verb)


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    running = Processes(tmp_path / "log")
    yield running
    running.stop_all()


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def command(*arguments: object) -> dict:
        capsys.readouterr()
        status = main([*map(str, arguments), "--json"])
        said = capsys.readouterr()
        assert status == 0, said.err
        return json.loads(said.out)

    return command


def quickly(settings: Path, more: str = "") -> None:
    """Follow the registry as fast as a test wants it."""
    settings.write_text(f"refresh_seconds = 0.3\n{settings.read_text()}\n{more}")


def test_an_instance_is_founded_and_outlives_its_registry(tmp_path: Path, processes: Processes, run: Run) -> None:
    """From empty folders to an answered call; then the registry's disk is gone, and the node still has a country."""
    registry_port, witness_port, edge, link, management = free_ports(5)
    registry = f"http://127.0.0.1:{registry_port}"
    witness = run(
        "witness", "new", tmp_path / "witness", "--name", "archive", "--key-name", "uz.example/witness/archive",
        "--url", f"http://127.0.0.1:{witness_port}", "--registry", registry,
    )  # fmt: skip
    policy = tmp_path / "policy"
    policy.write_text("\n".join(witness["policy"]))
    made = run(
        "registry", "init", tmp_path / "registry", "--instance", "UZ", "--url", registry, "--witnesses", policy,
        "--witnessing-seconds", "0.25",
    )  # fmt: skip
    anchor = Path(made["anchor"])
    (tmp_path / "witness" / "anchor.json").write_bytes(anchor.read_bytes())
    quickly(tmp_path / "witness" / "witness.toml")
    processes.start("registry", Path(made["settings"]), f"{registry}/health")
    processes.start("witness", tmp_path / "witness" / "witness.toml", f"http://127.0.0.1:{witness_port}/health")

    operator = ("--registry", registry, "--token-file", tmp_path / "registry" / "management.token")
    desk, node = ("--desk", tmp_path / "desk"), tmp_path / "node"
    lineage = run("member", "new", *desk, "--id", MEMBER, *NAMES)["lineage"]
    run("registry", "admit", "--file", tmp_path / "desk" / "member-file.json", "--lineage", lineage, *operator)
    run(
        "node", "new", node, "--id", NODE, "--address", f"127.0.0.1:{link}", "--lineage", lineage, "--anchor", anchor,
        "--registry", registry, "--edge-port", edge, "--management-port", management,
    )  # fmt: skip
    run("registry", "certificate", "--node", NODE, "--request", node / "tls.csr", "--out", node / "tls.pem", *operator)
    run("member", "add-node", *desk, "--node", node / "node.json")
    run("member", "add-subsystem", *desk, "--subsystem", SYSTEM, *NAMES)
    run("member", "submit", *desk, "--registry", registry)
    toml = node / "node.toml"
    quickly(toml, f'[[clients]]\nid = "{SYSTEM}"\nloopback = true\n')
    processes.start("node", toml, f"http://127.0.0.1:{management}/ready")

    def methods() -> int:
        target, headers = f"/r1/{SYSTEM}/listMethods", {"X-Road-Client": SYSTEM}
        return request(f"http://127.0.0.1:{edge}", "GET", target, headers=headers).status

    assert methods() == 200
    assert run("registry", "status", *operator)["members"][0]["version"] == 3

    processes.stop("registry")
    lost = tmp_path / "registry"
    shutil.copytree(lost / "tuf", tmp_path / "saved" / "registry")
    shutil.copytree(lost / "keys" / "offline", tmp_path / "safe" / "offline")
    published = tmp_path / "saved" / "registry"
    extended = run("registry", "extend", "--published", published, "--keys", tmp_path / "safe", "--days", 30, "--yes")
    serving = subprocess.Popen(
        [sys.executable, "-m", "http.server", str(registry_port), "--bind", "127.0.0.1", "-d", tmp_path / "saved"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        status_url = f"http://127.0.0.1:{management}"

        def configuration() -> dict:
            found: dict = json.loads(request(status_url, "GET", "/status").body)["configuration"]
            return found

        Instance.until(lambda: configuration()["version"] == extended["version"])
        assert configuration()["expires"] > (time.time() + 7 * 86400) * 1000
        assert methods() == 200
    finally:
        serving.terminate()
        serving.wait(10)
