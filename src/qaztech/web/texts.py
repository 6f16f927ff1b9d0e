"""The page's words in Kazakh, Russian and English: one catalogue a language, `static/texts/<language>.json`.

The same files serve the templates here and the scripts in the browser. A test holds the three to the same keys.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from pathlib import Path
from typing import Any

STATIC = Path(__file__).parent / "static"
LANGUAGES = ("kk", "ru", "en")
DEFAULT = "en"

_LOCAL = timezone(timedelta(hours=5))  # every clock in Kazakhstan since March 2024
# 9999-12-31 in every zone.
_LATEST = 253_402_214_400_000

Catalogue = dict[str, Any]


@lru_cache(maxsize=len(LANGUAGES))
def catalogue(language: str) -> Catalogue:
    """Every text in one language."""
    found: Catalogue = json.loads((STATIC / "texts" / f"{language}.json").read_text(encoding="utf-8"))
    return found


def local_moment(milliseconds: int) -> datetime:
    """A time as clocks in Kazakhstan show it. What others say of times may be anything: it is shown as the nearest."""
    return datetime.fromtimestamp(max(0, min(milliseconds, _LATEST)) / 1000, UTC).astimezone(_LOCAL)


def chosen_language(wanted: Iterable[str]) -> str:
    """The first of these that there are texts in; each may be a tag with region and weight (`ru-KZ;q=0.8`)."""
    for tag in wanted:
        language = tag.strip().split(";")[0].split("-")[0].lower()
        if language in LANGUAGES:
            return language
    return DEFAULT
