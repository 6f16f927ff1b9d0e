"""The node's side of the registry: what it believes, what it refuses, and what it says about it."""

from __future__ import annotations

import shutil
from dataclasses import replace

import msgspec
import pytest

from qaztech.core.errors import Error, Limited, Malformed, NotFound, Unavailable, Untrusted
from qaztech.core.ids import MemberId, ServiceId
from qaztech.registry.authoring import new_statement, revise, rotate_key
from qaztech.registry.client import ClientSettings, ConfigurationClient
from qaztech.registry.member_file import sign_statement
from qaztech.registry.mirror import MirrorLimits
from qaztech.registry.publication import Entry
from qaztech.trust.keys import Ed25519Key
from registry_country import Country, LocalFetcher, MemberDesk, names, seed

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR


class Scene:
    """A provider, a consumer with a right, and the consumer's node."""

    def __init__(self, country: Country) -> None:
        self.country = country
        self.provider = country.new_member(1, "provider")
        self.consumer = country.new_member(2, "consumer")
        self.service = country.add_service(self.provider, "countries")
        country.admit(self.consumer)
        country.admit(self.provider)
        country.grant(
            self.provider, self.service, self.consumer.subsystem("main"), self.consumer.lineage, "GET /countries/*"
        )
        self.client, self.fetcher = country.client(self.consumer)
        self.client.want(self.provider.id)
        self.client.refresh()

    def codes(self) -> list[str]:
        """What was reported as an incident, by code."""
        return [e.code for e in self.client.incidents]  # type: ignore[attr-defined]

    def allowed(self, client: ConfigurationClient | None = None) -> bool:
        """Whether the call that was granted is allowed now."""
        configuration = (client or self.client).configuration()
        now = self.country.clock.now()
        return (
            configuration.authorise(self.consumer.subsystem("main"), self.service, "GET", "/countries/KZ", now)
            is not None
        )

    def restart(self) -> tuple[ConfigurationClient, LocalFetcher]:
        """The same node, started again from its disk."""
        return self.country.client(self.consumer)

    def put(self, desk: MemberDesk, envelope: bytes) -> None:
        """Publish a member file past the registry's own checks."""
        self.country.store.put_member_file(str(desk.id), envelope)
        known = self.country.registry._known[str(desk.id)]
        self.country.registry._known[str(desk.id)] = known._replace(entry=Entry.of(envelope))
        self.country.publish()


@pytest.fixture
def scene(country: Country) -> Scene:
    """A running country."""
    return Scene(country)


def test_nothing_is_decided_before_something_is_verified(country: Country) -> None:
    """A node without a configuration refuses."""
    client, fetcher = country.client(country.admit(country.new_member(1, "provider")))
    with pytest.raises(Unavailable, match="missing"):
        client.configuration()
    fetcher.down = True
    with pytest.raises(Unavailable):
        client.refresh()
    with pytest.raises(Unavailable):
        client.load()


def test_an_unchanged_registry_costs_two_small_files(scene: Scene) -> None:
    """A refresh without news asks for the next root and the timestamp, and keeps the configuration."""
    before = scene.client.configuration()
    scene.fetcher.fetched.clear()
    assert scene.client.refresh() is before
    assert [path for path, _ in scene.fetcher.fetched] == ["metadata/timestamp.json"]


def test_one_changed_right_costs_little(scene: Scene) -> None:
    """Only what changed is fetched: timestamp, snapshot, two bins, the file and the page."""
    scene.country.grant(
        scene.provider, scene.service, scene.consumer.subsystem("main"), scene.consumer.lineage, "GET /**"
    )
    scene.fetcher.fetched.clear()
    scene.client.refresh()
    assert len(scene.fetcher.fetched) <= 7
    assert sum(size for _, size in scene.fetcher.fetched) < 16 * 1024


def test_a_revoked_right_is_gone_at_the_next_refresh(scene: Scene) -> None:
    """What a member takes back is taken back."""
    assert scene.allowed()
    scene.provider.rights[scene.service] = scene.provider.rights[scene.service].revoke(scene.consumer.subsystem("main"))
    scene.country.send(scene.provider)
    scene.client.refresh()
    assert not scene.allowed()


