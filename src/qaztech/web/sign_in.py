"""Signing in and out, as pages in three languages and as JSON (`/api/session`).

By password, by passkey, or through an OpenID provider where one is configured. Before sign-in a browser has a visitor's
token, to which the form is bound; afterwards a session's, always a new one. Works without JavaScript; passkeys alone
need it. Not here: one's own account (`account`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from qaztech.core.errors import Error, Forbidden, Malformed, Unauthenticated
from qaztech.people.acts import AdminLog
from qaztech.people.gate import Gate, read_form
from qaztech.people.oidc import CALLBACK, Provider
from qaztech.people.passkeys import Passkeys
from qaztech.people.people import People, Person
from qaztech.people.sessions import csrf_token
from qaztech.runtime.shell import read_json
from qaztech.web.account import account_routes
from qaztech.web.people_pages import Pages, answered, page_language, safe_next

_SAID = frozenset({"signed-out", "needed"})


class SignInForm(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The body of `POST /api/session`."""

    name: str
    password: str


def sign_in_routes(
    people: People,
    gate: Gate,
    *,
    site: Mapping[str, str],
    home: str = "/",
    admin_log: AdminLog | None = None,
    provider: Provider | None = None,
    notice: Mapping[str, str] | None = None,
) -> tuple[list[BaseRoute], Pages]:
    """The routes of signing in and of one's own account, and the `Pages` with which a console guards its others.

    `site` is the console's name in kk, ru and en; `home` where people go after signing in. What people change about
    their accounts goes to `admin_log` at once where one is given, else when its process brings it there. On every page
    stands `notice`, in the page's language.
    """
    pages = Pages(site=site, home=home, parameters=people.parameters, notice=notice)
    passkeys = people.passkeys(origin=gate.origin, name=site["kk"])
    door = _Door(people, gate, pages, passkeys, provider=provider or gate.provider, admin_log=admin_log)
    return [*door.routes, *account_routes(people, gate, pages, passkeys, admin_log)], pages


