"""Pages of the member's services: list, a new one from an OpenAPI file, its passport, switching it off and on."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from qaztech.core.errors import Error, Malformed
from qaztech.core.ids import ServiceId, SubsystemId
from qaztech.member.openapi import Description, read_description
from qaztech.member.passport import passport_from_form, passport_to_form
from qaztech.member.passport_fields import FIELDS, SECTIONS, Field
from qaztech.member.publishing import Draft, DraftForm, OwnService, Published
from qaztech.people.people import Person
from qaztech.registry.maintenance import Maintenance
from qaztech.registry.passport import Passport, new_passport
from qaztech.web.member_parts import PageRoute, Parts, late, off_loop
from qaztech.web.member_site import Form, moment_of, one, read_upload, read_values, redirect, three

LIST, DRAFTS = "/console/services", "/console/drafts"
ONE = "/console/services/{subsystem}/{code}"
# What callers are told of maintenance, unless somebody writes something else.
USUAL_NOTICE = {
    "reason.kk": ["Техникалық жұмыстар"], "reason.ru": ["Технические работы"], "reason.en": ["Maintenance"],
}  # fmt: skip
# Empty rows offered below those of a list that are filled in.
MORE_ROWS = 2
# Of the number of a row, as in what `passport_from_form` reads.
MOST_DIGITS = 5


class ServicePages:
    """The handlers."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._console = parts.console
        self._services = parts.console.services

    def routes(self) -> list[PageRoute]:
        """Every route with its scope."""
        return [
            PageRoute("GET", LIST, "services:read", self._list),
            PageRoute("GET", f"{LIST}/new", "services:write", self._new),
            PageRoute("POST", f"{LIST}/new", "services:write", self._begin),
            PageRoute("GET", f"{DRAFTS}/{{id}}", "services:write", self._draft),
            PageRoute("POST", f"{DRAFTS}/{{id}}", "services:write", self._publish),
            PageRoute("POST", "/console/systems", "services:write", self._add_system),
            PageRoute("GET", ONE, "services:read", self._one),
            PageRoute("GET", f"{ONE}/passport", "services:write", self._passport),
            PageRoute("POST", f"{ONE}/passport", "services:write", self._put_passport),
            PageRoute("POST", f"{ONE}/description", "services:write", self._put_description),
            PageRoute("POST", f"{ONE}/disable", "services:write", self._disable),
            PageRoute("POST", f"{ONE}/enable", "services:write", self._enable),
            PageRoute("POST", f"{ONE}/maintenance", "services:write", self._plan),
            PageRoute("POST", f"{ONE}/maintenance/cancel", "services:write", self._cancel),
        ]

    async def _list(self, request: Request, person: Person) -> Response:
        services = await off_loop(self._services.services)
        file = self._console.work.file()
        return self._render(request, "services.html", person, services=services, statement=file.statement)

    # A new one ------------------------------------------------------------------------------------------------------

    async def _new(self, request: Request, person: Person) -> Response:
        return self._form(request, person, {}, None)

    def _form(self, request: Request, person: Person, values: Form, problem: Error | None) -> Response:
        statement = self._console.work.file().statement
        return self._render(
            request, "service-new.html", person, status=200 if problem is None else problem.status, values=values,
            statement=statement, problem=self._words(request, problem),
        )  # fmt: skip

    async def _begin(self, request: Request, person: Person) -> Response:
        values = await read_values(request)
        try:
            document = await self._document(request, values, person)
            if document is None and one(values, "kind") == "openapi":
                raise Malformed("console.no-file", "choose an OpenAPI file, or say that there is none", at="caller")
            form = DraftForm(
                subsystem=one(values, "subsystem"), code=one(values, "code"), names=three(values, "names"),
                url=one(values, "url"),
            )  # fmt: skip
            made = await off_loop(lambda: self._services.begin(person.id, form, document))
        except Error as exc:
            return self._form(request, person, values, exc)
        return redirect(request, f"{DRAFTS}/{made.id}")

    async def _document(self, request: Request, values: Form, person: Person) -> bytes | None:
        """The OpenAPI document that was chosen as a file, or else is at the URL that was typed; None for neither."""
        document = await read_upload(request, "openapi")
        url = one(values, "openapi-url")
        if document is None and url and one(values, "kind") != "rest":
            return await off_loop(lambda: self._services.fetched(url, person.actor))
        return document

    async def _draft(self, request: Request, person: Person) -> Response:
        made = await off_loop(lambda: self._services.draft(person.id, request.path_params["id"]))
        passport = new_passport(made.form.names, version=_version(made))
        return self._passport_form(request, person, _inputs(passport), (), draft=made)

    async def _publish(self, request: Request, person: Person) -> Response:
        id_ = request.path_params["id"]
        made = await off_loop(lambda: self._services.draft(person.id, id_))
        values = await read_values(request)
        passport, problems = passport_from_form(values)
        if problems or "more" in values:
            return self._passport_form(request, person, values, problems, draft=made, status=400 if problems else 200)
        published = await off_loop(lambda: self._services.publish(person.id, id_, passport, person.actor))
        return self._published(request, person, made.service, published, "service-published")

    def _published(
        self, request: Request, person: Person, service: ServiceId, published: Published, done: str
    ) -> Response:
        if published.lines is not None:
            return self._render(request, "service-lines.html", person, lines=published.lines, back=path_of(service))
        said = late(published.outcome) | {"showcase": published.showcase}
        return redirect(request, path_of(service), done=done, **said)

    # One ------------------------------------------------------------------------------------------------------------

    def _service_of(self, request: Request) -> ServiceId:
        member = self._console.work.file().member
        return ServiceId(SubsystemId(member, request.path_params["subsystem"]), request.path_params["code"])

    async def _one(self, request: Request, person: Person) -> Response:
        service = self._service_of(request)
        found = await off_loop(lambda: self._services.service(service))
        rights = await off_loop(lambda: self._console.member.rights(service))
        description = await off_loop(lambda: self._described(found))
        fields = _filled(passport_to_form(found.shown.passport)) if found.shown is not None else None
        return self._render(
            request, "service.html", person, service=found, rights=rights, description=description, fields=fields,
            sections=SECTIONS, here=path_of(service), planned=self._planned(found), usual=USUAL_NOTICE,
        )  # fmt: skip

    def _planned(self, found: OwnService) -> Maintenance | None:
        """Its maintenance, as long as it is not over."""
        planned = found.shown.maintenance if found.shown is not None else None
        return planned if planned is not None and self._console.clock.now() < planned.end else None

    def _described(self, found: Any) -> Description | None:
        if found.shown is None or found.shown.description is None:
            return None
        document = self._services.description(found.shown.description)
        return read_description(document) if document is not None else None

    async def _passport(self, request: Request, person: Person) -> Response:
        service = self._service_of(request)
        found = await off_loop(lambda: self._services.service(service))
        passport = found.shown.passport if found.shown is not None else new_passport(found.line.names)
        return self._passport_form(request, person, _inputs(passport), (), service=service)

    async def _put_passport(self, request: Request, person: Person) -> Response:
        service = self._service_of(request)
        await off_loop(lambda: self._services.service(service))
        values = await read_values(request)
        passport, problems = passport_from_form(values)
        if problems or "more" in values:
            status = 400 if problems else 200
            return self._passport_form(request, person, values, problems, service=service, status=status)
        published = await off_loop(lambda: self._services.put(service, passport, person.actor))
        return self._published(request, person, service, published, "passport-signed")

    async def _put_description(self, request: Request, person: Person) -> Response:
        """Another address, another OpenAPI file, or both."""
        service = self._service_of(request)
        values = await read_values(request)
        document = await self._document(request, values, person)
        description = None
        if document is not None:
            description = await off_loop(lambda: read_description(document))
            description.require_sound()
        found = await off_loop(lambda: self._services.service(service))
        passport = found.shown.passport if found.shown is not None else new_passport(found.line.names)
        url = one(values, "url") or None
        published = await off_loop(
            lambda: self._services.put(service, passport, person.actor, url=url, description=description)
        )
        return self._published(request, person, service, published, "service-changed")

    async def _disable(self, request: Request, person: Person) -> Response:
        service, values = self._service_of(request), await read_values(request)
        notice = one(values, "notice")
        outcome = await off_loop(lambda: self._services.disable(service, notice, person.actor))
        return redirect(request, path_of(service), done="service-disabled", **late(outcome))

    async def _enable(self, request: Request, person: Person) -> Response:
        service = self._service_of(request)
        outcome = await off_loop(lambda: self._services.enable(service, person.actor))
        return redirect(request, path_of(service), done="service-enabled", **late(outcome))

    async def _plan(self, request: Request, person: Person) -> Response:
        service, values = self._service_of(request), await read_values(request)
        begin, end = moment_of(one(values, "begin")), moment_of(one(values, "end"))
        if begin is None or end is None:
            raise Malformed("form.malformed", "maintenance has a beginning and an end", at="caller")
        planned = Maintenance(begin, end, three(values, "reason"))
        published = await off_loop(lambda: self._console.plan(service, planned, person.actor))
        return self._published(request, person, service, published, "maintenance-planned")

    async def _cancel(self, request: Request, person: Person) -> Response:
        service = self._service_of(request)
        published = await off_loop(lambda: self._console.plan(service, None, person.actor))
        return self._published(request, person, service, published, "maintenance-cancelled")

    async def _add_system(self, request: Request, person: Person) -> Response:
        values = await read_values(request)
        code, names = one(values, "code"), three(values, "names")
        outcome = await off_loop(lambda: self._services.add_system(code, names, person.actor))
        return redirect(request, LIST, done="system-added", **late(outcome))

    # The passport's form ----------------------------------------------------------------------------------------------

    def _passport_form(
        self,
        request: Request,
        person: Person,
        values: Form,
        problems: tuple[tuple[str, str], ...],
        *,
        draft: Draft | None = None,
        service: ServiceId | None = None,
        status: int = 200,
    ) -> Response:
        wrong: dict[str, list[str]] = {}
        for name, problem in problems:
            wrong.setdefault(name, []).append(problem)
        rows = {field.name: _rows(values, field.name) for field in FIELDS if field.kind == "list"}
        return self._render(
            request, "passport.html", person, status=status, values=values, wrong=wrong, rows=rows, fields=FIELDS,
            sections=SECTIONS, draft=draft, service=draft.service if draft is not None else service,
            here=request.url.path, sound=draft is None or draft.description is None or not draft.description.errors,
        )  # fmt: skip

    def _render(self, request: Request, template: str, person: Person, **values: Any) -> Response:
        return self._parts.pages.render(request, template, person, **values)

    def _words(self, request: Request, problem: Error | None) -> dict[str, str] | None:
        return None if problem is None else self._parts.pages.words(request, problem)


