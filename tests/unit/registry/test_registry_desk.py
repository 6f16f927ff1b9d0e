"""A member's desk: what survives a power cut, and how a log is said to be continued."""

from __future__ import annotations

from pathlib import Path

import pytest

from qaztech.core.errors import Conflict, NotFound
from qaztech.core.ids import MemberId, NodeId
from qaztech.core.time import ManualClock
from qaztech.evidence.note import ED25519, VerifierKey
from qaztech.evidence.state import ClosedLog
from qaztech.registry.desk import NEXT_KEY, Desk
from qaztech.registry.files import write_private
from qaztech.registry.member_file import log_origin
from qaztech.trust.keys import Ed25519Key
from registry_country import names

MEMBER = MemberId("KZ", "GOV", "991340000017")
NODE = NodeId(MEMBER, "node1")


def vkeys(key: Ed25519Key) -> list[VerifierKey]:
    return [VerifierKey.of(log_origin("KZ", key.public), ED25519, key.public)]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def desk(tmp_path: Path, clock: ManualClock) -> Desk:
    return Desk.create(tmp_path / "desk", member=MEMBER, names=names("m"), clock=clock)


def test_a_rotation_cut_short_before_its_file_never_was(tmp_path: Path, desk: Desk, clock: ManualClock) -> None:
    """The key made for it is taken at the next attempt; no key is ever thrown away."""
    folder = tmp_path / "desk"
    made = Ed25519Key.generate()
    made.save(folder / NEXT_KEY)
    again = Desk(folder, clock)
    assert again.key.public == desk.key.public
    again.rotate_key()
    assert again.key.public == made.public
    assert not (folder / NEXT_KEY).exists()
    assert Desk(folder, clock).key.public == made.public


def test_a_rotation_cut_short_behind_its_file_is_ended(tmp_path: Path, desk: Desk, clock: ManualClock) -> None:
    """The file counts: the key it speaks of takes its place, and the one before is kept."""
    folder = tmp_path / "desk"
    old = (folder / "member.key").read_bytes()
    desk.rotate_key()
    new = (folder / "member.key").read_bytes()
    kept = folder / f"member.key.until-version-{desk.statement.version}"
    assert kept.read_bytes() == old
    # As it was between the file and the keys.
    write_private(folder / "member.key", old)
    write_private(folder / NEXT_KEY, new)
    kept.unlink()
    again = Desk(folder, clock)
    assert (folder / "member.key").read_bytes() == new
    assert kept.read_bytes() == old
    again.rotate_key()
    assert len(again.statement.key_history) == 2


def test_a_key_of_somebody_else_is_not_signed_with(tmp_path: Path, desk: Desk, clock: ManualClock) -> None:
    """A file and a key that do not belong together, from a backup say, are said."""
    desk.rotate_key()
    write_private(tmp_path / "desk" / "member.key", (tmp_path / "desk" / "member.key.until-version-2").read_bytes())
    with pytest.raises(Conflict, match="do not belong"):
        Desk(tmp_path / "desk", clock)


def test_a_log_is_continued_once(desk: Desk, clock: ManualClock) -> None:
    """Closed with size and root, followed by the next; said again, the file stays as it is."""
    first, second = vkeys(Ed25519Key.generate()), vkeys(Ed25519Key.generate())
    desk.add_node(NODE, "127.0.0.1:5500", b"\1" * 32, first)
    clock.advance(1000)
    closed = ClosedLog(origin=first[0].name, size=7, root=b"\2" * 32, reason="restored")
    desk.continue_log(NODE, closed, second)
    old, new = desk.statement.logs
    assert old.closed is not None
    assert (old.closed.size, old.until, new.from_, new.continues) == (7, clock.now(), clock.now(), old.origin)
    version = desk.statement.version
    assert desk.continue_log(NODE, closed, second).envelope == desk.submission().envelope
    assert desk.statement.version == version


