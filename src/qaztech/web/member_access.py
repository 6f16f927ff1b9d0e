"""Pages of access: requests received and decided, requests made, and the rights that are held."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from qaztech.core.errors import Error, Malformed
from qaztech.core.ids import ServiceId, SubsystemId
from qaztech.member.access import TYPE, AccessRequest, Granted, Purpose
from qaztech.member.given import GivenRight
from qaztech.member.requests import Decided
from qaztech.people.people import Person
from qaztech.registry.catalogue import CatalogueService
from qaztech.web.member_parts import PageRoute, Parts, late, off_loop
from qaztech.web.member_site import Form, one, read_values, redirect, whole

RECEIVED, MADE, RIGHTS = "/console/access", "/console/requests", "/console/rights"
_ASKED = ("submitted", "approved", "refused", "withdrawn", "superseded", "revoked")


class AccessPages:
    """The handlers."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._console = parts.console

    def routes(self) -> list[PageRoute]:
        """Every route with its scope."""
        return [
            PageRoute("GET", RECEIVED, "access:read", self._received),
            PageRoute("POST", f"{RECEIVED}/publish", "access:write", self._carry_out),
            PageRoute("GET", f"{RECEIVED}/{{id}}", "access:read", self._one_received),
            PageRoute("POST", f"{RECEIVED}/{{id}}/approve", "access:write", self._approve),
            PageRoute("POST", f"{RECEIVED}/{{id}}/refuse", "access:write", self._refuse),
            PageRoute("POST", f"{RECEIVED}/{{id}}/revoke", "access:write", self._revoke),
            PageRoute("GET", MADE, "requests:read", self._made),
            PageRoute("GET", f"{MADE}/new", "requests:write", self._new),
            PageRoute("POST", f"{MADE}/new", "requests:write", self._ask),
            PageRoute("GET", f"{MADE}/{{id}}", "requests:read", self._one_made),
            PageRoute("POST", f"{MADE}/{{id}}/poll", "requests:write", self._poll),
            PageRoute("POST", f"{MADE}/{{id}}/send", "requests:write", self._send),
            PageRoute("POST", f"{MADE}/{{id}}/withdraw", "requests:write", self._withdraw),
            PageRoute("GET", RIGHTS, "rights:read", self._rights),
            PageRoute("GET", f"{RIGHTS}/new", "rights:write", self._new_right),
            PageRoute("POST", f"{RIGHTS}/new", "rights:write", self._give),
            PageRoute("GET", f"{RIGHTS}/revoke", "rights:write", self._ask_revoke),
            PageRoute("POST", f"{RIGHTS}/revoke", "rights:write", self._revoke_right),
        ]

    # Received -------------------------------------------------------------------------------------------------------

    async def _received(self, request: Request, person: Person) -> Response:
        state = request.query_params.get("state", "")
        store = self._console.requests.store
        chosen: Any = state if state in _ASKED else None
        found = await off_loop(lambda: store.received(state=chosen))
        late_ones = await off_loop(store.unpublished)
        return self._render(
            request, "access.html", person, requests=found, states=_ASKED, state=state, unpublished=len(late_ones)
        )  # fmt: skip

    async def _one_received(self, request: Request, person: Person) -> Response:
        return await self._show_received(request, person)

    async def _show_received(
        self, request: Request, person: Person, problem: Error | None = None, values: Form | None = None
    ) -> Response:
        id_ = request.path_params["id"]
        found = await off_loop(lambda: self._console.requests.store.get(id_))
        if values is None:
            values = {
                "endpoints": list(found.request.endpoints), "until": [found.request.until or ""],
                "minute": [str(found.request.calls_a_minute)], "day": [str(found.request.calls_a_day)],
            }  # fmt: skip
        return self._render(
            request, "access-one.html", person, status=200 if problem is None else problem.status, request_=found,
            values=values, problem=self._words(request, problem),
        )  # fmt: skip

    async def _approve(self, request: Request, person: Person) -> Response:
        values, id_ = await read_values(request), request.path_params["id"]
        try:
            granted = Granted(
                endpoints=tuple(values.get("endpoints", ())), until=one(values, "until") or None,
                calls_a_minute=whole(values, "minute"), calls_a_day=whole(values, "day"),
            )  # fmt: skip
            version, reason = _version(values), one(values, "reason") or None
            decided = await off_loop(
                lambda: self._console.approve(id_, version=version, granted=granted, reason=reason, by=person.actor)
            )
        except Error as exc:
            return await self._show_received(request, person, exc, values)
        return self._decided(request, decided, "access-approved")

    async def _refuse(self, request: Request, person: Person) -> Response:
        values, id_ = await read_values(request), request.path_params["id"]
        try:
            version, reason = _version(values), one(values, "reason")
            decided = await off_loop(lambda: self._console.refuse(id_, version=version, reason=reason, by=person.actor))
        except Error as exc:
            return await self._show_received(request, person, exc)
        return self._decided(request, decided, "access-refused")

    async def _revoke(self, request: Request, person: Person) -> Response:
        values, id_ = await read_values(request), request.path_params["id"]
        try:
            version, reason = _version(values), one(values, "reason")
            decided = await off_loop(lambda: self._console.revoke(id_, version=version, reason=reason, by=person.actor))
        except Error as exc:
            return await self._show_received(request, person, exc)
        return self._decided(request, decided, "access-revoked")

    def _decided(self, request: Request, decided: Decided, done: str) -> Response:
        carried = decided.carried
        path = f"{RECEIVED}/{decided.request.id}"
        return redirect(request, path, done=done, registry=carried.rights, node=carried.node)

    async def _carry_out(self, request: Request, _: Person) -> Response:
        carried = await off_loop(self._console.carry_out)
        return redirect(request, RECEIVED, done="carried-out", registry=carried.rights, node=carried.node)

    # Made -----------------------------------------------------------------------------------------------------------

    async def _made(self, request: Request, person: Person) -> Response:
        found = await off_loop(self._console.requests.store.made)
        return self._render(request, "requests.html", person, requests=found)

    async def _new(self, request: Request, person: Person) -> Response:
        service = request.query_params.get("service", "")[:1700]
        return await self._form(request, person, {"service": [service]}, None)

    async def _form(self, request: Request, person: Person, values: Form, problem: Error | None) -> Response:
        query = request.query_params.get("q", "")[:200]
        found = await off_loop(lambda: self._console.suggested(query)) if query or not one(values, "service") else ()
        catalogue = self._console.country.catalogue()
        shown = {one_: catalogue.services[one_].shown_names for one_ in found} if catalogue is not None else {}
        chosen = None
        if catalogue is not None and one(values, "service"):
            chosen = next((s for i, s in catalogue.services.items() if str(i) == one(values, "service")), None)
        statement = self._console.work.file().statement
        return self._render(
            request, "request-new.html", person, status=200 if problem is None else problem.status, values=values,
            statement=statement, found=shown, query=query, chosen=chosen, known=catalogue is not None,
            offered=_endpoints(chosen), problem=self._words(request, problem),
        )  # fmt: skip

    async def _ask(self, request: Request, person: Person) -> Response:
        values = await read_values(request)
        try:
            asked = _request_of(values, person)
            made = await off_loop(lambda: self._console.ask(asked, person.actor))
        except Error as exc:
            return await self._form(request, person, values, exc)
        return redirect(request, f"{MADE}/{made.id}", done="asked" if made.state != "unsent" else "asked-later")

    async def _one_made(self, request: Request, person: Person) -> Response:
        id_ = request.path_params["id"]
        found = await off_loop(lambda: self._console.requests.store.get_made(id_))
        return self._render(request, "request-one.html", person, made=found)

    async def _poll(self, request: Request, _: Person) -> Response:
        id_ = request.path_params["id"]
        await off_loop(lambda: self._console.poll(id_))
        return redirect(request, f"{MADE}/{id_}", done="polled")

    async def _send(self, request: Request, person: Person) -> Response:
        values, id_ = await read_values(request), request.path_params["id"]
        version = _version(values)
        made = await off_loop(lambda: self._console.requests.send_again(id_, version=version, by=person.actor))
        return redirect(request, f"{MADE}/{id_}", done="asked" if made.state != "unsent" else "asked-later")

    async def _withdraw(self, request: Request, person: Person) -> Response:
        values, id_ = await read_values(request), request.path_params["id"]
        version = _version(values)
        await off_loop(lambda: self._console.requests.withdraw(id_, version=version, by=person.actor))
        return redirect(request, f"{MADE}/{id_}", done="withdrawn")

    # Rights -----------------------------------------------------------------------------------------------------------

    async def _rights(self, request: Request, person: Person) -> Response:
        found = await off_loop(self._console.member.rights)
        return self._render(request, "rights.html", person, rights=found, now=self._console.clock.now(),
            given=await off_loop(self._console.given.all),
        )  # fmt: skip

    async def _new_right(self, request: Request, person: Person) -> Response:
        query = request.query_params
        values = {name: [query.get(name, "")[:1700].strip()] for name in ("service", "client")}
        known = self._lineage(values["client"][0])
        return await self._right_form(request, person, values | {"lineage": [known]}, None)

    def _lineage(self, client: str) -> str:
        """The lineage of a client's member, as the verified catalogue has it; empty where it has none."""
        catalogue = self._console.country.catalogue()
        try:
            member = catalogue.members.get(SubsystemId.parse(client).member) if catalogue is not None else None
        except Malformed:
            return ""
        return member.lineage if member is not None else ""

    async def _right_form(self, request: Request, person: Person, values: Form, problem: Error | None) -> Response:
        services = await off_loop(self._console.services.services)
        return self._render(
            request, "right-new.html", person, status=200 if problem is None else problem.status, values=values,
            services=services, problem=self._words(request, problem),
        )  # fmt: skip

    async def _give(self, request: Request, person: Person) -> Response:
        values = await read_values(request)
        try:
            given = _given_of(values)
            outcome = await off_loop(lambda: self._console.give(given, person.actor))
        except Error as exc:
            return await self._right_form(request, person, values, exc)
        return redirect(request, RIGHTS, done="right-given", **late(outcome))

    async def _ask_revoke(self, request: Request, person: Person) -> Response:
        query = request.query_params
        values = {name: query.get(name, "")[:1700] for name in ("service", "client", "group")}
        service = ServiceId.parse(values["service"])
        rights = await off_loop(lambda: self._console.member.rights(service))
        mine = [r for r in rights if ((r.client or ""), (r.group or "")) == (values["client"], values["group"])]
        return self._render(request, "right-revoke.html", person, held=mine, values=values)

    async def _revoke_right(self, request: Request, person: Person) -> Response:
        values = await read_values(request)
        service = ServiceId.parse(one(values, "service"))
        client, group = one(values, "client") or None, one(values, "group") or None
        outcome = await off_loop(
            lambda: self._console.revoke_right(service, client=client, group=group, by=person.actor)
        )
        return redirect(request, RIGHTS, done="right-revoked", **late(outcome))

    def _render(self, request: Request, template: str, person: Person, **values: Any) -> Response:
        return self._parts.pages.render(request, template, person, **values)

    def _words(self, request: Request, problem: Error | None) -> dict[str, str] | None:
        return None if problem is None else self._parts.pages.words(request, problem)


