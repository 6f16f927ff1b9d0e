"""A node whose disk is full, or fails: nothing leaves that is not on record, and it says so until it is repaired.

The full disk is a small one of its own, mounted where the log lies, in a mount namespace that only the node is in. A
disk that fails is had by a limit on the node's process under which every write to a file is an error.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from breakable_country import NODES, BreakableCountry, breakable_country
from qaztech.core.errors import Unavailable
from qaztech.runtime.settings import child_environment
from qaztech.testing import processes, spawning
from qaztech.testing.instance import Answer

SIZE = "4m"
SEGMENT = 64 * 1024
ANSWER_TIMEOUT = 2.5
LOGGING_FAILED = "server.clientproxy.logging_failed"
NETWORK_ERROR = "server.clientproxy.network_error"
AS_ROOT = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]


@pytest.fixture(scope="module")
def country(tmp_path_factory, echo):
    """A country of these tests' own."""
    home = tmp_path_factory.mktemp("disk") / "home"
    with breakable_country(home, echo, answer_timeout=ANSWER_TIMEOUT, segment_size=SEGMENT) as country:
        yield country


class SmallDisk:
    """A disk of its own for the log of one node, which a test fills."""

    def __init__(self, country: BreakableCountry, node: str) -> None:
        self._country = country
        self.node = node
        self._folder = country.log_folder(node)
        script = 'mount -t tmpfs -o size="$1" disk "$2" && echo mounted && exec sleep infinity'
        self._holder = subprocess.Popen(
            ["unshare", "--mount", *AS_ROOT, "sh", "-c", script, "sh", SIZE, str(self._folder)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        if self._holder.stdout.readline() != "mounted\n":
            pytest.skip(f"no disk can be mounted in a namespace here: {self._holder.communicate()[1].strip()}")
        # The node's disk, seen from outside.
        self.root = Path(f"/proc/{self._holder.pid}/root{self._folder}")
        shutil.copytree(self._folder, self.root, dirs_exist_ok=True)

    def inside(self, command: list[str]) -> list[str]:
        """A command that sees this disk."""
        user = ["--user", "--preserve-credentials"] if AS_ROOT else []
        return ["nsenter", "--target", str(self._holder.pid), "--mount", *user, *command]

    def begin(self) -> None:
        """Start the node on this disk."""
        home, name = self._country.home, f"node-{self.node}"
        (process,) = (p for p in processes.plan(home) if p.name == name)
        with (home / "run" / f"{name}.log").open("ab") as log:
            child = subprocess.Popen(
                self.inside(process.command), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, env=child_environment(), cwd=home,
            )  # fmt: skip
        (home / "run" / f"{name}.pid").write_text(f"{child.pid}\n{spawning.started(child.pid)}\n")
        child.returncode = 0  # known by its id from here on, as the country's own processes are

    def ready(self) -> None:
        """Wait until the node is."""
        processes.wait(self._country.home, 40.0, only=(f"node-{self.node}",))

    def fill(self) -> None:
        """Leave no room at all."""
        with suppress(OSError), (self.root / "filler").open("ab", buffering=0) as filler:
            for size in (65536, 1):
                with suppress(OSError):
                    while filler.write(bytes(size)):
                        continue

    def free(self) -> None:
        """Make room again."""
        (self.root / "filler").unlink()

    def check(self) -> subprocess.CompletedProcess[str]:
        """`qaztech log check` of what is on this disk."""
        command = [sys.executable, "-m", "qaztech.cli.main", "log", "check", str(self._folder), "--json"]
        return subprocess.run(self.inside(command), capture_output=True, text=True, env=child_environment())

    def close(self) -> None:
        """Put the log back where it was, and the disk away; the node does not run."""
        for path in self._folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.copytree(self.root, self._folder, dirs_exist_ok=True)
        self._holder.kill()
        self._holder.communicate()


@contextmanager
def small_disk(country: BreakableCountry, node: str) -> Iterator[SmallDisk]:
    """Inside this block the node's log lies on a small disk; afterwards the node runs as it did before."""
    country.until_called()
    country.terminate(f"node-{node}")
    disk = SmallDisk(country, node)
    try:
        disk.begin()
        disk.ready()
        country.until_called()
        yield disk
    finally:
        country.terminate(f"node-{node}")
        disk.close()
        country.begin(f"node-{node}")
    country.until_called()


def is_refused(country: BreakableCountry, echo, path: str, *types: str) -> str:
    """A call that is refused, and of which the system hears nothing; gives its message id."""
    began = time.monotonic()
    answer = country.echoed(path, method="POST", body=b"b")
    assert time.monotonic() - began < 4
    assert answer.status == 500
    assert answer.headers["x-road-error"] in (types or (LOGGING_FAILED,))
    assert not [call for call in echo.calls if call.target == path]
    return answer.message


def until_full(country: BreakableCountry, node: str) -> None:
    """Call until the disk is full: segments are laid out before they are needed, and the last one is used up."""
    long = {"X-Long": "x" * 8000}

    def full() -> bool:
        with suppress(OSError, Unavailable):  # it may not listen yet
            country.echoed("/filling", method="POST", body=b"b", headers=long)
            return "disk is full" in (country.manage(node, "/status")["log"]["halted"] or "")
        return False

    country.until(full)


def why_not_ready(country: BreakableCountry, node: str) -> str:
    """What `/ready` says."""
    status = country.manage(node, "/status")
    assert not status["ready"]
    assert processes.status(country.home, only=(f"node-{node}",))["processes"] == {f"node-{node}": "not ready"}
    assert any("(log.disk-" in text for text in processes.troubles(country.home)[f"node-{node}"])
    return " ".join(status["reasons"])


def is_unlogged(country: BreakableCountry, echo, path: str) -> Answer:
    """A call whose answer the provider's node cannot log: its disk fails while the system works."""
    country.until_called()
    with country.in_flight(echo, path, method="POST", body=b"b") as future:
        break_disk(country, "registers")
        return future.result(30)


def break_disk(country: BreakableCountry, node: str) -> None:
    """From here on every write of that node's process is an error."""
    pid = processes.pid_of(country.home, f"node-{node}")
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))


