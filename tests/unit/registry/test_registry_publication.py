"""Publishing: whole or not at all, logged before shown, and never two things under one version."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from qaztech.core.errors import Conflict, Internal, Malformed, NotFound
from qaztech.registry import publication as module
from qaztech.registry.keys import RegistryKeys, Thresholds
from qaztech.registry.metadata import Root, Snapshot, Targets, read, snapshot_leaf, suitable_bits
from qaztech.registry.publication import Entry, Publication
from qaztech.registry.publisher import Publisher
from registry_country import Country

HOUR = 3600 * 1000
DAY = 24 * HOUR


class Killed(BaseException):
    """The process ends here."""


def reopen(country: Country) -> None:
    """The registry's process starts again on the same disk."""
    country.publication = Publication(directory=country.published, keys=country.keys, clock=country.clock)
    country.publisher = country.make_publisher()


def test_a_kill_at_any_write_leaves_the_old_state_shown(country: Country, monkeypatch: pytest.MonkeyPatch) -> None:
    """However far a publication came, nodes see the state before it or the state after it, and the next one heals."""
    desk = country.admit(country.new_member(1, "provider"))
    client, _ = country.client(desk)
    original = module.write_file
    for kill_at in range(40):
        before = client.refresh()
        other = country.new_member(100 + kill_at, "other")
        country.registry.admit(other.id, other.lineage, other.statement.names)
        country.registry.accept_member_file(other.file())
        left = kill_at

        def write(path: Path, data: bytes) -> None:
            nonlocal left
            if left == 0:
                raise Killed
            left -= 1
            original(path, data)

        monkeypatch.setattr(module, "write_file", write)
        try:
            country.publish()
        except Killed:
            killed = True
        else:
            killed = False
        monkeypatch.setattr(module, "write_file", original)
        reopen(country)
        after = client.refresh()
        if not killed:
            break
        assert after.snapshot_version == before.snapshot_version
        assert after.members() == before.members()
        country.publish()
        healed = client.refresh()
        assert other.id in {m.id for m in healed.members()}
        assert healed.snapshot_version > before.snapshot_version
    else:
        pytest.fail("the publication never came to its end")
    assert kill_at > 3
    assert len(logged_versions(country)) == country.log.size


def logged_versions(country: Country) -> dict[int, str]:
    """Version and hash of every snapshot in the registry's log; fails where a version stands for two hashes."""
    found: dict[int, str] = {}
    for index in range(country.log.size):
        _, version, digest = country.log.read(index).data.decode().splitlines()
        number = int(version.removeprefix("version "))
        assert found.setdefault(number, digest.removeprefix("sha256 ")) == digest.removeprefix("sha256 ")
    return found


def test_a_kill_before_the_log_or_before_the_timestamp_shows_nothing(country: Country) -> None:
    """A snapshot that was written, or even logged, is not shown; its version is not used again."""
    country.publish()
    first = country.publication.published
    country.clock.advance(2 * HOUR)
    pending = country.publication.prepare(country.registry.targets(), country.registry.content)
    assert pending is not None
    reopen(country)
    assert country.publication.published == first

    async def die(_: bytes) -> int:
        raise Killed

    dying = Publisher(registry=country.registry, publication=country.publication, store=country.store, append=die)
    with pytest.raises(Killed):
        asyncio.run(dying.publish())
    reopen(country)
    assert country.publication.published == first
    country.publish()
    version, digest = country.publication.published or (0, "")
    assert version == 4
    assert logged_versions(country)[version] == digest
    assert country.store.snapshot(version) == (digest, country.log.size - 1)
    assert country.log.read(country.log.size - 1).data == snapshot_leaf(version, digest)


def test_nothing_new_costs_a_timestamp(country: Country) -> None:
    """A sign of life signs the timestamp; the snapshot follows after an hour."""
    country.publish()
    first = country.publication.published
    for _ in range(3):
        country.clock.advance(60_000)
        country.publish()
    assert country.publication.published == first
    country.clock.advance(HOUR)
    country.publish()
    assert country.publication.published != first
    assert country.log.size == 2


