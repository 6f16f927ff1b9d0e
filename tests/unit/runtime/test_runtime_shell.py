"""The ASGI shell: one form of error, limits before work, an operator's token."""

from __future__ import annotations

import asyncio
import socket
from hashlib import sha256
from typing import Any

import msgspec
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from asgi_caller import Caller
from qaztech.core.errors import Conflict, Error, Limited, Unauthenticated, Unavailable
from qaztech.runtime.shell import (
    Shell,
    ShellLimits,
    application,
    is_loopback,
    problem,
    read_json,
    require_free,
    require_operator,
    serve,
)
from qaztech.runtime.telemetry import Metrics


class Asked(msgspec.Struct, forbid_unknown_fields=True):
    """What an endpoint of these tests expects."""

    number: int


async def echo(request: Request) -> Response:
    asked = await read_json(request, Asked)
    return JSONResponse({"number": asked.number})


async def refuse(_: Request) -> Response:
    raise Conflict("thing.conflict", "not now", at="registry", context="secret detail", retry_after=7)


async def break_(_: Request) -> Response:
    raise ZeroDivisionError("secret")


async def unavailable(_: Request) -> Response:
    raise Unavailable("thing.away", "later")


async def guarded(request: Request) -> Response:
    require_operator(request, sha256(b"token").digest())
    return Response("in")


ROUTES = [
    Route("/echo", echo, methods=["POST"]),
    Route("/refuse", refuse),
    Route("/break", break_),
    Route("/unavailable", unavailable),
    Route("/guarded", guarded),
]


@pytest.fixture
def http() -> Caller:
    """A caller with small limits on the other side."""
    return Caller(application(ROUTES, ShellLimits(body=100)))


def test_an_error_is_a_problem_document(http: Caller) -> None:
    """What may be shown is shown; the context never is (RFC 9457)."""
    answer = http.get("/refuse")
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "7"
    assert answer.json() == {
        "type": "urn:qaztech:error:thing.conflict",
        "title": "The request stands against the present state",
        "status": 409,
        "detail": "not now",
        "code": "thing.conflict",
        "at": "registry",
    }
    assert http.get("/unavailable").status_code == 503


def test_what_is_not_an_error_of_ours_is_not_shown(http: Caller) -> None:
    """A failure is logged, and told without its reason."""
    answer = http.get("/break")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal.failed")
    assert "secret" not in answer.text


@pytest.mark.parametrize(("path", "status"), [("/nowhere", 404), ("/echo", 405)])
def test_the_frameworks_refusals_have_the_same_form(http: Caller, path: str, status: int) -> None:
    """No such path, wrong method."""
    answer = http.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert answer.headers.get("allow") == ("POST" if status == 405 else None)


def test_a_number_that_is_longer_than_any_of_ours_is_no_path() -> None:
    """Neither a database nor Python reads it, and so a route must not be asked to."""

    async def answer(request: Request) -> Response:
        return JSONResponse(request.path_params["id"])

    caller = Caller(application([Route("/things/{id:int}", answer)]))
    assert caller.get(f"/things/{'9' * 15}").json() == int("9" * 15)
    for digits in (16, 30, 5000):
        refused = caller.get(f"/things/{'9' * digits}")
        assert (refused.status_code, refused.json()["code"]) == (404, "request.no-route")


def test_numbers_are_told_also_where_a_route_takes_all_that_is_left() -> None:
    """The portal has such a route."""

    async def nothing(_: Request) -> Response:
        return Response("all")

    caller = Caller(application([Route("/{path:path}", nothing)]))
    assert caller.get("/anything").text == "all"
    assert 'http_requests_total{route="/{path:path}",status="2xx"} 1' in caller.get("/metrics").text


def test_a_path_of_two_routes_says_all_its_methods() -> None:
    """RFC 9110 wants them all, and each route knows only its own."""

    async def nothing(_: Request) -> Response:
        return Response()

    two = application([Route("/x/{id}", nothing), Route("/x/{id}", nothing, methods=["POST"])])
    answer = asyncio.run(Caller(two).call("DELETE", "/x/1", b"", {}))
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, POST")


def test_bodies_are_read_strictly_and_within_the_limit(http: Caller) -> None:
    """Unknown fields, other types and too many bytes are refused."""
    assert http.post("/echo", json={"number": 1}).json() == {"number": 1}
    for body in (b"", b"{", b'{"number":"1"}', b'{"number":1,"x":2}', b"\xff", b"[" * 90):
        assert http.post("/echo", content=body).json()["code"] == "request.malformed"
    answer = http.post("/echo", content=b" " * 101)
    assert (answer.status_code, answer.json()["code"]) == (429, "request.too-large")


