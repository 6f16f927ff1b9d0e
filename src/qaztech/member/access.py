"""A request for access: its form, what may become of it, and what a decision gives. Pure rules.

A consumer asks a provider's member for access to one service; the owner decides. How the request travels and where it
is kept stands in `exchanges` and `store`. Format: docs/formats/access-request.md.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, timezone
from typing import Literal, NoReturn, get_args

from qaztech.core.errors import Conflict, Error, Malformed
from qaztech.core.ids import ServiceId, SubsystemId
from qaztech.core.rights import Endpoint
from qaztech.people.roles import MEMBER_ROLES
from qaztech.registry.call_limits import MAX_CALLS
from qaztech.registry.forms import Form, check_time, decode, encode
from qaztech.registry.rights_page import MAX_ENDPOINTS

TYPE = "qaztech-access-request 1"
STANDING_TYPE = "qaztech-access-standing 1"
MAX_REQUEST = 64 * 1024
MAX_STANDING = 1024 * 1024
MAX_TEXT, MAX_LINE = 2000, 300
_ID = re.compile(r"[0-9a-f]{32}\Z")
# Days end where the country is.
ZONE = timezone(timedelta(hours=5))

State = Literal["submitted", "approved", "refused", "withdrawn", "superseded", "revoked"]
STATES: tuple[str, ...] = get_args(State)
# What may follow what. Approved again: on other terms.
NEXT: dict[State, frozenset[State]] = {
    "submitted": frozenset({"approved", "refused", "withdrawn", "superseded"}),
    "approved": frozenset({"approved", "revoked"}),
    "refused": frozenset(),
    "withdrawn": frozenset(),
    "superseded": frozenset(),
    "revoked": frozenset(),
}


class Purpose(Form, frozen=True, forbid_unknown_fields=True):
    """What the access is for, in one language at least."""

    kk: str | None
    ru: str | None
    en: str | None


class AccessRequest(Form, frozen=True, forbid_unknown_fields=True):
    """What a consumer asks for. `until` is the last day of it; `requested_by` is a role, never a person."""

    type: str
    service: str
    client: str
    endpoints: tuple[str, ...]
    purpose: Purpose
    basis: str
    calls_a_day: int
    calls_a_minute: int
    until: str | None
    contact: str
    requested_by: str


class Granted(Form, frozen=True, forbid_unknown_fields=True):
    """What an owner gives: endpoints as asked or narrower, to the end of which day, and at most how often."""

    endpoints: tuple[str, ...]
    until: str | None
    calls_a_minute: int | None
    calls_a_day: int | None


class Change(Form, frozen=True, forbid_unknown_fields=True):
    """One step of a request, as the other side may see it: which role took it, and no name."""

    state: State
    time: int
    role: str
    reason: str | None
    granted: Granted | None


class Standing(Form, frozen=True, forbid_unknown_fields=True):
    """How a request stands, as the provider's desk tells whoever made it. `message` is the exchange that brought it."""

    type: str
    id: str
    message: str
    service: str
    client: str
    state: State
    changes: tuple[Change, ...]


def format_request(request: AccessRequest) -> bytes:
    """The request's bytes, as they travel."""
    return encode(request)


def parse_request(data: bytes) -> AccessRequest:
    """Read and check a request; raises `Malformed` (`access.malformed`) with what is wrong."""
    try:
        request = decode(AccessRequest, data, code="access.malformed", limit=MAX_REQUEST)
        check_request(request)
    except Error as exc:
        raise Malformed("access.malformed", exc.detail, at="caller") from exc
    return request


def parse_standing(data: bytes) -> Standing:
    """Read what a provider's desk says; raises `Malformed`. It may be hostile: what people read of it is bounded."""
    standing = decode(Standing, data, code="access.malformed", limit=MAX_STANDING)
    if standing.type != STANDING_TYPE or not standing.changes or standing.changes[-1].state != standing.state:
        _wrong("this is not how a request stands")
    if not _ID.match(standing.id):  # it becomes part of the address that is asked next
        _wrong("a request has an id of 32 hex digits")
    for change in standing.changes:
        check_time(change.time, "access.malformed")
        if not 1 <= len(change.role) <= MAX_LINE or not change.role.isprintable():
            _wrong(f"a role is 1 to {MAX_LINE} printable characters")
        if change.reason is not None:
            check_reason(change.reason)
        if change.granted is not None:
            _check_endpoints(change.granted.endpoints)
            if change.granted.until is not None:
                end_of_day(change.granted.until)
    return standing


