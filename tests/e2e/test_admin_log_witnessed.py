"""The registry's admin log and its witnesses: cosigned without a new anchor, and halted where it was set back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from qaztech.core.bin import reserved_bin
from qaztech.registry.admin_logs import FILE
from qaztech.registry.founding import ADMIN_LOG
from qaztech.testing import processes
from qaztech.testing.instance import Answer, Instance, request

NEEDED = ("registry", "witness-archive")


class Registry:
    """A registry with two of the three witnesses: its own, and the one that is a process."""

    def __init__(self, country: Instance) -> None:
        self.country = country
        self.folder = country.home / "registry"
        self.headers = {"Authorization": f"Bearer {(self.folder / 'management.token').read_text()}"}

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Answer:
        """Ask it something as its operator."""
        data = None if body is None else json.dumps(body).encode()
        headers = self.headers | ({"Content-Type": "application/json"} if data is not None else {})
        return request(self.country.country["registry"], method, path, body=data, headers=headers)

    def admit(self, serial: int) -> int:
        """An act: the status of its answer."""
        names = {"kk": "A", "ru": "A", "en": "A"}
        id_ = f"KZ/GOV/{reserved_bin(serial)}"
        return self.ask("POST", "/manage/members", {"id": id_, "lineage": "ab" * 32, "names": names}).status

    def page(self) -> dict[str, Any]:
        """What anyone may see of the admin log."""
        found: dict[str, Any] = json.loads(self.ask("GET", "/registry/admin-log/acts").body)
        return found

    def all_witnessed(self, size: int) -> bool:
        """Whether a quorum has seen so many entries, and there are no more."""
        page = self.page()
        return (page["size"], page["witnessed"]) == (size, size)

    def stop(self) -> None:
        """End it in good order."""
        self.country.terminate("registry")

    def start(self) -> None:
        """Start it again."""
        processes.start(self.country.home, only=("registry",))
        processes.wait(self.country.home, 30.0, only=("registry",))


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    """A registry that runs."""
    with Instance(tmp_path / "home", only=NEEDED) as country:
        yield Registry(country)


def test_the_witnesses_of_an_old_anchor_cosign_and_stop_a_log_that_was_set_back(
    registry: Registry, tmp_path: Path
) -> None:
    """A registry from before names its log when it starts; one whose log forgot an act decides nothing any more."""
    registry.country.until(lambda: registry.page()["witnessed"] > 0)
    assert b'qaztech_sign_ins_total{by="password",result="refused"} 0' in registry.ask("GET", "/metrics").body
    before = registry.page()
    size = before["size"]
    registry.stop()
    (registry.folder / FILE).unlink()  # as a release left it that named none
    shutil.copytree(registry.folder / ADMIN_LOG, tmp_path / "kept")
    registry.start()
    assert registry.admit(901) == 201
    registry.country.until(lambda: registry.all_witnessed(size + 1))
    assert registry.page()["origin"] == before["origin"]
    registry.stop()
    shutil.rmtree(registry.folder / ADMIN_LOG)
    shutil.copytree(tmp_path / "kept", registry.folder / ADMIN_LOG)
    registry.start()

    def warned() -> bool:
        return "the admin log is halted" in registry.ask("GET", "/manage/status").body.decode()

    registry.country.until(warned)
    assert registry.admit(902) == 503
