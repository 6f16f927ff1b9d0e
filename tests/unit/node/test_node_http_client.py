"""The provider edge's HTTP, against raw servers that behave well and badly."""

import asyncio
import contextlib
import datetime as dt
import os
import socket
import ssl
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from qaztech.core.errors import Malformed
from qaztech.node.http_client import BaseUrl, ClientLimits, HttpClient

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class System:
    """A provider's system: a list of what it saw, and what it does with each connection."""

    def __init__(self, behave):
        self.behave = behave
        self.connections = 0
        self.requests = []
        self.writers = []

    async def serve(self, reader, writer):
        self.connections += 1
        self.writers.append(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await self.behave(self, reader, writer)
        writer.close()

    async def read_request(self, reader):
        """Head and body (by Content-Length or chunks)."""
        head = await reader.readuntil(b"\r\n\r\n")
        lowered = head.lower()
        body = b""
        if b"transfer-encoding: chunked" in lowered:
            while size := int((await reader.readline()).strip(), 16):
                body += (await reader.readexactly(size + 2))[:-2]
            await reader.readline()
        elif b"content-length: " in lowered:
            body = await reader.readexactly(int(lowered.split(b"content-length: ")[1].split(b"\r\n")[0]))
        self.requests.append((head, body))
        return head, body


def always(answer, *, then_close=False):
    """Behaviour: this answer to every request of a connection."""

    async def behave(system, reader, writer):
        while True:
            await system.read_request(reader)
            writer.write(answer)
            await writer.drain()
            if then_close:
                return

    return behave


class Outcome:
    """What a call led to."""

    def __init__(self):
        self.done = asyncio.get_running_loop().create_future()
        self.response = self.error = self.call = None
        self.data = b""

    def on_response(self, response):
        self.response = response
        if response.body is not None:
            self.done.set_result(response)
            return
        response.on_data = self.on_data
        response.on_end = lambda: self.done.set_result(response)

    def on_data(self, data):
        self.data += data

    def on_error(self, error):
        self.error = error
        self.done.set_result(error)

    async def wait(self, seconds=3):
        return await asyncio.wait_for(self.done, seconds)


@pytest.fixture
async def box():
    """Systems, clients, calls."""
    servers, clients = [], []
    box = SimpleNamespace()

    async def start(behave, *, path="", **limits):
        system = System(behave)
        server = await asyncio.start_server(system.serve, "127.0.0.1", 0)
        servers.append((server, system))
        box.system = system
        box.port = server.sockets[0].getsockname()[1]
        box.client = HttpClient(
            url=f"http://127.0.0.1:{box.port}{path}", limits=ClientLimits(**{"sweep": 0.02, **limits})
        )
        clients.append(box.client)
        return box.client

    def send(method="GET", target=b"/x", headers=(), body=b"", **kwargs):
        outcome = Outcome()
        outcome.call = box.client.send(
            method, target, headers, body, on_response=outcome.on_response, on_error=outcome.on_error, **kwargs
        )
        return outcome

    box.start, box.send = start, send
    yield box
    for client in clients:
        await client.close()
    for server, system in servers:
        server.close()
        for writer in system.writers:
            writer.transport.abort()
    await asyncio.sleep(0.01)


class TestWhole:
    """Small messages."""

    async def test_request_and_answer(self, box):
        """Host and Content-Length are the client's; the rest as given; one connection serves many."""
        client = await box.start(always(b"HTTP/1.1 201 Made\r\nX-A: 1 \r\nContent-Length: 2\r\n\r\nok"), path="/base")
        response = await box.send("POST", b"/base/x?q", [(b"X-B", b"2")], b"hello").wait()
        assert (response.status, response.headers, response.body) == (
            201,
            [(b"X-A", b"1"), (b"Content-Length", b"2")],
            b"ok",
        )
        await box.send("GET", b"/y").wait()
        await box.send("POST", b"/z").wait()
        host = b"Host: 127.0.0.1:%d\r\n" % box.port
        assert box.system.requests == [
            (b"POST /base/x?q HTTP/1.1\r\n" + host + b"X-B: 2\r\nContent-Length: 5\r\n\r\n", b"hello"),
            (b"GET /y HTTP/1.1\r\n" + host + b"\r\n", b""),
            (b"POST /z HTTP/1.1\r\n" + host + b"Content-Length: 0\r\n\r\n", b""),
        ]
        assert box.system.connections == 1
        assert client.url.path == b"/base"

    @pytest.mark.parametrize(
        ("method", "answer", "status", "body"),
        [
            ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", 200, b""),
            ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 200, b""),
            ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
            ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 304, b""),
            ("GET", b"HTTP/1.1 302 Found\r\nLocation: /y\r\nContent-Length: 0\r\n\r\n", 302, b""),
            ("GET", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n" + OK, 200, b"ok"),
            ("GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: y\r\n\r\n", 200, b"ok"),
            ("GET", b"HTTP/1.1 599\r\nContent-Length: 2\r\n\r\nok", 599, b"ok"),
        ],
    )
    async def test_kinds_of_answers(self, box, method, answer, status, body):
        """Bodiless ones, interim ones, redirects unfollowed; twice on one connection."""
        await box.start(always(answer))
        for _ in range(2):
            response = await box.send(method).wait()
            assert (response.status, response.body) == (status, body)
        assert box.system.connections == 1

    @pytest.mark.parametrize(
        "answer",
        [
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
            b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
            b"HTTP/1.1 200 OK\r\n\r\nok",
            b"HTTP/1.0 200 OK\r\n\r\nok",
        ],
    )
    async def test_answers_that_end_the_connection(self, box, answer):
        """By header, by version, by having no length; the next call opens another."""
        await box.start(always(answer, then_close=True))
        for _ in range(2):
            outcome = box.send("POST")
            response = await outcome.wait()
            assert (response.body or outcome.data) == b"ok"
        assert box.system.connections == 2

    async def test_connections_are_bounded_and_calls_wait(self, box):
        """In order; over the queue's limit at once an error, nothing sent."""
        gate = asyncio.Event()

        async def behave(system, reader, writer):
            while True:
                await system.read_request(reader)
                await gate.wait()
                writer.write(OK)

        await box.start(behave, max_connections=2, max_queue=3)
        outcomes = [box.send("POST", b"/%d" % i) for i in range(3)]
        await asyncio.sleep(0.03)
        outcomes += [box.send("POST", b"/%d" % i) for i in range(3, 6)]
        error = await outcomes[-1].wait()
        assert (error.code, error.at) == ("limit.service", "provider-node")
        gate.set()
        for outcome in outcomes[:-1]:
            assert (await outcome.wait()).status == 200
        assert box.system.connections == 2


