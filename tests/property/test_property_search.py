"""Search, whatever is typed and whatever members write: it answers, pages fit together, stems stay words."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from qaztech.registry import kazakh
from qaztech.registry.search import Document, SearchIndex
from qaztech.registry.search_words import LANGUAGES, key, marked, query_keys, words

LETTERS = st.text(alphabet="абвгдеёзиклмнопрстуықңғүұөәіһьйabcдом -/'\"<&\x00\u0301\ud800İß1٣", max_size=30)
ANY = st.text(max_size=30) | LETTERS
THREE = st.tuples(ANY, ANY, ANY)
DOCUMENTS = st.lists(
    st.builds(
        Document,
        id=st.uuids().map(str),
        names=THREE,
        purpose=THREE,
        data=st.lists(THREE, max_size=2).map(tuple),
        endpoints=st.lists(ANY, max_size=2).map(tuple),
        member=THREE,
        facets=st.fixed_dictionaries({"class": st.sampled_from(["GOV", "EDU"]), "type": ANY}),
    ),
    max_size=6,
)


@settings(max_examples=60)
@given(DOCUMENTS, ANY)
def test_any_query_over_any_texts_is_answered(documents: list[Document], query: str) -> None:
    """And one page after the other gives everything once."""
    index = SearchIndex(documents)
    whole = index.search(query, limit=100)
    assert len(whole.ids) == whole.total <= len(documents)
    pages = [one for offset in range(0, whole.total, 2) for one in index.search(query, offset=offset, limit=2).ids]
    assert tuple(pages) == whole.ids
    for value, count in whole.facets["class"].items():
        assert index.search(query, filters={"class": value}).total == count


@settings(max_examples=60)
@given(ANY)
def test_a_service_is_found_by_its_own_name(name: str) -> None:
    """Whatever it is called, as long as there is a word in it."""
    index = SearchIndex([Document(id="it", names=(name, name, name))])
    found = index.search(name)
    assert found.ids == ("it",)


@settings(max_examples=60)
@given(ANY)
def test_marking_changes_no_text(text: str) -> None:
    """The pieces are the text."""
    keys = frozenset(one for word in words(text) for one in query_keys(word))
    assert "".join(piece for piece, _ in marked(text, keys)) == text


@given(LETTERS)
def test_every_word_has_a_key(text: str) -> None:
    """In every language, the same each time; a Kazakh stem has no more letters than its word."""
    for word in words(text):
        assert all(key(word, language)[1:] for language in LANGUAGES)
        assert len(kazakh.stem(word)) <= len(word) + 2  # a vowel that comes back
