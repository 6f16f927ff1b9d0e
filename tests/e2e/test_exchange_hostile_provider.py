"""A provider node that does not keep to the protocol: what is taken for an answer, and what callers see."""

from __future__ import annotations

import json
import queue
import socket
import threading
import time
from hashlib import sha256
from http.client import HTTPException
from urllib.parse import urlsplit

import pytest

from adversary import Silence, changed
from qaztech.core.commitment import BODY, commit_digest, salt
from qaztech.core.ids import ServiceId, SubsystemId
from qaztech.core.record import format_record, hash_text, parse_record
from qaztech.core.rights import Endpoint
from qaztech.core.time import SystemClock
from qaztech.evidence.merkle import leaf_hash
from qaztech.node import frames
from qaztech.registry.forms import Names


@pytest.fixture(scope="module")
def service(country):
    """A service of the university's, which the ministry may call; who answers is in the tests' hands."""
    desk = country.desk("university")
    system = SubsystemId.parse(country.node("university")["system"])
    service = ServiceId(system, "hostile")
    desk.add_service(service, Names(kk="x", ru="x", en="x"), type_="REST", disabled=None)
    ministry = SubsystemId.parse(country.node("ministry")["system"])
    desk.grant(service, ministry, country.desk("ministry").lineage, [Endpoint.parse("* /**")], None)
    country.submit(desk)
    country.call("/x", service=str(service))  # so that the ministry's node gets to know the university
    country.manage("ministry", "/reload", "POST")
    return str(service)


@pytest.fixture(scope="module")
def links(adversary, service):
    """The adversary listens; links come here."""
    with adversary.listen() as links:
        time.sleep(1.1)  # a peer that could not be reached is dialled again after a second
        yield links


class Calling:
    """A call by the ministry's system, in the background; and the adversary's end of it."""

    def __init__(self, country, wire, request, thread, answers):
        self.country = country
        self.wire = wire
        self.request = request
        self._thread = thread
        self._answers = answers

    def answer(self):
        """What the caller got."""
        self._thread.join(30)
        answer = self._answers.get_nowait()
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def message(self):
        return parse_record(self.request.record)["message"]

    def fault(self):
        """The X-Road error the caller got."""
        return json.loads(self.answer().body)["type"].rpartition(".")[2]


@pytest.fixture(scope="module")
def incoming(links):
    """Gives the next request the adversary is sent, on whatever link, and the link."""
    wires = []

    def take():
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            while not links.empty():
                wires.append(links.get())
            for wire in [wire for wire in wires if wire.is_up]:
                try:
                    frame = wire.receive(0.02)
                except Silence:
                    continue
                if isinstance(frame, frames.Request):
                    return wire, frame
        raise Silence

    return take


@pytest.fixture
def calling(country, service, incoming):
    """Makes a call to the adversary's service, and gives both ends of it."""

    def call(path="/x", **arguments):
        answers = queue.Queue()

        def run():
            try:
                answers.put(country.call(path, service=service, seconds=6, **arguments))
            except Exception as exc:  # noqa: BLE001 the test is told
                answers.put(exc)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return Calling(country, *incoming(), thread, answers)

    return call


def records(country, message):
    """The kinds of the records the consumer's node has of a message."""
    return country.records("ministry", message)


def test_what_an_honest_provider_answers_reaches_the_caller(country, adversary, calling):
    """The tests' own hands work: an answer as it should be is recorded, acknowledged and given to the caller."""
    call = calling()
    answer, record = adversary.answer(call.request)
    call.wire.prove(answer)
    ack = call.wire.expect(frames.Ack)
    assert (ack.message.hex(), ack.response_index) == (record["message"].replace("-", ""), answer.index)
    assert call.answer().body == b"hello"
    assert records(country, call.message) == ["request", "response"]


