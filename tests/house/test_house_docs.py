"""What the pages say exists: commands, targets, files, links, formats, decisions."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(p for p in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")] if p.is_file())
FORMATS = sorted((ROOT / "docs/formats").glob("*.md"))
DECISIONS = sorted((ROOT / "docs/decisions").glob("*.md"))
SECTIONS = ["Context", "Options", "Outcome", "Negative consequences", "Status"]


def code_blocks(path: Path) -> list[str]:
    """The lines inside the shell blocks of a page."""
    blocks = re.findall(
        r"^```(?:sh|bash|console)\n(.*?)^```", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    return [line.strip() for block in blocks for line in block.splitlines() if line.strip()]


def command_line_exists(root: Path) -> bool:
    """Whether the command line has been built yet."""
    return (root / "src/qaztech/cli/main.py").exists()


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_inside_the_project_lead_somewhere(page: Path) -> None:
    """A page does not send its reader into the void."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = [t for t in re.findall(r"\]\(([^)\s]+)\)", text) if not re.match(r"[a-z]+:|#", t)]
    assert [t for t in targets if not (page.parent / unquote(t.partition("#")[0])).exists()] == []


def headings(page: Path) -> set[str]:
    """The names by which a link reaches the headings of a page, as GitHub makes them."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    found: set[str] = set()
    for line in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", line).strip().lower()
        name = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        again = sum(1 for each in found if re.fullmatch(rf"{re.escape(name)}(-\d+)?", each))
        found.add(f"{name}-{again}" if again else name)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_to_a_heading_find_it(page: Path) -> None:
    """In its own language: a translated heading has another name."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    lost = []
    for target in re.findall(r"\]\((?![a-z]+:)([^)\s]*#[^)\s]+)\)", text):
        file, _, name = target.partition("#")
        other = page.parent / unquote(file) if file else page
        if other.suffix == ".md" and unquote(name) not in headings(other):
            lost.append(target)
    assert lost == []


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_commands_shown_on_a_page_exist(page: Path, root: Path, commands: Callable[[], set[str]]) -> None:
    """Every `make` target and every `qaztech` command in a code block is one that there is."""
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    text = "\n".join(code_blocks(page))
    assert set(re.findall(r"^make ([a-z]+)", text, re.MULTILINE)) <= targets
    shown = re.findall(r"(?:^|/|\| )qaztech ((?:[a-z][a-z-]* ?)+)", text, re.MULTILINE)
    if shown and command_line_exists(root):
        known = commands()
        unknown = {s.strip() for s in shown if not any(f"{s.strip()} ".startswith(f"{verb} ") for verb in known)}
        assert unknown == set()


def test_every_command_is_documented(root: Path, commands: Callable[[], set[str]]) -> None:
    """Every command of the command line stands on some page, as it is typed."""
    if command_line_exists(root):
        text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
        assert {verb for verb in commands() if not re.search(rf"qaztech {re.escape(verb)}(?![a-z-])", text)} == set()


def test_every_make_target_says_what_it_does(root: Path) -> None:
    """`make` alone lists them all."""
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    phony = set(re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[1].split())  # type: ignore[index]
    assert phony == set(re.findall(r"^([a-z]+):.*  ## \S", makefile, re.MULTILINE))


def test_the_five_files_are_there_to_be_read(root: Path) -> None:
    """The README names five files, and they exist."""
    section = (
        (root / "README.md").read_text(encoding="utf-8").partition("## Read these five files")[2].partition("\n## ")[0]
    )
    files = re.findall(r"^\d\. `([^`]+)`", section, re.MULTILINE)
    assert len(files) == 5
    assert [name for name in files if not (root / name).is_file()] == []


@pytest.mark.parametrize("page", FORMATS, ids=lambda p: p.name)
def test_a_format_page_begins_with_an_example(page: Path) -> None:
    """After the title comes what the thing looks like; words come later."""
    title, *rest = [line for line in page.read_text(encoding="utf-8").splitlines() if line.strip()]
    assert title.startswith("# ")
    assert rest[0].startswith("```")


@pytest.mark.parametrize("page", DECISIONS, ids=lambda p: p.stem)
def test_a_decision_says_what_it_costs(page: Path) -> None:
    """Context, options, outcome, negative consequences, status; short enough to be read."""
    text = page.read_text(encoding="utf-8")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == SECTIONS
    assert len(text.splitlines()) <= 80
    assert text.startswith(f"# {page.name[:4]} ")


def test_decisions_are_numbered_without_gaps() -> None:
    """A number names one decision for ever."""
    assert [int(page.name[:4]) for page in DECISIONS] == list(range(1, len(DECISIONS) + 1))


def test_the_glossary_has_three_languages(root: Path) -> None:
    """No word lacks its Kazakh or its Russian."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (root / "docs/glossary.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("|") and not line.startswith(("|---", "| English"))
    ]
    assert len(rows) > 30
    assert [row for row in rows if len(row) not in {3, 4} or not all(row)] == []
    cyrillic = re.compile(r"[а-яё]", re.IGNORECASE)
    assert [row[0] for row in rows if not (cyrillic.search(row[1]) and cyrillic.search(row[2]))] == []


def test_changes_have_a_place_to_be_told(root: Path) -> None:
    """The changelog begins with what is not released yet."""
    headings = re.findall(r"^## (.+)$", (root / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0] == "[Unreleased]"
