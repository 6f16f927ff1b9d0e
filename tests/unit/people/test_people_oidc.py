"""Signing in through an OpenID provider that is sometimes a bad one: what is believed, and whose account it is.

The provider here is a few lines with real keys; `tests/interop/test_interop_openid.py` uses a real one.
"""

from __future__ import annotations

import hmac
import json
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from fido2.utils import websafe_encode
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from people_console import ORIGIN, PASSWORD, Visitor
from qaztech.core.errors import Error, Malformed, NotFound
from qaztech.core.time import ManualClock
from qaztech.people.actors import COMMAND_LINE
from qaztech.people.gate import Gate
from qaztech.people.id_token import problem_of
from qaztech.people.oidc import CALLBACK, Provider, ProviderSettings, account_name, challenge
from qaztech.people.people import People
from qaztech.runtime.shell import application
from qaztech.web.sign_in import sign_in_routes

ISSUER = "https://login.example"
SITE = {"kk": "Тізілім", "ru": "Реестр", "en": "Registry"}
KEY = ECKey.generate_key("P-256", {"kid": "one", "use": "sig"})


class SmallProvider:
    """Answers as a provider would; every part of the answer can be changed."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.key: Any = KEY
        self.published: list[Any] = [KEY]
        self.header: dict[str, Any] = {"alg": "ES256", "kid": "one"}
        self.claims: dict[str, Any] = {}
        self.about: dict[str, Any] = {}
        self.request: dict[str, str] = {}
        self.status = 200
        self.key_fetches = 0

    async def get(self, url: str) -> bytes:
        if url == f"{ISSUER}/.well-known/openid-configuration":
            about = {
                "issuer": ISSUER, "authorization_endpoint": f"{ISSUER}/authorize?tenant=1",
                "token_endpoint": f"{ISSUER}/token", "jwks_uri": f"{ISSUER}/keys", "scopes_supported": ["openid"],
            }  # fmt: skip
            return json.dumps({**about, **self.about}).encode()
        if url == f"{ISSUER}/keys":
            self.key_fetches += 1
            return json.dumps({"keys": [key.as_dict(private=False) for key in self.published]}).encode()
        raise NotFound("outbound.missing", "nothing there")

    async def post(self, url: str, body: bytes, content_type: str) -> tuple[int, str, bytes]:
        form = dict(parse_qsl(body.decode()))
        assert url == f"{ISSUER}/token"
        assert content_type == "application/x-www-form-urlencoded"
        if form["code"] != "right" or challenge(form["code_verifier"]) != self.request["code_challenge"]:
            return 400, "application/json", b'{"error":"invalid_grant"}'
        return self.status, "application/json", json.dumps({"id_token": self.token(), "token_type": "Bearer"}).encode()

    def token(self) -> str:
        now = self.clock.now() // 1000
        claims = {"iss": ISSUER, "aud": "console", "sub": "u-1", "exp": now + 300, "iat": now,
                  "nonce": self.request["nonce"], "preferred_username": "Dana.S@example",
                  "name": "Дана", "groups": ["qaztech-developers", "others"]}  # fmt: skip
        merged = {name: value for name, value in {**claims, **self.claims}.items() if value is not None}
        return jwt.encode(self.header, merged, self.key, algorithms=[self.header["alg"]])


SETTINGS = {"issuer": ISSUER, "client_id": "console", "client_secret": "s", "name": "eGov"}
BY_CLAIM = {"role_claim": "groups", "role_map": {"qaztech-developers": "developer"}, "create_accounts": True}


class Door:
    """A console with that provider, and a browser at it."""

    def __init__(self, people: People, provider: SmallProvider, **settings: Any) -> None:
        found = ProviderSettings(**{**SETTINGS, **settings})
        client = Provider(people, found, redirect_uri=ORIGIN + CALLBACK, fetcher=provider)
        routes, _ = sign_in_routes(people, Gate(people, origin=ORIGIN), site=SITE, provider=client)
        self.provider = provider
        self.app = application(routes)
        self.visitor = Visitor(self.app)

    def begin(self) -> str:
        """To the provider; the state it will send back."""
        reply = self.visitor.get("/sign-in/oidc?next=/account")
        assert reply.status == 303, reply.text
        query = {name: values[0] for name, values in parse_qs(urlsplit(reply.headers["location"]).query).items()}
        self.provider.request = query
        return query["state"]

    def enter(self, query: str = "") -> Any:
        """All the way; `query` replaces what the provider sends back."""
        state = self.begin()
        return self.visitor.get(f"{CALLBACK}?{query or f'code=right&state={state}'}")


@pytest.fixture
def provider(clock: ManualClock) -> SmallProvider:
    """A provider that does as it should."""
    return SmallProvider(clock)


def test_an_identity_that_was_linked_comes_in(people: People, provider: SmallProvider) -> None:
    """As its account, to the page it wanted, with a session like any other; the request is what the standard asks."""
    people.accounts.link("dana", ISSUER, "u-1", by=COMMAND_LINE)
    door = Door(people, provider)
    reply = door.enter()
    assert (reply.status, reply.headers["location"]) == (303, "/account")
    assert door.visitor.get("/api/session").json()["roles"] == ["developer"]
    asked = provider.request
    assert asked["tenant"] == "1"
    assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
    assert asked["redirect_uri"] == ORIGIN + CALLBACK
    assert min(len(asked[name]) for name in ("state", "nonce", "code_challenge")) >= 43


def test_who_has_no_account_does_not_come_in(people: People, provider: SmallProvider) -> None:
    """An e-mail or a name that is the same proves nothing."""
    provider.claims = {"preferred_username": "dana"}
    reply = Door(people, provider).enter()
    assert reply.status == 403
    assert "has no account here" in reply.text


def test_roles_follow_the_claim_at_each_sign_in(people: People, provider: SmallProvider, clock: ManualClock) -> None:
    """An account is made for who has a role; when the provider takes the role away, it is gone here."""
    door = Door(people, provider, **BY_CLAIM)
    assert door.enter().status == 303
    account = people.accounts.named("dana.s-example")
    assert (account.roles, account.display, account.has_password) == (("developer",), "Дана", False)
    provider.claims = {"groups": "others"}
    clock.advance(1000)
    assert Door(people, provider, **BY_CLAIM).enter().status == 303
    assert people.accounts.named("dana.s-example").roles == ()
    provider.claims = {"sub": "u-2", "groups": []}
    assert Door(people, provider, **BY_CLAIM).enter().status == 403
    provider.claims = {"sub": "u-3", "preferred_username": "AIGERIM"}
    assert Door(people, provider, **BY_CLAIM).enter().status == 303
    names = [found.name for found in people.accounts.all() if found.name.startswith("aigerim")]
    assert len(names) == 2
    assert people.accounts.named("aigerim").roles == ("administrator",)


def test_a_disabled_account_stays_out(people: People, provider: SmallProvider) -> None:
    """Whatever the provider says."""
    people.accounts.link("dana", ISSUER, "u-1", by=COMMAND_LINE)
    people.accounts.set_disabled("dana", True, by=COMMAND_LINE)
    assert Door(people, provider).enter().status == 401


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://evil.example"}, {"iss": ISSUER + "/"}, {"aud": "another"}, {"aud": ["console", "another"]},
        {"aud": ["console"], "azp": "another"}, {"aud": None}, {"exp": 1_700_000_000}, {"exp": None}, {"exp": "soon"},
        {"exp": True}, {"iat": None}, {"iat": 1_900_000_000}, {"iat": 1_700_000_000}, {"nonce": "x"}, {"nonce": None},
        {"sub": None}, {"sub": ""}, {"sub": 5}, {"sub": "x" * 256},
    ],
)  # fmt: skip
def test_a_token_with_a_wrong_claim_is_not_believed(claims: dict[str, Any]) -> None:
    """Issuer, audience, times, nonce, subject: each must be right."""
    right = {"iss": ISSUER, "aud": "console", "sub": "u-1", "exp": 1_800_000_300, "iat": 1_800_000_000, "nonce": "n"}
    expected = {"issuer": ISSUER, "client_id": "console", "nonce": "n", "now": 1_800_000_000_000}
    assert problem_of(right, **expected) == ""
    assert problem_of({**right, "aud": ["console", "another"], "azp": "console"}, **expected) == ""
    assert problem_of({name: value for name, value in {**right, **claims}.items() if value is not None}, **expected)


@pytest.mark.parametrize("claims", [{"aud": "another"}, {"nonce": "x"}, {"sub": "\0"}])
def test_nobody_comes_in_with_such_a_token(people: People, provider: SmallProvider, claims: dict[str, Any]) -> None:
    """It is said that the answer could not be verified, and no account is made."""
    provider.claims = claims
    reply = Door(people, provider, **BY_CLAIM).enter()
    assert reply.status == 502
    assert "could not be verified" in reply.text
    assert len(people.accounts.all()) == 4


def with_secret(token: str) -> str:
    """The token, authenticated by HMAC with what everybody knows."""
    body = token.split(".")[1]
    head = websafe_encode(json.dumps({"alg": "HS256", "kid": "one"}).encode())
    mac = hmac.digest(KEY.as_pem(private=False), f"{head}.{body}".encode(), "sha256")
    return f"{head}.{body}.{websafe_encode(mac)}"


NO_TOKENS = {
    "nothing": "", "none": "eyJhbGciOiJub25lIn0.e30.", "no token": "a.b.c", "long": "a" * 70_000, "letters": "ж.ж.ж",
}  # fmt: skip


def forged(provider: SmallProvider, how: str) -> None:
    """Have the provider sign as it must not."""
    if how == "another key":
        provider.key = ECKey.generate_key("P-256", {"kid": "one"})
    elif how == "the public key as a secret":
        honest = provider.token
        provider.token = lambda: with_secret(honest())  # type: ignore[method-assign]
    elif how == "an algorithm that is not allowed":
        provider.key = RSAKey.generate_key(2048, {"kid": "rsa"})
        provider.published = [provider.key]
        provider.header = {"alg": "RS256", "kid": "rsa"}
    elif how == "a key for encryption":
        provider.key = ECKey.generate_key("P-256", {"kid": "one", "use": "enc"})
        provider.published = [provider.key]
        provider.key = ECKey.import_key({**provider.key.as_dict(private=True), "use": "sig"})
    else:
        provider.token = lambda: NO_TOKENS[how]  # type: ignore[method-assign]


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
@pytest.mark.parametrize(
    "how",
    ["another key", "the public key as a secret", "an algorithm that is not allowed", "a key for encryption", "nothing",
     "none", "no token", "long", "letters"],
)  # fmt: skip
def test_a_token_that_the_provider_did_not_sign_is_not_believed(
    people: People, provider: SmallProvider, how: str
) -> None:
    """The algorithm is this side's choice, and so are the keys."""
    forged(provider, how)
    assert Door(people, provider, **BY_CLAIM, algorithms=("ES256", "EdDSA")).enter().status == 502