def test_a_node_starts_from_its_disk_without_the_registry(scene: Scene) -> None:
    """Everything verified is kept; no network is needed until it expires."""
    client, fetcher = scene.restart()
    fetcher.down = True
    client.load()
    assert scene.allowed(client)
    assert fetcher.fetched == []
    scene.country.clock.advance(2 * DAY)
    with pytest.raises(Unavailable, match="expired"):
        client.configuration()
    with pytest.raises(Untrusted, match="expired"):
        scene.restart()[0].load()


def test_a_silent_registry_alarms_and_closes_at_expiry(scene: Scene) -> None:
    """Three minutes without a sign of life raise an alarm; a day closes."""
    for _ in range(5):
        scene.country.clock.advance(MINUTE)
        scene.country.publish()
        scene.client.refresh()
        assert scene.client.alarms() == []
    for _ in range(3):
        scene.country.clock.advance(MINUTE)
        scene.client.refresh()
    assert [a.code for a in scene.client.alarms()] == ["configuration.frozen"]
    assert scene.allowed()
    scene.fetcher.down = True
    with pytest.raises(Unavailable):
        scene.client.refresh()
    assert {a.code for a in scene.client.alarms()} == {"configuration.frozen", "registry.unavailable"}
    assert scene.allowed()
    scene.country.clock.advance(DAY)
    with pytest.raises(Unavailable, match="expired"):
        scene.client.configuration()
    scene.fetcher.down = False
    with pytest.raises(Untrusted, match="expired"):
        scene.client.refresh()
    scene.country.publish()
    scene.client.refresh()
    assert scene.allowed()
    assert scene.client.alarms() == []


def test_a_registry_rolled_back_closes_at_once(scene: Scene, country: Country) -> None:
    """Yesterday's files, once today's were seen, are an attack: the node refuses until they are gone."""
    old = country.directory / "old"
    shutil.copytree(country.published, old)
    country.admit(country.new_member(3, "other"))
    scene.client.refresh()
    new = country.directory / "new"
    country.published.rename(new)
    old.rename(country.published)
    for client, _ in ((scene.client, None), scene.restart()):
        with pytest.raises(Untrusted, match="rollback"):
            client.refresh()
        with pytest.raises(Unavailable, match=r"closed|missing"):
            client.configuration()
    assert scene.codes() == ["configuration.rollback"]
    shutil.rmtree(country.published)
    new.rename(country.published)
    scene.client.refresh()
    assert scene.allowed()


