"""Fetching from the registry over HTTP: one kept connection, a limit on every answer, nothing believed.

What comes is verified by whoever asked. Not here: the links between nodes, which have a protocol of their own.
"""

from __future__ import annotations

import http.client
import ssl
import zlib
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from urllib.parse import quote, urlsplit

from qaztech.core.errors import Limited, Malformed, NotFound, Unavailable

_CHUNK = 64 * 1024
_GONE = frozenset({403, 404, 410})


class HttpFetcher:
    """Gets what stands below `/registry/` of one URL. One thread at a time.

    `heard` is told what the registry's clock shows (milliseconds since 1970) whenever an answer says so; unsigned.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float = 10.0,
        context: ssl.SSLContext | None = None,
        heard: Callable[[int], None] = lambda _: None,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise Malformed("registry.url", f"not an http(s) URL: {url[:200]!r}")
        self._parts = parts
        self._timeout = timeout
        self._context = context
        self._heard = heard
        self._connection: http.client.HTTPConnection | None = None

    def fetch(self, path: str, limit: int) -> bytes:
        """The bytes at a path below `/registry/`. Raises `NotFound`, `Limited` or `Unavailable`."""
        target = f"{self._parts.path.rstrip('/')}/registry/{quote(path, safe='/%')}"
        kept = self._connection is not None
        try:
            return self._get(target, limit)
        except (OSError, http.client.HTTPException, zlib.error) as exc:
            self.close()
            if not kept:
                raise _unavailable(exc) from exc
        try:
            # The kept connection may have been closed while nobody looked.
            return self._get(target, limit)
        except (OSError, http.client.HTTPException, zlib.error) as exc:
            self.close()
            raise _unavailable(exc) from exc

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _get(self, target: str, limit: int) -> bytes:
        connection = self._connect()
        connection.request("GET", target, headers={"Accept-Encoding": "gzip", "User-Agent": "qaztech"})
        response = connection.getresponse()
        time = _time(response)
        if time is not None:
            self._heard(time)
        if response.status != 200:
            response.read(_CHUNK)
            if not response.isclosed():
                self.close()
            if response.status in _GONE:
                raise NotFound("registry.missing", f"the registry has no {target}", at="registry")
            raise Unavailable("registry.unavailable", f"the registry answers {response.status}", at="registry")
        unzip = zlib.decompressobj(wbits=31) if response.headers.get("Content-Encoding") == "gzip" else None
        data = bytearray()
        while len(data) <= limit:
            chunk = response.read(_CHUNK)
            if not chunk:
                break
            data += unzip.decompress(chunk, limit + 1 - len(data)) if unzip else chunk
            if unzip and (unzip.unconsumed_tail or unzip.unused_data):
                break
        if len(data) > limit or (unzip and (unzip.unconsumed_tail or unzip.unused_data)):
            self.close()
            raise Limited("registry.oversized", f"{target} is longer than {limit} bytes", at="registry")
        if response.length or (unzip and not unzip.eof):
            # Told apart from a file that is wrong: a broken connection is no attack.
            raise http.client.IncompleteRead(bytes(data))
        return bytes(data)

    def _connect(self) -> http.client.HTTPConnection:
        if self._connection is None:
            host, port = self._parts.hostname or "", self._parts.port
            if self._parts.scheme == "https":
                context = self._context or ssl.create_default_context()
                self._connection = http.client.HTTPSConnection(host, port, timeout=self._timeout, context=context)
            else:
                self._connection = http.client.HTTPConnection(host, port, timeout=self._timeout)
        return self._connection


def _time(response: http.client.HTTPResponse) -> int | None:
    """What the server's clock shows, as far as it says so: `Date`, and how old a cache calls its answer (`Age`)."""
    age = response.headers.get("Age", "0").strip()
    try:
        sent = parsedate_to_datetime(response.headers.get("Date", ""))
        # Half a second more: a `Date` has no parts of a second.
        return int(sent.timestamp() * 1000) + 500 + (int(age) * 1000 if age.isdigit() and len(age) < 10 else 0)
    except (ValueError, OverflowError, OSError):
        return None


def _unavailable(exc: Exception) -> Unavailable:
    return Unavailable("registry.unavailable", "the registry does not answer", at="registry", context=str(exc))
