"""Calls about access on their way to the desk of a member: which of them go, with what, and the errors told instead.

The desk's address holds an unguessable path, by which the desk knows the node; so nothing of what a stranger sends may
lead anywhere else on that server, and it is never shown. What the desk does with a call is `member.exchanges`.
"""

from __future__ import annotations

import ipaddress
import json
import re
from typing import Final
from urllib.parse import urlsplit

from qaztech.core.errors import Error, Malformed, NotFound
from qaztech.core.ids import MemberId, ServiceId
from qaztech.node import rest
from qaztech.node.frames import Request
from qaztech.node.http_client import BaseUrl

PROBLEM: Final = b"application/problem+json"
MAX_BODY: Final = 64 * 1024
SECRET_SIZE: Final = 32
LINEAGE: Final = b"QazTech-Client-Lineage"
# A request may be made, looked at, and withdrawn.
_CALLS = re.compile(r"POST |GET /[0-9a-f]{32}|POST /[0-9a-f]{32}/withdrawal")
_SENT: Final = frozenset({rest.CLIENT, rest.REQUEST_ID, rest.ID, b"content-type", b"accept"})


def check_address(url: str) -> None:
    """Raise `Malformed`, without the address, unless a desk is there to be reached safely."""
    try:
        BaseUrl.parse(url)
        parts = urlsplit(url)
    except (Malformed, ValueError) as exc:
        raise _bad("the address of a desk is an http(s) URL without credentials and query") from exc
    if parts.scheme == "http" and not _is_here(parts.hostname or ""):
        raise _bad("the desk of a member is on this machine, or its address is https")
    if len(parts.path.rpartition("/")[2]) < SECRET_SIZE:
        raise _bad(f"the address of a desk ends in {SECRET_SIZE} characters or more that cannot be guessed")


def _bad(detail: str) -> Malformed:
    return Malformed("access.desk-address", detail, at="provider-node")


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_call(method: str, frame: Request) -> None:
    """Raise what the caller is told unless this is a call that a desk takes."""
    if not _CALLS.fullmatch(f"{method} {frame.path}") or frame.query:
        raise NotFound("access.unknown", "there is no such request for access", at="provider-node")
    if frame.body is None or len(frame.body) > MAX_BODY:
        raise Malformed("access.too-large", f"a request for access has at most {MAX_BODY} bytes, of announced length")


def no_desk(member: MemberId) -> NotFound:
    """Its member has told this node of no desk."""
    return NotFound("access.no-desk", f"{member} takes no requests for access by exchange", at="provider-node")


def headers_for(headers: rest.Headers, service: ServiceId, lineage: str) -> bytes:
    """The header lines the desk gets; of the caller's own nothing else crosses.

    Who calls in which message, what was called, and the lineage that this node knows the caller's member by: a right
    that follows names it.
    """
    kept = [header for header in headers if header[0].lower() in _SENT]
    return rest.header_lines([*kept, (rest.SERVICE, str(service).encode()), (LINEAGE, lineage.encode())])


def problem(error: Error) -> bytes:
    """An error as problem+json (RFC 9457), as the desk itself would tell it."""
    body = {
        "type": f"urn:qaztech:error:{error.code}",
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        "at": error.at,
    }
    return json.dumps(body, ensure_ascii=False).encode()
