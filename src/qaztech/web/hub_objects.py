"""The registry of digital objects for people: the list, one system with all that is known of it, histories, editing.

Beside what its body declares stands what was observed, the life cycle with what it breaks, and how good the record is.
Not here: files that bring many rows (`hub_import`), the rules themselves (`hub`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from qaztech.core.errors import Conflict, Error, Malformed, NotFound
from qaztech.hub import scopes
from qaztech.hub.observation import Observability, observability_of, usage_of
from qaztech.hub.register.columns import Column, columns_of, read_cell, values_of, write_cell
from qaztech.hub.register.law import current_law
from qaztech.hub.register.lifecycle import refuse_change, violations
from qaztech.hub.register.quality import quality
from qaztech.hub.register.rows import NAMES, TABLES, DigitalObject, Integration, Status
from qaztech.hub.register.store import Batch, Edit
from qaztech.hub.stakes import Scope
from qaztech.people.gate import read_form
from qaztech.people.people import Person
from qaztech.web.hub_book import Book, as_json, book_of, traffic_of, words_for
from qaztech.web.hub_cases import case_json
from qaztech.web.hub_figures import calls_figure, costs_figure
from qaztech.web.hub_pages import HubPages
from qaztech.web.hub_parts import HubParts, HubRoute, PageGroup
from qaztech.web.hub_usage import links_of
from qaztech.web.hub_words import HISTORY, OBJECT
from qaztech.web.registry_pages import asked, redirect

OBJECTS, EDIT = "/console/objects", "/console/objects/edit"
_LINES = 50
# The fields of an object, put together as people look for them.
FIELD_GROUPS: Final = {
    "identity": ("id", "kind", "name_kk", "name_ru", "name_en", "purpose_kk", "purpose_ru", "purpose_en"),
    "holders": ("owner_bin", "holder_bin", "operator_bin", "area", "kato"),
    "basis": ("legal_basis", "functions", "public_services"),
    "life": ("status", "status_since", "created", "object_class", "critical", "acquisition", "result", "actualised"),
    "data": ("data_elements", "source_of_truth", "register_data", "personal_data", "data_location"),
    "technology": ("subsystems", "use_channel", "hosting", "stack", "monolith", "source_code_deposited", "ai"),
    "plans": ("declared_users", "initial_estimate", "platform_products", "disposition", "disposition_due", "exemption"),
}
# Tables that stand below an object; costs, integrations and signals have a picture of their own.
ROW_TABLES: Final = (
    "contracts", "documents", "roles", "milestones", "migration", "components", "interfaces", "ai_cards", "compute",
    "costs", "signals",
)  # fmt: skip
STEPS: Final = (
    Status.PLANNING, Status.CREATION, Status.TRIAL, Status.SECURITY_TESTS, Status.COMMISSIONED, Status.OPERATION,
    Status.CEASED, Status.ARCHIVED, Status.WRITTEN_OFF,
)  # fmt: skip
# What follows on operation and leads back to it.
_AT_WORK: Final = frozenset({Status.DEVELOPMENT, Status.MODIFICATION})


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A declared value, and the change that brought it; None where no change is kept."""

    name: str
    value: object
    brought: Batch | None


