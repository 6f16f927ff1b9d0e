"""The desk's side of the exchange: only its node is heard, as a node speaks; and calls by the own edge."""

from __future__ import annotations

from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from asgi_caller import Caller
from qaztech.core.errors import Conflict, Malformed, NotFound, Unavailable
from qaztech.core.ids import SubsystemId
from qaztech.member.access import Change, Standing, parse_standing
from qaztech.member.exchanges import CarriedCall, EdgeCaller, desk_exchange_app

SECRET, OTHER = "s" * 43, "t" * 43
CLIENT = SubsystemId.parse("KZ/EDU/991340000037/research")
CALLED = SubsystemId.parse("KZ/QUASI/991340000027/codes")
HEADERS = {
    "x-road-client": str(CLIENT), "x-road-request-id": "0199b2f4-6c1d-7a52-9c3e-5b0c0f1f7a11",
    "x-road-service": f"{CALLED}/accessRequests", "qaztech-client-lineage": "a" * 64,
}  # fmt: skip
STANDING = Standing(
    type="qaztech-access-standing 1", id="b" * 32, message="m", service="s", client=str(CLIENT), state="submitted",
    changes=(Change(state="submitted", time=1, role="client", reason=None, granted=None),),
)  # fmt: skip


class Scripted:
    """A desk that remembers what it was asked."""

    def __init__(self) -> None:
        self.asked = []

    def receive(self, body: bytes, call: CarriedCall) -> Standing:
        self.asked.append((body, call))
        return STANDING

    def standing(self, id_: str, call: CarriedCall) -> Standing:
        self.asked.append((id_, call))
        raise NotFound("access.unknown", "there is no such request for access", at="caller")

    def withdrawn(self, id_: str, call: CarriedCall) -> Standing:
        self.asked.append((id_, call))
        raise Conflict("access.state", "decided", at="caller")


@pytest.fixture
def desks():
    """Two members' desks in one console."""
    return Scripted(), Scripted()


@pytest.fixture
def node(desks):
    """Whoever calls the console's server."""
    return Caller(
        desk_exchange_app({sha256(s.encode()).digest(): d for s, d in zip((SECRET, OTHER), desks, strict=True)})
    )


def test_the_nodes_words_reach_the_desk_of_the_secret(node, desks):
    """Client, lineage, message and what was called; the answer is the standing."""
    answer = node.post(f"/exchanges/{SECRET}", content=b"body", headers=HEADERS)
    assert (answer.status_code, parse_standing(answer.content)) == (201, STANDING)
    [(body, call)] = desks[0].asked
    assert body == b"body"
    assert (call.client, call.lineage, call.message, call.called) == (
        CLIENT, "a" * 64, HEADERS["x-road-request-id"], CALLED
    )  # fmt: skip
    assert desks[1].asked == []


def test_a_desks_errors_are_told_by_their_slugs(node):
    """As problem+json."""
    unknown = node.get(f"/exchanges/{SECRET}/{'c' * 32}", headers=HEADERS)
    decided = node.post(f"/exchanges/{SECRET}/{'c' * 32}/withdrawal", headers=HEADERS)
    assert [(a.status_code, a.json()["code"]) for a in (unknown, decided)] == [
        (404, "access.unknown"), (409, "access.state")
    ]  # fmt: skip


@pytest.mark.parametrize("path", ["/exchanges/", "/exchanges/wrong", f"/exchanges/{SECRET}x", "/exchanges/wrong/abc"])
def test_without_the_secret_there_is_nothing(node, desks, path):
    """Not even an error that tells it from any other path."""
    answers = [node.post(path, headers=HEADERS), node.get(path, headers=HEADERS)]
    assert {answer.status_code for answer in answers} <= {404, 405}
    assert desks[0].asked == desks[1].asked == []


@pytest.mark.parametrize("changed", [
    {"x-road-client": "KZ/EDU"}, {"x-road-request-id": "m1"}, {"qaztech-client-lineage": "a"},
        {"x-road-service": f"{CALLED}/codes"}, {"x-road-service": None},
    {"x-road-request-id": None}, {"qaztech-client-lineage": None},
])  # fmt: skip
def test_who_speaks_otherwise_than_a_node_is_not_heard(node, desks, changed):
    """Every header is there and well-formed."""
    headers = {name: value for name, value in (HEADERS | changed).items() if value is not None}
    answer = node.post(f"/exchanges/{SECRET}", content=b"x", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "access.carried")
    assert desks[0].asked == []


def test_a_long_request_is_not_read(node, desks):
    """64 KiB and no more."""
    answer = node.post(f"/exchanges/{SECRET}", content=b"x" * 65537, headers=HEADERS)
    assert answer.json()["code"] == "request.too-large"
    assert desks[0].asked == []


def test_a_call_goes_through_the_own_edge():
    """With the client's name and token, to the subsystem of the provider."""
    seen = []

    class Edge(BaseHTTPRequestHandler):
        timeout = 20  # seconds a caller may be silent: a server of one thread would else not stop

        def do_POST(self):
            seen.append((self.path, dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(500)
            self.send_header("X-Road-Error", "server.clientproxy.unknown_member")
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Edge) as server:
        Thread(target=server.handle_request, daemon=True).start()
        edge = EdgeCaller(f"http://127.0.0.1:{server.server_port}", token="t")
        answer = edge.call("POST", CALLED, "", CLIENT, b"form")
    assert (answer.status, answer.fault) == (500, "server.clientproxy.unknown_member")
    [(path, headers, body)] = seen
    assert (path, body) == (f"/r1/{CALLED}/accessRequests", b"form")
    assert (headers["X-Road-Client"], headers["Authorization"]) == (str(CLIENT), "Bearer t")
    with pytest.raises(Unavailable):
        edge.call("GET", CALLED, "/x", CLIENT)
    with pytest.raises(Malformed):
        EdgeCaller("ftp://x")