def test_a_body_that_hides_its_length_is_counted() -> None:
    """Chunks add up."""

    async def run() -> None:
        app = application(ROUTES, ShellLimits(body=100))
        chunks = [{"type": "http.request", "body": b" " * 60, "more_body": True}] * 3
        scope: dict[str, Any] = {
            "type": "http", "method": "POST", "path": "/echo", "raw_path": b"/echo", "root_path": "",
            "headers": [], "query_string": b"", "client": ("127.0.0.1", 1), "server": ("x", 1), "scheme": "http",
        }  # fmt: skip
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return chunks.pop()

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await app(scope, receive, send)
        assert sent[0]["status"] == 429

    asyncio.run(run())


def test_a_lie_about_the_length_is_refused(http: Caller) -> None:
    """Content-Length that is no number."""
    answer = asyncio.run(http.call("POST", "/echo", b"", {"Content-Length": "-1"}))
    assert answer.status_code == 429


def test_only_the_operator_on_this_machine_gets_in() -> None:
    """Address and token, both."""
    app = application(ROUTES)
    assert Caller(app).get("/guarded", {"Authorization": "Bearer token"}).text == "in"
    assert Caller(app, "::1").get("/guarded", {"Authorization": "bearer token"}).text == "in"
    assert Caller(app).get("/guarded").status_code == 401
    assert Caller(app).get("/guarded", {"Authorization": "Bearer tokem"}).status_code == 401
    assert Caller(app, "198.51.100.1").get("/guarded", {"Authorization": "Bearer token"}).status_code == 403
    assert not is_loopback("host.example")


def test_other_kinds_of_traffic_pass_through() -> None:
    """The shell is about HTTP."""
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    asyncio.run(Shell(app, ShellLimits(), Metrics())({"type": "lifespan"}, None, None))  # type: ignore[arg-type]
    assert seen == ["lifespan"]


def test_every_class_of_error_has_a_title() -> None:
    """The first sentence of its docstring."""
    for kind in (Limited, Unauthenticated, Error):
        response = problem(kind("a.b", "c"))
        assert response.status_code == kind.status
    assert "www-authenticate" in problem(Unauthenticated("a.b", "c")).headers


def test_a_server_stops_when_told() -> None:
    """Before it ever served, and while it serves."""

    async def run() -> None:
        stop = asyncio.Event()
        task = asyncio.create_task(serve(application(ROUTES), host="127.0.0.1", port=0, stop=stop))
        await asyncio.sleep(0.2)
        stop.set()
        await asyncio.wait_for(task, 5)

    asyncio.run(run())


def test_requests_are_counted_by_route_and_told_on_this_machine() -> None:
    """Never by path, which holds what people ask for; unknown paths are one route."""

    async def person(_: Request) -> Response:
        return Response("ok")

    routes = [Route("/people/{name}", person), Route("/refuse", refuse)]
    app = application(routes, gauges=lambda: {'logs{state="open"}': 2})
    http = Caller(app)
    for path in ("/people/aigerim", "/people/serik", "/refuse", "/nowhere", "/elsewhere"):
        http.get(path)
    text = http.get("/metrics").text
    assert 'qaztech_http_requests_total{route="/people/{name}",status="2xx"} 2' in text
    assert 'qaztech_http_requests_total{route="/refuse",status="4xx"} 1' in text
    assert 'qaztech_http_requests_total{route="other",status="4xx"} 2' in text
    assert 'qaztech_logs{state="open"} 2' in text
    assert "# TYPE qaztech_http_requests_total counter" in text
    assert text.count("# TYPE qaztech_http_requests_total") == 1
    assert float(text.rpartition("qaztech_process_resident_memory_bytes ")[2].split()[0]) > 1_000_000
    assert "aigerim" not in text
    assert Caller(app, address="192.0.2.1").get("/metrics").status_code == 403


def test_a_port_that_is_taken_is_named() -> None:
    """One sentence instead of a traceback: whoever reads it at night knows what to look for."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(Unavailable, match=f"cannot listen on 127.0.0.1:{port}: Address already in use") as refused:
            asyncio.run(asyncio.wait_for(serve_once(port), 10))
        with pytest.raises(Unavailable, match=f"cannot listen on 127.0.0.1:{port}: Address already in use"):
            require_free(("127.0.0.1", 0), ("127.0.0.1", port))
    assert refused.value.code == "process.port-taken"
    require_free(("127.0.0.1", port))


def test_where_it_listens_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """In one line, as an address that can be opened."""

    async def begin_and_stop(port: int) -> None:
        stop = asyncio.Event()
        serving = asyncio.create_task(serve(application([]), host="127.0.0.1", port=port, stop=stop))
        async with asyncio.timeout(10):
            while not caplog.records:
                await asyncio.sleep(0.01)
            stop.set()
            await serving

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    caplog.set_level("INFO", "qaztech.shell")
    asyncio.run(begin_and_stop(port))
    assert [(r.message, r.fields) for r in caplog.records] == [  # type: ignore[attr-defined]
        ("listening", {"address": f"http://127.0.0.1:{port}"})
    ]


async def serve_once(port: int) -> None:
    await serve(application(ROUTES), host="127.0.0.1", port=port, stop=asyncio.Event())
