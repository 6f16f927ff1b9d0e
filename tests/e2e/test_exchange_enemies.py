"""A consumer node that does not keep to the protocol: what the provider node takes, and what it never appends."""

from __future__ import annotations

import socket
import ssl
import time
from uuid import UUID

import pytest

from adversary import changed
from qaztech.core.ids import NodeId
from qaztech.core.record import NO_ENDPOINT, hash_text
from qaztech.core.time import SystemClock
from qaztech.node import frames
from qaztech.trust.certificates import Authority, certificate_request, generate_key, key_pem

HOUR = 3_600_000


def refused_without_a_trace(country, adversary, asked_or_frame, code):
    """The node takes the request for untrusted: it is counted, the link is cut, nothing is appended."""
    frame = getattr(asked_or_frame, "frame", asked_or_frame)
    before = country.counted("registers", code)
    with country.unrecorded("registers"), adversary.dial("registers") as wire:
        wire.prove(frame)
        assert wire.is_cut()
    assert country.counted("registers", code) == before + 1


def dropped_without_a_trace(country, adversary, asked, code):
    """The node does not take the request, says so, and appends nothing; the link goes on."""
    before = country.counted("registers", code)
    with country.unrecorded("registers"), adversary.dial("registers") as wire:
        wire.prove(asked.frame)
        assert wire.expect(frames.Dropped).code == code
        assert wire.is_alive()
    assert country.counted("registers", code) == before + 1


def test_what_an_honest_member_sends_is_recorded_and_answered(country, adversary):
    """The tests' own hands work: a request as it should be gets its answer, and two records in the log."""
    before = country.size("registers")
    with adversary.dial("registers") as wire:
        asked = adversary.ask("registers", country.echo, path="/a%20b", query=b"?c=d")
        wire.prove(asked.frame)
        assert b"/a%20b?c=d" in wire.expect(frames.Response).body
    assert country.size("registers") == before + 2


class TestBeforeAnyFrame:
    """Who may have a link at all."""

    def authority(self, country):
        registry = country.home / "registry"
        return Authority.load((registry / "ca.key").read_bytes(), (registry / "ca.pem").read_bytes())

    def certify(self, country, adversary, tmp_path, authority, *, days=365, ago=0):
        """A new TLS key with a certificate for the adversary's node."""
        key, node = generate_key(), NodeId.parse(adversary.node)
        (tmp_path / "key.pem").write_bytes(key_pem(key))
        issued = authority.issue(certificate_request(key, node), node, SystemClock().now() - ago, days=days)
        (tmp_path / "tls.pem").write_bytes(issued)
        return tmp_path / "tls.pem", tmp_path / "key.pem"

    def is_refused(self, adversary, certificate, key):
        """Whether no hello comes from the node on such a connection."""
        try:
            with adversary.connect("registers", certificate=certificate, key=key) as sock:
                sock.settimeout(5)
                return sock.recv(65536) == b""
        except ssl.SSLError:
            return True

    def test_a_certificate_of_another_authority_is_refused(self, country, adversary, tmp_path):
        """Only the instance's own authority lets a node onto the wire."""
        foreign = Authority.create("KZ", SystemClock().now())
        with country.unrecorded("registers"):
            assert self.is_refused(adversary, *self.certify(country, adversary, tmp_path, foreign))

    def test_an_expired_certificate_is_refused(self, country, adversary, tmp_path):
        """A certificate counts until it ends."""
        expired = self.certify(country, adversary, tmp_path, self.authority(country), days=1, ago=48 * HOUR)
        with country.unrecorded("registers"):
            assert self.is_refused(adversary, *expired)

    def test_a_certificate_for_a_key_no_member_names_is_refused(self, country, adversary, tmp_path):
        """A stolen authority speaks for nobody: the key must stand in a member file."""
        stolen = self.certify(country, adversary, tmp_path, self.authority(country))
        with country.unrecorded("registers"):
            assert self.is_refused(adversary, *stolen)

    def test_no_certificate_at_all_is_refused(self, country, adversary):
        """Links are mutual TLS."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        port = country.country["ports"]["links"]["registers"]
        with country.unrecorded("registers"), socket.create_connection(("127.0.0.1", port), 5) as plain:
            try:
                with context.wrap_socket(plain) as sock:
                    sock.settimeout(5)
                    assert sock.recv(65536) == b""
            except ssl.SSLError:
                pass

    def test_tls_1_2_is_refused(self, country, adversary):
        """Links speak TLS 1.3 and nothing older."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(adversary.directory / "tls.pem", adversary.directory / "tls.key")
        port = country.country["ports"]["links"]["registers"]
        with socket.create_connection(("127.0.0.1", port), 5) as plain, pytest.raises((ssl.SSLError, ConnectionError)):
            context.wrap_socket(plain)

    def test_plain_bytes_do_not_hurt(self, country, adversary):
        """Somebody who does not even speak TLS is cut off; the node goes on."""
        port = country.country["ports"]["links"]["registers"]
        with country.unrecorded("registers"), socket.create_connection(("127.0.0.1", port), 5) as plain:
            plain.sendall(b"GET / HTTP/1.1\r\n\r\n" * 10)
            plain.settimeout(5)
            while plain.recv(65536):
                continue
        assert country.call("/x", service=country.echo).status == 200


