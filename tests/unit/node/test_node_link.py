"""Links between two nodes in one process: hellos, checks at each configuration, questions, silence, draining."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from dataclasses import replace

import pytest

from node_pair import CLOCK, CONSUMER, PROVIDER, Heard, Scripted, node_pair, until
from qaztech.core.errors import Unavailable, Untrusted
from qaztech.core.exchange import PROTOCOL_VERSION
from qaztech.core.ids import NodeId
from qaztech.evidence.checkpoint import SignedCheckpoint, sign_checkpoint
from qaztech.node import consumer as consumer_module
from qaztech.node import frames, link
from qaztech.node.journal import Remembered
from qaztech.node.throttle import Throttle
from qaztech.registry import authoring
from qaztech.trust.certificates import client_context, generate_key, key_spki_hash


@pytest.fixture
async def pair(tmp_path):
    """Two nodes."""
    async with node_pair(tmp_path) as pair:
        yield pair


async def linked(pair):
    """The two ends of a link on which a call was answered."""
    await pair.made(pair.call())
    return pair.consumer.links[-1], pair.provider.links[-1]


async def silence(reader, writer):
    """Somebody who reads and says nothing."""
    await reader.read()
    writer.close()


class TestStrangers:
    """A member that nobody named yet may come: to ask for access, for one."""

    @staticmethod
    def forget_the_consumer(pair, monkeypatch):
        """The provider's node has not fetched that member's file; gives what it will know."""
        known = pair.configuration
        keys = {key: node for key, node in known._by_tls.items() if node.id.member != CONSUMER.member}
        members = {id_: member for id_, member in known._members.items() if id_ != CONSUMER.member}
        pair.configuration = replace(known, _by_tls=keys, _members=members)
        monkeypatch.setattr(link, "LOOK_AGAIN", 0.01)
        return known

    async def test_it_waits_at_the_door_until_its_file_is_there(self, pair, monkeypatch):
        """Its first call is answered; nothing is held against it."""
        known = self.forget_the_consumer(pair, monkeypatch)
        asked = []

        def stranger(member):
            asked.append(member)
            asyncio.get_running_loop().call_later(0.05, setattr, pair, "configuration", known)
            return True

        pair.provider.stranger = stranger
        assert (await pair.made(pair.call())).status == 200
        assert (asked, pair.provider.incidents) == ([CONSUMER.member], [])

    async def test_another_key_of_a_known_member_is_no_stranger(self, pair, monkeypatch):
        """Its file is here and does not name that key: refused at once, nothing is fetched."""
        known = pair.configuration
        self.forget_the_consumer(pair, monkeypatch)
        pair.configuration = replace(pair.configuration, _members=known._members)
        asked = []
        pair.provider.stranger = asked.append
        assert (await pair.made(pair.call())).error.code == "peer.lost"
        assert asked == []

    @pytest.mark.parametrize("news", [True, False])
    async def test_who_stays_unknown_is_let_go(self, pair, monkeypatch, news):
        """After a while where its file is looked for, at once where there is nothing new to look for."""
        self.forget_the_consumer(pair, monkeypatch)
        monkeypatch.setattr(link, "MEETING", 0.1)
        pair.provider.stranger = lambda _: news
        answer = await pair.made(pair.call())
        assert answer.error.code == "peer.lost"
        assert {code for code, _ in pair.provider.incidents} == {"peer.unknown"}


class TestHello:
    """Who speaks follows from the TLS key and the configuration, and from nothing else."""

    async def test_both_know_each_other(self, pair):
        """Node and log of the other end."""
        mine, theirs = await linked(pair)
        assert (str(mine.peer.id), mine.origin) == (str(NodeId(PROVIDER.member, "node1")), pair.provider.origin)
        assert (str(theirs.peer.id), theirs.origin) == (str(NodeId(CONSUMER.member, "node1")), pair.consumer.origin)
        assert (mine.is_dialler, theirs.is_dialler) == (True, False)

    async def test_the_largest_accepted_head_is_told(self, pair):
        """On the next link, and the first head there continues it."""
        mine, theirs = await linked(pair)
        await until(pair.provider.accepted.all)
        mine.close(Unavailable("x.x", "x"))
        await until(lambda: not theirs.alive)
        assert (await pair.made(pair.call())).status == 200
        assert pair.consumer.links[-1] is not mine
        await until(lambda: pair.provider.links[-1]._heads_in.last.size == pair.consumer.log.size)

    async def test_a_link_made_beside_one_in_use_begins_where_its_hello_said(self, pair, monkeypatch):
        """What the other link brought since is no fork of it: heads on both go on, and calls over both are answered."""
        mine, _ = await linked(pair)
        real = link.Link._on_hello

        def late(self, hello):
            async def call_first():
                assert (await pair.made(pair.call())).status == 200
                real(self, hello)

            pair.late = asyncio.create_task(call_first())

        with monkeypatch.context() as patch:
            patch.setattr(link.Link, "_on_hello", lambda self, h: (late if self.is_dialler else real)(self, h))
            pair.consumer.consumer.redial(asyncio.get_running_loop().time())
            await until(lambda: pair.consumer.links[-1] is not mine and pair.consumer.links[-1].open)
        again = pair.consumer.links[-1]
        for _ in range(2):
            assert (await pair.made(pair.call())).status == 200
        assert again.alive
        pair.consumer.consumer.start()
        assert mine.reason.code == "peer.moved"
        assert pair.consumer.incidents == pair.provider.incidents == []

    @pytest.mark.parametrize("silent", ["connect", "hello"])
    async def test_who_does_not_say_hello_is_let_go(self, pair, monkeypatch, silent):
        """In time."""
        monkeypatch.setattr(link, "HELLO_TIMEOUT", 0.05)
        monkeypatch.setattr(consumer_module, "DIAL_TIMEOUT", 0.2)
        if silent == "connect":  # somebody who takes connections and says nothing
            server = await asyncio.start_server(silence, "127.0.0.1", 0)
            pair.provider.describe(server.sockets[0].getsockname()[1])
            pair.publish()
            heard = await pair.made(pair.call())
            assert heard.error.code == "peer.unreachable"
            server.close()
            await asyncio.sleep(0.02)
        else:
            monkeypatch.setattr(link.Link, "send", lambda *_: None)
            heard = await pair.made(pair.call())
            assert heard.error.code in {"peer.silent", "peer.lost", "peer.unreachable"}

    @pytest.mark.parametrize(
        "wrong",
        [
            {"version": PROTOCOL_VERSION + 1},
            {"instance": "XX"},
            {"node": str(NodeId(PROVIDER.member, "node1"))},
            {"origin": "kz.qaztech.example/log/00000000000000000000"},
        ],
        ids=lambda w: next(iter(w)),
    )
    async def test_one_that_is_not_the_peers_ends_the_link(self, pair, monkeypatch, wrong):
        """Each field of it counts."""
        real = link.Hello

        def forged(*fields):
            named = dict(zip(("version", "instance", "node", "origin", "accepted"), fields, strict=True))
            return real(**(named | wrong))

        with monkeypatch.context() as patch:
            patch.setattr(link, "Hello", forged)
            pair.provider.links.clear()
            heard = await pair.made(pair.call())
        assert heard.error is not None
        assert isinstance(pair.provider.links[0].reason, Untrusted) or isinstance(
            pair.consumer.links[0].reason, Untrusted
        )

    async def test_a_head_of_our_own_that_we_do_not_hold_closes_our_log(self, pair):
        """If we signed it; then nothing is appended any more, now or later."""
        size = 5
        note = sign_checkpoint(pair.provider.origin, size, bytes(32), pair.provider.key)
        signature = SignedCheckpoint.parse(note).note.signatures[0].signature
        pair.consumer.accepted.remember(pair.provider.origin, Remembered(size, bytes(32), signature))
        heard = await pair.made(pair.call())
        assert heard.error is not None
        assert pair.provider.log.halted.code == "log.contradicted"
        assert any(path.name == "closed" for path in pair.provider.storage.files())


class TestConfiguration:
    """At each change every open link is looked at again."""

    async def test_a_link_whose_peer_is_who_it_was_stays(self, pair):
        """Nothing is dropped."""
        mine, theirs = await linked(pair)
        pair.publish()
        pair.recheck()
        assert mine.alive
        assert theirs.alive

    async def test_a_tls_key_that_is_named_no_more(self, pair):
        """The link ends on both sides, and no other is to be had."""
        mine, theirs = await linked(pair)
        pair.consumer.desk.change(
            lambda s: authoring.with_node(s, pair.consumer.id, s.nodes[0].address, key_spki_hash(generate_key()))
        )
        pair.publish()
        pair.recheck()
        assert theirs.reason.code == "peer.unknown"
        await until(lambda: not mine.alive)
        assert (await pair.made(pair.call())).error is not None

    async def test_a_tls_key_that_was_revoked(self, pair):
        """Whatever its member says."""
        _, theirs = await linked(pair)
        pair.publish(revoked=(b64encode(key_spki_hash(pair.consumer.tls)).decode(),))
        pair.recheck()
        assert theirs.reason.code == "peer.unknown"

    async def test_a_log_that_was_closed(self, pair):
        """Its node is spoken to again when it has another."""
        _, theirs = await linked(pair)
        pair.consumer.desk.change(
            lambda s: authoring.close_log(s, pair.consumer.origin, until=CLOCK.now(), closed=(0, bytes(32)))
        )
        pair.publish()
        pair.recheck()
        assert theirs.reason.code == "peer.log-unknown"

    async def test_an_exchange_on_a_link_that_ends_is_told(self, pair):
        """Nobody waits for what cannot come."""
        pair.provider.systems.serve = lambda _: None
        heard = Heard()
        pair.consumer.consumer.call(pair.call("POST", body=b"x"), heard)
        await until(lambda: pair.provider.systems.calls)
        pair.publish(revoked=(b64encode(key_spki_hash(pair.provider.tls)).decode(),))
        pair.recheck()
        await asyncio.wait_for(heard.done, 5)
        assert heard.error.code == "outcome.unknown"
        Scripted.echo(pair.provider.systems.calls[0])

    async def test_another_node_at_that_address_is_not_the_one_that_was_dialled(self, pair):
        """A member cannot take another's calls by taking its address."""
        pair.provider.desk.change(
            lambda s: authoring.with_node(
                s, pair.provider.id, pair.consumer.desk.statement.nodes[0].address, key_spki_hash(pair.provider.tls)
            )
        )
        pair.publish()
        heard = await pair.made(pair.call())
        assert heard.error.code == "peer.unexpected"


