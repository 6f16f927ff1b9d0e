"""Reads the hand-written texts of a split: bodies, systems, and pairs of systems. It judges nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

LANGUAGES = {"k": "kk", "r": "ru", "e": "en"}
KINDS = {
    "D": "digital_system",
    "P": "platform",
    "R": "digital_resource",
    "S": "software",
    "A": "data_product",
    "I": "infrastructure",
}


@dataclass
class Written:
    """One system as written: its key, owner, kind, options and the texts by column name."""

    key: str
    owner: str
    kind: str
    options: dict[str, str] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)


@dataclass
class WrittenPair:
    """Two systems and what the writer says of them; `shared` names what the record shares beside the text."""

    detector: str
    kind: str
    shared: str
    why: str
    systems: list[Written] = field(default_factory=list)


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]


def read_bodies(path: Path) -> list[list[str]]:
    """Rows `key|class|kind|parent|kato|area|kk|ru|en`."""
    rows = [[cell.strip() for cell in line.split("|")] for line in _lines(path)]
    for row in rows:
        if len(row) != 9:
            raise ValueError(row)
    return rows


def _header(line: str) -> Written:
    key, owner, *rest = line[1:].split()
    kind = KINDS[rest.pop(0)] if rest and rest[0] in KINDS else "digital_system"
    return Written(key, owner, kind, dict(option.split("=", 1) for option in rest))


def _text(system: Written, line: str) -> None:
    language = LANGUAGES[line[0]]
    name, _, purpose = line[1:].partition("|")
    system.texts[f"name_{language}"] = name.strip()
    system.texts[f"purpose_{language}"] = purpose.strip()


def read_systems(path: Path) -> list[Written]:
    """Systems: a line `@key owner [kind] [option=value]`, then `k`, `r`, `e` lines `name | purpose`."""
    systems: list[Written] = []
    for line in _lines(path):
        if line.startswith("@"):
            systems.append(_header(line))
        else:
            _text(systems[-1], line)
    return systems


def read_pairs(path: Path) -> list[WrittenPair]:
    """Pairs: a line `= detector kind shared | why`, then two systems."""
    pairs: list[WrittenPair] = []
    for line in _lines(path):
        if line.startswith("="):
            head, _, why = line[1:].partition("|")
            detector, kind, shared = (*head.split(), "-")[:3]
            pairs.append(WrittenPair(detector, kind, shared, why.strip()))
        elif line.startswith("@"):
            pairs[-1].systems.append(_header(line))
        else:
            _text(pairs[-1].systems[-1], line)
    for pair in pairs:
        if len(pair.systems) != 2:
            raise ValueError(pair)
    return pairs
