"""Data inside a page: JSON in a script block that the browser does not run, safe whatever the data says."""

from __future__ import annotations

import json

from markupsafe import Markup


def json_block(value: object) -> Markup:
    """JSON in which no character can end the block it stands in, or begin another."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704  # every character that could be markup was escaped
