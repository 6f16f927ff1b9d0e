"""What the two HTTP edges cost: microseconds of CPU for one message, alone in a process each, against raw sockets.

    .venv/bin/python bench/http_edges.py

The other end is as cheap as it can be made (a fixed answer to a fixed number of bytes), so that what is measured is
the edge. `rules` is the work of `rest` for one request and its answer, without sockets.
"""

import asyncio
import resource
import subprocess
import sys
import time

import uvloop

from qaztech.node import rest
from qaztech.node.http_client import ClientLimits, HttpClient
from qaztech.node.http_server import HttpServer

MESSAGES = 40_000
CONNECTIONS = 32
BODY = b"x" * 1024
HEADERS = [
    (b"Accept", b"*/*"),
    (b"Content-Type", b"application/json"),
    (b"X-Road-Client", b"KZ/GOV/991340000017/permits"),
    (b"X-Road-UserId", b"EE1"),
    (b"X-Custom", b"1"),
    (b"User-Agent", b"curl/8.0"),
]
TARGET = b"/r1/KZ/QUASI/991340000027/registers/countries/by-code/KZ?lang=kk"
REQUEST = (
    b"POST %b HTTP/1.1\r\nHost: localhost\r\n%bContent-Length: 1024\r\n\r\n"
    % (TARGET, b"".join(b"%b: %b\r\n" % h for h in HEADERS))
    + BODY
)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: now\r\nContent-Length: 1024\r\n\r\n" + BODY


class Fixed(asyncio.Protocol):
    """After every `size` bytes received, send `answer`; count."""

    def __init__(self, size, answer, done=None):
        self.size, self.answer, self.done, self.got, self.count = size, answer, done, 0, 0

    def connection_made(self, transport):
        self.transport = transport
        if self.done is not None:
            transport.write(self.answer)

    def data_received(self, data):
        self.got += len(data)
        while self.got >= self.size:
            self.got -= self.size
            self.count += 1
            if self.done is None or self.count < MESSAGES // CONNECTIONS:
                self.transport.write(self.answer)
            else:
                self.transport.close()

    def connection_lost(self, _):
        if self.done is not None and not self.done.done():
            self.done.set_result(None)


def cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime, usage.ru_stime


def report(name, start, count=MESSAGES):
    (u0, s0), (u1, s1) = start, cpu()
    print(f"{name:18} {(u1 - u0) / count * 1e6:6.1f} user {(s1 - s0) / count * 1e6:6.1f} system  µs a message")


def child(*arguments):
    return subprocess.Popen([sys.executable, __file__, *map(str, arguments)], stdout=subprocess.PIPE)


async def server_side():
    answer_headers = [(b"Content-Type", b"application/json"), (b"Date", b"now")]

    def on_request(request):
        request.respond(200, answer_headers, BODY)

    server = HttpServer(on_request=on_request)
    load_process = child("load", await server.listen("127.0.0.1", 0))
    start = cpu()
    await asyncio.get_running_loop().run_in_executor(None, load_process.wait)
    report("http_server", start)
    await server.drain(1)


async def load(port):
    loop = asyncio.get_running_loop()
    size = len(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: now\r\nContent-Length: 1024\r\n\r\n") + 1024
    done = [loop.create_future() for _ in range(CONNECTIONS)]
    for future in done:
        await loop.create_connection(lambda future=future: Fixed(size, REQUEST, future), "127.0.0.1", port)
    await asyncio.gather(*done)


async def client_side():
    system_process = child("system")
    port = int(system_process.stdout.readline())
    client = HttpClient(url=f"http://127.0.0.1:{port}", limits=ClientLimits(max_connections=CONNECTIONS))
    left, done = MESSAGES, asyncio.get_running_loop().create_future()

    def on_response(_):
        nonlocal left
        left -= 1
        if left >= CONNECTIONS:
            send()
        elif left == 0:
            done.set_result(None)

    def send():
        client.send("POST", TARGET, HEADERS, BODY, on_response=on_response, on_error=done.set_exception)

    start = cpu()
    for _ in range(CONNECTIONS):
        send()
    await done
    report("http_client", start)
    await client.close()
    system_process.terminate()
    system_process.wait()


async def system():
    loop = asyncio.get_running_loop()
    lines = b"POST %b HTTP/1.1\r\nHost: 127.0.0.1:00000\r\n" % TARGET + b"".join(b"%b: %b\r\n" % h for h in HEADERS)
    size = len(lines) + len(b"Content-Length: 1024\r\n\r\n") + 1024
    server = await loop.create_server(lambda: Fixed(size, ANSWER), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.sleep(3600)


def rules():
    start = time.process_time()
    count = 50_000
    headers = [(b"Host", b"localhost"), *HEADERS, (b"Content-Length", b"1024")]
    for _ in range(count):
        rest.parse_target(TARGET)
        kept = rest.kept_headers(headers)
        rest.parse_client(rest.header_values(kept, rest.CLIENT))
        lines = rest.header_lines(kept)
        rest.parse_header_lines(lines)
        rest.response_headers(
            [(b"Content-Type", b"a/b"), (b"Date", b"now")],
            message_id=b"i",
            client=b"c",
            service=b"s",
            request_id=b"r",
            request_hash=b"h",
            date=b"d",
        )
    print(f"{'rules':18} {(time.process_time() - start) / count * 1e6:6.1f} µs a request and its answer")


if __name__ == "__main__":
    if sys.argv[1:2] == ["load"]:
        uvloop.run(load(int(sys.argv[2])))
    elif sys.argv[1:2] == ["system"]:
        uvloop.run(system())
    else:
        rules()
        for side in (server_side, client_side):
            uvloop.run(side())
