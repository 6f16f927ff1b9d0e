"""What the support center's API reads and answers: from these structures its description is made too."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from qaztech.core.errors import Malformed
from qaztech.hub.detectors.finding import Finding
from qaztech.hub.findings import CaseState, FindingCase, Measure
from qaztech.hub.register.columns import Form, columns_of, read_cell, write_cell
from qaztech.hub.register.quality import Quality
from qaztech.hub.register.rows import TABLES, DigitalObject, ObjectKind, Status
from qaztech.hub.register.store import Batch, Change, Edit
from qaztech.hub.register.titles import LANGUAGES, column_title, table_title

Value = str | int | bool | list[str] | None
Reason = Annotated[str, Meta(min_length=1, max_length=500)]
MOST_EDITS = 10_000
MOST_SHOWN = 1000
_SQL_INT = 2**31 - 1


class _Input(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What all inputs share: unknown fields are refused."""


class ObjectsQuery(_Input, frozen=True, kw_only=True):
    """`q` words in any form and language, an id, a BIN or a subsystem; `region` the first two digits of a KATO code."""

    q: Annotated[str, Meta(max_length=200)] = ""
    owner: Annotated[str, Meta(max_length=12)] = ""
    kind: ObjectKind | UnsetType = UNSET
    status: Status | UnsetType = UNSET
    area: Annotated[str, Meta(max_length=100)] = ""
    region: Annotated[str, Meta(max_length=2)] = ""
    limit: Annotated[int, Meta(ge=1, le=MOST_SHOWN)] = 50
    offset: Annotated[int, Meta(ge=0, le=_SQL_INT)] = 0


class RowsQuery(_Input, frozen=True, kw_only=True):
    """Rows of one object, or of all."""

    object: Annotated[str, Meta(max_length=100)] = ""
    limit: Annotated[int, Meta(ge=1, le=MOST_SHOWN)] = 50
    offset: Annotated[int, Meta(ge=0, le=_SQL_INT)] = 0


class HistoryQuery(_Input, frozen=True, kw_only=True):
    """`key`: the key fields of the row, joined by `|`."""

    key: Annotated[str, Meta(max_length=512)]


class BatchesQuery(_Input, frozen=True, kw_only=True):
    """`before`: only those with a lower number."""

    limit: Annotated[int, Meta(ge=1, le=MOST_SHOWN)] = 50
    before: Annotated[int, Meta(ge=1, le=_SQL_INT)] | UnsetType = UNSET


class FindingsQuery(_Input, frozen=True, kw_only=True):
    """Of one state, detector or object, or by its `key`. Those that are gone only if asked for."""

    key: Annotated[str, Meta(max_length=500)] = ""
    state: CaseState | UnsetType = UNSET
    detector: Annotated[str, Meta(max_length=60)] = ""
    object: Annotated[str, Meta(max_length=100)] = ""
    gone: bool = False
    limit: Annotated[int, Meta(ge=1, le=MOST_SHOWN)] = 50
    offset: Annotated[int, Meta(ge=0, le=_SQL_INT)] = 0


class RowForm(_Input, frozen=True, kw_only=True):
    """One row: `values` by column, those of its key among them; null empties a column. `reason` goes into history."""

    reason: Reason
    values: dict[str, Value]


class EditForm(_Input, frozen=True, kw_only=True):
    """One row of a batch: as `RowForm` of a `PATCH`; `remove` takes the row with this key away."""

    table: str
    values: dict[str, Value]
    remove: bool = False


class BatchForm(_Input, frozen=True, kw_only=True):
    """Changes that are made together or not at all. `dry_run`: tell what would change, and change nothing."""

    reason: Reason
    edits: Annotated[list[EditForm], Meta(min_length=1, max_length=MOST_EDITS)]
    dry_run: bool = False


class MeasureForm(_Input, frozen=True, kw_only=True):
    """What is to be done: by which body, by whom there (a post), until when."""

    owner_bin: str
    responsible: str
    due: date
    text: str


class DecisionForm(_Input, frozen=True, kw_only=True):
    """A decision on a finding as it was seen at `version`. A rejection needs a `reason`, a measure its `measure`."""

    key: str
    version: int
    state: CaseState
    reason: str = ""
    measure: MeasureForm | None = None

    def measured(self) -> Measure | None:
        """The measure, for the queue."""
        if self.measure is None:
            return None
        return Measure(**{name: getattr(self.measure, name) for name in self.measure.__struct_fields__})


