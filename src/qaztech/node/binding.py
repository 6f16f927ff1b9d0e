"""What ties a message to its record and a record to its exchange: the checks both sides make. Pure; raises `Untrusted`.

Whatever fails here is a peer that does not keep to the protocol, or somebody in between; the link it came by ends.
"""

from __future__ import annotations

from qaztech.core.commitment import BODY, HEADERS, PATH, QUERY, commit
from qaztech.core.errors import Malformed, Untrusted
from qaztech.core.ids import ServiceId, SubsystemId
from qaztech.core.record import STREAMED, Record, hash_text, parse_record
from qaztech.node import rest
from qaztech.node.frames import Request, Response
from qaztech.registry.configuration import Configuration


def check_parties(
    data: bytes, *, peer: str, own: str, configuration: Configuration, now: int
) -> tuple[Record, SubsystemId, ServiceId]:
    """A request record from the peer's log to this process's, each of which speaks for its party's member."""
    record = _parsed(data, "request", "request.untrusted")
    if record["from"] != peer or record["to"] != own:
        raise Untrusted("request.audience", "a request for another node, or from another log", at="caller")
    client, service = SubsystemId.parse(record["client"]), ServiceId.parse(record["service"])
    theirs, ours = configuration.log(peer), configuration.log(own)
    if theirs is None or not theirs.speaks_for(client.member, now) or not configuration.is_subsystem(client):
        raise Untrusted("request.audience", "the peer's log does not speak for the client's member", at="caller")
    if ours is None or not ours.speaks_for(service.subsystem.member, now):
        raise Untrusted("request.audience", "this node's log does not speak for the service's member", at="caller")
    return record, client, service


def check_opened(record: Record, frame: Request) -> rest.Headers:
    """The headers, when everything sent opens its commitment and the headers say what the record says."""
    if (
        record["path"] != hash_text(commit(frame.secret, PATH, frame.path.encode()))
        or record["query"] != hash_text(commit(frame.secret, QUERY, frame.query))
        or record["headers"] != hash_text(commit(frame.secret, HEADERS, frame.headers))
        or not _body_is(record, frame.secret, frame.body)
    ):
        raise Untrusted("request.untrusted", "a request does not open its commitments", at="caller")
    try:
        headers = rest.parse_header_lines(frame.headers)
        named = rest.parse_client(rest.header_values(headers, rest.CLIENT))
    except Malformed as exc:
        raise Untrusted("request.untrusted", exc.detail, at="caller") from exc
    if (
        str(named) != record["client"]
        or rest.header_values(headers, rest.REQUEST_ID) != [record["message"].encode()]
        or len(rest.header_values(headers, rest.ID)) != 1
        or (frame.path and not frame.path.startswith("/"))
        or (frame.query and not frame.query.startswith(b"?"))
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
    """Everything sent with a response opens its commitment."""
    if record["headers"] != hash_text(commit(frame.secret, HEADERS, frame.headers)) or not _body_is(
        record, frame.secret, frame.body
    ):
        raise Untrusted("response.untrusted", "a response does not open its commitments", at="provider-node")


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
