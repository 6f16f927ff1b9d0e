"""One exchange between two nodes in one process: what is recorded, told and let go of, whatever happens when."""

from __future__ import annotations

import asyncio
import errno
from dataclasses import replace
from pathlib import Path

import pytest

from node_pair import CONSUMER, SERVICE, Fed, Heard, Scripted, node_pair, told, until
from qaztech.core.errors import Error, Forbidden, Limited, NotFound, Unavailable
from qaztech.core.ids import MemberId, ServiceId, SubsystemId
from qaztech.core.rights import Endpoint
from qaztech.node import consumer, frames, provider
from qaztech.testing.crash import CrashStorage


@pytest.fixture
async def pair(tmp_path, monkeypatch):
    """Two nodes that look often at what has stopped; at the end no exchange may be left over on either."""
    monkeypatch.setattr(consumer, "SWEEP_EVERY", 0.02)
    monkeypatch.setattr(provider, "SWEEP_EVERY", 0.02)
    async with node_pair(tmp_path) as pair:
        for side in pair.sides:
            side.consumer.start()
            side.provider.start()
        yield pair
        for side in pair.sides:
            await until(lambda side=side: not side.consumer.exchanges and not side.provider.exchanges)
            assert [link.streams for link in side.links if link.alive and link.streams] == []


def both(pair, call):
    """The kinds of the records of a call, at the consumer and at the provider."""
    return [side.kinds(call.message.text) for side in pair.sides]


class TestWhole:
    """Bodies that travel with their record."""

    async def test_an_answer_is_in_both_logs_and_acknowledged(self, pair):
        """The same bytes on both sides, and the acknowledgement with its proof."""
        call = pair.call("POST", body=b"hello")
        heard = await pair.made(call)
        assert (heard.status, bytes(heard.body)) == (200, b"hello")
        mine, theirs = (side.records(call.message.text) for side in pair.sides)
        assert [r.data for r in mine] == [r.data for r in theirs]
        assert both(pair, call) == [["request", "response"]] * 2
        await until(lambda: not pair.provider.links[-1]._unacked)

    async def test_many_at_once_share_one_link(self, pair):
        """And each gets its own answer."""
        calls = [pair.call("POST", body=b"%d" % i) for i in range(50)]
        heard = await asyncio.gather(*(pair.made(call) for call in calls))
        assert [bytes(h.body) for h in heard] == [call.body for call in calls]
        assert len(pair.provider.links) == 1

    async def test_a_refusal_is_recorded_and_told(self, pair):
        """By the node in its system's place."""
        pair.provider.systems.refuses = Unavailable("service.disabled", "closed", at="provider-node")
        call = pair.call()
        heard = await pair.made(call)
        assert (heard.error.code, heard.error.detail) == ("service.disabled", "closed")
        assert both(pair, call) == [["request", "refused"]] * 2
        assert not pair.provider.systems.calls

    @pytest.mark.parametrize(
        ("calls", "kinds"),
        [
            (("answer", "refuse"), ["request", "response"]),
            (("refuse", "answer"), ["request", "refused"]),
            (("answer", "answer"), ["request", "response"]),
            (("refuse", "refuse"), ["request", "refused"]),
        ],
    )
    async def test_a_system_is_heard_once(self, pair, calls, kinds):
        """One request, one answer: what comes after the first changes nothing, also before that is on the disk."""

        def serve(work):
            for what in calls:
                if what == "answer":
                    work.exchange.answer(200, work.lines(), b"x")
                else:
                    work.exchange.refuse(Unavailable("service.closed", "gone", at="service"))

        pair.provider.systems.serve = serve
        call = pair.call()
        await pair.made(call)
        await pair.made(pair.call())  # whatever else the first may have put on the way stands before this one
        assert both(pair, call) == [kinds, kinds]

    async def test_no_answer_in_time_is_recorded(self, pair):
        """A POST's outcome is unknown, and what comes too late changes nothing here."""
        pair.provider.systems.serve = lambda _: None
        call, heard = await self.given_up(pair, "POST", body=b"x")
        assert heard.error.code == "outcome.unknown"
        Scripted.echo(pair.provider.systems.calls[0])
        await until(lambda: not pair.provider.provider.exchanges)
        assert both(pair, call) == [["request", "no-answer"], ["request", "response"]]
        await pair.made(pair.call("POST", body=b"y"))
        assert len(pair.provider.links) == 1
        await until(lambda: len(pair.provider.systems.calls) == 2)
        Scripted.echo(pair.provider.systems.calls[1])

    async def given_up(self, pair, *args, **kwargs):
        """A call whose time is over once the provider's system has it."""
        call, heard = pair.call(*args, **kwargs), Heard()
        pair.consumer.consumer.call(call, heard)
        await until(lambda: pair.provider.systems.calls)
        pair.hurry()
        await told(heard)
        return call, heard

    async def test_an_answer_that_crosses_the_time_out_does_not_end_the_link(self, pair):
        """It comes while that none came is being written."""
        pair.provider.systems.serve = lambda _: None
        call, heard = pair.call("POST", body=b"x"), Heard()
        outgoing = pair.consumer.consumer.call(call, heard)
        await until(lambda: pair.provider.systems.calls)
        link = pair.consumer.links[0]
        sent = []
        link.send = sent.append  # nothing leaves any more, so that only the answer comes
        Scripted.echo(pair.provider.systems.calls[0])
        await until(lambda: not pair.provider.provider.exchanges)
        outgoing.timed_out()
        await told(heard)
        assert link.alive

    async def test_a_get_that_got_no_answer_in_time_is_told_so(self, pair):
        """It may be made again by whoever called."""
        pair.provider.systems.serve = lambda _: None
        _, heard = await self.given_up(pair)
        assert heard.error.code == "peer.timeout"
        Scripted.echo(pair.provider.systems.calls[0])


