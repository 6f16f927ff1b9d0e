"""Applications: the list, one with all that is needed to decide, and the decision."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from qaztech.core.errors import Conflict, Error, Malformed
from qaztech.people.gate import read_form
from qaztech.people.people import Person
from qaztech.registry.application import CLASSES, Application
from qaztech.registry.applications import Filed
from qaztech.registry.management import application_state
from qaztech.web.registry_pages import ConsolePages, asked, redirect
from qaztech.web.registry_parts import Parts

STATES = ("submitted", "admitted", "refused", "withdrawn")
SHOWN = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What must be looked at: the kind, the organisation it points at, and whether that is a member."""

    kind: str
    member: str
    admitted: bool


class ApplicationPages:
    """The handlers."""

    def __init__(self, parts: Parts, pages: ConsolePages) -> None:
        self._parts = parts
        self._pages = pages

    async def list_all(self, request: Request, person: Person) -> Response:
        """The newest first; `?state=` picks, `?q=` searches names and BIN."""
        state, wanted = asked(request, "state"), asked(request, "q")
        chosen = application_state(state or None)
        found = await asyncio.to_thread(self._parts.applications.newest, state=chosen, limit=2000)
        words = wanted.casefold().split()
        matching = [filed for filed in found if all(word in _text(filed) for word in words)]
        return self._pages.render(
            request, person, "applications.html", applications=matching[:SHOWN], more=len(matching) - SHOWN,
            states=STATES, state=state, q=wanted,
        )  # fmt: skip

    async def show(self, request: Request, person: Person) -> Response:
        """One application."""
        return await self._page(request, person)

    async def decide(self, request: Request, person: Person) -> Response:
        """Admit or refuse, and say so; where somebody was faster, show what has become of it."""
        form = await read_form(request)
        id_, reason = request.path_params["id"], form.get("reason", "").replace("\r\n", "\n").strip()
        try:
            admit = _decision(form)
            await self._parts.office.decide_application(
                person.actor, id_, version=_version(form), admit=admit, reason=reason
            )
        except (Conflict, Malformed) as exc:
            return await self._page(request, person, problem=exc, reason=reason)
        return redirect(request, f"/console/applications/{id_}", said="admitted" if admit else "refused")

    async def _page(
        self, request: Request, person: Person, *, problem: Error | None = None, reason: str = ""
    ) -> Response:
        filed, opened, findings = await asyncio.to_thread(self._read, request.path_params["id"])
        return self._pages.render(
            request,
            person,
            "application.html",
            status=200 if problem is None else problem.status,
            filed=filed,
            opened=opened,
            kind=CLASSES.get(filed.member.split("/")[1]),
            findings=findings,
            problem="" if problem is None else self._pages.words(request, problem),
            reason=reason,
            may_decide=person.may("applications:write") and filed.state == "submitted",
        )

    def _read(self, id_: str) -> tuple[Filed, Application, list[Finding]]:
        applications = self._parts.applications
        filed = applications.get(id_)
        known = self._parts.publisher.registry.members()
        found = []
        # What was to be looked at before deciding; afterwards the comparison would be with oneself.
        for text in applications.findings(filed) if filed.state == "submitted" else []:
            kind, _, member = text.partition(" ")
            found.append(Finding(kind=kind, member=member, admitted=member in known))
        return filed, applications.opened(filed), found


def _text(filed: Filed) -> str:
    names = filed.names
    return f"{filed.member} {names.kk} {names.ru} {names.en}".casefold()


def _decision(form: dict[str, str]) -> bool:
    decision = form.get("decision", "")
    if decision == "admit":
        if form.get("compared") != "yes":
            raise Malformed("application.uncompared", "compare the lineage first, and say that you did", at="caller")
        return True
    if decision == "refuse":
        return False
    raise Malformed("form.malformed", "a decision is to admit or to refuse", at="caller")


def _version(form: dict[str, str]) -> int:
    text = form.get("version", "")
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise Malformed("form.malformed", "the form names the version that was seen", at="caller")
    return int(text)
