"""What the kernel says of processes: CPU spent, memory held, who belongs to whom (`proc(5)`).

Reading only. CPU is that of a process, all its threads and the children it has waited for; the kernel scales user and
system time so that their sum is exact, and reports it in ticks of 10 ms.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

_PROC = Path("/proc")
_TICK = os.sysconf("SC_CLK_TCK")
_KIB = 1024


def _stat(pid: int) -> list[str] | None:
    """The fields of `/proc/PID/stat` after the command's name (index 0 is field 3, the state)."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text[text.rindex(")") + 2 :].split()


def _field(pid: int, file: str, name: str) -> int:
    """A value in KiB out of a `name: value kB` file, as bytes; 0 for a process that is gone."""
    try:
        lines = (_PROC / str(pid) / file).read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    for line in lines:
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * _KIB
    return 0


def _all() -> list[int]:
    return [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit()]


def tree(roots: Iterable[int]) -> list[int]:
    """The processes `roots` and everything below them."""
    children: dict[int, list[int]] = {}
    for pid in _all():
        if fields := _stat(pid):
            children.setdefault(int(fields[1]), []).append(pid)
    found: list[int] = []
    waiting = list(roots)
    while waiting:
        pid = waiting.pop()
        if pid not in found and (_PROC / str(pid)).exists():
            found.append(pid)
            waiting.extend(children.get(pid, ()))
    return sorted(found)


def cpu(pids: Iterable[int]) -> float:
    """CPU seconds these processes have spent, user and system, with the children they waited for."""
    ticks = 0
    for pid in pids:
        if fields := _stat(pid):
            ticks += sum(int(value) for value in fields[11:15])
    return ticks / _TICK


def machine_cpu() -> float:
    """CPU seconds all cores have spent on anything since the machine began, the hypervisor's share included."""
    fields = [int(value) for value in (_PROC / "stat").read_text().splitlines()[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / _TICK  # all but idle and waiting for a disk


def rss(pid: int) -> int:
    """Resident memory now, in bytes."""
    return _field(pid, "status", "VmRSS")


def peak_rss(pid: int) -> int:
    """The most resident memory since the process began or `forget_peak` was called, in bytes."""
    return _field(pid, "status", "VmHWM")


def forget_peak(pids: Iterable[int]) -> None:
    """Start `peak_rss` afresh for these processes, where the kernel lets us."""
    for pid in pids:
        try:
            (_PROC / str(pid) / "clear_refs").write_text("5")
        except OSError:
            continue


def pss(pids: Iterable[int]) -> int:
    """Memory of these processes together, shared pages counted once (proportional set size), in bytes."""
    return sum(_field(pid, "smaps_rollup", "Pss") for pid in pids)