class TestAnswers:
    """An answer is one to this request, by this provider's log, proven, or the link ends and the caller is told so."""

    def untrusted(self, country, adversary, call, *sent):
        """What was sent ends the link and never becomes a record; that nothing came is on record."""
        call.wire.prove(*sent)
        assert call.wire.is_cut()
        assert call.answer().status == 500
        assert records(country, call.message) == ["request", "no-answer"]

    @pytest.mark.parametrize("field", ["message", "from_", "to", "client", "service", "request"])
    def test_one_not_bound_to_its_request_is_untrusted(self, country, adversary, calling, field):
        """Every field that ties an answer to its request must be right."""
        call = calling(method="POST", body=b"x")
        asked = parse_record(call.request.record)
        other = {
            "message": "01a2074c-0000-7eb0-9a85-51eb14737222",
            "from_": asked["from"],
            "to": asked["to"],
            "client": country.node("registers")["system"],
            "service": country.service,
            "request": f"{hash_text(leaf_hash(call.request.record))} {call.request.index + 1}",
        }[field]
        answer, _ = adversary.answer(call.request, **{field: other})
        self.untrusted(country, adversary, call, answer)

    def test_one_to_another_request_is_untrusted(self, country, adversary, calling):
        """Two answers changed for each other reach nobody."""
        first = calling(method="POST", body=b"x")
        second, _ = adversary.answer(changed(first.request, record=first.request.record.replace(b"POST", b"PUT", 1)))
        self.untrusted(country, adversary, first, changed(second, stream=first.request.stream))

    @pytest.mark.parametrize("change", [
        {"secret": b"\x01" * 32}, {"headers": b""}, {"body": b"other"}, {"index": 0}, {"request_index": 2**62},
        {"record": b"x"}, {"body": None},
    ], ids=lambda c: next(iter(c)))  # fmt: skip
    def test_one_changed_on_its_way_is_untrusted(self, country, adversary, calling, change):
        """What is sent opens the record; the record stands where it is said to."""
        call = calling(method="POST", body=b"x")
        answer, _ = adversary.answer(call.request)
        self.untrusted(country, adversary, call, changed(answer, **change))

    def test_one_without_a_head_is_untrusted(self, country, adversary, calling):
        """No proof, no answer."""
        call = calling(method="POST", body=b"x")
        answer, _ = adversary.answer(call.request)
        call.wire.send(answer)
        assert call.wire.is_cut()
        assert call.fault() == "outcome_unknown"

    def test_one_whose_log_does_not_hold_the_request_is_untrusted(self, country, adversary, calling):
        """The provider's log holds the request at the place it names."""
        call = calling(method="POST", body=b"x")
        adversary.log.append(b"not the request")
        answer, _ = adversary.answer(call.request, keep_request=False)
        self.untrusted(country, adversary, call, changed(answer, request_index=answer.index - 1))

    def test_one_from_another_time_is_untrusted(self, country, adversary, calling):
        """The provider's clock may be a minute off."""
        call = calling(method="POST", body=b"x")
        answer, _ = adversary.answer(call.request, time=SystemClock().now() - 120_000)
        self.untrusted(country, adversary, call, answer)

    def test_a_request_record_is_no_answer(self, country, adversary, calling):
        """The kind says what a record is for."""
        call = calling(method="POST", body=b"x")
        answer, _ = adversary.answer(call.request)
        index = adversary.log.size - 2
        self.untrusted(country, adversary, call, changed(answer, record=call.request.record, index=index))

    def test_a_second_answer_changes_nothing(self, country, adversary, calling):
        """The first one counts; what follows it is not recorded."""
        call = calling()
        answer, _ = adversary.answer(call.request)
        call.wire.prove(answer)
        call.wire.expect(frames.Ack)
        assert call.answer().body == b"hello"
        again, _ = adversary.answer(call.request, body=b"again")
        with country.unrecorded("ministry"):
            call.wire.prove(again)
            call.wire.is_alive()
        assert records(country, call.message) == ["request", "response"]

    def test_an_answer_to_a_stream_nobody_opened_changes_nothing(self, country, adversary, calling):
        """It is passed over; the exchange it was sent beside goes on."""
        call = calling()
        answer, _ = adversary.answer(call.request)
        with country.unrecorded("ministry"):
            call.wire.prove(changed(answer, stream=answer.stream + 1000))
            assert call.wire.is_alive()
        right, _ = adversary.answer(call.request)
        call.wire.prove(right)
        assert call.answer().body == b"hello"

    @pytest.mark.parametrize(
        "lines",
        [
            b"no colon\r\n", b"A:b", b"A:b\n", b"\r\n", b"A:b\r\n\r\nHTTP/1.1 200 OK\r\n", b"Content-Length:3\r\n",
            b"Transfer-Encoding:chunked\r\n", b"Connection:close\r\n", b"X-Road-Error:server.clientproxy\r\n" * 2, b"",
        ],
    )  # fmt: skip
    def test_headers_that_cannot_be_given_to_the_caller_are_untrusted(self, country, adversary, calling, lines):
        """A hostile node cannot split the answer, nor frame it otherwise, nor leave the caller waiting."""
        call = calling(method="POST", body=b"x")
        honest = b"".join(b"%b:%b\r\n" % h for h in adversary.answer_headers(parse_record(call.request.record)))
        answer, _ = adversary.answer(call.request, lines=lines + honest if lines else b"")
        self.untrusted(country, adversary, call, answer)

    @pytest.mark.parametrize("name", [b"x-road-client", b"x-road-service", b"x-road-request-id"])
    def test_headers_that_say_otherwise_than_the_record_are_untrusted(self, country, adversary, calling, name):
        """What the caller reads in the answer is what is on record."""
        call = calling(method="POST", body=b"x")
        headers = adversary.answer_headers(parse_record(call.request.record))
        wrong = [(n, b"KZ/GOV/991340000017/other" if n == name else v) for n, v in headers]
        answer, _ = adversary.answer(call.request, headers=wrong)
        self.untrusted(country, adversary, call, answer)

    @pytest.mark.parametrize("status", [100, 101, 199])
    def test_a_status_that_is_no_answer_is_untrusted(self, country, adversary, calling, status):
        """An interim answer is none."""
        call = calling(method="POST", body=b"x")
        answer, _ = adversary.answer(call.request, status=status)
        self.untrusted(country, adversary, call, answer)


