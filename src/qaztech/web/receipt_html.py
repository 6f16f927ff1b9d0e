"""The HTML receipt: one file that shows an exchange and checks it in the browser, from disk, without network.

The page's scripts and styles stand in the file and are allowed by their hashes; its policy allows nothing else, no
network at all. What comes from the receipt enters as data that is not executable, and is shown as text.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from qaztech.core.errors import Malformed
from qaztech.core.record import Record, parse_record
from qaztech.web.blocks import json_block
from qaztech.web.bundle import bundle
from qaztech.web.texts import DEFAULT, LANGUAGES, STATIC, catalogue

TEMPLATES = Path(__file__).parent / "templates"
# What a script block must not contain, whatever it holds.
_ENDS = ("</script", "<script", "<!--")


@dataclass(frozen=True, slots=True)
class _Inline:
    """What is the same in every file: script and style, with their hashes as a policy names them."""

    script: str
    script_hash: str
    style: str
    style_hash: str


def render_html(receipt: dict[str, Any], anchor: bytes, *, language: str = DEFAULT) -> bytes:
    """The HTML receipt; `receipt` by docs/formats/receipt.md, `anchor` the exact bytes of the anchor's file."""
    if language not in LANGUAGES:
        raise Malformed("language.unknown", f"the languages are {', '.join(LANGUAGES)}", at="caller")
    inline = _inline()
    page = _environment().get_template("receipt.html")
    return page.render(
        language=language,
        languages=LANGUAGES,
        texts=catalogue(language),
        inline=inline,
        receipt=json_block(receipt),
        catalogues=json_block({one: _needed(one) for one in LANGUAGES}),
        anchor=b64encode(anchor).decode(),
        records=_records(receipt),
    ).encode()


@lru_cache(maxsize=1)
def _inline() -> _Inline:
    script = bundle(STATIC, "receipt.js")
    style = (STATIC / "style.css").read_text(encoding="utf-8")
    if any(end in script for end in _ENDS) or "</style" in style:
        raise Malformed("receipt.malformed", "the page's own script cannot stand in a page")
    return _Inline(script, _hash(script), style, _hash(style))


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined)


def _hash(text: str) -> str:
    return "sha256-" + b64encode(sha256(text.encode()).digest()).decode()


def _needed(language: str) -> dict[str, Any]:
    return {name: texts for name, texts in catalogue(language).items() if name != "portal"}


def _records(receipt: dict[str, Any]) -> list[Record]:
    """The records for whoever has no JavaScript: what the receipt says, unchecked."""
    try:
        return [parse_record(b64decode(message["record"], validate=True)) for message in receipt["messages"]]
    except (Malformed, LookupError, TypeError, ValueError):
        return []
