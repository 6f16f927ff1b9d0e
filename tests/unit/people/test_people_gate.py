"""The gate: every role against every scope, sessions and their end, forms of others, tokens."""

from __future__ import annotations

import re
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from people_console import PASSWORD, ROLES, Visitor
from qaztech.core.errors import Error, Malformed
from qaztech.core.time import ManualClock
from qaztech.people.actors import COMMAND_LINE
from qaztech.people.gate import Gate
from qaztech.people.people import People
from qaztech.people.roles import allowed
from qaztech.runtime.shell import application
from qaztech.web.sign_in import sign_in_routes

SITE = {"kk": "Тізілім", "ru": "Реестр", "en": "Registry"}
SCOPES = sorted(frozenset().union(*ROLES.values()))
HOLDERS = {"administrator": "aigerim", "service-owner": "olzhas", "developer": "dana", "": "nobody"}
COOKIE = "qaztech-8410"
DAY = 86_400_000


@pytest.fixture
def gate(people: People) -> Gate:
    """Of a console on this machine."""
    return Gate(people, origin="http://localhost:8410")


@pytest.fixture
def app(people: People, gate: Gate) -> Any:
    """A console with one route for each scope, read and changed alike."""

    def route(scope: str) -> Route:
        async def answer(request: Request) -> Response:
            person = await gate.require(request, scope)
            return Response(person.name)

        return Route(f"/{scope.replace(':', '/')}", answer, methods=["GET", "POST"])

    routes, _ = sign_in_routes(people, gate, site=SITE)
    return application([*routes, *map(route, SCOPES)])


def entered(app: Any, name: str) -> Visitor:
    """Somebody who has signed in."""
    visitor = Visitor(app)
    assert visitor.sign_in(name, PASSWORD).status == 303
    return visitor


def code(reply: Any) -> str:
    """The code of a refusal."""
    return str(reply.json()["code"])


@pytest.mark.parametrize("role", HOLDERS)
def test_every_role_may_what_its_table_says_and_nothing_else(app: Any, role: str) -> None:
    """The whole matrix, reading and changing; a role in no table may nothing."""
    visitor = entered(app, HOLDERS[role])
    token = visitor.send_json("GET", "/api/session").json()["csrf"]
    for scope in SCOPES:
        path = f"/{scope.replace(':', '/')}"
        expected = 200 if allowed(ROLES, role, scope) else 403
        assert visitor.get(path).status == expected
        assert visitor.submit(path, {"csrf": token}).status == expected


def test_nobody_knows_a_visitor(app: Any) -> None:
    """Without session and token every route asks to sign in, and says how."""
    for scope in SCOPES:
        reply = Visitor(app).get(f"/{scope.replace(':', '/')}")
        assert (reply.status, code(reply)) == (401, "session.missing")
        assert reply.headers["www-authenticate"] == "Bearer"


def test_an_unknown_role_or_scope_is_never_allowed() -> None:
    """Nothing by omission."""
    assert not allowed(ROLES, "emperor", "services:read")
    assert not allowed(ROLES, "administrator", "treasury:write")


@pytest.mark.parametrize(
    ("fields", "headers", "why"),
    [
        ({}, {}, "session.csrf"),
        ({"csrf": "0" * 64}, {}, "session.csrf"),
        ({}, {"x-csrf-token": "ж"}, "session.csrf"),
        (None, {"origin": "https://evil.example"}, "session.origin"),
        (None, {"origin": "null"}, "session.origin"),
        (None, {"sec-fetch-site": "same-site"}, "session.origin"),
        (None, {"sec-fetch-site": "cross-site"}, "session.origin"),
    ],
)
def test_a_form_of_somebody_else_changes_nothing(app: Any, fields: Any, headers: dict[str, str], why: str) -> None:
    """Without the session's own token, or from another page, a cookie is not enough."""
    visitor = entered(app, "aigerim")
    own = {"csrf": visitor.get("/api/session").json()["csrf"]}
    reply = visitor.submit("/services/write", own if fields is None else fields, headers)
    assert (reply.status, code(reply)) == (403, why)
    assert visitor.submit("/services/write", own).status == 200


