"""What a number was measured on: processor, memory, kernel, and the versions of everything that took part."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import ssl
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median

from bench.network import congestion_control
from bench.tools import tool

_PACKAGES = ("qaztech", "uvloop", "httptools", "msgspec", "pynacl", "cryptography")
_NOT_DURABLE = {"tmpfs", "ramfs"}
_SYNCS, _BLOCK = 200, 4096


def _said(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    return (done.stdout + done.stderr).strip()


def _first(path: str, pattern: str) -> str:
    found = re.search(pattern, Path(path).read_text(), re.MULTILINE)
    return found.group(1).strip() if found else "unknown"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


def _disk(folder: Path) -> str:
    """Where the logs lie, and what making 4 KiB of them durable takes."""
    mounts = [line.split()[1:3] for line in Path("/proc/self/mounts").read_text().splitlines()]
    here = str(folder.resolve())
    below = [(point, kind) for point, kind in mounts if f"{here}/".startswith(f"{point.rstrip('/')}/")]
    kind = max(below, key=lambda mount: len(mount[0]))[1]
    if kind in _NOT_DURABLE:
        return f"{kind}: nothing is durable here, so durable writes cost nothing; TMPDIR chooses another place"
    seconds = []
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(_SYNCS * _BLOCK))
        os.fsync(file.fileno())
        for number in range(_SYNCS):
            os.pwrite(file.fileno(), os.urandom(_BLOCK), number * _BLOCK)
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            seconds.append(time.perf_counter() - began)
    typical, slowest = median(seconds) * 1000, max(seconds) * 1000
    return f"{kind}, fdatasync of 4 KiB in {typical:.2f} ms (the slowest of {_SYNCS}: {slowest:.1f})"


def describe(folder: Path) -> dict[str, str]:
    """The machine, as a table of names and values; the logs will lie in `folder`."""
    mhz = _first("/proc/cpuinfo", r"^cpu MHz\s*: (.*)$")
    memory = int(_first("/proc/meminfo", r"^MemTotal:\s*(\d+)")) / 1024 / 1024
    flags = set(_first("/proc/cpuinfo", r"^flags\s*: (.*)$").split())
    virtual = ", virtual machine" if "hypervisor" in flags else ""
    nginx = _said([tool("nginx"), "-V"])
    running = re.search(r"running with OpenSSL (\S+)", nginx) or re.search(r"built with OpenSSL (\S+)", nginx)
    wrk = re.search(r"wrk (\S+)", _said([tool("wrk"), "-v"]))
    return {
        "processor": _first("/proc/cpuinfo", r"^model name\s*: (.*)$") + virtual,
        "cores for everything": f"{len(os.sched_getaffinity(0))} ({mhz} MHz)",
        "memory": f"{memory:.1f} GiB",
        "disk of the logs": _disk(folder),
        "kernel": f"{platform.release()}, TCP {congestion_control()}",
        "Python": f"{platform.python_version()}, {ssl.OPENSSL_VERSION}",
        "packages": ", ".join(f"{name} {_version(name)}" for name in _PACKAGES),
        "nginx": (re.search(r"nginx/(\S+)", nginx) or ["", "unknown"])[1]
        + (f", OpenSSL {running[1]}" if running else ""),
        "wrk": wrk[1] if wrk else "unknown",
        "load average before": " ".join(f"{value:.2f}" for value in os.getloadavg()),
    }