class TestRefusalsAndSilence:
    """What a provider says instead of an answer."""

    def test_a_refusal_is_on_record_and_told(self, country, adversary, calling):
        """A recorded refusal reaches the caller as an X-Road error."""
        call = calling(method="POST", body=b"x")
        refused, _ = adversary.answer(call.request, kind="refused", code="service.unreachable")
        call.wire.prove(refused)
        call.wire.expect(frames.Ack)
        assert call.fault() == "network_error"
        assert records(country, call.message) == ["request", "refused"]

    def test_a_code_never_heard_of_is_still_a_refusal(self, country, adversary, calling):
        """The peer may be newer."""
        call = calling(method="POST", body=b"x")
        refused, _ = adversary.answer(call.request, kind="refused", code="something.new")
        call.wire.prove(refused)
        assert call.answer().status == 500

    @pytest.mark.parametrize("code", ["", "x", "a.b\nkind response", "a.b" * 600, "A.B", "a.\u00e9", "a b.c"])
    def test_what_a_peer_says_in_dropping_does_not_get_into_our_log(self, country, adversary, calling, code):
        """Our log holds records that can be read, whatever the peer says."""
        call = calling(method="POST", body=b"x")
        call.wire.send(frames.Dropped(call.request.stream, code, "words"))
        assert call.answer().status == 500
        assert records(country, call.message) == ["request", "no-answer"]

    def test_a_link_that_goes_leaves_the_outcome_unknown(self, country, adversary, calling):
        """A request that has left may have had its effect: a POST is not sent again, and the caller is told the id."""
        call = calling(method="POST", body=b"x")
        call.wire.close()
        assert call.fault() == "outcome_unknown"
        assert records(country, call.message) == ["request", "no-answer"]

    def test_an_idempotent_call_is_made_once_more(self, country, adversary, calling, incoming):
        """A GET that was lost with its link leaves once more, as a new message and a second attempt."""
        call = calling()
        first = parse_record(call.request.record)
        call.wire.close()
        wire, again = incoming()
        second = parse_record(again.record)
        assert (first["attempt"], second["attempt"]) == ("1", "2")
        assert first["message"] != second["message"]
        answer, _ = adversary.answer(again)
        wire.prove(answer)
        assert call.answer().body == b"hello"

    def test_it_is_made_once_more_only(self, country, adversary, calling, incoming):
        """And then the caller is told."""
        call = calling()
        call.wire.close()
        incoming()[0].close()
        assert call.fault() == "network_error"