def test_a_form_needs_to_say_where_it_comes_from(app: Any) -> None:
    """Browsers always do; a program uses a token instead of a cookie."""
    visitor = entered(app, "aigerim")
    silent = Visitor(app, origin=None)
    silent.cookies = visitor.cookies
    own = visitor.get("/api/session").json()["csrf"]
    assert code(silent.submit("/services/write", {"csrf": own})) == "session.origin"


def test_the_csrf_token_of_one_session_is_none_of_another(app: Any) -> None:
    """It is bound to the session, not to the account."""
    first, second = entered(app, "aigerim"), entered(app, "aigerim")
    own = first.get("/api/session").json()["csrf"]
    assert code(second.submit("/services/write", {"csrf": own})) == "session.csrf"


def test_the_token_of_a_file_upload_is_found_in_it(app: Any) -> None:
    """Multipart forms carry it as a field like others."""
    visitor = entered(app, "aigerim")
    token = visitor.get("/api/session").json()["csrf"]
    for value, status in [(token, 200), ("0" * 64, 403)]:
        body = f'--x\r\nContent-Disposition: form-data; name="csrf"\r\n\r\n{value}\r\n--x--\r\n'.encode()
        kind = {"content-type": "multipart/form-data; boundary=x"}
        assert visitor.send("POST", "/services/write", body, kind).status == status


def test_a_planted_session_is_replaced_at_sign_in(app: Any, people: People) -> None:
    """Fixation: what a browser held before means nothing after, and an own older session ends."""
    visitor = Visitor(app)
    visitor.cookies[COOKIE] = "A" * 43
    visitor.sign_in("dana", PASSWORD)
    first = visitor.cookies[COOKIE]
    assert first != "A" * 43
    assert people.by_session("A" * 43) is None
    visitor.get("/sign-in")
    reply = visitor.send_json("POST", "/api/session", {"name": "dana", "password": PASSWORD})
    assert reply.status == 201
    assert visitor.cookies[COOKIE] != first
    assert people.by_session(first) is None


def test_a_planted_visitors_token_is_gone_after_sign_in(app: Any) -> None:
    """What a form before sign-in was bound to does not live on."""
    visitor = Visitor(app)
    visitor.sign_in("dana", PASSWORD)
    assert list(visitor.cookies) == [COOKIE]


def test_a_session_ends_when_it_idles_and_when_it_is_old(app: Any, clock: ManualClock) -> None:
    """Thirty minutes without a request, or twelve hours however busy."""
    visitor = entered(app, "dana")
    clock.advance(29 * 60_000)
    assert visitor.get("/services/read").status == 200
    clock.advance(31 * 60_000)
    assert visitor.get("/services/read").status == 401
    visitor = entered(app, "dana")
    for _ in range(12 * 3 - 1):
        clock.advance(20 * 60_000)
        assert visitor.get("/services/read").status == 200
    clock.advance(20 * 60_000)
    assert visitor.get("/services/read").status == 401


@pytest.mark.parametrize("change", ["password", "roles", "disabled", "sign-out"])
def test_a_session_ends_with_a_change_that_matters(app: Any, people: People, change: str) -> None:
    """All sessions of the account, and at sign-out the one that was left."""
    visitor, elsewhere = entered(app, "olzhas"), entered(app, "olzhas")
    if change == "password":
        people.accounts.set_password("olzhas", "бес елі ауызға он елі қақпақ", by=COMMAND_LINE)
    elif change == "roles":
        people.accounts.set_roles("olzhas", ["developer"], by=COMMAND_LINE)
    elif change == "disabled":
        people.accounts.set_disabled("olzhas", True, by=COMMAND_LINE)
    else:
        token = visitor.get("/api/session").json()["csrf"]
        held = dict(visitor.cookies)
        assert visitor.submit("/sign-out", {"csrf": token}).status == 303
        assert visitor.cookies == {}
        visitor.cookies = held
    assert visitor.get("/services/read").status == 401
    assert elsewhere.get("/services/read").status == (200 if change == "sign-out" else 401)


