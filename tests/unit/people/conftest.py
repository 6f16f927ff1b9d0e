"""People of a small console: four accounts, roles with scopes, a clock that moves when told, cheap argon2."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from people_console import CHEAP, PASSWORD, ROLES
from qaztech.core.time import ManualClock
from qaztech.people.actors import COMMAND_LINE
from qaztech.people.people import People
from qaztech.people.tables import PEOPLE
from qaztech.runtime.database import open_database, sqlite_url


@pytest.fixture
def clock() -> ManualClock:
    """The time, which stands still until moved."""
    return ManualClock()


@pytest.fixture
def people(tmp_path: Path, clock: ManualClock) -> Iterator[People]:
    """One account for each role, and one without any; all have the same password."""
    engine = open_database(sqlite_url(tmp_path / "people.db"), PEOPLE)
    found = People(engine, roles=ROLES, clock=clock, parameters=CHEAP)
    for name, roles in [
        ("aigerim", ["administrator"]), ("olzhas", ["service-owner"]), ("dana", ["developer"]), ("nobody", []),
    ]:  # fmt: skip
        found.accounts.add(name, name.title(), roles, PASSWORD, by=COMMAND_LINE)
    yield found
    engine.dispose()
