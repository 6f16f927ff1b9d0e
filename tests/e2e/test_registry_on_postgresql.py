"""A country whose registry keeps everything in PostgreSQL: an organisation joins it, and the server is restarted."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path

import pytest

from newcomer import Newcomer
from postgres_server import PostgresServer
from qaztech.core.bin import check_digit, reserved_bin
from qaztech.testing.instance import Instance, request

RUNNING = ("registry", "witness-archive", "system-codes", "node-ministry", "node-registers")
BIN = reserved_bin(40)
NAMES = ("--name-kk", "Талдықорған техника университеті", "--name-ru", "Талдыкорганский технический университет",
         "--name-en", "Taldykorgan Technical University")  # fmt: skip
CONTACT = ("--unit", "IT department", "--email", "it@university.example", "--phone", "+77010000000")
ORGANISATIONS = 8


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server that syncs to its disk: it is killed here."""
    server = PostgresServer(fsync=True)
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="module")
def joined(server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Newcomer]:
    """The country, and who wants to join it."""
    folder = tmp_path_factory.mktemp("postgresql")
    with Instance(folder / "home", only=RUNNING, database=server.database("registry")) as country:
        newcomer = Newcomer(country, folder, f"KZ/EDU/{BIN}")
        yield newcomer
        newcomer.stop()


@pytest.fixture
def place(joined: Newcomer, capsys: pytest.CaptureFixture[str]) -> Newcomer:
    """The same, listening to what this test's commands say."""
    joined.capsys = capsys
    return joined


def signer(place: Newcomer, bin_: str) -> Path:
    """Somebody who signs for the organisation with this BIN."""
    file = place.folder / f"signer-{bin_}.pem"
    eleven = "99130000001"
    place.run("registry", "test-signer", "--directory", place.country.home / "registry", "--name", "Signatory",
              "--iin", f"{eleven}{check_digit(eleven)}", "--bin", bin_, "--out", file)  # fmt: skip
    return file


def test_an_organisation_applies_is_admitted_enrols_a_node_and_calls(place: Newcomer) -> None:
    """Everything of it is in PostgreSQL: no SQLite file of the registry's own is made."""
    desk, registry = ("--desk", place.desk), ("--registry", place.registry)
    place.lineage = place.run("member", "new", *desk, "--id", place.member_id, *NAMES)["lineage"]
    place.run("member", "apply", *desk, *registry, *CONTACT, "--signer", signer(place, BIN))
    application = place.operator("applications")["applications"][0]
    assert place.operator("decide", application["id"], "--admit")["state"] == "admitted"
    place.run("member", "submit", *desk, *registry)
    grant = place.run("member", "grant-node", *desk, *registry, "--node", place.node_id)["grant"]
    place.run("node", "enrol", place.node, "--grant", grant, "--address", f"127.0.0.1:{place.link}",
              "--edge-port", place.edge, "--management-port", place.management)  # fmt: skip
    place.member("accept-node", "--node", place.node_id)
    place.member("add-subsystem", "--subsystem", place.system, "--name-kk", "Кітапхана", "--name-ru", "Библиотека",
                 "--name-en", "Library")  # fmt: skip
    settings = place.node / "node.toml"
    text = settings.read_text().replace("[edge]", f'[[clients]]\nid = "{place.system}"\nloopback = true\n\n[edge]')
    text = text.replace("witnessing_seconds = 30.0", "witnessing_seconds = 0.25")
    settings.write_text("refresh_seconds = 0.5\n" + text)
    place.start()
    place.member(
        "grant", "--service", place.country.service, "--client", place.system, "--lineage", place.lineage,
        "--endpoint", "GET /countries/*", desk=place.of("registers"),
    )  # fmt: skip
    place.until(200)
    kept = {file.name for file in (place.country.home / "registry").glob("*.db")}
    assert kept == {"witness.db"}


def test_the_server_restarted_under_load_leaves_nothing_half_done(place: Newcomer, server: PostgresServer) -> None:
    """Who decides meanwhile hears that the database is away; what was told done is done, and all goes on."""
    members = [f"KZ/COM/{reserved_bin(60 + number)}" for number in range(ORGANISATIONS)]
    for member in members:
        place.operator("admit", "--id", member, "--lineage", "5a" * 32, *NAMES)
    token = place.token.read_text().strip()
    over = threading.Event()

    def decide(member: str) -> tuple[bool, int, list[str]]:
        """Suspend and resume in turn; what was told last, how often it worked, and what else was said."""
        suspended, done, errors = False, 0, []
        while not over.is_set():
            body = f'{{"member": "{member}", "suspended": {str(not suspended).lower()}}}'.encode()
            try:
                answer = request(
                    place.registry, "POST", "/manage/suspend", body=body, headers={"Authorization": f"Bearer {token}"}
                )
            except (OSError, HTTPException) as exc:
                errors.append(repr(exc))
                continue
            if answer.status == 200:
                suspended, done = not suspended, done + 1
            else:
                errors.append(f"{answer.status} {answer.body.decode()}")
                if "registry.suspended" in errors[-1]:
                    suspended = not suspended  # it was recorded, held up, and carried out afterwards
                over.wait(0.1)
        return suspended, done, errors

    with ThreadPoolExecutor(ORGANISATIONS) as pool:
        deciders = [pool.submit(decide, member) for member in members]
        over.wait(2.0)
        server.stop()
        over.wait(1.0)
        assert place.call().status == 200, "exchanges do not need the registry"
        server.start()
        over.wait(2.0)
        server.kill()
        server.start()
        over.wait(2.0)
        over.set()
        told = dict(zip(members, (future.result() for future in deciders), strict=True))
    errors = [error for _, _, found in told.values() for error in found]
    assert any("503" in error and "database.unavailable" in error for error in errors), errors
    assert not [e for e in errors if "database.unavailable" not in e and "registry.suspended" not in e]
    assert all(done > 0 for _, done, _ in told.values())

    place.operator("suspend", "--id", f"KZ/EDU/{BIN}", "--yes")
    place.operator("resume", "--id", f"KZ/EDU/{BIN}")
    before = {m["id"]: m["suspended"] for m in place.operator("status")["members"]}
    place.country.terminate("registry")
    place.country.start()
    assert {m["id"]: m["suspended"] for m in place.operator("status")["members"]} == before, "what it shows is stored"
    place.until(200)
