"""The pages of signing in and of one's own account: three languages, problems in words, nothing without its form."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from databases import database_at
from people_console import CHEAP, ORIGIN, PASSWORD, ROLES, Visitor
from qaztech.core.errors import Unauthenticated
from qaztech.core.time import ManualClock
from qaztech.people.actors import COMMAND_LINE
from qaztech.people.gate import Gate
from qaztech.people.people import People, Person
from qaztech.people.tables import PEOPLE
from qaztech.runtime.database import open_database
from qaztech.runtime.shell import application
from qaztech.web.people_pages import people_texts, safe_next
from qaztech.web.sign_in import describe_routes, sign_in_routes
from qaztech.web.texts import LANGUAGES

SITE = {"kk": "Тізілім", "ru": "Реестр", "en": "Registry"}
NEW = "бес елі ауызға он елі қақпақ"


@pytest.fixture
def clock() -> ManualClock:
    """The time, which stands still until moved."""
    return ManualClock()


@pytest.fixture
def people(tmp_path: Path, clock: ManualClock) -> Iterator[People]:
    """An administrator and a developer."""
    engine = open_database(database_at(tmp_path / "people.db"), PEOPLE)
    found = People(engine, roles=ROLES, clock=clock, parameters=CHEAP)
    found.accounts.add("aigerim", "Айгерім <b>", ["administrator"], PASSWORD, by=COMMAND_LINE)
    found.accounts.add("dana", "Дана", ["developer"], PASSWORD, by=COMMAND_LINE)
    yield found
    engine.dispose()


@pytest.fixture
def app(people: People) -> Any:
    """A console with a page for administrators."""
    gate = Gate(people, origin=ORIGIN)
    routes, pages = sign_in_routes(people, gate, site=SITE, home="/console")

    async def page(_: Request, person: Person) -> Response:
        return Response(f"hello {person.name}")

    guarded = pages.signed_in(gate, page, "people:write")
    return application([*routes, Route("/console", guarded, methods=["GET", "POST"])])


@pytest.fixture
def visitor(app: Any) -> Visitor:
    """A browser at the console."""
    return Visitor(app)


def test_a_page_is_asked_for_and_shown_after_signing_in(visitor: Visitor) -> None:
    """The visitor is sent to the door, and from there to where they wanted to go."""
    reply = visitor.get("/console?id=7&lang=ru")
    assert (reply.status, reply.headers["location"]) == (303, "/sign-in?lang=ru&next=%2Fconsole%3Fid%3D7%26lang%3Dru")
    page = visitor.get(reply.headers["location"])
    assert "Чтобы увидеть эту страницу, войдите." in page.text
    wanted = re.search(r'name="next" value="([^"]+)"', page.text)
    assert wanted
    fields = {"csrf": page.csrf, "name": "aigerim", "password": PASSWORD, "next": wanted[1].replace("&amp;", "&")}
    reply = visitor.submit("/sign-in?lang=ru", fields)
    assert (reply.status, reply.headers["location"]) == (303, "/console?id=7&lang=ru")
    assert visitor.get("/console").text == "hello aigerim"
    assert visitor.get("/sign-in").headers["location"] == "/console"


def test_who_may_not_is_told_so(visitor: Visitor) -> None:
    """On a page of ours, in words."""
    visitor.sign_in("dana", PASSWORD)
    reply = visitor.get("/console?lang=kk")
    assert reply.status == 403
    assert "Рөлдеріңіз бұған рұқсат бермейді." in reply.text
    assert "Дана" in reply.text


def test_names_are_text(visitor: Visitor) -> None:
    """Never markup."""
    visitor.sign_in("aigerim", PASSWORD)
    page = visitor.get("/account").text
    assert "Айгерім &lt;b&gt;" in page
    assert "<b>" not in page


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("kk", "Кіру аты немесе құпиясөз қате."),
        ("ru", "Неверное имя или пароль."),
        ("en", "The name or the password is wrong."),
    ],
)
def test_a_wrong_password_and_an_unknown_name_are_one_answer(visitor: Visitor, language: str, said: str) -> None:
    """Byte for byte, apart from what was typed."""
    pages = []
    for name, password in [("dana", "falsch"), ("nope", PASSWORD)]:
        csrf = visitor.get("/sign-in").csrf
        reply = visitor.submit(f"/sign-in?lang={language}", {"csrf": csrf, "name": name, "password": password})
        assert reply.status == 401
        assert said in reply.text
        assert password not in reply.text
        pages.append(reply.text.replace(name, "NAME"))
    assert pages[0] == pages[1]


def test_guessing_gets_slower_whoever_is_guessed(app: Any, clock: ManualClock, people: People) -> None:
    """Five wrong passwords, then a growing wait, for names that exist and names that do not."""
    for name in ("nope", "dana"):
        visitor, waits = Visitor(app, address=f"2001:db8::{len(name)}:1"), []
        for _ in range(9):
            reply = visitor.sign_in(name, "wrong")
            while reply.status == 429:
                waits.append(int(reply.headers["retry-after"]))
                clock.advance(waits[-1] * 1000)
                reply = visitor.sign_in(name, "wrong")
            assert reply.status == 401
        assert waits == [1, 2, 4, 8]
    place = f"2001:db8::{len(name)}:1"
    reply = Visitor(app, address=place).sign_in("dana", PASSWORD)
    assert reply.status == 429
    assert "Try again in 16 s." in reply.text
    assert Visitor(app).sign_in("dana", PASSWORD).status == 303, "the owner, elsewhere"
    clock.advance(16_000)
    assert Visitor(app, address=place).sign_in("dana", PASSWORD).status == 303
    assert Visitor(app, address=place).sign_in("dana", "wrong").status == 401
    assert Visitor(app, address=place).sign_in("dana", PASSWORD).status == 303


def test_guessing_from_many_places_gets_slower_too(app: Any, people: People) -> None:
    """One account, many networks: at last it has to wait wherever one comes from."""
    for n in range(people.parameters.free_by_account):
        with pytest.raises(Unauthenticated):
            people.verify("dana", "wrong", f"198.51.100.{n}")
    assert Visitor(app, address="203.0.113.9").sign_in("dana", PASSWORD).status == 429
    assert Visitor(app, address="203.0.113.9").sign_in("aigerim", PASSWORD).status == 303


def test_guessing_from_one_place_gets_slower_whoever_is_guessed(app: Any) -> None:
    """Many accounts, one network: 64 bits of IPv6 are one."""
    statuses = [Visitor(app, address=f"2001:db8::{n + 1:x}").sign_in(f"person{n}", "wrong").status for n in range(21)]
    assert statuses == [401] * 20 + [429]
    assert Visitor(app, address="2001:db8:0:1::1").sign_in("dana", PASSWORD).status == 303


def test_the_form_is_bound_to_the_browser_that_asked_for_it(app: Any) -> None:
    """Nobody is signed in as somebody else by a form on another page."""
    fields = {"csrf": Visitor(app).get("/sign-in").csrf, "name": "dana", "password": PASSWORD}
    victim = Visitor(app)
    assert victim.submit("/sign-in", fields).status == 403
    victim.get("/sign-in")
    assert victim.submit("/sign-in", fields).status == 403
    own = {**fields, "csrf": victim.get("/sign-in").csrf}
    assert victim.submit("/sign-in", own, {"origin": "https://evil.example"}).status == 403
    assert "qaztech-8410" not in victim.cookies
    assert victim.submit("/sign-in", own).status == 303


def test_json_cannot_be_sent_by_a_foreign_form(app: Any) -> None:
    """Neither as text that looks like JSON, nor from another origin."""
    body = json.dumps({"name": "dana", "password": PASSWORD}).encode()
    assert Visitor(app).send("POST", "/api/session", body, {"content-type": "text/plain"}).status == 400
    foreign = Visitor(app, origin="https://evil.example")
    assert foreign.send_json("POST", "/api/session", json.loads(body)).status == 403


def test_a_program_signs_in_and_out_by_json(app: Any) -> None:
    """Who, what they may, and the token for changes."""
    program = Visitor(app)
    reply = program.send_json("POST", "/api/session", {"name": "dana", "password": PASSWORD})
    assert reply.status == 201
    assert program.get("/api/session").json() == reply.json()
    told = reply.json()
    assert (told["name"], told["display"], told["roles"]) == ("dana", "Дана", ["developer"])
    assert told["scopes"] == ["services:read"]
    assert program.send_json("DELETE", "/api/session").status == 403
    token = {"x-csrf-token": reply.json()["csrf"]}
    assert program.send_json("DELETE", "/api/session", headers=token).status == 204
    assert program.get("/api/session").status == 401
    assert program.send_json("POST", "/api/session", {"name": "dana", "password": PASSWORD, "x": 1}).status == 400


def test_the_own_password_is_changed_by_who_knows_it(visitor: Visitor, app: Any) -> None:
    """All other sessions end; this one goes on under a new token."""
    other = Visitor(app)
    for each in (visitor, other):
        each.sign_in("dana", PASSWORD)
    before = dict(visitor.cookies)
    csrf = visitor.get("/account").csrf

    def change(current: str, new: str, repeat: str) -> Any:
        fields = {"csrf": csrf, "current": current, "new": new, "repeat": repeat}
        return visitor.submit("/account/password?lang=ru", fields)

    assert "Новые пароли не совпадают." in change(PASSWORD, NEW, NEW + "x").text
    assert "от 12 до 256" in change(PASSWORD, "short", "short").text
    assert "легко угадать" in change(PASSWORD, "dana-dana-dana-1", "dana-dana-dana-1").text
    assert "Неверное имя или пароль." in change("wrong", NEW, NEW).text
    assert change(PASSWORD, NEW, NEW).status == 303
    assert visitor.get("/account").status == 200
    assert visitor.cookies != before
    assert other.get("/account").status == 303
    assert Visitor(app).sign_in("dana", NEW).status == 303
    assert Visitor(app).sign_in("dana", PASSWORD).status == 401


def test_a_token_is_made_shown_once_and_taken_back(visitor: Visitor, app: Any) -> None:
    """With no more than its owner's scopes; it cannot make others."""
    visitor.sign_in("dana", PASSWORD)
    csrf = visitor.get("/account").csrf
    fields = {"csrf": csrf, "name": "ci", "days": "30", "scope": "services:read"}
    assert visitor.submit("/account/tokens", {**fields, "scope": "people:write"}).status == 403
    assert visitor.submit("/account/tokens", {**fields, "days": "400"}).status == 400
    assert visitor.submit("/account/tokens", {**fields, "days": "-1"}).status == 400
    page = visitor.submit("/account/tokens", fields).text
    secret = re.search(r"qazt_[A-Za-z0-9_-]{43}", page)
    assert secret
    again = visitor.get("/account").text
    assert secret[0] not in again
    bearer = {"authorization": f"Bearer {secret[0]}"}
    program = Visitor(app, origin=None)
    assert program.get("/api/session", bearer).json()["scopes"] == ["services:read"]
    assert program.submit("/account/tokens", fields, bearer).status == 403
    assert program.send_json("POST", "/account/passkeys/begin", headers=bearer).status == 403
    found = re.search(r'tokens/remove.*?name="id" value="([0-9a-f]{16})"', again)
    assert found
    assert visitor.submit("/account/tokens/remove", {"csrf": csrf, "id": found[1]}).status == 303
    assert program.get("/api/session", bearer).status == 401


