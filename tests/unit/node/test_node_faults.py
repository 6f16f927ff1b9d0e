"""Errors as X-Road clients are told them."""

import json
import re
from pathlib import Path
from uuid import UUID
from xml.etree import ElementTree as ET

import pytest

from qaztech.core.errors import (
    Conflict,
    Error,
    Forbidden,
    Halt,
    Internal,
    Limited,
    Malformed,
    NotFound,
    Unauthenticated,
    Unavailable,
    Untrusted,
)
from qaztech.core.ids import MemberId, NodeId, ServiceId, SubsystemId
from qaztech.node import faults
from qaztech.node.faults import fault_of, xroad_text

SERVICE = ServiceId.parse("KZ/GOV/991340000017/permits/countries")
CLIENT = SubsystemId.parse("KZ/GOV/991340000017/%C3%B6")
CASES = [
    (
        Malformed("client.missing", "The client identifier is missing", at="caller"),
        "server.clientproxy.invalid_client_identifier",
        "The client identifier is missing",
        500,
    ),
    (
        Malformed("target.malformed", "Invalid request URI", at="caller"),
        "server.clientproxy.internal_error",
        "Invalid request URI",
        500,
    ),
    (
        Forbidden("access-right.missing", "no"),
        "server.serverproxy.access_denied",
        "Request is not allowed: SERVICE:KZ/GOV/991340000017/permits/countries",
        500,
    ),
    (
        Forbidden("method.not-allowed", "no"),
        "server.serverproxy.access_denied",
        "Request is not allowed: SERVICE:KZ/GOV/991340000017/permits/countries",
        500,
    ),
    (
        Forbidden("client.unknown", "no"),
        "server.clientproxy.unknown_member",
        "Client 'SUBSYSTEM:KZ/GOV/991340000017/ö' not found",
        500,
    ),
    (
        NotFound("service.unknown", "no"),
        "server.serverproxy.unknown_service",
        "Unknown service: SERVICE:KZ/GOV/991340000017/permits/countries",
        500,
    ),
    (
        NotFound("member.unknown", "no"),
        "server.clientproxy.unknown_member",
        'Could not find addresses for service provider "SERVICE:KZ/GOV/991340000017/permits/countries"',
        500,
    ),
    (
        Unavailable("service.disabled", "maintenance"),
        "server.serverproxy.service_disabled",
        "Service SERVICE:KZ/GOV/991340000017/permits/countries is disabled: maintenance",
        500,
    ),
    (
        Unauthenticated("client.unauthenticated", "no certificate"),
        "server.clientproxy.ssl_authentication_failed",
        "no certificate",
        500,
    ),
    (Unavailable("peer.unreachable", "x"), "server.clientproxy.network_error", "x", 500),
    (
        Unavailable("service.unreachable", "x", at="service"),
        "server.serverproxy.service_failed.network_error",
        "x",
        500,
    ),
    (Unavailable("service.timeout", "x"), "server.serverproxy.service_failed.io_error", "x", 500),
    (Halt("log.halted", "x"), "server.clientproxy.logging_failed", "x", 500),
    (Halt("log.halted", "x", at="provider-node"), "server.serverproxy.logging_failed", "x", 500),
    (Unavailable("log.disk-full", "x", at="consumer-node"), "server.clientproxy.logging_failed", "x", 500),
    (Unavailable("outcome.unknown", "id 7"), "server.clientproxy.outcome_unknown", "id 7", 500),
    (Limited("limit.queue", "x"), "server.clientproxy.limit_exceeded", "x", 500),
    (Limited("limit.target", "x", at="caller"), "client.limit_exceeded", "x", 400),
    (Malformed("header.malformed", "x", at="caller"), "client.bad_request", "x", 400),
    (Untrusted("proof.invalid", "x", at="provider-node"), "server.serverproxy.signature_verification", "x", 500),
    (Conflict("unheard.of", "x"), "server.clientproxy.invalid_request", "x", 500),
    (Internal("unheard.of", "x"), "server.clientproxy.internal_error", "x", 500),
    (Error("unheard.of", "x"), "server.clientproxy.internal_error", "x", 500),
]


@pytest.mark.parametrize(("error", "code", "message", "status"), CASES, ids=[c[0].code for c in CASES])
def test_code_message_and_status(error, code, message, status):
    """The code by slug or class, the sentence clients match, 500 for the server's side."""
    fault = fault_of(error, client=CLIENT, service=SERVICE)
    assert (fault.type, fault.message, fault.status) == (code, message, status)


