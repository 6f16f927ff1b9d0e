"""The auditor's guide is typed here, as it stands, against a running country with its centre."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from qaztech.testing.instance import Instance

pytest.importorskip("duckdb")
ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/howto/be-an-auditor.md"
EXAMPLE_LOG = "kz.qaztech.example/log/1047d2bc8a80019b2273"


@pytest.fixture(scope="module")
def country(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    with Instance(tmp_path_factory.mktemp("auditor") / ".qaztech", centre=True) as running:
        yield running


@pytest.fixture(scope="module")
def desk(country: Instance, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The auditor's folder: the files the guide speaks of, and an exchange to look at."""
    folder = tmp_path_factory.mktemp("desk")
    for name, there in (
        ("docs", ROOT / "docs"),
        ("registry", country.home / "registry"),
        ("anchor.json", country.anchor),
    ):
        (folder / name).symlink_to(there)
    answer = country.call()
    (folder / "body.json").write_bytes(answer.body)
    (folder / "message").write_text(answer.headers["x-road-request-id"])
    return folder


def commands(heading: str) -> list[str]:
    """What the guide has its reader type below a heading, block by block."""
    section = PAGE.read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^```sh\n(.*?)^```", section, re.DOTALL | re.MULTILINE)


def typed(country: Instance, desk: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Type it where the addresses, the log and the message of the guide are those of this country."""
    policy = json.loads(country.anchor.read_bytes())["policy"]
    urls = dict(re.findall(r"^witness (\w+) \S+ (\S+)$", policy, re.MULTILINE))
    for shown, here in {
        "http://127.0.0.1:8401/witness": urls["registry"],
        "http://127.0.0.1:8402": urls["archive"],
        "http://127.0.0.1:8412/witness": urls["university"],
        "http://127.0.0.1:8401": country.country["registry"],
        EXAMPLE_LOG: country.manage("ministry", "/status")["log"]["origin"],
        "MESSAGE_ID": (desk / "message").read_text(),
    }.items():
        script = script.replace(shown, here)
    path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"
    environment = {**os.environ, "HOME": str(country.home.parent), "PATH": path}
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=desk, env=environment,
        capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60, check=False,
    )  # fmt: skip


def said(country: Instance, desk: Path, script: str) -> str:
    """What typing it prints; it ends with status 0."""
    ran = typed(country, desk, script)
    assert ran.returncode == 0, f"{script}\n{ran.stdout}{ran.stderr}"
    return ran.stdout


def test_the_anchor_is_compared_by_its_fingerprint(country: Instance, desk: Path) -> None:
    """The shell's line prints what a check of a receipt prints, and the quorum."""
    fingerprint, *policy = said(country, desk, *commands("The anchor comes first")[:1]).splitlines()
    assert re.fullmatch("([0-9a-f]{4} ){15}[0-9a-f]{4}", fingerprint.strip())
    assert policy == ["group witnesses 2 registry university archive", "quorum witnesses"]


def test_two_programs_check_a_receipt_and_the_log_is_checked_by_the_key_in_it(country: Instance, desk: Path) -> None:
    """Receipt, both verifiers with the body, then the whole log by its own key and by the one of the receipt."""
    receipt, second = commands("A receipt")
    assert said(country, desk, receipt).endswith("the receipt verifies\n")
    assert said(country, desk, second).splitlines()[-1] == "verifies"
    for check in commands("A whole log"):
        assert said(country, desk, check).endswith("the log is as it was signed\n")


def test_all_witnesses_saw_the_log_that_the_receipt_is_of(country: Instance, desk: Path) -> None:
    """Three answers of three lines each, all alike once a second has passed."""
    (ask,) = commands("Checkpoints and witnesses")

    def alike() -> bool:
        ran = typed(country, desk, ask)
        lines = ran.stdout.splitlines()
        return ran.returncode == 0 and len(lines) == 9 and lines[:3] == lines[3:6] == lines[6:]

    country.until(alike)


def test_what_was_kept_of_the_registrys_logs_is_still_there(country: Instance, desk: Path) -> None:
    """Account and token are made, checkpoints kept, acts added and read; a changed checkpoint is found."""
    (account,) = commands("Your account")
    keep, compare, read = commands("The registry's log and the admin log")
    said(country, desk, account)
    said(country, desk, keep)
    said(country, desk, "qaztech people roles dana --role auditor --role analyst --database registry/people.db")
    country.until(lambda: "account.roles" in said(country, desk, read))
    assert re.findall(r"^(ok |BAD)", said(country, desk, compare), re.MULTILINE) == ["ok "] * 4
    kept = desk / "admin.kept"
    origin, size, root, *rest = kept.read_text().split("\n")
    kept.write_text("\n".join([origin, size, ("A" if root[0] != "A" else "B") + root[1:], *rest]))
    ran = typed(country, desk, compare.splitlines()[-1])
    assert (ran.returncode, ran.stdout[:3]) == (1, "BAD")


def test_the_centre_holds_the_traffic_and_finds_nothing(country: Instance, desk: Path) -> None:
    """Once the ministry's log has come, held, findings and totals say so."""
    (look,) = commands("The traffic, against the counterparty")
    country.until(lambda: "KZ/QUASI/991340000027/codes/codes" in said(country, desk, look), 40.0)
    assert "\nnothing was found\n" in said(country, desk, look)
