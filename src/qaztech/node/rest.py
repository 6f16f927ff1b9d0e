"""The X-Road Message Protocol for REST as pure rules: targets, identifiers, headers that cross, the request hash.

Bytes in, values out; no sockets, no clock, no configuration. What existing clients meet is what is followed here (the
running code of X-Road before its document); where this is stricter, `docs/divergences.md` says so. How errors are
told to a client stands in `faults`, the services a node answers about itself in `metadata`.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache
from hashlib import sha512

from qaztech.core.errors import At, Limited, Malformed
from qaztech.core.ids import MemberId, NodeId, ServiceId, SubsystemId, decode_part

Headers = list[tuple[bytes, bytes]]

PREFIX = b"/r1/"
CLIENT = b"x-road-client"
ID = b"x-road-id"
USER_ID = b"x-road-userid"
ISSUE = b"x-road-issue"
SECURITY_SERVER = b"x-road-security-server"
REPRESENTED_PARTY = b"x-road-represented-party"
SERVICE = b"x-road-service"
REQUEST_ID = b"x-road-request-id"
REQUEST_HASH = b"x-road-request-hash"
ERROR = b"x-road-error"

MAX_TARGET = 8 * 1024
MAX_HEADERS = 100
MAX_HEADER_BYTES = 32 * 1024

# Headers of one connection, and the few X-Road never passes on (wire facts 1.2).
_DROPPED_RESPONSE = frozenset({
    b"transfer-encoding", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"te", b"trailer", b"upgrade",
    b"connection", b"user-agent", b"host", b"content-length", b"server", b"expect",
})  # fmt: skip
_DROPPED_REQUEST = _DROPPED_RESPONSE | {REQUEST_ID, REQUEST_HASH}
# Two of these would let two readers see two different messages.
_SINGLE = frozenset({
    b"host", b"content-length", b"content-type", b"authorization", ID, USER_ID, ISSUE, SECURITY_SERVER,
    REPRESENTED_PARTY,
})  # fmt: skip
_SINGLE_CROSSED = _SINGLE | {CLIENT, REQUEST_ID}
# The provider node writes these into the answer itself.
_OURS = frozenset({ID, CLIENT, SERVICE, REQUEST_ID, REQUEST_HASH, ERROR, b"date"})

# The characters RFC 3986 allows in a path, and for queries the brackets that PHP made common.
_PCHAR = rb"A-Za-z0-9\-._~!$&'()*+,;=:@%"
_TARGET = re.compile(rb"/r1/([%b]+(?:/[%b]+){4})((?:/[%b/]*)?)((?:\?[%b/?\[\]]*)?)\Z".replace(b"%b", _PCHAR))
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
# Sets of bytes, deleted by `translate`: what is left is what is wrong. Several times quicker than a search.
_TOKEN = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_TEXT = b"\t" + bytes(range(0x20, 0x7F)) + bytes(range(0x80, 0x100))
_BLOCK = re.compile(rb"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*\r\n)*\Z")


@dataclass(frozen=True, slots=True)
class ServiceCall:
    """What a request line asks for. `suffix` and `query` stand exactly as received, still percent-encoded."""

    service: ServiceId
    suffix: str
    query: bytes

    @property
    def path(self) -> str:
        """The service path, beginning with `/` also where the request had none: what rights and records speak of."""
        return self.suffix or "/"


@dataclass(frozen=True, slots=True)
class RepresentedParty:
    """On whose behalf a client calls: `[CLASS/]CODE`, passed through and recorded, never decided upon."""

    party_class: str | None
    code: str


def is_service_call(target: bytes) -> bool:
    """Whether a request target belongs to this protocol at all."""
    return target.startswith(PREFIX)


def parse_target(target: bytes, limit: int = MAX_TARGET) -> ServiceCall:
    """Read `/r1/INSTANCE/CLASS/MEMBER/SUBSYSTEM/SERVICE[/path][?query]`; raises `Malformed` or `Limited`."""
    if len(target) > limit:
        raise Limited("limit.target", f"The request URI is longer than {limit} bytes", at="caller")
    match = _TARGET.match(target)
    if match is None or (b"%" in target and _BAD_ESCAPE.search(target)):
        raise _bad_target(target)
    service, suffix, query = match.groups()
    return ServiceCall(_service(service), suffix.decode(), query)


def _bad_target(target: bytes) -> Malformed:
    version = target.split(b"/", 2)[1:2]
    if version and re.fullmatch(rb"r[02-9]", version[0]):
        return Malformed("target.malformed", f"Unsupported protocol version {version[0][1:].decode()}", at="caller")
    return Malformed("target.malformed", "Invalid request URI", at="caller")


@lru_cache(maxsize=4096)
def _service(text: bytes) -> ServiceId:
    return ServiceId.parse(text.decode())


def service_target(base_path: bytes, suffix: bytes, query: bytes) -> bytes:
    """The request target at the provider's system: its base path, the suffix as received, the query as received."""
    if suffix and base_path.endswith(b"/"):
        suffix = suffix[1:]
    return (base_path + suffix or b"/") + query


