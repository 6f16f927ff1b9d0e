"""Two nodes in one process, without edges, registry and witnesses: real logs, real links, real mutual TLS, real rules.

The consumer's callers and the provider's systems are the test's (`Heard`, `Scripted`); the disk may be told to fail.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

from qaztech.core.errors import Error
from qaztech.core.ids import MemberId, NodeId, ServiceId, SubsystemId
from qaztech.core.record import Record, parse_record
from qaztech.core.rights import Endpoint
from qaztech.core.time import SystemClock
from qaztech.evidence.log import Log
from qaztech.evidence.note import ED25519, VerifierKey
from qaztech.evidence.sequencer import Sequencer
from qaztech.node import rest
from qaztech.node.consumer import Consumer
from qaztech.node.frames import Answer, Question
from qaztech.node.link import Link
from qaztech.node.own_log import OwnLog
from qaztech.node.peers import AcceptedHeads
from qaztech.node.place import Call, Finished, Limits, Place, Source, new_message_id
from qaztech.node.provider import Provider
from qaztech.node.replay import ReplayGuard
from qaztech.node.throttle import Throttle
from qaztech.registry.configuration import Configuration, build_configuration
from qaztech.registry.desk import Desk
from qaztech.registry.directory import InstanceFile, InstanceSettings
from qaztech.registry.forms import Names
from qaztech.registry.member_file import log_origin, verify_member_file
from qaztech.registry.rights_page import parse_rights_page
from qaztech.testing.crash import CrashStorage
from qaztech.trust.certificates import (
    Authority,
    certificate_request,
    client_context,
    generate_key,
    key_pem,
    key_spki_hash,
    server_context,
)
from qaztech.trust.keys import Ed25519Key

NAMES = Names(kk="x", ru="x", en="x")
CLOCK = SystemClock()
CONSUMER = SubsystemId(MemberId("KZ", "GOV", "991340000017"), "permits")
PROVIDER = SubsystemId(MemberId("KZ", "QUASI", "991340000027"), "codes")
SERVICE = ServiceId(PROVIDER, "codes")


@dataclass
class Heard:
    """A caller at the consumer edge: what it was told. As a sink it takes a streamed answer, and room is given back."""

    done: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    status: int = 0
    headers: bytes = b""
    body: bytearray = field(default_factory=bytearray)
    error: Error | None = None
    is_cut: bool = False
    # Whether it reads what streams; one that does not gives no room.
    reads: bool = True
    resume: Callable[[int], None] = lambda _: None

    def answer(self, status: int, headers: bytes, body: bytes) -> None:
        self.status, self.headers = status, headers
        self.body += body
        self._end()

    def start(self, status: int, headers: bytes, resume: Callable[[int], None]) -> Heard:
        self.status, self.headers, self.resume = status, headers, resume
        return self

    def fail(self, error: Error) -> None:
        self.error = error
        self._end()

    def write(self, data: bytes) -> None:
        self.body += data
        if self.reads:
            self.resume(len(data))

    def finish(self) -> None:
        self._end()

    def abort(self, error: Error) -> None:
        self.error, self.is_cut = error, True
        self._end()

    def _end(self) -> None:
        assert not self.done.done(), "the caller was told twice"
        self.done.set_result(None)


class Fed:
    """A source of a streamed body, in the test's hands: `feed`, `end`, `abort` once it was attached."""

    def __init__(self) -> None:
        self.to = asyncio.get_running_loop().create_future()
        self.is_paused = False
        self.is_discarded = False

    def attach(self, feed) -> None:
        self.to.set_result(feed)

    def pause(self) -> None:
        self.is_paused = True

    def resume(self) -> None:
        self.is_paused = False

    def discard(self) -> None:
        self.is_discarded = True


class Working:
    """A call of the provider's system in progress: what came of its body, and whether it was cancelled."""

    def __init__(self, exchange, frame, receiver) -> None:
        self.exchange = exchange
        self.frame = frame
        self.receiver = receiver
        self.body = bytearray(frame.body or b"")
        self.finished = False
        self.error: Error | None = None
        self.cancelled = ""

    def write(self, data: bytes) -> None:
        self.body += data
        self.receiver.consumed(len(data))

    def finish(self) -> None:
        self.finished = True

    def abort(self, error: Error) -> None:
        self.error = error

    def cancel(self, code: str) -> None:
        self.cancelled = code

    def lines(self) -> bytes:
        """The header lines of an answer as a node makes them."""
        headers = rest.parse_header_lines(self.frame.headers)

        def value(name: bytes) -> bytes:
            return rest.header_values(headers, name)[-1]

        made = rest.response_headers(
            [], message_id=value(rest.ID), client=value(rest.CLIENT), service=str(SERVICE).encode(),
            request_id=value(rest.REQUEST_ID), request_hash=b"aGFzaA==", date=b"Mon, 01 Jan 2035 00:00:00 GMT",
        )  # fmt: skip
        return rest.header_lines(made)


