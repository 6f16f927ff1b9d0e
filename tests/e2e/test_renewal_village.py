"""A village without a server room is served by another's node, then moves to a node of its own with its receipts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from changing_country import RUNNING, ChangingCountry
from newcomer import Newcomer
from qaztech.core.bin import reserved_bin
from qaztech.core.ids import ServiceId, SubsystemId
from qaztech.core.rights import Endpoint
from qaztech.core.time import SystemClock
from qaztech.registry.desk import Desk
from qaztech.testing.instance import Answer, request
from steady_load import SteadyLoad

MEMBER = f"KZ/GOV/{reserved_bin(5)}"
NAMES = ("--name-kk", "Ауыл әкімдігі", "--name-ru", "Акимат села", "--name-en", "Village council")
GRACE = 3


class Village(Newcomer):
    """The village: its desk from the beginning, its node later."""

    country: ChangingCountry

    @property
    def host(self) -> Path:
        return self.country.home / "nodes" / "registers"

    @property
    def host_id(self) -> str:
        return f"{self.country.node('registers')['member']}/node1"

    def grant(self, owner: Path, service: str, client: str, lineage: str) -> None:
        desk = Desk(owner, SystemClock())
        everything = [Endpoint.parse("* /**")]
        desk.grant(ServiceId.parse(service), SubsystemId.parse(client), lineage, everything, None)
        self.country.submit(desk)

    def ask(self, edge: str, service: str, path: str) -> Answer:
        """A call by the village's own system."""
        return request(edge, "POST", f"/r1/{service}{path}", body=b"?", headers={"X-Road-Client": self.system})

    def status(self) -> dict:
        found: dict = json.loads(request(f"http://127.0.0.1:{self.management}", "GET", "/status").body)
        return found

    def load(self, name: str) -> SteadyLoad:
        """Calls of the ministry to the village's service."""
        where = self.country.node("ministry")
        return SteadyLoad(where["edge"], where["system"], self.service, name=name)


@pytest.fixture(scope="module")
def moving(tmp_path_factory: pytest.TempPathFactory, echo) -> Iterator[Village]:
    """The country with a service of the ministry and one of the registers; the village is nobody yet."""
    folder = tmp_path_factory.mktemp("village")
    country = ChangingCountry(folder / "home", only=RUNNING)
    with country:
        country.echo = country.add_service("registers", "echo", echo.url)
        country.back = country.add_service("ministry", "back", echo.url, clients=())
        country.warm()
        village = Village(country, folder, MEMBER)
        yield village
        village.stop()


@pytest.fixture
def village(moving: Village, capsys: pytest.CaptureFixture[str]) -> Village:
    moving.capsys = capsys
    return moving


def test_a_member_is_served_by_anothers_node(village: Village, echo) -> None:
    """Its file names that node and its log, the node's settings name the member. It calls and is called."""
    country, registers = village.country, village.country.node("registers")
    new = village.run("member", "new", "--desk", village.desk, "--id", MEMBER, *NAMES)
    village.lineage = new["lineage"]
    village.operator("admit", "--file", new["file"], "--lineage", village.lineage)
    village.member("add-node", "--node", village.host)
    village.member("add-subsystem", "--subsystem", village.system, *NAMES)
    village.member("add-service", "--service", village.service, *NAMES)
    ministry = country.desk("ministry")
    village.grant(village.desk, village.service, country.node("ministry")["system"], ministry.lineage)
    village.grant(country.home / "members" / "ministry", country.back, village.system, village.lineage)
    village.grant(country.home / "members" / "registers", country.echo, village.system, village.lineage)
    toml = village.host / "node.toml"
    lines = [
        toml.read_text(), f'[[members]]\nid = "{MEMBER}"\nlineage = "{village.lineage}"',
        f'[[clients]]\nid = "{village.system}"\nloopback = true',
        f'[[services]]\nid = "{village.service}"\nurl = "{echo.url}"\n',
    ]  # fmt: skip
    toml.write_text("\n".join(lines))
    country.terminate("node-registers")
    country.restart("node-registers")
    country.until(lambda: country.call("/village", service=village.service, method="POST", body=b"!").status == 200)
    for service in (country.back, country.echo):  # another's, and one on the same node
        country.until(lambda s=service: village.ask(registers["edge"], s, "/from-the-village").status == 200)
    assert not [code for code in country.codes("registers") if code.startswith("own-member")]
    assert country.manage("registers", "/status")["members"] == [registers["member"], MEMBER]


