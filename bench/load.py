"""One run of the client, `wrk`, and what it reports. The same program with the same script drives both sides."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.tools import Unusable, tool

_SCRIPT = Path(__file__).with_name("wrk.lua")
_MARK = "RESULT "


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where the client posts its 1 KiB (or `body`, which is JSON), and with which headers."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What one run of the client saw. Times in seconds, latencies in microseconds, errors by kind."""

    exchanges: int
    seconds: float
    bytes: int
    p50: int
    p95: int
    p99: int
    errors: Mapping[str, int]
    cpu: float  # of the client itself

    @property
    def failed(self) -> int:
        """How many exchanges went wrong, in whatever way."""
        return sum(self.errors.values())


def parse(output: str, cpu: float) -> Load:
    """Read the line that `wrk.lua` prints."""
    for line in output.splitlines():
        if line.startswith(_MARK):
            values = json.loads(line.removeprefix(_MARK))
            return Load(
                exchanges=values["exchanges"],
                seconds=values["microseconds"] / 1e6,
                bytes=values["bytes"],
                p50=values["p50"],
                p95=values["p95"],
                p99=values["p99"],
                errors={kind: values[kind] for kind in ("connect", "read", "write", "status", "timeout")},
                cpu=cpu,
            )
    raise Unusable(f"wrk reported nothing:\n{output}")


def drive(target: Target, *, connections: int, seconds: int) -> Load:
    """Post to `target` over `connections` connections for `seconds`, as fast as it answers."""
    command = [tool("wrk"), "--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s"]
    command += ["--timeout", "10s", "--latency", "--script", str(_SCRIPT)]
    for name, value in target.headers.items():
        command += ["--header", f"{name}: {value}"]
    command.append(target.url)
    if target.body is not None:
        command += ["--", str(target.body)]
    before = os.times()
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, check=False)
    after = os.times()
    if done.returncode != 0:
        raise Unusable(f"wrk failed ({done.returncode}): {done.stderr or done.stdout}")
    cpu = (after.children_user - before.children_user) + (after.children_system - before.children_system)
    return parse(done.stdout, cpu)
