"""The member's own node as the console asks it: its state, exchanges, receipts, incidents; and `reload`.

By the node's management API (docs/reference), with its token. Blocks: call from a thread. What comes back is shown, and
nothing is decided by it.
"""

from __future__ import annotations

import json
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import quote, urlencode, urlsplit
from uuid import UUID

from qaztech.core.errors import Malformed, NotFound, Unavailable

MAX_ANSWER = 8 * 1024 * 1024
RECEIPT_SECONDS = 20
SEARCH_SECONDS = 20.0
SHOWN = 500


class NodeClient:
    """Asks one node. `url` is its management address, `token` what it asks for there, or empty."""

    def __init__(self, url: str, token: str = "", *, seconds: float = 5.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise Malformed("console.node-url", "the node's management address is an http(s) URL")
        self.url = url
        self._parts = parts
        self._token = token
        self._seconds = seconds

    def status(self) -> dict[str, Any]:
        """The node's state in one object."""
        found: dict[str, Any] = self._ask("GET", "/status")
        return found

    def exchanges(self, limit: int = SHOWN) -> list[dict[str, Any]]:
        """The last exchanges, the newest first."""
        found: list[dict[str, Any]] = self._ask("GET", f"/exchanges?limit={limit}")
        return found

    def search(self, query: dict[str, str]) -> dict[str, Any]:
        """A page of what its logs hold (docs/reference). Raises `Malformed`, `Unavailable`."""
        found: Any = self._ask("GET", f"/exchanges/search?{urlencode(query)}", seconds=SEARCH_SECONDS)
        if not isinstance(found, dict) or not isinstance(found.get("exchanges"), list):
            raise Unavailable("console.node", "the member's node answers something else than was asked")
        return found

    def outcome(self, message: str) -> dict[str, Any]:
        """What became of one exchange. Raises `NotFound`."""
        found: dict[str, Any] = self._ask("GET", f"/exchanges/{_message(message)}")
        return found

    def receipt(self, message: str) -> dict[str, Any]:
        """Its receipt, as soon as it is witnessed. Raises `NotFound`, `Unavailable`."""
        path = f"/receipts/{_message(message)}?wait=witnessed&seconds={RECEIPT_SECONDS}"
        found: dict[str, Any] = self._ask("GET", path, seconds=RECEIPT_SECONDS + 10)
        return found

    def incidents(self) -> list[dict[str, Any]]:
        """What the node has seen of others that must not be, the newest first."""
        found: list[dict[str, Any]] = self._ask("GET", "/incidents")
        return found

    def reload(self) -> None:
        """Let the node read its settings and the registry at once."""
        self._ask("POST", "/reload", seconds=30.0)

    def _ask(self, method: str, path: str, *, seconds: float | None = None) -> Any:
        kind = HTTPSConnection if self._parts.scheme == "https" else HTTPConnection
        connection = kind(self._parts.hostname or "", self._parts.port, timeout=seconds or self._seconds)
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        try:
            connection.request(method, f"{self._parts.path.rstrip('/')}{path}", headers=headers)
            answer = connection.getresponse()
            data = answer.read(MAX_ANSWER + 1)
            body = json.loads(data) if len(data) <= MAX_ANSWER else None
        except (OSError, HTTPException, ValueError) as exc:
            raise Unavailable("console.node", "the member's node does not answer", context=repr(exc)) from exc
        finally:
            connection.close()
        if answer.status == 200 and body is not None:
            return body
        said = body.get("title", "") if isinstance(body, dict) else ""
        if answer.status == 400:
            raise Malformed("request.malformed", str(said)[:300] or "the node does not understand that", at="caller")
        if answer.status == 404:
            raise NotFound("exchange.unknown", "the node knows of no such exchange", at="log")
        raise Unavailable("console.node", f"the member's node refuses: {str(said)[:300] or answer.status}")


def _message(text: str) -> str:
    try:
        return quote(str(UUID(text)))
    except ValueError as exc:
        raise NotFound("exchange.unknown", "that is not a message id", at="caller") from exc
