"""Every key of a node and of its member is changed under load, and no exchange is lost or made twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from changing_country import RUNNING, ChangingCountry
from qaztech.core.ids import NodeId
from qaztech.registry.node_identity import NodeIdentity
from qaztech.testing import processes
from qaztech.trust.certificates import certificate_spki


@pytest.fixture(scope="module")
def country(tmp_path_factory: pytest.TempPathFactory, echo) -> Iterator[ChangingCountry]:
    """The two nodes with the service between them."""
    country = ChangingCountry(tmp_path_factory.mktemp("keys") / "home", only=RUNNING)
    country.found()
    for name in ("ministry", "registers"):
        toml = country.home / "nodes" / name / "node.toml"
        toml.write_text(toml.read_text().replace("[link]\n", "[link]\nkey_overlap_seconds = 1.5\n"))
    with country:
        country.echo = country.add_service("registers", "echo", echo.url)
        country.warm()
        yield country


@pytest.mark.parametrize("node", ["registers", "ministry"])
def test_a_tls_key_is_changed_under_load(
    country: ChangingCountry, echo, node: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The provider's, then the consumer's: links are made anew, the old ones end empty, the old key is revoked."""
    folder = country.home / "nodes" / node
    with country.load(f"tls-{node}") as load:
        load.going()
        made = country.cli(capsys, "node", "new-key", "--settings", folder / "node.toml")
        country.name_node(node)
        country.receipt_verifies(tmp_path / "both-keys.json")
        country.until(lambda: country.looked(node)["key"] == made["next_tls"], 20)
        country.until(lambda: country.looked(node)["links_of_old_key"] == 0, 20)
        load.going()
        country.name_node(node)
        country.cli(
            capsys, "registry", "revoke-tls", "--certificate", folder / "tls.old.pem", "--yes",
            "--registry", country.country["registry"], "--token-file", country.home / "registry" / "management.token",
        )  # fmt: skip
        for name in ("ministry", "registers"):
            country.manage(name, "/reload", "POST")
        load.going(50)
        assert country.certificate(node)["next_key"] is None
    load.check([call.target for call in echo.calls])
    lines = country.desk(node).statement.nodes
    assert [line.tls for line in lines] == [made["next_tls"]]
    assert made["tls"] != made["next_tls"]
    assert not (folder / "tls.next.key").exists()
    assert (folder / "tls.key").stat().st_mode & 0o077 == 0
    assert json.loads((folder / "node.json").read_text())["tls"] == made["next_tls"]
    assert certificate_spki((folder / "tls.old.pem").read_bytes()) != certificate_spki(
        (folder / "tls.pem").read_bytes()
    )
    assert not [a for a in country.manage(node, "/status")["alarms"] if a["code"].startswith(("own-", "certificate."))]


def test_a_node_with_a_new_key_starts_with_it(country: ChangingCountry) -> None:
    """After a restart it is met by the new key, and calls go through."""
    country.terminate("node-registers")
    country.restart("node-registers")
    country.until(lambda: country.call("/again", service=country.echo).status == 200)


def test_a_member_key_is_changed_under_load(country: ChangingCountry, echo) -> None:
    """Rights that name the lineage go on, and the log speaks for the member as before."""
    with country.load("member-key") as load:
        load.going()
        for name in ("ministry", "registers"):
            desk = country.desk(name)
            before = desk.key.public
            desk.rotate_key()
            assert desk.key.public != before
            country.publish(desk, "ministry", "registers")
            load.going()
        version = country.desk("registers").statement.version
        country.until(lambda: country.manage("ministry", "/status")["configuration"]["version"] > 1 and version > 1)
        load.going()
    load.check([call.target for call in echo.calls])


def test_a_log_key_is_changed_between_calls(country: ChangingCountry, echo, capsys: pytest.CaptureFixture[str]) -> None:
    """The node is away for that; calls meanwhile hear so and reach nobody, all others arrive once."""
    folder = country.home / "nodes" / "registers"
    origin = country.manage("registers", "/status")["log"]["origin"]
    with country.load("log-key") as load:
        load.going()
        country.terminate("node-registers")
        renewed = country.cli(
            capsys, "node", "renew-log", "--settings", folder / "node.toml",
            "--desk", country.home / "members" / "registers", "--reason", "its key is two years old", "--yes",
            "--registry", country.country["registry"],
        )  # fmt: skip
        processes.start(country.home, only=("node-registers",))
        processes.wait(country.home, 40.0, only=("node-registers",))
        country.until(lambda: load.told[-1].status == 200, 20)
        load.going()
    answered = {told.target for told in load.told if told.status == 200}
    arrived = [call.target for call in echo.calls if call.target.startswith("/log-key/")]
    assert len(arrived) == len(set(arrived))
    assert set(arrived) == answered
    assert len(load.told) > len(answered)
    assert renewed["closed"]["origin"] == origin
    status = country.manage("registers", "/status")
    assert status["log"]["origin"] == renewed["origin"] != origin
    assert not [alarm for alarm in status["alarms"] if alarm["code"].startswith("own-member")]


def test_whoever_has_the_member_key_cannot_add_a_node_unnoticed(country: ChangingCountry, tmp_path: Path) -> None:
    """The member's own node alarms at its next refresh, names the stranger, and is quiet when it is gone."""
    owner = NodeId.parse(f"{country.node('ministry')['member']}/node7")
    stranger = NodeIdentity.create(tmp_path, owner, "127.0.0.1:1", hybrid=False)
    desk = country.desk("ministry")
    desk.add_node(stranger.id, stranger.address, stranger.tls, stranger.log)
    country.publish(desk, "ministry")
    alarms = country.manage("ministry", "/status")["alarms"]
    found = {alarm["code"]: alarm["detail"] for alarm in alarms if alarm["code"].startswith("own-member.")}
    assert found.keys() == {"own-member.node-unknown", "own-member.log-unknown"}
    assert str(owner) in found["own-member.node-unknown"]
    desk.remove_node(owner, 0)
    country.publish(desk, "ministry")
    assert "own-member.node-unknown" not in country.codes("ministry")
    assert country.call("/still", service=country.echo).status == 200