class TestHello:
    """Nothing is taken from a peer before its hello, and nothing of a hello is believed."""

    @pytest.mark.parametrize(
        "change",
        [
            {"version": 2},
            {"instance": "XX"},
            {"node": "KZ/GOV/991340000017/node1"},
            {"origin": "kz.qaztech.example/log/00000000000000000000"},
        ],
    )
    def test_a_hello_that_is_not_the_peers_ends_the_link(self, country, adversary, change):
        """Version, instance, node and log must be what the configuration has for this TLS key."""
        with country.unrecorded("registers"), adversary.dial("registers", hello=lambda h: changed(h, **change)) as wire:
            assert wire.is_cut()

    def test_the_log_of_another_node_may_not_be_named(self, country, adversary):
        """A member cannot speak with another's log, however public its origin is."""
        origin = country.manage("ministry", "/status")["log"]["origin"]
        with adversary.dial("registers", hello=lambda h: changed(h, origin=origin)) as wire:
            assert wire.is_cut()

    def test_a_frame_before_the_hello_ends_the_link(self, country, adversary):
        """A request that comes first is not looked at."""
        asked = adversary.ask("registers", country.echo)
        with country.unrecorded("registers"), adversary.dial("registers", hello=lambda _: asked.frame) as wire:
            assert wire.is_cut()

    def test_a_head_before_the_hello_ends_the_link(self, country, adversary):
        """Whose head it would be is not known yet."""
        adversary.ask("registers", country.echo)
        head = adversary.log.head(None)
        with country.unrecorded("registers"), adversary.dial("registers", hello=lambda _: head) as wire:
            assert wire.is_cut()

    def test_a_second_hello_ends_the_link(self, country, adversary):
        """A link has one peer and one log."""
        with adversary.dial("registers") as wire:
            wire.send(adversary.hello())
            assert wire.is_cut()

    def test_a_claim_about_our_log_without_its_signature_is_passed_over(self, country, adversary):
        """Whoever says that he holds a head of our log must show that we signed it."""
        origin = country.manage("registers", "/status")["log"]["origin"]
        lie = frames.Accepted(origin, 10_000, bytes(32), bytes(64))
        with adversary.dial("registers", hello=lambda _: adversary.hello([lie] * 64)) as wire:
            asked = adversary.ask("registers", country.echo)
            wire.prove(asked.frame)
            wire.expect(frames.Response)
        assert country.manage("registers", "/status")["log"]["halted"] is None