@pytest.mark.parametrize("node", NODES)
def test_nothing_leaves_a_node_whose_disk_is_full(country, echo, node):
    """Calls are refused with the reason; neither a restart nor room alone helps, and after both the log is whole."""
    with small_disk(country, node) as disk:
        before = country.echoed("/before", method="POST", body=b"b")
        assert before.status == 200
        disk.fill()
        until_full(country, node)
        size = country.manage("registers", "/status")["log"]["size"]
        message = is_refused(country, echo, f"/full/{node}")
        assert country.manage("registers", "/status")["log"]["size"] == size
        country.until(lambda: "log.disk-full" in [i["code"] for i in country.manage(node, "/incidents")])
        assert "disk is full" in why_not_ready(country, node)

        country.terminate(f"node-{node}")
        disk.fill()
        disk.begin()
        until_full(country, node)
        assert "disk is full" in why_not_ready(country, node)

        disk.free()
        # A node that finds its disk full when it starts takes no links.
        is_refused(country, echo, f"/freed/{node}", LOGGING_FAILED, NETWORK_ERROR)
        assert "disk is full" in why_not_ready(country, node)

        country.terminate(f"node-{node}")
        report = json.loads(disk.check().stdout)
        assert (report["ok"], report["problems"]) == (True, [])
        disk.begin()
        disk.ready()
        country.until_called()
        assert country.verdict(country.receipt(before.message))["state"] == "witnessed"
    assert country.checked(node).ok
    assert country.kinds("registers", message) == []
    assert country.kinds("ministry", message) == ([] if node == "ministry" else ["request", "no-answer"])


@pytest.mark.parametrize("node", NODES)
def test_nothing_leaves_a_node_whose_disk_fails(country, echo, node):
    """The first error of a write is the last: the node stops logging, refuses, and goes on after a restart."""
    country.until_called()
    break_disk(country, node)
    is_refused(country, echo, f"/failing/{node}")
    is_refused(country, echo, f"/failed/{node}")
    assert "the disk failed" in why_not_ready(country, node)
    country.until(lambda: "log.disk-failed" in [i["code"] for i in country.manage(node, "/incidents")])
    country.kill(f"node-{node}")
    assert country.checked(node).ok
    country.begin(f"node-{node}")
    country.until_called()
    assert country.checked(node).ok


def test_an_answer_that_cannot_be_logged_is_not_given(country, echo):
    """The provider's disk fails while its system works: its caller is told that the outcome is unknown."""
    answer = is_unlogged(country, echo, "/delay/0.5?unlogged")
    assert answer.headers["x-road-error"] == "server.clientproxy.outcome_unknown"
    country.restart("node-registers")
    country.until_called()
    assert country.outcome(answer.message)["outcome"] == "accepted, no answer on record yet"
    assert country.kinds("registers", answer.message) == ["request"]


def test_who_waits_for_an_answer_that_cannot_be_logged_is_told_at_once(country, echo):
    """It need not wait for its own patience to end."""
    began = time.monotonic()
    try:
        is_unlogged(country, echo, "/delay/0.5?unlogged-again")
        took = time.monotonic() - began
    finally:
        country.restart("node-registers")
    assert took < ANSWER_TIMEOUT
