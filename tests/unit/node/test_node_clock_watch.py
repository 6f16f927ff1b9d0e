"""A clock that is wrong is told before anybody wonders why no exchange succeeds."""

from __future__ import annotations

import pytest

from qaztech.core.time import ManualClock
from qaztech.node.clock_watch import OFF_WARNING, REGISTRY, WITNESSES, ClockWatch

START = 1_800_000_000_000
HOUR = 3_600_000


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def watch(clock: ManualClock) -> ClockWatch:
    return ClockWatch(clock)


def test_a_clock_that_is_nearly_right_raises_no_alarm(watch: ClockWatch) -> None:
    """`Date` has whole seconds, and answers take time."""
    assert watch.alarms() == []
    watch.heard(REGISTRY, START - OFF_WARNING + 1)
    watch.heard_witnesses([])
    assert watch.alarms() == []


@pytest.mark.parametrize(
    ("off", "told"),
    [
        (OFF_WARNING, "30 s ahead of the registry's"),
        (-OFF_WARNING, "30 s behind the registry's"),
        (2 * HOUR + 61_000, "2 h 1 min ahead of the registry's"),
        (-400 * 24 * HOUR, "400 d behind the registry's"),
    ],
)
def test_a_wrong_clock_is_an_alarm_that_names_by_how_much(watch: ClockWatch, off: int, told: str) -> None:
    """Who is called at night reads which way and how far."""
    watch.heard(REGISTRY, START - off)
    (alarm,) = watch.alarms()
    assert (alarm.code, alarm.since) == ("clock.wrong", START)
    assert told in alarm.detail
    assert watch.gauges() == {'clock_ahead_seconds{of="registry"}': off / 1000}


def test_who_is_odd_shows_where_registry_and_witnesses_differ(watch: ClockWatch, clock: ManualClock) -> None:
    """A registry whose own clock is wrong is told from a wrong clock here; one odd witness changes nothing."""
    watch.heard_witnesses([START // 1000, START // 1000 + 7200, START // 1000])
    assert watch.alarms() == []
    watch.heard(REGISTRY, START - HOUR)
    clock.advance(500)
    (alarm,) = watch.alarms()
    assert "1 h ahead of the registry's, as the witnesses'" in alarm.detail


def test_the_alarm_is_over_once_the_clock_is_right(watch: ClockWatch, clock: ManualClock) -> None:
    """What the witnesses said by the old time is forgotten when the clock is set."""
    watch.heard(REGISTRY, START - HOUR)
    watch.heard_witnesses([(START - HOUR) // 1000])
    clock.advance(1000)
    assert watch.alarms()[0].since == START + 1000
    clock.advance(-HOUR)
    watch.heard(REGISTRY, clock.now())
    assert watch.alarms() == []
    assert f'clock_ahead_seconds{{of="{WITNESSES}"}}' not in watch.gauges()
