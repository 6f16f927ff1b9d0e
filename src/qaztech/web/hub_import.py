"""Pages by which an analyst brings a register: the file, what its columns are, what it would change, doing it, undoing.

Files wait in the centre's folder between steps. They are read and planned in threads of their own (`hub_import_work`);
the newest plans are kept until something that they rest on changes. Not here: the rules (`hub.register`).
"""

from __future__ import annotations

import asyncio
import io
import logging
import threading
from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import PurePath
from typing import Any, Final

import msgspec
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response

from qaztech.core.errors import Error, Limited, Malformed, NotFound
from qaztech.hub import scopes
from qaztech.hub.register.archimate import write_model
from qaztech.hub.register.columns import columns_of
from qaztech.hub.register.export import MODEL_NAME, OWN, tables_of, write_csv_zip, write_xlsx
from qaztech.hub.register.identify import Decision
from qaztech.hub.register.importing import (
    Plan,
    Problem,
    carry_out,
    decision_of,
    fields_told,
    left_out,
    make_plan,
    preview,
)
from qaztech.hub.register.mapping import (
    COST,
    OWNER_NAMES,
    ColumnRule,
    TableRule,
    check_rule,
    fields_of,
    guess,
    is_money,
    propose,
)
from qaztech.hub.register.mapping import Mapping as FileMapping
from qaztech.hub.register.reading import read_file
from qaztech.hub.register.remembered import MappingStore
from qaztech.hub.register.rows import TABLES
from qaztech.hub.register.sheets import MOST_FILE
from qaztech.hub.register.store import Change
from qaztech.hub.register.titles import LANGUAGES, choice_title, column_title, table_title
from qaztech.hub.register.waiting import SUFFIXES, About, Waiting
from qaztech.hub.register.workbook import RawTable, is_broken, refuse_empty, text_of
from qaztech.people.gate import read_form
from qaztech.people.people import Person
from qaztech.runtime.telemetry import log_error
from qaztech.web.hub_import_told import RowNames, by_row, differences_csv, doubt_of, field_name, teller
from qaztech.web.hub_pages import HubPages, hub_texts
from qaztech.web.hub_parts import HubParts, HubRoute, PageGroup
from qaztech.web.people_pages import page_language
from qaztech.web.registry_pages import redirect
from qaztech.web.texts import local_moment

logger = logging.getLogger("qaztech.hub.import")
IMPORT: Final = "/console/import"
# The form around a file takes some bytes too.
UPLOADS: Final = {IMPORT: MOST_FILE + 1024 * 1024}
_SHOWN: Final = 200
_MOST_CHANGES: Final = 2_000_000
_SAMPLES: Final = 3
# Fields of one form, below what the gate reads.
_MOST_FIELDS: Final = 450
# Seconds that a page waits for a plan before it says how far that is.
_PATIENCE: Final = 3.0
# Rows of the plans that are kept; the newest is kept whatever its size.
_KEPT_ROWS: Final = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Planned:
    """A file, read and planned, and what it rests on; of its changes the first, and how many there are of each kind."""

    said: bytes
    tables: list[RawTable]
    mapping: FileMapping
    plan: Plan
    changes: list[Change]
    names: Mapping[str, RowNames]
    fields: Mapping[str, int]
    by_table: Mapping[str, int]


