"""The try-it form: what may be tried, and that what stands in it reaches one place of one call and no other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from urllib.parse import urlencode

import msgspec
import pytest
from catalogue_country import HOST, NOWHERE, Shown, country_file, page_of, passport

from asgi_caller import Answer, Caller
from qaztech.core.errors import Forbidden, Limited, Malformed
from qaztech.core.ids import ServiceId, SubsystemId
from qaztech.core.rights import Endpoint
from qaztech.member.rendering import render
from qaztech.web.country import parse_country
from qaztech.web.portal import portal_app
from qaztech.web.try_page import A_MINUTE, EVERY, Pace
from qaztech.web.trying import Trial, Trier, call_for, trials
from registry_country import Country, quick_folder

SERVICE = ServiceId.parse("KZ/GOV/991340000017/main/books")
TRIER = Trier(client=SubsystemId.parse("KZ/EDU/991340000037/main"), edge="http://127.0.0.1:9", node="university")


def parameter(name: str, place: str, *, required: bool = False) -> dict[str, object]:
    return {"name": name, "in": place, "required": required or place == "path", "schema": {"type": "string"}}


DOCUMENT = {
    "openapi": "3.1.0",
    "info": {"title": "Books", "version": "1"},
    "paths": {
        "/books/{number}": {
            "get": {
                "parameters": [
                    parameter("number", "path"), parameter("q", "query"), parameter("Shelf", "header"),
                    parameter("Authorization", "header"), parameter("X-Road-UserId", "header"),
                    parameter("session", "cookie"),
                ],
                "responses": {"200": {"description": "It"}},
            },
            "delete": {"parameters": [parameter("number", "path")], "responses": {"200": {"description": "gone"}}},
        },
        "/secret": {"get": {"responses": {"200": {"description": "no right"}}}},
    },
}  # fmt: skip
RIGHTS = [Endpoint.parse("GET /books/*")]


@pytest.fixture(scope="module")
def offered() -> dict[str, Trial]:
    """What can be tried of the document, by path."""
    found = trials(render(json.dumps(DOCUMENT).encode()), RIGHTS)
    return {one.operation.path: one for one in found.values()}


def test_only_what_reads_is_offered_and_only_fields_of_the_services_own(offered: dict[str, Trial]) -> None:
    """No DELETE; nothing by which a caller is known, or that the connection needs."""
    assert [(path, one.operation.method, one.given) for path, one in offered.items()] == [
        ("/books/{number}", "GET", True), ("/secret", "GET", False)
    ]  # fmt: skip
    assert [field.parameter.name for field in offered["/books/{number}"].fields] == ["number", "q", "Shelf"]


def call(offered: dict[str, Trial], path: str = "/books/{number}", **values: str):
    return call_for(offered[path], values, trier=TRIER, service=SERVICE, rights=RIGHTS)


def test_a_value_stays_where_it_belongs(offered: dict[str, Trial]) -> None:
    """Whatever separates parts of a target is encoded; the client is whom the instance names."""
    made = call(offered, p0="b?c#d%2e", p1="1&x=2 ә", p2="top")
    assert made.url == f"http://127.0.0.1:9/r1/{SERVICE}/books/b%3Fc%23d%252e?q=1%26x%3D2%20%D3%99"
    assert made.headers == {"Shelf": "top", "X-Road-Client": str(TRIER.client)}


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"p0": ".."}, "number"),
        ({"p0": "../../other/service"}, "number"),
        ({"p0": ".\\..\\x"}, "number"),
        ({"p0": "%2e%2e"}, "number"),
        ({"p0": ""}, "number"),
        ({}, "number"),
        ({"p0": "a\r\nX-Road-Client: KZ/GOV/1/x"}, "number"),
        ({"p0": "a" * 501}, "number"),
        ({"p0": "a", "p1": "a\x00b"}, "q"),
        ({"p0": "a", "p1": "\ud800"}, "q"),
        ({"p0": "a", "p2": "top\r\nX-Road-Client: KZ/GOV/1/x"}, "Shelf"),
        ({"p0": "a", "p2": "жоғары"}, "Shelf"),
        ({"p0": "a", "p2": " top"}, "Shelf"),
    ],
)
def test_what_would_reach_elsewhere_is_refused(offered: dict[str, Trial], values: dict[str, str], field: str) -> None:
    """With the field's name."""
    with pytest.raises(Malformed, match=r"trial\.value") as refused:
        call(offered, **values)
    assert refused.value.detail == field