def test_bins_are_renewed_before_they_expire(country: Country) -> None:
    """A quiet registry stays valid for as long as it is alive and its offline keys come once a year."""
    desk = country.admit(country.new_member(1, "provider"))
    client, _ = country.client(desk)
    for _ in range(20):
        country.clock.advance(20 * HOUR)
        country.publish()
        assert client.refresh().usable(country.clock.now() + 20 * HOUR)
    assert country.publication.warnings() == []
    country.clock.advance(330 * DAY)
    assert len(country.publication.warnings()) == 2
    country.publication.renew_offline()
    country.send(desk)
    assert country.publication.warnings() == []
    assert client.refresh().member(desk.id) is not None


def test_offline_keys_can_be_carried_away(country: Country) -> None:
    """Without them members and rights are published as before, and nothing above them can be signed."""
    offline = country.directory / "registry/keys/offline"
    offline.rename(country.directory / "vault")
    reopen(country)
    desk = country.admit(country.new_member(1, "provider"))
    client, _ = country.client(desk)
    assert client.refresh().member(desk.id) is not None
    with pytest.raises(Conflict, match="offline"):
        country.publication.renew_offline()


def test_thresholds_are_what_was_asked_for(tmp_path: Path, country: Country) -> None:
    """Two of three sign a root by default; one alone does not make one."""
    root = read(country.publication.first_root, Root).signed
    assert (root.roles["root"].threshold, len(root.roles["root"].keyids)) == (2, 3)
    thresholds = Thresholds(root=3, root_keys=4, targets=1, targets_keys=1)
    folder = tmp_path / "second"
    keys = RegistryKeys.generate(folder / "keys", thresholds)
    made = Publication.create(
        directory=folder / "published", keys=keys, clock=country.clock, thresholds=thresholds, bits=6
    )
    root = read(made.first_root, Root).signed
    assert (root.roles["root"].threshold, len(root.roles["root"].keyids)) == (3, 4)
    assert len(list((folder / "keys/offline").iterdir())) == 5
    assert RegistryKeys.generate(folder / "keys", thresholds).online("bins").public_key.keyid
    with pytest.raises(Internal, match="no snapshot"):
        made.commit(None)


def test_a_snapshot_binds_everything(country: Country) -> None:
    """Each role is named with its hash, so the one hash in the log stands for the whole country."""
    country.admit(country.new_member(1, "provider"))
    version, _ = country.publication.published or (0, "")
    snapshot = read((country.published / f"metadata/{version}.snapshot.json").read_bytes(), Snapshot).signed
    assert len(snapshot.meta) == 17
    for name, meta in snapshot.meta.items():
        data = (country.published / f"metadata/{meta.version}.{name}").read_bytes()
        meta.verify_length_and_hashes(data)
        for path, target in read(data, Targets).signed.targets.items():
            folder, _, file = path.rpartition("/")
            found = country.published / "targets" / folder / f"{target.hashes['sha256']}.{file}"
            target.verify_length_and_hashes(found.read_bytes())


def test_an_older_snapshot_is_not_published_over_a_newer(country: Country) -> None:
    """Two preparations, committed in the wrong order."""
    country.publish()
    country.clock.advance(2 * HOUR)
    first = country.publication.prepare(country.registry.targets(), country.registry.content)
    second = country.publication.prepare(country.registry.targets(), country.registry.content)
    country.publication.commit(second)
    with pytest.raises(Conflict):
        country.publication.commit(first)


def test_a_contradiction_on_disk_stops_the_registry(country: Country) -> None:
    """A file that is not what its name says is our own fault, not something to publish over."""
    country.publish()
    metadata = country.published / "metadata"
    (metadata / "1.snapshot.json").write_bytes((metadata / "1.targets.json").read_bytes())
    with pytest.raises(Exception, match="metadata"):
        reopen(country)


def test_missing_and_foreign_keys_are_said_so(country: Country) -> None:
    """A key file that is not there, or holds something else."""
    folder = country.directory / "registry/keys/online"
    (folder / "bins.pem").unlink()
    with pytest.raises(NotFound):
        country.keys.online("bins")
    (folder / "bins.pem").write_bytes(b"not a key")
    with pytest.raises(Malformed):
        country.keys.online("bins")


@pytest.mark.parametrize(("targets", "bits"), [(0, 4), (50, 4), (200, 5), (20_000, 8), (60_000, 9), (10**9, 14)])
def test_bins_grow_with_the_country(targets: int, bits: int) -> None:
    """Enough bins that a change is cheap, few enough that the snapshot is."""
    assert suitable_bits(targets) == bits


def test_entries_are_lengths_and_hashes() -> None:
    """What a bin says of a target."""
    assert Entry.of(b"") == (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
