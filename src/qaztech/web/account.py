"""One's own account: password, passkeys, API tokens, sessions. Every change is a form that works without JavaScript.

Adding a passkey alone needs a script (`static/passkeys.js`). Not here: other people's accounts, which consoles manage.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from qaztech.core.errors import Error, Forbidden, Malformed, NotFound
from qaztech.people.accounts import Account
from qaztech.people.acts import AdminLog
from qaztech.people.gate import Gate, read_form, read_form_lists
from qaztech.people.parameters import DAY
from qaztech.people.passkeys import Passkeys
from qaztech.people.people import People, Person
from qaztech.runtime.shell import read_json
from qaztech.web.people_pages import Pages, answered, page_language

_DEFAULT_DAYS = 90

Change = Callable[[Request, Person], Awaitable[Response | None]]


class NewPasskeyForm(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The body of `POST /account/passkeys/finish`: a name, and what `navigator.credentials.create` gave, as JSON."""

    name: str
    credential: dict[str, Any]


def account_routes(
    people: People, gate: Gate, pages: Pages, passkeys: Passkeys, admin_log: AdminLog | None
) -> list[BaseRoute]:
    """The routes of `/account`."""
    return _AccountPage(people, gate, pages, passkeys, admin_log).routes


class _AccountPage:
    """The handlers, and what they need."""

    def __init__(
        self, people: People, gate: Gate, pages: Pages, passkeys: Passkeys, admin_log: AdminLog | None
    ) -> None:
        self._people = people
        self._gate = gate
        self._pages = pages
        self._passkeys = passkeys
        self._log = admin_log
        changes = {
            "/account/password": self._set_password,
            "/account/tokens": self._create_token,
            "/account/tokens/remove": self._remove_token,
            "/account/passkeys/remove": self._remove_passkey,
            "/account/sessions/end": self._end_session,
        }
        self.routes: list[BaseRoute] = [
            Route("/account", pages.signed_in(gate, self._show)),
            *(
                Route(path, pages.signed_in(gate, self._changing(change)), methods=["POST"])
                for path, change in changes.items()
            ),
            Route("/account/passkeys/begin", self._begin_passkey, methods=["POST"]),
            Route("/account/passkeys/finish", self._finish_passkey, methods=["POST"]),
        ]

    # The page

    async def _show(self, request: Request, person: Person) -> Response:
        said = "saved" if request.query_params.get("said") == "saved" else ""
        return await self._page(request, person, said=said)

    async def _page(
        self, request: Request, person: Person, *, said: str = "", problem: Error | None = None, secret: str = ""
    ) -> Response:
        values = await asyncio.to_thread(self._values, person)
        return self._pages.render(
            request,
            "account.html",
            status=200 if problem is None else problem.status,
            person=person,
            said=said,
            secret=secret,
            problem="" if problem is None else self._pages.words(request, problem),
            can_add=request.url.hostname == self._passkeys.host,
            days=_DEFAULT_DAYS,
            **values,
        )

    def _values(self, person: Person) -> dict[str, Any]:
        account = self._account(person)
        return {
            "account": account,
            "least": self._people.parameters.password_min,
            "passkeys": self._passkeys.of(person.id),
            "tokens": self._people.tokens.of(person.id),
            "sessions": self._people.sessions.of(person.id),
            "now": self._people.clock.now(),
        }

    def _changing(self, change: Change) -> Callable[[Request, Person], Awaitable[Response]]:
        """A change, then the page anew; where it is refused, the page with the reason."""

        async def changing(request: Request, person: Person) -> Response:
            _only_in_person(person)
            try:
                response = await change(request, person)
            except Error as exc:
                return await self._page(request, person, problem=exc)
            await self._logged()
            if response is not None:
                return response
            return RedirectResponse(f"/account?said=saved&lang={page_language(request)}", status_code=303)

        return changing

    # Changes

    async def _set_password(self, request: Request, person: Person) -> Response:
        form = await read_form(request)
        new = form.get("new", "")
        if new != form.get("repeat", ""):
            raise Malformed("password.differ", "the two new passwords differ", at="caller")
        self._people.passwords.check(new, person.name)
        current, address = form.get("current", ""), self._gate.address(request)
        await asyncio.to_thread(self._people.verify, person.name, current, address)
        await asyncio.to_thread(self._people.accounts.set_password, person.name, new, by=person.actor)
        token = await asyncio.to_thread(self._people.enter, person.id, "password")
        response = RedirectResponse(f"/account?said=saved&lang={page_language(request)}", status_code=303)
        self._gate.let_in(response, token)
        return response

    async def _create_token(self, request: Request, person: Person) -> Response:
        await self._gate.require_fresh(request)
        form = await read_form_lists(request)
        scopes = form.get("scope", [])
        if not set(scopes) <= person.scopes:
            raise Forbidden("scope.missing", "a token has no more than its owner", at="caller")
        days = form.get("days", [""])[-1]
        if not (days.isascii() and days.isdigit() and len(days) <= 4):
            raise Malformed("token.expiry", "a number of days", at="caller")
        expires = self._people.clock.now() + int(days) * DAY
        name = form.get("name", [""])[-1]
        secret, _ = await asyncio.to_thread(
            self._people.tokens.create, person.id, name, scopes, expires, by=person.actor
        )
        return await self._page(request, person, secret=secret)

    async def _remove_token(self, request: Request, person: Person) -> None:
        id_ = (await read_form(request)).get("id", "")
        await asyncio.to_thread(self._people.tokens.remove, person.id, id_, by=person.actor)

    async def _remove_passkey(self, request: Request, person: Person) -> None:
        id_ = (await read_form(request)).get("id", "")
        await asyncio.to_thread(self._passkeys.remove, person.id, id_, by=person.actor)

    async def _end_session(self, request: Request, person: Person) -> None:
        id_ = (await read_form(request)).get("id", "")
        await asyncio.to_thread(self._people.sessions.end_one, person.id, id_)

    # Adding a passkey, with the script

    async def _begin_passkey(self, request: Request) -> Response:
        person = _only_in_person(await self._gate.require(request))
        await self._gate.require_fresh(request)
        session = self._gate.session_token(request)
        account = await asyncio.to_thread(self._account, person)
        return answered(await asyncio.to_thread(self._passkeys.begin_adding, account, session))

    async def _finish_passkey(self, request: Request) -> Response:
        person = _only_in_person(await self._gate.require(request))
        form = await read_json(request, NewPasskeyForm)
        session, account = self._gate.session_token(request), await asyncio.to_thread(self._account, person)
        made = await asyncio.to_thread(
            self._passkeys.finish_adding, account, session, form.name, form.credential, by=person.actor
        )
        await self._logged()
        return answered({"id": made.id, "name": made.name}, status=201)

    async def _logged(self) -> None:
        if self._log is not None:
            await self._log.drain(self._people.engine)

    def _account(self, person: Person) -> Account:
        account = self._people.accounts.by_id(person.id)
        if account is None:
            raise NotFound("account.unknown", "there is no such account", at="caller")
        return account


def _only_in_person(person: Person) -> Person:
    """Refuse API tokens: a token must not make tokens or passkeys that outlive it."""
    if not person.session:
        raise Forbidden("session.only", "an account is changed by its owner, signed in, not by a token", at="caller")
    return person
