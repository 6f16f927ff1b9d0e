"""The folders are the architecture, and the page that says so is right."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

MAX_FILE = 600
MAX_FUNCTION = 120
# Functions longer than that, with the length they may have. The list only gets shorter.
LONG_FUNCTIONS: dict[str, int] = {}
BANNED_SUFFIXES = ("Manager", "Helper", "Helpers", "Impl", "Util", "Utils")
BANNED_MODULES = re.compile(r"(^|_)(utils?|helpers?|managers?|misc|common|impl)$")


def packages(root: Path) -> set[str]:
    """What stands directly in `src/qaztech`."""
    inside = (root / "src/qaztech").iterdir()
    return {p.stem for p in inside if (p.is_dir() and any(p.rglob("*.py"))) or p.suffix == ".py"} - {
        "__init__",
        "__main__",
    }


def test_the_folder_table_is_the_disk(root: Path) -> None:
    """docs/architecture.md lists exactly the packages there are."""
    page = (root / "docs/architecture.md").read_text(encoding="utf-8")
    table = page.partition("## The folders")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `([a-z]+)` \|", table, re.MULTILINE)) == packages(root)


def test_the_folder_table_is_in_the_order_of_the_layers(root: Path) -> None:
    """The page reads from the top layer to the bottom one, as the layers are enforced."""
    page = (root / "docs/architecture.md").read_text(encoding="utf-8")
    contracts = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    assert re.findall(r"^\| `([a-z]+)` \|", page.partition("\n## The processes")[0], re.MULTILINE) == [
        name for layer in layers for name in layer.split(" | ")
    ]


def test_arrows_only_point_down(root: Path) -> None:
    """No package imports from above; the words use the standard library only."""
    tool = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([tool, "--no-logo", "--no-cache"], cwd=root, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


def test_no_file_is_a_giant(root: Path, tracked: list[Path]) -> None:
    """A file that has outgrown one idea is cut in two."""
    programs = [p for p in tracked if p.suffix in {".py", ".sh"} and p.relative_to(root).parts[0] != "tests"]
    lengths = {str(p.relative_to(root)): len(p.read_text(encoding="utf-8").splitlines()) for p in programs}
    assert {name: length for name, length in lengths.items() if length > MAX_FILE} == {}
    assert lengths.get("docs/verify.py", 0) <= 300, "the independent verifier can be read in one sitting"


def test_no_function_is_a_chapter(root: Path, sources: dict[Path, ast.Module]) -> None:
    """Long functions are named above with their length, and that list only gets shorter."""
    lengths = {
        f"{path.relative_to(root / 'src')}:{node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
        for path, tree in sources.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name: n for name, n in lengths.items() if n > LONG_FUNCTIONS.get(name, MAX_FUNCTION)} == {}
    assert {name for name in LONG_FUNCTIONS if lengths.get(name, 0) <= MAX_FUNCTION} == set(), "no longer long: remove"


def test_names_are_words_of_the_field(root: Path, sources: dict[Path, ast.Module]) -> None:
    """Nothing is called a manager, a helper, an implementation or a utility."""
    classes = {
        f"{path.relative_to(root)}:{node.name}"
        for path, tree in sources.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and node.name.endswith(BANNED_SUFFIXES)
    }
    modules = {str(p.relative_to(root)) for p in sources if BANNED_MODULES.search(p.stem)}
    assert classes | modules == set()


def test_the_environment_is_read_in_one_file(root: Path, sources: dict[Path, ast.Module]) -> None:
    """Settings are read in one file; everything else is given them."""
    readers = {
        str(path.relative_to(root / "src/qaztech"))
        for path, tree in sources.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"}
    }
    assert readers <= {"runtime/settings.py"}


def test_work_that_is_left_has_the_number_of_an_issue(root: Path, tracked: list[Path]) -> None:
    """A remark without an issue is forgotten."""
    mark = "TO" + "DO"
    naked = [
        f"{path.relative_to(root)}:{number}"
        for path in tracked
        if path.suffix == ".py"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(rf"\b{mark}\b(?!\(#\d+\))", line)
    ]
    assert naked == []
