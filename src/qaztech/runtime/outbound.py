"""Small HTTP requests to fixed addresses of the instance (witnesses, a timestamping authority), off the loop.

One kept connection for each address, limits on what comes back, nothing believed. Not for the data plane.
"""

from __future__ import annotations

import asyncio
import http.client
import ssl
import threading
from urllib.parse import SplitResult, urlsplit

from qaztech.core.errors import Limited, Malformed, NotFound, Unavailable

MAX_ANSWER = 1024 * 1024


class Outbound:
    """Posts from threads, one at a time to each address."""

    def __init__(self, *, timeout: float = 5.0, context: ssl.SSLContext | None = None) -> None:
        self._timeout = timeout
        self._context = context
        self._kept: dict[str, http.client.HTTPConnection] = {}
        self._locks: dict[str, threading.Lock] = {}

    async def post(self, url: str, body: bytes, content_type: str = "text/plain") -> tuple[int, str, bytes]:
        """Status, content type and body of the answer. Raises `Unavailable`, `Limited` or `Malformed`."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise Malformed("outbound.url", f"not an http(s) URL: {url[:200]!r}")
        lock = self._locks.setdefault(parts.netloc, threading.Lock())
        return await asyncio.to_thread(self._post, parts, lock, body, content_type)

    def _post(self, parts: SplitResult, lock: threading.Lock, body: bytes, content_type: str) -> tuple[int, str, bytes]:
        with lock:
            kept = parts.netloc in self._kept
            try:
                return self._send(parts, body, content_type)
            except (OSError, http.client.HTTPException) as exc:
                self._forget(parts.netloc)
                if not kept:
                    raise _unavailable(parts, exc) from exc
            try:
                # The kept connection may have been closed while nobody looked.
                return self._send(parts, body, content_type)
            except (OSError, http.client.HTTPException) as exc:
                self._forget(parts.netloc)
                raise _unavailable(parts, exc) from exc

    def _send(self, parts: SplitResult, body: bytes, content_type: str) -> tuple[int, str, bytes]:
        connection = self._kept.get(parts.netloc)
        if connection is None:
            connection = self._connect(parts)
            self._kept[parts.netloc] = connection
        connection.request("POST", parts.path or "/", body, {"Content-Type": content_type, "User-Agent": "qaztech"})
        response = connection.getresponse()
        data = response.read(MAX_ANSWER + 1)
        if len(data) > MAX_ANSWER:
            self._forget(parts.netloc)
            raise Limited("outbound.too-large", f"{parts.netloc} answered more than is looked at")
        return response.status, response.headers.get("Content-Type", ""), data

    def _connect(self, parts: SplitResult) -> http.client.HTTPConnection:
        host, port = parts.hostname or "", parts.port
        if parts.scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=self._timeout, context=self._context)
        return http.client.HTTPConnection(host, port, timeout=self._timeout)

    def _forget(self, netloc: str) -> None:
        connection = self._kept.pop(netloc, None)
        if connection is not None:
            connection.close()


def get(url: str, *, limit: int = MAX_ANSWER, timeout: float = 5.0) -> bytes:
    """The body at a URL, once, in this thread. Raises `NotFound`, `Unavailable`, `Limited` or `Malformed`."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise Malformed("outbound.url", f"not an http(s) URL: {url[:200]!r}")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname, parts.port, timeout=timeout)
    try:
        connection.request("GET", parts.path or "/", headers={"User-Agent": "qaztech"})
        response = connection.getresponse()
        data = response.read(limit + 1)
    except (OSError, http.client.HTTPException) as exc:
        raise _unavailable(parts, exc) from exc
    finally:
        connection.close()
    if response.status == 404:
        raise NotFound("outbound.missing", f"{parts.netloc} has nothing at {parts.path}")
    if response.status != 200:
        raise Unavailable("outbound.refused", f"{parts.netloc} answers {response.status}")
    if len(data) > limit:
        raise Limited("outbound.too-large", f"{parts.netloc} answered more than is looked at")
    return data


def _unavailable(parts: SplitResult, exc: Exception) -> Unavailable:
    return Unavailable("outbound.unreachable", f"{parts.netloc} does not answer", context=repr(exc))