class TestFrames:
    """What is not a frame, not one of ours, or not the other side's to send, ends the link and nothing else."""

    @pytest.mark.parametrize(
        "data",
        [
            b"\x00\x00\x00\x00\x00",
            b"\x00\x10\x00\x01\x02",
            b"\xff\xff\xff\xff\x00",
            b"\x00\x00\x00\x02\xff\xc0",
            b"\x00\x00\x00\x01\x02",
            b"\x00\x00\x00\x02\x02\xc0",
            b"\x00\x00\x00\x04\x0d\x92\xa0\xa0",
            b"\x00\x00\x00\x03\x0e\x91\x01",
            b"\x00\x00\x00\x04\x0e\x91\xc3\xc3",
        ],
        ids=["empty", "too-long", "huge", "unknown-type", "no-payload", "not-an-array", "too-many-fields", "wrong-type",
             "trailing"],
    )  # fmt: skip
    def test_bytes_that_are_no_frame_end_the_link(self, country, adversary, data):
        """Decoding is strict, and one failure is the end."""
        with country.unrecorded("registers"), adversary.dial("registers") as wire:
            wire.raw(data)
            assert wire.is_cut()

    @pytest.mark.parametrize("kind", ["Response", "Refused", "Dropped"])
    def test_what_only_a_provider_sends_ends_the_link(self, country, adversary, kind):
        """Whoever dialled asks, and does not answer."""
        made = {
            "Response": frames.Response(1, 0, 0, b"", bytes(32), b"", b""),
            "Refused": frames.Refused(1, 0, 0, b"", ""),
            "Dropped": frames.Dropped(1, "a.b", ""),
        }
        with country.unrecorded("registers"), adversary.dial("registers") as wire:
            wire.send(made[kind])
            assert wire.is_cut()

    @pytest.mark.parametrize(
        "frame",
        [
            frames.Data(99, b"x"), frames.Tail(99, 0, b""), frames.Window(99, 1), frames.Cancel(99, "a.b"),
            frames.Answer(99, "", b""),
        ],
        ids=lambda frame: type(frame).__name__,
    )  # fmt: skip
    def test_frames_of_a_stream_that_is_not_open_are_passed_over(self, country, adversary, frame):
        """They may have crossed its end; they have no effect."""
        with country.unrecorded("registers"), adversary.dial("registers") as wire:
            wire.send(frame)
            assert wire.is_alive()

    def test_an_unknown_question_is_answered_with_an_error(self, country, adversary):
        """It costs the peer nothing to ask, and tells it nothing."""
        with country.unrecorded("registers"), adversary.dial("registers") as wire:
            wire.send(frames.Question(7, "everything", b"x" * 1000))
            answer = wire.expect(frames.Answer)
        assert (answer.number, answer.code, answer.payload) == (7, "question.malformed", b"")

    def test_a_stranger_learns_nothing_of_an_exchange(self, country, adversary):
        """Proofs are for the parties: whoever asks for another's message gets none."""
        message = country.call("/x", service=country.echo).message
        with adversary.dial("registers") as wire:
            wire.send(frames.Question(1, "proofs", UUID(message).bytes))
            assert wire.expect(frames.Answer).payload == b"\x90"

    def test_a_flood_of_frames_does_not_stop_others(self, country, adversary):
        """While one peer pours frames in, the others' calls go on."""
        with country.unrecorded("registers"), adversary.dial("registers") as wire:
            wire.raw(frames.encode_frame(frames.Window(1, 1)) * 50_000)
        started = time.monotonic()
        assert country.call("/x", service=country.echo).status == 200
        assert time.monotonic() - started < 5

    def test_a_stream_number_may_not_be_used_twice_at_a_time(self, country, adversary):
        """Two requests on one stream cannot be told apart."""
        first, second = (adversary.ask("registers", country.echo, path="/delay/0.2") for _ in range(2))
        with adversary.dial("registers") as wire:
            wire.prove(first.frame, changed(second.frame, stream=first.frame.stream))
            assert wire.is_cut()
        country.until(lambda: country.records("registers", first.message) == ["request", "response"])


