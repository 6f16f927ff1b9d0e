"""Runs of all detectors: in a process of their own with low priority, after changes, at night and when somebody asks.

What they find goes into the queue. The process reads the registry and the flows by itself, tells how far it is, and
ends; so the centre's own process stays small and answers meanwhile. Not here: the detectors, and the queue's rules.
"""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

import msgspec
from sqlalchemy.exc import SQLAlchemyError

from qaztech.core.errors import Error, Unavailable
from qaztech.core.time import Clock
from qaztech.hub.comparing.pairs import VECTORS, compare_best
from qaztech.hub.detectors.all import DETECTORS, Progress, run
from qaztech.hub.detectors.finding import Case, Finding
from qaztech.hub.findings import FindingQueue, Refreshed
from qaztech.hub.flows import Flows
from qaztech.hub.register.law import current_law
from qaztech.hub.register.store import METADATA as OBJECTS
from qaztech.hub.register.store import ObjectStore
from qaztech.hub.store import METADATA, OperationalStore
from qaztech.hub.traffic import DAY_BEGINS
from qaztech.runtime.database import add_tables, open_database
from qaztech.runtime.settings import child_environment
from qaztech.runtime.telemetry import log_error

logger = logging.getLogger("qaztech.hub")
# Address space and seconds of processor time of one run, and seconds by the clock.
MOST_MEMORY: Final = 6 * 1024**3
MOST_SECONDS: Final = 1800
MOST_WAIT: Final = 3600.0
# The hour of Kazakhstan at which each day's run begins, and how often it is looked whether one is due.
NIGHT_HOUR: Final = 2
LOOK_SECONDS: Final = 2.0
# What a run is at before the first detector.
COMPARING: Final = "comparing"
# Who asked for a run that nobody asked for.
CHANGED, NIGHT = "changed", "night"
_NICE: Final = 10


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """Where a run finds everything: the database's address, the directories of flows and of delivered rows."""

    database: str
    flows: str
    rows: str
    today: date


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What a run found, the detectors that ran, and the registry's version that they looked at."""

    findings: tuple[Finding, ...]
    detectors: tuple[str, ...]
    version: int