class ImportPages:
    """The handlers."""

    def __init__(self, parts: HubParts, pages: HubPages) -> None:
        self._parts = parts
        self._pages = pages
        self._waiting = Waiting(parts.waiting)
        self._mappings = MappingStore(parts.objects.engine)
        self._plans: OrderedDict[str, _Planned] = OrderedDict()
        # The file that was read last: the next step mostly asks for it again.
        self._newest: tuple[str, list[RawTable]] = ("", [])
        self._turn = threading.Lock()
        # Plans in the making, which outlast the request that asked for them, and how many rows of each are read.
        self._work: dict[str, asyncio.Future[_Planned]] = {}
        self._progress: dict[str, tuple[int, int]] = {}

    # The list

    async def index(self, request: Request, person: Person) -> Response:
        """Bring a file; files that wait; the changes of the registry, each with its undoing."""
        return await self._index(request, person)

    async def _index(self, request: Request, person: Person, problem: Error | None = None) -> Response:
        batches = await asyncio.to_thread(lambda: self._parts.objects.batches(limit=50))
        mine = (
            await asyncio.to_thread(lambda: self._waiting.mine(person.name))
            if person.may(scopes.CHANGE_OBJECTS)
            else []
        )
        response = self._pages.render(
            request, person, "imports.html", batches=batches, waiting=mine, kinds=",".join(SUFFIXES),
            most=MOST_FILE // 1024**2, problem=None if problem is None else self._words(request, problem),
            status=200 if problem is None else problem.status,
        )  # fmt: skip
        if problem is not None and problem.retry_after is not None:
            response.headers["Retry-After"] = str(problem.retry_after)
        return response

    async def bring(self, request: Request, person: Person) -> Response:
        """A file is brought: it waits, and its columns are asked for."""
        try:
            form = await request.form(max_files=1, max_fields=10)
            file = form.get("file")
            if not isinstance(file, UploadFile) or not file.filename:
                raise Malformed("form.malformed", "a file is needed", at="caller")
            data, name = await file.read(), file.filename
            now = self._parts.clock.now()
            token = await self._parts.imports.run(self._take, name, data, person, now)
        except Error as exc:
            return await self._index(request, person, exc)
        finally:
            await request.close()
        return redirect(request, f"{IMPORT}/{token}/columns")

    def _take(self, name: str, data: bytes, person: Person, now: int) -> str:
        token = self._waiting.keep(name, data, by=person.name, at=now)
        try:
            about = self._waiting.about(token, by=person.name)
            tables = self._tables(token, about)
            refuse_empty(tables)
            mapping = propose(tables, kept=self._mappings)
        except Error as exc:
            log_error(logger, "a file that was brought is not taken", exc, kind=PurePath(name).suffix, bytes=len(data))
            self._waiting.drop(token)
            raise
        self._waiting.say(token, msgspec.structs.replace(about, mapping=mapping))
        return token

    # Columns

    async def columns(self, request: Request, person: Person) -> Response:
        """What each sheet and column is: guessed, remembered, or decided here."""
        return await self._columns(request, person)

    async def _columns(self, request: Request, person: Person, problem: Error | None = None) -> Response:
        token = request.path_params["token"]
        about, tables = await self._parts.imports.run(self._read, token, person)
        language = page_language(request)
        sheets = [_sheet(raw, rule, place) for place, (raw, rule) in enumerate(_shown(tables, about))]
        return self._pages.render(
            request, person, "import-columns.html", token=token, about=about, sheets=sheets,
            table_names={name: table_title(name, language) for name in TABLES},
            fields={name: _fields(name, language, hub_texts(language)["imports"]) for name in TABLES},
            hidden=len(tables) - len(sheets), problem=None if problem is None else self._words(request, problem),
            status=200 if problem is None else problem.status,
        )  # fmt: skip

    async def say_columns(self, request: Request, person: Person) -> Response:
        """The columns are decided, and remembered; then what it would change."""
        form = await read_form(request)
        token = request.path_params["token"]
        try:
            again = await self._parts.imports.run(self._decide_columns, token, person, form)
        except (NotFound, Limited):
            raise
        except Error as exc:
            return await self._columns(request, person, exc)
        if again:
            return redirect(request, f"{IMPORT}/{token}/columns", said="columns-again")
        return redirect(request, f"{IMPORT}/{token}")

    def _decide_columns(self, token: str, person: Person, form: Mapping[str, str]) -> bool:
        """Note what was decided; true where a sheet has become another table and is to be looked at again."""
        about, tables = self._read(token, person)
        rules, again = [], False
        shown = dict(enumerate(_shown(tables, about)))
        for place, raw in enumerate(tables):
            if place not in shown:
                rules.append(TableRule(sheet=raw.sheet))
                continue
            before, table = shown[place][1], form.get(f"t{place}", "")
            if table not in {"", *TABLES}:
                raise Malformed("mapping.table", "no such table", at="caller")
            if table != before.table:
                again = again or bool(table)
                rules.append(guess(raw, table=table))
            else:
                rules.append(_decided(raw, before, place, form))
        mapping = FileMapping(tables=rules)
        about = msgspec.structs.replace(about, mapping=mapping, empties=form.get("empties") == "yes")
        self._waiting.say(token, about)
        if not again:
            for raw, rule in zip(tables, rules, strict=True):
                check_rule(rule)
                if rule.table:
                    self._mappings.keep(raw, rule, by=person.name, at=self._parts.clock.now())
        return again

    async def mapping_file(self, request: Request, person: Person) -> Response:
        """The mapping as JSON, to be given with the next file on the command line."""
        about = await asyncio.to_thread(lambda: self._waiting.about(request.path_params["token"], by=person.name))
        mapping = about.mapping or FileMapping(tables=[])
        return _download(
            msgspec.json.format(msgspec.json.encode(mapping), indent=1), "mapping.json", "application/json"
        )

    # What it would change

    async def plan(self, request: Request, person: Person) -> Response:
        """The dry run: errors by row, conflicts to be decided, differences by field."""
        return await self._plan(request, person)

    async def _plan(self, request: Request, person: Person, problem: Error | None = None) -> Response:
        token = request.path_params["token"]
        about = await asyncio.to_thread(lambda: self._waiting.about(token, by=person.name))
        if about.done is not None:
            return self._pages.render(request, person, "import-done.html", token=token, about=about)
        planned = await self._soon(token, person)
        if planned is None:
            read, total = self._progress.get(token, (0, 0))
            return self._pages.render(
                request, person, "import-working.html", token=token, about=about, read=read, total=total
            )
        language = page_language(request)
        plan = planned.plan
        texts, names = hub_texts(language)["imports"], planned.names[language]
        errors, conflicts, warnings = (
            [(p, *_told(p, planned.mapping, language, texts)) for p in found[:_SHOWN]]
            for found in (
                [p for p in plan.errors if not p.other], [p for p in plan.errors if p.other], plan.warnings
            )
        )  # fmt: skip
        return self._pages.render(
            request, person, "import-plan.html", token=token, about=about, plan=plan,
            errors=errors, warnings=warnings,
            conflicts=[
                (p, words, doubt_of(p, planned.tables, planned.mapping, names)) for p, words, _ in conflicts
            ],
            more=len(plan.problems) + plan.unnamed - len(errors) - len(conflicts) - len(warnings),
            changes=by_row(planned.changes, names), shown=len(planned.changes), told=planned.fields,
            tables=planned.by_table,
            table_names={name: table_title(name, language) for name in TABLES},
            value=teller(language), field_name=partial(field_name, language),
            decisions=list(Decision),
            problem=None if problem is None else self._words(request, problem),
            status=200 if problem is None else problem.status,
        )  # fmt: skip

    async def _soon(self, token: str, person: Person) -> _Planned | None:
        """The plan of a file; None where it is not ready soon: it goes on being made, for the next who asks."""
        before = self._work.pop(token, None)
        work = before or self._parts.imports.begin(self._planned, token, person)
        if not (await asyncio.wait([work], timeout=_PATIENCE))[0]:
            self._work[token] = work
            return None
        self._progress.pop(token, None)
        if before is None or work.exception() is not None:
            return work.result()
        # It was begun for an earlier question: what was said since counts.
        return await self._parts.imports.run(self._planned, token, person)

    async def decide(self, request: Request, person: Person) -> Response:
        """What a person says of records that another one is there for."""
        form = await read_form(request)
        token = request.path_params["token"]

        def note() -> None:
            about = self._waiting.about(token, by=person.name)
            said = {n.removeprefix("d:"): v for n, v in form.items() if n.startswith("d:") and v in set(Decision)}
            before = {} if form.get("again") == "yes" else about.decisions
            self._waiting.say(token, msgspec.structs.replace(about, decisions={**before, **said}))

        await asyncio.to_thread(note)
        return redirect(request, f"{IMPORT}/{token}")

    async def confirm(self, request: Request, person: Person) -> Response:
        """Do it: all rows, or the good ones where the person says so."""
        form = await read_form(request)
        token = request.path_params["token"]
        good = form.get("good") == "yes"
        try:
            batch = await self._parts.imports.run(self._carry_out, token, person, good)
        except (NotFound, Limited):
            raise
        except Error as exc:
            return await self._plan(request, person, exc)
        return redirect(request, f"{IMPORT}/{token}" if batch else IMPORT, said="saved")

    def _carry_out(self, token: str, person: Person, good: bool) -> bool:
        about = self._waiting.about(token, by=person.name)
        if about.done is not None:
            return True
        planned = self._planned(token, person)
        batch = carry_out(
            self._parts.objects, planned.plan, by=person.actor, source=f"import:{about.file}",
            at=self._parts.clock.now(), take_good_rows=good,
        )  # fmt: skip
        if batch is None and not planned.plan.wrong:
            self._waiting.drop(token)
            return False
        done = 0 if batch is None else batch.id
        self._waiting.say(token, msgspec.structs.replace(about, done=done, left=len(planned.plan.wrong)))
        return True

    async def rows_left_out(self, request: Request, person: Person) -> Response:
        """The rows that cannot be taken, with what is wrong, as a file of the same form."""
        token, language = request.path_params["token"], page_language(request)
        file, texts = io.BytesIO(), hub_texts(language)["imports"]

        def write() -> None:
            planned = self._planned(token, person)

            def told(problem: Problem) -> str:
                words, expected = _told(problem, planned.mapping, language, texts)
                return f"{words} {texts['expected']} {expected}" if expected else words

            write_xlsx(left_out(planned.tables, planned.plan, language=language, told=told), file)

        await self._parts.imports.run(write)
        return _download(file.getvalue(), "left-out.xlsx", _XLSX)

    async def differences(self, request: Request, person: Person) -> Response:
        """Every field that would change, as a file."""
        token, language = request.path_params["token"], page_language(request)

        def write() -> bytes:
            plan = self._planned(token, person).plan
            return self._as_csv(preview(self._parts.objects, plan), language)

        return _download(await self._parts.imports.run(write), "differences.csv", _CSV)

    def _as_csv(self, changes: list[Change], language: str) -> bytes:
        texts, names = hub_texts(language)["imports"], RowNames(self._parts.objects.register(), changes, language)
        titles = [str(texts[name]) for name in ("table", "record", "key", "field", "before", "after")]
        return differences_csv(changes, names, titles, language=language, value=teller(language, most=None))

    async def forget(self, request: Request, person: Person) -> Response:
        """The person does not want it."""
        token = request.path_params["token"]
        await asyncio.to_thread(self._waiting.about, token, by=person.name)
        await asyncio.to_thread(self._waiting.drop, token)
        self._plans.pop(token, None)
        self._newest = ("", []) if self._newest[0] == token else self._newest
        return redirect(request, IMPORT, said="saved")

    # Changes made

    async def change(self, request: Request, person: Person) -> Response:
        """One change of the registry, field by field."""
        number = request.path_params["id"]
        batch = await asyncio.to_thread(lambda: self._parts.objects.batch(number))
        changes = await asyncio.to_thread(lambda: self._parts.objects.changes(number, limit=_SHOWN + 1))
        language, register = page_language(request), await asyncio.to_thread(self._parts.objects.register)
        names = RowNames(register, changes, language)
        return self._pages.render(
            request, person, "import-change.html", batch=batch, changes=by_row(changes[:_SHOWN], names),
            more=len(changes) > _SHOWN,
            table_names={name: table_title(name, language) for name in TABLES}, most=_SHOWN,
            value=teller(language), field_name=partial(field_name, language),
        )  # fmt: skip

    async def change_file(self, request: Request, person: Person) -> Response:  # noqa: ARG002  # every page knows who asks
        """One change of the registry whole, as a file."""
        number, language = request.path_params["id"], page_language(request)

        def write() -> bytes:
            self._parts.objects.batch(number)
            return self._as_csv(self._parts.objects.changes(number, limit=_MOST_CHANGES), language)

        return _download(await asyncio.to_thread(write), f"change-{number}.csv", _CSV)

    async def undo(self, request: Request, person: Person) -> Response:
        """Take a change back."""
        form = await read_form(request)
        number = form.get("batch", "")
        if not number.isdigit() or len(number) > 9:
            raise Malformed("form.malformed", "which change?", at="caller")
        now = self._parts.clock.now()
        await asyncio.to_thread(lambda: self._parts.objects.undo(int(number), by=person.actor, at=now))
        return redirect(request, IMPORT, said="saved")

    async def export(self, request: Request, person: Person) -> Response:  # noqa: ARG002  # every page knows who asks
        """The whole registry as a workbook, a ZIP of CSV files or an ArchiMate model."""
        wanted = request.query_params.get("titles", page_language(request))
        language = wanted if wanted in {OWN, *LANGUAGES} else OWN
        form = request.path_params["form"]
        if form not in _EXPORTED:
            raise NotFound("export.form", "the registry is exported as xlsx, zip or xml", at="caller")

        def write() -> bytes:
            register, file = self._parts.objects.register(), io.BytesIO()
            if form == "xml":
                return write_model(register, name=MODEL_NAME)
            (write_xlsx if form == "xlsx" else write_csv_zip)(tables_of(register, language), file)
            return file.getvalue()

        return _download(await asyncio.to_thread(write), f"objects.{form}", _EXPORTED[form])

    # Parts

    def _read(self, token: str, person: Person) -> tuple[About, list[RawTable]]:
        about = self._waiting.about(token, by=person.name)
        kept = self._plans.get(token)
        return about, kept.tables if kept is not None else self._tables(token, about)

    def _tables(self, token: str, about: About) -> list[RawTable]:
        newest = self._newest
        if newest[0] != token:
            newest = self._newest = (token, read_file(self._waiting.path(token, about)))
        return newest[1]

    def _planned(self, token: str, person: Person) -> _Planned:
        """The plan of a file; made again only where something that it rests on has changed."""
        with self._turn:
            about = self._waiting.about(token, by=person.name)
            register = self._parts.objects.register()
            today = self._today()
            told = (about.mapping, about.decisions, about.empties, register.version, about.done, today.isoformat())
            said = msgspec.json.encode(told)
            kept = self._plans.get(token)
            if kept is not None and (kept.said == said or about.done is not None):
                return kept
            tables = self._read(token, person)[1]
            mapping = about.mapping or propose(tables, kept=self._mappings)
            decisions = dict(decision_of(f"{place}={word}") for place, word in about.decisions.items())
            plan = make_plan(
                tables, mapping, register, today=today, decisions=decisions, empties=about.empties,
                progress=lambda read, total: self._progress.__setitem__(token, (read, total)),
            )  # fmt: skip
            changes = preview(self._parts.objects, plan)
            made = _Planned(
                said=said, tables=tables, mapping=mapping, plan=plan, changes=changes[:_SHOWN],
                names={language: RowNames(register, changes, language) for language in LANGUAGES},
                fields=fields_told(changes), by_table=Counter(change.table for change in changes),
            )  # fmt: skip
            self._plans[token] = made
            while len(self._plans) > 1 and sum(sum(p.plan.rows.values()) for p in self._plans.values()) > _KEPT_ROWS:
                self._plans.popitem(last=False)
            return made

    def _today(self) -> date:
        return local_moment(self._parts.clock.now()).date()

    def _words(self, request: Request, error: Error) -> str:
        texts = hub_texts(page_language(request))["imports"]
        return str(texts["problem"].get(error.code) or self._pages.words(request, error))


