"""Signing in through an OpenID provider: authorization code with PKCE (OpenID Connect Core 1.0, RFC 7636, RFC 9207).

State, nonce and verifier are bound to the browser that began, and used once. The ID token is verified by the provider's
keys before anything in it is believed. Whose account it is follows from issuer and subject; roles follow from a claim
of the provider where one is configured, else they are given here. Not here: HTTP to the provider (a fetcher is given).
"""

from __future__ import annotations

import asyncio
import hmac
import re
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Protocol, TypeVar
from urllib.parse import urlencode, urlsplit

import msgspec

from qaztech.core.errors import Conflict, Error, Forbidden, Malformed, Unauthenticated, Unavailable, Untrusted
from qaztech.people.accounts import NOT_PEOPLE, Account
from qaztech.people.actors import Actor
from qaztech.people.id_token import ALGORITHMS, ProviderKeys, verify_id_token
from qaztech.people.people import People
from qaztech.runtime.outbound import Outbound, get
from qaztech.runtime.shell import is_loopback

HOUR = 3_600_000
# What a provider must know as a console's redirect URI, after its origin.
CALLBACK = "/sign-in/oidc/callback"
MAX_DOCUMENT = 256 * 1024
_KIND = "oidc"
_LONGEST_DISPLAY = 200
_NOT_IN_NAMES = re.compile(r"[^a-z0-9._-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSettings:
    """One provider. `role_claim` may lead into objects (`realm_access.roles`); empty: roles are given here.

    `role_map` says which role a value of the claim stands for. With `create_accounts` whoever the provider sends with a
    role gets an account at first sign-in, named by `name_claim`; otherwise only linked identities come in.
    """

    issuer: str
    client_id: str
    client_secret: str = field(default="", repr=False)
    name: str
    scopes: tuple[str, ...] = ("openid", "profile")
    name_claim: str = "preferred_username"
    role_claim: str = ""
    role_map: Mapping[str, str] = field(default_factory=dict)
    create_accounts: bool = False
    algorithms: tuple[str, ...] = ALGORITHMS

    def __post_init__(self) -> None:
        require_secure(self.issuer)
        if not self.client_id or "openid" not in self.scopes or not set(self.algorithms) <= set(ALGORITHMS):
            raise Malformed("oidc.settings", "a client id, the scope openid, and asymmetric algorithms are needed")
        if self.create_accounts and not self.role_claim:
            raise Malformed("oidc.settings", "accounts can be created only where a claim gives their roles")


StructT = TypeVar("StructT", bound=msgspec.Struct)


class Fetcher(Protocol):
    """Small requests to the provider. Raises our errors."""

    async def get(self, url: str) -> bytes:
        """The body at a URL that answers 200."""
        ...

    async def post(self, url: str, body: bytes, content_type: str) -> tuple[int, str, bytes]:
        """Status, content type and body of an answer."""
        ...


class OutboundFetcher:
    """Requests by `runtime.outbound`, with the machine's certificate authorities."""

    def __init__(self) -> None:
        self._outbound = Outbound()

    async def get(self, url: str) -> bytes:
        """The body at a URL that answers 200."""
        return await asyncio.to_thread(get, url, limit=MAX_DOCUMENT)

    async def post(self, url: str, body: bytes, content_type: str) -> tuple[int, str, bytes]:
        """Status, content type and body of an answer."""
        return await self._outbound.post(url, body, content_type)


class Discovery(msgspec.Struct, frozen=True):
    """What is used of a provider's metadata (OpenID Connect Discovery 1.0, 3); the rest is passed over."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    code_challenge_methods_supported: tuple[str, ...] = ("S256",)
    authorization_response_iss_parameter_supported: bool = False


class TokenAnswer(msgspec.Struct, frozen=True):
    """What is used of the token endpoint's answer."""

    id_token: str


class Provider:
    """One OpenID provider as this console uses it. `redirect_uri` is the console's, and known to the provider."""

    def __init__(self, people: People, settings: ProviderSettings, *, redirect_uri: str, fetcher: Fetcher) -> None:
        self._people = people
        self._settings = settings
        self._redirect_uri = redirect_uri
        self._fetcher = fetcher
        self._found: tuple[int, Discovery] | None = None
        self._keys = ProviderKeys(self._fetched, people.clock)

    @property
    def name(self) -> str:
        """What people call it."""
        return self._settings.name

    async def begin(self, visitor: str, wanted: str, *, language: str) -> str:
        """Where to send the browser; `wanted` is the page it goes to afterwards. Raises `Unavailable`, `Untrusted`.

        The `language` comes back in front of the state (`kk.…`): the redirect URI has room for nothing else.
        """
        about = await self._discover()
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        state = f"{language}.{state}"
        kept = {"state": state, "nonce": nonce, "verifier": verifier, "wanted": wanted}
        await asyncio.to_thread(self._people.ceremonies.begin, visitor, _KIND, kept)
        query = {
            "response_type": "code", "client_id": self._settings.client_id, "redirect_uri": self._redirect_uri,
            "scope": " ".join(self._settings.scopes), "state": state, "nonce": nonce,
            "code_challenge": challenge(verifier), "code_challenge_method": "S256",
        }  # fmt: skip
        joint = "&" if urlsplit(about.authorization_endpoint).query else "?"
        return f"{about.authorization_endpoint}{joint}{urlencode(query)}"

    async def finish(self, visitor: str, query: Mapping[str, str]) -> tuple[str, str]:
        """The token of a new session, and the page that was wanted, for what the provider sent the browser back with.

        Raises `Unauthenticated`, `Forbidden` without an account here, `Untrusted`, `Unavailable`.
        """
        kept = await asyncio.to_thread(self._people.ceremonies.take, visitor, _KIND)
        if kept is None or not hmac.compare_digest(kept["state"].encode(), query.get("state", "").encode()):
            raise Unauthenticated("oidc.refused", "this browser did not begin that, or too long ago", at="caller")
        about = await self._discover()
        sent_by = query.get("iss")
        if sent_by != about.issuer and (sent_by is not None or about.authorization_response_iss_parameter_supported):
            raise Untrusted("oidc.untrusted", "the answer is of another provider", at="caller")
        if not query.get("code"):
            raise Unauthenticated("oidc.refused", "the provider did not let this person in", at="caller")
        token = await self._exchange(about, query["code"], kept["verifier"])
        claims = await verify_id_token(
            token,
            keys=self._keys,
            jwks_uri=about.jwks_uri,
            issuer=about.issuer,
            client_id=self._settings.client_id,
            nonce=kept["nonce"],
            now=self._people.clock.now(),
            algorithms=self._settings.algorithms,
        )
        account = await asyncio.to_thread(self._account, claims)
        return await asyncio.to_thread(self._people.enter, account.id, "oidc"), kept["wanted"]

    # The provider's answers

    async def _discover(self) -> Discovery:
        now = self._people.clock.now()
        if self._found is not None and now - self._found[0] < HOUR:
            return self._found[1]
        url = f"{self._settings.issuer.rstrip('/')}/.well-known/openid-configuration"
        about = _decoded(await self._fetched(url), Discovery)
        if about.issuer != self._settings.issuer:
            raise Untrusted("oidc.untrusted", "the provider's metadata names another issuer", at="caller")
        for endpoint in (about.authorization_endpoint, about.token_endpoint, about.jwks_uri):
            require_secure(endpoint)
        if "S256" not in about.code_challenge_methods_supported:
            raise Untrusted("oidc.untrusted", "the provider does not know PKCE with S256", at="caller")
        self._found = (now, about)
        return about

    async def _exchange(self, about: Discovery, code: str, verifier: str) -> str:
        form = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": self._redirect_uri,
            "client_id": self._settings.client_id, "code_verifier": verifier,
        }  # fmt: skip
        if self._settings.client_secret:
            form["client_secret"] = self._settings.client_secret
        kind = "application/x-www-form-urlencoded"
        try:
            status, _, body = await self._fetcher.post(about.token_endpoint, urlencode(form).encode(), kind)
        except Error as exc:
            raise _unavailable(exc) from exc
        if status >= 500:
            raise Unavailable("oidc.unavailable", f"the provider answers {status}", at="caller")
        if status != 200 or len(body) > MAX_DOCUMENT:
            raise Unauthenticated("oidc.refused", "the provider does not know that code", at="caller")
        return _decoded(body, TokenAnswer).id_token

    async def _fetched(self, url: str) -> bytes:
        try:
            return await self._fetcher.get(url)
        except Error as exc:
            raise _unavailable(exc) from exc

    # Whose account

    def _account(self, claims: Mapping[str, Any]) -> Account:
        issuer, subject = self._settings.issuer, claims["sub"]
        accounts, roles = self._people.accounts, self._roles(claims)
        by = Actor(name=issuer, role="identity-provider")
        account = accounts.of_identity(issuer, subject)
        if account is None:
            if not self._settings.create_accounts or not roles:
                raise Forbidden("oidc.unknown", "that identity has no account here", at="caller")
            account = self._create(claims, roles, by)
        if roles is not None and account.roles != roles:
            account = accounts.set_roles(account.name, roles, by=by)
        return account

    def _roles(self, claims: Mapping[str, Any]) -> tuple[str, ...] | None:
        """The roles that the provider gives; None where roles are given here."""
        if not self._settings.role_claim:
            return None
        found: Any = claims
        for part in self._settings.role_claim.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        values = [found] if isinstance(found, str) else found if isinstance(found, list) else []
        known = self._settings.role_map
        return tuple(sorted({known[value] for value in values if isinstance(value, str) and value in known}))

    def _create(self, claims: Mapping[str, Any], roles: tuple[str, ...], by: Actor) -> Account:
        wanted = account_name(claims.get(self._settings.name_claim))
        display = claims.get("name")
        fits = isinstance(display, str) and display.isprintable() and 0 < len(display.strip()) <= _LONGEST_DISPLAY
        shown = str(display) if fits else ""
        for name in (wanted, f"{wanted}-{secrets.token_hex(3)}"):  # a name that is taken stays its owner's
            try:
                account = self._people.accounts.add(name, shown or name, roles, None, by=by)
            except Conflict:
                continue
            self._people.accounts.link(name, self._settings.issuer, claims["sub"], by=by)
            return account
        raise Conflict("account.exists", "no free name for a new account", at="caller")