def path_of(service: ServiceId) -> str:
    """The page of one of the member's services."""
    subsystem, code = str(service).split("/")[3:]
    return f"{LIST}/{subsystem}/{code}"


def _version(made: Draft) -> str:
    return (made.description.version if made.description is not None else "")[:50].strip() or "1"


def _inputs(passport: Passport) -> Form:
    return {name: list(given) for name, given in passport_to_form(passport).items() if given}


def _rows(values: Form, name: str) -> list[int]:
    """The numbers of the rows a list is drawn with: those filled in, and some to go on with."""
    numbers = {
        int(part)
        for key, given in values.items()
        if key.startswith(f"{name}.")
        and any(given)
        and (part := key.split(".")[len(name.split("."))]).isdecimal()
        and len(part) <= MOST_DIGITS
    }
    first = max(numbers, default=-1) + 1
    return [*sorted(numbers), *range(first, first + MORE_ROWS)]


def _filled(values: dict[str, tuple[str, ...]]) -> list[tuple[Field, Any]]:
    """The fields of a passport that say something, for showing: a field with its values by input name."""
    found: list[tuple[Field, Any]] = []
    for field in FIELDS:
        mine = {
            name: given for name, given in values.items() if name == field.name or name.startswith(f"{field.name}.")
        }
        if any(any(given) for given in mine.values()):
            found.append((field, mine))
    return found
