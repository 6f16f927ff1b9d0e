"""What went wrong, as an X-Road client expects to be told: code, status, body and header (wire facts 1.4).

The project's own errors keep their slugs (`docs/reference/errors.md`); here each gets the X-Road name that existing
clients match on, in one of two dialects: lower snake case since X-Road 7.8, CamelCase before. Where the running code
of X-Road always decides a thing on one side, the prefix names that side whichever of our nodes found it out.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args
from uuid import uuid4
from xml.sax.saxutils import escape

from qaztech.core.errors import (
    At,
    Conflict,
    Error,
    Forbidden,
    Halt,
    Limited,
    Malformed,
    NotFound,
    Unauthenticated,
    Unavailable,
    Untrusted,
)
from qaztech.core.ids import MemberId, NodeId, ServiceId, SubsystemId

Dialect = Literal["7.8", "7.7"]
DIALECTS: tuple[str, ...] = get_args(Dialect)

_CALLER, _CONSUMER, _PROVIDER, _SERVICE = (
    "client",
    "server.clientproxy",
    "server.serverproxy",
    "server.serverproxy.service_failed",
)
_PREFIX: dict[At, str] = {
    "caller": _CALLER,
    "consumer-node": _CONSUMER,
    "registry": _CONSUMER,
    "log": _CONSUMER,
    "provider-node": _PROVIDER,
    "service": _SERVICE,
}
# X-Road 7.8 name -> 7.7 name, of the codes a node can produce. The last three are ours.
NAMES: dict[str, str] = {
    "access_denied": "AccessDenied",
    "bad_request": "BadRequest",
    "global_conf_outdated": "OutdatedGlobalConf",
    "http_error": "HttpError",
    "inconsistent_response": "InconsistentResponse",
    "internal_error": "InternalError",
    "invalid_client_identifier": "InvalidClientIdentifier",
    "invalid_message": "InvalidMessage",
    "invalid_request": "InvalidRequest",
    "invalid_security_server": "InvalidSecurityServer",
    "io_error": "IOError",
    "logging_failed": "LoggingFailed",
    "maintenance_mode": "MaintenanceMode",
    "network_error": "NetworkError",
    "not_found": "NotFound",
    "service_disabled": "ServiceDisabled",
    "service_malformed_url": "ServiceMalformedUrl",
    "service_type": "ServiceType",
    "signature_verification": "SignatureVerification",
    "ssl_authentication_failed": "SslAuthenticationFailed",
    "unknown_member": "UnknownMember",
    "unknown_service": "UnknownService",
    "limit_exceeded": "LimitExceeded",
    "outcome_unknown": "OutcomeUnknown",
    "stream_aborted": "StreamAborted",
}
_CAMEL_PREFIX = {
    _CALLER: "Client",
    _CONSUMER: "Server.ClientProxy",
    _PROVIDER: "Server.ServerProxy",
    _SERVICE: "Server.ServerProxy.ServiceFailed",
}


@dataclass(frozen=True, slots=True)
class Rule:
    """How one slug is told: X-Road name, the prefix if X-Road fixes it, and the text clients match if there is one.

    In `text`, `{service}` and `{client}` stand for X-Road's spelling of identifiers, `{detail}` for the
    error's own words; where an identifier is not at hand the error's own words are the message.
    """

    name: str
    prefix: str | None = None
    text: str | None = None


_NOT_ALLOWED = Rule("access_denied", _PROVIDER, "Request is not allowed: {service}")
_BAD_URI = Rule("internal_error", _CONSUMER)

RULES: dict[str, Rule] = {
    # what the caller sent
    "target.malformed": _BAD_URI,
    "identifier.malformed": _BAD_URI,
    "client.missing": Rule("invalid_client_identifier", _CONSUMER),
    "client.malformed": _BAD_URI,
    "client.member": Rule("invalid_client_identifier", _CONSUMER),
    "security-server.malformed": _BAD_URI,
    "security-server.unknown": Rule("invalid_security_server", _CONSUMER, 'Invalid security server "{detail}"'),
    "represented-party.malformed": _BAD_URI,
    "header.malformed": Rule("bad_request"),
    "request.malformed": Rule("bad_request"),
    "request.aborted": Rule("stream_aborted"),
    "body.aborted": Rule("stream_aborted"),
    # who calls whom
    "client.not-served": Rule("unknown_member", _CONSUMER, "This node does not speak for '{client}'"),
    "client.unknown": Rule("unknown_member", _CONSUMER, "Client '{client}' not found"),
    "client.unauthenticated": Rule("ssl_authentication_failed", _CONSUMER),
    "member.unknown": Rule("unknown_member", _CONSUMER, 'Could not find addresses for service provider "{service}"'),
    "service.unknown": Rule("unknown_service", _PROVIDER, "Unknown service: {service}"),
    "service.type": Rule("service_type", _PROVIDER),
    "service.disabled": Rule("service_disabled", _PROVIDER, "Service {service} is disabled: {detail}"),
    "service.bad-url": Rule("service_malformed_url", _PROVIDER),
    "access-right.missing": _NOT_ALLOWED,
    "method.not-allowed": _NOT_ALLOWED,
    # metadata services
    "metadata.parameter": Rule("invalid_request", _PROVIDER),
    "metadata.service": Rule("internal_error", _PROVIDER),
    "metadata.type": Rule("internal_error", _PROVIDER),
    "metadata.description": Rule("internal_error", _PROVIDER),
    # the provider's system
    "service.unreachable": Rule("network_error", _SERVICE),
    "service.timeout": Rule("io_error", _SERVICE),
    "service.closed": Rule("io_error", _SERVICE),
    "service.malformed": Rule("http_error", _SERVICE),
    "service.spool": Rule("io_error", _PROVIDER),
    # between the nodes
    **dict.fromkeys((
        "peer.unreachable", "peer.silent", "peer.lost", "peer.dropped", "peer.timeout", "peer.unknown",
        "peer.unexpected", "peer.unwitnessed", "peer.log-unknown",
    ), Rule("network_error", _CONSUMER)),
    **dict.fromkeys((
        "request.audience", "request.stale", "request.replayed", "request.untrusted",
    ), Rule("invalid_message", _PROVIDER)),
    **dict.fromkeys(("response.stale", "response.untrusted"), Rule("inconsistent_response", _CONSUMER)),
    "outcome.unknown": Rule("outcome_unknown", _CONSUMER),
    # this node
    **dict.fromkeys((
        "log.halted", "log.closed", "log.closing", "log.contradicted", "log.damaged", "log.disk-failed",
        "log.disk-full", "log.failed", "log.queue-full", "log.batch-too-large", "log.note-too-large",
    ), Rule("logging_failed")),
    "node.draining": Rule("maintenance_mode"),
    **dict.fromkeys((
        "configuration.expired", "configuration.missing", "configuration.closed",
    ), Rule("global_conf_outdated")),
}  # fmt: skip
# By class, for a slug without a rule of its own; the first that fits.
_BY_CLASS: tuple[tuple[type[Error], Rule], ...] = (
    (Malformed, Rule("bad_request")),
    (Unauthenticated, Rule("ssl_authentication_failed")),
    (Forbidden, Rule("access_denied")),
    (NotFound, Rule("not_found")),
    (Conflict, Rule("invalid_request")),
    (Limited, Rule("limit_exceeded")),
    (Untrusted, Rule("signature_verification")),
    (Unavailable, Rule("network_error")),
    (Halt, Rule("logging_failed")),
)
_INTERNAL = Rule("internal_error")


@dataclass(frozen=True, slots=True)
class XRoadFault:
    """One error as the client is told it. `type` is the X-Road code in the dialect asked for."""

    type: str
    message: str
    detail: str
    retry_after: int | None = None

    @property
    def status(self) -> int:
        """X-Road knows two: 500 for what begins with `server.`, else 400."""
        return 500 if self.type[:7].lower() == "server." else 400

    def response(
        self, accept: list[bytes], *, date: bytes | None = None
    ) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """Status, headers and body for a client with these `Accept` values."""
        media = error_media_type(accept)
        body = self._json() if media == b"application/json" else self._xml()
        headers = [(b"Content-Type", media + b";charset=utf-8"), (b"X-Road-Error", self.type.encode())]
        if self.retry_after is not None:
            headers.append((b"Retry-After", b"%d" % self.retry_after))
        if date is not None:
            headers.append((b"Date", date))
        return self.status, headers, body

    def _json(self) -> bytes:
        members = {"type": self.type, "message": self.message, "detail": self.detail}
        return json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")

    def _xml(self) -> bytes:
        elements = "".join(
            f"<{name}>{xml_text(value)}</{name}>"
            for name, value in (("type", self.type), ("message", self.message), ("detail", self.detail))
        )
        return f'<?xml version="1.0" encoding="UTF-8"?>\n<error>{elements}</error>\n'.encode(errors="replace")


def xml_text(text: str) -> str:
    """Text as it may stand between XML tags; what XML 1.0 cannot hold becomes U+FFFD."""
    return escape("".join(c if c in "\t\n" or " " <= c < "\ufffe" or c > "\uffff" else "\ufffd" for c in text))


def error_media_type(accept: list[bytes]) -> bytes:
    """The media type of an error: XML where a client lists it (weights are not read, as in X-Road), else JSON."""
    for value in accept:
        for item in value.split(b","):
            media = item.split(b";", 1)[0].strip().lower()
            if media == b"text/*":
                return b"text/xml"
            if media in {b"text/xml", b"application/xml"}:
                return media
    return b"application/json"


def xroad_text(identifier: MemberId | SubsystemId | ServiceId | NodeId) -> str:
    """An identifier as X-Road's messages spell it: `SERVICE:KZ/GOV/…`, parts not encoded."""
    parts: tuple[str, ...]
    match identifier:
        case ServiceId():
            kind, owner, parts = "SERVICE", identifier.subsystem.member, (identifier.subsystem.code, identifier.code)
        case SubsystemId():
            kind, owner, parts = "SUBSYSTEM", identifier.member, (identifier.code,)
        case NodeId():
            kind, owner, parts = "SERVER", identifier.member, (identifier.code,)
        case _:
            kind, owner, parts = "MEMBER", identifier, ()
    return f"{kind}:{'/'.join((owner.instance, owner.member_class, owner.code, *parts))}"