_CSV: Final = "text/csv; charset=utf-8"
_XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
# What the registry is exported as: by the ending of the file its media type.
_EXPORTED = {"xlsx": _XLSX, "zip": "application/zip", "xml": "application/xml"}


def _shown(tables: list[RawTable], about: About) -> list[tuple[RawTable, TableRule]]:
    """The first sheets with their rules, as many as a form can hold."""
    mapping = about.mapping or propose(tables)
    found, fields = [], 0
    for raw, rule in zip(tables, mapping.tables, strict=True):
        fields += 1 + sum(4 if is_money(rule.table, column.field) else 1 for column in rule.columns)
        if fields > _MOST_FIELDS:
            break
        found.append((raw, rule))
    return found


def _sheet(raw: RawTable, rule: TableRule, place: int) -> dict[str, Any]:
    columns = []
    for number, column in enumerate(rule.columns):
        at = raw.headers.index(column.header)
        cells = (cells[at] for cells in raw.rows if at < len(cells) and cells[at] != "")
        samples = [
            "#" if is_broken(cell) else text_of(cell)[:40] for cell, _ in zip(cells, range(_SAMPLES), strict=False)
        ]
        money = is_money(rule.table, column.field)
        columns.append({"rule": column, "samples": samples, "number": number, "money": money,
                        "cost": column.field.startswith(COST)})  # fmt: skip
    return {"raw": raw, "rule": rule, "place": place, "columns": columns}