class ObjectPages:
    """The handlers."""

    def __init__(self, parts: HubParts, pages: HubPages) -> None:
        self._parts = parts
        self._pages = pages

    def routes(self) -> list[HubRoute]:
        """Every route with its scope."""
        return [
            HubRoute("GET", OBJECTS, scopes.OBJECTS, self._list),
            HubRoute("GET", f"{OBJECTS}.json", scopes.OBJECTS, self._list_json),
            HubRoute("GET", OBJECT, scopes.OBJECTS, self._show),
            HubRoute("GET", f"{OBJECT}.json", scopes.OBJECTS, self._show_json),
            HubRoute("GET", HISTORY, scopes.OBJECTS, self._history),
            HubRoute("GET", EDIT, scopes.CHANGE_OBJECTS, self._form),
            HubRoute("POST", EDIT, scopes.CHANGE_OBJECTS, self._edit),
        ]

    async def _list(self, request: Request, person: Person) -> Response:
        """`?q=&body=&area=&region=&status=&observability=` narrow it, `?page=` turns it."""
        book = await asyncio.to_thread(book_of, self._parts)
        words, law = words_for(request, book), current_law()
        found, text = await asyncio.to_thread(self._chosen, request, book), asked(request, "page")
        page = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
        shown = found[page * _LINES :][:_LINES]
        return self._pages.render(
            request, person, "objects.html", words=words, objects=shown, count=len(found), page=page,
            more=len(found) > (page + 1) * _LINES, chosen=_choice(request), scopes_=list(Scope), statuses=list(Status),
            codes={scope: [stake.code for stake in book.stakes.all(scope) if stake.code] for scope in Scope},
            observabilities=list(Observability), seen={each.id: observability_of(each) for each in shown},
            scores={each.id: quality(each, book.register, law, book.today) for each in shown},
            findings={each.id: book.stakes.standing_of(each.id) for each in shown},
        )  # fmt: skip

    async def _list_json(self, request: Request, _: Person) -> Response:
        book = await asyncio.to_thread(book_of, self._parts)
        return as_json({
            "registry_version": book.register.version,
            "objects": [values_of(each) for each in await asyncio.to_thread(self._chosen, request, book)],
        })  # fmt: skip

    def _chosen(self, request: Request, book: Book) -> list[DigitalObject]:
        """What was asked for: by words in any form and three languages the best first, else in order of ids."""
        wanted = _choice(request)
        return [
            object_
            for id_ in self._parts.search.find(book.register, wanted["q"])
            if (object_ := book.register.objects[id_])
            and wanted["status"] in {"", object_.status}
            and wanted["observability"] in {"", observability_of(object_)}
            and all(not wanted[scope] or book.stakes.where(object_, scope) == wanted[scope] for scope in Scope)
        ]

    async def _show(self, request: Request, person: Person) -> Response:
        """`?id=`: one object."""
        values = await asyncio.to_thread(self._values, request)
        return self._pages.render(request, person, "object.html", **values)

    async def _show_json(self, request: Request, _: Person) -> Response:
        values = await asyncio.to_thread(self._values, request)
        object_, book = values["object"], values["book"]
        rows = {name: [values_of(row) for row in book.register.of(kind, object_.id)] for name, kind in TABLES.items()}
        usage = values["usage"]
        return as_json({
            "object": values_of(object_),
            **{name: found for name, found in rows.items() if found},
            "quality": {"score": values["quality"].score, "age_days": values["quality"].age_days},
            "violations": [{"rule": each.rule, "reference": each.reference} for each in values["violations"]],
            "observability": usage.observability,
            "observed": {
                "since": values["traffic"].since, "until": values["traffic"].until, "calls_in": usage.calls_in,
                "calls_out": usage.calls_out, "callers": sorted(usage.callers), "last_call": usage.last_call,
            },
            "findings": [case_json(case) for case in values["cases"]],
        })  # fmt: skip

    async def _history(self, request: Request, person: Person) -> Response:
        """`?table=&key=&field=`: who changed what of a row, from what, when, from which source."""
        table, key, field = (request.query_params.get(name, "")[:512] for name in ("table", "key", "field"))
        if table not in TABLES:
            raise NotFound("objects.row", "there is no such table", at="caller")
        book = await asyncio.to_thread(book_of, self._parts)
        row = book.register.all(TABLES[table]).get(key)
        changes = await asyncio.to_thread(self._parts.objects.history, table, key)
        if row is None and not changes:
            raise NotFound("objects.row", "the registry has no such row", at="caller")
        return self._pages.render(
            request, person, "history.html", words=words_for(request, book), table=table, key=key, field=field,
            owner=getattr(row, "object", key if table == "objects" else ""),
            values={} if row is None else values_of(row),
            changes=[(batch, each) for batch, each in changes if field in {"", each.field}],
        )  # fmt: skip

    async def _form(self, request: Request, person: Person) -> Response:
        """`?id=&field=`: one field, to be changed by hand with a reason."""
        book = await asyncio.to_thread(book_of, self._parts)
        object_ = book.object(request.query_params.get("id", "")[:100])
        column = columns_of("objects").get(asked(request, "field"))
        if column is None or column.name == "id":
            raise NotFound("objects.field", "there is no such field", at="caller")
        text = write_cell(getattr(object_, column.name))
        return self._edit_page(request, person, book=book, object_=object_, column=column, text=text)

    def _edit_page(
        self, request: Request, person: Person, *, book: Book, object_: DigitalObject, column: Column, text: object,
        problem: Error | None = None, reason: str = "",
    ) -> Response:  # fmt: skip
        words = words_for(request, book)
        said = "" if problem is None else self._pages.words(request, problem)
        expected = problem.detail if problem is not None and problem.code.startswith(("cell.", "lifecycle.")) else ""
        return self._pages.render(
            request, person, "edit.html", words=words, object=object_, column=column, text=text, reason=reason,
            version=book.register.version, problem=said, expected=expected,
            status=200 if problem is None else problem.status,
        )  # fmt: skip

    async def _edit(self, request: Request, person: Person) -> Response:
        """Change one field; a status only where the life cycle lets it."""
        form = await read_form(request)
        book = await asyncio.to_thread(book_of, self._parts)
        object_ = book.object(request.query_params.get("id", "")[:100])
        column = columns_of("objects").get(asked(request, "field"))
        if column is None or column.name == "id":
            raise NotFound("objects.field", "there is no such field", at="caller")
        text, reason = form.get("value", ""), form.get("reason", "").strip()
        try:
            edit = _one_field(book, object_, column, text, reason)
            await asyncio.to_thread(
                self._parts.objects.apply, [edit], by=person.actor, source=f"by hand: {reason}",
                at=self._parts.clock.now(), seen=_version(form),
            )  # fmt: skip
        except (Malformed, Conflict) as exc:
            return self._edit_page(
                request, person, book=book, object_=object_, column=column, text=text, problem=exc, reason=reason
            )
        await self._parts.admin_log.drain(self._parts.people.engine)
        return redirect(request, OBJECT, id=object_.id, said="saved")

    def _values(self, request: Request) -> dict[str, Any]:
        book = book_of(self._parts)
        object_ = book.object(request.query_params.get("id", "")[:100])
        register, law = book.register, current_law()
        traffic, readable = traffic_of(self._parts)
        usage, words = usage_of(object_, register, traffic), words_for(request, book)
        calls = links_of(object_, register, traffic)
        cases = book.stakes.of_object(object_.id)
        broken = violations(object_, register, law, book.today)
        return {
            "book": book,
            "words": words,
            "object": object_,
            "law": law,
            "quality": quality(object_, register, law, book.today),
            "violations": broken,
            "steps": _steps(object_),
            "groups": self._fields(object_),
            "tables": {name: rows for name in ROW_TABLES if (rows := register.of(TABLES[name], object_.id))},
            "columns": columns_of,
            "usage": usage,
            "traffic": traffic,
            "readable": readable,
            "links": calls,
            "integrations": register.of(Integration, object_.id),
            "costs": costs_figure(book.stakes.years([object_]), words),
            "calls": calls_figure(object_, traffic, usage.sign_ins),
            "cases": cases,
            "alike": _alike(object_, cases),
            "now": self._parts.clock.now(),
        }

    def _fields(self, object_: DigitalObject) -> dict[str, list[Field]]:
        """Every field by groups, each with the newest change of it."""
        brought: dict[str, Batch] = {}
        for batch, change in self._parts.objects.history(NAMES[DigitalObject], object_.id, limit=2000):
            brought.setdefault(change.field, batch)
        return {
            group: [Field(name=name, value=getattr(object_, name), brought=brought.get(name)) for name in names]
            for group, names in FIELD_GROUPS.items()
        }


