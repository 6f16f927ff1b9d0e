"""The log as C2SP tlog-tiles: paths in their one spelling, and what stands under them."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from log_support import Desk

from qaztech.core.errors import Malformed, NotFound
from qaztech.evidence.log import Log
from qaztech.evidence.merkle import leaf_hash, node_hash
from qaztech.evidence.tiles import TilePath, parse_tile_path, serve

TILES = st.builds(TilePath, st.one_of(st.none(), st.integers(0, 63)), st.integers(0, 2**55), st.integers(1, 256))


@pytest.fixture(scope="module")
def log() -> Log:
    """A log of 700 entries: two full tiles and a partial one."""
    desk = Desk()
    log = desk.create()
    for _ in range(7):
        log.commit(desk.entries(100))
    return log


@pytest.mark.parametrize(
    ("path", "tile"),
    [
        ("tile/0/000", TilePath(0, 0, 256)),
        ("tile/0/x001/x234/067", TilePath(0, 1234067, 256)),
        ("tile/1/001.p/7", TilePath(1, 1, 7)),
        ("tile/63/999", TilePath(63, 999, 256)),
        ("tile/entries/x001/000.p/255", TilePath(None, 1000, 255)),
    ],
)
def test_paths_of_the_specification(path: str, tile: TilePath) -> None:
    """Levels, indexes in groups of three digits, widths of partial tiles."""
    assert parse_tile_path(path) == tile
    assert str(tile) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile",
        "tile/0/0",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/0/1000",
        "tile/0/x000/001",
        "tile/0/001/x000",
        "tile/0/x001",
        "tile/0/000/",
        "/tile/0/000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/",
        "tile/0/000.p/1/2",
        "tile/0/٠٠٠",
        "tile/entries/000\n",
        "tile/0/" + "x001/" * 20 + "000",
        "tile/0/x999/x999/x999/x999/x999/x999/999",
        "../log",
    ],
)
def test_no_other_spelling_is_a_path(path: str, log: Log) -> None:
    """What the specification would not write is malformed, and nothing stands there."""
    with pytest.raises(Malformed):
        parse_tile_path(path)
    assert serve(log, path, entries=True) is None


@given(TILES)
def test_paths_round_trip(tile: TilePath) -> None:
    """Every tile has one path, which leads back to it."""
    assert parse_tile_path(str(tile)) == tile


@given(st.text(alphabet="tile/entrisx0123456789.p", max_size=30).map(lambda text: "tile/" + text))
def test_only_malformed_escapes_the_parser(path: str) -> None:
    """Whatever the path, it is a tile in its own spelling or malformed."""
    with suppress(Malformed):
        assert str(parse_tile_path(path)) == path


def test_hash_tiles_are_served(log: Log) -> None:
    """Full and partial tiles at both levels hold the hashes of RFC 6962."""
    leaves = log.leaf_hashes(0, 700)
    kind, data = serve(log, "tile/0/001") or ("", b"")
    assert kind == "application/octet-stream"
    assert data == b"".join(leaves[256:512])
    assert serve(log, "tile/0/002.p/188") == (kind, b"".join(leaves[512:]))
    row = leaves[:256]
    while len(row) > 1:
        row = [node_hash(row[i], row[i + 1]) for i in range(0, len(row), 2)]
    (_, level_one) = serve(log, "tile/1/000.p/2") or ("", b"")
    assert level_one[:32] == row[0]
    assert serve(log, "tile/0/001.p/3") == (kind, b"".join(leaves[256:259])), "a partial tile outlives the full one"


def test_what_is_not_covered_is_not_served(log: Log) -> None:
    """Nothing stands beyond the newest signed head."""
    for path in ("tile/0/002", "tile/0/002.p/189", "tile/0/003.p/1", "tile/1/000.p/3", "tile/2/000.p/1", "tile/9/000"):
        assert serve(log, path) is None
    for call in (lambda: log.tile(0, 2, 189), lambda: log.tile(5, 0, 1), lambda: log.tile(0, -1, 1)):
        with pytest.raises(NotFound):
            call()
    with pytest.raises(NotFound):
        log.entry_bundle(2, 189)


def test_the_checkpoint_is_served(log: Log) -> None:
    """The checkpoint is the newest signed head, as text."""
    assert serve(log, "checkpoint") == ("text/plain; charset=utf-8", log.head.note)


def test_entries_are_served_only_where_allowed(log: Log) -> None:
    """Bundles hold length-prefixed entries whose hashes are those of the tile; by default none are given out."""
    assert serve(log, "tile/entries/000") is None
    assert serve(log, "tile/entries/002", entries=True) is None
    _, bundle = serve(log, "tile/entries/002.p/188", entries=True) or ("", b"")
    found = []
    while bundle:
        size = int.from_bytes(bundle[:2])
        found.append(leaf_hash(bundle[2 : 2 + size]))
        bundle = bundle[2 + size :]
    assert found == log.leaf_hashes(512, 700)