def check_request(request: AccessRequest) -> None:
    """Raise `Malformed` unless the request can be decided upon."""
    if request.type != TYPE:
        _wrong(f"the type is not {TYPE!r}")
    service, client = ServiceId.parse(request.service), SubsystemId.parse(request.client)
    if (str(service), str(client)) != (request.service, request.client):
        _wrong("an identifier has one spelling")
    _check_endpoints(request.endpoints)
    purposes = [text for text in (request.purpose.kk, request.purpose.ru, request.purpose.en) if text is not None]
    if not purposes:
        _wrong("the purpose is told in one language at least")
    for text in purposes:
        _check_text(text, "purpose", MAX_TEXT)
    _check_text(request.basis, "legal basis", MAX_TEXT)
    _check_line(request.contact, "contact")
    _check_calls(request.calls_a_minute, request.calls_a_day)
    if request.until is not None:
        end_of_day(request.until)
    if request.requested_by not in MEMBER_ROLES:
        _wrong(f"who requests is told by a role: {', '.join(MEMBER_ROLES)}")


def check_granted(granted: Granted, request: AccessRequest, now: int) -> None:
    """Raise `Malformed` unless an owner can give this on that request: no more than was asked, for a time to come."""
    check_own_terms(granted, now)
    asked = [Endpoint.parse(text) for text in request.endpoints]
    for text in granted.endpoints:
        if not any(is_narrower(Endpoint.parse(text), endpoint) for endpoint in asked):
            _wrong(f"{text} was not asked for")


def check_own_terms(granted: Granted, now: int) -> None:
    """Raise `Malformed` unless an owner can give this, asked or not: for a time to come."""
    _check_endpoints(granted.endpoints)
    _check_calls(granted.calls_a_minute, granted.calls_a_day)
    if granted.until is not None and end_of_day(granted.until) <= now:
        _wrong("the last day is over already")


def check_reason(reason: str) -> None:
    """Raise `Malformed` unless this says to the other side why."""
    _check_text(reason, "reason", MAX_TEXT)


def check_step(present: State, wanted: State) -> None:
    """Raise `Conflict` unless a request that stands so may become that."""
    if wanted not in NEXT[present]:
        raise Conflict("access.state", f"the request is {present}: it cannot be {wanted}", at="caller")


def end_of_day(day: str) -> int:
    """The first moment after a day of the country (`2028-12-31`), in milliseconds; raises `Malformed`."""
    try:
        parsed = date.fromisoformat(day)
    except ValueError:
        _wrong("a day is written YYYY-MM-DD")
    if parsed.isoformat() != day or not 2000 <= parsed.year < 9999:
        _wrong("a day is written YYYY-MM-DD, and is of our times")
    after = datetime(parsed.year, parsed.month, parsed.day, tzinfo=ZONE) + timedelta(days=1)
    return int(after.timestamp()) * 1000


def is_narrower(given: Endpoint, asked: Endpoint) -> bool:
    """Whether every call under one endpoint is a call under the other.

    `*` and `**` of the one are tried as segments that nothing but a wildcard can match, for they are longer than all of
    the other: `**` as none, one and several.
    """
    if asked.method not in {"*", given.method}:
        return False
    any_ = "/" + "~" * (len(asked.path) + 1)
    paths = [given.path]
    while any("/**" in path for path in paths):
        paths = [path.replace("/**", instead, 1) for path in paths for instead in ("", any_, 3 * any_)]
    pattern = Endpoint("*", asked.path)
    return all(pattern.covers("GET", path.replace("/*", any_) or "/") for path in paths)


def _check_endpoints(endpoints: tuple[str, ...]) -> None:
    if not 1 <= len(endpoints) <= MAX_ENDPOINTS or len(set(endpoints)) != len(endpoints):
        _wrong(f"there are 1 to {MAX_ENDPOINTS} endpoints, each once")
    for text in endpoints:
        if len(text) > MAX_LINE or str(Endpoint.parse(text)) != text:
            _wrong("an endpoint has one spelling, and no more than 300 characters")


def _check_calls(minute: int | None, day: int | None) -> None:
    if any(number is not None and not 1 <= number <= MAX_CALLS for number in (minute, day)):
        _wrong(f"calls are counted from 1 to {MAX_CALLS}")
    if minute is not None and day is not None and minute > day:
        _wrong("there are not more calls in a minute than in a day")


def _check_line(text: str, what: str) -> None:
    if not 1 <= len(text) <= MAX_LINE or not text.isprintable() or text.isspace():
        _wrong(f"the {what} is one line of 1 to {MAX_LINE} characters")


def _check_text(text: str, what: str, limit: int) -> None:
    lines = text.split("\n")
    if not 1 <= len(text) <= limit or text.isspace() or not all(line.isprintable() for line in lines):
        _wrong(f"the {what} is text of 1 to {limit} characters")


def _wrong(detail: str) -> NoReturn:
    raise Malformed("access.malformed", detail, at="caller")
