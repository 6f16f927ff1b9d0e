"""Keeps the processes of the embedded country going: who dies, or halts, is started again; logs stay bounded.

    python -m qaztech.testing.keeper HOME

`qaztech up` starts it, `qaztech down` ends it first. It is small and decides little: a process is started again after
a pause that doubles, and is given up after some tries; a log that contradicts what was signed is left alone, for no new
start mends that; with a full disk nothing is tried. What was done stands in `run/keeper.json`, for `qaztech status`.
Real instances have systemd for this (`deploy/systemd`).
"""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from qaztech.core.errors import FINAL_STATUS
from qaztech.core.time import SystemClock
from qaztech.testing import spawning
from qaztech.testing.alone import try_alone

NAME = "keeper"
PLAN = "plan.json"
KEPT = "keeper.json"

LOOK_EVERY = 1.0
ASK_EVERY = 5.0
# Seconds before a process is started again: the first time, and at most.
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
# So often in vain, and no more; who has lived so many seconds begins anew.
TRIES = 8
WELL_AFTER = 300.0
# Bytes that must be free before anything is started again: a node needs 16 MiB to go on, and room for what comes.
ROOM = 32 << 20
_ANSWER = 4 << 20

State = Literal["kept", "waiting", "no-room", "given-up", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One process to keep: how it is started, and where a node says whether its log has halted."""

    name: str
    command: list[str]
    status: str = ""


@dataclass(slots=True, kw_only=True)
class Record:
    """What was done for one process: how often it was started again, when last (ms since 1970), why, and what is."""

    restarts: int = 0
    last: int = 0
    why: str = ""
    state: State = "kept"
    tries: int = field(default=0)


def write_plan(run: Path, processes: list[Kept]) -> None:
    """Say what is to be kept; a keeper that runs takes it up."""
    _write(run / PLAN, [asdict(process) for process in processes])


def read_records(run: Path) -> dict[str, dict[str, Any]]:
    """What the keeper has done, by the process's name."""
    try:
        found: dict[str, dict[str, Any]] = json.loads((run / KEPT).read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return found


def command(home: Path) -> list[str]:
    """How it is started."""
    return [sys.executable, "-m", "qaztech.testing.keeper", str(home)]


class Keeper:
    """The work, look by look."""

    def __init__(self, home: Path, *, now: Callable[[], float] = time.monotonic) -> None:
        self._home = home
        self._run = home / "run"
        self._now = now
        self._plan: list[Kept] = []
        self._plan_time = 0
        self._records: dict[str, Record] = {}
        self._told = ""
        # Whom we started: only of our own children we hear how they ended.
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        # When a process may be tried again, and since when it lives, in seconds of `now`.
        self._due: dict[str, float] = {}
        self._since: dict[str, float] = {}
        self._asked = now()
        # Which nodes said when last asked that their logs have halted, why, and whether for good.
        self._halted: dict[str, tuple[str, bool]] = {}

    def look(self) -> None:
        """Look at every process once, and do what is to be done."""
        self._take_up_plan()
        ask = self._now() - self._asked >= ASK_EVERY
        if ask:
            self._asked = self._now()
        for process in self._plan:
            self._look_at(process, ask=ask)
        for path in self._run.glob("*.log"):
            spawning.rotate(path)
        self._tell()

    def reap(self) -> None:
        """Wait for those that it has started and that have been ended."""
        for child in self._children.values():
            child.wait()

    def _look_at(self, process: Kept, *, ask: bool) -> None:
        name, record = process.name, self._records[process.name]
        found = self._wrong(process, ask=ask)
        if found is None:
            self._lives(name, record)
            return
        why, final = found
        self._since.pop(name, None)
        if final:
            record.state, record.why = "refused", why
        elif record.state not in {"given-up", "refused"}:
            self._mend(process, record, why)

    def _wrong(self, process: Kept, *, ask: bool) -> tuple[str, bool] | None:
        """Why a process must be started again, and whether that would mend nothing; None where it is well."""
        name = process.name
        if spawning.was_left(self._run, name):
            child = self._children.get(name)
            status = child.poll() if child is not None else None
            return (
                f"it ended, and had said last: {spawning.last_line(self._run / f'{name}.log', 200)}",
                status == FINAL_STATUS,
            )
        if spawning.pid_of(self._run, name) is None:
            return None
        if ask and process.status:
            halted = _halted(process.status)
            if halted is None:
                self._halted.pop(name, None)
            else:
                self._halted[name] = halted
        return self._halted.get(name)

    def _lives(self, name: str, record: Record) -> None:
        pid, now = spawning.pid_of(self._run, name), self._now()
        ours = name in self._children and self._children[name].pid == pid
        if pid is None or not ours or now - self._since.setdefault(name, now) >= WELL_AFTER:
            # It was told to stop, somebody else has started it, or it is well again.
            record.tries, record.state = 0, "kept"
            self._due.pop(name, None)

    def _mend(self, process: Kept, record: Record, why: str) -> None:
        name, now = process.name, self._now()
        if record.tries >= TRIES:
            record.state, record.why = "given-up", why
            return
        due = self._due.setdefault(name, now + min(FIRST_PAUSE * 2**record.tries, LONGEST_PAUSE))
        if now < due:
            record.state, record.why = "waiting", why
            return
        if shutil.disk_usage(self._home).free < ROOM:
            record.state, record.why = "no-room", why
            return
        with try_alone(self._home) as ours:
            if not ours or not (self._run / f"{name}.pid").exists():
                return  # `qaztech up` or `down` is at work
            spawning.end(self._run, name)
            if (child := self._children.pop(name, None)) is not None:
                child.wait()
            record.last = SystemClock().now()
            with (self._run / f"{name}.log").open("a") as log:
                log.write(f'{{"time": {record.last}, "level": "warning", "event": "started again"}}\n')
            self._children[name] = spawning.spawn(self._run, name, process.command, cwd=self._home)
        self._halted.pop(name, None)
        del self._due[name]
        record.restarts += 1
        record.tries += 1
        record.why, record.state = why, "kept"

    def _take_up_plan(self) -> None:
        path = self._run / PLAN
        changed = path.stat().st_mtime_ns
        if changed != self._plan_time:
            self._plan = [Kept(**process) for process in json.loads(path.read_text())]
            self._plan_time = changed
            self._records = {process.name: self._records.get(process.name, Record()) for process in self._plan}

    def _tell(self) -> None:
        records = {name: asdict(record) for name, record in self._records.items()}
        text = json.dumps(records)
        if text != self._told:
            with contextlib.suppress(OSError):
                _write(self._run / KEPT, records)
                self._told = text


def _halted(url: str) -> tuple[str, bool] | None:
    """Why a node's log has halted, and whether for good; None where it has not, or nobody answers."""
    try:
        log = json.loads(_get(url))["log"]
        return (f"its log is halted: {log['halted']}", bool(log["halted_for_good"])) if log["halted"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _get(url: str) -> bytes:
    """The body at a URL of this machine. `http.client` would double what a keeper takes."""
    host, _, path = url.removeprefix("http://").partition("/")
    name, _, port = host.partition(":")
    with socket.create_connection((name, int(port)), timeout=2.0) as sock:
        sock.sendall(f"GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while len(answer) < _ANSWER and (more := sock.recv(1 << 16)):
            answer += more
    return answer.partition(b"\r\n\r\n")[2]


def _write(path: Path, value: object) -> None:
    aside = path.with_name(f".{path.name}.new")
    aside.write_text(json.dumps(value, ensure_ascii=False, indent=1))
    aside.replace(path)


def main(arguments: list[str]) -> None:
    """Keep the country of a home until told to end."""
    ended: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: ended.append(number))
    keeper = Keeper(Path(arguments[0]))
    while not ended:
        try:
            keeper.look()
        except OSError as exc:  # a full disk, say: the next look may find it mended
            sys.stderr.write(f"keeper: {exc}\n")
        time.sleep(LOOK_EVERY)


if __name__ == "__main__":
    main(sys.argv[1:])
