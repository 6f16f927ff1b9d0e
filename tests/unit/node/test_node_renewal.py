"""Renewing a node's log: when there is a need, what is there afterwards, and that it may be cut short anywhere."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from qaztech.core.errors import Conflict, Error, Malformed, Unavailable
from qaztech.core.ids import MemberId, NodeId
from qaztech.core.time import ManualClock
from qaztech.evidence.checkpoint import Checkpoint
from qaztech.evidence.last_seen import LastSeen
from qaztech.evidence.log import Entry, Log
from qaztech.evidence.merkle import EMPTY_ROOT
from qaztech.evidence.state import close_origin
from qaztech.evidence.storage import OsStorage
from qaztech.evidence.view import LogView
from qaztech.node.closed_logs import open_closed_logs
from qaztech.node.renewal import Renewal, continues
from qaztech.registry.key_files import load_log_keys
from qaztech.registry.node_identity import NODE_FILE, NodeIdentity

NODE = NodeId(MemberId("KZ", "GOV", "991340000017"), "node1")
STORAGE = OsStorage()


class Cut(Exception):
    """The power went."""


class Place:
    """A node's folder with a log of so many entries; `seen` is what witnesses say of it."""

    def __init__(self, folder: Path, *, hybrid: bool = True, entries: int = 3) -> None:
        self.folder = folder
        self.clock = ManualClock()
        identity = NodeIdentity.create(folder, NODE, "127.0.0.1:5500", hybrid=hybrid)
        (folder / NODE_FILE).write_bytes(identity.format())
        (folder / "peers.json").write_text(json.dumps({"notes": 7, "heads": {"o": [1, "", ""]}}))
        self.keys = load_log_keys(folder, "KZ")
        with Log.create(
            folder / "log", storage=STORAGE, key=self.keys.key, origin=self.keys.origin, clock=self.clock
        ) as log:
            for number in range(entries):
                log.commit([Entry(bytes(15) + b"\1", self.clock.now(), b"%d" % number)])
            self.head = log.head
        self.asked = 0
        self.seen = self.saw(entries, self.head.root)

    def saw(self, size: int, root: bytes, *, enough: bool = True) -> LastSeen:
        checkpoint = Checkpoint(self.keys.origin, size, root)
        return LastSeen(checkpoint=checkpoint, sizes={}, failures={"w": "down"}, is_enough=enough)

    def renewal(self, tell: Callable[[str], None] = lambda _: None) -> Renewal:
        return Renewal(self.folder, NODE, self.clock, tell=tell)

    def ask(self, key: object) -> LastSeen:
        del key
        self.asked += 1
        return self.seen

    def renew(self, tell: Callable[[str], None] = lambda _: None) -> str:
        """Renew the log as the command does; gives the new origin."""
        renewal = self.renewal(tell)
        with renewal.locked():
            need = renewal.need(self.ask)
            assert need.state != "may"
            renewal.run(need, need.why)
            assert renewal.before().origin == self.keys.origin
            return renewal.keys().origin

    def check_renewed(self, size: int) -> None:
        """One open log that continues the closed one, with keys of its own, and nothing half done."""
        keys = load_log_keys(self.folder, "KZ")
        assert keys.origin != self.keys.origin
        assert (keys.hybrid is None) == (self.keys.hybrid is None)
        with Log.open(self.folder / "log", storage=STORAGE, key=keys.key, origin=keys.origin, clock=self.clock) as log:
            assert (log.size, continues(log)) == (1, self.keys.origin)
            assert f"size {size}\n" in log.read(0).data.decode()
        old = self.folder / "closed" / self.keys.origin.rpartition("/")[2]
        assert load_log_keys(old, "KZ").vkeys == self.keys.vkeys
        with pytest.raises(Error, match="is closed"):
            Log.open(old / "log", storage=STORAGE, key=self.keys.key, origin=self.keys.origin, clock=self.clock)
        assert not (self.folder / "renewal").exists()
        named = NodeIdentity.read(self.folder)
        assert named.log == keys.vkeys
        assert named.continues is not None
        assert (named.continues.origin, named.continues.size) == (self.keys.origin, size)
        again = NodeIdentity.create(self.folder, NODE, named.address, hybrid=True)
        assert NodeIdentity.parse(again.format()) == named
        assert json.loads((self.folder / "peers.json").read_text()) == {"notes": 0, "heads": {"o": [1, "", ""]}}


@pytest.mark.parametrize("hybrid", [True, False])
def test_a_restored_log_is_closed_as_witnesses_saw_it(tmp_path: Path, hybrid: bool) -> None:
    """Not as the disk has it, which is what was wrong."""
    place = Place(tmp_path, hybrid=hybrid)
    place.seen = place.saw(9, b"\1" * 32)
    place.renew()
    place.check_renewed(9)
    (closed,) = open_closed_logs(tmp_path / "closed", STORAGE)
    assert (closed.origin, closed.size, closed.find(bytes(15) + b"\1")) == (place.keys.origin, 3, [])


