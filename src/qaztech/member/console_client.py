"""A member's console as a program asks it: its JSON API (docs/reference/member-api.json), with a token of an account.

What the console refuses is raised as it said it, by code. Blocks. Nothing of what comes back decides anything here.
"""

from __future__ import annotations

import json
import re
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import quote, urlsplit

from qaztech.core.errors import (
    Conflict,
    Error,
    Forbidden,
    Limited,
    Malformed,
    NotFound,
    Unauthenticated,
    Unavailable,
    Untrusted,
)
from qaztech.runtime.shell import is_loopback

MAX_ANSWER = 8 * 1024 * 1024
# A request for access is an exchange: the node at the other end may take a minute.
SECONDS = 90.0
_SLUG = re.compile(r"[a-z][a-z0-9-]*(\.[a-z0-9-]+)+\Z")
_KINDS: dict[int, type[Error]] = {
    kind.status: kind
    for kind in (Malformed, Unauthenticated, Forbidden, NotFound, Conflict, Limited, Untrusted, Unavailable)
}


class ConsoleClient:
    """Asks one console. `url` is its address, `token` an API token; over the network it goes by https alone."""

    def __init__(self, url: str, token: str, *, seconds: float = SECONDS) -> None:
        try:
            parts = urlsplit(url)
            host, self._port = parts.hostname or "", parts.port
        except ValueError as exc:
            raise Malformed("console.url", "the console's address is an http(s) URL", at="caller") from exc
        if parts.scheme not in {"http", "https"} or not host:
            raise Malformed("console.url", "the console's address is an http(s) URL", at="caller")
        if parts.scheme == "http" and host != "localhost" and not is_loopback(host):
            raise Malformed("console.url", "a token goes to another machine by https alone", at="caller")
        if not token or not token.isascii() or not token.isprintable():
            raise Malformed("console.token", "that is no API token", at="caller")
        self._kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._host, self._base, self._token, self._seconds = host, parts.path.rstrip("/"), token, seconds

    def get(self, *path: str) -> Any:
        """What stands at a path of the API."""
        return self._ask("GET", path, None)

    def post(self, *path: str, body: Any) -> Any:
        """What came of an act."""
        return self._ask("POST", path, body)

    def put(self, *path: str, body: Any) -> Any:
        """What came of making something so."""
        return self._ask("PUT", path, body)

    def _ask(self, method: str, path: tuple[str, ...], body: Any) -> Any:
        target = f"{self._base}/api/v1/{'/'.join(quote(part, safe='') for part in path)}"
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}
        data = None
        if body is not None:
            data, headers["Content-Type"] = json.dumps(body, ensure_ascii=False).encode(), "application/json"
        connection = self._kind(self._host, self._port, timeout=self._seconds)
        try:
            connection.request(method, target, data, headers)
            answer = connection.getresponse()
            said = answer.read(MAX_ANSWER + 1)
            found = json.loads(said) if len(said) <= MAX_ANSWER else None
        except (OSError, HTTPException, ValueError, RecursionError) as exc:
            raise Unavailable("console.unreachable", "no console answers there", context=type(exc).__name__) from exc
        finally:
            connection.close()
        if answer.status in {200, 201} and found is not None:
            return found
        raise _refused(answer.status, found)


def _refused(status: int, said: Any) -> Error:
    problem = said if isinstance(said, dict) else {}
    code = str(problem.get("code", ""))
    if not _SLUG.match(code):
        return Unavailable("console.unreachable", f"what answers there is no console (status {status})")
    detail = str(problem.get("detail") or problem.get("title") or code)
    shown = "".join(letter for letter in detail if letter.isprintable())[:500]
    return _KINDS.get(status, Conflict)(code, shown, at="caller")
