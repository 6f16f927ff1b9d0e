"""The gate: who makes a request, and whether they may. For Starlette requests of pages and management APIs.

A session cookie or `Authorization: Bearer`. A browser sends cookies by itself, so with a cookie a request that changes
something must also come from a page of ours (`Origin`, `Sec-Fetch-Site`) and carry the session's CSRF token, in the
form field `csrf` or the header `X-CSRF-Token`. With a bearer token no cookie is looked at. Not here: pages.
"""

from __future__ import annotations

import asyncio
import hmac
from urllib.parse import parse_qs, urlsplit

from starlette.requests import Request
from starlette.responses import Response

from qaztech.core.errors import Forbidden, Malformed, Unauthenticated
from qaztech.people.oidc import Provider
from qaztech.people.people import People, Person
from qaztech.people.sessions import TOKEN_LENGTH, csrf_token, new_token

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
CSRF_FIELD, CSRF_HEADER = "csrf", "x-csrf-token"
FORM, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"
MAX_FIELDS = 500


class Gate:
    """Stands in front of every route. `origin` is the address people type: `https://console.example`.

    Cookies are `__Host-` and `Secure` unless `secure_cookies` is false, which only plain http may be. `provider` is
    another way in. `behind_proxy` says that a proxy of ours, and nobody else, reaches this process and ends
    `X-Forwarded-For` with whom it serves: without it all who come through a proxy would be slowed down as one.
    """

    def __init__(
        self,
        people: People,
        *,
        origin: str,
        secure_cookies: bool | None = None,
        provider: Provider | None = None,
        behind_proxy: bool = False,
    ) -> None:
        parts = urlsplit(origin)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path.strip("/"):
            raise Malformed("gate.origin", f"not an origin such as https://console.example: {origin[:200]!r}")
        self.people = people
        self.provider = provider
        self._behind_proxy = behind_proxy
        self.origin = f"{parts.scheme}://{parts.netloc}"
        self.host = parts.hostname
        self.secure = parts.scheme == "https" if secure_cookies is None else secure_cookies
        self._origins = _origins(self.origin)
        # Cookies do not know ports: two consoles on one machine must not take each other's.
        name = f"qaztech-{parts.port}" if parts.port else "qaztech"
        self.cookie = f"__Host-{name}" if self.secure else name
        self._before = f"{self.cookie}-before"

    async def person(self, request: Request) -> Person | None:
        """Who makes this request; None for a visitor. Raises `Unauthenticated` for a token that is none."""
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        if scheme:
            found = None
            if scheme.lower() == "bearer":
                found = await asyncio.to_thread(self.people.by_token, secret.strip())
            if found is None:
                raise Unauthenticated("token.refused", "that token is not known, or has ended", at="caller")
            return found
        token = request.cookies.get(self.cookie, "")
        return await asyncio.to_thread(self.people.by_session, token) if token else None

    async def require(self, request: Request, scope: str | None = None) -> Person:
        """Who makes this request, if they may. Raises `Unauthenticated` or `Forbidden`.

        Without a scope it is enough to be signed in.
        """
        return await self.check(request, await self.person(request), scope)

    async def check(self, request: Request, person: Person | None, scope: str | None = None) -> Person:
        """`require` for whom `person` has found."""
        if person is None:
            raise Unauthenticated("session.missing", "sign in first", at="caller")
        if person.session and request.method not in SAFE:
            self.require_same_origin(request)
            await _require_csrf(request, person.csrf)
        if scope is not None and not person.may(scope):
            raise Forbidden("scope.missing", f"this needs {scope}", at="caller")
        return person

    def require_same_origin(self, request: Request) -> None:
        """Refuse what a page of somebody else made the browser send. Raises `Forbidden`."""
        site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
        foreign = (site is not None and site != "same-origin") or (origin is not None and origin not in self._origins)
        if foreign or (site is None and origin is None):
            raise Forbidden("session.origin", "that came from another page than ours", at="caller")

    async def require_fresh(self, request: Request) -> None:
        """Refuse what gives a new way in, unless the person has signed in just now. Raises `Forbidden`."""
        session = await asyncio.to_thread(self.people.sessions.find, self.session_token(request))
        now, parameters = self.people.clock.now(), self.people.parameters
        if session is None or now - session.created >= parameters.session_fresh:
            raise Forbidden(
                "session.stale", "sign in again first: this needs a session that has just begun", at="caller"
            )

    def address(self, request: Request) -> str:
        """The network address a request came from: as the socket says, or the proxy in front of us."""
        return address_of(request, behind_proxy=self._behind_proxy)

    # Cookies

    def let_in(self, response: Response, token: str) -> None:
        """Give the browser the session that has just begun."""
        self._set(response, self.cookie, token)
        self._drop(response, self._before)

    def let_out(self, response: Response) -> None:
        """Take the session back from the browser."""
        self._drop(response, self.cookie)

    def session_token(self, request: Request) -> str:
        """The session's token as the browser sent it, unchecked; empty where there is none."""
        return request.cookies.get(self.cookie, "")

    def visitor(self, request: Request) -> str:
        """The token of a visitor who is not signed in, from the cookie or new (then `keep_visitor`)."""
        token = request.cookies.get(self._before, "")
        return token if len(token) == TOKEN_LENGTH else new_token()

    def keep_visitor(self, response: Response, token: str) -> None:
        """Give the browser a visitor's token, to which forms and ceremonies before sign-in are bound."""
        self._set(response, self._before, token)

    async def require_visitor(self, request: Request) -> str:
        """A visitor's token with a form that belongs to it. Raises `Forbidden`."""
        self.require_same_origin(request)
        token = request.cookies.get(self._before, "")
        if len(token) != TOKEN_LENGTH:
            raise Forbidden("session.csrf", "that page is too old; open it again", at="caller")
        await _require_csrf(request, csrf_token(token))
        return token

    def _set(self, response: Response, name: str, value: str) -> None:
        response.set_cookie(name, value, path="/", secure=self.secure, httponly=True, samesite="lax")

    def _drop(self, response: Response, name: str) -> None:
        response.delete_cookie(name, path="/", secure=self.secure, httponly=True, samesite="lax")