def test_a_foreign_registry_closes_at_once(
    scene: Scene, country: Country, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Metadata signed with other keys is refused, whatever version it claims."""
    other = Country(tmp_path_factory.mktemp("other"))
    for _ in range(9):
        other.publish()
    scene.fetcher.replaced["metadata/timestamp.json"] = (other.published / "metadata/timestamp.json").read_bytes()
    with pytest.raises(Untrusted, match="signature"):
        scene.client.refresh()
    with pytest.raises(Unavailable, match="closed"):
        scene.client.configuration()
    assert [a.code for a in scene.client.alarms()] == ["configuration.signature"]
    scene.fetcher.replaced.clear()
    scene.client.refresh()
    assert scene.allowed()
    other.close()


@pytest.mark.parametrize("name", ["snapshot.json", "targets/members", ".b-"])
def test_a_changed_file_on_the_way_is_found(scene: Scene, country: Country, name: str) -> None:
    """One byte exchanged between registry and node, in metadata or in a target."""
    country.grant(scene.provider, scene.service, scene.consumer.subsystem("main"), scene.consumer.lineage, "GET /**")
    probe, fetcher = country.client(scene.consumer, "probe")
    probe.want(scene.provider.id)
    probe.refresh()
    known = {p for p, _ in scene.fetcher.fetched}
    path = next(p for p, _ in fetcher.fetched if name in p and p not in known)
    data = (country.published / path).read_bytes()
    scene.fetcher.replaced[path] = data[:60] + bytes([data[60] ^ 1]) + data[61:]
    with pytest.raises(Untrusted):
        scene.client.refresh()
    with pytest.raises(Unavailable, match="closed"):
        scene.client.configuration()


def test_garbage_is_untrusted(scene: Scene) -> None:
    """Whatever stands where the timestamp should be."""
    for data in (b"", b"{}", b"[]", b"\xff\xfe", b'{"signed":{},"signatures":[]}', b"[" * 5000, b"null", b"1e999"):
        scene.fetcher.replaced["metadata/timestamp.json"] = data
        with pytest.raises(Untrusted):
            scene.client.refresh()
        scene.fetcher.replaced.clear()
        scene.fetcher.replaced["metadata/2.root.json"] = data
        with pytest.raises(Untrusted):
            scene.client.refresh()
        scene.fetcher.replaced.clear()


def test_oversized_answers_are_not_taken(country: Country) -> None:
    """Every file has a limit, whatever the registry sends."""
    desk = country.admit(country.new_member(1, "provider"))
    settings = ClientSettings(limits=MirrorLimits(timestamp=100))
    client, _ = country.client(desk, settings=settings)
    with pytest.raises(Limited):
        client.refresh()


def test_a_target_larger_than_is_taken_is_refused(country: Country) -> None:
    """A signed length is no reason to fill a disk."""
    desk = country.admit(country.new_member(1, "provider"))
    client, _ = country.client(desk, settings=ClientSettings(limits=MirrorLimits(target=100)))
    with pytest.raises(Untrusted, match="larger"):
        client.refresh()


def test_a_lower_version_is_refused(scene: Scene) -> None:
    """A registry that shows a member's older file, with a right since revoked, is not followed."""
    old = scene.provider.file()
    scene.provider.rights[scene.service] = scene.provider.rights[scene.service].revoke(scene.consumer.subsystem("main"))
    scene.country.send(scene.provider)
    scene.client.refresh()
    scene.put(scene.provider, old)
    configuration = scene.client.refresh()
    assert configuration.member(scene.provider.id) is None
    assert scene.codes() == ["member-file.version"]
    assert [a.code for a in scene.client.alarms()] == ["member-file.version"]
    assert not scene.allowed()


def test_two_files_of_one_version_are_a_contradiction(scene: Scene) -> None:
    """A member that signs two files under one version is believed in neither."""
    other = msgspec.structs.replace(scene.provider.statement, names=names("another"))
    scene.put(scene.provider, sign_statement(other, scene.provider.key))
    assert scene.client.refresh().member(scene.provider.id) is None
    assert scene.codes() == ["member-file.version"]


def test_another_key_is_refused_for_a_pinned_member(scene: Scene) -> None:
    """A member known under one lineage is not believed under another, until its operator says so."""
    thief = Ed25519Key.from_seed(seed("thief"))
    statement = new_statement(scene.provider.id, thief.public, names("provider"), scene.country.clock.now())
    statement = revise(statement, scene.country.clock.now(), version=99)
    scene.put(scene.provider, sign_statement(statement, thief))
    assert scene.client.refresh().member(scene.provider.id) is None
    assert scene.codes() == ["member-file.lineage"]
    restarted, _ = scene.restart()
    assert restarted.refresh().member(scene.provider.id) is None
    assert restarted.forget(scene.provider.id)
    assert not restarted.forget(MemberId("KZ", "GOV", "1"))
    member = restarted.refresh().member(scene.provider.id)
    assert member is not None
    assert member.version == 99


def test_an_own_member_is_known_by_the_settings(scene: Scene) -> None:
    """Even at the very first contact nobody passes for a node's own member."""
    thief = Ed25519Key.from_seed(seed("thief"))
    statement = new_statement(scene.consumer.id, thief.public, names("consumer"), scene.country.clock.now())
    scene.put(scene.consumer, sign_statement(revise(statement, scene.country.clock.now(), version=99), thief))
    client, _ = scene.country.client(scene.consumer, "fresh")
    assert client.refresh().member(scene.consumer.id) is None
    assert [e.code for e in client.incidents] == ["member-file.lineage"]


def test_a_key_is_followed_through_its_changes(scene: Scene) -> None:
    """A rotated key introduced by the one before is accepted; the old key is then worth nothing."""
    old, new = scene.provider.key, Ed25519Key.from_seed(seed("new"))
    before = scene.provider.statement
    scene.provider.statement = rotate_key(before, old, new.public, scene.country.clock.now())
    scene.provider.key = new
    scene.country.registry.accept_member_file(scene.provider.file())
    scene.country.publish()
    assert scene.client.refresh().member(scene.provider.id).version == before.version + 1
    assert scene.allowed()
    # Whoever finds the old key can sign for the old lineage, and is not believed.
    thief = Ed25519Key.from_seed(seed("thief"))
    forked = rotate_key(before, old, thief.public, scene.country.clock.now())
    scene.put(scene.provider, sign_statement(revise(forked, scene.country.clock.now(), version=50), thief))
    assert scene.client.refresh().member(scene.provider.id) is None
    stale = revise(before, scene.country.clock.now(), version=51)
    scene.put(scene.provider, sign_statement(stale, old))
    assert scene.client.refresh().member(scene.provider.id) is None
    assert scene.codes() == ["member-file.lineage"]


def test_a_file_that_expires_takes_only_its_member_with_it(scene: Scene) -> None:
    """Years pass; who did not sign again is left out, everyone else stays."""
    desk = scene.country.admit(scene.country.new_member(3, "forgetful"))
    scene.client.want(desk.id)
    scene.client.refresh()
    for serial in range(1, 30):
        scene.country.clock.advance(13 * DAY)
        if serial in {10, 20}:
            scene.country.publication.renew_offline()
            scene.country.send(scene.provider)
            scene.country.send(scene.consumer)
        scene.country.publish()
    configuration = scene.client.refresh()
    assert configuration.member(desk.id) is None
    assert configuration.member(scene.provider.id) is not None
    assert "member-file.expired" in scene.codes()


def test_a_suspended_member_is_gone_and_comes_back(scene: Scene) -> None:
    """Suspension takes nodes, services and logs out; resuming gives them back as they were."""
    scene.country.registry.suspend(scene.provider.id)
    scene.country.publish()
    configuration = scene.client.refresh()
    assert configuration.member(scene.provider.id) is None
    assert configuration.node_by_tls(scene.provider.tls) is None
    assert configuration.log(scene.provider.origin) is None
    assert [m.id for m in configuration.members()] == [scene.consumer.id]
    assert scene.codes() == []
    scene.country.registry.resume(scene.provider.id)
    scene.country.publish()
    scene.client.refresh()
    assert scene.allowed()


def test_a_revoked_tls_key_is_nobodys(scene: Scene) -> None:
    """The registry can take a node off the wire."""
    assert scene.client.configuration().node_by_tls(scene.provider.tls) is not None
    scene.country.registry.revoke_tls(scene.provider.tls)
    scene.country.publish()
    configuration = scene.client.refresh()
    assert configuration.node_by_tls(scene.provider.tls) is None
    assert configuration.nodes_of(scene.provider.id) == ()
    assert configuration.member(scene.provider.id) is not None


def test_clients_named_in_own_rights_are_known_ahead(scene: Scene) -> None:
    """The provider's node knows its callers before they call; a stranger it must be told to want."""
    client, _ = scene.country.client(scene.provider)
    configuration = client.refresh()
    assert configuration.member(scene.consumer.id) is not None
    stranger = scene.country.admit(scene.country.new_member(5, "stranger"))
    assert client.refresh().member(stranger.id) is None
    assert client.want(stranger.id)
    assert not client.want(stranger.id)
    assert client.refresh().member(stranger.id) is not None
    assert not client.want(MemberId("EE", "GOV", "1"))


def test_an_unproven_snapshot_raises_an_alarm_and_no_more(scene: Scene) -> None:
    """Witnesses may be slow; a proof that is wrong is an incident."""
    scene.country.witnessed = b""
    scene.country.admit(scene.country.new_member(3, "other"))
    scene.client.refresh()
    for _ in range(11):
        scene.country.clock.advance(MINUTE)
        scene.country.publish()
        scene.client.refresh()
    assert [a.code for a in scene.client.alarms()] == ["configuration.unproven"]
    version = scene.client.configuration().snapshot_version
    scene.country.witnessed = None
    scene.fetcher.replaced[f"snapshots/{version}/proof"] = scene.country.proof(version, ("registry",))
    scene.client.refresh()
    assert scene.codes() == ["policy.quorum"]
    scene.fetcher.replaced[f"snapshots/{version}/proof"] = b"junk"
    scene.client.refresh()
    assert scene.client.archive.proof(version) is None
    scene.fetcher.replaced.clear()
    scene.client.refresh()
    assert scene.client.alarms() == []
    assert scene.client.archive.unproven() == []


def test_a_registry_that_withholds_a_file_is_reported(scene: Scene) -> None:
    """What is signed for and not given out is left out, reported, and tried again."""
    scene.country.grant(
        scene.provider, scene.service, scene.consumer.subsystem("main"), scene.consumer.lineage, "GET /**"
    )
    original = scene.fetcher.fetch

    def fetch(path: str, limit: int) -> bytes:
        if path.startswith("targets/rights"):
            raise NotFound("registry.missing", path, at="registry")
        return original(path, limit)

    scene.fetcher.fetch = fetch  # type: ignore[method-assign]
    scene.client.refresh()
    assert not scene.allowed()
    assert {a.code for a in scene.client.alarms()} == {"registry.missing"}
    scene.fetcher.fetch = original  # type: ignore[method-assign]
    scene.client.refresh()
    assert scene.allowed()
    assert scene.client.alarms() == []


def test_a_fetch_that_fails_halfway_is_made_up_for(scene: Scene) -> None:
    """A snapshot taken up but not yet read to the end is read at the next refresh."""
    scene.country.grant(
        scene.provider, scene.service, scene.consumer.subsystem("main"), scene.consumer.lineage, "GET /**"
    )
    original = scene.fetcher.fetch

    def fetch(path: str, limit: int) -> bytes:
        if "/b-" in path or ".b-" in path:
            raise Unavailable("registry.unavailable", "cut", at="registry")
        return original(path, limit)

    before = scene.client.configuration()
    scene.fetcher.fetch = fetch  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        scene.client.refresh()
    assert scene.client.configuration() is before
    scene.fetcher.fetch = original  # type: ignore[method-assign]
    assert scene.client.refresh().snapshot_version == before.snapshot_version + 1


def test_damaged_pins_are_not_passed_over(scene: Scene) -> None:
    """A node that forgot whom it trusted says so, instead of trusting anew."""
    (scene.country.directory / "nodes" / scene.consumer.id.code / "pins.json").write_bytes(b"{")
    with pytest.raises(Malformed, match="damaged"):
        scene.restart()


def test_a_damaged_archive_is_fetched_again(scene: Scene) -> None:
    """A blob that is not what its name says does not count as there."""
    folder = scene.country.directory / "nodes" / scene.consumer.id.code / "blobs"
    for path in folder.rglob("*"):
        if path.is_file():
            path.write_bytes(b"damaged")
    client, fetcher = scene.restart()
    with pytest.raises((Unavailable, Untrusted)):
        client.load()
    client.refresh()
    assert scene.allowed(client)
    assert fetcher.fetched


def test_errors_are_the_projects_own(scene: Scene) -> None:
    """Nothing else than our errors comes out of a refresh, whatever the fetcher raises of ours."""
    scene.fetcher.replaced["metadata/timestamp.json"] = b"\x00"
    with pytest.raises(Error):
        scene.client.refresh()
    assert isinstance(scene.service, ServiceId)
    assert replace(scene.client.alarms()[0]).code == "configuration.metadata"


def test_who_may_call_us_and_whom_we_may_call_is_one_member(scene: Scene) -> None:
    """A member taken up because it is named in our rights is known with its own rights, before the first call to it."""
    country, consumer = scene.country, scene.consumer
    back = country.add_service(consumer, "back")
    country.grant(consumer, back, scene.provider.subsystem("main"), scene.provider.lineage, "* /**")
    client, _ = country.client(consumer, "fresh")
    client.refresh()
    assert scene.allowed(client)