def test_a_new_key_of_the_provider_is_fetched_once(people: People, provider: SmallProvider, clock: ManualClock) -> None:
    """Rotation is noticed by the unknown key id; inventing ids does not make this side fetch and fetch."""
    people.accounts.link("dana", ISSUER, "u-1", by=COMMAND_LINE)
    door = Door(people, provider)
    assert door.enter().status == 303
    rotated = ECKey.generate_key("P-256", {"kid": "two"})
    provider.key, provider.header, provider.published = rotated, {"alg": "ES256", "kid": "two"}, [rotated]
    clock.advance(60_000)
    door.visitor.cookies.clear()
    assert door.enter().status == 303
    assert provider.key_fetches == 2
    for _ in range(3):
        provider.header = {"alg": "ES256", "kid": "invented"}
        door.visitor.cookies.clear()
        assert door.enter().status == 502
    assert provider.key_fetches == 2


def test_an_answer_belongs_to_the_browser_that_began(
    people: People, provider: SmallProvider, clock: ManualClock
) -> None:
    """A state of another browser, none, a used one, one that is too old: nobody comes in."""
    people.accounts.link("dana", ISSUER, "u-1", by=COMMAND_LINE)
    door = Door(people, provider)
    assert door.enter("code=right").status == 401
    assert door.enter("code=right&state=x").status == 401
    state = door.begin()
    assert Visitor(door.app).get(f"{CALLBACK}?code=right&state={state}").status == 401
    before = dict(door.visitor.cookies)
    assert door.visitor.get(f"{CALLBACK}?code=right&state={state}").status == 303
    door.visitor.cookies = before
    assert door.visitor.get(f"{CALLBACK}?code=right&state={state}").status == 401
    state = door.begin()
    clock.advance(5 * 60_000)
    assert door.visitor.get(f"{CALLBACK}?code=right&state={state}").status == 401


