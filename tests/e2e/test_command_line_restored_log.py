"""A log that was restored from a backup does not go on: the node refuses, its log is renewed, and all works again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from qaztech.cli.main import main
from qaztech.core.errors import Unavailable
from qaztech.evidence.storage import OsStorage
from qaztech.evidence.view import LogView
from qaztech.testing import processes
from qaztech.testing.instance import Answer, Instance

RUNNING = ("registry", "witness-archive", "system-codes", "node-ministry", "node-registers")


class Restored:
    """A country whose provider's node got yesterday's log back, and what was answered before."""

    def __init__(self, country: Instance, backup: Path) -> None:
        self.country = country
        self.node = country.home / "nodes" / "registers"
        self.origin = self.status()["log"]["origin"]
        self.early = self.receipt("early.json")
        self.stop()
        shutil.copytree(self.node / "log", backup)
        self.start()
        self.late = self.receipt("late.json")
        self.size = self.status()["log"]["witnessed"]["size"]
        self.stop()
        shutil.rmtree(self.node / "log")
        shutil.copytree(backup, self.node / "log")

    def stop(self) -> None:
        self.country.terminate("node-registers")

    def start(self, *, ready: bool = True) -> None:
        processes.start(self.country.home, only=("node-registers",))
        if ready:
            processes.wait(self.country.home, 30.0, only=("node-registers",))

    def status(self) -> dict:
        status: dict = self.country.manage("registers", "/status")
        return status

    def call(self) -> Answer:
        return self.country.call()

    def receipt(self, name: str) -> Path:
        """Call until it is answered; its receipt, taken from the caller's side, in a file."""
        answers: list[Answer] = []

        def answered() -> bool:
            answers.append(self.call())
            return answers[-1].status == 200

        self.country.until(answered)
        return self.take(answers[-1].message, name)

    def take(self, message: str, name: str, node: str = "ministry") -> Path:
        """The receipt of a message as a node gives it now, in a file."""
        path = self.country.home / name
        path.write_text(json.dumps(self.country.receipt(message, node=node)))
        return path

    def verifies(self, receipt: Path) -> bool:
        return main(["verify", str(receipt), "--anchor", str(self.country.anchor), "--require", "witnessed"]) == 0

    def renew(self, *more: str) -> int:
        settings, desk = self.node / "node.toml", self.country.home / "members" / "registers"
        home = ("--home", str(self.country.home))
        return main(["node", "renew-log", "--settings", str(settings), "--desk", str(desk), *home, "--json", *more])


@pytest.fixture(scope="module")
def restored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Restored]:
    folder = tmp_path_factory.mktemp("restored")
    with Instance(folder / "home", only=RUNNING) as country:
        yield Restored(country, folder / "backup")


def test_the_node_refuses_to_go_on_with_it(restored: Restored) -> None:
    """It says why, signs nothing, and a caller gets an error, on its own edge as on the other side."""
    restored.start(ready=False)
    country = restored.country

    def halted() -> bool:
        try:
            return bool(restored.status()["log"]["halted"])
        except Unavailable:  # not listening yet
            return False

    country.until(halted)
    status = restored.status()
    assert not status["ready"]
    assert "restored or copied" in status["log"]["halted"]
    assert "qaztech node renew-log" in status["log"]["halted"]
    assert restored.call().status == 500
    own = country.call("/listMethods", node="registers", service=country.node("registers")["system"])
    assert own.headers["x-road-error"] == "server.clientproxy.logging_failed"
    assert "restored or copied" in own.body.decode()
    country.until(lambda: [i["code"] for i in country.manage("registers", "/incidents")][:1] == ["log.contradicted"])
    assert restored.status()["log"]["size"] == status["log"]["size"] < restored.size


def test_it_is_not_renewed_while_the_node_runs(restored: Restored, capsys: pytest.CaptureFixture[str]) -> None:
    """Nor without being asked to, where nobody sits at a terminal."""
    assert restored.renew("--yes") == 1
    assert "log.in-use" in capsys.readouterr().err
    restored.stop()
    assert restored.renew() == 1
    assert "--yes" in capsys.readouterr().err
    with LogView.open_read_only(restored.node / "log", storage=OsStorage()) as log:
        assert log.origin == restored.origin


def test_renewed_it_works_under_another_origin(restored: Restored, capsys: pytest.CaptureFixture[str]) -> None:
    """Calls are answered, what was proven before verifies, and so does what comes now."""
    assert restored.renew("--yes") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["closed"]["origin"] == restored.origin
    assert facts["closed"]["size"] == restored.size, "as witnesses saw it last, not as the backup has it"
    assert facts["submitted"]
    restored.start()
    now = restored.receipt("now.json")
    status = restored.status()
    assert status["log"]["origin"] == facts["origin"] != restored.origin
    for receipt in (restored.early, restored.late, now):
        assert restored.verifies(receipt), receipt
    assert facts["origin"] in now.read_text()
    assert country_member(restored)["continues"] == restored.origin


def test_what_the_closed_log_holds_can_still_be_proven(restored: Restored) -> None:
    """From either side: the node reads its closed logs for receipts, its own and its peers'."""
    early = json.loads(restored.early.read_text())["message"]
    for node in ("registers", "ministry"):
        receipt = restored.take(early, f"again-{node}.json", node)
        assert restored.verifies(receipt)
        assert restored.origin in receipt.read_text()
    assert restored.country.manage("registers", f"/exchanges/{early}")["outcome"] == "answered"


def test_renewing_again_changes_nothing(restored: Restored, capsys: pytest.CaptureFixture[str]) -> None:
    """With nothing in the log yet it is done; with something in it there is no need."""
    before = restored.country.desk("registers").statement.version
    restored.stop()
    assert restored.renew("--yes") == 1
    assert "log.healthy" in capsys.readouterr().err
    assert restored.country.desk("registers").statement.version == before


def country_member(restored: Restored) -> dict:
    """The newest line of a log in the member's file."""
    line = restored.country.desk("registers").statement.logs[-1]
    return {"origin": line.origin, "continues": line.continues}
