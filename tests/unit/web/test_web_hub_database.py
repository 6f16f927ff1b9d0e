"""A centre whose database is taken away under it says so, and makes no new one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

pytest.importorskip("duckdb")

from hub_office import HOLDERS, HubOffice
from people_console import PASSWORD, Visitor
from qaztech.core.errors import Unavailable
from qaztech.hub.detecting import DetectApart
from qaztech.hub.operational import hub_app
from qaztech.runtime.database import BUSY_SECONDS, sqlite_url
from registry_country import quick_folder


@pytest.fixture
def place() -> Iterator[Path]:
    """Where the centre is."""
    with quick_folder() as folder:
        yield folder / "hub"


@pytest.fixture
def office(place: Path) -> Iterator[HubOffice]:
    """A centre on a SQLite file, whatever other tests run on."""
    office = HubOffice(place, deliver=False)
    yield office
    office.close()


def database_of(office: HubOffice) -> Path:
    """The file; skips where there is none."""
    if office.hub.engine.dialect.name != "sqlite":
        pytest.skip("a server's database is no file")
    return Path(str(office.hub.engine.url.database))


def test_a_centre_notices_that_its_database_was_deleted(office: HubOffice) -> None:
    """Health and pages say so, no file is made, and with the file back all goes on."""
    file = database_of(office)
    analyst = Visitor(office.app)
    assert analyst.sign_in(HOLDERS["analyst"], PASSWORD).status == 303
    node_side = Visitor(hub_app(office.deliveries))
    assert (analyst.get("/health").status, node_side.get("/health").status) == (200, 200)
    aside = file.rename(file.with_name("aside.db"))
    for health in (analyst.get("/health"), node_side.get("/health")):
        assert (health.status, health.json()["code"]) == (503, "database.replaced")
    for page in ("/console/", "/console/objects", "/console/import"):
        told = analyst.get(f"{page}?lang=ru")
        assert told.status == 503
        assert "База данных этого сайта удалена или подменена" in told.text
    assert analyst.get("/api/v1/objects").json()["code"] == "database.replaced"
    assert not file.exists()
    aside.rename(file)
    assert analyst.get("/console/objects").status == 200


def test_a_centre_does_not_go_on_with_another_database(office: HubOffice) -> None:
    """A copy in its place may lack what was promised since."""
    file = database_of(office)
    old = file.read_bytes()
    file.unlink()
    file.write_bytes(old)
    told = Visitor(office.app).get("/health")
    assert (told.status, told.json()["code"]) == (503, "database.replaced")


def test_pages_answer_while_a_long_transaction_writes(office: HubOffice) -> None:
    """Also where it is time to note that the session is in use; that is noted later."""
    analyst = Visitor(office.app)
    assert analyst.sign_in(HOLDERS["analyst"], PASSWORD).status == 303
    office.clock.advance(office.people.parameters.session_touch + 1)
    began = time.monotonic()
    with office.hub.engine.begin():
        for page in ("/console/", "/console/objects", "/console/cases", "/console/import", "/console/traffic"):
            assert analyst.get(page).status == 200
    assert time.monotonic() - began < BUSY_SECONDS
    seen = office.people.sessions.of(office.people.accounts.named(HOLDERS["analyst"]).id)[0].seen
    assert seen < office.clock.now()
    assert analyst.get("/console/").status == 200
    assert office.people.sessions.of(office.people.accounts.named(HOLDERS["analyst"]).id)[0].seen == office.clock.now()


def test_detectors_make_no_database(place: Path) -> None:
    """The process that runs them is given where the centre's is."""
    place.mkdir(parents=True)
    file = place / "hub.db"
    detect = DetectApart(database=sqlite_url(file), flows=place / "flows", rows=place / "rows")
    with pytest.raises(Unavailable) as refused:
        asyncio.run(asyncio.to_thread(detect, date(2026, 11, 23), lambda *_: None))
    assert refused.value.code == "database.replaced"
    assert not file.exists()


def test_the_metrics_count_who_was_let_in(office: HubOffice) -> None:
    """As every console's do."""
    assert 'qaztech_sign_ins_total{by="password",result="refused"} 0' in Visitor(office.app).get("/metrics").text
