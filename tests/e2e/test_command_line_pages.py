"""The how-to pages for members and operators are typed here, as they stand, against a running country."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from qaztech.testing.instance import Instance

HOWTO = Path(__file__).parents[2] / "docs/howto"
# Processes that stay in the foreground have tests of their own, and so have commands that ask a console (with a token).
ELSEWHERE = re.compile(r"qaztech [a-z]+ run |.*\$TOKEN")


@pytest.fixture(scope="module")
def country(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    with Instance(tmp_path_factory.mktemp("person") / ".qaztech", only=("registry",)) as running:
        yield running


def typed(page: str, until: str) -> list[str]:
    """What a reader types, up to a heading."""
    text = (HOWTO / page).read_text(encoding="utf-8").partition(f"\n## {until}")[0]
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines() if line and not ELSEWHERE.match(line)]


def shell(country: Instance, lines: list[str]) -> str:
    """Type the lines, one after the other, in the home of the person whose country it is."""
    environment = {
        **os.environ,
        "HOME": str(country.home.parent),
        "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}",
    }
    script = "\n".join(lines).replace("http://127.0.0.1:8401", country.country["registry"])
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], env=environment, cwd=country.home.parent,
        capture_output=True, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert ran.returncode == 0, f"{script}\n{ran.stdout}{ran.stderr}"
    return ran.stdout


def test_access_is_given_and_taken_away_as_the_page_says(country: Instance) -> None:
    """Every line of it, in its order; the registry takes each file."""
    said = shell(country, typed("give-access.md", "Several commands at once"))
    assert "may call GET /countries.json, GET /countries/* of" in said
    desk = country.desk("registers")
    assert len(desk.statement.key_history) == 1
    assert [s.id.rpartition("/")[2] for s in desk.statement.services] == ["codes", "parcels"]


def test_a_node_is_made_as_the_page_says(country: Instance) -> None:
    """From nothing to a node that would start."""
    lines = typed("run-a-node.md", "As a service of the machine")
    (country.home.parent / "management.token").write_bytes((country.home / "registry/management.token").read_bytes())
    (country.home.parent / "anchor.json").write_bytes(country.anchor.read_bytes())
    new = next(line for line in lines if "member new" in line)
    lineage = f"LINEAGE=$({new} --json | python3 -c 'import json, sys; print(json.load(sys.stdin)[\"lineage\"])')"
    said = shell(country, [lineage if line == new else line for line in lines])
    assert "the node would start" in said.splitlines()[-1]
