"""One page, one file: the ten steps have the same numbers and words in both."""

from __future__ import annotations

import re
from pathlib import Path

STEPS = list(range(1, 11))


def in_page(root: Path) -> list[tuple[int, str]]:
    """The numbered headings of the page, in order."""
    page = (root / "docs/exchange-cycle.md").read_text(encoding="utf-8")
    return [(int(number), text.strip()) for number, text in re.findall(r"^## (\d+)\. (.+)$", page, re.MULTILINE)]


def in_code(root: Path) -> list[tuple[int, str]]:
    """The numbered comments of the code; a remark in brackets at the end is not part of the step."""
    path = root / "src/qaztech/node/exchange.py"
    if not path.exists():
        return []
    found = re.findall(r"^\s*# step (\d+)\b:?(.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return [(int(number), re.sub(r"\s*\([^()]*\)$", "", text.strip().strip("-").strip())) for number, text in found]


def test_the_page_has_ten_steps_in_order(root: Path) -> None:
    """The page is read from top to bottom."""
    assert [number for number, _ in in_page(root)] == STEPS


def test_the_code_has_the_steps_of_the_page(root: Path) -> None:
    """Number and words agree; no step is missing and none is only in the code."""
    if (root / "src/qaztech/node/exchange.py").exists():
        assert sorted(set(in_code(root))) == in_page(root)


def test_the_architecture_page_points_to_the_same_steps(root: Path) -> None:
    """Where the steps are drawn, all ten are."""
    for name in ("architecture", "exchange-cycle"):
        page = (root / f"docs/{name}.md").read_text(encoding="utf-8")
        drawing = next(block for block in re.findall(r"```\n(.*?)```", page, re.DOTALL) if "consumer system" in block)
        assert {int(n) for n in re.findall(r"\d+", drawing)} == set(STEPS)
