"""Schemathesis in an environment of its own: asks a running server all that its OpenAPI description allows, and more.

Every check is on. A body's texts have rules that JSON Schema does not tell (identifiers, signatures), so calls with a
body may answer 400 to what their schema allows; nothing else is let off.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from locked_environment import locked_python

LOCK = Path(__file__).parent / "interop" / "contracts" / "tester.lock"
SECONDS = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Values that lead somewhere, by place (`path.id`, `body.member`): many of the calls take one of them."""

    path: str
    values: Mapping[str, Sequence[str | int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractTester:
    """The program, installed."""

    program: Path

    def ask(
        self, url: str, folder: Path, *, token: str = "", examples: int = 8, known: Sequence[Known] = (), only: str = ""
    ) -> None:
        """Test the server whose description stands at `url`; fails with what was found. `only`: paths that match."""
        config = folder / "schemathesis.toml"
        config.write_text(_config(known), encoding="utf-8")
        command = [self.program, "--config-file", config, "run", url, "--max-examples", str(examples),
                   "--generation-deterministic", "--no-color", "--suppress-health-check", "all",
                   "--warnings", "off"]  # fmt: skip
        if only:
            command += ["--include-path-regex", only]
        if token:
            command += ["--header", f"Authorization: Bearer {token}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, cwd=folder)
        if done.returncode:
            pytest.fail((done.stdout + done.stderr).partition("= FAILURES =")[2] or done.stdout + done.stderr)


def install(cache: pytest.Cache | None) -> ContractTester:
    """The tester from its lock."""
    return ContractTester(program=locked_python(cache, "contract-tester", LOCK).with_name("st"))


def _config(known: Sequence[Known]) -> str:
    statuses = json.dumps(["2xx", "3xx", "400", "401", "403", "404", "409", "429", "5xx"])
    lenient = f"checks.positive_data_acceptance.expected-statuses = {statuses}"
    dictionaries, operations = [], []
    for one in known:
        operations += ["[[operations]]", f"include-path = {json.dumps(one.path)}"]
        if any(place.startswith("body.") for place in one.values):
            operations.append(lenient)
        for place, values in one.values.items():
            name = f"known{len(dictionaries)}"
            dictionaries.append(f"{name}.values = {json.dumps(values)}")
            # Only "all of them" finds a thing that several places name.
            probability = 0.5 if len(one.values) == 1 else 0.9
            operations.append(f'parameters."{place}" = {{ dictionary = "{name}", probability = {probability} }}')
    # The first block that fits an operation is the one that counts.
    lines = ["[generation]", 'database = "none"', "[dictionaries]", *dictionaries, *operations]
    lines += ["[[operations]]", 'include-method = ["POST", "PUT", "PATCH"]', lenient]
    return "\n".join(lines) + "\n"
