"""The network all of it runs in: loopback in a namespace of its own, with CUBIC.

A machine's own choice may be BBR, which paces each connection by a bandwidth it has to guess anew after every pause
and, every ten seconds, lets almost nothing through to measure the delay. On loopback that measures BBR: a pair of
nginx then loses a tenth to a third at 128 connections against 32. CUBIC is Linux's own default; the machine keeps its
settings.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

CONGESTION_CONTROL = "cubic"
_SETTING = Path("/proc/sys/net/ipv4/tcp_congestion_control")
_OWN = ["unshare", "--map-root-user", "--net"]
_INSIDE = "QAZTECH_BENCH_NETWORK"
_SIOCSIFFLAGS = 0x8914
_UP_AND_RUNNING = 0x41


def enter(arguments: Sequence[str]) -> None:
    """Start this program again in a network of its own, where the kernel allows that; else go on in the machine's."""
    if os.environ.pop(_INSIDE, None):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh", b"lo", _UP_AND_RUNNING))
        _SETTING.write_text(CONGESTION_CONTROL)
        return
    try:
        subprocess.run([*_OWN, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return
    os.environ[_INSIDE] = "1"
    os.execvp(_OWN[0], [*_OWN, sys.executable, "-m", "bench", *arguments])


def congestion_control() -> str:
    """What TCP uses here."""
    return _SETTING.read_text().strip()
