"""The embedded country's processes are kept going, within reason: real small processes, and a clock that tests move."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from qaztech.core.errors import FINAL_STATUS
from qaztech.testing import keeper, spawning
from qaztech.testing.alone import alone
from qaztech.testing.keeper import Keeper, Kept, read_records, write_plan

LASTING = ["sleep", "60"]


class Country:
    """A home with one process to keep."""

    def __init__(self, home: Path) -> None:
        self.home, self.run = home, home / "run"
        self.run.mkdir()
        self.time = 1000.0
        self.keeper = Keeper(home, now=lambda: self.time)

    def begin(self, command: list[str], status: str = "") -> None:
        """As `qaztech up` does."""
        write_plan(self.run, [Kept(name="one", command=command, status=status)])
        spawning.spawn(self.run, "one", command, cwd=self.home).returncode = 0
        self.keeper.look()

    @property
    def pid(self) -> int | None:
        return spawning.pid_of(self.run, "one")

    @property
    def record(self) -> dict[str, object]:
        return read_records(self.run)["one"]

    def kill(self) -> None:
        """And wait until it is gone."""
        os.kill(self.pid or 0, signal.SIGKILL)
        until(lambda: self.pid is None)

    def later(self, seconds: float) -> None:
        """Time passes; the keeper looks."""
        self.keeper.look()
        self.time += seconds
        self.keeper.look()


def until(condition: Callable[[], bool]) -> None:
    """Wait, ten seconds at most."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.fixture
def country(tmp_path: Path) -> Iterator[Country]:
    country = Country(tmp_path)
    yield country
    spawning.end(country.run, "one")
    country.keeper.reap()


def test_who_dies_is_started_again_after_a_pause(country: Country) -> None:
    """Another process, counted, with when and why."""
    country.begin(LASTING)
    first = country.pid
    assert first is not None
    assert country.record["restarts"] == 0
    country.kill()
    country.later(0.5)
    assert (country.pid, country.record["state"]) == (None, "waiting")
    country.later(1.0)
    assert country.pid not in {None, first}
    assert (country.record["restarts"], country.record["state"]) == (1, "kept")
    assert "started again" in (country.run / "one.log").read_text()


def test_who_was_told_to_stop_stays_stopped(country: Country) -> None:
    """Its file is gone then."""
    country.begin(LASTING)
    country.kill()
    (country.run / "one.pid").unlink()
    country.later(100)
    assert (country.pid, country.record["restarts"]) == (None, 0)


def test_the_pauses_grow_and_the_tries_end(country: Country) -> None:
    """What dies at once each time is given up, and its last words are told; `up` begins anew."""
    country.begin(["sh", "-c", "echo no such luck >&2; exit 1"])
    waited = 0.0
    while country.record["state"] != "given-up":
        until(lambda: country.pid is None)
        country.later(1.0)
        waited += 1.0
        assert waited < 1000
    assert country.record["restarts"] == keeper.TRIES
    assert waited > 100
    assert "no such luck" in str(country.record["why"])
    spawning.spawn(country.run, "one", LASTING, cwd=country.home).returncode = 0
    country.keeper.look()
    assert (country.record["state"], country.record["tries"]) == ("kept", 0)


def test_who_has_lived_a_while_begins_anew(country: Country) -> None:
    """A death a day is not many."""
    country.begin(LASTING)
    country.kill()
    country.later(2)
    assert country.record["tries"] == 1
    country.later(keeper.WELL_AFTER)
    assert (country.record["restarts"], country.record["tries"]) == (1, 0)


def test_a_log_that_refuses_is_not_started_in_a_loop(country: Country) -> None:
    """Its exit status says that no new start mends it."""
    country.begin(["sh", "-c", f"exit {FINAL_STATUS}"])
    until(lambda: country.pid is None)
    country.later(2)
    until(lambda: country.pid is None)
    for _ in range(5):
        country.later(100)
    assert (country.record["restarts"], country.record["state"]) == (1, "refused")


@pytest.fixture
def said() -> Iterator[tuple[str, dict[str, object]]]:
    """A node's `/status`, and what it says of its log."""
    log: dict[str, object] = {"halted": None, "halted_for_good": False}

    class Handler(BaseHTTPRequestHandler):
        timeout = 20

        def do_GET(self) -> None:
            body = json.dumps({"log": log}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=lambda: server.serve_forever(0.01))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/status", log
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_node_that_halted_is_started_again(country: Country, said: tuple[str, dict[str, object]]) -> None:
    """Such as one whose disk was full, once there is room; one that halted for good is left alone."""
    url, log = said
    country.begin(LASTING, status=url)
    first = country.pid
    country.later(keeper.ASK_EVERY)
    assert country.pid == first
    log["halted"] = "the disk is full"
    country.later(keeper.ASK_EVERY)
    log["halted"] = None
    country.later(2)
    second = country.pid
    assert second not in {None, first}
    assert "the disk is full" in str(country.record["why"])
    log["halted"], log["halted_for_good"] = "the log was restored or copied", True
    for _ in range(10):
        country.later(keeper.ASK_EVERY)
    assert (country.pid, country.record["restarts"], country.record["state"]) == (second, 1, "refused")


def test_nothing_is_started_without_room_or_beside_up_and_down(
    country: Country, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start on a full disk would only use up the tries."""
    country.begin(LASTING)
    country.kill()
    monkeypatch.setattr(keeper, "ROOM", 1 << 60)
    country.later(100)
    country.later(100)
    assert (country.pid, country.record["tries"], country.record["state"]) == (None, 0, "no-room")
    monkeypatch.setattr(keeper, "ROOM", 0)
    with alone(country.home):
        country.later(100)
        assert country.pid is None
    country.later(1)
    assert country.pid is not None


def test_a_log_stays_bounded_while_its_process_has_it_open(country: Country, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few are kept aside, the newest first; what goes on appending loses nothing."""
    monkeypatch.setattr(spawning.rotate, "__defaults__", (1000, 3))
    country.begin(LASTING)
    log = country.run / "one.log"
    with log.open("ab", buffering=0) as appending:
        for number in range(1000, 3000):
            appending.write(b"%d\n" % number)
            if number % 300 == 0:
                country.keeper.look()
    names = sorted(path.name for path in country.run.glob("one.log*"))
    assert names == ["one.log", "one.log.1", "one.log.2", "one.log.3"]
    kept = [int(line) for name in reversed(names) for line in (country.run / name).read_text().split()]
    assert kept == list(range(kept[0], 3000))
    assert kept[0] > 1000
    log.write_text("")
    assert spawning.last_line(log, 100) == (country.run / "one.log.1").read_text().split()[-1]


def test_a_long_log_is_put_aside_before_a_start(tmp_path: Path) -> None:
    """Also where nobody keeps the process; of what grew while nobody looked, the end stays."""
    log = tmp_path / "one.log"
    log.write_bytes(b"first\n" + bytes(3 * spawning.LOG_LIMIT) + b"last")
    child = spawning.spawn(tmp_path, "one", ["true"], cwd=tmp_path)
    child.wait()
    assert log.stat().st_size == 0
    assert (tmp_path / "one.log.1").stat().st_size == 2 * spawning.LOG_LIMIT
    assert (tmp_path / "one.log.1").read_bytes().endswith(b"last")