class TestFailures:
    """What goes wrong, and whether the system may have acted."""

    async def test_nobody_listens(self, box):
        """Nothing was sent."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        await box.start(always(OK))
        box.client = HttpClient(url=f"http://127.0.0.1:{port}")
        outcomes = [box.send(), box.send("POST")]
        for outcome in outcomes:
            error = await outcome.wait()
            assert (error.code, error.at) == ("service.unreachable", "service")
            assert str(port) not in error.detail
        await box.client.close()

    async def test_no_connection_becomes_free(self, box):
        """The wait for a connection has an end; nothing was sent."""

        async def behave(system, reader, _):
            await system.read_request(reader)
            await asyncio.sleep(60)

        await box.start(behave, max_connections=1, connect_timeout=0.1)
        first = box.send("POST")
        await asyncio.sleep(0.02)
        error = await box.send("POST").wait()
        assert error.code == "service.unreachable"
        assert not first.done.done()
        first.call.abort()

    async def test_no_answer_in_time(self, box):
        """The limit, or the call's own."""

        async def behave(system, reader, _):
            await system.read_request(reader)
            await asyncio.sleep(60)

        await box.start(behave, first_byte_timeout=0.1)
        assert (await box.send("POST").wait()).code == "service.timeout"
        slow = box.send("POST", timeout=60.0)
        assert (await box.send("POST", timeout=0.03).wait()).code == "service.timeout"
        await asyncio.sleep(0.15)
        assert not slow.done.done()

    @pytest.mark.parametrize("partial", [b"", b"HTTP/1.1 200 OK\r\nContent-Le", OK[:-1]])
    async def test_closed_before_the_answer_is_whole(self, box, partial):
        """A fresh connection: never sent again, whatever the method."""
        await box.start(always(partial, then_close=True))
        for method in ("GET", "POST"):
            assert (await box.send(method).wait()).code == "service.closed"
        assert len(box.system.requests) == 2

    @pytest.mark.parametrize(
        "answer",
        [
            b"nonsense\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\nok",
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
            b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok",
            b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok",
            b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nok",
            b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
            b"HTTP/1.1 200 OK\r\nX: a\0\r\nContent-Length: 2\r\n\r\nok",
            b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
            b"HTTP/1.1 600 What\r\nContent-Length: 2\r\n\r\nok",
            b"HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok",
            b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 10 + b"\r\n",
            b"HTTP/1.1 200 OK\r\nA: " + b"b" * 40_000,
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nA: " + b"b" * 40_000 + b"\r\n\r\nok",
        ],
    )
    async def test_malformed_answers(self, box, answer):
        """One error for all; the connection is not used again."""
        await box.start(always(answer), max_headers=5)
        assert (await box.send("POST").wait()).code == "service.malformed"

    async def test_more_than_one_answer(self, box):
        """Two at once are not believed; what comes later unasked ends the connection, and is nobody's answer."""

        async def behave(system, reader, writer):
            await system.read_request(reader)
            writer.write(OK + OK if system.connections == 1 else OK)
            await asyncio.sleep(0.02)
            writer.write(OK)
            await reader.read(-1)

        await box.start(behave)
        assert (await box.send("POST").wait()).code == "service.malformed"
        for _ in range(2):
            assert (await box.send("POST").wait()).body == b"ok"
            await asyncio.sleep(0.05)
        assert box.system.connections == 3

    async def test_a_head_answer_with_a_body(self, box):
        """Refused: the bytes could be taken for the next answer."""
        await box.start(always(OK))
        assert (await box.send("HEAD").wait()).code == "service.malformed"

    async def test_an_aborted_call_says_nothing_more(self, box):
        """Neither answer nor error."""
        await box.start(always(OK))
        outcome = box.send()
        outcome.call.abort()
        waiting = box.send("POST")
        waiting.call.abort()
        await asyncio.sleep(0.05)
        assert not outcome.done.done()
        assert not waiting.done.done()
        assert (await box.send().wait()).status == 200


