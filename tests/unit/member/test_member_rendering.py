"""A description as rows, and calls to copy: what a page shows of documents that others wrote."""

from __future__ import annotations

import ast
import json
import shlex
import time
from pathlib import Path
from typing import Any

import pytest

from qaztech.core.ids import ServiceId, SubsystemId
from qaztech.core.rights import Endpoint
from qaztech.member.openapi import read_description
from qaztech.member.rendering import MAX_ALL_ROWS, MAX_ALL_TEXT, MAX_ROWS, Rendered, RenderedOperation, render
from qaztech.member.samples import LANGUAGES, Call, endpoint_call, example_call, samples
from qaztech.testing import codes

PERMITS = Path(__file__).with_name("permits.openapi.yaml")
CLIENT = SubsystemId.parse("KZ/GOV/991340000017/permits")
SERVICE = ServiceId.parse("KZ/QUASI/991340000027/codes/it's")
EDGE = "http://127.0.0.1:8404/"
NASTY = '\'; rm -rf ~; $(id) `id` "\\" \\u0022 ${x} {y} !! \u202e қазақ\n@file'


def operation(rendered: Rendered, name: str) -> RenderedOperation:
    """The operation of this operationId."""
    return next(o for g in rendered.groups for o in g.operations if o.operation.operation_id == name)


def permits() -> Rendered:
    """The rendered description of permits."""
    return render(read_description(PERMITS.read_bytes()).document)


def hostile(**parts: Any) -> bytes:
    """A document that nobody has checked."""
    return json.dumps({"openapi": "3.0.3", "info": {"title": "a", "version": "1"}, **parts}).encode()


def test_operations_stand_under_their_tags_with_rows_for_every_body() -> None:
    """Parts of a schema are one list, a schema inside itself is named, required properties are marked."""
    rendered = permits()
    assert [(g.name, [o.operation.method for o in g.operations]) for g in rendered.groups] == [
        ("permits", ["GET", "POST"]),
        ("", ["GET", "DELETE"]),
    ]
    assert len({o.anchor for g in rendered.groups for o in g.operations}) == 4
    (permit,) = operation(rendered, "getPermit").responses
    assert [(r.depth, r.name, r.kind, r.required) for r in permit.bodies[0].rows] == [
        (0, "holder", "string", True),
        (0, "activity", "string", False),
        (0, "notify", "string (uri)", False),
        (0, "number", "integer", False),
        (0, "follows", "Permit", False),
        (0, "servers", "array of string", False),
        (0, "properties", "object", False),
    ]
    ask = operation(rendered, "askForPermit")
    assert ask.request_required
    assert json.loads(ask.request[0].example or "") == {"holder": "991340000017", "activity": "bakery"}
    assert [r.status for r in ask.responses] == ["202", "4XX"]


def test_alternatives_and_limits_are_shown() -> None:
    """The embedded country's own description: a list or an object of countries."""
    rendered = render(read_description(codes.OPENAPI.read_bytes()).document)
    assert [g.name for g in rendered.groups] == ["countries", "currencies", "languages", "scripts", "subdivisions"]
    rows = operation(rendered, "getCountry").responses[0].bodies[0].rows
    assert [r.name for r in rows if r.depth == 0] == ["or", "or"]
    assert next(r for r in rows if r.name == "alpha_2").limits == "pattern ^[A-Z]{2}$"


@pytest.mark.parametrize(
    "document",
    [
        hostile(paths=[]),
        hostile(paths={"/a": []}),
        hostile(paths={"/a": {"get": {"responses": [], "parameters": [{"name": [], "in": []}], "tags": [1]}}}),
        hostile(tags=[1, {"name": 2}], paths={"/a": {"get": {"requestBody": 1, "responses": {"200": 5}}}}),
        hostile(paths={"/a": {"post": {"requestBody": {"content": {"a/b": {"schema": {"type": [[]], "enum": {}}}}}}}}),
        hostile(paths={"/a": {"$ref": "#/paths/~1a"}}),
    ],
)
def test_a_document_that_nobody_checked_is_rendered_as_far_as_it_goes(document: bytes) -> None:
    """A member could publish it with a program of its own."""
    for group in render(document).groups:
        for rendered in group.operations:
            samples(example_call(rendered, edge=EDGE, client=CLIENT, service=SERVICE))


def test_few_lines_that_stand_for_very_many_cost_little() -> None:
    """Schemas that hold each other twenty times over, long texts that come again and again."""
    words = {w: {"$ref": f"#/components/schemas/{v}"} for w, v in zip("ABCDEFGH", "BCDEFGHI", strict=True)}
    schemas: dict[str, Any] = {w: {"allOf": [r] * 20, "oneOf": [r] * 20, "items": r} for w, r in words.items()}
    schemas["I"] = {"type": "object", "properties": {f"p{n}": {"$ref": "#/components/schemas/T"} for n in range(200)}}
    schemas["T"] = {"type": "string", "description": "x" * 10_000, "default": ["y" * 10_000]}
    body = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/A"}}}}
    paths = {f"/{n}": {"post": {"requestBody": body, "responses": {"200": body}}} for n in range(300)}
    begun = time.process_time()
    rendered = render(hostile(paths=paths, components={"schemas": schemas}))
    assert time.process_time() - begun < 5
    bodies = [b for g in rendered.groups for o in g.operations for b in (*o.request, *o.responses[0].bodies)]
    assert all(len(b.rows) <= MAX_ROWS for b in bodies)
    assert sum(len(b.rows) for b in bodies) <= MAX_ALL_ROWS
    assert sum(len(r.description) for b in bodies for r in b.rows) <= MAX_ALL_TEXT + 500


