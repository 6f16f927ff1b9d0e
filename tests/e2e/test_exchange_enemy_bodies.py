"""A hostile consumer node's streamed bodies and acknowledgements: what no tail names reaches no system."""

from __future__ import annotations

from hashlib import sha256

import pytest

from adversary import changed
from qaztech.core.commitment import BODY, commit_digest, salt
from qaztech.core.record import format_record, hash_text
from qaztech.core.time import SystemClock
from qaztech.node import frames


def upload(country, adversary, wire, **arguments):
    """The head of a streamed request, sent."""
    asked = adversary.ask("registers", country.echo, method="POST", body=None, **arguments)
    wire.prove(asked.frame)
    return asked


def tail(adversary, asked, body, /, *, outcome="complete", **fields):
    """A tail that names this body, unless `fields` say otherwise."""
    digest = commit_digest(salt(asked.secret, BODY), sha256(body).digest())
    record = asked.record
    named = {
        "message": record["message"], "from_": record["from"], "to": record["to"],
        "head": f"{hash_text(asked.leaf)} {asked.frame.index}", "time": SystemClock().now(), "size": len(body),
        "body": hash_text(digest), "outcome": outcome,
    }  # fmt: skip
    made = format_record("request-tail", **{**named, **fields})
    return frames.Tail(asked.frame.stream, adversary.log.append(made.data), made.data)


def answer(wire):
    """The next frame that is not about room."""
    while True:
        frame = wire.receive()
        if not isinstance(frame, frames.Window):
            return frame


def bodies(echo, path):
    """The calls of this path that have reached the system."""
    return [call for call in echo.calls if call.target == path]


class TestUploads:
    """A body is what its tail names; else the system never sees it."""

    def test_an_honest_one_reaches_the_system(self, country, adversary):
        """Head, data, tail: recorded, passed on, answered."""
        with adversary.dial("registers") as wire:
            asked = upload(country, adversary, wire)
            wire.send(frames.Data(asked.frame.stream, b"abc"), frames.Data(asked.frame.stream, b"def"))
            wire.prove(tail(adversary, asked, b"abcdef"))
            response = answer(wire)
        assert sha256(b"abcdef").hexdigest().encode() in response.body
        assert country.records("registers", asked.message) == ["request", "request-tail", "response"]

    @pytest.mark.parametrize(
        "fields",
        [
            {"size": 4},
            {"body": hash_text(bytes(32))},
            {"head": f"{hash_text(bytes(32))} 1"},
            {"message": "01a2074c-0000-7eb0-9a85-51eb14737222"},
            {"to": "kz.qaztech.example/log/00000000000000000000"},
            {"from_": "kz.qaztech.example/log/00000000000000000000"},
            {"time": 0},
            {"time": 9_999_999_999_999},
        ],
        ids=["size", "body", "head", "message", "to", "from", "long-ago", "far-ahead"],
    )
    def test_a_tail_that_lies_ends_the_link(self, country, adversary, echo, fields):
        """The system hears nothing of it, and the tail is not recorded."""
        with adversary.dial("registers") as wire:
            asked = upload(country, adversary, wire, path="/lie")
            wire.send(frames.Data(asked.frame.stream, b"abc"))
            wire.prove(tail(adversary, asked, b"abc", **fields))
            assert wire.is_cut()
        country.until(lambda: country.records("registers", asked.message) == ["request", "refused"])
        assert not bodies(echo, "/lie")

    def test_a_tail_without_a_proof_ends_the_link(self, country, adversary, echo):
        """It stands in the log, or it is none."""
        with adversary.dial("registers") as wire:
            asked = upload(country, adversary, wire, path="/unproven")
            wire.send(frames.Data(asked.frame.stream, b"abc"), tail(adversary, asked, b"abc"))
            assert wire.is_cut()
        assert not bodies(echo, "/unproven")

    def test_data_after_the_tail_reaches_no_system(self, country, adversary, echo):
        """Also when it comes before the tail is durable."""
        with adversary.dial("registers") as wire:
            asked = upload(country, adversary, wire, path="/after")
            wire.send(frames.Data(asked.frame.stream, b"abc"))
            end = tail(adversary, asked, b"abc")
            wire.prove(end, frames.Data(asked.frame.stream, b"smuggled"))
            assert wire.is_cut()
        country.until(lambda: "request-tail" in country.records("registers", asked.message))
        assert all(("Content-Length", "3") in call.headers for call in bodies(echo, "/after"))

    def test_a_second_tail_ends_the_link(self, country, adversary):
        """A body ends once."""
        with adversary.dial("registers") as wire:
            asked = upload(country, adversary, wire, path="/twice")
            end = tail(adversary, asked, b"")
            wire.prove(end, end)
            assert wire.is_cut()
        country.until(lambda: "request-tail" in country.records("registers", asked.message))
        assert country.records("registers", asked.message).count("request-tail") == 1

    def test_one_that_was_cut_short_is_on_record_and_goes_no_further(self, country, adversary, echo):
        """The consumer's own system broke off: both sides have it, the provider's never hears of it."""
        with adversary.dial("registers") as wire:
            asked = upload(country, adversary, wire, path="/cut-short")
            wire.send(frames.Data(asked.frame.stream, b"abc"))
            wire.prove(tail(adversary, asked, b"abc", outcome="aborted"))
            assert isinstance(answer(wire), frames.Refused)
        assert country.records("registers", asked.message) == ["request", "request-tail", "refused"]
        assert not bodies(echo, "/cut-short")

    def test_one_whose_link_goes_is_on_record_and_goes_no_further(self, country, adversary, echo):
        """What came before counts for nothing."""
        with adversary.dial("registers") as wire:
            asked = upload(country, adversary, wire, path="/link-gone")
            wire.send(frames.Data(asked.frame.stream, b"abc"))
            wire.expect(frames.Window)
        country.until(lambda: country.records("registers", asked.message) == ["request", "refused"])
        assert not bodies(echo, "/link-gone")

    def test_data_of_a_request_that_does_not_stream_ends_the_link(self, country, adversary):
        """Its body came with it."""
        asked = adversary.ask("registers", country.echo, path="/delay/0.3")
        with adversary.dial("registers") as wire:
            wire.prove(asked.frame, frames.Data(asked.frame.stream, b"abc"))
            assert wire.is_cut()
        country.until(lambda: len(country.records("registers", asked.message)) == 2)

    def test_room_without_end_does_not_hurt(self, country, adversary):
        """A peer that claims to have room for everything is held to what the socket takes."""
        asked = adversary.ask("registers", country.echo, path="/stream/8")
        with adversary.dial("registers") as wire:
            wire.prove(asked.frame)
            wire.expect(frames.Response)
            wire.send(frames.Window(asked.frame.stream, 2**63 - 1))
            got = 0
            while not isinstance(frame := wire.receive(), frames.Tail):
                got += len(frame.data)
        assert got == 8 * 1024 * 1024


