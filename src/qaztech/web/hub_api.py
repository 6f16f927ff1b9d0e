"""The support center's management API under /api/v1/: the registry of digital objects and the findings, as JSON.

Who asks is known by an API token (`Authorization: Bearer`) or a session with its CSRF header; scopes are those of the
pages. What changes rows says with `If-Match` at which version of the registry it looked. All calls stand in one list,
`_actions`, from which the OpenAPI description is made.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from qaztech.core.errors import Malformed, NotFound
from qaztech.hub import scopes
from qaztech.hub.detecting import today_in_kazakhstan
from qaztech.hub.findings import CaseState
from qaztech.hub.register.archimate import write_model
from qaztech.hub.register.columns import values_of
from qaztech.hub.register.export import MODEL_NAME
from qaztech.hub.register.law import current_law
from qaztech.hub.register.lifecycle import refuse_change
from qaztech.hub.register.quality import quality
from qaztech.hub.register.rows import TABLES, DigitalObject, Row, Status
from qaztech.hub.register.store import Batch, Edit
from qaztech.people.people import Person
from qaztech.runtime.shell import read_json
from qaztech.web.hub_api_forms import (
    BatchAnswer,
    BatchesQuery,
    BatchForm,
    CaseAnswer,
    CasesAnswer,
    ChangedAnswer,
    DecisionForm,
    EditForm,
    FindingsQuery,
    GapAnswer,
    HistoryAnswer,
    HistoryQuery,
    Nothing,
    ObjectAnswer,
    ObjectLine,
    ObjectsAnswer,
    ObjectsQuery,
    RowForm,
    RowsAnswer,
    RowsQuery,
    TableAnswer,
    edit_of,
    tables,
)
from qaztech.web.hub_api_import import MOST_UPLOAD, ImportAnswer, ImportQuery, Imports, RowDecision, read_brought
from qaztech.web.hub_parts import HubParts, HubRoute
from qaztech.web.member_description import description_of

BASE: Final = "/api/v1"
TITLE: Final = "The support center"
ABOUT: Final = (
    "A version is the number of changes the registry of digital objects has had. Reading answers with it as `ETag`; "
    "who changes rows sends the one looked at as `If-Match`, and is refused with 409 where one of these rows has "
    "changed since."
)
JSON: Final = "application/json"
_FILE: Final = "application/octet-stream"
_FORM: Final = "multipart/form-data"
# Paths whose bodies may have more bytes than others.
UPLOADS: Final = {f"{BASE}/imports": MOST_UPLOAD}
Q = TypeVar("Q", bound=msgspec.Struct)
_IF_MATCH: Final[dict[str, Any]] = {
    "name": "If-Match",
    "in": "header",
    "required": True,
    "description": "The version of the registry that was looked at, as an `ETag`.",
    "schema": {"type": "string", "pattern": '^"[0-9]{1,9}"$'},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request as a call gets it: who, the path's parameters, the query and the body read, the version looked at."""

    person: Person
    path: dict[str, str]
    query: Any
    body: Any
    seen: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One call of the API. `run` blocks and gives what is told as JSON, or bytes of another `media` type.

    With `upload` its body is a file as it is, or a form with the file and decisions on rows, of which `body` is one.
    """

    method: str
    path: str
    scope: str
    summary: str
    run: Callable[[Asked], Any]
    answer: Any
    body: type[msgspec.Struct] | None = None
    query: type[msgspec.Struct] | None = None
    versioned: bool = False
    status: int = 200
    media: str = JSON
    upload: bool = False

    @property
    def parameters(self) -> list[dict[str, Any]]:
        """What it takes beside path and body, for the description."""
        found = [] if self.query is None else _parameters(self.query)
        return [*found, _IF_MATCH] if self.versioned else found


class HubApi:
    """The routes of the API, each with its scope."""

    def __init__(self, parts: HubParts) -> None:
        self._parts = parts
        self._imports = Imports(parts)
        self.actions = self._actions()
        self.routes = [HubRoute(a.method, f"{BASE}{a.path}", a.scope, self._handler(a)) for a in self.actions]

    def _actions(self) -> list[Action]:
        def of(route: str, scope: str, summary: str, run: Any, answer: Any, **more: Any) -> Action:
            method, path = route.split(" ")
            return Action(method=method, path=path, scope=scope, summary=summary, run=run, answer=answer, **more)

        read, write = scopes.OBJECTS, scopes.CHANGE_OBJECTS
        return [
            of("GET /tables", read, "The tables of the registry and their columns", _tables, list[TableAnswer]),
            of("GET /objects", read, "Look for objects, page by page", self._objects, ObjectsAnswer,
               query=ObjectsQuery),
            of("GET /objects/{id}", read, "One object with all its rows", self._object, ObjectAnswer),
            of("GET /rows/{table}", read, "The rows of a table, page by page", self._rows, RowsAnswer,
               query=RowsQuery),
            of("PUT /rows/{table}", write, "Set a row: columns that are not named are emptied", self._put,
               ChangedAnswer, body=RowForm, versioned=True),
            of("PATCH /rows/{table}", write, "Change a row: columns that are not named stay", self._patch,
               ChangedAnswer, body=RowForm, versioned=True),
            of("GET /rows/{table}/history", read, "Who changed which field of a row when, newest first",
               self._history, list[HistoryAnswer], query=HistoryQuery),
            of("GET /batches", read, "The changes of the registry, newest first", self._batches, list[Batch],
               query=BatchesQuery),
            of("POST /batches", write, "Change many rows together or not at all; what it says is taken as declared",
               self._apply, ChangedAnswer, body=BatchForm, versioned=True),
            of("POST /imports", write, "Bring a file: Excel, OpenDocument, CSV, ZIP of CSV files or ArchiMate",
               self._import, ImportAnswer, query=ImportQuery, body=RowDecision, upload=True),
            of("GET /batches/{id}", read, "One change with its fields", self._batch, BatchAnswer),
            of("POST /batches/{id}/undo", write, "Take a change back", self._undo, Batch, body=Nothing, status=201),
            of("GET /model.xml", read, "The registry as an ArchiMate model", self._model, str,
               media="application/xml"),
            of("GET /findings", scopes.FINDINGS, "Findings, most money first, page by page", self._findings,
               CasesAnswer, query=FindingsQuery),
            of("POST /findings/decision", scopes.DECIDE_FINDINGS, "Decide on a finding", self._decide, CaseAnswer,
               body=DecisionForm),
        ]  # fmt: skip

    def _handler(self, action: Action) -> Callable[[Request, Person], Awaitable[Response]]:
        async def handle(request: Request, person: Person) -> Response:
            asked = Asked(
                person=person,
                path={name: str(value) for name, value in request.path_params.items()},
                query=None if action.query is None else read_query(request, action.query),
                seen=_seen(request) if action.versioned else None,
                body=await _body(request, action),
            )
            # A file takes its time: it must not take the threads of what is quick.
            work = self._parts.imports.run if action.upload else asyncio.to_thread
            found = await work(action.run, asked)
            return _told(found, action)

        return handle

    async def describe(self, _: Request) -> Response:
        """The description of this API."""
        return Response(msgspec.json.encode(self.description()), media_type=JSON)

    def description(self) -> dict[str, Any]:
        """The same as a document."""
        document = description_of(self.actions, BASE, title=TITLE, about=ABOUT)
        for action in self.actions:
            if action.upload:
                asked = document["paths"][action.path][action.method.lower()]
                asked["requestBody"] = {"required": True, "content": _upload()}
            if action.media != JSON:
                told = document["paths"][action.path][action.method.lower()]["responses"][str(action.status)]
                told["content"] = {action.media: {"schema": {"type": "string"}}}
        return document

    # Objects ---------------------------------------------------------------------------------------------------------

    def _objects(self, asked: Asked) -> ObjectsAnswer:
        query: ObjectsQuery = asked.query
        register = self._parts.objects.register()
        found = [
            object_
            for id_ in self._parts.search.find(register, query.q)
            if _fits(object_ := register.objects[id_], query)
        ]  # fmt: skip
        law, today = current_law(), today_in_kazakhstan(self._parts.clock)
        return ObjectsAnswer(
            version=register.version, total=len(found),
            objects=[
                ObjectLine.of(each, quality(each, register, law, today))
                for each in found[query.offset :][: query.limit]
            ],
        )  # fmt: skip

    def _object(self, asked: Asked) -> ObjectAnswer:
        register = self._parts.objects.register()
        object_ = register.objects.get(asked.path["id"])
        if object_ is None:
            raise NotFound("objects.none", "the registry has no such object", at="caller")
        score = quality(object_, register, current_law(), today_in_kazakhstan(self._parts.clock))
        rows = {
            name: [values_of(row) for row in sorted(register.of(kind, object_.id), key=lambda row: row.key)]
            for name, kind in TABLES.items()
        }
        return ObjectAnswer(
            version=register.version, object=object_, rows={name: found for name, found in rows.items() if found},
            quality=score.score, age_days=score.age_days,
            gaps=[GapAnswer(what=gap.what, field=gap.field) for gap in score.gaps],
        )  # fmt: skip

    def _rows(self, asked: Asked) -> RowsAnswer:
        query: RowsQuery = asked.query
        kind, register = TABLES[_table(asked)], self._parts.objects.register()
        rows: Iterable[Row] = register.all(kind).values()
        if query.object:
            own = [row for row in rows if row.key == query.object] if kind is DigitalObject else []
            rows = own or register.of(kind, query.object)
        found = sorted(rows, key=lambda row: row.key)
        return RowsAnswer(
            version=register.version, total=len(found),
            rows=[values_of(row) for row in found[query.offset :][: query.limit]],
        )  # fmt: skip

    def _model(self, _: Asked) -> bytes:
        return write_model(self._parts.objects.register(), name=MODEL_NAME)

    # Changes ---------------------------------------------------------------------------------------------------------

    def _put(self, asked: Asked) -> ChangedAnswer:
        return self._one_row(asked, whole=True)

    def _patch(self, asked: Asked) -> ChangedAnswer:
        return self._one_row(asked, whole=False)

    def _one_row(self, asked: Asked, *, whole: bool) -> ChangedAnswer:
        form: RowForm = asked.body
        edit = edit_of(EditForm(table=_table(asked), values=form.values), whole=whole)
        if edit.table == "objects":
            self._check_status(edit)
        return self._changed(asked, [edit], form.reason)

    def _check_status(self, edit: Edit) -> None:
        """Refuse a change of status that the life cycle does not let. Raises `Conflict`."""
        register = self._parts.objects.register()
        object_, status = register.objects.get(str(edit.values.get("id"))), edit.values.get("status")
        if object_ is not None and status is not None and status != object_.status:
            today = today_in_kazakhstan(self._parts.clock)
            refuse_change(object_, Status(status), register, current_law(), today)

    def _apply(self, asked: Asked) -> ChangedAnswer:
        form: BatchForm = asked.body
        edits = [edit_of(each) for each in form.edits]
        if form.dry_run:
            changes = self._parts.objects.preview(edits)
            return ChangedAnswer(version=self._parts.objects.register().version, batch=None, changes=changes)
        return self._changed(asked, edits, form.reason)

    def _changed(self, asked: Asked, edits: list[Edit], reason: str) -> ChangedAnswer:
        batch = self._parts.objects.apply(
            edits, by=asked.person.actor, source=f"api: {reason}", at=self._parts.clock.now(), seen=asked.seen
        )
        version = self._parts.objects.register().version if batch is None else batch.id
        return ChangedAnswer(version=version, batch=batch, changes=[])

    def _import(self, asked: Asked) -> ImportAnswer:
        return self._imports.take(asked.person, asked.query, asked.body)

    def _history(self, asked: Asked) -> list[HistoryAnswer]:
        table, key = _table(asked), asked.query.key
        found = self._parts.objects.history(table, key)
        if not found:
            raise NotFound("objects.row", f"{table} never had such a row", at="caller")
        return [HistoryAnswer(batch=batch, change=change) for batch, change in found]

    def _batches(self, asked: Asked) -> list[Batch]:
        query: BatchesQuery = asked.query
        before = None if query.before is msgspec.UNSET else query.before
        return self._parts.objects.batches(limit=query.limit, before=before)

    def _batch(self, asked: Asked) -> BatchAnswer:
        batch = self._parts.objects.batch(_number(asked.path["id"]))
        return BatchAnswer(batch=batch, changes=self._parts.objects.changes(batch.id))

    def _undo(self, asked: Asked) -> Batch:
        number = _number(asked.path["id"])
        return self._parts.objects.undo(number, by=asked.person.actor, at=self._parts.clock.now())

    # Findings --------------------------------------------------------------------------------------------------------

    def _findings(self, asked: Asked) -> CasesAnswer:
        query: FindingsQuery = asked.query
        if query.key:
            return CasesAnswer(total=1, findings=[CaseAnswer.of(self._parts.findings.case(query.key))])
        states = [query.state] if isinstance(query.state, CaseState) else None
        detectors = [query.detector] if query.detector else None
        found = self._parts.findings.cases(states=states, detectors=detectors, gone=query.gone)
        chosen = [case for case in found if query.object in {"", *case.finding.objects}]
        shown = chosen[query.offset :][: query.limit]
        return CasesAnswer(total=len(chosen), findings=[CaseAnswer.of(case) for case in shown])

    def _decide(self, asked: Asked) -> CaseAnswer:
        form: DecisionForm = asked.body
        return CaseAnswer.of(
            self._parts.findings.decide(
                form.key, form.state, version=form.version, by=asked.person.actor, reason=form.reason,
                measure=form.measured(),
            )
        )  # fmt: skip


def read_query(request: Request, kind: type[Q]) -> Q:
    """The query as this structure; raises `Malformed` for a name that is none of it, or one given twice."""
    pairs = request.query_params.multi_items()
    if len({name for name, _ in pairs}) != len(pairs):
        raise Malformed("request.query", "a parameter of the query is given twice", at="caller")
    try:
        return msgspec.convert(dict(pairs), kind, strict=False)
    except msgspec.ValidationError as exc:
        raise Malformed("request.query", f"not the query expected: {str(exc)[:200]}", at="caller") from exc


async def _body(request: Request, action: Action) -> Any:
    if action.upload:
        return await read_brought(request)
    return None if action.body is None else await read_json(request, action.body)


def _tables(_: Asked) -> list[TableAnswer]:
    return tables()


def _fits(object_: DigitalObject, query: ObjectsQuery) -> bool:
    return (
        query.owner in {"", object_.owner_bin}
        and query.area in {"", object_.area}
        and query.kind in {msgspec.UNSET, object_.kind}
        and query.status in {msgspec.UNSET, object_.status}
        and (object_.kato or "").startswith(query.region)
    )


def _table(asked: Asked) -> str:
    table = asked.path["table"]
    if table not in TABLES:
        raise NotFound("objects.table", f"there is no table {table[:60]!r}", at="caller")
    return table


def _number(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise NotFound("objects.batch", "no such change", at="caller")
    return int(text)


def _seen(request: Request) -> int:
    """The version in `If-Match`. Raises `Malformed`."""
    found = re.fullmatch(r'"([0-9]{1,9})"', request.headers.get("if-match", ""))
    if found is None:
        raise Malformed("objects.if-match", 'say at which version you looked: If-Match: "VERSION"', at="caller")
    return int(found[1])


def _upload() -> dict[str, Any]:
    """What the body of an upload is, for the description."""
    parts = {
        "file": {"type": "string", "contentMediaType": _FILE},
        "decisions": {"type": "array", "items": {"$ref": f"#/components/schemas/{RowDecision.__name__}"}},
    }
    return {
        _FILE: {"schema": {"type": "string"}},
        _FORM: {
            "schema": {"type": "object", "required": ["file"], "properties": parts},
            "encoding": {"decisions": {"contentType": JSON}},
        },
    }


def _parameters(query: type[msgspec.Struct]) -> list[dict[str, Any]]:
    """The fields of a query for the description."""
    (_,), schemas = msgspec.json.schema_components([query], ref_template="#/components/schemas/{name}")
    own = schemas[query.__name__]
    return [
        {
            "name": name,
            "in": "query",
            "required": name in own.get("required", ()),
            "schema": _inlined(schema, schemas),
        }
        for name, schema in own["properties"].items()
    ]


def _inlined(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """A schema with what it refers to in its place; a query has only words and numbers."""
    reference = schema.get("$ref", "")
    return schemas[reference.rpartition("/")[2]] if reference else schema


def _told(found: Any, action: Action) -> Response:
    headers = {"Cache-Control": "no-store"}
    if isinstance(found, (ObjectsAnswer, ObjectAnswer, RowsAnswer, ChangedAnswer, ImportAnswer)):
        headers["ETag"] = f'"{found.version}"'
    body = found if isinstance(found, bytes) else msgspec.json.encode(found)
    return Response(body, status_code=action.status, media_type=action.media, headers=headers)
