"""The centre as a node reaches it through its own edge: what is sent, and what answers mean."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from operational_logs import CLIENT, SERVICE, Pair
from qaztech.core.errors import Conflict, Malformed, Unavailable, Untrusted
from qaztech.core.ids import NodeId
from qaztech.core.time import SystemClock
from qaztech.node.operational import Delivery, Held
from qaztech.node.operational_edge import EdgeCentre
from qaztech.node.settings import EdgeSettings, NodeSettings, OperationalSettings
from qaztech.trust.certificates import Authority, certificate_request, generate_key, key_pem

HELD = {"origin": "o", "size": 2, "root": "r"}


class Edge(HTTPServer):
    """Stands where the node's edge does: keeps what came, answers as told."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.came: list[tuple[str, str, dict[str, str], bytes]] = []
        self.answer: tuple[int, dict[str, str], bytes] = (200, {"X-Road-Request-Id": "m"}, json.dumps(HELD).encode())


class _Handler(BaseHTTPRequestHandler):
    server: Edge
    timeout = 20  # seconds a caller may be silent: a server of one thread would else not stop

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.server.came.append((self.command, self.path, dict(self.headers.items()), body))
        status, headers, data = self.server.answer
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    do_POST = do_GET  # noqa: N815  # the name that http.server looks for

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def running(edge: Edge) -> Iterator[Edge]:
    thread = threading.Thread(target=edge.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield edge
    finally:
        edge.shutdown()
        thread.join()
        edge.server_close()


@pytest.fixture
def edge() -> Iterator[Edge]:
    """An edge over plain HTTP."""
    with running(Edge()) as edge:
        yield edge


def centre(edge: Edge, base: Path = Path(), *, certificate: str = "", **operational) -> EdgeCentre:
    """The centre, by the settings of a node."""
    wanted = OperationalSettings(**{"service": SERVICE, "client": CLIENT, **operational})
    settings = NodeSettings(
        id="KZ/GOV/991340000017/node1", directory=".", anchor="a", registry="r", members=[], operational=wanted,
        edge=EdgeSettings(port=edge.server_port, certificate=certificate),
    )  # fmt: skip
    return EdgeCentre(settings, base)


def test_a_delivery_is_a_call_of_the_service(edge: Edge, tmp_path: Path) -> None:
    """As the client that the settings name, with its token, the manifest's line and then the files."""
    (tmp_path / "token").write_text("secret\n")
    (tmp_path / "part").write_bytes(b"x")
    pair = Pair()
    pair.answered()
    delivery = Delivery(manifest=pair.consumer.manifest(0, 2), files=(tmp_path / "part",))
    assert centre(edge, tmp_path, token_file="token").deliver(delivery) == ("m", Held(**HELD))
    ((method, path, headers, body),) = edge.came
    assert (method, path, headers["X-Road-Client"]) == ("POST", f"/r1/{SERVICE}/deliveries", CLIENT)
    assert headers["Authorization"] == "Bearer secret"
    assert body == b"".join(delivery.body())
    assert len(body) == delivery.length


def test_a_question_names_the_log(edge: Edge) -> None:
    """Without a token where none is set."""
    assert centre(edge).held("kz/log/1") == Held(**HELD)
    ((_, path, headers, _),) = edge.came
    assert path == f"/r1/{SERVICE}/held?origin=kz%2Flog%2F1"
    assert "Authorization" not in headers


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((409, {}, b'{"code": "operational.gap"}'), Conflict),
        ((409, {"X-Road-Error": "server.x"}, b"{}"), Unavailable),
        ((500, {"X-Road-Error": "server.x"}, b'{"type": "server.x", "message": "no"}'), Unavailable),
        ((403, {}, b"\xff"), Unavailable),
        ((200, {}, b"[]"), Untrusted),
        ((200, {}, b"\xff"), Untrusted),
        ((200, {}, b'{"origin": "o", "size": "2", "root": "r"}'), Untrusted),
    ],
)
def test_what_other_answers_mean(edge: Edge, answer: tuple, error: type[Exception]) -> None:
    """The centre has something else; it was not delivered; it is no answer."""
    edge.answer = answer
    with pytest.raises(error):
        centre(edge).held("o")


def test_an_edge_that_is_not_there(edge: Edge) -> None:
    """The node may be down; the next round makes up for it."""
    edge.server_close()
    with pytest.raises(Unavailable) as caught:
        centre(edge).held("o")
    assert caught.value.code == "operational.undelivered"


@pytest.mark.parametrize("missing", ["service", "client"])
def test_settings_that_do_not_say_where_to(edge: Edge, missing: str) -> None:
    """Both are needed."""
    with pytest.raises(Malformed):
        centre(edge, **{missing: ""})


def test_an_edge_with_a_certificate_is_known_by_it(tmp_path: Path) -> None:
    """Whatever the name in it; another certificate is not the node's own, and nothing is sent."""
    node, now = NodeId.parse("KZ/GOV/991340000017/node1"), SystemClock().now()
    authority = Authority.create("KZ", now)
    for name in ("own", "other"):
        key = generate_key()
        (tmp_path / f"{name}.key").write_bytes(key_pem(key))
        (tmp_path / f"{name}.pem").write_bytes(authority.issue(certificate_request(key, node), node, now))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "own.pem", tmp_path / "own.key")
    edge = Edge()
    edge.socket = context.wrap_socket(edge.socket, server_side=True)
    edge.handle_error = lambda *_: None
    with running(edge):
        assert centre(edge, tmp_path, certificate="own.pem").held("o") == Held(**HELD)
        with pytest.raises(Unavailable):
            centre(edge, tmp_path, certificate="other.pem").held("o")
    assert len(edge.came) == 1
