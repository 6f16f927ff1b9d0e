"""Python environments for programs that tests run and the project itself does not need: each from a lock of its own."""

from __future__ import annotations

import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest


def locked_python(cache: pytest.Cache | None, name: str, lock: Path) -> Path:
    """The Python of an environment with what the lock pins, kept from run to run until the lock changes.

    Skips where the packages cannot be installed.
    """
    assert cache is not None
    place = cache.mkdir(name) / sha256(lock.read_bytes()).hexdigest()[:16]
    python, ready = place / "bin" / "python", place / "ready"
    if not ready.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", place], check=True, timeout=120)
        install = [python, "-m", "pip", "--disable-pip-version-check", "install", "-q", "--require-hashes",
                   "--only-binary", ":all:", "-r", lock]  # fmt: skip
        done = subprocess.run(install, capture_output=True, text=True, timeout=300)
        if done.returncode:
            pytest.skip(f"the packages of {lock.name} cannot be installed here: {done.stderr[-300:]}")
        ready.touch()
    return python
