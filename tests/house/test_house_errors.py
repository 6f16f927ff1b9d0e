"""Every error code that can be raised is on the page of errors."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from qaztech.core import errors

KINDS = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, errors.Error)}
SLUG = re.compile(r"[a-z][a-z0-9-]*(\.[a-z0-9-]+)+\Z")


def kinds_of_error(sources: dict[Path, ast.Module]) -> set[str]:
    """The classes of core and all that derive from them, by name."""
    found = set(KINDS)
    while True:
        more = {
            node.name
            for tree in sources.values()
            for node in ast.walk(tree)
            if isinstance(node, ast.ClassDef) and any(isinstance(b, ast.Name) and b.id in found for b in node.bases)
        } - found
        if not more:
            return found
        found |= more


@pytest.fixture(scope="module")
def used(root: Path, sources: dict[Path, ast.Module]) -> dict[str, str]:
    """Every literal code, and one place where it is used."""
    kinds = kinds_of_error(sources)
    found = {}
    for path, tree in sources.items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            codes = [*node.args[:1], *(k.value for k in node.keywords if k.arg == "code")]
            if name in kinds:
                for code in codes:
                    if isinstance(code, ast.Constant) and isinstance(code.value, str):
                        found.setdefault(code.value, f"{path.relative_to(root)}:{node.lineno}")
    return found


def test_every_code_is_on_the_page(root: Path, used: dict[str, str]) -> None:
    """Whoever meets a code can look it up."""
    page = root / "docs/reference/errors.md"
    documented = set(re.findall(r"`([a-z0-9.-]+)`", page.read_text(encoding="utf-8"))) if page.exists() else set()
    missing = {code: where for code, where in used.items() if code not in documented}
    assert missing == {}, f"{len(missing)} codes are not in docs/reference/errors.md"


def test_every_code_is_a_stable_slug(used: dict[str, str]) -> None:
    """Lower case, a dot between what it is about and what is wrong."""
    assert {code: where for code, where in used.items() if not SLUG.match(code)} == {}


def test_codes_are_many_enough_to_be_found() -> None:
    """The search above finds what the words themselves raise; if not, it is broken."""
    path = Path(errors.__file__).with_name("record.py")
    assert "record.malformed" in {
        node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)
    }