class TestRules:
    """Steps 1 to 3, at the consumer; the provider decides for itself."""

    async def test_what_is_known_to_be_wrong_is_told_at_once(self, pair):
        """Nothing is recorded, nobody is asked."""
        pair.grant(Endpoint.parse("GET /x"))
        pair.publish()
        for wrong, kind in (
            (pair.call("POST"), Forbidden),
            (pair.call("GET", "/y"), Forbidden),
        ):
            with pytest.raises(kind):
                pair.consumer.consumer.call(wrong, Heard())
        assert (pair.consumer.log.size, pair.consumer.links) == (0, [])

    async def test_the_provider_decides_by_its_own_configuration(self, pair):
        """A right that was just taken away is refused there, on record."""
        newest = pair.configuration
        pair.provider.desk.revoke(SERVICE, CONSUMER)
        pair.publish()
        revoked, pair.configuration = pair.configuration, newest
        call, heard = pair.call(), Heard()
        pair.consumer.consumer.call(call, heard)
        pair.configuration = revoked
        await told(heard)
        assert heard.error.code == "access-right.missing"
        assert both(pair, call) == [["request", "refused"]] * 2

    async def test_an_unknown_member_or_service(self, pair):
        """`NotFound`, before anything else."""
        nowhere = SubsystemId(MemberId("KZ", "GOV", "991340000099"), "x")
        for service in (ServiceId(nowhere, "x"), ServiceId(SERVICE.subsystem, "none")):
            with pytest.raises(NotFound):
                pair.consumer.consumer.call(replace(pair.call(), service=service), Heard())

    async def test_too_many_at_once_are_refused_at_once(self, tmp_path):
        """The limit is a setting."""
        async with node_pair(tmp_path, exchanges=2) as pair:
            pair.provider.systems.serve = lambda _: None
            heard = [Heard() for _ in range(2)]
            for each in heard:
                pair.consumer.consumer.call(pair.call(), each)
            with pytest.raises(Limited):
                pair.consumer.consumer.call(pair.call(), Heard())
            await until(lambda: pair.provider.systems.calls)
            for work in pair.provider.systems.calls:
                Scripted.echo(work)

    async def test_one_peer_does_not_get_all_places_of_a_provider(self, tmp_path):
        """What is over its part is dropped, and the caller told."""
        async with node_pair(tmp_path, exchanges=40) as pair:
            pair.provider.systems.serve = lambda _: None
            heard = [Heard() for _ in range(12)]
            for each in heard:
                pair.consumer.consumer.call(pair.call("POST", body=b"x"), each)
            # Who is dropped may hear of it before the others' requests are on the provider's disk.
            await until(lambda: len(pair.provider.systems.calls) == 10)
            await until(lambda: sum(h.done.done() for h in heard) == 2)
            assert {h.error.code for h in heard if h.done.done()} == {"limit.peer"}
            for work in pair.provider.systems.calls:
                Scripted.echo(work)
            await told(*heard)


