"""The consumer edge's HTTP, spoken to with real sockets and raw bytes."""

import asyncio
import contextlib
import datetime as dt
import socket
import ssl
import struct
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from qaztech.node.http_server import HttpServer, ServerLimits

OK = [(b"X-Ok", b"1")]
H = b"Host: a\r\n"


class Caller:
    """A raw client."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    def send(self, data):
        self.writer.write(data)

    async def read_all(self, within=3):
        """Everything until the server closes."""
        return await asyncio.wait_for(self.reader.read(-1), within)

    async def read_answer(self, within=3):
        """One answer with a Content-Length: status and body."""
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), within)
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0] or 0)
        return head, await asyncio.wait_for(self.reader.readexactly(length), within)

    async def is_silent(self, seconds=0.1):
        """Whether nothing comes for a while."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.reader.read(1), seconds)
            return False
        return True


@pytest.fixture
async def country():
    """A server whose requests are collected; `answer` may be replaced."""
    servers, callers = [], []
    box = SimpleNamespace(seen=[], answer=lambda r: r.respond(200, OK, r.target + b"|" + (r.body or b"")))

    async def start(*, tls=None, **limits):
        def on_request(request):
            box.seen.append(request)
            box.answer(request)

        server = HttpServer(on_request=on_request, limits=ServerLimits(**{"sweep": 0.02, **limits}))
        port = await server.listen("127.0.0.1", 0, ssl=tls)
        servers.append(server)
        box.server, box.port = server, port
        return port

    async def call(**kwargs):
        reader, writer = await asyncio.open_connection("127.0.0.1", box.port, **kwargs)
        callers.append(writer)
        return Caller(reader, writer)

    box.start, box.call = start, call
    yield box
    for writer in callers:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    for server in servers:
        await server.drain(0.1)


