"""Fetching one OpenAPI document for a signed-in person: the only address a console opens because somebody typed it.

So it leads only where the operator has said (`openapi_hosts`), or to one of the member's own systems as the node is
told of them; never to what trusts whoever is near. The name is looked up once, and what was checked is the address
connected to; nothing is followed, what comes is bounded, and none of it is told in an error. What the document refers
to is never fetched (`openapi`).
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NoReturn
from urllib.parse import SplitResult, urlsplit

from qaztech.core.errors import Error, Forbidden, Limited, Malformed, Unavailable
from qaztech.member.openapi_text import MAX_TEXT
from qaztech.member.service_url import MAX_URL, Place, place_of

MAX_HOSTS = 100
SECONDS = 10.0
AT_ONCE = 4
_CHUNK = 64 * 1024
_HERE = "localhost"
Resolve = Callable[[str, int], Iterable[str]]
"""The addresses of a host's name, the best first; raises `OSError`."""


def resolve_name(host: str, port: int) -> list[str]:
    """The addresses of a name, as this machine is told them."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for *_, sockaddr in found]


class DescriptionFetcher:
    """Fetches documents from the places it may. Methods block: call from a thread.

    `hosts` are `HOST` (its usual ports) or `HOST:PORT`; `systems` gives the URLs of the member's systems; `reserved`
    are URLs at which nothing is fetched. Raises `Malformed` (`openapi.hosts`) where a host is none.
    """

    def __init__(
        self,
        hosts: Sequence[str] = (),
        *,
        systems: Callable[[], Iterable[str]] = tuple,
        reserved: Iterable[str] = (),
        resolve: Resolve = resolve_name,
        seconds: float = SECONDS,
        context: ssl.SSLContext | None = None,
    ) -> None:
        if len(hosts) > MAX_HOSTS:
            raise Malformed("openapi.hosts", f"at most {MAX_HOSTS} hosts are named")
        self._named = {place for host in hosts for place in _places(host)}
        self._systems = systems
        self._reserved = tuple(reserved)
        self._resolve = resolve
        self._seconds = seconds
        self._context = context
        self._turns = threading.BoundedSemaphore(AT_ONCE)

    def fetch(self, url: str) -> bytes:
        """The document at a URL. Raises `Malformed`, `Forbidden` (`openapi.host`), `Limited` or `Unavailable`."""
        parts, place = self._allowed(url)
        if not self._turns.acquire(blocking=False):
            raise Limited("openapi.busy", "others are fetching documents at this moment", at="caller", retry_after=10)
        try:
            until = time.monotonic() + self._seconds
            return _Request(parts, self._address(parts, place[1]), until, self._context).document()
        finally:
            self._turns.release()

    def _allowed(self, url: str) -> tuple[SplitResult, Place]:
        url = url.strip()
        parts = _split(url)
        place = place_of(parts, "openapi.url")
        if place in {_place(one) for one in self._reserved}:
            _forbid("this is the console, the node or the registry itself")
        if place not in self._named and place not in self._own():
            _forbid(
                "the console fetches from no such host: its operator names it in `openapi_hosts` of console.toml; "
                "or upload the file"
            )
        return parts, place

    def _own(self) -> set[Place]:
        found = set()
        for url in self._systems():
            with suppress(Error):
                found.add(_place(url))
        return found

    def _address(self, parts: SplitResult, port: int) -> str:
        """The one address to connect to: every address of the name must be one that may be asked."""
        host = (parts.hostname or "").rstrip(".")
        try:
            addresses = [ip_address(text.partition("%")[0]) for text in self._resolve(host, port)]
        except (OSError, ValueError) as exc:  # a name that is too long for the resolver is a ValueError
            raise Unavailable("openapi.fetch", "the host's name is not known here", at="caller") from exc
        if not addresses:
            raise Unavailable("openapi.fetch", "the host's name is not known here", at="caller")
        is_here = _is_literal(host) or host.lower() == _HERE or host.lower().endswith(f".{_HERE}")
        reserved = {_place(one) for one in self._reserved}
        for address in addresses:
            try:
                place = place_of(_of_address(address, port), "openapi.url")
            except Malformed:
                place = None
            if place is None or (_is_loopback(address) and not is_here) or place in reserved:
                _forbid("the host's name leads to an address that it must not lead to")
        return str(addresses[0])


class _Request:
    """One GET to an address that was checked, all of it within a time."""

    def __init__(self, parts: SplitResult, address: str, until: float, context: ssl.SSLContext | None) -> None:
        self._parts = parts
        self._address = address
        self._until = until
        self._context = context
        self._socket: socket.socket | None = None
        self._late = False

    def document(self) -> bytes:
        """The body. Raises `Malformed` where it is too long, `Unavailable`."""
        left = max(0.0, self._until - time.monotonic())
        alarm = threading.Timer(left, self._give_up)
        alarm.daemon = True
        alarm.start()
        try:
            return self._ask(left)
        except (OSError, HTTPException, ValueError) as exc:
            why = "does not answer in time" if self._late else "does not answer"
            raise Unavailable("openapi.fetch", f"the host {why}", at="caller", context=type(exc).__name__) from exc
        finally:
            alarm.cancel()
            if self._socket is not None:
                self._socket.close()

    def _give_up(self) -> None:
        """End a read that trickles: a limit on each read alone would never come to its end."""
        self._late = True
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def _ask(self, left: float) -> bytes:
        parts = self._parts
        port = parts.port or (443 if parts.scheme == "https" else 80)
        self._socket = socket.create_connection((self._address, port), timeout=max(left, 0.001))
        if parts.scheme == "https":
            context = self._context or ssl.create_default_context()
            wrapped = context.wrap_socket(
                self._socket, server_hostname=(parts.hostname or "").rstrip("."), do_handshake_on_connect=False
            )
            self._socket = wrapped
            wrapped.do_handshake()
        connection = HTTPConnection(parts.hostname or "", port)
        connection.sock = self._socket
        target = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
        headers = {
            "Host": parts.netloc, "Accept": "application/json, application/yaml, text/yaml, */*;q=0.1",
            "Accept-Encoding": "identity", "User-Agent": "qaztech", "Connection": "close",
        }  # fmt: skip
        connection.request("GET", target, headers=headers)
        with connection.getresponse() as answer:
            return self._body(answer)

    def _body(self, answer: HTTPResponse) -> bytes:
        if 300 <= answer.status < 400:
            raise Unavailable("openapi.fetch", "the host sends on to another address; none is followed", at="caller")
        if answer.status != 200:
            raise Unavailable("openapi.fetch", f"the host answers with status {answer.status}", at="caller")
        if answer.getheader("Content-Encoding", "identity").strip().lower() != "identity":
            raise Unavailable("openapi.fetch", "the host sends it compressed, which is not read", at="caller")
        if (answer.length or 0) > MAX_TEXT:
            _too_large()
        found = bytearray()
        while chunk := answer.read(_CHUNK):
            found += chunk
            if len(found) > MAX_TEXT:
                _too_large()
        if self._late or answer.length:
            raise Unavailable("openapi.fetch", "the host does not send all of it", at="caller")
        return bytes(found)


def _split(url: str) -> SplitResult:
    if not 1 <= len(url) <= MAX_URL or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        _wrong("an address has 1 to 2000 ASCII characters and no spaces")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as exc:
        raise Malformed("openapi.url", "not an address such as https://api.example/openapi.json", at="caller") from exc
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0 or "%" in parts.netloc:
        _wrong("an address begins with http:// or https:// and names a host")
    if parts.username is not None or parts.password is not None or "@" in parts.netloc:
        _wrong("the address holds no name and no password")
    if "#" in url:
        _wrong("the address has no fragment")
    return parts


def _place(url: str) -> Place:
    return place_of(_split(url.strip()), "openapi.url")


def _places(host: str) -> list[Place]:
    """What one entry of the setting names."""
    try:
        parts = urlsplit(f"//{host}")
        bare = parts.hostname
        ports = [parts.port] if parts.port is not None else [80, 443]
        if not bare or parts.netloc != host or "@" in host or host.endswith(":") or 0 in ports:
            raise ValueError(host)
        return [(place_of(urlsplit(f"http://{host}"), "openapi.hosts")[0], port) for port in ports]
    except (ValueError, Malformed) as exc:
        raise Malformed(
            "openapi.hosts", "`openapi_hosts` are hosts such as `codes.example` or `10.0.0.5:8099`; one is not"
        ) from exc


def _of_address(address: IPv4Address | IPv6Address, port: int) -> SplitResult:
    shown = f"[{address}]" if address.version == 6 else str(address)
    return urlsplit(f"http://{shown}:{port}")


def _is_literal(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _is_loopback(address: IPv4Address | IPv6Address) -> bool:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


def _wrong(detail: str) -> NoReturn:
    raise Malformed("openapi.url", detail, at="caller")


def _forbid(detail: str) -> NoReturn:
    raise Forbidden("openapi.host", detail, at="caller")


def _too_large() -> NoReturn:
    raise Malformed("openapi.too-large", f"a document has at most {MAX_TEXT} bytes", at="caller")