class TestLinkLost:
    """The link goes at some moment of an exchange."""

    async def cut(self, pair):
        """Break the connection as a cable would."""
        links = list(pair.consumer.links)
        for link in pair.provider.links:
            link._transport.abort()
        await until(lambda: not any(link.alive for link in links))

    async def test_before_the_answer(self, pair):
        """The consumer records that none came; the provider what its system answered."""
        pair.provider.systems.serve = lambda _: None
        call, heard = pair.call("POST", body=b"x"), Heard()
        pair.consumer.consumer.call(call, heard)
        await until(lambda: pair.provider.systems.calls)
        await self.cut(pair)
        await told(heard)
        assert heard.error.code == "outcome.unknown"
        Scripted.echo(pair.provider.systems.calls[0])
        await until(lambda: not pair.provider.provider.exchanges)
        assert both(pair, call) == [["request", "no-answer"], ["request", "response"]]

    async def test_an_idempotent_call_is_made_once_more(self, pair):
        """As a new message, and only once."""
        served = []

        def serve(work):
            served.append(work)
            if len(served) == 2:
                Scripted.echo(work)

        pair.provider.systems.serve = serve
        call, heard = pair.call(), Heard()
        pair.consumer.consumer.call(call, heard)
        await until(lambda: served)
        await self.cut(pair)
        await told(heard)
        assert heard.status == 200
        assert both(pair, call)[0] == ["request", "no-answer"]
        assert b"\nattempt 2\n" in served[1].frame.record
        assert call.message.text.encode() not in served[1].frame.headers
        Scripted.echo(served[0])

    async def test_before_the_request_has_left(self, pair):
        """What is recorded was never sent, and says so; a POST is not unknown then."""
        await pair.made(pair.call())
        call, heard = pair.call("POST", body=b"x"), Heard()
        pair.consumer.consumer.call(call, heard)
        pair.consumer.links[0].close(Unavailable("peer.lost", "gone"))
        await told(heard)
        assert heard.error.code == "peer.lost"
        assert both(pair, call) == [["request", "no-answer"], []]

    async def test_a_request_that_becomes_durable_after_the_peer_began_to_end_does_not_leave(self, pair):
        """Nobody would answer it for certain: its caller knows that no system was called."""
        await pair.made(pair.call())
        call, heard = pair.call("POST", body=b"x"), Heard()
        pair.consumer.consumer.call(call, heard)
        pair.consumer.links[0].open = False  # as a Goaway has it
        await told(heard)
        assert heard.error.code == "node.draining"
        assert both(pair, call) == [["request", "no-answer"], []]


