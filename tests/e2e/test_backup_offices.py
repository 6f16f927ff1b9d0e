"""A member's console and the support center are backed up while they run, lost, and restored with all they knew."""

from __future__ import annotations

import json
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from qaztech.cli.main import main
from qaztech.core.time import SystemClock
from qaztech.people.acts import KEY
from qaztech.registry.desk import Desk
from qaztech.runtime.settings import child_environment
from qaztech.testing import centre, consoles, spawning
from qaztech.testing.instance import Instance, request

CONSOLE, CENTRE = "console-ministry", "centre"
Run = Callable[..., dict]


@pytest.fixture(scope="module")
def country(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """Both run, and nothing else: neither needs another process to let people in."""
    with Instance(tmp_path_factory.mktemp("offices") / "home", only=(CONSOLE, CENTRE), centre=True) as country:
        yield country


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: object) -> dict:
        capsys.readouterr()
        assert main([*map(str, arguments), "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return run


def lets_in(url: str, people: Path) -> bool:
    """Whether the accounts that were made with the country may sign in there."""
    name, password = people.read_text().splitlines()[-1].split()
    body = json.dumps({"name": name, "password": password}).encode()
    answer = request(url, "POST", "/api/session", body=body, headers={"Content-Type": "application/json"})
    return answer.status == 201


def runs_again(country: Instance, verb: str, settings: Path, url: str, people: Path) -> None:
    """Start what was restored, and sign in."""
    command = [sys.executable, "-m", "qaztech.cli.main", verb, "run", "--settings", str(settings)]
    spawning.spawn(settings.parent, verb, command, cwd=settings.parent, environment=child_environment()).returncode = 0
    try:
        country.until(lambda: answers(url), 30.0)
        assert lets_in(url, people)
    finally:
        spawning.end(settings.parent, verb)


def answers(url: str) -> bool:
    try:
        return request(url, "GET", "/health").status == 200
    except OSError:
        return False


def test_a_members_console_comes_back_with_the_desk(country: Instance, run: Run, tmp_path: Path) -> None:
    """Database, people, desk and member key; its admin log ended and another begun."""
    desk, url = country.home / "members" / "ministry", country.country["consoles"]["ministry"]
    before = Desk(desk, SystemClock()).statement
    secret = (desk / "exchange.secret").read_text()
    made = run("backup", "console", "--settings", desk / consoles.SETTINGS, "--out", tmp_path / "c.tar")
    assert stat.S_IMODE((tmp_path / "c.tar").stat().st_mode) == 0o600
    assert (made["kind"], made["logs"]["console/admin-log/log"]["size"] > 0) == ("console", True)
    bare = run(
        "backup", "console", "--settings", desk / consoles.SETTINGS, "--out", tmp_path / "bare.tar", "--without-keys"
    )
    assert {"desk/member.key", "desk/exchange.secret", "desk/people.txt"} <= set(bare["left_out"])
    country.terminate(CONSOLE)
    shutil.move(desk, tmp_path / "lost")
    restored = run("restore", tmp_path / "c.tar", "--into", tmp_path / "console")
    settings = Path(restored["settings"])
    assert Desk(settings.parent / "desk", SystemClock()).statement == before
    assert (settings.parent / "desk" / "exchange.secret").read_text() == secret
    runs_again(country, "console", settings, url, settings.parent / "desk" / consoles.PASSWORDS)
    of_it = settings.parent / "console"
    assert (of_it / "admin-log.ended" / "log").is_dir()
    assert not (of_it / "admin-log.ended" / KEY).exists()
    assert (of_it / "admin-log" / KEY).read_bytes() != (tmp_path / "lost/console/admin-log" / KEY).read_bytes()


def test_the_support_center_comes_back(country: Instance, run: Run, tmp_path: Path) -> None:
    """Its database and people; what was delivered lies beside them."""
    folder, url = country.home / centre.FOLDER, country.country["centre"]["url"]
    (folder / "rows" / "date=2026-01-01").mkdir(parents=True)
    (folder / "rows" / "date=2026-01-01" / "one.parquet").write_bytes(b"rows")
    (folder / "rows" / "incoming").mkdir(exist_ok=True)
    (folder / "rows" / "incoming" / "half.parquet").write_bytes(b"half")
    made = run("backup", "hub", "--settings", folder / centre.SETTINGS, "--out", tmp_path / "h.tar")
    assert made["logs"]["admin-log/log"]["size"] > 0
    assert run("upgrade-check", "--settings", folder / centre.SETTINGS)
    country.terminate(CENTRE)
    shutil.move(folder, tmp_path / "lost")
    restored = run("restore", tmp_path / "h.tar", "--into", tmp_path / "hub")
    settings = Path(restored["settings"])
    assert (settings.parent / "rows" / "date=2026-01-01" / "one.parquet").read_bytes() == b"rows"
    assert not (settings.parent / "rows" / "incoming" / "half.parquet").exists()
    runs_again(country, "hub", settings, url, settings.parent / centre.PASSWORDS)
    assert (settings.parent / "admin-log.ended" / "log").is_dir()