class TestStreams:
    """A streamed answer: nothing counts that the tail does not name."""

    def streamed(self, adversary, call):
        """The head of a streamed answer, sent."""
        answer, record = adversary.answer(call.request, body=None)
        call.wire.prove(answer)
        call.wire.expect(frames.Ack)
        return answer, record

    def tail(self, adversary, answer, record, body, /, *, outcome="complete", **changed_fields):
        """A tail that names this body."""
        digest = commit_digest(salt(bytes(32), BODY), sha256(body).digest())
        fields = {
            "message": record["message"], "from_": record["from"], "to": record["to"],
            "head": f"{hash_text(leaf_hash(record.data))} {answer.index}", "time": SystemClock().now(),
            "size": len(body), "body": hash_text(digest), "outcome": outcome,
        }  # fmt: skip
        tail = format_record("response-tail", **{**fields, **changed_fields})
        return frames.Tail(answer.stream, adversary.log.append(tail.data), tail.data)

    def test_an_honest_stream_reaches_the_caller(self, country, adversary, calling):
        """Head, data, tail: recorded and delivered."""
        call = calling()
        answer, record = self.streamed(adversary, call)
        call.wire.send(frames.Data(answer.stream, b"abc"), frames.Data(answer.stream, b"def"))
        call.wire.prove(self.tail(adversary, answer, record, b"abcdef"))
        assert call.answer().body == b"abcdef"
        assert records(country, call.message) == ["request", "response", "response-tail"]

    def is_cut_off(self, call):
        """Whether the caller's connection was cut, so that nobody takes the body for whole."""
        with pytest.raises((HTTPException, ConnectionError)):
            call.answer()
        return True

    @pytest.mark.parametrize("lie", ["size", "body", "head", "message", "kind"])
    def test_a_tail_that_lies_cuts_the_caller_off(self, country, adversary, calling, lie):
        """A tail names what was sent, or the body counts as cut short."""
        call = calling()
        answer, record = self.streamed(adversary, call)
        call.wire.send(frames.Data(answer.stream, b"abc"))
        wrong = {
            "size": {"size": 4}, "body": {"body": hash_text(bytes(32))}, "head": {"head": f"{hash_text(bytes(32))} 1"},
            "message": {"message": "01a2074c-0000-7eb0-9a85-51eb14737222"}, "kind": {},
        }[lie]  # fmt: skip
        tail = self.tail(adversary, answer, record, b"abc", **wrong)
        if lie == "kind":
            data = tail.record.replace(b"response-tail", b"request-tail")
            tail = frames.Tail(tail.stream, adversary.log.append(data), data)
        call.wire.prove(tail)
        assert call.wire.is_cut()
        assert self.is_cut_off(call)
        assert "response-tail" not in records(country, call.message)

    def test_an_aborted_tail_cuts_the_caller_off(self, country, adversary, calling):
        """The provider says that its body is not whole: on record here too."""
        call = calling()
        answer, record = self.streamed(adversary, call)
        call.wire.send(frames.Data(answer.stream, b"abc"))
        call.wire.prove(self.tail(adversary, answer, record, b"abc", outcome="aborted"))
        assert self.is_cut_off(call)
        assert records(country, call.message) == ["request", "response", "response-tail"]

    def test_a_link_that_goes_in_mid_stream_is_on_record(self, country, adversary, calling):
        """What had come is not whole, and that is recorded; the exchange is over."""
        call = calling()
        answer, _ = self.streamed(adversary, call)
        call.wire.send(frames.Data(answer.stream, b"abc"))
        call.wire.close()
        assert self.is_cut_off(call)
        country.until(lambda: records(country, call.message) == ["request", "response", "aborted"])

    def test_data_after_the_tail_reaches_nobody(self, country, adversary, calling):
        """A body ends with its tail: what comes after it is in no record."""
        call = calling()
        answer, record = self.streamed(adversary, call)
        call.wire.send(frames.Data(answer.stream, b"abc"))
        call.wire.prove(self.tail(adversary, answer, record, b"abc"), frames.Data(answer.stream, b"more"))
        try:
            assert call.answer().body == b"abc"
        except HTTPException:
            return  # cut off: that is right too

    def test_more_than_there_is_room_for_ends_the_link(self, country, adversary, service, incoming):
        """Back-pressure is not a matter of goodwill: while the caller does not read, there is no room for more."""
        where = country.node("ministry")
        edge = urlsplit(where["edge"])
        with socket.create_connection((edge.hostname, edge.port), 10) as caller:
            head = f"GET /r1/{service} HTTP/1.1\r\nHost: {edge.netloc}\r\nX-Road-Client: {where['system']}\r\n\r\n"
            caller.sendall(head.encode())
            wire, request = incoming()
            answer, _ = adversary.answer(request, body=None)
            wire.prove(answer)
            wire.send(*[frames.Data(answer.stream, bytes(64 * 1024))] * 200)
            assert wire.is_cut()

    def test_data_before_the_head_ends_the_link(self, country, adversary, calling):
        """Nothing of a body is taken before its head."""
        call = calling(method="POST", body=b"x")
        call.wire.send(frames.Data(call.request.stream, b"abc"))
        assert call.wire.is_cut()
        assert call.fault() == "outcome_unknown"

    def test_an_empty_piece_ends_the_link(self, country, adversary, calling):
        """It would cost something and bring nothing."""
        call = calling()
        answer, _ = self.streamed(adversary, call)
        call.wire.send(frames.Data(answer.stream, b""))
        assert call.wire.is_cut()
        assert self.is_cut_off(call)
