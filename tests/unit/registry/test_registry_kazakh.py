"""Kazakh endings: words that are one word in another case, and words that are not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qaztech.registry.kazakh import MIN_STEM, SHORT_ROOTS, fold, stem

WORDS = json.loads((Path(__file__).parents[2] / "data" / "kazakh_words.json").read_text(encoding="utf-8"))


def test_forms_of_a_word_have_one_key() -> None:
    """Plural, possessive and the cases, one after another, and typed without Kazakh letters."""
    assert len(WORDS["same"]) >= 100
    assert [(one, other) for one, other in WORDS["same"] if stem(one) != stem(other)] == []


def test_other_words_have_other_keys() -> None:
    """However alike they look."""
    assert len(WORDS["different"]) >= 50
    assert [(one, other) for one, other in WORDS["different"] if stem(one) == stem(other)] == []


def test_a_key_keeps_its_letters() -> None:
    """Never fewer than three, unless the root has two; and a key has no ending left to lose."""
    for word in {word for pairs in WORDS.values() for pair in pairs for word in pair}:
        found = stem(word)
        assert len(found) >= MIN_STEM or found in {fold(root) for root in SHORT_ROOTS}
        assert word[:2] == found[:2] or fold(word)[:2] == found[:2]


@pytest.mark.parametrize("word", ["", "ы", "ның", "лар", "ьь", "ттт", "a", "1", "лардың" * 10])
def test_what_is_no_word_does_no_harm(word: str) -> None:
    """Any text has a key."""
    assert isinstance(stem(word), str)
