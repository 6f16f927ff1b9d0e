"""Translated pages follow their English page: the same code, as many headings, and links to the other languages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LANGUAGES = {"en": "English", "ru": "Русский", "kk": "Қазақша"}
GUIDES = ("connect-a-system", "run-a-node", "run-the-registry", "be-an-auditor")
UNREVIEWED = "Қазақша мәтінді редактор әлі тексерген жоқ."


@dataclass(frozen=True, slots=True)
class Section:
    """What stands between two headings."""

    spans: frozenset[str]
    """What is written as code within the prose."""
    links: tuple[str, ...]
    """The names of the files it leads to, sorted."""


@dataclass(frozen=True, slots=True)
class Outline:
    """What of a page must be the same in all its languages."""

    code: tuple[str, ...]
    headings: tuple[int, ...]
    """The level of each heading, in order."""
    rows: int
    """How many rows its tables have."""
    sections: tuple[Section, ...]


def outline(text: str) -> Outline:
    """The outline of a page in Markdown. What stands within fences is code and nothing else."""
    code, prose, fence, block = [], [], "", []
    for line in text.splitlines():
        mark = re.match(r" *(`{3,})", line)
        if fence:
            block.append(line)
            if line.strip() == fence:
                code.append("\n".join(block))
                fence = ""
        elif mark:
            fence, block = mark[1], [line]
        else:
            prose.append(line)
    assert not fence, "a fence has no end"
    headings = tuple(len(m[1]) for line in prose if (m := re.match(r"(#+) ", line)))
    parts = re.split(r"^#+ .*$", "\n".join(prose), flags=re.MULTILINE)[1:]
    return Outline(
        code=tuple(code),
        headings=headings,
        rows=sum(line.startswith("|") for line in prose),
        sections=tuple(section(part) for part in parts),
    )


def section(text: str) -> Section:
    """What is compared of a section."""
    targets = re.findall(r"\]\(([^)\s#]+)[^)]*\)", text)
    return Section(
        spans=frozenset(re.findall(r"`([^`]+)`", text)),
        links=tuple(sorted({target.rpartition("/")[2] or target for target in targets})),
    )


def page(name: str, language: str) -> Path:
    """Where a page stands in a language."""
    if name == "README":
        return ROOT / ("README.md" if language == "en" else f"README.{language}.md")
    return ROOT / "docs" / ("howto" if language == "en" else language) / f"{name}.md"


def links(path: Path) -> dict[str, Path]:
    """Which page the first line of a page names for each other language."""
    found = re.findall(r"\[([^]]+)\]\(([^)]+)\)", path.read_text(encoding="utf-8").splitlines()[0])
    return {name: (path.parent / target).resolve() for name, target in found}


NAMES = ("README", *GUIDES)
TRANSLATED = [(name, language) for name in NAMES for language in ("ru", "kk")]


@pytest.mark.parametrize(("name", "language"), TRANSLATED)
def test_a_translation_has_the_code_and_the_headings_of_its_english_page(name: str, language: str) -> None:
    """Whoever changes the English page changes the others with it."""
    english, translated = (outline(page(name, each).read_text(encoding="utf-8")) for each in ("en", language))
    assert translated.code == english.code
    assert translated.headings == english.headings
    assert translated.rows == english.rows
    text = page(name, "en").read_text(encoding="utf-8")
    for ours, theirs in zip(translated.sections, english.sections, strict=True):
        assert theirs.spans - ours.spans == set(), "the English page names something more"
        assert {each for each in ours.spans if each not in text} == set(), "the English page names it no more"
        assert ours.links == theirs.links


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", NAMES)
def test_a_page_begins_with_its_other_languages(name: str, language: str) -> None:
    """The first line leads to each of them, and nowhere else."""
    others = {LANGUAGES[each]: page(name, each) for each in LANGUAGES if each != language}
    assert links(page(name, language)) == others


def test_every_translated_page_is_compared() -> None:
    """A new page in docs/ru or docs/kk is added to the list above."""
    found = {path.stem for language in ("ru", "kk") for path in (ROOT / "docs" / language).glob("*.md")}
    assert found == set(GUIDES)


@pytest.mark.parametrize("name", NAMES)
def test_kazakh_that_no_editor_has_seen_says_so(name: str) -> None:
    """The mark stands before the title."""
    before, _, _ = page(name, "kk").read_text(encoding="utf-8").partition("\n# ")
    assert UNREVIEWED in before


def test_an_english_page_that_moved_on_is_noticed() -> None:
    """A line of code, a block, a heading, a row, a command in a sentence, a link: each makes the outlines differ."""
    text = "# A\n\n| a |\n\nSee `b` of [c](../c.md#d).\n\n```sh\nmake run\n```\n\n## B\n"
    changed = [
        text.replace("make run", "make test"), text.replace("```sh", "```"), text + "\n```\nx\n```\n",
        text.replace("## B", "### B"), text + "\n## C\n", text.replace("| a |", "| a |\n| b |"),
        text.replace("`b`", "`e`"), text.replace("c.md", "e.md"),
    ]  # fmt: skip
    assert [outline(each) == outline(text) for each in changed] == [False] * len(changed)
    assert outline(text.replace("# A", "# А").replace("| a |", "| б |").replace("c.md#d", "c.md#д")) == outline(text)
