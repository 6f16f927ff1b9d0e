"""The three catalogues: the same keys and places in each, all of them used, none missing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import pytest

from qaztech.web.portal_pages import TEMPLATES
from qaztech.web.texts import LANGUAGES, STATIC, catalogue, chosen_language, local_moment

SCRIPTS = "\n".join(path.read_text(encoding="utf-8") for path in sorted(STATIC.glob("*.js")))
PAGES = "\n".join(path.read_text(encoding="utf-8") for path in sorted(TEMPLATES.glob("*.html")))


def texts(language: str) -> dict[str, str]:
    """Every text by its path."""

    def walk(value: Any, path: str) -> Iterator[tuple[str, str]]:
        if isinstance(value, str):
            yield path, value
        else:
            for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
                yield from walk(inner, f"{path}|{key}")

    return dict(walk(catalogue(language), ""))


@pytest.mark.parametrize("language", LANGUAGES)
def test_catalogues_have_the_same_texts_with_the_same_places(language: str) -> None:
    """What is said in one language is said in all, and no place for a value is lost."""
    one, english = texts(language), texts("en")
    assert one.keys() == english.keys()
    places = re.compile(r"\{[a-z]+\}")
    different = [key for key in one if sorted(places.findall(one[key])) != sorted(places.findall(english[key]))]
    assert different == []
    assert all(value.strip() for value in one.values())


@pytest.mark.parametrize("language", ["ru", "kk"])
def test_nothing_is_left_in_english(language: str) -> None:
    """Apart from names and codes."""
    same = {key for key, value in texts(language).items() if value == texts("en")[key] and re.search("[a-z]{3}", value)}
    assert {key for key in same if not re.fullmatch(r"[^a-z]*(\{[a-z]+\}[^a-z]*)+", texts("en")[key])} == set()


def test_every_reason_has_words() -> None:
    """Whatever a check can find wrong is told in words, and no words are kept for what it cannot."""
    named = set(re.findall(r'(?:Bad|Unchecked)\(\s*"([^"]+)"', SCRIPTS))
    named |= set(re.findall(r'(?:reason = |, )"([a-z]+(?:-[a-z]+)*\.[a-z-]+)"', SCRIPTS))
    assert named | {"ml-dsa", "unexpected", "seal"} == set(catalogue("en")["why"])


def test_every_text_is_used() -> None:
    """A text that nothing shows is not kept."""
    outcomes = {"refused-code", "no-answer-code", "aborted-code"}
    for section in ("receipt", "portal"):
        names = set(catalogue("en")[section]) - outcomes
        written = {
            name
            for name in names
            if re.search(rf'["\'.]{re.escape(name)}["\'\s}}]|\b{section}\.{name}\b', SCRIPTS + PAGES)
        }
        assert names - written <= {"caller", "system", "registry-lead", "witnesses"}, section  # those are picture.py's
    asked = set(re.findall(r't\("(\w+)", "([^"]+)"', SCRIPTS))
    assert {(section, key) for section, key in asked if key not in catalogue("en")[section]} == set()


def test_the_language_is_the_first_that_there_is() -> None:
    """Of what the browser asks for; else English."""
    assert chosen_language(["de-DE", "kk-KZ;q=0.8", "ru"]) == "kk"
    assert chosen_language(["", "*"]) == "en"


@pytest.mark.parametrize("time", [-(2**62), -1, 0, 1_790_000_000_000, 253_402_300_799_000, 2**62])
def test_any_time_can_be_shown(time: int) -> None:
    """Members, nodes and witnesses say times; none of them keeps a page from being shown."""
    assert 1970 <= local_moment(time).year <= 9999


def test_vendored_files_are_those_that_are_named() -> None:
    """Each has the hash that stands beside its name and version."""
    page = (STATIC / "vendor/README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| [\w@/-]+ \| [\d.]+ \| `([^`]+)` \| `([0-9a-f]{64})` \|$", page, re.MULTILINE)
    files = {p.relative_to(STATIC / "vendor").as_posix() for p in (STATIC / "vendor").rglob("*.js")}
    assert {name for name, _ in rows} == files
    for name, digest in rows:
        assert sha256((STATIC / "vendor" / name).read_bytes()).hexdigest() == digest