class TestRecords:
    """A request record is what was signed, by whom it says, for whom it says, now, and once."""

    @pytest.mark.parametrize("field", [
        "message", "from", "to", "client", "service", "method", "endpoint", "snapshot", "time", "expires", "attempt",
        "size", "path", "query", "headers", "body",
    ])  # fmt: skip
    def test_a_field_changed_after_it_was_signed_is_untrusted(self, country, adversary, field):
        """Every field of a record is under its log's signature."""
        asked = adversary.ask("registers", country.echo)
        other = {
            "message": "01a2074c-0000-7eb0-9a85-51eb14737222",
            "from": "kz.qaztech.example/log/00000000000000000000",
            "to": "kz.qaztech.example/log/00000000000000000000",
            "client": country.node("ministry")["system"],
            "service": country.service,
            "method": "PUT",
            "endpoint": "* /**/x",
            "snapshot": "7 " + "0" * 64,
            "time": str(asked.record.number("time") + 1),
            "expires": str(asked.record.number("expires") + 1),
            "attempt": "2",
            "size": "1",
            **dict.fromkeys(("path", "query", "headers", "body"), hash_text(bytes(32))),
        }[field]
        line, new = f"\n{field} {asked.record[field]}\n".encode(), f"\n{field} {other}\n".encode()
        tampered = changed(asked.frame, record=asked.frame.record.replace(line, new))
        assert tampered.record != asked.frame.record
        code = "request.audience" if field in {"from", "to", "client"} else "request.untrusted"
        refused_without_a_trace(country, adversary, tampered, code)

    def test_a_record_for_another_node_is_untrusted(self, country, adversary):
        """What was signed for one node counts at no other, proof or not."""
        ministry = country.manage("ministry", "/status")["log"]["origin"]
        asked = adversary.ask("registers", country.echo, to=ministry)
        refused_without_a_trace(country, adversary, asked, "request.audience")

    def test_a_record_of_another_log_is_untrusted(self, country, adversary):
        """A peer brings its own records, not another's."""
        asked = adversary.ask("registers", country.echo, from_=country.manage("ministry", "/status")["log"]["origin"])
        refused_without_a_trace(country, adversary, asked, "request.audience")

    @pytest.mark.parametrize("client", ["ministry", "unknown"])
    def test_a_client_of_another_member_is_untrusted(self, country, adversary, client):
        """A log speaks for its own members' subsystems only."""
        who = country.node("ministry")["system"] if client == "ministry" else f"{adversary.member}/nobody"
        asked = adversary.ask("registers", country.echo, client=who)
        refused_without_a_trace(country, adversary, asked, "request.audience")

    def test_a_service_of_another_member_is_untrusted(self, country, adversary):
        """A node takes calls for its own members' services only."""
        service = f"{country.node('ministry')['system']}/x"
        refused_without_a_trace(country, adversary, adversary.ask("registers", service), "request.audience")

    def test_a_record_that_is_not_in_the_log_is_untrusted(self, country, adversary):
        """The head proves what stands in the log, and nothing beside it."""
        asked = adversary.ask("registers", country.echo)
        adversary.log.leaves[asked.frame.index] = bytes(32)
        refused_without_a_trace(country, adversary, asked, "request.untrusted")

    def test_a_record_at_another_index_is_untrusted(self, country, adversary):
        """The place in the log is part of what is proven."""
        asked = adversary.ask("registers", country.echo)
        adversary.log.append(b"something else")
        refused_without_a_trace(
            country, adversary, changed(asked.frame, index=asked.frame.index + 1), "request.untrusted"
        )

    def test_a_request_without_any_head_is_untrusted(self, country, adversary):
        """A signature over nothing is no signature."""
        asked = adversary.ask("registers", country.echo)
        before = country.counted("registers", "request.untrusted")
        with country.unrecorded("registers"), adversary.dial("registers") as wire:
            wire.send(asked.frame)
            assert wire.is_cut()
        assert country.counted("registers", "request.untrusted") == before + 1

    def test_a_response_record_is_no_request(self, country, adversary):
        """The kind of a record says what it may be used for."""
        asked = adversary.ask("registers", country.echo)
        answer, _ = adversary.answer(asked.frame)
        frame = changed(asked.frame, record=answer.record, index=answer.index)
        refused_without_a_trace(country, adversary, frame, "request.untrusted")

    @pytest.mark.parametrize("data", [b"", b"\xff", b"qaztech-record 1\nkind request\n", b"x" * 100_000])
    def test_what_is_no_record_is_untrusted(self, country, adversary, data):
        """Also with a proof."""
        asked = adversary.ask("registers", country.echo)
        index = adversary.log.append(data)
        refused_without_a_trace(country, adversary, changed(asked.frame, record=data, index=index), "request.untrusted")

    def test_a_stale_request_is_dropped(self, country, adversary):
        """What has expired more than a minute ago is not taken, and the peer is told."""
        now = SystemClock().now()
        asked = adversary.ask("registers", country.echo, time=now - 100_000, expires=now - 61_000)
        dropped_without_a_trace(country, adversary, asked, "request.stale")

    def test_a_request_from_the_future_is_dropped(self, country, adversary):
        """A clock may be a minute ahead, not more."""
        now = SystemClock().now()
        asked = adversary.ask("registers", country.echo, time=now + 65_000, expires=now + 95_000)
        dropped_without_a_trace(country, adversary, asked, "request.stale")
        assert country.incidents("registers", "request.stale")[0]["peer"] == adversary.origin  # clocks are an alarm

    def test_clocks_may_differ_by_less_than_a_minute(self, country, adversary):
        """Within the window a call goes through."""
        now = SystemClock().now()
        for ahead in (-50_000, 50_000):
            with adversary.dial("registers") as wire:
                wire.prove(
                    adversary.ask("registers", country.echo, time=now + ahead, expires=now + ahead + 30_000).frame
                )
                wire.expect(frames.Response)

    def test_a_node_compares_its_clock_with_the_registrys_and_the_witnesses(self, country):
        """It says how far it is off; on one machine, less than a few seconds."""
        for source in ("registry", "witnesses"):
            assert abs(country.measured("ministry", f'clock_ahead_seconds{{of="{source}"}}')) < 10
        assert "clock.wrong" not in [alarm["code"] for alarm in country.manage("ministry", "/status")["alarms"]]

    def test_a_request_cannot_be_dated_back(self, country, adversary):
        """The time of a record decides which keys and rights were in force: an old one is stale whenever it expires."""
        now = SystemClock().now()
        asked = adversary.ask("registers", country.echo, time=now - 24 * HOUR, expires=now + 30_000)
        dropped_without_a_trace(country, adversary, asked, "request.stale")

        """An exchange by a configuration nobody can show could never be proven."""
        version = country.manage("registers", "/status")["configuration"]["version"]
        asked = adversary.ask("registers", country.echo, snapshot=f"{version} {'0' * 64}")
        with adversary.dial("registers") as wire:
            wire.prove(asked.frame)
            assert not isinstance(wire.receive(), frames.Response)

    def test_an_endpoint_no_right_gives_is_refused(self, country, adversary):
        """The endpoint on record must be one that the right gives: a receipt is checked by it."""
        asked = adversary.ask("registers", country.echo, endpoint="GET /x")
        with adversary.dial("registers") as wire:
            wire.prove(asked.frame)
            assert not isinstance(wire.receive(), frames.Response)

    def test_an_endpoint_that_does_not_cover_the_call_is_untrusted(self, country, adversary):
        """A record may not say that another call was made."""
        asked = adversary.ask("registers", country.echo, path="/y", endpoint="GET /x")
        refused_without_a_trace(country, adversary, asked, "request.untrusted")


