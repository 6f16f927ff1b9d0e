"""Processes that outlive who started them: each with its log and its process id in one folder (`run/` of a country).

A process is known by its id and the moment it started, so that no other that has the id later is taken for it. Needs
the standard library only: whoever keeps processes going is small itself.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

STOP_GRACE = 30.0
# Bytes of a log from which on it is put aside, and how many are kept aside.
LOG_LIMIT = 4 << 20
LOGS_KEPT = 3


def spawn(
    run: Path, name: str, command: Sequence[str], *, cwd: Path, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own; what it says goes to `NAME.log`, its id to `NAME.pid`."""
    rotate(run / f"{name}.log")
    with (run / f"{name}.log").open("ab") as log:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log,
            start_new_session=True, env=environment, cwd=cwd,
        )  # fmt: skip
    (run / f"{name}.pid").write_text(f"{child.pid}\n{started(child.pid)}\n")
    return child


def pid_of(run: Path, name: str) -> int | None:
    """The process id, if that process still runs (and is the one that was started)."""
    try:
        pid, since = (run / f"{name}.pid").read_text().split()
    except (FileNotFoundError, ValueError):
        return None
    return int(pid) if started(int(pid)) == since else None


def was_left(run: Path, name: str) -> bool:
    """Whether a process ended by itself: who was told to stop leaves no file."""
    return (run / f"{name}.pid").exists() and pid_of(run, name) is None


def end(run: Path, name: str) -> None:
    """End a process if it runs, and wait until it is gone."""
    deadline = time.monotonic() + STOP_GRACE
    number = signal.SIGTERM
    while (pid := pid_of(run, name)) is not None:
        if number == signal.SIGTERM or time.monotonic() > deadline:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
            number = signal.SIGKILL
        time.sleep(0.02)


def started(pid: int) -> str:
    """When a process started (clock ticks since boot): with the id it names one process for good; empty if gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if fields[0] == "Z" else fields[19]


def rotate(path: Path, limit: int = LOG_LIMIT, kept: int = LOGS_KEPT) -> bool:
    """Put a log aside once it is longer than `limit` bytes: `NAME.log.1` is the newest of `kept`; says whether.

    The file is copied and emptied, for its process has it open and goes on appending. A line that is written in the
    moment between may be lost. Where there is no room for a copy the log is emptied without.
    """
    try:
        if path.stat().st_size <= limit:
            return False
    except FileNotFoundError:
        return False
    aside = [path.with_name(f"{path.name}.{number}") for number in range(1, kept + 1)]
    aside[-1].unlink(missing_ok=True)
    for older, newer in zip(reversed(aside), reversed(aside[:-1]), strict=False):
        with contextlib.suppress(FileNotFoundError):
            newer.rename(older)
    with path.open("r+b") as file:
        try:
            # What comes at the end of a long log is what somebody looks for.
            file.seek(max(0, path.stat().st_size - 2 * limit))
            with aside[0].open("wb") as copy:
                shutil.copyfileobj(file, copy)
        except OSError:
            aside[0].unlink(missing_ok=True)
        file.truncate(0)
    return True


def last_line(path: Path, most: int) -> str:
    """What a process said last, so many characters of it; also where its log was put aside just now."""
    for each in (path, path.with_name(f"{path.name}.1")):
        with contextlib.suppress(FileNotFoundError), each.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - 4096))
            lines = file.read().decode(errors="replace").splitlines()
            if lines:
                return lines[-1][:most]
    return "nothing"
