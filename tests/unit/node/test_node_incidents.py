"""Incidents are kept, also across power cuts, and a loud peer does not fill the disk with them."""

from __future__ import annotations

import json
from base64 import b64decode

import pytest

from adversary import Memory
from qaztech.core.errors import Unavailable, Untrusted
from qaztech.core.time import ManualClock
from qaztech.node.heads import Fork
from qaztech.node.incidents import QUIET, Incidents
from qaztech.node.journal import Remembered
from qaztech.trust.keys import Ed25519Key, verify_ed25519

ORIGIN = "kz.qaztech.example/log/0000000000000000000a"


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def told():
    return []


@pytest.fixture
def opened(tmp_path, clock, told):
    """Opens the incidents of one node, again and again."""
    return lambda: Incidents(path=tmp_path / "incidents.jsonl", clock=clock, tell=told.append)


def test_one_is_kept_shown_and_told(opened, told):
    """Now, and after a restart."""
    incidents = opened()
    incidents.report(Untrusted("peer.unknown", "who is that?"), peer="x")
    assert [(i["code"], i["detail"], i["peer"]) for i in incidents.recent] == [("peer.unknown", "who is that?", "x")]
    assert told == list(incidents.recent)
    again = opened()
    assert (list(again.recent), again.count) == (told, 1)


def test_the_same_is_written_once_in_a_while(opened, clock):
    """By code and peer; others are written meanwhile."""
    incidents = opened()
    for _ in range(100):
        incidents.report(Untrusted("a.b", "x"), peer="x")
        incidents.report(Untrusted("a.b", "x"), peer="y")
        incidents.report(Untrusted("a.c", "x"), peer="x")
    assert incidents.count == 3
    clock.advance(QUIET)
    incidents.report(Untrusted("a.b", "x"), peer="x")
    assert incidents.count == 4


def test_a_fork_is_kept_with_both_signed_heads(opened, tmp_path):
    """They prove it to anyone who has the log's key."""
    one = Memory(ORIGIN, Ed25519Key.generate(), [bytes(32)] * 3)
    two = one.fork(2)
    two.append(b"x")
    heads = [Remembered(m.size, m.frontier(m.size).root(), m.signature()) for m in (one, two)]
    opened().report(Fork(origin=ORIGIN, first=heads[0], second=heads[1]), peer=ORIGIN)
    kept = json.loads((tmp_path / "incidents.jsonl").read_text())["heads"]
    assert len(kept) == 2
    for head in kept:
        assert verify_ed25519(one.key.public, b64decode(head["signature"]), head["checkpoint"].encode())


@pytest.mark.parametrize("torn", ['{"time": 1, "co', "\x00" * 20, "null", "[1]", '{"detail": "\udcd2'])
def test_a_torn_line_is_no_reason_not_to_start(opened, tmp_path, torn):
    """What stands before it is there, and what comes after it is on a line of its own."""
    opened().report(Untrusted("a.b", "x"), peer="x")
    with (tmp_path / "incidents.jsonl").open("ab") as file:
        file.write(torn.encode(errors="surrogateescape"))
    incidents = opened()
    assert [i["code"] for i in incidents.recent] == ["a.b"]
    incidents.report(Untrusted("c.d", "x"), peer="y")
    assert [i["code"] for i in opened().recent] == ["a.b", "c.d"]


def test_a_full_disk_keeps_nobody_from_being_told(opened, tmp_path, told):
    """A full disk is one of the things that are reported."""
    incidents = opened()
    (tmp_path / "incidents.jsonl").mkdir()
    incidents.report(Unavailable("log.disk-full", "no room"), peer="x")
    assert [i["code"] for i in told] == ["log.disk-full"]
