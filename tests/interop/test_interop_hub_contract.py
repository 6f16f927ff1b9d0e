"""The support center's API answers as its description says: asked by Schemathesis, over a real database."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("duckdb")

from contract_tester import ContractTester, Known, install
from hub_office import HOLDERS, HubOffice
from operational_logs import START
from qaztech.core.bin import reserved_bin
from qaztech.hub.detectors.finding import Fact, Finding
from qaztech.hub.register.store import Edit
from qaztech.hub.scopes import HUB_ROLES
from qaztech.people.actors import COMMAND_LINE
from qaztech.runtime.shell import serve
from qaztech.testing.free_ports import free_ports

BODY = reserved_bin(820)
EDITS = [
    Edit(table="organisations", values={"bin": BODY, "class": "GOV", "name_ru": "Комитет лесного хозяйства"}),
    Edit(
        table="objects",
        values={
            "id": "ds-1", "kind": "digital_system", "name_kk": "Орман есебі", "name_ru": "Учёт леса", "owner_bin": BODY,
            "status": "operation", "created": "2020-01-31", "actualised": "2025-01-01", "functions": ["F1", "F2"],
            "declared_users": 40_000, "critical": True,
        },
    ),
    Edit(table="costs", values={"object": "ds-1", "year": 2026, "kind": "support", "tenge": 5_000_000}),
]  # fmt: skip


@pytest.fixture(scope="module")
def tester(pytestconfig: pytest.Config) -> ContractTester:
    """Schemathesis."""
    return install(pytestconfig.cache)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[HubOffice]:
    """A centre with an object, a finding and a few changes."""
    office = HubOffice(tmp_path / "hub", deliver=False)
    office.objects.apply(EDITS, by="a", source="s", at=START)
    for number in range(20):  # to be taken back
        edit = Edit(table="objects", values={"id": f"ds-{100 + number}", "name_ru": f"Система {number}"})
        office.objects.apply([edit], by="a", source="s", at=START)
    fact = Fact(what="status", value="operation", source="objects/ds-1/status")
    office.findings.refresh([Finding(detector="orphan", objects=("ds-1",), evidence=(fact,), confidence=0.9, money=7)])
    yield office
    office.close()


@pytest.fixture
def address(office: HubOffice) -> Iterator[str]:
    """Where its pages and API are served."""
    (port,) = free_ports(1)
    loop, stop = asyncio.new_event_loop(), asyncio.Event()
    running = threading.Thread(
        target=lambda: loop.run_until_complete(serve(office.app, host="127.0.0.1", port=port, stop=stop))
    )
    running.start()
    assert any(_listens(port) for _ in range(200)), "it does not listen"
    yield f"http://127.0.0.1:{port}"
    loop.call_soon_threadsafe(stop.set)
    running.join(20)
    assert not running.is_alive()
    loop.close()


def _listens(port: int) -> bool:
    """Whether somebody listens there; waits a moment where nobody does."""
    with socket.socket() as knock:
        if knock.connect_ex(("127.0.0.1", port)) == 0:
            return True
    time.sleep(0.05)
    return False


def test_the_support_center_answers_as_it_is_described(
    tester: ContractTester, office: HubOffice, address: str, tmp_path: Path
) -> None:
    """All that analysts' programs may ask."""
    owner = office.people.accounts.named(HOLDERS["analyst"]).id
    until = office.clock.now() + 86_400_000
    token, _ = office.people.tokens.create(owner, "t", HUB_ROLES["analyst"], until, by=COMMAND_LINE)
    table, batches = {"path.table": ("objects", "costs", "organisations")}, tuple(str(n) for n in range(2, 22))
    known = (
        Known(path="/objects/{id}", values={"path.id": ("ds-1",)}),
        Known(path="/rows/{table}/history", values={"path.table": ("objects",), "query.key": ("ds-1",)}),
        Known(path="/rows/{table}", values=table),
        Known(path="/batches/{id}/undo", values={"path.id": batches}),
        Known(path="/batches/{id}", values={"path.id": batches}),
        Known(path="/findings/decision", values={"body.key": ("orphan|ds-1",), "body.version": (1, 2)}),
        Known(path="/findings", values={"query.key": ("orphan|ds-1", "")}),
    )
    tester.ask(f"{address}/api/v1/openapi.json", tmp_path, token=token, known=known, examples=10)
