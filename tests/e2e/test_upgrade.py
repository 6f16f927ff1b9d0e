"""A country of the release before is upgraded under load, in both orders, and goes back again, process by process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from qaztech.core.ids import ServiceId, SubsystemId
from qaztech.core.rights import Endpoint
from qaztech.testing.instance import request
from releases import Release, release_after, release_before
from steady_load import PatientLoad
from two_nodes import PROVIDERS, RUNNING, SECOND, TwoNodes, running_both

ACCUSATIONS = {"configuration.rollback", "log.contradicted", "configuration.contradicted"}
FOUND = (
    "import sys; from pathlib import Path; from qaztech.testing.instance import Instance; "
    "Instance(Path(sys.argv[1])).found()"
)
VERIFY = (
    "import sys; from qaztech.cli.main import main; "
    "sys.exit(max(main(['verify', f, '--anchor', sys.argv[1], '--require', 'witnessed']) for f in sys.argv[2:]))"
)


class Upgraded:
    """The country, what runs in it, and what is kept of it."""

    def __init__(self, folder: Path, country: TwoNodes, before: Release, after: Release, echo) -> None:
        self.folder, self.country, self.before, self.after, self.echo = folder, country, before, after, echo
        self.registry = country.home / "registry"
        self.receipts: list[Path] = []

    def load(self, name: str) -> PatientLoad:
        """Calls that may not be repeated, from the ministry's systems."""
        where = self.country.node("ministry")
        return PatientLoad(
            where["edge"], where["system"], self.country.echo, name=name, arrived=self.arrived, seconds=20.0
        )

    def arrived(self) -> list[str]:
        """What reached the system."""
        return [call.target for call in self.echo.calls]

    def runs(self, name: str) -> str:
        """The release that a process runs, as it says itself."""
        if name == "registry":
            text = request(self.country.country["registry"], "GET", "/metrics").body.decode()
            return text.partition('qaztech_build_info{version="')[2].partition('"')[0]
        where = self.country.management(SECOND) if name == SECOND else self.country.node(name)["management"]
        return str(json.loads(request(where, "GET", "/status").body)["release"])

    def move(self, name: str, to: Release) -> None:
        """End one process in good order, start it from another release, and wait until it does its work."""
        with to.used():
            if name == "registry":
                self.country.restart("registry", "witness-archive")
            elif name == "ministry":
                self.country.restart("node-ministry", "node-university")  # which only witnesses
            else:
                self.country.end(name)
                self.country.again(name)
                self.country.until(lambda: self.country.linked(name), 25.0)
        assert self.runs(name) == to.version

    def back_up(self, name: str) -> Path:
        """A backup by the release that runs; nothing stops for it."""
        file = self.folder / f"{name}.tar"
        self.before.run("backup", "registry", "--settings", self.registry / "registry.toml", "--out", file)
        return file

    def registry_goes_back(self, backup: Path) -> None:
        """As docs/howto/upgrade.md has it: the older release refuses, the backup and what was published since serve."""
        self.country.terminate("registry")
        refused = self.before.tried("registry", "run", "--settings", self.registry / "registry.toml")
        assert refused.returncode == 1
        assert "restore the backup made before it (database.newer)" in refused.stderr
        aside = self.folder / f"{backup.stem}.aside"
        self.registry.rename(aside)
        told = self.before.run(
            "restore", backup, "--into", self.registry, "--published", aside / "tuf", "--json", "--home", self.folder
        )
        assert json.loads(told)["log"]["ended"] == ""
        assert json.loads(told)["not_taken"] == []
        self.move("registry", self.before)

    def give(self, endpoint: str) -> int:
        """The provider gives a right, and brings it to the registry; gives the version of its file."""
        desk = self.country.desk("registers")
        client = SubsystemId.parse(self.country.node("university")["system"])
        lineage = self.country.desk("university").lineage
        desk.grant(ServiceId.parse(self.country.service), client, lineage, [Endpoint.parse(endpoint)], None)
        self.country.submit(desk)
        return desk.statement.version

    def known(self) -> int:
        """The version of the provider's file at the registry."""
        said = self.before.run(
            "registry", "status", "--registry", self.country.country["registry"], "--json",
            "--token-file", self.registry / "management.token",
        )  # fmt: skip
        member = self.country.node("registers")["member"]
        return next(m["version"] for m in json.loads(said)["members"] if m["id"] == member)

    def keep_receipt(self, load: PatientLoad) -> None:
        """The receipt of the newest call that was answered."""
        load.going(5)
        message = next(told.message for told in reversed(load.told) if told.status == 200)
        file = self.folder / f"{len(self.receipts)}.json"
        file.write_text(json.dumps(self.country.receipt(message)))
        self.receipts.append(file)

    def check(self, load: PatientLoad) -> None:
        """No call is lost or made twice, nobody is accused, and every receipt verifies by both releases."""
        load.check(self.arrived())
        assert len(load.told) > 150
        incidents = [i for node in ("ministry", "registers") for i in self.country.manage(node, "/incidents")]
        assert not {i["code"] for i in incidents} & ACCUSATIONS, incidents
        for release in (self.before, self.after):
            release.run(self.country.anchor, *self.receipts, program=("-c", VERIFY))


@pytest.fixture(scope="module")
def upgraded(tmp_path_factory: pytest.TempPathFactory, echo) -> Iterator[Upgraded]:
    """Founded and run by the release before. The first test leaves it so."""
    folder = tmp_path_factory.mktemp("upgrade")
    before, after = release_before(folder / "before"), release_after(folder / "after")
    before.run(folder / "home", program=("-c", FOUND))
    country = TwoNodes(folder / "home", only=(*RUNNING, "node-university"))
    with ExitStack() as stack:
        with before.used():
            stack.enter_context(running_both(country, echo))
        yield Upgraded(folder, country, before, after, echo)


def test_the_provider_is_upgraded_first_and_all_go_back(upgraded: Upgraded) -> None:
    """Then the consumer, then the registry; back in the same order, so that every mixture is met on the way."""
    order = (*PROVIDERS, "ministry", "registry")
    assert {upgraded.runs(name) for name in order} == {upgraded.before.version}
    backup = upgraded.back_up("before")
    with upgraded.load("provider-first") as load:
        upgraded.keep_receipt(load)
        for process in order:
            upgraded.move(process, upgraded.after)
            upgraded.keep_receipt(load)
        version = upgraded.give("GET /later.json")
        for process in PROVIDERS:
            upgraded.move(process, upgraded.before)
        upgraded.move("ministry", upgraded.before)
        upgraded.registry_goes_back(backup)
        load.going()
        upgraded.keep_receipt(load)
    upgraded.check(load)
    assert upgraded.known() == version, "what was published by the newer release is not forgotten"


def test_the_registry_is_upgraded_first(upgraded: Upgraded) -> None:
    """Then the consumer, then the provider: a registry that went back goes forward again."""
    order = ("registry", "ministry", *PROVIDERS)
    assert {upgraded.runs(name) for name in order} == {upgraded.before.version}
    with upgraded.load("registry-first") as load:
        for process in order:
            upgraded.keep_receipt(load)
            upgraded.move(process, upgraded.after)
        load.going()
        upgraded.keep_receipt(load)
    upgraded.check(load)