def _version(values: Form) -> int:
    version = whole(values, "version")
    if version is None:
        raise Malformed("form.malformed", "which version was looked at?", at="caller")
    return version


def _request_of(values: Form, person: Person) -> AccessRequest:
    """The request that the form describes; checked where it is made."""
    endpoints = [*values.get("endpoint", ()), *one(values, "endpoints").splitlines()]
    role = person.roles[0] if person.roles else ""
    return AccessRequest(
        type=TYPE,
        service=one(values, "service"),
        client=one(values, "client"),
        endpoints=tuple(dict.fromkeys(text for line in endpoints if (text := " ".join(line.split())))),
        purpose=Purpose(**{code: _text(values, f"purpose.{code}") or None for code in ("kk", "ru", "en")}),
        basis=_text(values, "basis"),
        calls_a_day=whole(values, "day") or 0,
        calls_a_minute=whole(values, "minute") or 0,
        until=one(values, "until") or None,
        contact=one(values, "contact"),
        requested_by=role,
    )


def _given_of(values: Form) -> GivenRight:
    """The right that the form describes; checked where it is given."""
    lines = (" ".join(line.split()) for line in one(values, "endpoints").splitlines())
    terms = Granted(
        endpoints=tuple(dict.fromkeys(line for line in lines if line)), until=one(values, "until") or None,
        calls_a_minute=whole(values, "minute"), calls_a_day=whole(values, "day"),
    )  # fmt: skip
    return GivenRight(
        service=one(values, "service"), client=one(values, "client"), terms=terms, reason=_text(values, "reason"),
        lineage="".join(one(values, "lineage").split()).lower(),
    )  # fmt: skip


def _text(values: Form, name: str) -> str:
    """A text of several lines, with the line ends of this house."""
    return one(values, name).replace("\r\n", "\n").replace("\r", "\n").strip()


def _endpoints(chosen: CatalogueService | None) -> list[str]:
    """Endpoints of a service that others were given, to choose from."""
    return list(chosen.endpoints) if chosen is not None else []