def test_a_session_left_open_does_not_become_more(visitor: Visitor, clock: ManualClock) -> None:
    """A quarter of an hour after signing in no token and no passkey is added; taking away goes on."""
    visitor.sign_in("dana", PASSWORD)
    clock.advance(15 * 60_000)
    csrf = visitor.get("/account").csrf
    reply = visitor.submit(
        "/account/tokens?lang=kk", {"csrf": csrf, "name": "x", "days": "1", "scope": "services:read"}
    )
    assert reply.status == 403
    assert "қайта кіріңіз" in reply.text
    begun = visitor.send_json("POST", "/account/passkeys/begin", headers={"x-csrf-token": csrf})
    assert (begun.status, begun.json()["code"]) == (403, "session.stale")
    assert visitor.submit("/account/sessions/end", {"csrf": csrf, "id": "0" * 16}).status == 303


def test_another_session_of_ones_own_can_be_ended(visitor: Visitor, app: Any) -> None:
    """And nobody else's."""
    other, stranger = Visitor(app), Visitor(app)
    visitor.sign_in("dana", PASSWORD)
    other.sign_in("dana", PASSWORD)
    stranger.sign_in("aigerim", PASSWORD)
    page = visitor.get("/account")
    found = re.findall(r'sessions/end.*?name="id" value="([0-9a-f]{16})"', page.text)
    assert len(found) == 1
    foreign = {"csrf": stranger.get("/account").csrf, "id": found[0]}
    stranger.submit("/account/sessions/end", foreign)
    assert other.get("/account").status == 200
    visitor.submit("/account/sessions/end", {"csrf": page.csrf, "id": found[0]})
    assert other.get("/account").status == 303
    assert visitor.get("/account").status == 200


