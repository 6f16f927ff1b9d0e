"""A restored registry and a copy of what it published since: all of it comes back, and nothing that is not proven."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from databases import database_at
from qaztech.core.errors import Error, Unavailable, Untrusted
from qaztech.evidence.checkpoint import Checkpoint
from qaztech.evidence.last_seen import LastSeen
from qaztech.registry.admission import Registry
from qaztech.registry.key_files import LogKeys
from qaztech.registry.metadata import Timestamp, read
from qaztech.registry.publication import Publication
from qaztech.registry.resuming import FAR, FolderFetcher, LogOutcome, Resuming
from qaztech.registry.store import RegistryStore
from registry_country import Country, MemberDesk


@dataclass
class Restored:
    """What a backup gave back, from before the changes, beside the country that made them."""

    country: Country
    directory: Path
    store: RegistryStore
    desks: list[MemberDesk]
    copy: Path

    def seen(self, size: int | None = None, *, enough: bool = True) -> LastSeen:
        """What witnesses have seen of the country's log: all of it, or so much."""
        log = self.country.log
        size = log.size if size is None else size
        checkpoint = Checkpoint(log.origin, size, log.root_at(size))
        return LastSeen(checkpoint=checkpoint, sizes={"archive": size}, failures={"x": "away"}, is_enough=enough)

    def resuming(self, *, copied: bool = True) -> Resuming:
        source = FolderFetcher(self.copy) if copied else None
        scratch = self.directory / "scratch"
        return Resuming(directory=self.directory, anchor=self.country.anchor, source=source, scratch=scratch)

    def log(self, resuming: Resuming, seen: LastSeen) -> LogOutcome:
        country = self.country
        keys = LogKeys(country.log.origin, country.log_key, None, ())
        return resuming.log(self.store, keys, lambda: seen, country.clock)

    def registry(self) -> Registry:
        return Registry(
            instance="KZ", store=self.store, settings=self.country.registry._settings, clock=self.country.clock
        )

    def publication(self) -> Publication:
        return Publication(directory=self.directory / "tuf", keys=self.country.keys, clock=self.country.clock)


@pytest.fixture
def restored(country: Country) -> Iterator[Restored]:
    """A backup; then a member more, one suspended, a file and a right more, a key revoked; then the copy of it all."""
    desks = [country.admit(country.new_member(n, f"member{n}")) for n in (1, 2, 3)]
    directory = country.directory / "restored"
    shutil.copytree(country.published, directory / "tuf")
    shutil.copytree(country.directory / "log", directory / "log")
    store = RegistryStore.open(database_at(directory / "registry.db"))
    for known in country.store.members():
        store.admit(known.id, known.lineage, known.names, known.admitted)
        if known.envelope is not None:
            store.put_member_file(known.id, known.envelope)
    for version in range(1, 100):
        if (noted := country.store.snapshot(version)) is not None:
            store.logged(version, *noted)
    desks.append(country.admit(country.new_member(4, "late")))
    country.registry.suspend(desks[1].id)
    service = country.add_service(desks[0], "codes")
    country.grant(desks[0], service, desks[2].subsystem("main"), desks[2].lineage, "GET /**")
    country.registry.revoke_tls(bytes(32))
    country.publish()
    country.clock.advance(3 * 24 * 3600 * 1000)
    yield Restored(country, directory, store, desks, country.published)
    store.close()


