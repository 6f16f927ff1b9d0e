"""The provider edge: the members' own systems, called on behalf of others. HTTP out, answers or refusals back.

A streamed body reaches a system as it comes only if its service says so; otherwise it is spooled until its tail is
verified. What a node answers about its members is `metadata`'s; requests for access go to the member's `desks`.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha512
from pathlib import Path
from typing import NamedTuple

import msgspec

from qaztech.core.errors import Error, Unavailable
from qaztech.core.exchange import ABOUT_ITSELF, ACCESS_REQUESTS
from qaztech.core.ids import MemberId, ServiceId, SubsystemId
from qaztech.core.time import Clock
from qaztech.node import about, desks, rest
from qaztech.node.exchange import Incoming
from qaztech.node.frames import Request
from qaztech.node.http_call import Call, Response
from qaztech.node.http_client import HttpClient
from qaztech.node.limits import CallCounts
from qaztech.node.place import Feed, Work
from qaztech.node.spool import Spool
from qaztech.node.streams import BodyReceiver
from qaztech.registry.configuration import Configuration

PIECE = 64 * 1024
ACCESS_REQUESTS_A_MINUTE = 30
logger = logging.getLogger("qaztech.systems")


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """One service's system: how to reach it, and what its owner allows."""

    client: HttpClient
    timeout: float
    early: bool
    openapi: Path | None
    disabled: str


class Systems:
    """All systems of this node's members, by service."""

    def __init__(
        self,
        *,
        systems: Mapping[ServiceId, System],
        configuration: Callable[[], Configuration],
        clock: Clock,
        spool: Path | None,
        desks: Mapping[MemberId, System] | None = None,
        limits: CallCounts | None = None,
    ) -> None:
        self.systems = systems
        # Where each member's desk takes requests for access; a member that is not here has told this node of none.
        self.desks = desks or {}
        self.limits = limits or CallCounts(access_requests=ACCESS_REQUESTS_A_MINUTE)
        self._configuration = configuration
        self._clock = clock
        self._spool = spool

    def has(self, service: ServiceId) -> bool:
        """Whether this node knows where that service's system is."""
        return service in self.systems

    def refusal(self, service: ServiceId, client: SubsystemId, endpoint: str) -> Error | None:
        """Why the service takes no call of this client by its right to that endpoint now, if so."""
        now = self._clock.now()
        if service.code == ACCESS_REQUESTS:
            return self.limits.access_request(client, now)
        system = self.systems.get(service)
        if system is not None and system.disabled:
            return Unavailable("service.disabled", system.disabled, at="provider-node")
        return self.limits.call(service, client, endpoint, now)

    def start(
        self, exchange: Incoming, service: ServiceId, headers: rest.Headers, frame: Request, body: BodyReceiver | None
    ) -> Work:
        """Call the system; it answers by `exchange.answer`, `exchange.start` or `exchange.refuse`."""
        facts = _Facts.of(frame, headers, service)
        if service.code == ACCESS_REQUESTS:
            return self._ask_desk(exchange, service, facts, frame, headers)
        system = self.systems.get(service)
        if system is None or service.code in ABOUT_ITSELF:
            return self._describe(exchange, service, facts, frame)
        call = _SystemCall(exchange, system, facts, frame)
        if body is None:
            return _WholeWork(call).start()
        if system.early:
            return _EarlyWork(call, body).start()
        return _SpooledWork(call, body, Spool(self._spool)).start()

    def _describe(self, exchange: Incoming, service: ServiceId, facts: _Facts, frame: Request) -> Work:
        """Answer `listMethods`, `allowedMethods` or `getOpenAPI` from the configuration and the descriptions here."""
        try:
            client = SubsystemId.parse(facts.client.decode())
            content_type, body = about.describe(
                service, client, frame.query, configuration=self._configuration(), now=self._clock.now(),
                description=self._description,
            )  # fmt: skip
        except Error as exc:
            exchange.refuse(exc)
            return _NoWork()
        exchange.answer(200, facts.response_lines([(b"Content-Type", content_type)], None, self._clock.now()), body)
        return _NoWork()

    def _ask_desk(
        self, exchange: Incoming, service: ServiceId, facts: _Facts, frame: Request, headers: rest.Headers
    ) -> Work:
        """Bring a call about access to the desk of the service's member, to no other and nowhere else on its server."""
        try:
            desks.check_call(facts.method, frame)
            desk = self.desks.get(service.subsystem.member)
            caller = self._configuration().member(SubsystemId.parse(facts.client.decode()).member)
            if desk is None or caller is None:
                raise desks.no_desk(service.subsystem.member)
        except Error as exc:
            lines = facts.response_lines([(b"Content-Type", desks.PROBLEM)], None, self._clock.now())
            exchange.answer(exc.status, lines, desks.problem(exc))
            return _NoWork()
        sent = msgspec.structs.replace(frame, headers=desks.headers_for(headers, service, caller.lineage))
        return _WholeWork(_SystemCall(exchange, desk, facts, sent)).start()

    def _description(self, service: ServiceId) -> tuple[bytes, str] | None:
        system = self.systems.get(service)
        if system is None or system.openapi is None:
            return None
        try:
            return system.openapi.read_bytes(), system.openapi.name
        except OSError as exc:
            logger.warning("a service description cannot be read", extra={"fields": {"error": repr(exc)}})
            return None


