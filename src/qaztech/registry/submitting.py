"""Speaking to the registry's management API, as its operator does; and bringing it a member's changes."""

from __future__ import annotations

import json
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from qaztech.core.errors import Conflict, Malformed, Unavailable
from qaztech.registry.desk import Submission


def submit(registry: str, token: str, submission: Submission) -> None:
    """Send new rights pages, then the member file. Raises `Conflict` with the registry's words, or `Unavailable`."""
    for page in submission.pages:
        manage(registry, token, "rights-pages", page)
    manage(registry, token, "member-files", submission.envelope)


def manage(registry: str, token: str, what: str, body: bytes | None = None) -> Any:
    """One management request, GET where there is no body; gives the answer's JSON."""
    parts = urlsplit(registry)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise Malformed("registry.url", f"not an http(s) URL: {registry[:200]!r}")
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(parts.hostname, parts.port, timeout=30)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    try:
        target = f"{parts.path.rstrip('/')}/manage/{what}"
        connection.request("GET" if body is None else "POST", target, body, headers)
        answer = connection.getresponse()
        data = json.loads(answer.read())
    except (OSError, HTTPException, ValueError) as exc:
        raise Unavailable("registry.unreachable", f"the registry at {registry} does not answer") from exc
    finally:
        connection.close()
    if answer.status >= 400:
        raise Conflict(data.get("code", "registry.refused"), data.get("detail") or data.get("title", "refused"))
    return data
