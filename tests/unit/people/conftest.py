"""People of a small console: four accounts, roles with scopes, a clock that moves when told, cheap argon2."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from databases import database_at
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


def filled(url: str, clock: ManualClock) -> People:
    """One account for each role, and one without any; all have the same password."""
    found = People(open_database(url, PEOPLE), roles=ROLES, clock=clock, parameters=CHEAP)
    for name, roles in [
        ("aigerim", ["administrator"]), ("olzhas", ["service-owner"]), ("dana", ["developer"]), ("nobody", []),
    ]:  # fmt: skip
        found.accounts.add(name, name.title(), roles, PASSWORD, by=COMMAND_LINE)
    return found


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A SQLite file with the accounts, made once; tests get copies of it."""
    path = tmp_path_factory.mktemp("people") / "template.db"
    filled(sqlite_url(path), ManualClock()).engine.dispose()
    return path.read_bytes()


@pytest.fixture
def people(tmp_path: Path, clock: ManualClock, template: bytes) -> Iterator[People]:
    """The people of a database of the test's own."""
    path = tmp_path / "people.db"
    url = database_at(path)
    if url == sqlite_url(path):
        path.write_bytes(template)
        found = People(open_database(url, PEOPLE), roles=ROLES, clock=clock, parameters=CHEAP)
    else:
        found = filled(url, clock)
    yield found
    found.engine.dispose()