def _steps(object_: DigitalObject) -> list[tuple[Status, str]]:
    """The stages, each `past`, `now` or `next`; development and modification stand where operation stands."""
    status = Status.OPERATION if object_.status in _AT_WORK else object_.status
    if status is None:
        return [(step, "next") for step in STEPS]
    place = STEPS.index(status)
    found = [(step, "past" if n < place else "now" if n == place else "next") for n, step in enumerate(STEPS)]
    if object_.status in _AT_WORK and object_.status is not None:
        found[place] = (object_.status, "now")
    return found


def _alike(object_: DigitalObject, cases: list[Any]) -> list[tuple[str, Any]]:
    """Objects that findings hold for alike, with the finding."""
    slugs = {"duplicate", "register_copy", "resurrected"}
    return [
        (other, case)
        for case in cases
        if case.finding.detector in slugs
        for other in case.finding.objects
        if other != object_.id
    ]


def _one_field(book: Book, object_: DigitalObject, column: Column, text: str, reason: str) -> Edit:
    """The edit of one field, once it is seen that it may be. Raises `Malformed` and `Conflict`."""
    if not reason or len(reason) > 500:
        raise Malformed("objects.reason", "say why, in at most 500 characters", at="caller")
    value = read_cell(column, text)
    if column.name == "status" and value is not None and value != object_.status:
        refuse_change(object_, Status(value), book.register, current_law(), book.today)
    values: dict[str, Any] = {"id": object_.id, column.name: value}
    if column.name == "status":
        values["status_since"] = book.today.isoformat()
    return Edit(table="objects", values=values)


def _version(form: Mapping[str, str]) -> int | None:
    text = form.get("version", "")
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise Malformed("form.malformed", "no version", at="caller")
    return int(text)


def _choice(request: Request) -> dict[str, str]:
    return {name: asked(request, name) for name in ("q", "status", "observability", *Scope)}


GROUP = PageGroup("objects", ((OBJECTS, scopes.OBJECTS),), lambda parts, pages: ObjectPages(parts, pages).routes())