class TestStreamedAnswers:
    """Head, body, tail; and an end for everyone, however it ends."""

    async def streaming(self, pair, *, reads=True):
        """A call whose answer streams from a source in the test's hands."""
        source = Fed()
        pair.provider.systems.serve = lambda work: work.exchange.start(200, work.lines(), source)
        call, heard = pair.call(), Heard(reads=reads)
        pair.consumer.consumer.call(call, heard)
        feed = await asyncio.wait_for(source.to, 5)
        return call, heard, source, feed

    async def test_to_the_end(self, pair):
        """Both tails on record, and the caller has all of it."""
        call, heard, _, feed = await self.streaming(pair)
        body = bytes(range(256)) * 4096
        for at in range(0, len(body), 50_000):
            feed.feed(body[at : at + 50_000])
        feed.end()
        await told(heard)
        assert bytes(heard.body) == body
        assert not heard.is_cut
        assert both(pair, call) == [["request", "response", "response-tail"]] * 2

    async def test_a_source_that_breaks_off(self, pair):
        """Aborted on both sides, and the caller is cut off."""
        call, heard, _, feed = await self.streaming(pair)
        feed.feed(b"abc")
        feed.abort()
        await told(heard)
        assert heard.is_cut
        assert [r["outcome"] for r in pair.consumer.records(call.message.text)[2:]] == ["aborted"]
        assert both(pair, call)[0] == both(pair, call)[1]

    async def test_a_caller_that_leaves(self, pair):
        """The source is told to stop, and the tail says how far it went."""
        call, heard, source, feed = await self.streaming(pair)
        feed.feed(b"abc")
        await until(lambda: heard.body)
        next(iter(pair.consumer.consumer.exchanges)).caller_gone()
        await until(lambda: source.is_discarded)
        await until(lambda: not pair.consumer.consumer.exchanges)
        assert both(pair, call) == [["request", "response", "response-tail"]] * 2

    async def test_a_caller_that_does_not_read_slows_the_source_down(self, pair):
        """No more is held than a window, however much there is."""
        _, heard, source, feed = await self.streaming(pair, reads=False)
        for _ in range(16):
            feed.feed(bytes(64 * 1024))
        await until(lambda: len(heard.body) == 4 * 64 * 1024)
        assert source.is_paused
        await asyncio.sleep(0.02)
        assert len(heard.body) == 4 * 64 * 1024
        heard.reads = True
        heard.resume(len(heard.body))
        feed.end()
        await told(heard)
        assert len(heard.body) == 16 * 64 * 1024

    async def test_a_caller_that_never_reads_is_given_up(self, pair):
        """A peer that gives no room holds no connection to the system for ever."""
        call, heard, source, feed = await self.streaming(pair, reads=False)
        for _ in range(16):
            feed.feed(bytes(64 * 1024))
        await until(lambda: len(heard.body) == 4 * 64 * 1024)
        pair.hurry()
        await told(heard)
        assert heard.is_cut
        await until(lambda: source.is_discarded)
        await until(lambda: "response-tail" in both(pair, call)[1])

    async def test_a_link_that_goes(self, pair):
        """The caller is cut off; that the answer has no end is on record, on both sides."""
        call, heard, source, feed = await self.streaming(pair)
        feed.feed(b"abc")
        await until(lambda: heard.body)
        pair.provider.links[-1]._transport.abort()
        await told(heard)
        assert heard.is_cut
        await until(lambda: not pair.consumer.consumer.exchanges and not pair.provider.provider.exchanges)
        assert both(pair, call) == [["request", "response", "aborted"], ["request", "response", "response-tail"]]
        assert source.is_discarded

    async def test_a_source_that_stops_is_given_up(self, pair):
        """Silence has a limit, and what was silent is told."""
        call, heard, source, feed = await self.streaming(pair)
        feed.feed(b"abc")
        await until(lambda: heard.body)
        pair.hurry()
        await told(heard)
        assert heard.is_cut
        await until(lambda: source.is_discarded)
        await until(lambda: both(pair, call)[0][:3] == ["request", "response", "aborted"])

    async def test_a_tail_that_cannot_be_logged_ends_the_exchange(self, pair):
        """The caller is cut off, and the place is free again."""
        _, heard, _, feed = await self.streaming(pair)
        feed.feed(b"abc")
        await until(lambda: heard.body)

        def full(*_):
            raise Limited("log.queue-full", "too much waits to be logged", at="log")

        append, pair.consumer.own.append = pair.consumer.own.append, full
        feed.end()
        await told(heard)
        pair.consumer.own.append = append
        assert heard.is_cut
        left = list(pair.consumer.consumer.exchanges)
        pair.consumer.consumer.exchanges.clear()  # not a matter of the fixture
        pair.consumer.links[0].streams.clear()
        assert left == []