def test_a_refusal_of_the_provider_is_told(people: People, provider: SmallProvider) -> None:
    """An error, a code it does not know, an answer of another provider, none at all."""
    door = Door(people, provider)
    assert door.visitor.get(f"{CALLBACK}?error=access_denied&state={door.begin()}").status == 401
    assert door.visitor.get(f"{CALLBACK}?code=wrong&state={door.begin()}").status == 401
    assert door.visitor.get(f"{CALLBACK}?code=right&iss=https://evil.example&state={door.begin()}").status == 502
    provider.status = 503
    assert door.enter().status == 503


@pytest.mark.parametrize(
    "about",
    [
        {"issuer": "https://evil.example"}, {"issuer": None}, {"authorization_endpoint": "http://login.example/a"},
        {"token_endpoint": "ftp://login.example"}, {"jwks_uri": "http://10.0.0.1/keys"}, {"jwks_uri": 5},
        {"code_challenge_methods_supported": ["plain"]},
    ],
)  # fmt: skip
def test_a_provider_that_says_something_else_of_itself_is_not_used(
    people: People, provider: SmallProvider, about: dict[str, Any]
) -> None:
    """Its metadata names itself, https and S256."""
    provider.about = about
    reply = Door(people, provider).visitor.get("/sign-in/oidc")
    assert reply.status in {400, 502}
    assert "location" not in reply.headers