class TestWhole:
    """Requests whose body comes in one callback."""

    async def test_get_and_post_on_one_connection(self, country):
        """Kept alive; method, target, headers and body as sent."""
        await country.start()
        caller = await country.call()
        caller.send(b"GET /a?b HTTP/1.1\r\n" + H + b"X-Mixed: v \t\r\n\r\n")
        head, body = await caller.read_answer()
        assert head == b"HTTP/1.1 200 OK\r\nX-Ok: 1\r\nContent-Length: 5\r\n\r\n"
        assert body == b"/a?b|"
        caller.send(b"POST /c HTTP/1.1\r\n" + H + b"Content-Length: 5\r\n\r\nhel")
        await asyncio.sleep(0.02)
        caller.send(b"lo")
        assert (await caller.read_answer())[1] == b"/c|hello"
        get, post = country.seen
        assert (get.method, get.target, get.headers) == ("GET", b"/a?b", [(b"Host", b"a"), (b"X-Mixed", b"v")])
        assert (post.method, post.body, post.content_length) == ("POST", b"hello", 5)
        assert get.peer.is_loopback
        assert not get.peer.is_tls
        assert country.server.connections == 1

    async def test_pipelined_requests_are_answered_in_order(self, country):
        """The second is handed over only when the first is answered."""
        country.answer = lambda _: None
        await country.start()
        caller = await country.call()
        caller.send(b"".join(b"GET /%d HTTP/1.1\r\n" % i + H + b"\r\n" for i in range(5)))
        for i in range(5):
            await asyncio.sleep(0.01)
            assert [r.target for r in country.seen] == [b"/%d" % j for j in range(i + 1)]
            country.seen[i].respond(200, [], b"%d" % i)
        for i in range(5):
            assert (await caller.read_answer())[1] == b"%d" % i
        caller.send(b"GET /5 HTTP/1.1\r\n" + H + b"\r\n")
        await asyncio.sleep(0.02)
        country.seen[5].respond(204, OK)
        assert await caller.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 204 No Content\r\nX-Ok: 1\r\n\r\n"

    async def test_too_many_pipelined_requests_are_refused_after_the_answers(self, country):
        """A bounded queue."""
        await country.start(max_pipelined=2)
        caller = await country.call()
        country.answer = lambda _: None
        caller.send(b"".join(b"GET /%d HTTP/1.1\r\n" % i + H + b"\r\n" for i in range(9)))
        await asyncio.sleep(0.02)
        country.answer = lambda r: r.respond(200, [], b"")
        country.seen[0].respond(200, [], b"")
        data = await caller.read_all()
        assert data.count(b"200 OK") == 2
        assert b"503" in data

    async def test_connection_close_is_honoured(self, country):
        """Answered, told, closed."""
        await country.start()
        caller = await country.call()
        caller.send(b"GET /a HTTP/1.1\r\n" + H + b"Connection: close\r\n\r\n")
        assert (await caller.read_all()).endswith(b"Connection: close\r\n\r\n/a|")

    async def test_http10_is_served_without_keep_alive(self, country):
        """Also without a Host."""
        await country.start()
        caller = await country.call()
        caller.send(b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert (await caller.read_all()).endswith(b"Connection: close\r\n\r\n/a|")

    async def test_head_has_no_body(self, country):
        """Its length is told."""
        await country.start()
        caller = await country.call()
        caller.send(b"HEAD /a HTTP/1.1\r\n" + H + b"Connection: close\r\n\r\n")
        assert (await caller.read_all()).endswith(b"Content-Length: 3\r\nConnection: close\r\n\r\n")

    async def test_expect_continue_is_answered(self, country):
        """Before the body comes."""
        await country.start()
        caller = await country.call()
        caller.send(b"POST /a HTTP/1.1\r\n" + H + b"Expect: 100-Continue\r\nContent-Length: 2\r\n\r\n")
        assert await caller.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        caller.send(b"hi")
        assert (await caller.read_answer())[1] == b"/a|hi"

    async def test_a_wish_to_upgrade_is_ignored(self, country):
        """As Java's client sends by default: body, framing and the next request survive."""
        await country.start()
        upgrade = H + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n"
        caller = await country.call()
        caller.send(
            b"POST /a HTTP/1.1\r\n"
            + upgrade
            + b"Content-Length: 5\r\n\r\nhello"
            + b"GET /b HTTP/1.1\r\n"
            + upgrade
            + b"\r\nPOST /c HTTP/1.1\r\n"
            + upgrade
            + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
            + b"GET /d HTTP/1.1\r\n"
            + H
            + b"\r\n"
        )
        assert [(await caller.read_answer())[1] for _ in range(4)] == [b"/a|hello", b"/b|", b"/c|hi", b"/d|"]

    async def test_a_small_chunked_body_that_is_already_here_is_whole(self, country):
        """Trailers do not cross."""
        await country.start()
        caller = await country.call()
        caller.send(
            b"POST /a HTTP/1.1\r\n"
            + H
            + b"Transfer-Encoding: Chunked\r\n\r\n2;x=y\r\nhi\r\n1\r\n!\r\n0\r\nX-T: 1\r\n\r\n"
        )
        assert (await caller.read_answer())[1] == b"/a|hi!"
        caller.send(b"GET /b HTTP/1.1\r\n" + H + b"\r\n")
        assert (await caller.read_answer())[1] == b"/b|"
        assert country.seen[1].headers == [(b"Host", b"a")]

    async def test_a_half_closed_caller_is_answered(self, country):
        """It may end its side and wait."""
        country.answer = lambda _: None
        await country.start()
        caller = await country.call()
        caller.send(b"GET /a HTTP/1.1\r\n" + H + b"\r\n")
        caller.writer.write_eof()
        await asyncio.sleep(0.02)
        country.seen[0].respond(200, [], b"still")
        assert (await caller.read_all()).endswith(b"still")

    async def test_a_lost_caller_is_told_once(self, country):
        """And what is answered later goes nowhere."""
        gone = []

        def answer(request):
            request.on_disconnect = lambda: gone.append(request)

        country.answer = answer
        await country.start()
        caller = await country.call()
        caller.send(b"GET /a HTTP/1.1\r\n" + H + b"\r\n")
        await asyncio.sleep(0.02)
        sock = caller.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        caller.writer.transport.abort()
        await asyncio.sleep(0.03)
        assert gone == country.seen
        country.seen[0].respond(200, [], b"late")
        assert country.seen[0].is_answered


SMUGGLING = [
    (b"POST / HTTP/1.1\r\n" + H + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\n" + H + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400),
    (b"POST / HTTP/1.1\r\n" + H + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc", 400),
    (b"POST / HTTP/1.1\r\n" + H + b"Content-Length: 3, 3\r\n\r\nabc", 400),
    (b"POST / HTTP/1.1\r\n" + H + b"Content-Length: +3\r\n\r\nabc", 400),
    (b"POST / HTTP/1.1\r\n" + H + b"Content-Length: -3\r\n\r\nabc", 400),
    (b"POST / HTTP/1.1\r\n" + H + b"Content-Length: 0x3\r\n\r\nabc", 400),
    (b"POST / HTTP/1.1\r\n" + H + b"Content-Length:\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\n" + H + b"Content-Length: 99999999999999999999\r\n\r\nabc", 400),
    (b"POST / HTTP/1.1\r\n" + H + b"Content-Length : 3\r\n\r\nabc", 400),
    (b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    (b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501),
    (b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding: identity\r\n\r\n", 501),
    (b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
    (b"POST / HTTP/1.0\r\n" + H + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501),
    (b"GET / HTTP/1.1\nHost: a\n\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nX: a\r\n b\r\nHost: a\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nX: a\0b\r\nHost: a\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nX Y: a\r\nHost: a\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\n X: a\r\nHost: a\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\n: a\r\nHost: a\r\n\r\n", 400),
    (b"GET /\r\n\r\n", 505),
    (b"GET / HTTP/1.2\r\n" + H + b"\r\n", 400),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\n" + H + H + b"\r\n", 400),
    (b"GET /\xc3\xa9 HTTP/1.1\r\n" + H + b"\r\n", 400),
    (b"GET /a\x01b HTTP/1.1\r\n" + H + b"\r\n", 400),
    (b"BREW / HTTP/1.1\r\n" + H + b"\r\n", 400),
    (b"CONNECT a:1 HTTP/1.1\r\n" + H + b"\r\n", 501),
    (b"PROPFIND / HTTP/1.1\r\n" + H + b"\r\n", 501),
    (b"GET / HTTP/1.1\r\n" + H + b"Expect: tea\r\n\r\n", 417),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
]


class TestRefused:
    """What never becomes a request."""

    @pytest.mark.parametrize(("data", "status"), SMUGGLING)
    async def test_smuggling_shapes(self, country, data, status):
        """Refused whole, or byte by byte, and the connection ends."""
        await country.start()
        for pieces in ([data], [data[i : i + 1] for i in range(len(data))]):
            caller = await country.call()
            for piece in pieces:
                caller.send(piece)
                if len(pieces) > 1 and len(piece.strip()) == 0:
                    await asyncio.sleep(0)
            answer = await caller.read_all()
            assert answer.startswith(b"HTTP/1.1 %d " % status)
            assert b"Connection: close" in answer
        assert country.seen == []

    @pytest.mark.parametrize(
        "chunks",
        [
            b"-3\r\nabc\r\n",
            b"0x3\r\nabc\r\n",
            b"3 \r\nabc\r\n",
            b"3\nabc\r\n",
            b"3\r\nabcd\r\n",
            b"3\r\nabc0\r\n",
            b"FFFFFFFFFFFFFFFFF\r\n",
            b"3;a\nabc\r\n",
            b"3\r\nabc\n0\r\n\r\n",
            b"\r\n",
        ],
    )
    async def test_bad_chunks_end_a_stream(self, country, chunks):
        """Whoever has begun to take the body is told that it broke."""
        broke = []

        def answer(request):
            request.on_data = lambda _: None
            request.on_end = lambda: broke.append("ended")
            request.on_disconnect = lambda: broke.append("broke")

        country.answer = answer
        await country.start()
        caller = await country.call()
        caller.send(b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding: chunked\r\n\r\n")
        await asyncio.sleep(0.02)
        caller.send(chunks)
        assert (await caller.read_all()).startswith(b"HTTP/1.1 400 ")
        assert broke == ["broke"]

    async def test_what_came_before_is_still_answered(self, country):
        """Then the refusal, then the end."""
        await country.start()
        caller = await country.call()
        caller.send(b"GET /a HTTP/1.1\r\n" + H + b"\r\nnonsense\r\n\r\n")
        answer = await caller.read_all()
        assert answer.index(b"200 OK") < answer.index(b"400 Bad Request")

    async def test_limits(self, country):
        """Target, count and size of headers, whole or in pieces; body."""
        await country.start(max_target=100, max_headers=5, max_header_bytes=1000, max_body=10)
        cases = {
            414: b"GET /" + b"a" * 100 + b" HTTP/1.1\r\n" + H + b"\r\n",
            431: b"GET / HTTP/1.1\r\n" + H + b"A: b\r\n" * 5 + b"\r\n",
            4310: b"GET / HTTP/1.1\r\n" + H + b"A: " + b"b" * 1000 + b"\r\n\r\n",
            413: b"POST / HTTP/1.1\r\n" + H + b"Content-Length: 11\r\n\r\n",
            4130: b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding: chunked\r\n\r\nB\r\n12345678901\r\n0\r\n\r\n",
        }
        for status, data in cases.items():
            caller = await country.call()
            caller.send(data)
            assert (await caller.read_all())[9:12] == str(status)[:3].encode()
        caller = await country.call()
        caller.send(b"GET / HTTP/1.1\r\nA: ")
        for _ in range(30):
            await asyncio.sleep(0.001)
            caller.send(b"b" * 100)
        assert b" 431 " in await caller.read_all()
        assert country.seen == []

    async def test_too_many_connections(self, country):
        """Refused at once."""
        await country.start(max_connections=1)
        first, second = await country.call(), await country.call()
        assert b" 503 " in await second.read_all()
        first.send(b"GET /a HTTP/1.1\r\n" + H + b"\r\n")
        assert (await first.read_answer())[1] == b"/a|"


class TestTimeouts:
    """Nobody holds a connection by doing nothing."""

    LIMITS = {"idle_timeout": 0.1, "header_timeout": 0.1, "body_timeout": 0.1, "write_timeout": 0.1}  # noqa: RUF012

    @pytest.mark.parametrize(
        "data", [b"GET / HT", b"GET / HTTP/1.1\r\nA: b", b"POST / HTTP/1.1\r\n" + H + b"Content-Length: 3\r\n\r\na"]
    )
    async def test_a_slow_request_is_refused(self, country, data):
        """408; a request that has not begun to say what it wants is just closed."""
        await country.start(**self.LIMITS)
        caller = await country.call()
        caller.send(data)
        assert b" 408 " in await caller.read_all()

    async def test_idle_connections_are_closed(self, country):
        """Before the first request and after an answer."""
        await country.start(**self.LIMITS)
        caller = await country.call()
        assert await caller.read_all() == b""
        caller = await country.call()
        caller.send(b"GET /a HTTP/1.1\r\n" + H + b"\r\n")
        await caller.read_answer()
        assert await caller.read_all() == b""

    async def test_a_stream_that_stops_is_broken_off(self, country):
        """A paused one is not: the pause is ours."""
        broke = []

        def answer(request):
            request.on_data = lambda _: request.pause() if request.target == b"/p" else None
            request.on_disconnect = lambda: broke.append(request.target)

        country.answer = answer
        await country.start(**self.LIMITS)
        callers = []
        for target in (b"/p", b"/s"):
            caller = await country.call()
            caller.send(b"POST " + target + b" HTTP/1.1\r\n" + H + b"Content-Length: 100000\r\n\r\nab")
            callers.append(caller)
        assert b" 408 " in await callers[1].read_all()
        assert broke == [b"/s"]

    async def test_a_caller_that_does_not_read_is_cut(self, country):
        """Its answer stays in its own buffers only."""
        await country.start(**self.LIMITS)
        broke = asyncio.Event()

        def answer(request):
            request.on_disconnect = broke.set
            request.start(200, [], 1 << 30)
            while request.write(b"x" * 100_000):
                pass

        country.answer = answer
        caller = await country.call()
        caller.writer.transport.pause_reading()
        caller.send(b"GET /a HTTP/1.1\r\n" + H + b"\r\n")
        await asyncio.wait_for(broke.wait(), 3)


class TestStreams:
    """Large bodies, both ways, with constant memory."""

    async def test_a_large_body_comes_as_a_stream(self, country):
        """At the head first, then in parts, then the end."""
        events = []

        def answer(request):
            events.append(("head", request.body, request.content_length))
            request.on_data = lambda data: events.append(len(data))
            request.on_end = lambda: request.respond(200, [], b"%d" % sum(e for e in events if isinstance(e, int)))

        country.answer = answer
        await country.start(buffered_body=1000)
        caller = await country.call()
        caller.send(b"POST / HTTP/1.1\r\n" + H + b"Content-Length: 500000\r\n\r\n")
        await asyncio.sleep(0.02)
        assert events == [("head", None, 500_000)]
        caller.send(b"x" * 500_000 + b"GET /next HTTP/1.1\r\n" + H + b"\r\n")
        assert (await caller.read_answer())[1] == b"500000"
        await asyncio.sleep(0.02)
        assert country.seen[1].target == b"/next"

    async def test_a_paused_stream_slows_the_sender(self, country):
        """No more than one read waits; everything comes in the end."""
        got = []

        def answer(request):
            request.on_data = lambda data: (got.append(len(data)), request.pause())
            request.on_end = lambda: request.respond(200, [], b"all")

        country.answer = answer
        await country.start()
        caller = await country.call()
        size = 20_000_000
        caller.send(b"POST / HTTP/1.1\r\n" + H + b"Content-Length: %d\r\n\r\n" % size + b"x" * size)
        await asyncio.sleep(0.1)
        assert sum(got) < 1_000_000
        reading = asyncio.ensure_future(caller.read_answer(10))
        while not reading.done():
            country.seen[0].resume()
            await asyncio.sleep(0)
        assert reading.result()[1] == b"all"
        assert sum(got) == size

    async def test_expect_continue_waits_for_whoever_pauses(self, country):
        """A refusal before the body is asked for needs no body."""
        country.answer = lambda request: request.respond(403, [], b"no")
        await country.start()
        caller = await country.call()
        caller.send(b"POST / HTTP/1.1\r\n" + H + b"Expect: 100-continue\r\nContent-Length: 9999999\r\n\r\n")
        answer = await caller.read_all()
        assert answer.startswith(b"HTTP/1.1 403")
        assert b"Connection: close" in answer

    async def test_expect_continue_is_answered_when_the_pause_ends(self, country):
        """Not before what is needed for taking the body has been done."""

        def answer(request):
            request.pause()
            request.on_data = lambda _: None
            request.on_end = lambda: request.respond(200, [], b"taken")

        country.answer = answer
        await country.start(buffered_body=1)
        caller = await country.call()
        caller.send(b"POST / HTTP/1.1\r\n" + H + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert await caller.is_silent()
        country.seen[0].resume()
        assert await caller.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        caller.send(b"hi")
        assert (await caller.read_answer())[1] == b"taken"

    async def test_an_early_answer_reaches_a_caller_that_still_sends(self, country):
        """The rest of its body is read and thrown away for a moment, not reset."""
        country.answer = lambda request: request.respond(413, [], b"too much")
        await country.start()
        caller = await country.call()
        caller.send(b"POST / HTTP/1.1\r\n" + H + b"Content-Length: 3000000\r\n\r\n" + b"x" * 3_000_000)
        assert (await caller.read_all()).endswith(b"too much")

    async def test_chunked_and_sized_answers(self, country):
        """With a length, in chunks, and to HTTP/1.0 until the end."""

        def answer(request):
            request.start(200, OK, 6 if request.target == b"/sized" else None)
            request.write(b"abc")
            request.write(b"")
            request.write(b"def" if request.target != b"/sized" else b"defghi")
            request.finish()

        country.answer = answer
        await country.start()
        caller = await country.call()
        caller.send(b"GET /sized HTTP/1.1\r\n" + H + b"\r\n")
        assert (await caller.read_answer())[1] == b"abcdef"
        caller.send(b"HEAD /x HTTP/1.1\r\n" + H + b"\r\n")
        assert await caller.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 200 OK\r\nX-Ok: 1\r\n\r\n"
        caller.send(b"GET /x HTTP/1.1\r\n" + H + b"Connection: close\r\n\r\n")
        assert (await caller.read_all()).endswith(
            b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n"
        )
        caller = await country.call()
        caller.send(b"GET /x HTTP/1.0\r\n\r\n")
        assert (await caller.read_all()).endswith(b"Connection: close\r\n\r\nabcdef")

    async def test_a_short_or_aborted_answer_is_cut(self, country):
        """Nobody takes it for whole."""

        def answer(request):
            request.start(200, [], 10 if request.target == b"/short" else None)
            request.write(b"abc")
            if request.target == b"/short":
                request.finish()
            else:
                asyncio.get_running_loop().call_later(0.02, request.abort)

        country.answer = answer
        await country.start()
        for target in (b"/short", b"/abort"):
            caller = await country.call()
            caller.send(b"GET " + target + b" HTTP/1.1\r\n" + H + b"\r\n")
            with contextlib.suppress(ConnectionResetError):
                assert not (await caller.read_all()).endswith(b"0\r\n\r\n")

    async def test_writing_waits_for_the_reader(self, country):
        """`write` says when to stop, `on_drain` when to go on."""
        size, written = 30_000_000, []

        def answer(request):
            def more():
                while len(written) * 100_000 < size:
                    written.append(1)
                    if not request.write(b"y" * 100_000):
                        return
                request.finish()

            request.on_drain = more
            request.start(200, [], size)
            more()

        country.answer = answer
        await country.start()
        caller = await country.call()
        caller.writer.transport.pause_reading()
        caller.send(b"GET /a HTTP/1.1\r\n" + H + b"\r\n")
        await asyncio.sleep(0.1)
        assert sum(written) * 100_000 < size / 2
        caller.writer.transport.resume_reading()
        assert len((await caller.read_answer(10))[1]) == size

    async def test_the_end_of_the_caller_ends_the_stream(self, country):
        """Mid-body, both told and not told by a half-close."""
        for end in ("write_eof", "close"):
            broke = asyncio.Event()

            def answer(request, broke=broke):
                request.on_data = lambda _: None
                request.on_disconnect = broke.set

            country.answer = answer
            await country.start()
            caller = await country.call()
            caller.send(b"POST / HTTP/1.1\r\n" + H + b"Content-Length: 100000\r\n\r\nabc")
            await asyncio.sleep(0.02)
            getattr(caller.writer, end)()
            await asyncio.wait_for(broke.wait(), 3)


class TestDrain:
    """SIGTERM's way out."""

    async def test_idle_closes_and_what_is_under_way_is_answered(self, country):
        """With Connection: close; nothing new is accepted."""
        country.answer = lambda _: None
        await country.start()
        idle, busy = await country.call(), await country.call()
        busy.send(b"GET /a HTTP/1.1\r\n" + H + b"\r\n")
        await asyncio.sleep(0.02)
        draining = asyncio.ensure_future(country.server.drain(3))
        assert await idle.read_all() == b""
        with pytest.raises(OSError):
            await country.call()
        country.seen[0].respond(200, [], b"done")
        assert (await busy.read_all()).endswith(b"Connection: close\r\n\r\ndone")
        assert await draining is True

    async def test_what_does_not_end_is_cut(self, country):
        """After the grace, and its requests are told."""
        broke = []

        def answer(request):
            request.on_disconnect = lambda: broke.append(1)

        country.answer = answer
        await country.start()
        caller = await country.call()
        caller.send(b"GET /a HTTP/1.1\r\n" + H + b"\r\n")
        await asyncio.sleep(0.02)
        assert await country.server.drain(0.05) is False
        await asyncio.sleep(0.02)
        assert broke == [1]


def _certificate(name, tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    start = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=36500))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / f"{name}.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path, certificate.public_bytes(serialization.Encoding.DER)


async def test_the_callers_certificate_is_at_hand(country, tmp_path):
    """Over TLS: the DER the application compares with the subsystem's list."""
    server_pem, _ = _certificate("server", tmp_path)
    client_pem, client_der = _certificate("client", tmp_path)
    server_tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=client_pem)
    server_tls.verify_mode = ssl.CERT_OPTIONAL
    server_tls.load_cert_chain(server_pem)
    await country.start(tls=server_tls)
    client_tls = ssl.create_default_context(cafile=server_pem)
    client_tls.load_cert_chain(client_pem)
    for tls, expected in ((client_tls, client_der), (ssl.create_default_context(cafile=server_pem), None)):
        caller = await country.call(ssl=tls, server_hostname="localhost")
        caller.send(b"POST /a HTTP/1.1\r\n" + H + b"Connection: close\r\nContent-Length: 2\r\n\r\nhi")
        assert (await caller.read_all()).endswith(b"/a|hi")
        assert country.seen[-1].peer.certificate == expected
        assert country.seen[-1].peer.is_tls
