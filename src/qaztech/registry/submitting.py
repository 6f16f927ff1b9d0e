"""Speaking to a registry: bringing what members and nodes have signed, and managing it as its operator does."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from qaztech.core.errors import Conflict, Limited, Malformed, NotFound, Unavailable
from qaztech.registry.desk import Submission

MAX_ANSWER = 8 * 1024 * 1024
# Bytes of rights pages brought at once; a member file takes the rest of what a request may have.
_ROOM = 512 * 1024
_REFUSALS = {404: NotFound, 429: Limited}


def submit(registry: str, submission: Submission) -> None:
    """Bring a member's newest file and pages: whoever brings them, they count by their signature.

    Raises `Conflict` with the registry's words, or `Unavailable`.
    """
    body: dict[str, Any] = {"envelope": b64encode(submission.envelope).decode(), "pages": [], "partial": True}
    room = _ROOM
    for page in submission.pages:
        room -= len(page)
        if room < 0:
            send(registry, "/members/files", json.dumps(body).encode())
            body["pages"], room = [], _ROOM - len(page)
        body["pages"].append(b64encode(page).decode())
    send(registry, "/members/files", json.dumps(body | {"partial": False}).encode())


def show(registry: str, member: str, envelope: bytes, descriptions: Sequence[bytes]) -> None:
    """Bring a member's showcase and the OpenAPI documents it names. Raises as `submit` does."""
    body = {"member": member, "envelope": b64encode(envelope).decode()}
    for document in descriptions:
        part = body | {"descriptions": [b64encode(document).decode()], "partial": True}
        send(registry, "/members/showcases", json.dumps(part).encode())
    send(registry, "/members/showcases", json.dumps(body).encode())


def manage(registry: str, token: str, what: str, body: bytes | None = None) -> Any:
    """One management request, GET where there is no body; gives the answer's JSON."""
    return json.loads(_request(registry, f"/manage/{what}", body, {"Authorization": f"Bearer {token}"}))


def send(registry: str, path: str, body: bytes) -> Any:
    """Bring something that proves itself; gives the answer's JSON. Raises `Conflict`, `NotFound` or `Unavailable`."""
    return json.loads(_request(registry, path, body, {}))


def fetch(registry: str, path: str) -> Any:
    """Ask for something that anyone may see who knows its name; gives the answer's JSON."""
    return json.loads(_request(registry, path, None, {}))


def fetch_bytes(registry: str, path: str, body: bytes | None = None) -> bytes:
    """The same, as it came."""
    return _request(registry, path, body, {})


def _request(registry: str, path: str, body: bytes | None, headers: dict[str, str]) -> bytes:
    parts = urlsplit(registry)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise Malformed("registry.url", f"not an http(s) URL: {registry[:200]!r}")
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    try:
        connection = kind(parts.hostname, parts.port, timeout=30)
    except ValueError as exc:
        raise Malformed("registry.url", f"not an http(s) URL: {registry[:200]!r}") from exc
    try:
        target = f"{parts.path.rstrip('/')}{path}"
        connection.request(
            "GET" if body is None else "POST", target, body, {"Content-Type": "application/json", **headers}
        )
        answer = connection.getresponse()
        data = answer.read(MAX_ANSWER + 1)
        if len(data) > MAX_ANSWER:
            raise Unavailable("registry.unreachable", f"the registry at {registry} answers more than it may")
    except (OSError, HTTPException) as exc:
        raise Unavailable("registry.unreachable", f"the registry at {registry} does not answer") from exc
    finally:
        connection.close()
    if answer.status >= 400:
        raise _refused(registry, answer.status, data)
    return data


def _refused(registry: str, status: int, data: bytes) -> Exception:
    try:
        problem = json.loads(data)
        code = str(problem.get("code", "registry.refused"))
        detail = problem.get("detail") or problem.get("title", "refused")
    except (ValueError, AttributeError):
        return Unavailable("registry.unreachable", f"what answers at {registry} is no registry")
    return _REFUSALS.get(status, Conflict)(code, str(detail)[:500])