def test_text_that_no_database_takes_is_nobody(visitor: Visitor) -> None:
    """A zero byte, half a character, very much: refused like any wrong name."""
    for name in ("da\0na", "\0", "d" * 5000, "dana\n--", "Ы"):
        csrf = visitor.get("/sign-in").csrf
        assert visitor.submit("/sign-in", {"csrf": csrf, "name": name, "password": "a\0b"}).status in {401, 429}
    visitor.sign_in("dana", PASSWORD)
    csrf = visitor.get("/account").csrf
    for path in ("/account/tokens/remove", "/account/passkeys/remove"):
        assert visitor.submit(path, {"csrf": csrf, "id": "\0" * 16}).status == 404
    assert visitor.submit("/account/sessions/end", {"csrf": csrf, "id": "\0" * 16}).status == 303
    assert (
        visitor.submit("/account/tokens", {"csrf": csrf, "name": "a\0", "days": "1", "scope": "services:read"}).status
        == 400
    )
    broken = visitor.send("POST", "/sign-in", b"a=%ff", {"content-type": "application/x-www-form-urlencoded"})
    assert broken.status in {303, 400, 403}


def test_every_route_is_closed_to_visitors_or_made_for_them(app: Any, people: People) -> None:
    """No route by omission: what is open is named here."""
    routes, _ = sign_in_routes(people, Gate(people, origin=ORIGIN), site=SITE)
    open_to_all = {("GET", "/sign-in"), ("POST", "/sign-in"), ("POST", "/sign-out"), ("POST", "/api/session"),
                   ("POST", "/api/session/passkey/begin"), ("POST", "/api/session/passkey/finish")}  # fmt: skip
    for method, path in describe_routes(routes):
        status = Visitor(app).send(method, path).status
        if (method, path) in open_to_all:
            assert status in {200, 303, 400, 403}, path
        else:
            assert status in {303, 401} if method == "GET" else status == 401, path


