"""The console's words: the same keys in three languages, each used; and the chart of its first page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from qaztech.member.console import CONSOLE_ROLES
from qaztech.member.membership import Step
from qaztech.member.store import CLIENT
from qaztech.web.member_chart import HOUR, MOST, STEP, traffic
from qaztech.web.member_console import MENU
from qaztech.web.member_site import TEMPLATES, member_texts
from qaztech.web.texts import LANGUAGES

NOW = 1_800_000_000_000
PAGES = "".join(p.read_text(encoding="utf-8") for p in sorted((TEMPLATES / "member").glob("*.html")))


def leaves(texts: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], str]:
    if isinstance(texts, str):
        return {path: texts}
    return {key: value for name, inner in texts.items() for key, value in leaves(inner, (*path, name)).items()}


def test_three_languages_say_the_same_things() -> None:
    """Not a key more or less, none empty, and the same places to fill in."""
    found = {language: leaves(member_texts(language)) for language in LANGUAGES}
    assert found["kk"].keys() == found["ru"].keys() == found["en"].keys()
    for key, english in found["en"].items():
        places = {language: sorted(re.findall(r"\{\w+\}", found[language][key])) for language in LANGUAGES}
        assert places["kk"] == places["ru"] == places["en"], key
        assert english.strip()


def test_kazakh_and_russian_are_not_english() -> None:
    """Every text has Cyrillic letters in it, and Kazakh is not Russian over again."""
    cyrillic = re.compile("[а-яёәіңғүұқөһ]", re.IGNORECASE)
    kk, ru = leaves(member_texts("kk")), leaves(member_texts("ru"))
    assert [key for texts in (kk, ru) for key, text in texts.items() if not cyrillic.search(text)] == []
    # Words that both languages have.
    same = {key[-1] for key in kk if kk[key] == ru[key]}
    assert same <= {
        "code",
        "maintenance",
        "ms",
        "submit",
        "title",
        "version",
        "names",
        "service",
        "file",
        "kind",
        "client",
        "phone",
        "log",
    }


def test_every_text_is_used() -> None:
    """By a template, or by a name that a page puts together."""
    built = {"menu", "states", "roles", "problems", "done", "late", "languages", "log.acts", "nodes.kinds",
             "exchanges.sides", "joining.names", "joining.steps", "joining.states", "people.about",
             "ai.act", "ai.act-about", "ai.missing", "ai.wrong", "ai.handling", "ai.kind", "ai.way",
             "ai.outcomes"}  # fmt: skip
    for key in leaves(member_texts("en")):
        if key[0] in built or ".".join(key[:2]) in built:
            continue
        last = re.escape(key[-1])
        assert re.search(rf'\.{last}\b|\["{last}"\]|\[\'{last}\'\]|\[finding', PAGES), key


@pytest.mark.parametrize("language", LANGUAGES)
def test_whatever_a_page_puts_together_has_words(language: str) -> None:
    """Menu, roles, steps of joining."""
    texts = member_texts(language)
    assert set(texts["menu"]) == {path for path, _ in MENU}
    assert set(CONSOLE_ROLES) | {CLIENT} <= set(texts["roles"])
    assert set(Step.__args__) == set(texts["joining"]["steps"])  # type: ignore[attr-defined]


def test_problems_that_have_words_are_problems_that_there_are() -> None:
    """Every code is on the page of errors."""
    page = (Path(__file__).parents[3] / "docs/reference/errors.md").read_text(encoding="utf-8")
    known = set(re.findall(r"`([a-z0-9.-]+)`", page))
    assert set(member_texts("en")["problems"]) - known == {"other"}


def exchange(time: int, state: str = "answered 200", side: str = "consumer") -> dict[str, Any]:
    return {"time": time, "state": state, "side": side}


def test_the_chart_counts_the_last_hour() -> None:
    """What is older is left out; the highest bar is as high as the picture."""
    chart = traffic(
        [exchange(NOW), exchange(NOW, "refused x", "provider"), exchange(NOW - STEP), exchange(NOW - 2 * HOUR)], NOW
    )
    assert (chart.answered, chart.other, chart.called, chart.provided) == (2, 1, 2, 1)
    assert len(chart.bars) == HOUR // STEP
    last = chart.bars[-1]
    assert (last.answered, last.other, chart.highest) == (1, 1, 2)
    assert last.answered_height + last.other_height == chart.height
    assert last.other_y == 0
    assert chart.since is None


def test_the_chart_says_where_it_is_not_whole() -> None:
    """A node remembers so many and no more."""
    chart = traffic([exchange(NOW - 1000)] * MOST, NOW)
    assert chart.since == NOW - 1000
    assert traffic([], NOW).highest == 0
