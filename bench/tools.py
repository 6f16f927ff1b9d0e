"""The programs of others that the benchmark runs: finding them, starting them, ending them."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path


class Unusable(Exception):
    """The benchmark cannot be run here; the message says what to do."""


def tool(name: str) -> str:
    """The path of a program, or the advice to install it."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if path is None:
        raise Unusable(f"`{name}` is not installed; packages.txt lists what the benchmark needs")
    return path


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface that nobody listens on now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def free_block(count: int) -> int:
    """The first of `count` ports in a row that nobody listens on now."""
    for base in range(20_000, 30_000, count):
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            for port in range(base, base + count):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return base
    raise Unusable(f"no {count} free ports in a row from 20000 on")


def wait_for_port(port: int, process: subprocess.Popen[bytes], *, log: Path, seconds: float = 10) -> None:
    """Return when something listens on `port`; fail with the program's own log if it ends or never does."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    said = log.read_text() if log.exists() else ""
    raise Unusable(f"{process.args!r} does not listen on port {port}: {said}")


@contextlib.contextmanager
def running(command: Sequence[str], *, log: Path, cwd: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A program for the length of the block; it gets SIGTERM, then SIGKILL."""
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=cwd)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