@lru_cache(maxsize=4)
def _date(second: int) -> bytes:
    return formatdate(second, usegmt=True).encode()


def http_date(now: int) -> bytes:
    """A moment (milliseconds) as the value of `Date` (RFC 9110, 5.6.7)."""
    return _date(now // 1000)


def header_values(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    """All values of one header, in order; `name` is in lower case."""
    return [value for key, value in headers if key.lower() == name]


def parse_client(values: Sequence[bytes]) -> SubsystemId | MemberId:
    """The caller from the values of `X-Road-Client` (the last wins); raises `Malformed`."""
    if not values or not values[-1].strip():
        raise Malformed("client.missing", "The client identifier is missing", at="caller")
    return _client(values[-1])


@lru_cache(maxsize=4096)
def _client(value: bytes) -> SubsystemId | MemberId:
    text = _ascii(value, "client.malformed", "Invalid Client Id")
    try:
        return MemberId.parse(text) if text.count("/") == 2 else SubsystemId.parse(text)
    except Malformed as exc:
        raise Malformed("client.malformed", "Invalid Client Id", at="caller") from exc


def parse_security_server(values: Sequence[bytes]) -> NodeId | None:
    """The node a client wants to be served by (`X-Road-Security-Server`), if it says so; raises `Malformed`."""
    if not values:
        return None
    text = _ascii(values[-1], "security-server.malformed", "Invalid SecurityServer Id")
    try:
        return NodeId.parse(text)
    except Malformed as exc:
        raise Malformed("security-server.malformed", "Invalid SecurityServer Id", at="caller") from exc


def parse_represented_party(values: Sequence[bytes]) -> RepresentedParty | None:
    """The represented party (`X-Road-Represented-Party`), if the client names one; raises `Malformed`."""
    if not values:
        return None
    text = _ascii(values[-1], "represented-party.malformed", "Invalid RepresentedParty Id")
    try:
        parts = [decode_part(part) for part in text.split("/")]
    except Malformed as exc:
        raise Malformed("represented-party.malformed", "Invalid RepresentedParty Id", at="caller") from exc
    if len(parts) > 2:
        raise Malformed("represented-party.malformed", "Invalid RepresentedParty Id", at="caller")
    return RepresentedParty(parts[0] if len(parts) == 2 else None, parts[-1])


def _ascii(value: bytes, code: str, detail: str) -> str:
    try:
        return value.decode("ascii").strip()
    except UnicodeDecodeError as exc:
        raise Malformed(code, detail, at="caller") from exc


def kept_headers(
    headers: Sequence[tuple[bytes, bytes]],
    *,
    response: bool = False,
    max_count: int = MAX_HEADERS,
    max_bytes: int = MAX_HEADER_BYTES,
) -> Headers:
    """The headers that cross, in order and in their own spelling; raises `Malformed` or `Limited`.

    Of several `X-Road-Client` the last crosses, the one the caller was identified by.
    """
    _check(headers, max_count, max_bytes, "service" if response else "caller")
    lowered = [name.lower() for name, _ in headers]
    seen = set(lowered)
    dropped: frozenset[bytes] | set[bytes] = _DROPPED_RESPONSE if response else _DROPPED_REQUEST
    if b"connection" in seen:
        dropped = _with_connection(headers, dropped)
    if response or len(seen) == len(lowered):
        return [header for header, name in zip(headers, lowered, strict=True) if name not in dropped]
    for name in _SINGLE & seen:
        if lowered.count(name) > 1:
            raise Malformed("header.malformed", f"The header {name.decode()} is given more than once", at="caller")
    last_client = len(lowered) - 1 - lowered[::-1].index(CLIENT) if CLIENT in seen else -1
    return [
        header
        for i, (header, name) in enumerate(zip(headers, lowered, strict=True))
        if name not in dropped and (name != CLIENT or i == last_client)
    ]


def by_name(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, list[bytes]]:
    """The values of each header, in order, by its name in lower case."""
    named: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        named.setdefault(name.lower(), []).append(value)
    return named


def check_crossed(named: Mapping[bytes, list[bytes]], *, response: bool) -> None:
    """Raise `Malformed` unless these headers, well-formed already, are such as `kept_headers` lets cross.

    A request's `X-Road-Request-Id` is the consumer node's own and does cross.
    """
    if not named.keys().isdisjoint(_DROPPED_RESPONSE) or (not response and REQUEST_HASH in named):
        raise Malformed("header.malformed", "A header is there that does not cross")
    for name in named.keys() & (_SINGLE if response else _SINGLE_CROSSED):
        if len(named[name]) > 1:
            raise Malformed("header.malformed", f"The header {name.decode()} is given more than once")


def _check(headers: Sequence[tuple[bytes, bytes]], max_count: int, max_bytes: int, at: At) -> None:
    # Once over all names and once over all values: per header it would cost most of this function.
    if not headers:
        return
    if len(headers) > max_count:
        raise Limited("limit.headers", f"More than {max_count} headers", at=at)
    names, values = zip(*headers, strict=True)
    all_names, all_values = b"".join(names), b"".join(values)
    if len(all_names) + len(all_values) > max_bytes:
        raise Limited("limit.headers", f"The headers are longer than {max_bytes} bytes", at=at)
    if b"" in names or all_names.translate(None, _TOKEN):
        raise Malformed("header.malformed", "A header name has a character that is not allowed", at=at)
    if all_values.translate(None, _TEXT):
        raise Malformed("header.malformed", "A header value has a character that is not allowed", at=at)


def _with_connection(
    headers: Sequence[tuple[bytes, bytes]], dropped: frozenset[bytes] | set[bytes]
) -> frozenset[bytes] | set[bytes]:
    named = {
        option.strip(b" \t").lower()
        for value in header_values(headers, b"connection")
        for option in value.split(b",")
    } - {b"", b"close"}  # fmt: skip
    if named <= dropped:
        return dropped
    if any(name.startswith(b"x-road-") or name in _SINGLE for name in named):
        raise Malformed("header.malformed", "Connection names a header that must cross", at="caller")
    return dropped | named


def header_lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Headers as the bytes that are hashed and that travel between nodes: `name:value` CRLF each."""
    return b"".join([b"%b:%b\r\n" % header for header in headers])


def parse_header_lines(data: bytes) -> Headers:
    """Headers from the bytes `header_lines` makes; raises `Malformed`."""
    if not _BLOCK.match(data):
        raise Malformed("header.malformed", "The header lines are not well-formed")
    headers: Headers = []
    for line in data.split(b"\r\n")[:-1]:
        name, _, value = line.partition(b":")
        headers.append((name, value))
    return headers


def request_lines(method: str, target: bytes, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The request message as X-Road hashes it: verb, target and kept headers, each line ended by CRLF.

    The headers are the kept ones with `x-road-request-id` appended and, where the node made one, `x-road-id` after it.
    """
    return b"%b\r\n%b\r\n%b" % (method.encode(), target, header_lines(headers))


def request_hash(lines: bytes, body_digest: bytes | None = None) -> bytes:
    """The value of `x-road-request-hash`; `body_digest` is the SHA-512 of the body, None where there is no body."""
    digest = sha512(lines).digest()
    if body_digest is not None:
        digest = sha512(digest + body_digest).digest()
    return b64encode(digest)


def response_headers(
    headers: Sequence[tuple[bytes, bytes]],
    *,
    message_id: bytes,
    client: bytes,
    service: bytes,
    request_id: bytes,
    request_hash: bytes,
    date: bytes,
) -> Headers:
    """The answer's headers: the provider's kept ones, one Date (`date` unless it gave its own), and the node's five.

    `message_id` is X-Road's `x-road-id`; `client` and `service` are percent-encoded identifiers.
    """
    kept = kept_headers(headers, response=True)
    out = [header for header in kept if header[0].lower() not in _OURS]
    dates = header_values(kept, b"date")
    out += [
        (b"Date", dates[-1] if dates else date),
        (ID, message_id),
        (CLIENT, client),
        (SERVICE, service),
        (REQUEST_ID, request_id),
        (REQUEST_HASH, request_hash),
    ]
    return out
