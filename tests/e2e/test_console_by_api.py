"""A member's console by its API in the running country: maintenance by timetable, and exchanges of the whole log."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from qaztech.core.time import SystemClock
from qaztech.member.console import CONSOLE_ROLES
from qaztech.member.console_client import ConsoleClient
from qaztech.people.actors import COMMAND_LINE
from qaztech.people.people import People
from qaztech.people.tables import PEOPLE
from qaztech.runtime.database import open_database, sqlite_url
from qaztech.testing.consoles import FOLDER
from qaztech.testing.instance import Instance, request

RUNNING = (
    "registry", "witness-archive", "system-codes", "node-ministry", "node-registers", "console-registers",
    "portal",
)  # fmt: skip
NOTICE = {"kk": "Қайта жүктеу", "ru": "Перезапуск", "en": "Restart"}


@pytest.fixture(scope="module")
def country(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """A country with a console of the registers."""
    with Instance(tmp_path_factory.mktemp("console") / "home", only=RUNNING) as country:
        yield country


@pytest.fixture(scope="module")
def console(country: Instance) -> ConsoleClient:
    """It, as a program with a token of its owner of services."""
    engine = open_database(sqlite_url(country.home / "members/registers" / FOLDER / "console.db"), PEOPLE)
    people = People(engine, roles=CONSOLE_ROLES, clock=SystemClock())
    account, until = people.accounts.named("owner").id, people.clock.now() + 3_600_000
    token, _ = people.tokens.create(account, "t", CONSOLE_ROLES["service-owner"], until, by=COMMAND_LINE)
    engine.dispose()
    return ConsoleClient(country.country["consoles"]["registers"], token)


def test_a_service_is_away_while_it_was_planned_and_comes_back(country: Instance, console: ConsoleClient) -> None:
    """Callers read the notice; before and after they are answered, and nobody does anything at the end."""
    assert country.call().status == 200
    begin = int(time.time() * 1000) + 2500
    planned = {"begin": begin, "end": begin + 3000, "notice": NOTICE}
    signed = console.post("services", "maintenance", body={"service": country.service, "maintenance": planned})
    assert (signed["registry"], signed["node"], signed["showcase"]) == (None, None, None)
    assert country.call().status == 200, "it has not begun"
    country.until(lambda: time.time() * 1000 > begin + 100)
    away = country.call()
    assert (away.status >= 500, away.headers.get("x-road-error")) == (True, "server.serverproxy.service_disabled")
    assert "Қайта жүктеу / Перезапуск / Restart" in json.loads(away.body)["message"]
    country.until(lambda: country.call().status == 200, 15.0)
    assert time.time() * 1000 >= begin + 3000


def test_maintenance_is_read_on_the_portal_before_it_begins(country: Instance, console: ConsoleClient) -> None:
    """By the country's clocks, in the reader's language; taken back it is gone."""
    begin = int(time.time() * 1000) + 3_600_000
    planned = {"begin": begin, "end": begin + 60_000, "notice": NOTICE}
    console.post("services", "maintenance", body={"service": country.service, "maintenance": planned})

    def told() -> bool:
        path = f"/services/{country.service.partition('/')[2]}?lang=kk"  # without the country's name
        page = request(country.country["portal"], "GET", path)
        assert page.status in {200, 503}, page.body
        return "Қайта жүктеу" in page.body.decode()

    country.until(told, 20.0)
    console.post("services", "maintenance", body={"service": country.service, "maintenance": None})
    country.until(lambda: not told(), 20.0)
    assert country.call().status == 200


def test_exchanges_are_found_that_the_node_itself_has_forgotten(country: Instance, console: ConsoleClient) -> None:
    """After a restart the last ones are no longer in memory; the log has them all, page by page."""
    made = [country.call().message for _ in range(7)]
    country.terminate("node-registers")
    country.start()
    country.until(lambda: country.call().status == 200, 20.0)
    found, before = [], ""
    for _ in range(20):
        page = console.post("search", "exchanges", body={"service": "CODES", "limit": 3, "before": before})
        found += [one["message"] for one in page["exchanges"]]
        if page["before"] is None:
            break
        before = page["before"]
    assert set(made) <= set(found)
    assert len(found) == len(set(found))
    listed = console.post("search", "exchanges", body={"limit": 100})["exchanges"]
    one = next(each for each in listed if each["message"] == made[0])
    page = console.post("search", "exchanges", body={"since": one["time"], "until": one["time"] + 1})
    assert made[0] in [each["message"] for each in page["exchanges"]]
    assert console.get("exchanges", made[0])["outcome"] == "answered"
