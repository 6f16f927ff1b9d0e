"""Releases that are kept stay what they were, and what they have done to a database is not done anew in another way."""

from __future__ import annotations

import hashlib
import re
import tomllib
import zipfile
from pathlib import Path

from releases import KEPT, kept, version_of

SCRIPTS = re.compile(r"qaztech/runtime/migrations/\w+/r\d{4}_\w+\.py")


def test_every_release_that_is_kept_is_what_its_hash_says(root: Path) -> None:
    """Each wheel has its line, each line its wheel, and the tree is not older than the newest."""
    lines = [line.split() for line in (KEPT / "SHA256SUMS").read_text(encoding="utf-8").splitlines()]
    there = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in KEPT.glob("*.whl")}
    assert {name: digest for digest, name in lines} == there
    version = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    newest = [int(n) for n in version_of(kept().name).split(".")]
    assert [int(n) for n in version.partition(".dev")[0].split(".")] >= newest
    assert version == version_of(kept().name) or ".dev" in version


def test_a_script_that_was_released_is_never_changed(root: Path) -> None:
    """Databases have gone through it: a further change is a further script (`scripts/new_migration.py`)."""
    with zipfile.ZipFile(kept()) as wheel:
        released = {name: wheel.read(name) for name in wheel.namelist() if SCRIPTS.fullmatch(name)}
    assert released
    changed = [name for name, was in released.items() if (root / "src" / name).read_bytes() != was]
    assert changed == []