class Nothing(_Input, frozen=True, kw_only=True):
    """An empty object: that it is meant."""


class ColumnAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A column: what its cells hold, whether it must be there or is part of the key, words allowed, titles."""

    name: str
    form: Form
    required: bool
    key: bool
    choices: tuple[str, ...]
    titles: dict[str, str]


class TableAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A table of the registry."""

    name: str
    titles: dict[str, str]
    columns: list[ColumnAnswer]


class ObjectLine(msgspec.Struct, frozen=True, kw_only=True):
    """An object in a list, with the score of its record (0..100) and its age in days (null: never confirmed)."""

    id: str
    kind: ObjectKind | None
    name_kk: str
    name_ru: str
    name_en: str
    owner_bin: str | None
    status: Status | None
    area: str
    kato: str | None
    quality: int
    age_days: int | None

    @classmethod
    def of(cls, object_: DigitalObject, quality: Quality) -> ObjectLine:
        """From the object."""
        own = {name: getattr(object_, name) for name in cls.__struct_fields__ if hasattr(object_, name)}
        return cls(quality=quality.score, age_days=quality.age_days, **own)


class ObjectsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One page of objects; `version` is the registry's, `total` how many there are on all pages."""

    version: int
    total: int
    objects: list[ObjectLine]


class GapAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What a record lacks (`missing`), contradicts or is too old for; `field` as table/column."""

    what: str
    field: str


class ObjectAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One object with all rows that belong to it, by table; the score of its record and what it lacks."""

    version: int
    object: DigitalObject
    rows: dict[str, list[dict[str, Any]]]
    quality: int
    age_days: int | None
    gaps: list[GapAnswer]


class RowsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a table's rows in the order of their keys; only declared columns are given."""

    version: int
    total: int
    rows: list[dict[str, Any]]


class HistoryAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One field that changed, and with what change: who, when, from which source."""

    batch: Batch
    change: Change


class BatchAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One change of the registry with its fields (at most 10,000)."""

    batch: Batch
    changes: list[Change]


class ChangedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What was done: `batch` null where nothing is new, or for a dry run; `changes` field by field, for a dry run."""

    version: int
    batch: Batch | None
    changes: list[Change]


class CaseAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A finding and what became of it. Times in ms since 1970; `gone` since when it is no longer found."""

    key: str
    state: CaseState
    version: int
    first_seen: int
    last_seen: int
    gone: int | None
    measure: Measure | None
    text: str
    finding: Finding

    @classmethod
    def of(cls, case: FindingCase) -> CaseAnswer:
        """From the queue's."""
        return cls(**{name: getattr(case, name) for name in cls.__struct_fields__})


class CasesAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One page of findings, most money times confidence first."""

    total: int
    findings: list[CaseAnswer]


def tables() -> list[TableAnswer]:
    """All tables and columns, with their titles."""
    return [
        TableAnswer(
            name=table, titles={language: table_title(table, language) for language in LANGUAGES},
            columns=[
                ColumnAnswer(
                    name=name, form=column.form, required=column.required, key=name in kind.KEY, choices=column.choices,
                    titles={language: column_title(table, name, language) for language in LANGUAGES},
                )
                for name, column in columns_of(table).items()
            ],
        )
        for table, kind in TABLES.items()
    ]  # fmt: skip


def edit_of(form: EditForm, *, whole: bool = False) -> Edit:
    """An edit of the registry, each value read as a cell would be; `whole`: columns not named are emptied.

    Raises `Malformed` with the column for what no such cell may hold.
    """
    if form.table not in TABLES:
        raise Malformed("objects.table", f"there is no table {form.table[:60]!r}", at="caller")
    columns = columns_of(form.table)
    values: dict[str, Any] = dict.fromkeys(columns) if whole else {}
    for name, value in form.values.items():
        if name not in columns:
            raise Malformed("objects.column", f"{form.table} has no column {name[:60]!r}", at="caller")
        try:
            values[name] = read_cell(columns[name], write_cell(value))
        except Malformed as exc:
            raise Malformed(exc.code, f"{form.table}, {name}: {exc.detail}", at="caller") from exc
    return Edit(table=form.table, values=values, remove=form.remove)
