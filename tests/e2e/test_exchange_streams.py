"""Bodies that stream: head and tail on record, constant memory, and nothing passes for whole that was cut."""

from __future__ import annotations

import json
import re
import socket
from base64 import b64decode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from threading import Event, Thread

import pytest

import raw_caller
from qaztech.core.record import Record, parse_record
from qaztech.registry.verification import verify_receipt
from qaztech.testing import processes
from qaztech.testing.echo import BLOCK, MIB, stream_sha256
from qaztech.testing.instance import request

NODES = ("ministry", "registers")


@pytest.fixture(scope="module")
def early(country, echo) -> str:
    """A service that takes a body as it comes."""
    return country.add_service("registers", "early", echo.url, early=True)


@pytest.fixture(scope="module")
def edge(country) -> str:
    return country.node("ministry")["edge"]


@pytest.fixture(scope="module")
def system(country) -> tuple[str, str]:
    """The header that says who calls."""
    return "X-Road-Client", country.node("ministry")["system"]


class Endless:
    """A system whose answer has no end; `is_cut` when somebody has hung up on it."""

    def __init__(self) -> None:
        self.is_cut, self.stopped = Event(), Event()
        self.service = ""
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        sock, _ = self.listener.accept()
        with sock, suppress(OSError):
            sock.recv(65536)
            sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while not self.stopped.is_set():
                sock.sendall(b"%x\r\n%b\r\n" % (len(BLOCK), BLOCK))
            return
        self.is_cut.set()


@pytest.fixture
def endless(country) -> Iterator[Endless]:
    """The service without end."""
    system = Endless()
    system.service = country.add_service("registers", "endless", system.url)
    yield system
    system.stopped.set()
    system.listener.close()


