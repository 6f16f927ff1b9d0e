"""The texts of the catalogue's pages: the same in three languages, all used, none missing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from qaztech.web.portal_pages import TEMPLATES, portal_texts
from qaztech.web.texts import LANGUAGES, STATIC

PAGES = "\n".join(
    path.read_text(encoding="utf-8")
    for path in (*sorted((TEMPLATES / "portal").glob("*.html")), TEMPLATES / "base.html", STATIC / "verify-file.js")
)
# Chosen by data: values of filters, findings about logs, categories of data.
CHOSEN = {"value", "category", "facet", "nav", "problem"}
FINDINGS = {
    "logs": {"signed", "wrong", "unreachable", "not-public", "closed", "nothing", "silent", "bad", "forked"},
    "acts": {"witnessed", "unwitnessed", "unnamed", "wrong"},
    "access": {"open", "expired", "revoked", "changed", "void"},
}


def texts(language: str) -> dict[str, str]:
    """Every text by its section and name."""

    def walk(value: Any, path: str) -> Iterator[tuple[str, str]]:
        if isinstance(value, str):
            yield path, value
        else:
            for key, inner in value.items():
                yield from walk(inner, f"{path}|{key}".strip("|"))

    return dict(walk(portal_texts(language), ""))


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_says_the_same(language: str) -> None:
    """With the same places for values."""
    one, english = texts(language), texts("en")
    assert one.keys() == english.keys()
    places = re.compile(r"\{[a-z]+\}")
    assert [k for k in one if sorted(places.findall(one[k])) != sorted(places.findall(english[k]))] == []
    assert all(value.strip() for value in one.values())


@pytest.mark.parametrize("language", ["ru", "kk"])
def test_nothing_is_left_in_english(language: str) -> None:
    """Apart from names and codes."""
    english = texts("en")
    same = {k for k, v in texts(language).items() if v == english[k] and re.search("[a-z]{3}", v)}
    assert same == set()


def test_every_text_is_used() -> None:
    """A text that nothing shows is not kept."""
    for path in texts("en"):
        section, name = path.split("|")
        if section in CHOSEN or name in FINDINGS.get(section, ()) or name in {"public-service", "state-function"}:
            continue
        assert re.search(rf"""\.{re.escape(name)}\b|["']{re.escape(name)}["']""", PAGES), path


def test_every_text_asked_for_is_there() -> None:
    """Of each section by its name."""
    named = set(re.findall(r"words\.([a-z]+)(?:\.([a-z]+)|\[\"([a-z-]+)\"\])", PAGES))
    known = portal_texts("en")
    asked = {(section, one or other) for section, one, other in named if section in known}
    assert {(section, name) for section, name in asked if name not in {"get", "replace", *known[section]}} == set()
