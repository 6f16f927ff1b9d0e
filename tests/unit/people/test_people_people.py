"""Accounts and signing in below the pages: changes at the same moment, proxies, settings, ceremonies, names."""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest
from argon2 import Type, extract_parameters
from argon2.exceptions import VerifyMismatchError
from argon2.low_level import verify_secret
from sqlalchemy import func, select
from starlette.requests import Request

from people_console import CHEAP, ORIGIN, PASSWORD, ROLES
from qaztech.core.errors import Conflict, Limited, Malformed, NotFound, Unauthenticated
from qaztech.core.time import ManualClock
from qaztech.people import ceremonies
from qaztech.people.actors import COMMAND_LINE
from qaztech.people.gate import Gate
from qaztech.people.oidc import account_name
from qaztech.people.openid_settings import OpenIdSettings
from qaztech.people.parameters import Parameters
from qaztech.people.passwords import Passwords, made_password
from qaztech.people.people import People
from qaztech.people.roles import check_table
from qaztech.people.tables import ceremony
from qaztech.registry.office import OPERATOR_TOKEN, REGISTRY
from qaztech.runtime.settings import read_settings

NEW = "бес елі ауызға он елі қақпақ"


def test_a_password_changed_during_sign_in_lets_nobody_in(people: People) -> None:
    """Who was verified with the old one has no session afterwards."""
    verified = people.accounts.verified

    def changed_meanwhile(name: str, password: str) -> Any:
        found = verified(name, password)
        people.accounts.set_password("dana", NEW, by=COMMAND_LINE)
        return found

    people.accounts.verified = changed_meanwhile  # type: ignore[method-assign]
    with pytest.raises(Unauthenticated):
        people.sign_in("dana", PASSWORD, "127.0.0.1")
    assert people.sessions.of(people.accounts.named("dana").id) == []


def test_a_hash_of_other_parameters_is_made_anew_at_sign_in(people: People) -> None:
    """Without ending anything: the password is the same."""
    stronger = Parameters(argon2_memory_kib=16, argon2_passes=2)
    renewed = People(people.engine, roles=ROLES, clock=people.clock, parameters=stronger)
    before = people.accounts.named("dana").stamp
    assert renewed.sign_in("dana", PASSWORD, "")
    after = people.accounts.named("dana").stamp
    assert after != before
    assert renewed.sign_in("dana", PASSWORD, "")
    assert people.accounts.named("dana").stamp == after


def test_guesses_made_at_once_are_counted_all(people: People) -> None:
    """However many arrive together, no more passwords are looked at than one after the other."""

    def guess(number: int) -> str:
        try:
            people.verify("dana", f"wrong {number}", "203.0.113.7")
        except (Unauthenticated, Limited) as exc:
            return exc.code
        return "in"

    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(guess, range(16)))
    assert 1 <= codes.count("sign-in.refused") <= people.parameters.free_by_both
    assert set(codes) == {"sign-in.refused", "sign-in.too-often"}


def test_an_unknown_name_takes_as_long_as_a_wrong_password(people: People) -> None:
    """The same work is done; measured with a hash that takes long enough to be seen."""
    slow = Parameters(argon2_memory_kib=16 * 1024, free_by_both=99, free_by_account=99, free_by_address=99)
    found = People(people.engine, roles=ROLES, clock=people.clock, parameters=slow)
    found.accounts.set_password("dana", PASSWORD, by=COMMAND_LINE)

    def seconds(name: str) -> float:
        began = time.perf_counter()
        with pytest.raises(Unauthenticated):
            found.sign_in(name, "wrong", "")
        return time.perf_counter() - began

    known, unknown = min(seconds("dana") for _ in range(4)), min(seconds("nope") for _ in range(4))
    assert 0.4 < known / unknown < 2.5


@pytest.mark.parametrize("name", ["Dana", "d", "-dana", "dana ", "d ana", "дана", "d" * 65, "", "dana\n"])
def test_a_name_that_is_none_is_refused(people: People, name: str) -> None:
    """Small letters, digits and a few signs: what is typed, spoken and logged without doubt."""
    with pytest.raises(Malformed):
        people.accounts.add(name, "x", [], None, by=COMMAND_LINE)


