"""What the threat model and the runbook say is held by tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest


@pytest.mark.parametrize(("page", "least"), [("docs/threat-model.md", 40), ("docs/runbook.md", 10)])
def test_the_tests_that_a_page_names_exist(root: Path, page: str, least: int) -> None:
    """A control whose test was renamed or removed is a control nobody checks."""
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", (root / page).read_text(encoding="utf-8"))
    assert len(named) > least
    texts = {file: (root / file).read_text(encoding="utf-8") for file, _ in named if (root / file).exists()}
    assert [f"{file}::{test}" for file, test in named if f"def {test}(" not in texts.get(file, "")] == []


def test_every_threat_has_a_control_and_a_test(root: Path) -> None:
    """Rows are whole."""
    page = (root / "docs/threat-model.md").read_text(encoding="utf-8").partition("## Threats")[2]
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| ") and "---" not in line][1:]
    assert len(rows) >= 15
    assert [row[0] for row in rows if len(row) != 3 or "`" not in row[2]] == []
