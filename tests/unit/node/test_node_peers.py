"""What is remembered of peers' logs: the notes are the truth, the file makes a start quick."""

from __future__ import annotations

import json

import pytest

from adversary import Memory
from qaztech.core.ids import MemberId, NodeId
from qaztech.node.journal import PEER_HEAD, PeerHead, Remembered, format_note
from qaztech.node.peers import AcceptedHeads
from qaztech.trust.keys import Ed25519Key

A, B = "kz.qaztech.example/log/0000000000000000000a", "kz.qaztech.example/log/0000000000000000000b"
NODES = {A: NodeId(MemberId("KZ", "GOV", "1"), "a"), B: NodeId(MemberId("KZ", "GOV", "2"), "b")}


class Notes:
    """The notes of an own log."""

    def __init__(self) -> None:
        self.notes = []
        self.read = []

    def note_count(self, kind):
        assert kind == PEER_HEAD
        return len(self.notes)

    def read_note(self, kind, ordinal):
        self.read.append(ordinal)
        return self.notes[ordinal].size, format_note(self.notes[ordinal])


@pytest.fixture
def notes():
    return Notes()


def opened(tmp_path, notes):
    return AcceptedHeads(path=tmp_path / "peers.json", notes=notes, node_of=NODES.get)


def log(origin, size):
    memory = Memory(origin, Ed25519Key.generate())
    for i in range(size):
        memory.append(b"%d" % i)
    return memory


def noted(memory, start, size):
    """A head as it is noted: the peaks where its leaves begin, and the leaves."""
    peaks = memory.frontier(start).hashes
    return PeerHead(memory.origin, start, peaks, b"".join(memory.leaves[start:size]), size, memory.signature(size))


def remembered(memory, size):
    return Remembered(size, memory.frontier(size).root(), memory.signature(size))


def test_nothing_is_known_at_first(tmp_path, notes):
    """No file, no notes, no heads."""
    heads = opened(tmp_path, notes)
    assert (heads.all(), heads.of(NODES[A])) == ({}, [])


def test_the_largest_head_of_each_log_counts(tmp_path, notes):
    """In whatever order they come."""
    heads, a, b = opened(tmp_path, notes), log(A, 9), log(B, 3)
    for memory, size in ((a, 5), (a, 9), (a, 7), (b, 3)):
        heads.remember(memory.origin, remembered(memory, size))
    assert heads.all() == {A: remembered(a, 9), B: remembered(b, 3)}
    assert heads.of(NODES[A]) == [(A, remembered(a, 9))]


def test_the_notes_alone_are_enough(tmp_path, notes):
    """After a `kill -9` before anything was saved."""
    a = log(A, 9)
    notes.notes = [noted(a, 0, 4), noted(a, 4, 6), noted(a, 5, 9), noted(a, 2, 3)]
    assert opened(tmp_path, notes).all() == {A: remembered(a, 9)}


def test_a_start_reads_only_the_notes_since_the_file_was_saved(tmp_path, notes):
    """However long the log is."""
    a = log(A, 9)
    notes.notes = [noted(a, 0, 4), noted(a, 4, 6)]
    heads = opened(tmp_path, notes)
    heads.remember(A, remembered(a, 6))
    heads.save()
    notes.notes.append(noted(a, 6, 9))
    notes.read.clear()
    assert opened(tmp_path, notes).all() == {A: remembered(a, 9)}
    assert notes.read == [2]


def test_a_file_that_knows_more_than_the_notes_is_believed(tmp_path, notes):
    """A head that came without a record was signed all the same."""
    a = log(A, 9)
    heads = opened(tmp_path, notes)
    heads.remember(A, remembered(a, 9))
    heads.save()
    assert opened(tmp_path, notes).all() == {A: remembered(a, 9)}


def test_a_file_of_more_notes_than_there_are_is_read_with_all_notes(tmp_path, notes):
    """The log begins anew; what peers have signed still binds them."""
    a = log(A, 9)
    notes.notes = [noted(a, 0, 4)] * 5
    heads = opened(tmp_path, notes)
    heads.remember(A, remembered(a, 6))
    heads.save()
    notes.notes = [noted(a, 0, 9)]
    assert opened(tmp_path, notes).all()[A].size in {6, 9}


def test_saving_replaces_the_file_as_a_whole_and_only_when_something_changed(tmp_path, notes):
    """A power cut leaves the old one or the new one."""
    heads, a = opened(tmp_path, notes), log(A, 9)
    heads.save()
    assert not (tmp_path / "peers.json").exists()
    heads.remember(A, remembered(a, 6))
    heads.save()
    first = (tmp_path / "peers.json").stat().st_ino
    heads.remember(A, remembered(a, 5))
    heads.save()
    assert (tmp_path / "peers.json").stat().st_ino == first
    assert json.loads((tmp_path / "peers.json").read_text())["heads"][A][0] == 6
    assert list(tmp_path.iterdir()) == [tmp_path / "peers.json"]