def test_a_name_belongs_to_one_account(people: People) -> None:
    """Also when both come at once: the database decides."""
    with pytest.raises(Conflict):
        people.accounts.add("dana", "Another", [], None, by=COMMAND_LINE)
    for change in (people.accounts.set_password, people.accounts.link, people.accounts.unlink):
        with pytest.raises((NotFound, TypeError)):
            change("nope", NEW, by=COMMAND_LINE)


def test_passwords_are_the_same_however_they_are_typed() -> None:
    """Composed or not; and one that is too long is never right, nor hashed whole."""
    passwords = Passwords(CHEAP)
    kept = passwords.hash("пароль с й и ё")
    assert passwords.matches("пароль с й и ё", kept)
    assert not passwords.matches("x" * 100_000, kept)
    assert not passwords.matches("x", None)
    assert not passwords.matches("x", "not a hash")
    assert len(made_password()) >= 20


def test_nobodys_password_costs_as_much_as_anybodys() -> None:
    """What is compared where there is no account is a whole hash with the same parameters, that of no password."""
    passwords = Passwords(CHEAP)
    assert extract_parameters(passwords._nobody) == extract_parameters(passwords.hash("anything at all"))
    with pytest.raises(VerifyMismatchError):
        verify_secret(passwords._nobody.encode(), b"anything at all", Type.ID)


def test_one_name_spelt_otherwise_is_slowed_down_as_one(people: People) -> None:
    """From many networks too: what finds an account counts for that account, however it was typed."""
    for number in range(people.parameters.free_by_account):
        with pytest.raises(Unauthenticated):
            people.sign_in(" " * number + "Dana" + "\u3000" * number, "wrong", f"203.0.113.{number}")
    with pytest.raises(Limited):
        people.sign_in("dana", "wrong", "198.51.100.1")


@pytest.mark.parametrize("name", [COMMAND_LINE.name, OPERATOR_TOKEN.name, REGISTRY.name])
def test_nobody_is_called_what_is_no_person(people: People, name: str) -> None:
    """In the admin log their acts would look like the machine's; a provider's people get another name."""
    with pytest.raises(Malformed):
        people.accounts.add(name, "Somebody", [], None, by=COMMAND_LINE)
    assert account_name(name).startswith("person-")


def test_hashing_waits_its_turn() -> None:
    """Memory is bounded: who waits too long is told to come again."""
    passwords = Passwords(Parameters(argon2_memory_kib=8, hashing_at_once=1, hashing_wait_seconds=0.01))
    with passwords._turn(), pytest.raises(Limited):
        passwords.hash("anything at all")