class TestReplays:
    """No record is taken twice."""

    @staticmethod
    def head_from(adversary, start, accepted):
        """A link's first head, which proves the leaves from `start` on once more."""
        log = adversary.log
        consistency = log.consistency(accepted, log.size) if accepted else []
        frontier = list(log.frontier(start).hashes)
        return frames.Head(start, b"".join(log.leaves[start:]), log.size, log.signature(), frontier, consistency)

    def test_on_the_same_link(self, country, adversary, echo):
        """A request sent again on its link is dropped."""
        asked = adversary.ask("registers", country.echo, path="/replay-same-link")
        with adversary.dial("registers") as wire:
            wire.prove(asked.frame)
            wire.expect(frames.Response)
            with country.unrecorded("registers"):
                wire.send(changed(asked.frame, stream=10**6))
                assert wire.expect(frames.Dropped).code == "request.replayed"
        assert [call.target for call in echo.calls].count("/replay-same-link") == 1

    def test_on_a_new_link(self, country, adversary, echo):
        """Nor on the next one, which begins where it begins."""
        asked = adversary.ask("registers", country.echo, path="/replay-new-link")
        with adversary.dial("registers") as wire:
            wire.prove(asked.frame)
            wire.expect(frames.Response)
        with country.unrecorded("registers"), adversary.dial("registers") as wire:
            wire.send(self.head_from(adversary, asked.frame.index, wire.accepted), asked.frame)
            assert wire.expect(frames.Dropped).code == "request.replayed"
        assert [call.target for call in echo.calls].count("/replay-new-link") == 1

    def test_after_a_restart_of_the_provider(self, country, adversary, echo):
        """What was taken is remembered across a `kill -9`."""
        asked = adversary.ask("registers", country.echo, path="/replay-restart")
        with adversary.dial("registers") as wire:
            wire.prove(asked.frame)
            wire.expect(frames.Response)
        country.kill("node-registers")
        country.restart("node-registers")
        with country.unrecorded("registers"), adversary.dial("registers") as wire:
            wire.send(self.head_from(adversary, asked.frame.index, wire.accepted), asked.frame)
            assert wire.expect(frames.Dropped).code == "request.replayed"
        assert [call.target for call in echo.calls].count("/replay-restart") == 1


