"""The people of a console such as the registry's: accounts, roles, who is kept out. Auditors see the list.

A new account gets a password that is made here and shown once. Nobody changes their own roles or locks themselves out,
so there is always an operator left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from qaztech.core.errors import Conflict, Error, Malformed
from qaztech.people.gate import read_form_lists
from qaztech.people.passwords import made_password
from qaztech.people.people import Person
from qaztech.registry import scopes
from qaztech.web.registry_pages import redirect
from qaztech.web.registry_parts import Frame, Keeping

Form = dict[str, list[str]]


class PeoplePages:
    """The handlers."""

    def __init__(self, parts: Keeping, pages: Frame) -> None:
        self._parts = parts
        self._pages = pages
        self._changes: dict[str, Callable[[str, Form, Person], None]] = {
            "roles": self._set_roles,
            "disable": self._disable,
            "enable": self._enable,
        }

    async def list_all(self, request: Request, person: Person) -> Response:
        """Everybody who has an account."""
        return await self._page(request, person)

    async def add(self, request: Request, person: Person) -> Response:
        """A new account, with its password on the page that follows, and nowhere else."""
        form = await read_form_lists(request)
        name, display, password = _one(form, "name").lower(), _one(form, "display"), made_password()

        def add() -> None:
            self._parts.people.accounts.add(name, display, form.get("roles", []), password, by=person.actor)

        try:
            await self._carry_out(add)
        except Error as exc:
            if exc.status >= 500:
                raise
            return await self._page(request, person, problem=exc, name=name, display=display)
        return await self._page(request, person, made=(name, password))

    async def change(self, request: Request, person: Person) -> Response:
        """Other roles, keeping out, letting in, a new password."""
        form = await read_form_lists(request)
        name, what = request.path_params["name"], _one(form, "change")
        try:
            if name == person.name:
                raise Conflict("account.own", "one's own account is changed by somebody else", at="caller")
            if what == "password":
                password = made_password()
                await self._carry_out(lambda: self._parts.people.accounts.set_password(name, password, by=person.actor))
                return await self._page(request, person, made=(name, password))
            change = self._changes.get(what)
            if change is None:
                raise Malformed("form.malformed", "there is no such change", at="caller")
            await self._carry_out(lambda: change(name, form, person))
        except Error as exc:
            if exc.status >= 500:
                raise
            return await self._page(request, person, problem=exc)
        return redirect(request, "/console/people", said="saved")

    async def _carry_out(self, change: Callable[[], None]) -> None:
        """Make a change on accounts, and bring its act to the admin log; nothing where that is halted."""
        log = self._parts.admin_log
        if log.halted is not None:
            raise log.halted
        await asyncio.to_thread(change)
        await log.drain(self._parts.people.engine)

    def _set_roles(self, name: str, form: Form, person: Person) -> None:
        self._parts.people.accounts.set_roles(name, form.get("roles", []), by=person.actor)

    def _disable(self, name: str, _: Form, person: Person) -> None:
        self._parts.people.accounts.set_disabled(name, True, by=person.actor)

    def _enable(self, name: str, _: Form, person: Person) -> None:
        self._parts.people.accounts.set_disabled(name, False, by=person.actor)

    async def _page(
        self,
        request: Request,
        person: Person,
        *,
        problem: Error | None = None,
        made: tuple[str, str] | None = None,
        name: str = "",
        display: str = "",
    ) -> Response:
        people = self._parts.people
        return self._pages.render(
            request,
            person,
            "people.html",
            status=200 if problem is None else problem.status,
            accounts=await asyncio.to_thread(people.accounts.all),
            roles=list(people.roles),
            may_change=person.may(scopes.CHANGE_PEOPLE),
            problem="" if problem is None else self._pages.words(request, problem),
            made=made,
            name=name,
            display=display,
        )


def _one(form: Form, name: str) -> str:
    return form.get(name, [""])[-1].strip()