class Scripted:
    """The provider's systems: each call is kept, and handed to `serve` (by default it echoes the body)."""

    def __init__(self) -> None:
        self.calls: list[Working] = []
        self.refuses: Error | None = None
        self.serve: Callable[[Working], None] = self.echo

    @staticmethod
    def echo(work: Working) -> None:
        """Answer with the body that came."""
        work.exchange.answer(200, work.lines(), bytes(work.body))

    def has(self, service: ServiceId) -> bool:
        return service == SERVICE

    def refusal(self, _: ServiceId, __: SubsystemId, ___: str) -> Error | None:
        return self.refuses

    def start(self, exchange, _service, _headers, frame, receiver) -> Working:
        work = Working(exchange, frame, receiver)
        self.calls.append(work)
        self.serve(work)
        return work


class Side:
    """One node: its identity, its log, and its two halves."""

    def __init__(self, pair: NodePair, directory: Path, system: SubsystemId) -> None:
        self.pair = pair
        self.directory = directory
        self.system = system
        self.id = NodeId(system.member, "node1")
        self.key = Ed25519Key.generate()
        self.origin = log_origin("KZ", self.key.public)
        self.storage = CrashStorage()
        self.tls = generate_key()
        self.desk = Desk.create(directory, member=system.member, names=NAMES, clock=CLOCK)
        self.desk.add_subsystem(system, NAMES)
        (directory / "tls.key").write_bytes(key_pem(self.tls))
        request = certificate_request(self.tls, self.id)
        (directory / "tls.pem").write_bytes(pair.authority.issue(request, self.id, CLOCK.now()))
        self.incidents: list[tuple[str, str]] = []
        self.counted: list[str] = []
        self.finished: list[Finished] = []
        self.systems = Scripted()
        self.links: list[Link] = []
        self.questions: list[Question] = []
        self.server: asyncio.Server | None = None
        self.answers = True

    def describe(self, port: int) -> None:
        """Put the node into the member's file."""
        key = VerifierKey.of(self.origin, ED25519, self.key.public)
        self.desk.add_node(self.id, f"127.0.0.1:{port}", key_spki_hash(self.tls), [key])

    def report(self, error: Error, *, peer: str) -> None:
        """The incidents' side of this."""
        self.incidents.append((error.code, peer))

    def build(self) -> None:
        """The node, on the running loop and on what the disk has."""
        exists = self.storage.exists(Path("/log/log"))
        make = Log.open if exists else Log.create
        self.log = make(Path("/log"), storage=self.storage, key=self.key, origin=self.origin, clock=CLOCK)
        self.sequencer = Sequencer(log=self.log)
        self.sequencer.start()
        self.own = OwnLog(log=self.log, sequencer=self.sequencer, public=self.key.public)
        self.accepted = AcceptedHeads(path=self.directory / "peers.json", notes=self.own, node_of=self._node_of)
        self.place = Place(
            clock=CLOCK, configuration=lambda: self.pair.configuration, journal=self.own,
            loop=asyncio.get_running_loop(), limits=self.pair.limits, finished=self.finished.append,
            replays=ReplayGuard(self.accepted.all()),
        )  # fmt: skip
        self.throttle = Throttle()
        self.stranger = lambda _: False
        self.consumer = Consumer(
            place=self.place, make_link=self._link, tls=lambda: self._tls(client_context),
            answer_question=self._answer, incidents=self,
        )  # fmt: skip
        self.provider = Provider(
            place=self.place, systems=self.systems, answer_question=self._answer, count=self.counted.append,
            incidents=self,
        )  # fmt: skip

    def _node_of(self, origin: str) -> NodeId | None:
        entry = self.pair.configuration.log(origin)
        return entry.node if entry is not None else None

    def _tls(self, make):
        return make(self.directory / "tls.pem", self.directory / "tls.key", self.pair.configuration.authorities)

    def _link(self, handler, dialled) -> Link:
        link = Link(
            dialled=dialled, node=str(self.id), configuration=lambda: self.pair.configuration, log=self.own,
            accepted=self.accepted, incidents=self, throttle=self.throttle, handler=handler,
            loop=asyncio.get_running_loop(), stranger=self.stranger,
        )  # fmt: skip
        self.links.append(link)
        return link

    def _answer(self, link: Link, question: Question) -> None:
        self.questions.append(question)
        if self.answers:
            link.send(Answer(question.number, "", question.payload[::-1]))

    async def listen(self, port: int = 0) -> int:
        """Take links."""
        loop = asyncio.get_running_loop()
        self.server = await loop.create_server(
            lambda: self._link(self.provider, None), "127.0.0.1", port, ssl=self._tls(server_context)
        )
        return int(self.server.sockets[0].getsockname()[1])

    def records(self, message: str) -> list[Record]:
        """What its log has of a message, in order."""
        return [parse_record(self.log.read(i).data) for i in self.log.find(bytes.fromhex(message.replace("-", "")))]

    def kinds(self, message: str) -> list[str]:
        """The kinds of those records."""
        return [record.kind for record in self.records(message)]

    async def close(self) -> None:
        """End it in good order."""
        if self.server is not None:
            self.server.close()
        self.consumer.close()
        self.provider.close()
        for link in self.links:
            if link._transport is not None:
                link._transport.abort()
        if self.log.halted is None:
            await self.sequencer.close()
        else:
            self.sequencer._writer.stop()
            self.sequencer._keeper.stop()
        self.log.close()
        await asyncio.sleep(0.01)  # until the sockets are gone