@pytest.mark.parametrize(
    "wanted",
    ["//evil.example", "/\\evil.example", "https://evil.example", "javascript:alert(1)", "", "console", "/a\nb",
     "/" * 600, "/a\\b", "/ж", "\t//evil.example"],
)  # fmt: skip
def test_after_signing_in_nobody_is_sent_to_another_site(wanted: str) -> None:
    """Only a path of this site; anything else is home."""
    assert safe_next(wanted, "/console") == "/console"


def texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every text by its path."""
    if isinstance(value, str):
        yield path, value
    else:
        for key, inner in value.items():
            yield from texts(inner, f"{path}|{key}")


def test_texts_are_the_same_in_three_languages() -> None:
    """The same keys and places, nothing left in English, nothing that no page shows."""
    english = dict(texts(people_texts("en")))
    for language in LANGUAGES:
        found = dict(texts(people_texts(language)))
        assert found.keys() == english.keys()
        for key, value in found.items():
            assert sorted(re.findall(r"\{[a-z]+\}", value)) == sorted(re.findall(r"\{[a-z]+\}", english[key]))
            assert language == "en" or re.search("[а-яәіңғүұқөһ]", value.lower())


def test_every_problem_has_a_code_of_ours() -> None:
    """A text for a code that nothing raises is not kept."""
    root = Path(__file__).parents[3]
    known = (root / "docs/reference/errors.md").read_text(encoding="utf-8")
    codes = [key for key in people_texts("en")["problem"] if "." in key and not key.endswith("cancelled")]
    assert [code for code in codes if f"`{code}`" not in known] == []
