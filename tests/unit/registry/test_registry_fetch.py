"""Fetching over HTTP from a server that may be anything: limits hold, and only our errors come out."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from qaztech.core.errors import Limited, Malformed, NotFound, Unavailable
from qaztech.registry.fetch import HttpFetcher


@contextmanager
def server(
    status: int, headers: dict[str, str], body: bytes, *, close: bool = False, dated: bool = True
) -> Iterator[tuple[str, list[str]]]:
    """A server that always answers the same; its URL, and what was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        timeout = 20  # seconds a caller may be silent: a server of one thread would else not stop

        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status) if dated else self.send_response_only(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if "Content-Length" not in headers:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            # As a server does that drops idle connections without a word.
            self.close_connection = close

        def log_message(self, *args: object) -> None:
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listening.daemon_threads = True
    thread = threading.Thread(target=lambda: listening.serve_forever(0.01))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.server_address[1]}/base", asked
    finally:
        listening.shutdown()
        thread.join()
        listening.server_close()


def test_what_is_there_is_fetched_below_the_url() -> None:
    """One path below `/registry/`, percent signs kept."""
    with server(200, {}, b"data") as (url, asked):
        fetcher = HttpFetcher(url)
        assert fetcher.fetch("targets/members/GOV/x%2Fy.json", 4) == b"data"
        assert asked == ["/base/registry/targets/members/GOV/x%2Fy.json"]
        with pytest.raises(Limited):
            fetcher.fetch("x", 3)
        fetcher.close()


def test_a_bomb_does_not_go_off() -> None:
    """What is compressed is measured as it unfolds."""
    bomb = gzip.compress(bytes(50_000_000))
    with server(200, {"Content-Encoding": "gzip"}, bomb) as (url, _):
        fetcher = HttpFetcher(url)
        with pytest.raises(Limited):
            fetcher.fetch("x", 1000)
        fetcher.close()
    with server(200, {"Content-Encoding": "gzip"}, gzip.compress(b"data") + b"more") as (url, _):
        fetcher = HttpFetcher(url)
        with pytest.raises((Limited, Unavailable)):
            fetcher.fetch("x", 1000)
        fetcher.close()


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"Content-Encoding": "gzip"}, gzip.compress(b"data")[:-6]),
        ({"Content-Encoding": "gzip"}, b"not gzip"),
        ({"Content-Encoding": "gzip"}, b""),
        ({"Content-Length": "100", "Connection": "close"}, b"short"),
        ({"Transfer-Encoding": "chunked", "Connection": "close", "Content-Length": ""}, b"zz\r\nx"),
    ],
    ids=["cut", "noise", "empty", "short", "chunks"],
)
def test_what_breaks_off_is_unavailable(headers: dict[str, str], body: bytes) -> None:
    """Cut, garbled, or shorter than announced."""
    with server(200, headers, body, close=True) as (url, _):
        fetcher = HttpFetcher(url)
        with pytest.raises(Unavailable):
            fetcher.fetch("x", 1000)
        fetcher.close()


@pytest.mark.parametrize(("status", "kind"), [(404, NotFound), (403, NotFound), (500, Unavailable), (302, Unavailable)])
def test_other_answers_are_told_apart(status: int, kind: type[Exception]) -> None:
    """Not there is one thing, not now another; nobody is followed elsewhere. A refusal keeps the connection."""
    with server(status, {"Location": "http://example.com/"}, b"no") as (url, asked):
        fetcher = HttpFetcher(url)
        for _ in range(2):
            with pytest.raises(kind):
                fetcher.fetch("x", 1000)
        assert len(asked) == 2
        fetcher.close()


def test_a_connection_dropped_meanwhile_is_made_anew() -> None:
    """An idle connection may be closed by the other side at any time."""
    with server(200, {}, b"data", close=True) as (url, asked):
        fetcher = HttpFetcher(url)
        for _ in range(3):
            assert fetcher.fetch("x", 10) == b"data"
        assert len(asked) == 3
        fetcher.close()


def test_nobody_there_is_unavailable() -> None:
    """A refused connection; an address that is none."""
    fetcher = HttpFetcher("http://127.0.0.1:9")
    with pytest.raises(Unavailable):
        fetcher.fetch("x", 10)
    for url in ("ftp://example.com", "example.com", "http://"):
        with pytest.raises(Malformed):
            HttpFetcher(url)
    assert HttpFetcher("https://example.com")._parts.scheme == "https"


@pytest.mark.parametrize(
    ("headers", "time"),
    [
        ({"Date": "Fri, 15 Jan 2027 08:00:00 GMT"}, 1_800_000_000_500),
        ({"Date": "Fri, 15 Jan 2027 08:00:00 GMT", "Age": "60"}, 1_800_000_060_500),
        ({"Date": "Fri, 15 Jan 2027 08:00:00 GMT", "Age": "9" * 400}, 1_800_000_000_500),
        ({"Date": "yesterday"}, None),
        ({"Date": "Fri, 99 Jan 99999999 08:00:00 GMT"}, None),
    ],
)
def test_the_registrys_clock_is_heard_from_its_answers(headers: dict[str, str], time: int | None) -> None:
    """`Date`, with what a cache adds to it; what is no date is not heard, and hurts nothing."""
    heard: list[int] = []
    with server(404, headers, b"", dated=False) as (url, _):
        fetcher = HttpFetcher(url, heard=heard.append)
        with pytest.raises(NotFound):
            fetcher.fetch("x", 1000)
        fetcher.close()
    assert heard == ([] if time is None else [time])
