"""A provider's node is backed up while it works, lost with its machine, and restored into an empty folder."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from qaztech.cli.main import main
from qaztech.core.errors import Malformed
from qaztech.evidence.storage import OsStorage
from qaztech.evidence.view import LogView
from qaztech.runtime.archive import check_archive
from qaztech.testing.instance import Instance, request

RUNNING = ("registry", "witness-archive", "system-codes", "node-ministry", "node-registers")
NODE_RUN = [sys.executable, "-m", "qaztech.cli.main", "node", "run", "--settings"]


class Lost:
    """The country, the backup of its provider's node, and receipts from before and after it was taken."""

    def __init__(self, folder: Path, country: Instance) -> None:
        self.folder, self.country = folder, country
        self.node = country.home / "nodes" / "registers"
        self.backup, self.bare = folder / "node.tar", folder / "bare.tar"
        self.restored = folder / "another machine" / "node"
        self.process: subprocess.Popen[bytes] | None = None
        self.receipts: list[Path] = []

    def run(self, *arguments: object) -> int:
        return main([*map(str, arguments), "--json", "--home", str(self.country.home)])

    def receipt(self, name: str) -> None:
        """Call, and keep the caller's receipt."""
        answers = []

        def answered() -> bool:
            answers.append(self.country.call())
            return answers[-1].status == 200

        self.country.until(answered)
        path = self.folder / name
        path.write_text(json.dumps(self.country.receipt(answers[-1].message)))
        self.receipts.append(path)

    def start(self) -> None:
        """Run the restored node."""
        with (self.folder / "restored.log").open("ab") as log:
            self.process = subprocess.Popen([*NODE_RUN, self.restored / "node.toml"], stderr=log)
        url = self.country.node("registers")["management"]

        def ready() -> bool:
            try:
                return request(url, "GET", "/ready").status == 200
            except OSError:
                return False

        self.country.until(ready, 30.0)

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(30)


@pytest.fixture(scope="module")
def lost(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lost]:
    folder = tmp_path_factory.mktemp("backup")
    with Instance(folder / "home", only=RUNNING) as country:
        lost = Lost(folder, country)
        yield lost
        lost.stop()


def test_it_is_backed_up_while_calls_are_answered(lost: Lost, capsys: pytest.CaptureFixture[str]) -> None:
    """No call fails; the file is whole, its owner's alone, and holds no key that could go on with the log."""
    lost.receipt("early.json")
    over, statuses = threading.Event(), []

    def calling() -> None:
        while not over.is_set():
            statuses.append(lost.country.call().status)

    thread = threading.Thread(target=calling)
    thread.start()
    try:
        settings = lost.node / "node.toml"
        assert lost.run("backup", "node", "--settings", settings, "--out", lost.backup) == 0
        assert lost.run("backup", "node", "--settings", settings, "--out", lost.bare, "--without-keys") == 0
    finally:
        over.set()
        thread.join()
    assert set(statuses) == {200}
    capsys.readouterr()
    assert lost.run("backup", "check", lost.backup) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["kind"], facts["whole"]) == ("node", True)
    assert facts["logs"]["log"]["size"] >= 2
    assert stat.S_IMODE(lost.backup.stat().st_mode) == 0o600
    with tarfile.open(lost.backup) as tar, tarfile.open(lost.bare) as bare:
        names, without = set(tar.getnames()), set(bare.getnames())
        private = [name for name in without if b"PRIVATE KEY" in (bare.extractfile(name) or lost).read()]  # type: ignore[union-attr]
    assert "files/log.key" not in names
    assert "files/tls.key" in names - without
    assert private == []
    assert lost.run("backup", "node", "--settings", settings, "--out", lost.backup) == 1, "it replaces nothing"


def test_a_damaged_backup_is_not_restored(lost: Lost, tmp_path: Path) -> None:
    """One byte is enough, and so is a missing end; nothing is written then."""
    data = bytearray(lost.backup.read_bytes())
    with tarfile.open(lost.backup) as tar:
        offset = tar.getmember("files/tls.key").offset_data
    data[offset] ^= 1
    for name, content in (("byte.tar", bytes(data)), ("short.tar", bytes(lost.backup.read_bytes()[: len(data) // 2]))):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(Malformed):
            check_archive(tmp_path / name)
        assert lost.run("restore", tmp_path / name, "--into", tmp_path / "node") == 1
        assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []
        (tmp_path / name).unlink()


def test_restored_into_an_empty_folder_it_does_not_go_on_with_its_log(
    lost: Lost, capsys: pytest.CaptureFixture[str]
) -> None:
    """The machine is gone with what came after the backup; what is restored cannot sign under the old origin."""
    lost.receipt("late.json")
    lost.country.kill("node-registers")
    with LogView.open_read_only(lost.node / "log", storage=OsStorage()) as log:
        lost.size, lost.origin = log.size, log.origin  # type: ignore[attr-defined]
    shutil.rmtree(lost.node)
    lost.restored.parent.mkdir()
    capsys.readouterr()
    assert lost.run("restore", lost.backup, "--into", lost.restored) == 0
    settings = lost.restored / "node.toml"
    for name in json.loads(capsys.readouterr().out)["left_out"]:  # what stands elsewhere is brought by hand
        settings.write_text(settings.read_text().replace(name, str((lost.node / name).resolve())))
    assert lost.run("restore", lost.backup, "--into", lost.restored) == 1, "it is not empty any more"
    with LogView.open_read_only(lost.restored / "log", storage=OsStorage()) as log:
        assert log.origin == lost.origin  # type: ignore[attr-defined]
        assert 0 < log.size < lost.size  # type: ignore[attr-defined]
    started = subprocess.run([*NODE_RUN, lost.restored / "node.toml"], capture_output=True, timeout=30)
    assert (started.returncode, b"log.key" in started.stderr) == (1, True), "it has no key to sign with"


def test_with_a_new_log_it_goes_on_and_all_receipts_verify(lost: Lost, capsys: pytest.CaptureFixture[str]) -> None:
    """Those from before the backup, from after it, and from now; the old log can still be asked."""
    desk = lost.country.home / "members" / "registers"
    settings = lost.restored / "node.toml"
    reason = ("--reason", "restored from a backup", "--yes")
    bare = lost.folder / "bare"
    assert lost.run("restore", lost.bare, "--into", bare, "--keys", lost.restored) == 0
    assert (bare / "tls.key").read_bytes() == (lost.restored / "tls.key").read_bytes()
    assert not (bare / "log.key").exists()
    assert lost.run("node", "renew-log", "--settings", settings, "--desk", desk, *reason) == 0
    capsys.readouterr()
    lost.start()
    lost.receipt("now.json")
    assert lost.country.manage("registers", "/status")["log"]["origin"] != lost.origin  # type: ignore[attr-defined]
    for receipt in lost.receipts:
        assert main(["verify", str(receipt), "--anchor", str(lost.country.anchor), "--require", "witnessed"]) == 0
    early = json.loads(lost.receipts[0].read_text())["message"]
    assert lost.country.manage("registers", f"/exchanges/{early}")["outcome"] == "answered"
