"""The HTML receipt: one file with everything in it, allowed by hash, and data that cannot become markup."""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from hashlib import sha256
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qaztech.core.errors import Malformed
from qaztech.web.blocks import json_block
from qaztech.web.bundle import bundle
from qaztech.web.receipt_html import render_html
from qaztech.web.texts import LANGUAGES, STATIC

EVIL = "</script><script>alert(1)</script><!--<img src=x onerror=alert(1)>"
ANCHOR = b'{"type":"qaztech-anchor 1"}'


class Page(HTMLParser):
    """The parts of a page that matter here."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inside: dict[str, str] = {}
        self._current = ""
        self.feed(data.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append((tag, found))
        self._current = found.get("id") or found.get("type") or tag if tag in {"script", "style"} else ""
        if self._current:
            self.inside[self._current] = ""

    def handle_data(self, data: str) -> None:
        if self._current:
            self.inside[self._current] += data

    def handle_endtag(self, tag: str) -> None:
        self._current = ""


def receipt(**changes: Any) -> dict[str, Any]:
    """Something with the outline of a receipt."""
    return {"format": "qaztech-receipt 1", "messages": [], "state": "recorded"} | changes


def test_script_and_style_are_allowed_by_their_hashes_and_nothing_else_is() -> None:
    """The policy in the file names exactly what stands in it, and no network."""
    page = Page(render_html(receipt(), ANCHOR, language="en"))
    [policy] = [a["content"] or "" for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    for name, block in (("script-src", "module"), ("style-src", "style")):
        digest = b64encode(sha256(page.inside[block].encode()).digest()).decode()
        assert rules[name] == f"'sha256-{digest}'"
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert set(rules) == {"default-src", "script-src", "style-src", "base-uri", "form-action"}


def test_nothing_is_fetched() -> None:
    """No address stands in the file that a browser would follow by itself."""
    page = Page(render_html(receipt(), ANCHOR, language="en"))
    assert {tag for tag, _ in page.tags} & {"link", "img", "iframe", "object", "base", "a"} == set()
    assert not any(a.get("src") or a.get("href") for _, a in page.tags)
    assert not re.search(
        r'^import [^\n]* from "\.|\bfetch\(|XMLHttpRequest|WebSocket|EventSource', page.inside["module"], re.MULTILINE
    )
    assert "url(" not in page.inside["style"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_data_is_data(language: str) -> None:
    """Whatever the receipt says comes out as it went in, and no tag comes of it."""
    given_ = receipt(message=EVIL, state=EVIL, logs=[{"origin": EVIL}])
    page = Page(render_html(given_, ANCHOR, language=language))
    assert json.loads(page.inside["receipt"]) == given_
    assert b64decode(page.inside["anchor"]) == ANCHOR
    assert set(json.loads(page.inside["texts"])) == set(LANGUAGES)
    assert [tag for tag, _ in page.tags].count("script") == 4
    assert ("html", {"lang": language}) in page.tags


def test_another_language_is_refused() -> None:
    """There are three."""
    with pytest.raises(Malformed):
        render_html(receipt(), ANCHOR, language="de")


@settings(max_examples=100)
@given(
    st.recursive(
        st.text() | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_a_data_block_ends_where_it_ends(value: Any) -> None:
    """No text ends it, and reading it gives back what was put in."""
    text = str(json_block(value))
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == value


def test_a_bundle_keeps_modules_apart() -> None:
    """Every module in it is a function of its own, those it needs before it."""
    text = bundle(STATIC, "receipt.js")
    order = re.findall(r"^const (m_\w+) = \(\(\) =>", text, re.MULTILINE)
    assert len(order) == len(set(order))
    assert order.index("m_strict_js") < order.index("m_checkpoint_js") < order.index("m_verify_js")
    assert not re.search(r'^(import|export)\b[^\n]*from "|^export ', text, re.MULTILINE)