def blocks(mebibytes: int) -> Iterator[bytes]:
    for _ in range(mebibytes * MIB // len(BLOCK)):
        yield BLOCK


def upload(
    edge: str, target: str, system: tuple[str, str], mebibytes: int, *, chunked: bool = False
) -> raw_caller.Reply:
    """A body sent piece by piece."""
    framing = ("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(mebibytes * MIB))
    with raw_caller.connect(edge) as sock:
        sock.sendall(raw_caller.head_of("POST", target, [system, framing]))
        for block in blocks(mebibytes):
            sock.sendall(b"%x\r\n%b\r\n" % (len(block), block) if chunked else block)
        if chunked:
            sock.sendall(b"0\r\n\r\n")
        reply = raw_caller.read(sock, "POST")
    assert reply is not None
    return reply


def download(edge: str, target: str, system: tuple[str, str]) -> tuple[int, str, str]:
    """Size, SHA-256 and message id of a body taken piece by piece, none of it kept."""
    with raw_caller.connect(edge) as sock, sock.makefile("rb") as file:
        sock.sendall(raw_caller.head_of("GET", target, [system]))
        head = b"".join(iter(file.readline, b"\r\n")).decode()
        assert head.startswith("HTTP/1.1 200 "), head
        assert "transfer-encoding: chunked" in head.lower()
        size, digest = 0, sha256()
        while length := int(file.readline(), 16):
            data = file.read(length)
            size += len(data)
            digest.update(data)
            file.readline()
    return size, digest.hexdigest(), message_of(head)


def message_of(head: str) -> str:
    found = re.search(r"x-road-request-id: (\S+)", head)
    assert found is not None
    return found[1]


def records(receipt: dict) -> dict[str, Record]:
    """The records of a receipt, by kind."""
    parsed = [parse_record(b64decode(message["record"])) for message in receipt["messages"]]
    return {record.kind: record for record in parsed}


def witnessed(country, message: str) -> dict[str, Record]:
    """The records of an exchange, as a receipt of each side shows them; both verify as witnessed, and are the same."""
    found = []
    for node in NODES:
        receipt = country.receipt(message, node=node)
        verdict = verify_receipt(json.dumps(receipt).encode(), country.anchor.read_bytes(), require="witnessed")
        assert verdict.ok, verdict.checks
        found.append(records(receipt))
    assert {k: r.data for k, r in found[0].items()} == {k: r.data for k, r in found[1].items()}
    return found[0]


def in_progress(country, node: str) -> float:
    text = request(country.node(node)["management"], "GET", "/metrics").body.decode()
    found = re.search(r"^qaztech_exchanges_in_progress (\S+)$", text, re.MULTILINE)
    assert found is not None
    return float(found[1])


def is_quiet(country) -> bool:
    """Whether neither node has an exchange in progress, nor a stream on its link."""
    links = [link for node in NODES for link in country.manage(node, "/status")["links"]]
    return not any(in_progress(country, node) for node in NODES) and not any(link["exchanges"] for link in links)


def has_tail(country, message: str, kind: str) -> bool:
    return all(kind in country.records(node, message) for node in NODES)


def recent(country, node: str, path: str) -> dict:
    """The newest exchange of a node that ended with a service of that code."""
    return next(e for e in country.manage(node, "/exchanges") if e["service"].endswith(f"/{path}"))


class TestWhole:
    """A body that comes to its end."""

    @pytest.mark.parametrize("code", ["echo", "early"])
    def test_twenty_mebibytes_up(self, country, edge, system, early, code):
        """Head, then body, then tail; the system gets all of it, whether at once or when all is verified."""
        service = early if code == "early" else country.echo
        reply = upload(edge, f"/r1/{service}/sink", system, 20)
        assert (reply.status, reply.json) == (200, {"size": 20 * MIB})
        found = witnessed(country, reply.message)
        assert set(found) == {"request", "request-tail", "response"}
        assert (found["request"]["size"], found["request"]["body"]) == ("-", "-")
        assert (found["request-tail"]["size"], found["request-tail"]["outcome"]) == (str(20 * MIB), "complete")

    def test_twenty_mebibytes_down(self, country, edge, system):
        """Byte for byte, and its tail names the same size."""
        size, digest, message = download(edge, f"/r1/{country.echo}/stream/20", system)
        assert (size, digest) == (20 * MIB, stream_sha256(20))
        found = witnessed(country, message)
        assert set(found) == {"request", "response", "response-tail"}
        assert found["response"]["size"] == "-"
        assert (found["response-tail"]["size"], found["response-tail"]["outcome"]) == (str(20 * MIB), "complete")

    @pytest.mark.parametrize("code", ["echo", "early"])
    def test_a_body_of_unknown_length_up(self, country, edge, system, early, code):
        """Chunked by the caller; the system gets the same bytes."""
        service = early if code == "early" else country.echo
        reply = upload(edge, f"/r1/{service}/chunked", system, 3, chunked=True)
        assert (reply.json["size"], reply.json["sha256"]) == (3 * MIB, stream_sha256(3))
        assert witnessed(country, reply.message)["request-tail"]["size"] == str(3 * MIB)

    def test_a_body_of_unknown_length_down(self, country, edge, system):
        """Chunked by the system."""
        size, digest, message = download(edge, f"/r1/{country.echo}/stream/3?chunked", system)
        assert (size, digest) == (3 * MIB, stream_sha256(3))
        assert witnessed(country, message)["response-tail"]["outcome"] == "complete"

    def test_a_streamed_body_is_checked_by_its_salt(self, country, edge, system, tmp_path):
        """The commitment to it stands in the tail."""
        _, _, message = download(edge, f"/r1/{country.echo}/stream/1", system)
        receipt = json.dumps(country.receipt(message, disclose=["response.body"])).encode()
        body, anchor = tmp_path / "body", country.anchor.read_bytes()
        body.write_bytes(b"".join(blocks(1)))
        with body.open("rb") as file:
            assert verify_receipt(receipt, anchor, require="witnessed", body=file).ok
        body.write_bytes(b"".join(blocks(1))[:-1])
        with body.open("rb") as file:
            assert not verify_receipt(receipt, anchor, require="witnessed", body=file).ok


class TestCut:
    """A body that does not come to its end."""

    def test_a_caller_leaves_in_the_middle_of_a_download(self, country, edge, system):
        """Both logs say how far it came; nothing goes on behind the caller's back."""
        with raw_caller.connect(edge) as sock:
            sock.sendall(raw_caller.head_of("GET", f"/r1/{country.echo}/stream/200", [system]))
            came = b""
            while len(came) < MIB:
                came += sock.recv(65536)
        message = message_of(came.partition(b"\r\n\r\n")[0].decode())
        country.until(lambda: has_tail(country, message, "response-tail") and is_quiet(country))
        tail = witnessed(country, message)["response-tail"]
        assert tail["outcome"] == "aborted"
        assert MIB // 2 < tail.number("size") < 150 * MIB
        assert recent(country, "ministry", "echo")["state"] == "aborted"

    def test_an_answer_without_end_is_not_fetched_for_nobody(self, country, edge, system, endless):
        """When the caller has left, the node hangs up on a system that would go on for ever."""
        with raw_caller.connect(edge) as sock:
            sock.sendall(raw_caller.head_of("GET", f"/r1/{endless.service}/x", [system]))
            sock.recv(1000)
            assert not endless.is_cut.is_set()
        assert endless.is_cut.wait(3)
        country.until(lambda: is_quiet(country))

    def test_a_system_closes_in_the_middle_of_its_answer(self, country, edge, system):
        """The caller's connection is cut, so that nobody takes a part for the whole."""
        with raw_caller.connect(edge) as sock, sock.makefile("rb") as file:
            sock.sendall(raw_caller.head_of("GET", f"/r1/{country.echo}/close-mid-body", [system]))
            head = b"".join(iter(file.readline, b"\r\n")).decode()
            assert head.startswith("HTTP/1.1 200 ")
            try:
                rest = file.read()
            except ConnectionResetError:
                rest = b""
            assert not rest.endswith(b"0\r\n\r\n")
        message = message_of(head)
        country.until(lambda: has_tail(country, message, "response-tail") and is_quiet(country))
        assert witnessed(country, message)["response-tail"]["outcome"] == "aborted"

    @pytest.mark.parametrize("code", ["echo", "early"])
    def test_a_caller_leaves_in_the_middle_of_an_upload(self, country, echo, system, early, code):
        """A system that waits for whole bodies never hears of it; another sees its connection cut."""
        service, edge = early if code == "early" else country.echo, country.node("ministry")["edge"]
        before = {e["message"] for e in country.manage("ministry", "/exchanges?limit=500")}
        with raw_caller.connect(edge) as sock:
            framing = ("Content-Length", str(50 * MIB))
            sock.sendall(raw_caller.head_of("POST", f"/r1/{service}/sink/{code}-cut", [system, framing]))
            for block in blocks(2):
                sock.sendall(block)
        country.until(lambda: recent(country, "ministry", code)["message"] not in before and is_quiet(country))
        message = recent(country, "ministry", code)["message"]
        found = witnessed(country, message)
        assert found["request-tail"]["outcome"] == "aborted"
        assert found["request-tail"].number("size") <= 2 * MIB
        assert found["refused"]["code"] == "request.aborted"
        assert (f"/sink/{code}-cut" in [call.target for call in echo.calls]) == (code == "early")

    def test_others_are_served_meanwhile(self, country, edge, system):
        """A caller that reads nothing of a large answer holds up nobody else."""
        with raw_caller.connect(edge) as sock:
            sock.sendall(raw_caller.head_of("GET", f"/r1/{country.echo}/stream/100", [system]))
            sock.recv(1000)
            with ThreadPoolExecutor(4) as pool:
                answers = list(pool.map(lambda _: country.call("/x", service=country.echo, seconds=5.0), range(20)))
            assert {answer.status for answer in answers} == {200}
        country.until(lambda: is_quiet(country))


class TestMemory:
    """What passes does not stay."""

    def resident(self, country) -> dict[str, int]:
        """Resident memory of both nodes, in KiB."""
        found = {}
        for node in NODES:
            status = Path(f"/proc/{processes.pid_of(country.home, f'node-{node}')}/status").read_text()
            found[node] = int(status.partition("VmRSS:")[2].split()[0])
        return found

    def test_a_hundred_mebibytes_each_way_take_no_more_memory_than_one(self, country, edge, system, early):
        """Less than 16 MiB more in either process, looked at while the bytes pass."""
        download(edge, f"/r1/{country.echo}/stream/4", system)
        upload(edge, f"/r1/{early}/sink", system, 4)
        before = self.resident(country)
        peak = dict(before)
        with ThreadPoolExecutor(2) as pool:
            down = pool.submit(download, edge, f"/r1/{country.echo}/stream/100", system)
            up = pool.submit(upload, edge, f"/r1/{early}/sink", system, 100)
            while not (down.done() and up.done()):
                peak = {node: max(peak[node], size) for node, size in self.resident(country).items()}
        assert down.result()[:2] == (100 * MIB, stream_sha256(100))
        assert up.result().json == {"size": 100 * MIB}
        grown = {node: peak[node] - before[node] for node in NODES}
        assert max(grown.values()) < 16 * 1024, grown