def test_what_anybody_can_begin_is_bounded(people: People, clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ceremonies that were begun and left do not fill the disk, go with time, and keep nobody else out."""
    monkeypatch.setattr(ceremonies, "MOST", 3)
    for n in range(3):
        people.ceremonies.begin(f"visitor {n}", "oidc", {})
    people.ceremonies.begin("visitor 0", "oidc", {})
    clock.advance(1)
    people.ceremonies.begin("visitor 3", "oidc", {"state": "mine"})
    with people.engine.connect() as db:
        assert db.execute(select(func.count()).select_from(ceremony)).scalar_one() == 3
    assert people.ceremonies.take("visitor 3", "oidc") == {"state": "mine"}
    clock.advance(people.parameters.ceremony)
    people.ceremonies.begin("visitor 4", "oidc", {})
    with people.engine.connect() as db:
        assert db.execute(select(func.count()).select_from(ceremony)).scalar_one() == 1


def request(forwarded: str) -> Request:
    """A request by way of a proxy."""
    headers = [(b"x-forwarded-for", line.encode()) for line in forwarded.split("|") if line]
    return Request({"type": "http", "headers": headers, "client": ("10.0.0.1", 1)})


@pytest.mark.parametrize(
    ("forwarded", "behind", "plain"),
    [("203.0.113.7", "203.0.113.7", "10.0.0.1"), ("6.6.6.6, 203.0.113.7", "203.0.113.7", "10.0.0.1"),
     ("6.6.6.6|203.0.113.7", "203.0.113.7", "10.0.0.1"), ("", "10.0.0.1", "10.0.0.1")],
)  # fmt: skip
def test_a_proxy_is_believed_only_where_there_is_one(people: People, forwarded: str, behind: str, plain: str) -> None:
    """And of what it sends only its own last word: the rest is the caller's."""
    assert Gate(people, origin=ORIGIN, behind_proxy=True).address(request(forwarded)) == behind
    assert Gate(people, origin=ORIGIN).address(request(forwarded)) == plain


def test_a_provider_is_made_from_settings(people: People, tmp_path: Path) -> None:
    """With the secret from its file; none without an issuer; nothing that the console could not honour."""
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")
    given = {"issuer": "https://login.example", "client_id": "c", "name": "eGov", "client_secret_file": "secret"}
    made = OpenIdSettings(**given).provider(people, origin=ORIGIN, beside=tmp_path)  # type: ignore[arg-type]
    assert made is not None
    assert (made.name, made._settings.client_secret) == ("eGov", "s3cret")
    assert OpenIdSettings().provider(people, origin=ORIGIN, beside=tmp_path) is None
    with pytest.raises(Malformed):
        OpenIdSettings(**given, role_map={"x": "emperor"}).provider(people, origin=ORIGIN, beside=tmp_path)  # type: ignore[arg-type]
    secret.unlink()
    with pytest.raises(NotFound):
        OpenIdSettings(**given).provider(people, origin=ORIGIN, beside=tmp_path)  # type: ignore[arg-type]


class _Console(msgspec.Struct, forbid_unknown_fields=True):
    """Settings that have the table."""

    openid: OpenIdSettings = OpenIdSettings()


def test_the_settings_in_the_guide_are_settings(tmp_path: Path) -> None:
    """What is shown there can be copied."""
    guide = (Path(__file__).parents[3] / "docs/howto/let-people-in.md").read_text(encoding="utf-8")
    file = tmp_path / "console.toml"
    file.write_text(guide.partition("```toml\n")[2].partition("```")[0], encoding="utf-8")
    found = read_settings(file, _Console).openid
    assert found.role_map["qaztech-auditors"] == "auditor"
    assert found.create_accounts


@pytest.mark.parametrize("table", [{"Emperor": frozenset()}, {"auditor": frozenset({"everything"})}])
def test_a_table_of_roles_must_be_one(table: dict[str, frozenset[str]]) -> None:
    """A slip in it is found at the start."""
    with pytest.raises(Malformed):
        check_table(table)


def test_nothing_personal_is_logged(people: People, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever happens at the door."""
    with caplog.at_level(logging.DEBUG):
        people.sign_in("dana", PASSWORD, "203.0.113.7")
        with pytest.raises(Unauthenticated):
            people.sign_in("dana", "a wrong password", "203.0.113.7")
    assert [word for word in ("dana", "wrong", "203.0.113.7", PASSWORD) if word in caplog.text] == []


def test_guessing_leaves_a_line_now_and_then_and_is_counted(
    people: People, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """How often, and of which account by its random id; whoever guesses does not fill the disk."""
    clock.advance(60_000)
    for _ in range(9):
        with pytest.raises((Unauthenticated, Limited)):
            people.sign_in("dana", "a wrong password", "203.0.113.7")
    told = [record.fields for record in caplog.records]
    start = people.accounts.named("dana").id[:8]
    assert told == [
        {"result": "refused", "attempts": 1, "account": start},
        {"result": "slowed-down", "attempts": 1, "account": start},
    ]
    clock.advance(20 * 60_000)
    with pytest.raises(Unauthenticated):
        people.sign_in("a password typed as a name", "x", "203.0.113.8")
    counts = {name.split('"')[3]: int(number) for name, number in people.guesses.counts().items()}
    assert sum(counts.values()) == 10
    assert caplog.records[-1].fields == {"result": "refused", "attempts": counts["refused"] - 1, "account": "unknown"}
    people.sign_in("dana", PASSWORD, "203.0.113.9")
    assert people.guesses.counts()['sign_ins_total{by="password",result="let-in"}'] == 1
    assert [word for word in ("dana", "typed", "203.0") if word in caplog.text] == []
