"""A calling system that sends exactly the bytes a test wants, and keeps the answer's headers as they came."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from typing import Any
from urllib.parse import urlsplit

Headers = Sequence[tuple[str, str]]
PATIENCE = 20.0


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: headers in their order, none merged."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        """The values of a header."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def __getitem__(self, name: str) -> str:
        (value,) = self.all(name)
        return value

    @property
    def message(self) -> str:
        """The message id: what a receipt is asked by."""
        return self["x-road-request-id"]

    @property
    def error(self) -> str:
        """The X-Road error; empty where there is none."""
        return "".join(self.all("x-road-error"))

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


def connect(url: str, *, tls: ssl.SSLContext | None = None, source: str = "127.0.0.1") -> socket.socket:
    """A connection to a node's edge, from an address of this machine."""
    parts = urlsplit(url)
    plain = socket.create_connection((parts.hostname, parts.port), PATIENCE, (source, 0))
    return plain if tls is None else tls.wrap_socket(plain, server_hostname=parts.hostname)


def head_of(method: str, target: str, headers: Headers, *, host: str = "localhost") -> bytes:
    """The head of a request: no header that is not given here, but for Host."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n".encode("latin-1")


def converse(
    url: str, data: bytes, *, method: str = "GET", tls: ssl.SSLContext | None = None, source: str = "127.0.0.1"
) -> Reply | None:
    """Send these bytes on a connection of their own; the answer, or None where the other side only hung up."""
    with connect(url, tls=tls, source=source) as sock:
        sock.sendall(data)
        return read(sock, method)


def read(sock: socket.socket, method: str = "GET") -> Reply | None:
    """The next answer on a connection."""
    response = HTTPResponse(sock, method=method)
    try:
        response.begin()
        return Reply(response.status, response.getheaders(), response.read())
    except (HTTPException, ConnectionError):
        return None
    finally:
        response.close()


def send(
    url: str,
    method: str,
    target: str,
    headers: Headers = (),
    body: bytes = b"",
    *,
    tls: ssl.SSLContext | None = None,
    source: str = "127.0.0.1",
) -> Reply:
    """One whole request; Content-Length is added where there is a body."""
    length = [("Content-Length", str(len(body)))] if body else []
    data = head_of(method, target, [*headers, *length]) + body
    reply = converse(url, data, method=method, tls=tls, source=source)
    assert reply is not None, "the node hung up"
    return reply
