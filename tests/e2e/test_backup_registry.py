"""A registry is lost with its machine and restored from a backup that is older than what it published; all goes on."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from postgres_server import PostgresServer
from qaztech.cli.main import main
from qaztech.core.bin import reserved_bin
from qaztech.core.ids import ServiceId, SubsystemId
from qaztech.core.rights import Endpoint
from qaztech.testing.instance import Instance, request

RUNNING = ("registry", "witness-archive", "system-codes", "node-ministry", "node-registers", "node-university")
NAMES = ("--name-kk", "Талдықорған университеті", "--name-ru", "Талдыкорганский университет",
         "--name-en", "Taldykorgan University")  # fmt: skip
EARLY, LATE, BAD = (f"KZ/COM/{reserved_bin(number)}" for number in (61, 62, 63))


class Lost:
    """The country, its registry's backup, and the copy of `tuf/` on a second disk."""

    def __init__(self, folder: Path, country: Instance, database: str) -> None:
        self.folder, self.country, self.database = folder, country, database
        self.registry = country.home / "registry"
        self.backup, self.bare = folder / "registry.tar", folder / "bare.tar"
        self.second_disk, self.keys = folder / "second disk", folder / "safe"
        self.restored = folder / "another machine" / "registry"
        self.process: subprocess.Popen[bytes] | None = None
        self.receipts: list[Path] = []
        self.capsys: pytest.CaptureFixture[str] | None = None

    def run(self, *arguments: object, status: int = 0) -> dict:
        assert self.capsys is not None
        self.capsys.readouterr()
        given = [*map(str, arguments), "--json", "--home", str(self.country.home)]
        assert main(given) == status, self.capsys.readouterr().err
        said = self.capsys.readouterr()
        return json.loads(said.out) if said.out else {"error": said.err}

    def operator(self, *arguments: object) -> dict:
        home = self.restored if self.process is not None else self.registry
        token = home / "management.token"
        return self.run("registry", *arguments, "--registry", self.country.country["registry"], "--token-file", token)

    def grant(self, endpoint: str) -> None:
        """The provider gives the university a right, and brings its file to the registry."""
        desk = self.country.desk("registers")
        service, client = ServiceId.parse(self.country.service), self.country.node("university")["system"]
        lineage = self.country.desk("university").lineage
        desk.grant(service, SubsystemId.parse(client), lineage, [Endpoint.parse(endpoint)], None)
        self.country.submit(desk)

    def called(self, path: str, node: str = "university") -> bool:
        return self.country.call(path, node=node).status == 200

    def receipt(self, name: str) -> None:
        """Call, and keep the receipt once the proof of its configuration is in it."""
        answer = self.country.call()
        assert answer.status == 200, answer
        path = self.folder / name

        def verified() -> bool:
            path.write_text(json.dumps(self.country.receipt(answer.message)))
            return main(["verify", str(path), "--anchor", str(self.country.anchor), "--require", "witnessed"]) == 0

        self.country.until(verified, 30.0)
        self.receipts.append(path)

    def snapshot(self, node: str = "ministry") -> int:
        """The version of the configuration that a node decides by."""
        return int(self.country.manage(node, "/status")["configuration"]["version"])

    def start(self) -> None:
        """Run the restored registry."""
        command = [sys.executable, "-m", "qaztech.cli.main", "registry", "run", "--settings"]
        with (self.folder / "restored.log").open("ab") as log:
            self.process = subprocess.Popen([*command, self.restored / "registry.toml"], stderr=log)

        def ready() -> bool:
            try:
                return request(self.country.country["registry"], "GET", "/health").status == 200
            except OSError:
                return False

        self.country.until(ready, 30.0)

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(30)


