"""What people decided about the columns of files, kept by the fingerprint of the header.

Not here: what a rule is, and guessing one (`mapping`).
"""

from __future__ import annotations

import msgspec
from sqlalchemy import Engine, delete, insert, select

from qaztech.hub.register.mapping import ColumnRule, TableRule, check_rule, fingerprint, is_money, unit_told
from qaztech.hub.register.store import MAPPINGS
from qaztech.hub.register.titles import tokens
from qaztech.hub.register.workbook import RawTable
from qaztech.runtime.database import reading


class MappingStore:
    """Remembers what people decided, in the registry's database. Use it from any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def find(self, raw: RawTable) -> TableRule | None:
        """What was decided for such a header, for this sheet."""
        with reading(self._engine) as db:
            query = select(MAPPINGS.c.rule).where(MAPPINGS.c.fingerprint == fingerprint(raw.headers))
            text = db.execute(query).scalar_one_or_none()
        if text is None:
            return None
        kept = msgspec.json.decode(text, type=TableRule)
        titles = {" ".join(tokens(rule.header)): rule for rule in kept.columns}
        columns = [
            _with_unit(raw, kept.table, titles.get(" ".join(tokens(header)), ColumnRule(header=header)), header)
            for header in raw.headers
            if header
        ]
        return TableRule(sheet=raw.sheet, table=kept.table, columns=columns)

    def keep(self, raw: RawTable, rule: TableRule, *, by: str, at: int) -> None:
        """Remember what a person decided for such a header."""
        check_rule(rule)
        columns = [msgspec.structs.replace(column, sure=True) for column in rule.columns]
        text = msgspec.json.encode(msgspec.structs.replace(rule, columns=columns)).decode()
        key = fingerprint(raw.headers)
        with self._engine.begin() as db:
            db.execute(delete(MAPPINGS).where(MAPPINGS.c.fingerprint == key))
            db.execute(insert(MAPPINGS).values(fingerprint=key, rule=text, by=by, at=at))


def _with_unit(raw: RawTable, table: str, rule: ColumnRule, header: str) -> ColumnRule:
    """What was decided, for this header; where this file names another unit of money, that one, to be looked at."""
    told = unit_told(raw, header) if is_money(table, rule.field) else None
    if told is not None and told != rule.unit:
        return msgspec.structs.replace(rule, header=header, unit=told, sure=False)
    return msgspec.structs.replace(rule, header=header)
