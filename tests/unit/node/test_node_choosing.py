"""Which node takes a call: those that are well share them, one that rests is spared, one that is gone is looked for."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import pytest

from qaztech.core.errors import Unavailable
from qaztech.core.ids import MemberId, NodeId
from qaztech.node import choosing
from qaztech.node.choosing import Peer, Team

MEMBER = MemberId("KZ", "GOV", "991340000017")
OTHER = MemberId("KZ", "GOV", "991340000027")
FAILURE = Unavailable("peer.unreachable", "it is down")


def peer(name: str, *, up: bool = True, under_way: int = 0) -> Peer:
    """A node with a log of its name, and its link."""
    made = Peer(SimpleNamespace(id=NodeId(MEMBER, name), origins=(name,)))
    if up:
        made.succeeded(SimpleNamespace(open=True, origin=name, streams=dict.fromkeys(range(under_way))))
    return made


def team(*peers: Peer, until: int | None = None, left: frozenset[str] = frozenset()) -> Team:
    """Those nodes as a configuration has them; the logs in `left` speak for another member."""
    logs = {
        each.entry.origins[0]: SimpleNamespace(
            from_=0, until=until, claims={OTHER if each.entry.origins[0] in left else MEMBER: (0, None)}
        )
        for each in peers
    }
    return Team(SimpleNamespace(log=logs.get), MEMBER, list(peers))


def test_equals_take_turns() -> None:
    """Calls that end at once are spread evenly."""
    a, b, c = peer("a"), peer("b"), peer("c")
    nodes = team(a, b, c)
    chosen = [nodes.choose(1) for _ in range(300)]
    assert [chosen.count(each) for each in (a, b, c)] == [100, 100, 100]


def test_the_one_with_the_fewest_calls_under_way_is_chosen() -> None:
    """A node that has become slow gets fewer."""
    slow, quick = peer("slow", under_way=5), peer("quick", under_way=1)
    nodes = team(slow, quick)
    assert {nodes.choose(1) for _ in range(4)} == {quick}


def test_who_has_no_link_or_takes_nothing_new_is_not_chosen() -> None:
    """Not there, or draining: the call goes elsewhere, or has to wait for a link."""
    gone, draining, well = peer("gone", up=False), peer("draining"), peer("well")
    draining.link.open = False
    assert {team(gone, draining, well).choose(1) for _ in range(4)} == {well}
    assert team(gone, draining).choose(1) is None
    assert team().choose(1) is None


def test_a_node_whose_log_does_not_speak_for_the_member_is_neither_chosen_nor_dialled() -> None:
    """It has left, or its time is over."""
    left, well = peer("left"), peer("well")
    nodes = team(left, well, left=frozenset({"left"}))
    assert ({nodes.choose(1) for _ in range(4)}, nodes.to_dial(1)) == ({well}, [well])
    over = team(peer("a"), until=1000)
    assert (over.choose(999) is None, over.choose(1000) is None, over.to_dial(1000)) == (False, True, [])


def test_one_that_rests_is_called_only_where_there_is_no_other() -> None:
    """And as before once it has rested."""
    ill, well = peer("ill"), peer("well", under_way=50)
    nodes = team(ill, well)
    ill.rest(100.0)
    assert {nodes.choose(1) for _ in range(4)} == {well}
    well.link.open = False
    assert nodes.choose(1) is ill
    well.link.open = True
    nodes.look(100.0 + choosing.REDIAL_AT_MOST, 1)
    assert nodes.choose(1) is ill


def test_a_dead_node_is_dialled_with_growing_pauses() -> None:
    """Not at each call, and never less often than the longest pause."""
    dead, nodes, dialled = peer("dead", up=False), None, []
    nodes = team(dead, peer("well"))
    for tick in range(200):
        now = tick / 2
        nodes.choose(1)
        if nodes.look(now, 1):
            dialled.append(now)
            dead.failed(FAILURE, now, choosing.REDIAL_AFTER)
    assert dialled[:5] == [0.0, 1.0, 3.0, 7.0, 15.0]
    assert {b - a for a, b in itertools.pairwise(dialled[4:])} == {choosing.REDIAL_AT_MOST}


def test_one_that_came_back_is_no_longer_avoided() -> None:
    """The next failure begins with the short pause again."""
    back = peer("back", up=False)
    for now in (0.0, 10.0, 20.0):
        back.failed(FAILURE, now, 1.0)
    back.succeeded(SimpleNamespace(open=True, origin="back", streams={}))
    back.failed(FAILURE, 100.0, 1.0)
    assert back.rests_until == 101.0


@pytest.mark.parametrize("count", [1, 2])
def test_only_members_with_several_nodes_that_are_called_are_looked_after(count: int) -> None:
    """The link to a single node is made when it is called; those nobody calls any more are left alone."""
    nodes = team(*(peer(f"n{i}", up=False) for i in range(count)))
    assert len(nodes.look(0.0, 1)) == (2 if count == 2 else 0)
    assert nodes.look(choosing.KEPT_UP, 1) == []
