"""Books of a gateway: one member, one budget, one key, a clock that moves when told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from ai_books import MEMBER, issue
from databases import database_at
from qaztech.ai.gateway.budgets import Budget, Budgets
from qaztech.ai.gateway.keys import Key, Keys
from qaztech.ai.gateway.tables import AI_GATEWAY
from qaztech.core.time import ManualClock
from qaztech.runtime.database import open_database

# 2026-11-23 17:00 in Kazakhstan, ten seconds into a minute.
NOW = 1_795_435_210_000


@pytest.fixture
def clock() -> ManualClock:
    """The time, which stands still until moved."""
    return ManualClock(NOW)


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Where the test's books are."""
    return database_at(tmp_path / "gateway.db")


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """Empty books."""
    engine = open_database(url, AI_GATEWAY)
    yield engine
    engine.dispose()


@pytest.fixture
def budget(engine: Engine, clock: ManualClock) -> Budget:
    """Ten tenge a month."""
    return Budgets(engine, clock).create(member=MEMBER, name="Chat", kind="month", tenge=10, by="aigerim")


@pytest.fixture
def key(engine: Engine, clock: ManualClock, budget: Budget) -> Key:
    """A key on that budget, with limits that no test meets by chance."""
    return issue(Keys(engine, clock), budget)[1]
