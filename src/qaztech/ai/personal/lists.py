"""Lists of words, read from the data files of this package. A line is a comment, a `[section]`, or words."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from importlib.resources import files
from typing import Final

_DATA: Final = files("qaztech.ai.personal") / "data"


def words(name: str) -> Iterator[tuple[str, str]]:
    """The words of a list, each with the section it stands in."""
    section = ""
    for line in (_DATA / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = line.strip("[] ")
        elif not line.startswith("#"):
            for word in line.split():
                yield section, word


@lru_cache(maxsize=32)
def part(section: str) -> tuple[str, ...]:
    """The words of one section of `parts.txt`, in order."""
    return tuple(word for each, word in words("parts.txt") if each == section)