def address_of(request: Request, *, behind_proxy: bool) -> str:
    """The network address a request came from: of what a proxy of ours in front of us says, its own last word."""
    forwarded = request.headers.getlist("x-forwarded-for") if behind_proxy else []
    if forwarded:
        return forwarded[-1].rpartition(",")[2].strip()
    return request.client.host if request.client is not None else ""


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a urlencoded form; of a name given twice the last. Raises `Malformed`."""
    return {name: values[-1] for name, values in (await read_form_lists(request)).items()}


async def read_form_lists(request: Request) -> dict[str, list[str]]:
    """The fields of a urlencoded form, each with all its values. Raises `Malformed`."""
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != FORM:
        raise Malformed("form.malformed", f"a form is sent as {FORM}", at="caller")
    try:
        text = (await request.body()).decode("ascii")
        return parse_qs(text, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError as exc:
        raise Malformed("form.malformed", "not the fields of a form", at="caller") from exc


async def _require_csrf(request: Request, expected: str) -> None:
    given = request.headers.get(CSRF_HEADER)
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if given is None and kind == FORM:
        given = (await read_form(request)).get(CSRF_FIELD)
    if given is None and kind == MULTIPART:
        await request.body()  # kept, so that the route can read the form again
        value = (await request.form(max_files=20, max_fields=MAX_FIELDS)).get(CSRF_FIELD)
        given = value if isinstance(value, str) else None
    if given is None or not hmac.compare_digest(given.encode(), expected.encode()):
        raise Forbidden("session.csrf", "the form is too old; open the page again", at="caller")


def _origins(origin: str) -> frozenset[str]:
    """The origin, and on this machine its other names."""
    parts = urlsplit(origin)
    if parts.hostname not in {"localhost", "127.0.0.1"}:
        return frozenset({origin})
    port = f":{parts.port}" if parts.port else ""
    return frozenset(f"{parts.scheme}://{name}{port}" for name in ("localhost", "127.0.0.1"))
