"""The whole country as the portal sees it: what is taken in, what is left out, what stays when the registry fails."""

from __future__ import annotations

import pytest

from qaztech.core.errors import Error
from qaztech.registry.survey import SurveyLimits, Surveyor
from registry_country import Country, LocalFetcher, MemberDesk, names


class Scene:
    """A provider, a consumer with a right, and somebody who looks at the country."""

    def __init__(self, country: Country) -> None:
        self.country = country
        self.provider = country.new_member(1, "provider")
        self.consumer = country.new_member(2, "consumer", member_class="EDU")
        self.service = country.add_service(self.provider, "countries")
        country.admit(self.consumer)
        country.admit(self.provider)
        self.grant("GET /countries/*")
        self.surveyor, self.fetcher = self.look()

    def look(self, folder: str = "survey", **options: object) -> tuple[Surveyor, LocalFetcher]:
        """Somebody who follows the registry from a folder."""
        fetcher = LocalFetcher(self.country)
        directory = self.country.directory / folder
        surveyor = Surveyor(
            anchor=self.country.anchor, directory=directory, fetcher=fetcher, clock=self.country.clock, **options
        )
        return surveyor, fetcher

    def grant(self, *endpoints: str) -> None:
        """Give the consumer a right."""
        client = self.consumer.subsystem("main")
        self.country.grant(self.provider, self.service, client, self.consumer.lineage, *endpoints)

    def callers(self) -> list[tuple[str, tuple[str, ...]]]:
        """Who may call, as it stands in the catalogue."""
        catalogue = self.surveyor.refresh().catalogue
        found = catalogue.callers(catalogue.services[self.service], self.country.clock.now())
        return [(str(caller.client), caller.endpoints) for caller in found]


@pytest.fixture
def scene(country: Country) -> Scene:
    """The country, and one look at it."""
    return Scene(country)


def test_it_holds_everyone_and_everything(scene: Scene) -> None:
    """Members with systems, services and nodes; services with who may call them, of members that are nobody's peers."""
    survey = scene.surveyor.refresh()
    catalogue = survey.catalogue
    assert survey.proven
    assert set(catalogue.members) == {scene.provider.id, scene.consumer.id}
    member = catalogue.members[scene.provider.id]
    assert member.services == (scene.service,)
    assert member.nodes == (scene.provider.node,)
    assert member.subsystems == {scene.provider.subsystem("main"): names("provider main")}
    assert catalogue.services[scene.service].endpoints == ("GET /countries/*",)
    assert catalogue.calls == {str(scene.consumer.subsystem("main")): [scene.service]}
    assert [log.origin for log in catalogue.logs_of(scene.provider.id)] == [scene.provider.origin]
    assert scene.callers() == [(str(scene.consumer.subsystem("main")), ("GET /countries/*",))]


def test_it_follows_what_changes(scene: Scene) -> None:
    """A right given later is there after the next look; a look at nothing new costs one small file."""
    scene.callers()
    scene.fetcher.fetched.clear()
    scene.callers()
    assert len(scene.fetcher.fetched) <= 2  # the timestamp, and whether there is a newer root
    scene.grant("POST /countries")
    endpoints = [endpoint for _, given in scene.callers() for endpoint in given]
    assert endpoints == ["POST /countries"]


def test_a_suspended_member_is_not_shown(scene: Scene) -> None:
    """Neither it, nor its services, nor its rights elsewhere."""
    scene.surveyor.refresh()
    scene.country.registry.suspend(scene.consumer.id)
    scene.country.publish()
    assert scene.consumer.id not in scene.surveyor.refresh().catalogue.members
    assert scene.callers() == []


def test_a_right_of_another_lineage_is_no_right(scene: Scene) -> None:
    """Who was registered later under the same name inherits nothing, here as anywhere."""
    client = scene.consumer.subsystem("main")
    scene.country.grant(scene.provider, scene.service, client, "0" * 64, "DELETE /**")
    assert scene.callers() == []


def test_a_registry_that_fails_leaves_the_last_good_view(scene: Scene) -> None:
    """With the reason beside it."""
    before = scene.surveyor.refresh()
    scene.fetcher.down = True
    with pytest.raises(Error):
        scene.surveyor.refresh()
    assert scene.surveyor.survey is not None
    assert scene.surveyor.survey.catalogue is before.catalogue
    assert scene.surveyor.survey.problem == "registry.unavailable"
    scene.fetcher.down = False
    assert scene.surveyor.refresh().problem is None


def test_a_member_file_put_in_by_the_registry_is_left_out(scene: Scene) -> None:
    """Its keys sign what is distributed, and no word of a member."""
    scene.surveyor.refresh()
    thief: MemberDesk = scene.country.new_member(1, "thief", seed_="other")
    path = f"members/GOV/{scene.provider.id.code}.json"
    scene.country.publish_anything({path: thief.file()})
    catalogue = scene.surveyor.refresh().catalogue
    assert scene.provider.id not in catalogue.members
    assert catalogue.refused == (path,)


def test_a_snapshot_that_is_not_proven_is_said_to_be_so(scene: Scene) -> None:
    """Without a proof yet it is only said; with a wrong one it is a problem."""
    scene.country.witnessed = b""
    survey = scene.surveyor.refresh()
    assert (survey.proven, survey.problem) == (False, None)
    version = survey.catalogue.configuration.snapshot_version
    scene.country.witnessed = None
    scene.fetcher.replaced[f"snapshots/{version}/proof"] = scene.country.proof(version - 1)
    survey = scene.surveyor.refresh()
    assert not survey.proven
    assert survey.problem is not None
    scene.fetcher.replaced.clear()
    survey = scene.surveyor.refresh()
    assert (survey.proven, survey.problem) == (True, None)


def test_a_country_larger_than_the_limit_is_cut(scene: Scene) -> None:
    """What is taken in is bounded, whatever the registry lists."""
    surveyor, _ = scene.look("small", limits=SurveyLimits(members=1))
    assert len(surveyor.refresh().catalogue.members) == 1


def test_a_restart_goes_on_from_the_disk(scene: Scene) -> None:
    """Nothing is fetched twice; without the network the view of before is there, and says so."""
    scene.surveyor.refresh()
    again, fetcher = scene.look()
    fetcher.down = True
    with pytest.raises(Error):
        again.refresh()
    again.load()
    assert again.survey is not None
    assert scene.service in again.survey.catalogue.services
    assert fetcher.fetched == []
