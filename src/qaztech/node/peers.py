"""What a node remembers of its peers' logs across links and restarts: the largest head of each, durably accepted.

The truth is the notes in the node's own log; the file here is a snapshot of it, so that a start reads few notes.
"""

from __future__ import annotations

import json
import os
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from qaztech.core.ids import NodeId
from qaztech.evidence.merkle import Frontier
from qaztech.node.journal import PEER_HEAD, Remembered, parse_peer_head


class NoteReader(Protocol):
    """The notes of the own log."""

    def note_count(self, kind: int) -> int:
        """How many notes of a kind there are."""
        ...

    def read_note(self, kind: int, ordinal: int) -> tuple[int, bytes]:
        """Key and payload of one note."""
        ...


class AcceptedHeads:
    """Largest durably accepted head for each log of each peer."""

    def __init__(self, *, path: Path, notes: NoteReader, node_of: Callable[[str], NodeId | None]) -> None:
        self._path = path
        self._notes = notes
        self._node_of = node_of
        self._heads: dict[str, Remembered] = {}
        self._changed = False
        self._load()

    def of(self, node: NodeId) -> list[tuple[str, Remembered]]:
        """The logs of a node of which a head is remembered."""
        return [(origin, head) for origin, head in self._heads.items() if self._node_of(origin) == node]

    def all(self) -> dict[str, Remembered]:
        """Every remembered head by log origin."""
        return dict(self._heads)

    def remember(self, origin: str, head: Remembered) -> None:
        """A head was accepted: a later link, and the cross-check, continue from it."""
        known = self._heads.get(origin)
        if known is None or known.size < head.size:
            self._heads[origin] = head
            self._changed = True

    def save(self) -> None:
        """Write the snapshot, if anything changed."""
        if not self._changed:
            return
        text = json.dumps(
            {
                "notes": self._notes.note_count(PEER_HEAD),
                "heads": {
                    origin: [head.size, b64encode(head.root).decode(), b64encode(head.signature).decode()]
                    for origin, head in self._heads.items()
                },
            }
        )
        temporary = self._path.with_suffix(".new")
        with temporary.open("w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)
        self._changed = False

    def _load(self) -> None:
        first = 0
        count = self._notes.note_count(PEER_HEAD)
        if self._path.exists():
            saved = json.loads(self._path.read_text())
            # More notes than the log has: the snapshot is of another log (a restored one begins anew).
            first = min(saved["notes"], count)
            for origin, (size, root, signature) in saved["heads"].items():
                self._heads[origin] = Remembered(size, b64decode(root), b64decode(signature))
        for ordinal in range(first, count):
            note = parse_peer_head(self._notes.read_note(PEER_HEAD, ordinal)[1])
            frontier = Frontier(note.start, note.frontier)
            frontier.extend([note.leaves[i : i + 32] for i in range(0, len(note.leaves), 32)])
            self.remember(note.origin, Remembered(note.size, frontier.root(), note.signature))