def test_all_that_was_published_comes_back(restored: Restored) -> None:
    """Days later, when it has long expired: members, files, pages, suspensions, keys, versions and the log."""
    country, resuming = restored.country, restored.resuming()
    outcome = restored.log(resuming, restored.seen())
    assert (outcome.size, outcome.ended) == (country.log.size, "")
    assert outcome.added > 0
    before = country.publication.published
    assert before is not None
    assert resuming.publication() == before[0]
    registry = restored.registry()
    assert resuming.state(registry) == []
    assert registry.members() == country.registry.members()
    assert registry.targets() == country.registry.targets()
    assert restored.store.revoked_tls() == country.store.revoked_tls()
    assert restored.store.snapshot(before[0]) == country.store.snapshot(before[0])
    publication = restored.publication()
    pending = publication.prepare(registry.targets(), registry.content)
    assert pending is not None
    assert before[0] < pending.version < before[0] + 100
    publication.commit(pending)
    shown = read((restored.directory / "tuf/metadata/timestamp.json").read_bytes(), Timestamp).signed
    published = read((country.published / "metadata/timestamp.json").read_bytes(), Timestamp).signed
    assert shown.version > published.version
    assert restored.publication().published == publication.published, "the next start does not jump again"


def test_resumed_twice_it_is_the_same(restored: Restored) -> None:
    """A restore that was cut short is done again; the log is not doubled."""
    first = restored.log(restored.resuming(), restored.seen())
    again = restored.log(restored.resuming(), restored.seen())
    assert (again.size, again.added, again.ended) == (first.size, 0, "")


def test_without_a_copy_versions_jump_and_a_log_that_is_behind_ends(restored: Restored) -> None:
    """And where witnesses have seen no more than is there, it goes on."""
    resuming = restored.resuming(copied=False)
    outcome = restored.log(resuming, restored.seen())
    assert "witnesses have seen" in outcome.ended
    assert outcome.added == 0
    assert restored.log(resuming, restored.seen(outcome.size)).ended == ""
    assert resuming.publication() is None
    registry = restored.registry()
    assert resuming.state(registry) == []
    published = restored.country.publication.published
    assert published is not None
    pending = restored.publication().prepare(registry.targets(), registry.content)
    assert pending is not None
    assert pending.version > published[0] + FAR // 2


def test_a_copy_that_lacks_a_snapshot_leads_to_no_fork(restored: Restored) -> None:
    """The log is left as it is: nothing is put in it that witnesses would contradict."""
    before = restored.log(restored.resuming(copied=False), restored.seen())
    published = restored.country.publication.published
    assert published is not None
    (restored.copy / "metadata" / f"{published[0] - 1}.snapshot.json").unlink()
    outcome = restored.log(restored.resuming(), restored.seen())
    assert outcome.ended
    assert (outcome.size, outcome.added) == (before.size, 0)


def test_a_copy_that_somebody_changed_is_refused(restored: Restored) -> None:
    """Whichever file: nothing of it is taken."""
    digest = restored.country.publication.targets["directory.json"].sha256
    path = restored.copy / "targets" / f"{digest}.directory.json"
    for file in (restored.copy / "metadata" / "timestamp.json", path):
        data = file.read_bytes()
        file.write_bytes(data.replace(b'"', b"'", 1) if file == path else data.replace(b"sig", b"gis", 1))
        shutil.rmtree(restored.directory / "tuf" / "targets", ignore_errors=True)
        with pytest.raises(Error) as caught:
            restored.resuming().publication()
        assert isinstance(caught.value, Untrusted)
        file.write_bytes(data)
    assert not (restored.directory / "tuf" / "resumed").exists()


def test_nothing_is_signed_while_too_few_witnesses_answer(restored: Restored) -> None:
    """Nobody knows then what was seen."""
    with pytest.raises(Unavailable, match="too few witnesses"):
        restored.log(restored.resuming(), restored.seen(enough=False))


def test_a_copy_leads_nowhere_else(tmp_path: Path) -> None:
    """Names come from signed metadata; they are bounded all the same."""
    (tmp_path / "copy").mkdir()
    (tmp_path / "secret").write_bytes(b"x")
    fetcher = FolderFetcher(tmp_path / "copy")
    for path in ("../secret", "/etc/passwd", "nothing"):
        with pytest.raises(Error):
            fetcher.fetch(path, 100)
    (tmp_path / "copy" / "large").write_bytes(bytes(101))
    with pytest.raises(Untrusted):
        fetcher.fetch("large", 100)
