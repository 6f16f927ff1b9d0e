"""Search: what people write finds what they mean, in three languages; filters, order, pages, and strange queries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from qaztech.registry.search import Document, SearchIndex
from qaztech.registry.search_words import key, marked, words

DATA = Path(__file__).parents[2] / "data"


def three(names: dict[str, Any]) -> tuple[str, str, str]:
    """A name in the index's order."""
    return names["kk"], names["ru"], names["en"]


@pytest.fixture(scope="module")
def index() -> SearchIndex:
    """The services that the queries were written for."""
    data = json.loads((DATA / "catalogue_services.json").read_text(encoding="utf-8"))
    return SearchIndex(
        Document(
            id=service["code"],
            names=three(service["names"]),
            purpose=three(service["purpose"]),
            data=(tuple(service["data"]),),
            endpoints=tuple(service["endpoints"]),
            member=three(data["members"][service["member"]]),
            facets={
                "class": data["members"][service["member"]]["class"],
                "personal": "yes" if service["personal"] else "no",
                "environment": service["environment"],
                "type": service["type"],
            },
        )
        for service in data["services"]
    )


def test_labelled_queries_find_what_was_expected(index: SearchIndex) -> None:
    """Written before there was a search: at least 97 in 100 of the expected services are in the first ten."""
    queries = json.loads((DATA / "catalogue_queries.json").read_text(encoding="utf-8"))
    assert len(queries) >= 140
    expected = found = 0
    for query in queries:
        ids = index.search(query["query"], limit=10).ids
        expected += len(query["expected"])
        found += len(set(query["expected"]) & set(ids))
    assert found / expected >= 0.97


@pytest.mark.parametrize(
    ("query", "first"),
    [("анықтаманы соттылық", "no-record"), ("справок о судимости", "no-record"), ("certificates birth", "birth"),
     ("справкм судимость", "no-record"), ("аныктама мугедектик", "disability"), ("kinderg", "kindergarten")],
)  # fmt: skip
def test_forms_beginnings_and_slips_are_found(index: SearchIndex, query: str, first: str) -> None:
    """Cases and plurals, one wrong letter, no Kazakh keyboard, half a word."""
    assert index.search(query).ids[0] == first


def test_a_name_counts_more_than_a_purpose() -> None:
    """Then data elements, endpoints and the member's name, in this order."""
    other = ("басқа", "другое", "other")
    tax = ("салық", "налог", "tax")
    found = SearchIndex([
        Document(id="member", names=other, member=tax),
        Document(id="endpoint", names=other, endpoints=("GET /tax/*",)),
        Document(id="data", names=other, data=(tax,)),
        Document(id="purpose", names=other, purpose=tax),
        Document(id="name", names=tax),
    ])  # fmt: skip
    assert found.search("tax").ids == ("name", "purpose", "data", "endpoint", "member")


@pytest.mark.parametrize(
    ("query", "found"),
    [("информационных систем", "new"), ("цифровую систему", "old"), ("ақпараттық жүйелер", "new"),
     ("цифрлық жүйені", "old"), ("information system", "new"), ("digital systems", "old")],
)  # fmt: skip
def test_things_are_found_by_the_words_of_both_laws(query: str, found: str) -> None:
    """The Digital Code says digital system where the law of before said information system."""
    both = SearchIndex([
        Document(id="old", names=("Ақпараттық жүйелер", "Реестр информационных систем", "Information systems")),
        Document(id="new", names=("Цифрлық жүйелер", "Реестр цифровых систем", "Digital systems")),
        Document(id="other", names=("Жүйе", "Система", "System")),
    ])  # fmt: skip
    assert set(both.search(query).ids) == {"old", "new"}
    assert both.search(query).ids[1] == found


def test_filters_narrow_and_facets_count(index: SearchIndex) -> None:
    """Each value is counted with the other filters applied, so that a reader sees what a click would give."""
    everything = index.search("", limit=100)
    assert everything.total == len(index) == len(everything.ids)
    filtered = index.search("", filters={"class": "GOV", "personal": "yes"}, limit=100)
    assert filtered.total == everything.facets["class"]["GOV"] - filtered.facets["personal"]["no"]
    assert filtered.facets["class"]["EDU"] == 2
    assert index.search("", filters={"class": "NONE"}).total == 0


def test_pages_follow_one_another(index: SearchIndex) -> None:
    """Nothing twice, nothing left out, best first, with and without a query."""
    for query in ("", "тіркеу", "certificate"):
        whole = index.search(query, limit=100).ids
        pages = [one for offset in range(0, 100, 3) for one in index.search(query, offset=offset, limit=3).ids]
        assert tuple(pages) == whole
        assert len(set(whole)) == len(whole) == index.search(query).total


def test_pages_follow_one_another_beyond_what_is_ranked() -> None:
    """Among thousands that are found alike, too."""
    many = SearchIndex(Document(id=str(i), names=("а", f"налог {i % 7}", "tax")) for i in range(2500))
    pages = [one for offset in range(0, 2500, 250) for one in many.search("налоги", offset=offset, limit=250).ids]
    assert len(set(pages)) == len(pages) == 2500


def test_words_that_never_stand_together_find_what_has_most_of_them(index: SearchIndex) -> None:
    """And the answer says so."""
    result = index.search("диплом подлинность бегемот")
    assert result.loose
    assert result.ids[0] == "diplomas"


@pytest.mark.parametrize(
    "query", ["", "   ", "'\"; DROP", "и", "\x00\ud800", "а" * 100_000, "1 " * 1000, "%_*", "ы" * 40]
)
def test_any_query_is_answered(index: SearchIndex, query: str) -> None:
    """Nothing a visitor types is an error."""
    assert index.search(query).total >= 0


def test_words_that_were_found_are_marked(index: SearchIndex) -> None:
    """In the form in which they stand in the text."""
    keys = index.search("справки").keys
    assert marked("Адресная справка", keys) == [("Адресная ", False), ("справка", True)]
    assert "".join(text for text, _ in marked("Тұрғылықты жері — <b>", keys)) == "Тұрғылықты жері — <b>"


@pytest.mark.parametrize(
    ("one", "other"),
    [("справка", "справок"), ("рынок", "рынка"), ("участок", "участков"), ("система", "систем"), ("земля", "земель"),
     ("гражданин", "граждан"), ("ребёнок", "детям"), ("счёт", "счетов"), ("пошлина", "пошлин"), ("письмо", "писем")],
)  # fmt: skip
def test_russian_words_have_one_key_in_all_their_forms(one: str, other: str) -> None:
    """Also where a vowel comes and goes, or the stem changes."""
    assert key(words(one)[0], "ru") == key(words(other)[0], "ru")