class TestStaleConnections:
    """A pooled connection that the system has closed meanwhile."""

    @staticmethod
    async def first_then_drop(system, reader, writer):
        """One answer; the next request on this connection is read and dropped."""
        await system.read_request(reader)
        writer.write(OK)
        if system.connections == 1:
            await system.read_request(reader)
            return
        await always(OK)(system, reader, writer)

    async def test_an_idempotent_call_is_sent_once_more(self, box):
        """On a fresh connection."""
        await box.start(self.first_then_drop)
        await box.send().wait()
        assert (await box.send("PUT", body=b"x").wait()).status == 200
        assert [head[:3] for head, _ in box.system.requests] == [b"GET", b"PUT", b"PUT"]

    async def test_any_other_is_not(self, box):
        """The system may have acted."""
        await box.start(self.first_then_drop)
        await box.send().wait()
        assert (await box.send("POST", body=b"x").wait()).code == "service.closed"
        assert [head[:3] for head, _ in box.system.requests] == [b"GET", b"POS"]

    async def test_it_is_not_sent_a_third_time(self, box):
        """Once more means once."""

        async def behave(system, reader, writer):
            await system.read_request(reader)
            if system.connections == 1:
                writer.write(OK)
                await system.read_request(reader)

        await box.start(behave)
        await box.send().wait()
        assert (await box.send().wait()).code == "service.closed"
        assert len(box.system.requests) == 3

    async def test_a_close_seen_in_time_costs_nothing(self, box):
        """The next call goes out on a fresh connection, non-idempotent ones too."""
        await box.start(always(OK, then_close=True))
        for _ in range(3):
            assert (await box.send("POST").wait()).status == 200
            await asyncio.sleep(0.05)
        assert len(box.system.requests) == 3

    async def test_a_close_after_a_rest_is_looked_for(self, box):
        """Before a call goes out on a connection that has rested, whether or not the loop has noticed yet."""
        await box.start(always(OK), sweep=0.01)
        await box.send("POST").wait()
        await asyncio.sleep(0.03)
        with socket.socket(fileno=os.dup(box.system.writers[0].get_extra_info("socket").fileno())) as sock:
            sock.shutdown(socket.SHUT_WR)
        assert (await box.send("POST").wait()).status == 200
        assert box.system.connections == 2

    async def test_idle_connections_are_closed(self, box):
        """After the limit."""
        await box.start(always(OK), idle_timeout=0.05)
        await box.send().wait()
        await asyncio.sleep(0.15)
        await box.send().wait()
        assert box.system.connections == 2