def rule_for(error: Error) -> Rule:
    """How this error is told: by its slug, else by its class."""
    rule = RULES.get(error.code)
    if rule is not None:
        return rule
    return next((rule for kind, rule in _BY_CLASS if isinstance(error, kind)), _INTERNAL)


@lru_cache(maxsize=1024)
def _code(name: str, prefix: str, dialect: Dialect) -> str:
    if dialect == "7.8":
        return f"{prefix}.{name}"
    return f"{_CAMEL_PREFIX[prefix]}.{NAMES[name]}"


def fault_of(
    error: Error,
    *,
    dialect: Dialect = "7.8",
    client: SubsystemId | MemberId | None = None,
    service: ServiceId | None = None,
    message_id: str = "",
) -> XRoadFault:
    """The fault for an error; `message_id` becomes its `detail` (a fresh UUID otherwise)."""
    rule = rule_for(error)
    names = {"service": xroad_text(service) if service else "", "client": xroad_text(client) if client else ""}
    text = rule.text
    if text is None or any(f"{{{name}}}" in text and not value for name, value in names.items()):
        message = error.detail
    elif "{detail}" in text and error.detail.startswith(text.partition("{detail}")[0].format(**names)):
        message = error.detail  # the peer has told it in these words already
    else:
        message = text.format(detail=error.detail, **names)
    code = _code(rule.name, rule.prefix or _PREFIX[error.at], dialect)
    return XRoadFault(code, message, message_id or str(uuid4()), error.retry_after)