class _Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the process: how far it is, or what it found, or why it found nothing."""

    detector: str = ""
    done: int = 0
    of: int = 0
    found: Found | None = None
    code: str = ""
    detail: str = ""


Detect = Callable[[date, Progress], Found]


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """A run: who asked (an account, or `changed`, `night`), times in ms since 1970, how far it is, what came of it.

    `ended` None while it runs; `error` the code of what went wrong.
    """

    by: str
    began: int
    ended: int | None = None
    detector: str = ""
    done: int = 0
    of: int = 0
    version: int = 0
    refreshed: Refreshed | None = None
    error: str = ""


def today_in_kazakhstan(clock: Clock) -> date:
    """The day that it is in Kazakhstan (UTC+5)."""
    return datetime.fromtimestamp((clock.now() + DAY_BEGINS) / 1000, UTC).date()


def detect_here(
    objects: ObjectStore, flows: Flows, today: date, progress: Progress, vectors: Path | None = None
) -> Found:
    """Run all detectors in this process. `vectors` is the file that keeps what texts mean, None for none."""
    register, traffic = objects.register(), flows.traffic()
    similar = compare_best(register, traffic, vectors, lambda done, of: progress(COMPARING, done, of))
    case = Case(register=register, traffic=traffic, law=current_law(), today=today, similar=similar)
    findings = run(case, progress=progress)
    return Found(findings=tuple(findings), detectors=tuple(each.slug for each in DETECTORS), version=register.version)


class DetectApart:
    """Runs all detectors in a process of its own. One at a time."""

    def __init__(self, *, database: str, flows: Path, rows: Path, wait_seconds: float = MOST_WAIT) -> None:
        self._places = {"database": database, "flows": str(flows), "rows": str(rows)}
        self._wait_seconds = wait_seconds
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(self, today: date, progress: Progress) -> Found:
        """Raises `Unavailable` where the process does not bring it to an end."""
        order = msgspec.json.encode(Order(today=today, **self._places))
        command = [sys.executable, "-m", "qaztech.hub.detecting"]
        # The order goes in by the pipe: the database's address may hold a password.
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=child_environment()
        ) as process:
            self._process = process
            over = threading.Timer(self._wait_seconds, process.kill)
            over.daemon = True
            over.start()
            try:
                return _followed(process, order, progress)
            finally:
                over.cancel()
                self._process = None
                process.kill()

    def close(self) -> None:
        """End the process, if one runs."""
        process = self._process
        if process is not None:
            process.kill()


def _followed(process: subprocess.Popen[bytes], order: bytes, progress: Progress) -> Found:
    given, told = process.stdin, process.stdout
    assert given is not None and told is not None  # noqa: S101, PT018  # both are pipes
    try:
        given.write(order)
        given.close()
        for text in told:
            line = msgspec.json.decode(text, type=_Line)
            if line.found is not None:
                return line.found
            if line.code:
                raise Unavailable(line.code, line.detail, at="service")
            progress(line.detector, line.done, line.of)
    except (OSError, msgspec.MsgspecError) as exc:
        raise Unavailable("detectors.failed", "the detectors did not come to an end", at="service") from exc
    raise Unavailable("detectors.failed", "the detectors did not come to an end", at="service")


class Detecting:
    """Keeps the queue of findings as the registry and the traffic are now."""

    def __init__(self, *, objects: ObjectStore, findings: FindingQueue, detect: Detect, clock: Clock) -> None:
        self._objects = objects
        self._findings = findings
        self._detect = detect
        self._clock = clock
        self._asked: str | None = None
        self._running = threading.Lock()
        self.latest: Round | None = None

    @property
    def running(self) -> bool:
        """Whether a run is on its way, or asked for."""
        return self._asked is not None or (self.latest is not None and self.latest.ended is None)

    def ask(self, by: str) -> None:
        """Let a run begin soon. One that is asked for already serves for this too."""
        self._asked = self._asked or by

    def run(self, by: str) -> Refreshed:
        """Run the detectors now and take in what they find. Raises what keeps them from it."""
        with self._running:
            self.latest = Round(by=by, began=self._clock.now(), of=len(DETECTORS))
            try:
                found = self._detect(today_in_kazakhstan(self._clock), self._step)
                refreshed = self._findings.refresh(found.findings, found.detectors)
            except Error as exc:
                self.latest = replace(self.latest, ended=self._clock.now(), error=exc.code)
                raise
            except SQLAlchemyError:
                self.latest = replace(self.latest, ended=self._clock.now(), error="detectors.failed")
                raise
            self.latest = replace(self.latest, ended=self._clock.now(), version=found.version, refreshed=refreshed)
            return refreshed

    async def keep(self, stop: asyncio.Event, every: float = LOOK_SECONDS) -> None:
        """Run when asked, when the registry has changed, and once a night, until told to stop."""
        while not stop.is_set():
            try:
                by = await asyncio.to_thread(self._due)
                if by is not None:
                    self._asked = None
                    await asyncio.to_thread(self.run, by)
            except Error as exc:
                log_error(logger, "the detectors did not run", exc)
            except SQLAlchemyError as exc:  # it is looked again: a database that was away ends nothing
                failed = Unavailable("detectors.failed", "the database does not answer", context=type(exc).__name__)
                log_error(logger, "the detectors did not run", failed)
            try:
                async with asyncio.timeout(every):
                    await stop.wait()
            except TimeoutError:
                continue

    def _due(self) -> str | None:
        if self._asked is not None:
            return self._asked
        version = self._objects.version()
        if version == 0:
            return None
        latest = self.latest
        if latest is None or (version != latest.version and not latest.error):
            return CHANGED
        night = _night(self._clock.now())
        return NIGHT if _night(latest.began) < night else None

    def _step(self, detector: str, done: int, of: int) -> None:
        if self.latest is not None:
            self.latest = replace(self.latest, detector=detector, done=done, of=of)


def _night(now: int) -> date:
    """The day whose night run is due at a time."""
    return datetime.fromtimestamp((now + DAY_BEGINS - NIGHT_HOUR * 3_600_000) / 1000, UTC).date()


def _tell(line: _Line) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
    sys.stdout.buffer.flush()


def _run(order: Order) -> Found:
    engine = open_database(order.database, METADATA, new=False)
    add_tables(engine, OBJECTS)
    try:
        flows = Flows(Path(order.flows), OperationalStore(engine, Path(order.rows)))
        return detect_here(
            ObjectStore(engine),
            flows,
            order.today,
            lambda slug, done, of: _tell(_Line(detector=slug, done=done, of=of)),
            Path(order.flows).parent / VECTORS,
        )
    finally:
        engine.dispose()


def main(_: Sequence[str]) -> None:
    """Carry out the order that stands on the standard input."""
    os.nice(_NICE)
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS))
    try:
        _tell(_Line(found=_run(msgspec.json.decode(sys.stdin.buffer.read(), type=Order))))
    except Error as exc:
        _tell(_Line(code=exc.code, detail=exc.detail))


if __name__ == "__main__":
    main(sys.argv[1:])
