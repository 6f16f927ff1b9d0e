"""What ties a message to its record and a record to its exchange: how records are made, and the checks of both sides.

Pure; checks raise `Untrusted`. Whatever fails here is a peer that does not keep to the protocol, or somebody in
between; the link it came by ends.
"""

from __future__ import annotations

from functools import lru_cache

from qaztech.core.commitment import BODY, HEADERS, PATH, QUERY, commit
from qaztech.core.errors import Limited, Malformed, Untrusted
from qaztech.core.exchange import CLOCK_SKEW, MAX_LIFETIME
from qaztech.core.ids import ServiceId, SubsystemId
from qaztech.core.record import STREAMED, Kind, Record, format_record, hash_text, message_bytes, parse_record
from qaztech.node import rest
from qaztech.node.frames import Request, Response
from qaztech.node.place import Allowed, Call
from qaztech.registry.configuration import Configuration

# What a peer's edge may have let in is its setting; this is what can cross at all.
MAX_TARGET = 64 * 1024
MAX_HEADERS = 256
MAX_HEADER_BYTES = 128 * 1024
# What the provider node puts into every answer, once each.
_ANSWER_NAMES = (rest.ID, rest.CLIENT, rest.SERVICE, rest.REQUEST_ID, rest.REQUEST_HASH, b"date")


def request_record(
    call: Call, allowed: Allowed, *, own: str, peer: str, secret: bytes, now: int, lifetime: int
) -> Record:
    """The record of a request that is about to leave; `lifetime` in milliseconds."""
    return format_record(
        "request",
        message=call.message.text,
        from_=own,
        to=peer,
        client=str(call.client),
        service=str(call.service),
        method=call.method,
        endpoint=allowed.endpoint,
        snapshot=allowed.configuration.snapshot_text,
        time=now,
        expires=now + lifetime,
        attempt=call.attempt,
        size=STREAMED if call.body is None else len(call.body),
        path=hash_text(commit(secret, PATH, call.suffix.encode())),
        query=hash_text(commit(secret, QUERY, call.query)),
        headers=hash_text(commit(secret, HEADERS, call.headers)),
        body=STREAMED if call.body is None else hash_text(commit(secret, BODY, call.body)),
    )


def answer_record(kind: Kind, request: Record, bound: str, *, snapshot: str, now: int, **fields: str | int) -> Record:
    """The provider node's answer to a request: a response, or a refusal."""
    return format_record(
        kind, message=request["message"], from_=request["to"], to=request["from"], client=request["client"],
        service=request["service"], request=bound, snapshot=snapshot, time=now, **fields,
    )  # fmt: skip


def unanswered_record(kind: Kind, request: Record, bound: str, *, now: int, code: str) -> Record:
    """What the consumer node records when no answer came, or none to its end."""
    return format_record(
        kind, message=request["message"], from_=request["from"], to=request["to"], client=request["client"],
        service=request["service"], request=bound, time=now, code=code,
    )  # fmt: skip


def check_parties(
    data: bytes, *, peer: str, own: str, configuration: Configuration, now: int
) -> tuple[Record, SubsystemId, ServiceId]:
    """A request record from the peer's log to this process's, each of which speaks for its party's member."""
    record = _parsed(data, "request", "request.untrusted")
    if record["from"] != peer or record["to"] != own:
        raise Untrusted("request.audience", "a request for another node, or from another log", at="caller")
    # A log finds a message around the time in its id (UUID version 7): under another time nobody would find it again.
    made = int.from_bytes(message_bytes(record["message"])[:6])
    if not -MAX_LIFETIME - CLOCK_SKEW <= made - now <= CLOCK_SKEW:
        raise Untrusted("request.untrusted", "the message id is of another time", at="caller")
    if configuration.contradicts(record["snapshot"]):
        raise Untrusted("request.untrusted", "the request names a snapshot that never was", at="caller")
    client, service = _client(record["client"]), _service(record["service"])
    theirs, ours = configuration.log(peer), configuration.log(own)
    if theirs is None or not theirs.speaks_for(client.member, now) or not configuration.is_subsystem(client):
        raise Untrusted("request.audience", "the peer's log does not speak for the client's member", at="caller")
    if ours is None or not ours.speaks_for(service.subsystem.member, now):
        raise Untrusted("request.audience", "this node's log does not speak for the service's member", at="caller")
    return record, client, service


