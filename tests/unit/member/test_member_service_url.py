"""Addresses of systems: what leads to a system passes, what leads to somebody's trust does not."""

from __future__ import annotations

import pytest

from qaztech.core.errors import Malformed
from qaztech.member.service_url import check_service_url

RESERVED = ("http://127.0.0.1:8420", "https://console.example", "http://127.0.0.1:4000", "http://registry.example:8401")


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9000", "http://localhost:9000/api", "https://10.0.0.5/api/v1", "http://192.168.1.7:8080/",
        "http://[::1]:9000/", "http://codes.internal:8080/codes", "https://console.example:8443", "http://[fd12::1]/x",
    ],
)  # fmt: skip
def test_systems_are_where_systems_live(url: str) -> None:
    """Also on this machine and in private networks."""
    assert check_service_url(f" {url} ", RESERVED) == url


@pytest.mark.parametrize(
    "url",
    [
        "", "ftp://10.0.0.5/", "file:///etc/passwd", "//10.0.0.5", "http://", "http://:80/", "http://a b/", "http://x:0/",
        "http://x:99999/", "http://x:y/", "http://user:pass@10.0.0.5/", "http://user@10.0.0.5/", "http://@10.0.0.5/",
        "http://10.0.0.5/?q=1", "http://10.0.0.5/#x", "http://10.0.0.5/?", "http://10.0.0.5\\@127.0.0.1:4000/",
        "http://10.0.0.5/\r\nHost: x", "http://жүйе/", "http://10.0.0.5/" + "a" * 2000,
        # Metadata and its kin, in every spelling.
        "http://169.254.169.254/latest", "http://[fe80::1]/", "http://[fe80::1%25eth0]/", "http://[::ffff:169.254.169.254]/",
        "http://metadata.google.internal/", "http://METADATA/", "http://100.100.100.200/", "http://[fd00:ec2::254]/",
        "http://0.0.0.0:9000/", "http://[::]:9000/", "http://224.0.0.1/",
        # Numbers that some readers take for addresses.
        "http://2130706433:4000/", "http://0x7f000001/", "http://127.1:4000/", "http://0177.0.0.1/", "http://1.2.3.0x4/",
        # The console, the node, the registry: by any name of this machine.
        "http://127.0.0.1:8420/exchanges/x", "http://localhost:8420", "http://127.8.8.8:4000/", "http://[::1]:4000",
        "http://[::ffff:127.0.0.1]:4000", "http://a.localhost:4000/", "https://console.example/", "https://CONSOLE.example:443",
        "http://registry.example:8401/manage", "http://registry.example.:8401/",
    ],
)  # fmt: skip
def test_what_is_no_system_is_refused(url: str) -> None:
    """With our own error, whatever was typed."""
    with pytest.raises(Malformed) as refused:
        check_service_url(url, RESERVED)
    assert refused.value.code == "console.service-url"