def challenge(verifier: str) -> str:
    """The S256 challenge of a verifier (RFC 7636, 4.2)."""
    return urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def require_secure(url: str) -> None:
    """Refuse an address that is not https; http only on this machine. Raises `Malformed`."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    here = is_loopback(host) or host == "localhost"
    if not host or parts.fragment or not (parts.scheme == "https" or (parts.scheme == "http" and here)):
        raise Malformed("oidc.settings", f"an OpenID provider is reached by https: {url[:200]!r}")


def account_name(wanted: object) -> str:
    """A name for a new account, from what the provider calls the person."""
    text = _NOT_IN_NAMES.sub("-", wanted.lower()) if isinstance(wanted, str) else ""
    text = text.strip("-._")[:48].strip("-._")
    return text if len(text) >= 2 and text not in NOT_PEOPLE else f"person-{secrets.token_hex(4)}"


def _decoded(data: bytes, kind: type[StructT]) -> StructT:
    try:
        return msgspec.json.decode(data[: MAX_DOCUMENT + 1], type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise Untrusted("oidc.untrusted", "the provider's answer is not what it must be", at="caller") from exc


def _unavailable(exc: Error) -> Unavailable:
    return Unavailable("oidc.unavailable", "the provider does not answer as it should", at="caller", context=exc.code)