def test_without_a_right_there_is_no_call(offered: dict[str, Trial]) -> None:
    """Looked at for the very path: what a system may read as two segments is not one that `*` covers."""
    with pytest.raises(Forbidden, match=r"trial\.no-right"):
        call(offered, p0="a/b")
    with pytest.raises(Forbidden, match=r"trial\.no-right"):
        call(offered, "/secret")
    with pytest.raises(Forbidden, match=r"trial\.no-right"):
        call_for(offered["/books/{number}"], {"p0": "2"}, trier=TRIER, service=SERVICE,
                 rights=[Endpoint.parse("GET /books/1")])  # fmt: skip


def test_calls_are_counted_for_everybody_and_for_each() -> None:
    """One a moment; so many a minute from one address; another address is not held back by it."""
    now = [0.0]
    pace = Pace(lambda: now[0])
    pace.take("a")
    with pytest.raises(Limited):
        pace.take("b")
    for _ in range(A_MINUTE - 1):
        now[0] += EVERY
        pace.take("a")
    now[0] += EVERY
    with pytest.raises(Limited):
        pace.take("a")
    pace.take("b")
    now[0] += 61
    pace.take("a")


class Edge:
    """Stands where a node's edge would; keeps what reached it, answers what it is told to."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.body = b'{"book": "<b>\xd3\x99</b>"}'
        edge = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 20  # seconds a caller may be silent: a server of one thread would else not stop

            def do_GET(self) -> None:
                edge.seen.append((self.path, dict(self.headers.items())))
                self.send_response(200)
                self.send_header("X-Road-Request-Id", "0199b2f4-6c1d-7a52-9c3e-5b0c0f1f7a11")
                self.send_header("X-Evil", "<script>alert(1)</script>")
                self.send_header("Content-Length", str(len(edge.body)))
                self.end_headers()
                self.wfile.write(edge.body)

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self._thread = Thread(target=self.server.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()


class Visited:
    """A portal whose visitors try as the university, at an edge that is none."""

    def __init__(self, country: Country) -> None:
        self.shown = Shown(country)
        self.edge = Edge()
        self.environment("test")
        file = json.loads(country_file(country.directory / "anchor.json", self.shown, NOWHERE))
        client = self.shown.university.subsystem("main")
        file["nodes"][0] |= {"edge": self.edge.url, "system": str(client)}
        line = f"curl -i -H 'X-Road-Client: {client}' '{self.edge.url}/r1/KZ/GOV/1/x/y'"
        file["try"] = {"curl": line, "receipt": "", "verify": ""}
        self.portal = portal_app(
            parse_country(json.dumps(file).encode()), clock=country.clock, catalogues=self.shown.follower
        )
        self._version = 1

    def environment(self, which: str, version: int = 2) -> None:
        changed = msgspec.structs.replace(passport(), environment=which)
        self.shown.show(self.shown.ministry, changed, version)
        self.shown.follower.look()

    def page(self, service: ServiceId | None = None) -> str:
        caller = Caller(self.portal.app)
        return caller.get(page_of(service or self.shown.service), {"host": HOST, "accept": "text/html"}).text

    def send(self, service: ServiceId | None = None, *, origin: str | None = f"http://{HOST}", **values: str) -> Answer:
        document = self.page().partition('name="document" value="')[2][:64]
        body = {"document": document, "operation": "operation-1", **values}
        headers = {"host": HOST, "accept": "text/html", "content-type": "application/x-www-form-urlencoded"}
        if origin is not None:
            headers["origin"] = origin
        path = f"{page_of(service or self.shown.service)}/try"
        return Caller(self.portal.app).post(path, content=urlencode(body).encode(), headers=headers)


@pytest.fixture(scope="module")
def visited_once() -> Iterator[Visited]:
    with quick_folder() as folder:
        country = Country(folder)
        found = Visited(country)
        yield found
        found.edge.close()
        country.close()


@pytest.fixture
def visited(visited_once: Visited, monkeypatch: pytest.MonkeyPatch) -> Visited:
    """Tests need not wait between calls; that visitors must has a test of its own."""
    monkeypatch.setattr("qaztech.web.try_page.EVERY", 0.0)
    return visited_once


def test_a_visitor_tries_a_test_environment_and_sees_the_answer_as_text(visited: Visited) -> None:
    """Through the node, as the instance's system; markup of the answer is no markup here; the receipt is linked."""
    assert '<form method="post"' in visited.page()
    answer = visited.send(p0="7?8")
    assert answer.status_code == 200
    path, headers = visited.edge.seen[-1]
    assert path == f"/r1/{visited.shown.service}/certificates/7%3F8"
    assert headers["X-Road-Client"] == str(visited.shown.university.subsystem("main"))
    assert "&lt;b&gt;ә&lt;/b&gt;" in answer.text
    assert "<script>alert" not in answer.text
    assert 'href="/receipts/ministry/0199b2f4-6c1d-7a52-9c3e-5b0c0f1f7a11"' in answer.text


