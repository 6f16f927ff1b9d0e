"""A member asks the centre: what it says is taken as far as it has the form, and not asked again at once."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from qaztech.core.errors import Malformed, Unavailable
from qaztech.core.time import ManualClock
from qaztech.member.centre import FRESH_MS, Centre, centre_of

SERVICE, CLIENT = "KZ/EDU/991340000037/support-center/operational", "KZ/GOV/991340000017/permits"
TOTAL = {
    "day": "2026-11-23", "client": CLIENT, "service": SERVICE, "calls": 2, "succeeded": 2, "refused": 0,
    "unanswered": 0, "request_bytes": 1, "response_bytes": 2, "mean_ms": 3.5, "what_comes_later": 1,
}  # fmt: skip


class Edge:
    """The edge of the own node, behind which the centre answers whatever a test says."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None, str | None]] = []
        self.answers: dict[str, tuple[int, bytes]] = {}
        edge = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                edge.asked.append((self.path, self.headers["X-Road-Client"], self.headers["Authorization"]))
                name = self.path.partition("?")[0].rpartition("/")[2]
                status, body = edge.answers.get(name, (200, b"[]"))
                self.send_response(status)
                if status != 200:
                    self.send_header("X-Road-Error", "Server.ServerProxy.AccessDenied")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()


@pytest.fixture
def edge() -> Iterator[Edge]:
    edge = Edge()
    yield edge
    edge.server.shutdown()
    edge.thread.join(5)
    edge.server.server_close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_800_000_000_000)


def centre(edge: Edge, clock: ManualClock) -> Centre:
    found = centre_of(SERVICE, CLIENT, edge=edge.url, token="t0ken", clock=clock)
    assert found is not None
    return found


def test_what_is_ours_is_asked_by_exchanges_of_ours(edge: Edge, clock: ManualClock) -> None:
    """Three calls through the own edge, as the own subsystem; asked again only after a while."""
    edge.answers["totals"] = (200, json.dumps([TOTAL]).encode())
    known = centre(edge, clock)
    assert [each.calls for each in known.known(0, 10).totals] == [2]
    assert edge.asked == [
        (f"/r1/{SERVICE}/totals?since=0&until=10", CLIENT, "Bearer t0ken"),
        (f"/r1/{SERVICE}/exchanges?since=0&until=10", CLIENT, "Bearer t0ken"),
        (f"/r1/{SERVICE}/findings", CLIENT, "Bearer t0ken"),
    ]
    known.known(0, 10)
    assert len(edge.asked) == 3
    clock.advance(FRESH_MS)
    known.known(0, 10)
    assert len(edge.asked) == 6


@pytest.mark.parametrize(
    "answer",
    [(500, b"{}"), (403, b"{}"), (200, b"{"), (200, b'[{"day": 1}]'), (200, b"\xff"), (200, b"[" * 5000)],
)
def test_whatever_else_it_says_is_not_shown(edge: Edge, clock: ManualClock, answer: tuple[int, bytes]) -> None:
    """Refusals, broken JSON, other forms: told as a centre that does not answer as it should."""
    edge.answers["totals"] = answer
    with pytest.raises(Unavailable) as caught:
        centre(edge, clock).known(0, 10)
    assert caught.value.code == "centre.silent"


def test_an_answer_without_end_is_not_read_to_its_end(
    edge: Edge, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No more than so many bytes."""
    monkeypatch.setattr("qaztech.member.centre.MAX_ANSWER", 100)
    edge.answers["totals"] = (200, b"[" + b" " * 200 + b"]")
    with pytest.raises(Unavailable):
        centre(edge, clock).known(0, 10)


def test_a_silent_node_is_told(clock: ManualClock) -> None:
    """And names that are none are refused at the start; without a name there is no centre."""
    found = centre_of(SERVICE, CLIENT, edge="http://127.0.0.1:9", token="", clock=clock)
    assert found is not None
    with pytest.raises(Unavailable) as caught:
        found.known(0, 1)
    assert caught.value.code == "access.no-edge"
    with pytest.raises(Malformed):
        centre_of("KZ/EDU", CLIENT, edge="http://127.0.0.1:9", token="", clock=clock)
    with pytest.raises(Malformed):
        centre_of(SERVICE, CLIENT, edge="ftp://127.0.0.1", token="", clock=clock)
    assert centre_of("", "", edge="", token="", clock=clock) is None