def check_opened(record: Record, frame: Request) -> rest.Headers:
    """The headers, when everything sent opens its commitment and is a request that says what the record says.

    Target and headers go to the provider's system as they are: what could be read there as another request, or as two,
    must not come this far.
    """
    if (
        record["path"] != hash_text(commit(frame.secret, PATH, frame.path.encode()))
        or record["query"] != hash_text(commit(frame.secret, QUERY, frame.query))
        or record["headers"] != hash_text(commit(frame.secret, HEADERS, frame.headers))
        or not _body_is(record, frame.secret, frame.body)
    ):
        raise Untrusted("request.untrusted", "a request does not open its commitments", at="caller")
    try:
        headers, values = _crossed(frame.headers, response=False)
        call = rest.parse_target(frame.prefix + frame.path.encode() + frame.query, MAX_TARGET)
        named = rest.parse_client(values.get(rest.CLIENT, ()))
    except (Malformed, Limited) as exc:
        raise Untrusted("request.untrusted", exc.detail, at="caller") from exc
    if (call.suffix, call.query) != (frame.path, frame.query):
        raise Untrusted("request.untrusted", "a request is not one that an edge lets in", at="caller")
    if (
        str(named) != record["client"]
        or str(call.service) != record["service"]
        or values.get(rest.REQUEST_ID) != [record["message"].encode()]
        or len(values.get(rest.ID, ())) != 1
    ):
        raise Untrusted("request.untrusted", "the headers do not say what the record says", at="caller")
    return headers


def check_answer(data: bytes, kind: str, request: Record, bound: str) -> Record:
    """A record of that kind, made by the request's receiver for its sender, bound to its leaf hash and index."""
    record = _parsed(data, kind, "response.untrusted")
    if (
        record["from"] != request["to"]
        or record["to"] != request["from"]
        or any(record[name] != request[name] for name in ("message", "client", "service"))
        or record["request"] != bound
    ):
        raise Untrusted("response.untrusted", "a record is not bound to the request it answers", at="provider-node")
    return record


def check_answer_opened(record: Record, frame: Response) -> None:
    """Everything sent with a response opens its commitment, and is an answer that can be given to the caller."""
    if record["headers"] != hash_text(commit(frame.secret, HEADERS, frame.headers)) or not _body_is(
        record, frame.secret, frame.body
    ):
        raise Untrusted("response.untrusted", "a response does not open its commitments", at="provider-node")
    try:
        _, values = _crossed(frame.headers, response=True)
        named = rest.parse_client(values.get(rest.CLIENT, ()))
    except (Malformed, Limited) as exc:
        raise Untrusted("response.untrusted", exc.detail, at="provider-node") from exc
    once = all(len(values.get(name, ())) == 1 for name in _ANSWER_NAMES)
    if not once or rest.ERROR in values or not 200 <= record.number("status") <= 599:
        raise Untrusted("response.untrusted", "a response is not one that a node gives", at="provider-node")
    if (
        str(named) != record["client"]
        or values[rest.SERVICE] != [record["service"].encode()]
        or values[rest.REQUEST_ID] != [record["message"].encode()]
    ):
        raise Untrusted("response.untrusted", "the headers do not say what the record says", at="provider-node")


def _crossed(lines: bytes, *, response: bool) -> tuple[rest.Headers, dict[bytes, list[bytes]]]:
    """The headers of a message, in order and by name, when they are such as cross. Raises `Malformed` or `Limited`."""
    if len(lines) > MAX_HEADER_BYTES:
        raise Limited("limit.headers", f"the headers are longer than {MAX_HEADER_BYTES} bytes")
    headers = rest.parse_header_lines(lines)
    if len(headers) > MAX_HEADERS:
        raise Limited("limit.headers", f"more than {MAX_HEADERS} headers")
    values = rest.by_name(headers)
    rest.check_crossed(values, response=response)
    return headers, values


def _body_is(record: Record, secret: bytes, body: bytes | None) -> bool:
    if body is None:
        return record["size"] == STREAMED
    return record["size"] == str(len(body)) and record["body"] == hash_text(commit(secret, BODY, body))


def _parsed(data: bytes, kind: str, code: str) -> Record:
    try:
        record = parse_record(data)
    except Malformed as exc:
        raise Untrusted(code, exc.detail, at="caller") from exc
    if record.kind != kind:
        raise Untrusted(code, f"a record of kind {record.kind} where {kind} is expected", at="caller")
    return record


# The same few clients and services come again and again, and reading an identifier costs more than looking it up.
_client = lru_cache(maxsize=4096)(SubsystemId.parse)
_service = lru_cache(maxsize=4096)(ServiceId.parse)
