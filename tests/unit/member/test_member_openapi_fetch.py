"""Fetching an OpenAPI document by its address: only from where it may, only what is there, within bounds."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from document_host import Host, saying
from qaztech.core.errors import Error, Forbidden, Limited, Malformed, Unavailable
from qaztech.member.openapi_fetch import AT_ONCE, DescriptionFetcher
from qaztech.member.openapi_text import MAX_TEXT

DOCUMENT = b'{"openapi": "3.1.0"}'


@pytest.fixture
def host() -> Iterator[Host]:
    """A host with the document."""
    with Host(saying(f"200 OK\r\nContent-Length: {len(DOCUMENT)}", DOCUMENT)) as found:
        yield found


def refusal(fetcher: DescriptionFetcher, url: str) -> Error:
    """What is raised; it holds nothing of what the host said."""
    with pytest.raises(Error) as caught:
        fetcher.fetch(url)
    assert "secret" not in f"{caught.value} {caught.value.context}"
    return caught.value


def test_a_document_comes_from_a_host_that_is_named(host: Host) -> None:
    """The path and the query as they were typed, no credentials, nothing compressed."""
    fetcher = DescriptionFetcher([f"127.0.0.1:{host.port}"])
    assert fetcher.fetch(f" {host.url(path='/v1/openapi.json?lang=kk')} ") == DOCUMENT
    (asked,) = host.requests
    assert asked.startswith(b"GET /v1/openapi.json?lang=kk HTTP/1.1\r\n")
    assert b"cookie" not in asked.lower()
    assert b"authorization" not in asked.lower()


def test_no_host_is_asked_that_nobody_named(host: Host) -> None:
    """The words say how to name one; another port of a named host is another host."""
    for hosts in ([], ["127.0.0.1"], [f"127.0.0.1:{host.port + 1}"]):
        error = refusal(DescriptionFetcher(hosts), host.url())
        assert (type(error), error.code, "openapi_hosts" in error.detail) == (Forbidden, "openapi.host", True)
    assert host.requests == []


def test_the_members_own_systems_count_as_named(host: Host) -> None:
    """As the node is told of them at this moment; what is no address among them is passed over."""
    systems = ["not an address", f"http://localhost:{host.port}/api"]
    assert DescriptionFetcher(systems=lambda: systems).fetch(host.url()) == DOCUMENT
    systems.clear()
    assert refusal(DescriptionFetcher(systems=lambda: systems), host.url()).code == "openapi.host"


def test_console_node_and_registry_are_never_asked(host: Host) -> None:
    """Not by the address they go by, nor by another name of this machine, nor by a name that leads there."""
    named = [f"127.0.0.1:{host.port}", f"localhost:{host.port}", f"10.1.2.3:{host.port}", f"codes.example:{host.port}"]
    reserved = (f"http://127.0.0.1:{host.port}", f"http://10.1.2.3:{host.port}")
    fetcher = DescriptionFetcher(named, reserved=reserved, resolve=lambda *_: ["10.1.2.3"])
    for name in ("127.0.0.1", "localhost", "[::1]", "127.0.0.2", "10.1.2.3", "codes.example"):
        assert refusal(fetcher, host.url(name)).code == "openapi.host"
    assert host.requests == []


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"], ["::1"], ["::ffff:127.0.0.1"], ["169.254.169.254"], ["0.0.0.0"], ["fd00:ec2::254"],
        ["203.0.113.5", "127.0.0.1"], ["224.0.0.1"], ["fe80::1%eth0"],
    ],
)  # fmt: skip
def test_a_name_does_not_lead_to_this_machine_or_to_metadata(host: Host, addresses: list[str]) -> None:
    """Whoever holds the name says where it leads; one bad address among several is enough."""
    fetcher = DescriptionFetcher([f"codes.example:{host.port}"], resolve=lambda *_: addresses)
    assert refusal(fetcher, host.url("codes.example")).code == "openapi.host"
    assert host.requests == []


def test_the_address_that_was_checked_is_the_one_connected_to(host: Host) -> None:
    """A name that means something else when asked again is asked once."""
    answers = iter([["127.0.0.1"], ["169.254.169.254"]])
    fetcher = DescriptionFetcher([f"api.localhost:{host.port}"], resolve=lambda *_: next(answers))
    assert fetcher.fetch(host.url("api.localhost")) == DOCUMENT
    assert next(answers) == ["169.254.169.254"]


def test_a_name_that_is_not_known(host: Host) -> None:
    """It is said, and nothing is asked."""

    def unknown(*_: object) -> list[str]:
        raise socket.gaierror

    fetcher = DescriptionFetcher([f"codes.example:{host.port}"], resolve=unknown)
    assert refusal(fetcher, host.url("codes.example")).code == "openapi.fetch"


def test_a_redirect_is_not_followed(host: Host) -> None:
    """Not even to a host that is named."""
    with Host(saying(f"302 Found\r\nLocation: {host.url()}\r\nContent-Length: 6", b"secret")) as sly:
        fetcher = DescriptionFetcher([f"127.0.0.1:{sly.port}", f"127.0.0.1:{host.port}"])
        assert refusal(fetcher, sly.url()).code == "openapi.fetch"
    assert host.requests == []


@pytest.mark.parametrize(
    "head",
    [
        "500 secret\r\nContent-Length: 6", "404 secret\r\nContent-Length: 6", "204 No Content", "secret",
        "200 OK\r\nContent-Length: 600", "200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 6",
        "200 OK\r\nTransfer-Encoding: chunked", "101 Switching Protocols", "200 OK" + "\r\nA: secret" * 200,
    ],
)  # fmt: skip
def test_what_is_no_document_is_not_told(head: str) -> None:
    """The status at most, never what the host sent."""
    with Host(saying(head, b"secret")) as odd:
        error = refusal(DescriptionFetcher([f"127.0.0.1:{odd.port}"], seconds=2), odd.url())
    assert (type(error), error.code) == (Unavailable, "openapi.fetch")


def test_a_document_is_not_longer_than_it_may_be() -> None:
    """By what it says of itself, and by what comes where it says nothing or never ends."""
    with Host(saying(f"200 OK\r\nContent-Length: {MAX_TEXT + 1}", b"{}")) as long:
        assert refusal(DescriptionFetcher([f"127.0.0.1:{long.port}"]), long.url()).code == "openapi.too-large"

    def endless(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"secret" * 10_000)

    with Host(endless) as host:
        assert refusal(DescriptionFetcher([f"127.0.0.1:{host.port}"]), host.url()).code == "openapi.too-large"


@pytest.mark.parametrize("first", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: ", b""])
def test_a_host_that_trickles_is_left_in_time(first: bytes) -> None:
    """A byte now and then, in the body or in the head, does not hold anybody longer than the time for all of it."""

    def trickling(connection: socket.socket) -> None:
        connection.sendall(first)
        while True:
            connection.sendall(b"a")
            time.sleep(0.05)

    with Host(trickling) as host:
        began = time.monotonic()
        error = refusal(DescriptionFetcher([f"127.0.0.1:{host.port}"], seconds=0.3), host.url())
    assert (error.code, time.monotonic() - began < 2) == ("openapi.fetch", True)


def test_few_are_fetched_at_once() -> None:
    """Who comes later is told to come again, and threads are left for the rest of the console."""
    go = threading.Event()

    def slow(connection: socket.socket) -> None:
        go.wait(5)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n{}")

    with Host(slow) as host:
        fetcher = DescriptionFetcher([f"127.0.0.1:{host.port}"], seconds=5)
        threads = [threading.Thread(target=fetcher.fetch, args=(host.url(),), daemon=True) for _ in range(AT_ONCE)]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 3
        while not host.requests and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.05)
        error = refusal(fetcher, host.url())
        go.set()
        for thread in threads:
            thread.join(5)
    assert (type(error), error.code) == (Limited, "openapi.busy")


@pytest.mark.parametrize(
    "url",
    [
        "", "file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1/", "//127.0.0.1/", "http://", "http:///x",
        "http://a:b@127.0.0.1/", "http://@127.0.0.1/", "http://127.0.0.1:99999/", "http://127.0.0.1:0/",
        "http://127.1/", "http://2130706433/", "http://0x7f.1/", "http://169.254.169.254/latest", "http://[fe80::1]/",
        "http://metadata.google.internal/", "http://127.0.0.1/#x", "http://127.0.0.1/a b", "http://127.0.0.1\\@a/",
        "http://127.0.0.1/\r\nX: y", "http://127.0.0.1%2f@b/", "http://әжі.example/", "http://a/" + "x" * 2000,
        "http://[::1", "http://0/",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(url: str) -> None:
    """Before anything is looked up."""
    error = refusal(DescriptionFetcher(["127.0.0.1"], resolve=lambda *_: pytest.fail("looked up")), url)
    assert (type(error), error.code) == (Malformed, "openapi.url")


@pytest.mark.parametrize("host", ["", "http://a", "a/b", "a:b", "a:", "u@a", "a:0", "a:70000", "127.1", "*", "[::1"])
def test_a_setting_that_names_no_host_is_refused(host: str) -> None:
    """At the start, not when somebody needs it."""
    with pytest.raises(Malformed) as caught:
        DescriptionFetcher([host])
    assert caught.value.code == "openapi.hosts"
