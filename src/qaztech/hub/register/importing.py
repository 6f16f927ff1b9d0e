"""From the tables of a file to one change of the registry: what it would do, row by row what is wrong, and doing it.

Nothing is half imported: with one wrong row nothing is taken, unless a person says that the good rows are; what is left
out then is given back. A column that the file does not have stays as it is, and so does a field whose cell is empty
unless the person says otherwise. Not here: reading files (`workbook`), which column is which (`mapping`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

import msgspec

from qaztech.core.errors import Error, Malformed
from qaztech.hub.register.checks import cycles, region_warning
from qaztech.hub.register.columns import Column, Form, columns_of, row_of
from qaztech.hub.register.export import Table
from qaztech.hub.register.identify import Decision, Identities, Record, made_id
from qaztech.hub.register.mapping import COST, NAMED, OWNER_NAMES, ColumnRule, TableRule
from qaztech.hub.register.mapping import Mapping as FileMapping
from qaztech.hub.register.rows import Cost, Integration, Organisation
from qaztech.hub.register.sheets import Cell
from qaztech.hub.register.snapshot import Register
from qaztech.hub.register.store import Batch, Change, Edit, ObjectStore
from qaztech.hub.register.titles import REASONS, is_reason, read_foreign
from qaztech.hub.register.workbook import RawTable, is_broken, text_of
from qaztech.people.actors import Actor

Place = tuple[str, int]
Progress = Callable[[int, int], None]
# Errors, and warnings, that are told one by one; more are counted.
MOST_ERRORS: Final = 5_000
MOST_WARNINGS: Final = 1_000
_SHOWN: Final = 80
_ID: Final = "an object's id"
# What tells one integration from another where a body has not numbered them.
_INTEGRATION: Final = ("consumer_object", "provider_object", "service", "channel")
_TELL_EVERY: Final = 1_000


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with a row, or is to be looked at (`warning`).

    `sheet` and `row` as the spreadsheet shows them, `column` its header, `code` a slug, `expected` what should stand
    there, `cell` the text that does, shortened. A conflict has the `other` record.
    """

    sheet: str
    row: int
    code: str
    column: str = ""
    expected: str = ""
    cell: str = ""
    other: str = ""
    warning: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What an import would do. `wrong` are the rows with errors; `rows` counts all that were read, by table.

    `good` are the edits of rows without errors; `unnamed` counts problems beyond those told.
    """

    good: tuple[Edit, ...]
    problems: tuple[Problem, ...]
    wrong: frozenset[Place]
    rows: Mapping[str, int]
    version: int
    unnamed: int = 0

    @property
    def errors(self) -> list[Problem]:
        """The problems for which rows cannot be taken."""
        return [problem for problem in self.problems if not problem.warning]

    @property
    def warnings(self) -> list[Problem]:
        """The problems that a person should look at."""
        return [problem for problem in self.problems if problem.warning]


@dataclass(slots=True)
class _Read:
    """A row of the file, as values of a table."""

    table: str
    place: Place
    values: dict[str, Any]
    extra: list[Edit] = field(default_factory=list)


def make_plan(
    tables: Sequence[RawTable],
    mapping: FileMapping,
    register: Register,
    *,
    today: date,
    decisions: Mapping[Place, Decision] | None = None,
    empties: bool = False,
    progress: Progress | None = None,
) -> Plan:
    """What the import of these tables would do to the registry. Changes nothing.

    `decisions` of a person on conflicts, by sheet and row; `empties`: an empty cell empties the field.
    """
    return _Planning(register, today, decisions or {}, empties, progress).plan(tables, mapping)


def preview(store: ObjectStore, plan: Plan) -> list[Change]:
    """What would change, field by field, if the good rows were taken."""
    return store.preview(plan.good)


def carry_out(
    store: ObjectStore, plan: Plan, *, by: str | Actor, source: str, at: int, take_good_rows: bool = False
) -> Batch | None:
    """Do what was planned, as one batch; None where it changes nothing.

    Raises `Malformed` for a plan with errors unless the good rows are to be taken, `Conflict` where the registry has
    changed since the plan was made.
    """
    if plan.wrong and not take_good_rows:
        raise Malformed("import.errors", f"{len(plan.wrong)} rows cannot be taken: nothing was changed", at="caller")
    return store.apply(plan.good, by=by, source=source[:500], at=at, expected=plan.version)


def left_out(
    tables: Sequence[RawTable],
    plan: Plan,
    *,
    language: str = "en",
    told: Callable[[Problem], str] | None = None,
) -> list[Table]:
    """The rows that were not taken, for each sheet with its headers, and in a last column why.

    It can be mended and brought again: the column of reasons is known by its title and never read, and what stood above
    the header, such as the unit of its sums, stands there again. `told` puts a problem into words.
    """
    why: dict[Place, list[str]] = {}
    for problem in plan.errors:
        words = f"{problem.code} ({problem.expected})" if told is None else told(problem)
        reason = f"{problem.column}: {words}" if problem.column else words
        why.setdefault((problem.sheet, problem.row), []).append(reason)
    found = []
    for raw in tables:
        rows: list[list[Cell]] = [
            [*map(_shown, cells), *[""] * (len(raw.headers) - len(cells)), "; ".join(why.get((raw.sheet, number), ()))]
            for number, cells in zip(raw.numbers, raw.rows, strict=True)
            if (raw.sheet, number) in plan.wrong
        ]
        if rows:
            headers = [header for header in raw.headers if not is_reason(header)]
            kept = [place for place, header in enumerate(raw.headers) if not is_reason(header)]
            rows = [[*(cells[place] for place in kept), cells[-1]] for cells in rows]
            found.append(Table(raw.sheet, [*headers, REASONS[language]], rows, raw.above))
    return found


def _shown(cell: Cell) -> Cell:
    return text_of(cell) if isinstance(cell, str) and is_broken(cell) else cell


class _Planning:
    """One plan in the making."""

    def __init__(
        self,
        register: Register,
        today: date,
        decisions: Mapping[Place, Decision],
        empties: bool,
        progress: Progress | None,
    ) -> None:
        self._register = register
        self._today = today
        self._decisions = decisions
        self._empties = empties
        self._progress = progress
        self._problems: list[Problem] = []
        self._unnamed = 0
        self._told = {False: 0, True: 0}
        self._wrong: set[Place] = set()
        self._who = Identities(register)
        self._lost: set[str] = set()  # objects whose own row is not taken
        self._done = self._total = 0

    def plan(self, tables: Sequence[RawTable], mapping: FileMapping) -> Plan:
        """Read, identify, check."""
        taken = [(raw, rule) for raw in tables if (rule := mapping.table(raw)) is not None and rule.table]
        self._total = sum(len(raw.rows) for raw, _ in taken)
        counts: dict[str, int] = {}
        reads: list[_Read] = []
        for raw, rule in sorted(taken, key=_order):
            counts[rule.table] = counts.get(rule.table, 0) + len(raw.rows)
            reads += self._rows(raw, rule)
            for number, text in raw.left_out:
                self._tell(raw.sheet, number, "row.left-out", cell=text, warning=True)
        self._check_keys(reads)
        self._check_lost(reads)
        good = [read for read in reads if read.place not in self._wrong]
        self._check_links(good)
        self._check_costs(good)
        edits = [edit for read in good for edit in (Edit(table=read.table, values=read.values), *read.extra)]
        return Plan(
            good=tuple(edits), problems=tuple(sorted(self._problems, key=lambda p: (p.warning, p.sheet, p.row))),
            wrong=frozenset(self._wrong), rows=counts, version=self._register.version, unnamed=self._unnamed,
        )  # fmt: skip

    # Rows

    def _rows(self, raw: RawTable, rule: TableRule) -> Iterator[_Read]:
        columns = self._columns(raw, rule)
        for number, cells in zip(raw.numbers, raw.rows, strict=True):
            self._done += 1
            if self._progress is not None and (self._done % _TELL_EVERY == 0 or self._done == self._total):
                self._progress(self._done, self._total)
            read = _Read(table=rule.table, place=(raw.sheet, number), values={})
            before = len(self._problems) + self._unnamed
            self._cells(read, columns, cells)
            failed = read.place in self._wrong
            if rule.table == "objects":
                self._identify(read, failed=failed)
            elif rule.table == "integrations" and not failed and read.values.get("id") is None:
                read.values["id"] = made_id(*(str(read.values.get(name) or "") for name in _INTEGRATION))
            if failed or read.place in self._wrong or not read.values:
                continue
            if self._complete(read, before):
                yield read

    def _columns(self, raw: RawTable, rule: TableRule) -> list[tuple[int, ColumnRule, Column]]:
        """The columns that are taken: place, rule, and what its cells hold."""
        found = []
        own = columns_of(rule.table)
        for place, header in enumerate(raw.headers):
            each = rule.rule(header) if header else None
            if each is None or not each.field:
                continue
            if each.field.startswith(COST):
                if each.year is None:
                    where = (raw.sheet, raw.header_row)
                    self._tell(*where, "mapping.year", column=header, expected="a year", warning=True)
                    continue
                found.append((place, each, columns_of("costs")["tenge"]))
            elif each.field in OWNER_NAMES:
                found.append((place, each, columns_of("organisations")[each.field.partition(".")[2]]))
            elif each.field in own:
                found.append((place, each, own[each.field]))
        return found

    def _cells(self, read: _Read, columns: Sequence[tuple[int, ColumnRule, Column]], cells: Sequence[Cell]) -> None:
        owner: dict[str, Any] = {}
        for place, rule, column in columns:
            cell = cells[place] if place < len(cells) else ""
            if cell == "" and not self._empties:
                continue
            try:
                value = self._value(read, column, cell, rule)
            except Error as exc:
                self._tell(*read.place, exc.code, column=rule.header, expected=exc.detail, cell=text_of(cell))
                continue
            if rule.field.startswith(COST):
                if value is not None:
                    read.extra.append(_cost_edit(rule, value))
            elif rule.field in OWNER_NAMES:
                owner[column.name] = value
            elif value is not None or (self._empties and not column.required):
                read.values[column.name] = value
                self._look_at(read, column, value, rule.header)
        bin_ = read.values.get(f"{NAMED.get(read.table, '')}_bin")
        if bin_ and any(owner.values()) and bin_ not in self._register.organisations:
            read.extra.append(Edit(table="organisations", values={"bin": bin_, **owner}))

    def _value(self, read: _Read, column: Column, cell: Cell, rule: ColumnRule) -> Any:
        if isinstance(cell, str) and is_broken(cell):
            raise Malformed("cell.formula", "a value: the formula here has none, or an error", at="caller")
        if column.form is Form.OBJECT and read.table != "objects" and isinstance(cell, str) and cell.strip():
            return self._reference(cell.strip(), column)
        if column.form is Form.OBJECT and isinstance(cell, float) and cell.is_integer():
            cell = int(cell)
        return read_foreign(column, cell, rule.unit)

    def _reference(self, text: str, column: Column) -> Any:
        """The id that a cell of another table means: an id, or the name of one object."""
        if self._who.is_known(text):
            return text
        found = self._who.find(text)
        if len(found) == 1:
            return next(iter(found))
        if len(found) > 1:
            several = ", ".join(sorted(found)[:3])
            raise Malformed("object.ambiguous", f"an id: several objects have this name: {several}", at="caller")
        return read_foreign(column, text)

    def _look_at(self, read: _Read, column: Column, value: Any, header: str) -> None:
        if column.form is Form.KATO and value is not None:
            warned = region_warning(str(value), self._today)
            if warned is not None:
                self._tell(*read.place, warned[0], column=header, expected=warned[1], cell=str(value), warning=True)

    def _identify(self, read: _Read, *, failed: bool) -> None:
        """Give a row of objects its id, and its costs."""
        if failed:
            if read.values.get("id"):
                self._lost.add(read.values["id"])
            return
        record = Record(
            sheet=read.place[0], row=read.place[1], values=dict(read.values),
            extra=[dict(edit.values) for edit in read.extra],
        )  # fmt: skip
        if self._who.repeats(record):
            self._tell(*read.place, "row.repeated", warning=True)
            read.values = {}
            return
        decision = self._decisions.get(read.place)
        settled = self._who.settle(record, decision)
        if settled.conflict is not None:
            other = settled.conflict
            at = f"{other.sheet}:{other.row}" if other.row is not None else ""
            code = "object.exists" if other.row is None else "object.twice"
            self._tell(*read.place, code, expected="a decision: skip, new or same", cell=at, other=other.other)
        elif settled.id is None:
            if decision is not Decision.SKIP:
                self._tell(*read.place, "row.missing", expected="an id or a name")
            read.values = {}
        else:
            read.values["id"] = settled.id
            read.extra = [
                Edit(table=edit.table, values={**edit.values, "object": settled.id}) if edit.table == "costs" else edit
                for edit in read.extra
            ]
            if settled.note:
                self._tell(*read.place, settled.note, cell=settled.id, warning=True)

    def _complete(self, read: _Read, before: int) -> bool:
        """Whether a row has what it must have; tells what it has not."""
        for name, column in columns_of(read.table).items():
            if column.required and read.values.get(name) is None:
                self._tell(*read.place, "row.missing", column=name, expected=name)
        if read.place in self._wrong and len(self._problems) + self._unnamed > before:
            return False
        try:
            values = {name: value for name, value in read.values.items() if value is not None}
            row_of(read.table, values)
        except Error as exc:
            self._tell(*read.place, exc.code, expected=exc.detail)
            return False
        return True

    # Rows together

    def _check_keys(self, reads: list[_Read]) -> None:
        """No row of a table twice. The rows of objects are settled already."""
        seen: dict[tuple[str, str], tuple[_Read, dict[str, Any]]] = {}
        repeated: set[Place] = set()
        for read in reads:
            if read.place in self._wrong:
                continue
            rows = [dict(edit.values) for edit in read.extra if edit.table == "costs"]
            if read.table != "objects":
                rows.append(read.values)
            for values in rows:
                table = "costs" if read.table == "objects" else read.table
                key = row_of(table, {name: value for name, value in values.items() if value is not None}).key
                first, before = seen.setdefault((table, key), (read, values))
                if before is not values:
                    self._again(read, values, first, before, repeated)
        reads[:] = [read for read in reads if read.place not in repeated]

    def _again(
        self, read: _Read, values: Mapping[str, Any], first: _Read, before: dict[str, Any], repeated: set[Place]
    ) -> None:
        """A second row with the key of another: the same, joined to it, or an error."""
        where = f"{first.place[0]}:{first.place[1]}"
        if before == values:
            if read.table != "objects":
                self._tell(*read.place, "row.repeated", cell=where, warning=True)
                repeated.add(read.place)
        elif read.table == "interfaces":
            # Descriptions without the name of a service are told one after the other.
            fields = [name for each in (before, values) for name in each.get("fields") or ()]
            before["fields"] = list(dict.fromkeys(fields))
            repeated.add(read.place)
            self._tell(*read.place, "row.joined", cell=where, warning=True)
        else:
            self._tell(*read.place, "row.twice", expected="one row", cell=where)

    def _check_lost(self, reads: Sequence[_Read]) -> None:
        """Rows of an object that is not there, and whose own row is not taken, are not taken either."""
        gone = self._lost - self._register.objects.keys() - set(self._who.file_ids)
        for read in reads:
            if gone and read.table != "objects" and gone & _linked(read).keys():
                self._tell(*read.place, "object.left-out", expected="an object whose own row can be taken")

    def _check_links(self, good: Sequence[_Read]) -> None:
        unknown: set[tuple[str, str]] = set()
        edges: dict[str, tuple[str, str]] = {
            key: (row.consumer_object, row.provider_object) for key, row in self._register.all(Integration).items()
        }
        places: dict[str, Place] = {}
        parents = {b: o.parent_bin for b, o in self._register.all(Organisation).items() if o.parent_bin}
        for read in good:
            if read.table != "objects":
                for id_, name in _linked(read).items():
                    if not self._who.is_known(id_) and (read.table, id_) not in unknown:
                        unknown.add((read.table, id_))
                        self._tell(*read.place, "object.unknown", column=name, expected=_ID, cell=id_, warning=True)
            if read.table == "integrations":
                edges[read.values["id"]] = (read.values["consumer_object"], read.values["provider_object"])
                places.setdefault(read.values["consumer_object"], read.place)
            if read.table == "organisations":
                if read.values.get("parent_bin"):
                    parents[read.values["bin"]] = read.values["parent_bin"]
                places.setdefault(read.values["bin"], read.place)
        circles = {"integration.cycle": cycles(edges.values()), "organisation.cycle": cycles(parents.items())}
        for code, found in circles.items():
            for group in found:
                place = next((places[node] for node in group if node in places), None)
                if place is not None:
                    self._tell(*place, code, cell=" - ".join(group[:10]), warning=True)

    def _check_costs(self, good: Sequence[_Read]) -> None:
        """Sums beside others of the same object, year and kind: they would count twice."""
        held: dict[tuple[str, int, str], str] = {}
        for row in self._register.all(Cost).values():
            held[row.object, row.year, row.kind.value] = row.key
        for read in good:
            sums = [read.values] if read.table == "costs" else [e.values for e in read.extra if e.table == "costs"]
            for values in sums:
                other = held.get((values["object"], values["year"], values["kind"]))
                if other is not None and other not in {_cost_key(values), None} and not self._held(values):
                    self._tell(*read.place, "cost.beside", cell=other, warning=True)

    def _held(self, values: Mapping[str, Any]) -> bool:
        return _cost_key(values) in self._register.all(Cost)

    def _tell(self, sheet: str, row: int, code: str, *, warning: bool = False, **words: str) -> None:
        if not warning:
            self._wrong.add((sheet, row))
        self._told[warning] += 1
        if self._told[warning] > (MOST_WARNINGS if warning else MOST_ERRORS):
            self._unnamed += 1
            return
        words["cell"] = words.get("cell", "")[:_SHOWN]
        self._problems.append(Problem(sheet=sheet, row=row, code=code, warning=warning, **words))


def _order(taken: tuple[RawTable, TableRule]) -> int:
    """Objects first, and of them those that say whose they are."""
    fields = {column.field for column in taken[1].columns}
    return 2 if taken[1].table != "objects" else 0 if fields & {"id", "owner_bin"} else 1


def _cost_edit(rule: ColumnRule, tenge: Any) -> Edit:
    values = {"object": "", "year": rule.year, "kind": rule.field.removeprefix(COST), "tenge": tenge}
    return Edit(table="costs", values={**values, "state": rule.state} if rule.state else values)


def _cost_key(values: Mapping[str, Any]) -> str:
    return "|".join(str(values.get(name) or "") for name in Cost.KEY)


def _linked(read: _Read) -> dict[str, str]:
    """The objects that a row names, each with its column."""
    columns = columns_of(read.table).values()
    return {read.values[c.name]: c.name for c in columns if c.form is Form.OBJECT and read.values.get(c.name)}


def fields_told(changes: Sequence[Change]) -> dict[str, int]:
    """How many fields are added, changed and removed."""
    added = sum(change.before is None for change in changes)
    removed = sum(change.after is None for change in changes)
    return {"added": added, "changed": len(changes) - added - removed, "removed": removed}


def decision_of(text: str) -> tuple[Place, Decision]:
    """A decision as it is typed: `SHEET:ROW=skip`. Raises `Malformed`."""
    place, _, word = text.rpartition("=")
    sheet, _, row = place.rpartition(":")
    if word not in set(Decision) or not row.isdigit():
        raise Malformed("import.decision", "a decision is SHEET:ROW=skip, =new or =same", at="caller")
    return (sheet, int(row)), Decision(word)
