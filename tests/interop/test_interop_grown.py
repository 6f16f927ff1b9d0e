"""docs/grown.py, which compares a served log with a checkpoint, against our own trees."""

import subprocess
import sys
from base64 import b64encode
from pathlib import Path

import pytest

from qaztech.evidence.merkle import Frontier, leaf_hash

GROWN = Path(__file__).resolve().parents[2] / "docs" / "grown.py"
ORIGIN = "kz.qaztech.example/log/0123456789abcdef0123"
ENTRIES = [f"entry {number}".encode() * (number % 5) for number in range(600)]


def checkpoint(size: int, origin: str = ORIGIN) -> str:
    frontier = Frontier()
    for entry in ENTRIES[:size]:
        frontier.append(leaf_hash(entry))
    return f"{origin}\n{size}\n{b64encode(frontier.root()).decode()}\n\n"


@pytest.fixture
def served(tmp_path: Path) -> Path:
    """A folder with all 600 entries in bundles of 256, as C2SP tlog-tiles lays them out."""
    bundles = tmp_path / "log" / "tile" / "entries"
    for name, first in (("000", 0), ("001", 256), ("002.p/88", 512)):
        path = bundles / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(len(entry).to_bytes(2, "big") + entry for entry in ENTRIES[first : first + 256]))
    (tmp_path / "log" / "checkpoint").write_text(checkpoint(600))
    return tmp_path / "log"


def grown(served: Path, kept: str) -> tuple[int, list[str]]:
    file = served.parent / "kept"
    file.write_text(kept)
    done = subprocess.run(
        [sys.executable, str(GROWN), served.as_uri(), str(file)], capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.stderr == ""
    return done.returncode, [line[:3] for line in done.stdout.splitlines()]


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 511, 512, 600])
def test_every_earlier_checkpoint_is_found_again(served: Path, size: int) -> None:
    """Also at the edges of bundles."""
    assert grown(served, checkpoint(size)) == (0, ["ok ", "ok "])


def test_a_root_that_was_never_there_is_bad(served: Path) -> None:
    """The kept line is bad; the newest holds."""
    assert grown(served, checkpoint(300).replace("300", "301", 1)) == (1, ["BAD", "ok "])


def test_another_log_and_a_log_that_was_set_back_are_bad(served: Path) -> None:
    """Whatever their roots."""
    assert grown(served, checkpoint(300, ORIGIN.replace("3", "4")))[0] == 1
    (served / "checkpoint").write_text(checkpoint(512))
    assert grown(served, checkpoint(600)) == (1, ["BAD", "ok "])


def test_an_entry_that_was_changed_is_bad(served: Path) -> None:
    """It makes both roots wrong."""
    bundle = served / "tile" / "entries" / "000"
    bundle.write_bytes(bundle.read_bytes().replace(b"entry 7", b"entry 8", 1))
    assert grown(served, checkpoint(300)) == (1, ["BAD", "BAD"])