def _decided(raw: RawTable, before: TableRule, place: int, form: Mapping[str, str]) -> TableRule:
    """A sheet's rule as a form has it."""
    columns = []
    allowed = {"", *fields_of(before.table)}
    for number, column in enumerate(before.columns):
        at = f"{place}.{number}"
        field = form.get(f"f{at}", column.field)
        if field not in allowed:
            raise Malformed("mapping.field", "no such field", at="caller")
        cost = field.startswith(COST)
        columns.append(
            ColumnRule(
                header=column.header, field=field,
                unit=_whole(form.get(f"u{at}"), column.unit) or 1 if is_money(before.table, field) else 1,
                year=_whole(form.get(f"y{at}"), column.year) if cost else None,
                state=form.get(f"s{at}", column.state) if cost else "",
            )
        )  # fmt: skip
    return TableRule(sheet=raw.sheet, table=before.table, columns=columns)


def _whole(text: str | None, otherwise: int | None) -> int | None:
    if text is None:
        return otherwise
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else None


def _fields(table: str, language: str, texts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a column may be, with names for people."""
    return [(name, _field_title(table, name, language, texts)) for name in fields_of(table)]


def _field_title(table: str, name: str, language: str, texts: Mapping[str, Any]) -> str:
    if name.startswith(COST):
        return f"{texts['cost']}: {choice_title('costs', 'kind', name.removeprefix(COST), language)}"
    if name in OWNER_NAMES:
        who = texts["owner" if name.startswith("owner.") else "supplier"]
        return f"{who}: {column_title('organisations', name.partition('.')[2], language)}"
    return column_title(table, name, language)


def _told(problem: Problem, mapping: FileMapping, language: str, texts: Mapping[str, Any]) -> tuple[str, str]:
    """What is wrong and what is expected, in words of the reader's language."""
    words = texts["problem"].get(problem.code, problem.code)
    if problem.code == "cell.choice":
        rule = next((r for r in mapping.tables if r.sheet == problem.sheet), None)
        column = rule.rule(problem.column) if rule is not None else None
        held = columns_of(rule.table).get(column.field) if rule is not None and column is not None else None
        if held is not None:
            return words, ", ".join(choice_title(held.table, held.name, value, language) for value in held.choices)
    shown = problem.code in {"kato.ended", "cell.range", "cell.long", "cell.list"}
    if problem.code == "row.missing":
        return words, problem.expected
    return words, problem.expected if shown else ""


def _download(data: bytes, name: str, kind: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(data, media_type=kind, headers=headers)


def _routes(parts: HubParts, pages: HubPages) -> list[HubRoute]:
    own = ImportPages(parts, pages)
    read, write = scopes.OBJECTS, scopes.CHANGE_OBJECTS
    return [
        HubRoute("GET", IMPORT, read, own.index),
        HubRoute("POST", IMPORT, write, own.bring),
        HubRoute("POST", f"{IMPORT}/undo", write, own.undo),
        HubRoute("GET", f"{IMPORT}/changes/{{id:int}}", read, own.change),
        HubRoute("GET", f"{IMPORT}/changes/{{id:int}}/differences.csv", read, own.change_file),
        HubRoute("GET", f"{IMPORT}/export.{{form}}", read, own.export),
        HubRoute("GET", f"{IMPORT}/{{token}}", write, own.plan),
        HubRoute("POST", f"{IMPORT}/{{token}}", write, own.confirm),
        HubRoute("GET", f"{IMPORT}/{{token}}/columns", write, own.columns),
        HubRoute("POST", f"{IMPORT}/{{token}}/columns", write, own.say_columns),
        HubRoute("GET", f"{IMPORT}/{{token}}/mapping.json", write, own.mapping_file),
        HubRoute("POST", f"{IMPORT}/{{token}}/decisions", write, own.decide),
        HubRoute("GET", f"{IMPORT}/{{token}}/left-out.xlsx", write, own.rows_left_out),
        HubRoute("GET", f"{IMPORT}/{{token}}/differences.csv", write, own.differences),
        HubRoute("POST", f"{IMPORT}/{{token}}/forget", write, own.forget),
    ]


GROUP = PageGroup("imports", ((IMPORT, scopes.OBJECTS),), _routes)