class TestStreamedRequests:
    """The other way."""

    async def streaming(self, pair, serve=lambda _: None):
        """A call whose request streams from a source in the test's hands."""
        source, heard = Fed(), Heard()
        pair.provider.systems.serve = serve
        call = pair.call("POST", body=None, source=source)
        pair.consumer.consumer.call(call, heard)
        feed = await asyncio.wait_for(source.to, 5)
        await until(lambda: pair.provider.systems.calls or (serve is not None and heard.done.done()))
        work = pair.provider.systems.calls[0] if pair.provider.systems.calls else None
        return call, heard, source, feed, work

    async def test_to_the_end(self, pair):
        """The system has all of it, and both tails are on record."""
        call, heard, _, feed, work = await self.streaming(pair)
        body = bytes(range(256)) * 4096
        for at in range(0, len(body), 50_000):
            feed.feed(body[at : at + 50_000])
        feed.end()
        await until(lambda: work.finished)
        assert bytes(work.body) == body
        work.exchange.answer(200, work.lines(), b"thanks")
        await told(heard)
        assert both(pair, call) == [["request", "request-tail", "response"]] * 2

    async def test_a_caller_that_leaves(self, pair):
        """The system hears that it is not whole, and both sides have that on record."""
        call, heard, _, feed, work = await self.streaming(pair)
        feed.feed(b"abc")
        await until(lambda: work.body)
        next(iter(pair.consumer.consumer.exchanges)).caller_gone()
        await until(lambda: work.error)
        work.exchange.refuse(Unavailable("request.aborted", "cut short", at="caller"))
        await told(heard)
        assert both(pair, call) == [["request", "request-tail", "refused"]] * 2
        assert [r["outcome"] for r in pair.provider.records(call.message.text) if "outcome" in r.fields] == ["aborted"]

    async def test_a_provider_that_never_answers_one_that_was_cut_short(self, pair):
        """The consumer does not wait for ever."""
        _, heard, _, feed, work = await self.streaming(pair)
        feed.feed(b"abc")
        next(iter(pair.consumer.consumer.exchanges)).caller_gone()
        pair.hurry()
        try:
            await told(heard)
        finally:
            work.exchange.refuse(Unavailable("request.aborted", "cut short", at="caller"))

    async def test_an_answer_before_the_end(self, pair):
        """The rest is not sent, and the tails say how far it went."""
        call, heard, source, feed, work = await self.streaming(pair)
        feed.feed(b"abc")
        await until(lambda: work.body)
        work.exchange.answer(413, work.lines(), b"enough")
        await told(heard)
        assert heard.status == 413
        await until(lambda: source.is_discarded)
        await until(lambda: all("request-tail" in kinds for kinds in both(pair, call)))

    async def test_a_link_that_goes(self, pair):
        """The system hears that it is not whole; the outcome is unknown to the caller."""
        call, heard, source, feed, work = await self.streaming(pair)
        feed.feed(b"abc")
        await until(lambda: work.body)
        pair.provider.links[-1]._transport.abort()
        await told(heard)
        await until(lambda: work.error)
        work.exchange.refuse(Unavailable("request.aborted", "cut short", at="caller"))
        assert heard.error.code == "outcome.unknown"
        assert source.is_discarded
        await until(lambda: both(pair, call) == [["request", "request-tail", "no-answer"], ["request", "refused"]])

    async def test_more_than_there_is_room_for_ends_the_link(self, pair):
        """A window is a promise: a system that takes nothing gets no more than one."""
        _, heard, _, _, work = await self.streaming(pair)
        work.write = lambda _: None
        for _ in range(5):
            pair.consumer.links[0].send(frames.Data(1, bytes(64 * 1024)))
        await until(lambda: not pair.provider.links[-1].alive)
        assert pair.provider.links[-1].reason.code == "link.window"
        work.exchange.refuse(Unavailable("request.aborted", "cut short", at="caller"))
        await told(heard)

    async def test_a_caller_that_stops_is_given_up(self, pair):
        """The provider does not wait for ever for a body."""
        call, heard, source, _, _ = await self.streaming(pair)
        pair.hurry()
        await told(heard)
        assert heard.error.code == "request.stalled"
        assert source.is_discarded
        await until(lambda: "refused" in both(pair, call)[1])

    async def test_one_that_is_too_large_is_cut_off(self, tmp_path):
        """The limit of the provider counts."""
        async with node_pair(tmp_path, body=100_000) as pair:
            _, _, source, feed, work = await self.streaming(pair)
            feed.feed(bytes(200_000))
            await until(lambda: source.is_discarded)
            await until(lambda: work.error)
            assert not work.finished
            work.exchange.refuse(Unavailable("request.aborted", "too large", at="caller"))


