"""The screenshots in the docs: those that the script makes, all shown, none heavy."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

MOST_BYTES = 200 * 1024


@pytest.fixture
def folder(root: Path) -> Path:
    """Where they are."""
    return root / "docs" / "screenshots"


def test_the_page_shows_what_the_script_makes(root: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture that is made no more is gone, and none is missing."""
    monkeypatch.syspath_prepend(root / "scripts")
    import screenshots

    shots = screenshots._shots()
    assert (folder / "README.md").read_text(encoding="utf-8") == screenshots.index(shots)
    assert sorted(path.stem for path in folder.glob("*.png")) == sorted(shot.name for shot in shots)
    for name in ("screenshots", "screenshot_centre", "screenshot_scene", "small_png"):
        sys.modules.pop(name)


def test_no_picture_is_heavy(folder: Path) -> None:
    """Whoever reads the page on a phone pays for it."""
    assert [path.name for path in folder.glob("*.png") if path.stat().st_size > MOST_BYTES] == []
