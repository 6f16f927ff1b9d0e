"""A node's own log as links and peers see it: what it signed, what it holds, and how it is closed."""

from __future__ import annotations

from pathlib import Path

import pytest

from qaztech.core.errors import Halt
from qaztech.core.time import ManualClock
from qaztech.evidence.checkpoint import SignedCheckpoint, sign_checkpoint
from qaztech.evidence.log import Entry, Log
from qaztech.evidence.merkle import EMPTY_ROOT
from qaztech.evidence.sequencer import Sequencer
from qaztech.evidence.state import read_closed
from qaztech.evidence.wal import NoteFrame
from qaztech.node.journal import WITNESSED
from qaztech.node.own_log import OwnLog
from qaztech.registry.member_file import log_origin
from qaztech.testing.crash import CrashStorage
from qaztech.trust.keys import Ed25519Key

HOME = Path("/log")


@pytest.fixture
def key():
    return Ed25519Key.generate()


@pytest.fixture
def storage():
    return CrashStorage()


def entries(*data):
    return [Entry(bytes(16), 1_800_000_000_000, each) for each in data]


@pytest.fixture
def own(key, storage):
    """A log of three entries."""
    origin = log_origin("KZ", key.public)
    log = Log.create(HOME, storage=storage, key=key, origin=origin, clock=ManualClock())
    log.commit(entries(b"a", b"b", b"c"))
    yield OwnLog(log=log, sequencer=Sequencer(log=log), public=key.public)
    log.close()


def signature(key, origin, size, root):
    return SignedCheckpoint.parse(sign_checkpoint(origin, size, root, key)).note.signatures[0].signature


def test_it_knows_what_it_signed(own, key):
    """By its key, for its origin, with that size and root; nothing else."""
    root = own.root()
    right = signature(key, own.origin, 3, root)
    assert own.signed(3, root, right)
    assert not own.signed(4, root, right)
    assert not own.signed(3, bytes(32), right)
    assert not own.signed(3, root, bytes(64))
    assert not own.signed(3, root, signature(Ed25519Key.generate(), own.origin, 3, root))
    assert not own.signed(3, root, signature(key, f"{own.origin}0", 3, root))


def test_it_knows_what_it_holds(own):
    """Every root of its own past, and no other."""
    assert own.holds(0, EMPTY_ROOT)
    assert all(own.holds(size, own.frontier_at(size).root()) for size in (1, 2, 3))
    assert not own.holds(2, own.root())
    assert not own.holds(4, own.root())
    assert not own.holds(2**62, bytes(32))


def test_halted_it_is_closed_for_good(own, key, storage):
    """A new process does not go on with it either; the last witnessed head is what comes after it continues."""
    note = sign_checkpoint(own.origin, 2, own.frontier_at(2).root(), key)
    own.log.commit([NoteFrame(WITNESSED, 2, note), *entries(b"d")])
    own.halt("a peer holds a head that this log does not")
    with pytest.raises(Halt):
        own.log.commit(entries(b"e"))
    own.log.close()
    with pytest.raises(Halt, match="a peer holds") as info:
        Log.open(HOME, storage=storage, key=key, origin=own.origin, clock=ManualClock())
    assert info.value.code == "log.closed"
    closed = read_closed(storage, HOME)
    assert (closed.size, closed.root) == (2, own.frontier_at(2).root())


def test_one_that_was_never_witnessed_is_closed_at_nothing(own, storage):
    """What comes after it promises to continue nothing."""
    own.halt("lost")
    closed = read_closed(storage, HOME)
    assert (closed.size, closed.root) == (0, EMPTY_ROOT)
