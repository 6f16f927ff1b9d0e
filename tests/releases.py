"""The release before and the one after, as folders that a process is run from.

Before: the newest wheel that is kept (docs/howto/release.md). After: the tree as it is, with one more change of the
registry's tables, so that the way back is always the hard one: a database that the older release refuses.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from qaztech.runtime.migration import FOLDER, revisions
from qaztech.runtime.settings import child_environment

KEPT = Path(__file__).parent / "data" / "releases"
AFTER = "99.0.0"
SCRIPT = '''"""What the release after changes, whatever that will be."""

import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{last}"


def upgrade() -> None:
    """Change the tables."""
    op.create_table("release_after", sa.Column("id", sa.Integer(), primary_key=True))
'''


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One release: what it calls itself, and the folder its package lies in."""

    version: str
    folder: Path

    @contextmanager
    def used(self) -> Iterator[None]:
        """Inside this block whatever is started runs from here."""
        before = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = str(self.folder)
        try:
            yield
        finally:
            os.environ.pop("PYTHONPATH")
            if before is not None:
                os.environ["PYTHONPATH"] = before

    def run(self, *arguments: object, program: Sequence[str] = ("-m", "qaztech.cli.main")) -> str:
        """Run its command (or another program); what it printed. Raises `AssertionError` with what it complained of."""
        done = self.tried(*arguments, program=program)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def tried(
        self, *arguments: object, program: Sequence[str] = ("-m", "qaztech.cli.main")
    ) -> subprocess.CompletedProcess[str]:
        """Run its command, whatever becomes of it."""
        with self.used():
            return subprocess.run(
                [sys.executable, *program, *map(str, arguments)], capture_output=True, text=True, timeout=60,
                env=child_environment(),
            )  # fmt: skip


def kept() -> Path:
    """The newest wheel that is kept, which is what its hash says."""
    sums = [line.split() for line in (KEPT / "SHA256SUMS").read_text(encoding="utf-8").splitlines()]
    digest, name = max(sums, key=lambda line: [int(n) for n in version_of(line[1]).split(".")])
    assert hashlib.sha256((KEPT / name).read_bytes()).hexdigest() == digest, f"{name} is not what was kept"
    return KEPT / name


def version_of(wheel: str) -> str:
    """The version in a wheel's name."""
    return re.fullmatch(r"qaztech-([0-9.]+)-py3-none-any\.whl", wheel)[1]  # type: ignore[index]


def release_before(folder: Path) -> Release:
    """Unpack the release before."""
    wheel = kept()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return Release(version=version_of(wheel.name), folder=folder)


def release_after(folder: Path) -> Release:
    """The tree as it is, and one change more."""
    shutil.copytree(FOLDER.parents[1], folder / "qaztech")
    scripts = folder / "qaztech" / "runtime" / "migrations" / "registry"
    (scripts / "r9999_what_comes_after.py").write_text(SCRIPT.format(last=revisions(FOLDER / "registry")[-1]))
    named = folder / f"qaztech-{AFTER}.dist-info"
    named.mkdir()
    (named / "METADATA").write_text(f"Metadata-Version: 2.4\nName: qaztech\nVersion: {AFTER}\n")
    return Release(version=AFTER, folder=folder)
