"""One command at a time on the embedded country: founding, starting and stopping do not meet.

Held for as long as the command's own work lasts, not for as long as the country runs; the kernel gives it back when a
command is killed. It says nothing about the processes of the country, which have their own files under `run/`.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def alone(home: Path, tell: Callable[[str], None] = lambda _: None) -> Iterator[None]:
    """Have the home to oneself; `tell` hears when another command has to be waited for. Makes the folder."""
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(home, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell("another `qaztech up` or `qaztech down` works on this country; waiting for it")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def try_alone(home: Path) -> Iterator[bool]:
    """The same without waiting: False where another command has the home."""
    descriptor = os.open(home, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)
