"""The consumer's links: dialled when needed, one for each peer, given up and taken again."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from node_pair import CLOCK, Heard, Scripted, node_pair, told, until
from qaztech.core.errors import Error, Forbidden, Halt, Unavailable
from qaztech.core.ids import MemberId, NodeId
from qaztech.node import consumer
from qaztech.node.choosing import Peer
from qaztech.registry import authoring
from qaztech.trust.certificates import key_spki_hash


@pytest.fixture
async def pair(tmp_path, monkeypatch):
    """Two nodes in a hurry."""
    monkeypatch.setattr(consumer, "SWEEP_EVERY", 0.02)
    monkeypatch.setattr(consumer, "REDIAL_AFTER", 0.1)
    async with node_pair(tmp_path) as pair:
        pair.consumer.consumer.start()
        yield pair


def move(pair, port):
    """The provider's node has another address."""
    side = pair.provider
    side.desk.change(
        lambda s: authoring.with_node(s, side.id, f"127.0.0.1:{port}", key_spki_hash(side.tls)),
    )
    pair.publish()
    pair.recheck()


async def test_calls_wait_for_the_link_that_is_being_made(pair):
    """And share it."""
    heard = [Heard() for _ in range(5)]
    for each in heard:
        pair.consumer.consumer.call(pair.call(), each)
    await told(*heard)
    assert [h.status for h in heard] == [200] * 5
    assert len(pair.consumer.links) == 1


async def test_a_peer_that_is_not_there_is_an_error_at_once_and_found_again(pair):
    """No call hangs; a moment later it is dialled again."""
    port = pair.provider.server.sockets[0].getsockname()[1]
    pair.provider.server.close()
    for _ in range(3):
        heard = await asyncio.wait_for(pair.made(pair.call()), 2)
        assert heard.error.code == "peer.unreachable"
    assert len(pair.consumer.links) == 1  # it was dialled once
    await pair.provider.listen(port)
    await asyncio.sleep(0.15)
    assert (await pair.made(pair.call())).status == 200


async def test_a_peer_that_starts_is_found_as_soon_as_it_listens(pair, monkeypatch):
    """Where nobody listens that is known at once; other failures are left alone for longer."""
    monkeypatch.setattr(consumer, "REDIAL_AFTER", 60.0)
    monkeypatch.setattr(consumer, "REFUSED_AGAIN", 0.05)
    port = pair.provider.server.sockets[0].getsockname()[1]
    pair.provider.server.close()
    assert (await pair.made(pair.call())).error.code == "peer.unreachable"
    await pair.provider.listen(port)
    await asyncio.sleep(0.06)
    assert (await pair.made(pair.call())).status == 200


async def test_nothing_is_recorded_for_a_peer_that_is_not_there(pair):
    """A request that found no link was never made."""
    pair.provider.server.close()
    await pair.made(pair.call())
    assert pair.consumer.log.size == 0


async def test_a_peer_that_moved_is_dialled_where_it_is_now(pair):
    """The old link carries what is on it to its end, is looked at like any other meanwhile, and is then let go."""
    pair.provider.systems.serve = lambda _: None
    heard = Heard()
    pair.consumer.consumer.call(pair.call("POST", body=b"old"), heard)
    await until(lambda: pair.provider.systems.calls)
    first = pair.provider.server
    move(pair, await pair.provider.listen())
    pair.provider.systems.serve = Scripted.echo
    assert bytes((await pair.made(pair.call("POST", body=b"new"))).body) == b"new"
    old, new = pair.consumer.links
    assert sorted(map(id, pair.consumer.consumer.links())) == sorted(map(id, (old, new)))
    assert old.alive
    Scripted.echo(pair.provider.systems.calls[0])
    await asyncio.wait_for(heard.done, 5)
    assert bytes(heard.body) == b"old"
    await until(lambda: not old.alive)
    assert new.alive
    first.close()


async def test_an_address_that_is_none(pair):
    """What a member file says is no reason to fall over."""
    move(pair, 1)
    assert (await pair.made(pair.call())).error.code == "peer.unreachable"