def test_an_example_is_made_where_none_is_given() -> None:
    """What must be there is there, in the shape of the schema, through references and cycles."""
    schema = {
        "type": "object",
        "required": ["on", "who", "kind"],
        "properties": {
            "on": {"type": "string", "format": "date"},
            "who": {"type": "object", "properties": {"bin": {"type": "string", "example": "991340000017"}}},
            "kind": {"enum": ["a", "b"]},
            "more": {"$ref": "#/paths"},
        },
    }
    body = {"content": {"application/json": {"schema": schema}}}
    (group,) = render(hostile(paths={"/a": {"post": {"requestBody": body, "responses": {}}}})).groups
    made = json.loads(group.operations[0].request[0].made or "")
    assert made == {"on": "2027-01-31", "who": {"bin": "991340000017"}, "kind": "a"}


def test_a_call_holds_what_is_required_and_nothing_else() -> None:
    """Path, query and body from the examples, the client in its header."""
    call = example_call(operation(permits(), "getPermit"), edge=EDGE, client=CLIENT, service=SERVICE)
    assert call == Call(
        method="GET",
        url="http://127.0.0.1:8404/r1/KZ/QUASI/991340000027/codes/it's/permits/1.json",
        headers=(("X-Road-Client", str(CLIENT)),),
        body=None,
    )
    call = example_call(operation(permits(), "listPermits"), edge=EDGE, client=CLIENT, service=SERVICE)
    assert call.url.endswith("/permits?bin=991340000017")
    call = example_call(operation(permits(), "askForPermit"), edge=EDGE, client=CLIENT, service=SERVICE)
    assert call.headers[-1] == ("Content-Type", "application/json")
    assert json.loads(call.body or "") == {"holder": "991340000017", "activity": "bakery"}


def test_an_example_of_dots_does_not_lead_elsewhere() -> None:
    """Clients tidy paths up before they send them."""
    parameter = {"name": "id", "in": "path", "required": True, "example": ".."}
    document = hostile(paths={"/a/{id}": {"get": {"parameters": [parameter], "responses": {}}}})
    call = example_call(render(document).groups[0].operations[0], edge=EDGE, client=CLIENT, service=SERVICE)
    assert call.url.endswith("/a/ID")


@pytest.mark.parametrize(
    ("endpoint", "method", "path"),
    [
        ("GET /a/*/b", "GET", "/a/VALUE/b"),
        ("* /**", "GET", "/"),
        ("PUT /it's/**", "PUT", "/it's"),
        ("GET /", "GET", "/"),
    ],
)
def test_an_endpoint_alone_can_be_called_too(endpoint: str, method: str, path: str) -> None:
    """A service without a description has rights, and what they name."""
    call = endpoint_call(Endpoint.parse(endpoint), edge=EDGE, client=CLIENT, service=SERVICE)
    assert (call.method, call.url) == (method, f"{EDGE}r1/{SERVICE}{path}")
    assert Endpoint.parse(endpoint).covers(method, path)


def nasty_call() -> Call:
    """A call from a description that tries to get out of every quote."""
    parameters = [
        {"name": name, "in": place, "required": True, "example": NASTY}
        for name, place in (("id", "path"), (NASTY, "query"), ("X-Note", "header"), ("X-Bad\r\n", "header"))
    ]
    body = {"content": {NASTY: {}, "application/json": {"example": NASTY}}}
    post = {"parameters": parameters, "requestBody": body, "responses": {}}
    (group,) = render(hostile(paths={"/it's/{id}": {"post": post}})).groups
    return example_call(group.operations[0], edge=EDGE, client=CLIENT, service=SERVICE)


def test_nothing_in_a_description_gets_out_of_its_quotes() -> None:
    """A shell takes the sample for one call with these arguments; Python and JSON read the literals back."""
    call = nasty_call()
    assert call.url.isascii()
    assert set(call.url) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~%/:?&=+'()!")
    assert [name for name, _ in call.headers] == ["X-Road-Client", "X-Note", "Content-Type"]
    assert all(value.isascii() and value.isprintable() for _, value in call.headers)
    assert call.body == NASTY.replace("\u202e", "")
    texts = samples(call)
    assert tuple(texts) == LANGUAGES
    words = shlex.split(texts["curl"].replace("\\\n", ""))
    assert words[:5] == ["curl", "-sS", "--fail-with-body", "-X", "POST"]
    assert words[words.index("--data-raw") + 1] == call.body
    assert words[-1] == call.url
    literals = {n.value for n in ast.walk(ast.parse(texts["python"])) if isinstance(n, ast.Constant)}
    assert {call.url, call.body} <= literals
    quoted = json.dumps(call.body, ensure_ascii=False)
    assert all(quoted in texts[language] for language in ("javascript", "java", "csharp"))