class TestQuestions:
    """Asked and answered on a link, in either direction."""

    async def ask(self, end, payload=b"abc"):
        answer = asyncio.get_running_loop().create_future()
        end.ask("x", payload, answer.set_result)
        return await asyncio.wait_for(answer, 5)

    async def test_either_end_may_ask(self, pair):
        """And gets the answer to its own question."""
        mine, theirs = await linked(pair)
        answers = await asyncio.gather(*(self.ask(end, b"%d" % i) for i, end in enumerate((mine, theirs, mine))))
        assert [a.payload for a in answers] == [b"0", b"1", b"2"]

    async def test_no_answer_in_time(self, pair, monkeypatch):
        """None, once."""
        monkeypatch.setattr(link, "QUESTION_TIMEOUT", 0.05)
        mine, _ = await linked(pair)
        pair.provider.answers = False
        assert await self.ask(mine) is None
        mine._answered(1, frames.Answer(1, "", b"late"))

    async def test_a_link_that_goes_or_is_gone(self, pair):
        """None, at once."""
        mine, _ = await linked(pair)
        pair.provider.answers = False
        waiting = asyncio.create_task(self.ask(mine))
        await until(lambda: pair.provider.questions)
        mine.close(Unavailable("x.x", "x"))
        assert await waiting is None
        assert await self.ask(mine) is None


