"""The guide to running a registry is typed here, as it stands: from a witness's keys to a backup that was checked."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from qaztech.testing.country import Ports

PAGE = Path(__file__).parents[2] / "docs/howto/run-the-registry.md"
MEMBER = "KZ/COM/991340000047"
DEADLINE = 40.0


class Operator:
    """Whoever founds a country, in a home of their own; what is running ends with them."""

    def __init__(self, home: Path) -> None:
        self.home = home
        ports = Ports.free()
        self.registry = f"http://127.0.0.1:{ports.registry}"
        self._here = {
            "http://10.0.0.9:8402": f"http://127.0.0.1:{ports.archive}",
            "http://10.0.0.1:8401": self.registry,
            "--host 10.0.0.1": "--host 127.0.0.1",
            "/backup/": f"{home}/",
        }
        path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"
        self._environment = {**os.environ, "HOME": str(home), "PATH": path}
        self._running: list[subprocess.Popen[bytes]] = []

    def type(self, script: str) -> str:
        """Type it; it must end with status 0. Gives what it prints."""
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self._as_here(script)], cwd=self.home, env=self._environment,
            capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60, check=False,
        )  # fmt: skip
        assert ran.returncode == 0, f"{script}\n{ran.stdout}{ran.stderr}"
        return ran.stdout

    def run(self, line: str) -> None:
        """Start what stays in the foreground."""
        command = ["bash", "-c", f"exec {self._as_here(line)}"]
        with (self.home / "running.log").open("ab") as log:
            self._running.append(subprocess.Popen(command, cwd=self.home, env=self._environment, stderr=log))

    def stop(self) -> None:
        for process in self._running:
            process.terminate()
        for process in self._running:
            process.wait(30)

    def _as_here(self, script: str) -> str:
        for shown, here in self._here.items():
            script = script.replace(shown, here)
        return script


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE
    while not true():
        assert time.monotonic() < end, "it did not become so in time"
        time.sleep(0.05)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def commands(heading: str) -> list[str]:
    """What the guide has its reader type below a heading, block by block."""
    section = PAGE.read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^```sh\n(.*?)^```", section, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """Founded and running, as the first sections say."""
    operator = Operator(tmp_path_factory.mktemp("operator"))
    keys, founding = commands("Found it")
    operator.type(keys)
    said = operator.type(founding)
    assert re.search(r"^fingerprint +([0-9a-f]{4} ){15}[0-9a-f]{4}$", said, re.MULTILINE)
    operator.type("cp registry/anchor.json witness/ && mkdir safe && mv registry/keys/offline safe/")
    try:
        for line in commands("Run it")[0].splitlines():
            operator.run(line)
        until(lambda: answers(f"{operator.registry}/health"))
        yield operator
    finally:
        operator.stop()


def test_it_runs_without_the_offline_keys_and_its_log_is_witnessed(operator: Operator) -> None:
    """Registry and witness are both needed for the quorum of two."""
    proof = f"{operator.registry}/registry/snapshots/1/proof"
    until(lambda: answers(proof))


def test_people_members_acts_and_a_backup(operator: Operator) -> None:
    """The rest of the page in its order: a member is admitted, suspended, let back; every act is in the admin log."""
    assert operator.type(commands("Let people in")[0]).count("its password, shown this once") == 2
    operator.type(
        f"qaztech member new --desk desk --id {MEMBER} --name-kk Дүкен --name-ru Магазин --name-en Shop\n"
        "qaztech registry test-signer --directory registry --name S --iin 991300000019 --bin 991340000047 --out s.pem\n"
        "qaztech member apply --desk desk --signer s.pem --unit IT --email it@shop.example --phone +77010000000"
        " --registry http://10.0.0.1:8401"
    )
    (admit,) = commands("Admit members")
    waiting = operator.type(admit.splitlines()[0])
    said = operator.type(f"APPLICATION={waiting.split()[0]}\n{admit}")
    assert f"{MEMBER}  admitted" in said
    operator.type(
        "L=$(qaztech member show --desk desk | grep -oE '[0-9a-f]{64}' | head -n 1)\n"
        f"qaztech node new node --id {MEMBER}/node1 --address 127.0.0.1:5500 --lineage $L --anchor registry/anchor.json"
        " --registry http://10.0.0.1:8401\n"
        f"qaztech registry certificate --node {MEMBER}/node1 --request node/tls.csr --out node.pem"
        " --registry http://10.0.0.1:8401 --token-file registry/management.token"
    )
    # A person is asked; where there is no terminal `--yes` stands for the answer.
    (away,) = commands("Suspend, revoke")
    operator.type("\n".join(line if " resume " in line else f"{line} --yes" for line in away.splitlines()))
    watched = operator.type(commands("Watch it")[0])
    for act in ("application.admit", "certificate.issue", "member.suspend", "member.resume", "tls.revoke"):
        assert act in watched
    assert "whole    registry KZ" in operator.type(commands("Back it up")[0])
