"""The consumer edge: what the members' own systems speak to. X-Road REST in, exchanges out, answers or faults back.

Who may call is decided here and nowhere else: each subsystem authenticates by client certificate, by bearer token, or,
in the embedded default only, by being on this machine.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from uuid import UUID

from qaztech.core.errors import Error, Forbidden, Limited, NotFound, Unauthenticated
from qaztech.core.ids import MemberId, ServiceId, SubsystemId
from qaztech.node import about, rest
from qaztech.node.consumer import Consumer
from qaztech.node.exchange import Outgoing
from qaztech.node.faults import Dialect, fault_of
from qaztech.node.http_request import Peer, Request
from qaztech.node.metadata import is_list_clients
from qaztech.node.place import Call, Feed, MessageId, Place, Sink, new_message_id, random_uuid
from qaztech.node.throttle import Throttle
from qaztech.node.tracing import Tracing
from qaztech.trust.certificates import spki_hash

_AUTHORIZATION = b"authorization"
_BEARER = b"bearer "
# Seconds a first call waits for the file of a member that this node has had nothing to do with so far.
GETTING_TO_KNOW = 3.0
LOOK_AGAIN = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientAccess:
    """How one subsystem may authenticate."""

    tokens: frozenset[bytes] = frozenset()
    certificates: frozenset[bytes] = frozenset()
    loopback: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeRules:
    """What the edge is told by the settings."""

    clients: Mapping[SubsystemId, ClientAccess] = field(default_factory=dict)
    dialect: Dialect = "7.8"
    max_headers: int = 100
    max_header_bytes: int = 32 * 1024
    max_target_bytes: int = 8 * 1024


class Edge:
    """Answers each request of a calling system."""

    def __init__(
        self,
        *,
        place: Place,
        consumer: Consumer,
        rules: Callable[[], EdgeRules],
        reconcile: Callable[[UUID, SubsystemId, Callable[[bytes | Error], None]], None],
        count: Callable[[str], None],
        want: Callable[[MemberId], bool],
        throttle: Throttle,
        tracing: Tracing | None = None,
    ) -> None:
        self._place = place
        self._consumer = consumer
        self._want = want
        self._throttle = throttle
        self._tracing = tracing
        self._rules = rules
        self._reconcile = reconcile
        self._count = count

    def on_request(self, request: Request) -> None:
        """Every request of the edge comes here."""
        try:
            if rest.is_service_call(request.target):
                self._call(request)
            elif request.method == "GET" and is_list_clients(request.target):
                self._list_clients(request)
            elif request.method == "GET" and request.target.startswith(b"/exchanges/"):
                self._outcome(request)
            else:
                raise NotFound("target.unknown", "This node answers /r1/…, /listClients and /exchanges/…", at="caller")
        except Error as exc:
            self._fail(request, exc)

    def _call(self, request: Request) -> None:
        rules = self._rules()
        call = rest.parse_target(request.target, rules.max_target_bytes)
        kept = rest.kept_headers(
            request.headers, max_count=rules.max_headers, max_bytes=rules.max_header_bytes
        )  # fmt: skip
        named = rest.by_name(kept)
        client, headers = self._identify(request, kept, named, rules)
        if self._tracing is not None:
            headers = self._tracing.enter(headers)
        message = new_message_id(self._place.clock.now())
        extra = [(rest.REQUEST_ID, message.text.encode())]
        if rest.ID not in named:
            extra.append((rest.ID, f"{client.member.instance}-{random_uuid()}".encode()))
        prefix = request.target[: len(request.target) - len(call.suffix) - len(call.query)]
        source = _RequestSource(request) if request.body is None else None
        caller = _EdgeCaller(self, request, client, call.service, message)
        self._dispatch(
            Call(
                client=client,
                service=call.service,
                method=request.method,
                prefix=prefix,
                suffix=call.suffix,
                query=call.query,
                headers=rest.header_lines(headers + extra),
                body=request.body,
                message=message,
                source=source,
            ),
            caller,
            GETTING_TO_KNOW,
        )

    def _dispatch(self, call: Call, caller: _EdgeCaller, patience: float) -> None:
        """Make the call; one to a member not known here yet waits a little while its file is fetched."""
        try:
            caller.watch(self._consumer.call(call, caller))
        except NotFound as exc:
            news = exc.code == "member.unknown" and (
                self._want(call.service.subsystem.member) or patience < GETTING_TO_KNOW
            )
            if not news or patience <= 0:
                caller.fail(exc)
                return
            self._place.loop.call_later(LOOK_AGAIN, self._dispatch, call, caller, patience - LOOK_AGAIN)
        except Error as exc:
            caller.fail(exc)

    def _identify(
        self, request: Request, kept: rest.Headers, named: Mapping[bytes, list[bytes]], rules: EdgeRules
    ) -> tuple[SubsystemId, rest.Headers]:
        """Who calls, and the headers without the token that proved it. `named` are the same headers, by name."""
        client = rest.parse_client(named.get(rest.CLIENT, ()))
        if not isinstance(client, SubsystemId):
            raise Forbidden("client.member", "The client must be a subsystem", at="consumer-node")
        access = rules.clients.get(client)
        if access is None:
            self._failed(request)
            raise Forbidden("client.unknown", f"Client 'SUBSYSTEM:{client}' not found", at="consumer-node")
        if access.tokens and _AUTHORIZATION in named:
            for header in kept:
                if header[0].lower() == _AUTHORIZATION and _is_token(header[1], access.tokens):
                    return client, [other for other in kept if other is not header]
        if _has_certificate(request.peer, access.certificates) or (access.loopback and request.is_local):
            return client, kept
        self._failed(request)
        raise Unauthenticated(
            "client.unauthenticated", f"Client 'SUBSYSTEM:{client}' did not authenticate", at="consumer-node"
        )

    def _failed(self, request: Request) -> None:
        """Count a failure to authenticate; raise `Limited` for an address that has had too many of them."""
        address, now = request.peer.address, self._place.loop.time()
        if not self._throttle.allows(address, now):
            raise Limited(
                "limit.authentication", "Too many failed authentications from this address", at="caller", retry_after=1
            )
        self._throttle.failed(address, now)

    def _list_clients(self, request: Request) -> None:
        configuration = self._place.configuration()
        accept = rest.header_values(request.headers, b"accept")
        content_type, body = about.clients(configuration, request.target, accept)
        request.respond(200, [(b"Content-Type", content_type)], body)

    def _outcome(self, request: Request) -> None:
        """Ask the peer what became of a message whose outcome is unknown; for the subsystem that sent it."""
        client, _ = self._identify(request, request.headers, rest.by_name(request.headers), self._rules())
        text = request.target.removeprefix(b"/exchanges/").decode("ascii", "replace")
        try:
            message = UUID(text)
        except ValueError as exc:
            raise NotFound("exchange.unknown", "There is no exchange with that id", at="caller") from exc

        def answer(outcome: bytes | Error) -> None:
            if isinstance(outcome, Error):
                self._fail(request, outcome)
            else:
                request.respond(200, [(b"Content-Type", b"application/json")], outcome)

        self._reconcile(message, client, answer)

    def _fail(
        self,
        request: Request,
        error: Error,
        *,
        client: SubsystemId | None = None,
        service: ServiceId | None = None,
        message: MessageId | None = None,
    ) -> None:
        self._count(error.code)
        fault = fault_of(
            error, dialect=self._rules().dialect, client=client, service=service,
            message_id=message.text if message is not None else "",
        )  # fmt: skip
        status, headers, body = fault.response(
            rest.header_values(request.headers, b"accept"), date=rest.http_date(self._place.clock.now())
        )
        if message is not None:
            headers.append((rest.REQUEST_ID, message.text.encode()))
        request.respond(status, headers, body)

    def fail_call(
        self, request: Request, error: Error, client: SubsystemId, service: ServiceId, message: MessageId
    ) -> None:
        """A call that got as far as having a message id."""
        self._fail(request, error, client=client, service=service, message=message)


def _is_token(value: bytes, hashes: frozenset[bytes]) -> bool:
    if value[: len(_BEARER)].lower() != _BEARER:
        return False
    given = sha256(value[len(_BEARER) :].strip()).digest()
    return any(hmac.compare_digest(given, known) for known in hashes)


def _has_certificate(peer: Peer, hashes: frozenset[bytes]) -> bool:
    return bool(hashes) and peer.certificate is not None and spki_hash(peer.certificate) in hashes


class _EdgeCaller:
    """One waiting calling system."""

    __slots__ = ("_client", "_edge", "_message", "_request", "_service")

    def __init__(
        self, edge: Edge, request: Request, client: SubsystemId, service: ServiceId, message: MessageId
    ) -> None:
        self._edge = edge
        self._request = request
        self._client = client
        self._service = service
        self._message = message

    def watch(self, outgoing: Outgoing) -> None:
        """Tell the exchange when the caller goes away."""
        if self._request.is_answered:
            return
        self._request.on_disconnect = outgoing.caller_gone

    def answer(self, status: int, headers: bytes, body: bytes) -> None:
        """The whole answer."""
        self._forget()
        self._request.respond(status, headers, body)

    def start(self, status: int, headers: bytes, resume: Callable[[int], None]) -> Sink:
        """A streamed answer."""
        sink = _AnswerSink(self._request, resume)
        self._request.start(status, headers)
        return sink

    def fail(self, error: Error) -> None:
        """No answer."""
        self._forget()
        self._edge.fail_call(self._request, error, self._client, self._service, self._message)

    def _forget(self) -> None:
        # Request, caller and exchange hold each other; let go, they need no garbage collector.
        self._request.on_disconnect = None


class _AnswerSink:
    """The calling system as the sink of a streamed answer; what it has taken makes room for more."""

    def __init__(self, request: Request, resume: Callable[[int], None]) -> None:
        self._request = request
        self._resume = resume
        self._held = 0
        request.on_drain = self._drained

    def write(self, data: bytes) -> None:
        """The next piece."""
        if self._request.write(data):
            self._resume(len(data))
        else:
            self._held += len(data)

    def finish(self) -> None:
        """The body is complete and on record."""
        self._request.finish()

    def abort(self, error: Error) -> None:  # noqa: ARG002  # the caller can only be told by cutting
        """The body is not complete: the connection is cut, so that nobody takes it for whole."""
        self._request.abort()

    def _drained(self) -> None:
        held, self._held = self._held, 0
        if held:
            self._resume(held)


class _RequestSource:
    """A calling system as the source of a streamed request body."""

    def __init__(self, request: Request) -> None:
        self._request = request
        request.pause()

    def attach(self, feed: Feed) -> None:
        """Give what there is, and what comes, to `feed`."""
        self._request.on_data = feed.feed
        self._request.on_end = feed.end
        self._request.resume()

    def pause(self) -> None:
        """Stop reading for now."""
        self._request.pause()

    def resume(self) -> None:
        """Go on reading."""
        self._request.resume()

    def discard(self) -> None:
        """Take the rest and drop it: the caller still waits for its answer on this connection."""
        self._request.resume()
