"""An organisation joins a running country by commands alone, calls and is called, changes its key, and is put out."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator

import pytest

from newcomer import Newcomer
from qaztech.cli.main import main
from qaztech.core.bin import reserved_bin
from qaztech.core.errors import Conflict
from qaztech.registry.submitting import manage
from qaztech.testing.instance import Answer, Instance, request

RUNNING = ("registry", "witness-archive", "system-codes", "node-ministry", "node-registers")
MEMBER = f"KZ/COM/{reserved_bin(4)}"
NODE = f"{MEMBER}/node1"
SYSTEM = f"{MEMBER}/shop"
SERVICE = f"{SYSTEM}/codes"
NAMES = ("--name-kk", "Дүкен", "--name-ru", "Магазин", "--name-en", "Shop")


@pytest.fixture(scope="module")
def joined(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Newcomer]:
    folder = tmp_path_factory.mktemp("joining")
    with Instance(folder / "home", only=RUNNING) as country:
        shop = Newcomer(country, folder, MEMBER)
        yield shop
        shop.stop()


@pytest.fixture
def shop(joined: Newcomer, capsys: pytest.CaptureFixture[str]) -> Newcomer:
    joined.capsys = capsys
    return joined


def test_a_member_is_admitted_by_its_lineage(shop: Newcomer) -> None:
    """The file may come by any way, the lineage by one that is trusted: if they differ, nothing is admitted."""
    new = shop.run("member", "new", "--desk", shop.desk, "--id", MEMBER, *NAMES)
    shop.lineage = new["lineage"]
    assert "member.lineage-differs" in shop.operator(
        "admit", "--file", new["file"], "--lineage", "0" * 64, status=1
    )["error"]  # fmt: skip
    assert shop.operator("admit", "--file", new["file"], "--lineage", shop.lineage)["id"] == MEMBER
    assert "registry.admitted" in shop.operator(
        "admit", "--id", MEMBER, *NAMES, "--lineage", shop.lineage, status=1
    )["error"]  # fmt: skip
    assert MEMBER in [member["id"] for member in shop.operator("status")["members"]]


def test_its_node_is_made_certified_and_named(shop: Newcomer) -> None:
    """Keys never leave the folder they were made in; what is wrong is said before the node is started."""
    shop.run(
        "node", "new", shop.node, "--id", NODE, "--address", f"127.0.0.1:{shop.link}", "--lineage", shop.lineage,
        "--anchor", shop.country.anchor, "--registry", shop.registry,
        "--edge-port", shop.edge, "--management-port", shop.management,
    )  # fmt: skip
    file = shop.node / "node.toml"
    findings = shop.run("node", "check-config", file, status=1)["findings"]
    assert [f["what"] for f in findings if "qaztech registry certificate" in f["what"]]
    shop.operator("certificate", "--node", NODE, "--request", shop.node / "tls.csr", "--out", shop.node / "tls.pem")
    system = f"{shop.country.country['systems'][0]['url']}/codes"
    lines = [
        "refresh_seconds = 0.5",
        file.read_text().replace("witnessing_seconds = 30.0", "witnessing_seconds = 0.25"),
        f'[[clients]]\nid = "{SYSTEM}"\nloopback = true', f'[[services]]\nid = "{SERVICE}"\nurl = "{system}"\n',
    ]  # fmt: skip
    file.write_text("\n".join(lines))
    checked = shop.run("node", "check-config", file)
    assert checked["ok"]
    assert [f["level"] for f in checked["findings"]] == ["warning"], "that anyone here may call"
    shop.member("add-node", "--node", shop.node)
    shop.member("add-subsystem", "--subsystem", SYSTEM, *NAMES)
    shop.start()


def test_it_calls_once_it_was_given_the_right(shop: Newcomer) -> None:
    """The provider gives it, nobody else; and it can be proven."""
    shop.until(500, "access_denied")
    lineage = shop.run("member", "show", "--desk", shop.desk)["lineage"]
    shop.member(
        "grant", "--service", shop.country.service, "--client", SYSTEM, "--lineage", lineage,
        "--endpoint", "GET /countries/**", "--until", "2099-01-01", desk=shop.of("registers"),
    )  # fmt: skip
    shop.until(200)
    answer = shop.call()
    receipt = shop.folder / "r.json"
    management = f"http://127.0.0.1:{shop.management}"
    receipt.write_bytes(request(management, "GET", f"/receipts/{answer.message}?wait=witnessed").body)
    assert main(["verify", str(receipt), "--anchor", str(shop.country.anchor), "--require", "witnessed"]) == 0


def test_it_is_called_once_it_gave_the_right(shop: Newcomer) -> None:
    """Switched off, its callers read the notice; its right taken away, they read that."""
    shop.member("add-service", "--service", SERVICE, *NAMES)
    ministry = shop.country.node("ministry")["system"]
    lineage = shop.country.desk("ministry").lineage
    shop.member("grant", "--service", SERVICE, "--client", ministry, "--lineage", lineage, "--endpoint", "GET /**")
    shop.until(200, called=True)
    shop.member("add-service", "--service", SERVICE, "--disable", "closed for the holidays")
    shop.until(500, "service_disabled", called=True)
    assert "closed for the holidays" in shop.country.call(service=SERVICE).body.decode()
    shop.member("add-service", "--service", SERVICE, "--enable")
    shop.until(200, called=True)
    shown = shop.run("member", "show", "--desk", shop.desk)["services"][0]
    assert shown["rights"][0]["endpoints"] == ["GET /**"]
    refused = shop.run("member", "revoke", "--desk", shop.desk, "--service", SERVICE, "--client", ministry, status=1)
    assert "command.unconfirmed" in refused["error"]
    shop.member("revoke", "--service", SERVICE, "--client", ministry, "--yes")
    shop.until(500, "access_denied", called=True)


def test_a_key_changes_while_calls_go_on(shop: Newcomer) -> None:
    """No call fails; from then on the file before counts for nothing, wherever it comes from."""
    assert shop.country.call().status == 200
    before = (shop.of("registers") / "member-file.json").read_bytes()
    failed: list[Answer] = []
    done = threading.Event()

    def call_on() -> None:
        while not done.is_set():
            answer = shop.country.call()
            if answer.status != 200:
                failed.append(answer)

    calling = threading.Thread(target=call_on)
    calling.start()
    try:
        version = shop.member("rotate-key", "--yes", desk=shop.of("registers"))["version"]
        pins = shop.country.home / "nodes" / "ministry" / "configuration" / "pins.json"
        owner = shop.country.node("registers")["member"]
        shop.country.until(lambda: json.loads(pins.read_text()).get(owner, {}).get("version") == version)
        assert len(json.loads(pins.read_text())[owner]["keys"]) == 2
        time.sleep(0.3)
    finally:
        done.set()
        calling.join()
    assert failed == []
    with pytest.raises(Conflict, match="the version must be above"):
        manage(shop.registry, shop.token.read_text(), "member-files", before)
    shop.member("renew", desk=shop.of("registers"))
    kept = list(shop.of("registers").glob("member.key.until-version-*"))
    assert [file.stat().st_mode & 0o777 for file in kept] == [0o600]


def test_a_suspended_member_is_out_and_back(shop: Newcomer) -> None:
    """At once, and as it was."""
    assert "--yes" in shop.operator("suspend", "--id", MEMBER, status=1)["error"]
    shop.operator("suspend", "--id", MEMBER, "--yes")
    shop.until(500)
    shop.operator("resume", "--id", MEMBER)
    shop.until(200)


def test_a_revoked_key_is_off_the_wire(shop: Newcomer) -> None:
    """For good; a node with another key, certified and named, is let in."""
    shop.operator("revoke-tls", "--certificate", shop.node / "tls.pem", "--yes")
    shop.until(500)
    shop.stop()
    (shop.node / "tls.key").rename(shop.node / "tls.key.revoked")
    shop.run(
        "node", "new", shop.node, "--id", NODE, "--address", f"127.0.0.1:{shop.link}", "--lineage", shop.lineage,
        "--anchor", shop.country.anchor, "--registry", shop.registry,
    )  # fmt: skip
    shop.operator("certificate", "--node", NODE, "--request", shop.node / "tls.csr", "--out", shop.node / "tls.pem")
    shop.member("add-node", "--node", shop.node)
    assert len(shop.run("member", "show", "--desk", shop.desk)["logs"]) == 1
    shop.start()
    shop.until(200)


def test_what_is_wrong_is_said(shop: Newcomer) -> None:
    """A registry that does not answer, a wrong token, a service or member that is not there."""
    nowhere = ("--registry", "http://127.0.0.1:9", "--token-file", shop.token)
    assert "registry.unreachable" in shop.run("registry", "status", *nowhere, status=1)["error"]
    wrong = shop.folder / "wrong.token"
    wrong.write_text("wrong")
    refused = shop.run("registry", "status", "--registry", shop.registry, "--token-file", wrong, status=1)
    assert "operator.token" in refused["error"]
    assert "member.unknown" in shop.operator("suspend", "--id", "KZ/GOV/1", "--yes", status=1)["error"]
    assert shop.operator("certificate", "--node", NODE, "--request", shop.node / "tls.csr")["node"] == NODE