class NodePair:
    """A consumer and a provider that know each other."""

    def __init__(self, directory: Path, limits: Limits) -> None:
        self.limits = limits
        self.authority = Authority.create("KZ", CLOCK.now())
        self.version = 0
        self.configuration: Configuration
        for name in ("consumer", "provider"):
            (directory / name).mkdir(parents=True)
        self.consumer = Side(self, directory / "consumer", CONSUMER)
        self.provider = Side(self, directory / "provider", PROVIDER)

    @property
    def sides(self) -> tuple[Side, Side]:
        return self.consumer, self.provider

    def publish(self, *, revoked: tuple[str, ...] = ()) -> None:
        """What the desks say is the configuration; the nodes are told."""
        self.version += 1
        submissions = [side.desk.submission() for side in self.sides]
        pages = {sha256(data).hexdigest(): parse_rights_page(data) for s in submissions for data in s.pages}
        self.configuration = build_configuration(
            instance="KZ",
            snapshot=(self.version, sha256(b"%d" % self.version).hexdigest()),
            expires=2**62,
            files=[verify_member_file(s.envelope) for s in submissions],
            pages=pages,
            listing=None,
            instance_file=InstanceFile(
                type="qaztech-instance 1", instance="KZ", authorities=(self.authority.certificate_pem.decode(),),
                revoked_tls=revoked, settings=InstanceSettings(witnessing_interval=1, timestamp_interval=1),
            ),
        )  # fmt: skip

    def recheck(self) -> None:
        """Both nodes have the new configuration."""
        for side in self.sides:
            side.consumer.recheck()
            side.provider.recheck()

    async def start(self) -> None:
        """Both nodes, listening."""
        self.provider.desk.add_service(SERVICE, NAMES, type_="REST", disabled=None)
        self.grant(Endpoint.parse("* /**"))
        self.publish()
        for side in self.sides:
            side.build()
            side.describe(await side.listen())
        self.publish()

    def grant(self, *endpoints: Endpoint) -> None:
        """The consumer's right to the service."""
        self.provider.desk.grant(SERVICE, CONSUMER, self.consumer.desk.lineage, endpoints, None)

    def call(
        self, method: str = "GET", suffix: str = "/x", body: bytes | None = b"", source: Source | None = None
    ) -> Call:
        """A call as an edge makes it."""
        message = new_message_id(CLOCK.now())
        headers = [
            (b"X-Road-Client", str(CONSUMER).encode()), (rest.REQUEST_ID, message.text.encode()), (rest.ID, b"id-1"),
        ]  # fmt: skip
        return Call(
            client=CONSUMER, service=SERVICE, method=method, prefix=f"/r1/{SERVICE}".encode(), suffix=suffix, query=b"",
            headers=rest.header_lines(headers), body=body, message=message, source=source,
        )  # fmt: skip

    def hurry(self) -> None:
        """From now on no wait of an exchange is long: those in progress are over at once.

        A short time for answers from the start would be over on a busy machine before a test comes to what it tests.
        """
        for side in self.sides:
            object.__setattr__(side.place, "limits", replace(side.place.limits, answer_timeout=0.0))
            for exchange in side.consumer.exchanges:
                if exchange.deadline < math.inf:
                    exchange.deadline = 0.0

    async def made(self, call: Call, *, heard: Heard | None = None) -> Heard:
        """Make a call and wait for its end."""
        heard = heard or Heard()
        self.consumer.consumer.call(call, heard)
        await told(heard)
        return heard


async def told(*heard: Heard, seconds: float = 10.0) -> None:
    """Wait until callers have been told how their calls ended."""
    async with asyncio.timeout(seconds):
        for each in heard:
            await asyncio.shield(each.done)


@asynccontextmanager
async def node_pair(directory: Path, **limits) -> AsyncIterator[NodePair]:
    """A pair that is up."""
    pair = NodePair(directory, Limits(**limits))
    await pair.start()
    try:
        yield pair
    finally:
        for side in pair.sides:
            await side.close()


async def until(true: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.002)
