"""What the rules are checked against: the tree as it is committed or about to be, and the sources read as syntax."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def tracked() -> list[Path]:
    """Every file that is, or is about to be, part of the project."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True
    )
    if listed.returncode == 0:
        return sorted(path for name in listed.stdout.decode().split("\0") if name and (path := ROOT / name).is_file())
    made = {".git", ".venv", "__pycache__", "var", "build", "dist"}
    return sorted(p for p in ROOT.rglob("*") if p.is_file() and not made & set(p.parts) and ".egg-info" not in str(p))


@pytest.fixture(scope="session")
def sources(tracked: list[Path]) -> dict[Path, ast.Module]:
    """The Python files of the package, parsed."""
    src = ROOT / "src"
    return {
        path: ast.parse(path.read_text(encoding="utf-8"))
        for path in tracked
        if path.suffix == ".py" and path.is_relative_to(src)
    }


@cache
def _verbs(*above: str) -> tuple[str, ...]:
    """The commands below one command, as its `--help` lists them."""
    program = Path(sys.executable).with_name("qaztech")
    help_ = subprocess.run([program, *above, "--help"], cwd=ROOT, capture_output=True, text=True)
    assert help_.returncode == 0, f"`qaztech {' '.join(above)} --help` fails:\n{help_.stderr}"
    return tuple(re.findall(r"^ {4}([a-z][a-z-]*)(?= {2,}|$)", help_.stdout, re.MULTILINE))


@pytest.fixture(scope="session")
def commands() -> Callable[[], set[str]]:
    """All commands of `qaztech`, subcommands included (`log check`)."""

    def find() -> set[str]:
        found = set()
        for verb in _verbs():
            below = _verbs(verb)
            found |= {f"{verb} {sub}" for sub in below} or {verb}
        return found

    return find