def test_its_receipts_are_its_own(village: Village) -> None:
    """They show the log of the node that serves it, and that this log speaks for the village. It takes them all."""
    out = village.folder / "receipts"
    settings = village.host / "node.toml"
    taken = village.run("node", "receipts", "--settings", settings, "--member", MEMBER, "--out", out)
    assert taken["missing"] == {}
    files = sorted(out.glob("*.json"))
    assert len(files) == taken["receipts"] >= 3
    for file in files:
        village.country.verify(file)
    alone = [file for file in files if len(json.loads(file.read_bytes())["messages"][0]["proofs"]) == 1]
    assert alone, "an exchange of two members of one node has that node's log alone"
    assert village.run("node", "receipts", "--settings", settings, "--member", MEMBER, "--out", out) == taken


def test_it_moves_to_a_node_of_its_own_while_it_is_called(village: Village, echo) -> None:
    """The new node is named beside the old one, then alone; every call is answered, and arrives once."""
    country = village.country
    village.run(
        "node", "new", village.node, "--id", village.node_id, "--address", f"127.0.0.1:{village.link}",
        "--lineage", village.lineage, "--anchor", country.anchor, "--registry", village.registry,
        "--edge-port", village.edge, "--management-port", village.management,
    )  # fmt: skip
    request_, certificate = village.node / "tls.csr", village.node / "tls.pem"
    village.operator("certificate", "--node", village.node_id, "--request", request_, "--out", certificate)
    file = village.node / "node.toml"
    lines = [
        "refresh_seconds = 0.5",
        file.read_text().replace("witnessing_seconds = 30.0", "witnessing_seconds = 0.25"),
        f'[[clients]]\nid = "{village.system}"\nloopback = true',
        f'[[services]]\nid = "{village.service}"\nurl = "{echo.url}"\n',
    ]  # fmt: skip
    file.write_text("\n".join(lines))
    with village.load("moving") as load:
        load.going()
        village.member("add-node", "--node", village.node)
        village.start()
        load.going()
        village.member("remove-node", "--node", village.host_id, "--grace", GRACE)
        before = village.status()["log"]["size"]
        country.until(lambda: village.status()["log"]["size"] > before + 20)
        load.going()
        country.until(lambda: "own-member.not-served" in country.codes("registers"))
    load.check([call.target for call in echo.calls])


def test_it_is_called_at_the_new_node_and_calls_from_it(village: Village) -> None:
    """Its receipts from now on show the new log."""
    country = village.country
    answer = country.call("/at-home", service=village.service, method="POST", body=b"!")
    receipt = country.receipt(answer.message)
    file = village.folder / "at-home.json"
    file.write_text(json.dumps(receipt))
    country.verify(file)
    assert village.status()["log"]["origin"] in {log["origin"] for log in receipt["logs"]}
    for service in (country.back, country.echo):
        edge = f"http://127.0.0.1:{village.edge}"
        country.until(lambda s=service, e=edge: village.ask(e, s, "/from-home").status == 200)


def test_both_nodes_say_what_has_changed_until_it_is_acknowledged(village: Village) -> None:
    """The new one that another's log speaks for its member; the old one that the member has left."""
    codes = {alarm["code"] for alarm in village.status()["alarms"]}
    assert "own-member.log-unknown" in codes
    file = village.node / "node.toml"
    file.write_text(file.read_text().replace("lineage =", f'acknowledged = ["{village.host_id}"]\nlineage =', 1))
    request(f"http://127.0.0.1:{village.management}", "POST", "/reload")
    assert not [a["code"] for a in village.status()["alarms"] if a["code"].startswith("own-member")]
    assert {"own-member.not-served", "own-member.node-unknown"} <= village.country.codes("registers")


def test_the_old_node_speaks_for_it_no_more_and_serves_its_owner(village: Village) -> None:
    """Whoever still calls there in the village's name is refused, and takes nobody's link down with him."""
    country = village.country
    edge = country.node("registers")["edge"]

    def refused() -> bool:
        answer = village.ask(edge, country.back, "/late")
        return b"does not speak for" in answer.body

    country.until(refused, GRACE + 10)
    with country.load("after") as load:
        load.going()
        for _ in range(5):
            assert refused()
        load.going()
    assert not [told for told in load.told if told.status != 200]
    log = (country.home / "run" / "node-ministry.log").read_text()
    assert "request.audience" not in log


def test_receipts_of_before_verify_afterwards(village: Village) -> None:
    """Those taken along, offline; and the old node still gives them to whoever may ask there."""
    files = sorted((village.folder / "receipts").glob("*.json"))
    for file in files:
        village.country.verify(file)
    again = village.folder / "again.json"
    again.write_text(json.dumps(village.country.receipt(files[0].stem, node="registers")))
    village.country.verify(again)
