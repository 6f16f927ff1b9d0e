"""Runs of detectors: in a process of their own, into the queue; when one is due; and what keeps one from its end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import Engine

from databases import database_at
from qaztech.core.errors import Unavailable
from qaztech.core.time import ManualClock
from qaztech.hub.detecting import COMPARING, DetectApart, Detecting, Found, Round, today_in_kazakhstan
from qaztech.hub.detectors.all import DETECTORS, Progress
from qaztech.hub.detectors.finding import Finding
from qaztech.hub.findings import METADATA as FINDINGS
from qaztech.hub.findings import FindingQueue
from qaztech.hub.register.store import METADATA as OBJECTS
from qaztech.hub.register.store import Edit, ObjectStore
from qaztech.hub.store import METADATA
from qaztech.people.tables import PEOPLE
from qaztech.runtime.database import add_tables, open_database

NOON = 1_796_200_000_000  # 2 December 2026
TRIAL = {"id": "ds-1", "status": "trial", "status_since": "2024-01-01", "actualised": "2026-11-01"}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """A database with everything of a centre."""
    engine = open_database(database_at(tmp_path / "hub.db"), METADATA)
    for tables in (PEOPLE, OBJECTS, FINDINGS):
        add_tables(engine, tables)
    yield engine
    engine.dispose()


def apart(engine: Engine, folder: Path) -> DetectApart:
    url = engine.url.render_as_string(hide_password=False)
    return DetectApart(database=url, flows=folder / "flows", rows=folder / "rows", wait_seconds=60)


def test_a_run_in_a_process_of_its_own_fills_the_queue(engine: Engine, tmp_path: Path) -> None:
    """With progress of every detector; a trial that lasts too long is found."""
    objects, clock = ObjectStore(engine), ManualClock(NOON)
    objects.apply([Edit(table="objects", values=TRIAL)], by="a", source="test", at=1)
    queue, steps = FindingQueue(engine, clock), []
    process = apart(engine, tmp_path)

    def detect(today: date, progress: Progress) -> Found:
        def tell(slug: str, done: int, of: int) -> None:
            if slug != COMPARING:
                steps.append(done)
            progress(slug, done, of)

        return process(today, tell)

    detecting = Detecting(objects=objects, findings=queue, detect=detect, clock=clock)
    assert detecting.run("aigul").new >= 1
    assert "trial_too_long" in {case.finding.detector for case in queue.cases()}
    assert steps == list(range(1, len(DETECTORS) + 1))
    assert detecting.latest is not None
    assert (detecting.latest.by, detecting.latest.version, detecting.latest.error) == ("aigul", 1, "")
    assert detecting.run("aigul").new == 0
    process.close()


def test_a_process_that_fails_is_told(tmp_path: Path) -> None:
    """Nothing is taken in then: cases do not go because a run went wrong."""
    process = DetectApart(database="sqlite:////nowhere/at/all.db", flows=tmp_path, rows=tmp_path, wait_seconds=60)
    with pytest.raises(Unavailable):
        process(date(2026, 12, 2), lambda *_: None)


def test_runs_come_when_asked_after_changes_and_at_night(engine: Engine) -> None:
    """An empty registry needs none; the same version is looked at once a night."""
    objects, clock, by = ObjectStore(engine), ManualClock(NOON), []

    def detect(_: date, __: Progress) -> Found:
        finding = Finding(detector="orphan", objects=("ds-1",), evidence=(), confidence=1.0)
        return Found(findings=(finding,), detectors=("orphan",), version=objects.register().version)

    detecting = Detecting(objects=objects, findings=FindingQueue(engine, clock), detect=detect, clock=clock)

    async def follow() -> None:
        stop = asyncio.Event()
        task = asyncio.create_task(detecting.keep(stop, every=0.01))
        async with asyncio.timeout(20):
            for act in (_nothing, _change, _night, _ask):
                seen: Round | None = detecting.latest
                act(objects, clock, detecting)
                while act is not _nothing and detecting.latest is seen:
                    await asyncio.sleep(0.005)
                await asyncio.sleep(0.03)
                by.append("" if detecting.latest is None else detecting.latest.by)
            stop.set()
            await task

    asyncio.run(follow())
    assert by == ["", "changed", "night", "aigul"]


def _nothing(*_: object) -> None:
    """Nobody does anything."""


def _change(objects: ObjectStore, *_: object) -> None:
    objects.apply([Edit(table="objects", values=TRIAL)], by="a", source="test", at=1)


def _night(_: ObjectStore, clock: ManualClock, __: Detecting) -> None:
    clock.advance(86_400_000)


def _ask(_: ObjectStore, __: ManualClock, detecting: Detecting) -> None:
    detecting.ask("aigul")


def test_a_day_is_that_of_kazakhstan() -> None:
    """It begins at 19:00 UTC."""
    assert today_in_kazakhstan(ManualClock(18 * 3_600_000)) == date(1970, 1, 1)
    assert today_in_kazakhstan(ManualClock(19 * 3_600_000)) == date(1970, 1, 2)


def test_a_database_that_was_away_ends_no_runs(engine: Engine) -> None:
    """What fails in it is told and tried again: the detectors run once it is back."""
    ran: list[date] = []

    def detect(today: date, _: Progress) -> Found:
        ran.append(today)
        return Found(findings=(), detectors=(), version=0)

    objects = ObjectStore(engine)
    detecting = Detecting(
        objects=objects, findings=FindingQueue(engine, ManualClock(NOON)), detect=detect, clock=ManualClock(NOON)
    )

    async def lost_and_found() -> None:
        stop = asyncio.Event()
        OBJECTS.drop_all(engine)
        task = asyncio.create_task(detecting.keep(stop, every=0.01))
        await asyncio.sleep(0.05)
        assert not task.done()
        OBJECTS.create_all(engine)
        objects.apply([Edit(table="objects", values=TRIAL)], by="a", source="s", at=NOON)
        async with asyncio.timeout(10):
            while not ran:
                await asyncio.sleep(0.01)
        stop.set()
        await task

    asyncio.run(lost_and_found())
