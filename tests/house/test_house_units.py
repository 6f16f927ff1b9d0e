"""The systemd units: each verb exists, each is hardened, and systemd reads them as they are meant."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from qaztech.core.errors import FINAL_STATUS

UNITS = sorted((Path(__file__).parents[2] / "deploy/systemd").glob("*.service"))
HARDENED = {
    "DynamicUser": "yes", "ProtectSystem": "strict", "ProtectHome": "yes", "PrivateTmp": "yes", "PrivateDevices": "yes",
    "PrivateMounts": "yes",
    "NoNewPrivileges": "yes", "CapabilityBoundingSet": "", "RestrictSUIDSGID": "yes", "RestrictNamespaces": "yes",
    "MemoryDenyWriteExecute": "yes", "SystemCallArchitectures": "native", "ProtectKernelTunables": "yes",
    "ProtectKernelModules": "yes", "ProtectControlGroups": "yes", "LockPersonality": "yes", "UMask": "0077",
    "LimitCORE": "0", "Restart": "on-failure", "RestartPreventExitStatus": str(FINAL_STATUS),
    "StateDirectoryMode": "0700",
    "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX",
}  # fmt: skip


def settings(unit: Path) -> dict[str, list[str]]:
    """What a unit sets, by name."""
    found: dict[str, list[str]] = {}
    for line in unit.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith(("#", "[")):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def test_there_is_a_unit_for_every_process() -> None:
    """Each process that the architecture names, and the delivery beside a node."""
    names = {unit.stem.removeprefix("qaztech-") for unit in UNITS}
    assert names == {"node", "registry", "console", "hub", "gateway", "witness", "portal", "operational"}


@pytest.mark.parametrize("unit", UNITS, ids=lambda p: p.stem)
def test_a_unit_is_hardened(unit: Path) -> None:
    """Every line is there, and only its own folder can be written."""
    found = settings(unit)
    assert {name: found.get(name, [None])[-1] for name in HARDENED} == HARDENED
    folder = f"/var/lib/{found['StateDirectory'][0]}"
    assert found["ReadWritePaths"] == [folder]
    assert found["SystemCallFilter"][0] == "@system-service"
    assert found["SystemCallFilter"][1].startswith("~@privileged")
    assert re.fullmatch(r"\d+[MG]", found["MemoryMax"][0])
    assert f"--settings {folder}/" in found["ExecStart"][0]


def test_every_verb_in_a_unit_exists(commands: Callable[[], set[str]]) -> None:
    """`qaztech` has the command that a unit starts."""
    started = [re.match(r"/opt/qaztech/bin/qaztech ([a-z]+ [a-z]+) ", settings(u)["ExecStart"][0])[1] for u in UNITS]  # type: ignore[index]
    assert set(started) - commands() == set()


@pytest.mark.parametrize("unit", UNITS, ids=lambda p: p.stem)
def test_systemd_reads_a_unit_without_a_complaint(unit: Path, tmp_path: Path, program: Callable[[str], str]) -> None:
    """It has nothing to say, and calls the exposure 1.5 of 10 at most."""
    tool = program("systemd-analyze")
    copy = tmp_path / unit.name
    copy.write_text(re.sub(r"=/(opt|usr)/\S*/(qaztech|curl)", "=/bin/true", unit.read_text(encoding="utf-8")))
    verified = subprocess.run([tool, "verify", "--man=no", copy], capture_output=True, text=True, timeout=60)
    about_it = [line for line in verified.stderr.splitlines() if unit.name in line]
    assert (about_it, verified.returncode) == ([], 0)
    security = subprocess.run(
        [tool, "security", "--offline=yes", "--no-pager", "--threshold=15", copy], capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip
    assert security.returncode == 0, security.stdout[-300:]
