"""Members: found by name or BIN, each with what its file says; suspended and let back with a reason."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from qaztech.core.errors import Error, Malformed, NotFound
from qaztech.core.ids import MemberId
from qaztech.people.gate import read_form
from qaztech.people.people import Person
from qaztech.registry import scopes
from qaztech.registry.application import CLASSES
from qaztech.registry.expiry import member_file_expiry
from qaztech.registry.forms import Names
from qaztech.registry.management import whole
from qaztech.registry.member_file import verify_member_file
from qaztech.registry.office import check_reason
from qaztech.web.registry_pages import ConsolePages, asked, member_path, redirect
from qaztech.web.registry_parts import Parts

PAGE = 100
STANDINGS = ("active", "suspended", "without-file")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A member in the list."""

    id: str
    names: Names
    lineage: str
    standing: str
    version: int


class MemberPages:
    """The handlers."""

    def __init__(self, parts: Parts, pages: ConsolePages) -> None:
        self._parts = parts
        self._pages = pages

    async def list_all(self, request: Request, person: Person) -> Response:
        """By identifier; `?q=` searches names and BIN, `?standing=` picks, `?page=` turns."""
        wanted, standing, page = asked(request, "q"), asked(request, "standing"), whole(request, "page") or 0
        words = wanted.casefold().split()
        found = [
            each
            for each in self._listed()
            if standing in {"", each.standing} and all(word in _text(each) for word in words)
        ]
        return self._pages.render(
            request, person, "members.html", members=found[page * PAGE : (page + 1) * PAGE], count=len(found),
            standings=STANDINGS, standing=standing, q=wanted, page=page, last=max(0, (len(found) - 1) // PAGE),
        )  # fmt: skip

    async def show(self, request: Request, person: Person) -> Response:
        """One member."""
        id_ = self._id(request)
        admitted = await asyncio.to_thread(self._parts.store.member, id_)
        if admitted is None:
            raise NotFound("member.unknown", f"{id_} is not admitted", at="registry")
        file = verify_member_file(admitted.envelope) if admitted.envelope is not None else None
        statement = file.statement if file is not None else None
        expiry = member_file_expiry(id_, statement.issued, statement.expires) if statement is not None else None
        applications = []
        if person.may(scopes.APPLICATIONS):
            applications = await asyncio.to_thread(self._parts.applications.of, id_)
        return self._pages.render(
            request,
            person,
            "member.html",
            member=admitted,
            names=statement.names if statement is not None else admitted.names,
            kind=CLASSES.get(id_.split("/")[1]),
            file=file,
            statement=statement,
            expires_soon=expiry is not None and expiry.is_due(self._parts.clock.now()),
            revoked=frozenset(self._parts.store.revoked_tls()),
            applications=applications,
            may_change=person.may(scopes.DECIDE_MEMBERS),
            may_revoke=person.may(scopes.DECIDE_KEYS),
        )

    async def ask(self, request: Request, person: Person) -> Response:
        """Before suspending a member or letting it back: what will happen, and why it is done."""
        return self._question(request, person)

    async def change(self, request: Request, person: Person) -> Response:
        """Suspend the member, or let it back, as the form says."""
        form = await read_form(request)
        reason = form.get("reason", "").replace("\r\n", "\n").strip()
        id_, wanted = self._id(request), form.get("standing", "")
        try:
            if wanted not in {"suspended", "active"}:
                raise Malformed("form.malformed", "a member is suspended or let back", at="caller")
            check_reason(reason)
            if not reason:
                raise Malformed("act.no-reason", "say why: it stands in the admin log", at="caller")
            suspended = wanted == "suspended"
            await self._parts.office.suspend(person.actor, MemberId.parse(id_), suspended=suspended, reason=reason)
        except Error as exc:
            if exc.status >= 500:
                raise
            return self._question(request, person, problem=exc, reason=reason)
        return redirect(request, member_path(id_), said="suspended" if suspended else "resumed")

    def _question(
        self, request: Request, person: Person, *, problem: Error | None = None, reason: str = ""
    ) -> Response:
        id_ = self._id(request)
        known = self._parts.publisher.registry.members().get(id_)
        names = next((n for each, _, n in self._parts.publisher.registry.names() if each == id_), None)
        if known is None or names is None:
            raise NotFound("member.unknown", f"{id_} is not admitted", at="registry")
        return self._pages.render(
            request,
            person,
            "standing.html",
            status=200 if problem is None else problem.status,
            id=id_,
            names=names,
            suspended=known[1],
            problem="" if problem is None else self._pages.words(request, problem),
            reason=reason,
        )

    def _listed(self) -> Iterator[Listed]:
        registry = self._parts.publisher.registry
        members = registry.members()
        for id_, lineage, names in registry.names():
            _, suspended, version = members[id_]
            standing = "suspended" if suspended else "active" if version else "without-file"
            yield Listed(id=id_, names=names, lineage=lineage, standing=standing, version=version)

    def _id(self, request: Request) -> str:
        kind, code = request.path_params["kind"], request.path_params["code"]
        return str(MemberId.parse(f"{self._parts.publisher.registry.instance}/{kind}/{code}"))


def _text(member: Listed) -> str:
    names = member.names
    return f"{member.id} {names.kk} {names.ru} {names.en}".casefold()