@pytest.mark.parametrize(
    "settings",
    [{"issuer": "http://login.example"}, {"issuer": "login.example"}, {"client_id": ""}, {"scopes": ("profile",)},
     {"algorithms": ("HS256",)}, {"algorithms": ("none",)}, {"create_accounts": True}],
)  # fmt: skip
def test_settings_that_would_open_the_door_are_refused(settings: dict[str, Any]) -> None:
    """At the start, not at the first sign-in."""
    with pytest.raises(Malformed):
        ProviderSettings(**{**SETTINGS, **settings})
    assert "'s'" not in repr(ProviderSettings(**SETTINGS))


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ("Dana.S", "dana.s"),
        ("--x y--", "x-y"),
        ("d" * 90, "d" * 48),
        ("Дана", None),
        ("", None),
        (None, None),
        (7, None),
    ],
)
def test_names_of_new_accounts_are_names(people: People, given: object, made: str | None) -> None:
    """Whatever the provider sends."""
    name = account_name(given)
    assert name == made if made is not None else name.startswith("person-")
    assert people.accounts.add(name, "x", [], None, by=COMMAND_LINE).name == name


def test_without_a_provider_there_is_no_such_door(people: People) -> None:
    """Neither route nor button."""
    routes, _ = sign_in_routes(people, Gate(people, origin=ORIGIN), site=SITE)
    visitor = Visitor(application(routes))
    assert visitor.get("/sign-in/oidc").status == 404
    assert "/sign-in/oidc" not in visitor.get("/sign-in").text
    assert visitor.sign_in("dana", PASSWORD).status == 303


def test_an_identity_belongs_to_one_account(people: People) -> None:
    """And is gone when it is unlinked."""
    people.accounts.link("dana", ISSUER, "u-1", by=COMMAND_LINE)
    with pytest.raises(Error):
        people.accounts.link("olzhas", ISSUER, "u-1", by=COMMAND_LINE)
    people.accounts.unlink("dana", ISSUER, by=COMMAND_LINE)
    assert people.accounts.of_identity(ISSUER, "u-1") is None