class _Door:
    """The handlers, and what they need."""

    def __init__(
        self,
        people: People,
        gate: Gate,
        pages: Pages,
        passkeys: Passkeys,
        *,
        provider: Provider | None,
        admin_log: AdminLog | None,
    ) -> None:
        self._people = people
        self._gate = gate
        self._pages = pages
        self._passkeys = passkeys
        self._provider = provider
        self._log = admin_log
        self.routes: list[BaseRoute] = [
            Route("/sign-in", self._show),
            Route("/sign-in", self._enter, methods=["POST"]),
            Route("/sign-out", self._leave, methods=["POST"]),
            *([Route("/sign-in/oidc", self._to_provider), Route(CALLBACK, self._from_provider)] if provider else []),
            Route("/api/session", self._who),
            Route("/api/session", self._begin, methods=["POST"]),
            Route("/api/session", self._end, methods=["DELETE"]),
            Route("/api/session/passkey/begin", self._begin_passkey, methods=["POST"]),
            Route("/api/session/passkey/finish", self._finish_passkey, methods=["POST"]),
        ]

    # Pages

    async def _show(self, request: Request) -> Response:
        if await self._gate.person(request) is not None:
            return RedirectResponse(self._next(request.query_params), status_code=303)
        said = request.query_params.get("said", "needed" if "next" in request.query_params else "")
        return self._form(request, said=said if said in _SAID else "", wanted=self._next(request.query_params))

    async def _enter(self, request: Request) -> Response:
        form: dict[str, str] = {}
        try:
            form = await read_form(request)
            await self._gate.require_visitor(request)
            token = await self._sign_in(request, form.get("name", ""), form.get("password", ""))
        except Error as exc:
            return self._form(request, problem=exc, wanted=self._next(form), name=form.get("name", "")[:64])
        response = RedirectResponse(self._next(form), status_code=303)
        self._gate.let_in(response, token)
        return response

    async def _leave(self, request: Request) -> Response:
        try:
            await self._gate.require(request)
        except Unauthenticated:
            pass  # the session has ended meanwhile, which is what was asked for
        except Error as exc:
            return self._pages.problem(request, exc)
        await asyncio.to_thread(self._people.sessions.end, self._gate.session_token(request))
        response = RedirectResponse(f"/sign-in?said=signed-out&lang={page_language(request)}", status_code=303)
        self._gate.let_out(response)
        return response

    async def _to_provider(self, request: Request) -> Response:
        assert self._provider is not None  # noqa: S101  # else there is no such route
        wanted, visitor = self._next(request.query_params), self._gate.visitor(request)
        try:
            url = await self._provider.begin(visitor, wanted, language=page_language(request))
        except Error as exc:
            return self._form(request, problem=exc, wanted=wanted)
        response = RedirectResponse(url, status_code=303, headers={"Cache-Control": "no-store"})
        self._gate.keep_visitor(response, visitor)
        return response

    async def _from_provider(self, request: Request) -> Response:
        assert self._provider is not None  # noqa: S101  # else there is no such route
        try:
            token, wanted = await self._provider.finish(self._gate.visitor(request), request.query_params)
        except Error as exc:
            return self._form(request, problem=exc, wanted=self._pages.home)
        await asyncio.to_thread(self._people.sessions.end, self._gate.session_token(request))
        if self._log is not None:
            await self._log.drain(self._people.engine)
        response = RedirectResponse(safe_next(wanted, self._pages.home), status_code=303)
        self._gate.let_in(response, token)
        return response

    def _form(
        self, request: Request, *, wanted: str, said: str = "", problem: Error | None = None, name: str = ""
    ) -> Response:
        visitor = self._gate.visitor(request)
        response = self._pages.render(
            request,
            "sign-in.html",
            status=200 if problem is None else problem.status,
            csrf=csrf_token(visitor),
            next=wanted,
            name=name,
            said=said,
            problem="" if problem is None else self._pages.words(request, problem),
            passkeys=request.url.hostname == self._passkeys.host,
            oidc=self._provider.name if self._provider is not None else "",
        )
        if problem is not None and problem.retry_after is not None:
            response.headers["Retry-After"] = str(problem.retry_after)
        self._gate.keep_visitor(response, visitor)
        return response

    def _next(self, values: Mapping[str, str]) -> str:
        return safe_next(values.get("next", ""), self._pages.home)

    # JSON

    async def _who(self, request: Request) -> Response:
        person = await self._gate.person(request)
        if person is None:
            raise Unauthenticated("session.missing", "sign in first", at="caller")
        return _told(person)

    async def _begin(self, request: Request) -> Response:
        if "origin" in request.headers or "sec-fetch-site" in request.headers:
            self._gate.require_same_origin(request)
        if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
            raise Malformed("request.malformed", "send JSON, and say so", at="caller")  # a foreign form cannot
        form = await read_json(request, SignInForm)
        token = await self._sign_in(request, form.name, form.password)
        person = await asyncio.to_thread(self._people.by_session, token)
        if person is None:
            raise Forbidden("sign-in.refused", "the account was disabled at this moment", at="caller")
        response = _told(person, status=201)
        self._gate.let_in(response, token)
        return response

    async def _end(self, request: Request) -> Response:
        await self._gate.require(request)
        await asyncio.to_thread(self._people.sessions.end, self._gate.session_token(request))
        response = Response(status_code=204)
        self._gate.let_out(response)
        return response

    async def _begin_passkey(self, request: Request) -> Response:
        visitor = await self._gate.require_visitor(request)
        return answered(await asyncio.to_thread(self._passkeys.begin_entering, visitor))

    async def _finish_passkey(self, request: Request) -> Response:
        visitor = await self._gate.require_visitor(request)
        credential = (await read_json(request, PasskeyForm)).credential
        account = await asyncio.to_thread(self._passkeys.finish_entering, visitor, credential)
        token = await asyncio.to_thread(self._people.enter, account, "passkey")
        await asyncio.to_thread(self._people.sessions.end, self._gate.session_token(request))
        response = answered({"next": self._next(request.query_params)})
        self._gate.let_in(response, token)
        return response

    async def _sign_in(self, request: Request, name: str, password: str) -> str:
        """A new session's token; the one the browser had before ends."""
        token = await asyncio.to_thread(self._people.sign_in, name, password, self._gate.address(request))
        await asyncio.to_thread(self._people.sessions.end, self._gate.session_token(request))
        return token


class PasskeyForm(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The body of `POST /api/session/passkey/finish`: what `navigator.credentials.get` gave, as JSON."""

    credential: dict[str, Any]


def describe_routes(routes: Sequence[BaseRoute]) -> list[tuple[str, str]]:
    """Method and path of each route, for a matrix that forgets none."""
    found = [(route.path, route.methods or set()) for route in routes if isinstance(route, Route)]
    return sorted((method, path) for path, methods in found for method in methods if method != "HEAD")


def _told(person: Person, *, status: int = 200) -> Response:
    body = {
        "name": person.name, "display": person.display, "roles": person.roles, "scopes": sorted(person.scopes),
        "csrf": person.csrf,
    }  # fmt: skip
    return answered(body, status=status)
