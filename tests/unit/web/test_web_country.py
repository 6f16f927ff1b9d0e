"""What the page reads: the instance's file, the curl line, answers of nodes; and the picture it draws."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fake_country import FakeCountry
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qaztech.core.errors import Error, Limited, Malformed, NotFound, Unavailable
from qaztech.web.asking import ask, watch
from qaztech.web.country import call_of, parse_country, read_country
from qaztech.web.picture import Box, pictures, wrap
from qaztech.web.texts import LANGUAGES, catalogue

FILE = json.loads(FakeCountry(Path("anchor.json")).file())


def test_the_file_is_read_as_far_as_the_page_needs_it(tmp_path: Path) -> None:
    """Further fields are passed over; a file that is not there, or another, is said to be so."""
    path = tmp_path / "country.json"
    path.write_text(json.dumps(FILE))
    country = read_country(path)
    assert [node.name for node in country.nodes] == ["ministry", "registers", "university"]
    assert country.provides(country.node("registers"))[0].name == "codes"
    assert country.node("ministry").names.of("kk") == "ministry kk"
    with pytest.raises(NotFound):
        country.node("nobody")
    with pytest.raises(NotFound):
        read_country(tmp_path / "none.json")


@pytest.mark.parametrize("change", [{"registry": "ftp://x"}, {"registry": "nothing"}, {"nodes": 1}, {"instance": None}])
def test_another_file_is_refused(change: dict[str, Any]) -> None:
    """Addresses are http; fields have their types."""
    with pytest.raises(Malformed):
        parse_country(json.dumps(FILE | change).encode())


@settings(max_examples=100)
@given(st.binary(max_size=200))
def test_nothing_but_our_errors_escapes_the_reader(data: bytes) -> None:
    """Whatever the file holds."""
    with pytest.raises(Malformed):
        parse_country(data)


def test_the_call_is_the_one_that_is_shown() -> None:
    """A plain GET to this machine with its headers."""
    call = call_of("curl -i -H 'X-Road-Client: KZ/GOV/1/a' 'http://127.0.0.1:1/r1/x?a=b&c'")
    assert call is not None
    assert (call.url, call.headers) == ("http://127.0.0.1:1/r1/x?a=b&c", {"X-Road-Client": "KZ/GOV/1/a"})


@pytest.mark.parametrize(
    "line",
    ["", "curl", "wget http://127.0.0.1/", "curl -X POST http://127.0.0.1/", "curl -d a http://127.0.0.1/",
     "curl http://elsewhere.example/", "curl http://127.0.0.1/ http://127.0.0.1/", "curl 'http://127.0.0.1/",
     "curl -o /etc/passwd http://127.0.0.1/"],
)  # fmt: skip
def test_any_other_line_is_no_call(line: str) -> None:
    """What the page would not do itself it offers no button for."""
    assert call_of(line) is None


# Answers of nodes

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def server(*answers: bytes) -> AsyncIterator[str]:
    """Something that answers each connection with these bytes and closes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"".join(answers))
        await writer.drain()
        writer.close()

    running = await asyncio.start_server(serve, "127.0.0.1")
    port = running.sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}/x"
    finally:
        running.close()
        await running.wait_closed()


async def test_an_answer_is_read_whatever_its_framing() -> None:
    """By length, in chunks, or up to the end."""
    for framing in (
        b"Content-Length: 5\r\n\r\nhello",
        b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
        b"Connection: close\r\n\r\nhello",
    ):
        async with server(b"HTTP/1.1 404 No\r\nX-A: b\r\n", framing) as url:
            answer = await ask(url)
        assert (answer.status, answer.headers["x-a"], answer.body) == (404, "b", b"hello")


async def test_what_is_no_answer_is_one_of_our_errors() -> None:
    """Not HTTP, nothing at all, too much, too slow, or nobody there."""
    async with server(b"SSH-2.0-x\r\n") as url:
        with pytest.raises(Malformed):
            await ask(url)
    async with server(b"") as url:
        with pytest.raises(Unavailable):
            await ask(url)
    async with server(b"HTTP/1.1 200 OK\r\n\r\n", bytes(9 * 1024 * 1024)) as url:
        with pytest.raises((Limited, Unavailable)):
            await ask(url)
    with pytest.raises(Unavailable):
        await ask(url)
    with pytest.raises(Malformed):
        await ask("http://127.0.0.1:1/", headers={"A": "b\r\nC: d"})


async def test_events_are_read_one_by_one() -> None:
    """Names, data, comments; a stream that is refused or too much is an error."""
    stream = b": here\n\nevent: a\ndata: 1\n\ndata: 2\n\nevent: b\ndata: {}\n\nevent: c\n"
    async with server(b"HTTP/1.1 200 OK\r\n\r\n", stream) as url:
        assert [event async for event in watch(url)] == [("a", b"1"), ("message", b"2"), ("b", b"{}")]
    async with server(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n") as url:
        with pytest.raises(Unavailable):
            [event async for event in watch(url)]
    async with server(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 300_000) as url:
        with pytest.raises(Limited):
            [event async for event in watch(url)]


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60), st.booleans())
def test_nothing_but_our_errors_escapes_an_answer(data: bytes, begun: bool) -> None:
    """Whatever comes back."""

    async def run() -> None:
        async with server(b"HTTP/1.1 200 OK\r\n" if begun else b"", data) as url:
            try:
                await ask(url, seconds=1)
                [event async for event in watch(url, silence=1)]
            except Error:
                pass

    asyncio.run(run())


# The picture


@pytest.mark.parametrize("language", LANGUAGES)
def test_boxes_do_not_lie_on_each_other(language: str) -> None:
    """In both layouts, and everything is inside the picture."""
    for picture in pictures(parse_country(json.dumps(FILE).encode()), language, catalogue(language)):
        for i, a in enumerate(picture.boxes):
            assert a.x >= 0
            assert a.y >= 0
            assert a.x + a.width <= picture.width
            assert a.y + a.height <= picture.height
            assert not any(_overlap(a, b) for b in picture.boxes[i + 1 :]), (picture.name, a)
        keys = {line.key for line in picture.lines}
        assert keys >= {"caller ministry", "caller university", "system registers", "ministry registers"}


def _overlap(a: Box, b: Box) -> bool:
    return a.x < b.x + b.width and b.x < a.x + a.width and a.y < b.y + b.height and b.y < a.y + a.height


def test_long_names_are_cut() -> None:
    """At words where that is possible."""
    assert wrap("Ministry of Permits (demo)", 21) == ("Ministry of Permits", "(demo)")
    assert wrap("a b c d", 1, 2) == ("a", "b…") or len(wrap("a b c d", 1, 2)) == 2
    assert all(len(line) <= 12 for line in wrap("x" * 200 + " y", 10, 2))
