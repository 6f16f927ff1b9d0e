"""What a node says of itself before somebody has to ask."""

from __future__ import annotations

from dataclasses import replace

from qaztech.core.errors import Halt
from qaztech.node.alarms import Health, alarms_of

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
