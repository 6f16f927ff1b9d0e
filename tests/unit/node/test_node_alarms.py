"""What a node says of itself before somebody has to ask."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from qaztech.core.errors import Halt, Malformed
from qaztech.core.ids import NodeId
from qaztech.node.alarms import Health, alarms_of
from qaztech.trust.certificates import Authority, certificate_end, certificate_request, generate_key

NOW = 1_800_000_000_000
DAY = 24 * 3600 * 1000
WELL = Health(now=NOW, free=1 << 30, halted=None, unwitnessed=None)


def codes(health: Health) -> list[str]:
    return [alarm.code for alarm in alarms_of(health)]


def test_a_node_that_is_well_has_none() -> None:
    assert codes(WELL) == []
    assert codes(replace(WELL, free=None, unwitnessed=(NOW - 59_999, ("archive",)))) == []


def test_witnesses_that_stay_away_are_named() -> None:
    (alarm,) = alarms_of(replace(WELL, unwitnessed=(NOW - 60_000, ("archive", "university"))))
    assert (alarm.code, alarm.since) == ("witness.quorum", NOW - 60_000)
    assert "archive, university" in alarm.detail


def test_the_worst_comes_first() -> None:
    halted = (NOW - 5, Halt("log.disk-full", "the disk is full", at="log"))
    assert codes(replace(WELL, free=(64 << 20) - 1, halted=halted)) == ["log.disk-full", "disk.low"]


def test_when_a_certificate_ends(tmp_path: Path) -> None:
    node = NodeId.parse("KZ/GOV/000000000017/node1")
    file = tmp_path / "tls.pem"
    with pytest.raises(Malformed, match="have the registry certify"):
        certificate_end(file)
    file.write_text("no certificate")
    with pytest.raises(Malformed, match="is not a certificate"):
        certificate_end(file)
    file.write_bytes(Authority.create("KZ", NOW).issue(certificate_request(generate_key(), node), node, NOW, days=10))
    assert certificate_end(file) == NOW + 10 * DAY
