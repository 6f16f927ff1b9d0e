"""A log as the static resources of C2SP tlog-tiles: paths to and from what they name, and what stands under them.

Only what the newest signed head covers is served. Entries are for the parties and for auditors: whoever mounts this
says whether bundles are given out. Not here: HTTP.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple, Protocol

from qaztech.core.errors import Malformed
from qaztech.evidence.tree import TILE_HEIGHT, TILE_WIDTH
from qaztech.evidence.view import Head

CHECKPOINT: Final = "checkpoint"
_TEXT: Final = "text/plain; charset=utf-8"
_BINARY: Final = "application/octet-stream"
_TILE: Final = re.compile(
    r"tile/(?P<level>entries|0|[1-9][0-9]?)/(?P<index>(?:x[0-9]{3}/)*[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?\Z",
    re.ASCII,
)
_MAX_LEVEL: Final = 63
_MAX_INDEX: Final = 2**55
_MAX_PATH: Final = 100


class TilePath(NamedTuple):
    """What a path names: a tile of hashes, or with level None an entry bundle."""

    level: int | None
    number: int
    width: int

    def __str__(self) -> str:
        digits = str(self.number)
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
        number = "/".join([*("x" + group for group in groups[:-1]), groups[-1]])
        partial = "" if self.width == TILE_WIDTH else f".p/{self.width}"
        return f"tile/{'entries' if self.level is None else self.level}/{number}{partial}"


def parse_tile_path(path: str) -> TilePath:
    """The tile or bundle of a path without its leading slash; raises `Malformed` for any other spelling."""
    match = _TILE.match(path) if len(path) <= _MAX_PATH else None
    if match is None:
        raise Malformed("tile.malformed", "not the path of a tile", at="log")
    level = None if match["level"] == "entries" else int(match["level"])
    tile = TilePath(level, int(match["index"].replace("x", "").replace("/", "")), int(match["width"] or TILE_WIDTH))
    # The last test refuses needless leading groups and a full width written as partial.
    if (level or 0) > _MAX_LEVEL or tile.number > _MAX_INDEX or tile.width > TILE_WIDTH or str(tile) != path:
        raise Malformed("tile.malformed", "not the path of a tile", at="log")
    return tile


class TiledLog(Protocol):
    """What serving needs of a log."""

    @property
    def head(self) -> Head:
        """The newest signed head."""
        ...

    def tile(self, level: int, index: int, width: int) -> bytes:
        """Hashes of a tile."""
        ...

    def entry_bundle(self, index: int, width: int) -> bytes:
        """Entries of a bundle."""
        ...


def serve(log: TiledLog, path: str, *, entries: bool = False) -> tuple[str, bytes] | None:
    """Content type and bytes of what stands under a path (no leading slash); None where there is nothing.

    `entries` says whether entry bundles are given out.
    """
    head = log.head
    if path == CHECKPOINT:
        return (_TEXT, head.note) if head.note else None
    try:
        tile = parse_tile_path(path)
    except Malformed:
        return None
    stop = tile.number * TILE_WIDTH + tile.width
    if stop > head.size >> TILE_HEIGHT * (tile.level or 0) or (tile.level is None and not entries):
        return None
    if tile.level is None:
        return _BINARY, log.entry_bundle(tile.number, tile.width)
    return _BINARY, log.tile(tile.level, tile.number, tile.width)