async def test_a_member_without_a_node(pair):
    """Told at once."""
    pair.provider.desk.change(lambda s: msgspec.structs.replace(s, nodes=(), logs=()))
    pair.publish()
    with pytest.raises(Error, match="Could not find addresses"):
        pair.consumer.consumer.call(pair.call(), Heard())


async def test_a_full_log_refuses_at_once(pair, monkeypatch):
    """Over a limit there is a clear error, on a link that is up and on one that is not."""
    monkeypatch.setattr(pair.consumer.sequencer, "_max_waiting", 0)
    heard = await pair.made(pair.call())
    assert heard.error.code == "log.queue-full"
    with pytest.raises(Error, match="too much waits"):
        pair.consumer.consumer.call(pair.call(), Heard())
    assert not pair.consumer.consumer.exchanges


async def test_a_peer_is_asked_over_the_link_it_has(pair):
    """Or over one made for it."""
    answers = []
    for _ in range(2):
        pair.consumer.consumer.ask(pair.provider.id, "x", b"abc", answers.append)
        await until(lambda: answers)
    await until(lambda: len(answers) == 2)
    assert answers == [b"cba"] * 2
    assert len(pair.consumer.links) == 1


async def test_a_peer_that_is_not_in_the_configuration_is_not_asked(pair):
    """The callback hears why."""
    answers = []
    pair.consumer.consumer.ask(NodeId(MemberId("KZ", "GOV", "991340000099"), "node1"), "x", b"", answers.append)
    assert answers[0].code == "peer.unknown"


async def test_a_member_that_left_the_peers_log_is_not_called_there(pair):
    """Its node is named, its log speaks for it no more: the peer would take the call for an attack and end the link."""
    assert (await pair.made(pair.call())).status == 200
    side = pair.provider
    side.desk.change(lambda s: authoring.close_log(s, side.origin, until=CLOCK.now()))
    pair.publish()
    with pytest.raises(Unavailable) as caught:
        pair.consumer.consumer.call(pair.call(), Heard())
    assert caught.value.code == "member.unknown"
    assert pair.consumer.links[-1].alive
    side.desk.change(lambda s: authoring.reopen_log(s, side.origin))
    pair.publish()
    assert (await pair.made(pair.call())).status == 200


async def test_a_member_that_left_this_node_does_not_call_from_it(pair):
    """The same on the calling side: nothing is recorded in its name."""
    side = pair.consumer
    side.desk.change(lambda s: authoring.close_log(s, side.origin, until=CLOCK.now()))
    pair.publish()
    size = side.log.size
    with pytest.raises(Forbidden) as caught:
        side.consumer.call(pair.call(), Heard())
    assert (caught.value.code, side.log.size) == ("client.not-served", size)


def halt_once(pair):
    """The provider's log takes nothing, one time."""
    append = pair.provider.own.append

    def halted(*_):
        pair.provider.own.append = append
        raise Halt("log.halted", "the disk is full", at="log")

    pair.provider.own.append = halted


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_what_a_node_with_a_halted_log_drops_is_made_again_where_there_is_another(pair, method):
    """No system was called, so any method may; and that node is left alone for a while."""
    assert (await pair.made(pair.call())).status == 200
    team = pair.consumer.consumer._teams[pair.provider.id.member]
    team.peers.append(Peer(team.peers[0].entry))  # one that has no link
    halt_once(pair)
    heard = await pair.made(pair.call(method, body=b"once"))
    assert (heard.status, bytes(heard.body)) == (200, b"once")
    assert [bytes(work.body) for work in pair.provider.systems.calls] == [b"", b"once"]
    assert b"\nattempt 2\n" in pair.provider.systems.calls[-1].frame.record
    assert team.peers[0].rests


async def test_what_the_only_node_drops_is_told(pair):
    """There is nobody else to ask."""
    assert (await pair.made(pair.call())).status == 200
    halt_once(pair)
    assert (await pair.made(pair.call())).error.code == "log.halted"
    assert len(pair.provider.systems.calls) == 1
