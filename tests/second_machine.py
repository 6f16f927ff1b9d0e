"""A second machine: a network of its own, joined to this one by a virtual cable; files are shared, ports are not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Self

import pytest


class SecondMachine:
    """A network namespace with an address of its own. `here` is this machine's address as seen from there."""

    def __init__(self, home: Path) -> None:
        ip = shutil.which("ip", path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin")
        if ip is None:
            pytest.skip("ip is not installed: it is in Debian's iproute2")
        self._ip = ip
        self.home = home
        number = os.getpid() % (64 * 250)
        self._cable = f"qz{number}"
        net = f"10.{64 + number // 250}.{number % 250}"
        self.here, self.there = f"{net}.1", f"{net}.2"
        self._holder: subprocess.Popen[str] | None = None
        self._running: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        command = ["unshare", "--net", "sh", "-c", "echo made && exec sleep infinity"]
        self._holder = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if self._holder.stdout is None or self._holder.stdout.readline() != "made\n":
            self._no_machine(self._holder.communicate()[1])
        try:
            self._wire(["link", "add", self._cable, "type", "veth", "peer", "name", "eth0", "netns", self._netns])
            self._wire(["addr", "add", f"{self.here}/30", "dev", self._cable])
            self._wire(["link", "set", self._cable, "up"])
            for command in (["addr", "add", f"{self.there}/30", "dev", "eth0"], ["link", "set", "eth0", "up"],
                            ["link", "set", "lo", "up"]):  # fmt: skip
                self._wire(command, there=True)
        except subprocess.CalledProcessError as exc:
            self.close()
            self._no_machine(exc.stderr.decode())
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _no_machine(self, why: str) -> None:
        pytest.skip(
            f"no second machine can be had here: {why.strip()}; try as root, or in `unshare --map-root-user --net`"
        )

    @property
    def _netns(self) -> str:
        assert self._holder is not None
        return str(self._holder.pid)

    def _wire(self, arguments: list[str], *, there: bool = False) -> None:
        inside = self._inside() if there else []
        subprocess.run([*inside, self._ip, *arguments], check=True, capture_output=True)

    def _inside(self) -> list[str]:
        return ["nsenter", f"--net=/proc/{self._netns}/ns/net"]

    def _environment(self, variables: dict[str, str]) -> dict[str, str]:
        path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"
        return {"PATH": path, "HOME": str(self.home), "LANG": "C.UTF-8", **variables}

    def type(self, script: str, **variables: str) -> str:
        """Run a script there; gives what it printed. Fails the test where it fails."""
        ran = subprocess.run(
            [*self._inside(), "bash", "-euo", "pipefail", "-c", script], cwd=self.home, capture_output=True, text=True,
            env=self._environment(variables), timeout=120, check=False,
        )  # fmt: skip
        if ran.returncode:
            pytest.fail(f"{script}\n{ran.stdout}{ran.stderr}")
        return ran.stdout

    def start(self, command: str, log: Path) -> subprocess.Popen[bytes]:
        """Leave something running there until the end, or until the test ends it."""
        with log.open("ab") as file:
            self._running.append(
                subprocess.Popen(
                    [*self._inside(), "bash", "-c", f"exec {command}"], cwd=self.home, env=self._environment({}),
                    stdin=subprocess.DEVNULL, stdout=file, stderr=file,
                )
            )  # fmt: skip
        return self._running[-1]

    def wrapped(self, program: str) -> Path:
        """A program of this machine that runs there, as a file to be started."""
        path = self.home / f"{Path(program).name}-there"
        path.write_text(f'#!/bin/sh\nexec {" ".join(self._inside())} {program} "$@"\n')
        path.chmod(0o700)
        return path

    def close(self) -> None:
        """End what runs there, and take the machine away."""
        for process in reversed(self._running):
            process.terminate()
        for process in self._running:
            try:
                process.wait(40)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running.clear()
        if self._holder is not None:
            self._holder.kill()
            self._holder.communicate()
