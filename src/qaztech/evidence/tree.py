"""The hashes of the log's tree: how it grows, and the files `tree/0`, `tree/1`, … that keep what proofs need.

Level l holds the hashes of all complete blocks of 256**l leaves, one after the other, so that a C2SP tlog-tile is a
slice of a file. Hashes between those levels are computed when asked for and remembered for a while.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

from qaztech.core.errors import NotFound
from qaztech.evidence.derived import AppendFile
from qaztech.evidence.merkle import (
    HASH_SIZE,
    Frontier,
    consistency_proof,
    frontier_nodes,
    inclusion_proof,
    root_of,
)
from qaztech.evidence.storage import Storage

TILE_HEIGHT: Final = 8
TILE_WIDTH: Final = 1 << TILE_HEIGHT
_MAX_LEVEL: Final = 8
_REMEMBERED: Final = 8192
_KEEP_LEAVES: Final = 8192


class Growth(NamedTuple):
    """What a batch of leaves does to a tree: its new peaks, and the hashes of the blocks it completes, by level."""

    size: int
    peaks: list[bytes]
    blocks: dict[int, list[bytes]]


def grow(size: int, peaks: Sequence[bytes], leaves: Sequence[bytes]) -> Growth:
    """Add leaf hashes to a tree of `size` leaves with these peaks, left to right."""
    stack = list(peaks)
    blocks: dict[int, list[bytes]] = {}
    pop, push, hash_ = stack.pop, stack.append, sha256
    for leaf in leaves:
        computed, at, level = leaf, size, 0
        while at & 1:
            computed = hash_(b"\x01" + pop() + computed).digest()
            at >>= 1
            level += 1
            if not level & 7:
                blocks.setdefault(level >> 3, []).append(computed)
        push(computed)
        size += 1
    return Growth(size, stack, blocks)


def level_sizes(size: int) -> list[int]:
    """How many hashes each level of a tree of `size` leaves has, lowest first, down to one."""
    sizes = []
    while size:
        sizes.append(size)
        size >>= TILE_HEIGHT
    return sizes


class Tree:
    """The tree as far as it is durable. Owned by one thread."""

    def __init__(self, *, storage: Storage, directory: Path, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        self._storage = storage
        self._directory = directory
        self.size = size
        self.peaks = list(peaks)
        self.levels: list[AppendFile] = []
        self._remembered: dict[int, bytes] = {}
        for count in level_sizes(size) or [0]:
            self._add_level(count)

    def _add_level(self, count: int) -> None:
        level = len(self.levels)
        keep = _KEEP_LEAVES if level == 0 else TILE_WIDTH
        path = self._directory / str(level)
        self.levels.append(AppendFile(storage=self._storage, path=path, size=count * HASH_SIZE, keep=keep * HASH_SIZE))

    def install(self, leaves: Sequence[bytes], growth: Growth) -> None:
        """Take over what `grow` made of these leaves."""
        self.levels[0].append(b"".join(leaves))
        for level, hashes in growth.blocks.items():  # levels come in order: a block is made of blocks
            if level == len(self.levels):
                self._add_level(0)
            self.levels[level].append(b"".join(hashes))
        self.size, self.peaks = growth.size, growth.peaks

    def root(self) -> bytes:
        """Root of the tree."""
        return Frontier(self.size, self.peaks).root()

    def leaves(self, start: int, stop: int) -> bytes:
        """Leaf hashes [start, stop), joined."""
        if not 0 <= start <= stop <= self.size:
            raise NotFound("log.no-entry", f"the log has {self.size} entries", at="log")
        return self.levels[0].read(start * HASH_SIZE, stop * HASH_SIZE)

    def node(self, level: int, index: int) -> bytes:
        """Hash of the complete subtree of 2**level leaves number `index`."""
        if index < 0 or (index + 1) << level > self.size:
            raise NotFound("log.no-entry", f"no complete subtree {index} at level {level}", at="log")
        return self._node(level, index)

    def _node(self, level: int, index: int) -> bytes:
        if not level & 7:
            start = index * HASH_SIZE
            return self.levels[level >> 3].read(start, start + HASH_SIZE)
        place = level << 56 | index
        known = self._remembered.get(place)
        if known is None:
            left, right = self._node(level - 1, 2 * index), self._node(level - 1, 2 * index + 1)
            if len(self._remembered) >= _REMEMBERED:
                self._remembered.clear()
            known = self._remembered[place] = sha256(b"\x01" + left + right).digest()
        return known

    def tile(self, level: int, index: int, width: int) -> bytes:
        """The first `width` hashes of a tile."""
        first = index * TILE_WIDTH
        if not (0 <= level < len(self.levels) and 0 < width <= TILE_WIDTH and index >= 0):
            raise NotFound("log.no-tile", "no such tile", at="log")
        if first + width > self.size >> level * TILE_HEIGHT:
            raise NotFound("log.no-tile", "no such tile yet", at="log")
        return self.levels[level].read(first * HASH_SIZE, (first + width) * HASH_SIZE)

    def frontier_at(self, size: int) -> Frontier:
        """The peaks at an earlier size."""
        self._within(size)
        if size == self.size:
            return Frontier(size, self.peaks)
        return Frontier(size, [self._node(level, index) for level, index in frontier_nodes(size)])

    def root_at(self, size: int) -> bytes:
        """The root at an earlier size."""
        self._within(size)
        return root_of(size, self._node)

    def inclusion_proof(self, index: int, size: int) -> list[bytes]:
        """Audit path of an entry in the tree as it was at `size` (RFC 6962)."""
        self._within(size)
        return inclusion_proof(index, size, self._node)

    def consistency_proof(self, old: int, new: int) -> list[bytes]:
        """Proof that the tree at `new` continues that at `old` (RFC 6962)."""
        self._within(new)
        return consistency_proof(old, new, self._node)

    def _within(self, size: int) -> None:
        if not 0 <= size <= self.size:
            raise NotFound("log.no-entry", f"the log has {self.size} entries", at="log")

    def matches_peaks(self) -> bool:
        """Whether the files hold what leads to the peaks."""
        return [self._node(level, index) for level, index in frontier_nodes(self.size)] == self.peaks