def test_it_may_be_cut_short_anywhere(tmp_path: Path) -> None:
    """Run again, it comes to the same end; in between no node finds both a log and a key to open it with."""
    steps: list[str] = []
    whole = Place(tmp_path / "whole")
    whole.seen = whole.saw(9, b"\1" * 32)
    whole.renew(steps.append)
    assert len(steps) > 10
    for cut in range(1, len(steps) + 1):
        place = Place(tmp_path / str(cut))
        place.seen = place.saw(9, b"\1" * 32)
        left = cut

        def until_the_cut(_: str) -> None:
            nonlocal left
            left -= 1
            if not left:
                raise Cut

        with pytest.raises(Cut):
            place.renew(until_the_cut)
        if (place.folder / "log").exists() and (place.folder / "log.key").exists():
            keys = load_log_keys(place.folder, "KZ")
            if keys.origin == place.keys.origin and cut > 1:
                with pytest.raises(Error, match="is closed"):
                    Log.open(place.folder / "log", storage=STORAGE, key=keys.key, origin=keys.origin, clock=place.clock)
        place.renew()
        place.check_renewed(9)


def test_a_healthy_log_need_not_be_renewed(tmp_path: Path) -> None:
    """The same size or a smaller one was seen, with its root; whoever wants to renew it all the same can."""
    place = Place(tmp_path)
    renewal = place.renewal()
    assert renewal.need(place.ask).state == "may"
    place.seen = place.saw(0, EMPTY_ROOT)
    need = renewal.need(place.ask)
    assert need.state == "may"
    assert renewal.run(need, "the key was lost with a laptop").reason == "the key was lost with a laptop"
    place.check_renewed(0)


def test_witnesses_must_be_heard(tmp_path: Path) -> None:
    """Unless what is known already tells enough, or size and root are given."""
    place = Place(tmp_path)
    place.seen = place.saw(0, EMPTY_ROOT, enough=False)
    with pytest.raises(Unavailable, match="w: down"):
        place.renewal().need(place.ask)
    place.seen = place.saw(5, b"\2" * 32, enough=False)
    need = place.renewal().need(place.ask)
    assert need.state == "must"
    with pytest.raises(Unavailable):
        place.renewal().run(need, need.why)
    assert place.renewal().run(need, need.why, (6, b"\3" * 32)).size == 6
    place.check_renewed(6)


def test_another_history_or_a_damaged_disk_is_a_need(tmp_path: Path) -> None:
    """Also at a size that the log has; also when the log cannot be read at all."""
    place = Place(tmp_path / "copied")
    place.seen = place.saw(2, b"\4" * 32)
    assert "another root" in place.renewal().need(place.ask).why
    damaged = Place(tmp_path / "damaged")
    shutil.rmtree(damaged.folder / "log" / "wal")
    need = damaged.renewal().need(damaged.ask)
    assert need.state == "must"
    damaged.renewal().run(need, need.why)
    damaged.check_renewed(3)
    assert len(open_closed_logs(damaged.folder / "closed", STORAGE)) <= 1


def test_a_closed_log_is_continued_without_asking(tmp_path: Path) -> None:
    """`qaztech log close` has asked before."""
    place = Place(tmp_path)
    close_origin(place.folder / "log", storage=STORAGE, reason="copied", size=2, root=b"\5" * 32)
    place.renew()
    assert place.asked == 0
    place.check_renewed(2)


def test_a_renewed_log_is_not_renewed_again(tmp_path: Path) -> None:
    """Until there is something in it, or it was restored in its turn."""
    place = Place(tmp_path)
    place.seen = place.saw(9, b"\1" * 32)
    origin = place.renew()
    place.seen = place.saw(0, EMPTY_ROOT)
    assert place.renew() == origin
    place.seen = place.saw(4, b"\6" * 32)
    assert place.renewal().need(place.ask).state == "must"


def test_the_node_does_not_run_meanwhile(tmp_path: Path) -> None:
    """Nor does another renewal."""
    place = Place(tmp_path)
    keys = place.keys
    with (
        Log.open(tmp_path / "log", storage=STORAGE, key=keys.key, origin=keys.origin, clock=place.clock),
        pytest.raises(Conflict, match="stop it first"),
        place.renewal().locked(),
    ):
        raise AssertionError
    with place.renewal().locked(), pytest.raises(Conflict), place.renewal().locked():
        raise AssertionError


def test_there_must_be_a_log(tmp_path: Path) -> None:
    """A node that has none makes one at its start; a renewal that is no renewal is not guessed at."""
    place = Place(tmp_path)
    with pytest.raises(Conflict, match="continues none"):
        place.renewal().before()
    (tmp_path / "renewal").mkdir()
    (tmp_path / "renewal" / "closed").write_bytes(b"")
    with pytest.raises(Malformed):
        place.renewal().need(place.ask)
    shutil.rmtree(tmp_path / "renewal")
    shutil.rmtree(tmp_path / "log")
    with pytest.raises(Conflict, match="the node makes one"):
        place.renewal().need(place.ask)


def test_a_first_entry_may_only_look_like_a_continuation(tmp_path: Path) -> None:
    """Its message id is zeros, which no exchange has."""
    place = Place(tmp_path, entries=0)
    keys = place.keys
    with Log.open(tmp_path / "log", storage=STORAGE, key=keys.key, origin=keys.origin, clock=place.clock) as log:
        assert continues(log) is None
        log.commit([Entry(b"\1" * 16, place.clock.now(), b"qaztech-log-continues 1\norigin x\nsize 0\nroot x\n")])
    with LogView.open_read_only(tmp_path / "log", storage=STORAGE) as view:
        assert continues(view) is None