class TestLife:
    """Silence, draining, and a peer that does not read."""

    async def test_a_silent_peer_is_let_go(self, pair, monkeypatch):
        """One that does not even answer a ping."""
        monkeypatch.setattr(link, "PING_INTERVAL", 0.03)
        mine, theirs = await linked(pair)
        monkeypatch.setattr(theirs, "_receive", lambda _: None)
        monkeypatch.setattr(theirs, "_keep_alive", lambda: None)
        mine._keep_alive()
        await until(lambda: not mine.alive)
        assert mine.reason.code == "peer.silent"

    async def test_pings_keep_a_quiet_link(self, pair):
        """For as long as both ends are there, each is heard between two looks."""
        ends = await linked(pair)
        for _ in range(4):
            for end in ends:
                end._timer.cancel()
                end._keep_alive()
            assert [end._heard for end in ends] == [False, False]
            await until(lambda: all(end._heard for end in ends))
        assert all(end.alive for end in ends)

    async def test_a_peer_that_drains_gets_no_new_calls(self, pair):
        """What is open there goes on; the next call dials anew, and is told."""
        pair.provider.systems.serve = lambda _: None
        heard = Heard()
        pair.consumer.consumer.call(pair.call("POST", body=b"x"), heard)
        await until(lambda: pair.provider.systems.calls)
        pair.provider.provider.drain()
        await until(lambda: not pair.consumer.links[0].open)
        late = await pair.made(pair.call("POST", body=b"y"))
        assert late.error.code == "node.draining"
        Scripted.echo(pair.provider.systems.calls[0])
        await asyncio.wait_for(heard.done, 5)
        assert bytes(heard.body) == b"x"

    async def test_a_node_that_drains_waits_until_its_peers_have_heard_it(self, pair):
        """Only then can no request be on its way; a peer that is gone is not waited for."""
        await pair.made(pair.call())
        provider, link = pair.provider.provider, pair.consumer.links[-1]
        assert provider.is_quiet
        link.writable = False  # it does not answer pings
        provider.drain()
        await until(lambda: not link.open)
        assert not provider.is_quiet
        link.writable = True
        provider.drain()
        await asyncio.sleep(0.05)
        assert not provider.is_quiet  # one of two
        link.close(Unavailable("peer.lost", "gone"))
        await until(lambda: provider.is_quiet)

    async def test_a_peer_that_has_heard_of_the_end_is_quiet(self, pair):
        """Its answer comes behind what it sent before."""
        await pair.made(pair.call())
        pair.provider.provider.drain()
        assert not pair.provider.provider.is_quiet
        await until(lambda: pair.provider.provider.is_quiet)
        assert not pair.consumer.links[-1].open

    async def test_a_node_that_drains_makes_no_calls(self, pair):
        """It says so at once."""
        pair.consumer.consumer.drain()
        with pytest.raises(Unavailable, match="shutting down"):
            pair.consumer.consumer.call(pair.call(), Heard())

    async def test_who_fails_too_often_is_not_heard(self, pair):
        """An address with too many strangers is refused before any of them is looked at."""
        pair.provider.throttle = Throttle(failures=3, per_second=0)
        await linked(pair)
        pair.publish(revoked=(b64encode(key_spki_hash(pair.consumer.tls)).decode(),))
        codes = []
        for _ in range(5):
            pair.provider.links.clear()
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", pair.provider.server.sockets[0].getsockname()[1], ssl=pair.consumer._tls(client_context)
            )
            await asyncio.wait_for(reader.read(), 5)
            writer.close()
            codes.append(pair.provider.links[0].reason.code)
        assert codes == ["peer.unknown"] * 3 + ["link.throttled"] * 2