class TestAcknowledgements:
    """An acknowledgement is of an answer that was sent on this link, proven in the peer's log, and counts once."""

    @pytest.fixture
    def answered(self, country, adversary):
        """A link, and an answer on it that is not acknowledged yet."""
        with adversary.dial("registers") as wire:
            asked = adversary.ask("registers", country.echo)
            wire.prove(asked.frame)
            yield wire, asked, wire.expect(frames.Response)

    def ack(self, adversary, asked, response, **fields):
        """An acknowledgement as it should be, unless `fields` say otherwise."""
        index = adversary.log.append(response.record)
        right = frames.Ack(bytes.fromhex(asked.message.replace("-", "")), index, response.index)
        return changed(right, **fields)

    def test_an_honest_one_is_taken(self, country, adversary, answered):
        """The link goes on, and the receipt has the peer's proof."""
        wire, asked, response = answered
        wire.prove(self.ack(adversary, asked, response))
        assert wire.is_alive()

    @pytest.mark.parametrize("fields", [
        {"index": 0}, {"index": 2**62}, {"response_index": 0}, {"response_index": 2**62},
    ], ids=["another-place", "no-place", "another-answer", "no-answer"])  # fmt: skip
    def test_one_that_lies_ends_the_link(self, country, adversary, answered, fields):
        """It must name the answer, and the place where the peer's log holds it."""
        wire, asked, response = answered
        with country.unrecorded("registers"):
            wire.prove(self.ack(adversary, asked, response, **fields))
            assert wire.is_cut()

    def test_one_without_a_head_ends_the_link(self, country, adversary, answered):
        """An acknowledgement is a proof."""
        wire, asked, response = answered
        wire.send(self.ack(adversary, asked, response))
        assert wire.is_cut()

    def test_one_sent_twice_ends_the_link(self, country, adversary, answered):
        """Each is kept on the disk: one sent over and over would fill it."""
        wire, asked, response = answered
        ack = self.ack(adversary, asked, response)
        wire.prove(ack, ack)
        assert wire.is_cut()

    def test_one_of_anothers_answer_ends_the_link(self, country, adversary, answered):
        """A member cannot acknowledge for another what was never sent to it."""
        wire, _, _ = answered
        message = country.call("/x", service=country.echo).message
        with country.log("registers") as log:
            indexes = log.find(bytes.fromhex(message.replace("-", "")))
            leaf = log.leaf_hashes(indexes[1], indexes[1] + 1)[0]
        adversary.log.leaves.append(leaf)
        ack = frames.Ack(bytes.fromhex(message.replace("-", "")), adversary.log.size - 1, indexes[1])
        with country.unrecorded("registers"):
            wire.prove(ack)
            assert wire.is_cut()