class TestWhatIsSentBesideTheRecord:
    """Everything sent must open its commitment, and be a request one can pass on."""

    @pytest.mark.parametrize(
        "change",
        [
            {"secret": b"\x01" * 32},
            {"path": "/other"},
            {"query": b"?x"},
            {"headers": b"X-Road-Client:KZ/GOV/1/x\r\n"},
            {"body": b"other"},
        ],
        ids=lambda change: next(iter(change)),
    )
    def test_what_does_not_open_its_commitment_is_untrusted(self, country, adversary, change):
        """The log says what was sent: nothing else is passed on."""
        asked = adversary.ask("registers", country.echo)
        refused_without_a_trace(country, adversary, changed(asked.frame, **change), "request.untrusted")

    @pytest.mark.parametrize("size", [1, 100])
    def test_a_size_that_is_not_the_bodys_is_untrusted(self, country, adversary, size):
        """The size in clear is the size of the body."""
        asked = adversary.ask("registers", country.echo, size=size)
        refused_without_a_trace(country, adversary, asked, "request.untrusted")

    def headers(self, adversary, message, *more, client=None):
        return [(b"X-Road-Client", client or adversary.system.encode()), (b"x-road-request-id", message.encode()),
                (b"x-road-id", b"id-1"), *more]  # fmt: skip

    MESSAGE = "01a2074c-6e24-7eb0-9a85-51eb1473%04x"

    @pytest.mark.parametrize("wrong", ["client", "no-client", "request-id", "no-id", "two-ids"])
    def test_headers_that_say_otherwise_than_the_record_are_untrusted(self, country, adversary, wrong):
        """The system behind reads the headers: they name the client and the message of the record."""
        message = self.MESSAGE % len(wrong)
        right = self.headers(adversary, message)
        headers = {
            "client": self.headers(adversary, message, client=country.node("ministry")["system"].encode()),
            "no-client": right[1:],
            "request-id": self.headers(adversary, "01a2074c-0000-7eb0-9a85-51eb14730000"),
            "no-id": right[:2],
            "two-ids": [*right, (b"X-Road-Id", b"id-2")],
        }[wrong]
        asked = adversary.ask("registers", country.echo, message=message, headers=headers)
        refused_without_a_trace(country, adversary, asked, "request.untrusted")

    @pytest.mark.parametrize(
        "header",
        [
            (b"Content-Length", b"5"),
            (b"Transfer-Encoding", b"chunked"),
            (b"Connection", b"close"),
            (b"Host", b"elsewhere"),
            (b"Upgrade", b"h2c"),
            (b"X-Road-Client", b"%client"),
            (b"Expect", b"100-continue"),
            (b"bad name", b"x"),
            (b"X", b"a\nY: b"),
        ],
        ids=["length", "encoding", "connection", "host", "upgrade", "two-clients", "expect", "name", "line"],
    )
    def test_headers_that_must_not_cross_are_untrusted(self, country, adversary, echo, header):
        """A hostile node cannot smuggle a second request into the provider's system by its framing."""
        message = self.MESSAGE % (1000 + len(header[0]) * 16 + len(header[1]))
        ministry = country.node("ministry")["system"].encode()
        more = (header[0], header[1].replace(b"%client", ministry))
        headers = [more, *self.headers(adversary, message)]
        asked = adversary.ask("registers", country.echo, message=message, headers=headers)
        before = len(echo.calls)
        refused_without_a_trace(country, adversary, asked, "request.untrusted")
        assert len(echo.calls) == before

    @pytest.mark.parametrize(
        "path",
        [
            "/x HTTP/1.1\r\nHost: x\r\n\r\nGET /more", "/a b", "/a\tb", "/\u00e9", "/a%zz", "/a%", "x", "/a?b", "/a#b",
            "/a\\b", '/a"b', "/<", "/\x00", "/" + "a" * 70_000,
        ],
    )  # fmt: skip
    def test_a_path_no_request_line_can_have_is_untrusted(self, country, adversary, echo, path):
        """The path goes into the request line of the provider's system as it is."""
        before = len(echo.calls)
        refused_without_a_trace(
            country, adversary, adversary.ask("registers", country.echo, path=path), "request.untrusted"
        )
        assert len(echo.calls) == before

    @pytest.mark.parametrize("query", [b"? x", b"?a\r\nb", b"x", b"?\xff", b"?%zz", b"?a#b", b"?" + b"a" * 70_000])
    def test_a_query_no_request_line_can_have_is_untrusted(self, country, adversary, echo, query):
        """The same for the query."""
        before = len(echo.calls)
        refused_without_a_trace(
            country, adversary, adversary.ask("registers", country.echo, query=query), "request.untrusted"
        )
        assert len(echo.calls) == before

    def test_a_prefix_of_another_service_is_untrusted(self, country, adversary):
        """The prefix goes into X-Road's request hash, which would then be of another call."""
        asked = adversary.ask("registers", country.echo, prefix=f"/r1/{country.service}".encode())
        refused_without_a_trace(country, adversary, asked, "request.untrusted")

    def test_a_path_that_climbs_is_covered_by_nothing(self, country, adversary, echo):
        """`..` in any spelling is refused before it reaches the system."""
        before = len(echo.calls)
        for path in ("/../x", "/a/%2e%2e/x", "/a/..%2fx"):
            asked = adversary.ask("registers", country.echo, path=path)
            refused_without_a_trace(country, adversary, asked, "request.untrusted")
        assert len(echo.calls) == before


class TestRefusalsOnRecord:
    """An authenticated peer that may not is refused on record, on both sides' terms."""

    def refused(self, country, adversary, asked):
        with adversary.dial("registers") as wire:
            wire.prove(asked.frame)
            refused = wire.expect(frames.Refused)
        assert country.records("registers", asked.message) == ["request", "refused"]
        return refused.record.decode()

    def test_a_service_that_is_not_there(self, country, adversary):
        """An unknown service is a recorded refusal."""
        service = f"{country.node('registers')['system']}/nothing"
        assert "\ncode service.unknown\n" in self.refused(country, adversary, adversary.ask("registers", service))

    def test_a_call_no_right_covers(self, country, adversary):
        """No right, no call; that it was asked for is on record."""
        asked = adversary.ask("registers", country.service, path="/countries/KZ.json", endpoint="GET /countries/*")
        assert "\ncode access-right.missing\n" in self.refused(country, adversary, asked)

    def test_a_call_that_says_it_needs_no_right(self, country, adversary):
        """Only the services of the node itself need none."""
        asked = adversary.ask("registers", country.echo, endpoint=NO_ENDPOINT)
        assert "\ncode access-right.missing\n" in self.refused(country, adversary, asked)
