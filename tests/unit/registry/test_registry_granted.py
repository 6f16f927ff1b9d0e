"""The book of rights: what was given since when, what was taken away, and what is not known stays so."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from qaztech.core.ids import ServiceId
from qaztech.core.rights import Endpoint
from qaztech.registry.archive import Archive
from qaztech.registry.granted import Granted, RightsBook
from qaztech.registry.past_rights import RightsKeeper
from qaztech.registry.survey import Surveyor
from qaztech.runtime.database import sqlite_url
from registry_country import Country, LocalFetcher, MemberDesk


class Scene:
    """A provider, two clients, and a book that follows what is published."""

    def __init__(self, country: Country) -> None:
        self.country = country
        self.book = RightsBook.open(sqlite_url(country.directory / "granted.db"))
        self.provider = country.new_member(1, "provider")
        self.service: ServiceId = country.add_service(self.provider, "permits")
        self.clients = [country.admit(country.new_member(serial, f"client{serial}")) for serial in (2, 3)]
        country.admit(self.provider)
        self.fetcher = LocalFetcher(country)
        self.surveyor = Surveyor(
            anchor=country.anchor, directory=country.directory / "survey", fetcher=self.fetcher, clock=country.clock,
            built=self.book.follow,
        )  # fmt: skip

    def look(self) -> None:
        """Follow the registry once, a minute later."""
        self.country.clock.advance(60_000)
        self.surveyor.refresh()

    def grant(self, client: MemberDesk, endpoint: str, until: int | None = None) -> int:
        """Give a right and publish it; when."""
        self.country.clock.advance(1000)
        rights = self.provider.rights[self.service]
        self.provider.rights[self.service] = rights.grant(
            client.subsystem("main"), client.lineage, [Endpoint.parse(endpoint)], until=until
        )
        self.country.send(self.provider)
        return self.country.clock.now()

    def revoke(self, client: MemberDesk) -> int:
        """Take every right of a client away; when."""
        self.country.clock.advance(1000)
        self.provider.rights[self.service] = self.provider.rights[self.service].revoke(client.subsystem("main"))
        self.country.send(self.provider)
        return self.country.clock.now()

    def rows(self, **options: object) -> list[Granted]:
        """The newest rows."""
        return self.book.newest(now=self.country.clock.now(), **options)[0]  # type: ignore[arg-type]


@pytest.fixture
def scene(country: Country) -> Iterator[Scene]:
    """The country of three."""
    found = Scene(country)
    yield found
    found.book.close()


def test_what_is_given_and_taken_away_stands_in_the_book(scene: Scene) -> None:
    """With the times at which the provider signed, the newest first."""
    one, two = scene.clients
    scene.look()
    first = scene.grant(one, "GET /a")
    scene.look()
    second = scene.grant(two, "GET /b")
    scene.look()
    gone = scene.revoke(one)
    scene.look()
    taken, open_ = scene.rows()
    assert (taken.client, taken.since, taken.ended, taken.why, taken.exact) == (
        str(one.subsystem("main")), first, gone, "revoked", True,
    )  # fmt: skip
    assert (open_.client, open_.since, open_.ended, open_.endpoints) == (
        str(two.subsystem("main")), second, None, ("GET /b",),
    )  # fmt: skip
    assert open_.provider == str(scene.provider.id)
    assert open_.service == str(scene.service)


def test_what_was_there_at_the_first_look_was_given_then_or_earlier(scene: Scene) -> None:
    """Nobody can tell when, from this file alone; also after a version that was not seen."""
    one, two = scene.clients
    scene.grant(one, "GET /a")
    scene.look()
    scene.grant(two, "GET /b")
    scene.grant(two, "GET /c")
    scene.look()
    assert [row.exact for row in scene.rows()] == [False] * len(scene.rows())
    assert len(scene.rows()) >= 2


def test_a_right_with_other_words_is_a_change(scene: Scene) -> None:
    """One that is over when it goes has expired; nothing is written twice."""
    one, two = scene.clients
    scene.grant(two, "GET /b", until=scene.country.clock.now() + 30_000)
    scene.look()
    scene.revoke(one)  # nothing of it there; a new version all the same
    scene.look()
    assert len(scene.rows()) == 1
    assert scene.rows(which="open") == []
    scene.revoke(two)
    scene.grant(one, "GET /a")
    scene.look()
    assert [row.why for row in scene.rows(which="ended")] == ["expired"]
    scene.revoke(one)
    scene.grant(one, "GET /a/**")
    scene.look()
    assert {row.endpoints: row.why for row in scene.rows(members=[str(one.id)])} == {
        ("GET /a",): "changed", ("GET /a/**",): None,
    }  # fmt: skip


def test_a_page_that_cannot_be_had_takes_nothing_away(scene: Scene) -> None:
    """The file waits until it can be read whole."""
    one, two = scene.clients
    scene.grant(one, "GET /a")
    scene.look()
    scene.grant(two, "GET /b")
    page = next(path for path in scene.country.registry.targets() if path.startswith("rights/"))
    digest = page.removeprefix("rights/").removesuffix(".json")
    file = scene.country.published / "targets" / "rights" / f"{digest}.{digest}.json"
    kept = file.read_bytes()
    file.unlink()
    scene.look()
    assert [row.client for row in scene.rows(which="open")] == [str(one.subsystem("main"))]
    file.write_bytes(kept)
    scene.look()
    assert len(scene.rows(which="open")) == 2


def test_a_book_that_begins_late_knows_what_the_archive_holds(scene: Scene) -> None:
    """A right that was given and taken away while the portal looked, but kept no book yet."""
    one, two = scene.clients
    scene.look()
    given = scene.grant(one, "GET /a")
    scene.look()
    scene.grant(two, "GET /b")
    scene.look()
    gone = scene.revoke(one)
    scene.look()
    folder = scene.country.directory
    late = RightsBook.open(sqlite_url(folder / "late.db"))
    keeper = RightsKeeper(late, Archive(folder / "survey"))
    surveyor = Surveyor(
        anchor=scene.country.anchor, directory=folder / "survey", fetcher=scene.fetcher, clock=scene.country.clock,
        built=keeper.follow,
    )  # fmt: skip
    surveyor.load()
    surveyor.refresh()
    rows, total = late.newest(now=scene.country.clock.now())
    assert (rows, total) == (scene.rows(), 2)
    assert (rows[0].since, rows[0].ended, rows[0].why) == (given, gone, "revoked")
    assert keeper.follow((), {}) is None
    assert late.newest(now=0)[1] == 2
    late.close()


def test_rows_are_picked_and_paged(scene: Scene) -> None:
    """By member on either side, by service, by whether they last."""
    one, two = scene.clients
    scene.look()
    scene.grant(one, "GET /a")
    scene.grant(two, "GET /b")
    scene.look()
    assert len(scene.rows(members=[str(scene.provider.id)])) == 2
    assert len(scene.rows(members=[str(two.id)])) == 1
    assert scene.rows(members=[]) == scene.rows(services=["KZ/GOV/1/x/y"]) == []
    page, total = scene.book.newest(services=[str(scene.service)], now=0, offset=1, limit=1)
    assert (len(page), total) == (1, 2)
