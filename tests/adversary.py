"""A member that does not keep to the protocol: a real node's certificate, member file and log key, driven by a test.

`Adversary` has the identity of one organisation of a founded country whose node does not run. It keeps a log of its
own in memory, which it may fork, and speaks frames over real mutual TLS: as a consumer node (`dial`) or a provider
(`listen`).
"""

from __future__ import annotations

import os
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar
from uuid import UUID

from qaztech.core.commitment import BODY, HEADERS, PATH, QUERY, commit
from qaztech.core.exchange import PROTOCOL_VERSION
from qaztech.core.record import NO_ENDPOINT, STREAMED, Record, format_record, hash_text, parse_record
from qaztech.core.time import SystemClock
from qaztech.evidence.checkpoint import SignedCheckpoint, sign_checkpoint
from qaztech.evidence.merkle import Frontier, consistency_proof, leaf_hash, node_hash
from qaztech.node import frames
from qaztech.node.settings import NodeSettings
from qaztech.registry.member_file import log_origin
from qaztech.runtime.settings import read_settings
from qaztech.testing.instance import Instance
from qaztech.trust.certificates import client_context, server_context
from qaztech.trust.keys import Ed25519Key

PATIENCE = 10.0
F = TypeVar("F", bound=frames.Frame)


class Silence(Exception):
    """The other side said nothing in time."""


class Memory:
    """A log in memory: leaves, signed heads, proofs. `fork` gives another history under the same key."""

    def __init__(self, origin: str, key: Ed25519Key, leaves: list[bytes] | None = None) -> None:
        self.origin = origin
        self.key = key
        self.leaves = list(leaves or [])

    @property
    def size(self) -> int:
        return len(self.leaves)

    def append(self, data: bytes) -> int:
        self.leaves.append(leaf_hash(data))
        return self.size - 1

    def fork(self, size: int) -> Memory:
        """The same log up to `size`, from there on another."""
        return Memory(self.origin, self.key, self.leaves[:size])

    def frontier(self, size: int) -> Frontier:
        frontier = Frontier()
        frontier.extend(self.leaves[:size])
        return frontier

    def note(self, size: int | None = None) -> bytes:
        size = self.size if size is None else size
        return sign_checkpoint(self.origin, size, self.frontier(size).root(), self.key)

    def signature(self, size: int | None = None) -> bytes:
        line = SignedCheckpoint.parse(self.note(size)).note.signatures[0]
        return line.signature

    def consistency(self, old: int, new: int) -> list[bytes]:
        def node(level: int, index: int) -> bytes:
            if level == 0:
                return self.leaves[index]
            return node_hash(node(level - 1, 2 * index), node(level - 1, 2 * index + 1))

        return consistency_proof(old, new, node)

    def head(self, since: int | None, *, accepted: int = 0, size: int | None = None) -> frames.Head:
        """The frame for the newest head: after `since` on the same link, or (None) the first one of a link."""
        size = self.size if size is None else size
        if since is None:
            start = accepted
            return frames.Head(
                start, b"".join(self.leaves[start:size]), size, self.signature(size),
                list(self.frontier(start).hashes), self.consistency(accepted, size) if accepted else [],
            )  # fmt: skip
        return frames.Head(since, b"".join(self.leaves[since:size]), size, self.signature(size), None, None)