def test_a_log_nobody_named_is_not_continued(desk: Desk) -> None:
    """A mistake of the folder, most likely."""
    closed = ClosedLog(origin=vkeys(Ed25519Key.generate())[0].name, size=7, root=b"\2" * 32, reason="restored")
    with pytest.raises(NotFound, match="names no log"):
        desk.continue_log(NODE, closed, vkeys(Ed25519Key.generate()))


def test_a_node_is_changed_without_naming_its_log_twice(desk: Desk) -> None:
    """Another address or TLS key, the same log."""
    keys = vkeys(Ed25519Key.generate())
    desk.add_node(NODE, "127.0.0.1:5500", b"\1" * 32, keys)
    desk.add_node(NODE, "127.0.0.1:5501", b"\2" * 32, keys)
    assert [(n.address) for n in desk.statement.nodes] == ["127.0.0.1:5501"]
    assert [log.origin for log in desk.statement.logs] == [keys[0].name]


def test_a_node_with_a_renewed_log_says_so_itself(desk: Desk, clock: ManualClock) -> None:
    """Its `node.json` names the log before, which is closed by it; where the file never named that, there is none."""
    first, second = vkeys(Ed25519Key.generate()), vkeys(Ed25519Key.generate())
    closed = ClosedLog(origin=first[0].name, size=7, root=b"\2" * 32, reason="restored")
    desk.add_node(NODE, "127.0.0.1:5500", b"\1" * 32, first)
    clock.advance(1)
    for _ in range(2):
        desk.add_node(NODE, "127.0.0.1:5500", b"\1" * 32, second, closed)
        assert [(log.origin, log.closed is None) for log in desk.statement.logs] == [
            (first[0].name, False), (second[0].name, True),
        ]  # fmt: skip
    other = NodeId(MEMBER, "node2")
    stranger = ClosedLog(origin="kz.qaztech.example/log/00000000000000000000", size=7, root=b"\2" * 32, reason="r")
    desk.add_node(other, "127.0.0.1:5501", b"\3" * 32, vkeys(Ed25519Key.generate()), stranger)
    assert len(desk.statement.logs) == 3


def test_a_node_is_left_and_come_back_to(desk: Desk, clock: ManualClock) -> None:
    """Its log speaks for the member a little longer, and then again; what it held in between is nobody's."""
    other = NodeId(MemberId("KZ", "COM", "991340000047"), "node1")
    keys = vkeys(Ed25519Key.from_seed(bytes(32)))
    desk.add_node(NODE, "own.example:5500", bytes(32), vkeys(desk.key))
    desk.add_node(other, "host.example:5500", bytes(range(32)), keys)
    desk.remove_node(other, 120_000)
    assert [line.id for line in desk.statement.nodes] == [str(NODE)]
    assert [line.until for line in desk.statement.logs] == [None, clock.now() + 120_000]
    with pytest.raises(NotFound):
        desk.remove_node(other, 0)
    desk.add_node(other, "host.example:5500", bytes(range(32)), keys)
    assert [line.until for line in desk.statement.logs] == [None, None]


def test_a_node_that_changes_its_tls_key_is_named_with_both(desk: Desk) -> None:
    """And with one again afterwards."""
    old, new = bytes(32), bytes(range(32))
    desk.add_node(NODE, "own.example:5500", old, vkeys(desk.key), next_tls=new)
    assert [line.id for line in desk.statement.nodes] == [str(NODE)] * 2
    desk.add_node(NODE, "own.example:5500", new, vkeys(desk.key))
    assert len(desk.statement.nodes) == 1


def test_one_at_a_time(tmp_path: Path, desk: Desk, clock: ManualClock) -> None:
    """Two files of one version would be taken for an attack."""
    with Desk.locked(tmp_path / "desk", clock) as held:
        assert held.lineage == desk.lineage
        with pytest.raises(Conflict), Desk.locked(tmp_path / "desk", clock):
            raise AssertionError
    with pytest.raises(NotFound), Desk.locked(tmp_path / "nowhere", clock):
        raise AssertionError
