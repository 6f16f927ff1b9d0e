"""A copy of a log that may be growing: its write-ahead file up to one moment, from which all else is made again.

What is before the end of the last whole frame was written once and never changes, so a copy that stops there is what a
crash at that moment would have left. The copy proves what it holds; it must never go on under the same origin
(docs/howto/restore-a-log.md), except where its owner can show that nothing was signed after it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from qaztech.evidence.state import CLOSED, IDENTITY
from qaztech.evidence.storage import OsStorage
from qaztech.evidence.view import LogView
from qaztech.runtime.archive import Piece


@dataclass(frozen=True, slots=True, kw_only=True)
class LogCopy:
    """The files of a copy, and how many entries it has."""

    origin: str
    size: int
    pieces: tuple[Piece, ...]


def copy_of(directory: Path, name: str) -> LogCopy:
    """The log in a folder as it is now, as the files of a folder `name`. Raises `Halt` for one that is damaged."""
    with LogView.open_read_only(directory, storage=OsStorage()) as log:
        segments, size, origin = log.segments(), log.size, log.origin
    pieces = [
        Piece(name=f"{name}/{file}", data=(directory / file).read_bytes())
        for file in (IDENTITY, CLOSED)
        if (directory / file).exists()
    ]
    pieces += (
        Piece(name=f"{name}/{path.relative_to(directory)}", path=path, length=length, private=True)
        for path, length in segments
    )
    return LogCopy(origin=origin, size=size, pieces=tuple(pieces))