class TestDisk:
    """A log that cannot be written: nothing is sent, and everyone who waits is told."""

    @pytest.mark.parametrize("operation", ["write", "sync"])
    async def test_at_the_consumer(self, pair, operation):
        """The request never leaves, and no further one is taken."""
        await pair.made(pair.call())
        pair.consumer.storage.fail(operation, error=errno.ENOSPC)
        heard = await pair.made(pair.call("POST", body=b"x"))
        assert heard.error.code.startswith(("log.", "disk."))
        assert len(pair.provider.systems.calls) == 1
        with pytest.raises(Error):
            pair.consumer.consumer.call(pair.call(), Heard())

    @pytest.mark.parametrize("operation", ["write", "sync"])
    async def test_at_the_provider_before_the_system_is_called(self, pair, operation):
        """The system never hears of it."""
        await pair.made(pair.call())
        pair.provider.storage.fail(operation, error=errno.ENOSPC)
        heard = await pair.made(pair.call("POST", body=b"x"))
        assert heard.error is not None
        assert len(pair.provider.systems.calls) == 1

    @pytest.mark.parametrize("operation", ["write", "sync"])
    async def test_at_the_provider_after_the_system_was_called(self, pair, operation):
        """The answer is not on record, so it is not told: the outcome is unknown, at once."""
        await pair.made(pair.call())

        def serve(work):
            pair.provider.storage.fail(operation, error=errno.EIO)
            Scripted.echo(work)

        pair.provider.systems.serve = serve
        heard = await pair.made(pair.call("POST", body=b"x"))
        assert heard.error.code == "outcome.unknown"

    async def test_what_is_left_is_opened_again(self, pair):
        """The node refuses until it is started again, on what the disk really holds."""
        await pair.made(pair.call())
        pair.consumer.storage.fail("sync", error=errno.EIO)
        await pair.made(pair.call("POST", body=b"x"))
        await pair.consumer.close()
        pair.consumer.storage.crash("none")
        pair.consumer.links.clear()
        pair.consumer.build()
        await pair.consumer.listen()
        heard = await pair.made(pair.call("POST", body=b"again"))
        assert bytes(heard.body) == b"again"


class TestWhatAPeerSays:
    """Words of the peer stay words."""

    @pytest.mark.parametrize("code", ["", "x y", "a\nb", "a.b\nkind response", "A.B", "x" * 2000])
    async def test_a_code_that_is_none_does_not_get_into_the_log(self, pair, code):
        """The records of this log can be read, all of them."""
        pair.provider.systems.serve = lambda _: None
        call, heard = pair.call("POST", body=b"x"), Heard()
        pair.consumer.consumer.call(call, heard)
        await until(lambda: pair.provider.systems.calls)
        pair.provider.links[-1].send(frames.Dropped(1, code, "words"))
        await told(heard)
        assert pair.consumer.records(call.message.text)[1]["code"] == "peer.dropped"
        Scripted.echo(pair.provider.systems.calls[0])


def test_the_storage_of_these_tests_is_a_disk_that_can_fail():
    """What these tests do to the disk is what the log is told of."""
    storage = CrashStorage()
    storage.mkdir(Path("/x"))
    storage.fail("open", error=errno.ENOSPC)
    with pytest.raises(OSError, match="scheduled"):
        storage.open(Path("/x/y"), create=True)