@dataclass(slots=True, kw_only=True)
class _Facts:
    """What the call and its answer's X-Road headers are made of."""

    method: str
    client: bytes
    service: bytes
    message_id: bytes
    request_id: bytes
    lines: bytes

    @classmethod
    def of(cls, frame: Request, headers: rest.Headers, service: ServiceId) -> _Facts:
        method = frame.record.partition(b"\nmethod ")[2].partition(b"\n")[0].decode()
        return cls(
            method=method,
            client=rest.header_values(headers, rest.CLIENT)[-1],
            service=str(service).encode(),
            message_id=rest.header_values(headers, rest.ID)[-1],
            request_id=rest.header_values(headers, rest.REQUEST_ID)[-1],
            lines=rest.request_lines(method, frame.prefix + frame.path.encode() + frame.query, headers),
        )

    def response_lines(self, headers: rest.Headers, digest: bytes | None, now: int) -> bytes:
        """The header lines of an answer, with the node's five and one Date; `digest` is the request body's SHA-512."""
        return rest.header_lines(
            rest.response_headers(
                headers,
                message_id=self.message_id,
                client=self.client,
                service=self.service,
                request_id=self.request_id,
                request_hash=rest.request_hash(self.lines, digest),
                date=rest.http_date(now),
            )
        )


class _SystemCall(NamedTuple):
    """One call to a system: for which exchange, where, and with what."""

    exchange: Incoming
    system: System
    facts: _Facts
    frame: Request


class _NoWork:
    """Nothing is in progress; a streamed body nobody asked for is dropped."""

    def write(self, data: bytes) -> None:
        """Dropped."""

    def finish(self) -> None:
        """Nothing follows."""

    def abort(self, error: Error) -> None:
        """Nothing follows."""

    def cancel(self, code: str) -> None:
        """Nothing to cancel."""


class _WholeWork(_NoWork):
    """A call to a system with the request's body at hand; the other ways to call one build on it."""

    def __init__(self, call: _SystemCall) -> None:
        self._of = call
        self._call: Call | None = None
        self._source: _ResponseSource | None = None
        # SHA-512 of the request's body, for X-Road's request hash; None where there is none, or not yet.
        self._digest: bytes | None = None

    def start(self) -> Work:
        """Send what is at hand."""
        body = self._of.frame.body or b""
        self._digest = sha512(body).digest() if body else None
        self._send(body)
        return self

    def _send(self, body: bytes | None, content_length: int | None = None) -> Call:
        of = self._of
        target = rest.service_target(of.system.client.url.path, of.frame.path.encode(), of.frame.query)
        call = of.system.client.send(
            of.facts.method, target, of.frame.headers, body, on_response=self._answered, on_error=self._failed,
            content_length=content_length, timeout=of.system.timeout,
        )  # fmt: skip
        self._call = call
        return call

    def _answered(self, response: Response) -> None:
        exchange = self._of.exchange
        try:
            lines = self._of.facts.response_lines(response.headers, self._digest, exchange.now())
        except Error as exc:
            exchange.refuse(Unavailable("service.malformed", exc.detail, at="service"))
            if self._call is not None:
                self._call.abort()
            return
        if response.body is not None:
            self._call = None
            exchange.answer(response.status, lines, response.body)
            return
        self._source = _ResponseSource(response)
        exchange.start(response.status, lines, self._source)

    def _failed(self, error: Error) -> None:
        if self._source is not None:
            self._source.broke()
        else:
            self._of.exchange.refuse(error)

    def cancel(self, code: str) -> None:
        """Nobody waits any more. A call that has left is let finish: its outcome belongs on record."""


