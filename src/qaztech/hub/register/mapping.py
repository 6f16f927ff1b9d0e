"""Which table a sheet is and which of its columns is which of ours: guessed by titles, decided by people.

A mapping is plain JSON that can be shown, edited and given with a file. In a sheet of objects a column may also be a
cost of one kind (`cost.support` with its year) or the name of the owner (`owner.name_ru`), in one of contracts that of
the supplier. Not here: what is kept of a person's decisions (`remembered`), reading the rows (`importing`).
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from qaztech.core.errors import Malformed
from qaztech.hub.register.columns import Form, columns_of
from qaztech.hub.register.rows import TABLES, CostKind
from qaztech.hub.register.titles import (
    LANGUAGES,
    cost_kind,
    cost_state,
    is_day_title,
    is_reason,
    is_title,
    match_column,
    match_table,
    read_foreign,
    tokens,
    unit_of,
    year_of,
    year_of_money,
)
from qaztech.hub.register.workbook import RawTable

if TYPE_CHECKING:
    from qaztech.hub.register.remembered import MappingStore

FORMAT: Final = "qaztech-mapping-1"
COST: Final = "cost."
# Names of a body beside its BIN, in a sheet of another table: the table, the column of the BIN, the fields.
NAMED: Final = {"objects": "owner", "contracts": "supplier"}
OWNER_NAMES: Final = tuple(f"{who}.name_{language}" for who in NAMED.values() for language in LANGUAGES)
UNITS: Final = (1, 1_000, 1_000_000, 1_000_000_000)
_OWNER_TITLES: Final = {
    "наименование государственного органа": "owner.name_ru", "наименование го": "owner.name_ru",
    "наименование органа": "owner.name_ru", "мемлекеттік органның атауы": "owner.name_kk",
    "владелец": "owner.name_ru", "наименование владельца": "owner.name_ru", "собственник": "owner.name_ru",
    "наименование собственника": "owner.name_ru", "наименование организации": "owner.name_ru",
    "государственный орган": "owner.name_ru", "владелец ис": "owner.name_ru", "организация": "owner.name_ru",
    "иесі": "owner.name_kk", "меншік иесі": "owner.name_kk", "иесінің атауы": "owner.name_kk",
    "ұйым": "owner.name_kk", "мемлекеттік орган": "owner.name_kk", "owner": "owner.name_en",
    "owner name": "owner.name_en",
}  # fmt: skip
_SUPPLIER_TITLES: Final = {
    "поставщик": "supplier.name_ru", "наименование поставщика": "supplier.name_ru", "исполнитель": "supplier.name_ru",
    "наименование исполнителя": "supplier.name_ru", "подрядчик": "supplier.name_ru", "жеткізуші": "supplier.name_kk",
    "жеткізушінің атауы": "supplier.name_kk", "орындаушы": "supplier.name_kk", "supplier": "supplier.name_en",
    "supplier name": "supplier.name_en",
}  # fmt: skip
_NAME_TITLES: Final = {"objects": _OWNER_TITLES, "contracts": _SUPPLIER_TITLES}
# Rows of a sheet that are looked at to tell what a column holds.
_LOOKED_AT: Final = 50
_DAY: Final = columns_of("objects")["status_since"]
_MOST_FILE: Final = 1024 * 1024


class ColumnRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a column of a file is; empty: not taken.

    `field` is one of its table, `cost.<kind>`, `owner.name_<language>` or `supplier.name_<language>`. `unit` tenge that
    one of its numbers is; `year` and `state` (planned, paid) of a cost. `sure` is false for a guess.
    """

    header: str
    field: str = ""
    unit: int = 1
    year: int | None = None
    state: str = ""
    sure: bool = True


class TableRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a sheet is: `table` of the registry (empty: not taken) and its columns."""

    sheet: str
    table: str = ""
    columns: list[ColumnRule] = []

    def rule(self, header: str) -> ColumnRule | None:
        """The rule of a header."""
        return next((column for column in self.columns if column.header == header), None)


class Mapping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a file is read: a rule for each sheet."""

    tables: list[TableRule]
    format: str = FORMAT

    def table(self, raw: RawTable) -> TableRule | None:
        """The rule of a sheet: by its name and header, else by its header alone."""
        headers = {header for header in raw.headers if header and not is_reason(header)}
        fitting = [rule for rule in self.tables if {column.header for column in rule.columns} & headers]
        named = [rule for rule in fitting if rule.sheet == raw.sheet]
        return next(iter(named or [rule for rule in fitting if {c.header for c in rule.columns} >= headers]), None)


