"""Verifying an ID token: signature by the provider's keys, issuer, audience, times, nonce (OpenID Core 3.1.3.7).

Only asymmetric algorithms, from a list; never what the token itself proposes. Every failure is `oidc.untrusted`.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeGuard

from joserfc import jws
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import Key, KeySet

from qaztech.core.errors import Untrusted
from qaztech.core.time import Clock

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
MAX_TOKEN = 64 * 1024
SKEW = 60_000
LONGEST_AGE = 10 * 60_000
_HOUR = 3_600_000
# An unknown key id has the keys fetched again, but not at the pace of who invents key ids.
_REFETCH_AFTER = 10_000
_WRONG = (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError, SecurityWarning)


class ProviderKeys:
    """The signing keys of one provider, fetched when needed."""

    def __init__(self, fetch: Callable[[str], Awaitable[bytes]], clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._keys: list[Key] = []
        self._fetched: int | None = None

    async def for_token(self, jwks_uri: str, header: Mapping[str, Any]) -> list[Key]:
        """The keys that a token with this header may be signed with; fetched once more where its key is unknown."""
        age = None if self._fetched is None else self._clock.now() - self._fetched
        if age is None or age >= _HOUR:
            await self._refresh(jwks_uri)
            age = 0
            return self._fitting(header)
        found = self._fitting(header)
        if not found and age >= _REFETCH_AFTER:
            await self._refresh(jwks_uri)
            found = self._fitting(header)
        return found

    async def _refresh(self, jwks_uri: str) -> None:
        body = await self._fetch(jwks_uri)
        try:
            self._keys = list(KeySet.import_key_set(json.loads(body)).keys)
        except _WRONG as exc:
            raise Untrusted("oidc.untrusted", "the provider's keys cannot be read", at="caller") from exc
        self._fetched = self._clock.now()

    def _fitting(self, header: Mapping[str, Any]) -> list[Key]:
        wanted = header.get("kid")
        keys = [key for key in self._keys if key.key_type != "oct" and key.get("use") in {None, "sig"}]
        return [key for key in keys if wanted is None or key.get("kid") == wanted]


async def verify_id_token(
    token: str,
    *,
    keys: ProviderKeys,
    jwks_uri: str,
    issuer: str,
    client_id: str,
    nonce: str,
    now: int,
    algorithms: Sequence[str],
) -> dict[str, Any]:
    """The claims of a token that is all it must be. Raises `Untrusted`."""
    header = _header(token)
    if header.get("alg") not in algorithms:
        raise Untrusted("oidc.untrusted", "the ID token is signed in a way that is not accepted", at="caller")
    claims = _verified(token, await keys.for_token(jwks_uri, header), algorithms)
    why = problem_of(claims, issuer=issuer, client_id=client_id, nonce=nonce, now=now)
    if why:
        raise Untrusted("oidc.untrusted", f"the ID token {why}", at="caller")
    return claims


def problem_of(claims: Mapping[str, Any], *, issuer: str, client_id: str, nonce: str, now: int) -> str:
    """What is wrong with the claims; empty when nothing is."""
    audience = claims.get("aud")
    audiences = [audience] if isinstance(audience, str) else audience if isinstance(audience, list) else []
    expires, issued = claims.get("exp"), claims.get("iat")
    subject = claims.get("sub")
    if claims.get("iss") != issuer:
        return "is of another issuer"
    if client_id not in audiences:
        return "is for another client"
    if claims.get("azp", client_id) != client_id or (len(audiences) > 1 and "azp" not in claims):
        return "is for several clients, and not for this one"
    if not _is_time(expires) or expires * 1000 <= now - SKEW:
        return "has expired"
    if not _is_time(issued) or not now - LONGEST_AGE - SKEW <= issued * 1000 <= now + SKEW:
        return "is of another time"
    if not isinstance(claims.get("nonce"), str) or claims["nonce"] != nonce:
        return "answers another request"
    if (
        not isinstance(subject, str)
        or not 1 <= len(subject) <= 255
        or not (subject.isascii() and subject.isprintable())
    ):
        return "names nobody"
    return ""


def _is_time(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 2**40


def _header(token: str) -> dict[str, Any]:
    try:
        if len(token) > MAX_TOKEN:
            raise ValueError("too long")
        return dict(jws.extract_compact(token.encode("ascii")).headers())
    except _WRONG as exc:
        raise Untrusted("oidc.untrusted", "that is not an ID token", at="caller") from exc


def _verified(token: str, keys: Sequence[Key], algorithms: Sequence[str]) -> dict[str, Any]:
    for key in keys:
        try:
            payload = jws.deserialize_compact(token, key, algorithms=list(algorithms)).payload
            claims = json.loads(payload)
        except _WRONG:
            continue
        if isinstance(claims, dict):
            return claims
    raise Untrusted("oidc.untrusted", "the ID token is not signed by a key of the provider", at="caller")
