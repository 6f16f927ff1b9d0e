"""The support center's words: the same keys in three languages, in every file of them; and the chart of days."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from qaztech.hub.scopes import HUB_ROLES
from qaztech.hub.summary import Sum
from qaztech.people.roles import CENTRE_ROLES
from qaztech.web.hub_app import GROUPS
from qaztech.web.hub_chart import HEIGHT, WIDTH, day_chart
from qaztech.web.hub_pages import bytes_text, count_text, hub_texts
from qaztech.web.texts import LANGUAGES, STATIC

FOLDER = STATIC / "texts" / "hub"
FILES = sorted(path.name for path in (FOLDER / "kk").glob("*.json"))


def leaves(texts: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], str]:
    if isinstance(texts, str):
        return {path: texts}
    return {key: value for name, inner in texts.items() for key, value in leaves(inner, (*path, name)).items()}


@pytest.mark.parametrize("name", FILES)
def test_three_languages_say_the_same_things(name: str) -> None:
    """Not a key more or less, none empty, the same places to fill in, and Cyrillic where it belongs."""
    found = {one: leaves(json.loads((FOLDER / one / name).read_text(encoding="utf-8"))) for one in LANGUAGES}
    assert found["kk"].keys() == found["ru"].keys() == found["en"].keys()
    for key, english in found["en"].items():
        places = {one: sorted(re.findall(r"\{\w+\}", found[one][key])) for one in LANGUAGES}
        assert places["kk"] == places["ru"] == places["en"], key
        assert english.strip()
        assert all(re.search("[а-яёәіңғүұқөһ]", found[one][key], re.IGNORECASE) for one in ("kk", "ru")), key


def test_every_language_has_every_file() -> None:
    """A group of pages brings its words in all three."""
    assert {one: sorted(path.name for path in (FOLDER / one).glob("*.json")) for one in LANGUAGES} == dict.fromkeys(
        LANGUAGES, FILES
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_whatever_a_page_puts_together_has_words(language: str) -> None:
    """Groups of the menu, roles and what they are for."""
    texts = hub_texts(language)
    assert all(texts[group.name]["menu"] for group in GROUPS if group.menu)
    for role in HUB_ROLES:
        assert texts["role"][role]
        assert texts["people"][f"role-{role}"]
    assert set(CENTRE_ROLES) == set(HUB_ROLES)


def test_the_chart_of_days() -> None:
    """The highest day is as high as the picture; what has not ended is in neither part."""
    quiet, busy = Sum(name="2026-11-22"), Sum(name="2026-11-23", calls=10, succeeded=6, unfinished=1)
    chart = day_chart([quiet, busy])
    first, last = chart.bars
    assert (first.good_height, first.other_height, chart.highest) == (0, 0, 10)
    assert last.good_height == pytest.approx(0.6 * HEIGHT)
    assert last.other_height == pytest.approx(0.3 * HEIGHT)
    assert last.other_y + last.other_height == pytest.approx(last.good_y)
    assert last.x + last.width <= WIDTH
    assert day_chart([quiet]).highest == 0


def test_numbers_for_people() -> None:
    """Thin spaces between thousands; binary sizes."""
    assert count_text(1234567) == "1\N{NARROW NO-BREAK SPACE}234\N{NARROW NO-BREAK SPACE}567"
    assert [bytes_text(n) for n in (0, 1023, 1536, 5 * 2**30)] == ["0 B", "1023 B", "1.5 KiB", "5.0 GiB"]