class TestStreams:
    """Large bodies, both ways."""

    async def test_a_large_answer_comes_as_a_stream(self, box):
        """Sized, chunked, or until the end; the connection is kept where it can be."""
        size = 300_000
        answers = [
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size,
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % size + b"x" * size + b"\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * size,
        ]

        async def behave(system, reader, writer):
            for answer in answers:
                await system.read_request(reader)
                writer.write(answer)

        await box.start(behave)
        for length in (size, None, None):
            outcome = box.send()
            response = await outcome.wait()
            assert (response.body, response.content_length, len(outcome.data)) == (None, length, size)
        assert box.system.connections == 1

    async def test_a_paused_answer_slows_the_system(self, box):
        """No more than one read waits; no deadline runs meanwhile."""
        size = 20_000_000
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size
        await box.start(always(head + b"x" * size), read_timeout=0.1)
        outcome = box.send()
        outcome.on_data = lambda data: (Outcome.on_data(outcome, data), outcome.response.pause())
        await asyncio.sleep(0.2)
        assert len(outcome.data) < 1_000_000
        while not outcome.done.done():
            outcome.response.resume()
            await asyncio.sleep(0)
        assert len(outcome.data) == size
        await box.send().wait(5)
        assert box.system.connections == 1

    @pytest.mark.parametrize("reset", [False, True])
    async def test_closed_in_the_middle(self, box, reset):
        """What has come is delivered, then the error."""

        async def behave(system, reader, writer):
            await system.read_request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\n" + b"x" * 1000)
            await asyncio.sleep(0.03)
            if reset:
                writer.transport.abort()

        await box.start(behave)
        outcome = box.send()
        error = await outcome.wait()
        assert (error.code, len(outcome.data), outcome.response.status) == ("service.closed", 1000, 200)

    async def test_closed_while_paused(self, box):
        """The error comes after what was waiting."""

        async def behave(system, reader, writer):
            await system.read_request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\nde")
            await writer.drain()
            await asyncio.sleep(0.02)
            writer.write(b"f\r\nZZ\r\n")

        await box.start(behave)
        outcome = box.send()
        outcome.on_data = lambda data: (Outcome.on_data(outcome, data), outcome.response.pause())
        await asyncio.sleep(0.01)
        while not outcome.done.done():
            await asyncio.sleep(0.02)
            outcome.response.resume()
        assert outcome.error.code in {"service.malformed", "service.closed"}
        assert outcome.data.startswith(b"abcde")

    async def test_an_answer_that_stops_times_out(self, box):
        """Between bytes, and in all."""

        async def behave(system, reader, writer):
            await system.read_request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\n")
            for _ in range(100):
                await asyncio.sleep(0.02)
                if system.connections == 2:
                    writer.write(b"x")

        await box.start(behave, read_timeout=0.1, total_timeout=0.3)
        assert (await box.send().wait()).code == "service.timeout"
        assert (await box.send().wait()).code == "service.timeout"

    @pytest.mark.parametrize("length", [None, 1_000_000])
    async def test_a_streamed_request(self, box, length):
        """Written as it comes, from before there is a connection; waits when told to."""
        await box.start(always(OK))
        outcome = box.send("POST", body=None, content_length=length)
        left = [b"x" * 100_000] * 10

        def more():
            while left:
                if not outcome.call.write(left.pop()):
                    return
            outcome.call.finish()

        outcome.call.on_drain = more
        more()
        assert (await outcome.wait()).body == b"ok"
        ((head, body),) = box.system.requests
        assert body == b"x" * 1_000_000
        assert (b"Transfer-Encoding: chunked" in head) == (length is None)

    async def test_a_request_shorter_than_announced_is_cut(self, box):
        """The system never sees it end."""
        await box.start(always(OK))
        outcome = box.send("POST", body=None, content_length=10)
        outcome.call.write(b"short")
        await asyncio.sleep(0.02)
        outcome.call.finish()
        await asyncio.sleep(0.02)
        assert box.system.requests == []
        assert not outcome.done.done()

    async def test_an_answer_before_the_request_ends(self, box):
        """Is the answer; the connection is not used again."""

        async def behave(_, reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
            await reader.read(-1)

        await box.start(behave)
        outcome = box.send("POST", body=None)
        outcome.call.write(b"x")
        assert (await outcome.wait()).status == 413
        outcome.call.write(b"x")
        outcome.call.finish()
        assert (await asyncio.wait_for(asyncio.ensure_future(box.send("POST").wait()), 3)).status == 413
        assert box.system.connections == 2

    async def test_a_system_that_does_not_read(self, box):
        """The request stalls, and ends by its own limit."""

        async def behave(_, reader, __):
            reader._transport.pause_reading()
            await asyncio.sleep(60)

        await box.start(behave, write_timeout=0.1)
        outcome = box.send("POST", body=None)

        def more():
            while outcome.call.write(b"x" * 100_000):
                pass

        outcome.call.on_drain = more
        assert (await outcome.wait()).code == "service.timeout"


def _certificate(tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "system")])
    start = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=36500))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "system.pem"
    pem, private = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    path.write_bytes(key.private_bytes(pem, private, serialization.NoEncryption()) + certificate.public_bytes(pem))
    return path


