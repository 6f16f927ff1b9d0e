"""Pages of the organisation itself: overview, joining, the member key, its people, its admin log."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from qaztech.core.errors import Conflict, Error, Malformed, NotFound
from qaztech.member.console import CONSOLE_ROLES
from qaztech.people.acts import MOST_AT_ONCE
from qaztech.people.passwords import made_password
from qaztech.people.people import Person
from qaztech.registry.application import CLASSES
from qaztech.web.member_chart import traffic
from qaztech.web.member_parts import PageRoute, Parts, late, off_loop
from qaztech.web.member_site import HOME, Form, one, read_upload, read_values, redirect, three

JOINING, KEY, PEOPLE, LOG = "/console/joining", "/console/key", "/console/people", "/console/log"
SHOWN_ACTS = 50


class DeskPages:
    """The handlers."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._console = parts.console
        self._member = parts.console.member

    def routes(self) -> list[PageRoute]:
        """Every route with its scope."""
        return [
            PageRoute("GET", HOME, "overview:read", self._overview),
            PageRoute("GET", JOINING, "member:read", self._joining),
            PageRoute("POST", f"{JOINING}/key", "member:write", self._create),
            PageRoute("POST", f"{JOINING}/apply", "member:write", self._apply),
            PageRoute("POST", f"{JOINING}/submit", "member:write", self._submit),
            PageRoute("POST", f"{JOINING}/renew", "member:write", self._renew),
            PageRoute("GET", KEY, "member:write", self._key),
            PageRoute("POST", KEY, "member:write", self._rotate),
            PageRoute("GET", PEOPLE, "people:read", self._people),
            PageRoute("POST", PEOPLE, "people:write", self._add_person),
            PageRoute("POST", f"{PEOPLE}/{{name}}/roles", "people:write", self._set_roles),
            PageRoute("POST", f"{PEOPLE}/{{name}}/disabled", "people:write", self._set_disabled),
            PageRoute("POST", f"{PEOPLE}/{{name}}/password", "people:write", self._set_password),
            PageRoute("GET", LOG, "log:read", self._log),
            PageRoute("GET", f"{LOG}/tiles/{{path:path}}", "log:read", self._tile),
        ]

    async def _overview(self, request: Request, person: Person) -> Response:
        console = self._console
        if not console.work.exists:
            return redirect(request, JOINING)
        file = await off_loop(console.work.file)
        step = await off_loop(self._member.step)
        waiting = await off_loop(console.waiting)
        (node, other), listed = await asyncio.gather(
            off_loop(console.node_seen), off_loop(lambda: _quietly(console.node.exchanges))
        )
        now = console.clock.now()
        return self._render(
            request, "overview.html", person, file=file, statement=file.statement, step=step, waiting=waiting,
            node=node, other_node=other, chart=traffic(listed, now) if listed is not None else None, now=now,
            brought=console.work.brought,
        )  # fmt: skip

    # Joining ---------------------------------------------------------------------------------------------------------

    async def _joining(self, request: Request, person: Person) -> Response:
        return await self._show_joining(request, person)

    async def _show_joining(
        self, request: Request, person: Person, problem: Error | None = None, values: Form | None = None
    ) -> Response:
        console = self._console
        exists = console.work.exists
        application = await off_loop(self._member.application) if exists else None
        return self._render(
            request, "joining.html", person, status=200 if problem is None else problem.status,
            step=await off_loop(self._member.step), application=application, classes=CLASSES, values=values or {},
            file=console.work.file() if exists else None, brought=console.work.brought, now=console.clock.now(),
            problem=None if problem is None else self._parts.pages.words(request, problem),
        )  # fmt: skip

    async def _create(self, request: Request, person: Person) -> Response:
        values = await read_values(request)
        try:
            names = three(values, "names")
            await off_loop(lambda: self._member.create(one(values, "class"), one(values, "bin"), names, person.actor))
        except Error as exc:
            return await self._show_joining(request, person, exc, values)
        return redirect(request, JOINING, done="key-made")

    async def _apply(self, request: Request, person: Person) -> Response:
        values = await read_values(request)
        try:
            signer = await read_upload(request, "signer")
            if signer is None:
                raise Malformed("console.no-file", "choose the signer's file", at="caller")
            await off_loop(
                lambda: self._member.apply(
                    unit=one(values, "unit"), email=one(values, "email"), phone=one(values, "phone"), signer=signer,
                    by=person.actor,
                )
            )  # fmt: skip
        except Error as exc:
            return await self._show_joining(request, person, exc, values)
        return redirect(request, JOINING, done="applied")

    async def _submit(self, request: Request, person: Person) -> Response:
        outcome = await off_loop(lambda: self._console.bring(person.actor))
        back = (await read_values(request)).get("back", [""])[0]
        return redirect(request, HOME if back == "overview" else JOINING, done="submitted", **late(outcome))

    async def _renew(self, request: Request, person: Person) -> Response:
        outcome = await off_loop(lambda: self._member.renew(person.actor))
        return redirect(request, JOINING, done="renewed", **late(outcome))

    # The key ---------------------------------------------------------------------------------------------------------

    async def _key(self, request: Request, person: Person) -> Response:
        file = await off_loop(self._console.work.file)
        return self._render(request, "key.html", person, file=file, statement=file.statement)

    async def _rotate(self, request: Request, person: Person) -> Response:
        values = await read_values(request)
        if one(values, "sure") != "yes":
            raise Conflict("console.confirm", "say that it is meant", at="caller")
        outcome = await off_loop(lambda: self._member.rotate_key(person.actor))
        showcase = await off_loop(self._console.services.sign_again)
        return redirect(request, JOINING, done="key-rotated", showcase=showcase, **late(outcome))

    # People ----------------------------------------------------------------------------------------------------------

    async def _people(
        self, request: Request, person: Person, shown: tuple[str, str] | None = None, problem: Error | None = None
    ) -> Response:
        accounts = await off_loop(self._parts.people.accounts.all)
        return self._render(
            request, "people.html", person, status=200 if problem is None else problem.status, accounts=accounts,
            roles=tuple(CONSOLE_ROLES), shown=shown,
            problem=None if problem is None else self._parts.pages.words(request, problem),
        )  # fmt: skip

    async def _add_person(self, request: Request, person: Person) -> Response:
        values = await read_values(request)
        name, password = one(values, "name"), made_password()
        try:
            await off_loop(
                lambda: self._parts.people.accounts.add(
                    name, one(values, "display"), values.get("role", []), password, by=person.actor
                )
            )
        except Error as exc:
            return await self._people(request, person, problem=exc)
        return await self._people(request, person, shown=(name, password))

    async def _set_roles(self, request: Request, person: Person) -> Response:
        values, name = await read_values(request), request.path_params["name"]
        _not_oneself(person, name)
        accounts = self._parts.people.accounts
        await off_loop(lambda: accounts.set_roles(name, values.get("role", []), by=person.actor))
        return redirect(request, PEOPLE, done="roles-set")

    async def _set_disabled(self, request: Request, person: Person) -> Response:
        values, name = await read_values(request), request.path_params["name"]
        _not_oneself(person, name)
        disabled = one(values, "disabled") == "yes"
        await off_loop(lambda: self._parts.people.accounts.set_disabled(name, disabled, by=person.actor))
        return redirect(request, PEOPLE, done="account-disabled" if disabled else "account-enabled")

    async def _set_password(self, request: Request, person: Person) -> Response:
        name, password = request.path_params["name"], made_password()
        _not_oneself(person, name)
        await off_loop(lambda: self._parts.people.accounts.set_password(name, password, by=person.actor))
        return await self._people(request, person, shown=(name, password))

    # The admin log ---------------------------------------------------------------------------------------------------

    async def _log(self, request: Request, person: Person) -> Response:
        await self._parts.log.drain(self._parts.people.engine)
        asked = request.query_params.get("before", "")
        before = int(asked) if asked.isascii() and asked.isdecimal() and len(asked) < 16 else None
        acts = self._parts.log.acts(limit=min(SHOWN_ACTS, MOST_AT_ONCE), before=before)
        return self._render(
            request, "log.html", person, acts=acts, head=self._parts.log.head, origin=self._parts.log.origin,
            more=acts[-1].index if acts and acts[-1].index > 0 else None,
        )  # fmt: skip

    async def _tile(self, request: Request, _: Person) -> Response:
        found = self._parts.log.tile(request.path_params["path"])
        if found is None:
            raise NotFound("log.no-tile", "the log has no such tile", at="log")
        return Response(found[1], media_type=found[0], headers={"Cache-Control": "no-store"})

    def _render(self, request: Request, template: str, person: Person, **values: Any) -> Response:
        return self._parts.pages.render(request, template, person, **values)


def _not_oneself(person: Person, name: str) -> None:
    """An administrator cannot lock themselves out by mistake."""
    if person.name == name:
        raise Conflict("console.oneself", "another administrator changes that", at="caller")


def _quietly(ask: Any) -> Any:
    """What the node says; None where it does not answer."""
    try:
        return ask()
    except Error:
        return None