class Wire:
    """One connection to a node: frames out, frames in. `prove` sends the head that is due."""

    def __init__(self, sock: ssl.SSLSocket, log: Memory) -> None:
        self._sock = sock
        self.log = log
        self._reader = frames.FrameReader()
        self._came: list[frames.Frame] = []
        self.is_up = True
        # Whether the test answers the node's questions itself.
        self.takes_questions = False
        self.hello: frames.Hello | None = None
        # Heads of the node as they came, for answers that must be proven; and what we have sent of ours.
        self.heads: list[frames.Head] = []
        self.sent: int | None = None
        self.accepted = 0

    def raw(self, data: bytes) -> None:
        """Bytes as they are; that the node has hung up already is not this side's concern."""
        try:
            self._sock.sendall(data)
        except OSError:
            return

    def send(self, *sent: frames.Frame) -> None:
        self.raw(b"".join(map(frames.encode_frame, sent)))

    def prove(self, *sent: frames.Frame) -> None:
        """Send after a head that covers all of our log."""
        head = [] if self.sent == self.log.size else [self.log.head(self.sent, accepted=self.accepted)]
        self.sent = self.log.size
        self.send(*head, *sent)

    def receive(self, seconds: float = PATIENCE) -> frames.Frame | None:
        """The next frame that is not a head or a ping; None when the node has hung up."""
        deadline = time.monotonic() + seconds
        while not self._came:
            self._sock.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                data = self._sock.recv(256 * 1024)
            except TimeoutError:
                raise Silence from None
            except OSError:
                data = b""
            if not data:
                self.is_up = False
                return None
            for frame in self._reader.feed(data):
                if isinstance(frame, frames.Head):
                    self.heads.append(frame)
                elif isinstance(frame, frames.Ping):
                    if not frame.answer:
                        self.send(frames.Ping(answer=True))
                elif isinstance(frame, frames.Question) and not self.takes_questions:
                    self.send(frames.Answer(frame.number, "witness.none", b""))
                else:
                    self._came.append(frame)
        return self._came.pop(0)

    def expect(self, kind: type[F], seconds: float = PATIENCE) -> F:
        """The next frame, which must be of this kind."""
        frame = self.receive(seconds)
        assert isinstance(frame, kind), f"{kind.__name__} expected, not {frame!r}"
        return frame

    def is_cut(self, seconds: float = PATIENCE) -> bool:
        """Whether the node hangs up; frames that come before are passed over."""
        deadline = time.monotonic() + seconds
        try:
            while self.receive(deadline - time.monotonic()) is not None:
                continue
        except Silence:
            return False
        return True

    def is_alive(self) -> bool:
        """Whether the node still answers on this link."""
        self._sock.settimeout(PATIENCE)
        self.send(frames.Question(2**40, "nothing", b""))
        while True:
            frame = self.receive()
            if frame is None:
                return False
            if isinstance(frame, frames.Answer) and frame.number == 2**40:
                return True

    def close(self) -> None:
        self.is_up = False
        self._sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as the adversary made it: the frame, and what stands in it."""

    frame: frames.Request
    record: Record
    secret: bytes

    @property
    def message(self) -> str:
        return self.record["message"]

    @property
    def leaf(self) -> bytes:
        return leaf_hash(self.record.data)


class Adversary:
    """One organisation's identity in a test's hands."""

    def __init__(self, country: Instance, name: str) -> None:
        self._country = country
        self.name = name
        self.directory = country.home / "nodes" / name
        self.settings = read_settings(self.directory / "node.toml", NodeSettings)
        self.node = self.settings.id
        self.member = self.settings.members[0].id
        self.system = country.node(name)["system"]
        self.key = Ed25519Key.load(self.directory / "log.key")
        self.origin = log_origin(self.node.partition("/")[0], self.key.public)
        self.log = Memory(self.origin, self.key)
        self._streams = iter(range(1, 1_000_000))

    # As a consumer node ----------------------------------------------------------------------------------------

    def connect(self, to: str, *, certificate: Path | None = None, key: Path | None = None) -> ssl.SSLSocket:
        """A TLS connection to a node's link port."""
        context = client_context(
            certificate or self.directory / "tls.pem", key or self.directory / "tls.key", [self._ca()]
        )
        plain = socket.create_connection(("127.0.0.1", self._country.country["ports"]["links"][to]), PATIENCE)
        return context.wrap_socket(plain)

    def dial(
        self, to: str, *, log: Memory | None = None, hello: Callable[[frames.Hello], frames.Hello] | None = None
    ) -> Wire:
        """A link to a node, with both hellos said (ours as `hello` would have it)."""
        wire = Wire(self.connect(to), log or self.log)
        self._greet(wire, hello)
        return wire

    def _greet(self, wire: Wire, change: Callable[[frames.Hello], frames.Hello] | None = None) -> None:
        hello = self.hello()
        wire.send(change(hello) if change is not None else hello)
        came = wire.receive()
        if isinstance(came, frames.Hello):
            wire.hello = came
            known = [a.size for a in came.accepted if a.origin == self.origin]
            wire.accepted = max(known, default=0)

    def hello(self, accepted: list[frames.Accepted] | None = None) -> frames.Hello:
        return frames.Hello(PROTOCOL_VERSION, "KZ", self.node, self.origin, accepted or [])

    def ask(
        self,
        node: str,
        service: str,
        *,
        log: Memory | None = None,
        method: str = "GET",
        path: str = "/x",
        query: bytes = b"",
        headers: list[tuple[bytes, bytes]] | None = None,
        body: bytes | None = b"",
        endpoint: str | None = None,
        prefix: bytes | None = None,
        client: str | None = None,
        **changed: str | int,
    ) -> Asked:
        """A request to a service of a node, its record appended to our log; `changed` are fields of the record."""
        secret = bytes(32)
        status = self._country.manage(node, "/status")
        now = SystemClock().now()
        message = str(changed.pop("message", "") or message_id(now))
        client = client or self.system
        if headers is None:
            headers = [
                (b"X-Road-Client", client.encode()),
                (b"x-road-request-id", message.encode()),
                (b"x-road-id", b"id-1"),
            ]
        lines = b"".join(b"%b:%b\r\n" % header for header in headers)
        fields: dict[str, str | int] = {
            "message": message,
            "from_": self.origin,
            "to": status["log"]["origin"],
            "client": client,
            "service": service,
            "method": method,
            "endpoint": endpoint or ("* /**" if endpoint is None else NO_ENDPOINT),
            "snapshot": f"{status['configuration']['version']} {status['configuration']['hash']}",
            "time": now,
            "expires": now + 30_000,
            "attempt": 1,
            "size": STREAMED if body is None else len(body),
            "path": hash_text(commit(secret, PATH, path.encode())),
            "query": hash_text(commit(secret, QUERY, query)),
            "headers": hash_text(commit(secret, HEADERS, lines)),
            "body": STREAMED if body is None else hash_text(commit(secret, BODY, body)),
        }
        record = format_record("request", **{**fields, **changed})
        index = (log or self.log).append(record.data)
        frame = frames.Request(
            next(self._streams),
            index,
            record.data,
            secret,
            prefix or f"/r1/{service}".encode(),
            path,
            query,
            lines,
            body,
        )
        return Asked(frame, record, secret)

    # As a provider node ----------------------------------------------------------------------------------------

    @contextmanager
    def listen(self) -> Iterator[queue.Queue[Wire]]:
        """Take links at our own address; each, after both hellos, is put into the queue."""
        context = server_context(self.directory / "tls.pem", self.directory / "tls.key", [self._ca()])
        port = self._country.country["ports"]["links"][self.name]
        listener = socket.create_server(("127.0.0.1", port), backlog=8)
        links: queue.Queue[Wire] = queue.Queue()
        all_: list[Wire] = []

        def accept() -> None:
            while True:
                try:
                    plain, _ = listener.accept()
                except OSError:
                    return
                try:
                    wire = Wire(context.wrap_socket(plain, server_side=True), self.log)
                    self._greet(wire)
                except OSError:
                    continue
                all_.append(wire)
                links.put(wire)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield links
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            thread.join(PATIENCE)
            for wire in all_:
                wire.close()

    def answer(
        self,
        request: frames.Request,
        /,
        *,
        kind: str = "response",
        log: Memory | None = None,
        status: int = 200,
        headers: list[tuple[bytes, bytes]] | None = None,
        lines: bytes | None = None,
        body: bytes | None = b"hello",
        keep_request: bool = True,
        **changed: str | int,
    ) -> tuple[frames.Response | frames.Refused, Record]:
        """An answer to a request frame, its record (and the request's) appended to our log."""
        log = log or self.log
        asked = parse_record(request.record)
        request_index = log.append(request.record) if keep_request else 0
        secret = bytes(32)
        if headers is None:
            headers = self.answer_headers(asked)
        sent = b"".join(b"%b:%b\r\n" % header for header in headers) if lines is None else lines
        fields: dict[str, str | int] = {
            "message": asked["message"],
            "from_": asked["to"],
            "to": asked["from"],
            "client": asked["client"],
            "service": asked["service"],
            "request": f"{hash_text(leaf_hash(request.record))} {request.index}",
            "snapshot": asked["snapshot"],
            "time": SystemClock().now(),
            "status": status,
            "code": "service.unreachable",
            "size": STREAMED if body is None else len(body),
            "headers": hash_text(commit(secret, HEADERS, sent)),
            "body": STREAMED if body is None else hash_text(commit(secret, BODY, body)),
        }
        record = format_record(kind, **{**fields, **changed})  # type: ignore[arg-type]
        index = log.append(record.data)
        if kind == "refused":
            return frames.Refused(request.stream, index, request_index, record.data, "no"), record
        return frames.Response(request.stream, index, request_index, record.data, secret, sent, body), record

    @staticmethod
    def answer_headers(asked: Record, *more: tuple[bytes, bytes]) -> list[tuple[bytes, bytes]]:
        """The headers an honest provider node would send."""
        return [
            *more,
            (b"Date", b"Mon, 01 Jan 2035 00:00:00 GMT"),
            (b"x-road-id", b"id-1"),
            (b"x-road-client", asked["client"].encode()),
            (b"x-road-service", asked["service"].encode()),
            (b"x-road-request-id", asked["message"].encode()),
            (b"x-road-request-hash", b"aGFzaA=="),
        ]

    def _ca(self) -> str:
        return (self._country.home / "registry" / "ca.pem").read_text()


def message_id(now: int) -> str:
    """A fresh message id (UUID version 7)."""
    bits = int.from_bytes(os.urandom(10))
    return str(UUID(int=now << 80 | 7 << 76 | (bits >> 68) << 64 | 2 << 62 | bits & (1 << 62) - 1))


def changed(frame: F, **fields: Any) -> F:
    """The same frame with other fields."""
    values = {name: getattr(frame, name) for name in frame.__struct_fields__}
    return type(frame)(**{**values, **fields})


def signature_of(note: bytes) -> bytes:
    """The first signature of a note."""
    return SignedCheckpoint.parse(note).note.signatures[0].signature
