"""Telling the member's node to look at once at what has changed: its settings, its limits, the registry."""

from __future__ import annotations

from collections.abc import Callable
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from qaztech.core.errors import Malformed, Unavailable


def node_teller(management: str, *, token: str = "", seconds: float = 30.0) -> Callable[[], None]:
    """A call that has the node at this management address read anew; it raises `Unavailable` where that fails."""
    parts = urlsplit(management)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise Malformed("node.management", "the management API of a node is at an http(s) address")
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    headers = {"Authorization": f"Bearer {token}"} if token else {}

    def tell() -> None:
        connection = kind(parts.hostname or "", parts.port, timeout=seconds)
        try:
            connection.request("POST", f"{parts.path.rstrip('/')}/reload", b"", headers)
            answer = connection.getresponse()
            answer.read()
        except (OSError, HTTPException) as exc:
            raise Unavailable("node.unreachable", "the node does not answer", context=repr(exc)) from exc
        finally:
            connection.close()
        if answer.status != 200:
            raise Unavailable("node.refused", f"the node answers {answer.status} when told to read anew")

    return tell
