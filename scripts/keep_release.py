"""Keep the release that the last commit is: build its wheel, and put it where the next release is tried against it.

    python scripts/keep_release.py

Only what is committed gets in. The wheel goes to tests/data/releases, its hash to SHA256SUMS there. A release that is
kept already is never changed. How a release is cut: docs/howto/release.md.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile
import tempfile
from pathlib import Path

import bundle

KEPT = bundle.ROOT / "tests" / "data" / "releases"


def main() -> int:
    """Build and keep; gives the exit status."""
    with tempfile.TemporaryDirectory() as temporary:
        tree, built = Path(temporary) / "tree", Path(temporary) / "built"
        committed(tree)
        wheel = bundle.build_own_wheel(built, tree)
        kept = KEPT / wheel.name
        if ".dev" in wheel.name or kept.exists():
            print(f"{wheel.name} is {'no release' if '.dev' in wheel.name else 'kept already'}: nothing was done")
            return 1
        KEPT.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(wheel.read_bytes())
    with (KEPT / "SHA256SUMS").open("a", encoding="utf-8") as sums:
        sums.write(f"{hashlib.sha256(kept.read_bytes()).hexdigest()}  {kept.name}\n")
    print(kept)
    return 0


def committed(to: Path) -> None:
    """What the last commit has of the sources."""
    packed = subprocess.run(
        ["git", "archive", "HEAD", *bundle.SOURCES], cwd=bundle.ROOT, capture_output=True, check=True
    )
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(to, filter="data")


if __name__ == "__main__":
    raise SystemExit(main())