class TestTls:
    """To a system's https address, with the settings of that system."""

    async def test_a_trusted_system_is_called_and_others_are_not(self, tmp_path):
        """Unknown issuer and another name are no connection: nothing is sent."""
        pem = _certificate(tmp_path)
        server_tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        server_tls.load_cert_chain(pem)
        system = System(always(OK))
        server = await asyncio.start_server(system.serve, "127.0.0.1", 0, ssl=server_tls)
        port = server.sockets[0].getsockname()[1]
        trusting = ssl.create_default_context(cafile=pem)
        cases = [
            ("localhost", trusting, None),
            ("localhost", ssl.create_default_context(), "service.unreachable"),
            ("127.0.0.1", trusting, "service.unreachable"),
        ]
        for host, context, code in cases:
            client = HttpClient(url=f"https://{host}:{port}", ssl=context)
            for _ in range(2):
                outcome = Outcome()
                client.send("POST", b"/", [], b"x", on_response=outcome.on_response, on_error=outcome.on_error)
                result = await outcome.wait()
                assert (result.body == b"ok") if code is None else (result.code == code)
            await client.close()
        assert len(system.requests) == 2
        server.close()
        for writer in system.writers:
            writer.transport.abort()
        await asyncio.sleep(0.02)


class TestBaseUrl:
    """Where a system is."""

    @pytest.mark.parametrize(
        ("url", "expected"),
        [
            ("http://h", ("h", 80, False, b"", b"h")),
            ("https://h/a/", ("h", 443, True, b"/a/", b"h")),
            ("http://h:8080/a", ("h", 8080, False, b"/a", b"h:8080")),
            ("https://[::1]:1/", ("::1", 1, True, b"/", b"[::1]:1")),
        ],
    )
    def test_parts(self, url, expected):
        """Default ports, IPv6 in brackets."""
        base = BaseUrl.parse(url)
        assert (base.host, base.port, base.is_tls, base.path, base.host_header) == expected

    @pytest.mark.parametrize(
        "url",
        [
            "", "h", "ftp://h", "http://", "http://h:x", "http://h:99999", "http://h/?a", "http://h/#a", "http://u:p@h",
            "http://h/ä", "http://h/a b", "http://h/\r\nX: y", "http://[::1", "http://" + "a" * 70,
        ],
    )  # fmt: skip
    def test_what_is_not_an_address(self, url):
        """No credentials, no query, no characters that would need encoding."""
        with pytest.raises(Malformed):
            BaseUrl.parse(url)

    def test_https_needs_tls_settings(self):
        """No default trust store decides for a member."""
        with pytest.raises(Malformed):
            HttpClient(url="https://h")