def test_a_token_may_what_it_was_given_as_long_as_its_owner_may(app: Any, people: People, clock: ManualClock) -> None:
    """Scopes of the token and of the owner's roles, both; no cookie and no CSRF token beside it."""
    owner = people.accounts.named("olzhas")
    secret, token = people.tokens.create(
        owner.id, "ci", ["services:write", "people:read"], clock.now() + DAY, by=COMMAND_LINE
    )
    program = Visitor(app, origin=None)
    bearer = {"authorization": f"Bearer {secret}"}
    assert program.submit("/services/write", {}, bearer).status == 200
    assert program.get("/services/read", bearer).status == 403
    assert program.get("/people/read", bearer).status == 403
    assert people.tokens.of(owner.id)[0].used == clock.now()
    people.accounts.set_roles("olzhas", ["developer"], by=COMMAND_LINE)
    assert program.submit("/services/write", {}, bearer).status == 403
    people.accounts.set_roles("olzhas", ["service-owner"], by=COMMAND_LINE)
    assert program.submit("/services/write", {}, bearer).status == 200
    people.accounts.set_disabled("olzhas", True, by=COMMAND_LINE)
    assert program.submit("/services/write", {}, bearer).status == 401
    people.accounts.set_disabled("olzhas", False, by=COMMAND_LINE)
    clock.advance(DAY)
    assert program.submit("/services/write", {}, bearer).status == 401
    assert token.id not in secret


@pytest.mark.parametrize("header", ["Bearer nothing", "Bearer qazt_" + "A" * 43, "Basic eDp5", "Bearer", "Ж ж"])
def test_a_wrong_token_is_refused_whatever_the_cookie(app: Any, header: str) -> None:
    """Who shows a token is judged by it."""
    visitor = entered(app, "aigerim")
    reply = visitor.get("/services/read", {"authorization": header})
    assert (reply.status, code(reply)) == (401, "token.refused")


def test_a_removed_token_is_none(app: Any, people: People, clock: ManualClock) -> None:
    """At once."""
    owner = people.accounts.named("dana")
    secret, token = people.tokens.create(owner.id, "x", ["services:read"], clock.now() + DAY, by=COMMAND_LINE)
    people.tokens.remove(owner.id, token.id, by=COMMAND_LINE)
    assert Visitor(app).get("/services/read", {"authorization": f"Bearer {secret}"}).status == 401


@pytest.mark.parametrize(
    ("scopes", "days", "name"),
    [([], 1, "x"), (["services"], 1, "x"), (["services:read"], 0, "x"), (["services:read"], 367, "x"),
     (["services:read"], 1, " "), (["services:read"], 1, "x" * 101), (["services:read"], 1, "a\nb")],
)  # fmt: skip
def test_a_token_that_makes_no_sense_is_not_made(
    people: People, clock: ManualClock, scopes: Any, days: int, name: str
) -> None:
    """Scopes, an end within a year, a printable name."""
    owner = people.accounts.named("dana").id
    with pytest.raises(Malformed):
        people.tokens.create(owner, name, scopes, clock.now() + days * DAY, by=COMMAND_LINE)
    assert people.tokens.of(owner) == []


def test_cookies_over_https_cannot_be_planted_by_neighbours(people: People) -> None:
    """`__Host-`, Secure, HttpOnly, Lax; named apart by port, for cookies know none."""
    gate = Gate(people, origin="https://console.example")
    response = Response()
    gate.let_in(response, "t" * 43)
    cookie = response.headers["set-cookie"]
    assert cookie.startswith("__Host-qaztech=")
    assert {"Secure", "HttpOnly", "SameSite=lax", "Path=/"} <= set(re.split("; ", cookie))
    assert "Domain" not in cookie
    assert Gate(people, origin="http://127.0.0.1:8411").cookie != Gate(people, origin="http://127.0.0.1:8412").cookie


@pytest.mark.parametrize("origin", ["console.example", "ftp://console.example", "https://", "https://a/b"])
def test_an_origin_must_be_one(people: People, origin: str) -> None:
    """A wrong setting is refused at the start."""
    with pytest.raises(Error):
        Gate(people, origin=origin)