class Quiet(SimpleHTTPRequestHandler):
    """Any static web server."""

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(directory: Path) -> Iterator[str]:
    """The URL of a web server that shows a folder."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(directory))) as web:
        thread = threading.Thread(target=web.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{web.server_port}"
        web.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def country(
    request: pytest.FixtureRequest, server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lost]:
    folder = tmp_path_factory.mktemp("registry")
    on_server = request.param == "postgresql"
    with Instance(folder / "home", only=RUNNING, database=server.database("first") if on_server else "") as country:
        lost = Lost(folder, country, server.database("second") if on_server else "")
        yield lost
        lost.stop()


@pytest.fixture
def lost(country: Lost, capsys: pytest.CaptureFixture[str]) -> Lost:
    country.capsys = capsys
    return country


def test_it_is_backed_up_while_it_runs(lost: Lost) -> None:
    """With its keys, and with the tables wherever they are."""
    lost.operator("admit", "--id", EARLY, "--lineage", "5a" * 32, *NAMES)
    lost.operator("admit", "--id", BAD, "--lineage", "5b" * 32, *NAMES)
    lost.receipt("early.json")
    made = lost.run("backup", "registry", "--settings", lost.registry / "registry.toml", "--out", lost.backup)
    assert (made["kind"], made["postgresql"], made["left_out"]) == ("registry", bool(lost.database), [])
    made = lost.run("backup", "registry", "--settings", lost.registry / "registry.toml", "--out", lost.bare,
                    "--without-keys")  # fmt: skip
    assert {"ca.key", "log.key", "keys/online/snapshot.pem", "management.token", "people.txt"} <= set(made["left_out"])
    with tarfile.open(lost.bare) as tar:
        for member in tar:
            file = tar.extractfile(member)
            assert file is not None
            content = file.read()
            assert not any(secret in content for secret in (b"PRIVATE KEY-----", b"postgresql+psycopg://")), member.name
    assert lost.run("backup", "check", lost.backup)["whole"]


def test_lost_with_all_that_came_after_it_is_restored_from_what_was_published(lost: Lost) -> None:
    """A member more, one suspended, a right more: none of it is in the backup, all of it was published."""
    lost.operator("admit", "--id", LATE, "--lineage", "5c" * 32, *NAMES)
    lost.operator("suspend", "--id", BAD, "--yes")
    lost.grant("GET /currencies.json")
    lost.country.until(lambda: lost.called("/currencies.json"))
    lost.receipt("late.json")
    lost.country.kill("registry")
    shutil.copytree(lost.registry / "tuf", lost.second_disk / "registry")
    shutil.copytree(lost.registry, lost.keys)
    shutil.rmtree(lost.registry)
    lost.restored.parent.mkdir()
    lost.before = lost.snapshot()  # type: ignore[attr-defined]

    behind = lost.folder / "behind"
    where = ("--database", lost.database) if lost.database else ()
    if not where:  # a second database would be needed
        told = lost.run("restore", lost.backup, "--into", behind)
        assert "witnesses have seen" in told["log"]["ended"], "without that copy the log cannot go on, and it is said"
    with served(lost.second_disk) as url:
        published = url if lost.database else lost.second_disk / "registry"
        told = lost.run(
            "restore", lost.bare, "--into", lost.restored, "--published", published, "--keys", lost.keys, *where
        )
    assert told["left_out"] == []
    assert (told["log"]["ended"], told["not_taken"]) == ("", [])
    assert told["log"]["added"] >= 3
    assert told["published"] >= lost.before  # type: ignore[attr-defined]


def test_nodes_accept_what_it_publishes_and_nothing_is_forgotten(lost: Lost) -> None:
    """Above what they have seen; the log is the one witnesses know; the late right still works, and a new one does."""
    lost.start()
    status = lost.operator("status")
    members = {member["id"]: member["suspended"] for member in status["members"]}
    assert {id_: members[id_] for id_ in (EARLY, LATE, BAD)} == {EARLY: False, LATE: False, BAD: True}
    country = lost.country
    for node in ("ministry", "registers", "university"):
        country.until(lambda node=node: lost.snapshot(node) > lost.before)  # type: ignore[attr-defined,misc]
    assert lost.called("/currencies.json")
    lost.grant("GET /languages.json")
    country.until(lambda: lost.called("/languages.json"))
    lost.operator("resume", "--id", BAD)
    lost.receipt("now.json")
    for receipt in lost.receipts:
        assert main(["verify", str(receipt), "--anchor", str(country.anchor), "--require", "witnessed"]) == 0
    codes = {i["code"] for node in ("ministry", "registers") for i in country.manage(node, "/incidents")}
    assert not codes & {"configuration.rollback", "log.contradicted", "configuration.contradicted"}, codes