@pytest.mark.parametrize(
    ("body", "told"),
    [(b"", "empty"), (b"\xff\xfe\x00", "no text"), (b"a\x00b", "no text"), ("ә".encode() * 40_000, "first 64 KiB")],
)
def test_any_body_is_shown_as_what_it_is(visited: Visited, body: bytes, told: str) -> None:
    """Bounded; cut between letters, not within one."""
    before, visited.edge.body = visited.edge.body, body
    answer = visited.send(p0="7")
    visited.edge.body = before
    assert answer.status_code == 200
    assert told in answer.text
    assert len(answer.text) < 200_000


@pytest.mark.parametrize("origin", [None, "http://evil.example", "null", f"http://{HOST}.evil.example"])
def test_only_the_page_itself_sends_the_form(visited: Visited, origin: str | None) -> None:
    """No other site calls by a visitor's browser."""
    seen = len(visited.edge.seen)
    assert visited.send(p0="7", origin=origin).status_code == 403
    assert len(visited.edge.seen) == seen


def test_what_is_not_offered_is_not_called(visited: Visited) -> None:
    """Another service, another operation, a description of before, a climbing value, a body that is no form."""
    seen = len(visited.edge.seen)
    refused = [
        visited.send(visited.shown.plain, p0="7"), visited.send(p0="7", operation="operation-9"),
        visited.send(p0="7", document="0" * 64), visited.send(p0=".."), visited.send(p0="x" * 5000),
        visited.send(**{f"q{i}": "" for i in range(100)}),
    ]  # fmt: skip
    assert [answer.status_code for answer in refused] == [404, 404, 409, 400, 429, 400]
    assert len(visited.edge.seen) == seen


def test_a_production_service_is_never_tried(visited: Visited) -> None:
    """No form on its page, and none is taken."""
    form = visited.page().partition('name="document" value="')[2][:64]
    visited.environment("production", 3)
    seen = len(visited.edge.seen)
    assert "/try" not in visited.page()
    assert visited.send(p0="7", document=form).status_code == 404
    assert len(visited.edge.seen) == seen
    visited.environment("test", 4)


def test_after_many_calls_a_visitor_has_to_wait(visited: Visited) -> None:
    """And is told so."""
    statuses = [visited.send(p0="7").status_code for _ in range(A_MINUTE + 1)]
    assert statuses[-1] == 429