def read_mapping(path: Path) -> Mapping:
    """The mapping in a JSON file. Raises `Malformed`."""
    if path.stat().st_size > _MOST_FILE:
        raise Malformed("mapping.malformed", "a mapping has at most a mebibyte", at="caller")
    return parse_mapping(path.read_bytes())


def parse_mapping(data: bytes) -> Mapping:
    """The mapping in JSON. Raises `Malformed`."""
    try:
        mapping = msgspec.json.decode(data, type=Mapping)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise Malformed("mapping.malformed", f"not a mapping: {str(exc)[:200]}", at="caller") from exc
    if mapping.format != FORMAT:
        raise Malformed("mapping.malformed", f"not a mapping of the form {FORMAT}", at="caller")
    for table in mapping.tables:
        check_rule(table)
    return mapping


def mapping_json(mapping: Mapping) -> bytes:
    """A mapping as JSON for people to read and edit."""
    return msgspec.json.format(msgspec.json.encode(mapping), indent=1)


def check_rule(rule: TableRule) -> None:
    """Refuse what no table or column is, and one field twice. Raises `Malformed`."""
    if rule.table and rule.table not in TABLES:
        raise Malformed("mapping.table", f"there is no table {rule.table[:60]!r}", at="caller")
    seen: set[tuple[str, int | None, str]] = set()
    for column in rule.columns:
        if not column.field:
            continue
        if column.field not in fields_of(rule.table):
            raise Malformed("mapping.field", f"{rule.table or 'no table'} has no {column.field[:60]!r}", at="caller")
        if column.unit not in UNITS or column.state not in {"", "planned", "paid"}:
            raise Malformed("mapping.field", f"an impossible unit or state of {column.header[:60]!r}", at="caller")
        if column.field.startswith(COST) and (column.year is None or not 1991 <= column.year <= 2100):
            raise Malformed("mapping.year", f"of which year is {column.header[:60]!r}?", at="caller")
        place = (column.field, column.year, column.state)
        if place in seen:
            raise Malformed("mapping.twice", f"two columns for {column.field}", at="caller")
        seen.add(place)


def fields_of(table: str) -> list[str]:
    """What a column of a sheet of this table may be."""
    if table not in TABLES:
        return []
    costs = [f"{COST}{kind.value}" for kind in CostKind] if table == "objects" else []
    names = [name for name in OWNER_NAMES if name.partition(".")[0] == NAMED.get(table)]
    return [*columns_of(table), *costs, *names]


def is_money(table: str, field: str) -> bool:
    """Whether a column of a sheet holds sums."""
    if field.startswith(COST):
        return True
    return table in TABLES and field in columns_of(table) and columns_of(table)[field].form is Form.TENGE


def unit_told(raw: RawTable, header: str) -> int | None:
    """The unit that a column's sums are in, by its header, else by what stands above it or the sheet is called."""
    return unit_of(header) or unit_of(raw.above) or unit_of(raw.sheet)


def guess(raw: RawTable, *, table: str | None = None) -> TableRule:
    """What a sheet and its columns are, as far as titles tell."""
    named = match_table(raw.sheet)
    by_columns = max(TABLES, key=lambda one: _fit(raw, one, named))
    chosen = by_columns if table is None else table
    if table is None and _fit(raw, chosen, named) < 2:
        chosen = ""
    return TableRule(sheet=raw.sheet, table=chosen, columns=_columns(raw, chosen))


def _fit(raw: RawTable, table: str, named: str | None) -> float:
    """How well a table's columns fit these headers."""
    rules = _columns(raw, table)
    score = sum(1.0 if rule.sure else 0.5 for rule in rules if rule.field)
    taken = {rule.field for rule in rules}
    missing = [column for column in columns_of(table).values() if column.required and column.name not in taken]
    if table == "objects":
        missing = [] if taken & {"id", "name_kk", "name_ru", "name_en"} else missing
    return score - 2 * len(missing) + (1.5 if named == table else 0) + (0.1 if table == "objects" else 0)