def test_the_older_dialect_is_camel_case():
    """One switch; statuses do not change."""
    fault = fault_of(Forbidden("access-right.missing", "no"), dialect="7.7", service=SERVICE)
    assert (fault.type, fault.status) == ("Server.ServerProxy.AccessDenied", 500)
    fault = fault_of(Unavailable("service.timeout", "x"), dialect="7.7")
    assert fault.type == "Server.ServerProxy.ServiceFailed.IOError"
    fault = fault_of(Malformed("x.y", "x", at="caller"), dialect="7.7")
    assert (fault.type, fault.status) == ("Client.BadRequest", 400)


def test_without_the_identifier_the_errors_own_words_stand():
    """A sentence with a hole in it would say less."""
    assert fault_of(NotFound("service.unknown", "no such service")).message == "no such service"
    assert fault_of(Forbidden("client.unknown", "who?"), service=SERVICE).message == "who?"


def test_a_sentence_is_not_wrapped_in_itself():
    """What a peer has told in X-Road's words stays as it is."""
    told = fault_of(Unavailable("service.disabled", "maintenance"), service=SERVICE).message
    assert fault_of(Unavailable("service.disabled", told), service=SERVICE).message == told


def test_the_json_body_is_the_default():
    """Any Accept that names no XML type gives JSON."""
    fault = fault_of(Halt("log.halted", 'disk "full" ö'), message_id="7")
    status, headers, body = fault.response([b"text/html, */*;q=0.1"], date=b"now")
    assert status == 500
    assert headers == [
        (b"Content-Type", b"application/json;charset=utf-8"),
        (b"X-Road-Error", b"server.clientproxy.logging_failed"),
        (b"Date", b"now"),
    ]
    assert json.loads(body) == {"type": "server.clientproxy.logging_failed", "message": 'disk "full" ö', "detail": "7"}
    assert list(json.loads(body)) == ["type", "message", "detail"]


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ([b"a/b", b"Text/XML;q=0.1"], b"text/xml"),
        ([b"application/xml"], b"application/xml"),
        ([b"a/b, text/*"], b"text/xml"),
        ([], b"application/json"),
        ([b"text/plain"], b"application/json"),
        ([b"application/soap+xml"], b"application/json"),
    ],
)
def test_xml_is_given_to_those_who_list_it(accept, media):
    """Weights are not read; `text/*` counts as XML."""
    _, headers, body = fault_of(NotFound("x.y", "a <b> & \x00 ö")).response(accept)
    assert dict(headers)[b"Content-Type"] == media + b";charset=utf-8"
    if media != b"application/json":
        root = ET.fromstring(body)
        assert root.tag == "error"
        assert [child.tag for child in root] == ["type", "message", "detail"]
        assert root.findtext("message") == "a <b> & \ufffd ö"


def test_detail_is_a_uuid_unless_the_message_has_an_id():
    """So that a caller's report can be matched with our logs."""
    fault = fault_of(NotFound("x.y", "z"))
    assert str(UUID(fault.detail)) == fault.detail
    assert fault_of(NotFound("x.y", "z"), message_id="m").detail == "m"


def test_retry_after_is_told():
    """Where the error says when to come again."""
    _, headers, _ = fault_of(Limited("limit.queue", "busy", retry_after=3)).response([])
    assert dict(headers)[b"Retry-After"] == b"3"


def test_identifiers_are_spelled_as_xroad_spells_them():
    """Object type, colon, parts not encoded."""
    member = MemberId("KZ", "GOV", "1")
    assert xroad_text(member) == "MEMBER:KZ/GOV/1"
    assert xroad_text(NodeId(member, "n")) == "SERVER:KZ/GOV/1/n"


def test_every_rule_has_a_name_in_both_dialects():
    """No slug can surprise the switch."""
    for rule in faults.RULES.values():
        assert rule.name in faults.NAMES
    for slug in faults.RULES:
        for dialect in ("7.8", "7.7"):
            assert fault_of(NotFound(slug, "x"), dialect=dialect, client=CLIENT, service=SERVICE).type


def test_every_slug_is_documented():
    """docs/reference/errors.md says of each slug that has a rule what a client is told."""
    page = (Path(__file__).parents[3] / "docs/reference/errors.md").read_text()
    rows = {}
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) == 6:
            rows |= dict.fromkeys(re.findall(r"`([a-z.-]+)`", cells[1]), cells[3])
    for slug, rule in faults.RULES.items():
        told = f"{rule.prefix}.{rule.name}" if rule.prefix else rule.name
        assert rows[slug].removesuffix(" (ours)") == told, slug
