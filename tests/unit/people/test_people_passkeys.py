"""Passkeys: added and used through the pages' routes, and refused when anything about them is not as it must be."""

from __future__ import annotations

from typing import Any

import pytest

from people_console import ORIGIN, PASSWORD, Visitor
from qaztech.core.time import ManualClock
from qaztech.people.gate import Gate
from qaztech.people.people import People
from qaztech.runtime.shell import application
from qaztech.web.sign_in import sign_in_routes
from soft_passkey import PRESENT, VERIFIED, SoftPasskey

SITE = {"kk": "Тізілім", "ru": "Реестр", "en": "Registry"}


@pytest.fixture
def app(people: People) -> Any:
    """A console."""
    routes, _ = sign_in_routes(people, Gate(people, origin=ORIGIN), site=SITE)
    return application(routes)


def add(app: Any, name: str, key: SoftPasskey, *, label: str = "кілт") -> Any:
    """Sign in by password and add the passkey."""
    visitor = Visitor(app)
    visitor.sign_in(name, PASSWORD)
    token = {"x-csrf-token": visitor.get("/api/session").json()["csrf"]}
    options = visitor.send_json("POST", "/account/passkeys/begin", headers=token).json()
    body = {"name": label, "credential": key.create(options)}
    return visitor.send_json("POST", "/account/passkeys/finish", body, headers=token)


def enter(app: Any, key: SoftPasskey, visitor: Visitor | None = None, **change: Any) -> Any:
    """Sign in with the passkey; `change` is put into its answer."""
    visitor = visitor or Visitor(app)
    token = {"x-csrf-token": visitor.get("/sign-in").csrf}
    options = visitor.send_json("POST", "/api/session/passkey/begin", headers=token).json()
    credential = key.get(options)
    credential["response"].update(change)
    return visitor.send_json("POST", "/api/session/passkey/finish", {"credential": credential}, headers=token)


def test_a_passkey_alone_signs_in(app: Any) -> None:
    """No name and no password; the session says how it began."""
    key, visitor = SoftPasskey(ORIGIN), Visitor(app)
    assert add(app, "dana", key).status == 201
    assert enter(app, key, visitor).json() == {"next": "/"}
    assert visitor.get("/api/session").json()["name"] == "dana"
    page = visitor.get("/account?lang=kk").text
    assert "кіру кілтімен" in page
    assert "кілт</td>" in page


def test_the_counter_of_a_copy_betrays_it(app: Any) -> None:
    """One that stands still or goes back is refused; one that counts nothing is not judged by it."""
    key = SoftPasskey(ORIGIN)
    add(app, "dana", key)
    assert enter(app, key).status == 200
    key.count -= 1
    assert enter(app, key).status == 401
    key.count = 5
    assert enter(app, key).status == 200
    plain = SoftPasskey(ORIGIN)
    add(app, "dana", plain)
    for _ in range(2):
        plain.count = -1
        assert enter(app, plain).status == 200


@pytest.mark.parametrize(
    ("field", "value"),
    [("origin", "https://evil.example"), ("origin", "http://localhost:9999"), ("origin", "http://127.0.0.1:8410"),
     ("flags", PRESENT), ("flags", VERIFIED), ("cross_origin", True)],
)  # fmt: skip
def test_what_was_made_elsewhere_or_without_verification_is_refused(app: Any, field: str, value: Any) -> None:
    """When it is added, and when it is used."""
    strange = SoftPasskey(ORIGIN)
    setattr(strange, field, value)
    assert add(app, "dana", strange).json()["code"] == "passkey.malformed"
    key = SoftPasskey(ORIGIN)
    add(app, "dana", key)
    setattr(key, field, value)
    assert enter(app, key).json()["code"] == "passkey.refused"


@pytest.mark.parametrize(
    "change",
    [{"signature": "AAAA"}, {"userHandle": "AAAA"}, {"clientDataJSON": "e30"}, {"authenticatorData": "AAAA"},
     {"signature": 5}, {"clientDataJSON": "!"}],
)  # fmt: skip
def test_an_answer_that_was_changed_is_refused(app: Any, change: dict[str, Any]) -> None:
    """Whatever part of it."""
    key = SoftPasskey(ORIGIN)
    add(app, "dana", key)
    assert (enter(app, key, **change).status, enter(app, key).status) == (401, 200)


def test_a_challenge_is_used_once_by_one_browser_and_soon(app: Any, clock: ManualClock) -> None:
    """An answer that was overheard is worth nothing."""
    key, visitor = SoftPasskey(ORIGIN), Visitor(app)
    add(app, "dana", key)
    token = {"x-csrf-token": visitor.get("/sign-in").csrf}

    def begin() -> dict[str, Any]:
        return {"credential": key.get(visitor.send_json("POST", "/api/session/passkey/begin", headers=token).json())}

    body = begin()
    thief = Visitor(app)
    other = {"x-csrf-token": thief.get("/sign-in").csrf}
    assert thief.send_json("POST", "/api/session/passkey/finish", body, headers=other).status == 401
    before = dict(visitor.cookies)
    assert visitor.send_json("POST", "/api/session/passkey/finish", body, headers=token).status == 200
    visitor.cookies = before
    assert visitor.send_json("POST", "/api/session/passkey/finish", body, headers=token).status == 401
    body = begin()
    clock.advance(5 * 60_000)
    assert visitor.send_json("POST", "/api/session/passkey/finish", body, headers=token).status == 401


def test_disabled_and_removed_do_not_come_in(app: Any, people: People) -> None:
    """The account's state counts, and the list of its passkeys."""
    from qaztech.people.actors import COMMAND_LINE

    key = SoftPasskey(ORIGIN)
    add(app, "dana", key)
    people.accounts.set_disabled("dana", True, by=COMMAND_LINE)
    assert enter(app, key).json()["code"] == "sign-in.refused"
    people.accounts.set_disabled("dana", False, by=COMMAND_LINE)
    visitor = Visitor(app)
    enter(app, key, visitor)
    held = people.passkeys(origin=ORIGIN, name="x").of(people.accounts.named("dana").id)
    fields = {"csrf": visitor.get("/account").csrf, "id": held[0].id}
    assert visitor.submit("/account/passkeys/remove", fields).status == 303
    assert visitor.submit("/account/passkeys/remove", fields).status == 404
    assert enter(app, key).json()["code"] == "passkey.refused"


def test_a_passkey_belongs_to_one_account(app: Any) -> None:
    """What is known already is not added again, by anybody; nor without a name."""
    key = SoftPasskey(ORIGIN)
    add(app, "dana", key)
    assert add(app, "olzhas", key).json()["code"] == "passkey.exists"
    assert add(app, "dana", SoftPasskey(ORIGIN), label=" ").json()["code"] == "passkey.malformed"