def _columns(raw: RawTable, table: str) -> list[ColumnRule]:
    """The rules of a sheet's columns; of two columns for one field the first that is sure has it."""
    rules = [_column(raw, header, table) for header in raw.headers if header]
    holders: dict[tuple[str, int | None, str], ColumnRule] = {}
    for rule in sorted(rules, key=lambda one: not one.sure):
        if rule.field:
            holders.setdefault((rule.field, rule.year, rule.state), rule)
    kept = {id(rule) for rule in holders.values()}
    return [rule if not rule.field or id(rule) in kept else ColumnRule(header=rule.header) for rule in rules]


def _column(raw: RawTable, header: str, table: str) -> ColumnRule:
    if not table or is_reason(header):
        return ColumnRule(header=header)
    owner = _NAME_TITLES.get(table, {}).get(" ".join(tokens(header)))
    if owner:
        return ColumnRule(header=header, field=owner)
    found = match_column(table, header)
    below_costs = table == "objects" and cost_kind(header.rpartition(" / ")[0]) is not None
    if found is not None and not found.sure and below_costs:
        found = None  # a kind of cost below a heading of costs
    if found is not None and not found.sure and (form := columns_of(table)[found.name].form) in _SEEN:
        found = found if _holds(raw, header, form) else None
    if found is not None and not (table == "objects" and year_of(header) and not found.sure):
        unit = unit_told(raw, header) if is_money(table, found.name) else 1
        return ColumnRule(header=header, field=found.name, unit=unit or 1, sure=found.sure)
    return _cost(raw, header) if table == "objects" else ColumnRule(header=header)


# What cells show by themselves to be, and what not.
_SEEN: Final = frozenset({Form.TENGE, Form.DATE})


def _holds(raw: RawTable, header: str, form: Form) -> bool:
    """Whether the first cells of a column may be sums, or days; a column without any cell may be either."""
    place = raw.headers.index(header)
    cells = [cells[place] for cells in raw.rows[:_LOOKED_AT] if place < len(cells) and cells[place] != ""]
    days = sum(_is_day(cell) for cell in cells)
    return not cells or (2 * days < len(cells) if form is Form.TENGE else 2 * days >= len(cells))


def _is_day(cell: object) -> bool:
    """Whether a cell shows a day; a bare number is none."""
    if not isinstance(cell, str) or cell.strip().isdigit():
        return False
    try:
        return read_foreign(_DAY, cell) is not None
    except Malformed:
        return False


def _cost(raw: RawTable, header: str) -> ColumnRule:
    """A wide column of costs: its kind, year and unit from the header, else from what stands above it.

    A year that nobody wrote of this money is asked for, never taken from the day of a report.
    """
    kind, year = cost_kind(header), year_of(header)
    if kind is None and year is not None and " / " not in header and header.strip(" .г").isdigit():
        kind = cost_kind(raw.above) or cost_kind(raw.sheet)
    if kind is None or (year is None and not kind) or is_day_title(header) or not _holds(raw, header, Form.TENGE):
        return ColumnRule(header=header)
    told = year or year_of_money(raw.sheet) or year_of_money(raw.above)
    unit = unit_told(raw, header)
    return ColumnRule(
        header=header, field=f"{COST}{kind or 'support'}", year=told, unit=unit or 1, state=cost_state(header),
        sure=bool(kind and year and unit),
    )  # fmt: skip


def known(text: str) -> bool:
    """Whether a text is a title that is understood: how a header is found."""
    return is_title(text) or (year_of(text) is not None and len(text) <= 120 and cost_kind(text) is not None)


def fingerprint(headers: Sequence[str]) -> str:
    """The same for headers that differ in case, signs and spaces alone, or by the column of reasons (hex)."""
    told = [" ".join(tokens(header)) for header in headers if header and not is_reason(header)]
    return sha256("\n".join(told).encode()).hexdigest()


def propose(tables: Sequence[RawTable], *, given: Mapping | None = None, kept: MappingStore | None = None) -> Mapping:
    """A rule for each table: as given, else as remembered, else as guessed. Hidden sheets are not taken by a guess."""
    rules = []
    for raw in tables:
        rule = given.table(raw) if given is not None else None
        if rule is None and given is None and kept is not None:
            rule = kept.find(raw)
        if rule is None and given is None:
            rule = TableRule(sheet=raw.sheet, columns=_columns(raw, "")) if raw.hidden else guess(raw)
        rules.append(rule or TableRule(sheet=raw.sheet, columns=_columns(raw, "")))
    return Mapping(
        tables=[msgspec.structs.replace(rule, sheet=raw.sheet) for rule, raw in zip(rules, tables, strict=True)]
    )