class _EarlyWork(_WholeWork):
    """The request's body goes on as it comes."""

    def __init__(self, call: _SystemCall, receiver: BodyReceiver) -> None:
        super().__init__(call)
        self._receiver = receiver
        self._waiting: deque[bytes] = deque()
        self._ended = False
        self._hash = sha512()

    def start(self) -> Work:
        """Send the head; the body follows."""
        self._send(None).on_drain = self._drain
        return self

    def write(self, data: bytes) -> None:
        """The next piece; room for more is given when the system has taken it."""
        self._hash.update(data)
        self._waiting.append(data)
        self._drain()

    def finish(self) -> None:
        """The body is whole and on record."""
        self._ended = True
        self._digest = self._hash.digest()
        self._drain()

    def abort(self, error: Error) -> None:
        """The body was cut short: the system must not take it for whole."""
        if self._call is not None:
            self._call.abort()
        self._of.exchange.refuse(Unavailable("request.aborted", error.detail, at="caller"))

    def _drain(self) -> None:
        call = self._call
        if call is None:
            return
        while self._waiting and call.is_writable:
            data = self._waiting.popleft()
            call.write(data)
            self._receiver.consumed(len(data))
        if self._ended and not self._waiting:
            call.finish()


class _SpooledWork(_WholeWork):
    """The request's body is kept until its tail is verified, then sent."""

    def __init__(self, call: _SystemCall, receiver: BodyReceiver, spool: Spool) -> None:
        super().__init__(call)
        self._receiver = receiver
        self._spool = spool
        self._hash = sha512()
        self._broken = False

    def start(self) -> Work:
        """Nothing leaves yet."""
        return self

    def write(self, data: bytes) -> None:
        """Keep the next piece."""
        if not self._broken:
            self._hash.update(data)
            try:
                self._spool.write(data)
            except OSError as exc:
                self._broken = True
                self._spool.close()
                self._of.exchange.refuse(
                    Unavailable("service.spool", "the provider node has no room for the body", context=repr(exc))
                )
        self._receiver.consumed(len(data))

    def finish(self) -> None:
        """Verified: to the system with it."""
        if self._broken:
            return
        self._digest = self._hash.digest()
        self._spool.rewind()
        self._send(None, self._spool.size).on_drain = self._drain
        self._drain()

    def abort(self, error: Error) -> None:
        """The body was cut short; the system never hears of it."""
        self._spool.close()
        if not self._broken:
            self._of.exchange.refuse(Unavailable("request.aborted", error.detail, at="caller"))

    def _drain(self) -> None:
        call = self._call
        while call is not None and call.is_writable:
            data = self._spool.read(PIECE)
            if not data:
                self._spool.close()
                call.finish()
                return
            call.write(data)


class _ResponseSource:
    """A system's answer as the source of a streamed response body."""

    def __init__(self, response: Response) -> None:
        self._response = response
        self._feed: Feed | None = None
        self._broken = False
        response.pause()

    def attach(self, feed: Feed) -> None:
        """Give what there is, and what comes, to `feed`."""
        self._feed = feed
        if self._broken:
            feed.abort()
            return
        self._response.on_data = feed.feed
        self._response.on_end = feed.end
        self._response.resume()

    def broke(self) -> None:
        """The system broke off."""
        self._broken = True
        if self._feed is not None:
            self._feed.abort()

    def pause(self) -> None:
        """Stop reading for now."""
        self._response.pause()

    def resume(self) -> None:
        """Go on reading."""
        self._response.resume()

    def discard(self) -> None:
        """Hang up on the system: an answer may have no end."""
        self._response.call.abort()
