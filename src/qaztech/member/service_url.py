"""Where a service's system may be: what a person types is checked before it gets into the settings of a node.

The console never opens such an address; the node does, with every call. So it must not lead to what trusts whoever is
near: the member's own console, the node's edge and management, the registry, the addresses of cloud metadata. Systems
do live on this machine and in private networks, so those are allowed. Names are not looked up: their meaning changes.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import NoReturn
from urllib.parse import SplitResult, urlsplit

from qaztech.core.errors import Malformed

MAX_URL = 2000
_DEFAULT_PORTS = {"http": 80, "https": 443}
_NAME = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.?\Z")
# What some readers take for an IPv4 address: `127.1`, `2130706433`, `0x7f.0.0.1`.
_NUMBER = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)\Z")
_METADATA = frozenset({"metadata", "metadata.google.internal", "instance-data", "instance-data.ec2.internal"})
_METADATA_ADDRESSES = frozenset(map(ipaddress.ip_address, ("100.100.100.200", "fd00:ec2::254", "192.0.0.192")))
_HERE = "this machine"
Place = tuple[str, int]


def check_service_url(url: str, reserved: Iterable[str]) -> str:
    """The address as it goes into the settings. `reserved` are URLs that no service may be at.

    Raises `Malformed` (`console.service-url`) with what is wrong.
    """
    url = url.strip()
    if not 1 <= len(url) <= MAX_URL or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        _wrong("an address has 1 to 2000 ASCII characters and no spaces")
    parts = _split(url)
    if parts.query or parts.fragment or "?" in url or "#" in url:
        _wrong("the address has no query and no fragment: callers add what they ask")
    if parts.username is not None or parts.password is not None:
        _wrong("the address holds no name and no password")
    place = place_of(parts)
    if place in {place_of(_split(one)) for one in reserved}:
        _wrong("this is the console, the node or the registry itself, not a system behind them")
    return url


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as exc:
        raise Malformed("console.service-url", "not an address such as http://10.0.0.5:8080/api", at="caller") from exc
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or port == 0:
        _wrong("an address begins with http:// or https:// and names a host")
    return parts


def place_of(parts: SplitResult, code: str = "console.service-url") -> Place:
    """Host and port; every name of this machine is one. Raises `Malformed` of that code for what is no place."""
    host = (parts.hostname or "").lower()
    port = parts.port or _DEFAULT_PORTS[parts.scheme]
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return _named(host, code), port
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    address = mapped or address
    if address.is_link_local or address in _METADATA_ADDRESSES or address.is_multicast or address.is_unspecified:
        _wrong("link-local, metadata, multicast and unspecified addresses are no systems", code)
    return (_HERE if address.is_loopback else str(address)), port


def _named(host: str, code: str) -> str:
    bare = host.rstrip(".")
    if not _NAME.match(host) or _NUMBER.match(bare.rpartition(".")[2]):
        _wrong("the host is neither a name nor an IP address in its usual spelling", code)
    if bare in _METADATA:
        _wrong("this is a name of a cloud's metadata service", code)
    return _HERE if bare == "localhost" or bare.endswith(".localhost") else bare


def _wrong(detail: str, code: str = "console.service-url") -> NoReturn:
    raise Malformed(code, detail, at="caller")
